r"""Universal feature selection: attributes that may point anywhere, and the features that serve all of them best.

An attribute V of X is seen through Y, V − X − Y, by k features of Y that were chosen before V was known. The module
draws rotation-invariant attributes (D8) and evaluates features by their averaged exponent (R6).
"""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ufs import _checks as check
from ufs.dtm import _reflect, _reflector, dtm
from ufs.inference import _proved, _solution
from ufs.joint import Joint
from ufs.local import _eps_within_simplex, _largest_eps, _normalised, _orthonormal, _reference_row

__all__ = ["attribute_exponents", "averaged_exponent", "captured", "largest_eps", "random_attribute", "rotate"]

Array: TypeAlias = NDArray[np.float64]

TOLERANCE = 1e-9  # of inner products that should be 0


def largest_eps(p0: ArrayLike) -> float:
    r"""Largest ε at which every information vector of length one still belongs to a distribution (D8).

    :math:`P_0 + \epsilon \sqrt{P_0}\,\phi` is non-negative for every unit vector :math:`\phi \perp \sqrt{P_0}` if and
    only if :math:`\epsilon \le \min_z \sqrt{P_0(z) / (1 - P_0(z))}`.

    Parameters
    ----------
    p0 : array_like, shape (n,)
        Reference distribution, positive, n ≥ 2.

    Raises
    ------
    ValueError
        If p0 is not such a distribution.

    Examples
    --------
    >>> largest_eps([0.5, 0.3, 0.2])
    0.5
    """
    return _largest_eps(_reference_row(p0))


def rotate(phi: ArrayLike, p0: ArrayLike, rng: np.random.Generator | int, draws: int | None = None) -> Array:
    r"""Turn a family of information vectors by one random rotation that fixes :math:`\sqrt{P_0}` (D8).

    The rotation is uniform (Haar) on the orthogonal maps of the hyperplane :math:`\sqrt{P_0}^\perp`, reflections
    included. All vectors of a family are turned by the same one: lengths and angles stay.

    Parameters
    ----------
    phi : array_like, shape (n,) or (m, n)
        One vector or a family of m, each perpendicular to :math:`\sqrt{P_0}`.
    p0 : array_like, shape (n,)
        Reference distribution, positive, n ≥ 2.
    rng : numpy.random.Generator or int
        The generator, or the seed of one.
    draws : int, optional
        Number of independent rotations of the family.

    Returns
    -------
    ndarray, shape of phi, or (draws, \*shape of phi)

    Raises
    ------
    ValueError
        If p0 is no positive distribution; if phi has another length, is not finite or not perpendicular to its root; if
        rng is no generator and no seed, or draws no positive integer.

    Notes
    -----
    Only the images of the family are computed: an orthonormal basis of its span is replaced by a uniform random frame,
    the Q of a QR decomposition of a Gaussian matrix with the signs of R's diagonal made positive. G. W. Stewart,
    SIAM J. Numer. Anal. 17 (1980) 403-409.

    Examples
    --------
    >>> p0 = [0.5, 0.25, 0.25]
    >>> phi = np.array([0, 1, -1]) / np.sqrt(2)
    >>> turned = rotate(phi, p0, rng=0, draws=1000)
    >>> bool(np.abs(turned @ np.sqrt(p0)).max() < 1e-12), bool(np.ptp(np.linalg.norm(turned, axis=1)) < 1e-12)
    (True, True)
    """
    p = _reference_row(p0)
    phi = check.finite(phi, "phi")
    family = np.atleast_2d(phi)
    if family.ndim != 2 or family.shape[1] != p.size:
        raise ValueError(f"phi has shape {phi.shape}: give vectors of length {p.size}, one in each row")
    size = float(np.abs(family).max()) or 1.0
    family = family / size
    worst = float(np.abs(family @ np.sqrt(p / p.sum())).max())
    if worst > TOLERANCE:
        raise ValueError(
            f"phi has inner product {worst * size:.3g} with the root of p0: an information vector has none; "
            "subtract its projection, or make it from a distribution with information_vector"
        )
    basis = _hyperplane(p)
    span, coordinates = np.linalg.qr(basis.T @ family.T)
    check.counts(draws=(count := 1 if draws is None else draws))
    frames = _frames(check.generator(rng, "rng"), count, *span.shape)
    turned: Array = size * np.swapaxes(basis @ frames @ coordinates, -1, -2)
    return turned.reshape(phi.shape if draws is None else (draws, *phi.shape))


