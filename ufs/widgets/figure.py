"""What all interactive figures share: their numbers as JSON, one script for page and notebook, a fallback."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from typing import Any, ClassVar

import anywidget
import traitlets

__all__ = ["Figure", "module", "rounded"]


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
