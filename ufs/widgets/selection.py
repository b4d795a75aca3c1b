"""Choose features before the question is known: directions against singular vectors, judged by random attributes."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import traitlets
from numpy.typing import NDArray

from ufs import _checks as check
from ufs.dtm import Modes, dtm
from ufs.joint import Joint
from ufs.selection import rotate
from ufs.widgets.figure import Figure, fallback_table, in_disk, module, rounded, side, strongest

__all__ = ["Selection", "selection"]


class Selection(Figure):
    r"""Choose one feature or a pair of features of Y, and watch what they see of random attributes of X.

    Made by :func:`selection`. The reader drags a unit vector :math:`a\,\psi_1^Y + b\,\psi_2^Y + c\,\psi_3^Y`,
    :math:`c = \sqrt{1 - a^2 - b^2}`, in the disk of (a, b): with k = 1 it is the feature's vector; with k = 2 the one
    direction that the pair leaves out. In a notebook ``a``, ``b`` and ``k`` can be read, observed and set.

    Attributes
    ----------
    a, b : float
        Coordinates of the direction, with :math:`a^2 + b^2 \le 1`. To set both at once use :meth:`move`.
    k : int
        Number of features, 1 or 2.
    modes : Modes
        The three modes, at full precision.
    """

    _esm = module("selection")
    _state: ClassVar[tuple[str, ...]] = ("a", "b", "k")

    figure = traitlets.Unicode("selection", read_only=True).tag(sync=True)
    a = traitlets.Float(0.4).tag(sync=True)
    b = traitlets.Float(0.5).tag(sync=True)
    k = traitlets.Int(1, min=1, max=2).tag(sync=True)

    joint: Joint
    modes: Modes

    def __init__(self, joint: Joint, attributes: int = 300, seed: int = 0) -> None:
        self.joint = joint
        self.modes = strongest(joint, 3)
        answers = _answers(joint, self.modes, attributes, seed)
        data = {
            "sigma": self.modes.sigma.tolist(),
            "all": float(np.sum(dtm(joint) ** 2)),
            "dimension": len(joint.px) - 1,
            "answers": answers.round(4).tolist(),
            "x": {"name": joint.x_name},
            "y": side(joint.y_name, joint.y_labels, self.modes.g),
        }
        super().__init__(data=rounded(data))

    @property
    def direction(self) -> NDArray[np.float64]:
        """The unit vector (a, b, c) in the basis of the three modes, shape (3,)."""
        return np.array([self.a, self.b, np.sqrt(max(0.0, 1 - self.a**2 - self.b**2))])

    @property
    def features(self) -> NDArray[np.float64]:
        r"""The chosen features, zero-mean, uncorrelated and of unit variance, shape (\|𝒴\|, k)."""
        left_out = np.linalg.qr(self.direction[:, None], mode="complete")[0]
        chosen = self.direction[:, None] if self.k == 1 else left_out[:, 1:]
        result: NDArray[np.float64] = self.modes.g @ chosen
        return result

    @property
    def captured(self) -> float:
        r""":math:`\lVert \Xi^{\mathsf T} \tilde B \rVert_F^2` of the chosen features (R6)."""
        along = float(np.sum((self.modes.sigma * self.direction) ** 2))
        return along if self.k == 1 else float(np.sum(self.modes.sigma**2)) - along

    def move(self, a: float, b: float) -> None:
        """Set both coordinates at once.

        Raises
        ------
        traitlets.TraitError
            If (a, b) is outside the unit disk; the direction then stays as it was.
        """
        with self.hold_trait_notifications():
            self.a, self.b = a, b

    @traitlets.validate("a", "b")
    def _inside_disk(self, proposal: Any) -> float:
        return in_disk(self, proposal, "they are two coordinates of a unit vector")

    def fallback(self) -> str:
        """Return a table of the features of the three modes, as HTML."""
        y, squares = self.data["y"], [f"{value**2:.4f}" for value in self.data["sigma"]]
        return fallback_table(
            f"The three strongest modes as features of {y['name']}. Alone they capture {squares[0]}, {squares[1]} "
            f"and {squares[2]} of {self.data['all']:.4f}.",
            ("Symbol", "Mode 1", "Mode 2", "Mode 3"),
            [
                (f"{y['name']} = {label}", *(f"{value:.3f}" for value in values))
                for label, values in zip(y["labels"], y["modes"], strict=True)
            ],
        )

    def __repr__(self) -> str:
        best = float(np.sum(self.modes.sigma[: self.k] ** 2))
        return (
            f"<Selection of {self.k} feature{'s' * (self.k > 1)} of {self.data['y']['name']}: "
            f"(a, b) = ({self.a:.3f}, {self.b:.3f}), captured {self.captured:.4f} of at most {best:.4f}>"
        )


def selection(joint: Joint, attributes: int = 300, seed: int = 0) -> Selection:
    r"""Interactive figure of universal feature selection (R6): features of Y against random attributes of X (D8).

    Parameters
    ----------
    joint : Joint
        Dense, with at least four symbols of X and of Y. Features are chosen in the span of the three strongest modes,
        which for four symbols of Y are all features.
    attributes : int
        Number of random attributes of X that are drawn, 1 to 1000.
    seed : int
        Of the attributes.

    Returns
    -------
    Selection
        To be shown as the last expression of a cell.

    Raises
    ------
    ValueError
        If X or Y has fewer than four symbols; if the number of attributes is out of range, or the
        seed no integer of at least 0.

    Examples
    --------
    >>> joint = Joint(np.diag([0.15, 0.1, 0.05, 0.02]) + 0.0425)
    >>> figure = selection(joint)
    >>> figure.move(1, 0)
    >>> figure
    <Selection of 1 feature of Y: (a, b) = (1.000, 0.000), captured 0.1840 of at most 0.1840>
    """
    return Selection(joint, attributes, seed)


def _answers(joint: Joint, m: Modes, attributes: int, seed: int) -> NDArray[np.float64]:
    """Coordinates of B̃Φ along the first three left singular vectors, for random unit Φ; shape (attributes, 3)."""
    if not 1 <= (check.integer(attributes) or 0) <= 1000:
        raise ValueError(f"attributes = {attributes!r}: draw between 1 and 1000, more hide each other")
    psi = np.sqrt(joint.px)[:, None] * m.f
    phi = rotate(psi[:, 0] / np.linalg.norm(psi[:, 0]), joint.px, check.generator(seed, "seed"), draws=attributes)
    answers: NDArray[np.float64] = phi @ psi * m.sigma
    return answers
