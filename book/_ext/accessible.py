"""Mend, for those who read with other tools than a mouse and eyes, what extensions leave behind in the pages.

* docutils writes ``role="list"`` around bibliography entries of ``role="doc-biblioentry"``; a list's children must be
  list items.
* sphinx-proof and sphinx-exercise give the text of each statement, proof, exercise and solution the same id as that of
  the one before; an id must be unique on its page.
"""

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator

REPEATED = {"proof", "proof-content", "exercise-content", "solution-content"}


def visit_citation(self: HTML5Translator, node: nodes.citation) -> None:
    HTML5Translator.visit_citation(self, node)
    self.body[-1] = self.body[-1].replace('role="doc-biblioentry"', 'role="listitem"')


def depart_citation(self: HTML5Translator, node: nodes.citation) -> None:
    HTML5Translator.depart_citation(self, node)


def drop_repeated_ids(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    for node in doctree.findall(nodes.Element):
        node["ids"] = [name for name in node["ids"] if name not in REPEATED]


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_node(nodes.citation, override=True, html=(visit_citation, depart_citation))
    app.connect("doctree-resolved", drop_repeated_ids)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
