"""The H-score and the joint distribution from data on many machines, by Dask or by ``torch.distributed``.

What crosses the network are statistics whose size does not grow with the number of samples. Imported by name. Dask is
an optional extra: ``pip install -e ".[distributed]"`` in the clone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Sized
from contextlib import contextmanager
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp

from ufs import _checks as check
from ufs._backends import Torch
from ufs._symbols import Symbols, alphabet, as_labels, column, joined
from ufs.hscore import HScore
from ufs.joint import DENSE_CELLS, Joint
from ufs.moments import about

__all__ = ["dask_joint", "dask_statistics", "torch_joint", "torch_statistics"]

FAN_IN = 8  # parts that are merged in one task, so that no worker ever holds many of them


def dask_statistics(features: Any, labels: Any) -> HScore:
    r"""Statistics of the H-score of a Dask collection, computed where its blocks are (D9).

    Parameters
    ----------
    features : dask.array.Array, shape (n, k); or sequence of dask.delayed.Delayed
        Delayed objects stand for the arrays of blocks of rows. Blocks may differ in length and may be empty.
    labels : dask.array.Array or array_like, shape (n,); or sequence of as many dask.delayed.Delayed
        As for :func:`~ufs.hscore.h_score`. Dask arrays of unknown chunk sizes are paired block by block.

    Returns
    -------
    HScore
        Merged from all blocks. The active ``dask.distributed.Client`` computes it, or else Dask's default scheduler;
        what a lost worker held is computed again.

    Raises
    ------
    ImportError
        If Dask is not installed.
    ValueError
        If features and labels do not match; as :meth:`~ufs.moments.Moments.update` does, naming the block.

    Examples
    --------
    >>> import dask.array as da
    >>> features, labels = da.from_array([[0.0], [1.0], [0.0], [1.0]], chunks=(2, 1)), np.array(["a", "b", "a", "a"])
    >>> round(dask_statistics(features, labels).score(), 12)
    0.166666666667
    """
    result: HScore = _tree(_statistics_of, _merged, _blocks(features, labels, "labels"))
    return result


def dask_joint(x: Any, y: Any) -> Joint:
    r"""The empirical joint distribution of paired samples in a Dask collection, as a sum of sparse counts.

    Parameters
    ----------
    x, y : dask.array.Array, shape (n,); or sequences of dask.delayed.Delayed
        Symbols, as for :meth:`~ufs.joint.Joint.from_samples`, and of one type in all blocks: integers of several
        types are one type.

    Returns
    -------
    Joint
        Sparse where the table is large. The cells that occur must fit into the memory of one machine; the table with
        its zeros, and the samples, need not.

    Raises
    ------
    ImportError
        If Dask is not installed.
    ValueError
        If x and y do not match; as :meth:`~ufs.joint.Joint.from_samples` does, naming the block; if the symbols of two
        blocks have no common order, naming both; if there is no sample.

    Examples
    --------
    >>> import dask.array as da
    >>> x, y = (da.from_array(side, chunks=2) for side in ([0, 1, 0, 0], [0, 1, 0, 1]))
    >>> dask_joint(x, y).P
    array([[0.5 , 0.25],
           [0.  , 0.25]])
    """
    return _joint(_tree(_counts_of, _added, _blocks(x, y, "y")))


def torch_statistics(statistics: HScore, group: Any = None) -> HScore:
    """Merge the statistics of all ranks of a ``torch.distributed`` process group, by all-reduce (D9).

    Parameters
    ----------
    statistics : HScore
        Those of this rank's samples, as they are or still empty. They stay as they are.
    group : torch.distributed.ProcessGroup, optional
        The default group, if none is given. Every rank of it must call.

    Returns
    -------
    HScore
        The same on every rank.

    Raises
    ------
    ValueError
        If there is no process group, or two ranks have different numbers of features.

    Notes
    -----
    Classes and shifts are exchanged as objects, which ``torch.distributed`` pickles: ranks have to trust each other.

    Examples
    --------
    A group of one rank; ``torchrun`` gives each process its own.

    >>> import torch.distributed as dist
    >>> dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    >>> own = HScore().update([[0.0], [1.0], [0.0], [1.0]], ["a", "b", "a", "a"])
    >>> round(torch_statistics(own).score(), 12)
    0.166666666667
    >>> dist.destroy_process_group()
    """
    dist = _process_group()
    library = statistics._library
    empty = statistics._shift is None
    own = (statistics.n, statistics.classes, None if empty else library.host(statistics._shift))
    ranks = [rank for rank in _gathered(dist, own, group) if rank[0]]
    if not ranks:
        return HScore()
    widths = sorted({len(shift) for _, _, shift in ranks})
    if len(widths) > 1:
        raise ValueError(f"ranks have {widths[0]} and {widths[1]} features: they must be the same ones")
    result = HScore()
    result._library = Torch(_device(dist, group))
    result._index((label for _, classes, _ in ranks for label in classes), widths[0])
    result._gram = result._library.zeros(widths[0], widths[0])
    # the shift of the most samples, as in HScore.merge
    result._shift = result._library.array(max(ranks, key=lambda rank: rank[0])[2])
    if not empty:
        part = HScore().merge(statistics)
        part._move(result._library)
        rows = result._index(part.classes, widths[0])
        sums, gram = about(result._shift, part._counts, part._sums, part._shift, part._gram)
        result._counts[rows], result._sums[rows] = part._counts, sums
        result._gram += gram
    for total in (result._counts, result._sums, result._gram):
        dist.all_reduce(total, group=group)
    result._move(library)
    return result


def torch_joint(x: Any, y: Any, group: Any = None) -> Joint:
    r"""The empirical joint distribution of the samples on all ranks of a ``torch.distributed`` process group.

    Parameters
    ----------
    x, y : array_like, shape (n,)
        This rank's samples, paired; n may differ from rank to rank and may be 0.
    group : torch.distributed.ProcessGroup, optional
        The default group, if none is given. Every rank of it must call.

    Returns
    -------
    Joint
        The same on every rank, sparse where the table is large.

    Raises
    ------
    ValueError
        If there is no process group; as :meth:`~ufs.joint.Joint.from_samples` does, on every rank and naming the one
        whose samples are at fault; if the symbols of two ranks have no common order.

    Examples
    --------
    >>> import torch.distributed as dist
    >>> dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    >>> torch_joint([0, 1, 0, 0], [0, 1, 0, 1]).P
    array([[0.5 , 0.25],
           [0.  , 0.25]])
    >>> dist.destroy_process_group()
    """
    dist = _process_group()
    own: Any
    try:
        own = _counts_of(f"rank {dist.get_rank(group)}", x, y)
    except ValueError as error:  # for every rank to raise: the others would wait for this one
        own = error
    parts = _gathered(dist, own, group)
    for part in parts:
        if isinstance(part, ValueError):
            raise part
    return _joint(_added(parts))


@contextmanager
def _naming(place: str) -> Iterator[None]:
    """Of bad input, say where it lies."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from None


