"""Error exponents against independent computations, their certificates, their local value, and simulation."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import gammaln, logsumexp
from scipy.stats import norm

import ufs
from ufs import chernoff_information, exponent_bounds, feature_exponent, local_exponent, simulate_error

P1, P2 = np.array([0.5, 0.3, 0.2]), np.array([0.3, 0.3, 0.4])
EPS = np.geomspace(1e-3, 1e-1, 9)


def pairs(count: int = 20, seed: int = 0) -> list[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(seed)
    drawn = (rng.dirichlet(np.full(rng.integers(2, 7), 10 ** rng.uniform(-0.5, 1)), 2) for _ in range(count))
    return [(p, q) for p, q in (np.maximum(both, 1e-9) / np.maximum(both, 1e-9).sum(1)[:, None] for both in drawn)]


def types(n: int) -> np.ndarray:
    """All ways in which three symbols can share n samples."""
    a, b = np.indices((n + 1, n + 1)).reshape(2, -1)
    kept = a + b <= n
    return np.stack([a, b, n - a - b], axis=1)[kept]


def exact_error(h: Any, p: np.ndarray, q: np.ndarray, n: int) -> tuple[float, float, float]:
    """Both errors of the threshold test that exponent_bounds gives, and the error of the best test of all."""
    counts, bounds = types(n), exponent_bounds(h, p, q)
    ways = gammaln(n + 1) - gammaln(counts + 1).sum(1)
    one, two = (np.exp(ways + counts @ np.log(r)) for r in (p, q))
    score = counts @ np.reshape(h, (3, -1)) @ bounds.theta / n - bounds.threshold
    says_q = np.where(np.abs(score) < 1e-12, 0.5, score > 0)
    return float(one @ says_q), float(two @ (1 - says_q)), float(np.minimum(one, two).sum()) / 2


def rate(t: float, h: np.ndarray, p: np.ndarray) -> float:
    """Cramér's rate function of a real feature, by a search that knows nothing of ufs."""
    return -minimize_scalar(lambda a: logsumexp(a * h, b=p) - a * t, bracket=(-1, 1), tol=1e-13).fun


# ---- Chernoff information --------------------------------------------------------------------------------------------


def test_chernoff_information_is_the_maximum_over_s() -> None:
    s = np.linspace(0, 1, 20_001)[:, None]
    for p, q in pairs():
        grid = (-np.log((p**s * q ** (1 - s)).sum(1))).max()
        assert grid <= chernoff_information(p, q) + 1e-14
        assert chernoff_information(p, q) == pytest.approx(grid, rel=1e-6)
        assert chernoff_information(p, q) == pytest.approx(chernoff_information(q, p), rel=1e-12)


def test_chernoff_information_with_zeros() -> None:
    assert chernoff_information([1, 0], [0, 1]) == np.inf
    assert chernoff_information([1, 0], [0.25, 0.75]) == pytest.approx(-np.log(0.25), rel=1e-14)
    assert chernoff_information([0.4, 0.6, 0], [0.4, 0, 0.6]) == pytest.approx(-np.log(0.4), rel=1e-14)
    p, q = np.array([0.5, 0.3, 0.2, 0]), np.array([0.1, 0.3, 0, 0.6])
    s = np.linspace(0, 1, 20_001)[:, None]
    grid = -np.log((p[:2] ** s * q[:2] ** (1 - s)).sum(1))
    assert chernoff_information(p, q) == pytest.approx(grid.max(), rel=1e-7)
    assert chernoff_information(q, p) == pytest.approx(grid.max(), rel=1e-7)
    assert chernoff_information([0.5, 0.5, 0], [0.5, 0.5, 0]) == 0


