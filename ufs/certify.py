"""Certificates: the measured order of what a local formula leaves out, and the range in which it may be trusted."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ufs import _checks as check

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Certificate", "certificate_table", "certify", "remainder_order", "valid_range"]

SPREAD = 1e-9  # of the ε of a measurement: over less, rounding of the logarithms decides the slope


@dataclass(frozen=True)
class Certificate:
    r"""What was measured of one local approximation (R16).

    Attributes
    ----------
    result : str
        The result the approximation comes from, as "R1" or "Theorem 1.2".
    order : float
        Exponent p of the power law :math:`|\text{exact} - \text{local}| \approx C \epsilon^p` fitted to the remainder.
    range : float
        Largest measured ε up to which the local value stays within ``within`` of the exact one; nan if nowhere.
    within : float
        The relative error meant by ``range``.
    eps : tuple of float
        Smallest and largest ε of the measurement.

    Raises
    ------
    ValueError
        If ``within`` is not a positive number, ``order`` or ``range`` no number of its kind, or ``eps`` no such pair.
    """

    result: str
    order: float
    range: float
    within: float
    eps: tuple[float, float]

    def __post_init__(self) -> None:
        _relative_error(self.within)
        if not math.isfinite(check.number(self.order)):
            raise ValueError(f"order = {self.order!r}: it must be a finite number")
        if len(eps := check.epsilons(self.eps)) != 2 or eps[0] > eps[1]:
            raise ValueError(f"eps = {self.eps!r}: give the smallest and the largest ε of the measurement")
        nowhere = isinstance(self.range, Real) and self.range != self.range
        if not (nowhere or eps[0] <= check.number(self.range) <= eps[1]):
            raise ValueError(f"range = {self.range!r}: it must be one of the ε, or nan where there is none")


def remainder_order(remainder: ArrayLike, eps: ArrayLike) -> float:
    r"""Order p of a remainder that behaves as :math:`C \epsilon^p`: the slope of log \|remainder\| against log ε.

    Parameters
    ----------
    remainder : array_like, shape (n,)
        Differences between exact and local values; their signs do not matter.
    eps : array_like, shape (n,)
        The positive values of ε at which they were measured. The largest exceeds the smallest by a share of 1e-9 at
        least.

    Raises
    ------
    ValueError
        For shapes that differ, a number that is not finite, an ε that is not positive, no two ε further apart
        than by rounding, and a remainder that is zero: its logarithm says nothing, and the fit would.

    Examples
    --------
    >>> eps = np.geomspace(1e-3, 1e-1, 9)
    >>> round(remainder_order(np.cos(eps) - (1 - eps**2 / 2), eps), 2)
    4.0
    """
    remainder, eps = _measured(remainder=remainder, eps=eps)
    zero = np.flatnonzero(remainder == 0)
    if zero.size:
        raise ValueError(
            f"the remainder at eps[{zero[0]}] = {eps[zero[0]]:g} is 0: it has no order there; "
            "start the range of ε higher, where the remainder stands above rounding"
        )
    logarithms = np.log(eps)
    if np.ptp(logarithms) < SPREAD:
        raise ValueError(
            f"eps runs from {eps.min()} to {eps.max()}: an order needs at least two different values of ε, further "
            f"apart than rounding, by a share of {SPREAD:g}"
        )
    return float(np.polynomial.Polynomial.fit(logarithms, np.log(np.abs(remainder)), 1).convert().coef[1])


def valid_range(local: ArrayLike, exact: ArrayLike, eps: ArrayLike, within: float = 0.1) -> float:
    r"""Largest ε such that up to it every local value lies within a relative error of the exact one.

    Parameters
    ----------
    local, exact : array_like, shape (n,)
    eps : array_like, shape (n,)
        In any order. Of several values at one ε all have to be good.
    within : float
        Tolerated relative error \|local - exact\| / \|exact\|.

    Returns
    -------
    float
        One of the given ε, and nan if the local value fails already at the smallest.

    Raises
    ------
    ValueError
        For shapes that differ, no measurement, a number that is not finite, an ε that is not positive, and a ``within``
        that is not a positive number.

    Examples
    --------
    >>> eps = np.linspace(0.1, 2, 20)
    >>> round(valid_range(eps, np.sin(eps), eps), 1)
    0.7
    """
    _relative_error(within)
    local, exact, eps = _measured(local=local, exact=exact, eps=eps)
    scale = -np.frexp(np.maximum(np.abs(local), np.abs(exact)))[
        1
    ]  # powers of two: nothing overflows, nothing is rounded
    local, exact = np.ldexp(local, scale), np.ldexp(exact, scale)
    good = np.abs(local - exact) <= within * np.abs(exact)
    before_failure = eps[eps < eps[~good].min(initial=math.inf)]
    return float(before_failure.max()) if before_failure.size else math.nan


def certify(result: str, local: ArrayLike, exact: ArrayLike, eps: ArrayLike, within: float = 0.1) -> Certificate:
    """Measure order and range of one local approximation.

    Parameters
    ----------
    result : str
        The result that the approximation comes from.
    local, exact, eps : array_like, shape (n,)
        Local and exact values at each ε.
    within : float
        Relative error of the range.

    Raises
    ------
    ValueError
        As :func:`remainder_order` for exact - local, and :func:`valid_range`.

    Examples
    --------
    >>> eps = np.geomspace(1e-3, 1, 31)
    >>> c = certify("sine", eps, np.sin(eps), eps)
    >>> round(c.order, 1), round(c.range, 2)
    (3.0, 0.63)
    """
    local, exact, eps = _measured(local=local, exact=exact, eps=eps)
    return Certificate(
        result,
        remainder_order(exact / 2 - local / 2, eps),  # halves: their difference is always finite
        valid_range(local, exact, eps, within),
        within,
        (float(eps.min()), float(eps.max())),
    )


def certificate_table(certificates: Iterable[Certificate]) -> pd.DataFrame:
    """The certificates as a table, one row each, rounded to digits that another machine reproduces.

    Parameters
    ----------
    certificates : iterable of Certificate
        At least one, all with the same ``within``.

    Returns
    -------
    pandas.DataFrame
        Indexed by the results.

    Raises
    ------
    ValueError
        Without certificates, for what is none, and for ranges that mean different errors.

    Examples
    --------
    >>> certificate_table([Certificate("sine", 2.9987, 0.6310, 0.1, (0.001, 1.0))])
            measured order within 10 % up to ε = measured on ε =
    result
    sine               3.0                  0.63       0.001 to 1
    """
    import pandas as pd

    if not isinstance(certificates, Iterable):
        raise ValueError(f"certificates = {certificates!r}: give one or more of them in a list")
    certificates = list(certificates)
    for i, certificate in enumerate(certificates):
        if not isinstance(certificate, Certificate):
            raise ValueError(f"certificates[{i}] = {certificate!r} is no Certificate: make one with certify")
    if len({c.within for c in certificates}) != 1:
        errors = ", ".join(f"{c.within:g}" for c in certificates) or "none"
        raise ValueError(f"the relative errors of the ranges are {errors}: a table needs certificates, all with one")
    rows = [
        {
            "result": c.result,
            "measured order": round(c.order, 1) + 0.0,  # no -0.0
            f"within {100 * c.within:g} % up to ε =": f"{c.range:.2g}" + (" or more" if c.range == c.eps[1] else ""),
            "measured on ε =": f"{c.eps[0]:.3g} to {c.eps[1]:.3g}",
        }
        for c in certificates
    ]
    return pd.DataFrame(rows).set_index("result")


def _relative_error(within: float) -> None:
    if not 0 < check.number(within) < math.inf:
        raise ValueError(f"within = {within!r}: a relative error must be a positive number; write 0.1 for 10 %")


def _measured(eps: ArrayLike, **named: ArrayLike) -> list[NDArray[np.float64]]:
    """Rows of values, named as in the call, and as the last of them the ε at which they were measured."""
    for name, values in named.items():
        check.aligned(values, eps, name, "eps")
    rows = {name: check.finite(values, name) for name, values in named.items()}
    rows["eps"] = check.epsilons(eps)
    check.same_shape("give one value for each ε", **rows)
    return list(rows.values())
