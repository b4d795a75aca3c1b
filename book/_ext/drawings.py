"""A cell's drawing stands in a box of its own, which knows the drawing's size.

The page keeps room for a drawing that has not arrived yet. Where the column is so narrow that letters would be too
small to read, a wide drawing stays wider than the column and scrolls in its box, its caption does not (book.css, and
book.js for the keyboard).
"""

import re
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator

POINTS = re.compile(rb'<svg\b[^>]*\bviewBox="0 0 ([\d.]+) ([\d.]+)"')
PIXELS_PER_POINT = 4 / 3
ONE_PANEL = 600  # pixels: what is no wider bears to be drawn as narrow as a telephone
LEAST = 0.75  # of its width, for a wider drawing: letters of ten points are then ten pixels high


class Drawing(nodes.General, nodes.Element):
    """The box of one drawing; `width` and `height` in pixels."""


def visit_drawing(self: HTML5Translator, node: Drawing) -> None:
    width, height = node["width"], node["height"]
    size = f"--width: {width}; --height: {height}; --least: {LEAST * width if width > ONE_PANEL else 0:.0f}"
    self.body.append(self.starttag(node, "div", "", CLASS="ufs-drawing", style=size))


def depart_drawing(self: HTML5Translator, node: Drawing) -> None:
    self.body.append("</div>\n")


def box_drawings(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    for output in doctree.findall(nodes.container):
        if "cell_output" in output["classes"]:
            for image in list(output.findall(nodes.image)):
                if size := POINTS.search((Path(app.srcdir) / image["uri"]).read_bytes()):
                    width, height = (round(PIXELS_PER_POINT * float(length)) for length in size.groups())
                    box = Drawing("", width=width, height=height)
                    image.replace_self(box)
                    box += image


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_node(Drawing, html=(visit_drawing, depart_drawing))
    app.connect("doctree-resolved", box_drawings)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
