"""References say what they are: the year of a key is the year, and a preprint is no younger than its number."""

import re

import pytest
from bookfiles import BOOK

ENTRY = re.compile(r"^@\w+\{([^,]+),\n(.*?)^\}", re.MULTILINE | re.DOTALL)
ENTRIES = dict(ENTRY.findall((BOOK / "references.bib").read_text(encoding="utf-8")))
REPRINTS = {"markov1913example": "the lecture of 1913 in the translation of 2006"}


def field(entry: str, name: str) -> str:
    found = re.search(rf"^\s*{name}\s*=\s*[{{\"]?(.*?)[}}\"]?,?$", entry, re.MULTILINE)
    return found[1] if found else ""


def faults(key: str, entry: str) -> list[str]:
    year, found = int(field(entry, "year") or 0), []
    stated = re.search(r"\d{4}", key)
    if stated is None or int(stated[0]) != year:
        found.append(f"the key says {stated and stated[0]}, the entry {year}")
    for number in re.findall(r"arXiv:\s*(?:[a-z-]+/)?(\d{2})\d{2}[.\d]", entry):
        century = 1900 if int(number) > 90 else 2000
        if century + int(number) > year:
            found.append(f"a preprint of {century + int(number)} for something of {year}")
    return found


@pytest.mark.parametrize("key", ENTRIES)
def test_years_agree(key: str) -> None:
    assert not faults(key, ENTRIES[key]) or key in REPRINTS


def test_entries_are_all_read() -> None:
    text = (BOOK / "references.bib").read_text(encoding="utf-8")
    assert len(ENTRIES) == len(re.findall(r"^@", text, re.MULTILINE)) > 50


@pytest.mark.parametrize(
    ("key", "entry", "found"),
    [
        ("a2019b", "  year = {2019},\n  note = {arXiv:1905.06600}\n", 0),
        ("a2018b", "  year = {2019}\n", 1),
        ("a2019b", "  year = {2019},\n  note = {arXiv:2001.00001}\n", 1),
        ("ab", "  year = {2019}\n", 1),
        ("a1999b", '  year = 1999,\n  note = "arXiv:math/9912345"\n', 0),
    ],
)
def test_a_wrong_year_is_found(key: str, entry: str, found: int) -> None:
    assert len(faults(key, entry)) == found
