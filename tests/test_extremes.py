"""Exponents, divergences and spans at the ends of the doubles, against computations with hundreds of digits."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from typing import Any

import mpmath as mp
import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import ufs
from ufs import Joint, chernoff_information, exponent_bounds, feature_exponent

EPS = float(np.finfo(float).eps)
TINY, HUGE = float(np.finfo(float).tiny), float(np.finfo(float).max)
PROPER = ["near", "rare", "mixed", "far", "extreme", "subnormal"]
KINDS = [*PROPER, "sparse", "sparse and near"]

Pair = tuple[np.ndarray, np.ndarray]


def weights(kind: str, n: int, rng: np.random.Generator) -> Pair:
    """Two rows of weights: alike to twelve digits, alike but for rare symbols, or as far apart as doubles can be."""

    def powers(low: float, high: float) -> Any:
        return 10.0 ** rng.uniform(low, high, n)

    if kind == "near":
        p = rng.dirichlet(np.ones(n))
        return p, p * (1 + 10.0 ** rng.uniform(-12, -1) * rng.uniform(-1, 1, n))
    if kind == "mixed":
        p = powers(-300, 0)
        p[0] = 1
        return p, p * (1 + 10.0 ** rng.uniform(-12, 0, n) * rng.uniform(-1, 1, n))
    if kind == "sparse":
        p, q = (powers(-30, 0) * (rng.random(n) < 0.7) for _ in range(2))
        p[0] += p.sum() == 0
        q[-1] += q.sum() == 0
        return p, q
    if kind == "sparse and near":
        p = powers(-3, 0)
        q = p * (1 + 10.0 ** rng.uniform(-12, -1) * rng.uniform(-1, 1, n))
        p[-1], q[-1] = 0, 10.0 ** rng.uniform(-30, -1)
        return p, q
    low, high = {"far": (-16, 0), "rare": (-20, -5), "extreme": (-300, 0), "subnormal": (-323, -300)}[kind]
    p, q = powers(low, high), powers(low, high)
    if kind in ("rare", "subnormal"):
        p[0] = q[0] = 1
    else:
        p[rng.integers(n)] = q[rng.integers(n)] = 1
    return p, q


def pairs(kind: str, count: int, seed: int = 0) -> Iterator[Pair]:
    rng = np.random.default_rng(seed)
    for _ in range(count):
        p, q = weights(kind, int(rng.integers(2, 7)), rng)
        yield p / p.sum(), q / q.sum()


def features(kind: str, n: int, rng: np.random.Generator) -> np.ndarray:
    if kind == "lattice":
        return rng.integers(0, 3, n).astype(float)
    return np.eye(n) if kind == "indicators" else rng.standard_normal((n, rng.integers(1, n)))


def exact(values: np.ndarray) -> list[Any]:
    """The numbers divided by their sum."""
    numbers = [mp.mpf(float(value)) for value in values]
    return [number / mp.fsum(numbers) for number in numbers]


def exact_chernoff(p: np.ndarray, q: np.ndarray) -> Any:
    """Newton's method on the logarithm of the sum, safeguarded by bisection; its second derivative is positive."""
    both = [(a, b) for a, b in zip(exact(p), exact(q), strict=True) if a and b]
    if not both:
        return mp.inf
    logs = [(mp.log(b), mp.log(a / b)) for a, b in both]

    def moments(s: Any) -> tuple[Any, Any, Any]:
        terms = [(mp.exp(log_b + s * ratio), ratio) for log_b, ratio in logs]
        return tuple(mp.fsum(term * ratio**k for term, ratio in terms) for k in range(3))  # type: ignore[return-value]

    low, high, s = mp.mpf(0), mp.mpf(1), mp.mpf(0.5)
    if moments(low)[1] >= 0 or moments(high)[1] <= 0:
        return max(-mp.log(moments(end)[0]) for end in (low, high))
    for _ in range(200):
        _, slope, bend = moments(s)
        low, high = (low, s) if slope > 0 else (s, high)
        new = s - slope / bend
        new = new if low < new < high else (low + high) / 2
        if abs(new - s) < mp.mpf(10) ** -20:
            break
        s = new
    return -mp.log(moments(new)[0])


def agree(found: float, truth: Any, rel: float) -> bool:
    """Whether a double is the truth: as far as doubles have digits, and infinite only beyond the largest of them."""
    if math.isinf(found):
        return bool(truth > HUGE * (1 - rel))
    return bool(abs(found - truth) <= rel * abs(truth) + 20 * mp.mpf(5e-324))


def about(truth: float, rel: float) -> Any:
    return pytest.approx(truth, rel=rel, abs=0)


@pytest.fixture(autouse=True)
def many_digits() -> Iterator[None]:
    with mp.workdps(350):
        yield


