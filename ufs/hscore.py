r"""The H-score: how much of Y the best softmax layer can get out of given features, to leading order."""

from __future__ import annotations

import math
import sys
import warnings
from collections.abc import Callable, Hashable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from os import PathLike
from typing import Any
from zipfile import BadZipFile, is_zipfile

import numpy as np
from numpy.typing import NDArray

from ufs import _checks as check
from ufs._backends import Library, Numpy, library_of
from ufs._samples import matrix, not_finite, samples
from ufs.dtm import _normalised, dtm
from ufs.joint import Joint
from ufs.local import _orthonormal

__all__ = ["HScore", "h_score", "h_score_pair"]

CHUNK = 2**20  # features are centred and multiplied in blocks of about so many numbers, which stay in the cache
CONSTANT = 1e-13  # a column that varies by less than this share of its square about the shift is constant
FAR = 4  # squares about the shift, over those about the mean, from which the shift is moved
UNDERFLOW = np.finfo(float).tiny / np.finfo(float).eps  # squares that are smaller have fewer digits, or none
EPS = float(np.finfo(np.float64).eps)
SINGLE_EPS = float(np.finfo(np.float32).eps)
SINGLE_UNDERFLOW = float(np.finfo(np.float32).tiny / np.finfo(np.float32).eps)
SINGLE_FROM = 2**30  # multiplications from which single precision is worth a try
SINGLE_ROWS = 1024  # rows whose sums of squares tell whether rounding errors add up the same way
SINGLE_SYSTEMATIC = 8 * SINGLE_EPS  # relative error of such a sum, from which they do
SINGLE_ERROR = 1e-7  # estimated relative error up to which its outcome is kept
PROBES = 4  # random vectors that tell how near to singular a matrix is
COUNTS = 4  # eigenvalue, over what rounding can make of it, from which a direction counts
EXACT = 1e-9  # relative error up to which second moments are trusted while the features are at hand
TOLD = 1e-6  # relative error from which the user is told
ROUNDS = 6  # times that features are combined anew
WHITE = 0.1  # sum of the squared correlations below which combinations hardly correlate
CANCELS = 1e-4  # size of a combination, over that of its terms, below which it may be their rounding and no more
FORMAT = "ufs.HScore 1"


def h_score(features: Any, labels: Any = None, *, extractor: Callable[[Any], Any] | None = None) -> float:
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
        return _of_batches(features, extractor).score()
    if extractor is not None:
        raise ValueError("an extractor works on batches (inputs, labels): give an iterable of them, and no labels")
    if isinstance(labels, Joint):
        check.in_order(features, labels.x_labels, "X", "features")
        X = check.features(matrix(features, "features"), labels.x_labels, "X", "features")
        return float(np.sum((dtm(labels) @ _orthonormal(X, labels.px, "features")) ** 2)) / 2
    X, classes, codes = samples(features, labels)
    if len(X) == 0:
        raise ValueError("there are no samples: the H-score needs at least one")
    tried = _in_single_precision(X, classes, codes)
    if tried is not None:
        return tried
    return _in_memory(lambda *basis: HScore()._absorb(X, classes, codes, *basis), library_of(X).eps(X))


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
    F, G = library.double(F), library.double(G)
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


