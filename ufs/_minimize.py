"""Minimising a smooth loss until its gradient is rounding, whatever symmetries it has: L-BFGS, then Newton steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.optimize import minimize as scipy_minimize

Array: TypeAlias = NDArray[np.float64]

FLAT = 1e-13  # a curvature that may be rounding, relative to the largest
BENT = 10  # curvature that a straight step sees along a bent flat path, relative to the norm of the gradient
ROUNDING = 1e-16  # of a component of the gradient, relative to 1 + the norm of the weights
SETTLED = 1e-6  # a Newton step is the last one if it is shorter than this, relative to 1 + the norm of the weights
POLISH = 50  # Newton steps at most from the first small gradient to a settled one
GROWN = 2  # norm of the weights in the flat directions, relative to 1 + the norm of all weights at the start
SEARCHED = 8  # random flat directions in which a lower loss is looked for
UNSETTLED = "Newton steps do not settle"
RUNAWAY = "the weights have grown in directions in which the loss has become flat"


class Objective(Protocol):
    """A loss of at least 0 that is computed as a sum of squares."""

    def value_and_gradient(self, theta: Array, /) -> tuple[float, Array]:
        """Both at once."""

    def hessian(self, theta: Array, /) -> Array:
        """Matrix of second derivatives."""

    def symmetries(self, theta: Array, /) -> int:
        """In how many directions the loss is flat wherever theta is."""

    def lost(self, theta: Array, flat: Array, /) -> str:
        """Why there is no minimum where the loss is flat in the columns of ``flat``; empty if nothing tells so."""

    def smooth(self, theta: Array, /) -> bool:
        """Whether no rectifier is at rest: then directions may be flat without a saddle of higher order."""

    def idle(self, theta: Array, /) -> str:
        """Why a minimum is one only because the loss does not see some of the weights; empty if it sees them."""


class Path:
    """Where the descent is, and what it has passed.

    Parameters
    ----------
    objective : Objective
    start : ndarray, shape (n,)
    visit : callable
        Called with (step, theta) at the start and after each step.
    """

    def __init__(self, objective: Objective, start: Array, visit: Callable[[int, Array], None]) -> None:
        self.objective, self.start, self.visit = objective, start, visit
        self.losses: list[float] = []
        self.gradients: list[float] = []
        self.norms: list[float] = []
        self.newton_step = np.inf
        self.move(start)

    def move(self, theta: Array) -> None:
        """Take a step; L-BFGS reuses its vector, hence the copy."""
        self.theta = theta.copy()
        self.value, self.gradient = self.objective.value_and_gradient(self.theta)
        self.losses.append(self.value)
        self.gradients.append(float(np.linalg.norm(self.gradient)))
        self.norms.append(float(np.linalg.norm(self.theta)))
        self.visit(self.steps, self.theta)

    @property
    def steps(self) -> int:
        return len(self.losses) - 1


def minimize(path: Path, tolerance: float, max_steps: int) -> str:
    """Go from the path's start to a minimum, with L-BFGS for at most half of the steps; what it has instead of one."""
    if path.gradients[0] > tolerance:
        scipy_minimize(
            path.objective.value_and_gradient,
            path.theta,
            method="L-BFGS-B",
            jac=True,
            callback=path.move,
            options={
                "maxiter": max(1, max_steps // 2),
                "maxfun": 10 * max_steps,
                "maxcor": 30,
                "gtol": tolerance,
                "ftol": 0.0,
            },
        )
    return _newton(path, tolerance, max_steps)


def _newton(path: Path, tolerance: float, max_steps: int) -> str:
    """Newton steps in a trust region until they settle at a minimum; why they do not, if they do not."""
    radius, polish, own = 0.5 * (1 + path.norms[-1]), 0, path.objective.symmetries(path.start)
    while True:
        curvature, axes = np.linalg.eigh(path.objective.hessian(path.theta))
        slope, scale = axes.T @ path.gradient, 1 + path.norms[-1]
        bend = _bend(slope, curvature, scale)
        path.newton_step = float(np.linalg.norm(slope / bend)) / scale
        if path.gradients[-1] <= tolerance and path.newton_step <= SETTLED:
            flat = axes[:, np.isinf(bend)]
            if fault := path.objective.lost(path.theta, flat) if flat.size else "":
                return fault
            more = flat.shape[1] > own
            if _escape(path, float(curvature[0]), axes[:, 0]) or (
                more and path.objective.smooth(path.theta) and _descend(path, axes, bend)
            ):
                polish = 0
                if path.steps >= max_steps:
                    return UNSETTLED
                continue
            if more and np.linalg.norm(flat.T @ path.theta) > GROWN * (1 + path.norms[0]):
                return RUNAWAY
            _try(path, path.theta - axes @ (slope / bend), 0.0, tolerance)
            return path.objective.idle(path.theta) if flat.size else ""
        polish += path.gradients[-1] <= tolerance
        if polish > POLISH or path.steps >= max_steps:
            return UNSETTLED
        gain = None
        while gain is None:
            step = _within(radius, slope, bend)
            length = float(np.linalg.norm(step))
            predicted = -float(step @ (slope + curvature * step / 2))
            gain = _try(path, path.theta + axes @ step, predicted, tolerance)
            if gain is None:
                radius = length / 4
                if radius < 1e-12 * scale:
                    return UNSETTLED
            elif gain > 0.75 and length > 0.9 * radius:
                radius = min(2 * radius, scale)


def _bend(slope: Array, curvature: Array, scale: float) -> Array:
    """What each component of the slope is divided by: the modulus of the curvature, so that saddles repel.

    Infinite in flat directions, so that no step goes there; bounded below in those that only look flat.
    """
    least = FLAT * np.abs(curvature).max()
    level = np.abs(slope) <= ROUNDING * scale
    flat = level & (np.abs(curvature) <= least + BENT * float(np.linalg.norm(slope)))
    bend: Array = np.where(flat, np.inf, np.maximum(np.abs(curvature), least))
    return bend


def _within(radius: float, slope: Array, bend: Array) -> Array:
    """The step of a trust region, in the Hessian's axes."""

    def excess(shift: float) -> float:
        return 1 / radius - 1 / float(np.linalg.norm(slope / (bend + shift)))

    shift = 0.0
    if np.linalg.norm(slope / bend) > radius:
        shift = float(brentq(excess, 0.0, float(np.linalg.norm(slope)) / radius, xtol=1e-300, rtol=1e-3))
    return -slope / (bend + shift)


def _try(path: Path, theta: Array, predicted: float, tolerance: float) -> float | None:
    """Move if that lowers the loss; where the loss cannot tell, if it lowers the gradient or leaves it small.

    Returns the gain over the predicted one (1 where the loss cannot tell), or None where the run stays.
    """
    value, gradient = path.objective.value_and_gradient(theta)
    resolution, slope = _resolution(path), float(np.linalg.norm(gradient))
    if predicted > resolution:
        gain, moves = (path.value - value) / predicted, path.value - value > 1e-4 * predicted
    else:
        gain, moves = 1.0, slope < path.gradients[-1] or (slope <= tolerance and value - path.value <= resolution)
    if not moves:
        return None
    path.move(theta)
    return gain


def _escape(path: Path, curvature: float, axis: Array) -> bool:
    """Leave a saddle along its axis of negative curvature, if there is one and the loss falls there."""
    for length in (1 + path.norms[-1]) * np.geomspace(0.3, 1e-3, 6):
        predicted = -curvature * length**2 / 2
        if predicted < _resolution(path):
            return False
        for theta in (path.theta + length * axis, path.theta - length * axis):
            value, _ = path.objective.value_and_gradient(theta)
            if path.value - value > 0.1 * predicted:
                path.move(theta)
                return True
    return False


def _descend(path: Path, axes: Array, bend: Array) -> bool:
    """Leave a saddle of higher order, where slope and curvature vanish, for a lower place off a flat direction.

    A Newton step in the other directions takes off what they add, which is of lower order than what is looked for.
    """
    flat = np.isinf(bend)
    directions = np.random.default_rng(0).standard_normal((SEARCHED, int(flat.sum()))) @ axes[:, flat].T
    directions /= np.linalg.norm(directions, axis=1)[:, None]
    for length in (1 + path.norms[-1]) * np.geomspace(0.3, 1e-3, 6):
        for step in length * np.vstack([directions, -directions]):
            _, gradient = path.objective.value_and_gradient(path.theta + step)
            place = path.theta + step - axes @ ((axes.T @ gradient) / bend)
            value, _ = path.objective.value_and_gradient(place)
            if path.value - value > 10 * _resolution(path):
                path.move(place)
                return True
    return False


def _resolution(path: Path) -> float:
    """Differences of the loss below this are rounding: it is a sum of squares, each with a rounding of its root."""
    return 1e-14 * (path.value + float(np.sqrt(path.value)))
