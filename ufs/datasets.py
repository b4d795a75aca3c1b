"""Real contingency tables, each with its source. What a table needs (pandas) is imported when it is asked for."""

from __future__ import annotations

import hashlib
import io
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["hair_eye_color", "letter_bigrams", "occupational_status", "smoke"]

SHA256 = {
    "hair_eye_color.csv": "f3bf0210a8c088861b81ed9d941eca1cc520c3451dda65462732c807be2c0ca6",
    "letter_bigrams.csv": "b26e7f135117e85e32b34e20b97271e89c6a739e2365014e99c2e0ebdf253277",
    "occupational_status.csv": "e1e9f01a29030db1befe8347a9e27a5cb4c119b64c97d811f7f687954ef87e40",
    "smoke.csv": "0ec8b04731749dd4a40a16580e442ca30b5833a817973af127223a9e4c298b66",
}


def hair_eye_color(sex: str | None = None) -> pd.DataFrame:
    """Eye colour (rows, X) against hair colour (columns, Y) of 592 statistics students.

    Parameters
    ----------
    sex : {"Male", "Female"}, optional
        One sex alone; by default both are added up.

    Returns
    -------
    pandas.DataFrame, shape (4, 4)
        Counts.

    Raises
    ------
    ValueError
        For another sex.

    Notes
    -----
    A survey of students at the University of Delaware, reported by R. D. Snee, "Graphical display of two-way
    contingency tables", The American Statistician 28 (1974) 9-12; M. Friendly added the split by sex in 1992, for
    teaching. Published figures; the numbers are facts and free to use.

    Examples
    --------
    >>> hair_eye_color()
    hair   Black  Brown  Red  Blond
    eyes
    Brown     68    119   26      7
    Blue      20     84   17     94
    Hazel     15     54   14     10
    Green      5     29   14     16
    """
    counts = _read("hair_eye_color.csv")
    if sex is not None:
        if sex not in set(counts["sex"]):
            raise ValueError(f"sex = {sex!r}: the table has {' and '.join(map(repr, counts['sex'].unique()))}")
        counts = counts[counts["sex"] == sex]
    table = counts.drop(columns="sex").groupby("hair", sort=False).sum().T
    return table.rename_axis(index="eyes", columns="hair")


def occupational_status() -> pd.DataFrame:
    """Occupational status of British fathers (rows, X) and of their sons (columns, Y).

    Returns
    -------
    pandas.DataFrame, shape (8, 8)
        Counts of 3498 pairs, from the highest status to the lowest.

    Notes
    -----
    The survey of D. V. Glass (ed.), Social Mobility in Britain (1954), in the eight categories of L. A. Goodman,
    "Simple models for the analysis of association in cross-classifications having ordered categories", JASA 74 (1979)
    537-552, which split Glass's "skilled manual and routine non-manual" in two. Published figures, free to use.

    Examples
    --------
    >>> occupational_status().loc["professional", "professional"]
    np.int64(50)
    """
    return _read("occupational_status.csv").set_index("father").rename_axis(columns="son")


def letter_bigrams() -> pd.DataFrame:
    """Letters (rows, X) and the letter that comes next (columns, Y) in Jane Austen's *Pride and Prejudice*.

    Returns
    -------
    pandas.DataFrame, shape (27, 27)
        Counts of 659,223 pairs over a-z and the space; whatever is not a letter counts as space, and runs of spaces
        as one.

    Notes
    -----
    The novel appeared in 1813 and is in the public domain. ``experiments/letter_bigrams.py`` counts it anew.

    Examples
    --------
    >>> letter_bigrams().loc["q", "u"]
    np.int64(626)
    """
    return _read("letter_bigrams.csv").set_index("letter").rename_axis(columns="next letter")


def smoke() -> pd.DataFrame:
    """Staff group (rows, X) against smoking habit (columns, Y): correspondence analysis's classic small example.

    Returns
    -------
    pandas.DataFrame, shape (5, 4)
        Counts of 193 employees.

    Notes
    -----
    Invented for teaching by M. J. Greenacre, Theory and Applications of Correspondence Analysis (1984).

    Examples
    --------
    >>> smoke().to_numpy().sum()
    np.int64(193)
    """
    return _read("smoke.csv").set_index("staff").rename_axis(columns="smoking")


def _read(name: str) -> pd.DataFrame:
    import pandas as pd

    content = (files("ufs") / "data" / name).read_bytes()
    if hashlib.sha256(content).hexdigest() != SHA256[name]:
        raise ValueError(
            f"ufs/data/{name} is not the file this version was tested with: restore it from the repository"
        )
    return pd.read_csv(io.BytesIO(content))
