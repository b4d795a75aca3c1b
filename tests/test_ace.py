"""Alternating conditional expectations: the modes of the decomposition, at the promised rate; the noise floor."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import null_space, subspace_angles
from scipy.ndimage import uniform_filter1d
from scipy.special import ndtr, ndtri

from ufs import AceModes, Joint, ace, ace_sweep, dtm, equal_mass_bins, modes, remainder_order

EYES = np.array([[68, 119, 26, 7], [20, 84, 17, 94], [15, 54, 14, 10], [5, 29, 14, 16]])


def random_joint(shape: tuple[int, int], seed: int = 0) -> Joint:
    return Joint.from_counts(np.random.default_rng(seed).gamma(0.5, size=shape) + 1e-3)


def samples(joint: Joint, n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    cells = np.random.default_rng(seed).choice(joint.P.size, n, p=joint.P.ravel())
    x, y = np.unravel_index(cells, joint.P.shape)
    return x, y


def assert_are_the_modes(found: AceModes, joint: Joint, k: int, atol: float = 1e-8) -> None:
    exact = modes(joint, k)
    assert found.converged
    np.testing.assert_allclose(found.sigma, exact.sigma, atol=1e-12)
    np.testing.assert_allclose(found.f, exact.f, atol=atol)
    np.testing.assert_allclose(found.g, exact.g, atol=atol)


# ---- the modes -------------------------------------------------------------------------------------------------------


@pytest.mark.result("R7")
@pytest.mark.parametrize("shape", [(4, 4), (8, 5), (5, 12), (40, 30)])
@pytest.mark.parametrize("k", [1, 2, 4])
def test_finds_the_modes(shape: tuple[int, int], k: int) -> None:
    k = min(k, min(shape) - 1)
    joint = random_joint(shape, seed=7)
    assert_are_the_modes(ace(joint, k=k), joint, k)


def test_samples_and_their_table_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = samples(random_joint((6, 5)), 3000)
    found = ace(x, y, k=2)
    assert found.joint is not None
    assert_are_the_modes(found, Joint.from_samples(x, y), 2)
    table = np.histogram2d(x, y, bins=(np.arange(7) - 0.5, np.arange(6) - 0.5))[0]
    np.testing.assert_array_equal(ace(table, k=2).f, found.f)
    labels = np.array(list("abcdef"))
    assert ace(labels[x], y).joint.x_labels == tuple("abcdef")  # type: ignore[union-attr]


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int64, np.uint64, float, str])
def test_every_kind_of_symbol_is_counted_alike(kind: type) -> None:
    x, y = samples(random_joint((6, 5)), 500)
    x, y = 20 * x, 3 * y + 5  # with gaps
    joint = ace(x.astype(kind), y.astype(kind)).joint
    expected = Joint.from_samples(x.astype(kind), y.astype(kind))
    assert joint is not None
    assert (joint.x_labels, joint.y_labels) == (expected.x_labels, expected.y_labels)
    np.testing.assert_array_equal(joint.P, expected.P)


def test_wide_ranges_of_integers_need_no_wide_table() -> None:
    x, y = samples(random_joint((4, 3)), 300)
    found = ace(x * 10**12, y * 10**9 - 5)
    assert found.joint is not None
    np.testing.assert_array_equal(found.joint.P, Joint.from_samples(x, y).P)


def test_integers_beyond_int64_are_symbols_too() -> None:
    x, y = samples(random_joint((4, 3)), 300)
    found = ace(x.astype(np.uint64) + np.uint64(2**63), y)
    assert found.joint is not None
    np.testing.assert_array_equal(found.joint.P, Joint.from_samples(x, y).P)


def test_a_sparse_table_stays_sparse() -> None:
    joint = random_joint((30, 20), seed=3)
    sparse = Joint(sp.csr_array(joint.P))
    assert_are_the_modes(ace(sparse, k=2), joint, 2)
    f = np.random.default_rng(1).standard_normal((30, 2))
    for dense_part, sparse_part in zip(ace_sweep(joint, f), ace_sweep(sparse, f), strict=True):
        np.testing.assert_allclose(sparse_part, dense_part, atol=1e-12)


def test_features_are_orthonormal_even_where_sigma_is_zero() -> None:
    independent = Joint(np.outer([0.5, 0.3, 0.2], [0.6, 0.3, 0.1]))
    found = ace(independent, k=2)
    assert found.converged
    np.testing.assert_allclose(found.sigma, 0, atol=1e-15)
    for features, p in ((found.f, independent.px), (found.g, independent.py)):
        np.testing.assert_allclose(p @ features, 0, atol=1e-14)
        np.testing.assert_allclose(features.T @ (p[:, None] * features), np.eye(2), atol=1e-14)


def test_repeated_singular_values_converge_to_their_space() -> None:
    uniform = np.full(5, 0.2)
    joint = Joint(0.6 * np.diag(uniform) + 0.4 * np.outer(uniform, uniform))
    found = ace(joint, k=2)
    np.testing.assert_allclose(found.sigma, 0.6, atol=1e-12)
    np.testing.assert_allclose((joint.P.T / joint.py[:, None]) @ found.f, found.sigma * found.g, atol=1e-10)


def test_weak_dependence_is_found_to_its_last_digits() -> None:
    p, q = np.array([0.5, 0.3, 0.2]), np.array([0.6, 0.3, 0.1])
    base = modes(Joint(np.outer(p, q)))
    joint = Joint(np.outer(p, q) * (1 + 1e-7 * np.outer(base.f[:, 0], base.g[:, 0])))
    assert ace(joint).sigma[0] == pytest.approx(1e-7, rel=1e-7)


def with_modes(sigma: np.ndarray, shape: tuple[int, int], seed: int) -> Joint:
    """A table with random marginals and features and these singular values."""
    rng = np.random.default_rng(seed)
    roots = [np.sqrt(rng.dirichlet(np.full(n, 5.0))) for n in shape]
    psi = [np.linalg.qr(np.c_[root, rng.uniform(-1, 1, (root.size, len(sigma)))])[0][:, 1:] for root in roots]
    trivial = np.outer(*roots)
    return Joint(trivial * (trivial + (psi[0] * sigma) @ psi[1].T))


@settings(deadline=None, derandomize=True, max_examples=20, database=None)
@given(st.integers(0, 10**6), st.floats(-12, 0), st.sampled_from([0.3, 0.9, 0.98, 0.995]), st.sampled_from([1, 2]))
def test_converged_means_the_last_turn_at_every_strength(seed: int, power: float, ratio: float, k: int) -> None:
    """Dense tables reach the tolerance however weak they are; and the last turn bounds the angle to the true span."""
    sigma = 0.04 * 10**power * np.array([1.0, ratio, 0.3 * ratio] if k == 1 else [1.0, 0.8, 0.8 * ratio])
    joint = with_modes(sigma, (7, 5), seed)
    rate = ratio**2
    for table in (joint, Joint(sp.csr_array(joint.P))):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found = ace(table, k=k)
        assert found.converged == (found.angle[-1] <= 1e-10) == (not caught)
        assert found.converged or table is not joint, "a dense table has come to rest before rounding"
        root = np.sqrt(joint.px)[:, None]
        angle = subspace_angles(root * found.f, root * modes(joint, k).f)[0]
        blur = 1e-15 / sigma[k - 1] / (1 - rate)  # what rounding of the table itself makes of its modes
        assert angle <= 1.01 * found.angle[-1] / (1 - rate) + blur
        if caught:
            assert "rounding keeps them at it" in str(caught[0].message)
            assert found.angle[-1] < 1e-15 / sigma[k - 1]
            within_reach = float(re.findall(r"a tolerance of (\S+) is reached", str(caught[0].message))[0])
            assert ace(table, k=k, tolerance=within_reach).converged


def test_a_feature_without_an_image_has_no_direction_to_come_to() -> None:
    """One mode and nothing else: of two features the second is arbitrary, and does not keep the first from resting."""
    joint = with_modes(np.array([0.05]), (8, 6), 0)
    found = ace(joint, k=2)
    assert found.converged
    assert found.sweeps < 5
    np.testing.assert_allclose(found.f[:, 0], modes(joint, 1).f[:, 0], atol=1e-10)


def test_a_start_without_an_image_is_not_at_rest() -> None:
    joint = random_joint((6, 3), seed=5)
    null = np.linalg.svd(dtm(joint))[2][-1] / np.sqrt(joint.px)
    null -= joint.px @ null
    assert_are_the_modes(ace(joint, start=null[:, None]), joint, 1)


def test_mass_that_is_one_up_to_the_tolerance_of_tables_leaves_features_centred() -> None:
    P = random_joint((6, 5), seed=3).P * (1 + 9e-10)
    for joint in (Joint(P), Joint(sp.csr_array(P))):
        found = ace(joint, k=2)
        for p, features in ((joint.px, found.f), (joint.py, found.g)):
            p = p / p.sum()
            np.testing.assert_allclose(p @ features, 0, atol=1e-14)
            np.testing.assert_allclose((p[:, None] * features).T @ features, np.eye(2), atol=1e-14, rtol=0)


def test_next_to_nearly_all_of_the_mass_the_rest_has_modes_too() -> None:
    """All but 1e-100 of the mass in one cell: what varies is beyond rounding of a mean, but not of a difference."""
    P = np.full((5, 4), 1e-100)
    P[0, 0] = 1.0
    P[1, 1] = P[2, 2] = 4e-100
    joint = Joint.from_counts(P)
    found = ace(joint, k=2)
    assert found.converged
    np.testing.assert_allclose(found.sigma, modes(joint, 2).sigma, atol=1e-12)


@pytest.mark.parametrize("scale", [1e-300, 1e300])
def test_features_of_every_size_are_a_start(scale: float) -> None:
    joint = random_joint((6, 5), seed=3)
    f = np.random.default_rng(0).standard_normal((6, 2))
    for part, scaled in zip(ace_sweep(joint, f), ace_sweep(joint, scale * f), strict=True):
        np.testing.assert_allclose(scaled, part, atol=1e-12)


def test_deterministic_dependence() -> None:
    x = np.arange(-2, 3)
    np.testing.assert_allclose(ace(x, x**2, k=2).sigma, 1, atol=1e-12)


# ---- the rate (thm-ace-rate) -----------------------------------------------------------------------------------------


def tangents(joint: Joint, k: int, sweeps: int) -> np.ndarray:
    root, exact = np.sqrt(joint.px)[:, None], modes(joint, k).f
    f = np.random.default_rng(5).standard_normal((joint.P.shape[0], k))
    values = []
    for _ in range(sweeps):
        values.append(np.tan(subspace_angles(root * (f - joint.px @ f), root * exact)[0]))
        f = ace_sweep(joint, f)[0]
    return np.array(values)


@pytest.mark.result("R7")
@pytest.mark.parametrize("k", [1, 2, 3])
def test_angle_shrinks_in_every_sweep_by_the_square_of_the_ratio(k: int) -> None:
    joint = random_joint((9, 7), seed=2)
    sigma = modes(joint).sigma
    rate = (sigma[k] / sigma[k - 1]) ** 2
    tangent = tangents(joint, k, 25)
    above = tangent[1:] > 1e-9
    factors = (tangent[1:] / tangent[:-1])[above]
    assert np.all(factors <= rate * (1 + 1e-6))
    late = np.arange(factors.size)[-6:]
    assert np.exp(np.polyfit(late, np.log(factors.cumprod()[-6:]), 1)[0]) == pytest.approx(rate, rel=0.02)
    assert factors[-1] > 0.9 * rate  # so that nine tenths of the rate, or its power 1.1, would be refuted
    assert factors[-1] > rate**1.1


def test_the_tangent_of_the_largest_angle_from_any_basis() -> None:
    rng = np.random.default_rng(4)
    for n, k in ((3, 1), (7, 3), (6, 4)):
        U, S = np.linalg.qr(rng.standard_normal((n, k)))[0], rng.standard_normal((n, k)) @ rng.standard_normal((k, k))
        tangent = np.linalg.norm(null_space(U.T).T @ S @ np.linalg.inv(U.T @ S), 2)
        assert tangent == pytest.approx(np.tan(subspace_angles(U, S)[0]), rel=1e-6)


@pytest.mark.result("R7")
@pytest.mark.parametrize("k", [1, 2, 3])
def test_correlations_of_a_sweep_lie_within_their_bounds(k: int) -> None:
    """σ_i cos Θ ≤ σ̂_i ≤ σ_i, and spans are powers of B̃ᵀB̃ applied to the start."""
    joint = random_joint((9, 7), seed=2)
    root, exact = np.sqrt(joint.px)[:, None], modes(joint, k)
    start = np.random.default_rng(5).standard_normal((9, k))
    start -= joint.px @ start
    f, power = start, root * start
    for _ in range(6):
        cosine = np.cos(subspace_angles(root * f, root * exact.f)[0])
        f, _, sigma = ace_sweep(joint, f)
        assert np.all(sigma <= exact.sigma * (1 + 1e-12))
        assert np.all(sigma >= exact.sigma * cosine * (1 - 1e-12))
        power = dtm(joint).T @ (dtm(joint) @ power)
        assert subspace_angles(power, root * f)[0] < 1e-9


@pytest.mark.result("R7")
def test_the_square_of_the_tangent_is_attained_where_one_mode_is_nearly_all() -> None:
    waves = np.sqrt(2) * np.cos(2 * np.pi * np.outer(np.arange(8) / 8, [1, 2]))
    joint = Joint((1 + waves * [0.45, 0.03] @ waves.T) / 64)
    root, first = np.sqrt(joint.px)[:, None], modes(joint, 1)
    f, shares = waves @ [[1.0], [20.0]], []
    for _ in range(3):
        tangent = np.tan(subspace_angles(root * f, root * first.f)[0])
        f, _, sigma = ace_sweep(joint, f)
        shares.append((1 - sigma[0] / first.sigma[0]) / (tangent**2 / 2))
    assert max(shares) < 1
    assert max(shares) > 0.9  # nine tenths of the bound fail


@pytest.mark.result("R7")
def test_without_centring_a_constant_grows_by_the_inverse_square() -> None:
    joint = Joint.from_counts(EYES)
    there, back = joint.P.T / joint.py[:, None], joint.P / joint.px[:, None]
    f = np.array([1.0, 0, 0, 0]) - joint.px[0] + 1e-9
    ratios = []
    for _ in range(16):
        mean = joint.px @ f
        ratios.append(mean / np.sqrt(joint.px @ (f - mean) ** 2))
        f = back @ (there @ f)
    growth, least = np.array(ratios[1:]) / ratios[:-1], modes(joint, 1).sigma[0] ** -2
    assert growth.min() > least * (1 - 1e-6)
    assert growth.min() < 1.1 * least


def test_history_shows_the_rate_and_sigma_rises_twice_as_fast() -> None:
    joint = Joint.from_counts(EYES)
    sigma = modes(joint).sigma
    found = ace(joint)
    rate = (sigma[1] / sigma[0]) ** 2
    assert found.sweeps == len(found.angle) == len(found.sigma_history)
    np.testing.assert_allclose(found.angle[3:8] / found.angle[2:7], rate, rtol=1e-3)
    error = sigma[0] - found.sigma_history[:, 0]
    assert np.all(error > -1e-15)
    np.testing.assert_allclose(error[2:4] / error[1:3], rate**2, rtol=0.02)


def test_history_holds_the_angle_of_each_sweep_in_radians() -> None:
    joint = random_joint((6, 5), seed=1)
    root = np.sqrt(joint.px)[:, None]
    f = np.random.default_rng(8).standard_normal((6, 2))
    with pytest.warns(RuntimeWarning):
        found = ace(joint, k=2, start=f, max_sweeps=2)
    for angle in found.angle:
        after = ace_sweep(joint, f)[0]
        assert angle == pytest.approx(subspace_angles(root * (f - joint.px @ f), root * after)[0], rel=1e-9)
        f = after


def test_a_sweep_is_two_conditional_expectations() -> None:
    joint = random_joint((6, 4), seed=9)
    f = np.random.default_rng(0).standard_normal((6, 1))
    g = (joint.P.T / joint.py[:, None]) @ (f - joint.px @ f)
    g /= np.sqrt(joint.py @ g**2)
    new = (joint.P / joint.px[:, None]) @ g
    after, half, sigma = ace_sweep(joint, 3 * f + 8)
    np.testing.assert_allclose(half, g, atol=1e-13)
    np.testing.assert_allclose(after, new / np.sqrt(joint.px @ new**2), atol=1e-13)
    centred = f - joint.px @ f
    assert sigma[0] == pytest.approx((centred.T @ joint.P @ g).item() / np.sqrt((joint.px @ centred**2).item()))


def test_centring_keeps_a_constant_out() -> None:
    joint = random_joint((8, 8), seed=4)
    found = ace(joint, k=1, start=np.ones((8, 1)) * 1e6 + np.eye(8)[:, :1], tolerance=1e-14)
    assert abs((joint.px @ found.f).item()) < 1e-13
    assert_are_the_modes(found, joint, 1)


def test_too_few_sweeps_are_reported() -> None:
    joint = random_joint((9, 7), seed=2)
    with pytest.warns(RuntimeWarning, match="after 3 sweeps"):
        found = ace(joint, max_sweeps=3)
    assert not found.converged
    assert found.sweeps == 3


def test_the_warning_points_at_the_call() -> None:
    x, y = np.random.default_rng(0).standard_normal((2, 50))
    for options in ({"bins": 5}, {"smoothers": (lambda v: v / 2, lambda v: v**3)}):
        with pytest.warns(RuntimeWarning, match="after 1 sweeps") as caught:
            ace(x, y, max_sweeps=1, **options)
        assert [warning.filename for warning in caught] == [__file__]


def test_the_start_is_used() -> None:
    joint = Joint.from_counts(EYES)
    assert ace(joint, k=2, start=modes(joint, 2).f).sweeps == 1
    assert ace(joint, k=2).sweeps > 3


# ---- the Gaussian (thm-mehler) ---------------------------------------------------------------------------------------


def hermite(i: int, x: np.ndarray) -> np.ndarray:
    values = np.polynomial.hermite_e.hermeval(x, np.eye(i + 1)[i])
    return np.asarray(values / np.sqrt(float(np.prod(np.arange(1, i + 1)))))


@pytest.mark.parametrize("rho", [0.8, -0.5])
def test_modes_of_the_gaussian_are_hermite_polynomials(rho: float) -> None:
    node, weight = np.polynomial.hermite_e.hermegauss(60)
    weight = weight / weight.sum()
    y = np.array([-2.1, -0.3, 0.7, 1.9])
    x = rho * y[:, None] + np.sqrt(1 - rho**2) * node
    for i in (1, 2, 3, 4):
        np.testing.assert_allclose(hermite(i, x) @ weight, rho**i * hermite(i, y), atol=1e-12)
        assert abs((hermite(i, x) @ weight) / hermite(i, y) / abs(rho) ** (1.1 * i)).max() > 1.02
        assert weight @ (hermite(i, node) * hermite(i, node)) == pytest.approx(1, rel=1e-12)
        assert abs(weight @ (hermite(i, node) * hermite(i + 1, node))) < 1e-12


def binned(edges: np.ndarray, rho: float) -> tuple[float, float]:
    """What bins leave of σ₁ = ρ, and the mean variance within them."""
    node, weight = np.polynomial.legendre.leggauss(60)
    ends = np.concatenate([[-9.0], edges, [9.0]])
    half = np.diff(ends)[:, None] / 2
    x = (ends[:-1, None] + ends[1:, None]) / 2 + half * node
    density = np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi) * half * weight
    below = ndtr((ends - rho * x[..., None]) / np.sqrt(1 - rho**2))
    P = np.einsum("ij,ijk->ik", density, np.diff(below, axis=-1))
    heights = np.exp(-(np.concatenate([[-40.0], edges, [40.0]]) ** 2) / 2) / np.sqrt(2 * np.pi)
    return float(modes(Joint.from_counts(P), 1).sigma[0]), float(1 - np.sum(np.diff(heights) ** 2 / P.sum(axis=1)))


def test_bins_lose_at_most_the_variance_within_them() -> None:
    """ρ κ bounds the loss of σ₁ and is attained by equal widths; κ falls as w² there, as 1/(M log M) for equal mass."""
    rho, number = 0.8, np.array([8, 16, 32, 64])
    widths = np.array([binned(np.linspace(-4, 4, M + 1)[1:-1], rho) for M in number])
    masses = np.array([binned(ndtri(np.arange(1, M) / M), rho) for M in number])
    for grid in (widths, masses):
        assert np.all(rho - grid[:, 0] < rho * grid[:, 1])
    assert np.all(rho - widths[:, 0] > 0.9 * rho * widths[:, 1])
    order = remainder_order(rho - widths[:, 0], 1 / number)
    assert order == pytest.approx(2, abs=0.1)
    law = masses[:, 1] * number * np.log(number)
    assert remainder_order(law, number) == pytest.approx(0, abs=0.1)
    assert remainder_order(masses[:, 1], 1 / number) > 1.2  # so the logarithm is there


# ---- continuous samples ----------------------------------------------------------------------------------------------


def gaussian(rho: float, n: int) -> tuple[np.ndarray, np.ndarray]:
    x, z = np.random.default_rng(11).standard_normal((2, n))
    return x, rho * x + np.sqrt(1 - rho**2) * z


def test_bins() -> None:
    x, y = gaussian(0.6, 4000)
    by_mass = ace(x, y, k=2, bins=16)
    assert_are_the_modes(by_mass, Joint.from_samples(equal_mass_bins(x, 16), equal_mass_bins(y, 16)), 2)
    np.testing.assert_allclose(by_mass.joint.px, 1 / 16)  # type: ignore[union-attr]
    assert by_mass.sigma[0] == pytest.approx(0.6, abs=0.05)
    edges = np.linspace(-2, 2, 9)
    np.testing.assert_array_equal(ace(x, y, bins=edges).f, ace(np.digitize(x, edges), np.digitize(y, edges)).f)
    mixed = ace(x, np.where(y > 0, "up", "down"), bins=(8, None))
    assert mixed.joint is not None
    assert mixed.joint.P.shape == (8, 2)


def test_equal_mass_bins_share_ties() -> None:
    assert equal_mass_bins([1.0, 1, 1, 2, 3, 4], 3).tolist() == [0, 0, 0, 1, 2, 2]
    assert equal_mass_bins([0] * 20 + [1] * 80, 2).tolist() == [0] * 20 + [1] * 80
    assert equal_mass_bins([0] * 80 + [1] * 20, 2).tolist() == [0] * 80 + [1] * 20
    assert equal_mass_bins([0, 1, 1, 2], 2).tolist() == [0, 0, 0, 1]  # around the median: the cut above
    assert equal_mass_bins([7, 7, 7], 3).tolist() == [1, 1, 1]


@pytest.mark.parametrize("n", [2, 3, 10, 23, 49, 100])
def test_bins_of_distinct_values_differ_by_one_at_most(n: int) -> None:
    values = np.random.default_rng(n).permutation(n)
    for m in range(2, n + 1):
        counts = np.bincount(equal_mass_bins(values, m), minlength=m)
        assert counts.size == m
        assert np.ptp(counts) <= 1


@settings(deadline=None, derandomize=True, max_examples=200, database=None)
@given(st.lists(st.integers(-6, 6), min_size=2, max_size=40), st.data())
def test_bins_depend_on_the_order_of_values_alone(values: list[int], data: st.DataObject) -> None:
    m = data.draw(st.integers(2, len(values)))
    bins = equal_mass_bins(values, m)
    x = np.array(values)
    assert np.all((bins[:, None] < bins) <= (x[:, None] < x)), "bins in the order of the values, ties together"
    largest = np.unique(x, return_counts=True)[1].max()
    assert np.abs(np.bincount(bins, minlength=m) - len(x) / m).max() <= largest
    for rising in (x * 2e307, x * 5e-324, 1.0 + x * 2.0**-52, x + 2**62, np.sign(x) * 10.0 ** np.abs(50 * x)):
        np.testing.assert_array_equal(equal_mass_bins(rising, m), bins)
    away = 2 * np.searchsorted(np.sort(x), x) + np.bincount(x + 6)[x + 6] != len(x)  # from the median
    np.testing.assert_array_equal((m - 1 - equal_mass_bins(-x, m))[away], bins[away])


@settings(deadline=None, derandomize=True, max_examples=100, database=None)
@given(st.lists(st.integers(0, 8), min_size=2, max_size=12), st.data())
def test_cuts_are_those_next_to_equal_mass(values: list[int], data: st.DataObject) -> None:
    m = data.draw(st.integers(2, len(values)))
    bins, ranked = equal_mass_bins(values, m), sorted(values)
    cuts = [i for i in range(len(values) + 1) if i in (0, len(values)) or ranked[i - 1] < ranked[i]]
    for j in range(1, m):
        below = np.count_nonzero(bins < j)
        assert abs(m * below - j * len(values)) == min(abs(m * cut - j * len(values)) for cut in cuts)


def by_symbol(codes: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Conditional expectation given a symbol, as a smoother of samples."""
    indicator = np.eye(codes.max() + 1)[codes]
    return lambda values: indicator @ ((indicator.T @ values) / indicator.sum(axis=0)[:, None])


