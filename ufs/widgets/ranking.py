"""Networks ranked by a number and by their accuracy: choose the number, and see which pairs it orders wrongly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any, ClassVar

import numpy as np
import traitlets

from ufs import _checks as check
from ufs.widgets.figure import Figure, at_most, fallback_table, module, rounded

__all__ = ["Ranking", "ranking"]

FAMILIES = 3  # for which the figure has a shape and a colour


class Ranking(Figure):
    r"""Networks as points, a measure against their accuracy, and Kendall's τ between the two.

    Made by :func:`ranking`. In a notebook ``measure``, ``family`` and ``network`` can be read, observed and set.

    Attributes
    ----------
    measure : int
        Which measure is shown.
    family : int
        Which networks are compared: 0 for all, or the number of a family from 1.
    network : int
        The chosen network, in ascending order of accuracy; it belongs to the family that is compared.
    """

    _esm = module("ranking")
    _state: ClassVar[tuple[str, ...]] = ("measure", "family", "network")

    figure = traitlets.Unicode("ranking", read_only=True).tag(sync=True)
    measure = traitlets.Int(0, min=0).tag(sync=True)
    family = traitlets.Int(0, min=0).tag(sync=True)
    network = traitlets.Int(0, min=0).tag(sync=True)

    def __init__(self, data: dict[str, Any]) -> None:
        super().__init__(data=rounded(data))
        self.network = len(self.data["networks"]) // 2

    def tau(self, measure: int, family: int = 0) -> float:
        """Return Kendall's τ over all pairs of networks with different names."""
        scope = [one for one in self.data["networks"] if family in (0, one["family"] + 1)]
        signs = [
            np.sign((a["values"][measure] - b["values"][measure]) * (a["accuracy"] - b["accuracy"]))
            for a, b in combinations(scope, 2)
            if a["name"] != b["name"]
        ]
        return float(np.mean(signs))

    @traitlets.validate("measure")
    def _known_measure(self, proposal: Any) -> int:
        return at_most(len(self.data["measures"]) - 1, proposal)

    @traitlets.validate("family")
    def _known_family(self, proposal: Any) -> int:
        return at_most(len(self.data["families"]), proposal)

    @traitlets.validate("network")
    def _known_network(self, proposal: Any) -> int:
        return at_most(len(self.data["networks"]) - 1, proposal)

    def fallback(self) -> str:
        """Return a table of τ for every measure, over all networks and within each family, as HTML."""
        families = self.data["families"]
        rows = [
            (name, *(f"{self.tau(i, family):.2f}" for family in range(1 + len(families))))
            for i, name in enumerate(self.data["measures"])
        ]
        caption = "Kendall’s τ between a measure and accuracy, over pairs of different networks."
        return fallback_table(caption, ("Measure", "all", *families), rows)

    def __repr__(self) -> str:
        families = ("all", *self.data["families"])
        chosen = self.data["networks"][self.network]
        return (
            f"<Ranking of {len(self.data['networks'])} networks by {self.data['measures'][self.measure]}: "
            f"{families[self.family]}, {chosen['name']} of seed {chosen['seed']}>"
        )


def ranking(networks: Sequence[Mapping[str, Any]], measures: Mapping[str, str], accuracy: str = "accuracy") -> Ranking:
    """Interactive figure of how well a measure of features ranks networks by accuracy.

    A pair of networks is ordered rightly if the one with the larger measure has the larger accuracy. Networks that
    differ only in their seed have the same name, and are no pair.

    Parameters
    ----------
    networks : sequence of mappings
        One for each trained network: its "family", "name" and "seed", its accuracy, and its measures.
    measures : mapping of names to keys
        What to rank by, larger for better: the name that the reader sees, and the key of its value in each network.
    accuracy : str
        The key of the accuracy, from 0 to 1.

    Returns
    -------
    Ranking
        To be shown as the last expression of a cell.

    Raises
    ------
    ValueError
        If there is no measure; for more than three families, or one in which all networks have one name; for a value
        that is not finite, or an accuracy outside 0 to 1.

    Examples
    --------
    >>> networks = [
    ...     {"family": "mlp", "name": f"mlp-{width}", "seed": 0, "H": score, "accuracy": right}
    ...     for width, score, right in [(8, 2.1, 0.80), (16, 2.9, 0.86), (32, 3.4, 0.85)]
    ... ]
    >>> figure = ranking(networks, {"H-score": "H"})
    >>> figure
    <Ranking of 3 networks by H-score: all, mlp-32 of seed 0>
    >>> round(figure.tau(0), 3)
    0.333
    """
    if not isinstance(measures, Mapping) or not measures:
        raise ValueError("there is no measure: give a dictionary of names and keys")
    if not isinstance(networks, Sequence):
        raise ValueError(f"networks is a {type(networks).__name__}: give a list of dictionaries, one for each network")
    for i, one in enumerate(networks):
        for key in ("family", "name", "seed", *measures.values(), accuracy):
            if not isinstance(one, Mapping) or key not in one:
                raise ValueError(f"networks[{i}] has no {key!r}: give its family, name, seed, measures and accuracy")
        if check.integer(one["seed"]) is None:
            raise ValueError(f"networks[{i}]['seed'] = {one['seed']!r}: it must be an integer")
    families = list(dict.fromkeys(str(one["family"]) for one in networks))
    if not 1 <= len(families) <= FAMILIES:
        raise ValueError(f"there are {len(families)} families: the figure shows 1 to {FAMILIES}")
    for family in families:
        if len({str(one["name"]) for one in networks if str(one["family"]) == family}) < 2:
            raise ValueError(f"all networks of the family {family!r} have one name: pairs need two")
    for one in networks:
        for key in (*measures.values(), accuracy):
            if not np.isfinite(check.number(one[key])):
                raise ValueError(f"{key} = {one[key]!r} of {one['name']}, seed {one['seed']}, is no finite number")
        if not 0 <= one[accuracy] <= 1:
            raise ValueError(f"{accuracy} = {one[accuracy]} of {one['name']}: an accuracy is between 0 and 1")
    rows = [
        {
            "family": families.index(str(one["family"])),
            "name": str(one["name"]),
            "seed": int(one["seed"]),
            "accuracy": float(one[accuracy]),
            "values": [float(one[key]) for key in measures.values()],
        }
        for one in sorted(networks, key=lambda one: float(one[accuracy]))
    ]
    return Ranking({"families": families, "measures": list(measures), "networks": rows})