class HScore:
    """Statistics from which the H-score follows, gathered in one pass, by batches and machines (D9, R14, X3).

    They are the number of samples and the sum of the features in each class, and the matrix of second moments, all
    about a shift that the first batch fixes, and that moves if others lie far from it: (g + k) k numbers, however many
    samples there are, summed in float64. The order of batches, and how they are split among parts that are merged,
    changes nothing but the last digits.

    Second moments hold the square of how far features are from dependent: a direction in which they vary by 1e-8 of
    their own spread is lost in the rounding of float64, and is left out. The class sums are not squared, and tell such
    a direction from features that do depend, as duplicates or one-hot columns, about which nothing needs to be said. So
    a RuntimeWarning comes with the first result of statistics that leave out a direction along which the class means
    differ by more than rounding, or whose rounding may change H by more than a millionth of it.

    Attributes
    ----------
    classes : tuple
        The classes seen so far, those of earlier batches first, as Python values.

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
        self._rows: dict[Hashable, int] = {}
        self._library: Library = Numpy()
        self._counts: Any = None
        self._sums: Any = None
        self._shift: Any = None
        self._gram: Any = None
        self._solved: _Solution | None = None

    def __repr__(self) -> str:
        return f"HScore(n={self.n}, features={self.width}, classes={len(self.classes)})"

    @property
    def n(self) -> int:
        """Number of samples seen."""
        return 0 if self._counts is None else round(float(self._counts.sum()))

    @property
    def width(self) -> int:
        """Number k of features; 0 before the first batch."""
        return 0 if self._shift is None else len(self._shift)

    @property
    def classes(self) -> tuple[Any, ...]:
        return tuple(self._rows)

    @property
    def counts(self) -> NDArray[np.int64]:
        """Number of samples in each of the classes."""
        return np.array([] if self._counts is None else self._counts.tolist(), dtype=float).round().astype(np.int64)

    def update(self, features: Any, labels: Any) -> HScore:
        """Take in a batch.

        Parameters
        ----------
        features : array_like or torch.Tensor, shape (n, k) or (n,)
            An empty batch changes nothing.
        labels : sequence or torch.Tensor, shape (n,)
            As for :func:`h_score`.

        Returns
        -------
        HScore
            Itself.

        Raises
        ------
        ValueError
            As :func:`h_score` does, and for another number of features than before. The statistics then are as if the
            batch had not been there.
        """
        X, classes, codes = samples(features, labels)
        if len(X) == 0:
            return self
        self._fits(X.shape[1])
        before = self.n
        # a batch of one block is refused before it changes anything; of several, not all may be good
        in_place = len(X) <= _block(X.shape[1], np.float64)
        if not in_place:
            return self.merge(HScore()._absorb(X, classes, codes))
        return self._absorb(X, classes, codes)._recentre(before)

    def merge(self, other: HScore) -> HScore:
        """Take in the statistics of other samples, which stay as they are.

        Parameters
        ----------
        other : HScore
            Its classes may be others, its shift may be another.

        Returns
        -------
        HScore
            Itself.

        Raises
        ------
        ValueError
            If the other has another number of features, or is no HScore.
        """
        if not isinstance(other, HScore):
            raise ValueError(f"a {type(other).__name__} is no HScore: make one with HScore().update(features, labels)")
        if other._shift is None:
            return self
        self._fits(other.width)
        if self._shift is None:
            self._library, self._rows = other._library, dict(other._rows)
            arrays = (other._counts, other._sums, other._shift, other._gram)
            self._counts, self._sums, self._shift, self._gram = (each + 0 for each in arrays)
            return self
        before = self.n
        put = self._library.array
        counts, sums, shift, gram = map(put, (other._counts, other._sums, other._shift, other._gram))
        rows = self._index(other.classes, other.width)
        # squares about a shift that few samples agreed on would lose digits
        target = self._shift if bool(self._counts.sum() >= counts.sum()) else shift
        self._sums, self._gram = _about(target, self._counts, self._sums, self._shift, self._gram)
        sums, gram = _about(target, counts, sums, shift, gram)
        self._shift, self._gram = target, self._gram + gram
        self._counts[rows] += counts
        self._sums[rows] += sums
        self._solved = None
        return self._recentre(before)

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
        R = _equilibrated(self)[0]
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

    def save(self, path: str | PathLike[str]) -> None:
        """Write the statistics to a file in numpy's .npz format, without pickle.

        Parameters
        ----------
        path : path-like
            Used as it is; an existing file is replaced.

        Raises
        ------
        ValueError
            If there is no sample, or the classes are neither all integers nor all strings nor all booleans.
        """
        self._refuse_empty()
        classes = np.array(self.classes) if len({type(c) for c in self.classes}) == 1 else np.array(None)
        if classes.dtype.kind not in "biuU" or classes.tolist() != list(self.classes):
            raise ValueError(
                f"classes such as {next(iter(self.classes))!r} cannot be saved without pickle: use labels that are all "
                "strings (that do not end in NUL), or all integers of one type of numpy"
            )
        host = self._library.host
        with open(path, "wb") as file:
            np.savez(
                file,
                format=np.array(FORMAT),
                classes=classes,
                counts=host(self._counts),
                sums=host(self._sums),
                shift=host(self._shift),
                gram=host(self._gram),
            )

    @classmethod
    def load(cls, path: str | PathLike[str]) -> HScore:
        """Read statistics that :meth:`save` has written. Nothing in the file is executed.

        Raises
        ------
        ValueError
            If the file holds something else, or is damaged.
        """
        with open(path, "rb") as file:
            if not is_zipfile(file):
                raise ValueError(f"{path} is no .npz file: HScore.save writes one")
            file.seek(0)
            try:
                with np.load(file, allow_pickle=False) as arrays:
                    found = dict(arrays)
            except (BadZipFile, ValueError) as error:
                raise ValueError(f"{path} is damaged: {error}") from error
        if found.get("format", np.array(None)).tolist() != FORMAT:
            raise ValueError(f"{path} holds no statistics of the H-score: HScore.save writes them")
        missing = {"classes", "counts", "sums", "shift", "gram"} - found.keys()
        if missing:
            raise ValueError(f"{path} is damaged: it has no {', '.join(sorted(missing))}")
        self = cls()
        arrays = {
            key: check.real(found[key], f"{path} is damaged: {key}") for key in ("counts", "sums", "shift", "gram")
        }
        self._counts, self._sums, self._shift, self._gram = arrays.values()
        self._gram = np.asfortranarray(self._gram)
        self._rows = {label: row for row, label in enumerate(found["classes"].ravel().tolist())}
        g, k = len(self._rows), self._shift.size
        shapes = [found["classes"].shape, *(values.shape for values in arrays.values())]
        if shapes != [(g,), (g,), (g, k), (k,), (k, k)] or found["classes"].dtype.kind not in "biuU":
            raise ValueError(f"{path} is damaged: its arrays do not fit together")
        if not (self._counts >= 1).all():
            raise ValueError(f"{path} is damaged: it holds classes without samples")
        return self

    def _fits(self, width: int) -> None:
        if self._shift is not None and width != self.width:
            raise ValueError(f"a sample has {width} features here and {self.width} before: they must be the same ones")

    def _index(self, classes: Iterable[Hashable], width: int) -> Any:
        """Rows of the classes in the arrays, which grow by those not seen before."""
        rows = [self._rows.setdefault(label, len(self._rows)) for label in classes]
        if self._counts is None:
            self._counts, self._sums = self._library.zeros(0), self._library.zeros(0, width)
        new = len(self._rows) - len(self._counts)
        if new:
            grown = self._library.zeros(new), self._library.zeros(new, width)
            self._counts, self._sums = (
                self._library.stacked(old, zeros) for old, zeros in zip((self._counts, self._sums), grown, strict=True)
            )
        return self._library.indices(rows)

    def _absorb(
        self,
        X: Any,
        classes: list[Hashable],
        codes: Any,
        shift: Any = None,
        combined: Any = None,
        dtype: Any = np.float64,
    ) -> HScore:
        """Add samples, as blocks of rows: class sums by a sparse product, second moments by a rank-k update.

        With a shift, given to statistics that are empty, the features are (X - shift) times the matrix combined.
        """
        if self._library != library_of(X):
            self._move(library_of(X))
        library = self._library
        codes = library.indices(codes)
        width = X.shape[1] if combined is None else combined.shape[1]
        if shift is None:
            shift = self._shift if self._shift is not None else library.shift(X, dtype)
        gram = self._gram if self._gram is not None else library.zeros(width, width)
        total = library.zeros(len(classes), width)
        for start, x in library.blocks(X, shift, _block(X.shape[1], dtype), dtype):
            if combined is not None:
                x = x @ combined
            sums = library.class_sums(codes[start : start + len(x)], x, len(classes))
            if not library.finite(sums):
                raise not_finite(X[start : start + len(x)], start, "features")
            total += sums
            gram = library.add_gram(gram, x)
        self._shift, self._gram, self._solved = shift if combined is None else total[0] * 0, gram, None
        rows = self._index(classes, width)
        self._counts[rows] += library.count(codes, len(classes))
        self._sums[rows] += total
        return self

    def _columns(self, kept: Any) -> HScore:
        """The statistics of some of the features."""
        if bool(kept.all()):
            return self
        result = HScore()
        result._rows, result._library, result._counts = self._rows, self._library, self._counts
        result._sums, result._shift = self._sums[:, kept], self._shift[kept]
        result._gram = self._gram[kept][:, kept]
        return result

    def _recentre(self, before: int) -> HScore:
        """Move the shift into the cloud, where the first samples lay far from it.

        Whenever n passes a power of two: those that the shift was chosen for are then never few among all.
        """
        if self.n.bit_length() == before.bit_length():
            return self
        n, library = self._counts.sum(), self._library
        mean, moment = self._sums.sum(0) / n, self._gram.diagonal() / n
        if not library.finite(moment):  # told when the score is asked for
            return self
        variance = moment - mean * mean
        far = (moment > FAR * variance) & (variance > CONSTANT * moment)
        if bool(far.any()):
            target = self._shift + 0
            target[far] += library.rounded(mean[far], variance[far] ** 0.5)
            self._sums, self._gram = _about(target, self._counts, self._sums, self._shift, self._gram)
            self._shift = target
        return self

    def _move(self, library: Library) -> None:
        """The statistics, not the features, to another library or device."""
        if self._shift is not None:
            arrays = (self._counts, self._sums, self._shift, self._gram)
            self._counts, self._sums, self._shift, self._gram = (library.array(self._library.host(a)) for a in arrays)
        self._library = library

    def _refuse_empty(self) -> None:
        if self._shift is None:
            raise ValueError("there are no samples: the H-score needs at least one")

    def _solution(self) -> _Solution:
        self._refuse_empty()
        if self._solved is None:
            self._solved = _solve(self)
            self._solved.warn()
        return self._solved


# ---- from the statistics to the score --------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Solution:
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
        size = _size(self.weights * self.inflation[:, None] ** 0.5)
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


def _about(target: Any, counts: Any, sums: Any, shift: Any, gram: Any) -> tuple[Any, Any]:
    """Sums and second moments about another shift."""
    step = shift - target
    if not bool((step != 0).any()):
        return sums, gram
    half = sums.sum(0) + counts.sum() / 2 * step
    cross = half[:, None] * step
    return sums + counts[:, None] * step, gram + cross + cross.T


def _equilibrated(h: HScore) -> tuple[Any, Any, Any]:
    """Correlation matrix R of the features that vary, class means C scaled so that C Cᵀ is R's part between classes."""
    h = h._columns(_varies(h))
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


