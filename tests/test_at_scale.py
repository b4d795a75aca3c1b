"""What the chapter on scale claims, on other data than it shows."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise, permutations
from pathlib import Path

import dask
import dask.array as da
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import ufs
from ufs.distributed import dask_statistics, torch_statistics
from ufs.widgets import cost

RESULTS = Path(__file__).parent.parent / "benchmarks" / "results"
Array = NDArray[np.float64]
Statistics = tuple[Array, Array, Array]


def clouds(seed: int, n: int = 300, d: int = 6, g: int = 4) -> tuple[Array, NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    y = np.concatenate([np.arange(g), rng.integers(g, size=n - g)])
    return rng.standard_normal((n, d)) @ rng.standard_normal((d, d)) + rng.standard_normal((g, d))[y], y


def statistics(s: Array, y: NDArray[np.int64], c: Array, g: int) -> Statistics:
    x = s - c
    one_hot = (y == np.arange(g)[:, None]) * 1.0
    return one_hot.sum(axis=1), one_hot @ x, x.T @ x


def about(target: Array, c: Array, counts: Array, sums: Array, gram: Array) -> Statistics:
    """Part 2 of the theorem on one pass."""
    e = c - target
    h = sums.sum(axis=0) + counts.sum() / 2 * e
    return counts, sums + np.outer(counts, e), gram + np.outer(h, e) + np.outer(e, h)


def total_and_between(counts: Array, sums: Array, gram: Array) -> tuple[Array, Array]:
    n, t = counts.sum(), sums.sum(axis=0)
    return gram - np.outer(t, t) / n, (sums - np.outer(counts, t) / n) / np.sqrt(counts)[:, None]


def score(*found: Array) -> float:
    T, b = total_and_between(*found)
    return float(np.trace(b @ np.linalg.solve(T, b.T)) / 2)


# ---- one pass --------------------------------------------------------------------------------------------------------


@pytest.mark.result("D9")
@pytest.mark.parametrize("seed", range(3))
def test_parts_about_any_shifts_give_the_whole(seed: int) -> None:
    s, y = clouds(seed)
    rng = np.random.default_rng(seed + 10)
    H = ufs.h_score(s, y)
    cuts = [0, 1, 40, 40, 180, 300]  # a part of one sample, an empty one, parts without some of the classes
    parts = []
    for a, b in pairwise(cuts):
        c = rng.standard_normal(6) * 10
        parts.append((c, *statistics(s[a:b], y[a:b], c, 4)))
    for order in list(permutations(parts))[::17]:
        target = order[0][0]
        brought = [about(target, *part) for part in order]
        assert score(*(sum(part[i] for part in brought) for i in range(3))) == pytest.approx(H, rel=1e-10)
    unmoved = [sum(part[i] for part in parts) for i in (1, 2, 3)]
    assert abs(score(*unmoved) / H - 1) > 0.01


def test_the_matrices_do_not_depend_on_the_shift() -> None:
    s, y = clouds(4)
    T, b = total_and_between(*statistics(s, y, np.zeros(6), 4))
    other_T, other_b = total_and_between(*statistics(s, y, np.full(6, 3.0), 4))
    np.testing.assert_allclose(other_T, T, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(other_b, b, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(T, len(s) * np.cov(s.T, bias=True), rtol=1e-10, atol=1e-9)


def test_pairs_merge_about_their_own_means_and_a_part_can_be_taken_out() -> None:
    s, y = clouds(5)
    one, other = s[:90], s[90:]
    gap = one.mean(axis=0) - other.mean(axis=0)
    merged = 90 * np.cov(one.T, bias=True) + 210 * np.cov(other.T, bias=True) + 90 * 210 / 300 * np.outer(gap, gap)
    np.testing.assert_allclose(merged, 300 * np.cov(s.T, bias=True), rtol=1e-10, atol=1e-9)
    c = s.mean(axis=0)
    left = [a - b for a, b in zip(statistics(s, y, c, 4), statistics(one, y[:90], c, 4), strict=True)]
    assert score(*left) == pytest.approx(ufs.h_score(other, y[90:]), rel=1e-9)


def test_features_and_labels_can_be_coarsened_without_the_data() -> None:
    s, y = clouds(6)
    counts, sums, gram = statistics(s, y, np.zeros(6), 4)
    A = np.random.default_rng(0).standard_normal((6, 3))
    assert score(counts, sums @ A, A.T @ gram @ A) == pytest.approx(ufs.h_score(s @ A, y), rel=1e-10)
    pairs = np.array([[1.0, 1, 0, 0], [0, 0, 1, 1]])
    assert score(pairs @ counts, pairs @ sums, gram) == pytest.approx(ufs.h_score(s, y // 2), rel=1e-10)
    sizes = [h._sums.size + h._gram.size + h._counts.size for h in (ufs.HScore().update(s, y),)]
    assert sizes == [4 * 6 + 6 * 6 + 4]  # (g + d) d + g numbers: what the model of the cost says is sent


# ---- digits ----------------------------------------------------------------------------------------------------------


def in_single(x: Array, shift: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Sums and squares of a column in single precision, one after the other."""
    z = x.astype(np.float32) - np.float32(shift)
    return np.add.accumulate(z)[-1], np.add.accumulate(z * z)[-1]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("offset", [0.0, 2.0, 30.0, 300.0])
