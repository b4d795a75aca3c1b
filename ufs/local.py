r"""Local geometry: distributions near a reference as vectors, features as vectors, divergence as squared length."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import lu, qr, solve_triangular, svdvals

from ufs import _checks as check

__all__ = [
    "chi2_divergence",
    "distribution",
    "feature_angles",
    "feature_vector",
    "information_vector",
    "kl_divergence",
    "sample_neighborhood",
]

Array: TypeAlias = NDArray[np.float64]

EPS, TINY = float(np.finfo(float).eps), float(np.finfo(float).tiny)
RESOLUTION = 8 * EPS  # of values scaled to between 1/2 and 1: what varies by less may be rounding as well as signal
TOLD = 1e-6  # part of a direction that may be rounding, from which the user is told
SQUARES = math.sqrt(TINY / EPS)  # what is larger has a square with all its digits
CLOSE = 0.1  # |p/q - 1| below which the logarithm is replaced by its series
SERIES = np.array([(-1) ** j / ((j + 1) * (j + 2)) for j in range(16)])  # of ((1 + t) log(1 + t) - t) / t²


def kl_divergence(p: ArrayLike, q: ArrayLike) -> float:
    r"""Kullback-Leibler divergence :math:`D(p \Vert q) = \sum p \log (p/q)`, in nats (R1, R2).

    Near a reference it is half of a squared length: for :math:`P_i = P_0 + \epsilon \sqrt{P_0}\, \phi_i`

    .. math:: D(P_1 \Vert P_2) = \tfrac{\epsilon^2}{2} \Vert \phi_1 - \phi_2 \Vert^2 + o(\epsilon^2).

    Parameters
    ----------
    p, q : array_like of the same shape
        Distributions, over one alphabet (n,) or over pairs (\|𝒳\|, \|𝒴\|).

    Returns
    -------
    float
        In nats; ``inf`` where p has mass that q has not.

    Raises
    ------
    ValueError
        For shapes that differ, and for an argument that is empty, has a negative, NaN or infinite entry, or sums to
        something further than 1e-9 from 1; for two pandas series whose indices differ.

    Notes
    -----
    The sum is taken over :math:`q\,\bigl((1 + t) \log (1 + t) - t\bigr)` with :math:`t = (p - q)/q`, which adds
    up to the same and has no negative terms; for small t its series replaces the logarithm. So the value has nearly
    full relative precision however close p and q are, where :math:`\sum p \log (p/q)` is lost in rounding, and
    however far apart.

    Source: S. Kullback, R. A. Leibler, "On information and sufficiency", Ann. Math. Stat. 22 (1951) 79-86.

    Examples
    --------
    >>> round(kl_divergence([0.5, 0.5], [0.25, 0.75]), 6)
    0.143841
    >>> round(1e18 * kl_divergence([0.2 + 1e-9, 0.8 - 1e-9], [0.2, 0.8]), 3)
    3.125
    >>> kl_divergence([0.5, 0.5], [1, 0])
    inf
    """
    p, q = check.distributions(p=p, q=q)
    return float(_kl_terms(p, q).sum())


def chi2_divergence(p: ArrayLike, q: ArrayLike) -> float:
    r"""The :math:`\chi^2`-divergence :math:`\chi^2(p \Vert q) = \sum (p - q)^2 / q` (D1, D4, R2).

    With a reference for q it is the square of the radius of the smallest neighbourhood that holds p:
    :math:`\mathcal N_\epsilon(P_0) = \{P : \chi^2(P \Vert P_0) \le \epsilon^2\}` (D1). X and Y are ε-dependent when
    :math:`\chi^2(P_{XY} \Vert P_X P_Y) \le \epsilon^2` (D4), and then :math:`I(X; Y) = \tfrac12 \chi^2 +
    o(\epsilon^2)` (R2).

    Parameters
    ----------
    p, q : array_like of the same shape
        Distributions, over one alphabet (n,) or over pairs (\|𝒳\|, \|𝒴\|).

    Returns
    -------
    float
        ``inf`` where p has mass that q has not, or where the sum is more than a double can hold.

    Raises
    ------
    ValueError
        As :func:`kl_divergence`.

    Examples
    --------
    >>> chi2_divergence([0.5, 0.5], [0.2, 0.8])
    0.5625
    >>> joint = [[0.45, 0.05], [0.05, 0.45]]
    >>> round(chi2_divergence(joint, np.outer([0.5, 0.5], [0.5, 0.5])), 12)
    0.64
    """
    p, q = check.distributions(p=p, q=q)
    mass = q > 0
    if (p[~mass] > 0).any():
        return math.inf
    gap, q = np.abs(p - q)[mass], q[mass]
    with np.errstate(over="ignore"):
        return float(np.where(gap > SQUARES, gap**2 / q, (gap / np.sqrt(q)) ** 2).sum())


def information_vector(p: ArrayLike, p0: ArrayLike, eps: float) -> Array:
    r"""Information vector :math:`\phi = (P - P_0) / (\epsilon \sqrt{P_0})` of a distribution (D2).

    It is perpendicular to :math:`\sqrt{P_0}`, and has length at most 1 exactly for P in
    :math:`\mathcal N_\epsilon(P_0)`.

    Parameters
    ----------
    p, p0 : array_like of the same shape
        A distribution and the reference, which is positive everywhere.
    eps : float
        The ε > 0 in whose unit the difference is measured.

    Returns
    -------
    ndarray of the shape of p

    Raises
    ------
    ValueError
        As :func:`kl_divergence`; for a reference with an entry 0; for an eps that is not positive and finite, or so
        small that an entry of φ is more than a double can hold.

    Examples
    --------
    >>> information_vector([0.55, 0.45], [0.5, 0.5], eps=0.1).round(12)
    array([ 0.70710678, -0.70710678])
    """
    p, p0 = check.distributions(p=p, p0=p0)
    with np.errstate(over="ignore"):
        phi: Array = (p - p0) / np.sqrt(check.reference(p0)) / check.eps(eps)
    check.entries(np.isfinite(phi), phi, "phi", "is more than a double can hold: take a larger eps")
    return phi


def distribution(phi: ArrayLike, p0: ArrayLike, eps: float) -> Array:
    r"""The distribution :math:`P = P_0 + \epsilon \sqrt{P_0}\, \phi` of an information vector (D2).

    Parameters
    ----------
    phi : array_like of the shape of p0
        Perpendicular to :math:`\sqrt{P_0}`.
    p0 : array_like
        The reference, positive everywhere.
    eps : float
        The ε > 0 of the information vector.

    Returns
    -------
    ndarray of the shape of p0
        Entries that are negative by rounding alone, that is by less than 1e-14 of P₀, are 0.

    Raises
    ------
    ValueError
        For shapes that differ; for a phi with NaN or infinite entries, or whose component along
        :math:`\sqrt{P_0}` would bring the sum of P further than 1e-9 from 1; if an entry of P comes out negative; for
        p0 and eps as in :func:`information_vector`.

    Examples
    --------
    >>> distribution(np.array([1, -1]) / np.sqrt(2), [0.5, 0.5], eps=0.1).round(12)
    array([0.55, 0.45])
    >>> distribution([0.6, -0.3], [0.2, 0.8], eps=1).round(12)
    array([0.46832816, 0.53167184])
    """
    given, p0, eps = p0, check.reference(p0), check.eps(eps)
    check.in_order(phi, check.symbols(given, len(p0)), "p0", "phi")
    phi = check.finite(phi, "phi")
    check.same_shape("give one entry for each symbol", phi=phi, p0=p0)
    root = np.sqrt(p0)
    with np.errstate(over="ignore", invalid="ignore"):
        p: Array = p0 + eps * root * phi
        p[(p < 0) & (p >= -1e-14 * p0)] = 0
        mass = float(p.sum())
        rounding = p.size * EPS * eps * float(np.abs(root * phi).sum())
    # no number, if an entry is minus infinity: that is refused below, as is an ε so large that rounding makes the sum
    if abs(mass - 1) > check.SUM_TOLERANCE + (rounding if (p < 0).any() else 0):
        raise ValueError(
            f"P would sum to {mass:.12g}: phi is not perpendicular to √P0; "
            "subtract its component along √P0 (phi - (phi * root).sum() * root, with root = np.sqrt(p0))"
        )
    if (p < 0).any():
        worst = np.unravel_index(np.argmin(phi / root), phi.shape)
        where = ", ".join(str(int(index)) for index in worst)
        raise ValueError(
            f"P[{where}] would be {p[worst]:.6g}: this phi gives a distribution for eps up to "
            f"{-root[worst] / phi[worst]:.6g}, and eps is {eps:g}"
        )
    return p


def feature_vector(h: ArrayLike, p0: ArrayLike) -> Array:
    r"""Vector :math:`\xi = \sqrt{P_0}\, h` of a feature with mean zero under :math:`P_0` (D3).

    :math:`E_{P_0}[h_1 h_2] = \langle \xi_1, \xi_2 \rangle`, and under a neighbour P with information vector φ the mean
    of h is :math:`\epsilon \langle \xi, \phi \rangle`, exactly.

    Parameters
    ----------
    h : array_like, shape (n,) or (n, k)
        One feature, or k of them in columns.
    p0 : array_like, shape (n,)
        The reference, positive everywhere.

    Returns
    -------
    ndarray of the shape of h

    Raises
    ------
    ValueError
        For lengths that differ, NaN or infinite values, a mean that is not 0 (to 1e-9 of the largest modulus of h);
        for p0 as in :func:`information_vector`.

    Examples
    --------
    >>> feature_vector([2, -0.5], [0.2, 0.8]).round(6)
    array([ 0.894427, -0.447214])
    """
    given, p0 = p0, check.reference(p0)
    check.axes(p0, 1, "p0", "flatten it, and h with it")
    values = check.features(h, check.symbols(given, p0.size), "p0")
    mean = (p0 / p0.sum()) @ values
    bad = np.flatnonzero(np.abs(mean) > 1e-9 * np.abs(values).max(axis=0))
    if bad.size:
        raise ValueError(
            f"{_column(values, 'h', bad[0])} has mean {mean[bad[0]]:.6g} under p0, not 0: centre it first "
            "(h = h - h[0], then h - p0 @ h / sum(p0))"
        )
    xi: Array = (np.sqrt(p0)[:, None] * values).reshape(check.real(h, "h").shape)
    return xi


def feature_angles(f: ArrayLike, g: ArrayLike, p: ArrayLike) -> Array:
    r"""Principal angles between the spans of two sets of features, with correlation under p as the cosine (D3).

    The features are centred first: what is compared are the spaces spanned by :math:`\sqrt p\,(f_i - E[f_i])` and by
    :math:`\sqrt p\,(g_j - E[g_j])`, which no invertible affine map of f or of g changes. For a single feature on each
    side the cosine of the one angle is the modulus of their correlation.

    Parameters
    ----------
    f, g : array_like, shape (n, k) and (n, m), or (n,) for a single feature
        Columns that are constant, or combinations of others as far as the digits of their values tell, add nothing to
        a span.
    p : array_like, shape (n,)
        Distribution, positive everywhere.

    Returns
    -------
    ndarray
        Angles in radians, ascending, one for each dimension of the smaller span; tiny ones are accurate too.

    Warns
    -----
    RuntimeWarning
        For a column so nearly dependent on others that rounding may have changed what tells it apart by more than a
        millionth of its size.

    Raises
    ------
    ValueError
        If f or g does not have a row for each symbol, has entries that are not finite, or is constant in all its
        columns; if a column varies by less than 16 units in the last place of its largest value, which may be
        rounding; for p as in :func:`information_vector`.

    Notes
    -----
    Each angle is that of a sine and a cosine, of which small angles and large ones have their digits.

    Source: A. Knyazev, M. Argentati, "Principal angles between subspaces in an A-based scalar product", SIAM J. Sci.
    Comput. 23 (2002) 2008-2040.

    Examples
    --------
    >>> feature_angles([1, 0, 0], [[2, 0], [0, 5], [0, 0]], [0.2, 0.3, 0.5]).round(12)
    array([0.])
    >>> np.degrees(feature_angles([1, 1, 0, 0], [1, 0, 1, 0], [0.25] * 4)).round(6)
    array([90.])
    """
    given, p = p, check.reference(p, "p")
    check.axes(p, 1, "p", "flatten it, and the features with it")
    symbols = check.symbols(given, p.size)
    spans = [_orthonormal(check.features(h, symbols, "p", name), p, name) for h, name in ((f, "f"), (g, "g"))]
    for span, name in zip(spans, "fg", strict=True):
        if span.shape[1] == 0:
            raise ValueError(f"{name} is constant in all its columns: after centring it points nowhere")
    smaller, larger = sorted(spans, key=lambda span: span.shape[1])
    cosines = larger.T @ smaller
    return np.asarray(np.arctan2(svdvals(smaller - larger @ cosines)[::-1], svdvals(cosines)))


def sample_neighborhood(
    p0: ArrayLike, eps: float, rng: np.random.Generator | int | None = None, size: int | None = None
) -> Array:
    r"""Random distributions in :math:`\mathcal N_\epsilon(P_0)` (D1), uniform in the ball of information vectors.

    Parameters
    ----------
    p0 : array_like, shape (n,)
        The reference, positive everywhere, with n ≥ 2.
    eps : float
        At most :math:`\sqrt{p_{\min} / (1 - p_{\min})}` with :math:`p_{\min} = \min P_0`: up to there, and no
        further, every information vector of length 1 belongs to a distribution.
    rng : numpy.random.Generator or int, optional
        The generator, or the seed of one.
    size : int, optional
        How many to draw; by default a single one.

    Returns
    -------
    ndarray, shape (n,) or (size, n)

    Raises
    ------
    ValueError
        If eps is not positive or too large, with the largest one that is allowed; for p0 as in
        :func:`information_vector`, and for one with a single symbol or with more axes than one; if rng is no generator
        and no seed, or size no positive integer.

    Examples
    --------
    >>> p = sample_neighborhood([0.2, 0.3, 0.5], 0.1, rng=0)
    >>> round(float(p.sum()), 12), chi2_divergence(p, [0.2, 0.3, 0.5]) <= 0.1**2
    (1.0, True)
    """
    p0 = _reference_row(p0)
    eps = _eps_within_simplex(eps, p0)
    check.counts(size=1 if size is None else size)
    rng = np.random.default_rng() if rng is None else check.generator(rng, "rng")
    normal = rng.standard_normal((1 if size is None else size, p0.size))
    root = np.sqrt(p0)
    direction = normal - np.outer(normal @ root, root / p0.sum())
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    radius = rng.random((len(direction), 1)) ** (1 / (p0.size - 1))
    p: Array = np.maximum(p0 + eps * root * (radius * direction), 0)
    return p[0] if size is None else p


def _kl_terms(p: Array, q: Array) -> Array:
    """Terms of the divergence of p from q in the form without cancellation; see :func:`kl_divergence`."""
    difference = p - q
    close = np.abs(difference) < CLOSE * q
    terms: Array = p * _log_ratio(p, q) - difference
    t = difference[close] / q[close]
    terms[close] = q[close] * t**2 * np.polynomial.polynomial.polyval(t, SERIES)
    return terms


def _log_ratio(p: Array, q: Array) -> Array:
    """log(p/q), also where the quotient is beyond what a double can hold; 0 where p is 0."""
    with np.errstate(over="ignore", divide="ignore"):
        ratio = np.divide(p, q, out=np.ones_like(p), where=p > 0)
        beyond = (ratio < TINY) | (ratio == np.inf)
        log: Array = np.log(ratio, out=ratio)
        log[beyond] = np.log(p[beyond]) - np.log(q[beyond])
    return log


def _normalised(p: Array, q: Array) -> tuple[Array, Array, Array]:
    """Both distributions divided by their sums, and p - q after that, to full precision however close they are."""
    total_p, total_q = math.fsum(p), math.fsum(q)
    excess = math.fsum(np.append(p, -q))
    gap = (p - q - q * (excess / total_q)) / total_p
    likeliest = np.argmax(p + q)
    gap[likeliest] = -math.fsum(np.delete(gap, likeliest))  # next to 1, probabilities do not hold what they lack to it
    return p / total_p, q / total_q, gap


@dataclass(frozen=True, eq=False)
class _Span:
    """Independent functions which, with the constant, span what some features do."""

    basis: Array
    back: Array  # basis = h / 2^exponent @ back - origin
    origin: Array
    exponent: NDArray[np.int32]


def _span(h: Array, p: Array, name: str) -> _Span:
    """The span of the columns of h, in functions that are zero at the likeliest symbol.

    They are the columns of a triangular factor of √p h: each is 1 at a symbol of its own, at which the later ones are
    0, and so what lives on symbols of next to no probability stays apart from what does not.
    """
    exponent = np.frexp(np.abs(h).max(axis=0))[1]
    scaled = np.ldexp(h, -exponent)
    first = scaled[np.argmax(p)]
    scaled = scaled - first  # exact where it cancels
    size = np.abs(scaled).max(axis=0)
    unclear = np.flatnonzero((size > 0) & (size < RESOLUTION))
    if unclear.size:
        raise ValueError(
            f"{_column(h, name, unclear[0])} varies by less than {2 * RESOLUTION / EPS:g} units in the last place of "
            "its largest value, which may be rounding: leave it out if it is meant to be constant, else subtract one "
            "of its values from it first"
        )
    unit = np.where(size > 0, size, 1.0)
    chosen, amplified = _independent(scaled / unit, np.maximum(RESOLUTION / unit, len(h) * EPS))
    _warn_of_rounding(h, name, chosen, EPS * amplified)
    if not chosen:
        return _Span(np.empty((len(h), 0)), np.empty((h.shape[1], 0)), np.empty(0), exponent)
    root = np.ldexp(1.0, np.frexp(p)[1] // 2)[:, None]  # near √p, and a power of two: nothing is rounded by it
    L, U = lu(root * (scaled / unit)[:, chosen], permute_l=True)
    own = root[np.argmax(np.abs(L), axis=0), 0]
    back = np.zeros((h.shape[1], len(chosen)))
    back[chosen] = solve_triangular(U, np.diag(own)) / unit[chosen, None]
    return _Span(L / root * own, back, first @ back, exponent)


def _independent(x: Array, noise: Array) -> tuple[list[int], Array]:
    """Columns of which none is a combination of the others, up to the noise in the entries of each column of x.

    With them, how much more of each is noise once those before it are taken out.
    """
    R, order = qr(x / noise, mode="r", pivoting=True)
    variance = np.ones(len(order))  # of the noise in the entries of what the columns chosen leave of each
    rank, amplified = 0, np.zeros(len(order))
    for size, along in zip(np.diagonal(R), R, strict=False):
        if size == 0 or (rank > 0 and size**2 <= len(x) * variance[rank]):
            break
        variance[rank + 1 :] += (along[rank + 1 :] / size) ** 2 * variance[rank]
        amplified[rank] = math.sqrt(variance[rank]) * np.linalg.norm(R[:, rank]) / abs(size)
        rank += 1
    return [int(j) for j in order[:rank]], amplified[:rank]


def _warn_of_rounding(h: Array, name: str, chosen: list[int], doubt: Array) -> None:
    if (doubt > TOLD).any():
        worst = int(doubt.argmax())
        warnings.warn(
            f"{_column(h, name, chosen[worst])} is so nearly dependent on the others that rounding may have changed "
            f"what tells it apart by {doubt[worst]:.0e} of its size, and the result with it; compute it from "
            "standardised or decorrelated numbers",
            RuntimeWarning,
            stacklevel=5,
        )


def _orthonormal(h: Array, p: Array, name: str = "h") -> Array:
    """Orthonormal basis of the span of the vectors √p (h - E h); constant and dependent columns have no part in it.

    Combinations of vectors of the span: a Q would reach, by rounding, to likely symbols at which all of them vanish.
    """
    basis = _span(h, p, name).basis
    return np.asarray(solve_triangular(_covariance_root(basis, p), _vectors(basis, p).T, trans="T").T)


def _covariance_root(f: Array, p: Array) -> Array:
    """R with RᵀR the covariance of f under p."""
    return np.asarray(np.linalg.qr(_vectors(f, p), mode="r"))


def _vectors(f: Array, p: Array) -> Array:
    return np.asarray(np.sqrt(p)[:, None] * (f - (p / p.sum()) @ f))


def _column(h: Array, name: str, j: int) -> str:
    return name if h.shape[1] == 1 else f"column {j} of {name}"


def _reference_row(p0: ArrayLike) -> Array:
    """A reference about which there is room for others: with two symbols at least, on one axis."""
    p0 = check.reference(p0)
    if p0.ndim != 1 or p0.size < 2:
        raise ValueError(f"p0 has shape {p0.shape}: give the probabilities of at least two symbols, in one row")
    return p0


def _largest_eps(p0: Array) -> float:
    """The largest ε at which every information vector of length 1 belongs to a distribution."""
    rarest = p0.min()
    return float(np.sqrt(rarest / (1 - rarest)))


def _eps_within_simplex(eps: float, p0: Array) -> float:
    """Refuse an ε at which some information vector of length 1 does not belong to a distribution."""
    limit, eps = _largest_eps(p0), check.eps(eps)
    if eps > limit * (1 + 1e-12):
        rarest = int(np.argmin(p0))
        raise ValueError(
            f"eps = {eps:g}: beyond {limit:.6g} some vectors of length 1 give negative probabilities; choose eps at "
            f"most that (p0[{rarest}] = {p0[rarest]:g} sets the limit)"
        )
    return float(eps)
