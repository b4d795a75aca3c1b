"""Refusing bad input: every message says what is wrong, where, and what to do.

Imported as ``check``, so that a call reads as what it does: ``check.finite(h, "h")``.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence, Sized
from numbers import Real
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ufs._backends import is_tensor

Array: TypeAlias = NDArray[np.float64]

SUM_TOLERANCE = 1e-9
NARROW = 0.05  # further from 1 no sum of probabilities in single or half precision comes out


def entries(good: NDArray[np.bool_], values: NDArray[np.generic], name: str, fault: str) -> None:
    """Refuse the first entry that is not good."""
    if not good.all():
        where = tuple(int(index) for index in np.argwhere(~good)[0])
        raise ValueError(f"{name}[{', '.join(map(str, where))}] = {shown(values[where])} {fault}")


def shown(value: Any) -> str:
    """A value for a message, without the type that numpy prints beside it."""
    return str(value) if isinstance(value, np.generic) else repr(value)


def unmasked(values: Any, name: str) -> None:
    """Refuse what numpy.asarray would take from under a mask."""
    if np.ma.is_masked(values):
        where = np.argwhere(np.ma.getmaskarray(values))[0].tolist()
        raise ValueError(f"{name}{where or ''} is masked: give a value in its place, or leave it out")


def missing(value: Any) -> bool:
    """None, NaN, NaT, masked, the NA of pandas, which does not even say whether it equals itself; what holds one."""
    if isinstance(value, tuple | frozenset):
        return any(map(missing, value))
    try:
        return value is None or value is np.ma.masked or bool(value != value)
    except (TypeError, ArithmeticError):
        return True


def tensor(values: Any, name: str) -> None:
    """Refuse a tensor that does not hold one value for each of its places."""
    if values.is_meta:
        raise ValueError(f"{name} is on the device meta, where tensors hold no values: make it on another device")
    if values.is_nested:
        raise ValueError(f"{name} is nested: give rows of the same length, a tensor of that shape")
    if values.is_quantized:
        raise ValueError(f"{name} is quantized: call its dequantize()")
    if str(values.layout) != "torch.strided":
        raise ValueError(f"{name} is sparse: call its to_dense()")


def array(values: Any, name: str) -> NDArray[Any]:
    """What numpy makes of it; a tensor without its gradient, from whatever device, and exact."""
    unmasked(values, name)
    if hasattr(values, "collect"):
        raise ValueError(f"{name} is a {type(values).__name__}, which is not computed yet: call its collect()")
    if is_tensor(values):
        tensor(values, name)
        values = values.detach().cpu().resolve_conj().resolve_neg()
        return np.asarray(values.double() if values.is_floating_point() else values)  # numpy has no bfloat16
    if isinstance(values, Sequence) and any(map(_is_array, set(map(type, values)))):
        values = [array(row, f"{name}[{number}]") for number, row in enumerate(values)]
    try:
        return np.asarray(values)
    except ValueError as error:
        raise ValueError(f"{name} is no array: give rows of the same length ({error})") from error


def _is_array(kind: type) -> bool:
    return hasattr(kind, "__array__") and not issubclass(kind, np.generic)


def real(values: ArrayLike, name: str) -> Array:
    """Real numbers in double precision; no copy of what is that already."""
    found = array(values, name)
    if found.dtype.kind == "O" and found.ndim > 0:
        numbers = np.array([_is_number(value) for value in found.flat], dtype=bool).reshape(found.shape)
        remedy = "give a number in its place" + (", or leave its column out" if found.ndim == 2 else "")
        entries(numbers, found, name, f"is no number: {remedy}")
    else:
        real_type(found.dtype, name)
    if found.dtype.itemsize > 8:  # of a type longer than float, what is too large is infinite
        with np.errstate(over="ignore"):
            return found.astype(float)
    return found.astype(float, copy=False)


def real_type(dtype: np.dtype[Any], name: str) -> None:
    if dtype.kind not in "biuf":
        remedy = " (.real, abs or angle of these)" if dtype.kind == "c" else ""
        raise ValueError(f"{name} is of type {dtype}: it must hold real numbers{remedy}")


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError, OverflowError):
        return False
    return not isinstance(value, str | bytes)


def axes(values: NDArray[np.generic], count: int, name: str, remedy: str) -> None:
    if values.ndim != count:
        raise ValueError(f"{name} has {values.ndim} axes, not {count}: {remedy}")


def same_shape(remedy: str, **arrays: Array) -> None:
    """Refuse arrays, each named as the caller knows it, that do not have the shape of the first."""
    (first, one), *others = arrays.items()
    for name, other in others:
        if other.shape != one.shape:
            raise ValueError(f"{first} has shape {one.shape} and {name} {other.shape}: {remedy}")


def pairs(x: Sized, y: Sized) -> None:
    if len(x) != len(y):
        raise ValueError(f"x has {len(x)} samples and y has {len(y)}: they must be pairs")
    aligned(x, y, "x", "y")


def aligned(one: Any, other: Any, name: str, other_name: str) -> None:
    """Refuse rows that pandas would pair by label and numpy by position, where the two differ."""
    if not (_has_index(one) and _has_index(other)):
        return
    first, second = one.index, other.index
    if len(first) != len(second) or first.equals(second):
        return
    row = bisect_left(range(len(first)), True, key=lambda end: not first[: end + 1].equals(second[: end + 1]))
    same_labels = first.is_unique and second.is_unique and first.isin(second).all()
    by_index = f"by index, {other_name}.loc[{name}.index], or " if same_labels else ""
    raise ValueError(
        f"row {row} of {name} has the index {shown(first[row])} and that of {other_name} {shown(second[row])}: pair "
        f"them {by_index}by position, {other_name}.to_numpy()"
    )


def total(values: Any, name: str, remedy: str = "divide it by its sum, if it holds counts or weights") -> None:
    with np.errstate(over="ignore"):
        mass = values.sum()
    if not abs(mass - 1) <= SUM_TOLERANCE:
        if abs(mass - 1) < NARROW:
            remedy += "; if it is of single or half precision, convert it to double before that: .astype(float)"
        if mass == math.inf:
            remedy = f"divide it by its largest entry, and then {remedy}"
        raise ValueError(f"{name} sums to {mass:.12g}, not 1: {remedy}")


def eps(value: float) -> float:
    positive(eps=value)
    return float(value)


def epsilons(values: ArrayLike) -> Array:
    """The values of ε at which something was measured."""
    array = finite(values, "eps")
    axes(array, 1, "eps", "give one value for each measurement")
    if array.size == 0:
        raise ValueError("eps is empty: give at least one measurement")
    entries(array > 0, array, "eps", "is no ε: it must be positive")
    return array


def number(value: Any) -> float:
    """A setting as a float, and nan if it is no number: so every range refuses True, a string, an array and 10**400."""
    try:
        return float(value) if isinstance(value, Real) and not isinstance(value, bool | np.timedelta64) else math.nan
    except OverflowError:
        return math.nan


def integer(value: Any) -> int | None:
    """A setting as an int, and None if it is no integer; True is none, and 2.0 is none either."""
    # to numpy a duration is an integer
    return int(value) if isinstance(value, int | np.integer) and not isinstance(value, bool | np.timedelta64) else None


def counts(**settings: int) -> None:
    """Refuse a setting, named as the caller knows it, that is no integer of at least 1."""
    for name, value in settings.items():
        if not 1 <= (integer(value) or 0) < 2**63:
            raise ValueError(f"{name} = {value!r}: it must be an integer of at least 1, and fit into 64 bits")


def positive(**settings: float) -> None:
    """Refuse a setting, named as the caller knows it, that is no positive finite number."""
    for name, value in settings.items():
        if not 0 < number(value) < math.inf:
            raise ValueError(f"{name} = {value!r}: it must be a positive number")


def generator(seed: np.random.Generator | int, name: str) -> np.random.Generator:
    """A generator as it is, and of a seed a new one."""
    if not isinstance(seed, np.random.Generator) and (integer(seed) is None or seed < 0):
        raise ValueError(f"{name} = {seed!r}: it must be an integer of at least 0, or a numpy.random.Generator")
    return np.random.default_rng(seed)


def finite(values: ArrayLike, name: str, remedy: str = "give a number in its place") -> Array:
    array = real(values, name)
    entries(np.isfinite(array), array, name, f"is not finite: {remedy}")
    return array


def distribution(p: ArrayLike, name: str) -> Array:
    """A distribution over one alphabet, or over pairs."""
    values = real(p, name)
    if values.size == 0 or values.ndim == 0:
        raise ValueError(f"{name} has shape {values.shape}: a distribution needs a row of probabilities")
    entries(np.isfinite(values) & (values >= 0), values, name, "is no probability: it must be finite and at least 0")
    total(values, name)
    return values


def distributions(**named: ArrayLike) -> list[Array]:
    """Distributions over the same alphabet, each named as the caller knows it."""
    checked = {name: distribution(p, name) for name, p in named.items()}
    same_shape("they must be over the same alphabet", **checked)
    (first, one), *others = named.items()
    for name, other in others:
        aligned(one, other, first, name)
    return list(checked.values())


def reference(p0: ArrayLike, name: str = "p0") -> Array:
    """A distribution that is positive everywhere."""
    values = distribution(p0, name)
    entries(values > 0, values, name, "is not positive: drop the symbol, or take another reference")
    return values


def features(h: ArrayLike, symbols: Sequence[Any], of: str, name: str = "h") -> Array:
    """Features as the columns of a matrix, with one row for each symbol of a variable or distribution, in its order."""
    values = real(h, name)
    if values.ndim not in (1, 2) or len(values) != len(symbols) or values.size == 0:
        raise ValueError(
            f"{name} has shape {values.shape}: it needs one row for each of the {len(symbols)} symbols of {of}"
        )
    in_order(h, symbols, of, name)
    return finite(values, name).reshape(len(symbols), -1)


def symbols(p: Any, size: int) -> Sequence[Any]:
    """The symbols of a distribution: the labels of a pandas series, and of an array its positions."""
    return p.index if _has_index(p) else range(size)


def in_order(rows: Any, symbols: Sequence[Any], of: str, name: str) -> None:
    """Refuse pandas rows of which one has the label of another symbol; an index that only counts is no label."""
    if not _has_index(rows) or (type(rows.index).__name__ == "RangeIndex" and rows.index[:1].tolist() == [0]):
        return
    try:
        place = {symbol: number for number, symbol in enumerate(symbols)}
        places = [place.get(label, number) for number, label in enumerate(rows.index)]
    except TypeError:  # a symbol that cannot be hashed is no label of pandas
        return
    row = next((number for number, found in enumerate(places) if found != number), None)
    if row is not None:
        raise ValueError(
            f"row {row} of {name} has the label {shown(rows.index[row])}, which is symbol {places[row]} of {of}: put "
            f"its rows into the order of the symbols, {name}.loc[...] of their labels, or take {name}.to_numpy()"
        )


def _has_index(rows: Any) -> bool:
    return hasattr(getattr(rows, "index", None), "equals")
