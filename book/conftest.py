"""How nbval compares a fresh run of a notebook with the outputs committed in it.

nbval compares text exactly. Here a floating-point number may differ by round-off, and nothing else may differ at all:

* A number with a decimal point or an exponent agrees within RELATIVE of its size, or within ABSOLUTE of zero. Chapters print numbers
  rounded to digits that survive another processor and another BLAS, so a wrong digit is far outside; what passes is the last
  digits of a number printed in full, and a residual that is itself round-off.
* Integers, words and markup agree exactly. Only the amount of blank space, which aligns numbers of different length, is free.
* In an SVG drawing lengths and positions agree within PIXELS, which no eye can tell. Elements, colours and the glyphs that
  make up its text agree exactly; names that matplotlib derives from coordinates are replaced by their order of appearance.
* A cell that was never run has nothing to be compared with, and nbval passes it over. Here it fails.
"""

import json
import math
import re
from collections.abc import Iterator
from itertools import zip_longest
from xml.etree import ElementTree

import pytest
from nbval.plugin import IPyNbCell

RELATIVE, ABSOLUTE, PIXELS = 1e-6, 1e-12, 0.02

FLOAT = re.compile(r"(?<![\w.#])([-+]?(?:(?:\d+\.\d*|\.\d+)(?:[eE][-+]?\d+)?|\d+[eE][-+]?\d+))")  # not inside a word or a colour
LENGTH = re.compile(r"([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)")
DERIVED_NAME = re.compile(r"\b[a-z][0-9a-f]{10}\b")
LENGTHS = {"d", "height", "points", "r", "rx", "ry", "style", "transform", "viewBox", "width"}
LENGTHS |= {axis + end for axis in ("x", "y", "cx", "cy") for end in ("", "1", "2")}


def agree(one: str, other: str, number: re.Pattern[str], *, rel_tol: float, abs_tol: float) -> bool:
    """Whether two texts agree: in each number up to the tolerance, in all else exactly but for the width of blanks."""
    parts = [number.split(re.sub(r"[ \t]+", " ", text)) for text in (one, other)]  # words and numbers take turns
    if len(parts[0]) != len(parts[1]) or parts[0][::2] != parts[1][::2]:
        return False
    pairs = zip(parts[0][1::2], parts[1][1::2], strict=True)
    return all(math.isclose(float(a), float(b), rel_tol=rel_tol, abs_tol=abs_tol) for a, b in pairs)


def texts_agree(one: str, other: str) -> bool:
    return agree(one, other, FLOAT, rel_tol=RELATIVE, abs_tol=ABSOLUTE)


def drawing(svg: str) -> Iterator[tuple[str, str, str]]:
    """The elements of an SVG drawing in order, as (element, what to compare, value)."""
    names: dict[str, str] = {}

    def in_order(match: re.Match[str]) -> str:
        return names.setdefault(match[0], f"name-{len(names)}")

    root = ElementTree.fromstring(svg)
    for element in root.iter():
        if element.tag.endswith("}metadata"):  # names the version of matplotlib
            element.clear()
        yield element.tag, "text", (element.text or "").strip() + (element.tail or "").strip()
        for attribute, value in sorted(element.attrib.items()):
            yield element.tag, attribute, DERIVED_NAME.sub(in_order, value)


def drawings_agree(one: str, other: str) -> bool:
    for a, b in zip_longest(drawing(one), drawing(other)):
        if a is None or b is None or a[:2] != b[:2]:
            return False
        same = agree(a[2], b[2], LENGTH, rel_tol=0, abs_tol=PIXELS) if a[1] in LENGTHS and "#" not in a[2] else a[2] == b[2]
        if not same:
            return False
    return True


class Output(str):
    """One output of a cell, equal to another as the module's docstring says."""

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, str):
            return NotImplemented
        are_drawings = re.match(r"\s*(<\?xml|<svg)", self) and re.match(r"\s*(<\?xml|<svg)", other)
        return drawings_agree(self, other) if are_drawings else texts_agree(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = str.__hash__


def pytest_itemcollected(item: pytest.Item) -> None:
    if isinstance(item, IPyNbCell):
        item.sanitize = lambda output: Output(output if isinstance(output, str) else json.dumps(output, sort_keys=True))


def pytest_runtest_setup(item: pytest.Item) -> None:
    if isinstance(item, IPyNbCell) and item.cell.source.strip() and item.cell.execution_count is None:
        pytest.fail("This cell was never run, so there is no output to compare: run the notebook and save it.", pytrace=False)
