"""The H-score: against a naive reference in float64, closed forms, other names of it, and input that breaks others."""

import itertools
import pickle
import re
import subprocess
import sys
import time
import tracemalloc
import warnings
from contextlib import nullcontext
from pathlib import Path

import mpmath
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.cross_decomposition import CCA
from sklearn.datasets import load_iris
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from ufs import (
    HScore,
    Joint,
    _canonical,
    _samples,
    captured,
    dtm,
    h_score,
    h_score_pair,
    held_out_h_score,
    hscore,
    modes,
)

IRIS = 1.19189882504147 / 2


def refused(message: str):
    return pytest.raises(ValueError, match=re.escape(message))


def clouds(n=600, k=5, g=4, seed=0, spread=0.5):
    rng = np.random.default_rng(seed)
    labels = rng.integers(g, size=n)
    return rng.standard_normal((n, k)) + spread * rng.standard_normal((g, k))[labels], labels


def reference(features, labels):
    """Half the squared length of the class means on an orthonormal basis of the centred columns."""
    F = np.asarray(features, np.float64).reshape(len(features), -1)
    F = F - F.mean(0)
    F = F - F.mean(0)
    size = np.sqrt((F**2).sum(0))
    F = F[:, size > 0] / size[size > 0]
    if not F.size:
        return 0.0
    U, s, _ = np.linalg.svd(F, full_matrices=False)
    U = U[:, s > 1e-6 * s[0]]
    return 0.5 * sum(U[labels == c].sum(0) @ U[labels == c].sum(0) / np.sum(labels == c) for c in np.unique(labels))


LEFT_OUT = (
    "rounding in the second moments hides {} of the features, though the classes differ there: H is taken without"
)
LOST = "nearly dependent that their second moments have lost digits of H; standardise or decorrelate"
ROUNDED = "what tells them apart has lost digits by their rounding"


def told(message: str):
    return pytest.warns(RuntimeWarning, match=message)


def heard(score):
    """The score, and whether a warning came with it."""
    with warnings.catch_warnings(record=True) as list_of:
        warnings.simplefilter("always")
        return score(), bool(list_of)


def streamed(features, labels, rows=29):
    h = HScore()
    for start in range(0, len(features), rows):
        h.update(features[start : start + rows], labels[start : start + rows])
    return h


def exact(features, labels, weights=None):
    """Of the float64 numbers as they are: Gram and Schmidt in sixty digits. Labels may be the rows of a joint table."""
    with mpmath.workdps(60):
        table = np.asarray(labels) if weights is not None else (np.asarray(labels)[:, None] == np.unique(labels)) * 1.0
        p = [mpmath.mpf(float(w)) for w in (table.sum(1) if weights is None else weights)]
        total = sum(p)
        columns = [[mpmath.mpf(float(v)) for v in column] for column in np.asarray(features, float).T]
        of_class = [[mpmath.mpf(float(v)) for v in column] for column in table.T]
        basis, twice = [], mpmath.mpf(0)
        for column in columns:
            mean = mpmath.fdot(p, column) / total
            left = [v - mean for v in column]
            size = mpmath.sqrt(mpmath.fsum(w * v * v for w, v in zip(p, left, strict=True)))
            for e in basis + basis:
                share = mpmath.fsum(w * a * b for w, a, b in zip(p, e, left, strict=True))
                left = [b - share * a for a, b in zip(e, left, strict=True)]
            rest = mpmath.sqrt(mpmath.fsum(w * v * v for w, v in zip(p, left, strict=True)))
            if rest > size * mpmath.mpf(10) ** -40:
                basis.append([v / rest for v in left])
                twice += sum(mpmath.fdot(c, basis[-1]) ** 2 / mpmath.fsum(c) for c in of_class)
        return float(twice / 2)


def in_single(features, labels):
    """The score from products in single precision, None where it was not trusted."""
    return hscore._in_single_precision(*_samples.samples(features, labels))


# ---- what it is ------------------------------------------------------------------------------------------------------


def test_iris():
    X, y = load_iris(return_X_y=True)
    assert h_score(X, y) == pytest.approx(IRIS, rel=1e-13)
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    assert h_score(X, names) == pytest.approx(IRIS, rel=1e-13)


@pytest.mark.parametrize("seed", range(3))
def test_pillai_and_lda_and_cca(seed):
    X, y = clouds(seed=seed)
    h = HScore().update(X, y)
    assert h.score() == pytest.approx(reference(X, y), rel=1e-12)
    between = sum(np.sum(y == c) * np.outer(d, d) for c in range(4) for d in [X[y == c].mean(0) - X.mean(0)])
    within = sum((X[y == c] - X[y == c].mean(0)).T @ (X[y == c] - X[y == c].mean(0)) for c in range(4))
    ratio = np.sort(np.linalg.eigvals(np.linalg.solve(within, between)).real)[::-1][:3]
    np.testing.assert_allclose(h.correlations**2, ratio / (1 + ratio), rtol=1e-10)
    shares = LinearDiscriminantAnalysis(solver="svd").fit(X, y).explained_variance_ratio_
    np.testing.assert_allclose(shares, ratio / ratio.sum(), rtol=1e-8)
    u, v = CCA(n_components=1, max_iter=10_000, tol=1e-14).fit_transform(X, np.eye(4)[y][:, 1:])
    assert np.corrcoef(u[:, 0], v[:, 0])[0, 1] == pytest.approx(h.correlations[0], abs=1e-5)


@pytest.fixture(scope="module")
def table():
    return Joint.from_counts([[68, 119, 26, 7], [20, 84, 17, 94], [15, 54, 14, 10], [5, 29, 14, 16], [9, 9, 2, 40]])


@pytest.mark.result("D9")
def test_tables(table):
    m = modes(table)
    for k in range(1, 4):
        assert h_score(m.f[:, :k], table) == pytest.approx(0.5 * (m.sigma[:k] ** 2).sum(), rel=1e-12)
    assert h_score(np.eye(5), table) == pytest.approx(0.5 * (m.sigma**2).sum(), rel=1e-12)
    s = np.random.default_rng(0).standard_normal((5, 2))
    xi = np.sqrt(table.px)[:, None] * (s - table.px @ s)
    projected = dtm(table) @ np.linalg.qr(xi)[0]
    assert h_score(s, table) == pytest.approx(0.5 * (projected**2).sum(), rel=1e-12)
    sparse = Joint(sp.csr_array(table.P))
    assert h_score(s, sparse) == pytest.approx(h_score(s, table), rel=1e-13)


def test_table_is_its_samples(table):
    counts = np.rint(table.P * 652).astype(int)
    x, y = (np.repeat(index.ravel(), counts.ravel()) for index in np.indices(counts.shape))
    s = np.random.default_rng(0).standard_normal((5, 2))
    assert h_score(s[x], y) == pytest.approx(h_score(s, table), rel=1e-12)
    v = np.random.default_rng(1).standard_normal((4, 2))
    assert h_score_pair(s[x], v[y]) == pytest.approx(h_score_pair(s, v, table), rel=1e-12)


def test_pair(table):
    rng = np.random.default_rng(2)
    s, v = rng.standard_normal((5, 2)), rng.standard_normal((4, 2))
    B = dtm(table)
    xi = np.sqrt(table.px)[:, None] * (s - table.px @ s)
    eta = np.sqrt(table.py)[:, None] * (v - table.py @ v)
    expected = 0.5 * (B**2).sum() - 0.5 * ((B - eta @ xi.T) ** 2).sum()
    assert h_score_pair(s, v, table) == pytest.approx(expected, rel=1e-12)
    assert h_score_pair(torch.tensor(s), torch.tensor(v), table) == pytest.approx(expected, rel=1e-12)
    best = np.linalg.solve(xi.T @ xi, xi.T @ B.T).T / np.sqrt(table.py)[:, None]
    assert h_score_pair(s, best, table) == pytest.approx(h_score(s, table), rel=1e-12)
    assert h_score_pair(s, v, table) < h_score(s, table)


