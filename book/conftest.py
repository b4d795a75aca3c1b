"""How nbval compares a fresh run of a notebook with its committed outputs.

nbval compares text exactly. Here a floating-point number may differ by
round-off, and nothing else may differ at all:

* A number with a decimal point or an exponent agrees within RELATIVE of its
  size, or within ABSOLUTE of zero. Chapters print numbers rounded to digits
  that survive another processor and another BLAS, so a wrong digit is far
  outside; what passes is the last digits of a number printed in full, and a
  residual that is itself round-off.
* Integers, words and markup agree exactly. Only the amount of blank space,
  which aligns numbers of different length, is free.
* In an SVG drawing lengths and positions agree within PIXELS, which no eye can
  tell. Elements, colours and the glyphs that make up its text agree exactly;
  names that matplotlib derives from coordinates are replaced by their order.
* The name under which a value is glued agrees exactly, as all metadata of an
  output does, but for the size of a PNG. That size and the pixels differ
  between machines and are not compared: what a PNG shows is compared as the
  SVG that is stored beside it.
* A cell that was never run has nothing to be compared with, and nbval passes
  it over. Here it fails.
"""

import json
import math
import re
from collections.abc import Iterator
from itertools import zip_longest
from xml.etree import ElementTree

import pytest
from nbval.plugin import IPyNbCell

from surroundings import neutral

RELATIVE, ABSOLUTE, PIXELS = 1e-6, 1e-12, 0.02

# Not within a word or a colour, such as #12e456.
FLOAT = re.compile(
    r"(?<![\w.#])"
    r"([-+]?(?:(?:\d+\.\d*|\.\d+)(?:[eE][-+]?\d+)?|\d+[eE][-+]?\d+))"
)
LENGTH = re.compile(r"([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)")
HOLDS_LENGTHS = re.compile(
    r"d|height|points|r[xy]?|transform|viewBox|width|c?[xy][12]?"
)
DERIVED_NAME = re.compile(r"\b[a-z][0-9a-f]{10}\b")


def agree(
    one: str, other: str, number: re.Pattern[str], **tolerance: float
) -> bool:
    """Whether two texts agree: numbers within tolerance, all else exactly."""
    texts = (re.sub(r"[ \t]+", " ", text) for text in (one, other))
    a, b = (number.split(text) for text in texts)  # words, number, words, ...
    return a[::2] == b[::2] and all(
        math.isclose(float(x), float(y), **tolerance)
        for x, y in zip(a[1::2], b[1::2], strict=True)
    )


def texts_agree(one: str, other: str) -> bool:
    return agree(one, other, FLOAT, rel_tol=RELATIVE, abs_tol=ABSOLUTE)


def drawing(svg: str) -> Iterator[tuple[str, str, str]]:
    """What an SVG drawing consists of: (element, attribute, value) in order."""
    names: dict[str, str] = {}

    def in_order(match: re.Match[str]) -> str:
        return names.setdefault(match[0], f"name-{len(names)}")

    for element in ElementTree.fromstring(svg).iter():
        if element.tag.endswith("}metadata"):  # names matplotlib's version
            element.clear()
        yield element.tag, "text", (element.text or "").strip()
        for attribute, value in sorted(element.attrib.items()):
            yield element.tag, attribute, DERIVED_NAME.sub(in_order, value)


def drawings_agree(one: str, other: str) -> bool:
    nothing = ("", "", "")
    for a, b in zip_longest(drawing(one), drawing(other), fillvalue=nothing):
        if a != b and not (
            a[:2] == b[:2]
            and HOLDS_LENGTHS.fullmatch(a[1])
            and agree(a[2], b[2], LENGTH, rel_tol=0, abs_tol=PIXELS)
        ):
            return False
    return True


def is_drawing(text: str) -> bool:
    return re.match(r"\s*<(\?xml|svg)\b", text) is not None


class Output(str):
    """One output of a cell, compared as the module's docstring says."""

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, str):
            return NotImplemented
        if is_drawing(self) and is_drawing(other):
            return drawings_agree(self, other)
        return texts_agree(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = str.__hash__


def sanitize(output: object) -> Output:
    """What nbval compares in place of an output, or of its metadata."""
    if isinstance(output, str):
        return Output(output)
    if isinstance(output, dict):
        output = {key: output[key] for key in output if key != "image/png"}
    return Output(json.dumps(output, sort_keys=True))


def pytest_itemcollected(item: pytest.Item) -> None:
    if isinstance(item, IPyNbCell):
        item.sanitize = sanitize
        item.parent.skip_compare = {*item.parent.skip_compare} - {"metadata"}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol() -> Iterator[None]:
    """A kernel starts with the first cell of its notebook."""
    with neutral():
        return (yield)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if not isinstance(item, IPyNbCell) or not item.cell.source.strip():
        return
    if item.cell.execution_count is None:
        pytest.fail(
            "This cell was never run, so nothing is there to compare with. "
            "Run the notebook and save it.",
            pytrace=False,
        )
