r"""How fast a feature tells two distributions apart: exact error exponents, their local value, and simulation."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.optimize import brentq
from scipy.special import betaincinv, hyp1f1, logsumexp

from ufs import _checks as check
from ufs._progress import watched
from ufs.local import TINY, _covariance_root, _log_ratio, _normalised, _Span, _span

__all__ = [
    "ExponentBounds",
    "SimulatedError",
    "chernoff_information",
    "exponent_bounds",
    "feature_exponent",
    "local_exponent",
    "simulate_error",
]

Array: TypeAlias = NDArray[np.float64]

GAP = 1e-8  # relative distance of the two bounds above which an exponent is not returned
ROUNDING = 4 * float(np.finfo(float).eps)  # of a sum, relative to the sum of the moduli of its terms
FAR = 700  # logarithm beyond which a sum may overflow
STEPS = 500  # Newton steps at most
RIDGE = 1e-14  # relative, on the diagonal of a Hessian matrix that may be singular up to rounding
LONG = 1e100  # entry of a solution beyond which it is cut short, in its direction: products with it stay finite
CLEAR = 1e-12  # growth of the dual, relative to its value, that its rounding does not hide
DONE = 1e-18  # growth that is not worth another step
ALONE = (
    "is not positive, and the exponent is defined for positive probabilities: drop the symbol if neither distribution "
    "has it, else merge it with another, since it gives the other distribution away by itself"
)
CHUNK = 2**22  # numbers drawn at a time


@dataclass(frozen=True, eq=False)
class ExponentBounds:
    r"""An exponent between two bounds that prove each other, and the threshold test that attains it.

    Attributes
    ----------
    lower : float
        Value of the dual at ``lam`` and ``theta``: both errors of the test below are at most
        :math:`e^{-n \cdot \text{lower}}`, for every n.
    upper : float
        The larger of :math:`D(Q_1 \Vert P_1)` and :math:`D(Q_2 \Vert P_2)`, for two distributions under which h has
        the same mean: no threshold test has a larger exponent.
    lam : float
        :math:`\lambda` of the dual, between 0 and 1.
    theta : ndarray, shape (k,)
        :math:`\theta` of the dual; infinite where h is so small (1e-308) that doubles cannot hold it. The test decides
        for P₂ where :math:`\theta \cdot t` exceeds ``threshold``, for P₁ where it is smaller, and tosses a coin where
        it is equal.
    threshold : float
    t : ndarray, shape (k,)
        The common mean of h under Q₁ and Q₂: the t at which both rate functions are equal.
    """

    lower: float
    upper: float
    lam: float
    theta: Array
    threshold: float
    t: Array


@dataclass(frozen=True, eq=False)
class SimulatedError:
    """Simulated error probability at several sample sizes, with confidence intervals.

    Attributes
    ----------
    n : ndarray of int, shape (m,)
        Sample sizes.
    error : ndarray, shape (m,)
        Share of wrong decisions.
    low, high : ndarray, shape (m,)
        Ends of the Clopper–Pearson interval of each.
    trials : int
        Decisions simulated at each n.
    """

    n: NDArray[np.int64]
    error: Array
    low: Array
    high: Array
    trials: int


def chernoff_information(p1: ArrayLike, p2: ArrayLike) -> float:
    r"""Chernoff information: the best exponent of the error of telling two distributions apart.

    .. math:: C(P_1, P_2) = \max_{0 \le \lambda \le 1} -\log \sum_z P_1(z)^\lambda P_2(z)^{1-\lambda}

    with the sum over the symbols that both can produce.

    Parameters
    ----------
    p1, p2 : array_like, shape (n,)
        Probabilities; zeros are allowed.

    Returns
    -------
    float
        In nats; infinite where no symbol is common to both.

    Raises
    ------
    ValueError
        If p1 or p2 is not a distribution, or their lengths differ.

    Notes
    -----
    The value is that of p1 and p2 divided by their sums, and has nearly full relative precision: near equality 1 minus
    the sum is added up from terms that are not negative.

    H. Chernoff, Annals of Mathematical Statistics 23 (1952) 493-507.

    Examples
    --------
    >>> round(chernoff_information([0.9, 0.1], [0.1, 0.9]), 6)
    0.510826
    >>> round(chernoff_information([1, 0], [0.5, 0.5]), 6)
    0.693147
    >>> chernoff_information([0.5, 0.5], [0.5, 0.5])
    0.0
    """
    p, q, gap = _pair(p1, p2)
    common = (p > 0) & (q > 0)
    if not common.any():
        return float("inf")
    p_alone, q_alone = p[~common].sum(), q[~common].sum()
    p, q, gap = p[common], q[common], gap[common]
    up, larger = gap > 0, np.maximum(p, q)
    part = np.minimum(np.abs(gap) / larger, 0.5)
    down = np.where(part < 0.5, np.log1p(-part), -np.abs(_log_ratio(p, q)))  # log of the smaller by the larger
    rest = hyp1f1(1, 3, down)  # 2 (e^x - 1 - x) / x², with all its digits

    def weight(s: float) -> Array:  # of the smaller one
        return np.where(up, 1 - s, s)

    def log_terms(s: float) -> Array:
        return np.log(larger) + weight(s) * down

    def slope_of_sum(s: float) -> float:  # up to a positive factor
        terms = log_terms(s)
        return float(np.exp(terms - terms.max()) @ np.where(up, -down, down))

    def lost(s: float) -> float:  # 1 minus the sum: what the arithmetic means exceed the geometric ones by
        w = weight(s)
        excess = larger * w * down**2 / 2 * (rest - w * hyp1f1(1, 3, w * down))
        return float(excess.sum() + s * p_alone + (1 - s) * q_alone)

    def slope_of_lost(s: float) -> float:
        slope = larger * down * (down / 2 * rest - np.expm1(weight(s) * down))
        return float(np.where(up, -slope, slope).sum() + p_alone - q_alone)

    if lost(0.5) > 0.25:
        return float(-logsumexp(log_terms(_root(slope_of_sum))))
    return float(-np.log1p(-lost(_root(lambda s: -slope_of_lost(s)))))  # lost is concave, and so below 1/2


def feature_exponent(h: ArrayLike, p1: ArrayLike, p2: ArrayLike) -> float:
    r"""Error exponent of a feature (D5): how fast the mean of h tells P₁ from P₂.

    From n samples, :math:`t = \frac1n \sum_i h(z_i)` is compared with a threshold. The probability of error falls as
    :math:`e^{-n E_h}`, with the best threshold test, and

    .. math:: E_h = \min_t \max\{J_1(t), J_2(t)\} = \max_{0<\lambda<1,\, \theta}
              \bigl\{-\lambda \log E_1 e^{\theta \cdot h/\lambda} - (1-\lambda) \log E_2 e^{-\theta \cdot h/(1-\lambda)}
              \bigr\} .

    Parameters
    ----------
    h : array_like, shape (n,) or (n, k)
        One value, or k values, for each symbol. Only the span of the columns and a constant counts: columns that are
        constant, or combinations of others as far as the digits of their values tell, add nothing.
    p1, p2 : array_like, shape (n,)
        Probabilities, all positive.

    Returns
    -------
    float
        In nats; 0 where the means of h do not differ, as for a constant h or P₁ = P₂. Bounds that certify it:
        :func:`exponent_bounds`.

    Warns
    -----
    RuntimeWarning
        For a column so nearly dependent on others that rounding may have changed what tells it apart by more than a
        millionth of its size.

    Raises
    ------
    ValueError
        If p1 or p2 is not a distribution, has a zero, or does not fit h; if h is not finite; if a column of h is not
        constant, but varies by less than 16 units in the last place of its largest value, which may be rounding.
    ArithmeticError
        If the two bounds of the exponent are further apart than 1e-8 of its size (or of 2e-308, below which doubles
        lose digits). It takes values of features that range over some eight orders of magnitude, and more for a single
        feature, together with probabilities that range over a hundred.

    Examples
    --------
    The log-likelihood ratio loses nothing; a feature that looks at one symbol does.

    >>> p1, p2 = np.array([0.5, 0.3, 0.2]), np.array([0.3, 0.3, 0.4])
    >>> round(feature_exponent(np.log(p1 / p2), p1, p2), 9) == round(chernoff_information(p1, p2), 9)
    True
    >>> round(feature_exponent([0, 0, 1], p1, p2) / chernoff_information(p1, p2), 3)
    0.814
    >>> feature_exponent([7, 7, 7], p1, p2)
    0.0
    """
    _, dual, x = _solved(h, p1, p2)
    return _proved(dual, x)


def exponent_bounds(h: ArrayLike, p1: ArrayLike, p2: ArrayLike) -> ExponentBounds:
    r"""Two bounds of the error exponent of a feature (D5), from its dual and its primal problem.

    Parameters
    ----------
    h : array_like, shape (n,) or (n, k)
    p1, p2 : array_like, shape (n,)
        Probabilities, all positive.

    Returns
    -------
    ExponentBounds
        The lower bound is the dual's value at the λ and θ found, the upper one the larger divergence of a pair of
        distributions under which h has equal means. Both hold whether or not the maximum was found; that they agree
        proves that it was.

    Warns
    -----
    RuntimeWarning
        For a column so nearly dependent on others that rounding may have changed what tells it apart by more than a
        millionth of its size.

    Raises
    ------
    ValueError
        As for :func:`feature_exponent`.

    Notes
    -----
    p1 and p2 are divided by their sums. The dual is concave, and with positive probabilities its maximum lies in the
    interior. Newton's method starts from the local solution and is kept within a region in which it can be trusted, in
    coordinates in which a step is the logarithm of what it does to the probabilities. The rate functions are sums of
    terms that are not negative: the bounds have nearly all their digits however close p1 and p2 are, and however rare
    the symbols by which they differ.

    Examples
    --------
    >>> bounds = exponent_bounds([0.0, 1.0, 2.0], [0.5, 0.3, 0.2], [0.3, 0.3, 0.4])
    >>> round(bounds.lower, 6), bool(bounds.upper - bounds.lower < 1e-12)
    (0.030101, True)
    """
    values, dual, x = _solved(h, p1, p2)
    span = dual.span
    scaled = span.back @ x.theta
    with np.errstate(over="ignore"):
        theta = np.ldexp(scaled, -span.exponent)
    t = (dual.p + x.one.change) @ values
    threshold = dual.level(x) + float(span.origin @ x.theta)
    return ExponentBounds(*dual.bounds(x), x.lam, theta, threshold, t)


def local_exponent(h: ArrayLike, p1: ArrayLike, p2: ArrayLike, p0: ArrayLike) -> float:
    r"""Error exponent of a feature to second order near P₀ (R3): a squared projection.

    .. math:: \tfrac{\epsilon^2}{8} \sum_i \langle \xi_i, \phi_1 - \phi_2 \rangle^2 , \qquad
              \epsilon (\phi_1 - \phi_2) = \frac{P_1 - P_2}{\sqrt{P_0}} ,

    with an orthonormal basis :math:`\xi_i` of the span of the vectors :math:`\sqrt{P_0} (h_j - E_{P_0} h_j)`.

    Parameters
    ----------
    h : array_like, shape (n,) or (n, k)
        Any features: they are centred and made orthonormal here.
    p1, p2 : array_like, shape (n,)
    p0 : array_like, shape (n,)
        Reference distribution, positive. The exponent is at least the value divided by 1 + δ, with
        δ = ε / √min P₀, and at most the value divided by 1 - δ (proved for δ up to 3/8). With the midpoint of p1 and p2
        the relative error is of second order in ε, with others in general of first order.

    Returns
    -------
    float
        In nats; ``inf`` where it is more than a double can hold.

    Warns
    -----
    RuntimeWarning
        For a column so nearly dependent on others that rounding may have changed what tells it apart by more than a
        millionth of its size.

    Raises
    ------
    ValueError
        If p1, p2 or p0 is not a distribution or does not fit h; if p0 has a zero; for h as :func:`feature_exponent`.

    Notes
    -----
    S.-L. Huang, X. Xu, L. Zheng, G. W. Wornell, arXiv:1905.06600.

    Examples
    --------
    >>> p1, p2 = np.array([0.26, 0.25, 0.49]), np.array([0.24, 0.25, 0.51])
    >>> h = [1.0, 0.0, -1.0]
    >>> print(f"{local_exponent(h, p1, p2, (p1 + p2) / 2):.4e} {feature_exponent(h, p1, p2):.4e}")
    2.9091e-04 2.9103e-04
    """
    p, _, gap = _pair(p1, p2)
    reference, _ = check.distributions(p0=check.reference(p0), p1=p1)
    basis = _span(check.features(h, check.symbols(p1, p.size), "p1"), reference, "h").basis
    means = gap @ (basis - basis[np.abs(gap).argmax()])  # the gap adds up to 0: its largest entry may stay out
    along = solve_triangular(_covariance_root(basis, reference), means, trans="T")
    with np.errstate(over="ignore"):
        return float(np.sum((along / math.sqrt(8)) ** 2))


def simulate_error(
    h: ArrayLike,
    p1: ArrayLike,
    p2: ArrayLike,
    n: ArrayLike,
    trials: int = 100_000,
    seed: int | np.random.Generator = 0,
    confidence: float = 0.95,
) -> SimulatedError:
    r"""Simulate the threshold test that attains the exponent of a feature (D5), both hypotheses equally likely.

    Each trial tosses a fair coin for P₁ or P₂, draws how often every symbol occurs among n samples, and decides.

    Parameters
    ----------
    h : array_like, shape (n_symbols,) or (n_symbols, k)
    p1, p2 : array_like, shape (n_symbols,)
        Probabilities, all positive.
    n : int or array_like of int, shape (m,)
        Sample sizes.
    trials : int
        Decisions at each sample size.
    seed : int or numpy.random.Generator
        The same seed gives the same result.
    confidence : float
        Level of the Clopper–Pearson intervals.

    Returns
    -------
    SimulatedError

    Raises
    ------
    ValueError
        As :func:`feature_exponent`; for a sample size or a number of trials below 1, a seed that is none, and a
        confidence outside (0, 1).

    Notes
    -----
    A run of more than a second shows a progress bar in a terminal, if tqdm is installed.

    Examples
    --------
    >>> run = simulate_error([0, 1], [0.6, 0.4], [0.4, 0.6], [1, 101], trials=40_000)
    >>> run.error.round(2)
    array([0.4 , 0.02])
    """
    sizes = np.atleast_1d(check.array(n, "n"))
    good = sizes.ndim == 1 and sizes.size > 0 and sizes.dtype.kind in "iu"
    if not good or not 1 <= sizes.min() <= sizes.max() < 2**63:
        raise ValueError(f"n = {n!r}: give sample sizes as integers of at least 1, in 64 bits and in one row")
    check.counts(trials=trials)
    if not 0 < check.number(confidence) < 1:
        raise ValueError(f"confidence = {confidence!r}: it lies between 0 and 1, both excluded")
    _, dual, x = _solved(h, p1, p2)
    p, q = dual.p, dual.q
    score = dual.span.basis @ x.theta - dual.level(x)  # its mean is positive where the test says P₂
    rng = check.generator(seed, "seed")
    wrong = np.zeros(sizes.size, dtype=np.int64)
    for i, size in enumerate(watched(sizes, "n")):
        under_q = int(rng.binomial(trials, 0.5))
        wrong[i] = _mistakes(score, p, int(size), trials - under_q, rng) + _mistakes(-score, q, int(size), under_q, rng)
    tail = (1 - float(confidence)) / 2
    low = np.where(wrong == 0, 0.0, betaincinv(wrong, trials - wrong + 1, tail))
    high = np.where(wrong == trials, 1.0, betaincinv(wrong + 1, trials - wrong, 1 - tail))
    return SimulatedError(sizes.astype(np.int64), wrong / trials, low, high, trials)


@dataclass(frozen=True, eq=False)
class _Tilted:
    """A distribution tilted by a feature: q = p e^{a·h - log}, with the mean of h under p taken as zero."""

    q: Array
    log_density: Array  # of q relative to p
    change: Array  # q - p, with all its digits however close they are
    log: float  # log E e^{a·h}
    mean: Array
    rate: float  # D(q ‖ p)


def _tilt(a: Array, h: Array, p: Array) -> _Tilted:
    u = h @ a
    near = np.clip(u, -1, 1)
    grown = np.log(p) + u
    if grown.max() < FAR:  # e^u - 1 - u is not negative: nothing is lost in the sum
        beyond = np.where(np.abs(u) < 1, p * near**2 / 2 * hyp1f1(1, 3, near), np.exp(grown) - p * (1 + u))
        log = float(np.log1p(beyond.sum()))
    else:
        log = float(logsumexp(grown))
    v = u - log
    q = np.exp(grown - log)
    change = np.where(np.abs(v) < 1, p * np.expm1(np.clip(v, -1, 1)), q - p)
    return _Tilted(q, v, change, log, change @ h, _rate(v, p))


def _rate(v: Array, p: Array) -> float:
    """D(e^v p ‖ p), as a sum of p (v e^v - e^v + 1), which is not negative either."""
    near = np.clip(v, -1, 1)
    close = p * near**2 / 2 * hyp1f1(2, 3, near)
    return float(np.where(np.abs(v) < 1, close, np.exp(np.log(p) + v) * (v - 1) + p).sum())


def _joined(log_density: Array, mass: Array, p: Array) -> Array:
    """The logarithm of a density relative to p after more mass has joined, and all is divided by its sum."""
    with np.errstate(divide="ignore"):
        return np.asarray(np.logaddexp(log_density, np.log(mass) - np.log(p)) - np.log1p(mass.sum()))


@dataclass(frozen=True, eq=False)
class _Point:
    """λ, 1 - λ and θ of the dual problem, both distributions tilted by them, and its value."""

    lam: float
    kappa: float
    theta: Array
    one: _Tilted
    two: _Tilted
    value: float


class _Dual:
    """The dual problem, in a basis in which θ/λ and -θ/(1 - λ) are logarithms of ratios of probabilities.

    The features are centred under each distribution by itself, and the difference of their means enters on its own:
    nothing of the order of ε is then lost in a difference of numbers of order one.
    """

    def __init__(self, span: _Span, p: Array, q: Array, difference: Array) -> None:
        self.span, self.p, self.q = span, p, q
        self.h1, self.h2 = span.basis - p @ span.basis, span.basis - q @ span.basis
        gap = difference @ span.basis
        self.gap = np.where(np.abs(gap) > ROUNDING * (np.abs(difference) @ np.abs(span.basis)), gap, 0.0)

    def at(self, theta: Array, lam: float, kappa: float) -> _Point:
        one, two = _tilt(theta / lam, self.h1, self.p), _tilt(-theta / kappa, self.h2, self.q)
        return _Point(lam, kappa, theta, one, two, 0.0 - float(theta @ self.gap + lam * one.log + kappa * two.log))

    def start(self) -> _Point:
        """The local solution, or as much of it as changes no probability by more than a factor of e."""
        middle = (self.p + self.q) / 2
        theta = -_solve(np.sqrt(middle)[:, None] * (self.span.basis - middle @ self.span.basis), self.gap) / 4
        return self.at(theta / max(1.0, 2 * self.reach(theta, theta)), 0.5, 0.5)

    def reach(self, a: Array, b: Array) -> float:
        """By how much tilting by a and by b changes a logarithm of a probability."""
        return float(max(np.abs(self.h1 @ a).max(), np.abs(self.h2 @ b).max()))

    def newton(self, x: _Point) -> tuple[Array, float, float, float]:
        """Newton's step in θ and in λ, twice what it promises, and its reach."""
        a, b = x.theta / x.lam, -x.theta / x.kappa
        one, two = self.h1 - x.one.mean, self.h2 - x.two.mean
        gradient = np.append(x.two.mean - x.one.mean - self.gap, x.one.rate - x.two.rate)
        roots = [
            np.sqrt(x.one.q / x.lam)[:, None] * np.column_stack([one, -one @ a]),
            np.sqrt(x.two.q / x.kappa)[:, None] * np.column_stack([two, -two @ b]),
        ]
        step = _solve(np.vstack(roots), gradient)
        theta, lam = step[:-1], float(step[-1])
        reach = self.reach((theta - a * lam) / x.lam, (theta - b * lam) / x.kappa)
        return theta, lam, float(gradient @ step), reach

    def bounds(self, x: _Point) -> tuple[float, float]:
        """The dual's value, and the larger divergence of Q₁ and Q₂ with what they lack to equal means of h."""
        miss = self.gap + x.one.mean - x.two.mean
        both = x.one.q + x.two.q
        around = self.h2 - x.two.mean - miss / 2
        lack = both * (around @ _solve(np.sqrt(both)[:, None] * around, miss))  # a mass that has the mean miss
        left = np.abs(x.theta) / min(x.lam, x.kappa) @ np.abs(miss - lack @ around)  # at the slope of the rates
        one = _rate(_joined(x.one.log_density, np.maximum(-lack, 0), self.p), self.p)
        two = _rate(_joined(x.two.log_density, np.maximum(lack, 0), self.q), self.q)
        return float(np.maximum(x.value, 0.0)), float(max(one, two) + left)

    def level(self, x: _Point) -> float:
        """The threshold of θ·h at which both errors have the same exponent."""
        return x.lam * (x.value + x.one.log) + float(x.theta @ (self.p @ self.span.basis))


