r"""The divergence transition matrix :math:`B` and its singular modes, the universal features of :math:`P_{XY}`."""

from __future__ import annotations

import operator
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.linalg import svd
from scipy.sparse.linalg import aslinearoperator

from ufs.joint import Joint

__all__ = ["Modes", "dtm", "maximal_correlation", "modes"]

Array: TypeAlias = NDArray[np.float64]
Triples: TypeAlias = tuple[Array, Array, Array]  # left vectors, singular values, right vectors; vectors in columns

SMALL_TABLE = 2**17  # cells (362 x 362) up to which a full decomposition is the fastest
KRYLOV_SHARE = 0.1  # of all modes: who asks for more of them gets a full decomposition
RESIDUAL = 1e-10  # of a mode, in units of the largest singular value sought, where rounding lets it
GRAM_RANGE = 1e-4  # the squares of singular values below this share of the largest have lost too many digits
ROUNDING = 1e-14  # B has norm 1: singular values below this are its rounding errors
GRAM_ASPECT = 4  # length over breadth of a table from which its Gram matrix is formed
KRYLOV_ROOM = 20  # basis vectors beyond twice the modes wanted
KRYLOV_LIMIT = 100_000  # steps, a thousand times the usual number, after which a run gives up
KRYLOV_CHECK = 10  # basis vectors between two looks at the residuals
WIDEST = 16  # vectors from which a run starts
SPARSE_BLOCK = 2**18  # non-zeros for which a thread is worth its while


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
    root_x, root_y = np.sqrt(joint.px), np.sqrt(joint.py)
    if sp.issparse(joint.P):
        B = sp.diags_array(1 / root_y) @ joint.P.T @ sp.diags_array(1 / root_x)
        if not centered:
            return B.tocsr()
        return aslinearoperator(B) - aslinearoperator(root_y[:, None]) @ aslinearoperator(root_x[None, :])
    B = joint.P - np.outer(joint.px, joint.py) if centered else joint.P.copy()
    B /= root_x[:, None]
    B /= root_y
    return B.T


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
        If k is not an integer between 1 and K.
    numpy.linalg.LinAlgError
        If the Krylov method does not converge: σ_k and its neighbours differ by hardly more than rounding.

    Notes
    -----
    Small tables, and requests for so many modes that the answer is as large as the dense table, take a full singular
    value decomposition. Otherwise the modes come from a Krylov method. It stops once the residuals
    :math:`\Vert \tilde B \psi_i^X - \sigma_i \psi_i^Y \Vert` and
    :math:`\Vert \tilde B^{\mathsf T} \psi_i^Y - \sigma_i \psi_i^X \Vert` are at most :math:`10^{-10}`, so that the
    error of σ_i, which is quadratic in them, is that of rounding; and once a further run, from a fresh start, has
    found nothing above σ_k in what the modes leave of :math:`\tilde B`, so that no copy of a repeated σ is missed.
    (That run starts from a random vector of a fixed seed: the assurance is overwhelming probability, not proof.)
    No sparse table is made dense but in the two cases named first: up to 2¹⁷ cells, and
    (\|𝒳\| + \|𝒴\|) k ≥ \|𝒳\| \|𝒴\|.

    Where σ_k = σ_{k+1}, or σ's are equal, the modes are one orthonormal choice of many.

    Examples
    --------
    >>> m = modes(Joint([[0.45, 0.05], [0.05, 0.45]]))
    >>> m.sigma.round(12), m.f.round(12).T, m.g.round(12).T
    (array([0.8]), array([[ 1., -1.]]), array([[ 1., -1.]]))
    """
    most = min(joint.P.shape) - 1
    k = most if k is None else _mode_count(k, joint.P.shape)
    root_x, root_y = np.sqrt(joint.px), np.sqrt(joint.py)
    psi_y, sigma, psi_x = _all_modes(joint, k) if _full_is_best(joint, k) else _top_modes(joint, k)
    signs = _signs(psi_x)
    return Modes(np.clip(sigma, 0, 1), signs * psi_x / root_x[:, None], signs * psi_y / root_y[:, None])


def maximal_correlation(joint: Joint) -> float:
    r"""Hirschfeld–Gebelein–Rényi maximal correlation of X and Y (R5): the largest singular value σ₁ of the centred DTM.

    It is 0 where one of the variables is constant, and has no non-constant function.

    Examples
    --------
    >>> round(maximal_correlation(Joint([[0.45, 0.05], [0.05, 0.45]])), 12)
    0.8
    """
    return float(modes(joint, 1).sigma[0]) if min(joint.P.shape) > 1 else 0.0


def _mode_count(k: int, shape: tuple[int, int]) -> int:
    most = min(shape) - 1
    try:
        count = operator.index(k)
    except TypeError:
        raise ValueError(f"k = {k!r} is not an integer: it is how many modes to compute") from None
    if not 1 <= count <= most:
        raise ValueError(f"k = {k}: a table of shape {shape} has {most} modes, so k must be in 1..{most}")
    return count


def _full_is_best(joint: Joint, k: int) -> bool:
    """Whether to decompose the full dense matrix: always allowed where it is no larger than the answer."""
    cells, short = joint.P.shape[0] * joint.P.shape[1], min(joint.P.shape)
    return cells <= max(SMALL_TABLE, sum(joint.P.shape) * k) or (not sp.issparse(joint.P) and k > KRYLOV_SHARE * short)


def _all_modes(joint: Joint, k: int) -> Triples:
    """Top k singular triples of the centred DTM, with both families of vectors exactly orthogonal to the roots.

    Reflections that carry the roots to the first axis leave a block with one row and one column less, and with the
    same singular values: its null vectors, unlike those of the DTM itself, cannot be contaminated by the roots.
    """
    B = dtm(joint if not sp.issparse(joint.P) else Joint(joint.P.toarray()))
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


class _DenseOperator:
    """The centred DTM, long side first; where that is much longer, its Gram matrix pays for itself."""

    def __init__(self, B: Array) -> None:
        self.B = B
        self.G = B.T @ B if B.shape[0] >= GRAM_ASPECT * B.shape[1] else None

    def gram(self, V: Array) -> Array:
        return self.B.T @ (self.B @ V) if self.G is None else self.G @ V

    def forward(self, V: Array) -> Array:
        return self.B @ V

    def subtract(self, U: Array, s: Array, V: Array) -> None:
        """Take modes out, so that those of another order of magnitude get all digits of the Gram matrix."""
        self.__init__(self.B - (U * s) @ V.T)  # type: ignore[misc]


class _SparseOperator:
    """The DTM as P between two diagonal scalings of vectors, in blocks of rows which threads work on.

    It is not centred: it is applied to vectors that are orthogonal to the root of the marginal. The blocks depend on
    the table alone, so that the order of summation, and with it the result, is the same on every machine.
    """

    def __init__(self, P: Any, p_long: Array, p_short: Array) -> None:
        count = max(1, min(16, P.nnz // SPARSE_BLOCK))
        cuts = np.searchsorted(P.indptr, np.linspace(0, P.nnz, count + 1)[1:-1])
        edges = np.unique([0, *cuts.tolist(), P.shape[0]]).tolist()
        self.blocks = [_rows(P, start, stop) for start, stop in pairwise(edges)]
        self.p_blocks = [p_long[start:stop, None] for start, stop in pairwise(edges)]
        self.root_long, self.root_short = np.sqrt(p_long)[:, None], np.sqrt(p_short)[:, None]
        self.map: Callable[..., Any] = ThreadPoolExecutor().map if count > 1 else map

    def gram(self, V: Array) -> Array:
        scaled = V / self.root_short
        total: Array = sum(self.map(lambda rows, p: rows.T @ ((rows @ scaled) / p), self.blocks, self.p_blocks))
        return total / self.root_short

    def forward(self, V: Array) -> Array:
        scaled = V / self.root_short
        return np.concatenate(list(self.map(lambda rows: rows @ scaled, self.blocks))) / self.root_long

    def subtract(self, U: Array, s: Array, V: Array) -> None:
        """Nothing to do: no product of B with itself is stored, and the vectors to come are orthogonal to V."""


def _rows(P: Any, start: int, stop: int) -> Any:
    """Rows of a CSR array: views of it, but for narrower indices."""
    low, high = P.indptr[start], P.indptr[stop]
    pointers = (P.indptr[start : stop + 1] - low).astype(np.int32)
    shape = (stop - start, P.shape[1])
    return sp.csr_array((P.data[low:high], P.indices[low:high].astype(np.int32, copy=False), pointers), shape=shape)


def _top_modes(joint: Joint, k: int) -> Triples:
    """Top k singular triples of the centred DTM by Krylov runs, each orthogonal to all that was found before."""
    tall = joint.P.shape[0] >= joint.P.shape[1]
    p_long, p_short = (joint.px, joint.py) if tall else (joint.py, joint.px)
    B: _DenseOperator | _SparseOperator
    if sp.issparse(joint.P):
        B = _SparseOperator(joint.P if tall else joint.P.T.tocsr(), p_long, p_short)
    else:
        B = _DenseOperator(dtm(joint).T if tall else dtm(joint))
    U, s, V = _find_modes(B, np.sqrt(p_long), np.sqrt(p_short), k)
    return (V, s, U) if tall else (U, s, V)


def _find_modes(B: _DenseOperator | _SparseOperator, root_long: Array, root_short: Array, k: int) -> Triples:
    """Krylov runs until k modes are found and the last run, a check, found nothing stronger than the k-th of them.

    The trivial mode of the roots counts as found beforehand. A run from a single vector may see only one copy of a
    repeated singular value; what it missed, the check sees, and from then on runs start from more vectors.
    """
    U, s, V = root_long[:, None], np.ones(1), root_short[:, None]
    rng = np.random.default_rng(0)
    width, floor = 1, 0.0
    while len(s) < len(V):
        complete = len(s) > k
        wanted = width if complete else k - (len(s) - 1)
        basis = _krylov(B.gram, V, wanted, width, floor, rng)
        new_U, new_s, new_V = _triples(B.forward(basis), basis, U)
        if complete and new_s[0] <= floor * (1 + RESIDUAL) + ROUNDING:
            break
        keep = new_s >= max(GRAM_RANGE * new_s[0], floor)
        U, s, V = np.hstack([U, new_U[:, keep]]), np.append(s, new_s[keep]), np.hstack([V, new_V[:, keep]])
        if complete:
            width = min(2 * width, WIDEST)
        elif not keep.all():
            B.subtract(new_U[:, keep], new_s[keep], new_V[:, keep])
        floor = np.sort(s[1:])[-k] if len(s) > k else 0.0
    order = 1 + np.argsort(-s[1:], kind="stable")[:k]
    return U[:, order], s[order], V[:, order]


def _krylov(
    gram: Callable[[Array], Array], found: Array, wanted: int, width: int, floor: float, rng: np.random.Generator
) -> Array:
    """Top eigenvectors of a Gram matrix orthogonal to those found: block Lanczos with thick restarts.

    K. Wu, H. Simon, SIAM J. Matrix Anal. Appl. 22 (2000) 602-616. Each new block is made orthogonal to the whole
    basis. Its products with it fill the projected matrix T. With ``gram @ basis = basis @ T + Q @ R @ (last
    rows)`` the residual of a Ritz vector is the norm of R times the last entries of its coefficients.
    """
    free = found.shape[0] - found.shape[1]
    room = min(2 * max(wanted, KRYLOV_CHECK) + KRYLOV_ROOM, free)
    width = 1 if room == free else width  # where the basis can fill the space, single steps fill it exactly
    old = found.shape[1]
    basis = np.empty((len(found), old + room), order="F")
    basis[:, :old] = found
    T = np.zeros((room, room))
    Q, R = _orthonormal(rng.standard_normal((len(found), width)), found, 0.0, rng)
    size, near = 0, 0  # the Gram matrix couples a new block with the basis vectors from `near` on, and no others
    for _ in range(KRYLOV_LIMIT):
        size += width
        known = basis[:, : old + size]
        known[:, -width:] = Q
        W = gram(Q)
        W -= found @ (found.T @ W)  # rounding feeds what was found, the trivial mode most of all
        overlap = known[:, old + near :].T @ W
        T[near:size, size - width : size] = overlap
        T[size - width : size, near:size] = overlap.T
        W -= known[:, old + near :] @ overlap
        Q, R = _orthonormal(W, known, ROUNDING * np.abs(overlap).max(), rng)
        near = size - width
        full = size + width > room
        if full or (size >= max(wanted, 2 * KRYLOV_CHECK) and size % KRYLOV_CHECK < width):
            values, Y = (array[..., ::-1] for array in np.linalg.eigh(T[:size, :size]))
            error = np.linalg.norm(R @ Y[-width:, :wanted], axis=0)
            if size == free or _settled(values[:wanted], error, floor):
                vectors: Array = known[:, old:] @ Y[:, :wanted]
                return vectors
        if full:
            kept = wanted + (room - wanted) // 2
            basis[:, old : old + kept] = known[:, old:] @ Y[:, :kept]
            T[:] = np.diag(np.append(values[:kept], np.zeros(room - kept)))
            size, near = kept, 0
    raise np.linalg.LinAlgError(f"the modes did not converge in {KRYLOV_LIMIT} steps: their σ's are too close together")


def _orthonormal(W: Array, known: Array, noise: float, rng: np.random.Generator) -> tuple[Array, Array]:
    """Q orthogonal to the known vectors and R with W = Q @ R, where W is nearly so; random columns for lost ones."""
    Q, R = _qr(W)
    lost = np.abs(R.diagonal()) <= noise
    R[lost] = 0
    Q[:, lost] = rng.standard_normal((len(Q), np.count_nonzero(lost)))
    for _ in range(3):
        Q, S = _qr(Q - known @ (known.T @ Q))
        R = S @ R
        if np.abs(S.diagonal()).min() > 0.5:  # where a projection takes most of a vector, its rounding errors count
            break
    return Q, R


def _qr(W: Array) -> tuple[Array, Array]:
    """QR decomposition; a single column, the usual case, without LAPACK's detour."""
    if W.shape[1] > 1:
        Q, R = np.linalg.qr(W)
        return Q, R
    norm = float(np.linalg.norm(W))
    return W / (norm or 1.0), np.array([[norm]])


def _settled(values: Array, error: Array, floor: float) -> bool:
    """Whether each Ritz pair is accurate, or too small to matter: for its Gram matrix, or beside the modes found."""
    s = np.sqrt(np.maximum(values, 0))
    accurate = error <= s[0] * np.maximum(RESIDUAL * s, ROUNDING)
    beside = values + error <= floor**2
    return bool(np.all(accurate | (s <= max(GRAM_RANGE * s[0], ROUNDING)) | beside))


def _triples(BV: Array, V: Array, U: Array) -> Triples:
    """Singular triples of B on the span of V, with left vectors orthogonal to U even where they are null vectors."""
    Q, R = np.linalg.qr(BV - U @ (U.T @ BV))
    Q, S = np.linalg.qr(Q - U @ (U.T @ Q))
    left, s, right = np.linalg.svd(S @ R)
    return Q @ left, s, V @ right.T


def _signs(psi: NDArray[np.float64]) -> NDArray[np.float64]:
    """For each column the sign of the first entry whose modulus is, up to rounding, the largest."""
    size = np.abs(psi)
    first = np.argmax(size >= (1 - 1e-6) * size.max(axis=0), axis=0)
    return np.where(psi[first, np.arange(psi.shape[1])] < 0, -1.0, 1.0)
