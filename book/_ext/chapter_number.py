"""A chapter's number belongs to the chapter, not to its place among those written so far.

The chapters are not written in order, yet "Theorem 3.2" has to stay Theorem 3.2. So a page of a numbered part states
its number in its metadata (``"chapter": 3``, or ``"A"`` for an appendix), and this extension puts it in place of the
one that Sphinx counted: in the section numbers first, then, by Sphinx's own collector, in those of figures, equations
and results, which derive from them.
"""

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.environment.collectors.toctree import TocTreeCollector
from sphinx.errors import ExtensionError

from page_metadata import page_metadata


def number_chapters(app: Sphinx, env: BuildEnvironment) -> list[str]:
    for docname, secnumbers in env.toc_secnumbers.items():
        chapter = page_metadata(env, docname).get("chapter")
        if chapter is None:
            raise ExtensionError(
                f'{docname} stands in a numbered part: give it a number, metadata "ufs": {{"chapter": …}}'
            )
        env.toc_secnumbers[docname] = {anchor: (chapter, *number[1:]) for anchor, number in secnumbers.items()}
        titled = [*env.tocs[docname].findall(nodes.reference), env.titles[docname]]
        for node in titled:
            if node.get("secnumber"):
                node["secnumber"] = [chapter, *node["secnumber"][1:]]
    return [*env.toc_secnumbers, *TocTreeCollector().assign_figure_numbers(env)]


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("env-get-updated", number_chapters, priority=600)  # after Sphinx's collector, at 500
    return {"parallel_read_safe": True, "parallel_write_safe": True}