# ---- Chernoff information --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_chernoff_information_has_its_digits(kind: str) -> None:
    for p, q in pairs(kind, 25):
        truth = exact_chernoff(p, q)
        assert agree(chernoff_information(p, q), truth, 1e-12), (p, q)
        assert agree(chernoff_information(q, p), truth, 1e-12), (p, q)


def test_chernoff_information_of_what_was_once_lost() -> None:
    e = 1e-100
    assert chernoff_information([1 - e, e], [e, 1 - e]) == about(-math.log(2) + 50 * math.log(10), rel=1e-14)
    assert chernoff_information([1 - 1e-17, 1e-17, 0], [0, 1e-17, 1 - 1e-17]) == about(17 * math.log(10), rel=1e-14)
    p, q = np.array([1e-16, 1 - 1e-16]), np.array([4e-16, 1 - 4e-16])
    assert agree(chernoff_information(p, q), exact_chernoff(p, q), 1e-14)
    assert chernoff_information([5e-324, 1], [1, 5e-324]) == about(-math.log(2 * math.sqrt(5e-324)), rel=1e-14)


def test_chernoff_information_is_that_of_the_distributions_divided_by_their_sums() -> None:
    for p, q in pairs("near", 20, seed=1):
        off = chernoff_information(p * (1 + 9e-10), q * (1 - 9e-10))
        assert agree(off, exact_chernoff(p * (1 + 9e-10), q * (1 - 9e-10)), 1e-9 + 1e-14 / math.sqrt(off))


# ---- exponents of features -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", PROPER)
@pytest.mark.parametrize("of", ["normal", "lattice", "indicators"])
def test_both_bounds_of_an_exponent_agree_to_a_hundred_millionth_of_its_size(kind: str, of: str) -> None:
    rng = np.random.default_rng(2)
    for p, q in pairs(kind, 25, seed=3):
        bounds = exponent_bounds(features(of, len(p), rng), p, q)
        assert bounds.upper - bounds.lower <= 1e-9 * max(bounds.lower, TINY)
        assert bounds.lower <= chernoff_information(p, q) * (1 + 1e-9) + TINY * EPS


@pytest.mark.parametrize("kind", PROPER)
def test_all_features_together_and_the_likelihood_ratio_lose_nothing(kind: str) -> None:
    for p, q in pairs(kind, 25, seed=4):
        best = chernoff_information(p, q)
        assert agree(feature_exponent(np.eye(len(p)), p, q), best, 1e-9)
        if kind != "near":  # there the rounding of the ratio is its largest part
            assert agree(feature_exponent(np.log(p) - np.log(q), p, q), best, 1e-6)


POSITIVE, WHOLES = st.floats(min_value=1e-322, max_value=1), st.integers(-1000, 1000)


@settings(deadline=None, derandomize=True, database=None, max_examples=150)
@given(
    st.integers(2, 4).flatmap(lambda n: st.lists(st.tuples(POSITIVE, POSITIVE, WHOLES), min_size=n, max_size=n)),
    st.integers(-1000, 1000),
)
def test_any_feature_of_any_two_distributions_has_a_proved_exponent(rows: list[Any], exponent: int) -> None:
    p, q, h = np.array(rows).T
    h = np.ldexp(h, exponent)
    assume(min(p.max(), q.max()) > 1e-3)
    p, q = p / p.sum(), q / q.sum()
    bounds = exponent_bounds(h, p, q)
    assert bounds.upper - bounds.lower <= 1e-8 * max(bounds.lower, TINY)
    assert bounds.lower <= chernoff_information(p, q) * (1 + 1e-9) + TINY * EPS * 64
    assert 0 <= ufs.kl_divergence(p, q) <= math.log1p(ufs.chi2_divergence(p, q)) * (1 + 1e-12) + TINY
    assert ufs.local_exponent(h, p, q, q) >= 0


@pytest.mark.parametrize("kind", ["near", "rare", "mixed", "far", "extreme"])
def test_the_lower_bound_is_the_value_of_the_dual(kind: str) -> None:
    rng = np.random.default_rng(5)
    for p, q in pairs(kind, 15, seed=6):
        h = rng.standard_normal(len(p))
        bounds = exponent_bounds(h, p, q)
        lam, theta, x = mp.mpf(bounds.lam), mp.mpf(float(bounds.theta[0])), [mp.mpf(value) for value in h]
        one = mp.fsum(a * mp.exp(theta / lam * z) for a, z in zip(exact(p), x, strict=True))
        two = mp.fsum(b * mp.exp(-theta / (1 - lam) * z) for b, z in zip(exact(q), x, strict=True))
        assert agree(bounds.lower, -lam * mp.log(one) - (1 - lam) * mp.log(two), 1e-9)