def _solve(A: Array, y: Array) -> Array:
    """Solution of AᵀA x = y, each entry to its own precision where the columns of A differ in size."""
    if not y.any():
        return np.zeros_like(y)
    size = np.abs(A).max(axis=0)
    size[size == 0] = 1
    gram = (A / size).T @ (A / size)
    diagonal = np.diag_indices_from(gram)
    gram[diagonal] = np.where(gram[diagonal] > 0, gram[diagonal] * (1 + RIDGE), 1.0)
    scaled = cho_solve(cho_factor(gram, check_finite=False), y / size, check_finite=False)
    longest = np.abs(scaled).max()
    x = scaled / longest / size
    return np.asarray(x * min(longest, LONG / np.abs(x).max()))


def _solved(h: ArrayLike, p1: ArrayLike, p2: ArrayLike) -> tuple[Array, _Dual, _Point]:
    """A feature's values, its dual problem, and the point at which that is largest."""
    p, q, difference = _pair(p1, p2)
    values = check.features(h, check.symbols(p1, p.size), "p1")
    return values, *_solution(values, p, q, difference, ("p1", "p2"))


def _solution(h: Array, p: Array, q: Array, difference: Array, names: tuple[str, str]) -> tuple[_Dual, _Point]:
    """The dual problem of a feature's values, and the point at which it is largest."""
    for values, name in zip((p, q), names, strict=True):
        check.entries(values > 0, values, name, ALONE)
    dual = _Dual(_span(h, (p + q) / 2, "h"), p, q, difference)
    return dual, _largest(dual, dual.start())