def test_invariance():
    X, y = clouds()
    A = np.random.default_rng(9).standard_normal((5, 5))
    assert h_score(X @ A + [1, 20, 300, -4, 0], y) == pytest.approx(h_score(X, y), rel=1e-11)
    order = np.random.default_rng(1).permutation(len(y))
    assert h_score(X[order], -7 * y[order]) == pytest.approx(h_score(X, y), rel=1e-13)


# ---- R14 -------------------------------------------------------------------------------------------------------------


@pytest.mark.result("R14")
@pytest.mark.parametrize("labels", [(0, 0, 1, 1, 2, 2), (0, 0, 0, 1, 1, 2)])
def test_mean_over_all_permutations(labels):
    X = np.random.default_rng(0).standard_normal((6, 2))
    h = HScore().update(X, labels)
    mean = np.mean([h_score(X, p) for p in itertools.permutations(labels)])
    assert mean == pytest.approx(2 * 2 / (2 * 5), rel=1e-12)
    assert h.null_level == pytest.approx(mean, rel=1e-12)
    assert h.corrected() == pytest.approx(h.score() - mean, rel=1e-10)


def test_null_level_counts_the_rank_not_the_columns():
    X, y = clouds(k=3)
    h = HScore().update(np.c_[X, X, np.ones(len(X))], y)
    assert (h.rank, h.null_level) == (3, pytest.approx(3 * 3 / (2 * 599)))


def test_corrections():
    X, y = clouds()
    h = HScore().update(X, y)
    assert h.corrected(15) == pytest.approx(h.score() - 15 / 600)
    with refused("parameters = -1"):
        h.corrected(-1)
    with refused("there are 1 samples: a permutation needs two"):
        HScore().update([[1.0]], [0]).corrected()


@pytest.mark.result("R14")
@pytest.mark.parametrize("labels", [(0, 0, 1, 1, 2, 2, 3), (0, 0, 0, 1, 1, 2, 2), (0, 0, 0, 1, 1, 1, 1)])
@pytest.mark.parametrize("k", [1, 3])
def test_rescaled_is_0_for_chance_and_the_most_for_the_most(labels, k):
    X, labels = np.random.default_rng(0).standard_normal((7, k)), np.array(labels)
    g = len(set(labels))
    mean = np.mean([HScore().update(X, order).rescaled() for order in set(itertools.permutations(labels.tolist()))])
    assert mean == pytest.approx(0, abs=1e-12)
    told_apart = np.random.default_rng(1).standard_normal((g, k))[labels]
    h = HScore().update(told_apart, labels)
    assert h.rescaled() == pytest.approx(min(k, g - 1) / 2, rel=1e-12)


def test_rescaled_is_the_adjusted_r_squared():
    X, y = clouds(80, 5, 2)
    design = np.c_[np.ones(80), X]
    left = y - design @ np.linalg.lstsq(design, y * 1.0, rcond=None)[0]
    adjusted = 1 - left.var() / y.var() * 79 / (79 - 5)
    assert HScore().update(X, y).rescaled() == pytest.approx(adjusted / 2, rel=1e-12)


def test_rescaled_of_what_cannot_vary_and_of_what_cannot_fail():
    X, y = clouds(9, 20)
    assert HScore().update(np.ones((9, 2)), y).rescaled() == 0
    assert HScore().update(X[:, :2], np.zeros(9)).rescaled() == 0
    with refused("9 samples have 8 independent features and"):
        HScore().update(X, y).rescaled()
    with refused("2 independent features and 9 classes: any labels would score the same"):
        HScore().update(X[:, :2], np.arange(9)).rescaled()
    with refused("a permutation needs two"):
        HScore().update([[1.0]], [0]).rescaled()


# ---- columns and classes that break other implementations ------------------------------------------------------------


def shapes():
    X, y = clouds(400, 6, 4)
    rng = np.random.default_rng(3)
    return {
        "duplicate": (np.c_[X, X[:, :2]], y, 6),
        "constant": (np.c_[X, np.full(400, 0.1), np.zeros(400)], y, 6),
        "all constant": (np.full((400, 3), 1 / 3), y, 0),
        "dependent": (np.c_[X, X @ rng.standard_normal((6, 3))], y, 6),
        "nearly dependent": (np.c_[X, X[:, :3] + 1e-4 * rng.standard_normal((400, 3))], y, 9),
        "n < k": (rng.standard_normal((20, 50)), y[:20], 19),
        "n = k + 1": (rng.standard_normal((7, 6)), np.array([0, 0, 1, 1, 2, 2, 2]), 6),
        "separated": (np.eye(4)[y] + 1e-8 * rng.standard_normal((400, 4)), y, 3),
        "nearly separated": (np.eye(4)[y] + 1e-4 * rng.standard_normal((400, 4)), y, 4),
        "one-hot": (np.eye(4)[y], y, 3),
        "a class missing": (X[y != 1], y[y != 1], 6),
        "a class of one": (X, np.where(np.arange(400) == 17, 9, y), 6),
        "one class": (X, np.zeros(400, int), 6),
        "all classes of one": (X[:30], np.arange(30), 6),
        "one sample": (X[:1], y[:1], 0),
        "two samples": (X[:2], np.array([0, 1]), 1),
        "rectified": (np.maximum(X - 2, 0), y, 6),
        "binary": ((X > 0).astype(float), y, 6),
    }


@pytest.mark.parametrize("case", shapes())
@pytest.mark.parametrize("kind", ["numpy", "fortran", "float32", "torch", "torch float32", "batches"])
def test_degenerate(case, kind):
    X, y, rank = shapes()[case]
    if "32" in kind:
        X = X.astype(np.float32)
        if case == "dependent":
            rank = None  # rounding makes the columns independent, or not: with float32 that depends on the numbers
    given = {
        "fortran": np.asfortranarray(X),
        "torch": torch.as_tensor(X),
        "torch float32": torch.as_tensor(X),
    }.get(kind, X)
    h = HScore()
    if kind == "batches":
        for start in range(0, len(X), 37):
            h.update(X[start : start + 37], y[start : start + 37])
    else:
        h.update(given, y)
    hidden = case == "dependent" and "32" in kind
    with told(LEFT_OUT.format("3 directions")) if hidden else nullcontext():
        found = h.rank
    if rank is not None:
        assert found == rank
    assert 0 <= h.score() <= 0.5 * min(h.rank, len(set(y)) - 1)
    assert (h.correlations >= 0).all()
    assert (h.correlations <= 1).all()
    if rank is not None:
        assert h.score() == pytest.approx(reference(X, y), rel=1e-6, abs=1e-9)
    if not hidden:
        assert h_score(given, y) == pytest.approx(h.score(), rel=1e-8, abs=1e-12)


@pytest.mark.result("R13")
def test_bounds_hold_in_any_rounding():
    rng = np.random.default_rng(0)
    for trial in range(200):
        n, k, g = rng.integers(1, 12, 3)
        X = rng.standard_normal((n, k)) @ np.diag(10.0 ** rng.integers(-9, 9, k)) @ rng.integers(-1, 2, (k, k))
        X, y = X + 10.0 ** rng.integers(0, 6), rng.integers(g, size=n)
        h = HScore().update(X, y)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            assert 0 <= h.score() <= 0.5 * min(h.rank, len(h.classes) - 1), trial
            assert 0 <= h_score(X, y) <= 0.5 * min(k, n - 1, len(h.classes) - 1), trial


# ---- precision -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def large():
    X, y = clouds(20_000, 256, 10, spread=0.1)
    return X, y


ILLS = {
    "plain": lambda X: X,
    "offset": lambda X: X + 1e5,
    "scales": lambda X: X * np.geomspace(1e-4, 1e4, X.shape[1]),
    "both": lambda X: (X + np.where(np.arange(X.shape[1]) % 2, 1e5, -1e5)) * np.geomspace(1e-4, 1e4, X.shape[1]),
    "rectified": lambda X: np.maximum(X - 1, 0),
    "common": lambda X: X + 30 * X[::-1, :1],
    "nearly dependent": lambda X: np.c_[X[:, :200], X[:, :56] + 1e-3 * X[:, 200:]],
}