# ---- parts of a table ------------------------------------------------------------------------------------------------


class _Part(NamedTuple):
    """The symbols that occur on each side, and the sparse table of their counts."""

    place: str  # of the first samples
    alphabets: tuple[Symbols, Symbols]
    table: Any


def _counts_of(place: str, x: Any, y: Any) -> _Part | None:
    """The counts of a block; None if it is empty."""
    with _naming(place):
        sides = column(x, "x"), column(y, "y")
        check.pairs(x, y)
        if len(sides[0]) == 0:
            return None
        (x_symbols, rows), (y_symbols, columns) = alphabet(sides[0], "x"), alphabet(sides[1], "y")
    table = _table(np.ones(len(rows)), rows, columns, (len(x_symbols), len(y_symbols)))
    return _Part(place, (x_symbols, y_symbols), table)


def _added(parts: Sequence[_Part | None]) -> _Part | None:
    """The sum of tables over the union of their alphabets."""
    found = [part for part in parts if part is not None]
    if not found:
        return None
    (x_symbols, rows), (y_symbols, columns) = _united(found, 0), _united(found, 1)
    counts = np.concatenate([part.table.data for part in found])
    table = _table(counts, rows, columns, (len(x_symbols), len(y_symbols)))
    return _Part(found[0].place, (x_symbols, y_symbols), table)


def _united(parts: Sequence[_Part], side: int) -> tuple[Any, Any]:
    """All symbols of one side, and for each stored cell the index of its symbol among them."""
    name, alphabets = "xy"[side], [part.alphabets[side] for part in parts]
    found = [f"{check.shown(symbols[0])} in {part.place}" for symbols, part in zip(alphabets, parts, strict=True)]
    for symbols, other in zip(alphabets, found, strict=True):
        if not _of_one_kind(alphabets[0], symbols):
            raise ValueError(f"{name} holds {found[0]} and {other}: give symbols of one type everywhere")
    union, inverse = alphabet(joined(alphabets), f"the union of {name}")
    places = np.split(inverse, np.cumsum([len(symbols) for symbols in alphabets])[:-1])
    cells = [place[part.table.coords[side]] for place, part in zip(places, parts, strict=True)]
    return union, np.concatenate(cells)