def _varies(h: HScore) -> Any:
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


def _noise(h: HScore, eps: float = EPS) -> float:
    """More than the norm of what rounding adds to the correlation matrix, however systematic it is."""
    return (25 + 2.5 * h.width) * _grows(h) * eps


def _grows(h: HScore) -> float:
    """How rounding errors of sums grow with the number of samples, as random ones do."""
    return 1 + math.sqrt(h.n) / 400


def _solve(h: HScore) -> _Solution:
    """Squared canonical correlations, from a root of R⁺ applied to C."""
    return _by_cholesky(h) or _by_eigenvalues(h)


def _by_cholesky(h: HScore, eps: float = EPS) -> _Solution | None:
    """None where R is singular to rounding."""
    library = h._library
    R, C, inflation = _equilibrated(h)
    (k, g), noise = C.shape, _noise(h, eps)
    if k == 0:
        return _Solution(np.zeros(0), 0, C, inflation, noise)
    L = library.cholesky(R)  # R is used up
    if L is None:
        return None
    probes = library.array(np.random.default_rng(0).standard_normal((k, PROBES)))
    M = library.solve(L, library.beside(C, probes), overwrite=True)
    weights = library.solve(L, M, transposed=True)
    if float((weights[:, g:] ** 2).sum()) > 1 / (COUNTS * noise) ** 2:
        return None
    return _Solution(_squares(library, M[:, :g]), k, weights[:, :g], inflation, noise)