@pytest.mark.parametrize("case", ILLS)
def test_float32_of_many_rows(large, case):
    F = ILLS[case](large[0]).astype(np.float32)
    expected = reference(F, large[1])
    assert h_score(F, large[1]) == pytest.approx(expected, rel=1e-7)
    assert h_score(np.asfortranarray(F), large[1]) == pytest.approx(expected, rel=1e-7)
    assert HScore().update(F, large[1]).score() == pytest.approx(expected, rel=1e-8)
    assert (in_single(F, large[1]) is None) == (case in ("common", "nearly dependent"))


@pytest.mark.parametrize("case", ILLS)
def test_float32_of_few_rows(large, case):
    X, y = large[0][:700], large[1][:700]
    F = ILLS[case](X).astype(np.float32)[:, ::4]
    for features in (F, torch.as_tensor(F)):
        assert h_score(features, y) == pytest.approx(reference(F, y), rel=1e-8)


def test_single_precision_is_left_where_few_samples_leave_it_inexact():
    X, y = clouds(1500, 1200, 10)
    F = X.astype(np.float32)
    assert h_score(F, y) == pytest.approx(reference(F, y), rel=1e-7)


def test_offset_and_scale_of_exact_numbers_change_nothing():
    X, y = clouds(3000, 8)
    F = np.rint(X * 64) / 64  # exact in float32 with 1e5 added
    scales = 2.0 ** np.linspace(-13, 13, 8).round()
    for shifted in (F + 1e5, F * scales, (F + 1e5) * scales):
        np.testing.assert_array_equal(shifted.astype(np.float32), shifted)
        assert h_score(shifted.astype(np.float32), y) == pytest.approx(h_score(F, y), rel=1e-12)


@pytest.mark.parametrize("values", [(0.1, 0.7), (0.0, 0.1, 0.2, 0.3, 0.4)])
def test_single_precision_is_left_where_few_values_round_one_way(values):
    rng = np.random.default_rng(0)
    y = rng.integers(5, size=120_000)
    X = rng.standard_normal((120_000, 100)).astype(np.float32)
    assert in_single(X, y) is not None
    X[:, 7] = np.take(values, rng.integers(len(values), size=120_000) * (rng.random(120_000) < 0.2 * y))
    assert in_single(X, y) is None
    assert h_score(X, y) == pytest.approx(h_score(X.astype(np.float64), y), rel=1e-9)


def test_single_precision_is_left_where_it_overflows_or_underflows(large):
    for factor in (1e25, 1e-22, 1e-25):
        F = (large[0] * factor).astype(np.float32)
        assert h_score(F, large[1]) == pytest.approx(h_score(large[0], large[1]), rel=1e-5)


def test_a_first_batch_that_is_far_away():
    X, y = clouds(5000, 4)
    for first in (1, 2, 50):
        far = X.copy()
        far[:first] += 1e4
        h = HScore().update(far[:first], y[:first]).update(far[first:], y[first:])
        assert h.score() == pytest.approx(reference(far, y), rel=1e-7)


@pytest.mark.parametrize("make", [np.array, torch.tensor])
def test_the_shift_follows_the_samples(make):
    X, y = clouds(5000, 8)
    X = (X + 1e5).astype(np.float32)
    X[:10] = 0  # all that the first batch has
    batches = [(make(X[start : start + 10]), y[start : start + 10]) for start in range(0, 5000, 10)]
    expected = pytest.approx(reference(X, y), rel=1e-7)
    assert h_score(batches) == expected
    merged = HScore()
    for features, labels in batches:
        merged.merge(HScore().update(features, labels))
    assert merged.score() == expected


# ---- nearly dependent features ---------------------------------------------------------------------------------------


def hidden(delta, n=300, dtype=float, offset=0.0):
    """Two features that differ by delta times something informative."""
    rng = np.random.default_rng(4)
    y = rng.integers(2, size=n)
    x = rng.standard_normal(n)
    return np.c_[x + offset, x + offset + delta * (y + 0.1 * rng.standard_normal(n))].astype(dtype), y


@pytest.mark.parametrize("make", [np.array, torch.tensor])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_a_gram_matrix_squares_is_found_again_or_told(make, dtype):
    outcomes = []
    for delta in 10.0 ** -np.arange(1, 16.5, 0.5):
        X, y = hidden(delta, dtype=dtype)
        true = exact(X, y)
        score, doubt = heard(lambda X=X, y=y: h_score(make(X), y))
        passed, warned = heard(streamed(make(X), y).score)
        by_gram = _canonical.by_cholesky(streamed(X, y))
        accepted = by_gram is not None and by_gram.exact(hscore.EXACT)
        if accepted:
            assert by_gram.score == pytest.approx(true, rel=1e-9)
        if not doubt and delta > 1e-14:
            assert score == pytest.approx(true, rel=1e-6)
        if doubt:
            assert delta < (5e-9 if dtype == np.float64 else 5e-6)
            assert score == pytest.approx(true, rel=0.05)
        if not warned and delta > 1e-14:
            assert passed == pytest.approx(true, rel=1e-6)
        outcomes.append((accepted, doubt, warned))
    for each in zip(*outcomes, strict=True):
        assert set(each) == {False, True}


@pytest.mark.parametrize("offset", [0.0, 10.0])
def test_a_direction_of_a_ten_millionth_counts(offset):
    X, y = hidden(2e-7, n=2000, offset=offset)
    alone, both = h_score(X[:, 0], y), h_score(X, y)
    assert alone < 0.01 < 0.45 < both
    assert both == pytest.approx(h_score(np.c_[X[:, 0], X[:, 1] - X[:, 0]], y), rel=1e-8)
    for stream in (streamed(X, y, 100), HScore().update(X[:900], y[:900]).merge(HScore().update(X[900:], y[900:]))):
        with told(
            f"^{LEFT_OUT.format('1 direction')} it and may be larger; standardise or decorrelate the features, or"
        ):
            assert stream.rank == 1
        assert stream.score() < 0.01  # told once
    with told(LEFT_OUT.format("1 direction")):
        h_score([(X[:1000], y[:1000]), (X[1000:], y[1000:])])


def test_a_stream_tells_that_it_lost_digits():
    X, y = hidden(1e-6, n=2000)
    with told(LOST):
        assert streamed(X, y).score() == pytest.approx(h_score(X, y), rel=0.05)


def powers(years, k):
    return np.stack([years**i for i in range(1, k + 1)], axis=1)


def test_powers_of_calendar_years():
    years = np.arange(1900.0, 1982)
    y = (np.sin((years - 1900) / 9) + np.random.default_rng(0).standard_normal(82) > 0).astype(int)
    standard = (years - years.mean()) / years.std()
    for k in (1, 2, 3, 4):
        assert h_score(powers(years, k), y) == pytest.approx(h_score(powers(standard, k), y), rel=1e-7)
    for k in (6, 7):  # their rounding is of the size of what tells x⁷ from the lower powers
        with told(ROUNDED):
            found = h_score(powers(years, k), y)
        assert found == pytest.approx(exact(powers(years, k), y), rel=2e-2)
        assert found == pytest.approx(h_score(powers(standard, k), y), rel=2e-2)
        with told("second moments"):
            streamed(powers(years, k), y).score()


def dependent():
    rng = np.random.default_rng(5)
    X, y = rng.standard_normal((500, 12)), rng.integers(4, size=500)
    celsius, shares = 10 * X[:, 0] + 15, rng.dirichlet(np.ones(5), size=500)
    return {
        "duplicates": (np.c_[X, X[:, ::2]], y, 12),
        "sums": (X @ rng.standard_normal((12, 60)), y, 12),
        "sums of far features": ((X + 5) @ rng.standard_normal((12, 60)) - 7, y, 12),
        "sums in many units": ((X * np.geomspace(1, 1e-4, 12)) @ rng.standard_normal((12, 60)), y, 12),
        "one-hot": (np.eye(9)[rng.integers(9, size=500)], y, 8),
        "Celsius, Fahrenheit, Kelvin": (np.c_[celsius, 1.8 * celsius + 32, celsius + 273.15], y, 1),
        "per cent": (100 * shares, y, 4),
        "rectified": (np.c_[np.maximum(X, 0), np.maximum(-X, 0), X, np.maximum(X - 9, 0)], y, 24),
        "multiples": (np.outer(X[:, 0], np.arange(1.0, 30)), y, 1),
        "fewer samples than features": (rng.standard_normal((20, 50)), y[:20], 19),
        "far, fewer samples": (rng.standard_normal((20, 50)) + 1e3, y[:20], 19),
    }


