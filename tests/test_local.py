"""Local geometry: divergences to full precision, vectors and back, and what the theorems of chapter 1 promise."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal, localcontext
from typing import Any

import numpy as np
import pytest
from scipy.special import rel_entr

import ufs
from ufs import datasets

P0 = np.array([0.1, 0.15, 0.3, 0.45])


def pair(seed: int, p0: np.ndarray = P0) -> tuple[np.ndarray, np.ndarray]:
    """Two information vectors of length 1."""
    rng, root = np.random.default_rng(seed), np.sqrt(p0)
    phi = rng.standard_normal((2, p0.size))
    phi -= np.outer(phi @ root, root)
    return tuple(phi / np.linalg.norm(phi, axis=1, keepdims=True))


def exact_divergence(p: np.ndarray, q: np.ndarray) -> float:
    """Σ p log(p/q) - p + q in fifty digits: the last two terms add up to the rounding error of the sums."""
    with localcontext() as context:
        context.prec = 50
        cells = [(Decimal(float(a)), Decimal(float(b))) for a, b in zip(p, q, strict=True)]
        return float(sum(((a * (a / b).ln() if a else 0) - a + b for a, b in cells), Decimal(0)))


# ---- divergences -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("eps", [1e-8, 1e-6, 1e-4, 1e-2, 0.03, 0.1, 0.25])
@pytest.mark.parametrize("seed", range(4))
def test_divergence_has_full_precision_however_close(eps: float, seed: int) -> None:
    p1, p2 = (ufs.distribution(phi, P0, eps) for phi in pair(seed))
    for p, q in [(p1, p2), (p2, p1), (p1, P0), (P0, p1)]:
        assert ufs.kl_divergence(p, q) == pytest.approx(exact_divergence(p, q), rel=1e-13)


def test_divergence_of_distant_distributions_is_scipys() -> None:
    rng = np.random.default_rng(0)
    for p, q in rng.dirichlet(np.full(6, 0.3), (200, 2)):
        assert ufs.kl_divergence(p, q) == pytest.approx(rel_entr(p, q).sum(), rel=1e-12)


def test_divergence_where_the_series_takes_over() -> None:
    for t in (0.0999999, 0.1, 0.1000001, -0.0999999, -0.1000001):
        p, q = np.array([0.5 * (1 + t), 0.5 * (1 - t)]), np.array([0.5, 0.5])
        assert ufs.kl_divergence(p, q) == pytest.approx(exact_divergence(p, q), rel=1e-14)


def test_divergences_at_the_boundary() -> None:
    assert ufs.kl_divergence([0.5, 0.5], [1, 0]) == math.inf
    assert ufs.chi2_divergence([0.5, 0.5], [1, 0]) == math.inf
    assert ufs.kl_divergence([1, 0], [0.5, 0.5]) == pytest.approx(math.log(2), rel=1e-15)
    assert ufs.chi2_divergence([1, 0], [0.5, 0.5]) == 1
    assert ufs.kl_divergence([0.5, 0.5, 0], [0.25, 0.75, 0]) == ufs.kl_divergence([0.5, 0.5], [0.25, 0.75])
    assert ufs.chi2_divergence([0.5, 0.5, 0], [0.25, 0.75, 0]) == ufs.chi2_divergence([0.5, 0.5], [0.25, 0.75])
    assert ufs.kl_divergence(P0, P0) == ufs.chi2_divergence(P0, P0) == 0


def test_divergences_of_tables_are_those_of_a_joint() -> None:
    table = np.random.default_rng(1).dirichlet(np.ones(12)).reshape(3, 4)
    joint = ufs.Joint(table)
    independent = np.outer(joint.px, joint.py)
    assert ufs.kl_divergence(table, independent) == pytest.approx(joint.mutual_information(), rel=1e-12)
    assert ufs.chi2_divergence(table, independent) == pytest.approx(np.sum(ufs.dtm(joint) ** 2), rel=1e-12)
    np.testing.assert_allclose(ufs.information_vector(table, independent, 1).T, ufs.dtm(joint), rtol=1e-10)


def test_divergence_is_at_most_log_of_one_plus_chi2() -> None:
    rng = np.random.default_rng(2)
    for p, q in rng.dirichlet(np.full(5, 0.5), (500, 2)):
        assert ufs.kl_divergence(p, q) <= math.log1p(ufs.chi2_divergence(p, q))


# ---- vectors ---------------------------------------------------------------------------------------------------------


@pytest.mark.result("D2")
@pytest.mark.parametrize("eps", [1e-6, 0.01, 0.3, 2])
def test_distribution_and_vector_are_inverse(eps: float) -> None:
    for p in np.random.default_rng(3).dirichlet(np.full(4, 0.3), 50):
        phi = ufs.information_vector(p, P0, eps)
        assert phi @ np.sqrt(P0) == pytest.approx(0, abs=1e-15 / eps)
        assert phi @ phi * eps**2 == pytest.approx(ufs.chi2_divergence(p, P0), rel=1e-12)
        np.testing.assert_allclose(ufs.distribution(phi, P0, eps), p, atol=1e-15)


def test_a_distribution_with_zeros_comes_back() -> None:
    p = np.array([0, 0.5, 0, 0.5])
    for eps in (0.1, 1 / 3, 0.7, 1):
        back = ufs.distribution(ufs.information_vector(p, P0, eps), P0, eps)
        assert back.min() >= 0
        np.testing.assert_allclose(back, p, atol=1e-15)


@pytest.mark.result("D3")
def test_feature_mean_is_an_inner_product() -> None:
    rng = np.random.default_rng(4)
    h = rng.standard_normal((4, 3))
    h -= P0 @ h
    xi = ufs.feature_vector(h, P0)
    np.testing.assert_allclose(xi.T @ xi, h.T @ (P0[:, None] * h), rtol=1e-12)
    for eps in (1e-3, 0.1):
        p = ufs.sample_neighborhood(P0, eps, rng)
        np.testing.assert_allclose(p @ h, eps * ufs.information_vector(p, P0, eps) @ xi, atol=1e-15)
    np.testing.assert_array_equal(ufs.feature_vector(h[:, 1], P0), xi[:, 1])


@pytest.mark.result("D1")
def test_samples_fill_the_ball_uniformly() -> None:
    eps = 0.3
    p = ufs.sample_neighborhood(P0, eps, rng=5, size=20_000)
    assert p.shape == (20_000, 4)
    assert p.min() >= 0
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-14)
    phi = (p - P0) / (eps * np.sqrt(P0))
    radius = np.linalg.norm(phi, axis=1)
    assert radius.max() <= 1 + 1e-12
    # in three dimensions P(radius <= r) = r³, and E[φ φᵀ] = (1/5)(1 - √P₀ √P₀ᵀ)
    for r in (0.3, 0.6, 0.9):
        assert np.mean(radius <= r) == pytest.approx(r**3, abs=0.02)
    root = np.sqrt(P0)
    np.testing.assert_allclose(phi.T @ phi / len(p), (np.eye(4) - np.outer(root, root)) / 5, atol=0.01)


@pytest.mark.result("D1")
def test_the_limit_of_the_ball_is_sharp() -> None:
    limit = math.sqrt(0.1 / 0.9)
    root = np.sqrt(P0)
    worst = root[0] * root - np.eye(4)[0]  # least probability of the rarest symbol, for its length
    worst /= np.linalg.norm(worst)
    assert ufs.distribution(worst, P0, limit)[0] == pytest.approx(0, abs=1e-15)
    with pytest.raises(ValueError, match=r"P\[0\] would be -.*eps up to 0\.333333, and eps is 0\.34"):
        ufs.distribution(worst, P0, 0.34)
    ufs.sample_neighborhood(P0, limit, rng=0, size=100)
    with pytest.raises(ValueError, match=r"beyond 0\.333333 .*p0\[0\] = 0\.1 sets"):
        ufs.sample_neighborhood(P0, 0.34, rng=0)


def test_a_seed_gives_the_same_sample_again() -> None:
    np.testing.assert_array_equal(ufs.sample_neighborhood(P0, 0.1, 7), ufs.sample_neighborhood(P0, 0.1, 7))
    rng = np.random.default_rng(7)
    assert not np.array_equal(ufs.sample_neighborhood(P0, 0.1, rng), ufs.sample_neighborhood(P0, 0.1, rng))


# ---- the theorems ----------------------------------------------------------------------------------------------------

EPS = np.geomspace(1e-4, 0.05, 20)


def curve(f: Callable[[np.ndarray, np.ndarray], float], phi1: Any, phi2: Any, p0: Any = P0) -> np.ndarray:
    return np.array([f(ufs.distribution(phi1, p0, e), ufs.distribution(phi2, p0, e)) for e in EPS])


@pytest.mark.result("R1")
@pytest.mark.parametrize("seed", range(5))
def test_divergence_is_squared_length_up_to_order_three(seed: int) -> None:
    phi1, phi2 = pair(seed)
    local = EPS**2 / 2 * np.sum((phi1 - phi2) ** 2)
    remainder = curve(ufs.kl_divergence, phi1, phi2) - local
    delta = EPS / np.sqrt(P0.min())
    assert (np.abs(remainder) <= delta / (1 - delta) * local).all()
    assert ufs.remainder_order(remainder, EPS) == pytest.approx(3, abs=0.1)
    a, b = phi1 / np.sqrt(P0), phi2 / np.sqrt(P0)
    coefficient = -(P0 @ ((a - b) ** 2 * (a + 2 * b))) / 6
    assert remainder[0] / EPS[0] ** 3 == pytest.approx(coefficient, rel=0.01)


@pytest.mark.parametrize("seed", range(5))
def test_asymmetry_and_chi2_are_of_order_three_and_within_their_bound(seed: int) -> None:
    phi1, phi2 = pair(seed)
    one, two = curve(ufs.kl_divergence, phi1, phi2), curve(ufs.kl_divergence, phi2, phi1)
    chi2 = curve(ufs.chi2_divergence, phi1, phi2)
    cube = P0 @ np.abs((phi1 - phi2) / np.sqrt(P0)) ** 3
    delta = EPS / np.sqrt(P0.min())
    for remainder in (one - two, chi2 / 2 - one):
        assert (np.abs(remainder) <= EPS**3 * cube / (6 * (1 - delta) ** 2)).all()
        assert ufs.remainder_order(remainder, EPS) == pytest.approx(3, abs=0.1)
    signed = P0 @ ((phi1 - phi2) / np.sqrt(P0)) ** 3
    np.testing.assert_allclose([(one - two)[0], (chi2 / 2 - one)[0]] / EPS[0] ** 3, signed / 6, rtol=0.01)


@pytest.mark.result("R1")
def test_symmetry_raises_the_order() -> None:
    fair = np.array([0.5, 0.5])
    up, down = np.array([1, -1]) / math.sqrt(2), np.array([-0.4, 0.4]) / math.sqrt(2)
    remainder = curve(ufs.kl_divergence, up, down, fair) - EPS**2 / 2 * np.sum((up - down) ** 2)
    assert ufs.remainder_order(remainder, EPS) == pytest.approx(4, abs=0.05)
    phi, _ = pair(0)
    remainder = curve(ufs.kl_divergence, -phi, phi / 2) - EPS**2 / 2 * 2.25  # L1 = -2 L2
    assert ufs.remainder_order(remainder, EPS) == pytest.approx(4, abs=0.1)


@pytest.mark.result("R2")
@pytest.mark.parametrize("seed", range(3))
def test_mutual_information_is_half_of_chi2_up_to_order_three(seed: int) -> None:
    joint = ufs.Joint(np.random.default_rng(seed).dirichlet(np.full(12, 3.0)).reshape(3, 4))
    independent = np.outer(joint.px, joint.py)
    length = math.sqrt(ufs.chi2_divergence(joint.P, independent))
    tables = [independent + e / length * (joint.P - independent) for e in EPS]
    exact = np.array([ufs.kl_divergence(table, independent) for table in tables])
    chi2 = np.array([ufs.chi2_divergence(table, independent) for table in tables])
    np.testing.assert_allclose(chi2, EPS**2, rtol=1e-9)
    delta = EPS / math.sqrt(joint.px.min() * joint.py.min())
    assert (np.abs(exact - chi2 / 2) <= delta / (3 * (1 - delta)) * chi2 / 2).all()
    assert ufs.remainder_order(exact - chi2 / 2, EPS) == pytest.approx(3, abs=0.1)


@pytest.mark.result("D4")
def test_dependence_bounds_the_average_strength_of_an_attribute_only() -> None:
    for q in (0.1, 1e-3, 1e-5):  # V = 1, of probability q, says for certain what the fair bit X is
        joint = np.array([[(0.5 - q), q], [0.5, 0]])
        px, pv = joint.sum(axis=1), joint.sum(axis=0)
        dependence = ufs.chi2_divergence(joint, np.outer(px, pv))
        strengths = [ufs.chi2_divergence(joint[:, v] / pv[v], px) for v in (0, 1)]
        assert dependence == pytest.approx(q / (1 - q), rel=1e-9)
        assert dependence == pytest.approx(pv @ strengths, rel=1e-9)
        assert strengths[1] == pytest.approx(1, rel=1e-9)


# ---- constants that cannot be improved -------------------------------------------------------------------------------


def at_the_wall(p: float, delta: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two distributions close to each other and near the wall of a symbol of probability p."""
    p0, wall = np.array([p, 1 - p]), np.array([-math.sqrt(1 - p), math.sqrt(p)])
    eps = delta * math.sqrt(p)
    return p0, ufs.distribution(wall, p0, eps), ufs.distribution(0.999 * wall, p0, eps)


