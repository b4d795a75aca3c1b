"""Canonical correlations of features and classes from their moments, and what rounding may have made of them."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ufs._backends import Library
from ufs.moments import CONSTANT, Moments

UNDERFLOW = np.finfo(float).tiny / np.finfo(float).eps  # squares that are smaller have fewer digits, or none
EPS = float(np.finfo(np.float64).eps)
PROBES = 4  # random vectors that tell how near to singular a matrix is
COUNTS = 4  # eigenvalue, over what rounding can make of it, from which a direction counts
TOLD = 1e-6  # relative error from which the user is told


@dataclass(frozen=True)
class Solution:
    squares: NDArray[np.float64]  # squared canonical correlations, descending
    rank: int
    weights: Any  # R⁺ C, shape (varying features, classes)
    inflation: Any  # second moment about the shift over variance, for each varying feature
    noise: float  # of R and C, by rounding
    left_out: int = 0  # directions that are taken for dependent although C, which is not squared, sees some of them

    @property
    def score(self) -> float:
        return 0.5 * float(self.squares.sum())

    def exact(self, share: float) -> bool:
        """Whether rounding moves the score by a share of it at most, or by no more than rounding itself.

        E in R moves it by tr(E W Wᵀ)/2 to first order, E in C by tr(Wᵀ E).
        """
        size = size_of(self.weights * self.inflation[:, None] ** 0.5)
        return self.noise * (size**2 / 2 + size) <= max(share * self.score, self.noise)

    def warn(self) -> None:
        if self.left_out:
            s, them = ("s", "them") if self.left_out > 1 else ("", "it")
            what = f"rounding in the second moments hides {self.left_out} direction{s} of the features, though the "
            what += f"classes differ there: H is taken without {them} and may be larger"
        elif not self.exact(TOLD):
            what = "the features are so nearly dependent that their second moments have lost digits of H"
        else:
            return
        remedy = "standardise or decorrelate the features, or give all samples at once to ufs.h_score"
        warnings.warn(f"{what}; {remedy}", RuntimeWarning, stacklevel=4)


def equilibrated(h: Moments) -> tuple[Any, Any, Any]:
    """Correlation matrix R of the features that vary, class means C scaled so that C Cᵀ is R's part between classes."""
    h = h._columns(that_vary(h))
    counts, sums, gram = h._counts, h._sums, h._gram
    n = counts.sum()
    mean, moment = sums.sum(0) / n, gram.diagonal() / n
    variance = moment - mean * mean
    scale = 1 / (n * variance) ** 0.5
    R = gram * scale[:, None]
    R *= scale
    centre = n**0.5 * mean * scale
    R -= (centre[:, None] * centre).T  # symmetric; transposed, it lies in memory as R does
    C = ((sums - counts[:, None] * mean) * scale / (counts**0.5)[:, None]).T
    return R, C, moment / variance


def that_vary(h: Moments) -> Any:
    """Which features vary."""
    h._refuse_empty()
    library, n = h._library, h._counts.sum()
    mean, moment = h._sums.sum(0) / n, h._gram.diagonal() / n
    if not library.finite(moment):
        column = library.host(moment).argmax()
        raise ValueError(f"the squares of feature {column} exceed the range of float64: divide it by a large number")
    lost = (moment < UNDERFLOW) & (h._sums != 0).any(0)
    if bool(lost.any()):
        column = library.host(lost).argmax()
        raise ValueError(f"the squares of feature {column} are too small for float64: multiply it by a large number")
    return moment - mean * mean > CONSTANT * moment


def noise_of(h: Moments, eps: float = EPS) -> float:
    """More than the norm of what rounding adds to the correlation matrix, however systematic it is."""
    return (25 + 2.5 * h.width) * grows(h) * eps


def grows(h: Moments) -> float:
    """How rounding errors of sums grow with the number of samples, as random ones do."""
    return 1 + math.sqrt(h.n) / 400


def solve(h: Moments) -> Solution:
    """Squared canonical correlations, from a root of R⁺ applied to C."""
    return by_cholesky(h) or by_eigenvalues(h)


def by_cholesky(h: Moments, eps: float = EPS) -> Solution | None:
    """None where R is singular to rounding."""
    library = h._library
    R, C, inflation = equilibrated(h)
    (k, g), noise = C.shape, noise_of(h, eps)
    if k == 0:
        return Solution(np.zeros(0), 0, C, inflation, noise)
    L = library.cholesky(R)  # R is used up
    if L is None:
        return None
    probes = library.array(np.random.default_rng(0).standard_normal((k, PROBES)))
    M = library.solve(L, library.beside(C, probes), overwrite=True)
    weights = library.solve(L, M, transposed=True)
    if float((weights[:, g:] ** 2).sum()) > 1 / (COUNTS * noise) ** 2:
        return None
    return Solution(squares(library, M[:, :g]), k, weights[:, :g], inflation, noise)


def by_eigenvalues(h: Moments) -> Solution:
    """From the eigenvectors that count.

    R holds the square of how far features are from dependent, and C that itself: along the other eigenvectors C is
    rounding, to which an error E in R adds E W, if features depend, and is more if the classes differ there.
    """
    library = h._library
    R, C, inflation = equilibrated(h)
    values, vectors = library.eigenpairs(R)
    noise, varying = noise_of(h), h._columns(that_vary(h))
    counts = values > COUNTS * noise
    root, hidden = vectors[:, counts] / values[counts] ** 0.5, vectors[:, ~counts]
    M = root.T @ C
    weights = root @ M
    doubt = doubt_of(varying) / spread_of(varying)
    rounding = size_of(hidden * doubt[:, None]) + float(doubt.min()) * size_of(weights)
    left_out = len(hidden.T) if size_of(hidden.T @ C) > grows(h) * rounding else 0
    return Solution(squares(library, M), len(M), weights, inflation, noise, left_out)


def squares(library: Library, M: Any) -> NDArray[np.float64]:
    rank, g = M.shape
    between = library.eigenvalues(M.T @ M if g < rank else M @ M.T)[::-1][: min(rank, g - 1)]
    between = np.maximum(between, 0)
    within = np.maximum(1 - between, 0)  # total variance is 1; rounding must not make a part of it negative
    squares: NDArray[np.float64] = between / (between + within)
    return squares


def norms(columns: Any) -> Any:
    return (columns**2).sum(0) ** 0.5


def size_of(values: Any) -> float:
    return math.sqrt(float((values**2).sum()))


def doubt_of(h: Moments) -> Any:
    """What rounding may make of each feature, and of its share in a sum of products with all of them."""
    return EPS * (abs(h._shift + h._sums.sum(0) / h._counts.sum()) + (4 + h.width**0.5) * spread_of(h))


def spread_of(h: Moments) -> Any:
    """Standard deviations of the features."""
    n = h._counts.sum()
    return abs(h._gram.diagonal() / n - (h._sums.sum(0) / n) ** 2) ** 0.5