@pytest.mark.parametrize("case", dependent())
def test_dependence_needs_no_warning(case):
    X, y, rank = dependent()[case]
    stream = streamed(X, y)
    assert stream.rank == rank
    assert stream.score() == pytest.approx(h_score(X, y), rel=1e-7)
    assert h_score(torch.tensor(X), y) == pytest.approx(h_score(X, y), rel=1e-9)


@st.composite
def mapped(draw):
    """Samples, and an invertible affine map of them of condition up to 1e8, in columns of any units."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n, k, g = draw(st.integers(10, 60)), draw(st.integers(1, 5)), draw(st.integers(2, 4))
    y = np.r_[np.arange(g), rng.integers(g, size=n - g)]
    X = rng.standard_normal((n, k)) + draw(st.sampled_from([0.0, 0.3, 3.0])) * rng.standard_normal((g, k))[y]
    U, V = (np.linalg.qr(rng.standard_normal((k, k)))[0] for _ in range(2))
    size = draw(st.floats(0, 8))
    A = (U * np.logspace(0, -size, k)) @ V
    far = draw(st.floats(-2, 9)) - size  # rounding of the offset must leave the smallest direction some digits
    return X, (X @ A + 10**far * rng.standard_normal(k)) * 2.0 ** rng.integers(-99, 99, k), y


@settings(deadline=None, derandomize=True, max_examples=150, database=None)
@given(mapped())
def test_affine_maps_change_nothing_and_streams_agree_or_tell(case):
    X, Z, y = case
    expected = pytest.approx(h_score(X, y), rel=1e-4, abs=1e-9)
    score, doubt = heard(lambda: h_score(Z, y))
    assert not doubt
    assert score == expected
    passed, doubt = heard(streamed(Z, y).score)
    assert doubt or passed == pytest.approx(score, rel=1e-6, abs=1e-12)


@settings(deadline=None, derandomize=True, max_examples=60, database=None)
@given(mapped())
def test_the_numbers_as_they_are(case):
    _, Z, y = case
    Z, y = Z[:25], y[:25]
    assert heard(lambda: h_score(Z, y))[0] == pytest.approx(exact(Z, y), rel=1e-6, abs=1e-12)


@settings(deadline=None, derandomize=True, max_examples=60, database=None)
@given(mapped(), st.floats(-12, 0))
def test_a_further_feature_never_lowers_the_score(case, size):
    X, Z, y = case
    further = Z[:, 0] + 10**size * np.std(Z[:, 0]) * X[::-1, 0]
    more = heard(lambda: h_score(np.c_[Z, further], y))[0]
    assert more >= h_score(Z, y) * (1 - 1e-6) - 1e-12


@settings(deadline=None, derandomize=True, max_examples=60, database=None)
@given(mapped(), st.sampled_from([0.0, 5.0, 20.0]))
def test_tables_near_dependence_and_with_rare_symbols(case, rare):
    X, _, _ = case
    rng = np.random.default_rng(6)
    X = X[:12]
    cells = rng.random((len(X), 3)) * 10 ** -(rare * rng.random((len(X), 1)))
    joint = Joint(cells / cells.sum())
    for delta in (1.0, 2e-7):
        s = np.c_[X[:, 0], X[:, 0] + delta * X[:, -1] ** 2]
        true = exact(s, joint.P, joint.px)
        for given_as in (joint, Joint(sp.csr_array(joint.P))):
            score, doubt = heard(lambda s=s, given_as=given_as: h_score(s, given_as))
            assert score == pytest.approx(true, rel=1e-2 if doubt else 1e-6, abs=1e-13)
        if not doubt:
            assert captured(s, joint, "X") / 2 == pytest.approx(true, rel=1e-6, abs=1e-13)


def test_columns_of_noise_take_nothing_from_nearly_dependent_ones():
    X, y = hidden(1e-6, n=2000)
    noise = np.random.default_rng(8).standard_normal((2000, 50))
    assert h_score(np.c_[X, noise], y) > h_score(X, y) > 0.45


def test_dependence_that_float32_rounds_is_told():
    X, y, rank = dependent()["sums"]
    F = X.astype(np.float32)
    for make in (np.array, torch.tensor):
        with told(ROUNDED):
            assert h_score(make(F), y) == pytest.approx(h_score(F.astype(np.float64), y), rel=1e-6)
        with told(LEFT_OUT.format("48 directions")):
            assert streamed(make(F), y).rank == rank


def test_samples_are_their_table_near_dependence(table):
    counts = np.rint(table.P * 652).astype(int)
    x, y = (np.repeat(index.ravel(), counts.ravel()) for index in np.indices(counts.shape))
    s = np.random.default_rng(0).standard_normal((5, 3))
    for delta in (1e-3, 1e-6, 1e-9):
        near = np.c_[s[:, 0], s[:, 0] + delta * s[:, 1], s[:, 2]]
        found = heard(lambda near=near: h_score(near, table))[0]
        assert heard(lambda near=near: h_score(near[x], y))[0] == pytest.approx(found, rel=1e-5)
        assert heard(lambda near=near: captured(near, table, "X") / 2)[0] == pytest.approx(found, rel=1e-5)
        assert found == pytest.approx(h_score(s, table), rel=1e-5)


def test_single_precision_is_left_where_features_are_nearly_dependent():
    rng = np.random.default_rng(7)
    y = rng.integers(2, size=20_000)
    X = rng.standard_normal((20_000, 256)).astype(np.float32)
    for delta in (1e-3, 1e-5, 1e-7, 3e-8):
        X[:, 1] = X[:, 0] + np.float32(delta) * (y + np.float32(0.1) * X[:, 2])
        assert in_single(X, y) is None
        far = X.astype(np.float64)
        far[:, 1] = 1e3 * (far[:, 1] - far[:, 0])
        assert heard(lambda: h_score(X, y))[0] == pytest.approx(h_score(far, y), rel=1e-7)


def scored_from_a_file(X, y, path):
    """The score of features in a memory map, and the most memory that it took."""
    np.save(path, X)
    mapped = np.load(path, mmap_mode="r")
    tracemalloc.start()
    found = h_score(mapped, y)
    held = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return found, held


def test_a_memory_map_is_gone_through_again_in_blocks(tmp_path):
    X, y = hidden(1e-7, n=200_000)
    X = np.c_[X, np.random.default_rng(1).standard_normal((200_000, 14))]
    found, held = scored_from_a_file(X, y, tmp_path / "features.npy")
    assert held < 30e6  # blocks of a fixed size, and codes of the labels
    X[:, 1] = 1e6 * (X[:, 1] - X[:, 0])
    assert found == pytest.approx(h_score(X, y), rel=1e-7)


# ---- input of every kind ---------------------------------------------------------------------------------------------


def forms(path):
    X, y = clouds(500, 3)
    np.save(path / "features.npy", X)
    words = np.array(["ant", "bee", "cat", "dog"])
    return {
        "list": (X.tolist(), y.tolist()),
        "words": (X, words[y]),
        "list of words": (X, words[y].tolist()),
        "tuples": (X, [(int(c), "x") for c in y]),
        "mixed": (X, [["a", 1, (2,), frozenset([3])][c] for c in y]),
        "object": (X, np.array([["a", 1, (2,), 3][c] for c in y], dtype=object)),
        "bytes": (X, words[y].astype("S3")),
        "whole floats": (X, y.astype(float)),
        "far integers": (X, y * 10**15),
        "unsigned": (X, y.astype(np.uint8)),
        "mapped": (np.load(path / "features.npy", mmap_mode="r"), y),
        "not contiguous": (np.repeat(X, 2, axis=1)[:, ::2], y),
        "backwards": (X[::-1], y[::-1]),
        "tensor": (torch.tensor(X), torch.tensor(y)),
        "tensor, list": (torch.tensor(X), y.tolist()),
        "array, tensor": (X, torch.tensor(y)),
        "with gradient": (torch.tensor(X, requires_grad=True), torch.tensor(y)),
        "transposed tensor": (torch.tensor(X.T.copy()).T, y),
        "series": (pd.DataFrame(X), pd.Series(words[y])),
    }


def test_forms(tmp_path):
    X, y = clouds(500, 3)
    expected = pytest.approx(reference(X, y), rel=1e-12)
    for name, (features, labels) in forms(tmp_path).items():
        assert h_score(features, labels) == expected, name


@pytest.mark.parametrize("dtype", [np.float16, np.int8, np.uint8, np.int64, bool])
def test_other_numbers(dtype):
    X, y = clouds(500, 3)
    F = (4 * X > 1) if dtype is bool else np.clip(4 * X, 0, None).astype(dtype)
    assert h_score(F, y) == pytest.approx(reference(F, y), rel=1e-12)
    assert h_score(torch.as_tensor(F), y) == pytest.approx(reference(F, y), rel=1e-12)


def test_bfloat16():
    X, y = clouds(500, 3)
    F = torch.tensor(X).bfloat16()
    assert h_score(F, y) == pytest.approx(reference(F.double().numpy(), y), rel=1e-12)


def test_one_feature():
    X, y = clouds(300, 1)
    assert h_score(X[:, 0], y) == h_score(X, y)


@pytest.mark.parametrize(
    ("first", "step", "dtype"),
    [
        (-128, 1, np.int8),  # a range that the type itself cannot express
        (2**64 - 256, 1, np.uint64),
        (2**70, 2**60, np.float64),
        (2**70, 1, object),
    ],
)
def test_label_ids_of_any_size(first, step, dtype):
    X, _ = clouds(2000, 3)
    codes = np.arange(2000) % 256
    ids = [first + step * code for code in codes.tolist()]
    h = HScore().update(X, np.array(ids, dtype))
    assert set(h.classes) == set(ids)
    assert h.score() == pytest.approx(reference(X, codes), rel=1e-12)
    assert Joint.from_samples(np.array(ids, dtype), codes).x_labels == tuple(ids[:256])


def test_labels_of_two_batches_agree():
    X, y = clouds(300, 2)
    h = HScore()
    for part, form in zip(np.array_split(np.arange(300), 4), (np.array, list, torch.tensor, np.float32), strict=True):
        h.update(X[part], form(y[part]))
    assert sorted(h.classes) == [0, 1, 2, 3]
    assert all(type(c) is int for c in h.classes)
    np.testing.assert_array_equal(h.counts[np.argsort(h.classes)], np.bincount(y))
    assert h.score() == pytest.approx(reference(X, y), rel=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_large_arrays_are_read_in_blocks(tmp_path, dtype):
    n, k = 300_000, 64
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, k), dtype=np.float32).astype(dtype)
    y = rng.integers(5, size=n)
    found, held = scored_from_a_file(X, y, tmp_path / "features.npy")
    assert held < 20e6 < X.nbytes / 3
    assert found == pytest.approx(h_score(X, y), rel=1e-12)


def test_three_lines_of_the_readme(tmp_path):
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    (lines,) = (code for code in re.findall(r"```python\n(.*?)```", readme, re.DOTALL) if "features.npy" in code)
    assert sum(bool(line) for line in lines.splitlines()) == 3
    X, y = clouds(300, 3)
    np.save(tmp_path / "features.npy", X.astype(np.float32))
    np.save(tmp_path / "labels.npy", np.array(["ant", "bee", "cat", "dog"])[y])
    command = [sys.executable, "-W", "error", "-c", lines]
    told = subprocess.run(command, check=True, cwd=tmp_path, capture_output=True, text=True).stdout
    assert float(told) == pytest.approx(reference(X.astype(np.float32), y), rel=1e-7)


def test_batches():
    X, y = clouds(1000, 4)
    expected = pytest.approx(reference(X, y), rel=1e-12)
    assert h_score((X[i : i + 33], y[i : i + 33]) for i in range(0, 1000, 33)) == expected
    data = torch.utils.data.TensorDataset(torch.tensor(X), torch.tensor(y))
    assert h_score(torch.utils.data.DataLoader(data, batch_size=64, shuffle=False)) == expected


def test_loader_with_extractor():
    X, y = clouds(200, 4)
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.BatchNorm1d(8), torch.nn.Tanh()).double()
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.tensor(X), torch.tensor(y)), 32)
    with refused("the extractor is in training mode"):
        h_score(loader, extractor=network)
    network.eval()
    seen = []
    network.register_forward_hook(lambda *_: seen.append(torch.is_grad_enabled()))
    found = h_score(loader, extractor=network)
    assert seen == [False] * 7
    assert found == pytest.approx(reference(network(torch.tensor(X)).detach().numpy(), y), rel=1e-12)


class Device(torch.Tensor):
    """A tensor that refuses to come to the host, as one on a GPU does without being asked to."""

    def _refuse(self, *_, **__):
        raise AssertionError("the features were copied to the host")

    cpu = numpy = tolist = __array__ = __dlpack__ = _refuse

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        name = getattr(func, "__name__", "")
        if name in ("cpu", "numpy", "tolist", "__array__", "__dlpack__"):
            cls._refuse(None)
        return super().__torch_function__(func, types, args, kwargs or {})


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_features_stay_where_they_are(dtype, monkeypatch):
    X, y = clouds(3000, 4)
    F = torch.tensor(X, dtype=dtype).as_subclass(Device)
    with pytest.raises(AssertionError):
        np.asarray(F)
    expected = reference(torch.tensor(X, dtype=dtype).double().numpy(), y)
    # nor do the statistics before they are asked for
    monkeypatch.setattr(torch.Tensor, "cpu", Device._refuse)
    monkeypatch.setattr(torch.Tensor, "numpy", Device._refuse)
    assert h_score(F, torch.tensor(y)) == pytest.approx(expected, rel=1e-10)
    assert h_score([(F[:7], torch.tensor(y[:7])), (F[7:], torch.tensor(y[7:]))]) == pytest.approx(expected, rel=1e-10)
    h = HScore().update(F, y)
    assert (h.rank, h.effective_dimension > 1, h.n) == (4, True, 3000)
    duplicate = torch.cat([F, F], dim=1)
    assert h_score(duplicate, y) == pytest.approx(expected, rel=1e-10)
    F[2, 1] = torch.nan
    with refused("features[2, 1] = nan"):
        h_score(F, y)


def test_works_without_torch():
    code = """
