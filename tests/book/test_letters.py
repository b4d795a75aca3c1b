"""One symbol, one meaning: each letter of a page's formulas is in the table of notation, in one of its lists only."""

import re
from collections import Counter
from functools import cache

import pytest
from bookfiles import BOOK, CHAPTERS, written
from letters import formulas, heads, letters

NOTATION = (BOOK / "front/notation.md").read_text(encoding="utf-8")
PAGES = ["book/intro", *CHAPTERS]


INDEXED = re.compile(r"(?:\\(?:tilde|hat|bar|mathcal|mathbb|mathfrak)\s*)*\\?\w+\s*[_^]\s*(?:\{[^{}]*\}|\\\w+|\S)")


def of_table(text: str, but: re.Pattern[str]) -> Counter[str]:
    """The letters of the first column of a table, each with the number of rows that it stands in."""
    rows = [line for line in text.splitlines() if line.startswith("| $")]
    columns = (formulas(row.split(" | ")[0][2:]) for row in rows)
    return Counter(letter for column in columns for letter in set().union(*(heads(but.sub(" ", f)) for f in column)))


@cache
def tables(but: re.Pattern[str] = re.compile(r"(?!)")) -> dict[str, Counter[str]]:
    """The table of the whole book under "", and that of each chapter under its page, without some letters."""
    whole, *chapters = re.split(r"^### ", NOTATION, flags=re.MULTILINE)
    found = {"": of_table(whole, but)}
    for chapter in chapters:
        place = re.search(r"<\.\./([^>]+)>", chapter.splitlines()[0])
        assert place is not None
        found[f"book/{place[1]}"] = of_table(chapter, but)
    return found


def used(page: str) -> set[str]:
    return set().union(*(letters(formula) for text in written(page) for formula in formulas(text)))


def test_chapters_have_their_lists() -> None:
    assert tables().keys() - {""} == {"book/intro", *CHAPTERS, "book/back/appendix"}


@pytest.mark.parametrize("page", CHAPTERS)
def test_no_letter_of_a_chapter_is_one_of_the_book(page: str) -> None:
    """But with an index, as a special case of what it means everywhere."""
    assert not tables(INDEXED)[page].keys() & tables()[""].keys()


@pytest.mark.parametrize("page", PAGES)
def test_letters_are_in_the_table_of_notation(page: str) -> None:
    known = tables()[""].keys() | tables().get(page, Counter()).keys()
    places = {
        letter: next(f for text in written(page) for f in formulas(text) if letter in letters(f))
        for letter in sorted(used(page) - known)
    }
    missing = [f"  {letter}: {formula.strip()[:90]}" for letter, formula in places.items()]
    assert not missing, "not in book/front/notation.md:\n" + "\n".join(missing)


@pytest.mark.parametrize("page", CHAPTERS)
def test_letters_of_a_list_are_used(page: str) -> None:
    assert tables()[page].keys() <= used(page)


@pytest.mark.parametrize(
    ("formula", "found"),
    [
        (r"\tilde B_{ij}", ["B", "i", "j"]),
        (r"\mathcal{X} \subset \mathcal Y \times \mathbb{R}^k", [r"\mathcal X", r"\mathcal Y", r"\mathbb R", "k"]),
        (r"\operatorname{tr}(\Lambda_s) + \log \max_x \text{the rest}", [r"\Lambda", "s", "x"]),
        (r"\begin{aligned} a &= b \end{aligned}", ["a", "b"]),
        (r"A^{\mathsf T} \sqrt{\epsilon}", ["A", r"\mathsf T", r"\epsilon"]),
        (r"\lVert \tilde A \rVert_F + O(x) + o (y)", ["A", "x", "y"]),
        (r"\mathrm d x\, \mathrm{e}", ["x"]),
    ],
)
def test_what_counts_as_a_letter(formula: str, found: list[str]) -> None:
    assert letters(formula) == set(found)


def test_formulas_are_found_wherever_they_stand() -> None:
    text = (
        "# On $a$\n\n:::{prf:theorem} With $b$\n:label: x\n\n$$\nc\n$$ (eq-c)\n:::\n\n| $d$ |\n|---|\n| $e$ |\n\n- $f$"
    )
    assert set().union(*map(letters, formulas(text))) == set("abcdef")