def random_attribute(
    p0: ArrayLike, eps: float, rng: np.random.Generator | int, values: int = 2, draws: int | None = None
) -> Array:
    r"""Conditional distributions :math:`P_{X|V=v}` of a random rotation-invariant attribute V (D8).

    V takes its values with equal probability. Their information vectors have length one and form a regular simplex,
    :math:`\pm\phi` for two values, in a uniformly random position; so :math:`\lVert \phi_v - \phi_{v'} \rVert^2 =
    2m/(m - 1)` for each pair of the m values, and :math:`P_X` is the mean of the :math:`P_{X|V=v}`.

    Parameters
    ----------
    p0 : array_like, shape (n,)
        :math:`P_X`, positive, n ≥ 2.
    eps : float
        Above 0 and at most :func:`largest_eps` of p0, so that no conditional probability can be negative.
    rng : numpy.random.Generator or int
        The generator, or the seed of one.
    values : int
        Number m of values of V, 2 ≤ m ≤ n.
    draws : int, optional
        Number of independent attributes.

    Returns
    -------
    ndarray, shape (values, n), or (draws, values, n)

    Raises
    ------
    ValueError
        If p0 is no positive distribution; if eps or values is out of range; for rng and draws as :func:`rotate`.

    Examples
    --------
    >>> px_v = random_attribute([0.5, 0.3, 0.2], 0.2, rng=0)
    >>> px_v.shape, px_v.sum(axis=1).round(12), px_v.mean(axis=0).round(12)
    ((2, 3), array([1., 1.]), array([0.5, 0.3, 0.2]))
    """
    p = _reference_row(p0)
    eps = _eps_within_simplex(eps, p)
    if not 2 <= (check.integer(values) or 0) <= p.size:
        raise ValueError(f"values = {values!r}: {p.size} symbols have room for a simplex of 2 to {p.size} vectors")
    corners = math.sqrt(values / (values - 1)) * np.linalg.qr(np.eye(values) - 1 / values)[1][:-1]
    phi = rotate((_hyperplane(p)[:, : values - 1] @ corners).T, p, rng, draws)
    px_v: Array = np.maximum(p + eps * np.sqrt(p) * phi, 0)  # at the largest ε, rounding may reach below 0
    return px_v


def captured(h: ArrayLike, joint: Joint, of: str = "Y") -> float:
    r"""Part of the dependence that features see, :math:`\lVert \Xi^{\mathsf T} \tilde B \rVert_F^2` (R6).

    It is at most :math:`\sigma_1^2 + \dots + \sigma_k^2`, attained by the features of the first k modes.

    Parameters
    ----------
    h : array_like, shape (m,) or (m, k)
        Features of Y, m = \|𝒴\|, or of X. Only their span counts: they are centred and made orthonormal, and constant
        or dependent columns add nothing.
    joint : Joint
    of : {"Y", "X"}
        The variable that h is a feature of. For X it is :math:`\lVert \tilde B\, \Xi \rVert_F^2`.

    Warns
    -----
    RuntimeWarning
        For a column so nearly dependent on others that rounding may have changed what tells it apart by more than a
        millionth of its size.

    Raises
    ------
    ValueError
        If h does not have a finite value for each symbol, or has a column that varies by less than 16 units in the last
        place of its largest value, which may be rounding; for another variable.

    Examples
    --------
    >>> joint = Joint([[0.45, 0.05], [0.05, 0.45]])
    >>> round(captured([3, 1], joint), 12), captured([1, 1], joint)
    (0.64, 0.0)
    """
    if not isinstance(of, str) or of not in ("X", "Y"):
        raise ValueError(f"of = {of!r}: features are of 'Y' or of 'X'")
    B, p, symbols = (dtm(joint).T, joint.py, joint.y_labels) if of == "Y" else (dtm(joint), joint.px, joint.x_labels)
    xi = _orthonormal(check.features(h, symbols, of), p)
    return float(np.sum((B @ xi) ** 2))


