"""The minimiser behind exact training, on functions whose minima, symmetries and saddles are known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from ufs._minimize import Path, minimize


@dataclass
class Squares:
    """Half the sum of squares of residuals in theta, with their first and second derivatives."""

    residuals: Callable[..., Any]
    jacobian: Callable[..., Any]
    bends: Callable[..., Any]  # the Hessian of each residual
    flat: int = 0

    def value_and_gradient(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        r = np.array(self.residuals(*theta))
        return float(r @ r / 2), np.array(self.jacobian(*theta)).T @ r

    def hessian(self, theta: np.ndarray) -> np.ndarray:
        J = np.array(self.jacobian(*theta))
        return J.T @ J + np.tensordot(self.residuals(*theta), self.bends(*theta), 1)

    def symmetries(self, theta: np.ndarray) -> int:
        return self.flat

    def idle(self, theta: np.ndarray) -> str:
        return ""

    def smooth(self, theta: np.ndarray) -> bool:
        return True

    def lost(self, theta: np.ndarray, flat: np.ndarray) -> str:
        return ""


VALLEY = Squares(
    lambda x, y: [1 - x, 10 * (y - x**2)],
    lambda x, y: [[-1, 0], [-20 * x, 10]],
    lambda x, y: [np.zeros((2, 2)), [[-20, 0], [0, 0]]],
)
PRODUCT = Squares(
    lambda x, y: [x * y - 1], lambda x, y: [[y, x]], lambda x, y: [[[0, 1], [1, 0]]], flat=1
)  # the same for (c x, y / c)
ESCAPING = Squares(lambda x: [np.exp(-x)], lambda x: [[-np.exp(-x)]], lambda x: [[[np.exp(-x)]]])


def descend(
    objective: Squares, start: list[float], tolerance: float = 1e-10, max_steps: int = 500
) -> tuple[Path, str, list[tuple[int, np.ndarray]]]:
    seen = []
    path = Path(objective, np.array(start, dtype=float), lambda step, theta: seen.append((step, theta)))
    return path, minimize(path, tolerance, max_steps), seen


@pytest.mark.parametrize("start", [[-1.2, 1.0], [3.0, -3.0], [1.0, 1.0]])
def test_a_bent_valley_is_followed_to_its_minimum(start: list[float]) -> None:
    path, fault, _ = descend(VALLEY, start)
    assert not fault
    np.testing.assert_allclose(path.theta, 1, atol=1e-12)


@pytest.mark.parametrize("start", [[2.0, 3.0], [0.5, 0.1], [-1.0, -4.0]])
def test_a_symmetry_is_no_reason_to_go_on(start: list[float]) -> None:
    path, fault, _ = descend(PRODUCT, start)
    assert not fault
    assert path.gradients[-1] < 1e-12
    assert path.theta[0] * path.theta[1] == pytest.approx(1, abs=1e-12)


def test_a_saddle_without_slope_is_left() -> None:
    path, fault, _ = descend(PRODUCT, [0.0, 0.0])
    assert not fault
    assert path.gradients[0] == 0
    assert path.losses[-1] < 1e-25


def test_a_saddle_of_fourth_order_is_left_beside_a_wall_that_bends_faster() -> None:
    """Along straight lines from zero the wall 10 (w - x²) adds more than the product takes off."""
    bends = np.zeros((2, 5, 5))
    bends[1, 0, 0] = -20

    def of_the_product(*theta: float) -> np.ndarray:
        result = bends.copy()
        for i, j in np.argwhere(~np.eye(4, dtype=bool)):
            result[0, i, j] = np.prod(np.delete(theta[:4], [i, j]))
        return result

    chain = Squares(
        lambda *theta: [np.prod(theta[:4]) - 1, 10 * (theta[4] - theta[0] ** 2)],
        lambda *theta: [[*(np.prod(np.delete(theta[:4], i)) for i in range(4)), 0], [-20 * theta[0], 0, 0, 0, 10]],
        of_the_product,
        flat=3,
    )
    path, fault, _ = descend(chain, [0.0] * 5)
    assert not fault
    assert path.gradients[0] == 0
    assert path.losses[0] == 0.5
    assert path.losses[-1] < 1e-20


def test_what_the_objective_says_against_a_minimum_is_told() -> None:
    class Doubtful(Squares):
        def lost(self, theta: np.ndarray, flat: np.ndarray) -> str:
            assert flat.shape == (2, 1)
            return "for a reason"

    class Blind(Squares):
        def idle(self, theta: np.ndarray) -> str:
            return "for another"

    for kind, fault in ((Doubtful, "for a reason"), (Blind, "for another")):
        product = kind(PRODUCT.residuals, PRODUCT.jacobian, PRODUCT.bends, flat=1)
        assert descend(product, [2.0, 3.0])[1] == fault


def test_an_infimum_at_infinity_is_no_minimum() -> None:
    path, fault, _ = descend(ESCAPING, [0.0])
    assert fault
    assert path.gradients[-1] < 1e-10


def test_steps_are_counted_visited_and_limited() -> None:
    path, fault, seen = descend(VALLEY, [-1.2, 1.0], max_steps=6)
    assert fault
    assert path.steps == 6
    assert [step for step, _ in seen] == list(range(7))
    np.testing.assert_array_equal(seen[0][1], [-1.2, 1.0])
    np.testing.assert_array_equal([VALLEY.value_and_gradient(theta)[0] for _, theta in seen], path.losses)
    assert (np.diff(path.losses) < 0).all()
