r"""How fast a feature tells two distributions apart: exact error exponents, their local value, and simulation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq, minimize
from scipy.special import betaincinv, expit

from ufs import _checks as check
from ufs.local import kl_divergence

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
EPS = float(np.finfo(float).eps)
ROUNDING = 64 * EPS  # of a feature's value, for each symbol
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
        :math:`\theta` of the dual. The test decides for P₂ where :math:`\theta \cdot t` exceeds ``threshold``, for P₁
        where it is smaller, and tosses a coin where it is equal.
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

    .. math:: C(P_1, P_2) = \max_{0 \le s \le 1} -\log \sum_z P_1(z)^s P_2(z)^{1-s}

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
    p, q = _pair(p1, p2)
    common = (p > 0) & (q > 0)
    if not common.any():
        return float("inf")
    a, b = p[common], q[common]
    ratio = np.where(np.abs(a - b) < b / 2, np.log1p((a - b) / b), np.log(a) - np.log(b))
    p_alone, q_alone = p[~common].sum(), q[~common].sum()

    def slope(s: float) -> float:  # of the sum, up to a positive factor; it grows with s
        return float(b @ (np.exp(s * ratio) * ratio))

    if not ratio.any():
        s = 0.0 if q_alone >= p_alone else 1.0
    elif slope(0.0) >= 0:
        s = 0.0
    elif slope(1.0) <= 0:
        s = 1.0
    else:
        s = float(brentq(slope, 0.0, 1.0, xtol=1e-15))
    # the sum minus one, without adding up to one first: s P₁ + (1 - s) P₂ is one in total
    lost = b @ (np.expm1(s * ratio) - s * np.expm1(ratio)) - s * p_alone - (1 - s) * q_alone
    return max(0.0, -float(np.log1p(lost)))


def feature_exponent(h: ArrayLike, p1: ArrayLike, p2: ArrayLike) -> float:
    r"""Error exponent of a feature (D5): how fast the mean of h tells P₁ from P₂.

    From n samples, :math:`t = \frac1n \sum_i h(z_i)` is compared with a threshold. The probability of error falls as
    :math:`e^{-n E_h}`, with the best threshold test, and

    .. math:: E_h = \min_t \max\{I_1(t), I_2(t)\} = \max_{0<\lambda<1,\, \theta}
              \bigl\{-\lambda \log E_1 e^{\theta \cdot h/\lambda} - (1-\lambda) \log E_2 e^{-\theta \cdot h/(1-\lambda)}
              \bigr\} .

    Parameters
    ----------
    h : array_like, shape (n,) or (n, k)
        One value, or k values, for each symbol. Neither centred nor independent columns are needed.
    p1, p2 : array_like, shape (n,)
        Probabilities, all positive.

    Returns
    -------
    float
        In nats; 0 where the means of h do not differ, as for a constant h or P₁ = P₂. Bounds that certify it:
        :func:`exponent_bounds`.

    Raises
    ------
    ValueError
        If p1 or p2 is not a distribution, has a zero, or does not fit h; if h is not finite.
    ArithmeticError
        If the two bounds of the exponent are further apart than 1e-8 of its size, which only probabilities or
        features of absurd range bring about.

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
    bounds = exponent_bounds(h, p1, p2)
    if not bounds.upper <= bounds.lower + GAP * bounds.lower + EPS:
        raise ArithmeticError(
            f"the exponent lies between {bounds.lower:.9g} and {bounds.upper:.9g}, and no closer: use exponent_bounds "
            "for both bounds, or rescale the rarest symbols"
        )
    return bounds.lower


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

    Raises
    ------
    ValueError
        As for :func:`feature_exponent`.

    Notes
    -----
    The dual is concave, and with positive probabilities its maximum lies in the interior. Newton's method starts from
    the local solution, in coordinates in which h is white under (P₁ + P₂)/2; where it does not settle, a trust-region
    method (``scipy.optimize.minimize``) takes over.

    Examples
    --------
    >>> bounds = exponent_bounds([0.0, 1.0, 2.0], [0.5, 0.3, 0.2], [0.3, 0.3, 0.4])
    >>> round(bounds.lower, 6), bool(bounds.upper - bounds.lower < 1e-12)
    (0.030101, True)
    """
    p, q = _pair(p1, p2)
    _positive(p, "p1")
    _positive(q, "p2")
    values = check.features(h, p.size, "p1")
    _, back, centre = _orthonormal(values, (p + q) / 2)
    white = (values - centre) @ back
    gap = (p - q) @ white
    size = float(np.linalg.norm(gap))
    if size <= 8 * EPS:
        return ExponentBounds(0.0, 0.0, 0.5, np.zeros(values.shape[1]), 0.0, p @ values)
    dual = _Dual(white - p @ white, white - q @ white, p, q, gap, size)
    x = np.append(-gap / (4 * size), 0.0)  # the local solution
    x = _newton(dual, x)
    if not np.linalg.norm(dual.gradient(x)) < 1e-8:
        options = {"gtol": 1e-8}
        x = minimize(dual.value, x, jac=dual.gradient, hess=dual.hessian, method="trust-exact", options=options).x
        x = _newton(dual, x)
    lam, _, theta, one, two = dual.parts(x)
    lower = max(0.0, -dual.unit * dual.value(x))
    level = lam * (lower + one.log) + float(theta @ (p @ white))  # gives both errors the same exponent
    return ExponentBounds(
        lower, dual.upper(one, two), lam, back @ theta, level + float(back @ theta @ centre), one.q @ values
    )


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
        Reference distribution, positive. With the midpoint of p1 and p2 the relative error is of second order in ε,
        with any other one of first order.

    Returns
    -------
    float
        In nats.

    Raises
    ------
    ValueError
        If p1, p2 or p0 is not a distribution or does not fit h; if p0 has a zero; if h is not finite.

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
    p, q = _pair(p1, p2)
    reference, _ = check.distributions(p0=check.reference(p0), p1=p)
    xi, _, _ = _orthonormal(check.features(h, p.size, "p1"), reference)
    return float(np.sum(((p - q) / np.sqrt(reference) @ xi) ** 2)) / 8


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
    sizes = np.atleast_1d(np.asarray(n))
    if sizes.ndim != 1 or sizes.size == 0 or sizes.dtype.kind not in "iu" or sizes.min() < 1:
        raise ValueError(f"n = {n!r}: give sample sizes as integers of at least 1, in one row")
    check.counts(trials=trials)
    if not 0 < check.number(confidence) < 1:
        raise ValueError(f"confidence = {confidence!r}: it lies between 0 and 1, both excluded")
    bounds = exponent_bounds(h, p1, p2)
    p, q = _pair(p1, p2)
    values = check.features(h, p.size, "p1")
    score = values @ bounds.theta - bounds.threshold  # its mean is positive where the test says P₂
    rng = check.generator(seed, "seed")
    wrong = np.zeros(sizes.size, dtype=np.int64)
    for i, size in enumerate(_watched(sizes)):
        under_q = int(rng.binomial(trials, 0.5))
        wrong[i] = _mistakes(score, p, int(size), trials - under_q, rng) + _mistakes(-score, q, int(size), under_q, rng)
    tail = (1 - confidence) / 2
    low = np.where(wrong == 0, 0.0, betaincinv(wrong, trials - wrong + 1, tail))
    high = np.where(wrong == trials, 1.0, betaincinv(wrong + 1, trials - wrong, 1 - tail))
    return SimulatedError(sizes.astype(np.int64), wrong / trials, low, high, trials)


class _Dual:
    """Minus the dual problem, divided by its local value, as a function of θ / |gap| and the logit of λ.

    The features are centred under each distribution by itself, and the difference of their means enters on its own:
    nothing of the order of ε is then lost in a difference of numbers of order one.
    """

    def __init__(self, h1: Array, h2: Array, p: Array, q: Array, gap: Array, size: float) -> None:
        self.h1, self.h2, self.p, self.q, self.gap, self.size = h1, h2, p, q, gap, size
        self.unit = size**2 / 8

    def parts(self, x: Array) -> tuple[float, float, Array, _Tilted, _Tilted]:
        """λ, 1 - λ and θ, and both distributions tilted by them."""
        lam, kappa, theta = float(expit(x[-1])), float(expit(-x[-1])), self.size * x[:-1]
        one = _tilt(theta / lam, self.h1, self.p)
        two = _tilt(-theta / kappa, self.h2, self.q)
        return lam, kappa, theta, one, two

    def value(self, x: Array) -> float:
        lam, kappa, theta, one, two = self.parts(x)
        return float(theta @ self.gap + lam * one.log + kappa * two.log) / self.unit

    def gradient(self, x: Array) -> Array:
        lam, kappa, _, one, two = self.parts(x)
        by_theta = self.gap + one.mean - two.mean
        by_lam = two.rate - one.rate
        return np.append(self.size * by_theta, lam * kappa * by_lam) / self.unit

    def hessian(self, x: Array) -> Array:
        lam, kappa, theta, one, two = self.parts(x)
        eye = np.eye(len(theta))
        left = np.column_stack([self.size * eye, -kappa * theta])  # λκ (-θ/λ)
        right = np.column_stack([self.size * eye, lam * theta])
        result = left.T @ one.cov @ left / lam + right.T @ two.cov @ right / kappa
        result[-1, -1] += lam * kappa * (kappa - lam) * (two.rate - one.rate)
        return np.asarray(result / self.unit)

    def upper(self, one: _Tilted, two: _Tilted) -> float:
        """The larger divergence of two distributions with equal means of h: Q₁, and Q₂ moved to the mean of Q₁."""
        miss = self.gap + one.mean - two.mean
        shift = 1 + (self.h2 - two.mean) @ np.linalg.lstsq(two.cov, miss, rcond=None)[0]
        moved = two.q * shift
        left = np.abs(self.gap + one.mean - moved @ self.h2).max()
        if shift.min() < 0 or left > 1e-10 * self.size + 8 * EPS:
            return float("inf")
        return max(kl_divergence(one.q, self.p), kl_divergence(moved, self.q))


@dataclass(frozen=True, eq=False)
class _Tilted:
    """A distribution tilted by a feature: q ∝ p e^{a·h}, with the mean of h under p taken as zero."""

    q: Array
    log: float  # log E e^{a·h}
    mean: Array
    cov: Array
    rate: float  # D(q ‖ p)


def _tilt(a: Array, h: Array, p: Array) -> _Tilted:
    u = h @ a
    top = u.max()
    if top < 1:  # small tilts: differences from 1 are kept to full precision
        e = np.expm1(u)
        log = float(np.log1p(p @ e))
        q = p * (1 + e) / (1 + p @ e)
        mean = (p * e) @ h / (1 + p @ e)
    else:
        weight = p * np.exp(u - top)
        log = float(top + np.log(weight.sum()))
        q = weight / weight.sum()
        mean = q @ h
    around = h - mean
    return _Tilted(q, log, mean, (q * around.T) @ around, float(a @ mean) - log)


def _newton(dual: _Dual, x: Array) -> Array:
    """Newton steps for as long as they are short and make the gradient smaller."""
    for _ in range(20):
        gradient = dual.gradient(x)
        step = np.linalg.lstsq(dual.hessian(x), gradient, rcond=None)[0]
        if np.abs(step).max() > 1 or not np.linalg.norm(dual.gradient(x - step)) < np.linalg.norm(gradient):
            break
        x = x - step
    return x


def _orthonormal(h: Array, p: Array) -> tuple[Array, Array, Array]:
    """Orthonormal basis Ξ of the span of the vectors √p (h - E h), the matrix T with Ξ = √p (h - E h) T, and E h.

    Columns that are constant up to rounding have no part in it, nor have combinations of columns that are.
    """
    centre = p @ h
    around = h - centre
    scale = np.sqrt(p @ around**2)
    size = np.abs(h).max(axis=0)
    varies = scale > ROUNDING * len(h) * size
    back = np.diag(1 / np.where(varies, scale, 1.0))[:, varies]
    U, s, vt = np.linalg.svd(np.sqrt(p)[:, None] * (around @ back), full_matrices=False)
    noise = ROUNDING * max(h.shape) * (size[varies] / scale[varies]).max(initial=1.0)  # a large mean costs digits
    kept = s > noise
    return U[:, kept], back @ (vt[kept].T / s[kept]), centre


def _mistakes(score: Array, p: Array, size: int, trials: int, rng: np.random.Generator) -> int:
    """How many of the trials have a positive total score; where it is zero, a coin decides."""
    tie = 1e-12 * np.abs(score).max(initial=0.0)
    mistakes = 0
    for start in range(0, trials, max(1, CHUNK // len(p))):
        counts = rng.multinomial(size, p / p.sum(), size=min(max(1, CHUNK // len(p)), trials - start))
        mean = counts @ score / size
        ties = int(np.count_nonzero(np.abs(mean) <= tie))
        mistakes += int(np.count_nonzero(mean > tie)) + int(rng.binomial(ties, 0.5))
    return mistakes


def _watched(sizes: NDArray[Any]) -> Any:
    """The sizes, with a bar in a terminal once the simulation has run for a second."""
    try:
        from tqdm import tqdm  # type: ignore[import-untyped]
    except ImportError:
        return sizes
    return tqdm(sizes, unit="n", delay=1, disable=None)


def _pair(p1: ArrayLike, p2: ArrayLike) -> tuple[Array, Array]:
    """Two distributions over the symbols that the rows of h belong to."""
    p, q = check.distributions(p1=p1, p2=p2)
    check.axes(p, 1, "p1", "flatten it, and p2 and h with it")
    return p, q


def _positive(p: Array, name: str) -> None:
    check.entries(
        p > 0,
        p,
        name,
        "is not positive, and the exponent is defined for positive probabilities: drop the symbol if neither "
        "distribution has it, else merge it with another, since it gives the other distribution away by itself",
    )
