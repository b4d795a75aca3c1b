r"""Which modes of a table of samples to believe: a screening level, a test, and standard errors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator, eigsh

from ufs import _checks as check
from ufs._progress import watched
from ufs.dtm import Modes, _mode_count, modes
from ufs.joint import Joint, required

__all__ = ["ModeTest", "mode_test", "noise_floor", "sigma_errors"]

Array: TypeAlias = NDArray[np.float64]

SMALL = 2**12  # cells up to which tables are drawn and decomposed many at a time
CELLS = 2**20  # of all tables that are held at a time
DENSE = 2**24  # cells of a law of given modes that is still written out
ALIKE = 1e-6  # relative difference of two σ's that may be equal and differ by rounding
ROUNDING = 1e-14  # of any σ
ROUNDED = 1e-12  # relative, by which a level that is a whole number of tables may fall short of it
MOST = 2**31 - 1  # samples: scipy's random_table multiplies two marginals as 64-bit integers, and may crash beyond
WHOLE = 1e-6  # distance of a count from a whole number, of its size, that rounding of P may bring
RITZ = 1e-4  # relative residual of a singular value of noise, whose own error is quadratic in it


@dataclass(frozen=True, eq=False)
class ModeTest:
    r"""What :func:`mode_test` found, mode by mode, up to the first that chance explains.

    Attributes
    ----------
    sigma : ndarray, shape (m,)
        Singular values of the table, of the modes that were tested.
    p_values : ndarray, shape (m,)
        Step-down p-values, ascending: the share of noise tables, the observed one counted among them, whose singular
        value reaches :math:`\hat\sigma_i`, or the p-value of a mode before if it is larger.
    p_errors : ndarray, shape (m,)
        Monte-Carlo standard errors :math:`\sqrt{p (1 - p) / (\text{draws} + 1)}` of the p-values.
    critical : ndarray, shape (m,)
        The height that singular values of noise reach with probability ``level``.
    sigma_errors : ndarray, shape (m,)
        Standard errors of the singular values, see :func:`sigma_errors`.
    level : float
        The level of the whole procedure.
    n, draws : int
        Number of samples in the table, and of noise tables drawn for each mode.
    """

    sigma: Array
    p_values: Array
    p_errors: Array
    critical: Array
    sigma_errors: Array
    level: float
    n: int
    draws: int

    @property
    def believed(self) -> int:
        """How many modes pass: all tested ones but for a last one that fails."""
        return int(np.count_nonzero(self.p_values <= self.level * (1 + ROUNDED)))


def mode_test(
    joint: Joint, n: int, k: int | None = None, *, level: float = 0.05, draws: int = 999, seed: int = 0
) -> ModeTest:
    r"""Test one mode after the other against what chance makes of it, until one fails (R7).

    Mode i is held against noise: tables of n samples that have i − 1 modes and no more. For the first mode these are
    the table itself with one side of its samples permuted. The test is then exact, whatever the alphabets and their
    rare symbols. For i ≥ 2 they are drawn from

    .. math:: P_X P_Y \Bigl(1 + \sum_{j<i} \hat\sigma_j \hat f_j \hat g_j\Bigr) ,

    a parametric bootstrap; cells that come out negative are set to zero. That is exact in the limit of many samples,
    and an approximation for few. A law that has no i-th mode has no later one: so whoever stops at the first p-value
    above the level believes a false mode with no larger probability than that of one test, the first which has no mode.

    Parameters
    ----------
    joint : Joint
        The empirical distribution of n samples, as ``Joint.from_counts`` and ``Joint.from_samples`` make it.
    n : int
        How many samples were counted.
    k : int, optional
        How many modes to test at most; by default as many as there are.
    level : float
        Probability of a false mode, between 0 and 1.
    draws : int
        Noise tables for each mode; no p-value is below 1/(draws + 1).
    seed : int
        The same seed gives the same result.

    Returns
    -------
    ModeTest

    Raises
    ------
    ValueError
        If n times the joint is no table of n whole counts, or n is larger than 2³¹ - 1; for k out of range, a level
        outside (0, 1), and too few draws for a p-value as small as the level; if a second mode is to be tested in a
        table of more than 2²⁴ cells, for the law of the first has to be written out.

    Notes
    -----
    To permute once more for later modes, with those before taken out of the permuted table, does not do: true modes
    colour the noise around them, most where symbols are rare, and permuted tables show it white.

    Two symbols that occur once, and together, have σ = 1. Such modes fail the test, as they should, and what stands
    behind them is not reached: fold rare symbols into one before counting. Where rare symbols make the same σ likely
    in several tables, ties are decided by the next σ; in tables of more than 2¹² cells they count against the mode.

    Where the work takes more than a second, a terminal shows a progress bar, if tqdm is installed. Permuted tables of
    more than 2¹² cells are sparse; n samples take some 20 n bytes, and σ is found to about 1e-6 of its size.

    Source: E. J. G. Pitman, "Significance tests which may be applied to samples from any populations", Suppl. J. R.
    Stat. Soc. 4 (1937) 119-130, for permutation; R. Marcus, E. Peritz, K. R. Gabriel, Biometrika 63 (1976) 655-660, for
    stepping down.

    Examples
    --------
    >>> table = [[68, 119, 26, 7], [20, 84, 17, 94], [15, 54, 14, 10], [5, 29, 14, 16]]
    >>> test = mode_test(Joint.from_counts(table), n=592, draws=199)
    >>> test.believed, test.sigma.round(3), test.p_values
    (2, array([0.457, 0.149, 0.051]), array([0.005, 0.005, 0.2  ]))
    """
    counts = _counts(joint, n)
    most = min(joint.P.shape) - 1 if k is None else _mode_count(k, joint.P.shape)
    check.counts(draws=draws)
    if not 0 < check.number(level) * (1 + ROUNDED) < 1:
        raise ValueError(f"level = {level!r}: the probability of a false mode lies between 0 and 1, both excluded")
    allowed = int(level * (draws + 1) * (1 + ROUNDED))  # tables, the observed one among them, that may reach its mode
    if allowed == 0:
        raise ValueError(f"draws = {draws}: no p-value is below 1/{draws + 1}; for level = {level:g} draw more tables")
    rng = check.generator(seed, "seed")
    found = modes(joint, None if _small(joint.P) else min(2, most) or None)
    p_values: list[float] = []
    critical: list[float] = []
    reached = 0
    while len(p_values) < most and reached <= allowed:
        i = len(p_values)
        if i == len(found.sigma):
            found = modes(joint, min(2 * i, most))
        noise = _drawn(joint, found, i, n, draws, rng) if i else _permuted(counts, draws, rng)
        reached = max(reached, 1 + _count_reached(noise, found.sigma[i : i + noise.shape[1]]))
        p_values.append(reached / (draws + 1))
        critical.append(float(np.sort(noise[:, 0])[draws - allowed]))
    p = np.array(p_values)
    return ModeTest(
        sigma=found.sigma[: len(p)],
        p_values=p,
        p_errors=np.sqrt(p * (1 - p) / (draws + 1)),
        critical=np.array(critical),
        sigma_errors=_errors(joint, found, n)[: len(p)],
        level=level,
        n=n,
        draws=draws,
    )


def sigma_errors(joint: Joint, n: int, k: int | None = None) -> Array:
    r"""Standard errors of the singular values of a table of n samples (R7).

    .. math:: \frac{1}{\sqrt n} \Bigl( \mathbb E \bigl[ \bigl( f_i g_i - \tfrac12 \sigma_i (f_i^2 + g_i^2) \bigr)^2
              \bigr] \Bigr)^{1/2}

    is, for n to infinity, the standard deviation of :math:`\hat\sigma_i`, where :math:`\sigma_i > 0` stands apart from
    its neighbours. The expectation, the modes and σ are those of the joint given.

    Parameters
    ----------
    joint : Joint
        The distribution itself, or the empirical one of n samples.
    n : int
        Number of samples.
    k : int, optional
        For the first k modes; by default for all.

    Returns
    -------
    ndarray, shape (k,)

    Raises
    ------
    ValueError
        If there is no sample, and as :func:`~ufs.dtm.modes` does.

    Notes
    -----
    Near the noise floor it says little: there :math:`\hat\sigma_i` is biased upwards, and not nearly Gaussian.

    Examples
    --------
    >>> joint = Joint([[0.45, 0.05], [0.05, 0.45]])
    >>> sigma_errors(joint, 400).round(12)  # a correlation of 0.8, from 400 samples: the root of (1 - 0.8²) / 400
    array([0.03])
    """
    check.counts(n=n)
    return _errors(joint, modes(joint, k), n)


def noise_floor(shape: tuple[int, int], n: int) -> Array:
    r"""Screening level for singular values: what chance alone makes of them, for many samples of common symbols (R7).

    .. math:: \frac{\sqrt{|\mathcal X| - i} + \sqrt{|\mathcal Y| - i}}{\sqrt n}, \qquad i = 1, \dots, K,

    bounds, for n to infinity, the mean of the largest singular value that noise has in the
    :math:`|\mathcal X| - i` by :math:`|\mathcal Y| - i` directions which are left when i − 1 true modes are taken out.

    Parameters
    ----------
    shape : (int, int)
        \|𝒳\| and \|𝒴\|.
    n : int
        Number of samples.

    Returns
    -------
    ndarray, shape (K,)
        Below entry i − 1 mode i is hardly told from noise. Above it, it need not be true: the floor bounds a mean, not
        a quantile, and only where even the rarest pair of symbols is expected some five times,
        :math:`n P_X P_Y \ge 5`. With rarer symbols noise stands far above it. :func:`mode_test` decides.

    Raises
    ------
    ValueError
        If there are no samples, or fewer than two symbols on a side.

    Examples
    --------
    >>> noise_floor((4, 4), 592).round(3)
    array([0.142, 0.116, 0.082])
    """
    check.counts(n=n)
    pair = isinstance(shape, Sequence) and len(shape) == 2
    if not pair or not all(1 < (check.integer(m) or 0) < 2**63 for m in shape):
        raise ValueError(f"shape = {shape!r}: noise needs two symbols of X and of Y at least, as a pair of integers")
    left = np.asarray(shape)[:, None] - np.arange(1, min(shape))
    floor: Array = np.sqrt(left).sum(axis=0) / np.sqrt(n)
    return floor


def _errors(joint: Joint, found: Modes, n: int) -> Array:
    cells = joint.P.tocoo() if sp.issparse(joint.P) else sp.coo_array(joint.P)
    variances = []
    for sigma, f, g in zip(found.sigma, found.f.T, found.g.T, strict=True):  # all at once: cells times modes in memory
        f, g = f[cells.row], g[cells.col]
        variances.append(cells.data @ (f * g - sigma * (f**2 + g**2) / 2) ** 2 / n)
    return np.sqrt(variances)


# ---- noise -----------------------------------------------------------------------------------------------------------


def _counts(joint: Joint, n: int) -> sp.coo_array:
    """The table of counts that the joint is the distribution of."""
    check.counts(n=n)
    if n > MOST:
        raise ValueError(
            f"n = {n}: noise tables are drawn of {MOST} samples at most: with more of common symbols, compare the "
            "singular values with noise_floor"
        )
    table = sp.coo_array(required(joint).P)
    counts = np.rint(n * table.data)
    off = np.abs(n * table.data - counts) > WHOLE * np.maximum(1, counts)
    bad = np.flatnonzero(off | ((counts == 0) & (table.data > 0)))
    if bad.size:
        row, column = (int(index[bad[0]]) for index in table.coords)
        raise ValueError(
            f"n = {n}: the cell ({joint.x_labels[row]!r}, {joint.y_labels[column]!r}) would hold "
            f"{n * table.data[bad[0]]:.6g} samples: give the number that the table was counted from, and a table of "
            "whole counts"
        )
    if counts.sum() != n:
        raise ValueError(
            f"n = {n}: the cells would hold {counts.sum():.0f} samples in all: give the number that the table was "
            "counted from"
        )
    return sp.coo_array((counts.astype(np.int64), table.coords), shape=table.shape)


def _small(table: Any) -> bool:
    return bool(table.shape[0] * table.shape[1] <= SMALL)


def _count_reached(noise: Array, sigma: Array) -> int:
    """How many rows of noise are at least the observed σ's, in the order in which one would sort words."""
    difference = noise - sigma
    differ = np.abs(difference) > ALIKE * sigma + ROUNDING
    first = differ.argmax(axis=1)
    above = difference[np.arange(len(noise)), first] > 0
    return int(np.count_nonzero(above | ~differ.any(axis=1)))


