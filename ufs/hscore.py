r"""The H-score: how much of Y the best softmax layer can get out of given features, to leading order."""

from __future__ import annotations

import math
import sys
import warnings
from collections.abc import Callable, Hashable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ufs import _checks as check
from ufs._backends import Numpy, library_of
from ufs._canonical import (
    COUNTS,
    EPS,
    TOLD,
    Solution,
    by_cholesky,
    doubt_of,
    equilibrated,
    noise_of,
    norms,
    size_of,
    solve,
    spread_of,
    that_vary,
)
from ufs._samples import matrix, not_finite, samples
from ufs.dtm import _normalised, dtm
from ufs.joint import Joint
from ufs.local import _orthonormal
from ufs.moments import Moments

__all__ = ["AffineRule", "HScore", "h_score", "h_score_pair", "held_out_h_score"]

SINGLE_EPS = float(np.finfo(np.float32).eps)
SINGLE_UNDERFLOW = float(np.finfo(np.float32).tiny / np.finfo(np.float32).eps)
SINGLE_FROM = 2**30  # multiplications from which single precision is worth a try
SINGLE_ROWS = 1024  # rows whose sums of squares tell whether rounding errors add up the same way
SINGLE_SYSTEMATIC = 8 * SINGLE_EPS  # relative error of such a sum, from which they do
SINGLE_ERROR = 1e-7  # estimated relative error up to which its outcome is kept
LARGE = 1e150  # what has a square within float64
EXACT = 1e-9  # relative error up to which second moments are trusted while the features are at hand
TINY = float(np.finfo(float).tiny)
ROUNDS = 6  # times that features are combined anew
WHITE = 0.1  # sum of the squared correlations below which combinations hardly correlate
CANCELS = 1e-4  # size of a combination, over that of its terms, below which it may be their rounding and no more


