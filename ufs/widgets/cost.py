"""Choose samples, features, classes and machines, and see where the time of an H-score goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import traitlets

from ufs import _checks as check
from ufs.widgets.figure import Figure, fallback_table, module, rounded

__all__ = ["Cost", "cost"]

RATES = ("product", "number", "end", "call")
MEASURED = ("n", "d", "classes", "seconds")
NETWORKS = (1, 10, 100)  # Gbit/s to choose from
RANGES = {"n": (1e3, 1e10), "d": (8, 8192), "classes": (2, 1e5), "workers": (1, 1e4)}
EXAMPLES = (
    ("measured here", 1_000_000, 128, 10, 1),
    ("ImageNet", 1_281_167, 2048, 1000, 1),
    ("ImageNet-21k, 16 machines", 14_197_122, 2048, 21_841, 16),
)


class Cost(Figure):
    """Seconds for the H-score of n samples of d features in g classes on w machines, by a model that was measured.

    Made by :func:`cost`. In a notebook ``n``, ``d``, ``classes``, ``workers``, ``network``, ``double`` and ``axis`` can
    be read, observed and set.

    Attributes
    ----------
    n, d, classes, workers : float
        The size of the task, and the number of machines that share it.
    network : int
        Which network connects them: 0, 1, 2 for 1, 10, 100 Gbit/s.
    double : bool
        Whether products are formed in double precision, at half the rate.
    axis : str
        What the curve is drawn against: "n", "d", "classes" or "workers".
    """

    _esm = module("cost")
    _state: ClassVar[tuple[str, ...]] = ("n", "d", "classes", "workers", "network", "double", "axis")

    figure = traitlets.Unicode("cost", read_only=True).tag(sync=True)
    n = traitlets.Float(1e6, min=RANGES["n"][0], max=RANGES["n"][1]).tag(sync=True)
    d = traitlets.Float(128.0, min=RANGES["d"][0], max=RANGES["d"][1]).tag(sync=True)
    classes = traitlets.Float(10.0, min=RANGES["classes"][0], max=RANGES["classes"][1]).tag(sync=True)
    workers = traitlets.Float(1.0, min=RANGES["workers"][0], max=RANGES["workers"][1]).tag(sync=True)
    network = traitlets.Int(1, min=0, max=len(NETWORKS) - 1).tag(sync=True)
    double = traitlets.Bool(False).tag(sync=True)
    axis = traitlets.Enum(list(RANGES), "n").tag(sync=True)

    def __init__(self, rates: Mapping[str, float], points: Sequence[Mapping[str, float]]) -> None:
        data = {
            "rates": {name: float(rates[name]) for name in RATES},
            "points": [{name: float(one[name]) for name in MEASURED} for one in points],
            "networks": list(NETWORKS),
            "ranges": {name: [float(end) for end in ends] for name, ends in RANGES.items()},
            "examples": [list(one) for one in EXAMPLES],
        }
        # exact numbers of images and classes: only what is measured is rounded
        data["rates"], data["points"] = rounded(data["rates"]), rounded(data["points"])
        super().__init__(data=data)

    @traitlets.validate(*RANGES)
    def _a_size(self, proposal: Any) -> float:
        if np.isnan(proposal["value"]):  # which lies neither below the range nor above it
            raise traitlets.TraitError(f"{proposal['trait'].name} = nan: give a number")
        return float(proposal["value"])

    def seconds(self) -> dict[str, float]:
        """Return the parts of the time at the present state: product, pass, network, end."""
        rates, w = self.data["rates"], self.workers
        n, d, g = self.n, self.d, self.classes
        m = min(d, g)
        end = d**3 / 3 + 2 * d**2 * g + 2 * d * g * m + 4 / 3 * m**3
        sent = 16 * (w - 1) / w * (d**2 + (d + 1) * g)
        return {
            "product": (1 + self.double) * n * d * (d + 1) / rates["product"] / w,
            "pass": n * d * rates["number"] / w,
            "network": sent / (NETWORKS[self.network] * 1e9 / 8),
            "end": end / rates["end"] + rates["call"],
        }

    def fallback(self) -> str:
        """Return a table of the measured times, as HTML."""
        rows = [
            (f"{one['n']:,.0f}", f"{one['d']:,.0f}", f"{one['classes']:,.0f}", f"{one['seconds']:.3g} s")
            for one in self.data["points"]
        ]
        return fallback_table("Measured times of the H-score.", ("samples", "features", "classes", "time"), rows)

    def __repr__(self) -> str:
        return f"<Cost: {self.n:.3g} samples, {self.d:g} features, {self.classes:g} classes, {self.workers:g} workers>"


def cost(rates: Mapping[str, float], points: Sequence[Mapping[str, float]]) -> Cost:
    r"""Interactive figure of what an H-score costs: product, pass over the data, network and end, and the limit.

    The model is :math:`n d (d + 1) / (w F) + n d \tau / w + 16 \frac{w-1}{w} (d^2 + (d + 1) g) / \beta + e(d, g)`, with
    the operations that follow the pass in e.

    Parameters
    ----------
    rates : mapping
        "product": operations a second of a single-precision product, F; "number": seconds for each number that is read
        and centred, τ; "end": operations a second of the decomposition at the end; "call": seconds of any call.
    points : sequence of mappings
        Measured times of one machine: "n", "d", "classes", "seconds".

    Returns
    -------
    Cost
        To be shown as the last expression of a cell.

    Raises
    ------
    ValueError
        If a rate, or a number of a point, is missing, not finite or not positive (the rates "number" and "call" may be
        zero).

    Examples
    --------
    >>> cost({"product": 1e11, "number": 2e-9, "end": 3e10, "call": 1e-3}, [])
    <Cost: 1e+06 samples, 128 features, 10 classes, 1 workers>
    """
    if not isinstance(rates, Mapping) or not isinstance(points, Sequence):
        raise ValueError("rates is no dictionary, or points no list: give numbers by their names, and a list of such")
    for name in RATES:
        value = rates.get(name, np.nan)
        number = check.number(value)
        if not (0 < number < np.inf or (number == 0 and name in ("number", "call"))):
            raise ValueError(f"rates[{name!r}] = {value!r}: the model needs a positive number there")
    for i, one in enumerate(points):
        if not isinstance(one, Mapping):
            raise ValueError(f"points[{i}] is a {type(one).__name__}: give a dictionary with {', '.join(MEASURED)}")
        for name in MEASURED:
            if not 0 < check.number(one.get(name)) < np.inf:
                raise ValueError(
                    f"points[{i}][{name!r}] = {one.get(name)!r}: a measured time needs a positive number there"
                )
    return Cost(rates, points)
