"""Features and labels in any of the forms they come in: as a matrix, and the index of the class of each row."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any

import numpy as np
import scipy.sparse as sp

from ufs import _checks as check
from ufs._backends import is_tensor, library_of
from ufs.joint import _encode

REMEDY = "labels are integers, strings or other hashable values; bin a continuous variable first (numpy.digitize)"


def samples(features: Any, labels: Any) -> tuple[Any, list[Hashable], Any]:
    """Features as a matrix, the classes that occur, and for each row the index of its class."""
    X = matrix(features, "features")
    classes, codes = classes_of(labels)
    if len(codes) != len(X):
        raise ValueError(f"there are {len(X)} samples and {len(codes)} labels: give one label for each sample")
    return X, classes, codes


def matrix(features: Any, name: str) -> Any:
    """Real numbers as an array or tensor of two axes; nothing is copied that is one already."""
    if sp.issparse(features) or (is_tensor(features) and str(features.layout) != "torch.strided"):
        raise ValueError(f"{name} is sparse, and centred it is not: give dense batches of rows, one after the other")
    if is_tensor(features):
        values = features.detach()
        real = not values.is_complex()
    else:
        check.unmasked(features, name)
        values = np.asarray(features)
        real = values.dtype.kind in "fiub"
    if not real or values.ndim not in (1, 2):
        raise ValueError(
            f"{name} has {values.ndim} axes of {values.dtype}: it needs real numbers, one row per sample and one "
            "column per feature (average or flatten the axes of an image)"
        )
    if values.ndim == 2 and values.shape[1] == 0:
        raise ValueError(f"{name} has shape {tuple(values.shape)}: it needs one feature at least")
    return values.reshape(len(values), -1) if values.ndim == 1 else values


def classes_of(labels: Any) -> tuple[list[Hashable], Any]:
    """The classes that occur, as Python values, and for each sample the index of its class."""
    check.unmasked(labels, "labels")
    values = labels if is_tensor(labels) or isinstance(labels, list | tuple) else np.asarray(labels)
    axes = getattr(values, "ndim", 1)
    if axes != 1:
        raise ValueError(
            f"labels have {axes} axes, not 1: give one class per sample, in a list or an array (argmax(1) of one-hot "
            "rows)"
        )
    if is_tensor(labels):
        symbols, codes = labels.detach().unique(return_inverse=True)
        return _plain(symbols.tolist()), codes
    if len(values) == 0:
        return [], np.zeros(0, np.intp)
    if isinstance(values, np.ndarray) and values.dtype != object:
        symbols, codes = _encode(values, "labels")
        return _plain(symbols.tolist()), codes
    index: dict[Any, int] = {}
    try:
        codes = np.array([index.setdefault(label, len(index)) for label in values], dtype=np.intp)
    except TypeError as error:
        raise ValueError(f"a label is not hashable ({error}): {REMEDY}") from error
    return _plain(index), codes


def _plain(symbols: Iterable[Any]) -> list[Hashable]:
    """The classes as Python values, so that those of two batches compare equal."""
    result = []
    for symbol in symbols:
        value = symbol.item() if isinstance(symbol, np.generic) else symbol
        if check.missing(value):
            raise ValueError(f"{symbol!r} is no class: leave out the samples whose label is missing")
        fractional = isinstance(value, float) and not value.is_integer()
        if fractional or hasattr(value, "dtype"):
            raise ValueError(f"{symbol!r} is no class: {REMEDY}")
        result.append(int(value) if isinstance(value, float) else value)
    return result


def not_finite(block: Any, start: int, name: str) -> ValueError:
    """What is wrong with a block of features whose sums are not finite: the first bad row and column."""
    library = library_of(block)
    where = library.first_not_finite(block)
    if where is None:
        return ValueError(f"{name} from row {start} on are too large: their sums exceed the range; divide them")
    row, column = where
    return ValueError(
        f"{name}[{start + row}, {column}] = {float(block[row, column])} is not finite: give a number in its place, "
        "or leave the sample out"
    )
