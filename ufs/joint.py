"""The joint distribution :math:`P_{XY}` of two finite variables, checked once, on entry."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from ufs import _checks as check
from ufs._symbols import alphabet, as_labels
from ufs.local import TINY, _kl_terms

__all__ = ["Joint"]

MUCH = 1e-3  # mass that may be left as a difference of sums: what it lacks in digits is rounding beside the information
DENSE_CELLS = 2**20  # a table of samples with fewer cells is stored dense, however few of them are filled


@dataclass(frozen=True, eq=False)
class Joint:
    r"""A joint probability mass function :math:`P_{XY}(x, y)` with positive marginals.

    Nothing is renormalised and nothing is dropped: a table that is not such a distribution is refused, with a
    message that says what is wrong, where, and what to do.

    Parameters
    ----------
    P : array_like, torch.Tensor, data frame or scipy.sparse array, shape (\|𝒳\|, \|𝒴\|)
        Probabilities, rows indexed by x and columns by y. Sparse input stays sparse (CSR). A data frame may be of
        pandas, polars or pyarrow.
    x_labels, y_labels : sequences of length \|𝒳\| and \|𝒴\|, optional
        The symbols' names, for messages and plots. By default a data frame's index (where it has one) and columns,
        else 0, 1, ….
    x_name, y_name : str, optional
        The variables' names. By default the names of a data frame's axes, else "X" and "Y".

    Attributes
    ----------
    px : ndarray, shape (\|𝒳\|,)
        Marginal distribution of X.
    py : ndarray, shape (\|𝒴\|,)
        Marginal distribution of Y.

    Raises
    ------
    ValueError
        If P is not two-dimensional or is empty; has a negative, NaN, infinite or masked entry, or one that is no real
        number; sums to something further than 1e-9 from 1; or has a row or column without mass. If the number of
        labels does not match.

    Examples
    --------
    A fair bit seen through a channel that flips one bit in ten:

    >>> joint = Joint([[0.45, 0.05], [0.05, 0.45]])
    >>> joint.px
    array([0.5, 0.5])
    >>> round(joint.mutual_information(), 6)
    0.368064
    >>> Joint([[0.5, 0.25], [0.5, 0.0]])
    Traceback (most recent call last):
        ...
    ValueError: P sums to 1.25, not 1: divide it by its sum, or use Joint.from_counts for a table of counts
    """

    P: Any
    x_labels: Sequence[Any] = None  # type: ignore[assignment]  # these four are filled in on entry
    y_labels: Sequence[Any] = None  # type: ignore[assignment]
    x_name: str = None  # type: ignore[assignment]
    y_name: str = None  # type: ignore[assignment]
    px: NDArray[np.float64] = field(init=False, repr=False)
    py: NDArray[np.float64] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        table = _float_table(self.P, "P")
        names = _names(self.P, table.shape, vars(self))
        _check_entries(table, "P", names)
        check.total(table, "P", "divide it by its sum, or use Joint.from_counts for a table of counts")
        px, py = (np.asarray(table.sum(axis=axis)).ravel() for axis in (1, 0))
        _check_marginal(px, names["x_name"], names["x_labels"], "row")
        _check_marginal(py, names["y_name"], names["y_labels"], "column")
        for array in (*((table.data, table.indices, table.indptr) if sp.issparse(table) else (table,)), px, py):
            array.flags.writeable = False
        for name, value in {"P": table, "px": px, "py": py, **names}.items():
            object.__setattr__(self, name, value)

    @classmethod
    def from_counts(cls, table: Any, **names: Any) -> Joint:
        r"""The empirical joint distribution of a contingency table.

        Parameters
        ----------
        table : array_like, torch.Tensor, data frame or scipy.sparse array, shape (\|𝒳\|, \|𝒴\|)
            Counts or other non-negative weights, rows indexed by x and columns by y.
        **names
            ``x_labels``, ``y_labels``, ``x_name``, ``y_name`` as for :class:`Joint`.

        Raises
        ------
        ValueError
            As :class:`Joint` does, and for a table without any counts.

        Examples
        --------
        >>> Joint.from_counts([[3, 1], [1, 3]]).P
        array([[0.375, 0.125],
               [0.125, 0.375]])
        """
        counts = _float_table(table, "the table")
        names |= _names(table, counts.shape, names)
        _check_entries(counts, "the table", names)
        with np.errstate(over="ignore"):
            total = counts.sum()
        if total == 0:
            raise ValueError("the table holds no counts: there is nothing to estimate a distribution from")
        if total == np.inf:
            raise ValueError("the table adds up to more than a double can hold: divide it by its largest entry")
        return cls(counts / total, **names)

    @classmethod
    def from_samples(cls, x: Any, y: Any, **names: Any) -> Joint:
        r"""The empirical joint distribution of paired samples.

        Parameters
        ----------
        x, y : sequence, array, tensor or series, shape (n,)
            Hashable symbols that Python can sort: integers, strings, booleans, dates, tuples. What Python holds equal
            is one symbol: 1, 1.0 and True are one, 1 and "1" are two. The alphabets are the symbols that occur, in
            sorted order, and become the labels. Samples are paired by position.
        **names
            ``x_name``, ``y_name`` as for :class:`Joint`.

        Raises
        ------
        ValueError
            For samples that are not one-dimensional, of different lengths or empty; for non-integer floats, as a
            continuous variable has no alphabet until it is binned; for missing ones (masked, None, NaN, NaT, NA, null),
            naming the first; for a mixture of types that has no common order; for two pandas series whose indices
            differ, as position and index then pair them differently.

        Examples
        --------
        >>> joint = Joint.from_samples(["a", "b", "a", "a"], [0, 1, 0, 1])
        >>> joint.x_labels, joint.y_labels
        (('a', 'b'), (0, 1))
        >>> joint.P
        array([[0.5 , 0.25],
               [0.  , 0.25]])
        """
        x_symbols, x_codes = alphabet(x, "x")
        y_symbols, y_codes = alphabet(y, "y")
        check.pairs(x, y)
        shape = (len(x_symbols), len(y_symbols))
        cells = shape[0] * shape[1]
        if cells <= max(DENSE_CELLS, 4 * len(x_codes)):
            table = np.bincount(x_codes * shape[1] + y_codes, minlength=cells).reshape(shape)
        else:
            table = sp.csr_array((np.ones(len(x_codes)), (x_codes, y_codes)), shape=shape)
        return cls.from_counts(table, x_labels=as_labels(x_symbols), y_labels=as_labels(y_symbols), **names)

    def mutual_information(self) -> float:
        r"""Mutual information :math:`I(X;Y) = D(P_{XY} \Vert P_X P_Y)`, in nats.

        For a dense and a sparse table alike it is a sum of terms that are not negative, right to about 1e-15 of I and
        of :math:`\sqrt I`, which is what the rounding of :math:`P_X P_Y` leaves. The product is taken with the mass of
        P, where that differs from 1 by rounding.

        Examples
        --------
        >>> Joint([[0.25, 0.25], [0.25, 0.25]]).mutual_information()
        0.0
        """
        px = self.px / self.px.sum()
        if not sp.issparse(self.P):
            return float(_information(self.P, px[:, None], self.py).sum())
        cells = self.P.tocoo()
        stored = float((px[cells.row] * self.py[cells.col]).sum())
        elsewhere = float(self.py.sum()) - stored  # what P_X P_Y puts on the cells that are not stored
        if elsewhere < MUCH:
            elsewhere = _unstored(self.P, px, self.py)
        return float(_information(cells.data, px[cells.row], self.py[cells.col]).sum()) + elsewhere

    def faded(self, share: float) -> Joint:
        r"""The same marginals and modes with every σ multiplied by a share: the way to independence.

        .. math:: P_X P_Y + t\, (P_{XY} - P_X P_Y)
                  = P_X P_Y \Bigl(1 + \sum_{i=1}^{K} t\, \sigma_i f_i g_i\Bigr)

        It is the distribution of the pair that is drawn from :math:`P_{XY}` with probability t, and otherwise from
        :math:`P_X P_Y`.

        Parameters
        ----------
        share : float
            The t of the formula, between 0 (independence) and 1 (the table itself).

        Raises
        ------
        ValueError
            For a share outside [0, 1], and for a sparse table, which would not stay so.

        Examples
        --------
        >>> Joint([[0.45, 0.05], [0.05, 0.45]]).faded(0.5).P
        array([[0.35, 0.15],
               [0.15, 0.35]])
        """
        if not 0 <= check.number(share) <= 1:
            raise ValueError(f"share = {share!r}: it must be between 0 (independence) and 1 (the table itself)")
        if sp.issparse(self.P):
            raise ValueError("a sparse table does not stay sparse when it fades: make it dense with P.toarray() first")
        share = float(share)
        independent = np.outer(self.px / self.px.sum(), self.py)  # with the mass of P where that is 1 but for rounding
        return replace(self, P=(1 - share) * independent + share * self.P)


def _information(p: NDArray[np.float64], px: NDArray[np.float64], py: NDArray[np.float64]) -> NDArray[np.float64]:
    """Terms of the divergence of p from px py, where this product is less than a double can hold too."""
    product = px * py
    terms = _kl_terms(p, product)
    lost = (product < TINY) & (p > 0)
    if lost.any():
        log_product = sum(np.log(np.broadcast_to(marginal, p.shape)[lost]) for marginal in (px, py))
        terms[lost] = p[lost] * (np.log(p[lost]) - log_product - 1) + product[lost]
    return terms


def _unstored(P: Any, px: NDArray[np.float64], py: NDArray[np.float64]) -> float:
    """Mass of px py on the cells that P does not store, as a sum of positive numbers.

    The columns between two stored ones are added up from sums over aligned blocks of 1, 2, 4, … columns, of which two
    of each size are enough.
    """
    P = P.sorted_indices()
    first = np.insert(P.indices + 1, P.indptr[:-1], 0)
    last = np.insert(P.indices, P.indptr[1:], P.shape[1])
    weight = np.repeat(px, np.diff(P.indptr) + 1)
    blocks, mass = py, 0.0
    while True:
        inside = first < last
        first, last, weight = first[inside], last[inside], weight[inside]
        if not first.size:
            return mass
        left, right = first % 2 == 1, last % 2 == 1
        mass += float(weight[left] @ blocks[first[left]]) + float(weight[right] @ blocks[last[right] - 1])
        first, last = (first + 1) // 2, last // 2
        blocks = np.add.reduceat(blocks, np.arange(0, blocks.size, 2))


def required(joint: Any) -> Joint:
    """The joint, or a refusal of what is none."""
    if not isinstance(joint, Joint):
        raise ValueError(f"a {type(joint).__name__} is no Joint: make one with Joint(P) or Joint.from_counts(table)")
    return joint


def _float_table(table: Any, name: str) -> Any:
    """A float64 copy of the table, as a plain array or in CSR form, with two non-empty axes."""
    values = table if sp.issparse(table) else check.real(table, name)
    check.axes(values, 2, name, "rows are indexed by x and columns by y")
    if sp.issparse(table):
        check.real_type(table.dtype, name)
        result = sp.csr_array(table.astype(float))  # first of all: duplicates may add up to more than their type holds
        result.sum_duplicates()
    else:
        result = values.copy()
    if 0 in result.shape:
        raise ValueError(f"{name} is empty: its shape is {result.shape}")
    return result


def _names(table: Any, shape: tuple[int, int], given: Mapping[str, Any]) -> dict[str, Any]:
    """Labels and names of both axes: the given ones, else those of a data frame, else 0, 1, … and X and Y."""
    axes = _axes(table)
    names: dict[str, Any] = {}
    for side, axis, size in zip("xy", axes, shape, strict=True):
        labels = given.get(f"{side}_labels")
        if labels is None:
            labels = range(size) if axis is None else axis
        if not isinstance(labels, Iterable) or isinstance(labels, set | frozenset):
            raise ValueError(f"{side}_labels is a {type(labels).__name__}: give the labels in order, in a list")
        labels = labels if isinstance(labels, range) else tuple(labels)
        if len(labels) != size:
            raise ValueError(f"{len(labels)} labels for the {size} symbols of {side.upper()}: give one label for each")
        found = (given.get(f"{side}_name"), getattr(axis, "name", None), side.upper())
        names |= {f"{side}_labels": labels, f"{side}_name": str(next(name for name in found if name is not None))}
    return names


def _axes(table: Any) -> tuple[Any, Any]:
    """The symbols of a data frame: of polars and of pyarrow it has columns and no index."""
    columns = getattr(table, "column_names", getattr(table, "columns", None))
    return None if columns is None else getattr(table, "index", None), columns


def _check_entries(table: Any, name: str, names: Mapping[str, Any]) -> None:
    """Refuse the first entry that is NaN, infinite or negative."""
    values = table.data if sp.issparse(table) else table
    bad = ~(np.isfinite(values) & (values >= 0))
    if not bad.any():
        return
    if sp.issparse(table):
        cells = table.tocoo()
        row, column = (int(index[bad][0]) for index in (cells.row, cells.col))
    else:
        row, column = (int(index) for index in np.argwhere(bad)[0])
    raise ValueError(
        f"{name} has the entry {table[row, column]} at row {row}, column {column} ({names['x_labels'][row]!r}, "
        f"{names['y_labels'][column]!r}): every entry must be finite and at least 0, and 0 where nothing was counted"
    )


def _check_marginal(marginal: NDArray[np.float64], name: str, labels: Sequence[Any], kind: str) -> None:
    """Refuse a symbol of probability zero, for which no conditional distribution exists."""
    empty = np.flatnonzero(marginal == 0)
    if empty.size:
        raise ValueError(
            f"{kind} {empty[0]} ({name} = {labels[empty[0]]!r}) has no mass: drop every empty "
            f"{kind} ({empty.size} in all), for no conditional distribution given such a symbol exists"
        )