def h_score(
    features: Any,
    labels: Any = None,
    *,
    extractor: Callable[[Any], Any] | None = None,
    select: Callable[[Any], tuple[Any, Any]] | None = None,
) -> float:
    r"""One-sided H-score of features about labels (D9).

    .. math:: H(s) = \tfrac12\, E\bigl[\,\lVert (\Lambda_s^{+})^{1/2}\, E[\tilde s(X) \mid Y] \rVert^2 \bigr]

    where :math:`\tilde s` is the centred feature and :math:`\Lambda_s` its covariance. It does not change when s is
    replaced by an invertible affine map of s, and :math:`0 \le H \le \tfrac12 \min(\text{rank}, \text{classes} - 1)`
    (R13). The averaged error exponent of s for questions about Y is proportional to it (R13′).

    Parameters
    ----------
    features : array_like or torch.Tensor, shape (n, k) or (n,); or iterable
        One row per sample. Arrays may be memory-mapped; a tensor is worked on where it is, by its own library.
        Without labels, an iterable of batches (features, labels), as a ``torch.utils.data.DataLoader`` is: it is read
        once, and one batch at a time is held in memory.
    labels : sequence or torch.Tensor, shape (n,); or Joint
        The class of each sample: integers, strings or anything else that is hashable. What Python holds equal is one
        class: 1, 1.0 and True are one, 1 and "1" are two. With a :class:`~ufs.joint.Joint` in their place, features
        has one row for each symbol of X, shape (\|𝒳\|, k), and the expectations are those of the joint distribution
        itself (on the host, as the distribution is).
    extractor : callable, optional
        For batches: maps the first member of each batch to its features, as a ``torch.nn.Module`` does. It is called
        without recording gradients.
    select : callable, optional
        For batches that are no pairs, as the dictionaries of a collating function: takes a batch and returns its inputs
        and labels.

    Returns
    -------
    float
        In nats. A sample of n has the mean k(g − 1)/(2(n − 1)) by chance alone: see :meth:`HScore.corrected` and
        :meth:`HScore.rescaled`.

    Warns
    -----
    RuntimeWarning
        Where features are so nearly dependent that rounding in float64 may have changed H by more than a millionth of
        it, or that their own rounding, as to float32, is all that tells them apart. Of batches as :class:`HScore` does,
        much earlier.

    Raises
    ------
    ValueError
        For features that are not numbers in one or two axes; for one that is not finite, naming the first such row and
        column; for labels that are not hashable, are floats other than integers, mark a missing value (None, NaN, NA,
        NaT), naming the first, or do not match the features in length; for pandas features and labels whose indices
        differ; if there are no labels, or no sample; for an extractor in training mode, or without batches; for samples
        of a feature so large or so small that its square leaves the range of float64 (a table has no such bounds); for
        one that varies over the symbols of a table by less than 16 units in the last place of its largest value, which
        may be rounding; for pandas features of which a row has the label of another symbol.

    Notes
    -----
    2H is Pillai's trace of linear discriminant analysis, and the transferability score of Y. Bao, Y. Li, S.-L. Huang,
    L. Zhang, L. Zheng, A. Zamir, L. Guibas, "An information-theoretic approach to transferability in task transfer
    learning", ICIP 2019. All sums are kept in float64. For large float32 arrays the products are formed in single
    precision first; where the error that this can make is not negligible, they are formed again in double.

    Constant features, and those that depend on others up to the rounding of float64 numbers, count for nothing. Second
    moments hold the square of how far features are from dependent. Where that costs H more than nine digits, arrays,
    tensors and tables are gone through again, twice as a rule, in combinations of the features that hardly correlate:
    then digits are lost as in a QR decomposition of the centred features, in proportion to the distance itself. Numbers
    in float32 are taken as they are: columns that were dependent before they were rounded are so no longer, and a
    warning says so.

    Examples
    --------
    >>> round(h_score([[0.0], [0.0], [1.0], [1.0]], ["a", "a", "b", "b"]), 12)
    0.5
    >>> joint = Joint([[0.45, 0.05], [0.05, 0.45]])
    >>> round(h_score([0, 1], joint), 12)
    0.32
    >>> batches = [([[0.0], [1.0]], ["a", "b"]), ([[0.0], [1.0]], ["a", "a"])]
    >>> round(h_score(batches), 12)
    0.166666666667
    """
    if labels is None:
        return _of_batches(features, extractor, select).score()
    for name, given in (("extractor", extractor), ("select", select)):
        if given is not None:
            raise ValueError(f"{name} works on batches (inputs, labels): give an iterable of them, and no labels")
    if isinstance(labels, Joint):
        check.in_order(features, labels.x_labels, "X", "features")
        X = check.features(matrix(features, "features"), labels.x_labels, "X", "features")
        return float(np.sum((dtm(labels) @ _orthonormal(X, labels.px, "features")) ** 2)) / 2
    X, classes, codes = samples(features, labels)
    if len(X) == 0:
        raise ValueError("there are no samples: the H-score needs at least one")
    eps = library_of(X).eps(X)
    if 2 * len(X) <= X.shape[1] and library_of(X).finite(X.sum()):  # what is not finite is refused with its place, soon
        return (len(classes) - 1) / 2 if _span_everything(X, eps) else _of_few(X, codes, len(classes), eps)
    tried = _in_single_precision(X, classes, codes)
    if tried is not None:
        return tried
    return _in_memory(lambda *basis: HScore()._absorb(X, classes, codes, *basis), eps)


