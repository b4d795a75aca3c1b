r"""Counts, class sums and second moments of features: what a score, or any second-order statistic, needs of samples."""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterable
from os import PathLike
from pathlib import Path
from typing import Any, Self
from zipfile import is_zipfile

import numpy as np
from numpy.typing import NDArray

from ufs import _checks as check
from ufs._backends import Library, Numpy, library_of
from ufs._samples import not_finite, samples

__all__ = ["Moments"]

CHUNK = 2**20  # features are centred and multiplied in blocks of about so many numbers, which stay in the cache
CONSTANT = 1e-13  # a column that varies by less than this share of its square about the shift is constant
FAR = 4  # squares about the shift, over those about the mean, from which the shift is moved
FORMAT = "ufs.HScore 1"


class Moments:
    """Mergeable statistics of features and labels, gathered in one pass, by batches and machines (D9).

    They are the number of samples and the sum of the features in each class, and the matrix of second moments, all
    about a shift that the first batch fixes, and that moves if others lie far from it: (g + k) k numbers, however many
    samples there are, summed in float64. The order of batches, and how they are split among parts that are merged,
    changes nothing but the last digits.

    Attributes
    ----------
    classes : tuple
        The classes seen so far, those of earlier batches first, as Python values.

    Examples
    --------
    >>> one, other = Moments(), Moments()
    >>> whole = one.update([[0.0], [1.0]], ["a", "b"]).merge(other.update([[3.0], [5.0]], ["b", "a"]))
    >>> whole.n, whole.classes, whole.counts.tolist()
    (4, ('a', 'b'), [2, 2])

    """

    def __init__(self) -> None:
        self._rows: dict[Hashable, int] = {}
        self._library: Library = Numpy()
        self._counts: Any = None
        self._sums: Any = None
        self._shift: Any = None
        self._gram: Any = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}(n={self.n}, features={self.width}, classes={len(self.classes)})"

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

    def update(self, features: Any, labels: Any) -> Self:
        """Take in a batch.

        Parameters
        ----------
        features : array_like or torch.Tensor, shape (n, k) or (n,)
            An empty batch changes nothing.
        labels : sequence or torch.Tensor, shape (n,)
            As for :func:`h_score`.

        Returns
        -------
        Moments
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
        in_place = len(X) <= block_of(X.shape[1], np.float64)
        if not in_place:
            return self.merge(type(self)()._absorb(X, classes, codes))
        return self._absorb(X, classes, codes)._recentre(before)

    def merge(self, other: Moments) -> Self:
        """Take in the statistics of other samples, which stay as they are.

        Parameters
        ----------
        other : Moments
            Its classes may be others, its shift may be another.

        Returns
        -------
        Moments
            Itself.

        Raises
        ------
        ValueError
            If the other has another number of features, or is none.
        """
        if not isinstance(other, Moments):
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
        self._sums, self._gram = about(target, self._counts, self._sums, self._shift, self._gram)
        sums, gram = about(target, counts, sums, shift, gram)
        self._shift, self._gram = target, self._gram + gram
        self._counts[rows] += counts
        self._sums[rows] += sums
        return self._recentre(before)

    def save(self, path: str | PathLike[str]) -> None:
        """Write the statistics to a file in numpy's .npz format, without pickle.

        Parameters
        ----------
        path : path-like
            Used as it is; an existing file is replaced once the new one is whole.

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
        target = Path(path).resolve()
        beside = target.with_name(f"{target.name}.{os.getpid()}.partial")
        try:
            with open(beside, "wb") as file:
                np.savez(
                    file,
                    format=np.array(FORMAT),
                    classes=classes,
                    counts=host(self._counts),
                    sums=host(self._sums),
                    shift=host(self._shift),
                    gram=host(self._gram),
                )
            beside.replace(target)
        finally:
            beside.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Self:
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
            except Exception as error:  # damage makes zipfile, zlib and numpy raise errors of many kinds
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
    ) -> Self:
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
        for start, x in library.blocks(X, shift, block_of(X.shape[1], dtype), dtype):
            if combined is not None:
                x = x @ combined
            sums = library.class_sums(codes[start : start + len(x)], x, len(classes))
            if not library.finite(sums):
                raise not_finite(X[start : start + len(x)], start, "features")
            total += sums
            gram = library.add_gram(gram, x)
        self._shift, self._gram = shift if combined is None else total[0] * 0, gram
        rows = self._index(classes, width)
        self._counts[rows] += library.count(codes, len(classes))
        self._sums[rows] += total
        return self

    def _columns(self, kept: Any) -> Self:
        """The statistics of some of the features."""
        if bool(kept.all()):
            return self
        result = type(self)()
        result._rows, result._library, result._counts = self._rows, self._library, self._counts
        result._sums, result._shift = self._sums[:, kept], self._shift[kept]
        result._gram = self._gram[kept][:, kept]
        return result

    def _recentre(self, before: int) -> Self:
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
            self._sums, self._gram = about(target, self._counts, self._sums, self._shift, self._gram)
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
            raise ValueError("there are no samples: give at least one")


def about(target: Any, counts: Any, sums: Any, shift: Any, gram: Any) -> tuple[Any, Any]:
    """Sums and second moments about another shift."""
    step = shift - target
    if not bool((step != 0).any()):
        return sums, gram
    half = sums.sum(0) + counts.sum() / 2 * step
    cross = half[:, None] * step
    return sums + counts[:, None] * step, gram + cross + cross.T


def block_of(width: int, dtype: Any) -> int:
    """Rows that are worked on at a time: enough to make the products worth their k² sums."""
    rows = max(CHUNK // width, min(2 * width, 4096), 1)
    return rows if dtype == np.float64 else 2 * rows
