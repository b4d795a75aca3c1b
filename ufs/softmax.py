r"""The softmax layer near independence: log-loss as low-rank approximation, weights and features as projections.

A network that ends in a softmax says :math:`Q(y|x) = \exp(v(y) \cdot s(x) + b(y)) / \sum_{y'} \exp(\dots)`, with s(x)
the k outputs of its last hidden layer. Trained on :math:`P_{XY}` it minimises the log-loss
:math:`D(P_{XY} \Vert P_X Q)`. For weakly dependent X and Y that is the distance of a matrix of rank k to
:math:`\tilde B` (R8), and the best weights for given features, features for given weights, and hidden weights for given
ones above are projections (R10, R11, R12).

Everywhere s has a row for each symbol of X, v and b have one for each symbol of Y; a tilde means centred,
:math:`\mu_s = E[s(X)]`, :math:`d = b - \log P_Y`, and :math:`\Xi^X`, :math:`\Xi^Y` have the rows
:math:`\sqrt{P_X(x)}\, \tilde s(x)` and :math:`\sqrt{P_Y(y)}\, \tilde v(y)`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import qr
from scipy.optimize import linprog, nnls
from scipy.special import expit, log_softmax, logit

from ufs import _checks as check
from ufs.dtm import _mode_count, dtm, modes
from ufs.joint import Joint, required
from ufs.local import _kl_terms

__all__ = [
    "composite_head",
    "hidden_layer_weights",
    "local_log_loss",
    "log_loss",
    "optimal_features",
    "optimal_softmax",
    "optimal_weights",
    "posterior",
]

Array: TypeAlias = NDArray[np.float64]

EPS = float(np.finfo(float).eps)
PROJECTIONS = 3  # each leaves, of what columns of very different size bring in, no more than rounding makes of it
NOISE = 1e-12  # of an entry of a unit vector, which columns of very different size would blow up


class _Activation(NamedTuple):
    """A smooth, strictly increasing activation function, as R12 needs it."""

    value: Callable[[Array], Array]
    inverse: Callable[[Array], Array]
    slope_at: Callable[[Array], Array]  # the derivative, as a function of the value
    range: tuple[float, float]


_ACTIVATIONS = {
    "sigmoid": _Activation(expit, logit, lambda z: z * (1 - z), (0.0, 1.0)),
    "tanh": _Activation(np.tanh, np.arctanh, lambda z: 1 - z**2, (-1.0, 1.0)),
    "identity": _Activation(lambda a: a, lambda z: z, np.ones_like, (-np.inf, np.inf)),
}


# ---- the loss --------------------------------------------------------------------------------------------------------


def posterior(s: ArrayLike, v: ArrayLike, b: ArrayLike) -> Array:
    r"""What a softmax layer says: :math:`Q(y|x) \propto \exp(v(y) \cdot s(x) + b(y))`.

    Where X and Y are ε-dependent and the log-loss is no worse than that of a constant, it is
    :math:`P_Y(y) + O(\epsilon)` (R8′).

    Parameters
    ----------
    s : array_like, shape (\|𝒳\|, k) or (\|𝒳\|,)
        Features of X, in columns; a row of numbers is a single feature.
    v : array_like, shape (\|𝒴\|, k) or (\|𝒴\|,)
        Weights.
    b : array_like, shape (\|𝒴\|,)
        Biases.

    Returns
    -------
    ndarray, shape (\|𝒳\|, \|𝒴\|)
        Row x is the distribution :math:`Q(\cdot|x)`.

    Raises
    ------
    ValueError
        For shapes that do not fit together, and entries that are not finite.

    Examples
    --------
    >>> posterior([0, np.log(3)], [0, 1], [0, 0]).round(12)
    array([[0.5 , 0.5 ],
           [0.25, 0.75]])
    """
    return np.exp(_log_posterior(s, v, b))


def log_loss(s: ArrayLike, v: ArrayLike, b: ArrayLike, joint: Joint) -> float:
    r"""Log-loss :math:`D(P_{XY} \Vert P_X Q)` of a softmax layer, in nats, exactly (R8).

    The expected cross-entropy :math:`-E[\log Q(Y|X)]` is larger by the conditional entropy
    :math:`\mathrm{Ent}(Y|X)`, which no network can do anything about.

    Parameters
    ----------
    s, v, b
        As for :func:`posterior`, with a row for each symbol of the joint.
    joint : Joint

    Returns
    -------
    float
        At least 0.

    Raises
    ------
    ValueError
        As :func:`posterior`, for a number of rows that is not the number of symbols, and for a loss that is larger than
        any float.

    Notes
    -----
    The divergence is summed as in :func:`ufs.local.kl_divergence`, without negative terms: a loss of 1e-12 has nearly
    all the digits which the entries of P allow. It is finite even where Q underflows.

    Examples
    --------
    A layer that does not look at x loses the mutual information:

    >>> joint = Joint([[0.45, 0.05], [0.05, 0.45]])
    >>> round(log_loss([0, 0], [0, 0], np.log(joint.py), joint), 6), round(joint.mutual_information(), 6)
    (0.368064, 0.368064)

    and this one says P(y|x):

    >>> log_loss([1, -1], [np.log(3), -np.log(3)], [0, 0], joint) < 1e-30
    True
    """
    s, v, b = _layer(s, v, b, joint)
    P = _dense(joint).P
    log_m = np.log(joint.px)[:, None] + _log_posterior(s, v, b)
    m = np.exp(log_m)
    terms = _kl_terms(P, m)
    lost = (m < np.finfo(float).tiny) & (P > 0)
    terms[lost] = P[lost] * (np.log(P[lost]) - log_m[lost] - 1)
    return float(_in_range(terms.sum(), "the loss", "s or v", "down"))


def local_log_loss(s: ArrayLike, v: ArrayLike, b: ArrayLike, joint: Joint) -> float:
    r"""The local form of the log-loss, a low-rank approximation of :math:`\tilde B` (R8).

    .. math:: \tfrac12 \bigl\Vert \tilde B - \Xi^Y (\Xi^X)^{\mathsf T} \bigr\Vert_F^2
              + \tfrac12 E\bigl[(\mu_s \cdot \tilde v(Y) + \tilde d(Y))^2\bigr].

    Parameters
    ----------
    s, v, b, joint
        As for :func:`log_loss`.

    Returns
    -------
    float
        In nats where X and Y are weakly dependent and Q stays near P_Y, with an error of third order. It is half of a
        :math:`\chi^2`-divergence everywhere, and at full strength that may be more than any log-loss.

    Raises
    ------
    ValueError
        As :func:`log_loss`.

    Examples
    --------
    X and Y have the correlation 0.08, and the layer uses 0.03 of it: what is left is half of 0.05².

    >>> joint = Joint([[0.27, 0.23], [0.23, 0.27]])
    >>> s, v, b = [1, -1], [0.03, -0.03], np.log([0.5, 0.5])
    >>> round(local_log_loss(s, v, b, joint), 8), round(log_loss(s, v, b, joint), 8)
    (0.00125, 0.00125335)
    """
    s, v, b = _layer(s, v, b, joint)
    with np.errstate(over="ignore", invalid="ignore"):
        Xi_X, Xi_Y, mean, d = _blocks(s, v, b, joint)
        rest = dtm(_dense(joint)) - Xi_Y @ Xi_X.T
        loss = 0.5 * np.sum(rest**2) + 0.5 * np.sum((Xi_Y @ mean + d) ** 2)
    return float(_in_range(loss, "the loss", "s or v", "down"))


# ---- its optimum, whole and by blocks --------------------------------------------------------------------------------


def optimal_softmax(joint: Joint, k: int) -> tuple[Array, Array, Array]:
    r"""The k-dimensional softmax layer that minimises the local log-loss (R9).

    .. math:: s = (f_1, \dots, f_k), \qquad v = (\sigma_1 g_1, \dots, \sigma_k g_k), \qquad b = \log P_Y.

    Any other minimiser has :math:`s M + u`, :math:`v M^{-\mathsf T}` and the bias that goes with them, M invertible,
    if :math:`\sigma_k > \sigma_{k+1}`.

    Parameters
    ----------
    joint : Joint
    k : int
        From 1 to K = min(\|𝒳\|, \|𝒴\|) - 1.

    Returns
    -------
    s : ndarray, shape (\|𝒳\|, k)
        Of zero mean and unit variance: all the strength is in v.
    v : ndarray, shape (\|𝒴\|, k)
    b : ndarray, shape (\|𝒴\|,)

    Raises
    ------
    ValueError
        If k is not an integer between 1 and K.

    Examples
    --------
    >>> s, v, b = optimal_softmax(Joint([[0.45, 0.05], [0.05, 0.45]]), 1)
    >>> s.round(12).T, v.round(12).T, b.round(6)
    (array([[ 1., -1.]]), array([[ 0.8, -0.8]]), array([-0.693147, -0.693147]))
    """
    found = modes(joint, _mode_count(k, required(joint).P.shape))
    return found.f, found.sigma * found.g, np.log(joint.py)


def optimal_weights(s: ArrayLike, joint: Joint) -> tuple[Array, Array]:
    r"""Backward projection: the weights and biases that minimise the local log-loss for given features (R10).

    .. math:: \Xi^Y &= \tilde B\, \Xi^X (\Xi^{X\mathsf T} \Xi^X)^{-1}, \quad\text{that is} \\
              v(y) &= E\bigl[\Lambda_s^{-1} \tilde s(X) \bigm| Y = y\bigr], \qquad b = \log P_Y - v \cdot \mu_s.

    Parameters
    ----------
    s : array_like, shape (\|𝒳\|, k) or (\|𝒳\|,)
        Features of X. Where their covariance :math:`\Lambda_s` is singular its pseudo-inverse takes the place of the
        inverse: of all best weights, the smallest.
    joint : Joint

    Returns
    -------
    v : ndarray, shape (\|𝒴\|, k)
        With :math:`E[v(Y)] = 0`.
    b : ndarray, shape (\|𝒴\|,)

    Raises
    ------
    ValueError
        If s does not have a row for each symbol of X, or has entries that are not finite, or so small that the weights
        would be larger than any float.

    Examples
    --------
    A feature with mean 5 and deviation 2; X and Y have the correlation 0.8:

    >>> v, b = optimal_weights([7, 3], Joint([[0.45, 0.05], [0.05, 0.45]]))
    >>> v.round(12).T, (b - np.log(0.5)).round(12)
    (array([[ 0.4, -0.4]]), array([-2.,  2.]))
    """
    s = check.features(s, joint.x_labels, joint.x_name, "s")
    mean, inverse, _ = _centred(s, joint.px)
    with np.errstate(over="ignore", invalid="ignore"):
        v = (dtm(joint) @ inverse.T) / np.sqrt(joint.py)[:, None]
        b = np.log(joint.py) - v @ mean
    return _in_range(v, "v", "s", "up"), _in_range(b, "b", "s", "up")


def optimal_features(v: ArrayLike, b: ArrayLike, joint: Joint) -> Array:
    r"""Forward projection: the features that minimise the local log-loss for given weights and biases (R11).

    .. math:: \Xi^X &= \tilde B^{\mathsf T} \Xi^Y (\Xi^{Y\mathsf T} \Xi^Y)^{-1}, \quad\text{that is} \\
              \tilde s(x) &= E\bigl[\Lambda_v^{-1} \tilde v(Y) \bigm| X = x\bigr], \qquad
              \mu_s = -\Lambda_v^{-1} E\bigl[\tilde v(Y)\, \tilde d(Y)\bigr].

    Parameters
    ----------
    v : array_like, shape (\|𝒴\|, k) or (\|𝒴\|,)
        Weights. Where their covariance :math:`\Lambda_v` is singular, as it is for k > \|𝒴\| - 1, its pseudo-inverse
        takes the place of the inverse: of all best features, the smallest.
    b : array_like, shape (\|𝒴\|,)
        Biases.
    joint : Joint

    Returns
    -------
    ndarray, shape (\|𝒳\|, k)
        :math:`s = \tilde s + \mu_s`.

    Raises
    ------
    ValueError
        If v or b does not have a row for each symbol of Y, or has entries that are not finite; or if v is so small that
        the features would be larger than any float.

    Examples
    --------
    >>> joint = Joint([[0.45, 0.05], [0.05, 0.45]])
    >>> optimal_features([0.4, -0.4], np.log([0.5, 0.5]), joint).round(12).T
    array([[ 2., -2.]])

    A bias that leans to the first symbol is undone by the mean of the feature:

    >>> optimal_features([0.4, -0.4], np.log([0.5, 0.5]) + [2, -2], joint).round(12).T
    array([[-3., -7.]])
    """
    Xi, mean, *_ = _features_for(v, b, joint)
    with np.errstate(over="ignore", invalid="ignore"):
        s = Xi / np.sqrt(joint.px)[:, None] + mean
    return _in_range(s, "s", "v", "up")


def hidden_layer_weights(
    v: ArrayLike, b: ArrayLike, t: ArrayLike, joint: Joint, activation: str = "sigmoid"
) -> tuple[Array, Array]:
    r"""Weights and biases of the last hidden layer for given weights above and a given layer t below (R12).

    The features are :math:`s_z(x) = \varsigma(w_z \cdot t(x) + c_z)`. Near a constant they are affine in t, and the
    best of them are the best free ones (:func:`optimal_features`), projected on the span of t:

    .. math:: W^{\mathsf T} = J^{-1} (\Xi^{Y\mathsf T} \Xi^Y)^{-1} \Xi^{Y\mathsf T} \tilde B\, \Xi_1
              (\Xi_1^{\mathsf T} \Xi_1)^{-1}, \qquad c_z = \varsigma^{-1}(\mu_{s,z}) - w_z \cdot \mu_t,

    with :math:`J = \mathrm{diag}\, \varsigma'(\varsigma^{-1}(\mu_{s,z}))` and the rows
    :math:`\sqrt{P_X(x)}\, \tilde t(x)` in :math:`\Xi_1`. The formula is local twice: in the dependence of X and Y, and
    in :math:`w_z \cdot \tilde t`, over which the activation ς has to be nearly straight.

    Parameters
    ----------
    v : array_like, shape (\|𝒴\|, k) or (\|𝒴\|,)
        Weights of the softmax layer. Where their covariance is singular, as it is for k > \|𝒴\| - 1, features have
        components that nothing depends on; these have no variance, and a mean that is free: see the notes.
    b : array_like, shape (\|𝒴\|,)
        Its biases.
    t : array_like, shape (\|𝒳\|, m) or (\|𝒳\|,)
        The layer below. Where its covariance is singular, as for a one-hot t, its pseudo-inverse is taken.
    joint : Joint
    activation : {"sigmoid", "tanh", "identity"}
        The function ς.

    Returns
    -------
    W : ndarray, shape (m, k)
        Column z is :math:`w_z`.
    c : ndarray, shape (k,)

    Raises
    ------
    ValueError
        If no features with means within the range of ς are best ones: :math:`\mu_{s,z}` is outside it, or on its edge,
        and where :math:`\Lambda_v` is singular that is so for every choice of what is free. For an unknown activation;
        for input as in :func:`optimal_features`.

    Notes
    -----
    The local loss depends on the means through :math:`\Lambda_v\, \mu_s` alone, and is at its minimum where that is
    :math:`-E[\tilde v(Y)\, \tilde d(Y)]`. If :math:`\Lambda_v` is singular, a whole affine space of means solves this.
    A linear programme finds the largest margin that all features together can keep from the ends of the range; if there
    is none, the refusal is right. Of the means that keep at least half of it, those nearest to :math:`\varsigma(0)` are
    taken.

    Examples
    --------
    With t the input itself and no curvature, the features of :func:`optimal_features`:

    >>> joint = Joint([[0.45, 0.05], [0.05, 0.45]])
    >>> v, b = [0.4, -0.4], np.log([0.5, 0.5])
    >>> W, c = hidden_layer_weights(v, b, [1, 0], joint, "identity")
    >>> W.round(12), c.round(12)
    (array([[4.]]), array([-2.]))

    The tanh has slope 1 at the mean 0, and makes no difference. Biases that lean to the first symbol have to be undone
    by features with the mean -5, which no sigmoid has:

    >>> hidden_layer_weights(v, b, [1, 0], joint, "tanh")[0].round(12)
    array([[4.]])
    >>> hidden_layer_weights(v, b + [2, -2], [1, 0], joint, "sigmoid")
    Traceback (most recent call last):
        ...
    ValueError: feature 0 should have the mean -5, which sigmoid with its range (0, 1) does not reach: the infimum of
    the loss is at saturation, where w and c grow without bound; change the bias b, or take another activation
    """
    function = _activation(activation)
    t = check.features(t, joint.x_labels, joint.x_name, "t")
    Xi, nearest, unseen, rounding = _features_for(v, b, joint)
    nearest = _in_range(nearest, "the mean of a feature", "v", "up")
    nearest = nearest + unseen @ (unseen.T @ function.value(np.zeros(nearest.shape)))
    low, high = function.range
    mean = _within(nearest, unseen, low, high)
    for z in np.flatnonzero(~((low < mean - rounding) & (mean + rounding < high))):
        other = ", and no other choice of what v leaves free helps" if unseen.size else ""
        raise ValueError(
            f"feature {z} should have the mean {nearest[z]:.6g}, which {activation} with its range ({low:g}, {high:g}) "
            f"does not reach{other}: the infimum of the loss is at saturation, where w and c grow without bound; "
            "change the bias b, or take another activation"
        )
    mean_t, inverse, _ = _centred(t, joint.px)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        W = inverse @ Xi / function.slope_at(mean)
        c = function.inverse(mean) - mean_t @ W
    return _in_range(W, "W", "v or t", "up"), _in_range(c, "c", "v or t", "up")


def _within(nearest: Array, unseen: Array, low: float, high: float) -> Array:
    """The means of features, within the range if possible, with the least change along the unseen combinations."""

    def margin(mean: Array) -> float:
        return float(np.minimum(mean - low, high - mean).min())

    free = unseen.shape[1]
    far = np.abs(nearest).max() > 2 * np.sqrt(len(nearest))  # what v sees of it is then beyond all of the range
    if free == 0 or np.isinf(high - low) or far:
        return nearest
    sides, ends = np.vstack([-unseen, unseen]), np.concatenate([nearest - low, high - nearest])
    found = linprog(
        np.append(np.zeros(free), -1.0),
        A_ub=np.column_stack([sides, np.ones(len(sides))]),
        b_ub=ends,
        bounds=[(None, None)] * (free + 1),
    )
    best = nearest + unseen @ found.x[:free]
    wanted = max(margin(best), margin(nearest)) / 2
    if wanted <= 0 or margin(nearest) >= wanted:
        return nearest
    # the shortest vector y with sides @ y <= ends - wanted: Lawson and Hanson's least distance programming
    dual = np.vstack([-sides.T, wanted - ends])
    residual = dual @ nnls(dual, np.append(np.zeros(free), 1.0))[0] - np.append(np.zeros(free), 1.0)
    moved: Array = nearest - unseen @ (residual[:-1] / residual[-1])
    return moved


def composite_head(
    W: ArrayLike,
    c: ArrayLike,
    v: ArrayLike,
    b: ArrayLike,
    t: ArrayLike,
    joint: Joint,
    activation: str = "sigmoid",
) -> tuple[Array, Array]:
    r"""The softmax layer that the layer t sees above it: the hidden layer in between, made linear (R12).

    With :math:`a = W^{\mathsf T} \mu_t + c` and :math:`J = \mathrm{diag}\, \varsigma'(a_z)`, the logits are
    :math:`v'(y) \cdot t(x) + b'(y)` up to the curvature of ς, where

    .. math:: v'(y) = W J\, v(y), \qquad b'(y) = b(y) + v(y) \cdot \bigl(\varsigma(a) - J W^{\mathsf T} \mu_t\bigr).

    :func:`optimal_features` of this head are the best values of t, and :func:`hidden_layer_weights` of it are the
    weights below t: so the projections go down a network, layer by layer. Its weights have rank k at most.

    Parameters
    ----------
    W : array_like, shape (m, k)
        Weights of the hidden layer, column z for feature z.
    c : array_like, shape (k,)
        Its biases.
    v, b, t, joint, activation
        As for :func:`hidden_layer_weights`.

    Returns
    -------
    v : ndarray, shape (\|𝒴\|, m)
    b : ndarray, shape (\|𝒴\|,)

    Raises
    ------
    ValueError
        For shapes that do not fit together, entries that are not finite, an unknown activation, and a head with weights
        that are larger than any float.

    Examples
    --------
    >>> joint = Joint([[0.45, 0.05], [0.05, 0.45]])
    >>> composite_head([[2.0]], [1.0], [0.4, -0.4], [0, 0], [3, 5], joint, "identity")
    (array([[ 0.8], [-0.8]]), array([ 0.4, -0.4]))
    """
    function = _activation(activation)
    t = check.features(t, joint.x_labels, joint.x_name, "t")
    v = check.features(v, joint.y_labels, joint.y_name, "v")
    b = _row(b, joint.y_labels, joint.y_name, "b")
    W, c = check.finite(W, "W"), check.finite(c, "c")
    if W.shape != (t.shape[1], v.shape[1]) or c.shape != (v.shape[1],):
        raise ValueError(
            f"W has shape {W.shape} and c {c.shape}: t with {t.shape[1]} columns and v with {v.shape[1]} need "
            f"{(t.shape[1], v.shape[1])} and {(v.shape[1],)}"
        )
    with np.errstate(over="ignore", invalid="ignore"):
        mean_t, _ = _mean_and_rest(t, joint.px)
        value = function.value(mean_t @ W + c)
        slopes = W * function.slope_at(value)
        head = v @ slopes.T, b + v @ (value - mean_t @ slopes)
    return _in_range(head[0], "v", "W or v", "down"), _in_range(head[1], "b", "t, W or v", "down")


# ---- input -----------------------------------------------------------------------------------------------------------


def _row(values: ArrayLike, symbols: Sequence[Any], of: str, name: str) -> Array:
    row = check.features(values, symbols, of, name)
    check.axes(check.real(values, name), 1, name, "give one number for each symbol")
    return row[:, 0]


def _same_columns(**blocks: Array) -> None:
    (first, one), (second, other) = blocks.items()
    if one.shape[1] != other.shape[1]:
        raise ValueError(
            f"{first} has {one.shape[1]} columns and {second} {other.shape[1]}: both need one for each feature"
        )


def _layer(s: ArrayLike, v: ArrayLike, b: ArrayLike, joint: Joint) -> tuple[Array, Array, Array]:
    s = check.features(s, joint.x_labels, joint.x_name, "s")
    v = check.features(v, joint.y_labels, joint.y_name, "v")
    _same_columns(s=s, v=v)
    return s, v, _row(b, joint.y_labels, joint.y_name, "b")


def _dense(joint: Joint) -> Joint:
    """Q fills a table of the size of P: a sparse P saves nothing here."""
    return replace(joint, P=joint.P.toarray()) if sp.issparse(joint.P) else joint


def _activation(name: str) -> _Activation:
    if not isinstance(name, str) or name not in _ACTIVATIONS:
        raise ValueError(
            f"activation = {name!r}: choose one of {', '.join(_ACTIVATIONS)}; the formula needs a smooth, strictly "
            "increasing function"
        )
    return _ACTIVATIONS[name]


# ---- centred blocks --------------------------------------------------------------------------------------------------


def _log_posterior(s: ArrayLike, v: ArrayLike, b: ArrayLike) -> Array:
    s, of_y, v = check.real(s, "s"), v, check.real(v, "v")
    s = check.features(s, range(len(s) if s.ndim else 0), "X", "s")
    v = check.features(v, range(len(v) if v.ndim else 0), "Y", "v")
    _same_columns(s=s, v=v)
    b = _row(b, check.symbols(of_y, len(v)), "Y", "b")
    with np.errstate(over="ignore", invalid="ignore"):
        logits = s @ v.T + b
        if np.isfinite(logits).all():
            below = logits - logits.max(axis=1, keepdims=True)
        else:  # beyond the range of floats, differences are taken before the units are put in
            mantissa, power = np.frexp(s)
            power += _exponents(v)
            top = power.max(axis=1, keepdims=True, initial=int(_exponents(b)), where=mantissa != 0)
            logits = np.ldexp(mantissa, power - top) @ np.ldexp(v, -_exponents(v)).T + np.ldexp(b, -top)
            below = np.ldexp(logits - logits.max(axis=1, keepdims=True), top)
    result: Array = log_softmax(below, axis=1)
    return result


def _in_range(values: ArrayLike, name: str, given: str, how: str) -> Array:
    """Results that a float can hold; where they are none, the input is what can be changed."""
    values = np.asarray(values)
    if not np.isfinite(values).all():
        raise ValueError(f"{name} would be larger than any float: scale {given} {how}")
    return values


def _exponents(h: Array) -> NDArray[np.intc]:
    """Of the power of two next above the largest modulus of each column: to divide by it costs no digit."""
    exponents: NDArray[np.intc] = np.frexp(np.abs(h).max(axis=0))[1]
    return exponents


def _mean_and_rest(h: Array, p: Array) -> tuple[Array, Array]:
    """Means, and the features without them; the value at the likeliest symbol goes first, where it cancels."""
    offset = h[p.argmax()]
    rest = h - offset
    mean = p @ rest
    return offset + mean, rest - mean


def _centred(h: Array, p: Array) -> tuple[Array, Array, Array]:
    r"""Means of the features, the pseudo-inverse of Ξ, and a basis of the combinations without variance.

    Each column is measured in a unit of its own, and a combination is without variance if what it has is no more than
    the rounding of its columns.
    """
    units = _exponents(h)
    h = np.ldexp(h, -units)
    offset = h[p.argmax()]
    spread = _exponents(h - offset)
    mean, rest = _mean_and_rest(np.ldexp(h - offset, -spread), p)
    mean = np.ldexp(offset + np.ldexp(mean, spread), units)
    Xi = np.sqrt(p)[:, None] * rest
    _, size, Vt = np.linalg.svd(Xi, full_matrices=h.shape[0] < h.shape[1])
    rounding = EPS * max(h.shape) * (np.abs(Vt) @ np.ldexp(1.0, -spread))
    seen = np.append(size, np.zeros(len(Vt) - len(size))) > rounding
    rank = seen[: len(size)]
    units = units + spread
    left = Xi @ Vt[seen].T / size[rank]  # the U of the SVD would have its rounding where Ξ is next to nothing
    free = np.where(np.abs(Vt[~seen].T) > NOISE, Vt[~seen].T, 0.0)
    unseen = np.zeros(free.shape)
    order = np.argsort(units)  # large entries first: then a QR decomposition keeps the digits of the small ones
    unseen[order] = qr(np.ldexp(free, units.min() - units[:, None])[order], mode="economic", pivoting=True)[0]
    with np.errstate(over="ignore", invalid="ignore"):
        inverse = np.ldexp((Vt[seen].T / size[rank]) @ left.T, -units[:, None])
        for _ in range(PROJECTIONS if free.size else 0):
            inverse = inverse - unseen @ (unseen.T @ inverse)
    return mean, inverse, unseen


def _blocks(s: Array, v: Array, b: Array, joint: Joint) -> tuple[Array, Array, Array, Array]:
    r""":math:`\Xi^X, \Xi^Y, \mu_s`, and :math:`\sqrt{P_Y}\, \tilde d`."""
    root_y = np.sqrt(joint.py)
    mean, s = _mean_and_rest(s, joint.px)
    _, v = _mean_and_rest(v, joint.py)
    return np.sqrt(joint.px)[:, None] * s, root_y[:, None] * v, mean, root_y * _leaning(b, joint)


def _leaning(b: Array, joint: Joint) -> Array:
    r""":math:`\tilde d`."""
    return _mean_and_rest(b - b[0] - np.log(joint.py), joint.py)[1]


def _features_for(v: ArrayLike, b: ArrayLike, joint: Joint) -> tuple[Array, Array, Array, Array]:
    r""":math:`\Xi^X` and :math:`\mu_s` of R11, the combinations that v does not see, and the rounding of the means."""
    v = check.features(v, joint.y_labels, joint.y_name, "v")
    b = _row(b, joint.y_labels, joint.y_name, "b")
    root = np.sqrt(joint.py)
    _, inverse, unseen = _centred(v, joint.py)
    with np.errstate(over="ignore", invalid="ignore"):
        mean = -inverse @ (root * _leaning(b, joint))
        rounding = EPS * len(v) * (np.abs(inverse) @ (root * (np.abs(b) - np.log(joint.py))))
        return dtm(joint).T @ inverse.T, mean, unseen, rounding
