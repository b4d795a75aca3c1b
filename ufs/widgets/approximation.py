"""Fade the dependence of a table and watch a trained network's features settle on its modes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, ClassVar, Protocol

import numpy as np
import traitlets
from numpy.typing import ArrayLike, NDArray

from ufs import _checks as check
from ufs.dtm import Modes, modes
from ufs.joint import Joint, required
from ufs.local import feature_angles
from ufs.widgets.figure import Figure, fallback_table, module, rounded, side

__all__ = ["Approximation", "approximation"]

SYMBOLS = 12  # of X or of Y, which the figure has room for


class Network(Protocol):
    """What the figure reads of a trained network, as ``ufs.nn.read`` returns it."""

    @property
    def s(self) -> ArrayLike: ...

    @property
    def v(self) -> ArrayLike: ...


class Approximation(Figure):
    r"""Features and weights of trained softmax networks beside the modes, as the dependence fades.

    Made by :func:`approximation`. In a notebook ``features``, ``mode`` and ``step`` can be read, observed and set.

    Attributes
    ----------
    features : int
        Number k of features of the network.
    mode : int
        Which mode, from 1 to k, its features are compared with.
    step : int
        Which strength of the dependence, from 0 for the weakest.
    """

    _esm = module("approximation")
    _state: ClassVar[tuple[str, ...]] = ("features", "mode", "step")

    figure = traitlets.Unicode("approximation", read_only=True).tag(sync=True)
    features = traitlets.Int(1, min=1).tag(sync=True)
    mode = traitlets.Int(1, min=1).tag(sync=True)
    step = traitlets.Int(0, min=0).tag(sync=True)

    def __init__(self, data: dict[str, Any]) -> None:
        super().__init__(data=rounded(data))
        self.step = len(self.data["eps"]) - 1

    @traitlets.validate("features")
    def _known_features(self, proposal: Any) -> int:
        return _among(proposal["value"], [run["k"] for run in self.data["runs"]], "features")

    @traitlets.validate("mode")
    def _known_mode(self, proposal: Any) -> int:
        return _among(proposal["value"], list(range(1, max(run["k"] for run in self.data["runs"]) + 1)), "mode")

    @traitlets.validate("step")
    def _known_step(self, proposal: Any) -> int:
        return _among(proposal["value"], list(range(len(self.data["eps"]))), "step")

    def fallback(self) -> str:
        """Return a table of angles, as HTML."""
        return fallback_table(
            "Largest angle, in degrees, between the features of trained networks and the modes.",
            ("ε", *(f"k = {run['k']}" for run in self.data["runs"])),
            [
                (f"{eps:.3f}", *(f"{run['x'][step]['angle']:.2f}" for run in self.data["runs"]))
                for step, eps in enumerate(self.data["eps"])
            ],
        )

    def __repr__(self) -> str:
        names = f"{self.data['x']['name']} and {self.data['y']['name']}"
        eps = self.data["eps"][self.step]
        return f"<Approximation on {names}: k = {self.features}, mode {self.mode}, ε = {eps:.3g}>"


def approximation(joint: Joint, strengths: ArrayLike, networks: Mapping[int, Sequence[Network]]) -> Approximation:
    r"""Interactive figure of R9: do trained networks find the modes, and how does that depend on ε and k?

    For each mode the figure shows its projection on the span of the network's features: as much of it as they can
    express.

    Parameters
    ----------
    joint : Joint
        The table at full strength: 2 to 12 symbols of X and of Y.
    strengths : array_like, shape (n,)
        What the table's dependence was multiplied by, increasing, two of them at least.
    networks : mapping of int to sequence of n networks
        For each number k of features the trained networks, one for each strength: anything with arrays ``s`` of shape
        (\|𝒳\|, k) and ``v`` of shape (\|𝒴\|, k), as ``ufs.nn.read`` returns. Each k is at most K.

    Returns
    -------
    Approximation
        To be shown as the last expression of a cell.

    Raises
    ------
    ValueError
        If there is no network; for a table with too many symbols; strengths that do not increase; a k that is not in
        1..K; a number of networks other than that of the strengths, and features of the wrong shape.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> joint = Joint([[0.20, 0.06, 0.04], [0.06, 0.20, 0.04], [0.04, 0.04, 0.32]])
    >>> network = SimpleNamespace(s=[[1.0], [1.2], [-1.0]], v=[[0.4], [0.5], [-0.6]])
    >>> approximation(joint, [0.5, 1], {1: [network, network]})
    <Approximation on X and Y: k = 1, mode 1, ε = 0.814>
    """
    sizes = required(joint).P.shape
    if not (min(sizes) >= 2 and max(sizes) <= SYMBOLS):
        raise ValueError(
            f"the table has {sizes[0]} symbols of {joint.x_name} and {sizes[1]} of {joint.y_name}: the figure shows "
            f"2 to {SYMBOLS} of each"
        )
    factors = check.finite(strengths, "strengths")
    check.axes(factors, 1, "strengths", "give one number for each table")
    if len(factors) < 2 or factors[0] <= 0 or any(b <= a for a, b in pairwise(factors)):
        raise ValueError(f"strengths = {factors.tolist()}: give two or more positive numbers, in increasing order")
    if not isinstance(networks, Mapping) or not networks:
        raise ValueError("there is no network: give a dictionary of numbers of features and lists of networks")
    found = modes(joint)
    for k in networks:
        if not 1 <= (check.integer(k) or 0) <= len(found.sigma):
            raise ValueError(
                f"k = {k!r}: the table has {len(found.sigma)} modes, so k must be in 1..{len(found.sigma)}"
            )
    return Approximation(
        {
            "eps": (factors * np.linalg.norm(found.sigma)).tolist(),
            "x": side(joint.x_name, joint.x_labels, found.f[:, : max(networks)].T),
            "y": side(joint.y_name, joint.y_labels, found.g[:, : max(networks)].T),
            "runs": [_run(joint, found, k, networks[k], len(factors)) for k in sorted(networks)],
        }
    )


def _run(joint: Joint, found: Modes, k: int, networks: Sequence[Network], count: int) -> dict[str, Any]:
    """The networks with k features: at each strength and on each side the projected modes and the largest angle."""
    if not isinstance(networks, Sequence):
        raise ValueError(
            f"the networks with k = {k} are a {type(networks).__name__}: give a list, one for each strength"
        )
    if len(networks) != count:
        raise ValueError(f"{len(networks)} networks with k = {k} for {count} strengths: give one for each")
    run: dict[str, Any] = {"k": k, "x": [], "y": []}
    for network in networks:
        if not (hasattr(network, "s") and hasattr(network, "v")):
            raise ValueError(
                f"a {type(network).__name__} is no network: it needs arrays s and v, as ufs.nn.read returns"
            )
        for name, values, of_modes, p, variable in (
            ("x", network.s, found.f, joint.px, joint.x_name),
            ("y", network.v, found.g, joint.py, joint.y_name),
        ):
            features = check.features(values, range(len(p)), variable)
            if features.shape[1] != k:
                raise ValueError(f"a network has {features.shape[1]} features: it is listed under k = {k}")
            angle = float(np.degrees(feature_angles(features, of_modes[:, :k], p).max()))
            run[name].append({"angle": angle, "part": _projection(of_modes[:, :k], features, p).T.tolist()})
    return run


def _projection(
    onto: NDArray[np.float64], features: NDArray[np.float64], p: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Project modes on the span of the centred features, with correlation under p as the inner product."""
    root = np.sqrt(p)[:, None]
    basis, sizes, _ = np.linalg.svd(root * (features - p @ features), full_matrices=False)
    basis = basis[:, sizes > 1e-12 * sizes.max()]
    projected: NDArray[np.float64] = basis @ (basis.T @ (root * onto)) / root
    return projected


def _among(value: int, known: list[int], name: str) -> int:
    if value not in known:
        raise traitlets.TraitError(f"{name} = {value}: choose one of {', '.join(map(str, known))}")
    return int(value)
