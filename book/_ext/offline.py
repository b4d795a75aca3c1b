"""Pages that ask nothing of another host.

sphinx-thebe comes with Jupyter Book and adds scripts that declare a CDN's address twice, and so log an error on each page.
"""

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx


def is_thebe(asset: Any) -> bool:
    """Whether a script or style sheet of a page, inline or in a file, is sphinx-thebe's."""
    return "thebe" in f"{asset.filename} {asset.attributes}".lower()


def drop_thebe(app: Sphinx, pagename: str, template: str, context: dict[str, Any], doctree: nodes.document | None) -> None:
    for kind in ("script_files", "css_files"):
        context[kind] = [asset for asset in context[kind] if not is_thebe(asset)]


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("html-page-context", drop_thebe, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
