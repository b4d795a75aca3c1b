"""Set the words that open a proof or a solution apart from what follows, as books do.

* sphinx-proof writes "Proof." and the proof as one text.
* sphinx-exercise writes the space after "Solution to" into the link, which then is underlined from there.
"""

from docutils import nodes
from sphinx.application import Sphinx
from sphinx_exercise.nodes import solution_node
from sphinx_proof.nodes import proof_node

WORD = "Proof. "


def set_apart(app: Sphinx, doctree: nodes.document) -> None:
    for proof in doctree.findall(proof_node):
        text = next(proof.findall(nodes.Text), nodes.Text(""))
        if text.startswith(WORD):
            text.parent.replace(
                text, [nodes.inline(WORD, WORD, classes=["ufs-proof-word"]), nodes.Text(text[len(WORD) :])]
            )


def move_space(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    for solution in doctree.findall(solution_node):
        for link in solution[0].findall(nodes.reference):
            if isinstance(link[0], nodes.Text) and link[0].startswith(" "):
                link[0] = nodes.Text(link[0].lstrip())
                solution[0].insert(solution[0].index(link), nodes.Text(" "))


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("doctree-read", set_apart)
    app.connect("doctree-resolved", move_space)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