def attained(share: float) -> bool:
    """Within the bound, and beyond nine tenths of it."""
    return 0.9 < share <= 1


@pytest.mark.result("R1")
@pytest.mark.parametrize("delta", [0.01, 0.1, 0.5, 0.9])
def test_constants_of_the_local_divergence_are_sharp(delta: float) -> None:
    p0, p, q = at_the_wall(1e-3, delta)
    u, w = p / p0 - 1, q / p0 - 1
    local, forward, backward = p0 @ (u - w) ** 2 / 2, ufs.kl_divergence(p, q), ufs.kl_divergence(q, p)
    assert attained(abs(forward - local) / (delta / (1 - delta) * local))
    rest = forward - local + p0 @ ((u - w) ** 2 * (u + 2 * w)) / 6
    assert attained(rest / (delta**2 / (1 - delta) * local))
    cube = p0 @ np.abs(u - w) ** 3 / 6 / (1 - delta) ** 2
    assert attained(abs(forward - backward) / cube)
    assert attained(abs(ufs.chi2_divergence(p, q) / 2 - forward) / cube)
    ratio = np.log(p / q)
    xi = ufs.feature_vector(ratio - p0 @ ratio, p0)
    step = (p - q) / np.sqrt(p0)
    assert attained(np.linalg.norm(xi - step) / (delta / (1 - delta) * np.linalg.norm(step)))