def test_an_exponent_of_a_trillionth_is_as_sure_as_one_of_one() -> None:
    p0, d = np.array([0.2, 0.3, 0.5]), np.array([0.1, -0.3, 0.2])
    for eps in (1e-6, 1e-9, 1e-12):
        bounds = exponent_bounds([1.0, 5.0, -2.0], p0 + eps * d, p0 - eps * d)
        assert 0 < bounds.lower <= bounds.upper <= bounds.lower * (1 + 1e-12)


def test_a_constant_says_nothing_where_sums_are_off() -> None:
    p, q = np.array([0.5, 0.3, 0.2]), np.array([0.3, 0.3, 0.4])
    for off in (1 + 9e-10, 1 - 9e-10):
        bounds = exponent_bounds([7, 7, 7], p * off, q)
        assert (bounds.lower, bounds.upper) == (0, 0)
        assert feature_exponent([1, 2, 4], p * off, q) == about(feature_exponent([1, 2, 4], p, q), rel=1e-12)


@pytest.mark.parametrize("form", [np.array, sp.csr_array])
def test_exponents_of_weak_attributes_lose_nothing_on_the_way_to_y(form: Any) -> None:
    joint, h = Joint(form(JOINT.P)), WHOLE[:, 0]
    for eps in (1e-6, 1e-9, 1e-11):
        px_v = ufs.random_attribute(JOINT.px, eps, 0, draws=5)
        apart = px_v[:, 0] - px_v[:, 1]
        apart -= JOINT.px * apart.sum(axis=1, keepdims=True)  # the sums are one but for rounding
        means = apart @ (JOINT.P / JOINT.px[:, None]) @ (h - JOINT.py @ h)
        local = means**2 / 8 / (JOINT.py @ (h - JOINT.py @ h) ** 2)  # mirror images: no term of first order follows
        np.testing.assert_allclose(ufs.attribute_exponents(h, joint, px_v), local, rtol=1e-10)
    with pytest.raises(ValueError, match=r"px_v\[0, 1\] sums to 0\.9"):
        ufs.attribute_exponents(h, joint, [[[0.4, 0.6], [0.4, 0.5]]])


# ---- only the span counts (Lemma 2.1) --------------------------------------------------------------------------------

JOINT = Joint([[0.2, 0.1, 0.05, 0.05], [0.05, 0.25, 0.1, 0.2]])
Q = np.array([0.3, 0.2, 0.1, 0.4])
WHOLE = np.array([[0.0, 3.0], [1.0, -2.0], [4.0, 1.0], [2.0, 0.0]])  # whole numbers: what is added stays exact


def readings(h: np.ndarray) -> np.ndarray:
    """All that is measured of the span of features of Y."""
    p = JOINT.py
    bounds = exponent_bounds(h, p, Q)
    return np.array(
        [
            feature_exponent(h, p, Q),
            bounds.lower,
            bounds.upper,
            ufs.local_exponent(h, p, Q, p),
            ufs.captured(h, JOINT),
            ufs.averaged_exponent(h, JOINT, 4, 0.1),
            ufs.feature_angles(h, [1, 0, 0, 2], p)[0],
            ufs.attribute_exponents(h, JOINT, ufs.random_attribute(JOINT.px, 0.1, 0, draws=1))[0],
            *ufs.simulate_error(h, p, Q, 20, trials=1000).error,
        ]
    )


@pytest.mark.parametrize("columns", [slice(0, 1), slice(0, 2)])
@pytest.mark.parametrize("scale", [1e160, 1e-200, 2.0**1020, 2.0**-1060, np.array([1e-150, 1e150])])
def test_the_scale_of_features_does_not_count(columns: slice, scale: Any) -> None:
    h = WHOLE[:, columns]
    np.testing.assert_allclose(readings(h * np.broadcast_to(scale, 2)[columns]), readings(h), rtol=1e-9)


@pytest.mark.parametrize(
    ("k", "offset"), [(1, 1e6), (1, -3e13), (1, 1e15), (2, 1e6), (2, 3e13), (2, np.array([0, 3e13]))]
)
def test_what_is_added_to_features_does_not_count(k: int, offset: Any) -> None:
    columns = slice(0, k)
    h = WHOLE[:, columns]
    np.testing.assert_allclose(readings(h + np.broadcast_to(offset, 2)[columns]), readings(h), rtol=1e-9)


def test_constant_and_dependent_columns_add_nothing_at_any_scale() -> None:
    h = WHOLE[:, :1]
    for more in (h * 1e160, h * 1e-160, h + 3e13, np.full((4, 1), 3e13), np.full((4, 1), 1e-310), h / 3 + 1e8):
        np.testing.assert_allclose(readings(np.hstack([h, more])), readings(h), rtol=1e-8)
        np.testing.assert_allclose(readings(np.hstack([more, h])), readings(h), rtol=1e-8)