@pytest.mark.parametrize("centred", [False, True])
def test_the_bound_on_variances_and_means(seed: int, offset: float, centred: bool) -> None:
    n = 400
    x = (np.random.default_rng(seed).standard_normal(n) + offset).astype(np.float32).astype(np.float64)
    shift = float(np.float32(x[0])) if centred else 0.0
    exact = [Fraction(float(v)) for v in x]
    mean = sum(exact) / n
    V = sum((v - mean) ** 2 for v in exact) / n
    total, squares = (Fraction(float(v)) for v in in_single(x, shift))
    found = squares / n - (total / n) ** 2
    kappa2 = 1 + (mean - Fraction(shift)) ** 2 / V
    mu = Fraction(n + 3, 2**24)
    gamma = mu / (1 - mu)
    assert abs(found - V) <= 4 * gamma * kappa2 * V
    assert float(abs(Fraction(shift) + total / n - mean)) <= float(gamma) * float(kappa2 * V) ** 0.5
    if offset == 300 and not centred:
        assert abs(found / V - 1) > Fraction(1, 2000)
    if centred:
        assert abs(found / V - 1) < Fraction(1, 10**4)


def test_the_loss_is_quadratic_in_the_offset() -> None:
    rng = np.random.default_rng(1)
    noise = np.rint(rng.standard_normal((200, 2000)) * 1024) / 1024
    offsets = 2.0 ** np.arange(3, 11)
    loss = []
    for offset in offsets:
        x = noise + offset
        np.testing.assert_array_equal(x.astype(np.float32), x)
        t, q = in_single(x.T, 0.0)
        V = q.astype(np.float64) / 2000 - (t.astype(np.float64) / 2000) ** 2
        loss.append(np.sqrt(np.mean((V / np.var(noise, axis=1) - 1) ** 2)))
    assert 1.6 < ufs.remainder_order(loss, offsets) < 2.4


@pytest.mark.result("R13")
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("offset", [0.0, 1.0, 4.0])
@pytest.mark.parametrize("scales", [False, True])
def test_the_bound_on_the_score(seed: int, offset: float, scales: bool) -> None:
    rng = np.random.default_rng(seed)
    n, d, g = 500, 3, 3
    y = rng.integers(g, size=n)
    s = rng.standard_normal((n, d)) + 0.7 * rng.standard_normal((g, d))[y] + offset
    s = (s * (np.array([1e-4, 1.0, 1e4]) if scales else 1)).astype(np.float32)
    exact = statistics(s.astype(np.float64), y, np.zeros(d), g)
    one_hot = (y == np.arange(g)[:, None]).astype(np.float32)
    found = (exact[0], (one_hot @ s).astype(np.float64), (s.T @ s).astype(np.float64))
    T, _ = total_and_between(*exact)
    V, mean = np.diag(T) / n, s.mean(axis=0, dtype=np.float64)
    K2 = np.sum(1 + mean**2 / V)
    rho = np.linalg.eigvalsh(T / np.sqrt(np.outer(np.diag(T), np.diag(T))))[0]
    gamma = (n + 4) * 2.0**-24
    eta, tau = 4 * gamma * K2 / rho, gamma * np.sqrt(K2 / rho)
    assert eta < 1
    root, root_found = np.sqrt(2 * score(*exact)), np.sqrt(2 * score(*found))
    assert (root - tau) / np.sqrt(1 + eta) <= root_found <= (root + tau) / np.sqrt(1 - eta)


