r"""The divergence transition matrix :math:`B` and its singular modes, the universal features of :math:`P_{XY}`."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.linalg import svd
from scipy.sparse.linalg import aslinearoperator

from ufs import _checks as check
from ufs._krylov import (
    GRAM_ASPECT,
    ROOM,
    BandedOperator,
    DenseOperator,
    SparseOperator,
    Triples,
    direct_triples,
    top_triples,
)
from ufs.joint import Joint, required

__all__ = ["Modes", "dtm", "maximal_correlation", "modes"]

Array: TypeAlias = NDArray[np.float64]

SMALL_TABLE = 2**17  # cells (362 x 362) up to which a full decomposition is the fastest
MOST = 0.5  # of all modes: who asks for more of them gets a full decomposition
AFFORDABLE = 2**24  # cells (128 MB) up to which a sparse table may be made dense
LEAST = 100  # Krylov steps that are made in any case
SPARSE_BUDGET = 2_000, 20_000  # Krylov steps before they are judged, and too many, where there is no other way …
BATCH = 500  # … for each so many modes begun
GEMM, EIGH, SPARSE = 0.06, 0.36, 3.0  # time of an operation, where one of a dense matrix with a vector takes 1
OVERHEAD = 2**16  # entries of a matrix that are multiplied with a vector in the time that a step takes beside its work
ROUNDING = 64 * float(np.finfo(float).eps)  # of the sum of a table that was divided by its sum


@dataclass(frozen=True, eq=False)
class Modes:
    r"""Singular modes of the centred DTM :math:`\tilde B`, as features of X and of Y.

    Attributes
    ----------
    sigma : ndarray, shape (k,)
        Singular values, 1 ≥ σ₁ ≥ … ≥ σ_k ≥ 0.
    f : ndarray, shape (\|𝒳\|, k)
        Column i is :math:`f_i(x) = \psi_i^X(x) / \sqrt{P_X(x)}`: zero mean and unit variance under
        :math:`P_X`, and uncorrelated with the other columns.
    g : ndarray, shape (\|𝒴\|, k)
        Column i is :math:`g_i(y) = \psi_i^Y(y) / \sqrt{P_Y(y)}`, likewise under :math:`P_Y`.

    Notes
    -----
    What rounding does to :math:`\psi_i^X(x)`, some :math:`10^{-16}`, is divided by :math:`\sqrt{P_X(x)}`. Under
    :math:`P_X` that counts for nothing; but at a symbol of probability :math:`10^{-20}` a feature has six digits behind
    the point, and at one of :math:`10^{-32}` none.
    """

    sigma: NDArray[np.float64]
    f: NDArray[np.float64]
    g: NDArray[np.float64]


def dtm(joint: Joint, centered: bool = True) -> Any:
    r"""Divergence transition matrix (D6).

    .. math:: B(y, x) = \frac{P_{XY}(x, y)}{\sqrt{P_X(x) P_Y(y)}}, \qquad
              \tilde B = B - \sqrt{P_Y} \sqrt{P_X}^{\mathsf T}.

    Later papers call :math:`\tilde B` the canonical dependence matrix. A table whose sum differs from 1 by rounding is
    divided by it first.

    Parameters
    ----------
    joint : Joint
    centered : bool
        :math:`\tilde B` if true, else :math:`B`.

    Returns
    -------
    ndarray, shape (\|𝒴\|, \|𝒳\|)
        For a sparse joint, a sparse array of that shape; centred, which would fill it, a ``LinearOperator``.

    Examples
    --------
    >>> dtm(Joint([[0.45, 0.05], [0.05, 0.45]]))
    array([[ 0.4, -0.4],
           [-0.4,  0.4]])
    """
    joint = _normalised(required(joint))
    root_x, root_y = np.sqrt(joint.px), np.sqrt(joint.py)
    if sp.issparse(joint.P):
        B = sp.diags_array(1 / root_y) @ joint.P.T @ sp.diags_array(1 / root_x)
        if not centered:
            return B.tocsr()
        return aslinearoperator(B) - aslinearoperator(root_y[:, None]) @ aslinearoperator(root_x[None, :])
    return _centred(joint.P, joint.px, joint.py) if centered else joint.P.T / root_x / root_y[:, None]


def _normalised(joint: Joint) -> Joint:
    """The table divided by its sum: only then have the roots of its marginals length one, and the modes mean zero."""
    mass = joint.px.sum()
    return joint if abs(mass - 1) <= ROUNDING else replace(joint, P=joint.P / mass)


def _centred(P: Array, px: Array, py: Array) -> Array:
    B = _aligned(P.shape)
    np.multiply(px[:, None], py, out=B)
    np.subtract(P, B, out=B)
    B *= (1 / np.sqrt(px))[:, None]
    B *= 1 / np.sqrt(py)
    return B.T


def _aligned(shape: tuple[int, int]) -> Array:
    """An uninitialised array that starts on a cache line: products with vectors are a tenth faster than with others."""
    count = math.prod(shape)
    memory = np.empty(count + 7)
    start = -memory.ctypes.data // 8 % 8
    return memory[start : start + count].reshape(shape)


def modes(joint: Joint, k: int | None = None) -> Modes:
    r"""Compute the k strongest modes of the dependence between X and Y (D7).

    .. math:: P_{XY} = P_X P_Y \Bigl(1 + \sum_{i=1}^{K} \sigma_i f_i g_i\Bigr), \qquad
              K = \min(|\mathcal X|, |\mathcal Y|) - 1.

    Parameters
    ----------
    joint : Joint
    k : int, optional
        How many modes, 1 ≤ k ≤ K. By default all K of them.

    Returns
    -------
    Modes
        Of each pair (f_i, g_i), which is fixed only up to a common sign, the one in which the largest entry of
        ψ_i^X is positive (the first of them, where several are equally large).

    Raises
    ------
    ValueError
        If k is not an integer between 1 and K, or there is no Joint.
    numpy.linalg.LinAlgError
        If a sparse table of more than 2²⁴ cells, with no order in which it is a narrow band, has σ's so close to their
        neighbours that the Krylov method foresees, after 2,000 steps, more than 20,000 of them (for k below 500; for
        larger k, both are that many for each 500 modes begun).

    Notes
    -----
    Tables of up to 2¹⁷ cells, and requests for more than half of all modes, take a full singular value decomposition.
    Otherwise the modes come from a Krylov method. It stops once the residuals
    :math:`\Vert \tilde B \psi_i^X - \sigma_i \psi_i^Y \Vert` and
    :math:`\Vert \tilde B^{\mathsf T} \psi_i^Y - \sigma_i \psi_i^X \Vert` are at most :math:`10^{-10}`, so that the
    error of σ_i, which is quadratic in them, is that of rounding; and once a further run, from a fresh start, has
    found nothing above σ_k in what the modes leave of :math:`\tilde B`, so that no copy of a repeated σ is missed.
    (That run starts from a random vector of a fixed seed: the assurance is overwhelming probability, not proof.)

    Where σ_k and its neighbours are so close that it would take longer than a decomposition of the Gram matrix of the
    shorter side, that is done instead: it has the same residuals, needs no gap and misses no copy. What takes longer is
    foreseen from counts of operations and from how the residuals fall, so that the same table always goes the same
    way; the attempt and the decomposition cost about twice the cheaper of the two, and less than a full singular value
    decomposition. A sparse table whose dense form would have more than 2²⁴ cells (128 MB) is inverted about σ = 1
    instead, if its symbols have an order (reverse Cuthill–McKee) in which a band of no more cells than that holds its
    entries; with the same residuals and the same check. None of such a size is made dense, but for an answer that is
    as large as the dense table: (\|𝒳\| + \|𝒴\|) k ≥ \|𝒳\| \|𝒴\|.

    A table whose sum differs from 1 by rounding is divided by it first, and so the features have mean zero.

    Where σ's are equal, the modes are one orthonormal choice of many, which may change with the number of threads.

    Examples
    --------
    >>> m = modes(Joint([[0.45, 0.05], [0.05, 0.45]]))
    >>> m.sigma.round(12), m.f.round(12).T, m.g.round(12).T
    (array([0.8]), array([[ 1., -1.]]), array([[ 1., -1.]]))
    """
    most = min(required(joint).P.shape) - 1
    k = most if k is None else _mode_count(k, joint.P.shape)
    joint = _normalised(joint)
    root_x, root_y = np.sqrt(joint.px), np.sqrt(joint.py)
    psi_y, sigma, psi_x = (
        _triples(joint, k) if most else (np.empty((root_y.size, 0)), np.empty(0), np.empty((root_x.size, 0)))
    )
    signs = _signs(psi_x)
    return Modes(np.clip(sigma, 0, 1), signs * psi_x / root_x[:, None], signs * psi_y / root_y[:, None])


def maximal_correlation(joint: Joint) -> float:
    r"""Hirschfeld–Gebelein–Rényi maximal correlation of X and Y (R5): the largest singular value σ₁ of the centred DTM.

    :math:`\sigma_1^2` is the largest share of an attribute's :math:`\chi^2` that passes from X to Y. For the share of
    its information, in nats, see :func:`ufs.processing.contraction`.

    Parameters
    ----------
    joint : Joint

    Returns
    -------
    float
        Between 0 and 1; 0 where one of the variables is constant, and has no non-constant function.

    Raises
    ------
    ValueError
        If there is no Joint.
    numpy.linalg.LinAlgError
        As :func:`modes` does.

    Examples
    --------
    >>> round(maximal_correlation(Joint([[0.45, 0.05], [0.05, 0.45]])), 12)
    0.8
    """
    return float(modes(joint, 1).sigma[0]) if min(required(joint).P.shape) > 1 else 0.0


def _mode_count(k: int, shape: tuple[int, int], name: str = "k", of: str = "a table") -> int:
    most = min(shape) - 1
    if (count := check.integer(k)) is None:
        raise ValueError(f"{name} = {k!r} is not an integer: it is how many modes to compute")
    if not 1 <= count <= most:
        rule = f"so {name} must be in 1..{most}" if most else "as a variable with one symbol has no feature that varies"
        raise ValueError(f"{name} = {k}: {of} of shape {shape} has {most} modes, {rule}")
    return count


def _triples(joint: Joint, k: int) -> Triples:
    if _full_is_best(joint, k):
        return _all_modes(joint, k)
    if not _may_be_dense(joint):
        patience, limit = ((1 + k // BATCH) * steps for steps in SPARSE_BUDGET)
        try:
            return _krylov_modes(joint, k, (patience, limit))
        except np.linalg.LinAlgError as unfinished:
            with suppress(np.linalg.LinAlgError):
                return _krylov_modes(joint, k, (patience, limit), banded=True)
            raise unfinished
    steps = _steps_of_direct(joint, k)
    if 2 * k <= steps:  # a Krylov method makes two steps and more for a mode
        with suppress(np.linalg.LinAlgError):
            return _krylov_modes(joint, k, (steps, 2 * steps))
    return _direct_modes(joint, k)


def _full_is_best(joint: Joint, k: int) -> bool:
    """Whether to decompose the full dense matrix: always allowed where it is no larger than the answer."""
    cells, short = math.prod(joint.P.shape), min(joint.P.shape)
    return cells <= max(SMALL_TABLE, sum(joint.P.shape) * k) or (_may_be_dense(joint) and k > MOST * short)


def _may_be_dense(joint: Joint) -> bool:
    return not sp.issparse(joint.P) or math.prod(joint.P.shape) <= AFFORDABLE


def _steps_of_direct(joint: Joint, k: int) -> int:
    """How many Krylov steps take as long as the direct decomposition: counted, not timed, so as to be repeatable."""
    long, short = max(joint.P.shape), min(joint.P.shape)
    direct = GEMM * 2 * long * short**2 + EIGH * 4 / 3 * short**3
    if sp.issparse(joint.P):
        entries = SPARSE * joint.P.nnz
    else:
        entries = long * short if long < GRAM_ASPECT * short else short**2 / 2
    return max(LEAST, int(direct / (4 * (entries + 2 * (k + ROOM) * short + OVERHEAD))))


def _all_modes(joint: Joint, k: int) -> Triples:
    """Top k singular triples of the centred DTM, with both families of vectors exactly orthogonal to the roots.

    Reflections that carry the roots to the first axis leave a block with one row and one column less, and with the
    same singular values: its null vectors, unlike those of the DTM itself, cannot be contaminated by the roots.
    """
    B = _centred(joint.P.toarray() if sp.issparse(joint.P) else joint.P, joint.px, joint.py)
    w_x, w_y = _reflector(np.sqrt(joint.px)), _reflector(np.sqrt(joint.py))
    block = _reflect(w_x, _reflect(w_y, B).T).T[1:, 1:]
    U, sigma, Vt = svd(block, full_matrices=False, overwrite_a=True, check_finite=False)
    pad = np.zeros((1, k))
    return _reflect(w_y, np.vstack([pad, U[:, :k]])), sigma[:k], _reflect(w_x, np.vstack([pad, Vt[:k].T]))


def _reflector(unit: Array) -> Array:
    """Find the unit vector w for which I - 2wwᵀ carries the non-negative unit vector to minus the first axis."""
    w = unit.copy()
    w[0] += 1
    return w / np.linalg.norm(w)


def _reflect(w: Array, A: Array) -> Array:
    return A - np.outer(2 * w, w @ A)


def _krylov_modes(joint: Joint, k: int, budget: tuple[int, int], banded: bool = False) -> Triples:
    """Top k singular triples of the centred DTM by Krylov runs, each orthogonal to all that was found before."""
    tall = _is_tall(joint)
    with ThreadPoolExecutor() as pool:  # which has no thread before it has work
        B: DenseOperator | SparseOperator
        if sp.issparse(joint.P):
            p_long, p_short = (joint.px, joint.py) if tall else (joint.py, joint.px)
            table = (joint.P if tall else joint.P.T.tocsr(), p_long, p_short, pool.map)
            B = BandedOperator(*table, AFFORDABLE) if banded else SparseOperator(*table)
        else:
            B = _dense_operator(joint)
        return _by_side(top_triples(B, *_roots_by_length(joint), k, budget), tall)


def _direct_modes(joint: Joint, k: int) -> Triples:
    """The same from all of a Gram matrix, for which a sparse table is made dense."""
    return _by_side(direct_triples(_dense_operator(joint), *_roots_by_length(joint), k), _is_tall(joint))


def _dense_operator(joint: Joint) -> DenseOperator:
    B = _centred(joint.P.toarray() if sp.issparse(joint.P) else joint.P, joint.px, joint.py)
    return DenseOperator(B.T if _is_tall(joint) else B)


def _is_tall(joint: Joint) -> bool:
    return bool(joint.P.shape[0] >= joint.P.shape[1])


def _roots_by_length(joint: Joint) -> tuple[Array, Array]:
    root_x, root_y = np.sqrt(joint.px), np.sqrt(joint.py)
    return (root_x, root_y) if _is_tall(joint) else (root_y, root_x)


def _by_side(triples: Triples, tall: bool) -> Triples:
    """Vectors of Y, singular values and vectors of X, from those of the long side and of the short."""
    of_long, sigma, of_short = triples
    return (of_short, sigma, of_long) if tall else triples


def _signs(psi: NDArray[np.float64]) -> NDArray[np.float64]:
    """For each column the sign of the first entry whose modulus is, up to rounding, the largest."""
    size = np.abs(psi)
    first = np.argmax(size >= (1 - 1e-6) * size.max(axis=0), axis=0)
    return np.where(psi[first, np.arange(psi.shape[1])] < 0, -1.0, 1.0)