def test_a_span_of_rare_symbols_is_not_lost_among_frequent_ones() -> None:
    p, q = np.array([0.5, 0.5, 1e-20]), np.array([0.5, 0.5, 4e-20])
    together = feature_exponent([[0, 0], [1, 1], [1, 0]], p, q)
    assert together == about(feature_exponent([0, 0, 1], p, q), rel=1e-9)
    assert together == about(chernoff_information(p, q), rel=1e-9)


def test_a_column_that_may_be_rounding_is_refused_by_its_name() -> None:
    noise = np.array([1.0, 1.0, 1 + 2 * EPS, 1.0])
    for h, name in ((noise, "h"), (np.column_stack([WHOLE, 1e200 * noise]), "column 2 of h")):
        for call in (
            lambda h=h: feature_exponent(h, JOINT.py, Q),
            lambda h=h: ufs.local_exponent(h, JOINT.py, Q, Q),
            lambda h=h: ufs.captured(h, JOINT),
            lambda h=h: ufs.simulate_error(h, JOINT.py, Q, 1),
        ):
            with pytest.raises(ValueError, match=f"{name} varies by less than 16 units in the last place"):
                call()
    with pytest.raises(ValueError, match="g varies by less than 16 units"):
        ufs.feature_angles([1, 0, 0, 2], noise, Q)
    np.testing.assert_allclose(readings(noise - noise[0]), readings(np.array([0.0, 0.0, 1.0, 0.0])), rtol=1e-12)


def test_sizes_beyond_doubles_are_refused_or_infinite_and_never_wrong() -> None:
    small = np.array([1e-310, 1 - 1e-310])
    with pytest.raises(ValueError, match=r"phi\[0\] = inf is more than a double can hold: take a larger eps"):
        ufs.information_vector([0.5, 0.5], small, 1e-300)
    np.testing.assert_allclose(ufs.information_vector([0.5, 0.5], small, 0.1)[0], 5 / math.sqrt(1e-310))
    with pytest.raises(ValueError, match=r"P\[1\] would be -inf"):
        ufs.distribution([1e308, -1e308], [0.5, 0.5], 1e300)
    assert ufs.averaged_exponent([0, 1, 2, 3], JOINT, 0, 1e300) == 0
    assert ufs.averaged_exponent([0, 1, 2, 3], JOINT, 4, 1e300) == math.inf
    assert ufs.averaged_exponent([0, 1, 2, 3], JOINT, 4e300, 1e-170) == about(
        1e-40 * ufs.averaged_exponent([0, 1, 2, 3], JOINT, 4, 1), rel=1e-12
    )


def exact_span(h: np.ndarray, p: list[Any]) -> list[list[Any]]:
    """Gram and Schmidt on the vectors √p (h - E h)."""
    found: list[list[Any]] = []
    for column in h.T:
        values = [mp.mpf(float(value)) for value in column]
        mean = mp.fsum(a * b for a, b in zip(p, values, strict=True))
        vector = [mp.sqrt(a) * (b - mean) for a, b in zip(p, values, strict=True)]
        whole = mp.norm(vector)
        for unit in found:
            along = mp.fsum(a * b for a, b in zip(unit, vector, strict=True))
            vector = [b - along * a for a, b in zip(unit, vector, strict=True)]
        if mp.norm(vector) > whole * mp.mpf(10) ** -200:
            found.append([value / mp.norm(vector) for value in vector])
    return found


def projected(vectors: list[list[Any]], others: list[list[Any]]) -> Any:
    """Sum of the squares of the inner products."""
    return mp.fsum(mp.fsum(a * b for a, b in zip(one, two, strict=True)) ** 2 for one in vectors for two in others)


def exactly_captured(h: np.ndarray, P: np.ndarray) -> Any:
    """What features of X hold of the divergence transition matrix."""
    cells, (n, m) = exact(P.ravel()), P.shape
    rows = [cells[x * m : (x + 1) * m] for x in range(n)]
    px, py = [mp.fsum(row) for row in rows], [mp.fsum(column) for column in zip(*rows, strict=True)]
    B = [[(rows[x][y] / px[x] / py[y] - 1) * mp.sqrt(px[x] * py[y]) for x in range(n)] for y in range(m)]
    return projected(exact_span(h, px), B)


def scattered(n: int, rng: np.random.Generator) -> np.ndarray:
    """A distribution of which some symbols are rare, and some next to impossible."""
    p = 10.0 ** rng.uniform(-rng.choice([0, 5, 20, 60, 140]), 0, n)
    return p / p.sum()