import sys
import time
sys.modules["torch"] = None
import numpy as np
import ufs
assert ufs.h_score([(np.eye(2), "ab")] * 3) > 0
"""
    code = code.replace('"ab"', '["a", "b"]')
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
    loaded = "import ufs, ufs.hscore, sys; sys.exit('torch' in sys.modules or 'dask' in sys.modules)"
    subprocess.run([sys.executable, "-c", loaded], check=True)


# ---- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("make", [np.array, torch.tensor, np.asfortranarray])
@pytest.mark.parametrize("row", [0, 1234, 299_999])
def test_not_finite(bad, make, row):
    X, y = np.zeros((300_000, 5), np.float32), np.arange(300_000) % 3
    X[row, 3] = X[299_999, 4] = bad
    with refused(f"features[{row}, 3] = {bad} is not finite"):
        h_score(make(X), y)
    h = HScore().update(X[: row or 1] if row != 0 else X[1:4], y[: row or 1] if row != 0 else y[1:4])
    before = h.n
    with refused("is not finite"):
        h.update(make(X), y)
    assert (h.n, h.score()) == (before, 0.0)


def test_not_finite_in_single_precision():
    X = np.random.default_rng(0).standard_normal((20_000, 256)).astype(np.float32)
    X[12_345, 67] = np.inf
    with refused("features[12345, 67] = inf"):
        h_score(X, np.arange(20_000) % 7)


def test_refused():
    X, y = clouds(6, 2)
    for labels, message in {
        (0.5, 1, 2, 0, 0, 0): "labels[0] = 0.5 is not an integer",
        (np.nan, 1, 2, 0, 0, 0): "labels[0] = nan is missing",
        (None, 1, 2, 0, 0, 0): "labels[0] = None is missing",
        (0, 1): "there are 6 samples and 2 labels",
    }.items():
        with refused(message):
            h_score(X, list(labels))
    with refused("labels[1] = 0.5 is not an integer"):
        h_score(X, np.array([0, 0.5, 1, 0, 1, 0]))
    with refused("labels[1] = 0.5 is not an integer"):
        h_score(X, torch.tensor([0, 0.5, 1, 0, 1, 0]))
    for missing in (pd.NA, pd.NaT, np.nan):
        with refused(f"labels[2] = {missing} is missing: leave out the samples that have no symbol"):
            h_score(X, np.array(["a", "b", missing, "a", "b", "a"], dtype=object))
    masked = np.arange(6) == 4
    with refused("labels[4] is masked"):
        h_score(X, np.ma.masked_array(y, masked))
    with refused("features[4, 0] is masked"):
        h_score(np.ma.masked_array(X, masked[:, None] | np.zeros(2, bool)), y)
    for no_sequence in ("abcabc", 3, {0, 1}, (c for c in y)):
        with refused("labels has shape (): give one symbol per sample"):
            h_score(X, no_sequence)
    with refused("labels[0] = [0] is not hashable"):
        h_score(X, [[0]] * 6)
    with refused("is no Python value"):
        h_score(X, list(torch.tensor([0, 1, 2, 0, 1, 2])))
    with refused("labels has shape (6, 6): give one symbol per sample"):
        h_score(X, np.eye(6))
    with refused("features has 3 axes"):
        h_score(np.zeros((6, 2, 2)), y)
    with refused("real numbers"):
        h_score(X + 1j, y)
    with refused("real numbers"):
        h_score(torch.tensor(X + 1j), y)
    with refused("real numbers"):
        h_score([["a"]] * 6, y)
    for sparse in (sp.csr_array(X), torch.tensor(X).to_sparse()):
        with refused("features is sparse, and centred it is not: give dense batches"):
            h_score(sparse, y)
    with refused("one feature at least"):
        h_score(np.zeros((6, 0)), y)
    for nothing in (lambda: h_score(np.zeros((0, 2)), []), lambda: h_score([]), HScore().score):
        with refused("there are no samples"):
            nothing()
    with refused("labels are missing"):
        h_score(X)
    with refused("batch 0 is no pair"):
        h_score(np.zeros((6, 3)).tolist())
    with refused("batch 1: features[0, 0] = nan"):
        h_score([(X, y), (X * np.nan, y)])
    with refused("extractor works on batches"):
        h_score(X, y, extractor=np.tanh)
    with refused("extractor works on batches"):
        h_score(np.eye(2), Joint([[0.25, 0.25], [0.25, 0.25]]), extractor=np.tanh)
    with refused("features has shape (6, 2): it needs one row for each of the 2 symbols"):
        h_score(X, Joint([[0.25, 0.25], [0.25, 0.25]]))
    with refused("2 features here and 3 before"):
        HScore().update(np.zeros((4, 3)), [0, 1, 0, 1]).update(X, y)
    with refused("2 features here and 3 before"):
        HScore().update(np.zeros((4, 3)), [0, 1, 0, 1]).merge(HScore().update(X, y))
    with refused("the squares of feature 0 exceed the range of float64"):
        h_score(X * 1e200, y)
    with refused("the squares of feature 1 are too small for float64"):
        h_score(X * [1, 1e-180], y)
    h = HScore().update(X, y).update(X * 1e200, y)
    with refused("the squares of feature 0 exceed the range of float64"):
        h.score()
    with refused("f has shape (6, 2) and g (6, 1)"):
        h_score_pair(X, X[:, :1])
    with refused("f has shape (6, 2) and g (5, 2)"):
        h_score_pair(X, X[:5])
    with refused("arrays both, or tensors"):
        h_score_pair(X, torch.tensor(X))
    bad = X.copy()
    bad[4, 1] = np.nan
    with refused("g[4, 1] = nan"):
        h_score_pair(X, bad)


# ---- parts -----------------------------------------------------------------------------------------------------------


def test_merge_in_any_order():
    X, y = clouds(2000, 6)
    X[:700] += 50  # parts with different shifts do not add up unless they are brought to one
    parts = np.split(np.arange(2000), [1, 30, 700, 700, 1500])
    expected = pytest.approx(reference(X, y), rel=1e-11)
    for order in itertools.permutations(range(6), 6):
        if order[0] > 2:
            continue
        h = HScore()
        for i in order[::-1]:
            h.merge(HScore().update(X[parts[i]], y[parts[i]]))
        assert h.score() == expected
        assert h.n == 2000


def test_merge_leaves_the_other_and_takes_mixed_libraries():
    X, y = clouds(300, 3)
    one, other = HScore().update(X[:200], y[:200]), HScore().update(torch.tensor(X[200:]), y[200:])
    score = other.score()
    for first, second in ((one, other), (other, one)):
        copy = HScore().merge(first).merge(second)
        assert copy.score() == pytest.approx(reference(X, y), rel=1e-12)
    assert other.score() == score
    assert one.update(torch.tensor(X[200:]), y[200:]).score() == pytest.approx(reference(X, y), rel=1e-12)


@pytest.mark.parametrize("make", [np.array, torch.tensor])
def test_update_after_merge(make):
    X, y = clouds(400, 3)
    h = HScore().update(make(X[:10] + 5), y[:10]).merge(HScore().update(make(X[10:200]), y[10:200]))
    for start in range(200, 400, 50):
        h.update(make(X[start : start + 50]), y[start : start + 50])
    X[:10] += 5
    assert h.score() == pytest.approx(reference(X, y), rel=1e-12)


def test_a_class_in_one_part_only_and_empty_batches():
    X, y = clouds(300, 3)
    order = np.argsort(y)
    X, y = X[order], y[order]
    h = HScore().update(np.zeros((0, 9)), [])
    assert (h.n, h.width, h.classes) == (0, 0, ())
    for c in range(4):
        h.merge(HScore().update(X[y == c], y[y == c])).merge(HScore()).update(X[:0], y[:0])
    assert h.score() == pytest.approx(reference(X, y), rel=1e-12)


@pytest.mark.parametrize("make", [np.array, torch.tensor])
def test_pickle(make):
    X, y = clouds(300, 3)
    h = pickle.loads(pickle.dumps(HScore().update(make(X[:100]), y[:100])))
    assert h.update(make(X[100:]), y[100:]).score() == pytest.approx(reference(X, y), rel=1e-12)


@pytest.mark.parametrize("labels", [lambda y: y, lambda y: np.array(["é", "b", "", "d d"])[y], lambda y: y > 1])
@pytest.mark.parametrize("make", [np.array, torch.tensor])
def test_save_and_load(tmp_path, labels, make):
    X, y = clouds(300, 3)
    y = labels(y)
    path = tmp_path / "statistics"
    h = HScore().update(make(X[:100]), y[:100])
    h.save(path)
    found = HScore.load(path)
    assert (found.classes, found.n, found.score()) == (h.classes, h.n, pytest.approx(h.score(), rel=1e-13))
    assert [type(c) for c in found.classes] == [type(c) for c in h.classes]
    expected = pytest.approx(h_score(X, y), rel=1e-12)
    assert found.update(make(X[100:]), y[100:]).score() == expected
    assert HScore.load(path).merge(HScore().update(X[100:], y[100:])).score() == expected


def test_files_that_are_refused(tmp_path):
    X, y = clouds(30, 2)
    with refused("cannot be saved without pickle"):
        HScore().update(X, [(c,) for c in y]).save(tmp_path / "a")
    with refused("cannot be saved without pickle"):
        HScore().update(X, [[1, "1"][c % 2] for c in y]).save(tmp_path / "a")
    with refused("there are no samples"):
        HScore().save(tmp_path / "a")
    assert not (tmp_path / "a").exists()
    np.savez(tmp_path / "b.npz", x=X)
    with refused("holds no statistics"):
        HScore.load(tmp_path / "b.npz")
    (tmp_path / "c").write_text("text")
    with refused("c is no .npz file"):
        HScore.load(tmp_path / "c")
    np.save(tmp_path / "d.npy", X)
    with refused("d.npy is no .npz file"):
        HScore.load(tmp_path / "d.npy")
    (tmp_path / "e").write_bytes(pickle.dumps([1]))
    with refused("e is no .npz file"):
        HScore.load(tmp_path / "e")
    with pytest.raises(FileNotFoundError):
        HScore.load(tmp_path / "nowhere")
    HScore().update(X, y).save(tmp_path / "f")
    with np.load(tmp_path / "f") as file:
        arrays = dict(file) | {"shift": np.zeros(3)}
    content = bytearray((tmp_path / "f").read_bytes())
    content[content.index(b"NUMPY") + 130] ^= 1
    (tmp_path / "h").write_bytes(content)
    with refused("h is damaged: Bad CRC-32"):
        HScore.load(tmp_path / "h")
    np.savez(tmp_path / "f.npz", **arrays)
    with refused("is damaged: its arrays do not fit together"):
        HScore.load(tmp_path / "f.npz")
    del arrays["gram"], arrays["counts"]
    np.savez(tmp_path / "g.npz", **arrays)
    with refused("is damaged: it has no counts, gram"):
        HScore.load(tmp_path / "g.npz")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"classes": np.array([0, 0])}, "do not fit together"),
        ({"classes": np.array(3)}, "do not fit together"),
        ({"classes": np.array([0.5, 1])}, "do not fit together"),
        ({"classes": np.array([0, None])}, "Object arrays"),
        ({"shift": np.array([[1.0]])}, "do not fit together"),
        ({"counts": np.array([-1.0, 2.0])}, "classes without samples"),
        ({"counts": np.array([np.nan, 2.0])}, "classes without samples"),
        ({"gram": np.array([[1j]])}, "gram is of type complex128"),
        ({"sums": np.array([["a"], ["b"]])}, "sums is of type <U1"),
    ],
)
def test_arrays_that_are_no_statistics_are_refused_with_their_file(tmp_path, changed, message):
    HScore().update([1.0, 2.0], [0, 1]).save(tmp_path / "a")
    with np.load(tmp_path / "a") as arrays:
        np.savez(tmp_path / "b.npz", **dict(arrays) | changed)
    with pytest.raises(ValueError, match=rf"b\.npz is damaged: .*{message}"):
        HScore.load(tmp_path / "b.npz")


def test_effective_dimension():
    X, y = clouds(5000, 4, spread=0)
    assert HScore().update(X, y).effective_dimension == pytest.approx(4, abs=0.02)
    assert HScore().update(X[:, [0] * 5], y).effective_dimension == pytest.approx(1)
    assert HScore().update(torch.tensor(X[:, [0] * 5]), y).effective_dimension == pytest.approx(1)
    assert HScore().update(np.ones((9, 2)), np.arange(9)).effective_dimension == 0
    assert "n=5000, features=4, classes=4" in repr(HScore().update(X, y))


def test_a_file_is_replaced_only_by_one_that_is_whole(tmp_path, monkeypatch):
    old, new = HScore().update([[0.0], [1.0]], [0, 1]), HScore().update([[0.0], [3.0], [1.0]], [0, 1, 1])
    old.save(tmp_path / "a")
    (tmp_path / "link").symlink_to("a")
    write = np.savez

    def killed(file, **arrays):
        write(file, **dict(list(arrays.items())[:2]))
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez", killed)
    with pytest.raises(KeyboardInterrupt):
        new.save(tmp_path / "a")
    assert HScore.load(tmp_path / "a").n == 2
    monkeypatch.undo()
    new.save(tmp_path / "link")
    assert HScore.load(tmp_path / "a").n == 3
    assert {path.name for path in tmp_path.iterdir()} == {"a", "link"}
    assert (tmp_path / "link").is_symlink()


def test_any_flipped_bit_is_damage_or_changes_nothing(tmp_path):
    statistics = HScore().update([[0.5, 2.0], [1.5, -1.0], [0.25, 0.0]], ["a", "b", "a"])
    statistics.save(tmp_path / "a")
    whole = (tmp_path / "a").read_bytes()
    rng, complaints = np.random.default_rng(3), []
    for bit in rng.choice(8 * len(whole), 1500, replace=False):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        (tmp_path / "b").write_bytes(damaged)
        try:
            found = HScore.load(tmp_path / "b")
        except ValueError as error:
            complaints.append(str(error))
        else:
            assert (found.n, found.classes, found.score()) == (3, ("a", "b"), statistics.score())
    assert len(complaints) > 500
    assert all(str(tmp_path / "b") in complaint for complaint in complaints)


@pytest.mark.parametrize("make", [np.array, torch.tensor], ids=["numpy", "torch"])
@pytest.mark.parametrize(
    ("kind", "off"), [("u8", 2**63), ("i8", 2**62), ("i8", -(2**63)), ("i8", 2**53 + 1), ("u8", 2**55)]
)
def test_integers_beyond_the_floats_keep_their_differences(make, kind, off):
    rng = np.random.default_rng(4)
    y, x = rng.integers(3, size=600), rng.integers(50, size=(600, 3))
    x[:, 0] += 5 * y
    large = make((x.astype(object) + off).astype(kind))
    expected = pytest.approx(h_score(x, y), rel=1e-12)
    assert h_score(large, y) == expected
    assert HScore().update(large[:70], y[:70]).update(large[70:], y[70:]).score() == expected
    assert h_score_pair(large, make(x), None) == pytest.approx(h_score_pair(x, x), rel=1e-12)
    spread = make((x.astype(object) * 2**56 + min(off, 0)).astype("i8"))  # over most of the range
    assert h_score(spread, y) == expected


def test_batches_of_any_form_are_read_with_a_choice():
    rng = np.random.default_rng(5)
    X, y = rng.standard_normal((90, 3)), rng.integers(3, size=90)
    whole = h_score(X, y)
    parts = [slice(start, start + 30) for start in (0, 30, 60)]
    dictionaries = [{"pixels": X[part], "labels": y[part], "mask": None} for part in parts]
    assert h_score(dictionaries, select=lambda batch: (batch["pixels"], batch["labels"])) == pytest.approx(
        whole, rel=1e-12
    )
    triples = [(X[part], y[part], "x") for part in parts]
    assert h_score(triples, select=lambda batch: batch[:2]) == pytest.approx(whole, rel=1e-12)
    found = h_score(triples, select=lambda batch: batch[:2], extractor=lambda x: 2 * x + 1)
    assert found == pytest.approx(whole, rel=1e-12)
    for batches in (dictionaries, triples):
        with refused(
            "batch 0 is no pair (features, labels): labels may be missing; of other batches choose with select"
        ):
            h_score(batches)
    with refused("select works on batches"):
        h_score(X, y, select=lambda batch: batch)


def test_a_part_in_training_mode_is_found():
    network = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Sequential(torch.nn.Dropout())).eval()
    network[1][0].train()
    with refused("1.0 of the extractor is in training mode, where features are random: call eval() of the extractor"):
        h_score([(torch.eye(2), [0, 1])], extractor=network)
    assert h_score([(torch.eye(2), [0, 1])], extractor=network.eval()) == pytest.approx(0.5)


FEW = {  # features that outnumber the samples, of rank n - 1 and less
    "normal": lambda X, rng: X,
    "rectified": lambda X, rng: np.maximum(X + 0.1 * X[:, ::-1] - 0.5, 0),
    "of a few dimensions": lambda X, rng: X[:, :3] @ rng.standard_normal((3, X.shape[1])),
    "of samples that are equal": lambda X, rng: X[rng.integers(len(X) // 2, size=len(X))],
    "of units far apart": lambda X, rng: X * 10.0 ** rng.uniform(-100, 100, X.shape[1]),
    "of few values": lambda X, rng: np.rint(X),
    "with dead columns": lambda X, rng: X * (rng.random(X.shape[1]) < 0.05),
    "far from zero": lambda X, rng: X + 1e6,
}


@pytest.mark.parametrize("make", [np.array, torch.tensor], ids=["numpy", "torch"])
@pytest.mark.parametrize("of", FEW)
def test_features_that_outnumber_the_samples_are_scored_in_the_space_of_samples(of, make):
    rng = np.random.default_rng(8)
    for n, k in ((2, 4), (12, 24), (40, 900)):
        y = rng.integers(3, size=n)
        X = FEW[of](rng.standard_normal((n, k)), rng)
        centred = X - X.mean(0)
        largest = abs(centred).max(0)
        U, size, _ = np.linalg.svd(centred / np.where(largest > 0, largest, 1), full_matrices=False)
        one_hot = (y[:, None] == np.unique(y)) / np.sqrt(np.bincount(y)[np.unique(y)])
        expected = np.sum((U[:, size > 1e-8 * max(size[0], 1e-300)].T @ one_hot) ** 2) / 2
        assert h_score(make(X), y) == pytest.approx(expected, rel=1e-9, abs=1e-12)
    with refused(r"features[1, 7] = nan is not finite"):
        h_score(make(np.where(np.arange(20 * 50).reshape(20, 50) == 57, np.nan, 1.0)), np.arange(20))


def test_few_samples_of_many_features_cost_what_samples_cost():
    rng = np.random.default_rng(9)
    X = np.repeat(rng.standard_normal((15, 20_000)), 2, axis=0)  # no rank to see at a glance
    start = time.perf_counter()
    assert h_score(X, np.arange(30) % 2) == pytest.approx(0.0, abs=1e-12)
    assert time.perf_counter() - start < 5  # a matrix of second moments would hold 3 GB


# ---- weights, scores on other samples, tests -------------------------------------------------------------------------


def classified(rng, n, k=5, g=4):
    y = rng.integers(g, size=n)
    return rng.standard_normal((n, k)) + np.eye(g, k)[y], y


@pytest.mark.parametrize("make", [np.array, torch.tensor], ids=["numpy", "torch"])
def test_weights_reach_the_score_and_their_rule_has_its_loss(make):
    X, y = classified(np.random.default_rng(1), 300)
    X = np.column_stack([1e-6 * X[:, 0], X[:, 1:] + 1e3, X[:, 1], np.ones(300)])  # units, a copy and a constant
    statistics = HScore().update(make(X), y)
    rule = statistics.weights()
    v = rule.v[[rule.classes.index(label) for label in y.tolist()]]
    assert h_score_pair(X, v) == pytest.approx(statistics.score(), rel=1e-9)
    assert np.allclose(rule.prior @ rule.v, 0, atol=1e-9 * abs(rule.v).max(axis=0))
    q = rule.probabilities(X)
    assert np.allclose(q.sum(axis=1), 1)
    loss = np.mean(np.sum((q - (y[:, None] == np.array(rule.classes))) ** 2 / rule.prior, axis=1))
    assert loss == pytest.approx(3 - 2 * statistics.score(), rel=1e-9)
    with refused("features have shape (300, 2): give rows of 7 features"):
        rule.probabilities(X[:, :2])


@pytest.mark.parametrize("make", [np.array, torch.tensor], ids=["numpy", "torch"])
def test_a_score_on_other_samples_is_that_of_the_weights_found_on_these(make):
    rng = np.random.default_rng(2)
    (X, y), (other, z) = classified(rng, 200), classified(rng, 150)
    z[:5] = 9  # a class not seen
    seen, new = HScore().update(make(X), y), HScore().update(make(other), z)
    rule = seen.weights()
    v = np.array([rule.v[rule.classes.index(label)] if label != 9 else 0 * rule.v[0] for label in z.tolist()])
    expected = h_score_pair(other, v)
    assert seen.held_out(new) == pytest.approx(expected, rel=1e-10)
    assert held_out_h_score(X, y, other, z) == pytest.approx(expected, rel=1e-10)
    assert seen.held_out(new) < new.score()
    assert seen.held_out(seen) == pytest.approx(seen.score(), rel=1e-12)
    far = make(other + 1e5)  # where the other samples are does not count
    assert seen.held_out(HScore().update(far, z)) == pytest.approx(expected, rel=1e-6)
    for wrong, message in ((3, "a int is no HScore"), (HScore(), "there are no samples"), (1, None)):
        if message:
            with refused(message):
                seen.held_out(wrong)
    with refused("a sample has 2 features here and 5 before"):
        held_out_h_score(X, y, other[:, :2], z)


@pytest.mark.parametrize(("r", "g", "n"), [(1, 2, 20), (4, 3, 60), (10, 5, 100), (3, 6, 40)])
def test_a_p_value_is_uniform_where_features_say_nothing(r, g, n):
    rng = np.random.default_rng(3)
    found = np.array(
        [HScore().update(rng.standard_normal((n, r)), rng.integers(g, size=n)).p_value() for _ in range(1500)]
    )
    for level in (0.01, 0.05, 0.5):
        assert abs(np.mean(found < level) - level) < 4 * np.sqrt(level * (1 - level) / 1500)


def test_a_p_value_is_that_of_permutation_and_of_regression():
    rng = np.random.default_rng(4)
    X, y = classified(rng, 60, k=3, g=3)
    X[:, 0] /= 3
    X = np.column_stack([np.maximum(X, 0) @ np.diag([0.3, 1, 1]), X[:, :1] * 0, X[:, 1]])
    statistics = HScore().update(X, rng.permutation(y) * (rng.random(60) < 0.8))
    labels = np.repeat(statistics.classes, statistics.counts)
    scores = [HScore().update(X, rng.permutation(labels)).score() for _ in range(2000)]
    assert statistics.p_value() == pytest.approx(np.mean(np.array(scores) >= statistics.score()), abs=0.04)
    two = HScore().update(X, y == 0)
    R2 = np.linalg.lstsq(np.column_stack([np.ones(60), X]), (y == 0) * 1.0, rcond=1e-10)[0]
    fitted = np.column_stack([np.ones(60), X]) @ R2
    share = np.var(fitted) / np.var(y == 0)
    F = share / two.rank / ((1 - share) / (60 - 1 - two.rank))
    assert two.p_value() == pytest.approx(stats.f.sf(F, two.rank, 59 - two.rank), rel=1e-8)
    tiny = HScore().update(10 * np.eye(4)[np.arange(4000) % 4] + rng.standard_normal((4000, 4)), np.arange(4000) % 4)
    assert 0 <= tiny.p_value() < 1e-300
    for few in (HScore().update(np.ones((5, 2)), [0, 1, 0, 1, 0]), HScore().update(np.eye(4), [0, 1, 2, 2])):
        with refused("a test needs one feature that varies, two classes, and more samples than either"):
            few.p_value()


@pytest.mark.parametrize("way", ["in memory", "stream", "tensors"])
def test_whatever_comes_without_a_warning_is_right_to_a_millionth(way):
    """Features ever nearer to dependence, through the edge from which they are told of; both outcomes occur."""
    score = {
        "in memory": h_score,
        "stream": lambda X, y: HScore().update(X[:200], y[:200]).update(X[200:], y[200:]).score(),
        "tensors": lambda X, y: h_score(torch.tensor(X), y),
    }[way]
    rng, told, silent = np.random.default_rng(10), 0, 0
    for distance in 10.0 ** rng.uniform(-14 if way != "stream" else -9, -2, 60):
        y = rng.integers(3, size=400)
        apart = rng.standard_normal((400, 3)) + y[:, None] * rng.uniform(0, 2, 3)
        near = apart @ np.array([[1, 1, 1], [0, distance, 0], [0, 0, distance]])
        found, warned = heard(lambda near=near, y=y: score(near, y))
        if warned:
            told += 1
        else:
            silent += 1
            assert found == pytest.approx(h_score(apart, y), rel=1e-6)
    assert min(told, silent) >= 5
