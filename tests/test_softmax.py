"""The softmax layer: losses to full precision, R8 to R12 against direct minimisation, and the orders of the rest."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, localcontext
from typing import Any

import mpmath
import numpy as np
import pytest
import scipy.sparse as sp
from scipy.optimize import approx_fprime, lsq_linear, root
from scipy.special import expit, rel_entr, softmax

import ufs

RNG = np.random.default_rng(7)
P_X = np.array([0.15, 0.2, 0.3, 0.25, 0.1])
P_Y = np.array([0.4, 0.25, 0.2, 0.15])
DIRECTION = RNG.standard_normal((5, 4))
DIRECTION -= DIRECTION @ P_Y[:, None]
DIRECTION -= P_X @ DIRECTION
S = RNG.standard_normal((5, 2)) + np.array([2, -1])
V = RNG.standard_normal((4, 2))
B = RNG.standard_normal(4)


def weak(eps: float) -> ufs.Joint:
    """A family of tables with fixed marginals and a dependence proportional to ε."""
    return ufs.Joint(np.outer(P_X, P_Y) * (1 + eps * DIRECTION / np.abs(DIRECTION).max()))


def random() -> np.random.Generator:
    return np.random.default_rng(8)


def product(s: np.ndarray, v: np.ndarray, joint: ufs.Joint) -> np.ndarray:
    """Ξ_Y Ξ_Xᵀ, which no change of basis of the features touches."""
    return (np.sqrt(joint.py)[:, None] * (v - joint.py @ v)) @ (np.sqrt(joint.px)[:, None] * (s - joint.px @ s)).T


def exact_loss(s: np.ndarray, v: np.ndarray, b: np.ndarray, joint: ufs.Joint) -> float:
    """D(P ‖ P_X Q) in fifty digits, P and P_X as the floats they are."""
    with localcontext() as context:
        context.prec = 50
        s_, v_, b_ = ([[Decimal(float(e)) for e in np.atleast_1d(row)] for row in block] for block in (s, v, b))
        total = Decimal(0)
        for x, row in enumerate(s_):
            logits = [sum((p * q for p, q in zip(row, w, strict=True)), c[0]) for w, c in zip(v_, b_, strict=True)]
            normalizer = sum(z.exp() for z in logits)
            for y, z in enumerate(logits):
                p, m = Decimal(float(joint.P[x, y])), Decimal(float(joint.px[x])) * z.exp() / normalizer
                total += (p * (p / m).ln() if p else 0) - p + m
        return float(total)


# ---- the loss --------------------------------------------------------------------------------------------------------


def test_posterior_is_the_softmax_of_the_logits() -> None:
    assert np.allclose(ufs.posterior(S, V, B), softmax(S @ V.T + B, axis=1), rtol=1e-14)
    assert np.allclose(ufs.posterior(1000 * S, V, B).sum(axis=1), 1, rtol=1e-14)
    assert np.array_equal(ufs.posterior(S[:, 0], V[:, 0], B), ufs.posterior(S[:, :1], V[:, :1], B))


def test_log_loss_is_the_cross_entropy_less_the_conditional_entropy() -> None:
    joint = weak(0.9)
    cross_entropy = -np.sum(joint.P * np.log(ufs.posterior(S, V, B)))
    entropy = -np.sum(joint.P * np.log(joint.P / joint.px[:, None]))
    assert ufs.log_loss(S, V, B, joint) == pytest.approx(cross_entropy - entropy, rel=1e-13)


@pytest.mark.parametrize("eps", [1e-6, 1e-5, 1e-4, 1e-2, 0.5])
def test_log_loss_keeps_its_digits_when_it_is_tiny(eps: float) -> None:
    joint = weak(eps)
    v, b = ufs.optimal_weights(S, joint)
    expected = exact_loss(S, v, b, joint)
    assert expected < eps**2
    # the logits hold no more than 1e-16 of themselves, and the loss is quadratic in their errors
    assert ufs.log_loss(S, v, b, joint) == pytest.approx(expected, rel=3e-15 / eps + 1e-13)


def test_log_loss_of_a_table_with_empty_cells() -> None:
    joint = ufs.Joint([[0.5, 0.0], [0.25, 0.25]])
    assert ufs.log_loss([0, 0], [0, 0], [0, 0], joint) == pytest.approx(
        rel_entr(joint.P, [[0.25, 0.25], [0.25, 0.25]]).sum(), rel=1e-14
    )


def test_log_loss_where_the_posterior_underflows() -> None:
    joint = ufs.Joint([[0.4, 0.1], [0.1, 0.4]])
    s, v = [0, 2000], [0, 1]
    expected = 0.4 * np.log(0.4 / 0.25) + 0.1 * np.log(0.1 / 0.25) + 0.4 * np.log(0.8) + 0.1 * (np.log(0.2) + 2000)
    assert ufs.log_loss(s, v, [0, 0], joint) == pytest.approx(expected, rel=1e-12)


def test_a_sparse_table_gives_the_same() -> None:
    joint = ufs.Joint([[0.5, 0.0, 0.1], [0.0, 0.3, 0.1]])
    sparse = ufs.Joint(sp.csr_array(joint.P))
    s, v, b = [1, -1], [0.5, 0.1, -1], [0.0, 0.1, 0.2]
    for loss in (ufs.log_loss, ufs.local_log_loss):
        assert loss(s, v, b, sparse) == pytest.approx(loss(s, v, b, joint), rel=1e-14)
    for one, other in zip(ufs.optimal_weights(s, sparse), ufs.optimal_weights(s, joint), strict=True):
        assert np.allclose(one, other, atol=1e-14)
    assert np.allclose(ufs.optimal_features(v, b, sparse), ufs.optimal_features(v, b, joint), atol=1e-13)


def test_local_log_loss_by_its_definition() -> None:
    joint = weak(0.3)
    d = B - np.log(P_Y)
    v = V - P_Y @ V
    bias = P_Y @ (v @ (P_X @ S) + d - P_Y @ d) ** 2
    expected = 0.5 * np.sum((ufs.dtm(joint) - product(S, V, joint)) ** 2) + 0.5 * bias
    assert ufs.local_log_loss(S, V, B, joint) == pytest.approx(expected, rel=1e-13)


@pytest.mark.result("R8")
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_what_the_local_loss_omits_has_order_three_however_the_scale_is_split(share: float) -> None:
    eps = np.geomspace(1e-3, 1e-1, 7)
    s, v = S, V - P_Y @ V
    remainder = []
    for e in eps:
        joint, layer = weak(e), (s * e**share, v * e ** (1 - share))
        b = np.log(P_Y) - layer[1] @ (P_X @ layer[0]) + 0.3 * e * B
        remainder.append(ufs.log_loss(*layer, b, joint) - ufs.local_log_loss(*layer, b, joint))
    assert ufs.remainder_order(remainder, eps) == pytest.approx(3, abs=0.15)


def test_logits_beyond_the_range_of_floats_have_their_posterior() -> None:
    assert np.array_equal(ufs.posterior([1e200, -1e200], [1e200, -1e200], [0, 0]), [[1, 0], [0, 1]])
    assert np.array_equal(ufs.posterior([1e200, 0], [1e200, 1e200], [0, 0]), np.full((2, 2), 0.5))
    assert np.array_equal(ufs.posterior([1, 1], [0, 0], [-1.7e308, 1.7e308]), [[0, 1], [0, 1]])
    s, v = np.array([[1e200, 0], [0, 1e-300]]), np.array([[1e200, 0], [0, 1e300]])  # a large row beside a usual one
    assert np.allclose(ufs.posterior(s, v, [0, 0]), [[1, 0], [expit(-1), expit(1)]], rtol=1e-14)


def test_a_loss_beyond_the_range_of_floats_is_refused() -> None:
    joint = ufs.Joint([[0.25, 0.25], [0.25, 0.25]])
    assert ufs.log_loss([1e160, -1e160], [1e140, -1e140], [0, 0], joint) == pytest.approx(1e300)
    for loss in (ufs.log_loss, ufs.local_log_loss):
        with pytest.raises(ValueError, match="the loss would be larger than any float: scale s or v down"):
            loss([1e200, -1e200], [1e200, -1e200], [0, 0], joint)


# ---- the whole -------------------------------------------------------------------------------------------------------


@pytest.mark.result("R9")
@pytest.mark.parametrize("k", [1, 2, 3])
def test_the_optimum_leaves_the_modes_beyond_k(k: int) -> None:
    joint = weak(0.5)
    sigma = ufs.modes(joint).sigma
    layer = ufs.optimal_softmax(joint, k)
    assert ufs.local_log_loss(*layer, joint) == pytest.approx(0.5 * np.sum(sigma[k:] ** 2), abs=1e-16)


@pytest.mark.result("R8′")
@pytest.mark.parametrize("eps", [0.01, 0.1, 0.5])
def test_a_layer_that_beats_the_constant_is_near_the_marginal(eps: float) -> None:
    """From large weights, along the way to the optimum: from the loss of the constant on, the bound of R8′ holds."""
    joint, rng = weak(eps), random()
    s, v, b = ufs.optimal_softmax(joint, 2)
    chi = np.sqrt(np.sum(ufs.dtm(joint) ** 2))
    bound = (1 + np.sqrt(2)) / 2 * chi / np.sqrt(joint.px)[:, None]
    beaten = 0
    for far in np.geomspace(10, 1e-3, 40):
        noise = (far * eps * rng.standard_normal(each.shape) for each in (v, b))
        layer = s, *(each + extra for each, extra in zip((v, b), noise, strict=True))
        if ufs.log_loss(*layer, joint) <= joint.mutual_information():
            beaten += 1
            assert np.all(np.abs(ufs.posterior(*layer) - joint.py) <= bound)
    assert 5 < beaten < 40


def test_the_optimum_is_a_fixed_point_of_both_projections() -> None:
    joint = weak(0.5)
    s, v, b = ufs.optimal_softmax(joint, 2)
    weights, bias = ufs.optimal_weights(s, joint)
    assert np.allclose(weights, v, atol=1e-13)
    assert np.allclose(bias, b, atol=1e-13)
    assert np.allclose(ufs.optimal_features(v, b, joint), s, atol=1e-12)


# ---- the projections -------------------------------------------------------------------------------------------------


def flat(*blocks: np.ndarray) -> np.ndarray:
    return np.concatenate([np.ravel(block) for block in blocks])


@pytest.mark.result("R10")
def test_best_weights_are_a_minimum_of_the_local_loss() -> None:
    joint = weak(0.5)

    def loss(z: np.ndarray) -> float:
        return ufs.local_log_loss(S, z[:8].reshape(4, 2), z[8:], joint)

    best = flat(*ufs.optimal_weights(S, joint))
    assert np.abs(approx_fprime(best, loss, 1e-7)).max() < 1e-6
    assert all(loss(best + 0.1 * step) >= loss(best) for step in random().standard_normal((200, best.size)))


@pytest.mark.result("R11")
def test_best_features_are_a_minimum_of_the_local_loss() -> None:
    joint = weak(0.5)
    best = ufs.optimal_features(V, B, joint)

    def loss(z: np.ndarray) -> float:
        return ufs.local_log_loss(z.reshape(5, 2), V, B, joint)

    assert np.abs(approx_fprime(best.ravel(), loss, 1e-7)).max() < 1e-5
    assert all(loss(best + 0.1 * step) > loss(best) for step in random().standard_normal((200, 5, 2)))


def test_projections_are_conditional_expectations() -> None:
    joint = weak(0.5)
    given_y, given_x = (joint.P / joint.py).T, joint.P / joint.px[:, None]
    centred = S - P_X @ S
    cov = centred.T @ (P_X[:, None] * centred)
    v, b = ufs.optimal_weights(S, joint)
    assert np.allclose(v, given_y @ centred @ np.linalg.inv(cov), atol=1e-13)
    assert np.allclose(b, np.log(P_Y) - v @ (P_X @ S), atol=1e-13)
    centred, d = V - P_Y @ V, B - np.log(P_Y)
    inverse = np.linalg.inv(centred.T @ (P_Y[:, None] * centred))
    mean = -inverse @ (centred.T @ (P_Y * d))
    assert np.allclose(ufs.optimal_features(V, B, joint), given_x @ centred @ inverse + mean, atol=1e-12)


def test_a_change_of_basis_of_the_features_changes_nothing_else() -> None:
    joint = weak(0.5)
    A, a = np.array([[2.0, 1.0], [-1.0, 3.0]]), np.array([100.0, -7.0])
    v, b = ufs.optimal_weights(S, joint)
    other, bias = ufs.optimal_weights(S @ A + a, joint)
    assert np.allclose(other @ A.T, v, atol=1e-12)
    assert np.allclose(ufs.posterior(S @ A + a, other, bias), ufs.posterior(S, v, b), atol=1e-12)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_constant_and_repeated_features_have_the_smallest_weights(scale: float) -> None:
    joint = weak(0.5)
    s = scale * S[:, :1]
    v, b = ufs.optimal_weights(s, joint)
    twice, bias = ufs.optimal_weights(np.hstack([s, s, np.full((5, 1), 1000 * scale)]), joint)
    assert np.allclose(twice * scale, np.hstack([v / 2, v / 2, 0 * v]) * scale, atol=1e-10)
    assert np.allclose(bias, b, atol=1e-9)


def test_more_features_than_y_can_tell_apart() -> None:
    joint = weak(0.5)
    v = random().standard_normal((4, 6))
    s = ufs.optimal_features(v, B, joint)
    assert np.allclose(product(s, v, joint), ufs.dtm(joint), atol=1e-13)
    assert ufs.local_log_loss(s, v, B, joint) == pytest.approx(0, abs=1e-25)


@pytest.mark.result("R11")
def test_alternating_projections_are_ace() -> None:
    joint = weak(0.8)
    s = S
    f, _, _ = ufs.ace_sweep(joint, S)
    v, b = ufs.optimal_weights(s, joint)
    s = ufs.optimal_features(v, b, joint)
    assert ufs.feature_angles(s, f, P_X).max() < 1e-13


def test_hidden_layer_weights_minimise_the_local_loss_of_a_linear_layer() -> None:
    joint = weak(0.5)
    t = random().standard_normal((5, 3)) + 1

    def loss(z: np.ndarray) -> float:
        return ufs.local_log_loss(t @ z[:6].reshape(3, 2) + z[6:], V, B, joint)

    best = flat(*ufs.hidden_layer_weights(V, B, t, joint, "identity"))
    assert np.abs(approx_fprime(best, loss, 1e-7)).max() < 1e-5
    assert all(loss(best + 0.1 * step) > loss(best) for step in random().standard_normal((200, 8)))


@pytest.mark.result("R12")
@pytest.mark.parametrize(("activation", "function"), [("sigmoid", expit), ("tanh", np.tanh)])
def test_hidden_layer_weights_give_the_projected_features_to_first_order(
    activation: str, function: Callable[..., Any]
) -> None:
    t = random().standard_normal((5, 3)) + 1
    mean = np.array([0.3, 0.6])
    centred = V - P_Y @ V
    eps, error = np.geomspace(1e-4, 1e-2, 5), []
    for e in eps:
        joint = weak(e)
        b = np.log(P_Y) - centred @ mean
        W, c = ufs.hidden_layer_weights(V, b, t, joint, activation)
        wanted = ufs.optimal_features(V, b, joint)
        root_x, steps = np.sqrt(P_X)[:, None], t - P_X @ t
        wanted = mean + steps @ np.linalg.lstsq(root_x * steps, root_x * (wanted - mean), rcond=None)[0]
        error.append(np.linalg.norm(function(t @ W + c) - wanted))
    assert ufs.remainder_order(error, eps) == pytest.approx(2, abs=0.05)


def test_a_one_hot_layer_below_makes_the_features_free() -> None:
    joint = weak(0.5)
    W, c = ufs.hidden_layer_weights(V, B, np.eye(5), joint, "identity")
    assert np.allclose(W + c, ufs.optimal_features(V, B, joint), atol=1e-12)


def test_the_composite_head_is_the_layer_above_made_linear() -> None:
    joint = weak(0.5)
    W, c, t = random().standard_normal((3, 2)), np.array([0.2, -0.4]), random().standard_normal((5, 3))
    mean = P_X @ t
    for activation, function in {"sigmoid": expit, "tanh": np.tanh}.items():
        v, b = ufs.composite_head(W, c, V, B, t, joint, activation)
        eps, error = np.geomspace(1e-4, 1e-2, 5), []
        for e in eps:
            near = mean + e * (t - mean)
            error.append(np.linalg.norm(function(near @ W + c) @ V.T + B - near @ v.T - b))
        assert ufs.remainder_order(error, eps) == pytest.approx(2, abs=0.05)


def test_features_that_nothing_depends_on_rest_at_the_centre() -> None:
    joint = weak(0.05)
    v = np.column_stack([V[:, 0], np.zeros(4)])
    b = np.log(P_Y) - 0.3 * (v[:, 0] - P_Y @ v[:, 0])
    W, c = ufs.hidden_layer_weights(v, b, np.eye(5), joint, "sigmoid")
    assert np.allclose(W[:, 1], 0, atol=1e-12)
    assert c[1] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("scale", [1e160, 1e-160, 1e300])
def test_projections_do_not_mind_the_unit_of_a_column(scale: float) -> None:
    joint, t, units = weak(0.5), random().standard_normal((5, 3)), np.array([scale, 1])
    v, b = ufs.optimal_weights(S, joint)
    other, bias = ufs.optimal_weights(S * units, joint)
    assert np.allclose(other * units, v, rtol=1e-12)
    assert np.allclose(bias, b, rtol=1e-12)
    s = ufs.optimal_features(V, B, joint)
    assert np.allclose(ufs.optimal_features(V * units, B, joint) * units, s, rtol=1e-12)
    W, c = ufs.hidden_layer_weights(V, B, t, joint, "identity")
    other, bias = ufs.hidden_layer_weights(V, B, t * [1, scale, 1], joint, "identity")
    assert np.allclose(other * [[1], [scale], [1]], W, rtol=1e-12)
    assert np.allclose(bias, c, rtol=1e-12)


@pytest.mark.parametrize("seed", range(25))
def test_best_weights_are_right_in_any_mixture_of_units_and_offsets(seed: int) -> None:
    """To the digits that a column has beyond its offset, against R10 in 1200 digits."""
    rng = np.random.default_rng(seed)
    rows, columns, k = (int(rng.integers(*ends)) for ends in ((3, 7), (2, 5), (1, 3)))
    joint = ufs.Joint.from_counts(rng.random((rows, columns)))
    s = (rng.standard_normal((rows, k)) + rng.choice([0, 1, 1e6], k)) * 10.0 ** rng.integers(-200, 200, k)
    with mpmath.workdps(1200):
        P, S = mpmath.matrix(joint.P.tolist()), mpmath.matrix(s.tolist())
        px, py = P * mpmath.ones(columns, 1), mpmath.ones(1, rows) * P
        centred = S - mpmath.ones(rows, 1) * (px.T * S) / mpmath.fsum(px)
        covariance = centred.T * mpmath.diag(list(px)) * centred
        v = mpmath.diag([1 / p for p in py]) * P.T * centred * covariance**-1
        units = [max(abs(v[y, z]) for y in range(columns)) for z in range(k)]
        found, _ = ufs.optimal_weights(s, joint)
        off = [abs(found[y, z] - v[y, z]) / units[z] for y in range(columns) for z in range(k)]
        digits = np.finfo(float).eps * np.max(np.abs(s).max(axis=0) / np.ptp(s, axis=0))
        assert max(off) < 100 * digits


def test_projections_do_not_mind_an_offset() -> None:
    joint, s, v = weak(0.5), np.round(9 * S), np.round(9 * V)  # whole numbers, that 1e13 holds exactly
    offset = np.array([1e13, 0])
    weights, b = ufs.optimal_weights(s, joint)
    assert np.allclose(ufs.optimal_weights(s + offset, joint)[0], weights, rtol=1e-12)
    features = ufs.optimal_features(v, B, joint)
    assert np.allclose(ufs.optimal_features(v + offset, B, joint), features, rtol=1e-12)
    assert np.allclose(ufs.optimal_features(v, np.round(B) + 1e13, joint), ufs.optimal_features(v, np.round(B), joint))
    assert ufs.local_log_loss(s, v + 1e13, b, joint) == pytest.approx(ufs.local_log_loss(s, v, b, joint), rel=1e-12)


def test_weights_beyond_the_range_of_floats_are_refused() -> None:
    with pytest.raises(ValueError, match="v would be larger than any float: scale s up"):
        ufs.optimal_weights(1e-315 * S, weak(0.5))
    with pytest.raises(ValueError, match="s would be larger than any float: scale v up"):
        ufs.optimal_features(1e-315 * V, B, weak(0.5))
    with pytest.raises(ValueError, match="v would be larger than any float: scale W or v down"):
        ufs.composite_head(1e200 * V[:2], [0, 0], 1e200 * V, B, S, weak(0.5), "identity")


SINGULAR = {
    "as many as symbols": lambda rng: rng.standard_normal((4, 4)),
    "one more": lambda rng: rng.standard_normal((4, 5)),
    "repeated": lambda rng: rng.standard_normal((4, 2))[:, [0, 1, 0]],
    "opposite": lambda rng: rng.standard_normal((4, 2))[:, [0, 1, 0]] * [1, 1, -3],
}


@pytest.mark.parametrize("activation", ["sigmoid", "tanh"])
@pytest.mark.parametrize("columns", SINGULAR)
def test_means_that_v_leaves_free_are_found_within_the_range_whenever_there_are_some(
    columns: str, activation: str
) -> None:
    joint, t = weak(0.5), random().standard_normal((5, 3))
    low, function, slope = {
        "sigmoid": (0, expit, lambda a: expit(a) * expit(-a)),
        "tanh": (-1, np.tanh, lambda a: 1 / np.cosh(a) ** 2),
    }[activation]
    found, refused = 0, 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        v = SINGULAR[columns](rng)
        k = v.shape[1]
        b = np.log(P_Y) - (v - P_Y @ v) @ rng.uniform(low - 0.2, 1.2, k)
        free = ufs.optimal_features(v, b, joint)
        least = ufs.local_log_loss(np.tile(P_X @ free, (5, 1)), v, b, joint)  # of all constant features
        Xi = np.sqrt(P_Y)[:, None] * (v - P_Y @ v)
        d = np.sqrt(P_Y) * (b - np.log(P_Y) - P_Y @ (b - np.log(P_Y)))
        inside = lsq_linear(Xi, -d, (low + 1e-6, 1 - 1e-6), tol=1e-15, max_iter=1000).x
        reached = ufs.local_log_loss(np.tile(inside, (5, 1)), v, b, joint) < least + 1e-10
        try:
            W, c = ufs.hidden_layer_weights(v, b, t, joint, activation)
        except ValueError:
            refused += 1
            if reached:
                raise
            continue
        found += 1
        a = P_X @ t @ W + c
        linear = function(a) + slope(a) * ((t - P_X @ t) @ W)
        W, c = ufs.hidden_layer_weights(v, b, t, joint, "identity")
        best = ufs.local_log_loss(t @ W + c, v, b, joint)
        assert ufs.local_log_loss(linear, v, b, joint) == pytest.approx(best, rel=1e-9, abs=1e-14)
    assert found > 5
    assert refused > 0 or columns != "repeated"


def test_free_means_keep_half_of_the_largest_margin_and_are_else_next_to_the_centre() -> None:
    # b asks for 9 μ_0 + μ_1 = 9.4: the nearest to (½, ½) is (0.99, 0.55); the largest margin is 0.06
    v = np.column_stack([9 * V[:, 0], V[:, 0]])
    b = np.log(P_Y) - 9.4 * (V[:, 0] - P_Y @ V[:, 0])
    _, c = ufs.hidden_layer_weights(v, b, np.eye(5), weak(1e-6))
    mean = expit(c)
    assert v[0] @ mean == pytest.approx(9.4 * V[0, 0], rel=1e-4)
    assert mean == pytest.approx([0.97, 0.67], abs=1e-4)
    # asked for more, nobody can
    b = np.log(P_Y) - 10 * (V[:, 0] - P_Y @ V[:, 0])
    with pytest.raises(ValueError, match="no other choice of what v leaves free helps"):
        ufs.hidden_layer_weights(v, b, np.eye(5), weak(1e-6))


@pytest.mark.parametrize("size", [1e13, 1e100])
def test_a_mean_next_to_the_edge_is_told_from_one_on_it_whatever_its_size(size: float) -> None:
    joint, v = weak(1e-6), size * (V[:, 0] - P_Y @ V[:, 0])
    _, c = ufs.hidden_layer_weights(v, np.log(P_Y) - v / size, np.eye(5), joint)
    assert c == pytest.approx(-np.log(size), rel=1e-4)
    with pytest.raises(ValueError, match="does not reach"):
        ufs.hidden_layer_weights(v, np.log(P_Y), np.eye(5), joint)


# ---- the projections against exact minimisation ----------------------------------------------------------------------


def stationary(gradient: Callable[[np.ndarray], np.ndarray], start: np.ndarray) -> np.ndarray:
    """Where the gradient of a convex loss vanishes; Levenberg-Marquardt does not mind flat directions."""
    found = root(gradient, start, method="lm", tol=1e-15)
    assert np.abs(gradient(found.x)).max() < 1e-13
    return found.x


def excess(s: np.ndarray, v: np.ndarray, b: np.ndarray, joint: ufs.Joint) -> np.ndarray:
    """Gradient of the log-loss with respect to the logits."""
    return P_X[:, None] * ufs.posterior(s, v, b) - joint.P


@pytest.mark.result("R10")
def test_the_exact_best_weights_differ_by_a_relative_order_one() -> None:
    eps, error = np.geomspace(1e-3, 1e-1, 5), []
    for e in eps:
        joint = weak(e)

        def gradient(z: np.ndarray, joint: ufs.Joint = joint) -> np.ndarray:
            rest = excess(S, z[:8].reshape(4, 2), z[8:], joint)
            return flat(rest.T @ S, rest.sum(axis=0))

        v, b = ufs.optimal_weights(S, joint)
        z = stationary(gradient, flat(v, b))
        exact = product(S, z[:8].reshape(4, 2), joint)
        error.append(np.linalg.norm(exact - product(S, v, joint)) / np.linalg.norm(exact))
    assert ufs.remainder_order(error, eps) == pytest.approx(1, abs=0.1)


@pytest.mark.result("R11")
def test_the_exact_best_features_differ_by_a_relative_order_one() -> None:
    eps, error = np.geomspace(1e-3, 1e-1, 5), []
    for e in eps:
        joint = weak(e)
        b = np.log(P_Y) - V @ [0.5, -1] + 0.2 * e * B

        def gradient(z: np.ndarray, joint: ufs.Joint = joint, b: np.ndarray = b) -> np.ndarray:
            return flat(excess(z.reshape(5, 2), V, b, joint) @ V)

        s = ufs.optimal_features(V, b, joint)
        exact = stationary(gradient, s.ravel()).reshape(5, 2)
        error.append(np.linalg.norm(product(exact - s, V, joint)) / np.linalg.norm(product(s, V, joint)))
        assert np.linalg.norm(P_X @ (exact - s)) < 10 * e**2
    assert ufs.remainder_order(error, eps) == pytest.approx(1, abs=0.1)


# ---- input -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda j: ufs.posterior(S, V[:, :1], B), r"s has 2 columns and v 1: both need one for each feature"),
        (lambda j: ufs.posterior(S, V, B[:3]), r"b has shape \(3,\): it needs one row for each of the 4"),
        (lambda j: ufs.posterior(S, V, B[:, None]), r"b has 2 axes, not 1: give one number for each symbol"),
        (lambda j: ufs.posterior(1.0, V, B), r"s has shape \(\)"),
        (lambda j: ufs.log_loss(S[:4], V, B, j), r"s has shape \(4, 2\): it needs one row for each of the 5 .* of X"),
        (lambda j: ufs.log_loss(S, V[:3], B[:3], j), r"v has shape \(3, 2\): .* 4 symbols of Y"),
        (lambda j: ufs.local_log_loss(S * np.nan, V, B, j), r"s\[0, 0\] = nan is not finite"),
        (lambda j: ufs.optimal_weights(S[None], j), r"s has shape \(1, 5, 2\)"),
        (lambda j: ufs.optimal_weights(S[:, :0], j), r"s has shape \(5, 0\)"),
        (lambda j: ufs.optimal_features(V, B[:2], j), r"b has shape \(2,\)"),
        (lambda j: ufs.optimal_softmax(j, 4), r"k"),
        (lambda j: ufs.hidden_layer_weights(V, B, S, j, "relu"), r"activation = 'relu': choose one of sigmoid, tanh"),
        (lambda j: ufs.hidden_layer_weights(V, B, S[:3], j), r"t has shape \(3, 2\)"),
        (
            lambda j: ufs.hidden_layer_weights(V, np.log(P_Y) - V @ [0.5, 3], S, j),
            r"feature 1 should have the mean 3.*range \(0, 1\).*infimum of the loss is at saturation",
        ),
        (
            lambda j: ufs.composite_head(V, [0, 0], V, B, S, j),
            r"W has shape \(4, 2\) and c \(2,\): t with 2 ",
        ),
        (lambda j: ufs.composite_head(V[:2], [0, 0, 0], V, B, S, j), r"c \(3,\): .* \(2, 2\) and \(2,\)"),
    ],
)
def test_bad_input_is_refused_with_a_remedy(call: Callable[[ufs.Joint], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(weak(0.1))


@pytest.mark.parametrize("small", [1.0, 1e-3, 1e-8, 1e-12, 1e-20, 1e-50])
def test_dependent_columns_of_very_different_size_say_together_what_one_says(small):
    joint = ufs.Joint([[0.30, 0.06, 0.04], [0.05, 0.24, 0.03], [0.05, 0.05, 0.18]])
    v, b = np.array([1.0, 2.0, 4.0]), np.log(joint.py) + np.array([0.1, -0.2, 0.05])
    alone = ufs.optimal_features(v, b, joint)
    shares = np.array([1, small]) / (1 + small**2)  # of the shortest of all features with the same products
    W = ufs.hidden_layer_weights(v, b, np.eye(3), joint, "identity")[0]
    for turn in (slice(None), slice(None, None, -1)):
        both = np.column_stack([v, small * v])[:, turn]
        np.testing.assert_allclose(ufs.optimal_features(both, b, joint)[:, turn], alone * shares, rtol=1e-13)
        found = ufs.hidden_layer_weights(both, b, np.eye(3), joint, "identity")[0]
        np.testing.assert_allclose(found[:, turn], W * shares, rtol=1e-12)
        weights = ufs.optimal_weights(np.column_stack([v, small * v])[:, turn], joint)[0]
        np.testing.assert_allclose(weights[:, turn], ufs.optimal_weights(v, joint)[0] * shares, rtol=1e-12)


def test_products_do_not_depend_on_the_size_of_dependent_columns():
    joint = ufs.Joint([[0.30, 0.06, 0.04], [0.05, 0.24, 0.03], [0.05, 0.05, 0.18]])
    rng, b = np.random.default_rng(0), np.log(joint.py)
    for small in (1e-3, 1e-8, 1e-20, 1e-50):
        two = rng.standard_normal((3, 2))
        four = two @ rng.standard_normal((2, 4)) * [1, small, 1 / small, small**2]
        products, expected = ufs.optimal_features(four, b, joint) @ four.T, ufs.optimal_features(two, b, joint) @ two.T
        centred = [table - table.mean(axis=1, keepdims=True) for table in (products, expected)]
        np.testing.assert_allclose(*centred, atol=1e-11)
