"""Step alternating conditional expectations sweep by sweep, and see the features settle on the first mode."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp
import traitlets

from ufs.dtm import modes
from ufs.joint import Joint
from ufs.widgets.figure import Figure, at_most, fallback_table, module, named_tables, rounded, visible

__all__ = ["Convergence", "convergence"]

INDICATORS = 3  # starts that score a single symbol, beside the random one
LEAST = 1e-6  # tangent down to which the sweeps are shown
FEWEST, MOST = 8, 40  # sweeps
SYMBOLS = 40  # of X or of Y, which the figure has room for


class Convergence(Figure):
    r"""ACE with k = 1 on real tables, sweep by sweep: the features f and g, and the angle between f and f₁.

    Made by :func:`convergence`. The sweeps are computed by the figure itself. In a notebook ``table``, ``start`` and
    ``sweep`` can be read, observed and set.

    Attributes
    ----------
    table : int
        Which table is shown.
    start : int
        Which start: 0 is a random one, 1 and above score one symbol of X alone, the most frequent first.
    sweep : int
        How many sweeps have been made.
    """

    _esm = module("convergence")
    _state: ClassVar[tuple[str, ...]] = ("table", "start", "sweep")

    figure = traitlets.Unicode("convergence", read_only=True).tag(sync=True)
    table = traitlets.Int(0, min=0).tag(sync=True)
    start = traitlets.Int(0, min=0).tag(sync=True)
    sweep = traitlets.Int(0, min=0).tag(sync=True)

    def __init__(self, tables: Mapping[str, Joint]) -> None:
        super().__init__(data=rounded({"tables": [_table(name, joint) for name, joint in tables.items()]}))

    @traitlets.validate("table")
    def _known_table(self, proposal: Any) -> int:
        return at_most(len(self.data["tables"]) - 1, proposal)

    @traitlets.validate("start")
    def _known_start(self, proposal: Any) -> int:
        return at_most(min(len(table["starts"]) for table in self.data["tables"]) - 1, proposal)

    @traitlets.validate("sweep")
    def _known_sweep(self, proposal: Any) -> int:
        return at_most(max(table["sweeps"] for table in self.data["tables"]), proposal)

    def fallback(self) -> str:
        """Return a table of singular values and rates, as HTML."""
        return fallback_table(
            "Each sweep of ACE multiplies the tangent of the angle to the first mode by (σ₂/σ₁)² or less.",
            ("Table", "σ₁", "σ₂", "(σ₂/σ₁)²"),
            [
                (one["name"], *(f"{value:.3f}" for value in (*one["sigma"], _rate(one["sigma"]))))
                for one in self.data["tables"]
            ],
        )

    def __repr__(self) -> str:
        names = ", ".join(table["name"] for table in self.data["tables"])
        return f"<Convergence on {names}: table {self.table}, start {self.start}, sweep {self.sweep}>"


def convergence(tables: Mapping[str, Joint] | Joint) -> Convergence:
    r"""Interactive figure of alternating conditional expectations with k = 1 (R7), sweep by sweep.

    Every sweep multiplies :math:`\tan\Theta`, the tangent of the angle between f and :math:`f_1`, by
    :math:`(\sigma_2/\sigma_1)^2` or less.

    Parameters
    ----------
    tables : mapping of names to Joint, or one Joint
        Tables for the reader to choose from, each with 3 to 40 symbols of X, 2 to 40 of Y, and σ₁ > σ₂.

    Returns
    -------
    Convergence
        To be shown as the last expression of a cell.

    Raises
    ------
    ValueError
        If there is no table; if one has too few or too many symbols, or no first mode of its own (σ₁ = σ₂).

    Examples
    --------
    >>> convergence(Joint([[0.20, 0.06, 0.04], [0.06, 0.20, 0.04], [0.04, 0.04, 0.32]]))
    <Convergence on X and Y: table 0, start 0, sweep 0>
    """
    return Convergence(named_tables(tables))


def _table(name: str, joint: Joint) -> dict[str, Any]:
    rows, columns = joint.P.shape
    if not (3 <= rows <= SYMBOLS and 2 <= columns <= SYMBOLS):
        raise ValueError(
            f"{name} has {rows} symbols of {joint.x_name} and {columns} of {joint.y_name}: the figure shows 3 to "
            f"{SYMBOLS} of X and 2 to {SYMBOLS} of Y"
        )
    found = modes(joint)
    sigma = [float(found.sigma[0]), float(found.sigma[1]) if len(found.sigma) > 1 else 0.0]
    if sigma[0] - sigma[1] <= 1e-9:
        raise ValueError(f"{name} has σ₁ = σ₂ = {sigma[0]:.6g}: it has no first mode for f to settle on")
    x_labels, y_labels = visible(joint.x_labels), visible(joint.y_labels)
    frequent = np.argsort(-joint.px, kind="stable")[:INDICATORS].tolist()
    starts = [{"name": "random", "f": np.random.default_rng(0).uniform(-1, 1, rows).round(3).tolist()}]
    starts += [{"name": f"only {x_labels[i]}", "f": np.eye(rows)[i].tolist()} for i in frequent]
    rate = _rate(sigma)
    needed = FEWEST if rate == 0 else int(np.ceil(np.log(LEAST) / np.log(rate))) + 2
    return {
        "name": name,
        "P": (joint.P.toarray() if sp.issparse(joint.P) else joint.P).tolist(),
        "sigma": sigma,
        "sweeps": int(np.clip(needed, FEWEST, MOST)),
        "starts": starts,
        "x": {"name": joint.x_name, "labels": x_labels, "mode": found.f[:, 0].tolist()},
        "y": {"name": joint.y_name, "labels": y_labels, "mode": found.g[:, 0].tolist()},
    }


def _rate(sigma: list[float]) -> float:
    return float((sigma[1] / sigma[0]) ** 2)
