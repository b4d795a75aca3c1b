"""The line under a chapter's title that says which version the reader holds, and when it was last changed."""

from datetime import date

from docutils import nodes
from sphinx.application import Sphinx

from page_metadata import page_metadata


def add_version_line(app: Sphinx, doctree: nodes.document) -> None:
    metadata = page_metadata(app.env, app.env.docname)
    if not {"version", "date"} <= metadata.keys():
        return
    day = date.fromisoformat(metadata["date"])
    line = nodes.paragraph("", f"Version {metadata['version']} · {day.day} {day:%B %Y}", classes=["ufs-version"])
    title = next(doctree.findall(nodes.title))
    title.parent.insert(title.parent.index(title) + 1, line)


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("doctree-read", add_version_line, priority=900)  # once the metadata has been collected
    return {"parallel_read_safe": True, "parallel_write_safe": True}
