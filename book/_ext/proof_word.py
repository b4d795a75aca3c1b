"""Set the word that opens a proof apart from the proof, as books do. sphinx-proof writes both as one text."""

from docutils import nodes
from sphinx.application import Sphinx
from sphinx_proof.nodes import proof_node

WORD = "Proof. "


def set_apart(app: Sphinx, doctree: nodes.document) -> None:
    for proof in doctree.findall(proof_node):
        text = next(proof.findall(nodes.Text), nodes.Text(""))
        if text.startswith(WORD):
            text.parent.replace(
                text, [nodes.inline(WORD, WORD, classes=["ufs-proof-word"]), nodes.Text(text[len(WORD) :])]
            )


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("doctree-read", set_apart)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
