"""The claims of the chapter on weights as projections, for other seeds, sizes and strengths."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import pytest
from scipy.optimize import approx_fprime, lsq_linear, minimize, root

import ufs

Array: TypeAlias = np.ndarray


def table(seed: int, shape: tuple[int, int], strength: float = 1.0) -> ufs.Joint:
    """A table of uniform random numbers, its dependence multiplied by the strength."""
    return ufs.Joint.from_counts(np.random.default_rng(seed).random(shape)).faded(strength)


def said(s: Array, v: Array, b: Array, joint: ufs.Joint) -> Array:
    """What the layer says of the dependence, M."""
    M = s @ v.T + b - np.log(joint.py)
    return M - (M @ joint.py)[:, None]


def length(M: Array, joint: ufs.Joint) -> float:
    return float(np.sqrt(np.sum(np.outer(joint.px, joint.py) * M**2)))


def rest(s: Array, v: Array, b: Array, joint: ufs.Joint) -> Array:
    """Derivative of the exact loss by the logits."""
    return joint.px[:, None] * ufs.posterior(s, v, b) - joint.P


def zero(gradient: Callable[[Array], Array], start: Array) -> Array:
    found = root(lambda z: gradient(z.reshape(start.shape)).ravel(), start, method="lm", tol=1e-15)
    assert np.abs(found.fun).max() < 1e-12
    return found.x.reshape(start.shape)


def exact_weights(s: Array, joint: ufs.Joint) -> tuple[Array, Array]:
    inputs = np.column_stack([s, np.ones(len(s))])
    start = np.column_stack(ufs.optimal_weights(s, joint))
    found = zero(lambda z: rest(s, z[:, :-1], z[:, -1], joint).T @ inputs, start)
    return found[:, :-1], found[:, -1]


def exact_features(v: Array, b: Array, joint: ufs.Joint) -> Array:
    return zero(lambda z: rest(z, v, b, joint) @ v, ufs.optimal_features(v, b, joint))


# ---- R10 and R11: the bound ------------------------------------------------------------------------------------------


def misses_within_bound(local: Array, exact: Array, joint: ufs.Joint) -> bool:
    size = length(local, joint)
    delta = size / np.sqrt(joint.px.min() * joint.py.min())
    assert 0.003 < delta <= 0.25
    return length(exact - local, joint) <= 1.5 * delta * size


@pytest.mark.parametrize(("shape", "k"), [((8, 6), 2), ((3, 5), 1), ((6, 4), 3)])
@pytest.mark.parametrize("seed", range(4))
def test_the_backward_projection_is_within_its_bound(shape: tuple[int, int], k: int, seed: int) -> None:
    joint = table(seed, shape, 0.01)
    s = np.random.default_rng(seed).standard_normal((shape[0], k)) + 2
    local, exact = (said(s, *head, joint) for head in (ufs.optimal_weights(s, joint), exact_weights(s, joint)))
    assert misses_within_bound(local, exact, joint)


@pytest.mark.parametrize(("shape", "k"), [((8, 6), 2), ((3, 5), 1), ((6, 4), 3)])
@pytest.mark.parametrize("seed", range(4))
def test_the_forward_projection_is_within_its_bound(shape: tuple[int, int], k: int, seed: int) -> None:
    joint = table(seed, shape, 0.01)
    rng = np.random.default_rng(seed)
    v = rng.standard_normal((shape[1], k))
    b = np.log(joint.py) - v @ rng.standard_normal(k) + 0.002 * rng.standard_normal(shape[1])
    local, exact = (said(s, v, b, joint) for s in (ufs.optimal_features(v, b, joint), exact_features(v, b, joint)))
    assert misses_within_bound(local, exact, joint)


# ---- the bias --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_best_weights_for_a_frozen_bias(seed: int) -> None:
    joint = table(seed, (7, 5), 0.3)
    rng = np.random.default_rng(seed)
    s, b = rng.random((7, 2)), np.log(joint.py) + 0.1 * rng.standard_normal(5)
    free, own = ufs.optimal_weights(s, joint)
    mean = joint.px @ s
    inverse = np.linalg.inv((s - mean).T @ (joint.px[:, None] * (s - mean)))
    tau = mean @ inverse @ mean
    d = b - np.log(joint.py)
    mismatch = free @ mean + d - joint.py @ d
    v = free - np.outer(mismatch, inverse @ mean) / (1 + tau)
    least = ufs.local_log_loss(s, v, b, joint)
    excess = joint.py @ mismatch**2 / (2 * (1 + tau))
    assert least - ufs.local_log_loss(s, free, own, joint) == pytest.approx(excess, rel=1e-9)
    for size in (1e-3, 0.1, 1):
        assert ufs.local_log_loss(s, v + size * rng.standard_normal(v.shape), b, joint) > least


def test_a_bias_at_the_marginal_puts_second_moments_in_the_place_of_the_covariance() -> None:
    joint = table(5, (6, 6), 0.01)
    s = np.random.default_rng(5).random((6, 2))
    log_py = np.log(joint.py)
    conditional = (joint.P / joint.py).T @ (s - joint.px @ s)
    v = conditional @ np.linalg.inv(s.T @ (joint.px[:, None] * s))
    exact = zero(lambda z: rest(s, z, log_py, joint).T @ s, v)
    exact -= joint.py @ exact
    free, _ = ufs.optimal_weights(s, joint)
    assert np.linalg.norm(exact - v) < 0.05 * np.linalg.norm(exact)
    assert np.linalg.norm(exact - free) > 0.5 * np.linalg.norm(exact)


@pytest.mark.parametrize("seed", range(4))
def test_every_trained_bias_makes_up_for_the_mean_of_the_features(seed: int) -> None:
    """Features of any kind, here with dependent columns: only the last layer has to be at its best."""
    eps, mismatches = np.geomspace(1e-3, 1e-2, 3), []
    rng = np.random.default_rng(seed)
    s = rng.random((7, 1)) + 1
    for e in eps:
        joint = table(seed, (7, 5), e)
        v, b = exact_weights(s, joint)
        d = b - np.log(joint.py)
        mismatch = (v - joint.py @ v) @ (joint.px @ s) + d - joint.py @ d
        mismatches.append(np.sqrt(joint.py @ mismatch**2))
        size = np.linalg.norm(ufs.dtm(joint))
        delta = size / np.sqrt(joint.px.min() * joint.py.min())
        assert delta <= 0.25
        assert mismatches[-1] <= 1.5 * delta * size
    assert ufs.remainder_order(mismatches, eps) == pytest.approx(2, abs=0.1)


# ---- a box -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("k", "seed"), [(1, 0), (1, 1), (2, 2), (2, 3), (3, 4)])
def test_features_in_a_box_are_the_nearest_to_the_forward_projection(k: int, seed: int) -> None:
    joint = table(seed, (5, 6), 0.5)
    v = np.random.default_rng(seed).standard_normal((6, k))
    b = np.log(joint.py)
    s = ufs.optimal_features(v, b, joint)
    centred = np.sqrt(joint.py)[:, None] * (v - joint.py @ v)
    nearest = np.array([lsq_linear(centred, centred @ row, (0, 1), tol=1e-14).x for row in s])
    if k == 1:
        np.testing.assert_allclose(nearest, np.clip(s, 0, 1), atol=1e-9)
    assert np.any((nearest < 1e-6) | (nearest > 1 - 1e-6))  # some symbol wants to leave
    found = minimize(
        lambda z: ufs.local_log_loss(z.reshape(5, k), v, b, joint), np.full(5 * k, 0.5), bounds=[(0, 1)] * 5 * k
    )
    assert ufs.local_log_loss(nearest, v, b, joint) <= found.fun + 1e-12
    np.testing.assert_allclose(found.x.reshape(5, k), nearest, atol=2e-3)


# ---- alternating -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("shape", "k", "seed"), [((8, 6), 1, 1), ((8, 6), 3, 2), ((4, 9), 2, 3)])
def test_alternation_lowers_the_local_loss_to_its_minimum_at_the_rate_of_ace(
    shape: tuple[int, int], k: int, seed: int
) -> None:
    joint = table(seed, shape)
    sigma, f = ufs.modes(joint).sigma, ufs.modes(joint, k).f
    s = np.random.default_rng(seed).standard_normal((shape[0], k)) + 1
    tangents, losses = [], []
    for _ in range(400):
        tangents.append(np.tan(ufs.feature_angles(s, f, joint.px)[-1]))
        v, b = ufs.optimal_weights(s, joint)
        losses.append(ufs.local_log_loss(s, v, b, joint))
        s = ufs.optimal_features(v, b, joint)
        losses.append(ufs.local_log_loss(s, v, b, joint))
    after, before = np.array(tangents[1:]), np.array(tangents[:-1])
    seen = before > 1e-6
    assert np.all(after[seen] <= (sigma[k] / sigma[k - 1]) ** 2 * before[seen] * (1 + 1e-6))
    assert np.all(np.diff(losses) <= 1e-14)
    assert losses[-1] == pytest.approx(0.5 * np.sum(sigma[k:] ** 2), rel=1e-6)


def test_a_start_that_misses_a_mode_stays_without_it() -> None:
    """The condition on the angle is needed: the loss then tends to another value."""
    joint = table(4, (6, 6))
    m = ufs.modes(joint)
    s = m.f[:, 1:2]
    for _ in range(5):
        s = ufs.optimal_features(*ufs.optimal_weights(s, joint), joint)
    loss = ufs.local_log_loss(s, *ufs.optimal_weights(s, joint), joint)
    assert loss == pytest.approx(0.5 * (np.sum(m.sigma**2) - m.sigma[1] ** 2), rel=1e-9)


def test_the_exact_alternation_has_the_same_factor_in_the_limit() -> None:
    away, eps = [], np.array([1e-3, 1e-2])
    for e in eps:
        joint = table(1, (5, 4), e)
        sigma = ufs.modes(joint).sigma
        s = np.random.default_rng(0).random((5, 1))
        run = [s]
        for _ in range(10):
            s = exact_features(*exact_weights(s, joint), joint)
            run.append(s)
        angles = [ufs.feature_angles(s, run[-1], joint.px)[-1] for s in run[2:5]]
        away.append(abs(angles[2] / angles[1] - (sigma[1] / sigma[0]) ** 2))
    assert away[0] < 0.01
    assert away[0] < 0.3 * away[1]


# ---- the flow --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weighted", [True, False])
def test_weights_leave_zero_at_the_rates_of_the_singular_values(weighted: bool) -> None:
    joint = table(6, (6, 5))
    wx, wy = (joint.px, joint.py) if weighted else (np.ones(6), np.ones(5))
    C = (joint.P - np.outer(joint.px, joint.py)) / np.sqrt(np.outer(wx, wy))
    a, gamma, c = np.linalg.svd(C, full_matrices=False)
    if weighted:
        np.testing.assert_allclose(gamma[:4], ufs.modes(joint).sigma, rtol=1e-9)
    rng = np.random.default_rng(6)
    s, v, b = 1e-9 * rng.standard_normal((6, 3)), 1e-9 * rng.standard_normal((5, 3)), np.log(joint.py)

    def parts(s: Array, v: Array) -> tuple[Array, Array]:
        p, q = (a * np.sqrt(wx)[:, None]).T @ s, (c.T * np.sqrt(wy)[:, None]).T @ v
        return p + q, p - q

    growing, dying = parts(s, v)
    steps, dt = 50, 0.01 / gamma[0]
    for _ in range(steps):
        R = rest(s, v, b, joint)
        s, v, b = (
            s - dt * (R @ v) / wx[:, None],
            v - dt * (R.T @ s) / wy[:, None],
            b - dt * R.sum(axis=0) / wy,
        )
    after = parts(s, v)
    np.testing.assert_allclose(after[0], (1 + dt * gamma)[:, None] ** steps * growing, atol=1e-14)
    np.testing.assert_allclose(after[1], (1 - dt * gamma)[:, None] ** steps * dying, atol=1e-14)
    np.testing.assert_allclose(b, np.log(joint.py), atol=1e-14)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_an_aligned_mode_grows_along_the_logistic_curve(k: int) -> None:
    """The field of the weighted flow of the local loss, at an aligned and balanced point, by differences."""
    joint = table(7, (5, 4))
    m = ufs.modes(joint, k)
    turn = np.linalg.qr(np.random.default_rng(k).standard_normal((k, k)))[0]
    u = m.sigma * np.array([0.1, 0.5, 0.8])[:k]
    s, v, b = m.f * np.sqrt(u) @ turn, m.g * np.sqrt(u) @ turn, np.log(joint.py)

    def slope(z: Array, loss: Callable[[Array], float]) -> Array:
        steps = approx_fprime(z.ravel(), lambda flat: loss(flat.reshape(z.shape)), 1e-6)
        result: Array = steps.reshape(z.shape)
        return result

    grown = (m.sigma - u) * np.sqrt(u)  # d/dt of the root of u
    by_s = -slope(s, lambda z: ufs.local_log_loss(z, v, b, joint)) / joint.px[:, None]
    by_v = -slope(v, lambda z: ufs.local_log_loss(s, z, b, joint)) / joint.py[:, None]
    by_b = -slope(b, lambda z: ufs.local_log_loss(s, v, z, joint)) / joint.py
    np.testing.assert_allclose(by_s, m.f * grown @ turn, atol=1e-5)
    np.testing.assert_allclose(by_v, m.g * grown @ turn, atol=1e-5)
    np.testing.assert_allclose(by_b, 0, atol=1e-5)