def averaged_exponent(h: ArrayLike, joint: Joint, spread: float, eps: float, of: str = "Y") -> float:
    r"""Error exponent of features of Y, averaged over rotation-invariant attributes of X, to second order (R6), nats.

    .. math:: \frac{\epsilon^2}{8} \cdot \frac{\mathbb E \lVert \phi_v - \phi_{v'} \rVert^2}{|\mathcal X| - 1}
              \cdot \lVert \Xi^{\mathsf T} \tilde B \rVert_F^2

    Parameters
    ----------
    h : array_like, shape (m,) or (m, k)
        Features of Y, m = \|𝒴\|, or of X; see :func:`captured`.
    joint : Joint
    spread : float
        :math:`\mathbb E \lVert \phi_v - \phi_{v'} \rVert^2 \ge 0` of the two values that are to be told apart.
    eps : float
        Above 0.
    of : {"Y", "X"}
        The variable that h is a feature of. For X, the attributes are Y's, and :math:`|\mathcal Y| - 1` divides.

    Warns
    -----
    RuntimeWarning
        For a column so nearly dependent on others that rounding may have changed what tells it apart by more than a
        millionth of its size.

    Raises
    ------
    ValueError
        As :func:`captured`; for a single symbol of the variable with the attributes, a spread that is negative or
        infinite, and an eps that is not positive and finite.

    Examples
    --------
    >>> joint = Joint([[0.45, 0.05], [0.05, 0.45]])
    >>> round(averaged_exponent([1, -1], joint, spread=4, eps=0.1), 6)
    0.0032
    """
    seen = captured(h, joint, of)
    symbols, asked = (joint.px.size, joint.x_name) if of == "Y" else (joint.py.size, joint.y_name)
    if symbols == 1:
        raise ValueError(f"{asked} has a single symbol: it has no attribute")
    if not 0 <= check.number(spread) < math.inf:
        raise ValueError(f"spread = {spread!r}: a mean squared distance must be finite and at least 0")
    root = math.sqrt(seen) * math.sqrt(spread / (8 * (symbols - 1))) * check.eps(eps)
    return root * root


def attribute_exponents(h: ArrayLike, joint: Joint, px_v: ArrayLike) -> Array:
    r"""Exact error exponents of features of Y for telling two values of each attribute of X apart (D5, R4, R6).

    The conditional distributions of the first two values are carried from X to Y by :math:`P_{Y|X}`; nothing is
    expanded in ε. The mean over rotation-invariant attributes is what :func:`averaged_exponent` gives to second order.

    Parameters
    ----------
    h : array_like, shape (\|𝒴\|,) or (\|𝒴\|, k)
        Features of Y.
    joint : Joint
    px_v : array_like, shape (draws, values, \|𝒳\|)
        For each attribute its :math:`P_{X|V=v}`, as :func:`random_attribute` returns them.

    Returns
    -------
    ndarray, shape (draws,)
        In nats.

    Raises
    ------
    ValueError
        For shapes that do not fit, and as ``ufs.feature_exponent`` does.

    Examples
    --------
    >>> joint = Joint([[0.45, 0.05], [0.05, 0.45]])
    >>> px_v = random_attribute(joint.px, 0.1, rng=0, draws=3)
    >>> attribute_exponents([1, -1], joint, px_v).round(5)
    array([0.00321, 0.00321, 0.00321])
    """
    px_v = check.real(px_v, "px_v")
    if px_v.ndim != 3 or px_v.shape[1] < 2 or px_v.shape[2] != joint.P.shape[0]:
        raise ValueError(
            f"px_v has shape {px_v.shape}: it must be (draws, values, {joint.P.shape[0]}), with two values at least"
        )
    values, exponents = check.features(h, joint.y_labels, "Y"), []
    for i, attribute in enumerate(px_v):
        p, q, difference = _normalised(*(check.distribution(attribute[v], f"px_v[{i}, {v}]") for v in (0, 1)))
        p, q, difference = ((vector / joint.px) @ joint.P for vector in (p, q, difference))  # which keeps its digits
        names = f"P_Y of px_v[{i}, 0]", f"P_Y of px_v[{i}, 1]"
        exponents.append(_proved(*_solution(values, p, q, difference, names)))
    return np.array(exponents)


def _hyperplane(p0: Array) -> Array:
    """Orthonormal basis of the vectors perpendicular to the root of p0, in columns: a reflection takes it to −e₁."""
    return _reflect(_reflector(np.sqrt(p0 / p0.sum())), np.eye(p0.size))[:, 1:]


def _frames(rng: np.random.Generator, draws: int, m: int, k: int) -> Array:
    """Uniformly distributed frames of k orthonormal vectors of length m, in columns."""
    Q, R = np.linalg.qr(rng.standard_normal((draws, m, k)))
    return Q * np.where(np.diagonal(R, axis1=-2, axis2=-1) < 0, -1.0, 1.0)[:, None, :]