@pytest.mark.result("R2")
def test_the_constant_of_mutual_information_is_sharp() -> None:
    p, delta = 0.005, 0.01
    f, px = np.array([math.sqrt(p / (1 - p)), -math.sqrt((1 - p) / p)]), np.array([1 - p, p])
    eps = delta * p
    joint = ufs.Joint(np.outer(px, px) * (1 - eps * np.outer(f, f)))
    rest = joint.mutual_information() - eps**2 / 2
    assert attained(rest / (delta / (3 * (1 - delta)) * eps**2 / 2))


@pytest.mark.result("R1")
@pytest.mark.parametrize("wrong", [1 / 1.1, 1.1])
def test_another_order_of_the_remainder_is_noticed(wrong: float) -> None:
    phi1, phi2 = pair(0)
    order = ufs.remainder_order(curve(ufs.kl_divergence, phi1, phi2) - EPS**2 / 2 * np.sum((phi1 - phi2) ** 2), EPS)
    assert order == pytest.approx(3, abs=0.1)
    assert order != pytest.approx(3 * wrong, abs=0.1)


def test_the_ceiling_of_divergence_is_attained_on_an_event() -> None:
    p, q = np.array([0.6, 0, 0.4]), np.array([0.3, 0.5, 0.2])
    assert ufs.kl_divergence(p, q) == pytest.approx(math.log1p(ufs.chi2_divergence(p, q)), rel=1e-13)