def test_exact_smoothers_give_what_the_table_gives() -> None:
    x, y = samples(random_joint((6, 5)), 800)
    table, smooth = ace(x, y, k=2), ace(x, y, k=2, smoothers=(by_symbol(x), by_symbol(y)))
    np.testing.assert_allclose(smooth.sigma, table.sigma, atol=1e-12)
    for name, codes in (("f", x), ("g", y)):
        of_samples, of_symbols = getattr(smooth, name), getattr(table, name)[codes]
        signs = np.sign(np.sum(of_samples * of_symbols, axis=0))
        np.testing.assert_allclose(of_samples, signs * of_symbols, atol=1e-8)


def test_running_means_find_the_gaussian_modes() -> None:
    x, y = gaussian(0.8, 4000)

    def running_mean(t: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        order, rank = np.argsort(t), np.argsort(np.argsort(t))
        return lambda values: uniform_filter1d(values[order], 301, axis=0, mode="nearest")[rank]

    found = ace(x, y, k=2, smoothers=(running_mean(x), running_mean(y)))
    assert found.converged
    assert found.joint is None
    np.testing.assert_allclose(found.sigma, [0.8, 0.64], atol=0.05)
    assert abs(np.corrcoef(found.f[:, 0], x)[0, 1]) > 0.97
    assert abs(np.corrcoef(found.g[:, 1], y**2)[0, 1]) > 0.85


# ---- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ace(EYES, k=4), r"k must be in 1\.\.3"),
        (lambda: ace(EYES, k=1.5), "not an integer"),  # type: ignore[arg-type]
        (lambda: ace([0, 1, 1], [0, 1]), "x has 3 samples and y has 2"),
        (lambda: ace([0.5, 1.5], [0, 1]), "bin a continuous variable"),
        (lambda: ace(Joint.from_counts(EYES), [0, 1]), "leave y out"),
        (lambda: ace(EYES, bins=4), "give x and y"),
        (lambda: ace(EYES, smoothers=(np.copy, np.copy)), "give x and y"),
        (lambda: ace(EYES, start=np.ones((3, 1))), r"start has shape \(3, 1\): .* the 4 symbols"),
        (lambda: ace(EYES, start=np.ones((4, 1))), "constant or linearly dependent"),
        (lambda: ace(EYES, k=2, start=np.eye(4)[:, [0, 0]]), "constant or linearly dependent"),
        (lambda: ace(EYES, start=[[np.nan], [0], [0], [1]]), r"start\[0, 0\] = nan is not finite"),
        (lambda: ace(EYES, tolerance=0), "must be a positive number"),
        (lambda: ace(EYES, max_sweeps=0), "at least 1"),
        (lambda: ace([0.1, np.nan, 0.3], [0, 1, 1], bins=(2, None)), r"x\[1\] = nan is not finite: drop or fill"),
        (lambda: ace([0.1, 0.2, 0.3], [0, 1, 1], bins=([0.2, 0.1], None)), "increasing"),
        (lambda: ace([0.1, 0.2, 0.3], [0.1, 0.2, 0.3], smoothers=(np.copy, lambda v: v[:2])), "smoother given_y"),
        (lambda: ace([0.1, 0.2], [0.1, 0.2, 0.3], smoothers=(np.copy, np.copy)), "must be pairs"),
        (lambda: ace_sweep(Joint.from_counts(EYES), np.ones(4)), r"f has shape \(4,\)"),
        (lambda: equal_mass_bins([1.0, 2.0], 3), r"the number of bins for 2 values must be an integer from 2 to 2"),
        (lambda: equal_mass_bins([1.0, np.inf], 2), r"values\[1\] = inf is not finite"),
        (lambda: ace([0.1, 0.2, 0.3], [0, 1, 1], bins=(0.15, 0.25, 0.28)), "a tuple of 3"),
        (lambda: ace([0.1], [0.1], smoothers=(np.copy, np.copy)), "1 samples"),
        (lambda: ace([0.1, 0.2], [0.1, 0.2], smoothers=np.copy), "smoothers is no pair"),  # type: ignore[arg-type]
        (lambda: ace([[1, 2, 3]]), "a variable with one symbol has no feature that varies"),
        (lambda: ace_sweep(Joint.from_counts(EYES), np.ones((4, 4))), r"the number of columns of f = 4: .* 1\.\.3"),
        (lambda: ace_sweep(EYES, np.ones((4, 1))), "is no Joint"),  # type: ignore[arg-type]
        (lambda: equal_mass_bins([1.0, 2.0], 2.0), "an integer from 2 to 2"),  # type: ignore[arg-type]
        (lambda: equal_mass_bins([1.0], 2), "for two values or more"),
        (lambda: ace([0.1, 0.2], [0.1, 0.2], k=2, smoothers=(np.copy, np.copy)), r"a pair of smoothers of shape"),
        (
            lambda: ace([0.1, 0.2, 0.3], [0.1, 0.2, 0.3], smoothers=(np.ones_like, np.copy)),
            "what the smoother given_x makes of random values are constant",
        ),
    ],
)
def test_bad_input_is_refused(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("constant", ["given_x", "given_y"])
def test_a_smoother_that_makes_constants_is_refused_wherever_it_stands(constant):
    x, y = np.random.default_rng(0).standard_normal((2, 20))
    for start in (None, x[:, None]):
        for nothing in (lambda v: 0 * v, lambda v: 0 * v + v.mean(axis=0)):
            smoothers = (nothing, lambda v: v) if constant == "given_x" else (lambda v: v, nothing)
            with pytest.raises(ValueError, match=f"what the smoother {constant} makes of random values are constant"):
                ace(x, y, smoothers=smoothers, start=start)


@pytest.mark.parametrize(
    ("smooth", "message"),
    [
        (lambda v: np.ma.masked_array(v, np.arange(len(v))[:, None] == 1), r"\[1, 0\] is masked"),
        (lambda v: v + 0j, "is of type complex128"),
        (lambda v: "a", "is of type <U1"),
        (None, "is a NoneType: give a function"),
    ],
)
def test_what_a_smoother_returns_is_read_as_any_array(smooth, message):
    x, y = np.random.default_rng(0).standard_normal((2, 20))
    with pytest.raises(ValueError, match=f"the smoother given_y .*{message}"):
        ace(x, y, smoothers=(lambda v: v, smooth))
