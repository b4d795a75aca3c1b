"""Two classes of points in the plane, dragged apart: H-score, discriminant direction and accuracy move together."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import traitlets
from numpy.typing import NDArray

from ufs import _checks as check
from ufs.hscore import HScore
from ufs.widgets.figure import Figure, fallback_table, module, rounded

__all__ = ["Separation", "separation"]

HALF_WIDTH, HALF_HEIGHT = 4.0, 3.5  # where the class means may be
SHORT, LONG = 0.5, 2.0  # deviation along the short axis; the largest along the long one
SHEAR = [[1.0, 0.6], [0.0, 1.0]]

Array = NDArray[np.float64]


class Separation(Figure):
    r"""Two classes in the plane, as a feature :math:`s(x) \in \mathbb R^2` would show them.

    Made by :func:`separation`. The reader drags both class means and the long axis of the shape that the classes
    share; a button bends the second class into a ring, another shears the whole plane. In a notebook ``a``, ``b``,
    ``axis``, ``ring`` and ``sheared`` can be read, observed and set.

    Attributes
    ----------
    a, b : list of 2 floats
        Means of the distributions from which the classes were drawn, before the shear.
    axis : list of 2 floats
        Long axis of their shape: direction, and standard deviation along it; across it, it is 0.5.
    ring : bool
        The second class is a ring instead of a cloud.
    sheared : bool
        The plane is shown after a shear, which changes neither the H-score nor the accuracy.
    """

    _esm = module("separation")
    _state: ClassVar[tuple[str, ...]] = ("a", "b", "axis", "ring", "sheared")

    figure = traitlets.Unicode("separation", read_only=True).tag(sync=True)
    a = traitlets.List(traitlets.Float(), [-1.2, -0.5]).tag(sync=True)
    b = traitlets.List(traitlets.Float(), [1.2, 0.6]).tag(sync=True)
    axis = traitlets.List(traitlets.Float(), [1.1, 0.9]).tag(sync=True)
    ring = traitlets.Bool(False).tag(sync=True)
    sheared = traitlets.Bool(False).tag(sync=True)

    def __init__(self, size: int = 40, seed: int = 0) -> None:
        if not 5 <= (check.integer(size) or 0) <= 200:
            raise ValueError(f"size = {size!r}: give each class 5 to 200 points")
        rng = check.generator(seed, "seed")
        clouds = rng.standard_normal((2, size, 2))
        angles = 2 * np.pi * (np.arange(size) + rng.random(size)) / size
        radii = 3 + 0.25 * rng.standard_normal(size)
        ring = (radii * [np.cos(angles), np.sin(angles)]).T
        shapes = {"first": clouds[0], "second": clouds[1], "ring": ring}
        data = {name: values.round(3).tolist() for name, values in shapes.items()}
        limits = {"half": [HALF_WIDTH, HALF_HEIGHT], "short": SHORT, "long": LONG, "shear": SHEAR}
        super().__init__(data=rounded(data | limits))

    @property
    def points(self) -> Array:
        """All points as they are shown, the first class before the second, shape (2 size, 2)."""
        along = np.array(self.axis)
        across = SHORT * np.array([-along[1], along[0]]) / np.linalg.norm(along)
        shapes = (self.data["first"], self.data["ring" if self.ring else "second"])
        classes = [
            np.array(shape) @ [along, across] + mean for shape, mean in zip(shapes, (self.a, self.b), strict=True)
        ]
        shown: Array = np.concatenate(classes) @ np.transpose(SHEAR if self.sheared else np.eye(2))
        return shown

    @property
    def labels(self) -> NDArray[np.int64]:
        """Class of each point, 0 or 1."""
        return np.repeat([0, 1], len(self.data["first"]))

    @property
    def h_score(self) -> float:
        """H-score of the points about their classes (D9)."""
        return HScore().update(self.points, self.labels).score()

    @property
    def null_level(self) -> float:
        """Mean H-score over all labellings with these class sizes (R14)."""
        return HScore().update(self.points, self.labels).null_level

    @property
    def direction(self) -> Array:
        """Unit vector of linear discriminant analysis, towards the second class, shape (2,)."""
        first, second = self._means()
        w = np.linalg.solve(np.cov(self.points.T, bias=True), second - first)
        unit: Array = w / np.linalg.norm(w)
        return unit

    @property
    def accuracy(self) -> float:
        """Share of the points on their class's side of the middle between the means, along the direction."""
        along = (self.points - sum(self._means()) / 2) @ self.direction
        return float(np.mean((along > 0) == (self.labels == 1)))

    def _means(self) -> tuple[Array, Array]:
        points, labels = self.points, self.labels
        return points[labels == 0].mean(axis=0), points[labels == 1].mean(axis=0)

    @traitlets.validate("a", "b")
    def _in_the_plane(self, proposal: Any) -> list[float]:
        name, point = proposal["trait"].name, np.asarray(proposal["value"], dtype=float)
        if point.shape != (2,) or not (np.abs(point) <= np.array([HALF_WIDTH, HALF_HEIGHT]) + 1e-9).all():
            raise traitlets.TraitError(
                f"{name} = {proposal['value']}: a class mean is a point with |x| ≤ {HALF_WIDTH:g} and "
                f"|y| ≤ {HALF_HEIGHT:g}"
            )
        return [float(value) for value in point]

    @traitlets.validate("axis")
    def _an_axis(self, proposal: Any) -> list[float]:
        axis = np.asarray(proposal["value"], dtype=float)
        if axis.shape != (2,) or not SHORT - 1e-6 <= np.hypot(*axis) <= LONG + 1e-6:
            raise traitlets.TraitError(
                f"axis = {proposal['value']}: the long axis is a vector of length {SHORT:g} to {LONG:g}"
            )
        return [float(value) for value in axis]

    def fallback(self) -> str:
        """Return a table of the class means and what is read off them, as HTML."""
        w = self.direction
        return fallback_table(
            f"Two classes of {len(self.data['first'])} points. H = {self.h_score:.3f} of at most 0.5, chance "
            f"{self.null_level:.3f}; discriminant direction ({w[0]:.2f}, {w[1]:.2f}), accuracy {self.accuracy:.1%}.",
            ("Class", "mean x", "mean y"),
            [
                (name, *(f"{value:.2f}" for value in mean))
                for name, mean in zip(("first", "second"), self._means(), strict=True)
            ],
        )

    def __repr__(self) -> str:
        return f"<Separation: H = {self.h_score:.3f}, chance {self.null_level:.3f}, accuracy {self.accuracy:.3f}>"


def separation(size: int = 40, seed: int = 0) -> Separation:
    r"""Interactive figure of the H-score of two classes (D9, R13, R14).

    Parameters
    ----------
    size : int
        Number of points of each class, 5 to 200.
    seed : int
        Of the points.

    Returns
    -------
    Separation
        To be shown as the last expression of a cell.

    Raises
    ------
    ValueError
        If size is no integer from 5 to 200, or seed none of at least 0.

    Examples
    --------
    >>> figure = separation()
    >>> figure.b = figure.a
    >>> figure
    <Separation: H = 0.013, chance 0.013, accuracy 0.562>
    """
    return Separation(size, seed)
