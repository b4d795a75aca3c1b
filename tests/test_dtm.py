"""The DTM and its modes: every closed form, every path of the solver, and the guarantees of the docstrings."""

import itertools
import json
import re
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.linalg import block_diag
from scipy.sparse.csgraph import connected_components
from scipy.stats import binom, chi2_contingency, poisson

import ufs._krylov as krylov
from ufs import Joint, Modes, ace, datasets, dtm, maximal_correlation, modes

HAIR_EYE = [[68, 20, 15, 5], [119, 84, 54, 29], [26, 17, 14, 14], [7, 94, 10, 16]]
SMOKE = [[4, 2, 3, 2], [4, 3, 7, 4], [25, 10, 12, 4], [18, 24, 33, 13], [10, 6, 7, 2]]
full = sys.modules["ufs.dtm"]  # the attribute `ufs.dtm` is the function


def as_sparse(joint: Joint) -> Joint:
    return Joint(sp.csr_array(joint.P))


def krylov_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Send tables of every size, and every k, to the Krylov method."""
    monkeypatch.setattr(full, "_full_is_best", lambda joint, k: False)


def direct_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Send tables of every size, and every k, to the decomposition of the Gram matrix."""
    krylov_only(monkeypatch)
    monkeypatch.setattr(full, "_steps_of_direct", lambda joint, k: 0)


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """What is done from here on: products of a Gram matrix with a vector, and decompositions of Gram matrices."""
    done = {"products": 0, "decompositions": 0}

    def counted(name, function, amount):
        def call(*given):
            done[name] += amount(*given)
            return function(*given)

        return call

    for operator in (krylov.DenseOperator, krylov.SparseOperator, krylov.BandedOperator):
        monkeypatch.setattr(operator, "gram", counted("products", operator.gram, lambda B, V: V.shape[1]))
    monkeypatch.setattr(krylov, "_strongest", counted("decompositions", krylov._strongest, lambda *given: 1))
    return done


def assert_modes(joint: Joint, m: Modes, sigma=None, tolerance=1e-10) -> None:
    """Everything that D7 says of modes, and that they are the given ones."""
    k, eye = len(m.sigma), np.eye(len(m.sigma))
    assert m.f.shape == (len(joint.px), k)
    assert m.g.shape == (len(joint.py), k)
    assert np.all((m.sigma >= 0) & (m.sigma <= 1))
    assert np.all(np.diff(m.sigma) <= 1e-15)
    for marginal, features in ((joint.px, m.f), (joint.py, m.g)):
        np.testing.assert_allclose(marginal @ features, 0, atol=tolerance)
        np.testing.assert_allclose((features * marginal[:, None]).T @ features, eye, atol=tolerance)
    # E[f_i | Y] = sigma_i g_i and E[g_i | X] = sigma_i f_i, in the norms of P_Y and P_X: the two residuals
    root_x, root_y = np.sqrt(joint.px)[:, None], np.sqrt(joint.py)[:, None]
    assert np.linalg.norm(joint.P.T @ m.f / root_y - root_y * m.g * m.sigma, axis=0).max(initial=0) < tolerance
    assert np.linalg.norm(joint.P @ m.g / root_x - root_x * m.f * m.sigma, axis=0).max(initial=0) < tolerance
    if sigma is not None:
        np.testing.assert_allclose(m.sigma, sigma, atol=tolerance, rtol=0)


def channel(px, rows) -> Joint:
    return Joint(np.asarray(px)[:, None] * np.asarray(rows))


