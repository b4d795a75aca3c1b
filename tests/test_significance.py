"""Which modes of a table to believe: the exact first step, the steps that follow, standard errors (R7)."""

import itertools
import tracemalloc
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.linalg import subspace_angles
from scipy.stats import random_table

from ufs import (
    Joint,
    dtm,
    maximal_correlation,
    mode_test,
    modes,
    noise_floor,
    remainder_order,
    sigma_errors,
    significance,
)

Array = NDArray[np.float64]

EYES = [[68, 119, 26, 7], [20, 84, 17, 94], [15, 54, 14, 10], [5, 29, 14, 16]]


def zipf(m: int) -> Array:
    p = 1 / np.arange(1.0, m + 1)
    return p / p.sum()


def drawn(P: Array, n: int, rng: np.random.Generator) -> Joint:
    """The table of n samples, without symbols that did not occur."""
    table = rng.multinomial(n, P.ravel()).reshape(P.shape)
    return Joint.from_counts(table[np.ix_(table.any(axis=1), table.any(axis=0))])


def planted(p: Array, *strengths: float) -> Array:
    """A law with the marginals p: its first mode sets the first symbol apart, its second the second from later ones."""
    root = np.sqrt(p)[:, None]
    Q = np.linalg.qr(np.hstack([root, np.eye(p.size)[:, : len(strengths)]]))[0][:, 1:] / root
    law: Array = np.outer(p, p) * (1 + (Q * strengths) @ Q.T)
    assert law.min() > 0
    return law


# ---- the first mode --------------------------------------------------------------------------------------------------


@pytest.mark.result("R7")
def test_the_first_p_value_is_a_share_of_all_pairings() -> None:
    """Among the 720 pairings of six x with six y, by another route: none drawn, none left out."""
    x, y = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 2, 2])
    sigma = [maximal_correlation(Joint.from_samples(x, y[list(order)])) for order in itertools.permutations(range(6))]
    table = Joint.from_samples(x, y)
    all_sigma = modes(table).sigma
    share = np.mean(np.array(sigma) > all_sigma[0] + 1e-9)
    ties = np.mean(np.abs(np.array(sigma) - all_sigma[0]) <= 1e-9)
    test = mode_test(table, 6, 1, level=0.5, draws=9999)
    assert share - 4 * test.p_errors[0] <= test.p_values[0] <= share + ties + 4 * test.p_errors[0]
    assert ties > 0.02


@pytest.mark.result("R7")
@pytest.mark.parametrize(("p", "n"), [(np.full(8, 1 / 8), 500), (zipf(12), 300), (zipf(20), 150)])
def test_size_is_the_level_on_uniform_and_on_skewed_alphabets(p: Array, n: int) -> None:
    rng = np.random.default_rng(14)
    tables = (drawn(np.outer(p, p), n, rng) for _ in range(2000))
    size = np.mean([mode_test(table, n, 1, draws=39, seed=i).believed for i, table in enumerate(tables)])
    assert size == pytest.approx(0.05, abs=0.01)


@pytest.mark.result("R7")
def test_the_level_is_attained_by_a_statistic_with_few_ties() -> None:
    """Part 1 of thm-mode-test: P(p ≤ α) ≤ α, and hardly less; nine tenths of it would be refuted."""
    rng, repeats = np.random.default_rng(21), 40_000
    x, y = rng.choice(6, (2, repeats, 40), p=zipf(6))
    scores_x, scores_y = rng.standard_normal((2, 6))
    observed, place = np.sum(scores_x[x] * scores_y[y], axis=1), np.ones(repeats)
    for _ in range(19):
        place += np.sum(scores_x[x] * scores_y[rng.permuted(y, axis=1)], axis=1) >= observed
    for level in (0.05, 0.25, 0.5):
        share = np.mean(place / 20 <= level)
        error = np.sqrt(level * (1 - level) / repeats)
        assert abs(share - level) < 4 * error
        assert share > 0.9 * level + 4 * error