@pytest.mark.parametrize("of", ["normal", "lattice", "indicators", "rare indicators"])
def test_local_exponents_and_what_features_capture_have_their_digits(of: str) -> None:
    rng = np.random.default_rng(16)
    for _ in range(25):
        n, m = (int(size) for size in rng.integers(2, 6, 2))
        p, q, reference = (scattered(n, rng) for _ in range(3))
        h = np.eye(n)[:, rng.integers(n) :] if "rare" in of else features(of, n, rng).reshape(n, -1)
        root = [mp.sqrt(value) for value in exact(reference)]
        apart = [(a - b) / c for a, b, c in zip(exact(p), exact(q), root, strict=True)]
        truth = projected(exact_span(h, exact(reference)), [apart]) / 8
        assert agree(ufs.local_exponent(h, p, q, reference), truth, 1e-11)
        P = scattered(n, rng)[:, None] * rng.dirichlet(np.ones(m), n)
        P /= P.sum()
        truth = exactly_captured(h, P)
        for form in (np.array, sp.csr_array):
            assert agree(ufs.captured(h, Joint(form(P)), "X"), truth, 1e-11)


def test_a_local_exponent_next_to_the_largest_double_is_finite() -> None:
    assert ufs.local_exponent([1, 0], [1, 0], [0, 1], [3e-309, 1]) == about(1 / (8 * 3e-309), rel=1e-9)


@pytest.mark.parametrize("of", ["normal", "lattice", "indicators", "rare indicators"])
def test_the_h_score_over_a_table_has_its_digits_in_every_unit(of: str) -> None:
    rng = np.random.default_rng(17)
    for _ in range(25):
        n, m = (int(size) for size in rng.integers(2, 6, 2))
        P = (scattered(n, rng) ** rng.integers(1, 3))[:, None] * rng.dirichlet(np.ones(m), n)
        joint = Joint(P / P.sum())
        h = np.eye(n)[:, rng.integers(n) :] if "rare" in of else features(of, n, rng).reshape(n, -1)
        truth = exactly_captured(h, P) / 2
        for scale in (1, 1e160, 1e-200, 2.0**1020, 10.0 ** rng.uniform(-200, 200, h.shape[1])):
            assert agree(ufs.h_score(h * scale, joint), truth, 1e-9)
        if of != "normal":
            assert agree(ufs.h_score(h + 1e6, joint), truth, 1e-9)


def test_what_only_rare_symbols_tell_apart_is_no_dependence() -> None:
    for rare in 10.0 ** -np.arange(2, 300, 20):
        P = np.diag([1.0, 0.01, rare])
        h = np.array([[0, 0], [1, 1], [1, 2]])
        assert ufs.h_score(h, Joint(P / P.sum())) == about(1.0, 1e-12)


def test_features_over_a_table_have_six_digits_or_a_warning() -> None:
    """Whatever is not told to be nearly dependent is right to a millionth, and both occur."""
    rng, told, silent = np.random.default_rng(31), 0, 0
    for distance in 10.0 ** rng.uniform(-11, -6, 60):
        P = rng.dirichlet(np.ones(24)).reshape(6, 4)
        joint, x = Joint(P), rng.normal(size=6)
        h = np.c_[x, x + distance * rng.normal(size=6)]
        truth = exactly_captured(h, P) / 2
        with warnings.catch_warnings(record=True) as doubts:
            warnings.simplefilter("always")
            found = ufs.h_score(h, joint)
        assert doubts or agree(found, truth, 1e-6)
        told, silent = told + bool(doubts), silent + (not doubts)
    assert min(told, silent) > 10


@pytest.mark.parametrize("form", ["table", "samples", "tensors"])
def test_the_paired_h_score_knows_neither_units_nor_offsets(form: str) -> None:
    rng = np.random.default_rng(18)
    f, g = rng.integers(-3, 4, (2, 4, 2)).astype(float)
    P = rng.dirichlet(np.ones(16)).reshape(4, 4)

    def score(f: Any, g: Any, off: float = 1) -> float:
        if form == "table":
            return ufs.h_score_pair(f, g, Joint(P * off))
        make = np.array if form == "samples" else pytest.importorskip("torch").tensor
        return ufs.h_score_pair(make(f), make(g))

    plain = score(f, g)
    for scale in (1e160, 1e-200, 2.0**1020, 2.0**-1000, np.array([1e-150, 1e150])):
        assert score(f * scale, g / scale) == about(plain, rel=1e-9)
    for off in (1, 1 + 9e-10):
        assert score(f + 3e13, g - 3e13, off) == about(score(f, g, off), rel=1e-12)
        assert score(f, g, off) == about(plain, rel=1e-12)
    with pytest.raises(ValueError, match="the products of f and g exceed the range of float64"):
        score(f * 1e160, g)


