"""The strongest singular triples of a matrix whose first, trivial one is known: thick-restart block Lanczos.

Where that does not pay, the same triples from a direct decomposition of the Gram matrix.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.linalg import cho_solve_banded, cholesky_banded, eigh
from scipy.sparse.csgraph import reverse_cuthill_mckee

Array: TypeAlias = NDArray[np.float64]
Triples: TypeAlias = tuple[Array, Array, Array]  # left vectors, singular values, right vectors; vectors in columns

RESIDUAL = 1e-10  # of a mode, in units of the largest singular value sought, where rounding lets it
GRAM_RANGE = 1e-4  # the squares of singular values below this share of the largest have lost too many digits
ROUNDING = 1e-14  # B has norm 1: singular values below this are its rounding errors
GRAM_ASPECT = 4  # length over breadth of a table from which its Gram matrix is formed
SHIFT = 1e-5  # above 1, around which a banded table is inverted: closer, and rounding would show in the residuals
ROOM = 20  # basis vectors beyond twice the modes wanted
LOOK = 10  # basis vectors between the first two looks at the residuals; the next come when these predict their end
WIDEST = 16  # vectors from which a run starts
SPARSE_BLOCK = 2**18  # non-zeros for which a thread is worth its while


def top_triples(
    B: DenseOperator | SparseOperator, root_long: Array, root_short: Array, k: int, budget: tuple[int, int]
) -> Triples:
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
        basis = eigenvectors(B, V, wanted, width, floor, budget, rng)
        new_U, new_s, new_V = _triples(B.forward(basis), basis, U, rng)
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


def direct_triples(B: DenseOperator, root_long: Array, root_short: Array, k: int) -> Triples:
    """The same from eigenvectors of the whole Gram matrix, which sees every copy and needs no gap, and so no check."""
    U, s, V = root_long[:, None], np.ones(1), root_short[:, None]
    rng = np.random.default_rng(0)
    while len(s) <= k:
        basis = _strongest(B.B.T @ B.B if B.G is None else B.G, V, k + 1 - len(s))
        new_U, new_s, new_V = _triples(B.forward(basis), basis, U, rng)
        keep = new_s >= GRAM_RANGE * new_s[0]
        U, s, V = np.hstack([U, new_U[:, keep]]), np.append(s, new_s[keep]), np.hstack([V, new_V[:, keep]])
        if not keep.all():
            B.subtract(new_U[:, keep], new_s[keep], new_V[:, keep])
    return U[:, 1:], s[1:], V[:, 1:]


def _strongest(G: Array, found: Array, wanted: int) -> Array:
    """Top eigenvectors of a Gram matrix orthogonal to those found, which are moved to its lower end."""
    image, lowest = G @ found, -(_norm(G) or 1.0)
    half = (image - found @ (found.T @ image + lowest * np.eye(found.shape[1])) / 2) @ found.T
    top = [len(G) - wanted, len(G) - 1]
    V: Array = eigh(G - half - half.T, subset_by_index=top, overwrite_a=True, check_finite=False)[1][:, ::-1]
    return V - found @ (found.T @ V)


class DenseOperator:
    """The centred DTM, long side first; where that is much longer, its Gram matrix pays for itself."""

    inverse = False

    def __init__(self, B: Array) -> None:
        self.B, self.G = B, _gram_matrix(B)

    def gram(self, V: Array) -> Array:
        return self.B.T @ (self.B @ V) if self.G is None else self.G @ V

    def forward(self, V: Array) -> Array:
        return self.B @ V

    def subtract(self, U: Array, s: Array, V: Array) -> None:
        """Take modes out, so that those of another order of magnitude get all digits of the Gram matrix."""
        self.B = self.B - (U * s) @ V.T
        self.G = _gram_matrix(self.B)


def _gram_matrix(B: Array) -> Array | None:
    return B.T @ B if B.shape[0] >= GRAM_ASPECT * B.shape[1] else None


class SparseOperator:
    """The DTM as P between two diagonal scalings of vectors, in blocks of rows which threads work on.

    It is not centred: it is applied to vectors that are orthogonal to the root of the marginal. The blocks depend on
    the table alone, so that the order of summation, and with it the result, is the same on every machine.
    """

    inverse = False  # whether ``gram`` is a function of the Gram matrix that spreads out its values below 1

    def __init__(self, P: Any, p_long: Array, p_short: Array, in_threads: Callable[..., Any]) -> None:
        count = max(1, min(16, P.nnz // SPARSE_BLOCK))
        cuts = np.searchsorted(P.indptr, np.linspace(0, P.nnz, count + 1)[1:-1])
        edges = np.unique([0, *cuts.tolist(), P.shape[0]]).tolist()
        self.blocks = [_rows(P, start, stop) for start, stop in pairwise(edges)]
        self.p_blocks = [p_long[start:stop, None] for start, stop in pairwise(edges)]
        self.root_long, self.root_short = np.sqrt(p_long)[:, None], np.sqrt(p_short)[:, None]
        self.map = in_threads if count > 1 else map

    def gram(self, V: Array) -> Array:
        scaled = V / self.root_short
        total: Array = sum(self.map(lambda rows, p: rows.T @ ((rows @ scaled) / p), self.blocks, self.p_blocks))
        return total / self.root_short

    def forward(self, V: Array) -> Array:
        scaled = V / self.root_short
        return np.concatenate(list(self.map(lambda rows: rows @ scaled, self.blocks))) / self.root_long

    def subtract(self, U: Array, s: Array, V: Array) -> None:
        """Nothing to do: no product of B with itself is stored, and the vectors to come are orthogonal to V."""


class BandedOperator(SparseOperator):
    """The DTM of a sparse table whose symbols have an order that puts its entries near the diagonal.

    It has the inverse of s² - BᵀB, with s above 1, in place of the Gram matrix: the same eigenvectors, and values far
    apart for σ's next to 1. This is a block of the inverse of [[s, -B], [-Bᵀ, s]] / s, which is banded as well.
    """

    inverse = True

    def __init__(self, P: Any, p_long: Array, p_short: Array, in_threads: Callable[..., Any], most: int) -> None:
        super().__init__(P, p_long, p_short, in_threads)
        B = P.multiply(1 / self.root_long).multiply(1 / self.root_short.T)
        both = sp.csr_array(sp.bmat([[None, B], [B.T, None]]))
        self.order = reverse_cuthill_mckee(both, symmetric_mode=True)
        entries = both[self.order][:, self.order].tocoo()
        below = entries.row - entries.col
        if (below.max() + 1) * len(self.order) > most:
            raise np.linalg.LinAlgError("the table is not banded")
        bands = np.zeros((below.max() + 1, len(self.order)))
        bands[0] = 1 + SHIFT
        lower = below > 0
        bands[below[lower], entries.col[lower]] = -entries.data[lower]
        self.factor = cholesky_banded(bands, overwrite_ab=True, lower=True, check_finite=False)

    def gram(self, V: Array) -> Array:
        right = np.concatenate([np.zeros((len(self.order) - len(V), V.shape[1])), V])[self.order]
        result: Array = np.empty_like(right)
        result[self.order] = cho_solve_banded((self.factor, True), right, check_finite=False)
        return result[-len(V) :]


def _rows(P: Any, start: int, stop: int) -> Any:
    """Rows of a CSR array: views of it, but for narrower indices."""
    low, high = P.indptr[start], P.indptr[stop]
    pointers = (P.indptr[start : stop + 1] - low).astype(np.int32)
    shape = (stop - start, P.shape[1])
    return sp.csr_array((P.data[low:high], P.indices[low:high].astype(np.int32, copy=False), pointers), shape=shape)


def eigenvectors(
    B: DenseOperator | SparseOperator,
    found: Array,
    wanted: int,
    width: int,
    floor: float,
    budget: tuple[int, int],
    rng: np.random.Generator,
) -> Array:
    """Top eigenvectors of the Gram matrix of B orthogonal to those found: block Lanczos with thick restarts.

    K. Wu, H. Simon, SIAM J. Matrix Anal. Appl. 22 (2000) 602-616. Each new block is made orthogonal to the whole
    basis. Its products with it fill the projected matrix T. With ``gram @ basis = basis @ T + Q @ R @ (last
    rows)`` the residual of a Ritz vector is the norm of R times the last entries of its coefficients.

    The budget is the steps that are made before their number is judged, for residuals fall late, but then fast; and
    the steps that are too many: it gives up as soon as it foresees them.
    """
    free = found.shape[0] - found.shape[1]
    room = min(2 * max(wanted, LOOK) + ROOM, free)
    width = 1 if room == free else width  # where the basis can fill the space, single steps fill it exactly
    old = found.shape[1]
    basis = np.empty((len(found), old + room), order="F")
    basis[:, :old] = found
    T = np.zeros((room, room))
    Q, R = _orthonormal(rng.standard_normal((len(found), width)), found, 0.0, rng)
    step = size = 0
    near = 0  # the Gram matrix couples a new block with the basis vectors from here on, and no others
    patience, limit = budget
    look = max(wanted, 2 * LOOK)
    looks: list[tuple[int, float]] = []  # steps, and error over allowed error
    while True:
        step += width  # counted in vectors
        new, size = slice(size, size + width), size + width
        known = basis[:, : old + size]
        known[:, -width:] = Q
        W = B.gram(Q)
        recent = known[:, old + near :]
        H = recent.T @ W
        W -= recent @ H
        T[near:size, new] = H
        T[new, near:size] = H.T
        Q, R = _orthonormal(W, known, ROUNDING * _norm(H), rng)
        near = size - width
        full = size + width > room
        if full or step >= look:
            values, Y = (array[..., ::-1] for array in np.linalg.eigh(T[:size, :size]))
            excess = _excess(values[:wanted], np.linalg.norm(R @ Y[-width:, :wanted], axis=0), B.inverse, floor)
            if size == free or excess <= 1:
                vectors: Array = known[:, old:] @ Y[:, :wanted]
                return vectors
            looks.append((step, excess))
            left = _steps_left(looks[-2:])
            foreseen = step + min(left, _steps_left(looks[len(looks) // 2 :]))
            if step >= patience * width and foreseen > limit * width:
                raise np.linalg.LinAlgError(
                    f"after {step} steps residuals are {excess:.0e} times as large as allowed, and fall too slowly "
                    f"for {limit} steps: σ's are hardly apart. Ask for another k, with a gap behind σ_k, or give a "
                    "dense table, Joint(joint.P.toarray()), if there is memory for four of it"
                )
            look = step + int(left if left < math.inf else LOOK)
        if full:
            kept = wanted + (room - wanted) // 3
            basis[:, old : old + kept] = known[:, old:] @ Y[:, :kept]
            T[:] = np.diag(np.append(values[:kept], np.zeros(room - kept)))
            size, near = kept, 0


def _steps_left(looks: list[tuple[int, float]]) -> float:
    """How many steps it takes from the last look at the pace since the first."""
    (first, before), (last, now) = looks[0], looks[-1]
    return math.ceil(math.log(now) * (last - first) / math.log(before / now)) if now < before else math.inf


def _orthonormal(W: Array, known: Array, noise: float, rng: np.random.Generator) -> tuple[Array, Array]:
    """Q orthogonal to the known vectors and R with W = Q @ R, where W is nearly so; random columns for lost ones."""
    enough = max(0.5 * _norm(W), noise)
    Q, R = _qr(W - known @ (known.T @ W))
    if all(abs(pivot) > enough for pivot in R.diagonal().tolist()):
        return Q, R
    lost = np.abs(R.diagonal()) <= noise
    for _ in range(4):
        R[lost] = 0
        Q[:, lost] = rng.standard_normal((len(Q), np.count_nonzero(lost)))
        Q, S = _qr(Q - known @ (known.T @ Q))
        R = S @ R
        lost = np.abs(S.diagonal()) <= 0.5  # where a second projection takes most, the first had left but rounding
        if not lost.any():
            break
    return Q, R


def _qr(W: Array) -> tuple[Array, Array]:
    """QR decomposition; a single column, the usual case, without LAPACK's detour."""
    if W.shape[1] > 1:
        Q, R = np.linalg.qr(W)
        return Q, R
    norm = _norm(W)
    return W / (norm or 1.0), np.array([[norm]])


def _norm(A: Array) -> float:
    """Frobenius norm, without the detours of numpy.linalg.norm: of short arrays it would take the longest."""
    return math.sqrt(np.vdot(A, A))


def _excess(values: Array, error: Array, inverse: bool, floor: float) -> float:
    """Error over allowed error, at its worst. Pairs too small for the Gram matrix or the floor do not count."""
    if inverse:
        return float(np.max(error / (RESIDUAL * values)))
    s = np.sqrt(np.maximum(values, 0))
    matter = (s > max(GRAM_RANGE * s[0], ROUNDING)) & (values + error > floor**2)
    allowed = s[0] * np.maximum(RESIDUAL * s, ROUNDING)
    return float(np.max(error[matter] / allowed[matter], initial=0))


def _triples(BV: Array, V: Array, U: Array, rng: np.random.Generator) -> Triples:
    """Singular triples of B on the span of V, with left vectors orthogonal to U even where they are null vectors."""
    Q, R = _orthonormal(BV, U, ROUNDING, rng)
    left, s, right = np.linalg.svd(R)
    return Q @ left, s, V @ right.T