def h_score_pair(f: Any, g: Any, joint: Joint | None = None) -> float:
    r"""Two-sided H-score of features of X paired with features of Y (D9).

    .. math:: H(s, v) = E[\tilde s(X)^{\mathsf T} \tilde v(Y)] - \tfrac12 \operatorname{tr}(\Lambda_s \Lambda_v)

    It is :math:`\tfrac12 \lVert \tilde B \rVert^2 - \tfrac12 \lVert \tilde B - \Xi^Y \Xi^{X\mathsf T} \rVert^2`: what
    the k pairs explain of the divergence transition matrix. Its maximum over v is the one-sided :func:`h_score` of s.

    Parameters
    ----------
    f, g : array_like or torch.Tensor, shape (n, k) or (n,)
        Row i holds s at :math:`x_i` and v at :math:`y_i`.
    joint : Joint, optional
        Then f has shape (\|𝒳\|, k), g has shape (\|𝒴\|, k), and the expectations are those of the joint distribution.

    Raises
    ------
    ValueError
        For features that are not numbers in one or two axes, are not finite, or do not match in shape; if one is an
        array and the other a tensor; for pandas samples whose indices differ; if there is no sample; if products of f
        and g exceed the range of float64.

    Examples
    --------
    >>> from ufs import modes
    >>> joint = Joint([[0.45, 0.05], [0.05, 0.45]])
    >>> m = modes(joint)
    >>> round(h_score_pair(m.f, m.sigma * m.g, joint), 12)
    0.32
    """
    F, G = matrix(f, "f"), matrix(g, "g")
    if joint is None:
        check.aligned(f, g, "f", "g")
    else:
        check.in_order(f, joint.x_labels, "X", "f")
        check.in_order(g, joint.y_labels, "Y", "g")
    library = library_of(F)
    if library_of(G) != library:
        raise ValueError("f and g must be arrays both, or tensors on one device both")
    expected = (len(F), len(F)) if joint is None else joint.P.shape
    if F.shape[1] != G.shape[1] or (len(F), len(G)) != expected or len(F) == 0:
        raise ValueError(
            f"f has shape {tuple(F.shape)} and g {tuple(G.shape)}: they need a column for each of the k pairs, and "
            + ("rows that are paired samples" if joint is None else f"{expected[0]} and {expected[1]} rows")
        )
    for values, name in ((F, "f"), (G, "g")):
        if not library.finite(values):
            raise not_finite(values, 0, name)
    F, G = (next(library.blocks(X, library.shift(X, np.float64), len(X), np.float64))[1] for X in (F, G))
    if joint is None:
        p = q = library.array(np.full((len(F), 1), 1 / len(F)))
    else:
        joint = _normalised(joint)
        p, q = (library.array(marginal)[:, None] for marginal in (joint.px, joint.py))
    with np.errstate(over="ignore", invalid="ignore"):
        exponents = np.frexp(library.host(p.T @ abs(F)))[1]
        unit = library.array(2.0 ** np.clip(exponents, -1000, 1000))
        F, G = _centred(F / unit, p), _centred(G * unit, q)  # in which units does not count
        paired = (p.T @ (F * G)).sum() if joint is None else (F * library.array(joint.P @ library.host(G))).sum()
        score = float(paired - ((F.T @ (p * F)) * (G.T @ (q * G))).sum() / 2)
    if not math.isfinite(score):
        raise ValueError("the products of f and g exceed the range of float64: divide f or g by a large number")
    return score


def held_out_h_score(features: Any, labels: Any, other_features: Any, other_labels: Any) -> float:
    r"""Two-sided score :math:`H(s, \hat v)` on other samples, with the weights that are best on the first (D9).

    See :meth:`HScore.held_out`, which has it from two :class:`HScore` at no further reading of the data.

    Parameters
    ----------
    features, other_features : array_like or torch.Tensor, shape (n, k) and (m, k)
    labels, other_labels : sequence or torch.Tensor, shape (n,) and (m,)

    Raises
    ------
    ValueError
        As :func:`h_score` does, and for different numbers of features.

    Examples
    --------
    >>> round(held_out_h_score([[0.0], [1.0], [0.0], [1.0]], [0, 1, 0, 1], [[0.0], [1.0], [1.0]], [0, 1, 0]), 6)
    0.049383
    """
    return HScore().update(features, labels).held_out(HScore().update(other_features, other_labels))