def authors(f: NDArray[np.float32], y: NDArray[np.int64]) -> float:
    """The published loop, all in single precision."""

    def covariance(a: NDArray[np.float32]) -> NDArray[np.float32]:
        centred = a - a.mean(axis=0)
        return centred.T @ centred / (len(a) - 1)

    means = np.zeros_like(f)
    for label in np.unique(y):
        means[y == label] = f[y == label].mean(axis=0)
    return float(np.trace(np.linalg.pinv(covariance(f), rcond=1e-15) @ covariance(means)) / 2)


def library(f: NDArray[np.float32], y: NDArray[np.int64]) -> float:
    """The library's formula, with covariances in double precision."""
    means = np.zeros_like(f)
    for label in np.unique(y):
        means[y == label] = f[y == label].mean(axis=0)
    return float(np.trace(np.linalg.pinv(np.cov(f.T), rcond=1e-15) @ np.cov(means.T)) / 2)


@pytest.mark.parametrize("formula", [authors, library])
def test_published_formulas_lose_features_that_are_far_from_zero(
    formula: Callable[[NDArray[np.float32], NDArray[np.int64]], float],
) -> None:
    rng = np.random.default_rng(2)
    y = rng.integers(10, size=20_000)
    s = np.rint((rng.standard_normal((20_000, 16)) + 0.2 * rng.standard_normal((10, 16))[y]) * 64) / 64
    far = s + 1e5
    np.testing.assert_array_equal(far.astype(np.float32), far)
    H = ufs.h_score(s, y)
    assert formula(s.astype(np.float32), y) == pytest.approx(H, rel=1e-3)
    assert abs(formula(far.astype(np.float32), y) / H - 1) > 0.01
    assert ufs.h_score(far.astype(np.float32), y) == pytest.approx(H, rel=1e-10)


# ---- units -----------------------------------------------------------------------------------------------------------


def condition(A: Array) -> float:
    values = np.linalg.eigvalsh(A)
    return float(values[-1] / values[0])


@pytest.mark.result("R13")
@pytest.mark.parametrize("d", [2, 3, 8])
def test_no_units_beat_the_correlation_matrix_by_more_than_d(d: int) -> None:
    rng = np.random.default_rng(d)
    for _ in range(40):
        A = rng.standard_normal((d + 1, d))
        T = A.T @ A
        R = T / np.sqrt(np.outer(np.diag(T), np.diag(T)))
        least = min(condition(R * np.outer(a, a)) for a in np.exp(rng.standard_normal((60, d))))
        assert condition(R) <= (1 if d == 2 else d) * least * (1 + 1e-9)


def test_a_cutoff_drops_small_units() -> None:
    rng = np.random.default_rng(3)
    y = rng.integers(3, size=900)
    s = rng.standard_normal((900, 5)) + rng.standard_normal((3, 5))[y]
    s -= s.mean(axis=0)
    s = np.linalg.qr(s)[0] * 10.0 ** np.arange(-4, 1)  # uncorrelated, variances from 1e-8 to 1
    T, b = total_and_between(*statistics(s, y, np.zeros(5), 3))
    alone = np.array([ufs.h_score(column, y) for column in s.T])
    for cutoff, kept in ((1e-3, 2), (1e-5, 3), (1e-7, 4), (1e-9, 5)):
        found = np.trace(b @ np.linalg.pinv(T, rcond=cutoff, hermitian=True) @ b.T) / 2
        assert found == pytest.approx(alone[-kept:].sum(), rel=1e-9)
    assert ufs.h_score(s, y) == pytest.approx(alone.sum(), rel=1e-10)


# ---- nearly dependent ------------------------------------------------------------------------------------------------


def near(seed: int, delta: float) -> tuple[Array, NDArray[np.int64], float]:
    """Features that are delta from those of a linear map to fewer, and the score of what they span."""
    s, y = clouds(seed, n=2000)
    rng = np.random.default_rng(seed)
    s -= s.mean(axis=0)
    plain, further = s[:, :3] @ rng.standard_normal((3, 6)), s[:, 3:] @ rng.standard_normal((3, 6))
    return plain + delta * further, y, ufs.h_score(s, y)


