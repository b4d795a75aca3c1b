"""Choose the width of the layer below, and see what a hidden layer on top of it can still say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import traitlets
from numpy.typing import NDArray

from ufs.dtm import modes
from ufs.joint import Joint
from ufs.widgets.figure import Figure, at_most, fallback_table, module, named_tables, rounded, visible

__all__ = ["Width", "width"]

LAYERS = 3  # random layers to choose from
MODES = 3  # targets to choose from
SYMBOLS = 30  # of X, which the figure has room for
SPREAD = np.sqrt(0.5)  # of the uniform weights: Glorot's for 8 symbols and 4 units


class Width(Figure):
    r"""A free feature :math:`f_i` of X and its projection on a random layer of m units, for each width m.

    Made by :func:`width`. In a notebook ``table``, ``mode``, ``layer`` and ``units`` can be read, observed and set.

    Attributes
    ----------
    table : int
        Which table is shown.
    mode : int
        Which mode is the target, from 0: the features that the head :math:`v = \sigma_i g_i` asks for (R11).
    layer : int
        Which random layer lies below.
    units : int
        Its width m; the units of a narrow layer are among those of a wide one.
    """

    _esm = module("width")
    _state: ClassVar[tuple[str, ...]] = ("table", "mode", "layer", "units")

    figure = traitlets.Unicode("width", read_only=True).tag(sync=True)
    table = traitlets.Int(0, min=0).tag(sync=True)
    mode = traitlets.Int(0, min=0).tag(sync=True)
    layer = traitlets.Int(0, min=0, max=LAYERS - 1).tag(sync=True)
    units = traitlets.Int(1, min=1).tag(sync=True)

    def __init__(self, tables: Mapping[str, Joint]) -> None:
        rng = np.random.default_rng(0)
        super().__init__(data=rounded({"tables": [_table(name, joint, rng) for name, joint in tables.items()]}))
        self.units = min(4, *(len(table["px"]) - 1 for table in self.data["tables"]))

    def share(self, table: int, mode: int, layer: int, units: int) -> float:
        r"""Return the share of :math:`\sigma_i^2` that the projection keeps."""
        one = self.data["tables"][table]
        along = np.array(one["layers"][layer])[:units] @ (np.array(one["px"]) * np.array(one["modes"][mode]))
        return float(np.sum(along**2))

    @traitlets.validate("table")
    def _known_table(self, proposal: Any) -> int:
        return at_most(len(self.data["tables"]) - 1, proposal)

    @traitlets.validate("mode")
    def _known_mode(self, proposal: Any) -> int:
        return at_most(min(len(table["sigma"]) for table in self.data["tables"]) - 1, proposal)

    @traitlets.validate("units")
    def _known_units(self, proposal: Any) -> int:
        return at_most(max(len(table["px"]) for table in self.data["tables"]) - 1, proposal)

    def fallback(self) -> str:
        """Return a table of the shares that layers of several widths keep of the first mode, as HTML."""
        rows = []
        for i, one in enumerate(self.data["tables"]):
            free = len(one["px"]) - 1
            for units in sorted({1, free // 4, free // 2, 3 * free // 4, free} - {0}):
                shares = [f"{self.share(i, 0, layer, units):.0%}" for layer in range(LAYERS)]
                rows.append((one["name"], str(units), *shares))
        heads = ("Table", "units", *(f"layer {chr(65 + layer)}" for layer in range(LAYERS)))
        return fallback_table("Share of σ₁² that the first mode keeps when it is projected on the layer.", heads, rows)

    def __repr__(self) -> str:
        names = ", ".join(table["name"] for table in self.data["tables"])
        return f"<Width on {names}: table {self.table}, mode {self.mode}, layer {self.layer}, {self.units} units>"


def width(tables: Mapping[str, Joint] | Joint) -> Width:
    r"""Interactive figure of what a hidden layer loses to the width of the layer below it (R12).

    The layer below has m units :math:`\tanh(a_{jx})` with random weights and one-hot inputs. The best features that the
    layer above can make of them, near a constant, are those of R11 projected on the span of the m units.

    Parameters
    ----------
    tables : mapping of names to Joint, or one Joint
        Tables for the reader to choose from, each with 3 to 30 symbols of X.

    Returns
    -------
    Width
        To be shown as the last expression of a cell.

    Raises
    ------
    ValueError
        If there is no table; if one has too few or too many symbols of X, or fewer than two of Y.

    Examples
    --------
    >>> width(Joint([[0.20, 0.06, 0.04], [0.06, 0.20, 0.04], [0.04, 0.04, 0.32]]))
    <Width on X and Y: table 0, mode 0, layer 0, 2 units>
    """
    return Width(named_tables(tables))


def _table(name: str, joint: Joint, rng: np.random.Generator) -> dict[str, Any]:
    rows, columns = joint.P.shape
    if not 3 <= rows <= SYMBOLS or columns < 2:
        raise ValueError(
            f"{name} has {rows} symbols of {joint.x_name} and {columns} of {joint.y_name}: the figure shows 3 to "
            f"{SYMBOLS} of X, and needs two of Y"
        )
    found = modes(joint, min(MODES, rows - 1, columns - 1))
    return {
        "name": name,
        "x": joint.x_name,
        "labels": visible(joint.x_labels),
        "px": joint.px.tolist(),
        "sigma": found.sigma.tolist(),
        "modes": found.f.T.tolist(),
        "layers": [_layer(joint.px, rng).tolist() for _ in range(LAYERS)],
    }


def _layer(px: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Orthonormal features, in rows: the first m of them span what m random units span, constants left out."""
    units = np.tanh(rng.uniform(-SPREAD, SPREAD, (px.size, px.size - 1)))
    root = np.sqrt(px)[:, None]
    Q: NDArray[np.float64] = np.linalg.qr(root * (units - px @ units))[0] / root
    return Q.T