def test_the_strength_of_a_value_is_within_its_bound_which_the_messenger_attains() -> None:
    rng = np.random.default_rng(6)
    tables = [rng.dirichlet(np.full(12, 0.5)).reshape(3, 4) for _ in range(200)]
    tables += [np.array([[0.5, 0], [0.5 - q, q]]) for q in (0.1, 1e-3)]
    shares = []
    for table in tables:
        px, pv = table.sum(axis=1), table.sum(axis=0)
        largest = max(ufs.chi2_divergence(table[:, v] / pv[v], px) for v in range(pv.size))
        shares.append(largest / (ufs.chi2_divergence(table, np.outer(px, pv)) * (1 / pv.min() - 1)))
    assert max(shares[:-2]) <= 1
    assert shares[-2:] == pytest.approx([1, 1], rel=1e-9)


def test_the_root_of_divergence_has_detours_that_are_shorter() -> None:
    eyes = datasets.hair_eye_color()
    hair = eyes.div(eyes.sum(axis=1), axis=0)
    length = {(a, b): math.sqrt(ufs.kl_divergence(hair.loc[a], hair.loc[b])) for a in hair.index for b in hair.index}
    assert length["Blue", "Brown"] == pytest.approx(0.935, abs=5e-4)
    assert length["Blue", "Hazel"] + length["Hazel", "Brown"] == pytest.approx(0.919, abs=5e-4)


