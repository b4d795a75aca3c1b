r"""What processing can keep of an attribute: the contraction constants of a pair, in :math:`\chi^2` and in nats."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from ufs import _checks as check
from ufs.dtm import _normalised, maximal_correlation
from ufs.joint import Joint, required
from ufs.local import TINY, _kl_terms

__all__ = ["Contraction", "contraction"]

Array: TypeAlias = NDArray[np.float64]

STEPS = 5_000  # of the ascent, at most
GAIN = 1e-13  # relative, of the best ratio over PATIENCE steps: with less of it the ascent ends
PATIENCE = 200
MIXED = 1e-3  # share of P_X in a start at a symbol, so that no start lies on the boundary
SPREADS = 1.0, 0.2  # of the Dirichlet distributions from which the other starts are drawn, in turn
HALVINGS = 60  # golden sections of the unit interval: to a width of 3e-13
GOLDEN = (5**0.5 - 1) / 2


@dataclass(frozen=True, eq=False)
class Contraction:
    r"""What :func:`contraction` found: :math:`\eta_{\chi^2} = \sigma_1^2` exactly, and bounds of :math:`\eta_{KL}`.

    Attributes
    ----------
    chi2 : float
        :math:`\sigma_1^2`, the largest share of :math:`\chi^2` that passes from X to Y.
    lower : float
        A proved lower bound of the largest share of information, in nats, that passes: the larger of
        :math:`\sigma_1^2` and of the largest ratio of divergences that was found. Where no better distribution
        exists than the one found, it is :math:`\eta_{KL}` itself; nothing proves that.
    upper : float
        A proved upper bound: the constant of the channel :math:`P_{Y|X}` with the worst input distribution.
    px_v : ndarray, shape (\|𝒳\|,)
        The distribution of X at which ``lower`` was found; :math:`P_X` itself where that is the limit of weak
        attributes, :math:`\sigma_1^2`.
    """

    chi2: float
    lower: float
    upper: float
    px_v: Array


def contraction(joint: Joint, *, starts: int = 200, seed: int = 0) -> Contraction:
    r"""Bound the strong data-processing constant of a pair from both sides (R4).

    .. math:: \eta_{KL}(X \to Y) = \sup_{P \ne P_X} \frac{D(P P_{Y|X} \Vert P_Y)}{D(P \Vert P_X)}

    is the least number with :math:`I(V; Y) \le \eta_{KL}\, I(V; X)` for all attributes V of X. It is at least
    :math:`\sigma_1^2`, and often larger.

    Parameters
    ----------
    joint : Joint
        A dense table.
    starts : int
        From how many random distributions of X the ratio is climbed, beside one for each symbol.
    seed : int
        The same seed gives the same result.

    Returns
    -------
    Contraction
        With 0 for all three constants where one of the variables has a single symbol.

    Raises
    ------
    ValueError
        For a sparse table, for starts that are no integer of at least 1, and if there is no Joint.

    Notes
    -----
    The ratio has several local maxima. Each start climbs to one of them by

    .. math:: P(x) \leftarrow \text{const} \cdot P_X(x) \exp\Bigl( \tfrac{1}{\lambda}\,
              \mathbb E\bigl[ \log \tfrac{P'(Y)}{P_Y(Y)} \,\big|\, X = x \bigr] \Bigr),
              \qquad P' = P P_{Y|X},

    with the ratio so far for λ. No step lowers the ratio: :math:`D(P' \Vert P_Y)` is convex
    in P and so lies above its linearisation, and the new P maximises the linearisation less λ times
    :math:`D(P \Vert P_X)`. Near :math:`P_X` it is the power method on :math:`\tilde B^{\mathsf T} \tilde B`. The ratio
    at any distribution is a lower bound of the supremum, so ``lower`` holds whatever the ascent has missed.

    ``upper`` is :math:`\max_{x, x'} \max_\beta \chi^2` of the channel with the two inputs x and x′, used with
    probabilities 1 − β and β: that is the constant of the channel for its worst input distribution. The inner function
    is concave in β. It takes time proportional to \|𝒳\|²\|𝒴\|,
    as does a step of the ascent: some seconds for a hundred symbols on each side.

    Source: R. Ahlswede, P. Gács, "Spreading of sets in product spaces and hypercontraction of the Markov operator",
    Ann. Probab. 4 (1976) 925-939; V. Anantharam, A. Gohari, S. Kamath, C. Nair, arXiv:1304.6133, for the least constant
    of mutual informations; O. Ordentlich, Y. Polyanskiy, arXiv:2010.01987, for ``upper``.

    Examples
    --------
    >>> c = contraction(Joint.from_counts([[6, 3, 1], [1, 2, 1], [0, 1, 9]]))
    >>> round(c.chi2, 4), round(c.lower, 4), round(c.upper, 4)
    (0.5994, 0.6147, 0.6786)
    """
    if sp.issparse(required(joint).P):
        raise ValueError("the table is sparse: make it dense with P.toarray()")
    check.counts(starts=starts)
    rng = check.generator(seed, "seed")
    if min(joint.P.shape) == 1:
        return Contraction(0.0, 0.0, 0.0, joint.px)
    joint = _normalised(joint)
    channel = joint.P / joint.px[:, None]
    chi2 = maximal_correlation(joint) ** 2
    px_v, lower = _climb(_starts(joint.px, starts, rng), channel, joint, chi2)
    return Contraction(chi2, lower, max(lower, _worst_input(channel)), px_v)


def _starts(px: Array, count: int, rng: np.random.Generator) -> Array:
    symbols = (1 - MIXED) * np.eye(px.size) + MIXED * px
    halves = [rng.dirichlet(np.full(px.size, spread), count // 2 + count % 2) for spread in SPREADS]
    return np.vstack([symbols, *halves])[: px.size + count]


def _climb(p: Array, channel: Array, joint: Joint, limit: float) -> tuple[Array, float]:
    """The best distribution that the ascent reaches from any start, and its ratio, if it is above the limit at P_X.

    What climbs to that limit does so ever more slowly, and is not waited for.
    """
    best, reached, last = joint.px, limit, limit
    for step in range(STEPS):
        p_y = p @ channel
        kept, given = _divergences(p_y, joint.py), _divergences(p, joint.px)
        far = given > TINY  # the others have arrived at P_X
        if not far.any():
            break
        p, p_y, ratio = p[far], p_y[far], kept[far] / given[far]
        if ratio.max() > reached:
            best, reached = p[ratio.argmax()], float(ratio.max())
        if step % PATIENCE == PATIENCE - 1:
            if reached <= (1 + GAIN) * last:
                break
            last = reached
        score = np.log(np.maximum(p_y, TINY) / joint.py) @ channel.T / np.maximum(ratio, TINY)[:, None]
        p = joint.px * np.exp(score - score.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
    return best, min(reached, 1.0)


def _divergences(p: Array, reference: Array) -> Any:
    return _kl_terms(p, np.broadcast_to(reference, p.shape)).sum(axis=1)


def _worst_input(channel: Array) -> float:
    """Upper bound of the constant of a channel, over all input distributions, from its pairs of inputs."""
    largest = 0.0
    for x, one in enumerate(channel[:-1]):
        others = channel[x + 1 :]
        squares = (others - one) ** 2
        low, high = np.zeros(len(others)), np.ones(len(others))
        for _ in range(HALVINGS):
            width = GOLDEN * (high - low)
            left, right = high - width, low + width
            falls = _binary(left, one, others, squares) > _binary(right, one, others, squares)
            low, high = np.where(falls, low, left), np.where(falls, right, high)
        # From the maximum, a concave function that is not negative falls towards 0 and towards 1 no faster than a
        # straight line: so either end of the interval that holds the maximum bounds it.
        with np.errstate(divide="ignore", invalid="ignore"):
            from_above = _binary(high, one, others, squares) * ((1 - low) / (1 - high))
            from_below = _binary(low, one, others, squares) * (high / low)
        largest = max(largest, float(np.fmin(from_above, from_below).max()))
    return min(largest, 1.0)


def _binary(beta: Array, one: Array, others: Array, squares: Array) -> Any:
    """χ² between one input, used with probability 1 - β, and each of the others, and the output of the channel."""
    beta = beta[:, None]
    output = (1 - beta) * one + beta * others
    return (beta * (1 - beta) * squares / np.where(output > 0, output, 1)).sum(axis=1)