def _permuted(counts: sp.coo_array, draws: int, rng: np.random.Generator) -> Array:
    """σ's of tables in which every pairing of the samples on both sides is equally likely; of large ones the first."""
    of_x, of_y = (np.asarray(counts.sum(axis=axis)) for axis in (1, 0))
    if _small(counts):
        from scipy.stats import random_table  # here, for it takes longer to import than all of ufs

        law = random_table(of_x, of_y)
        return _of_small(lambda size: law.rvs(size, random_state=rng), counts.shape, draws, 0)
    long, short = (of_x, of_y) if of_x.size >= of_y.size else (of_y, of_x)
    edges = np.append(0, np.cumsum(long))
    samples = np.repeat(np.arange(short.size, dtype=np.int32), short)
    start, ones = rng.standard_normal(short.size), np.ones(len(samples))
    values = []
    for _ in watched(range(draws), "table"):
        rng.shuffle(samples)
        values.append(_largest(sp.csr_array((ones, samples, edges)), long, short, start))
    return np.array(values)[:, None]


def _largest(table: sp.csr_array, of_rows: Array, of_columns: Array, start: Array) -> float:
    """σ₁ of a table of counts with known marginals, to the precision that a comparison needs."""
    rows, columns = np.sqrt(of_rows), np.sqrt(of_columns)
    root = columns / np.linalg.norm(columns)

    def gram(v: Array) -> Array:
        v = v - root * (root @ v)
        w: Array = table.T @ ((table @ (v / columns)) / rows**2) / columns
        w -= root * (root @ w)
        return w

    operator = LinearOperator((columns.size, columns.size), matvec=gram, dtype=float)
    square = eigsh(operator, k=1, tol=RITZ, v0=start, return_eigenvectors=False)
    return float(np.sqrt(square[0]))