def _by_eigenvalues(h: HScore) -> _Solution:
    """From the eigenvectors that count.

    R holds the square of how far features are from dependent, and C that itself: along the other eigenvectors C is
    rounding, to which an error E in R adds E W, if features depend, and is more if the classes differ there.
    """
    library = h._library
    R, C, inflation = _equilibrated(h)
    values, vectors = library.eigenpairs(R)
    noise, varying = _noise(h), h._columns(_varies(h))
    counts = values > COUNTS * noise
    root, hidden = vectors[:, counts] / values[counts] ** 0.5, vectors[:, ~counts]
    M = root.T @ C
    weights = root @ M
    doubt = _doubt(varying) / _spread(varying)
    rounding = _size(hidden * doubt[:, None]) + float(doubt.min()) * _size(weights)
    left_out = len(hidden.T) if _size(hidden.T @ C) > _grows(h) * rounding else 0
    return _Solution(_squares(library, M), len(M), weights, inflation, noise, left_out)


def _squares(library: Library, M: Any) -> NDArray[np.float64]:
    rank, g = M.shape
    between = library.eigenvalues(M.T @ M if g < rank else M @ M.T)[::-1][: min(rank, g - 1)]
    between = np.maximum(between, 0)
    within = np.maximum(1 - between, 0)  # total variance is 1; rounding must not make a part of it negative
    squares: NDArray[np.float64] = between / (between + within)
    return squares