def test_best_weights_have_their_digits_at_rare_symbols() -> None:
    rng = np.random.default_rng(19)
    for _ in range(60):
        n, m = (int(size) for size in rng.integers(2, 5, 2))
        P = rng.dirichlet(np.ones(m), n) * 10.0 ** rng.uniform(-40, 0, (n, 1))
        s = rng.integers(-3, 4, n).astype(float)
        s[0] += (s == s[0]).all()
        joint = Joint(P / P.sum())
        cells = exact(joint.P.ravel())
        rows = [cells[x * m : (x + 1) * m] for x in range(n)]
        px, py = [mp.fsum(row) for row in rows], [mp.fsum(column) for column in zip(*rows, strict=True)]
        rest = [value - mp.fsum(p * float(z) for p, z in zip(px, s, strict=True)) for value in map(mp.mpf, s.tolist())]
        variance = mp.fsum(p * r**2 for p, r in zip(px, rest, strict=True))
        best = [mp.fsum(rows[x][y] * rest[x] for x in range(n)) / py[y] / variance for y in range(m)]
        error = mp.norm([a - b for a, b in zip(ufs.optimal_weights(s, joint)[0][:, 0].tolist(), best, strict=True)])
        assert error <= 1e-12 * mp.norm(best)


def test_layers_of_any_size_are_finite_or_refused_with_a_remedy() -> None:
    rng = np.random.default_rng(21)

    def wild(*shape: int) -> np.ndarray:
        return rng.integers(-1, 2, shape) * 10.0 ** rng.uniform(-323, 308.2, shape)

    for _ in range(300):
        n, m, k = (int(size) for size in rng.integers(2, 4, 3))
        joint = Joint(rng.dirichlet(np.ones(n * m)).reshape(n, m))
        s, v, b, t = wild(n, k), wild(m, k), rng.choice([wild(m), rng.standard_normal(m)]), rng.standard_normal((n, k))
        for call in (
            lambda s=s, joint=joint: ufs.optimal_weights(s, joint),
            lambda v=v, b=b, joint=joint: (ufs.optimal_features(v, b, joint),),
            lambda v=v, b=b, t=t, joint=joint: ufs.hidden_layer_weights(v, b, t, joint, "tanh"),
            lambda v=v, b=b, t=t, joint=joint: ufs.hidden_layer_weights(v, b, t, joint),
            lambda s=s, v=v, b=b, joint=joint: (ufs.log_loss(s, v, b, joint),),
        ):
            refusal = ""
            try:
                found = call()
            except ValueError as error:
                found, refusal = (), str(error)
            assert all(np.isfinite(values).all() for values in found)
            assert bool(found) != ("scale " in refusal or "change the bias b" in refusal)


# ---- divergences -----------------------------------------------------------------------------------------------------


def exact_terms(p: np.ndarray, q: np.ndarray) -> Any:
    """Σ p log(p/q) - p + q: the last two terms add up to the rounding error of the sums."""
    both = [(mp.mpf(float(a)), mp.mpf(float(b))) for a, b in zip(p, q, strict=True)]
    if any(a and not b for a, b in both):
        return mp.inf
    return mp.fsum((a * mp.log(a / b) if a else 0) - a + b for a, b in both)


@pytest.mark.parametrize("kind", KINDS)
def test_divergences_have_their_digits(kind: str) -> None:
    for p, q in pairs(kind, 40, seed=7):
        for one, two in ((p, q), (q, p)):
            assert agree(ufs.kl_divergence(one, two), exact_terms(one, two), 1e-12)
            both = [(mp.mpf(float(a)), mp.mpf(float(b))) for a, b in zip(one, two, strict=True)]
            if all(b for _, b in both):
                assert agree(ufs.chi2_divergence(one, two), mp.fsum((a - b) ** 2 / b for a, b in both), 1e-12)


def test_divergences_from_next_to_nothing() -> None:
    small = [1e-310, 1 - 1e-310]
    assert ufs.kl_divergence([0.5, 0.5], small) == about(0.5 * (310 * math.log(10)) - math.log(2), rel=1e-13)
    assert ufs.chi2_divergence([1, 1e-170], [1, 1e-300]) == about(1e-40, rel=1e-12)