def _drawn(joint: Joint, found: Modes, i: int, n: int, draws: int, rng: np.random.Generator) -> Array:
    """σ's from mode i on, of large tables σ of mode i alone, of n samples from the law that has the i modes before."""
    cells = joint.P.shape[0] * joint.P.shape[1]
    if cells > DENSE:
        raise ValueError(
            f"the table has {cells} cells, and the law of given modes is written out up to {DENSE}: ask for k = 1, or "
            "fold rare symbols into one"
        )
    law = np.outer(joint.px, joint.py) * (1 + (found.f[:, :i] * found.sigma[:i]) @ found.g[:, :i].T)
    law = np.maximum(law, 0).ravel()
    law /= law.sum()

    if _small(joint.P):
        return _of_small(lambda size: rng.multinomial(n, law, size), joint.P.shape, draws, i)
    tables = (rng.multinomial(n, law).reshape(joint.P.shape) for _ in watched(range(draws), "table"))
    return np.array([[_mode_of(table, i)] for table in tables])


def _of_small(tables: Callable[[int], Any], shape: tuple[int, int], draws: int, i: int) -> Array:
    """σ's from mode i on of small tables, many at a time; symbols that did not occur have no part in them."""
    values: list[Array] = []
    size = CELLS // (shape[0] * shape[1])
    for start in watched(range(0, draws, size), "batch"):
        P = tables(min(size, draws - start)).reshape(-1, *shape).astype(float)
        P /= P.sum(axis=(1, 2), keepdims=True)
        px, py = P.sum(axis=2)[:, :, None], P.sum(axis=1)[:, None, :]
        B = (P - px * py) / np.sqrt(np.where(px > 0, px, 1) * np.where(py > 0, py, 1))
        values.append(np.linalg.svd(B, compute_uv=False)[:, i:-1])
    return np.concatenate(values)


def _mode_of(table: Array, i: int) -> float:
    seen = table[np.ix_(table.any(axis=1), table.any(axis=0))]
    return float(modes(Joint.from_counts(seen), i + 1).sigma[i]) if i + 1 < min(seen.shape) else 0.0
