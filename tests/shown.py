"""What a page or a figure shows, compared with what it should show: to the last digit that stands there."""

import re
from collections.abc import Iterable
from decimal import Decimal

NUMBER = re.compile(r"[-+−–]?(?:\d[\d,\u202f\u2009]*)?\.?\d+(?:[eE][-+−]?\d+)?")
ROUND_OFF = 1e-9  # of a half unit: what is exactly half-way may be rounded either way


def half_unit(text: str) -> float:
    """Half a unit of the last digit of a number as it is written: 0.05 for 1.2, 0.5 for 12, 50 for 1.2e3."""
    return float(Decimal(1).scaleb(Decimal(plain(text)).as_tuple().exponent)) / 2


def plain(text: str) -> str:
    (number,) = NUMBER.findall(text)
    return re.sub(r"[,\u202f\u2009+]", "", number.replace("−", "-").replace("–", "-"))


def shows(text: str, exact: float) -> bool:
    """Whether a text holds one number, and that number is `exact` rounded to the digits that are written."""
    return abs(float(plain(text)) - exact) <= half_unit(text) * (1 + ROUND_OFF) + 1e-12 * abs(exact)


def all_show(texts: Iterable[str], exact: Iterable[float]) -> bool:
    return all(shows(text, value) for text, value in zip(texts, exact, strict=True))
