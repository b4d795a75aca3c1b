"""Refusing bad input: every message says what is wrong, where, and what to do.

Imported as ``check``, so that a call reads as what it does: ``check.finite(h, "h")``.
"""

from __future__ import annotations

import math
from collections.abc import Sized
from numbers import Real
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array: TypeAlias = NDArray[np.float64]

SUM_TOLERANCE = 1e-9


def entries(good: NDArray[np.bool_], values: NDArray[np.generic], name: str, fault: str) -> None:
    """Refuse the first entry that is not good."""
    if not good.all():
        where = tuple(int(index) for index in np.argwhere(~good)[0])
        value = values[where]
        shown = value if isinstance(value, np.generic) else repr(value)
        raise ValueError(f"{name}[{', '.join(map(str, where))}] = {shown} {fault}")


def unmasked(values: Any, name: str) -> None:
    """Refuse what numpy.asarray would take from under a mask."""
    if np.ma.is_masked(values):
        where = ", ".join(map(str, np.argwhere(np.ma.getmaskarray(values))[0]))
        raise ValueError(f"{name}[{where}] is masked: give a value in its place, or leave it out")


def missing(value: Any) -> bool:
    """None, NaN, NaT, or the NA of pandas, which does not even say whether it equals itself."""
    try:
        return value is None or bool(value != value)
    except TypeError:
        return True


def real(values: ArrayLike, name: str) -> Array:
    """Real numbers in double precision; no copy of what is that already."""
    unmasked(values, name)
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise ValueError(f"{name} is no array: give rows of the same length ({error})") from error
    if array.dtype.kind == "O" and array.ndim > 0:
        numbers = np.array([_is_number(value) for value in array.flat], dtype=bool).reshape(array.shape)
        entries(numbers, array, name, "is no number: give a number in its place")
    else:
        real_type(array.dtype, name)
    return array.astype(float, copy=False)


def real_type(dtype: np.dtype[Any], name: str) -> None:
    if dtype.kind not in "biuf":
        raise ValueError(f"{name} is of type {dtype}: it must hold real numbers")


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
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


def total(mass: float, name: str, remedy: str = "divide it by its sum, if it holds counts or weights") -> None:
    if abs(mass - 1) > SUM_TOLERANCE:
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
        return float(value) if isinstance(value, Real) and not isinstance(value, bool) else math.nan
    except OverflowError:
        return math.nan


def integer(value: Any) -> int | None:
    """A setting as an int, and None if it is no integer; True is none, and 2.0 is none either."""
    return int(value) if isinstance(value, int | np.integer) and not isinstance(value, bool) else None


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
    total(values.sum(), name)
    return values


def distributions(**named: ArrayLike) -> list[Array]:
    """Distributions over the same alphabet, each named as the caller knows it."""
    checked = {name: distribution(p, name) for name, p in named.items()}
    same_shape("they must be over the same alphabet", **checked)
    return list(checked.values())


def reference(p0: ArrayLike, name: str = "p0") -> Array:
    """A distribution that is positive everywhere."""
    values = distribution(p0, name)
    entries(values > 0, values, name, "is not positive: drop the symbol, or take another reference")
    return values


def features(h: ArrayLike, symbols: int, of: str, name: str = "h") -> Array:
    """Features as the columns of a matrix, with one row for each symbol of a variable or distribution."""
    values = real(h, name)
    if values.ndim not in (1, 2) or len(values) != symbols or values.size == 0:
        raise ValueError(f"{name} has shape {values.shape}: it needs one row for each of the {symbols} symbols of {of}")
    return finite(values, name).reshape(symbols, -1)