def random_marginal(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet(np.full(n, 5.0))


def with_spectrum(sigma, nx: int, ny: int, seed: int = 0) -> Joint:
    """A joint distribution with uniform marginals and chosen singular values."""
    rng = np.random.default_rng(seed)
    psi = [np.linalg.qr(np.c_[np.ones(n), rng.uniform(-1, 1, (n, len(sigma)))])[0][:, 1:] for n in (nx, ny)]
    return Joint((1 + np.sqrt(nx * ny) * (psi[0] * sigma) @ psi[1].T) / (nx * ny))


def copy_or_resample(a: float, px: np.ndarray) -> Joint:
    return Joint(a * np.diag(px) + (1 - a) * np.outer(px, px))


def mary(m: int, p: float) -> Joint:
    return channel(np.full(m, 1 / m), np.full((m, m), p / (m - 1)) + (1 - p - p / (m - 1)) * np.eye(m))


def bsc(p: float, q: float) -> tuple[Joint, list[float]]:
    r = q * (1 - p) + (1 - q) * p
    return channel([1 - q, q], [[1 - p, p], [p, 1 - p]]), [abs(1 - 2 * p) * np.sqrt(q * (1 - q) / (r * (1 - r)))]


def erasure(px: np.ndarray, e: float) -> Joint:
    return channel(px, np.c_[(1 - e) * np.eye(len(px)), np.full(len(px), e)])


def z_channel(q: float, z: float) -> tuple[Joint, list[float]]:
    return channel([1 - q, q], [[1, 0], [z, 1 - z]]), [np.sqrt((1 - q) * (1 - z) / (1 - q * (1 - z)))]


def product(factor: Joint, sigma, n: int) -> tuple[Joint, np.ndarray]:
    P = factor.P
    for _ in range(n - 1):
        P = np.kron(P, factor.P)
    products = [np.prod(combination) for combination in itertools.product([1.0, *sigma], repeat=n)]
    products.remove(1.0)
    return Joint(P), np.sort(products)[::-1]


CLOSED_FORMS = {
    "doubly symmetric binary": (channel([0.5, 0.5], [[0.9, 0.1], [0.1, 0.9]]), [0.8]),
    "doubly symmetric binary, p > 1/2": (channel([0.5, 0.5], [[0.2, 0.8], [0.8, 0.2]]), [0.6]),
    "BSC with Bernoulli input": bsc(0.1, 0.3),
    "erasure": (erasure(random_marginal(6, 0), 0.4), [np.sqrt(0.6)] * 5),
    "M-ary symmetric": (mary(7, 0.2), [abs(1 - 7 * 0.2 / 6)] * 6),
    "M-ary symmetric, negative": (mary(3, 0.9), [abs(1 - 3 * 0.9 / 2)] * 2),
    "Z-channel": z_channel(0.3, 0.2),
    "copy or resample": (copy_or_resample(0.3, random_marginal(300, 1)), [0.3] * 299),
    "product": product(mary(3, 0.3), [abs(1 - 3 * 0.3 / 2)] * 2, 3),
    "product of unequal factor": product(*bsc(0.05, 0.2), 5),
    "function": (channel(random_marginal(9, 2), np.eye(4)[np.arange(9) % 4]), [1.0] * 3),
    "independence": (Joint(np.outer(random_marginal(8, 3), random_marginal(5, 4))), [0.0] * 4),
    "hair and eyes": (
        Joint.from_counts(HAIR_EYE),
        [0.456916460254126, 0.1490859301677244, 0.05097488817253516],
    ),
    "smoke": (Joint.from_counts(SMOKE), [0.2734211145572992, 0.1000858656965546, 0.02033652083951985]),
}


@pytest.mark.result("D7")
@pytest.mark.result("R5")
@pytest.mark.parametrize("path", ["full", "krylov", "sparse", "sparse krylov", "transposed krylov", "direct"])
@pytest.mark.parametrize("name", CLOSED_FORMS)
def test_closed_form(name, path, monkeypatch):
    joint, sigma = CLOSED_FORMS[name]
    if "transposed" in path:
        joint = Joint(joint.P.T.copy())
    if "sparse" in path:
        joint = as_sparse(joint)
    if "krylov" in path:
        krylov_only(monkeypatch)
    if path == "direct":
        direct_only(monkeypatch)
    assert_modes(joint, modes(joint), sigma)
    if len(sigma) > 2:
        assert_modes(joint, modes(joint, 2), sigma[:2])
    assert maximal_correlation(joint) == pytest.approx(sigma[0], abs=1e-10)


def test_bivariate_gaussian():
    """The k-th mode of a Gaussian pair is Hermite's k-th polynomial, with singular value |rho|^k (Mehler's formula)."""
    rho, grid = -0.6, np.linspace(-8, 8, 161)
    x, y = np.meshgrid(grid, grid, indexing="ij")
    density = np.exp(-(x**2 - 2 * rho * x * y + y**2) / (2 * (1 - rho**2)))
    joint = Joint(density / density.sum())
    m = modes(joint, 4)
    assert_modes(joint, m, np.abs(rho) ** np.arange(1, 5))
    hermite = np.polynomial.hermite_e.hermevander(grid, 4)[:, 1:] / np.sqrt([1, 2, 6, 24])
    np.testing.assert_allclose(np.abs(joint.px @ (m.f * hermite)), 1, atol=1e-10)


def test_poisson_thinning():
    """Y keeps each of a Poisson number of points with probability s: singular values s^(k/2)."""
    s, n = 0.5, np.arange(60)
    P = poisson.pmf(n, 4.0)[:, None] * binom.pmf(n[None, :], n[:, None], s)
    P = P[:45, :35]
    joint = Joint(P / P.sum())
    np.testing.assert_allclose(modes(joint, 4).sigma, s ** (np.arange(1, 5) / 2), atol=1e-10)


@pytest.mark.result("D7")
def test_modes_rebuild_the_joint():
    joint = Joint.from_counts(HAIR_EYE)
    m = modes(joint)
    np.testing.assert_allclose(np.outer(joint.px, joint.py) * (1 + (m.f * m.sigma) @ m.g.T), joint.P, atol=1e-15)


LARGE = {
    "flat": np.linspace(2e-4, 1e-4, 300),
    "double within": np.r_[0.03, 0.02, 0.02, 0.01 / np.arange(1, 10)],
    "3 copies": np.r_[0.03, [0.02] * 3, 0.01, 0.005, [0.0025] * 3],
    "20 copies first": np.r_[[0.01] * 20, 0.008, 0.006, 0.004, 0.002],
    "20 copies last": np.r_[0.012, 0.011, [0.01] * 20],
    "close": 0.02 - np.array([0, 1e-3, 1e-3 + 1e-6, 1e-3 + 2e-6, 1e-3 + 2e-6 + 1e-9, 0.01]),
    "many orders": np.array([0.1, 1e-3, 1e-5, 1e-7, 1e-9]),
    "weak and weaker": np.array([1e-3, 2e-7, 1e-7]),
    "weaker still": np.array([1e-5, 2e-9]),
    "tiny": np.array([1e-8, 1e-9, 1e-9]),
}


@pytest.mark.parametrize("kind", ["dense", "sparse", "direct"])
@pytest.mark.parametrize("shape", [(460, 380), (380, 460)])
@pytest.mark.parametrize("name", LARGE)
def test_spectrum(name, shape, kind, monkeypatch):
    """Large enough for the Krylov method by its own choice; with null modes wanted where the rank is below k."""
    sigma = LARGE[name]
    joint = with_spectrum(sigma, *shape)
    joint = as_sparse(joint) if kind == "sparse" else joint
    if kind == "direct":
        direct_only(monkeypatch)
    for k in (1, 4, 10, 24):
        expected = np.r_[sigma, np.zeros(k)][:k]
        m = modes(joint, k)
        assert_modes(joint, m)
        np.testing.assert_allclose(m.sigma, expected, atol=1e-14)


@pytest.mark.parametrize("k", [1, 7, 30])
@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_copy_or_resample_large(k, kind):
    joint = copy_or_resample(0.3, random_marginal(450, 5))
    joint = as_sparse(joint) if kind == "sparse" else joint
    assert_modes(joint, modes(joint, k), [0.3] * k, tolerance=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_copies_in_a_flat_spectrum(seed):
    """A missed copy would hide among the neighbours: the k-th value is within a percent of it."""
    rng = np.random.default_rng(seed)
    sigma = np.sort(np.linalg.svd(rng.standard_normal((420, 370)) / 2e4, compute_uv=False))[::-1]
    first = rng.integers(1, 9)
    sigma[first : first + 3] = sigma[first]
    joint = with_spectrum(sigma, 420, 371)
    assert_modes(joint, modes(joint, 10), sigma[:10], tolerance=1e-12)


def test_every_copy_is_found(monkeypatch):
    """Without the check that follows, one run from one vector is not enough: this is what the check is for."""
    blocks = [np.random.default_rng(seed).poisson(3, (40, 30)) + 1.0 for seed in range(20)]
    joint = Joint.from_counts(sp.csr_array(sp.block_diag(blocks)))
    m = modes(joint, 25)
    assert np.count_nonzero(m.sigma > 1 - 1e-12) == 19
    assert_modes(joint, m, np.linalg.svd(dtm(Joint(joint.P.toarray())), compute_uv=False)[:25])
    for k in (1, 2, 10, 19):
        assert_modes(joint, modes(joint, k), np.ones(k))
    runs = []
    eigenvectors = krylov.eigenvectors
    monkeypatch.setattr(krylov, "eigenvectors", lambda *run: runs.append(run[3]) or eigenvectors(*run))
    modes(joint, 19)
    assert max(runs) > 1, "the first run found all copies: the test no longer tests the check"


def test_null_vectors_are_orthogonal_to_the_roots():
    """Y independent of X: every vector is a null vector, and a plain SVD returns some along the root of P_X."""
    joint = Joint(np.outer(random_marginal(700, 6), random_marginal(400, 7)))
    for table in (joint, as_sparse(joint)):
        assert_modes(table, modes(table, 5), np.zeros(5))


@pytest.mark.parametrize("kind", ["dense", "sparse"])
@pytest.mark.parametrize("shape", [(1, 5), (5, 1), (1, 1)])
def test_no_modes(shape, kind):
    P = np.full(shape, 1 / np.prod(shape))
    joint = Joint(sp.csr_array(P) if kind == "sparse" else P)
    m = modes(joint)
    assert (m.sigma.shape, m.f.shape, m.g.shape) == ((0,), (shape[0], 0), (shape[1], 0))
    assert maximal_correlation(joint) == 0
    with pytest.raises(ValueError, match="has 0 modes"):
        modes(joint, 1)


@pytest.mark.parametrize("k", [0, -1, 4, 100])
def test_k_out_of_range(k):
    with pytest.raises(ValueError, match=rf"k = {k}: a table of shape \(4, 4\) has 3 modes, so k must be in 1\.\.3"):
        modes(Joint.from_counts(HAIR_EYE), k)


@pytest.mark.parametrize("k", [1.0, 2.5, "2", [1]])
def test_k_not_an_integer(k):
    with pytest.raises(ValueError, match="is not an integer"):
        modes(Joint.from_counts(HAIR_EYE), k)


@pytest.mark.parametrize("excess", [9e-10, -9e-10])
@pytest.mark.parametrize("path", ["full", "krylov", "sparse krylov", "direct"])
def test_mass_that_is_one_up_to_the_tolerance_of_tables_leaves_features_centred(path, excess, monkeypatch):
    P = np.random.default_rng(3).dirichlet(np.ones(90)).reshape(10, 9) * (1 + excess)
    joint = Joint(sp.csr_array(P) if "sparse" in path else P)
    if "krylov" in path:
        krylov_only(monkeypatch)
    if path == "direct":
        direct_only(monkeypatch)
    m = modes(joint, 3)
    for p, features in ((joint.px, m.f), (joint.py, m.g)):
        p = p / p.sum()
        np.testing.assert_allclose(p @ features, 0, atol=1e-14)
        np.testing.assert_allclose((p[:, None] * features).T @ features, np.eye(3), atol=1e-13, rtol=0)


@settings(deadline=None, derandomize=True, max_examples=25, database=None)
@given(st.integers(0, 10**6), st.lists(st.integers(0, 300), min_size=9, max_size=9))
def test_probabilities_of_every_size(seed, powers):
    """Down to 1e-300 for a cell and for a symbol: no warning, nothing infinite, and the modes of every path."""
    rng = np.random.default_rng(seed)
    log = np.log(rng.uniform(0.1, 1, (5, 4))) - np.log(10) * np.add.outer(powers[:5], powers[5:])
    log[rng.random((5, 4)) < 0.2] -= 40
    P = np.exp(log - log.max())
    assume(P.sum(axis=0).all() and P.sum(axis=1).all())
    joint = Joint.from_counts(P)
    assert np.isfinite(dtm(joint)).all()
    expected = modes(joint)
    for table in (joint, as_sparse(joint)):
        for steps in (100, 0):
            with pytest.MonkeyPatch.context() as patch:
                krylov_only(patch)
                patch.setattr(full, "_steps_of_direct", lambda joint, k, steps=steps: steps)
                m = modes(table)
            assert np.isfinite(m.f).all()
            assert np.isfinite(m.g).all()
            assert_modes(joint, m, expected.sigma, tolerance=1e-10)
    found = ace(joint, tolerance=1e-3)
    np.testing.assert_allclose(np.r_[joint.px @ found.f, joint.px @ found.f**2], [0, 1], atol=1e-13)


def test_numpy_integer_k():
    assert len(modes(Joint.from_counts(HAIR_EYE), np.int32(2)).sigma) == 2


@pytest.mark.parametrize("shape", [(900, 500), (500, 900), (100_000, 3), (3, 100_000)])
def test_sparse_equals_dense(shape):
    rng = np.random.default_rng(8)
    counts = sp.coo_array(rng.random(shape) * (rng.random(shape) < 12 / min(shape)))
    counts = sp.csr_array(counts + sp.coo_array((np.ones(max(shape)), [np.arange(max(shape)) % n for n in shape])))
    joint = Joint.from_counts(counts)
    k = min(12, min(shape) - 1)
    m, reference = modes(joint, k), modes(Joint(joint.P.toarray()), k)
    assert_modes(joint, m, reference.sigma, tolerance=1e-10)
    distinct = np.flatnonzero(np.diff(reference.sigma, append=0) < -1e-5)
    np.testing.assert_allclose(m.f[:, distinct], reference.f[:, distinct], atol=1e-4)


def clusters(shape, count: int, samples: int, seed: int = 0) -> Joint:
    """Sparse counts of pairs whose clusters agree more often than not."""
    rng = np.random.default_rng(seed)
    x = np.r_[np.arange(shape[0]), rng.integers(shape[0], size=samples)]
    y = rng.integers(shape[1] // count, size=len(x)) * count
    y += np.where(
        rng.random(len(x)) < np.linspace(0.4, 0.9, count)[x % count], x % count, rng.integers(count, size=len(x))
    )
    y[: shape[1]] = np.arange(shape[1])
    return Joint.from_counts(sp.csr_array((np.ones(len(x)), (x, y)), shape=shape))


@pytest.mark.parametrize("shape", [(200_000, 100_000), (150_000, 150_000)])
def test_sparse_is_never_made_dense(shape):
    """A dense copy would take 160 GB; what is taken is a few times the table, the basis and the answer."""
    joint, k = clusters(shape, 8, 800_000), 6
    stored = joint.P.data.nbytes + joint.P.indices.nbytes + joint.P.indptr.nbytes
    vectors = 8 * (min(shape) * (2 * k + 3 * krylov.ROOM) + 6 * k * sum(shape))
    tracemalloc.start()
    m = modes(joint, k)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 * stored + vectors
    assert m.sigma[-1] > 0.3
    assert_modes(joint, m)


def test_answer_as_large_as_the_table_is_made_dense(monkeypatch):
    """400 modes of 420 are a dense answer, and a full decomposition is exact for all of them."""
    joint = clusters((2000, 420), 5, 30_000)
    monkeypatch.setattr(full, "_krylov_modes", None)
    monkeypatch.setattr(full, "AFFORDABLE", 0)
    m = modes(joint, 419)
    assert_modes(joint, m, np.linalg.svd(dtm(Joint(joint.P.toarray())), compute_uv=False)[:419])


def test_many_modes_of_a_sparse_table_leave_it_sparse(monkeypatch):
    monkeypatch.setattr(full, "_all_modes", None)
    monkeypatch.setattr(full, "AFFORDABLE", 0)
    joint = clusters((2000, 300), 5, 30_000)
    assert_modes(joint, modes(joint, 60))


def test_most_modes_of_an_affordable_sparse_table_are_no_work_for_a_krylov_method(work):
    joint = clusters((800, 700), 5, 20_000)
    for k, decompositions in ((200, 1), (349, 1), (351, 0)):
        work["decompositions"] = 0
        assert_modes(joint, modes(joint, k))
        assert work == {"products": 0, "decompositions": decompositions}


@pytest.mark.parametrize("shape", [(900, 500), (500, 900)])
def test_the_basis_is_that_of_the_shorter_side(shape, monkeypatch):
    lengths = set()
    eigenvectors = krylov.eigenvectors
    monkeypatch.setattr(krylov, "eigenvectors", lambda *run: lengths.add(len(run[1])) or eigenvectors(*run))
    modes(clusters(shape, 5, 20_000), 3)
    assert lengths == {500}


@pytest.mark.parametrize("kind", ["dense", "sparse"])
@pytest.mark.parametrize("spectrum", ["flat", "20 copies first"])
def test_deterministic(kind, spectrum):
    joint = with_spectrum(LARGE[spectrum], 460, 380)
    joint = as_sparse(joint) if kind == "sparse" else joint
    first, second = modes(joint, 5), modes(joint, 5)
    for name in ("sigma", "f", "g"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))


def test_signs():
    joint = Joint.from_counts(np.random.default_rng(10).poisson(5, (30, 20)))
    psi = np.sqrt(joint.px)[:, None] * modes(joint).f
    assert np.all(psi[np.abs(psi).argmax(axis=0), np.arange(19)] > 0)


def test_sign_of_the_first_of_equally_large_entries():
    """Equal up to rounding: an entry that is larger by a ten-thousandth is the largest."""
    psi = np.array([[-0.5, -0.5, 0.1], [0.5 * (1 + 1e-9), 0.5 * (1 + 1e-4), -0.9]])
    np.testing.assert_array_equal(full._signs(psi), [-1, 1, -1])


@pytest.mark.result("D6")
def test_dtm_definition():
    joint = Joint.from_counts(SMOKE)
    roots = np.sqrt(np.outer(joint.py, joint.px))
    np.testing.assert_allclose(dtm(joint, centered=False), joint.P.T / roots, atol=1e-16)
    np.testing.assert_allclose(dtm(joint), joint.P.T / roots - roots, atol=1e-16)
    assert np.linalg.svd(dtm(joint, centered=False), compute_uv=False)[0] == pytest.approx(1)


def test_dtm_leaves_the_joint_alone():
    joint = Joint.from_counts(SMOKE)
    before = joint.P.copy()
    B = dtm(joint, centered=False)
    B[:] = 0
    np.testing.assert_array_equal(joint.P, before)


def test_dtm_sparse():
    joint = Joint.from_counts(SMOKE)
    B = dtm(as_sparse(joint), centered=False)
    assert sp.issparse(B)
    np.testing.assert_allclose(B.toarray(), dtm(joint, centered=False), atol=1e-16)
    operator = dtm(as_sparse(joint))
    assert not isinstance(operator, np.ndarray)
    np.testing.assert_allclose(operator @ np.eye(5), dtm(joint), atol=1e-15)
    np.testing.assert_allclose(operator.T @ np.eye(4), dtm(joint).T, atol=1e-15)


def walk(n: int) -> Joint:
    """Two neighbours in time of a lazy walk on a path, whose first σ's are a hair's breadth apart."""
    P = 0.25 * (np.eye(n, k=1) + np.eye(n, k=-1)) + 0.5 * np.eye(n)
    P[0, 0] = P[-1, -1] = 0.75
    return Joint(P / n)


def walk_sigma(n: int, k: int) -> np.ndarray:
    return np.cos(np.arange(1, k + 1) * np.pi / (2 * n)) ** 2


def lag_table(n: int, rho: float) -> Joint:
    """Two neighbours in time of an autoregression, on a grid."""
    grid = np.linspace(-3, 3, n)
    return Joint.from_counts(np.exp(-(grid**2) / 2 - (grid - rho * grid[:, None]) ** 2 / (2 * (1 - rho**2))))


def softmax(n: int, scale: float) -> Joint:
    """A confident softmax: its σ's crowd below 1, closer to each other than any Krylov method can tell apart."""
    return Joint.from_counts(np.exp(scale * np.random.default_rng(1).standard_normal((n, n))))


WITHOUT_GAPS = {"walk": walk(600), "lags": lag_table(600, 0.99999), "softmax": softmax(450, 15)}
WITH_GAPS = {
    "flat": Joint.from_counts(np.random.default_rng(0).poisson(5, (600, 600))),
    "lags": lag_table(600, 0.99),
    "long": Joint.from_counts(np.random.default_rng(0).poisson(5, (1600, 380))),
}


@pytest.mark.parametrize("k", [1, 10])
@pytest.mark.parametrize("name", WITHOUT_GAPS)
def test_a_dense_table_without_gaps_is_decomposed_directly_and_soon(name, k, work, monkeypatch):
    """The detour costs little more than the decomposition itself, which costs a fraction of the full one."""
    monkeypatch.setattr(full, "_all_modes", None)
    joint = WITHOUT_GAPS[name]
    assert_modes(joint, modes(joint, k), np.linalg.svd(dtm(joint), compute_uv=False)[:k], tolerance=1e-11)
    assert work["products"] <= 1.3 * full._steps_of_direct(joint, k)
    assert work["decompositions"] == 1


@pytest.mark.parametrize("name", WITH_GAPS)
def test_the_krylov_method_is_no_detour(name, work, monkeypatch):
    """Even on a flat spectrum it does not stop early, and the check is a fraction of its work."""
    monkeypatch.setattr(full, "_all_modes", None)
    monkeypatch.setattr(full, "_direct_modes", None)
    modes(WITH_GAPS[name], 10)
    assert work["products"] < 165


def test_a_sparse_walk_is_decomposed_directly_where_that_is_affordable(work):
    joint = as_sparse(walk(450))
    assert_modes(joint, modes(joint, 40), walk_sigma(450, 40))
    assert work["decompositions"] == 1


def band(shape: tuple[int, int], seed: int = 0) -> sp.csr_array:
    """Weights near the diagonal, with rows and columns in no order."""
    rng = np.random.default_rng(seed)
    x, y = np.arange(shape[0])[:, None] / shape[0], np.arange(shape[1]) / shape[1]
    table = rng.uniform(0.5, 1.5, shape) * (np.abs(x - y) < 4 / min(shape))
    return sp.csr_array(table[rng.permutation(shape[0])][:, rng.permutation(shape[1])])


BANDED = {
    "walk": as_sparse(walk(450)),
    "three walks": Joint.from_counts(sp.csr_array(sp.block_diag([walk(150).P, walk(150).P, walk(160).P]))),
    "long": Joint.from_counts(band((900, 400))),
    "broad": Joint.from_counts(band((400, 500))),
}


@pytest.mark.parametrize("k", [1, 12])
@pytest.mark.parametrize("name", BANDED)
def test_a_banded_table_too_large_to_be_dense_is_inverted(name, k, work, monkeypatch):
    monkeypatch.setattr(full, "_may_be_dense", lambda joint: False)
    monkeypatch.setattr(full, "SPARSE_BUDGET", (100, 120))
    joint = BANDED[name]
    m = modes(joint, k)
    assert_modes(joint, m, full._all_modes(joint, k)[1], tolerance=1e-10)
    np.testing.assert_allclose(m.sigma, full._all_modes(joint, k)[1], atol=1e-14)
    assert 100 < work["products"] < 400
    assert work["decompositions"] == 0


def test_a_long_sparse_walk_has_modes(work):
    n, stay = 5000, np.r_[0.75, np.full(4998, 0.5), 0.75]
    joint = Joint(sp.csr_array(sp.diags([np.full(n - 1, 0.25), stay, np.full(n - 1, 0.25)], [-1, 0, 1]) / n))
    np.testing.assert_allclose(modes(joint, 10).sigma, walk_sigma(n, 10), rtol=1e-14)
    assert work["products"] < 2300


def test_what_takes_too_many_steps_is_refused_soon(work, monkeypatch):
    monkeypatch.setattr(full, "_may_be_dense", lambda joint: False)
    monkeypatch.setattr(full, "SPARSE_BUDGET", (30, 40))
    monkeypatch.setattr(full, "AFFORDABLE", 10**5)
    with pytest.raises(np.linalg.LinAlgError, match=r"after 30 steps .* fall too slowly for 40 steps: .* with a gap"):
        modes(as_sparse(with_spectrum(LARGE["flat"], 460, 380)), 5)
    assert work["products"] == 30


def test_what_is_no_joint_is_refused():
    for function in (modes, dtm, maximal_correlation):
        with pytest.raises(ValueError, match=r"a ndarray is no Joint: make one with Joint\(P\)"):
            function(np.eye(2) / 2)


@pytest.mark.result("R5")
def test_no_functions_are_more_correlated():
    """R5: from no start does the alternation of conditional expectations, which only ever climbs, pass σ_1."""
    rng = np.random.default_rng(7)
    joint = Joint.from_counts(rng.integers(1, 30, (5, 7)))
    f = rng.standard_normal((200, 5))
    for _ in range(100):
        f -= (f @ joint.px)[:, None]
        g = f @ joint.P / joint.py
        g /= np.sqrt(g**2 @ joint.py)[:, None]
        correlation = np.sum(f @ joint.P * g, axis=1) / np.sqrt(f**2 @ joint.px)
        assert correlation.max() <= maximal_correlation(joint) + 1e-12
        f = g @ joint.P.T / joint.px
    np.testing.assert_allclose(correlation, maximal_correlation(joint), atol=1e-6)


@pytest.mark.parametrize("shape", [(1700, 380), (380, 1700)])
def test_gram_matrix_of_a_long_table_keeps_small_sigmas(shape):
    """Squares lose half of the digits: what is small is found again in what the large modes leave."""
    sigma = LARGE["many orders"]
    joint = with_spectrum(sigma, *shape)
    m = modes(joint, 7)
    assert_modes(joint, m)
    np.testing.assert_allclose(m.sigma, np.r_[sigma, 0, 0], atol=1e-14)


def test_gram_matrix_of_a_long_table_over_eight_orders():
    sigma = np.geomspace(0.1, 1e-9, 40)
    joint = with_spectrum(sigma, 2000, 400)
    assert_modes(joint, modes(joint, 39), sigma[:39], tolerance=1e-13)


def test_lost_directions_are_replaced():
    """A block that the basis already holds leaves nothing: new directions come in, with no coupling to the old."""
    rng = np.random.default_rng(0)
    known = np.linalg.qr(rng.standard_normal((50, 7)))[0]
    for W in (np.zeros((50, 1)), np.c_[np.zeros(50), rng.standard_normal(50)]):
        Q, R = krylov._orthonormal(W, known, 1e-14, rng)
        together = np.hstack([known, Q])
        np.testing.assert_allclose(together.T @ together, np.eye(together.shape[1]), atol=1e-14)
        np.testing.assert_allclose(R[:, 0], 0, atol=1e-14)


def test_left_vectors_of_null_modes():
    """The image of null vectors is rounding, most of it along what was found: none of that may stay."""
    rng = np.random.default_rng(0)
    U = np.linalg.qr(rng.standard_normal((60, 4)))[0]
    V = np.linalg.qr(rng.standard_normal((30, 3)))[0]
    left, _, _ = krylov._triples(U[:, :3] + 1e-13 * rng.standard_normal((60, 3)), V, U, rng)
    np.testing.assert_allclose(np.hstack([U, left]).T @ left, np.eye(7, 3, k=-4), atol=1e-14)


# ---- the statements of chapter 3 -------------------------------------------------------------------------------------


def random_joint(rng, shape) -> Joint:
    return Joint.from_counts(rng.dirichlet(np.full(np.prod(shape), 0.5)).reshape(shape))


@pytest.mark.result("D6")
@pytest.mark.parametrize("shape", [(4, 4), (3, 7), (7, 3)])
def test_pearsons_statistic_is_n_times_the_squared_norm(shape):
    counts = np.random.default_rng(0).integers(1, 50, shape)
    squares = counts.sum() * np.sum(dtm(Joint.from_counts(counts)) ** 2)
    assert squares == pytest.approx(chi2_contingency(counts, correction=False).statistic, rel=1e-12)


@pytest.mark.result("D6")
@pytest.mark.parametrize("sizes", [[(3, 2)], [(1, 1), (4, 3)], [(3, 2), (2, 4), (4, 3)], [(2, 2)] * 4])
def test_as_many_singular_values_are_one_as_the_graph_has_components(sizes):
    """None is larger, whatever the vector; and the count is that of a graph search."""
    rng = np.random.default_rng(1)
    table = block_diag(*[rng.random(size) for size in sizes])
    table = table[np.ix_(*[rng.permutation(n) for n in table.shape])]
    joint = Joint.from_counts(table)
    B = dtm(joint, centered=False)
    graph = np.zeros((sum(table.shape),) * 2)
    graph[: len(table), len(table) :] = table
    sigma = np.linalg.svd(B, compute_uv=False)
    assert np.sum(sigma > 1 - 1e-9) == connected_components(graph, directed=False)[0] == len(sizes)
    assert np.sum(modes(joint).sigma > 1 - 1e-9) == len(sizes) - 1
    phi = rng.standard_normal((table.shape[0], 500))
    kept = np.linalg.norm(B @ phi, axis=0) / np.linalg.norm(phi, axis=0)
    assert 0.9 < kept.max() <= 1  # a bound smaller by a tenth fails


@pytest.mark.result("D6")
def test_the_dtm_is_conditional_expectation():
    """Against averages over samples that are listed one by one."""
    rng = np.random.default_rng(2)
    x, y = rng.integers(0, 5, 400), rng.integers(0, 4, 400)
    f = rng.standard_normal(5)
    joint = Joint.from_samples(x, y)
    means = [f[x[y == symbol]].mean() for symbol in range(4)]
    found = dtm(joint, centered=False) @ (np.sqrt(joint.px) * f) / np.sqrt(joint.py)
    np.testing.assert_allclose(found, means, atol=1e-14)


@pytest.mark.result("R4")
def test_vectors_are_transported_as_distributions_are():
    """Lemma of transport: what the channel makes of P(x|v), whatever the size of the change."""
    rng = np.random.default_rng(3)
    joint = random_joint(rng, (5, 4))
    for p in rng.dirichlet(np.full(5, 0.3), 50):
        phi_x = (p - joint.px) / np.sqrt(joint.px)
        phi_y = (p @ (joint.P / joint.px[:, None]) - joint.py) / np.sqrt(joint.py)
        for B in (dtm(joint), dtm(joint, centered=False)):
            np.testing.assert_allclose(B @ phi_x, phi_y, atol=1e-13)
        assert np.linalg.norm(phi_y) <= maximal_correlation(joint) * np.linalg.norm(phi_x)


@pytest.mark.result("R5")
def test_singular_values_are_canonical_correlations_of_one_hot_columns():
    """By the QR decompositions of samples, with no table: A. Bjorck and G. H. Golub's way."""
    rng = np.random.default_rng(4)
    joint = random_joint(rng, (4, 6))
    cells = rng.choice(24, size=3000, p=joint.P.ravel())
    x, y = cells // 6, cells % 6
    bases = []
    for codes in (x, y):
        columns = np.eye(codes.max() + 1)[codes][:, 1:]
        bases.append(np.linalg.qr(columns - columns.mean(axis=0))[0])
    canonical = np.linalg.svd(bases[0].T @ bases[1], compute_uv=False)
    np.testing.assert_allclose(modes(Joint.from_samples(x, y)).sigma, canonical, atol=1e-12)


@pytest.mark.result("R5")
@pytest.mark.parametrize("i", [1, 2, 3])
def test_no_pair_without_the_modes_before_does_better(i):
    """Random pairs stay below σ_i and come nearer to it than a tenth, so that 0.9 σ_i is no bound."""
    rng = np.random.default_rng(5)
    joint = Joint.from_counts(HAIR_EYE)
    m = modes(joint)
    f, g = rng.standard_normal((2, 20_000, 4))
    for h, p, before in ((f, joint.px, m.f[:, : i - 1]), (g, joint.py, m.g[:, : i - 1])):
        h -= (h @ p)[:, None]
        h -= (h * p) @ before @ before.T
        h /= np.sqrt(h**2 @ p)[:, None]
    best = np.sum(f @ joint.P * g, axis=1).max()
    assert 0.95 * m.sigma[i - 1] < best <= m.sigma[i - 1] * (1 + 1e-12)


@pytest.mark.result("R4")
def test_processing_multiplies_matrices_and_bounds_singular_values():
    """Part 1: σ_i(X; Z) <= σ_i(X; Y) ρ(Y; Z), attained by erasures for every i; with a tenth less it fails."""
    rng = np.random.default_rng(6)
    joint = random_joint(rng, (5, 4))
    sigma = modes(joint).sigma
    erasing = np.c_[0.6 * np.eye(4), np.full(4, 0.4)]
    for channel in [erasing, *rng.dirichlet(np.full(6, 0.3), (30, 4))]:
        chain, second = Joint(joint.P @ channel), Joint(joint.py[:, None] * channel)
        np.testing.assert_allclose(dtm(chain), dtm(second) @ dtm(joint), atol=1e-13)
        kept, bound = modes(chain).sigma, sigma * maximal_correlation(second)
        assert np.all(kept[: len(sigma)] <= bound * (1 + 1e-9) + 1e-12)
        if channel is erasing:
            np.testing.assert_allclose(kept[:3], bound, rtol=1e-9)
            assert np.all(kept[:3] > 0.9 * bound)
            assert bound[0] < 0.99 * sigma[0]  # so that the factor ρ(Y; Z) is needed


@pytest.mark.result("R5")
def test_products_of_pairs():
    """Singular values of two unlike pairs together: every product but that of the trivial ones."""
    rng = np.random.default_rng(7)
    one, other = random_joint(rng, (3, 4)), random_joint(rng, (4, 3))
    both = np.outer(np.r_[1, modes(one).sigma], np.r_[1, modes(other).sigma]).ravel()
    expected = np.sort(both)[::-1][1:]
    found = modes(Joint(np.kron(one.P, other.P))).sigma
    np.testing.assert_allclose(found[: len(expected)], expected, atol=1e-10)
    assert found[len(expected) :].max() < 1e-7
    assert found[0] == pytest.approx(max(maximal_correlation(one), maximal_correlation(other)))


@pytest.mark.result("R5")
def test_reversible_chains_have_powers():
    step = 0.5 * np.eye(5) + 0.25 * (np.roll(np.eye(5), 1, axis=1) + np.roll(np.eye(5), -1, axis=1))
    first = maximal_correlation(Joint(step / 5))
    assert first == pytest.approx(0.5 + 0.5 * np.cos(2 * np.pi / 5))
    for steps in (2, 5):
        assert maximal_correlation(Joint(np.linalg.matrix_power(step, steps) / 5)) == pytest.approx(first**steps)


# ---- what chapter 3 says of its tables -------------------------------------------------------------------------------


def test_the_rungs_of_the_ladder():
    """Those of fathers fall in the order of the survey, those of sons but for one pair."""
    joint = Joint.from_counts(datasets.occupational_status())
    m = modes(joint, 1)
    lower, routine = joint.x_labels.index("lower supervisory"), joint.x_labels.index("routine non-manual")
    fathers, sons = np.diff(m.f[:, 0]), np.diff(m.g[:, 0])
    assert routine == lower + 1
    assert np.all(fathers < 0)
    assert np.flatnonzero(sons > 0).tolist() == [lower]


def test_the_neighbours_of_q_and_of_the_space():
    counts = datasets.letter_bigrams()
    assert counts.loc["q", "u"] == 626
    assert counts.loc["q"].sum() == 627
    vowels = list("aeiou")
    consonants = [letter for letter in counts.index if letter not in [*vowels, "space"]]
    for table in (counts, counts.T):  # what follows, what precedes
        around_space = table.loc["space", consonants].sum() / table.loc["space"].sum()
        around_vowels = table.loc[vowels, consonants].to_numpy().sum() / table.loc[vowels].to_numpy().sum()
        assert abs(around_space - around_vowels) < 0.02


def test_the_page_says_so():
    """No rung is said to be in order that is not, nothing is always followed, no line joins a father and a son."""
    page = Path(__file__).parents[1] / "book" / "universal" / "divergence-transition-matrix.ipynb"
    cells = json.loads(page.read_text(encoding="utf-8"))["cells"]
    text = "\n".join("".join(cell["source"]) for cell in cells)
    assert "always followed" not in text
    assert "bound on what any attribute" not in text
    assert "routine non-manual work stands a little above lower supervisory" in text
    (the_map,) = ["".join(c["source"]) for c in cells if "fig-ca-map" in json.dumps(c["metadata"])]
    assert "of the inertia" in the_map
    assert 'set_aspect("equal")' in the_map
    assert not re.search(r"ax\.plot\((?!.*\"o\")", the_map)
