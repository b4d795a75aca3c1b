r"""Alternating conditional expectations: the modes of :math:`P_{XY}` from samples."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import lapack

from ufs import _checks as check
from ufs._symbols import column
from ufs.dtm import Modes, _mode_count, _normalised, _signs, dtm
from ufs.joint import Joint, required

__all__ = ["AceModes", "ace", "ace_sweep", "equal_mass_bins"]

Array: TypeAlias = NDArray[np.float64]
Map: TypeAlias = Callable[[Array], Array]

DENSE_CELLS = 2**16  # a table with fewer cells than this, or than samples, is counted by addition instead of sorting
ROUNDING = 1e-14  # of what is added up: an image of this size has no direction of its own


@dataclass(frozen=True, eq=False)
class AceModes(Modes):
    r"""Modes found by :func:`ace`, with the history of the iteration.

    ``sigma``, ``f`` and ``g`` are those of :class:`~ufs.dtm.Modes`. Where smoothers were given, row t of f and g is the
    value at sample t, and mean, variance and correlation are the sample's.

    Attributes
    ----------
    sigma_history : ndarray, shape (sweeps, k)
        The singular values as estimated in each sweep.
    angle : ndarray, shape (sweeps,)
        Largest principal angle, in radians, between the span of f before and after each sweep. A feature that a sweep
        makes vanish up to rounding (its σ is below 1e-14) has no direction after it, and does not count.
    converged : bool
        Whether the last sweep turned the span by no more than the tolerance: ``angle[-1] <= tolerance``.
    joint : Joint or None
        The table that was iterated on, whose labels name the rows of f and g; None where smoothers were given.
    """

    sigma_history: NDArray[np.float64]
    angle: NDArray[np.float64]
    converged: bool
    joint: Joint | None

    @property
    def sweeps(self) -> int:
        """How many sweeps were made."""
        return len(self.angle)


def ace(
    x: Any,
    y: ArrayLike | None = None,
    k: int = 1,
    *,
    bins: Any = None,
    smoothers: tuple[Map, Map] | None = None,
    start: ArrayLike | None = None,
    tolerance: float = 1e-10,
    max_sweeps: int = 10_000,
) -> AceModes:
    r"""Find the k strongest modes by alternating conditional expectations (R7).

    From k features f of X, each sweep makes :math:`g \leftarrow E[f(X) \mid Y]`, then
    :math:`f \leftarrow E[g(Y) \mid X]`, both re-centred and re-orthonormalised. It is orthogonal iteration on
    :math:`\tilde B^{\mathsf T} \tilde B`: the tangent of the largest principal angle between the span of f and that
    of the first k modes shrinks by :math:`(\sigma_{k+1}/\sigma_k)^2` or more in every sweep.

    Parameters
    ----------
    x : array_like, shape (n,), or Joint, or table
        Samples of X; or, without y, a :class:`~ufs.joint.Joint` or a table of counts, shape (\|𝒳\|, \|𝒴\|). Samples are
        counted once, into a table; no sweep looks at them again.
    y : array_like, shape (n,), optional
        Samples of Y, paired with x.
    k : int
        How many modes, 1 ≤ k ≤ min(\|𝒳\|, \|𝒴\|) − 1.
    bins : int, array_like or a pair of them, optional
        For continuous samples. An integer m asks for m bins of equal mass (:func:`equal_mass_bins`), an array gives
        increasing inner edges (``numpy.digitize``); a tuple of two is one for x and one for y, where None leaves a
        discrete side as it is.
    smoothers : pair of functions, optional
        For continuous samples: ``(given_x, given_y)``. Each takes the values of k functions at the samples, shape
        (n, k), and returns their conditional expectations given x (given y) at the samples, same shape. They should
        be linear; they need not be each other's transpose.
    start : array_like, shape (\|𝒳\|, k), optional
        Features from which to start, or of shape (n, k) with smoothers. By default random ones, the same every time.
    tolerance : float
        Stop when a sweep turns the span of f by no more than this angle, in radians. It is not the angle to the span
        of the modes: see the notes.
    max_sweeps : int
        Stop in any case, with a warning.

    Returns
    -------
    AceModes
        With the sign convention of :func:`~ufs.dtm.modes`.

    Raises
    ------
    ValueError
        As :class:`~ufs.joint.Joint` does for samples and tables; if y, bins and smoothers do not go together, or one of
        the latter two is no pair where it should be; if k is out of range; if start has the wrong shape, is not finite
        or its columns are linearly dependent after centring; if a smoother returns another shape or values that are
        not finite, or makes constants of random values; if tolerance or max_sweeps is not positive.

    Warns
    -----
    RuntimeWarning
        Where the result has not converged: because max_sweeps sweeps were not enough, or because rounding keeps the
        span from coming to rest within the tolerance. For sparse tables and smoothers that happens at tolerances below
        some :math:`10^{-16} / \sigma_k`; for dense tables, where the strong trivial mode is taken out beforehand,
        below :math:`10^{-16}\, \Vert \tilde B \Vert / \sigma_k`.

    Notes
    -----
    L. Breiman, J. H. Friedman, "Estimating optimal transformations for multiple regression and correlation", JASA 80
    (1985) 580-598, has k = 1 for one or more X.

    A last turn by an angle α says that f is within :math:`\alpha / (1 - \rho)` of the span of the first k modes, with
    :math:`\rho = (\sigma_{k+1}/\sigma_k)^2`, for small angles and up to rounding: twice the tolerance at
    :math:`\rho = 1/2`, and a million times the tolerance where the two σ's differ by half a millionth of their size.
    (A start that is all but uncorrelated with one of the modes is the exception: there the iteration can rest far from
    them.) :func:`~ufs.dtm.modes` finds the same modes by a decomposition, which needs no such start, is exact to
    residuals of :math:`10^{-10}`, and suffers less from a small gap: its steps grow as the root of the number of
    sweeps, and where they become too many a direct decomposition takes over.

    Examples
    --------
    >>> found = ace([0, 0, 0, 1, 1, 1, 1, 0], [0, 0, 0, 1, 1, 1, 0, 1])
    >>> found.sigma.round(12), found.f.round(12).T, found.converged
    (array([0.5]), array([[ 1., -1.]]), True)
    >>> table = [[68, 119, 26, 7], [20, 84, 17, 94], [15, 54, 14, 10], [5, 29, 14, 16]]
    >>> ace(table, k=2).sigma.round(6)
    array([0.456916, 0.149086])
    """
    check.positive(tolerance=tolerance)
    check.counts(max_sweeps=max_sweeps)
    joint: Joint | None
    if smoothers is None:
        joint = _joint(x, y, bins)
        given = _expectations(joint)
    else:
        if y is None or bins is not None:
            raise ValueError("smoothers work on samples: give x and y, and no bins")
        joint, given = None, _smoothed(x, y, smoothers)
    k = _mode_count(k, (given.root_x.size, given.root_y.size), of="a table" if joint else "a pair of smoothers")
    values = _random(given.root_x.size, k)
    if smoothers is not None:
        of_y, values = given.to_y(values), given.to_x(values)  # functions of x
        for smoothed, name in ((of_y, "given_y"), (values, "given_x")):
            _orthonormal(given.root_x, smoothed, k, f"what the smoother {name} makes of random values")
    if joint is None:
        check.aligned(x, start, "x", "start")
    else:
        check.in_order(start, joint.x_labels, "X", "start")
    Q = _orthonormal(given.root_x, values if start is None else start, k, "start")
    return _finish(_iterate(given, Q, tolerance, max_sweeps), given, joint, tolerance)


def ace_sweep(joint: Joint, f: ArrayLike) -> tuple[Array, Array, Array]:
    r"""Make one sweep of alternating conditional expectations, re-centred and re-orthonormalised (R7).

    Parameters
    ----------
    joint : Joint
    f : array_like, shape (\|𝒳\|, k)
        Features of X; their span is what counts.

    Returns
    -------
    f : ndarray, shape (\|𝒳\|, k)
        The features of X after the sweep, with zero mean, unit variance and no correlation.
    g : ndarray, shape (\|𝒴\|, k)
        The features of Y halfway.
    sigma : ndarray, shape (k,)
        Correlations of the pairs before the second half: the estimates of the singular values.

    Raises
    ------
    ValueError
        If there is no Joint; if f has the wrong shape, is not finite or its columns are linearly dependent after
        centring.

    Examples
    --------
    >>> f, g, sigma = ace_sweep(Joint([[0.45, 0.05], [0.05, 0.45]]), [[1.0], [0.0]])
    >>> f.round(12).T, g.round(12).T, sigma.round(12)
    (array([[ 1., -1.]]), array([[ 1., -1.]]), array([0.8]))
    """
    check.in_order(f, required(joint).x_labels, "X", "f")
    f = check.real(f, "f")
    columns = _mode_count(f.shape[1] if f.ndim == 2 else 1, required(joint).P.shape, name="the number of columns of f")
    given = _expectations(joint)
    root_x, root_y = given.root_x[:, None], given.root_y[:, None]
    V, U, sigma, after, _ = _sweep(given, _orthonormal(given.root_x, f, columns, "f"))
    overlap = (root_x * (f / np.abs(f).max(axis=0))).T @ V  # each new feature points where the given ones do
    signs = np.where(overlap[np.abs(overlap).argmax(axis=0), np.arange(columns)] < 0, -1.0, 1.0)
    turned = np.where(np.sum(after * V, axis=0) < 0, -signs, signs)
    return turned * after / root_x, signs * U / root_y, np.clip(sigma, 0, 1)


def equal_mass_bins(values: ArrayLike, m: int) -> NDArray[np.intp]:
    r"""Put continuous samples into m bins that hold, up to ties, equally many of them.

    Each of the m − 1 cuts, of which the j-th should have :math:`j n / m` samples below it, is made between two
    different values: where that number comes nearest. Of two cuts equally near it is the one nearer to the median, and
    at the median the one above. So bins of distinct values differ by one sample at most; no bin has more or less than
    n/m samples by more than the largest number of equal ones; and only the order of the values counts, not their
    distances. Negated values are in the same bins in opposite order, but for values around the median itself.

    Parameters
    ----------
    values : array_like, shape (n,)
    m : int
        From 2 to n.

    Returns
    -------
    ndarray of int, shape (n,)
        The bin of each sample, 0 for the smallest. Equal values share a bin, so that ties can leave bins empty.

    Raises
    ------
    ValueError
        If the values are not one row of finite numbers, or m is out of range.

    Examples
    --------
    >>> equal_mass_bins([0.3, 9.0, 0.1, 2.5], 2)
    array([0, 1, 0, 1])
    """
    numbers = _continuous(values, "values")
    n = numbers.size
    if not 2 <= (check.integer(m) or 0) <= n:
        few = f"an integer from 2 to {n}" if n > 1 else "for two values or more"
        raise ValueError(f"m = {m!r}: the number of bins for {n} values must be {few}")
    ranked = np.sort(_exact(values, numbers))
    j = np.arange(1, int(m))
    tied = ranked[j * n // m]
    low, high = (np.searchsorted(ranked, tied, side=side) for side in ("left", "right"))  # the cuts around each rank
    nearer = (low + high) * m - 2 * j * n
    cuts = np.where((nearer > 0) | ((nearer == 0) & (2 * j > m)), low, high)
    return np.searchsorted(ranked[cuts[cuts < n]], _exact(values, numbers), side="right")


# ---- input -----------------------------------------------------------------------------------------------------------


def _joint(x: Any, y: ArrayLike | None, bins: Any) -> Joint:
    """The table of the samples, counted once."""
    if y is None:
        if bins is not None:
            raise ValueError("bins are for samples: give x and y, or a table that is counted already")
        return x if isinstance(x, Joint) else Joint.from_counts(x)
    if isinstance(x, Joint):
        raise ValueError("x is a Joint, which holds Y as well: leave y out")
    if isinstance(bins, tuple) and len(bins) != 2:
        raise ValueError(f"bins is a tuple of {len(bins)}: give one for x and one for y, or a list of edges for both")
    for_x, for_y = bins if isinstance(bins, tuple) else (bins, bins)
    check.aligned(x, y, "x", "y")
    x, y = column(_binned(x, for_x, "x"), "x"), column(_binned(y, for_y, "y"), "y")
    small = x.size == y.size > 0 and x.dtype.kind in "iu" and y.dtype.kind in "iu"
    return (small and _counted(x, y)) or Joint.from_samples(x, y)


def _counted(x: NDArray[Any], y: NDArray[Any]) -> Joint | None:
    """The table of two narrow ranges of integers in one pass; None where the ranges are wide."""
    low_x, low_y = int(x.min()), int(y.min())
    shape = int(x.max()) - low_x + 1, int(y.max()) - low_y + 1
    too_large = max(int(x.max()), int(y.max())) > np.iinfo(np.intp).max
    if too_large or shape[0] * shape[1] > max(DENSE_CELLS, x.size):
        return None
    cells = x.astype(np.intp)  # a copy
    cells -= low_x
    cells *= shape[1]
    cells += y.astype(np.intp, copy=False)
    cells -= low_y
    table = np.bincount(cells, minlength=shape[0] * shape[1]).reshape(shape)
    rows, columns = (np.flatnonzero(table.any(axis=axis)) for axis in (1, 0))
    labels = {"x_labels": tuple((rows + low_x).tolist()), "y_labels": tuple((columns + low_y).tolist())}
    return Joint.from_counts(table[np.ix_(rows, columns)], **labels)


def _continuous(values: ArrayLike, name: str) -> Array:
    """Samples that can be binned."""
    samples = check.finite(values, name, "drop or fill what is missing")
    check.axes(samples, 1, name, "one number per sample")
    return samples


def _exact(values: ArrayLike, numbers: Array) -> NDArray[Any]:
    """The values themselves where they are integers, of which large ones would become equal as floats."""
    original = check.array(values, "values")
    return original if original.dtype.kind in "iu" else numbers


def _binned(values: ArrayLike, bins: Any, name: str) -> Any:
    if bins is None:
        return values
    numbers = _continuous(values, name)
    edges = check.array(bins, what := f"the row of bin edges of {name}")
    if edges.ndim == 0:
        return equal_mass_bins(values, bins)
    edges = check.real(edges, what)
    if edges.ndim != 1 or np.isnan(edges).any() or not (edges[:-1] < edges[1:]).all():
        raise ValueError(f"the bin edges of {name} must be one row of increasing numbers")
    return np.digitize(numbers, edges)


def _random(size: int, k: int) -> Array:
    return np.random.default_rng(0).standard_normal((size, k))


def _orthonormal(root: Array, features: ArrayLike, k: int, name: str) -> Array:
    """Orthonormal vectors with the span of √p f for k centred features, which must not be dependent."""
    values = check.real(features, name)
    if values.shape != (root.size, k):
        raise ValueError(
            f"{name} has shape {values.shape}: it needs one row for each of the {root.size} symbols or samples of X "
            f"and one column for each of the {k} features"
        )
    largest = np.abs(check.finite(values, name)).max(axis=0)  # first of all: squares of what is left do not overflow
    values = values / np.where(largest > 0, largest, 1)
    values = values - values[root.argmax()]  # so that next to nearly all mass the little that varies is not rounded off
    V = root[:, None] * np.where(np.abs(values) > ROUNDING, values, 0)
    size = np.linalg.norm(V, axis=0)
    Q, R = _recentred(root, V / np.where(size > 0, size, 1))
    if np.linalg.svd(R, compute_uv=False)[-1] <= ROUNDING * len(root):
        raise ValueError(
            f"the columns of {name} are constant or linearly dependent: after centring they must span {k} dimensions"
        )
    return Q


# ---- the iteration ---------------------------------------------------------------------------------------------------


class _Expectations(NamedTuple):
    """Conditional expectation given y and given x, as maps of vectors, and the roots of the marginals."""

    to_y: Map
    to_x: Map
    root_x: Array
    root_y: Array
    norm: float = 1.0  # of what is added up: rounding errors of an image are in proportion to it, not to the image
    cross: Callable[[Array, Array], Array] | None = None  # U, V to their correlations, where ``to_y`` does not tell


class _Iterated(NamedTuple):
    """The last pair of spans with their correlations, and the history."""

    V: Array
    U: Array
    s: Array
    sigmas: list[Array]
    angles: list[float]
    rounded: bool  # whether rounding, rather than rest, has ended it


def _expectations(joint: Joint) -> _Expectations:
    joint, sparse = _normalised(joint), sp.issparse(joint.P)
    B = dtm(joint, centered=not sparse)  # the sweeps centre; a table that is sparse stays so
    norm = 1.0 if sparse else float(np.linalg.norm(B))
    return _Expectations(lambda V: B @ V, lambda U: B.T @ U, np.sqrt(joint.px), np.sqrt(joint.py), norm)


def _smoothed(x: Any, y: Any, smoothers: tuple[Map, Map]) -> _Expectations:
    """Functions of the samples in place of functions of symbols, each sample of mass 1/n."""
    check.pairs(x, y)
    if len(x) < 2:
        raise ValueError(f"x has {len(x)} samples: features of one sample cannot vary")
    if not isinstance(smoothers, tuple | list) or len(smoothers) != 2:
        raise ValueError("smoothers is no pair: give (given_x, given_y), one function for each side")
    for smooth, name in zip(smoothers, ("given_x", "given_y"), strict=True):
        if not callable(smooth):
            raise ValueError(f"the smoother {name} is a {type(smooth).__name__}: give a function")
    given_x, given_y = (_checked(smooth, name) for smooth, name in zip(smoothers, ("given_x", "given_y"), strict=True))
    root = np.full(len(x), 1 / np.sqrt(len(x)))
    return _Expectations(given_y, given_x, root, root, cross=lambda U, V: U.T @ V)


def _checked(smooth: Map, name: str) -> Map:
    def apply(values: Array) -> Array:
        result = check.real(smooth(values), f"what the smoother {name} returns")
        if result.shape != values.shape or not np.isfinite(result).all():
            raise ValueError(
                f"the smoother {name} turned an array of shape {values.shape} into one of shape {result.shape}"
                f"{'' if np.isfinite(result).all() else ' with values that are not finite'}: it must return one "
                "finite value for each value it is given"
            )
        return result

    return apply


def _recentred(root: Array, V: Array) -> tuple[Array, Array]:
    """Q and R with V = Q R up to a multiple of the root: Q orthonormal and, even where V vanishes, orthogonal to it."""
    k = V.shape[1]
    R, tau, *_ = lapack.dgeqrf(np.column_stack([root, V]))  # numpy's qr is the same, with ten times the overhead
    Q = lapack.dorgqr(R[:, : k + 1], tau)[0]
    return Q[:, 1:], np.triu(R[1 : k + 1, 1:])


def _sweep(given: _Expectations, Q: Array) -> tuple[Array, Array, Array, Array, Array]:
    """One sweep from orthonormal Q: pairs (V, U) of correlation s on the present spans, then the next Q and Bᵀ U."""
    U, R = _recentred(given.root_y, given.to_y(Q))
    left, s, right = np.linalg.svd(R if given.cross is None else given.cross(U, Q))
    U, V = U @ left, Q @ right.T
    image = given.to_x(U)
    return V, U, s, _recentred(given.root_x, image)[0], image


def _iterate(given: _Expectations, Q: Array, tolerance: float, max_sweeps: int) -> _Iterated:
    """Sweep until the span of Q rests, or the second half of all sweeps has brought no more than rounding does."""
    sigmas: list[Array] = []
    angles: list[float] = []
    rounded = False
    while len(angles) < max_sweeps and not rounded:
        V, U, s, Q, image = _sweep(given, Q)
        size = np.linalg.norm(image - np.outer(given.root_x, given.root_x @ image), axis=0)
        counts = size > ROUNDING
        sigmas.append(s)
        angles.append(_angle(V[:, counts], Q))
        if angles[-1] <= tolerance:
            break
        noise = ROUNDING * given.norm / size[counts].min()
        rounded = angles[-1] <= noise and angles[-1] >= min(angles[: len(angles) // 2], default=np.inf)
    return _Iterated(V, U, s, sigmas, angles, rounded)


def _angle(V: Array, Q: Array) -> float:
    """Largest angle between the span of V and that of Q, which has as many dimensions or more."""
    sine = np.linalg.svd(V - Q @ (Q.T @ V), compute_uv=False)
    return float(np.arcsin(np.clip(sine.max(initial=0), 0, 1)))


def _finish(found: _Iterated, given: _Expectations, joint: Joint | None, tolerance: float) -> AceModes:
    V, U, s, sigmas, angles, rounded = found
    converged = bool(angles[-1] <= tolerance)
    if not converged:
        if rounded:
            advice = f"rounding keeps them at it, at σ_k = {s[-1]:.1e}; a tolerance of {2 * angles[-1]:.0e} is reached"
        else:
            other = ", or use ufs.modes" if joint else ""
            advice = f"allow more sweeps, or another k if σ_k and σ_k+1 are close{other}"
        warnings.warn(
            f"after {len(angles)} sweeps the features still turn by {angles[-1]:.1e} a sweep: {advice}",
            RuntimeWarning,
            stacklevel=3,
        )
    signs = _signs(V)
    f, g = signs * V / given.root_x[:, None], signs * U / given.root_y[:, None]
    return AceModes(np.clip(s, 0, 1), f, g, np.array(sigmas), np.array(angles), converged, joint)
