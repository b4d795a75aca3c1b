"""The running text of a page, without formulas, code, links and options, and the numbers somebody typed into it."""

import re
from collections.abc import Iterator

from bookfiles import MYST, directive, written
from bs4 import BeautifulSoup
from markdown_it.token import Token

# Directives whose body is no prose, and those whose argument is no title but a path or a key.
NO_PROSE = {
    "bibliography",
    "code",
    "code-block",
    "code-cell",
    "eval-rst",
    "include",
    "math",
    "paper-map",
    "raw",
    "toctree",
}
NO_TITLE = {"figure", "image", "glue:figure", "glue:text", "solution", "solution-start"}

UNITS = (
    r"%|‰|°|per\ cent|percent(?:age\ points?)?|[nµμm]?s|sec|min|h|seconds?|minutes?|hours?|days?"
    r"|[kKMGT]i?B|bytes?|bits?|nats?|px|pixels?|rad|radians?|degrees?(?!\ of\ freedom)|Hz|[kMG]Hz"
    r"|times|fold|[x×](?!\s*\d)|decimals?|digits"
)
NUMBER = re.compile(
    rf"""(?<![\w.,/-])[-−]?(?:\d[\d,]*[-–])?   # the first number of a range
    (?!\d{{3}}0s\b)(?:                        # the 1870s are no time in seconds
        (?:\d[\d,]*)?\.\d+(?:[eE][-+]?\d+)?   # a decimal literal
      | \d+[eE][-+]?\d+                       # with an exponent
      | \d[\d,]*[\s-]?(?:{UNITS})(?!\w)       # a percentage, or a number with a unit
    )""",
    re.VERBOSE,
)


def running_text(inline: Token) -> str:
    """The text of a paragraph; formulas, code, roles and links leave a mark that is no part of a number."""
    pieces, in_link = [], False
    for child in inline.children or []:
        if child.type in ("link_open", "link_close"):
            in_link = child.type == "link_open"
            pieces.append("▢")
        elif child.type in ("text", "softbreak", "hardbreak"):
            pieces.append("" if in_link else child.content or " ")
        elif child.type not in ("em_open", "em_close", "strong_open", "strong_close"):
            pieces.append("▢")
    return "".join(pieces)


def paragraphs(text: str) -> Iterator[str]:
    for token in MYST.parse(text):
        if token.type == "inline":
            yield running_text(token)
        elif token.type == "html_block":
            yield BeautifulSoup(token.content, "html.parser").get_text()
        elif token.type in ("fence", "colon_fence") and (block := directive(token)):
            if block.name not in NO_TITLE | NO_PROSE:
                yield from paragraphs(block.argument)
            if block.name not in NO_PROSE:
                yield from paragraphs(block.body)


def typed_numbers(text: str) -> list[tuple[str, str]]:
    """Each number that a cell should have given, with the paragraph it stands in."""
    return [(match[0], paragraph) for paragraph in paragraphs(text) for match in NUMBER.finditer(paragraph)]


def page_paragraphs(page: str) -> list[str]:
    return [paragraph for text in written(page) for paragraph in paragraphs(text)]
