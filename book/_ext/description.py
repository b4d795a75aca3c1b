"""What a page says of itself where only its title and a line are shown: its own first sentences.

Formulas are no help there, so a sentence with one ends the line; the lines on what a chapter needs are passed over.
A page that is named like the book has another title in its metadata, so that its tab does not say the same twice.
"""

import re
from html import escape
from itertools import takewhile
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

from page_metadata import page_metadata

MOST = 200  # characters, of which search engines show about 160
SENTENCE = re.compile(r".+?[.?!](?=\s|$)")
CITATION = re.compile(r" \[[^\]]*\d{4}\w?\]")


def first_sentences(paragraph: nodes.paragraph) -> str:
    before_formula = takewhile(lambda part: not any(part.findall(nodes.math)), paragraph)
    text = " ".join("".join(part.astext() for part in before_formula).split())
    shown = ""
    for sentence in SENTENCE.findall(CITATION.sub("", text)):
        if shown and len(shown) + len(sentence) > MOST:
            break
        shown += sentence
    return shown.strip()


def description(doctree: nodes.document) -> str:
    for paragraph in doctree.findall(nodes.paragraph):
        if isinstance(paragraph.parent, nodes.section) and "ufs-version" not in paragraph["classes"]:
            text = first_sentences(paragraph)
            if len(text) > 40 and not text.startswith(("Prerequisites.", "Time.")):
                return text
    return ""


def describe(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    if title := page_metadata(app.env, pagename).get("title"):
        context["title"] = title
    if doctree is not None and (text := description(doctree)):
        context["metatags"] += f'<meta name="description" content="{escape(text)}" />\n'


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("html-page-context", describe, priority=400)  # before sphinxext.opengraph, which then adds none
    return {"parallel_read_safe": True, "parallel_write_safe": True}