@pytest.mark.parametrize("eps", [1e-2, 1e-4, 1e-6])
def test_nothing_is_lost_to_rounding_near_a_reference(eps: float) -> None:
    p0, d = np.array([0.2, 0.3, 0.5]), np.array([0.1, -0.3, 0.2])
    p, q = p0 + eps * d, p0 - eps * d
    local = eps**2 / 2 * np.sum(d**2 / p0)
    assert chernoff_information(p, q) == pytest.approx(local, rel=max(eps**2, 1e-8))
    assert feature_exponent(d / p0, p, q) == pytest.approx(local, rel=max(eps**2, 1e-8))


# ---- D5 --------------------------------------------------------------------------------------------------------------


@pytest.mark.result("D5")
def test_exponent_is_the_crossing_of_the_rate_functions() -> None:
    rng = np.random.default_rng(1)
    for p, q in pairs(12):
        h = rng.standard_normal(len(p))
        one, two = p @ h, q @ h
        crossing = minimize_scalar(
            lambda t, h=h, p=p, q=q: max(rate(t, h, p), rate(t, h, q)),
            bounds=sorted((one, two)),
            method="bounded",
            options={"xatol": 1e-12},
        )
        assert feature_exponent(h, p, q) == pytest.approx(crossing.fun, rel=1e-6)