def test_stepping_down_believes_a_false_mode_no_more_often_than_the_level() -> None:
    """Part 2, with p-values that are exact and independent: the first false one decides, whatever comes after."""
    rng, alpha = np.random.default_rng(22), 0.2
    p = rng.random((40_000, 6))
    p[:, :2] = 0.0  # two true modes
    believed = np.cumprod(p <= alpha, axis=1).sum(axis=1)
    error = np.sqrt(alpha * (1 - alpha) / 40_000)
    assert np.mean(believed > 2) == pytest.approx(alpha, abs=4 * error)
    assert np.mean(np.any(p[:, 2:] <= alpha, axis=1)) > 2 * alpha  # one by one they would be believed


def test_the_floor_is_no_test_on_skewed_alphabets() -> None:
    p, rng = zipf(40), np.random.default_rng(6)
    tables = [drawn(np.outer(p, p), 300, rng) for _ in range(100)]
    false = [maximal_correlation(table) > noise_floor(table.P.shape, 300)[0] for table in tables]
    assert np.mean(false) > 0.4


@pytest.fixture
def tables_are_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(significance, "SMALL", 0)


@pytest.mark.usefixtures("tables_are_large")
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("stored", [np.asarray, sp.csr_array])
def test_large_tables_are_tested_alike(stored: Callable[[Array], object], turned: bool) -> None:
    rng = np.random.default_rng(7)
    table = np.asarray(drawn(np.outer(zipf(9), zipf(6)), 400, rng).P) * 400
    table = table.T if turned else table
    test = mode_test(Joint.from_counts(stored(table)), 400, 1, level=0.5, draws=999)
    noise = random_table(table.sum(axis=1), table.sum(axis=0)).rvs(4000, random_state=rng)
    first = [maximal_correlation(Joint.from_counts(each)) for each in noise]
    share = np.mean(np.array(first) >= test.sigma[0])
    assert test.p_values[0] == pytest.approx(share, abs=4 * test.p_errors[0])
    assert test.critical[0] == pytest.approx(np.median(first), rel=0.02)


def test_noise_of_a_large_table_is_found_to_the_promised_digits() -> None:
    rng = np.random.default_rng(8)
    for shape in ((90, 50), (60, 60)):
        table = sp.csr_array(rng.poisson(1.5, shape).astype(float) + np.eye(*shape))
        of_x, of_y = (np.asarray(table.sum(axis=axis)) for axis in (1, 0))
        found = significance._largest(table, of_x, of_y, rng.standard_normal(shape[1]))
        assert found == pytest.approx(maximal_correlation(Joint.from_counts(table)), rel=1e-6)


