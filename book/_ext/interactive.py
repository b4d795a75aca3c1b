"""Give the pages that hold an interactive figure the scripts and the style sheet that draw it.

They are files of the ``ufs`` package, so that a page and a widget in a notebook run the same code. A page loads them
as classic scripts: it also works when it is opened from a disk, without a server, a kernel or a network.
"""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.config import Config

STATIC = Path(str(files("ufs"))) / "static"
FIGURE = re.compile(r'<div class="ufs-figure" data-figure="([a-z-]+)"')


def serve_static_files(app: Sphinx, config: Config) -> None:
    config.html_static_path.append(str(STATIC))


def add_scripts(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    figures = sorted(set(FIGURE.findall(context.get("body", ""))))
    if not figures:
        return
    app.add_css_file("ufs-figures.css")
    for name in ("figures", *figures):
        app.add_js_file(f"ufs-{name}.js", loading_method="defer")


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("config-inited", serve_static_files)
    app.connect("html-page-context", add_scripts)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
