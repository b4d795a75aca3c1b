"""Keep a formula on one line with the marks that touch it.

A browser may break a line on either side of a formula, whatever stands there, and so lets a line begin with a comma. A
formula, the bracket that opens before it and the marks, or the end of the word, that follow it become one unit.
"""

import re

from docutils import nodes
from sphinx.application import Sphinx

OPENING = re.compile(r"(?:^|(?<=\s))[(\[“‘]{1,2}$")
CLOSING = re.compile(r"^[^\s\w]{1,3}(?=\s|$)")
WORD_END = re.compile(r"^\S{1,12}(?=\s|$)")
SHORT = 20  # characters of TeX: so short a formula carries the end of a word too, as in "k-dimensional"


def keep_together(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    for math in list(doctree.findall(nodes.math)):
        parent = math.parent
        place = parent.index(math)
        before, after = parent[:place], parent[place + 1 :]
        unit = nodes.inline(classes=["ufs-together"])
        if before and isinstance(before[-1], nodes.Text) and (opening := OPENING.search(before[-1])):
            before[-1] = nodes.Text(before[-1][: opening.start()])
            unit += nodes.Text(opening[0])
        unit += math
        if after and isinstance(after[0], nodes.Text):
            closing = CLOSING.search(after[0]) or (len(math.astext()) <= SHORT and WORD_END.search(after[0]))
            if closing:
                unit += nodes.Text(closing[0])
                after[0] = nodes.Text(after[0][closing.end() :])
        if len(unit) > 1:
            parent[:] = [*before, unit, *after]


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("doctree-resolved", keep_together)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