def test_a_planted_mode_is_found_in_a_sparse_table_and_noise_is_not() -> None:
    rng, n = np.random.default_rng(9), 30_000
    x, y = rng.integers(300, size=(2, n))
    alike = np.where(rng.random(n) < 0.3, x // 30 * 30 + y % 30, y)
    assert mode_test(Joint.from_samples(x, alike), n, 1, draws=39).believed == 1
    assert mode_test(Joint.from_samples(x, y), n, 1, draws=39).believed == 0


@pytest.mark.parametrize(
    ("table", "believed"),
    [
        ([[2**31 - 10, 2], [3, 4]], 1),
        ([[2**30, 2], [2, 2**30 - 5]], 1),
        ([[2**29, 2**29], [2**29, 2**29 - 3], [1, 1]], 0),
    ],
)
def test_as_many_samples_as_are_allowed_are_permuted(table: list[list[int]], believed: int) -> None:
    assert mode_test(Joint.from_counts(table), 2**31 - 1, draws=39).believed == believed


# ---- the modes that follow -------------------------------------------------------------------------------------------


def verdicts(law: Array, n: int, repeats: int, draws: int = 99) -> Iterator[int]:
    rng = np.random.default_rng(10)
    for i in range(repeats):
        yield mode_test(drawn(law, n, rng), n, 4, draws=draws, seed=i).believed


@pytest.mark.result("R7")
@pytest.mark.parametrize(("p", "strength"), [(np.full(8, 1 / 8), 0.6), (zipf(12), 0.6), (zipf(12), 0.3)])
def test_a_false_second_mode_is_no_likelier_than_the_level(p: Array, strength: float) -> None:
    found = np.array(list(verdicts(planted(p, strength), 1000, 400, 39)))
    assert np.mean(found == 0) < 0.01
    assert np.mean(found > 1) < 0.05 + 0.025  # 0.05, and twice its standard error over the repeats


@pytest.mark.parametrize("p", [np.full(8, 1 / 8), zipf(12)])
def test_two_planted_modes_are_found(p: Array) -> None:
    found = np.array(list(verdicts(planted(p, 0.5, 0.3), 1000, 100)))
    assert np.mean(found >= 2) > 0.9


def test_later_modes_of_large_tables_are_tested_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    table = drawn(planted(zipf(12), 0.5, 0.15), 1000, np.random.default_rng(11))
    small = mode_test(table, 1000, 3, level=0.9)
    monkeypatch.setattr(significance, "SMALL", 0)
    large = mode_test(table, 1000, 3, level=0.9, draws=299)
    assert len(small.p_values) == len(large.p_values) == 3
    np.testing.assert_allclose(small.p_values, large.p_values, atol=5 * large.p_errors.max())


def test_step_down_stops_at_the_first_failure() -> None:
    test = mode_test(Joint.from_counts(EYES), 592)
    assert test.believed == 2
    assert len(test.sigma) == len(test.p_values) == len(test.critical) == len(test.sigma_errors) == 3
    assert (np.diff(test.p_values) >= 0).all()
    assert (test.sigma[:2] > test.critical[:2]).all()
    assert test.sigma[2] < test.critical[2]
    np.testing.assert_allclose(test.p_errors, np.sqrt(test.p_values * (1 - test.p_values) / 1000))
    assert len(mode_test(Joint.from_counts(EYES), 592, level=0.002).p_values) == 2


def test_the_same_seed_gives_the_same_result() -> None:
    table = Joint.from_counts(EYES)
    one, same, other = (mode_test(table, 592, draws=99, seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one.critical, same.critical)
    assert (one.critical != other.critical).any()


def test_rare_symbols_hide_a_mode_until_they_are_folded() -> None:
    rng, n = np.random.default_rng(12), 3000
    x = rng.integers(2, size=n)
    y = np.where(rng.random(n) < 0.8, x, 1 - x)
    for side in (x, y):
        side[rng.choice(n, 400, replace=False)] = np.arange(2, 402)  # symbols that occur once
    hidden = mode_test(Joint.from_samples(x, y), n, 1, draws=39)
    assert hidden.sigma[0] == pytest.approx(1)
    assert hidden.believed == 0
    folded = mode_test(Joint.from_samples(np.minimum(x, 2), np.minimum(y, 2)), n, 1, draws=39)
    assert folded.believed == 1


@pytest.mark.parametrize("shape", [(1, 3), (5000, 1)])
def test_a_table_without_modes_has_none_to_believe(shape: tuple[int, int]) -> None:
    test = mode_test(Joint.from_counts(np.ones(shape, dtype=int)), shape[0] * shape[1])
    assert test.believed == len(test.sigma) == len(test.p_values) == len(test.sigma_errors) == 0


def test_noise_without_any_dependence_and_dependence_without_noise() -> None:
    flat, diagonal = np.full((90, 60), 3), np.diag(np.full(80, 50))
    assert mode_test(Joint.from_counts(flat), int(flat.sum()), draws=19).p_values == [1]
    assert mode_test(Joint.from_counts(diagonal), int(diagonal.sum()), 2, draws=19).believed == 2


# ---- standard errors -------------------------------------------------------------------------------------------------


@pytest.mark.result("R7")
@pytest.mark.parametrize("law", [planted(np.full(6, 1 / 6), 0.5, 0.2), planted(zipf(8), 0.6, 0.3)])
def test_standard_errors_are_the_spread_of_sigma(law: Array) -> None:
    rng, n = np.random.default_rng(13), 20_000
    spread = np.std([modes(drawn(law, n, rng), 2).sigma for _ in range(1500)], axis=0)
    np.testing.assert_allclose(sigma_errors(Joint(law), n, 2), spread, rtol=0.06)
    for false in (0.9, 1.1):
        assert np.all(np.abs(false * sigma_errors(Joint(law), n, 2) / spread - 1) > 0.04)


def test_standard_errors_of_the_binary_symmetric_pair_are_those_of_a_correlation() -> None:
    for sigma in (0.1, 0.5, 0.9):
        law = (1 + sigma * np.array([[1, -1], [-1, 1]])) / 4
        assert sigma_errors(Joint(law), 100)[0] == pytest.approx(np.sqrt((1 - sigma**2) / 100), rel=1e-12)
        assert sigma_errors(Joint(sp.csr_array(law)), 100)[0] == pytest.approx(np.sqrt((1 - sigma**2) / 100), rel=1e-12)


@pytest.mark.result("R7")
def test_standard_errors_are_the_slope_of_sigma_in_every_cell() -> None:
    """The influence function by another route: σ of the law with a little more mass in one cell."""
    law, step = planted(zipf(5), 0.5, 0.3), 1e-6
    joint = Joint(law)
    variance = 0.0
    for cell in np.ndindex(law.shape):
        more = law * (1 - step)
        more[cell] += step
        slope = (modes(Joint(more), 1).sigma[0] - modes(joint, 1).sigma[0]) / step
        variance += law[cell] * slope**2
    assert sigma_errors(joint, 1, 1)[0] == pytest.approx(np.sqrt(variance), rel=1e-4)


def test_standard_errors_of_all_modes_take_the_memory_of_a_few_tables() -> None:
    joint = Joint.from_counts(np.random.default_rng(17).poisson(3, (150, 150)) + 1)
    n = 150**2 * 4
    modes(joint)
    tracemalloc.start()
    sigma_errors(joint, n)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20 * joint.P.nbytes


# ---- the noise floor (thm-noise-floor) -------------------------------------------------------------------------------


@pytest.mark.result("R7")
def test_second_moments_under_all_permutations_are_exact() -> None:
    """The mean over all 720 pairings of six x with six y, none left out."""
    x, y = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 1, 1, 1, 2, 2])
    a, b = np.linalg.qr(np.random.default_rng(0).standard_normal((2, 3, 2)))[0]
    joints = [Joint.from_samples(x, y[list(order)]) for order in itertools.permutations(range(6))]
    matrices = np.array([dtm(joint) for joint in joints])
    px, py = joints[0].px, joints[0].py
    a -= np.outer(np.sqrt(py), np.sqrt(py) @ a)
    b -= np.outer(np.sqrt(px), np.sqrt(px) @ b)
    np.testing.assert_allclose(matrices.mean(axis=0), 0, atol=1e-15)
    assert np.mean(np.sum(matrices**2, axis=(1, 2))) == pytest.approx(2 * 2 / 5, rel=1e-12)
    entries = np.einsum("yi,nyx,xj->nij", a, matrices, b)
    second = np.einsum("nij,nkl->ijkl", entries, entries) / len(matrices)
    np.testing.assert_allclose(second, np.einsum("ik,jl->ijkl", a.T @ a, b.T @ b) / 5, atol=1e-14)