def _in_memory(statistics: Callable[..., HScore], eps: float) -> float:
    """The score of features of relative rounding eps; statistics(c, T) goes through them and is of (features - c) T.

    Second moments square the condition. Where that costs digits, they are formed anew from combinations of the features
    that hardly correlate, as far as the last ones tell: shifted Cholesky QR. The error becomes that of the product with
    T, as in a QR decomposition of the centred columns. T. Fukaya, R. Kannan, Y. Nakatsukasa, Y. Yamamoto,
    Y. Yanagisawa, SIAM J. Sci. Comput. 42 (2020) A477-A503.
    """
    h = statistics()
    solution = _by_cholesky(h)
    if solution is not None and solution.exact(EXACT):
        return solution.score
    library, varies, spread, doubt = h._library, _varies(h), _spread(h), _doubt(h)
    centre = h._shift + h._sums.sum(0) / h._counts.sum()
    T, h = library.array(np.eye(h.width))[:, varies], h._columns(varies)
    R = _equilibrated(h)[0]
    for _ in range(ROUNDS):
        L = library.cholesky(R + COUNTS * _noise(h) * library.array(np.eye(h.width)))
        T = library.solve(L, (T / _spread(h)).T).T
        T = T[:, _norms(T * doubt[:, None]).argsort()]  # what is rounding comes last, and enters nothing else
        h = statistics(centre, T)
        size, rounding, terms = _spread(h), _norms(T * doubt[:, None]), _norms(T * spread[:, None])
        counts = (size > rounding) | (size > CANCELS * terms)
        doubtful = ((size < CANCELS * terms) & (size < max(1 / TOLD, eps / EPS) * rounding))[counts]
        T, h = T[:, counts], h._columns(counts)
        R, C, _ = _equilibrated(h)
        if library.squares_below_diagonal(R) < WHITE:
            break
    score = _solve(h).score
    if float((C[doubtful] ** 2).sum()) / 2 > TOLD * score:  # their part in the score
        warnings.warn(
            "the features are so nearly dependent that what tells them apart has lost digits by their rounding, and H "
            "with it; compute them from standardised or decorrelated numbers",
            RuntimeWarning,
            stacklevel=3,
        )
    return score


def _norms(columns: Any) -> Any:
    return (columns**2).sum(0) ** 0.5


def _size(values: Any) -> float:
    return math.sqrt(float((values**2).sum()))


def _doubt(h: HScore) -> Any:
    """What rounding may make of each feature, and of its share in a sum of products with all of them."""
    return EPS * (abs(h._shift + h._sums.sum(0) / h._counts.sum()) + (4 + h.width**0.5) * _spread(h))


def _spread(h: HScore) -> Any:
    """Standard deviations of the features."""
    n = h._counts.sum()
    return abs(h._gram.diagonal() / n - (h._sums.sum(0) / n) ** 2) ** 0.5


def _in_single_precision(X: Any, classes: list[Hashable], codes: Any) -> float | None:
    """The score with products in single precision, or None where that is not worth it or not exact enough."""
    small = X.shape[0] * X.shape[1] ** 2 < SINGLE_FROM
    if small or not isinstance(X, np.ndarray) or X.dtype != np.float32 or _rounds_one_way(X):
        return None
    try:
        statistics = HScore()._absorb(X, classes, codes, dtype=np.float32)
        solution = _by_cholesky(statistics, SINGLE_EPS)
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


def _of_batches(batches: Any, extractor: Callable[[Any], Any] | None) -> HScore:
    if getattr(extractor, "training", False):
        raise ValueError("the extractor is in training mode, where features are random: call its eval() first")
    if not isinstance(batches, Iterable) or hasattr(batches, "dtype"):
        raise ValueError("labels are missing: give h_score(features, labels), or an iterable of such pairs")
    torch = sys.modules.get("torch")
    result = HScore()
    with torch.no_grad() if torch else nullcontext():
        for number, batch in enumerate(batches):
            if not isinstance(batch, tuple | list) or len(batch) != 2:
                raise ValueError(f"batch {number} is no pair (features, labels): labels may be missing")
            inputs, labels = batch
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


def _block(width: int, dtype: Any) -> int:
    """Rows that are worked on at a time: enough to make the products worth their k² sums."""
    rows = max(CHUNK // width, min(2 * width, 4096), 1)
    return rows if dtype == np.float64 else 2 * rows
