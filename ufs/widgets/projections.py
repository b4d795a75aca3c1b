"""Step the backward and the forward projection in turn, and see one feature turn towards the first mode."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import traitlets

from ufs.joint import Joint
from ufs.widgets.figure import Figure, fallback_table, module, rounded, side, strongest

__all__ = ["Projections", "projections"]

MOST = 12  # steps: six passes of a backward and a forward projection
START = 70.0  # degrees


class Projections(Figure):
    r"""Alternating projections with k = 1 on an alphabet of three, where the space of features is a plane.

    Made by :func:`projections`. The steps are computed by the figure itself. In a notebook ``angle`` and ``step`` can
    be read, observed and set.

    Attributes
    ----------
    angle : float
        Direction of the feature from which the steps start, in degrees from :math:`\psi_1^X` towards
        :math:`\psi_2^X`.
    step : int
        How many projections have been made; the odd ones are backward.
    """

    _esm = module("projections")
    _state: ClassVar[tuple[str, ...]] = ("angle", "step")

    figure = traitlets.Unicode("projections", read_only=True).tag(sync=True)
    angle = traitlets.Float(START).tag(sync=True)
    step = traitlets.Int(0, min=0, max=MOST).tag(sync=True)

    def __init__(self, joint: Joint) -> None:
        found = strongest(joint, 2)
        if joint.px.size != 3:
            raise ValueError(
                f"{joint.x_name} has {joint.px.size} symbols: only for three of them the features of zero mean fill a "
                "plane; merge rows of the table"
            )
        if found.sigma[0] - found.sigma[1] <= 1e-9:
            raise ValueError(f"σ₁ = σ₂ = {found.sigma[0]:.6g}: there is no first mode for the feature to turn to")
        data = {
            "sigma": found.sigma.tolist(),
            "most": MOST,
            "x": side(joint.x_name, joint.x_labels, found.f),
            "y": side(joint.y_name, joint.y_labels, found.g),
        }
        super().__init__(data=rounded(data))

    def fallback(self) -> str:
        """Return a table of tangents, pass by pass, as HTML."""
        first, second = self.data["sigma"]
        rate = (second / first) ** 2
        return fallback_table(
            "A backward and a forward projection multiply the tangent of the angle to the first mode by (σ₂/σ₁)².",
            ("σ₁", "σ₂", "(σ₂/σ₁)²"),
            [(f"{first:.3f}", f"{second:.3f}", f"{rate:.3f}")],
        )

    def __repr__(self) -> str:
        x, y = (self.data[key]["name"] for key in "xy")
        return f"<Projections of {x} and {y}: angle {self.angle:g}, step {self.step}>"

    @traitlets.validate("angle")
    def _direction(self, proposal: Any) -> float:
        if not np.isfinite(proposal["value"]):
            raise traitlets.TraitError(f"angle = {proposal['value']}: give degrees")
        return float(proposal["value"]) % 360


def projections(joint: Joint) -> Projections:
    r"""Interactive figure of alternating projections with one feature (R10, R11), step by step.

    A pass, backward and forward, multiplies the tangent of the angle between s and :math:`f_1` by
    :math:`(\sigma_2/\sigma_1)^2`.

    Parameters
    ----------
    joint : Joint
        With three symbols of X, so that its features of zero mean fill a plane, at least three of Y, and σ₁ > σ₂.

    Returns
    -------
    Projections
        To be shown as the last expression of a cell.

    Raises
    ------
    ValueError
        For other numbers of symbols, and if σ₁ = σ₂.

    Examples
    --------
    >>> projections(Joint([[0.20, 0.06, 0.04], [0.06, 0.20, 0.04], [0.04, 0.04, 0.32]]))
    <Projections of X and Y: angle 70, step 0>
    """
    return Projections(joint)