@dataclass(frozen=True, eq=False)
class AffineRule:
    r"""Probabilities of classes that are affine in the features.

    .. math:: q(y|x) = P_Y(y)\, (1 + v(y) \cdot (s(x) - \mu_s))

    They add up to one, and may be negative. Of all affine rules that of :meth:`HScore.weights` is nearest to the
    indicators of the classes, each weighted by :math:`1/P_Y(y)`: its loss on the samples is :math:`g - 1 - 2H`.

    Attributes
    ----------
    classes : tuple, of length g
    v : ndarray, shape (g, k)
    mean : ndarray, shape (k,)
    prior : ndarray, shape (g,)
        Share of the samples in each class.
    """

    classes: tuple[Any, ...]
    v: NDArray[np.float64]
    mean: NDArray[np.float64]
    prior: NDArray[np.float64]

    def probabilities(self, features: Any) -> NDArray[np.float64]:
        """Of each class for each row of features of shape (n, k), shape (n, g)."""
        X = check.real(features, "features")
        if X.ndim != 2 or X.shape[1] != len(self.mean):
            raise ValueError(f"features have shape {X.shape}: give rows of {len(self.mean)} features")
        return self.prior * (1 + (X - self.mean) @ self.v.T)


class HScore(Moments):
    """Statistics from which the H-score follows, gathered in one pass, by batches and machines (D9, R14, X3).

    They are the :class:`~ufs.moments.Moments` of the samples, and what follows from them: taken in with
    :meth:`~ufs.moments.Moments.update`, put together with :meth:`~ufs.moments.Moments.merge`.

    Second moments hold the square of how far features are from dependent: a direction in which they vary by 1e-8 of
    their own spread is lost in the rounding of float64, and is left out. The class sums are not squared, and tell such
    a direction from features that do depend, as duplicates or one-hot columns, about which nothing needs to be said. So
    a RuntimeWarning comes with the first result of statistics that leave out a direction along which the class means
    differ by more than rounding, or whose rounding may change H by more than a millionth of it.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> labels = rng.integers(3, size=300)
    >>> features = rng.standard_normal((300, 2)) + labels[:, None]
    >>> one, other = HScore(), HScore()
    >>> one.update(features[:100], labels[:100]).n
    100
    >>> whole = one.merge(other.update(features[100:], labels[100:]))
    >>> round(whole.score(), 10) == round(h_score(features, labels), 10)
    True
    >>> whole.rank, sorted(whole.classes), round(whole.null_level, 4)
    (2, [0, 1, 2], 0.0067)
    """

    def __init__(self) -> None:
        super().__init__()
        self._solved: tuple[int, Solution] | None = None

    def score(self) -> float:
        """One-sided H-score of all samples seen, in nats (D9).

        Raises
        ------
        ValueError
            If there is no sample, or a feature is so large or so small that its square leaves the range of float64.
        """
        return 0.5 * float(self._solution().squares.sum())

    @property
    def correlations(self) -> NDArray[np.float64]:
        """Canonical correlations of features and classes, descending, shape (min(rank, classes - 1),)."""
        return np.sqrt(self._solution().squares)

    @property
    def rank(self) -> int:
        """Number of linearly independent features that vary, as far as their second moments in float64 tell."""
        return self._solution().rank

    @property
    def effective_dimension(self) -> float:
        r"""Participation ratio :math:`(\operatorname{tr} R)^2 / \lVert R \rVert_F^2` of the correlation matrix R.

        k for k uncorrelated features, 1 for k copies of one; 0 where no feature varies.
        """
        R = equilibrated(self)[0]
        return len(R) ** 2 / (len(R) + 2 * self._library.squares_below_diagonal(R)) if len(R) else 0.0

    @property
    def null_level(self) -> float:
        r"""Mean H-score after a random permutation of the labels, :math:`r (g - 1) / (2 (n - 1))`, exactly (R14).

        r is the rank, g the number of classes.

        Raises
        ------
        ValueError
            If there are fewer than two samples.
        """
        if self.n < 2:
            raise ValueError(f"there are {self.n} samples: a permutation needs two at least")
        return self.rank * (len(self.classes) - 1) / (2 * (self.n - 1))

    def corrected(self, parameters: float | None = None) -> float:
        r"""H-score less what is due to chance or to fitting (R14); it may be negative.

        Parameters
        ----------
        parameters : float, optional
            Without it, H less its mean under permutation of the labels, :attr:`null_level`. Given a number p of fitted
            parameters, the paper's :math:`H_{\mathrm{AIC}} = H - p/n`. For a softmax layer alone p = k(g - 1), and
            p/n is twice the null level: the bias on the samples seen, and as much again for new ones.

        Raises
        ------
        ValueError
            As :meth:`score` and :attr:`null_level` do, and for a number of parameters that is negative or not finite.

        Examples
        --------
        >>> statistics = HScore().update([[0.0], [1.0], [0.0], [1.0]], [0, 1, 0, 0])
        >>> round(statistics.score(), 6), round(statistics.corrected(), 6), round(statistics.corrected(1), 6)
        (0.166667, 0.0, -0.083333)
        """
        if parameters is None:
            return self.score() - self.null_level
        if not 0 <= check.number(parameters) < np.inf:
            raise ValueError(f"parameters = {parameters!r}: it is a number of parameters, at least 0")
        return self.score() - parameters / self.n

    def rescaled(self) -> float:
        r"""H-score with chance taken to 0, and the largest value there is left where it is (R14); it may be negative.

        .. math:: M\, \frac{H - N}{M - N} , \qquad M = \tfrac12 \min(r, g - 1) , \quad N = \frac{r (g - 1)}{2 (n - 1)}

        Like H − N, the default of :meth:`corrected`, it has mean 0 under permutation of the labels. H − N makes too
        little of features that tell the classes well apart, for chance adds less to a score that is near its largest.
        For two classes it is half of the adjusted R² of regression; for more, every squared correlation is so adjusted.

        Raises
        ------
        ValueError
            As :meth:`score` and :attr:`null_level` do; and if the rank r or the number of classes g is so large for n
            samples that every labelling has the score M.

        Examples
        --------
        >>> statistics = HScore().update([[0.0], [1.0], [0.0], [1.0]], [0, 1, 0, 0])
        >>> round(statistics.rescaled(), 6)
        0.0
        >>> round(HScore().update([[0.0], [1.0], [0.0], [1.0]], [0, 1, 0, 1]).rescaled(), 6)
        0.5
        """
        level, most = self.null_level, min(self.rank, len(self.classes) - 1) / 2
        if most == 0:
            return 0.0
        if max(self.rank, len(self.classes) - 1) >= self.n - 1:
            raise ValueError(
                f"{self.n} samples have {self.rank} independent features and {len(self.classes)} classes: any labels "
                "would score the same; give more samples"
            )
        return most * (self.score() - level) / (most - level)

    def p_value(self) -> float:
        r"""Probability that independent features and labels score as much, by Pillai's F approximation (R13).

        .. math:: F = \frac{d_2}{d_1} \frac{2H}{m - 2H}, \qquad m = \min(r, q), \quad q = g - 1,
           \quad d_1 = r q, \quad d_2 = m (n - 1 - \max(r, q))

        with the rank r of the features in place of their number, is compared with the F distribution of :math:`d_1` and
        :math:`d_2` degrees of freedom: exact for normal features where r or q is 1, and near for others and many
        samples. For one label for two classes it is the F test of regression.

        Raises
        ------
        ValueError
            If no feature varies, there is one class, or the rank or the number of classes leaves no sample over.

        Notes
        -----
        Source: K. C. S. Pillai, "Some new test criteria in multivariate analysis", Ann. Math. Statist. 26 (1955)
        117-121.

        Examples
        --------
        >>> rng = np.random.default_rng(0)
        >>> labels = rng.integers(3, size=100)
        >>> features = rng.standard_normal((100, 4))
        >>> bool(HScore().update(features, labels).p_value() > 0.05)
        True
        >>> features[:, 0] += labels
        >>> bool(HScore().update(features, labels).p_value() < 1e-4)
        True
        """
        from scipy.stats import f

        r, q = self.rank, len(self.classes) - 1
        left = self.n - 1 - max(r, q)
        if min(r, q) == 0 or left < 1:
            raise ValueError(
                f"{self.n} samples have {r} independent features and {q + 1} classes: a test needs one feature that "
                "varies, two classes, and more samples than either"
            )
        m, explained = min(r, q), 2 * self.score()
        return float(f.sf(m * left / (r * q) * explained / max(m - explained, TINY), r * q, m * left))

    def weights(self) -> AffineRule:
        r"""The weights :math:`v^* = \Lambda_s^+ E[\tilde s \mid Y]` that reach the score, as an affine rule (R10, D9).

        Examples
        --------
        >>> rule = HScore().update([[0.0], [1.0], [0.0], [1.0]], ["a", "b", "a", "b"]).weights()
        >>> rule.classes, rule.v.round(12).T
        (('a', 'b'), array([[-2.,  2.]]))
        >>> rule.probabilities([[0.25], [0.5]]).round(12)
        array([[0.75, 0.25],
               [0.5 , 0.5 ]])
        """
        W, kept = self._solution().weights, that_vary(self)
        library, n = self._library, self._counts.sum()
        v = library.zeros(len(self._counts), self.width)
        v[:, kept] = (n * W.T / (self._counts**0.5)[:, None]) / (n**0.5 * spread_of(self)[kept])
        mean = self._shift + self._sums.sum(0) / n
        host = library.host
        return AffineRule(self.classes, host(v), host(mean), host(self._counts / n))

    def held_out(self, other: Moments) -> float:
        r"""Two-sided score :math:`H(s, \hat v)` on other samples of the weights that are best on these, in nats (D9).

        .. math:: H(s, \hat v) = E[\tilde s \cdot \hat v(Y)] - \tfrac12 \operatorname{tr}(\Lambda_s \Lambda_{\hat v})

        with the means and covariances of the other samples: at most their own H-score, and what the affine rule of
        :meth:`weights` is worth on them. It may be negative. Classes not seen here have the weight 0.

        Parameters
        ----------
        other : Moments
            Of other samples of the same features.

        Raises
        ------
        ValueError
            As :meth:`score` does, and if the other has no samples or another number of features.

        Examples
        --------
        >>> rng = np.random.default_rng(0)
        >>> y = rng.integers(2, size=400)
        >>> x = rng.standard_normal((400, 60)) + y[:, None] / 5
        >>> seen, new = HScore().update(x[:200], y[:200]), HScore().update(x[200:], y[200:])
        >>> bool(seen.held_out(new) < new.score()), bool(seen.held_out(seen) - seen.score() < 1e-12)
        (True, True)
        """
        if not isinstance(other, Moments):
            raise ValueError(f"a {type(other).__name__} is no HScore: make one with HScore().update(features, labels)")
        self._refuse_empty()
        other._refuse_empty()
        self._fits(other.width)
        rule, host = self.weights(), other._library.host
        row = {label: number for number, label in enumerate(rule.classes)}
        unseen = np.zeros(other.width)
        v = np.array([rule.v[row[label]] if label in row else unseen for label in other.classes])
        counts, sums = host(other._counts), host(other._sums)
        n, p = counts.sum(), counts / counts.sum()
        mean = sums.sum(0) / n
        gram = np.tril(host(other._gram))
        covariance = (gram + np.tril(gram, -1).T) / n - np.outer(mean, mean)
        v = v - p @ v
        between = (sums - counts[:, None] * mean) / n
        return float((between * v).sum() - ((p[:, None] * v) @ covariance * v).sum() / 2)

    def _solution(self) -> Solution:
        self._refuse_empty()
        if self._solved is None or self._solved[0] != self.n:  # whatever is taken in adds samples
            self._solved = self.n, solve(self)
            self._solved[1].warn()
        return self._solved[1]


