"""What the book consists of: its pages in the order of _toc.yml, its notebooks, and the parts of a MyST text."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import nbformat
import yaml
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from myst_parser.config.main import MdParserConfig
from myst_parser.parsers.mdit import create_md_parser
from nbformat import NotebookNode
from sphinx_external_toc.parsing import parse_toc_yaml

PROJECT = Path(__file__).parents[2]
BOOK = PROJECT / "book"
SITE = PROJECT / "_build" / "html"
CONFIG: dict[str, Any] = yaml.safe_load((PROJECT / "_config.yml").read_text(encoding="utf-8"))

PAGES = list(parse_toc_yaml(PROJECT / "_toc.yml"))
NOTEBOOKS = [page for page in PAGES if (PROJECT / f"{page}.ipynb").exists()]


@cache
def notebook(page: str) -> NotebookNode:
    return nbformat.read(PROJECT / f"{page}.ipynb", as_version=4)


CHAPTERS = [page for page in NOTEBOOKS if isinstance(notebook(page).metadata.get("ufs", {}).get("chapter"), int)]


def texts(page: str) -> list[str]:
    """The Markdown of a page: its text cells, or the whole file."""
    if page in NOTEBOOKS:
        return [cell.source for cell in notebook(page).cells if cell.cell_type == "markdown"]
    return [(PROJECT / f"{page}.md").read_text(encoding="utf-8")]


def figure_settings(page: str, part: str, key: str) -> list[str]:
    cells = notebook(page).cells if page in NOTEBOOKS else []
    settings = [cell.metadata.get("mystnb", {}).get(part, {}) for cell in cells]
    return [setting[key] for setting in settings if key in setting]


def captions(page: str) -> list[str]:
    """What stands below the figures of a notebook."""
    return figure_settings(page, "figure", "caption")


def written(page: str) -> list[str]:
    """All the Markdown of a page, and what is read aloud in place of its figures."""
    return [*texts(page), *captions(page), *figure_settings(page, "image", "alt")]


@dataclass(frozen=True)
class Directive:
    """``:::{name} argument``, options and body; `start` counts the characters of the page's text before it."""

    name: str
    argument: str
    options: dict[str, str]
    body: str
    start: int


MYST = create_md_parser(MdParserConfig(enable_extensions=set(CONFIG["parse"]["myst_enable_extensions"])), RendererHTML)
OPTION = re.compile(r":([\w-]+):[ \t]*(.*)\n?")


def directive(token: Token, start: int = 0) -> Directive | None:
    """The directive that a fence opens, or None for a block of code."""
    head = re.fullmatch(r"\{([^}]+)\}\s*(.*)", token.info.strip())
    if head is None:
        return None
    body, options = token.content, {}
    while option := OPTION.match(body):
        options[option[1]] = option[2].strip()
        body = body[option.end() :]
    return Directive(head[1], head[2], options, body, start)


def directives(text: str, offset: int = 0) -> Iterator[Directive]:
    """All directives of a text, in order, those inside others after the one that holds them."""
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    for token in MYST.parse(text):
        if (
            token.type in ("fence", "colon_fence")
            and token.map
            and (found := directive(token, offset + starts[token.map[0]]))
        ):
            yield found
            yield from directives(found.body, found.start + 1)