# ---- angles between spans --------------------------------------------------------------------------------------------


def test_the_angle_of_two_features_is_that_of_their_correlation() -> None:
    f, g = np.array([3.0, 1.0, 0.0, 2.0]), np.array([1.0, 5.0, 2.0, 1.0])
    cov = np.cov([f, g], aweights=P0, ddof=0)
    correlation = cov[0, 1] / np.sqrt(cov[0, 0] * cov[1, 1])
    assert ufs.feature_angles(f, g, P0)[0] == pytest.approx(np.arccos(abs(correlation)), rel=1e-12)


@pytest.mark.parametrize("angle", [1e-12, 1e-8, 1e-3, 1.0])
def test_angles_are_accurate_however_small_and_come_ascending(angle: float) -> None:
    root = np.sqrt(P0)
    e = np.linalg.qr(np.column_stack([root, np.eye(4)[:, :3]]))[0][:, 1:] / root[:, None]  # orthonormal features
    tilted = np.column_stack([e[:, 0], np.cos(angle) * e[:, 1] + np.sin(angle) * e[:, 2]])
    mixed = tilted @ [[2.0, 1.0], [1.0, -3.0]] + [50.0, -1.0]
    found = ufs.feature_angles(e[:, :2], mixed, P0)
    assert found == pytest.approx([0, angle], rel=1e-3, abs=1e-13)
    assert found.shape == (2,)


@pytest.mark.parametrize("small", [1e-12, 1e-9, 1e-3])
@pytest.mark.parametrize("large", [0.5, 1.2, np.pi / 2 - 1e-9])
def test_a_small_angle_beside_a_large_one_is_accurate(small: float, large: float) -> None:
    p = np.full(6, 1 / 6)
    e = np.linalg.qr(np.column_stack([np.ones(6), np.eye(6)[:, :5]]))[0][:, 1:]  # orthonormal but for their size
    tilted = np.cos([small, large]) * e[:, :2] + np.sin([small, large]) * e[:, 2:4]
    for f, g in ((e[:, :2], tilted), (tilted @ [[1, 2], [3, 1]], e[:, :2] @ [[1, 2], [1, 1]])):
        assert ufs.feature_angles(f, g, p) == pytest.approx([small, large], rel=1e-12, abs=1e-14)