def _of_one_kind(one: Symbols, other: Symbols) -> bool:
    """Whether symbols have an order; that of numpy is wrong for dates of two units, durations or complex numbers."""
    if {one.dtype.kind, other.dtype.kind} & {"m", "M", "c"}:
        return one.dtype == other.dtype
    try:
        sorted([one[0], other[0]])
    except TypeError:
        return False
    return True


def _table(counts: Any, rows: Any, columns: Any, shape: tuple[int, int]) -> Any:
    table = sp.coo_array((counts, (rows, columns)), shape=shape)
    table.sum_duplicates()
    return table


def _joint(part: _Part | None) -> Joint:
    if part is None:
        raise ValueError("there are no samples: a distribution needs at least one")
    _, (x_symbols, y_symbols), table = part
    dense = table.shape[0] * table.shape[1] <= max(DENSE_CELLS, 4 * table.sum())
    labels = {"x_labels": as_labels(x_symbols), "y_labels": as_labels(y_symbols)}
    return Joint.from_counts(table.toarray() if dense else table, **labels)


# ---- Dask ------------------------------------------------------------------------------------------------------------


def _dask(module: str = "dask") -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise ImportError('Dask is not installed: pip install -e ".[distributed]" in the clone of this book') from error


def _blocks(one: Any, other: Any, name: str) -> list[tuple[Any, Any]]:
    """Pairs of delayed blocks of rows."""
    da = _dask("dask.array")
    if not isinstance(one, da.Array):
        if hasattr(one, "to_dask_array"):
            raise ValueError(f"a {type(one).__name__} of Dask is no array: call its to_dask_array()")
        if isinstance(other, da.Array) or not _paired(one, other):
            raise ValueError("delayed blocks must come in pairs: give two sequences of the same length")
        if hasattr(one, "dtype"):
            raise ValueError(f"a {type(one).__name__} has no blocks: make it a Dask array, dask.array.from_array")
        return list(zip(one, other, strict=True))
    if one.ndim == 0:
        raise ValueError("a Dask array of no axis holds no samples: give one of one axis or two")
    if one.ndim > 1:
        one = one.rechunk(dict.fromkeys(range(1, one.ndim), -1))
    rows = one.chunks[0]
    if not isinstance(other, da.Array):
        other = da.from_array(column(other, name), chunks=-1)
    if np.isnan(rows).any() or np.isnan(other.chunks[0]).any():
        if one.numblocks[0] != other.numblocks[0]:
            raise ValueError(
                f"there are {one.numblocks[0]} blocks and {other.numblocks[0]}, of unknown lengths: call "
                "compute_chunk_sizes() on the arrays first"
            )
    elif len(one) != len(other):
        raise ValueError(f"there are {len(one)} samples and {len(other)} labels: give one label for each sample")
    else:
        other = other.rechunk({0: rows} | dict.fromkeys(range(1, other.ndim), -1))
    return list(zip(one.to_delayed().ravel(), other.to_delayed().ravel(), strict=True))


def _paired(one: Any, other: Any) -> bool:
    return isinstance(one, Sized) and isinstance(other, Sized) and len(one) == len(other)


def _tree(part: Any, merged: Any, blocks: list[tuple[Any, Any]]) -> Any:
    """What all blocks give, merged a few at a time."""
    dask = _dask()
    read = dask.delayed(part, pure=False)
    parts = [read(f"block {number}", one, other) for number, (one, other) in enumerate(blocks)]
    join = dask.delayed(merged, pure=False)
    while len(parts) > 1:
        parts = [join(parts[start : start + FAN_IN]) for start in range(0, len(parts), FAN_IN)]
    return merged(dask.compute(*parts))


def _statistics_of(place: str, features: Any, labels: Any) -> HScore:
    with _naming(place):
        return HScore().update(features, labels)


def _merged(parts: Sequence[HScore]) -> HScore:
    result = HScore()  # the parts are Dask's, and stay as they are
    for part in parts:
        result.merge(part)
    return result


# ---- torch.distributed -----------------------------------------------------------------------------------------------


def _process_group() -> Any:
    dist = import_module("torch.distributed")
    if not (dist.is_available() and dist.is_initialized()):
        raise ValueError("there is no process group: call torch.distributed.init_process_group first")
    return dist


def _gathered(dist: Any, value: Any, group: Any) -> list[Any]:
    values = [None] * dist.get_world_size(group)
    dist.all_gather_object(values, value, group=group)
    return values


def _device(dist: Any, group: Any) -> Any:
    torch = import_module("torch")
    return (
        torch.device("cuda", torch.cuda.current_device()) if dist.get_backend(group) == "nccl" else torch.device("cpu")
    )