@pytest.mark.result("R7")
def test_the_least_mean_of_the_first_is_attained_with_two_symbols() -> None:
    """E σ₁² ≥ (max - 1)/(n - 1), over all 720 pairings; with two symbols on one side it is an equality."""
    x = np.array([0, 0, 0, 1, 1, 2])
    for y, attained in ((np.array([0, 1, 1, 1, 1, 1]), True), (np.array([0, 1, 1, 1, 2, 2]), False)):
        pairings = (Joint.from_samples(x, y[list(order)]) for order in itertools.permutations(range(6)))
        mean = np.mean([maximal_correlation(joint) ** 2 for joint in pairings])
        assert mean >= 2 / 5 * (1 - 1e-12)
        assert (mean < 1.1 * 2 / 5) == attained


@pytest.mark.result("R7")
def test_noise_of_independent_samples_is_normal_in_the_limit() -> None:
    """Part 3: √n B̃ in orthonormal bases has uncorrelated entries, of second and fourth moments 1 and 3."""
    p, q, n = np.array([0.4, 0.3, 0.2, 0.1]), np.array([0.5, 0.3, 0.2]), 40_000
    rng = np.random.default_rng(23)
    bases = [np.linalg.svd(np.sqrt(m)[None])[2][1:].T for m in (q, p)]
    tables = rng.multinomial(n, np.outer(p, q).ravel(), size=8000).reshape(-1, 4, 3)
    noise = np.sqrt(n) * np.array([bases[0].T @ dtm(Joint.from_counts(t)) @ bases[1] for t in tables]).reshape(-1, 6)
    error = 5 / np.sqrt(8000)
    np.testing.assert_allclose(noise.T @ noise / 8000, np.eye(6), atol=error * np.sqrt(2))
    np.testing.assert_allclose(np.mean(noise**4, axis=0), 3, atol=error * np.sqrt(96))