@pytest.mark.parametrize("form", [np.array, sp.csr_array])
@pytest.mark.parametrize("kind", ["flat", "near", "extreme", "holes", "small holes"])
def test_mutual_information_has_its_digits(kind: str, form: Any) -> None:
    rng = np.random.default_rng(8)
    for _ in range(20):
        shape = tuple(rng.integers(2, 6, 2))
        a, b = (10.0 ** rng.uniform(*((-20, -3) if kind == "small holes" else (-1, 0)), size) for size in shape)
        a[0] = b[0] = 1
        P = np.outer(a, b) * (1 + 10.0 ** rng.uniform(-12, -1) * rng.uniform(-1, 1, shape))
        if kind in ("extreme", "holes"):
            P = 10.0 ** rng.uniform(-300, 0, shape)
        if kind == "holes":
            P[0, 1:], P[1:, 0] = (
                P[0, 1:] * (rng.random(shape[1] - 1) < 0.5),
                P[1:, 0] * (rng.random(shape[0] - 1) < 0.5),
            )
        if kind == "small holes":
            P[-1, -1] = 0
        if kind == "flat":
            P = rng.dirichlet(np.ones(P.size)).reshape(shape)
        P /= P.sum()
        joint = Joint(form(P))
        px, py = exact(joint.px), [mp.mpf(float(v)) for v in joint.py]
        truth = mp.fsum(
            (p * mp.log(p / (x * y)) if p else 0) - p + x * y
            for row, x in zip(P, px, strict=True)
            for p, y in ((mp.mpf(float(cell)), y) for cell, y in zip(row, py, strict=True))
        )
        error = abs(joint.mutual_information() - truth)
        assert error <= 8 * EPS * (truth + mp.sqrt(truth) + EPS)  # of P/(P_X P_Y) - 1 the rounding is EPS


def test_mutual_information_of_two_cells_of_which_one_is_next_to_nothing() -> None:
    for form in (np.array, sp.csr_array):
        joint = Joint(form(np.array([[1e-200, 0], [0, 1]])))
        assert joint.mutual_information() == about(1e-200 * (1 + 200 * math.log(10)), rel=1e-12)


def test_what_a_sparse_table_does_not_store_is_added_up_without_a_floor() -> None:
    rng = np.random.default_rng(9)
    for size in (3, 64, 129, 500):
        table = np.zeros((size, size + 3))
        table[0] = np.r_[1, 10.0 ** rng.uniform(-25, -18, size + 2)]
        table[1:, 0] = 10.0 ** rng.uniform(-25, -18, size - 1)
        table[1:, 1:][rng.random((size - 1, size + 2)) < 0.1] = 1e-45
        table /= table.sum()
        dense, sparse = Joint(table), Joint(sp.csr_array(table))
        assert 0 < dense.mutual_information() < 1e-30
        assert sparse.mutual_information() == about(dense.mutual_information(), rel=1e-9)


def test_fading_loses_no_cell() -> None:
    joint = Joint([[1e-300, 0.25], [0.5, 0.25 - 1e-300]])
    np.testing.assert_allclose(joint.faded(1).P, joint.P, rtol=1e-15)
    assert joint.faded(0.5).P[0, 0] == about(joint.px[0] * joint.py[0] / 2, rel=1e-15)


# ---- sums a little off 1, and single precision -----------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_the_remedy_for_single_and_half_precision_works(dtype: type) -> None:
    rng = np.random.default_rng(10)
    for _ in range(200):
        p = rng.dirichlet(np.ones(rng.integers(2, 30))).astype(dtype)
        p = p[p > 0]
        double = p.astype(float)
        for call in (lambda p: ufs.kl_divergence(p, p), lambda p: Joint(p[:, None])):
            if abs(double.sum() - 1) > 1e-9:
                with pytest.raises(ValueError, match=r"convert it to double before that: \.astype\(float\)$"):
                    call(p)
            call(double / double.sum())
    with pytest.raises(ValueError, match=r"p sums to 3, not 1: divide it by its sum, if it holds counts or weights$"):
        ufs.kl_divergence([1, 2], [0.5, 0.5])


@pytest.mark.parametrize("off", [1 + 9.9e-10, 1 - 9.9e-10])
def test_what_the_package_makes_of_a_distribution_it_takes_for_one(off: float) -> None:
    rng = np.random.default_rng(11)
    for _ in range(50):
        p0 = rng.dirichlet(np.ones(4)) * 0.9 + 0.025
        p0 *= off / p0.sum()
        eps = 0.5 * ufs.largest_eps(p0)
        phi = ufs.rotate(ufs.information_vector(ufs.sample_neighborhood(p0, eps, rng), p0, eps), p0, rng)
        made = [*ufs.sample_neighborhood(p0, eps, rng, size=3), *ufs.random_attribute(p0, eps, rng)]
        for p in [*made, ufs.distribution(phi, p0, eps)]:
            assert ufs.kl_divergence(p, p0) < math.inf
        along = 1.5e-9 / eps * np.sqrt(p0)
        towards, away = (phi + along, phi - along) if off < 1 else (phi - along, phi + along)
        assert ufs.kl_divergence(ufs.distribution(towards, p0, eps), p0) < math.inf
        with pytest.raises(ValueError, match="not perpendicular"):
            ufs.distribution(away, p0, eps)


