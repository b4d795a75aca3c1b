"""What all interactive figures share: their numbers as JSON, one script for page and notebook, a fallback."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib.resources import files
from typing import Any, ClassVar

import anywidget
import numpy as np
import traitlets
from numpy.typing import NDArray

from ufs.dtm import Modes, modes
from ufs.joint import Joint, required

__all__ = [
    "Figure",
    "at_most",
    "fallback_table",
    "in_disk",
    "module",
    "named_tables",
    "rounded",
    "side",
    "strongest",
    "visible",
]


def _static(name: str) -> str:
    return (files("ufs") / "static" / name).read_text(encoding="utf-8")


def module(figure: str) -> str:
    """Join the page's scripts for one figure into the module that a widget loads."""
    parts = [_static("ufs-figures.js"), _static(f"ufs-{figure}.js"), "export default { render: ufsFigures.render };\n"]
    return "\n".join(parts)


class Figure(anywidget.AnyWidget):
    """An interactive figure: a name, data that stay, and a state that the reader changes.

    A subclass sets ``figure``'s default to its name, ``_esm`` to ``module(name)`` and ``_state`` to the names of the
    synchronised traits that make up its state; it fills ``data`` and writes ``fallback``.

    Shown in a notebook it is a live widget. Its HTML form holds data and state as JSON, rounded to six significant
    digits, and the fallback; a page's script makes the figure from it. No part of the HTML changes from run to run.

    Attributes
    ----------
    figure : str
        The name under which the script registers the figure.
    data : dict
        What the script draws: numbers, strings, lists and dicts of them.
    """

    _css = _static("ufs-figures.css")
    _state: ClassVar[tuple[str, ...]] = ()

    figure = traitlets.Unicode().tag(sync=True)
    data = traitlets.Dict().tag(sync=True)

    def fallback(self) -> str:
        """Return the HTML that stands in for the figure where no script runs."""
        return f"<p>{escape(repr(self))}</p>"

    def html(self) -> str:
        """Return the figure as HTML: what a built page shows."""
        content = rounded({"data": self.data, "state": {name: getattr(self, name) for name in self._state}})
        # within a script element no entity is read and only "<" can end it; in JSON a character may be its number
        text = json.dumps(content, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
        return (
            f'<div class="ufs-figure" data-figure="{escape(self.figure)}">'
            f'<script type="application/json">{text}</script>\n{self.fallback()}\n</div>'
        )

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        bundle = super()._repr_mimebundle_(**kwargs)
        data, metadata = ({}, {}) if bundle is None else bundle
        return {**data, "text/plain": repr(self), "text/html": self.html()}, metadata


def rounded(value: Any) -> Any:
    """Round every float to six significant digits, and to zero where only rounding errors are left."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, float):
        return float(f"{round(value, 12):.6g}") + 0.0
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [rounded(item) for item in value]
    return value


def fallback_table(caption: str, heads: Iterable[str], rows: Iterable[Sequence[str]]) -> str:
    """Lay out text as an HTML table, for a fallback; the first cell of a row is its heading."""
    columns = "".join(f'<th scope="col">{escape(head)}</th>' for head in heads)
    lines = [
        f'<tr><th scope="row">{escape(head)}</th>' + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"
        for head, *cells in rows
    ]
    return (
        f'<table class="dataframe">\n<caption>{escape(caption)}</caption>\n<thead><tr>{columns}</tr></thead>\n<tbody>\n'
        + "\n".join(lines)
        + "\n</tbody>\n</table>"
    )


def named_tables(tables: Mapping[str, Joint] | Joint) -> Mapping[str, Joint]:
    """Return the tables that a reader can choose from by their names; a single one is named after its variables."""
    if isinstance(tables, Joint):
        return {f"{tables.x_name} and {tables.y_name}": tables}
    if not isinstance(tables, Mapping) or not tables:
        raise ValueError("there is no table: give one Joint, or a dictionary of names and Joints")
    return {str(name): required(table) for name, table in tables.items()}


def visible(labels: Iterable[Any]) -> list[str]:
    """Return labels as text, in which a space can be seen."""
    return ["␣" if str(label) == " " else str(label) for label in labels]


def side(name: str, labels: Sequence[Any], features: NDArray[np.float64]) -> dict[str, Any]:
    """Return one variable as a script reads it: its name, its symbols, and the values of each mode at each of them."""
    return {"name": name, "labels": visible(labels), "modes": features.tolist()}


def strongest(joint: Joint, k: int) -> Modes:
    """Return the k = 2 or 3 strongest modes, or refuse a table that has fewer."""
    number = {2: "two", 3: "three", 4: "four"}
    for size, name in zip(required(joint).P.shape, (joint.x_name, joint.y_name), strict=True):
        if size <= k:
            raise ValueError(
                f"{name} has {size} symbol{'s' * (size != 1)}: the figure needs {number[k]} modes, and a table has "
                f"{number[k]} only if both variables have at least {number[k + 1]} symbols"
            )
    return modes(joint, k)


def at_most(largest: int, proposal: Any) -> int:
    """Check a proposal for a trait that numbers what a figure has."""
    value = int(proposal["value"])
    if value > largest:
        name = proposal["trait"].name
        raise traitlets.TraitError(f"{name} = {value}: the figure has {name} up to {largest}")
    return value


def in_disk(figure: Figure, proposal: Any, meaning: str) -> float:
    """Check a proposal for one of the traits a and b: (a, b) has to stay in the unit disk, for what it means."""
    point = {name: getattr(figure, name) for name in "ab"} | {proposal["trait"].name: proposal["value"]}
    length = np.hypot(point["a"], point["b"])
    if not length <= 1 + 1e-9:
        raise traitlets.TraitError(
            f"(a, b) = ({point['a']:g}, {point['b']:g}) has length {length:g}: {meaning} "
            "(to change both coordinates at once use move(a, b))"
        )
    return float(proposal["value"])
