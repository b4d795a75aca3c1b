"""Turn a feature away from the question it is asked, and watch the exponent of the error fall."""

from __future__ import annotations

from collections.abc import Sequence, Sized
from typing import Any, ClassVar

import numpy as np
import traitlets
from numpy.typing import ArrayLike, NDArray

from ufs import _checks as check
from ufs.inference import chernoff_information, feature_exponent
from ufs.local import information_vector
from ufs.widgets.figure import Figure, fallback_table, module, rounded

__all__ = ["Mismatch", "mismatch"]

SIZES = (1.0, 0.5, 0.25)  # of the distance between the two hypotheses
DEGREES = range(180)  # a feature and its opposite are the same feature


class Mismatch(Figure):
    r"""A feature of three symbols, at an angle to the question: the exact exponent beside the local one.

    Made by :func:`mismatch`. The reader turns the feature :math:`h = \xi / \sqrt{P_0}` in the plane of all features;
    its angle is counted from the question :math:`\phi_1 - \phi_2`, and locally the exponent is the Chernoff
    information times the squared cosine of the angle. In a notebook ``angle`` and ``size`` can be read, observed and
    set.

    Attributes
    ----------
    angle : int
        Degrees from the question to the feature, 0 to 359.
    size : int
        Which distance of the hypotheses: 0 for P₁ and P₂ as given, 1 and 2 for half and a quarter of their distances
        from P₀.
    p0 : ndarray, shape (3,)
        The midpoint of P₁ and P₂.
    basis : ndarray, shape (3, 2)
        Orthonormal vectors perpendicular to √P₀: the direction of the question, and the one across.
    """

    _esm = module("mismatch")
    _state: ClassVar[tuple[str, ...]] = ("angle", "size")

    figure = traitlets.Unicode("mismatch", read_only=True).tag(sync=True)
    angle = traitlets.Int(50, min=0, max=359).tag(sync=True)
    size = traitlets.Int(0, min=0, max=len(SIZES) - 1).tag(sync=True)

    p0: NDArray[np.float64]
    basis: NDArray[np.float64]

    def __init__(self, p1: ArrayLike, p2: ArrayLike, labels: Sequence[Any] | None = None) -> None:
        p, q = check.distribution(p1, "p1"), check.distribution(p2, "p2")
        best = chernoff_information(p, q)  # refuses what is no pair of distributions
        if labels is not None and not isinstance(labels, Sized):
            raise ValueError(f"labels is a {type(labels).__name__}: give a list of three")
        names = [str(label) for label in (range(1, 4) if labels is None else labels)]
        if len(p) != 3 or len(names) != 3:
            raise ValueError(
                f"{len(p)} symbols and {len(names)} labels: the figure shows the plane of all features of three symbols"
            )
        if not best > 0:
            raise ValueError("p1 and p2 are the same distribution: there is nothing to tell apart")
        self.p0 = (p + q) / 2
        self.basis = _basis(p, q, self.p0)
        self._pairs = [(self.p0 + size / 2 * (p - q), self.p0 - size / 2 * (p - q)) for size in SIZES]
        curves = [[feature_exponent(self.feature(a), *pair) for a in DEGREES] for pair in self._pairs]
        data = {
            "labels": names,
            "features": (self.basis / np.sqrt(self.p0)[:, None]).tolist(),
            "eps": [float(np.linalg.norm(information_vector(pair[0], self.p0, 1))) for pair in self._pairs],
            "best": [chernoff_information(*pair) for pair in self._pairs],
            "exact": curves,
        }
        super().__init__(data=rounded(data))

    def feature(self, degrees: float) -> NDArray[np.float64]:
        """Values of the feature at an angle, shape (3,): zero mean and unit variance under P₀."""
        turn = np.deg2rad(degrees)
        return np.asarray(self.basis @ [np.cos(turn), np.sin(turn)] / np.sqrt(self.p0))

    @property
    def exponent(self) -> float:
        """Exact exponent of the feature shown (D5)."""
        return feature_exponent(self.feature(self.angle), *self._pairs[self.size])

    @property
    def local(self) -> float:
        """Local exponent of the feature shown (R3): ε² cos²(angle) / 2, with the ε of P₁ and P₂ about P₀."""
        return float((self.data["eps"][self.size] * np.cos(np.deg2rad(self.angle))) ** 2 / 2)

    def fallback(self) -> str:
        """Return a table of exponents at several angles, as HTML."""
        best, exact = self.data["best"][0], self.data["exact"][0]
        return fallback_table(
            f"Features of {', '.join(self.data['labels'])}, by their angle to the question. "
            f"Chernoff information {best:.4f}.",
            ("Angle", "Exponent", "Share of the best", "cos² of the angle"),
            [
                (f"{a}°", f"{exact[a]:.4f}", f"{exact[a] / best:.0%}", f"{np.cos(np.deg2rad(a)) ** 2:.0%}")
                for a in range(0, 180, 15)
            ],
        )

    def __repr__(self) -> str:
        return (
            f"<Mismatch of {', '.join(self.data['labels'])}: eps = {self.data['eps'][self.size]:.3f}, "
            f"angle = {self.angle}°, exponent = {self.exponent:.5f} of {self.data['best'][self.size]:.5f}>"
        )


def mismatch(p1: ArrayLike, p2: ArrayLike, labels: Sequence[Any] | None = None) -> Mismatch:
    r"""Interactive figure of what a feature loses that is not the one the question asks for (D5, R3).

    Parameters
    ----------
    p1, p2 : array_like, shape (3,)
        Two different distributions on three symbols, all probabilities positive. P₀ is their midpoint.
    labels : sequence of length 3, optional
        The symbols' names.

    Returns
    -------
    Mismatch
        To be shown as the last expression of a cell.

    Raises
    ------
    ValueError
        As :func:`ufs.inference.feature_exponent`; for other than three symbols, and for p1 = p2.

    Examples
    --------
    >>> figure = mismatch([0.6, 0.3, 0.1], [0.3, 0.3, 0.4], labels="abc")
    >>> figure
    <Mismatch of a, b, c: eps = 0.374, angle = 50°, exponent = 0.03129 of 0.07902>
    >>> figure.angle = 0
    >>> round(figure.exponent, 4), round(figure.local, 4)
    (0.0789, 0.07)
    """
    return Mismatch(p1, p2, labels)


def _basis(p: NDArray[np.float64], q: NDArray[np.float64], p0: NDArray[np.float64]) -> NDArray[np.float64]:
    """The direction of the question, and the unit vector perpendicular to it and to √P₀."""
    question = (p - q) / np.sqrt(p0)
    question /= np.linalg.norm(question)
    return np.column_stack([question, np.cross(np.sqrt(p0), question)])
