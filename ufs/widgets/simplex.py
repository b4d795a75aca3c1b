"""Two distributions on three symbols, dragged about a third: exact divergence beside its local value."""

from __future__ import annotations

from collections.abc import Sequence, Sized
from typing import Any, ClassVar

import numpy as np
import traitlets
from numpy.typing import ArrayLike, NDArray

from ufs import _checks as check
from ufs.local import information_vector, kl_divergence
from ufs.selection import largest_eps
from ufs.widgets.figure import Figure, fallback_table, module, rounded

__all__ = ["Simplex", "simplex"]

LEAST = 0.001  # the figure keeps every probability above it, so that each divergence is finite


class Simplex(Figure):
    r"""Two distributions on three symbols about a reference, in the simplex and as information vectors.

    Made by :func:`simplex`. The reader drags P₁ and P₂ in the simplex, where the neighbourhood of P₀ is an ellipse; a
    second plane shows their information vectors, where it is a disk. In a notebook ``p1`` and ``p2`` can be read,
    observed and set.

    Attributes
    ----------
    p1, p2 : list of 3 floats
        The two distributions.
    p0 : ndarray, shape (3,)
        The reference.
    eps : float
        The ε of the neighbourhood that is drawn, and of the information vectors.
    """

    _esm = module("simplex")
    _state: ClassVar[tuple[str, ...]] = ("p1", "p2")

    figure = traitlets.Unicode("simplex", read_only=True).tag(sync=True)
    p1 = traitlets.List(traitlets.Float()).tag(sync=True)
    p2 = traitlets.List(traitlets.Float()).tag(sync=True)

    p0: NDArray[np.float64]
    eps: float

    def __init__(
        self,
        p0: NDArray[np.float64],
        p1: Sequence[float],
        p2: Sequence[float],
        labels: Sequence[str],
        names: Sequence[str],
        eps: float,
    ) -> None:
        self.p0, self.eps = p0, eps
        data = {"p0": p0.tolist(), "eps": eps, "labels": list(labels), "names": list(names), "least": LEAST}
        super().__init__(data=rounded(data), p1=list(p1), p2=list(p2))

    @property
    def phi(self) -> NDArray[np.float64]:
        """Information vectors of P₁ and P₂, shape (2, 3)."""
        return np.array([information_vector(p, self.p0, self.eps) for p in (self.p1, self.p2)])

    @property
    def divergence(self) -> float:
        """D(P₁‖P₂), exactly, in nats."""
        return kl_divergence(self.p1, self.p2)

    @property
    def local(self) -> float:
        """ε²/2 times the squared distance of the information vectors (R1)."""
        # ε drops out: with it, the square of a very small or a very large one would be lost
        return float(np.sum(np.subtract(self.p1, self.p2) ** 2 / self.p0) / 2)

    @traitlets.validate("p1", "p2")
    def _distribution(self, proposal: Any) -> list[float]:
        name, p = proposal["trait"].name, np.asarray(proposal["value"], dtype=float)
        if p.shape != (3,) or not (p >= LEAST * (1 - 1e-9)).all() or not abs(p.sum() - 1) <= 1e-5:
            raise traitlets.TraitError(
                f"{name} = {proposal['value']} is no distribution for this figure: it needs three probabilities of "
                f"at least {LEAST:g} that add up to 1"
            )
        values: list[float] = (p / p.sum()).tolist()  # a page's six digits do not add up to 1 exactly
        return values

    def fallback(self) -> str:
        """Return a table of the three distributions, as HTML."""
        return fallback_table(
            f"Two distributions about P₀. D(P₁‖P₂) = {self.divergence:.4f} nats, "
            f"D(P₂‖P₁) = {kl_divergence(self.p2, self.p1):.4f}; "
            f"the local value of both is {self.local:.4f}.",
            ("Symbol", "P₀", *self._titles()),
            [
                (label, *(f"{value:.3f}" for value in values))
                for label, *values in zip(self.data["labels"], self.p0, self.p1, self.p2, strict=True)
            ],
        )

    def _titles(self) -> list[str]:
        return [
            symbol + (f" ({name})" if name else "")
            for symbol, name in zip(("P₁", "P₂"), self.data["names"], strict=True)
        ]

    def __repr__(self) -> str:
        return f"<Simplex eps = {self.eps:.3f}: D(P1‖P2) = {self.divergence:.4f}, local {self.local:.4f}>"


def simplex(
    p0: ArrayLike,
    p1: ArrayLike,
    p2: ArrayLike,
    labels: Sequence[str] = ("a", "b", "c"),
    names: Sequence[str] = ("", ""),
    eps: float | None = None,
) -> Simplex:
    r"""Interactive figure of the local geometry (D1, D2, R1) on three symbols.

    The simplex of all distributions, with the neighbourhood :math:`\mathcal N_\epsilon(P_0)`, and beside it the plane
    of information vectors. The figure compares :math:`D(P_1 \Vert P_2)` and :math:`D(P_2 \Vert P_1)` with
    :math:`\frac{\epsilon^2}{2} \Vert \phi_1 - \phi_2 \Vert^2` while the reader drags P₁ and P₂.

    Parameters
    ----------
    p0, p1, p2 : array_like, shape (3,)
        The reference, and where P₁ and P₂ stand at first; every probability at least 0.001.
    labels : three strings
        Names of the symbols.
    names : two strings
        Names of P₁ and P₂, if they have any.
    eps : float, optional
        Radius of the neighbourhood. By default the largest that fits into the simplex,
        :math:`\sqrt{p_{\min} / (1 - p_{\min})}`.

    Returns
    -------
    Simplex
        To be shown as the last expression of a cell.

    Raises
    ------
    ValueError
        If an argument is not a distribution on three symbols, or has a probability below 0.001; if labels are not
        three or names not two; if eps is not positive.

    Examples
    --------
    >>> figure = simplex([0.5, 0.25, 0.25], [0.6, 0.2, 0.2], [0.4, 0.25, 0.35])
    >>> figure
    <Simplex eps = 0.577: D(P1‖P2) = 0.0867, local 0.0900>
    >>> figure.phi.round(3)
    array([[ 0.245, -0.173, -0.173],
           [-0.245,  0.   ,  0.346]])
    """
    points = {name: check.distribution(p, name) for name, p in (("p0", p0), ("p1", p1), ("p2", p2))}
    for name, given in (("labels", labels), ("names", names)):
        if not isinstance(given, Sized):
            raise ValueError(f"{name} is a {type(given).__name__}: give a list of strings")
    for name, p in points.items():
        if p.shape != (3,):
            raise ValueError(f"{name} has shape {p.shape}: the figure shows distributions on three symbols")
        check.entries(p >= LEAST, p, name, f"is below {LEAST:g}: the figure leaves out the simplex's edge")
    if len(labels) != 3 or len(names) != 2:
        raise ValueError(f"{len(labels)} labels and {len(names)} names: give three labels and two names")
    reference, first, second = points.values()
    eps = largest_eps(reference) if eps is None else check.eps(eps)
    return Simplex(
        reference, first.tolist(), second.tolist(), [str(label) for label in labels], [str(n) for n in names], eps
    )