@pytest.mark.result("R7")
@pytest.mark.parametrize("shape", [(4, 4), (20, 6), (27, 27)])
def test_floor_bounds_the_mean_of_what_independence_shows(shape: tuple[int, int]) -> None:
    n, rng = 20_000, np.random.default_rng(3)
    P = np.outer(np.full(shape[0], 1 / shape[0]), np.full(shape[1], 1 / shape[1])).ravel()
    tables = rng.multinomial(n, P, size=60).reshape(60, *shape)
    mean = np.mean([modes(Joint.from_counts(table), 1).sigma[0] for table in tables])
    floor = noise_floor(shape, n)
    assert floor.shape == (min(shape) - 1,)
    assert 0.7 * floor[0] < mean < floor[0]
    assert shape != (27, 27) or mean > 0.9 * floor[0]  # nine tenths of it are no bound


# ---- what estimated modes lose (thm-capture) -------------------------------------------------------------------------


def two_waves(m: int, *strengths: float) -> Joint:
    waves = np.sqrt(2) * np.cos(2 * np.pi * np.outer(np.arange(m) / m, [1, 2]))
    return Joint((1 + waves * strengths @ waves.T) / m**2)


def lost_over_promised(true: Array, seen: Array, k: int) -> Array:
    """|σ̂₁ - σ₁|, β, the sine and the loss, each over its bound."""
    left, sigma, _ = np.linalg.svd(true)
    estimated, moved, _ = np.linalg.svd(seen)
    gap, size = sigma[k - 1] ** 2 - sigma[k] ** 2, np.linalg.norm(seen - true, 2)
    beta = np.linalg.norm(seen @ seen.T - true @ true.T, 2)
    loss = np.sum(sigma[:k] ** 2) - np.sum((estimated[:, :k].T @ true) ** 2)
    sine = np.linalg.norm(np.sin(subspace_angles(left[:, :k], estimated[:, :k])))
    return np.array(
        [
            np.abs(moved - sigma).max() / size,
            beta / ((2 * sigma[0] + size) * size),
            sine / (2 * np.sqrt(k) * beta / gap),
            loss / (2 * k * beta),
            loss / (4 * k * beta**2 / gap),
        ]
    )


@pytest.mark.result("R7")
def test_estimated_modes_lose_no_more_than_promised() -> None:
    rng, law = np.random.default_rng(24), planted(zipf(8), 0.5, 0.3)
    for table in rng.multinomial(3000, law.ravel(), size=50).reshape(50, 8, 8):
        seen = dtm(Joint.from_counts(table + 1e-9))
        for k in (1, 2):
            assert np.all(lost_over_promised(dtm(Joint(law)), seen, k) <= 1)


@pytest.mark.result("R7")
def test_each_bound_on_the_loss_is_attained() -> None:
    """So that nine tenths of any of them would be refuted."""
    true, meet = dtm(two_waves(8, 0.3, 0.15)), np.sqrt((0.3**2 + 0.15**2) / 2)
    met = lost_over_promised(true, dtm(two_waves(8, meet * (1 - 1e-9), meet)), 1)
    np.testing.assert_allclose(met[2:], 1, rtol=1e-6)
    lifted = lost_over_promised(true, dtm(two_waves(8, 0.4, 0.15)), 1)
    np.testing.assert_allclose(lifted[:2], 1, rtol=1e-9)


