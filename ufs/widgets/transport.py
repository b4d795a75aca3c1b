"""Tilt one variable and watch the other answer: how the divergence transition matrix moves information."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import traitlets
from numpy.typing import NDArray

from ufs import _checks as check
from ufs.dtm import Modes
from ufs.joint import Joint
from ufs.widgets.figure import Figure, fallback_table, in_disk, module, rounded, side, strongest

__all__ = ["Transport", "transport"]


class Transport(Figure):
    r"""Tilt one variable, watch the other answer: the plane of the two strongest modes, before and after B̃.

    Made by :func:`transport`. The reader drags :math:`\phi^X = a\,\psi_1^X + b\,\psi_2^X` in the unit disk; the
    figure shows :math:`\phi^Y = \tilde B \phi^X = \sigma_1 a\,\psi_1^Y + \sigma_2 b\,\psi_2^Y` and how the probability
    of every symbol changes. In a notebook ``a`` and ``b`` can be read, observed and set.

    Attributes
    ----------
    a, b : float
        Coordinates of :math:`\phi^X`, with :math:`a^2 + b^2 \le 1`. To set both at once use :meth:`move`.
    eps : float
        The ε of :math:`P_{X|V=v} = P_X (1 + \epsilon\,\phi^X / \sqrt{P_X})`.
    modes : Modes
        The two modes, at full precision.
    """

    _esm = module("transport")
    _state: ClassVar[tuple[str, ...]] = ("a", "b")

    figure = traitlets.Unicode("transport", read_only=True).tag(sync=True)
    a = traitlets.Float(0.6).tag(sync=True)
    b = traitlets.Float(0.6).tag(sync=True)

    joint: Joint
    modes: Modes
    eps: float

    def __init__(self, joint: Joint, eps: float | None = None) -> None:
        self.joint = joint
        self.modes = strongest(joint, 2)
        self.eps = _tilt(self.modes.f, joint, eps)
        data = {
            "eps": self.eps,
            "sigma": self.modes.sigma.tolist(),
            "x": side(joint.x_name, joint.x_labels, self.modes.f),
            "y": side(joint.y_name, joint.y_labels, self.modes.g),
        }
        super().__init__(data=rounded(data))

    @property
    def px_given_v(self) -> NDArray[np.float64]:
        r""":math:`P_{X|V=v}` at the present point, shape (\|𝒳\|,)."""
        return self.joint.px * (1 + self.eps * (self.modes.f @ [self.a, self.b]))

    @property
    def py_given_v(self) -> NDArray[np.float64]:
        r""":math:`P_{Y|V=v}` at the present point, shape (\|𝒴\|,), for V − X − Y."""
        return self.joint.py * (1 + self.eps * (self.modes.g @ (self.modes.sigma * [self.a, self.b])))

    def move(self, a: float, b: float) -> None:
        """Set both coordinates at once.

        Raises
        ------
        traitlets.TraitError
            If (a, b) is outside the unit disk; the point then stays where it was.
        """
        with self.hold_trait_notifications():
            self.a, self.b = a, b

    @traitlets.validate("a", "b")
    def _inside_disk(self, proposal: Any) -> float:
        return in_disk(self, proposal, "an information vector has length at most 1")

    def fallback(self) -> str:
        """Return a table of the two modes, as HTML."""
        x, y, sigma = self.data["x"], self.data["y"], self.data["sigma"]
        return fallback_table(
            f"The two strongest modes of {x['name']} and {y['name']}. A tilt of {x['name']} along mode 1 reaches "
            f"{y['name']} with {sigma[0]:.3f} of its length, along mode 2 with {sigma[1]:.3f}.",
            ("Symbol", "Mode 1", "Mode 2"),
            [
                (f"{one['name']} = {label}", *(f"{value:.3f}" for value in values))
                for one in (x, y)
                for label, values in zip(one["labels"], one["modes"], strict=True)
            ],
        )

    def __repr__(self) -> str:
        x, y, sigma = self.data["x"]["name"], self.data["y"]["name"], self.data["sigma"]
        return (
            f"<Transport {x} → {y}: sigma = ({sigma[0]:.3f}, {sigma[1]:.3f}), eps = {self.eps:.3f}, "
            f"(a, b) = ({self.a:.3f}, {self.b:.3f})>"
        )


def transport(joint: Joint, eps: float | None = None) -> Transport:
    r"""Interactive figure of how an information vector of X becomes one of Y (R4), in the plane of two modes (D7).

    An attribute V of X, with V − X − Y, tilts X to :math:`P_{X|V=v} = P_X (1 + \epsilon (a f_1 + b f_2))`, and Y
    answers with :math:`P_{Y|V=v} = P_Y (1 + \epsilon (\sigma_1 a\, g_1 + \sigma_2 b\, g_2))`, exactly: the unit
    disk of (a, b) becomes an ellipse with semi-axes σ₁, σ₂.

    Parameters
    ----------
    joint : Joint
        With at least three symbols of X and of Y. Names and labels are shown. Where :math:`\sigma_1 = \sigma_2` or
        :math:`\sigma_2 = \sigma_3`, the modes, and with them the figure, are one choice among many.
    eps : float, optional
        Between 0 and :math:`\epsilon_{\max} = 1 / \max_x \sqrt{f_1(x)^2 + f_2(x)^2}`, both excluded: below it no
        tilt in the disk makes a probability of X zero, nor, since :math:`P_{Y|V}` is a mixture of the
        :math:`P_{Y|X=x}`, one of Y. By default half of it, which changes no probability by more than 50 %.

    Returns
    -------
    Transport
        To be shown as the last expression of a cell.

    Raises
    ------
    ValueError
        If there is no Joint; if X or Y has fewer than three symbols, so that there is no second mode; if eps is no
        number or out of range.

    Examples
    --------
    >>> joint = Joint([[0.20, 0.06, 0.04], [0.06, 0.20, 0.04], [0.04, 0.04, 0.32]])
    >>> figure = transport(joint)
    >>> figure
    <Transport X → Y: sigma = (0.667, 0.467), eps = 0.327, (a, b) = (0.600, 0.600)>
    >>> figure.move(1, 0)
    >>> figure.px_given_v.round(3)
    array([0.22, 0.22, 0.56])
    >>> figure.py_given_v.round(3)
    array([0.247, 0.247, 0.507])
    """
    return Transport(joint, eps)


def _tilt(f: NDArray[np.float64], joint: Joint, eps: float | None) -> float:
    """Check that ε keeps every tilt in the disk positive; by default take half of the largest that does."""
    lengths = np.hypot(f[:, 0], f[:, 1])
    worst = int(np.argmax(lengths))
    limit = float(1 / lengths[worst])
    if eps is None:
        return limit / 2
    if not 0 < check.number(eps) < limit:
        label = joint.x_labels[worst]
        raise ValueError(
            f"eps = {eps!r}: it must be a number above 0 and below {limit:.6g}, where a tilt in the unit disk "
            f"takes all probability from {joint.x_name} = {label!r}"
        )
    return float(eps)
