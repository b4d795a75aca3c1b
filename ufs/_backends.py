"""What numpy on the host and torch on a device do not write alike, under one set of names.

Which of them works on features is decided by the features. Torch is never imported here: a tensor has done that.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import scipy.sparse as sp
from scipy.linalg import blas, eigh, lapack, solve_triangular

EXACT_INTEGERS = 2.0**52  # below it floats hold every integer
SAMPLE = 256  # rows that fix the provisional shift


def is_tensor(values: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(values, torch.Tensor)


def library_of(values: Any) -> Library:
    return Torch(values.device) if is_tensor(values) else Numpy()


@dataclass(frozen=True)
class Numpy:
    """Arrays on the host. Of second moments and correlations only the lower triangle is meant."""

    def zeros(self, *shape: int) -> Any:
        return np.zeros(shape, order="F" if shape[0] == shape[-1] else "C")

    def array(self, values: Any) -> Any:
        return Torch(values.device).host(values) if is_tensor(values) else np.asarray(values, dtype=float)

    def host(self, values: Any) -> Any:
        return values

    def indices(self, codes: Any) -> Any:
        return codes.cpu().numpy() if is_tensor(codes) else np.asarray(codes, dtype=np.intp)

    def eps(self, values: Any) -> float:
        return float(np.finfo(values.dtype).eps) if values.dtype.kind == "f" else 0.0

    def stacked(self, above: Any, below: Any) -> Any:
        return np.concatenate([above, below])

    def beside(self, left: Any, right: Any) -> Any:
        both = np.empty((len(left), left.shape[1] + right.shape[1]), order="F")
        both[:, : left.shape[1]], both[:, left.shape[1] :] = left, right
        return both

    def finite(self, values: Any) -> bool:
        return bool(np.isfinite(values).all())

    def first_not_finite(self, values: Any) -> tuple[int, ...] | None:
        return next((tuple(map(int, where)) for where in np.argwhere(~np.isfinite(values))), None)

    def shift(self, X: Any, dtype: Any) -> Any:
        sample = X[:: max(1, len(X) // SAMPLE)].astype(np.float64)
        with np.errstate(all="ignore"):  # what is not finite is refused with its place, soon
            return _round_shift(np, sample[0], sample - sample[0]).astype(dtype).astype(np.float64)

    def rounded(self, values: Any, spread: Any) -> Any:
        return _rounded(np, values, spread)

    def blocks(self, X: Any, shift: Any, rows: int, dtype: Any) -> Iterator[tuple[int, Any]]:
        """The centred rows, always in the same memory."""
        buffer = np.empty((min(rows, len(X)), X.shape[1]), dtype)
        shift = shift.astype(dtype)
        for start in range(0, len(X), rows):
            block, out = X[start : start + rows], buffer[: min(rows, len(X) - start)]
            with np.errstate(invalid="ignore", over="ignore"):
                np.subtract(block, shift, out=out, dtype=dtype)
                if block.dtype.kind in "iu" and _beyond_floats(shift, out):
                    whole = np.array(_wrapped(shift), np.int64)
                    _put_digits(out, block.astype(np.int64) - whole + (np.floor(shift) - shift))
                yield start, out

    def count(self, codes: Any, classes: int) -> Any:
        return np.bincount(codes, minlength=classes).astype(float)

    def class_sums(self, codes: Any, x: Any, classes: int) -> Any:
        one_hot = (np.ones(len(x), x.dtype), codes, np.arange(len(x) + 1))
        return sp.csc_array(one_hot, shape=(classes, len(x))) @ x

    def add_gram(self, gram: Any, x: Any) -> Any:
        if x.dtype == np.float64:
            return blas.dsyrk(1.0, x.T, beta=1.0, c=gram, overwrite_c=1, lower=1)
        gram += blas.ssyrk(1.0, x.T, lower=1)
        return gram

    def triangle(self, x: Any) -> Any:
        return np.linalg.qr(x, mode="r")

    def singular_rows(self, x: Any) -> Any:
        """Singular values, and the vectors on the side of the columns."""
        return np.linalg.svd(x, full_matrices=False)[1:]

    def cholesky(self, R: Any) -> Any:
        L, failed = lapack.dpotrf(R, lower=1, clean=0, overwrite_a=1)
        return None if failed else L

    def solve(self, L: Any, right: Any, transposed: bool = False, overwrite: bool = False) -> Any:
        return solve_triangular(L, right, lower=True, trans=int(transposed), overwrite_b=overwrite, check_finite=False)

    def eigenpairs(self, R: Any) -> Any:
        return eigh(R, lower=True, check_finite=False)

    def eigenvalues(self, symmetric: Any) -> Any:
        return np.linalg.eigvalsh(symmetric)

    def squares_below_diagonal(self, R: Any) -> float:
        return float((np.tril(R, -1) ** 2).sum())


@dataclass(frozen=True)
class Torch:
    """Tensors on one device. Always in double precision: single may mean ten bits on a GPU."""

    device: Any

    @property
    def torch(self) -> Any:
        return sys.modules["torch"]

    def zeros(self, *shape: int) -> Any:
        return self.torch.zeros(shape, dtype=self.torch.float64, device=self.device)

    def array(self, values: Any) -> Any:
        make = self.torch.as_tensor if is_tensor(values) else self.torch.tensor  # an array may be read-only
        return make(values, dtype=self.torch.float64, device=self.device)

    def host(self, values: Any) -> Any:
        return values.detach().cpu().numpy()

    def double(self, values: Any) -> Any:
        return values.to(self.torch.float64)

    def indices(self, codes: Any) -> Any:
        return self.torch.as_tensor(codes, dtype=self.torch.int64, device=self.device)

    def eps(self, values: Any) -> float:
        return float(self.torch.finfo(values.dtype).eps) if values.is_floating_point() else 0.0

    def stacked(self, above: Any, below: Any) -> Any:
        return self.torch.cat([above, below])

    def beside(self, left: Any, right: Any) -> Any:
        return self.torch.cat([left, right], dim=1)

    def finite(self, values: Any) -> bool:
        return bool(values.isfinite().all())

    def first_not_finite(self, values: Any) -> tuple[int, ...] | None:
        found = (~values.isfinite()).nonzero()
        return tuple(map(int, found[0])) if len(found) else None

    def shift(self, X: Any, _: Any) -> Any:
        sample = self.double(X[:: max(1, len(X) // SAMPLE)])
        shift = self.zeros(X.shape[1])
        shift.copy_(_round_shift(self.torch, sample[0], sample - sample[0]))  # what copy_ returns may be of a subclass
        return shift

    def rounded(self, values: Any, spread: Any) -> Any:
        return _rounded(self.torch, values, spread)

    def blocks(self, X: Any, shift: Any, rows: int, _: Any) -> Iterator[tuple[int, Any]]:
        for start in range(0, len(X), rows):
            block = X[start : start + rows]
            out = self.double(block) - shift
            if not block.is_floating_point() and _beyond_floats(shift, out):
                whole = self.torch.tensor(_wrapped(shift), dtype=self.torch.int64, device=self.device)
                _put_digits(out, block.to(self.torch.int64) - whole + (shift.floor() - shift))
            yield start, out

    def count(self, codes: Any, classes: int) -> Any:
        return self.double(codes.bincount(minlength=classes))

    def class_sums(self, codes: Any, x: Any, classes: int) -> Any:
        sums = self.zeros(classes, x.shape[1])
        sums.index_add_(0, codes, x)  # a result that is used again would have the type of a tensor's subclass
        return sums

    def add_gram(self, gram: Any, x: Any) -> Any:
        gram.addmm_(x.T, x)  # returned itself, as above
        return gram

    def triangle(self, x: Any) -> Any:
        return self.torch.linalg.qr(x, mode="r").R

    def singular_rows(self, x: Any) -> Any:
        return self.torch.linalg.svd(x, full_matrices=False)[1:]

    def cholesky(self, R: Any) -> Any:
        L, failed = self.torch.linalg.cholesky_ex(R)
        return None if bool(failed) else L

    def solve(self, L: Any, right: Any, transposed: bool = False, overwrite: bool = False) -> Any:
        return self.torch.linalg.solve_triangular(L.T if transposed else L, right, upper=transposed)

    def eigenpairs(self, R: Any) -> Any:
        return self.torch.linalg.eigh(R)

    def eigenvalues(self, symmetric: Any) -> Any:
        return np.array(self.torch.linalg.eigvalsh(symmetric).tolist())

    def squares_below_diagonal(self, R: Any) -> float:
        return float((R.tril(-1) ** 2).sum())


Library: TypeAlias = Numpy | Torch


def _wrapped(shift: Any) -> list[int]:
    """The whole part of a shift in 64 bits, as integers of these types are subtracted."""
    return [(math.floor(value) + 2**63) % 2**64 - 2**63 if math.isfinite(value) else 0 for value in shift.tolist()]


def _beyond_floats(shift: Any, difference: Any) -> bool:
    """Whether there are integers so large that as floats they lose digits of their difference from the shift."""
    return bool((abs(shift) > EXACT_INTEGERS).any() or (abs(difference) > EXACT_INTEGERS).any())


def _put_digits(difference: Any, exact: Any) -> None:
    """Differences of 64-bit integers where these hold them; a larger one has its leading digits as a float."""
    held = abs(difference) < EXACT_INTEGERS
    difference[held] = exact[held]


def _round_shift(library: Any, first: Any, others: Any) -> Any:
    """Near the mean: exact for a constant column."""
    shift = first + others.mean(0)
    spread = abs(first + others - shift).mean(0)
    return library.where(spread > 0, _rounded(library, shift, spread), first)


def _rounded(library: Any, values: Any, spread: Any) -> Any:
    """In steps of about a tenth of the spread.

    Features that take few values, as the zero of a rectifier, then have few digits after the shift as well, and their
    sums are exact. Else each of them is rounded the same way, and the errors add up.
    """
    step = 2.0 ** library.floor(library.log2(spread / 8))
    return library.round(values / step) * step