def read_once(s: Array, y: NDArray[np.int64]) -> ufs.HScore:
    return ufs.HScore().update(s, y)


def by_dask(s: Array, y: NDArray[np.int64]) -> ufs.HScore:
    with dask.config.set(scheduler="synchronous"):
        return dask_statistics(da.from_array(s, chunks=(300, 2)), y)


def by_all_reduce(s: Array, y: NDArray[np.int64]) -> ufs.HScore:
    dist = torch.distributed
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        return torch_statistics(read_once(s, y))
    finally:
        dist.destroy_process_group()


@pytest.mark.parametrize("gathered", [read_once, by_dask, by_all_reduce])
def test_one_reading_is_right_or_warns_and_a_second_is_right(
    gathered: Callable[[Array, NDArray[np.int64]], ufs.HScore],
) -> None:
    outcomes = set()
    for seed in range(3):
        for delta in 10.0 ** -np.arange(1, 8):
            s, y, H = near(seed, delta)
            assert ufs.h_score(s, y) == pytest.approx(H, rel=1e-6)
            with warnings.catch_warnings(record=True) as heard:
                warnings.simplefilter("always")
                found = gathered(s, y).score()
            if not heard:
                assert found == pytest.approx(H, rel=1e-6)
            outcomes.add((bool(heard), abs(found / H - 1) > 0.01))
    assert outcomes >= {(False, False), (True, True)}


def test_the_second_reading_loses_in_proportion_and_not_to_the_square() -> None:
    deltas = 10.0 ** -np.arange(1, 8)
    again, once = [], []
    for delta in deltas:
        s, y, H = near(5, delta)
        b = [s[y == label].sum(axis=0) / np.sqrt(np.sum(y == label)) for label in range(4)]
        once.append(abs(np.trace(b @ np.linalg.solve(s.T @ s, np.transpose(b))) / 2 / H - 1))
        again.append(abs(ufs.h_score(s, y) / H - 1))
    assert once[-1] > 1e-4
    assert (np.array(again) < 1e-11 + 1e-15 / deltas).all()


# ---- cost ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("w", [2, 3, 7])
def test_a_ring_sends_what_the_model_says(w: int) -> None:
    N = 42 * w
    vectors = np.random.default_rng(w).integers(100, size=(w, N))
    pieces = [list(np.split(v, w)) for v in vectors]
    sent = np.zeros(w, int)
    for r in range(2 * (w - 1)):
        out = [pieces[i][(i - r) % w] for i in range(w)]
        sent += [len(piece) for piece in out]
        for i in range(w):
            place = (i - 1 - r) % w
            pieces[i][place] = pieces[i][place] + out[i - 1] if r < w - 1 else out[i - 1]
    for own in pieces:
        np.testing.assert_array_equal(np.concatenate(own), vectors.sum(axis=0))
    np.testing.assert_array_equal(sent, 2 * (w - 1) * N // w)


def test_the_time_is_a_over_w_and_b() -> None:
    figure = cost({"product": 1e11, "number": 3e-9, "end": 5e10, "call": 0}, [])
    figure.n, figure.d, figure.classes, figure.network = 1e7, 1000.0, 500.0, 0

    def seconds(w: float) -> float:
        figure.workers = w
        return sum(figure.seconds().values())

    N = 1000**2 + 1001 * 500
    b = 16 * N / 1.25e8 + figure.seconds()["end"]
    a = seconds(1) - b
    for w in (1.0, 2.0, 16.0, 300.0):
        assert seconds(w) == pytest.approx(a / w + b, rel=1e-12)
    assert seconds(a / b) == pytest.approx(2 * b, rel=1e-12)


def test_the_results_file_says_what_the_chapter_reads() -> None:
    results = json.loads((RESULTS / "hscore.json").read_text())
    errors = {(r["case"], r["method"]): r.get("relative_error") for r in results["records"]}
    own = [error for (_, method), error in errors.items() if method == "ufs.h_score"]
    assert len(own) == 3
    assert max(own) < 1e-7
    far = [
        error for (case, method), error in errors.items() if "offset" in case and method not in ("ufs.h_score", "syrk")
    ]
    assert min(error for error in far if error is not None) > 0.1
    n = [point["n"] for point in results["sweeps"]["samples"]]
    assert max(n) / min(n) >= 1000
