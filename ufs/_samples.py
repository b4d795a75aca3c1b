"""Features and labels in any of the forms they come in: as a matrix, and the index of the class of each row."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
import scipy.sparse as sp

from ufs import _checks as check
from ufs._backends import is_tensor, library_of
from ufs._symbols import encode


def samples(features: Any, labels: Any) -> tuple[Any, list[Hashable], Any]:
    """Features as a matrix, the classes that occur, and for each row the index of its class."""
    X = matrix(features, "features")
    check.aligned(features, labels, "features", "labels")
    classes, codes = classes_of(labels)
    if len(codes) != len(X):
        raise ValueError(f"there are {len(X)} samples and {len(codes)} labels: give one label for each sample")
    return X, classes, codes


def matrix(features: Any, name: str) -> Any:
    """Real numbers as an array or tensor of two axes; nothing is copied that is one already."""
    if sp.issparse(features) or (is_tensor(features) and str(features.layout).startswith("torch.sparse")):
        raise ValueError(f"{name} is sparse, and centred it is not: give dense batches of rows, one after the other")
    if is_tensor(features):
        check.tensor(features, name)
        values = features.detach()
        if values.is_complex():
            raise ValueError(f"{name} is of type {values.dtype}: it must hold real numbers (.real, abs or angle)")
    else:
        values = check.array(features, name)
        if values.dtype == object:
            values = check.real(values, name)
        check.real_type(values.dtype, name)
    if values.ndim not in (1, 2):
        raise ValueError(
            f"{name} has {values.ndim} axes: it needs one row per sample and one column per feature (average or "
            "flatten the axes of an image)"
        )
    if values.ndim == 2 and values.shape[1] == 0:
        raise ValueError(f"{name} has shape {tuple(values.shape)}: it needs one feature at least")
    return values.reshape(len(values), -1) if values.ndim == 1 else values


def classes_of(labels: Any) -> tuple[list[Hashable], Any]:
    """The classes that occur, as Python values, and for each sample the index of its class."""
    if is_tensor(labels) and labels.ndim == 1 and not labels.is_floating_point() and not labels.is_complex():
        check.tensor(labels, "labels")
        symbols, codes = labels.detach().unique(return_inverse=True)
        return symbols.tolist(), codes
    symbols, codes = encode(labels, "labels")
    return [_date(symbol) for symbol in symbols] if symbols.dtype.kind in "mM" else symbols.tolist(), codes


def _date(symbol: Any) -> Hashable:
    """A date or a duration as Python's, so that those of two units agree; as numpy's, where only that is as fine."""
    value: Hashable = symbol.item()
    if isinstance(value, int) and np.datetime_data(symbol.dtype)[0] in ("ns", "ps", "fs", "as"):
        rounded = symbol.astype(f"{symbol.dtype.kind}8[us]")
        value = rounded.item() if rounded == symbol else value
    if isinstance(value, int):
        value = symbol
    return value


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
