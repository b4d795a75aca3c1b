"""What the chapter on real networks proves, on other tables, seeds and sizes than it shows."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

import ufs

Array = np.ndarray


def table(seed: int, shape: tuple[int, int] = (8, 4), balanced: bool = False) -> ufs.Joint:
    cells = np.random.default_rng(seed).gamma(0.3, size=shape) + 1e-3
    return ufs.Joint.from_counts(cells / cells.sum(axis=0) if balanced else cells)


def affine_rule(s: Array, v: Array, joint: ufs.Joint) -> Array:
    """q_v(y|x), shape (|X|, |Y|)."""
    q: Array = joint.py * (1 + (s - joint.px @ s) @ (v - joint.py @ v).T)
    return q


def loss(q: Array, joint: ufs.Joint) -> float:
    """Mean of the squared errors of a rule, each class divided by its probability; cell by cell."""
    total = 0.0
    for x, row in enumerate(joint.P):
        for y, mass in enumerate(row):
            total += mass * float(np.sum((np.eye(len(joint.py))[y] - q[x]) ** 2 / joint.py))
    return total


def error(q: Array, joint: ufs.Joint) -> float:
    """Probability that another class is rated as high as the true one."""
    total = 0.0
    for x, row in enumerate(joint.P):
        for y, mass in enumerate(row):
            total += mass * float(np.delete(q[x], y).max() >= q[x, y])
    return total


def best_error(s: Array, joint: ufs.Joint) -> float:
    """Error of the best classifier that sees s only."""
    values, group = np.unique(s, axis=0, return_inverse=True)
    cells = np.zeros((len(values), len(joint.py)))
    np.add.at(cells, group.ravel(), joint.P)
    return 1 - float(cells.max(axis=1).sum())


# ---- what the score promises -----------------------------------------------------------------------------------------


@pytest.mark.result("X3")
@pytest.mark.parametrize("seed", range(4))
def test_the_loss_of_the_affine_rule_is_what_the_score_leaves(seed: int) -> None:
    rng, joint = np.random.default_rng(100 + seed), table(seed, (9, 3 + seed % 2))
    g = len(joint.py)
    s = rng.standard_normal((9, 2)) @ rng.standard_normal((2, 3))
    best, _ = ufs.optimal_weights(s, joint)
    least = g - 1 - 2 * ufs.h_score(s, joint)
    assert loss(affine_rule(s, best, joint), joint) == pytest.approx(least, abs=1e-12)
    for scale in (0.1, 1.0, 10.0):
        v = best + scale * rng.standard_normal(best.shape)
        found = loss(affine_rule(s, v, joint), joint)
        assert found == pytest.approx(g - 1 - 2 * ufs.h_score_pair(s, v, joint), rel=1e-11, abs=1e-11)
        assert found >= least - 1e-12
    affine = joint.py + s @ rng.standard_normal((3, g)) / 10
    assert loss(affine, joint) >= least  # any rule that is affine in s


@pytest.mark.result("X3")
def test_the_affine_rule_errs_within_its_bound() -> None:
    rng, near = np.random.default_rng(1), []
    for seed in range(60):
        joint = table(seed, (8, 2 + seed % 4), balanced=seed % 2 == 0)
        s = rng.standard_normal((8, 3))
        v, _ = ufs.optimal_weights(s, joint)
        for w in (v, v + rng.standard_normal(v.shape)):
            missing = len(joint.py) - 1 - 2 * ufs.h_score_pair(s, w, joint)
            bound = np.sort(joint.py)[-2:].sum() * missing
            near.append(error(affine_rule(s, w, joint), joint) / bound)
    assert max(near) <= 1 + 1e-12
    assert max(near) > 0.5  # and the bound says something


@pytest.mark.parametrize("g", [2, 3, 7])
def test_the_factor_cannot_be_lowered(g: int) -> None:
    ratios = []
    for tau, eta in ((0.3, 1e-2), (0.1, 1e-3), (0.01, 1e-5)):
        mixed = (1 - tau) / 2 * np.eye(g) + (1 + tau) / 2 * np.roll(np.eye(g), 1, axis=0)
        joint = ufs.Joint(np.vstack([(1 - eta) * np.eye(g), eta * np.eye(g)]) / g)
        s = np.vstack([np.eye(g), mixed])
        v, _ = ufs.optimal_weights(s, joint)
        q = affine_rule(s, v, joint)
        assert error(q, joint) == pytest.approx(eta, rel=1e-9)
        ratios.append(error(q, joint) / (2 / g * loss(q, joint)))
    assert np.all(np.diff(ratios) > 0)
    assert 0.97 < ratios[-1] <= 1


@pytest.mark.result("X3")
def test_the_best_classifier_keeps_the_promise() -> None:
    rng = np.random.default_rng(2)
    for seed in range(60):
        joint = table(seed, (10, 3 + seed % 3), balanced=seed % 2 == 0)
        s = rng.integers(3, size=(10, 2)) * 1.0
        g = len(joint.py)
        missing = g - 1 - 2 * ufs.h_score(s, joint)
        assert best_error(s, joint) <= joint.py.max() * missing + 1e-12
        if seed % 2 == 0:
            assert 1 - best_error(s, joint) >= (1 + 2 * ufs.h_score(s, joint)) / g - 1e-12
        posterior = joint.P / joint.px[:, None]
        missing = g - 1 - 2 * ufs.h_score(posterior, joint)
        assert joint.py.min() * missing / 2 <= best_error(posterior, joint) + 1e-12


# ---- what it leaves open ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("g", [3, 6])
def test_every_accuracy_is_compatible_with_a_score(g: int) -> None:
    joint, y = ufs.Joint(np.eye(g) / g), np.arange(1.0, g + 1)
    for r in range(1, g):
        powers = np.polynomial.legendre.legvander(2 * (y - 1) / (g - 1) - 1, r)[:, 1:]
        logits = 2 * np.outer(y, y) - y**2
        groups = np.eye(r + 1)[np.minimum(np.arange(g), r)][:, :r]
        assert ufs.h_score(powers, joint) == pytest.approx(r / 2, abs=1e-10)
        assert ufs.h_score(groups, joint) == pytest.approx(r / 2, abs=1e-12)
        assert np.array_equal(logits.argmax(axis=1), np.arange(g))
        assert best_error(groups, joint) == pytest.approx(1 - (r + 1) / g, abs=1e-12)
    coin = ufs.Joint(np.vstack([np.eye(g), np.eye(g)]) / (2 * g))
    signed = np.r_[y, -y][:, None]
    assert ufs.h_score(signed, coin) == pytest.approx(0, abs=1e-12)
    assert best_error(np.abs(signed), coin) == pytest.approx(0, abs=1e-12)


def test_a_layer_may_raise_the_score_up_to_half_of_chi2() -> None:
    rng, rose = np.random.default_rng(3), 0
    for seed in range(40):
        joint = table(seed, (9, 4))
        s = rng.standard_normal((9, 2))
        ceiling = ufs.chi2_divergence(joint.P, np.outer(joint.px, joint.py)) / 2
        t = np.maximum(s @ rng.standard_normal((2, 6)) + rng.standard_normal(6), 0)
        assert ufs.h_score(t, joint) <= ceiling + 1e-12
        assert ufs.h_score(s @ rng.standard_normal((2, 6)), joint) <= ufs.h_score(s, joint) + 1e-12
        assert ufs.h_score(joint.P / joint.px[:, None], joint) == pytest.approx(ceiling, abs=1e-12)
        rose += ufs.h_score(t, joint) > ufs.h_score(s, joint)
    assert rose > 20


# ---- exercises -------------------------------------------------------------------------------------------------------


def test_two_classes_by_cantelli() -> None:
    rng = np.random.default_rng(4)
    y = rng.permutation(np.arange(4000) % 2)
    for distance in (0.5, 1.5, 4.0):
        s = rng.standard_normal((4000, 3)) + distance * np.outer(y, [1, 0, 0])
        twice = 2 * ufs.h_score(s, y)
        exact = norm.cdf(-np.sqrt(twice / (1 - twice)))
        direction = np.linalg.solve(np.cov(s.T), s[y == 1].mean(axis=0) - s[y == 0].mean(axis=0))
        wrong = np.mean(((s - s.mean(axis=0)) @ direction > 0) != (y == 1))
        assert wrong == pytest.approx(exact, abs=0.03)
        assert wrong <= 1 - twice


def test_the_missing_share_is_at_most_the_collapse() -> None:
    rng, g = np.random.default_rng(5), 5
    for spread in (0.3, 2.0, 10.0):
        for _ in range(10):
            means = spread * rng.standard_normal((g, 7))
            root = rng.standard_normal((7, 7))
            within = root @ root.T
            centred = means - means.mean(axis=0)
            between = centred.T @ centred / g
            twice = np.trace(np.linalg.solve(between + within, between))
            collapse = np.trace(within @ np.linalg.pinv(between, rcond=1e-10, hermitian=True)) / g
            assert (g - 1 - twice) / g <= collapse + 1e-12


def test_no_narrow_layer_beats_the_modes() -> None:
    rng, joint = np.random.default_rng(6), table(7, (9, 5))
    most = np.sum(ufs.modes(joint, 2).sigma ** 2) / 2
    assert ufs.h_score(ufs.modes(joint, 2).f, joint) == pytest.approx(most, abs=1e-12)
    assert max(ufs.h_score(np.tanh(rng.standard_normal((9, 2))), joint) for _ in range(300)) <= most + 1e-12
