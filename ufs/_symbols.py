"""The symbols of a variable, from samples in any of the forms they come in.

What Python holds equal is one symbol: 1, 1.0 and True are one, 1 and "1" are two. So nothing is merged, or cut, by a
type that numpy would give to all of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import chain, count
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ufs import _checks as check
from ufs._backends import is_tensor

Symbols: TypeAlias = NDArray[Any]
Codes: TypeAlias = NDArray[np.intp]

MISSING = "is missing: leave out the samples that have no symbol"
CONTINUOUS = "is not an integer: bin a continuous variable first (numpy.digitize), or pass codes or strings"


def alphabet(samples: Any, name: str) -> tuple[Symbols, Codes]:
    """The symbols that occur, in order, and for each sample the index of its symbol."""
    symbols, codes = encode(samples, name)
    if codes.size == 0:
        raise ValueError(f"{name} is empty: a distribution needs at least one sample")
    if symbols.dtype != object:
        return symbols, codes
    try:
        order = sorted(range(len(symbols)), key=symbols.__getitem__)
    except TypeError as error:
        raise _without_order(symbols, codes, name, error) from None
    places = np.empty(len(order), np.intp)
    places[order] = np.arange(len(order))
    return symbols[order], places[codes]


def encode(samples: Any, name: str) -> tuple[Symbols, Codes]:
    """The symbols that occur, and for each sample the index of its symbol: objects as they appear, others in order."""
    values = column(samples, name)
    if values.dtype == object:
        return _hashed(values.tolist(), name)
    kind = values.dtype.kind
    if kind not in "biu":
        check.entries(values == values, values, name, MISSING)
    if kind == "f":
        check.entries(np.isfinite(values) & (values == np.floor(values)), values, name, CONTINUOUS)
        if float(np.abs(values).max(initial=0)) >= 2**63:
            return _hashed([int(value) for value in values], name)
        values = values.astype(np.int64)
    if values.dtype.kind in "iu" and values.size:
        low = values.min()
        if int(values.max()) - int(low) <= 4 * values.size:  # counting beats sorting
            offsets = np.subtract(values, low, dtype=np.intp)  # the type of the values may be too narrow for it
            present = np.bincount(offsets) > 0
            return np.flatnonzero(present).astype(values.dtype) + low, (np.cumsum(present) - 1)[offsets]
    return np.unique(values, return_inverse=True)


def column(samples: Any, name: str) -> Symbols:
    """Samples as an array of one axis: numbers or dates of one type, or Python objects."""
    if isinstance(samples, Sequence) and not isinstance(samples, str | bytes) and not hasattr(samples, "__array__"):
        return _listed(samples)
    if str(getattr(samples, "dtype", "")) in ("String", "Int128", "UInt128"):  # of polars, whose arrays lose some
        return _listed(samples.to_list())
    values = check.array(samples, name)
    if values.ndim != 1:
        array = name if hasattr(samples, "ravel") else f"numpy.asarray({name})"
        remedy = "give one symbol per sample, in a list or an array"
        if values.ndim == 2:
            remedy += f" ({array}.{'ravel()' if values.shape[1] == 1 else 'argmax(1), if its rows are one-hot'})"
        raise ValueError(f"{name} has shape {values.shape}: {remedy}")
    if values.dtype.kind in "biufcmM":
        return values
    symbols = values.tolist()
    nothing = getattr(values.dtype, "na_object", None)
    if isinstance(nothing, str):  # other objects show by themselves that they are no strings
        check.entries(np.array([symbol != nothing for symbol in symbols], bool), values, name, MISSING)
    return _listed(symbols)


def joined(columns: Sequence[Symbols]) -> Symbols:
    """Columns one after the other, as Python objects where no type of numpy holds the symbols of all exactly."""
    types = {values.dtype for values in columns}
    integers = all(dtype.kind in "biu" for dtype in types) and np.result_type(*types).kind in "iu"
    if len(types) == 1 or integers:
        return np.concatenate(columns)
    return _objects(list(chain.from_iterable(values.tolist() for values in columns)))


def as_labels(symbols: Symbols) -> tuple[Any, ...]:
    """The symbols as Python values; dates as numpy's own, since Python has none as fine as some of them."""
    return tuple(symbols if symbols.dtype.kind in "mM" else symbols.tolist())


def _listed(samples: Sequence[Any]) -> Symbols:
    """Samples of one type of numbers or dates as an array of that type: of two, one would be rounded to the other."""
    if len(samples) == 0 or not isinstance(samples[0], int | float | complex | np.generic):
        return _objects(samples)
    types = set(map(type, samples))
    exact = len(types) == 1 and issubclass(next(iter(types)), float | complex | np.number | np.bool_ | np.datetime64)
    if exact or types <= {bool, int}:
        values = np.asarray(samples)
        kind = values.dtype.kind
        if kind in "biu" or (exact and (kind in "fc" or {sample.dtype for sample in samples} == {values.dtype})):
            return values
    return _objects(samples)


def _objects(samples: Sequence[Any]) -> Symbols:
    return np.fromiter(samples, object, len(samples))


def _hashed(samples: list[Any], name: str) -> tuple[Symbols, Codes]:
    index: dict[Any, int] = defaultdict(count().__next__)
    try:
        codes = np.fromiter(map(index.__getitem__, samples), np.intp, len(samples))
    except TypeError as error:
        _refuse_what_is_no_symbol(samples, samples, name)
        raise ValueError(f"{name} holds values that cannot be told apart: {error}") from error
    _refuse_what_is_no_symbol(index, samples, name)
    symbols = (symbol.item() if isinstance(symbol, np.generic) else symbol for symbol in index)
    return _objects([int(symbol) if isinstance(symbol, float) else symbol for symbol in symbols]), codes


def _refuse_what_is_no_symbol(symbols: Iterable[Any], samples: list[Any], name: str) -> None:
    for symbol in symbols:
        fault = _fault(symbol)
        if fault:
            place = next(place for place, sample in enumerate(samples) if sample is symbol)
            raise ValueError(f"{name}[{place}] = {check.shown(symbol)} {fault}")


def _fault(symbol: Any) -> str | None:
    if check.missing(symbol):
        return MISSING
    if isinstance(symbol, float | np.floating) and not symbol.is_integer():
        return CONTINUOUS
    if isinstance(symbol, np.datetime64 | np.timedelta64):
        return f"is of type {symbol.dtype}, and other samples are not: give all as one array of that type"
    if is_tensor(symbol) or hasattr(symbol, "as_py"):
        return "is no Python value: give the tensor or array as a whole, or its tolist()"
    try:
        hash(symbol)
    except TypeError:
        return "is not hashable: give integers, strings or other hashable values (a tuple, not a list)"
    return None


def _without_order(symbols: Symbols, codes: Codes, name: str, error: TypeError) -> ValueError:
    """What is wrong with symbols that cannot be sorted: the first one that cannot be compared with that of sample 0."""
    first = symbols[0]
    for code, symbol in enumerate(symbols[1:], 1):
        try:
            sorted([first, symbol])
        except TypeError:
            return ValueError(
                f"{name}[0] = {first!r} and {name}[{(codes == code).argmax()}] = {symbol!r} have no order: give "
                "symbols of one type, strings for example"
            )
    return ValueError(f"{name} cannot be sorted ({error}): give symbols that have an order, strings for example")