def test_constant_and_dependent_columns_add_no_angle() -> None:
    f = np.array([3.0, 1.0, 0.0, 2.0])
    g = np.column_stack([1e6 * f, np.full(4, 0.1), f])
    assert ufs.feature_angles(f, g, P0) == pytest.approx([0], abs=1e-14)


# ---- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("f", [ufs.kl_divergence, ufs.chi2_divergence, lambda p, q: ufs.information_vector(p, q, 0.1)])
@pytest.mark.parametrize(
    ("p", "q", "message"),
    [
        ([0.5, 0.6], [0.5, 0.5], r"p sums to 1\.1, not 1"),
        ([0.5, 0.5], [0.5, 0.499], r"(q|p0) sums to 0\.999"),
        ([1.5, -0.5], [0.5, 0.5], r"p\[1\] = -0\.5 is no probability: .* at least 0"),
        ([0.5, 0.5], [np.nan, 0.5], r"(q|p0)\[0\] = nan is no probability: it must be finite"),
        ([np.inf, 0.5], [0.5, 0.5], r"p\[0\] = inf is no probability: it must be finite"),
        ([0.5, 0.5], [0.2, 0.3, 0.5], r"p has shape \(2,\) and (q|p0) \(3,\)"),
        ([[0.5, 0.5]], [0.5, 0.5], r"shape \(1, 2\)"),
        ([], [], r"p has shape \(0,\)"),
        (1.0, 1.0, r"p has shape \(\)"),
    ],
)
def test_what_is_no_distribution_is_refused(f: Callable[..., Any], p: Any, q: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        f(p, q)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: ufs.information_vector([0.5, 0.5], [1, 0], 0.1),
            r"p0\[1\] = 0\.0 is not positive: drop the symbol, or take",
        ),
        (lambda: ufs.information_vector([0.5, 0.5], [0.5, 0.5], 0), r"eps = 0: it must be a positive number"),
        (lambda: ufs.information_vector([0.5, 0.5], [0.5, 0.5], math.nan), r"eps = nan"),
        (lambda: ufs.distribution([1, 1], [0.5, 0.5], 0.1), r"sum to 1\.14142.*not perpendicular"),
        (lambda: ufs.distribution([1, -1, 0], [0.5, 0.5], 0.1), r"phi has shape \(3,\) and p0 \(2,\): give one entry"),
        (lambda: ufs.distribution([np.nan, 0], [0.5, 0.5], 0.1), r"phi\[0\] = nan is not finite: give a number"),
        (lambda: ufs.distribution([1, -1], [0.5, 0.5], 0.8), r"P\[1\] would be -0\.0656.*up to 0\.707107"),
        (lambda: ufs.feature_vector([1, 0], [0.5, 0.5]), r"h has mean 0\.5 under p0, not 0: centre it"),
        (lambda: ufs.feature_vector([[1, 1], [-1, 0]], [0.5, 0.5]), r"column 1 of h has mean 0\.5"),
        (lambda: ufs.feature_vector([1, -1, 0], [0.5, 0.5]), r"h has shape \(3,\): it needs one row for each of the 2"),
        (lambda: ufs.feature_vector([1, np.inf], [0.5, 0.5]), r"h\[1\] = inf is not finite: give a number"),
        (lambda: ufs.feature_vector([[1], [-1]], [[0.5, 0.5]]), r"p0 has 2 axes, not 1: flatten it, and h"),
        (lambda: ufs.feature_angles([1, 1], [1, 0], [0.5, 0.5]), r"f is constant in all its columns"),
        (
            lambda: ufs.feature_angles([1, 0], [1, 0, 0], [0.5, 0.5]),
            r"g has shape \(3,\): it needs one row for each",
        ),
        (lambda: ufs.feature_angles([1, 0], [1, 0], [1, 0]), r"p\[1\] = 0\.0 is not positive"),
        (lambda: ufs.sample_neighborhood([1.0], 0.1), r"p0 has shape \(1,\): .*at least two symbols"),
        (lambda: ufs.sample_neighborhood([0.5, 0.5], -1), r"eps = -1"),
    ],
)
def test_bad_input_is_refused_with_a_remedy(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
