"""No argument leans on what comes later: inside statements and proofs references lead back, or to the appendices."""

import re

import pytest
from bookfiles import PAGES, directives, texts

REFERENCE = re.compile(r"\{(?:prf:ref|eq|numref)\}`(?:[^`<]*<)?([^`>]+)>?`")
PLACE = re.compile(r"^:label: *(\S+)|^\$\$ *\(([\w-]+)\)", re.MULTILINE)
APPENDICES = {page for page in PAGES if page.startswith("book/back/")}


def places(source: dict[str, str]) -> dict[str, tuple[int, int]]:
    """Where each label stands: number of its page, and characters before it."""
    return {
        match[1] or match[2]: (number, match.start())
        for number, text in enumerate(source.values())
        for match in PLACE.finditer(text)
    }


def forward(source: dict[str, str], page: str, free: set[str] = frozenset()) -> list[tuple[str, str]]:
    """(place, result) for each step of a page's statements and proofs that uses what comes after it."""
    where, number, found = places(source), list(source).index(page), []
    last = ""
    for block in directives(source[page]):
        if not block.name.startswith("prf:"):
            continue
        last = block.options.get("label", last)
        end = where[last] if block.name != "prf:proof" and last in where else None
        here = end or (number, block.start + len(block.body))
        for match in REFERENCE.finditer(block.body):
            target = match[1].strip()
            inside = f"({target})" in block.body
            if target in where and list(source)[where[target][0]] not in free and where[target] > here and not inside:
                found.append((last, target))
    return found


SOURCE = {page: "\n\n".join(texts(page)) for page in PAGES}


@pytest.mark.parametrize("page", [page for page in PAGES if page not in APPENDICES])
def test_no_argument_leads_forward(page: str) -> None:
    assert not forward(SOURCE, page, APPENDICES)


def test_a_step_that_leads_forward_is_found() -> None:
    one = ":::{prf:theorem} A\n:label: thm-a\n\nBy {prf:ref}`thm-c`.\n:::\n\n"
    one += ":::{prf:proof}\nBy {prf:ref}`thm-a`, {eq}`eq-z`.\n:::"
    two = ":::{prf:theorem} C\n:label: thm-c\n\nAs {prf:ref}`thm-a`.\n:::\n\n$$\nz\n$$ (eq-z)"
    assert forward({"one": one, "two": two}, "one") == [("thm-a", "thm-c"), ("thm-a", "eq-z")]
    assert not forward({"one": one, "two": two}, "two")
    assert not forward({"one": one, "two": two}, "one", {"two"})