def _standardised(X: Any) -> tuple[Any, Any]:
    """Columns that vary, centred and of length 1, and how much larger the numbers are that were given for them."""
    n, library = len(X), library_of(X)
    shift = library.shift(X, np.float64)
    _, x = next(library.blocks(X, shift, n, np.float64))
    x = x - x.mean(0)
    size = (x * x).sum(0) ** 0.5
    varies = (size > EPS * abs(shift)) & (size < LARGE)
    x, size = x[:, varies] / size[varies], size[varies]
    return x, 1 + n**0.5 * abs(shift[varies]) / size


def _span_everything(X: Any, eps: float) -> bool:
    """Whether the features tell all samples apart so clearly that each function of them is a combination of features.

    Then any labels have the largest score. Twice as many columns as samples, from all over, usually show it: the inner
    products of their samples have rank n - 1 whatever rounding has made of them.
    """
    n, k = X.shape
    x, given = _standardised(X[:, :: k // (2 * n)])
    if x.shape[1] < n - 1:
        return False
    values = library_of(X).eigenvalues(x @ x.T)
    noise = EPS * (25 + 2.5 * x.shape[1]) * values[-1]
    return bool(values[1 % n] > COUNTS * noise + (COUNTS * max(eps, EPS) * size_of(given)) ** 2)


def _of_few(X: Any, codes: Any, classes: int, eps: float) -> float:
    """The score of few samples: what directions in the space of samples, which features span, hold of the classes."""
    n, library = len(X), library_of(X)
    triangle, squares = library.zeros(0, n), 0.0
    for start in range(0, X.shape[1], 2 * n):
        x, given = _standardised(X[:, start : start + 2 * n])
        triangle, squares = library.triangle(library.stacked(triangle, x.T)), squares + size_of(given) ** 2
    size, span = library.singular_rows(triangle)
    rounding = EPS * (math.sqrt(n * X.shape[1]) + math.sqrt(squares))
    kept = size > rounding
    codes = library.indices(codes)
    C = library.class_sums(codes, span[kept].T, classes) / library.count(codes, classes)[:, None] ** 0.5
    score = min(float((C**2).sum()), classes - 1) / 2
    _warn_of_doubt(C[:, size[kept] < max(1 / TOLD, eps / EPS) * rounding], score)
    return score


def _warn_of_doubt(C: Any, score: float) -> None:
    """Tell where directions that rounding may have made hold a part of the score."""
    if float((C**2).sum()) / 2 > TOLD * score:
        warnings.warn(
            "the features are so nearly dependent that what tells them apart has lost digits by their rounding, and H "
            "with it; compute them from standardised or decorrelated numbers",
            RuntimeWarning,
            stacklevel=4,
        )


def _in_memory(statistics: Callable[..., HScore], eps: float) -> float:
    """The score of features of relative rounding eps; statistics(c, T) goes through them and is of (features - c) T.

    Second moments square the condition. Where that costs digits, they are formed anew from combinations of the features
    that hardly correlate, as far as the last ones tell: shifted Cholesky QR. The error becomes that of the product with
    T, as in a QR decomposition of the centred columns. T. Fukaya, R. Kannan, Y. Nakatsukasa, Y. Yamamoto,
    Y. Yanagisawa, SIAM J. Sci. Comput. 42 (2020) A477-A503.
    """
    h = statistics()
    solution = by_cholesky(h)
    if solution is not None and solution.exact(EXACT):
        return solution.score
    library, varies, spread, doubt = h._library, that_vary(h), spread_of(h), doubt_of(h)
    centre = h._shift + h._sums.sum(0) / h._counts.sum()
    T, h = library.array(np.eye(h.width))[:, varies], h._columns(varies)
    R = equilibrated(h)[0]
    for _ in range(ROUNDS):
        L = library.cholesky(R + COUNTS * noise_of(h) * library.array(np.eye(h.width)))
        T = library.solve(L, (T / spread_of(h)).T).T
        T = T[:, norms(T * doubt[:, None]).argsort()]  # what is rounding comes last, and enters nothing else
        h = statistics(centre, T)
        size, rounding, terms = spread_of(h), norms(T * doubt[:, None]), norms(T * spread[:, None])
        counts = (size > rounding) | (size > CANCELS * terms)
        doubtful = ((size < CANCELS * terms) & (size < max(1 / TOLD, eps / EPS) * rounding))[counts]
        T, h = T[:, counts], h._columns(counts)
        R, C, _ = equilibrated(h)
        if library.squares_below_diagonal(R) < WHITE:
            break
    score = solve(h).score
    _warn_of_doubt(C[doubtful], score)
    return score


def _in_single_precision(X: Any, classes: list[Hashable], codes: Any) -> float | None:
    """The score with products in single precision, or None where that is not worth it or not exact enough."""
    small = X.shape[0] * X.shape[1] ** 2 < SINGLE_FROM
    if small or not isinstance(X, np.ndarray) or X.dtype != np.float32 or _rounds_one_way(X):
        return None
    try:
        statistics = HScore()._absorb(X, classes, codes, dtype=np.float32)
        solution = by_cholesky(statistics, SINGLE_EPS)
    except ValueError:  # sums or squares beyond single precision; what is not finite is found again, in double
        return None
    if solution is None or bool((statistics._gram.diagonal() < len(X) * SINGLE_UNDERFLOW).any()):
        return None
    # independent errors E of size u in R move H by tr(E W Wᵀ)/2; over few samples the errors of sums average out less
    W = solution.weights * solution.inflation[:, None] ** 0.5
    u = SINGLE_EPS / 4 * (1 + 256 / len(X) ** 0.5)
    error = u * np.linalg.norm(W.T @ W if W.shape[1] < W.shape[0] else W @ W.T)
    return solution.score if solution.rank == X.shape[1] and error <= SINGLE_ERROR * solution.score else None


def _rounds_one_way(X: Any) -> bool:
    """Whether sums in single precision have more than random errors, as those of features that take few values."""
    library = Numpy()
    rows = X[:: max(1, len(X) // SINGLE_ROWS)]
    _, x = next(library.blocks(rows, library.shift(X, np.float32), len(rows), np.float32))
    with np.errstate(all="ignore"):  # what is not finite is refused with its place, soon
        squares = np.einsum("ij,ij->j", x, x, dtype=np.float64)
        error = abs(library.add_gram(library.zeros(*2 * x.shape[1:]), x).diagonal() - squares)
        return bool((error > SINGLE_SYSTEMATIC * squares).any())


# ---- batches, tables, blocks -----------------------------------------------------------------------------------------


def _of_batches(
    batches: Any, extractor: Callable[[Any], Any] | None, select: Callable[[Any], tuple[Any, Any]] | None
) -> HScore:
    named: Any = getattr(extractor, "named_modules", lambda: [("", extractor)])
    for name, part in named():
        if getattr(part, "training", False):
            where = f"{name} of the extractor" if name else "the extractor"
            raise ValueError(f"{where} is in training mode, where features are random: call eval() of the extractor")
    if not isinstance(batches, Iterable) or hasattr(batches, "dtype"):
        raise ValueError("labels are missing: give h_score(features, labels), or an iterable of such pairs")
    torch = sys.modules.get("torch")
    result = HScore()
    with torch.no_grad() if torch else nullcontext():
        for number, batch in enumerate(batches):
            pair = batch if select is None else select(batch)
            if not isinstance(pair, tuple | list) or len(pair) != 2:
                remedy = "labels may be missing; of other batches choose with select=lambda batch: (…, …)"
                raise ValueError(f"batch {number} is no pair (features, labels): {remedy}")
            inputs, labels = pair
            try:
                result.update(inputs if extractor is None else extractor(inputs), labels)
            except ValueError as error:
                raise ValueError(f"batch {number}: {error}") from error
    return result


def _centred(values: Any, p: Any) -> Any:
    """Values without their mean under p, a column."""
    rest = values - values[int(p.argmax())]  # exact where it cancels, so that what rare symbols add is not lost
    rest -= p.T @ rest
    return rest