def test_a_sum_that_clipping_brings_beyond_its_tolerance_is_refused() -> None:
    rng = np.random.default_rng(20)
    for _ in range(500):
        p0 = rng.dirichlet([5, 5])
        small, total = -1e-14 * rng.random() * p0[0], 1 + 1e-9 - rng.integers(-3, 6) * EPS
        try:
            p = ufs.distribution((np.array([small, total - small]) - p0) / np.sqrt(p0), p0, 1)
        except ValueError:
            continue
        assert ufs.kl_divergence(p, p0) > 0


@pytest.mark.parametrize("form", [np.array, sp.csr_array])
@pytest.mark.parametrize("shape", [(4, 6), (6, 4), (500, 300)])
@pytest.mark.parametrize("off", [1 + 9e-10, 1 - 9e-10])
def test_modes_have_mean_zero_where_the_table_sums_to_almost_one(form: Any, shape: tuple[int, int], off: float) -> None:
    P = np.random.default_rng(12).dirichlet(np.ones(math.prod(shape))).reshape(shape) * off
    joint = Joint(form(P))
    m = ufs.modes(joint, 3)
    np.testing.assert_allclose(joint.px @ m.f, 0, atol=1e-14)
    np.testing.assert_allclose(joint.py @ m.g, 0, atol=1e-14)
    B = ufs.dtm(joint)
    np.testing.assert_allclose(B @ np.sqrt(joint.px), 0, atol=1e-14)
    np.testing.assert_allclose(m.sigma, ufs.modes(Joint(P / P.sum()), 3).sigma, atol=1e-12)


def test_a_feature_centred_as_its_refusal_says_is_taken() -> None:
    rng = np.random.default_rng(13)
    for offset in (0, 1e6, 3e13):
        for off in (1, 1 + 9e-10):
            p0, h = rng.dirichlet(np.ones(5)), rng.standard_normal(5) + offset
            p0 *= off / p0.sum()
            with pytest.raises(ValueError, match=r"centre it first \(h = h - h\[0\], then h - p0 @ h / sum\(p0\)\)"):
                ufs.feature_vector(h, p0)
            h = h - h[0]
            ufs.feature_vector(h - p0 @ h / sum(p0), p0)


# ---- neighbourhoods --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1e-300, 1e-200, 1e-12, 1e200, 1e308])
def test_rotations_know_no_size(scale: float) -> None:
    p0 = np.array([0.1, 0.2, 0.3, 0.4])
    phi = ufs.information_vector([0.2, 0.1, 0.3, 0.4], p0, 1)
    turned = ufs.rotate(scale * phi, p0, 0)
    np.testing.assert_allclose(turned, scale * ufs.rotate(phi, p0, 0), rtol=1e-12)
    with pytest.raises(ValueError, match="with the root of p0"):
        ufs.rotate(scale * (phi + 1e-8), p0, 0)


def test_neighbourhoods_of_a_distribution_with_one_likely_symbol() -> None:
    for rare in (1e-17, 1e-300, 1e-320):
        p0 = np.array([1.0, rare])
        limit = ufs.largest_eps(p0)
        assert limit == about(math.sqrt(rare), rel=1e-9)
        for p in (*ufs.sample_neighborhood(p0, limit, 0, size=20), *ufs.random_attribute(p0, limit, 0)):
            assert p.min() >= 0
            assert p.max() == 1
            assert p[1] <= 2.001 * rare


@pytest.mark.parametrize("kind", PROPER)
def test_no_legal_input_makes_a_warning(kind: str) -> None:
    rng = np.random.default_rng(14)
    for p, q in pairs(kind, 15, seed=15):
        h = rng.standard_normal((len(p), 2)) * 10.0 ** rng.uniform(-300, 300, 2)
        ufs.local_exponent(h, p, q, np.maximum(q, TINY))
        ufs.simulate_error(h[:, 0], p, q, [1, 1000], trials=50)
        ufs.feature_angles(h, h[:, 0] / np.abs(h[:, 0]).max() + 1, p)
        ufs.chi2_divergence(p, q)
        eps = ufs.largest_eps(p)
        ufs.kl_divergence(ufs.sample_neighborhood(p, eps, rng), p)
        ufs.random_attribute(p, eps, rng)
        ufs.distribution(ufs.information_vector(p, q, 1), q, 1)
        joint = Joint(np.array([p / 2, q / 2]))
        assert 0 <= ufs.captured(h, joint) <= 1 + 1e-12
        assert 0 <= ufs.averaged_exponent(h, joint, 4, eps) < math.inf
        assert 0 <= joint.faded(0.5).mutual_information() <= math.log(2)
        assert 0 <= ufs.modes(joint).sigma[0] <= 1