def _proved(dual: _Dual, x: _Point) -> float:
    """The exponent, or a refusal where its bounds are not close."""
    lower, upper = dual.bounds(x)
    if not upper - lower <= GAP * max(lower, TINY):
        raise ArithmeticError(
            f"the exponent lies between {lower:.9g} and {upper:.9g}, and no closer: use exponent_bounds for both "
            "bounds, or merge the rarest symbols"
        )
    return lower


def _largest(dual: _Dual, x: _Point) -> _Point:
    """Newton's method, with steps of at most twice the reach of the last that made the dual as much larger as hoped."""
    radius, last = 1.0, not dual.gap.any()
    for _ in range(STEPS):
        if last:
            break
        theta, lam, promise, reach = dual.newton(x)
        clear, last = promise > CLEAR * x.value, promise <= DONE * x.value
        share = min(1.0, radius / max(reach, TINY), min(x.lam, x.kappa) / max(2 * abs(lam), TINY))
        new = dual.at(x.theta + share * theta, x.lam + share * lam, x.kappa - share * lam)
        if not clear or new.value >= x.value + share * promise / 4:
            x, radius = new, max(radius, 2 * share * reach)
        else:
            radius = share * reach / 4
    return x


def _root(slope: Callable[[float], float]) -> float:
    """Where in [0, 1] an increasing function passes zero, or comes closest to it."""
    if slope(0.0) >= 0:
        return 0.0
    return float(brentq(slope, 0.0, 1.0, xtol=1e-15, maxiter=1000)) if slope(1.0) > 0 else 1.0


def _mistakes(score: Array, p: Array, size: int, trials: int, rng: np.random.Generator) -> int:
    """How many of the trials have a positive total score; where it is zero, a coin decides."""
    mistakes = 0
    for start in range(0, trials, max(1, CHUNK // len(p))):
        counts = rng.multinomial(size, p / p.sum(), size=min(max(1, CHUNK // len(p)), trials - start))
        total = counts @ score
        tie = np.abs(total) <= 1e-12 * (counts @ np.abs(score))
        mistakes += int(np.count_nonzero((total > 0) & ~tie)) + int(rng.binomial(np.count_nonzero(tie), 0.5))
    return mistakes


def _pair(p1: ArrayLike, p2: ArrayLike) -> tuple[Array, Array, Array]:
    """Two distributions over the symbols of the rows of h, each divided by its sum, and their difference."""
    p, q = check.distributions(p1=p1, p2=p2)
    check.axes(p, 1, "p1", "flatten it, and p2 and h with it")
    return _normalised(p, q)