@pytest.mark.result("R7")
def test_the_loss_of_the_first_mode_follows_the_first_order_law() -> None:
    """E sin² θ and E L of eq-first-order at large n, and their orders 1 in 1/n from four sizes."""
    joint, rng = two_waves(16, 0.3, 0.15), np.random.default_rng(25)
    true, first, sizes = dtm(joint), modes(joint, 1), np.array([30_000, 100_000, 300_000, 1_000_000])
    squares = np.array([0.3, 0.15] + [0.0] * 13) ** 2
    gaps = squares[0] - squares[1:]
    measured = []
    for n in sizes:
        values = []
        for table in rng.multinomial(n, joint.P.ravel(), size=300).reshape(-1, 16, 16):
            left = np.linalg.svd(dtm(Joint.from_counts(table)))[0][:, 0]
            cosine = left @ (np.sqrt(joint.py) * first.g[:, 0])
            values.append([1 - cosine**2, squares[0] - np.sum((left @ true) ** 2)])
        measured.append(np.mean(values, axis=0))
    law = np.array([np.sum((squares[0] + squares[1:]) / gaps**power) for power in (2, 1)]) / sizes[-1]
    np.testing.assert_allclose(measured[-1], 0.91 * law, rtol=0.08)  # E var(f₁(X) | Y) = 1 - σ₁², not 1
    for column in np.array(measured).T:
        assert remainder_order(column, 1 / sizes) == pytest.approx(1, abs=0.05)


# ---- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mode_test(Joint.from_counts(EYES), 591), r"n = 591: the cell \(0, 0\) would hold 67.8851 samples"),
        (lambda: mode_test(Joint.from_counts(EYES), 1), r"n = 1: the cell \(0, 0\) would hold 0.114865 samples"),
        (lambda: mode_test(Joint([[0.3, 0.2], [0.2, 0.3]]), 5), "would hold 1.5 samples"),
        (lambda: mode_test(Joint.from_counts(EYES), 592.0), "n = 592.0"),  # type: ignore[arg-type]
        (
            lambda: mode_test(Joint.from_counts(np.array(EYES) * 5000), 592 * 5000 + 1),
            "would hold 2960000 samples in all",
        ),
        (lambda: mode_test(Joint.from_counts(np.array(EYES) * 10**8), 592 * 10**8), "2147483647 samples at most"),
        (lambda: mode_test(Joint.from_counts(EYES), 592, 4), r"k must be in 1\.\.3"),
        (lambda: mode_test(Joint.from_counts(EYES), 592, level=1), "level = 1"),
        (lambda: mode_test(Joint.from_counts(EYES), 592, level=float(np.nextafter(1, 0))), "level = 0.99"),
        (lambda: mode_test(Joint.from_counts(EYES), 592, level=float("nan")), "level = nan"),
        (lambda: mode_test(Joint.from_counts(EYES), 592, draws=18), "draws = 18: no p-value is below 1/19"),
        (lambda: mode_test(Joint.from_counts(EYES), 592, draws=0), "draws = 0"),
        (lambda: mode_test(np.array(EYES), 592), "is no Joint"),  # type: ignore[arg-type]
        (lambda: sigma_errors(Joint.from_counts(EYES), 0), "n = 0"),
        (lambda: noise_floor((1, 4), 10), "two symbols"),
        (lambda: noise_floor((4,), 10), "two symbols"),  # type: ignore[arg-type]
        (lambda: noise_floor((4, 4), 0), "n = 0"),
    ],
)
def test_bad_input_is_refused(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_a_second_mode_of_a_table_too_large_to_write_out_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(significance, "DENSE", 15)
    with pytest.raises(ValueError, match=r"the table has 16 cells.*ask for k = 1"):
        mode_test(Joint.from_counts(EYES), 592)
    assert mode_test(Joint.from_counts(EYES), 592, 1).believed == 1