@pytest.mark.result("D5")
def test_both_bounds_agree_and_both_hold() -> None:
    rng = np.random.default_rng(2)
    for p, q in pairs(60, seed=3):
        h = rng.standard_normal((len(p), rng.integers(1, 7))) * 10.0 ** rng.uniform(-4, 4) + rng.normal()
        bounds = exponent_bounds(h, p, q)
        assert bounds.upper == pytest.approx(bounds.lower, rel=1e-9)
        assert 0 <= bounds.lower <= chernoff_information(p, q) + 1e-12
        h = rng.standard_normal(len(p))
        bounds = exponent_bounds(h, p, q)
        theta, lam = bounds.theta[0], bounds.lam
        dual = -lam * logsumexp(h * theta / lam, b=p) - (1 - lam) * logsumexp(-h * theta / (1 - lam), b=q)
        assert bounds.lower == pytest.approx(dual, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("h", [[0, 0, 1], [0, 1, 2**0.5], [[1, 0], [0, 1], [0, 0]], [3, -1, 0]])
def test_errors_are_below_the_bound_for_every_n_and_fall_at_its_rate(h: Any) -> None:
    exponent = feature_exponent(h, P1, P2)
    for n in (1, 2, 5, 20, 60):
        first, second, best = exact_error(h, P1, P2, n)
        assert max(first, second) <= np.exp(-n * exponent) * (1 + 1e-9)
        assert best <= (first + second) / 2 + 1e-15
    near, far = (-np.log(sum(exact_error(h, P1, P2, n)[:2]) / 2) - np.log(n) / 2 for n in (200, 300))
    assert (far - near) / 100 == pytest.approx(exponent, rel=0.05)  # on a lattice of values it wavers


def test_the_bounds_hold_where_the_maximum_was_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    p0 = np.array([0.2, 0.3, 0.5])
    d = np.array([0.02, 0.01, -0.03])
    p, q = p0 + d, p0 - d
    h = [[1.0, 0.0], [0.0, 1.0], [-1.0, 0.5]]
    exact = feature_exponent(h, p, q)
    largest = ufs.inference._largest

    def beside(dual: Any, x: Any) -> Any:
        x = largest(dual, x)
        return dual.at(0.98 * x.theta, x.lam + 0.03, x.kappa - 0.03)

    monkeypatch.setattr("ufs.inference._largest", beside)
    bounds = exponent_bounds(h, p, q)
    assert 0 <= bounds.lower < 0.999 * exact < 1.001 * exact < bounds.upper < np.inf
    with pytest.raises(ArithmeticError, match="lies between"):
        feature_exponent(h, p, q)


def test_the_log_likelihood_ratio_loses_nothing() -> None:
    for p, q in pairs(40, seed=4):
        assert feature_exponent(np.log(p / q), p, q) == pytest.approx(chernoff_information(p, q), abs=1e-9)
        assert feature_exponent(np.eye(len(p)), p, q) == pytest.approx(chernoff_information(p, q), abs=1e-9)


def test_only_the_span_of_the_features_counts() -> None:
    rng = np.random.default_rng(5)
    for p, q in pairs(12, seed=6):
        h = rng.standard_normal((len(p), 2))
        mixed = np.column_stack([h @ rng.standard_normal((2, 3)) + rng.standard_normal(3), np.full(len(p), 5.0)])
        assert feature_exponent(mixed, p, q) == pytest.approx(feature_exponent(h, p, q), rel=1e-8, abs=1e-14)
        assert feature_exponent(h[:, 0], p, q) <= feature_exponent(h, p, q) + 1e-12


def test_a_dependent_column_adds_nothing_whatever_its_mean() -> None:
    rng = np.random.default_rng(0)
    for p, q in pairs(12, seed=6):
        h = rng.standard_normal((len(p), 2))
        for mean in (1.0, 1e3, 1e5):
            more = np.column_stack([h, h.sum(axis=1) + mean])
            assert feature_exponent(more, p, q) == pytest.approx(feature_exponent(h, p, q), rel=1e-8, abs=1e-14)
            assert local_exponent(more, p, q, p) == pytest.approx(local_exponent(h, p, q, p), rel=1e-8, abs=1e-14)


def test_nothing_to_tell_is_zero() -> None:
    assert feature_exponent([7, 7, 7], P1, P2) == 0
    assert feature_exponent(np.full((3, 2), 0.1), P1, P2) == 0
    assert feature_exponent([1, 2, 3], P1, P1) == 0
    assert feature_exponent([0, 1, 0], P1, P2) == 0  # both have the same mean
    assert feature_exponent([3.0], [1.0], [1.0]) == 0
    for p, q in pairs():
        assert feature_exponent(np.full(len(p), 1 / 3), p, q) == 0  # whatever its mean is rounded to
    assert chernoff_information(P1, P1) == 0
    assert exponent_bounds([7, 7, 7], P1, P2).upper == 0


def test_extreme_probabilities() -> None:
    p = np.array([1 - 1e-12, 1e-12])
    assert feature_exponent([0, 1], p, p[::-1]) == pytest.approx(-np.log(2 * np.sqrt(p[0] * p[1])), rel=1e-9)
    tiny = np.array([1e-9, 0.5, 0.5 - 1e-9])
    assert feature_exponent(np.log(tiny / P2), tiny, P2) == pytest.approx(chernoff_information(tiny, P2), rel=1e-9)


def test_the_value_of_the_mean_may_say_more_than_a_threshold() -> None:
    h = [0, 1, 2**0.5]
    assert feature_exponent(h, P1, P2) < 0.97 * chernoff_information(P1, P2)
    codes = types(40) @ h
    assert np.diff(np.sort(codes)).min() > 1e-6  # the exact t reveals the type


# ---- R3 --------------------------------------------------------------------------------------------------------------


def family(p0: np.ndarray, first: np.ndarray, second: np.ndarray, eps: float) -> tuple[np.ndarray, np.ndarray]:
    return ufs.distribution(first, p0, eps), ufs.distribution(second, p0, eps)


def random_family(rng: np.random.Generator, midpoint: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    size = rng.integers(3, 7)
    p0 = rng.dirichlet(np.full(size, 3.0)) * 0.9 + 0.1 / size
    vectors = rng.standard_normal((2, size))
    vectors -= np.outer(vectors @ np.sqrt(p0), np.sqrt(p0))
    vectors /= np.linalg.norm(vectors, axis=1)[:, None]
    h = rng.standard_normal((size, rng.integers(1, 3)))
    return p0, vectors[0], -vectors[0] if midpoint else vectors[1], h


def within(relative: float, delta: float, midpoint: bool, constant: float = 1.0) -> bool:
    """Whether a relative error obeys the theorem with its constants multiplied."""
    low = -(delta**2) / 11 if midpoint else -delta / (1 + delta)
    high = 7 / 3 * delta**2 if midpoint else delta / (1 - delta)
    return constant * low <= relative <= constant * high


@pytest.mark.result("R3")
@pytest.mark.parametrize("midpoint", [False, True])
def test_the_remainder_of_r3_is_within_its_bound(midpoint: bool) -> None:
    rng = np.random.default_rng(7)
    for _ in range(60):
        p0, first, second, h = random_family(rng, midpoint)
        delta = rng.uniform(0.01, 0.25 if midpoint else 0.375)
        p, q = family(p0, first, second, delta * np.sqrt(p0.min()))
        assert within(feature_exponent(h, p, q) / local_exponent(h, p, q, p0) - 1, delta, midpoint)


@pytest.mark.result("R3")
@pytest.mark.parametrize("delta", [0.1, 0.375, 0.6, 0.9])
@pytest.mark.parametrize("sign", [-1, 1])
def test_the_bound_of_r3_is_sharp_where_a_rare_symbol_moves(delta: float, sign: int) -> None:
    rare = 1e-5
    p0 = np.array([rare, 0.3, 0.3, 0.4 - rare])
    up = np.array([1 - rare, *(-p0[1:])]) / np.sqrt(p0)
    side = np.array([0, 1, -1, 0]) / np.sqrt(2)
    moves = [sign * np.sqrt(1 - 1e-4) * up / np.linalg.norm(up) + s * 0.01 * side for s in (1, -1)]
    p, q = family(p0, *moves, delta * np.sqrt(rare))
    h = [1, 1e-4, -1e-4, 0]
    relative = feature_exponent(h, p, q) / local_exponent(h, p, q, p0) - 1
    assert within(relative, delta, midpoint=False)
    assert not within(relative, delta, midpoint=False, constant=0.9)


@pytest.mark.result("R3")
def test_two_symbols_use_five_eighteenths_at_the_midpoint() -> None:
    delta, rare = 0.02, 1e-6
    p0, phi = np.array([rare, 1 - rare]), np.array([np.sqrt(1 - rare), -np.sqrt(rare)])
    p, q = family(p0, phi, -phi, delta * np.sqrt(rare))
    relative = feature_exponent([1, 0], p, q) / local_exponent([1, 0], p, q, p0) - 1
    assert relative / delta**2 == pytest.approx(5 / 18, rel=0.01)


@pytest.mark.result("R3")
@pytest.mark.parametrize(("midpoint", "order"), [(False, 1), (True, 2)])
def test_the_order_of_r3(midpoint: bool, order: int) -> None:
    p0, first, second, h = random_family(np.random.default_rng(8), midpoint)
    eps = EPS * np.sqrt(p0.min())
    relative = []
    for e in eps:
        p, q = family(p0, first, second, e)
        relative.append(feature_exponent(h, p, q) / local_exponent(h, p, q, p0) - 1)
    measured = ufs.remainder_order(relative, eps)
    assert measured == pytest.approx(order, rel=0.05)
    assert measured != pytest.approx(1.1 * order, rel=0.05)


@pytest.mark.result("R3")
@pytest.mark.parametrize("delta", [0.05, 0.5, 0.9])
@pytest.mark.parametrize("midpoint", [False, True])
def test_r3_below_holds_at_every_delta(delta: float, midpoint: bool) -> None:
    rng = np.random.default_rng(11)
    for _ in range(40):
        p0, first, second, h = random_family(rng, midpoint)
        p, q = family(p0, first, second, delta * np.sqrt(p0.min()))
        share = feature_exponent(h, p, q) / local_exponent(h, p, q, p0)
        assert 1 / (1 + delta) <= share <= 1 / (1 - delta)


def test_raw_sums_count_twice_or_miss() -> None:
    p0, step = np.full(4, 0.25), np.array([0, 0.02, -0.02, 0])
    h = np.array([[4.0, 1, -1, -4], [4, -1, 1, -4]]).T / np.sqrt(8.5)
    p, q = p0 + step, p0 - step
    omega, covariance = (p - q) @ h, h.T @ (p0[:, None] * h)
    whole = omega @ np.linalg.solve(covariance, omega) / 8
    assert local_exponent(h, p, q, p0) == pytest.approx(whole, rel=1e-12)
    assert whole / (omega @ omega / 8) == pytest.approx(8.5)
    assert feature_exponent(h, p, q) == pytest.approx(whole, rel=0.01)
    twice = np.column_stack([h[:, 0], h[:, 0]])
    assert ((p - q) @ twice) @ ((p - q) @ twice) / 8 == pytest.approx(2 * local_exponent(twice, p, q, p0))


@pytest.mark.result("D5")
@pytest.mark.parametrize("h", [[0, 0, 1], [3, -1, 0], [0, 1, 2**0.5]])
def test_an_exponent_a_tenth_off_is_seen(h: Any) -> None:
    n = np.arange(100, 301, 20)
    errors = [sum(exact_error(h, P1, P2, size)[:2]) / 2 for size in n]
    measured = np.polyfit(n, norm.isf(errors) ** 2 / 2, 1)[0]
    exponent = feature_exponent(h, P1, P2)
    assert measured == pytest.approx(exponent, rel=0.04)
    for factor in (0.9, 1.1, 3):
        assert measured != pytest.approx(factor * exponent, rel=0.04)


def test_a_divergence_is_about_four_times_chernoff_and_bhattacharyya_is_never_above() -> None:
    for p, q in pairs(40, seed=9):
        half = -np.log(np.sqrt(p * q).sum())
        assert half <= chernoff_information(p, q) * (1 + 1e-12)
    p0, d = np.array([0.2, 0.3, 0.5]), np.array([1e-4, -3e-4, 2e-4])
    p, q = p0 + d, p0 - d
    assert ufs.kl_divergence(p, q) / chernoff_information(p, q) == pytest.approx(4, rel=1e-3)


@pytest.mark.parametrize("power", [1, 2, 3])
def test_what_is_returned_has_bounds_as_close_as_promised_and_the_rest_is_refused(
    monkeypatch: pytest.MonkeyPatch, power: int
) -> None:
    h, exact = [[1.0, 0.0], [0.0, 1.0], [-1.0, 0.5]], exponent_bounds([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.5]], P1, P2)
    largest, seen = ufs.inference._largest, set()
    for step in np.geomspace(1e-12, 1e-1, 60):

        def beside(dual: Any, x: Any, step: float = step) -> Any:
            x = largest(dual, x)
            return dual.at((1 + step * power) * x.theta, x.lam, x.kappa)

        monkeypatch.setattr("ufs.inference._largest", beside)
        bounds = exponent_bounds(h, P1, P2)
        assert bounds.lower <= exact.upper * (1 + 1e-12)
        assert bounds.upper >= exact.lower * (1 - 1e-12)
        try:
            value = feature_exponent(h, P1, P2)
        except ArithmeticError:
            seen.add("refused")
            assert bounds.upper - bounds.lower > 1e-8 * bounds.lower
        else:
            seen.add("returned")
            assert abs(value / exact.lower - 1) <= 1e-8
    assert seen == {"refused", "returned"}


def test_local_exponent_is_a_squared_projection() -> None:
    p0, h = np.array([0.2, 0.3, 0.5]), np.array([1.0, 5.0, -2.0])
    p, q = np.array([0.25, 0.25, 0.5]), np.array([0.2, 0.35, 0.45])
    xi = ufs.feature_vector(h - p0 @ h, p0)
    phi = ufs.information_vector(p, p0, 0.1) - ufs.information_vector(q, p0, 0.1)
    expected = 0.1**2 / 8 * (xi @ phi) ** 2 / (xi @ xi)
    assert local_exponent(h, p, q, p0) == pytest.approx(expected, rel=1e-12)
    everything = np.column_stack([h, h**2, 2 * h + 3])
    assert local_exponent(everything, p, q, p0) == pytest.approx(0.1**2 / 8 * phi @ phi, rel=1e-12)
    assert local_exponent([4, 4, 4], p, q, p0) == 0


# ---- simulation ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("h", [[0, 0, 1], [0, 1, 2**0.5], [1, 0, -1]])
def test_simulated_errors_agree_with_exact_ones(h: Any) -> None:
    run = simulate_error(h, P1, P2, [1, 4, 17, 40], trials=100_000, seed=3, confidence=0.9999)
    for n, low, high in zip(run.n, run.low, run.high, strict=True):
        assert low <= sum(exact_error(h, P1, P2, n)[:2]) / 2 <= high
    assert (run.high - run.low < 0.015).all()


def test_simulation_is_reproducible_and_its_bands_are_clopper_pearson() -> None:
    runs = [simulate_error([0, 0, 1], P1, P2, 20, trials=500, seed=1) for _ in range(2)]
    assert runs[0].error == runs[1].error
    from scipy.stats import binomtest

    band = binomtest(round(float(runs[0].error[0]) * 500), 500).proportion_ci(0.95, "exact")
    np.testing.assert_allclose([runs[0].low[0], runs[0].high[0]], band, rtol=1e-9)
    never = simulate_error([0, 1], [1 - 1e-9, 1e-9], [1e-9, 1 - 1e-9], 9, trials=100)
    assert (never.error[0], never.low[0]) == (0, 0)
    assert never.high[0] == pytest.approx(1 - 0.025 ** (1 / 100))


def test_without_a_difference_the_coin_decides() -> None:
    run = simulate_error([7, 7, 7], P1, P2, [1, 50], trials=10_000)
    np.testing.assert_allclose(run.error, 0.5, atol=0.02)


def test_more_samples_make_fewer_errors() -> None:
    run = simulate_error(np.log(P1 / P2), P1, P2, [10, 40, 90], trials=20_000)
    assert all(before > after for before, after in pairwise(run.error))


# ---- refused ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("p1", "message"),
    [
        ([0.5, 0.6, -0.1], r"p1\[2\] = -0\.1 is no probability"),
        ([0.5, np.nan, 0.5], r"p1\[1\] = nan is no probability"),
        ([0.5, 0.3, 0.3], r"p1 sums to 1\.1, not 1"),
        ([[0.5, 0.3, 0.2]], r"p1 has shape \(1, 3\)"),
        ([0.5, 0.5], r"p1 has shape \(2,\) and p2 \(3,\): they must be over the same alphabet"),
    ],
)
def test_what_is_no_distribution_is_refused(p1: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        chernoff_information(p1, P2)
    with pytest.raises(ValueError, match=message):
        feature_exponent([1, 2, 3], p1, P2)


def test_features_and_zeros_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match=r"p2\[0\] = 0\.0 is not positive.*merge it"):
        feature_exponent([1, 2, 3], P1, [0, 0.5, 0.5])
    with pytest.raises(ValueError, match=r"p0\[2\] = 0\.0 is not positive: .*another reference"):
        local_exponent([1, 2, 3], P1, P2, [0.5, 0.5, 0])
    with pytest.raises(ValueError, match=r"h has shape \(2,\): it needs one row for each of the 3 symbols of p1"):
        feature_exponent([1, 2], P1, P2)
    with pytest.raises(ValueError, match=r"h\[1\] = inf is not finite"):
        feature_exponent([1, np.inf, 2], P1, P2)
    for n in (0, 2.5, []):
        with pytest.raises(ValueError, match="sample sizes"):
            simulate_error([0, 0, 1], P1, P2, n)
    for trials in (0, 1e4):
        with pytest.raises(ValueError, match=f"trials = {trials}: it must be an integer"):
            simulate_error([0, 0, 1], P1, P2, 5, trials=trials)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="confidence = 1"):
        simulate_error([0, 0, 1], P1, P2, 5, confidence=1)
