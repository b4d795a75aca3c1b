r"""The divergence transition matrix :math:`B` and its singular modes, the universal features of :math:`P_{XY}`."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.linalg import svd
from scipy.sparse.linalg import aslinearoperator

from ufs import _checks as check
from ufs._krylov import DenseOperator, SparseOperator, Triples, top_triples
from ufs.joint import Joint, required

__all__ = ["Modes", "dtm", "maximal_correlation", "modes"]

Array: TypeAlias = NDArray[np.float64]

SMALL_TABLE = 2**17  # cells (362 x 362) up to which a full decomposition is the fastest
FEW = 0.1  # of all modes: who asks for more of them gets a full decomposition
DENSE_LIMIT = 200  # Krylov steps, and two for each row or column: a full decomposition takes about as long
SPARSE_LIMIT = 100_000  # Krylov steps, a thousand times the usual number


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
    """

    sigma: NDArray[np.float64]
    f: NDArray[np.float64]
    g: NDArray[np.float64]


def dtm(joint: Joint, centered: bool = True) -> Any:
    r"""Divergence transition matrix (D6).

    .. math:: B(y, x) = \frac{P_{XY}(x, y)}{\sqrt{P_X(x) P_Y(y)}}, \qquad
              \tilde B = B - \sqrt{P_Y} \sqrt{P_X}^{\mathsf T}.

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
    root_x, root_y = np.sqrt(required(joint).px), np.sqrt(joint.py)
    if sp.issparse(joint.P):
        B = sp.diags_array(1 / root_y) @ joint.P.T @ sp.diags_array(1 / root_x)
        if not centered:
            return B.tocsr()
        return aslinearoperator(B) - aslinearoperator(root_y[:, None]) @ aslinearoperator(root_x[None, :])
    return _centred(joint.P, joint.px, joint.py) if centered else joint.P.T / root_x / root_y[:, None]


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
        If the Krylov method does not converge on a sparse table: σ_k and its neighbours differ by hardly more than
        rounding.

    Notes
    -----
    Small tables, and requests for so many modes that the answer is as large as the dense table, take a full singular
    value decomposition, and so do dense tables on which the following has not come to its end at about the same cost.
    Otherwise the modes come from a Krylov method. It stops once the residuals
    :math:`\Vert \tilde B \psi_i^X - \sigma_i \psi_i^Y \Vert` and
    :math:`\Vert \tilde B^{\mathsf T} \psi_i^Y - \sigma_i \psi_i^X \Vert` are at most :math:`10^{-10}`, so that the
    error of σ_i, which is quadratic in them, is that of rounding; and once a further run, from a fresh start, has
    found nothing above σ_k in what the modes leave of :math:`\tilde B`, so that no copy of a repeated σ is missed.
    (That run starts from a random vector of a fixed seed: the assurance is overwhelming probability, not proof.)
    No sparse table is made dense but in the two cases named first: up to 2¹⁷ cells, and
    (\|𝒳\| + \|𝒴\|) k ≥ \|𝒳\| \|𝒴\|.

    Where σ's are equal, the modes are one orthonormal choice of many, which may change with the number of threads.

    Examples
    --------
    >>> m = modes(Joint([[0.45, 0.05], [0.05, 0.45]]))
    >>> m.sigma.round(12), m.f.round(12).T, m.g.round(12).T
    (array([0.8]), array([[ 1., -1.]]), array([[ 1., -1.]]))
    """
    most = min(required(joint).P.shape) - 1
    k = most if k is None else _mode_count(k, joint.P.shape)
    root_x, root_y = np.sqrt(joint.px), np.sqrt(joint.py)
    psi_y, sigma, psi_x = _triples(joint, k)
    signs = _signs(psi_x)
    return Modes(np.clip(sigma, 0, 1), signs * psi_x / root_x[:, None], signs * psi_y / root_y[:, None])


def maximal_correlation(joint: Joint) -> float:
    r"""Hirschfeld–Gebelein–Rényi maximal correlation of X and Y (R5): the largest singular value σ₁ of the centred DTM.

    Parameters
    ----------
    joint : Joint

    Returns
    -------
    float
        Between 0 and 1; 0 where one of the variables is constant, and has no non-constant function.

    Examples
    --------
    >>> round(maximal_correlation(Joint([[0.45, 0.05], [0.05, 0.45]])), 12)
    0.8
    """
    return float(modes(joint, 1).sigma[0]) if min(required(joint).P.shape) > 1 else 0.0


def _mode_count(k: int, shape: tuple[int, int]) -> int:
    most = min(shape) - 1
    if (count := check.integer(k)) is None:
        raise ValueError(f"k = {k!r} is not an integer: it is how many modes to compute")
    if not 1 <= count <= most:
        raise ValueError(f"k = {k}: a table of shape {shape} has {most} modes, so k must be in 1..{most}")
    return count


def _triples(joint: Joint, k: int) -> Triples:
    if not _full_is_best(joint, k):
        try:
            return _top_modes(joint, k)
        except np.linalg.LinAlgError:
            if sp.issparse(joint.P):
                raise
    return _all_modes(joint, k)


def _full_is_best(joint: Joint, k: int) -> bool:
    """Whether to decompose the full dense matrix: always allowed where it is no larger than the answer."""
    cells, short = joint.P.shape[0] * joint.P.shape[1], min(joint.P.shape)
    return cells <= max(SMALL_TABLE, sum(joint.P.shape) * k) or (not sp.issparse(joint.P) and k > FEW * short)


def _all_modes(joint: Joint, k: int) -> Triples:
    """Top k singular triples of the centred DTM, with both families of vectors exactly orthogonal to the roots.

    Reflections that carry the roots to the first axis leave a block with one row and one column less, and with the
    same singular values: its null vectors, unlike those of the DTM itself, cannot be contaminated by the roots.
    """
    B = _centred(joint.P.toarray() if sp.issparse(joint.P) else joint.P, joint.px, joint.py)
    w_y, w_x = _reflector(np.sqrt(joint.py)), _reflector(np.sqrt(joint.px))
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


def _top_modes(joint: Joint, k: int) -> Triples:
    """Top k singular triples of the centred DTM by Krylov runs, each orthogonal to all that was found before."""
    tall = joint.P.shape[0] >= joint.P.shape[1]
    p_long, p_short = (joint.px, joint.py) if tall else (joint.py, joint.px)
    with ThreadPoolExecutor() as pool:  # which has no thread before it has work
        B: DenseOperator | SparseOperator
        if sp.issparse(joint.P):
            B = SparseOperator(joint.P if tall else joint.P.T.tocsr(), p_long, p_short, pool.map)
            limit = SPARSE_LIMIT
        else:
            B = DenseOperator(dtm(joint).T if tall else dtm(joint))
            limit = DENSE_LIMIT + 2 * len(p_short)
        U, s, V = top_triples(B, np.sqrt(p_long), np.sqrt(p_short), k, limit)
    return (V, s, U) if tall else (U, s, V)


def _signs(psi: NDArray[np.float64]) -> NDArray[np.float64]:
    """For each column the sign of the first entry whose modulus is, up to rounding, the largest."""
    size = np.abs(psi)
    first = np.argmax(size >= (1 - 1e-6) * size.max(axis=0), axis=0)
    return np.where(psi[first, np.arange(psi.shape[1])] < 0, -1.0, 1.0)
