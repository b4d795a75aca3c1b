"""No number is typed into the text that a cell should give, and nobody is told to install the wrong package."""

from typing import Any

import pytest
import yaml
from bookfiles import BOOK, PAGES, texts, written
from prose import page_paragraphs, typed_numbers

ALLOWED: dict[str, list[dict[str, Any]]] = (
    yaml.safe_load((BOOK / "typed-numbers.yml").read_text(encoding="utf-8")) or {}
)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("The error is 0.204 rad.", ["0.204"]),
        ("About 17 % of them.", ["17 %"]),
        ("About 17% of them, and 3.5e-4.", ["17%", "3.5e-4"]),
        ("It takes 2 seconds or 300 ms.", ["2 seconds", "300 ms"]),
        ("Up by .5 or 12 percentage points, 8x in 1 μs.", [".5", "12 percentage points", "8x", "1 μs"]),
        ("From 3-4 % to 17\u2009%, in 3-4 s or 3–4.5 s.", ["3-4 %", "17\u2009%", "3-4 s", "3–4.5"]),
        (":::{note} Up to 5 percent\n:class: w-2.5\nA loss of -0.5 here.\n:::", ["5 percent", "-0.5"]),
        (":::{prf:theorem} T\n:label: t\n\n::::{dropdown} Proof\nIt is 0.5.\n::::\n:::", ["0.5"]),
        ("| a | b |\n|---|---|\n| 1 | 0.25 |", ["0.25"]),
        ("Within $0.5$, `0.5`, [0.5 s](https://x.org/0.5), {glue:text}`a:.3f` and 592 students in 1974.", []),
        ("$$\n0.5\n$$\n\n```python\nx = 0.5\n```\n\n```{code-block} python\nx = 0.5\n```", []),
        ("Version 1 of 2, a 4 × 4 or 4 x 4 table, 10 modes, 9 degrees of freedom, pages 3-4, the 1870-1890s.", []),
    ],
)
def test_what_counts_as_a_typed_number(text: str, found: list[str]) -> None:
    assert [number for number, _ in typed_numbers(text)] == found


def is_allowed(number: str, paragraph: str, page: str) -> bool:
    return any(entry["text"] in paragraph and number in entry["text"] for entry in ALLOWED.get(page, []))


@pytest.mark.parametrize("page", PAGES)
def test_no_number_is_typed_that_a_cell_should_give(page: str) -> None:
    found = [pair for text in written(page) for pair in typed_numbers(text) if not is_allowed(*pair, page)]
    assert not found, "glue these, or give their source in book/typed-numbers.yml:\n" + "\n".join(
        f"  {number!r} in: {paragraph[:200]}" for number, paragraph in found
    )


def test_allowed_numbers_have_a_source_and_are_there() -> None:
    assert set(ALLOWED) <= set(PAGES)
    for page, entries in ALLOWED.items():
        for entry in entries:
            assert entry.keys() == {"text", "source"}, f"{page}: {entry}"
            assert entry["source"].strip(), f"{page}: {entry['text']!r} has no source"
            assert any(entry["text"] in paragraph for paragraph in page_paragraphs(page)), (
                f"{page}: {entry['text']!r} is gone"
            )


@pytest.mark.parametrize("page", PAGES)
def test_nobody_is_told_to_install_another_project(page: str) -> None:
    assert all("pip install ufs" not in text for text in texts(page))
