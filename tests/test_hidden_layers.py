"""What chapter 8 says of hidden layers, on other tables and networks; its stored runs, trained again for a while."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import brentq, minimize_scalar
from scipy.special import expit, logit

import ufs
from ufs import nn

PROJECT = Path(__file__).parents[1]
MEAN = np.array([0.35, 0.55])


@pytest.fixture(scope="module")
def experiment() -> Iterator[ModuleType]:
    """The script that stored the runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(PROJECT / "experiments"))
        yield importlib.import_module("hidden_layers")
    for name in ("hidden_layers", "stored"):
        sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def stored() -> dict[str, Any]:
    """The stored runs; a file with pickles in it would be refused."""
    with np.load(PROJECT / "experiments" / "hidden_layers.npz", allow_pickle=False) as file:
        return dict(file)


@pytest.fixture(scope="module")
def full() -> ufs.Joint:
    table = np.random.default_rng(11).random((7, 5))
    return ufs.Joint(table / table.sum())


def shrunk(full: ufs.Joint, eps: float) -> ufs.Joint:
    """The table shrunk towards independence, ‖B̃‖ = ε."""
    return full.faded(float(eps / np.linalg.norm(ufs.dtm(full))))


def layer_below(seed: int = 12, units: int = 3) -> np.ndarray:
    return np.tanh(np.random.default_rng(seed).uniform(-0.8, 0.8, (7, units)))


def head(joint: ufs.Joint, size: float) -> np.ndarray:
    """Weights v, uncorrelated with mean zero and deviation `size`."""
    v = np.random.default_rng(13).standard_normal((5, 2))
    root = np.sqrt(joint.py)[:, None]
    return size * np.linalg.qr(root * (v - joint.py @ v))[0] / root


def put(linear: Any, W: np.ndarray, c: np.ndarray) -> None:
    with torch.no_grad():
        linear.weight.copy_(torch.tensor(W.T))
        linear.bias.copy_(torch.tensor(c))


def trained(
    joint: ufs.Joint, t: np.ndarray, v: np.ndarray, mean: np.ndarray, seed: int | None = None
) -> tuple[nn.Layer, np.ndarray]:
    """The exactly trained layer below a frozen head, and the head's bias."""
    b = np.log(joint.py) - v @ mean
    network = nn.mlp((t.shape[1], 2, 5), ["sigmoid"], seed or 0, frozen=[1])
    put(network[2], v.T, b)
    if seed is None:
        put(network[0], np.zeros((t.shape[1], 2)), logit(mean))
    nn.fit_exact(network, joint, t, tolerance=1e-12)
    return nn.read(network, t).layers[0], b


def error(W: np.ndarray, v: np.ndarray, b: np.ndarray, t: np.ndarray, joint: ufs.Joint) -> float:
    theory, _ = ufs.hidden_layer_weights(v, b, t, joint)
    return float(np.linalg.norm(W - theory) / np.linalg.norm(theory))


def project(h: np.ndarray, t: np.ndarray, px: np.ndarray) -> np.ndarray:
    """The part of h on the centred t."""
    root = np.sqrt(px)[:, None]
    Q = np.linalg.qr(root * (t - px @ t))[0]
    part: np.ndarray = Q @ (Q.T @ (root * h)) / root
    return part


def is_order(errors: Any, eps: Any, promised: float) -> bool:
    """Near enough to the promised order that a tenth more would not do."""
    return abs(ufs.remainder_order(errors, eps) - promised) < 0.05 * (promised or 1)


# ---- the theorem -----------------------------------------------------------------------------------------------------


@pytest.mark.result("R12")
@pytest.mark.parametrize(
    ("mean", "alpha", "size", "order"),
    [(MEAN, 0, 4, 1), (MEAN, 0.5, 4, 0.5), (MEAN, 1, 10, 0), (np.full(2, 0.5), 0.5, 4, 1)],
    ids=["fixed", "root", "small", "root, no curvature"],
)
def test_order_of_the_error_is_that_of_the_split(
    full: ufs.Joint, mean: np.ndarray, alpha: float, size: float, order: float
) -> None:
    eps, t, errors = np.geomspace(1e-4, 1e-2, 4), layer_below(), []
    for e in eps:
        joint, v = shrunk(full, e), head(full, size * e**alpha)
        layer, b = trained(joint, t, v, mean)
        errors.append(error(layer.W, v, b, t, joint))
    assert is_order(errors, eps, order)
    assert not is_order(errors, eps, 1.1 * order or 0.1)


VALUES: dict[str, Any] = {"sigmoid": expit, "identity": lambda c: c}
SLOPES: dict[str, Any] = {"sigmoid": lambda c: expit(c) * expit(-c), "identity": np.ones_like}


def sides(
    joint: ufs.Joint,
    layer: nn.Layer,
    v: np.ndarray,
    b: np.ndarray,
    skip: np.ndarray | float = 0.0,
    activation: str = "sigmoid",
) -> tuple[float, np.ndarray]:
    """The left side of the theorem's inequality, for a block with a skip connection, and the terms of its bound."""
    t, px, root = layer.t, joint.px, np.sqrt(joint.px)[:, None]
    v = v - joint.py @ v
    c, u = px @ t @ layer.W + layer.c, (t - px @ t) @ layer.W
    value, J, d = VALUES[activation], SLOPES[activation](c), b - np.log(joint.py)
    s = skip + value(c + u)
    kappa = np.abs(1 - 2 * expit(c + u)).max() if activation == "sigmoid" else 0.0
    delta = np.expm1(kappa * np.abs(u).max())
    rest = ufs.optimal_features(v, b, joint) - skip
    omega = np.abs(s @ v.T + d - joint.py @ d).max()
    assert omega <= 1
    spread = np.linalg.eigvalsh((v.T * joint.py) @ v)
    N = np.linalg.norm((joint.P - px[:, None] * ufs.posterior(s, v, b)) / np.sqrt(np.outer(px, joint.py)))
    left = np.hypot(np.linalg.norm(root * (J * u - project(rest, t, px))), np.linalg.norm(value(c) - px @ rest))
    terms = [
        omega**2 * (1 + 4 * omega) / 4 / np.sqrt(spread[0]),
        np.sqrt(spread[-1]) / spread[0] * delta * N,
        delta / 2 * np.linalg.norm(root * J * u),
    ]
    return float(left), np.array(terms)


SIGNS = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
SIDES = np.array([[1.0], [-1.0]])


def signs(first: float, product: float) -> ufs.Joint:
    """Two independent signs, and a third one that leans to the first of them and to their product."""
    return ufs.Joint((1 + np.outer(first * SIGNS[:, 0] + product * SIGNS.prod(1), [1, -1])) / 8)


def on_signs(first: float, product: float, size: float) -> tuple[ufs.Joint, nn.Layer, np.ndarray, np.ndarray]:
    """One unit on two signs, exactly trained below a frozen head."""
    joint, v = signs(first, product), size * SIDES
    b = np.log(joint.py) - 0.01 * v[:, 0]
    network = nn.mlp((2, 1, 2), ["sigmoid"], 0, frozen=[1])
    put(network[0], np.zeros((2, 1)), logit(np.array([0.01])))
    put(network[2], v.T, b)
    nn.fit_exact(network, joint, SIGNS, tolerance=1e-13)
    return joint, nn.read(network, SIGNS).layers[0], v, b


def straight(omega: float) -> tuple[ufs.Joint, nn.Layer, np.ndarray, np.ndarray]:
    """Two straight units that say all that there is to say: Q = P."""
    v = np.array([[-np.sqrt(2), 1], [0, -1], [0, -1], [np.sqrt(2), 1]])
    W = np.array([[omega / np.sqrt(2), 0]])
    Q = np.exp(SIDES @ W @ v.T)
    return ufs.Joint(Q / Q.sum(1, keepdims=True) / 2), nn.Layer(SIDES, W, np.zeros(2)), v, np.zeros(4)


def extreme(term: int) -> tuple[float, np.ndarray]:
    """Both sides where the bound is used up by one of its terms."""
    if term == 0:
        return sides(*straight(0.01), activation="identity")
    return sides(*(on_signs(2e-6, 1e-3, 4) if term == 1 else on_signs(1e-5, 0, 0.1)))


@pytest.mark.result("R12")
@pytest.mark.parametrize("term", [0, 1, 2], ids=["dependence", "unexplained", "bending"])
def test_no_constant_of_the_bound_can_be_smaller(term: int) -> None:
    left, right = extreme(term)
    assert left <= right.sum()
    right[term] *= 0.9
    assert left > right.sum()


@pytest.mark.result("R12")
@pytest.mark.parametrize("eps", [1e-3, 1e-2, 0.05])
def test_the_bound_holds_for_the_weights_and_the_means(full: ufs.Joint, eps: float) -> None:
    joint, v = shrunk(full, eps), head(full, 3)
    layer, b = trained(joint, layer_below(), v, MEAN)
    left, right = sides(joint, layer, v, b)
    assert 0.05 * right.sum() < left <= right.sum()


@pytest.mark.result("R12")
def test_error_budget_is_exact_for_any_weights(full: ufs.Joint) -> None:
    rng = np.random.default_rng(14)
    t, px = layer_below(), full.px
    W, c, v, b = (
        rng.standard_normal((3, 2)),
        rng.standard_normal(2),
        rng.standard_normal((5, 2)),
        rng.standard_normal(5),
    )
    v -= full.py @ v
    inverse = np.linalg.inv((v.T * full.py) @ v)
    a, u = px @ t @ W + c, (t - px @ t) @ W
    s, J = expit(a + u), expit(a) * expit(-a)
    slope = s * (1 - s)
    star = ufs.optimal_features(v, b, full)
    r = (full.P / px[:, None] - ufs.posterior(s, v, b)) @ v
    unfinished = -project(slope * r, t, px) / J @ inverse
    bending = project((slope / J - 1) * r, t, px) @ inverse - project(s - expit(a) - J * u, t, px)
    dependence = project(r @ inverse - (star - s), t, px)
    np.testing.assert_allclose(J * u - project(star, t, px), unfinished + bending + dependence, atol=1e-12)


def test_below_a_frozen_head_random_starts_lead_to_one_small_layer(full: ufs.Joint) -> None:
    t, v = layer_below(), head(full, 4)
    etas = []
    for eps in (1e-3, 1e-2):
        joint = shrunk(full, eps)
        layers = [trained(joint, t, v, MEAN, seed)[0] for seed in (1, 2, 3)]
        for layer in layers[1:]:
            np.testing.assert_allclose(layer.W, layers[0].W, atol=1e-7)
        etas.append(np.abs((t - joint.px @ t) @ layers[0].W).max())
    assert etas[1] / etas[0] == pytest.approx(10, rel=0.05)


def edge(
    joint: ufs.Joint, t: np.ndarray, theta: np.ndarray, direction: np.ndarray, v: np.ndarray, b: np.ndarray
) -> list[float]:
    """ω and η where, from weights (c, W) in a direction, the loss reaches I(X;Y)."""

    def above(length: float) -> float:
        c, W = np.split(theta + length * direction, [1])
        return ufs.log_loss(expit(t @ W + c), v, b, joint) - joint.mutual_information()

    high = 1e-6
    while above(high) < 0:
        high *= 2
    c, W = np.split(theta + brentq(above, 0, high) * direction, [1])
    omega = np.abs((expit(t @ W + c) - MEAN) @ (v - joint.py @ v).T).max()
    return [float(omega), float(np.abs((t - joint.px @ t) @ W).max())]


@pytest.mark.result("R12")
@pytest.mark.parametrize("alpha", [0.0, 0.5])
def test_whatever_is_better_than_ignorance_moves_little(full: ufs.Joint, alpha: float) -> None:
    """From the minimum in random directions, up to the edge of L ≤ I(X;Y): ω = O(ε) and η = O(ε^(1 - α))."""
    eps, t, rng = np.geomspace(1e-4, 1e-2, 4), layer_below(), np.random.default_rng(21)
    directions, found = rng.standard_normal((30, 4, 2)), []
    for e in eps:
        joint, v = shrunk(full, e), head(full, 4 * e**alpha)
        layer, b = trained(joint, t, v, MEAN)
        theta = np.vstack([layer.c, layer.W])
        found.append(np.max([edge(joint, t, theta, one, v, b) for one in directions], axis=0))
    for sizes, order in zip(np.transpose(found), (1, 1 - alpha), strict=True):
        assert is_order(sizes, eps, order)
        assert not is_order(sizes, eps, 1.1 * order)


# ---- why training leaves it ------------------------------------------------------------------------------------------


@pytest.mark.result("X2")
def test_leaving_the_span_pays_at_first_order(full: ufs.Joint) -> None:
    t, root, B = layer_below(), np.sqrt(full.px)[:, None], ufs.dtm(full)
    Q = np.linalg.qr(root * (t - full.px @ t))[0]
    _, tau, right = np.linalg.svd(B @ Q)
    xi = Q @ right[:2].T
    u = xi / root
    q = (B.T @ B @ xi - Q @ (Q.T @ B.T @ B @ xi)) / root
    a = np.array([-1.0, 0.7])
    slope = -0.5 * np.sum((1 - 2 * expit(a)) * (full.px @ (q * u**2)))

    def loss(scale: float) -> float:
        s = expit(a + scale * u)
        return ufs.local_log_loss(s, *ufs.optimal_weights(s, full), full)

    linear = 0.5 * np.sum(B**2) - 0.5 * np.sum(tau[:2] ** 2)
    scales = np.geomspace(1e-3, 3e-2, 5)
    remainder = [loss(scale) - linear - scale * slope for scale in scales]
    assert is_order(remainder, scales, 2)
    assert not is_order(np.array(remainder) - 0.1 * scales * slope, scales, 2)  # a slope that is a tenth larger
    assert abs(slope) > 1e-4


def test_width_keeps_its_share_of_a_uniform_span(full: ufs.Joint) -> None:
    rng, B, root = np.random.default_rng(15), ufs.dtm(full), np.sqrt(full.px)[:, None]
    shares = []
    for _ in range(4000):
        t = rng.standard_normal((7, 2)) / root
        shares.append(np.sum((B @ np.linalg.qr(root * (t - full.px @ t))[0]) ** 2) / np.sum(B**2))
    error = np.std(shares) / np.sqrt(4000)
    assert abs(np.mean(shares) - 2 / 6) < 4 * error
    assert abs(np.mean(shares) - 0.9 * 2 / 6) > 4 * error


def test_no_features_in_a_span_have_a_smaller_local_loss(full: ufs.Joint) -> None:
    """The singular values of B̃ Π_t give the least; a random search comes near it, and does not pass."""
    rng, B, root, t = np.random.default_rng(22), ufs.dtm(full), np.sqrt(full.px)[:, None], layer_below()
    Q = np.linalg.qr(root * (t - full.px @ t))[0]
    tau, sigma = np.linalg.svd(B @ Q)[1], np.linalg.svd(B)[1]
    promised = 0.5 * np.sum(B**2) - 0.5 * np.sum(tau[:2] ** 2)
    losses = []
    for _ in range(2000):
        s = t @ rng.standard_normal((3, 2))
        losses.append(ufs.local_log_loss(s, *ufs.optimal_weights(s, full), full))
    assert promised <= min(losses) < 1.02 * promised
    assert np.all(tau <= sigma[:3])


class Held:
    """Minima of the penalised loss, everything but the layer below trained."""

    def __init__(self, joint: ufs.Joint, radius: float, mean: float, seed: int = 3) -> None:
        network = nn.mlp((7, 3, 2, 5), ["tanh", "sigmoid"], seed, frozen=[0])
        t, root = nn.read(network, np.eye(7)).layers[1].t, np.sqrt(joint.px)[:, None]
        Q = np.linalg.qr(root * (t - joint.px @ t))[0]
        top = np.linalg.svd(ufs.dtm(joint) @ Q)[2][:2].T
        W = radius * np.linalg.lstsq(root * (t - joint.px @ t), Q @ top, rcond=None)[0]
        c = mean - joint.px @ t @ W
        put(network[2], W, c)
        v, b = ufs.optimal_weights(expit(t @ W + c), joint)
        put(network[4], v.T, b)
        penalty = nn.whitening_penalty(joint, radius, mean=mean)
        self.training = nn.fit_exact(network, joint, penalty=penalty, max_steps=150)
        reading = nn.read(network, np.eye(7))
        self.layer, self.v, self.b = reading.layers[1], reading.v, reading.b
        self.error = error(self.layer.W, self.v, self.b, self.layer.t, joint)


@pytest.mark.result("R12")
@pytest.mark.parametrize(("mean", "order"), [(-0.8, 1), (0.0, 2)])
def test_held_units_obey_the_formula_to_the_order_of_their_size(full: ufs.Joint, mean: float, order: float) -> None:
    joint, radii, errors = shrunk(full, 3e-4), np.array([0.3, 0.1, 0.03]), []
    for radius in radii:
        held = Held(joint, radius, mean)
        assert held.training.gradient < 1e-10
        layer, px = held.layer, joint.px
        u = (layer.t - px @ layer.t) @ layer.W
        spread = np.linalg.eigvalsh((u.T * px) @ u)
        np.testing.assert_allclose(spread, radius**2, rtol=0.05)
        left, right = sides(joint, layer, held.v, held.b)
        right[1] *= np.sqrt(1 + spread.sum() / spread[0] / 4)
        assert 0 < left <= right.sum()
        errors.append(held.error)
    assert is_order(errors, radii, order)
    assert not is_order(errors, radii, 1.1 * order)


@pytest.mark.result("X2")
def test_held_units_obey_the_formula_to_the_order_of_the_dependence(full: ufs.Joint) -> None:
    eps = np.array([0.1, 0.03, 0.01])
    errors = [Held(shrunk(full, e), 0.01, 0.0).error for e in eps]
    assert is_order(errors, eps, 1)
    assert not is_order(errors, eps, 1.1)


@pytest.mark.result("R12")
def test_one_held_unit_uses_up_most_of_the_bound() -> None:
    """ν = 1: without the factor √(1 + ν²/4) a constant of 0.9 would be too small; with it the bound holds."""
    joint, radius, mean = signs(1e-5, 2e-4), 2e-4, -4.6
    network = nn.mlp((2, 1, 2), ["sigmoid"], 0)
    put(network[0], radius * np.array([[1.0], [0.0]]), np.array([mean]))
    v, b = ufs.optimal_weights(expit(radius * SIGNS[:, :1] + mean), joint)
    put(network[2], v.T, b)
    nn.fit_exact(network, joint, SIGNS, penalty=nn.whitening_penalty(joint, radius, mean=mean))
    reading = nn.read(network, SIGNS)
    left, right = sides(joint, reading.layers[0], reading.v, reading.b)
    assert left > 0.9 * right.sum()
    right[1] *= np.sqrt(1.25)
    assert 0.85 * right.sum() < left <= right.sum()


# ---- other layers ----------------------------------------------------------------------------------------------------


@pytest.mark.result("R12")
def test_lower_layer_sees_the_composite_head(full: ufs.Joint) -> None:
    eps, t0, errors = np.geomspace(1e-3, 3e-2, 4), layer_below(), []
    W, c, mean = np.array([[1.5, 0.4], [-0.5, 1.2]]), np.array([0.2, -0.1]), np.array([0.4, 0.6])
    for e in eps:
        joint, v = shrunk(full, e), head(full, 4)
        b = np.log(joint.py) - v @ expit(mean @ W + c)
        network = nn.mlp((3, 2, 2, 5), ["sigmoid"] * 2, 0, frozen=[1, 2])
        put(network[0], np.zeros((3, 2)), logit(mean))
        put(network[2], W, c)
        put(network[4], v.T, b)
        nn.fit_exact(network, joint, t0, tolerance=1e-12)
        lower, upper = nn.read(network, t0).layers
        errors.append(error(lower.W, *ufs.composite_head(upper.W, upper.c, v, b, upper.t, joint), t0, joint))
    assert is_order(errors, eps, 1)
    assert not is_order(errors, eps, 1.1)


def deep_sides(
    joint: ufs.Joint, t0: np.ndarray, W: np.ndarray, c: np.ndarray, v: np.ndarray, mean: np.ndarray
) -> tuple[float, np.ndarray]:
    """Both sides for the lower of two layers of sigmoids, exactly trained below a frozen layer and head."""
    px, root, (m, k) = joint.px, np.sqrt(joint.px)[:, None], W.shape
    b = np.log(joint.py) - v @ expit(mean @ W + c)
    network = nn.mlp((t0.shape[1], m, k, len(b)), ["sigmoid"] * 2, 0, frozen=[1, 2])
    put(network[0], np.zeros((t0.shape[1], m)), logit(mean))
    put(network[2], W, c)
    put(network[4], v.T, b)
    nn.fit_exact(network, joint, t0, tolerance=1e-12)
    lower, upper = nn.read(network, t0).layers
    parts = []
    for layer in (lower, upper):
        mid, u = px @ layer.t @ layer.W + layer.c, (layer.t - px @ layer.t) @ layer.W
        kappa = np.abs(1 - 2 * expit(mid + u)).max()
        parts.append((u, expit(mid) * expit(-mid), np.expm1(kappa * np.abs(u).max())))
    (u2, J2, delta2), (_, J, delta) = parts
    star = ufs.optimal_features(v, b, joint)
    left = np.linalg.norm(root * ((J2 * u2) @ W * J - project(star, t0, px)))
    right = sides(joint, upper, v, b)[1]
    right[1] *= np.linalg.cond(W * J) * (delta + delta2 + delta * delta2) / delta
    last = delta2 / 2 * np.linalg.norm(W * J, 2) * np.linalg.norm(root * J2 * u2)
    return float(left), np.append(right, last)


@pytest.mark.result("R12")
@pytest.mark.parametrize("eps", [1e-3, 1e-2])
def test_the_bound_for_a_lower_layer_holds(full: ufs.Joint, eps: float) -> None:
    W, c, mean = np.array([[1.5, 0.4], [-0.5, 1.2], [0.3, -0.8]]), np.array([0.2, -0.1]), np.array([0.4, 0.6, 0.5])
    left, right = deep_sides(shrunk(full, eps), layer_below(), W, c, head(full, 4), mean)  # three units below two
    assert 0 < left <= right.sum()


@pytest.mark.result("R12")
def test_one_unit_on_one_uses_up_the_bound_for_a_lower_layer() -> None:
    case = np.array([[16.0]]), np.array([-4.6]), 16 * SIDES, np.array([0.01])
    left, right = deep_sides(signs(2e-7, 1e-4), SIGNS, *case)
    assert 0.9 * right.sum() < left <= right.sum()


def test_a_residual_block_projects_what_the_skip_leaves(full: ufs.Joint) -> None:
    class Block(torch.nn.Module):
        def __init__(self, network: torch.nn.Sequential, skip: np.ndarray) -> None:
            super().__init__()
            self.hidden, self.head, self.skip = network[0], network[2], torch.tensor(skip)

        def forward(self, t: torch.Tensor) -> torch.Tensor:
            result: torch.Tensor = self.head(self.skip + torch.sigmoid(self.hidden(t)))
            return result

    eps, t, v, errors = np.geomspace(1e-3, 3e-2, 4), layer_below(), head(full, 4), []
    for e in eps:
        joint = shrunk(full, e)
        skip = e / 4 * np.random.default_rng(16).standard_normal((7, 2))
        b = np.log(joint.py) - v @ MEAN
        network = nn.mlp((3, 2, 5), ["sigmoid"], 0, frozen=[1])
        put(network[0], np.zeros((3, 2)), logit(MEAN))
        put(network[2], v.T, b)
        block = Block(network, skip)
        nn.fit_exact(block, joint, t, tolerance=1e-12)
        (layer,) = nn.read(block, t).layers
        left, right = sides(joint, layer, v, b, skip)
        assert 0.05 * right.sum() < left <= right.sum()
        a = joint.px @ t @ layer.W + layer.c
        u, root = (t - joint.px @ t) @ layer.W, np.sqrt(joint.px)[:, None]
        rest, whole = (project(ufs.optimal_features(v, b, joint) - p, t, joint.px) for p in (skip, 0))
        off = [
            np.linalg.norm(root * (expit(a) * expit(-a) * u - one)) / np.linalg.norm(root * one)
            for one in (rest, whole)
        ]
        errors.append(off[0])
        assert off[1] > 0.1
    assert is_order(errors, eps, 1)
    assert not is_order(errors, eps, 1.1)


def test_rectifiers_that_switch_project_piece_by_piece(full: ufs.Joint) -> None:
    joint, v = shrunk(full, 0.01), head(full, 4)
    b, root = np.log(joint.py), np.sqrt(joint.px)[:, None]
    kinks = 0
    for seed in range(6):
        t = layer_below(seed)
        network = nn.mlp((3, 2, 5), ["relu"], 0, frozen=[1])
        put(network[0], *ufs.hidden_layer_weights(v, b, t, joint, "identity"))  # each unit is active at some x
        put(network[2], v.T, b)
        try:
            nn.fit_exact(network, joint, t, tolerance=1e-12, max_steps=100)
        except nn.NotConverged:
            kinks += 1
            continue
        reading = nn.read(network, t)
        active = t @ reading.layers[0].W + reading.layers[0].c > 0
        assert np.all(active.any(axis=0))
        assert not np.all(active)
        star = ufs.optimal_features(v, b, joint)
        affine = np.column_stack([np.ones(7), t])
        # coordinates in which Λ_v, 16 times the identity here, is the identity: the units separate
        best = np.zeros((7, 2))
        for z in range(2):
            design = affine * active[:, z, None]
            best[:, z] = design @ np.linalg.lstsq(root * design, root[:, 0] * star[:, z], rcond=None)[0]
        d = b - np.log(joint.py)
        omega = np.abs(reading.s @ v.T + d - joint.py @ d).max()
        left = 4 * np.linalg.norm(root * (reading.s - best))  # in the norm of Λ_v
        assert left <= omega**2 * (1 + 4 * omega) / 4
    assert kinks < 4


def test_a_rectifier_on_a_kink_is_projected_with_the_condition_to_stay() -> None:
    """Three symbols t = 0, 1, 2: the line through the two that it says well would be positive at the third."""
    t, eps = np.array([[0.0], [1.0], [2.0]]), 0.02
    lean = eps * np.array([-1.0, 0.6, 0.4])
    joint, v, b = ufs.Joint((1 + np.outer(lean, [1, -1])) / 6), 2 * SIDES, np.log([0.5, 0.5])

    def loss(w: float, c: float) -> float:
        return ufs.log_loss(np.maximum(t * w + c, 0), v, b, joint)

    w = minimize_scalar(lambda w: loss(w, 0.0), bounds=(0, eps), options={"xatol": 1e-9}).x
    for w_off, c_off in np.random.default_rng(23).standard_normal((300, 2)) * 1e-3 * eps:
        assert loss(w + w_off, c_off) > loss(w, 0.0)
    s, star = np.maximum(t * w, 0), ufs.optimal_features(v, b, joint)
    omega = np.abs(2 * s).max()
    bound = omega**2 * (1 + 4 * omega) / 4

    def off(design: np.ndarray) -> float:
        """The distance from the projection, in the norm of Λ_v = 4."""
        best = np.zeros((3, 1))
        best[1:] = design @ np.linalg.lstsq(design, star[1:], rcond=None)[0]
        return float(2 * np.sqrt(np.mean((s - best) ** 2)))

    assert off(t[1:]) <= bound  # affine functions that vanish at the kink
    assert off(np.column_stack([np.ones(2), t[1:]])) > 2 * bound  # as if the unit were free to leave it


def test_active_rectifiers_use_up_their_bound() -> None:
    joint, layer, v, b = straight(0.01)
    s = 1 + layer.t @ layer.W
    b = b - v.sum(1)
    star = ufs.optimal_features(v, b, joint)  # a function of one sign is affine in it: the projection is all of it
    C = np.linalg.cholesky(((v - joint.py @ v).T * joint.py) @ (v - joint.py @ v)).T
    left, omega = np.sqrt(np.sum(joint.px @ ((s - star) @ C.T) ** 2)), 0.01
    bound = omega**2 * (1 + 4 * omega) / 4
    assert 0.9 * bound < left <= bound


def test_active_rectifiers_project_without_curvature(full: ufs.Joint) -> None:
    eps, t, errors = np.geomspace(1e-3, 3e-2, 4), layer_below(), []
    for e in eps:
        joint, v = shrunk(full, e), head(full, 4 * e)  # the split at which sigmoids have no order
        mean = 10.0  # far from the kink
        b = np.log(joint.py) - v @ np.full(2, mean)
        network = nn.mlp((3, 2, 5), ["relu"], 0, frozen=[1])
        put(network[0], np.zeros((3, 2)), np.full(2, mean))
        put(network[2], v.T, b)
        nn.fit_exact(network, joint, t, tolerance=1e-13)
        (layer,) = nn.read(network, t).layers
        assert np.all(layer.t @ layer.W + layer.c > 0)
        theory, _ = ufs.hidden_layer_weights(v, b, t, joint, "identity")
        errors.append(float(np.linalg.norm(layer.W - theory) / np.linalg.norm(theory)))
    assert is_order(errors, eps, 1)
    assert not is_order(errors, eps, 1.1)


# ---- the published experiment ----------------------------------------------------------------------------------------


@pytest.mark.result("X2")
def test_the_published_table_and_the_published_slope(experiment: ModuleType) -> None:
    """Table and samples as the authors' script draws them, and W by the formula and with the script's own slope."""
    rng = np.random.RandomState(1)  # the stream of np.random.seed(1)
    A = (np.eye(6, 8) + 0.05 * rng.rand(6, 8)) * rng.rand(6, 8)
    key = rng.choice(range(48), 100_000, p=(0.98 / 48 + 0.02 * A / A.sum()).ravel())
    counts = np.bincount(key, minlength=48).reshape(6, 8).T
    assert counts[0].tolist() == [2281, 2011, 1982, 1981, 2057, 2030]
    joint, (x, y), errors = ufs.Joint.from_counts(counts), np.divmod(np.arange(48), 6), []
    for seed in range(10):
        network = experiment.x2_network(seed)
        nn.fit_samples(network, np.eye(8)[x], y, weights=counts.ravel(), epochs=800, **RECIPE)
        reading = nn.read(network, np.eye(8))
        layer = reading.layers[1]
        star, _ = ufs.hidden_layer_weights(reading.v, reading.b, layer.t, joint)
        mean = joint.px @ ufs.optimal_features(reading.v, reading.b, joint)
        predicted = expit(logit(mean) - joint.px @ layer.t @ layer.W)
        scripted = star * mean * (1 - mean) / (predicted * (1 - predicted))
        errors.append([np.linalg.norm(layer.W - one) / np.linalg.norm(one) for one in (star, scripted)])
    formula, script = np.transpose(errors)
    assert 0.05 < np.median(formula) < 0.15
    assert formula[9] == pytest.approx(0.10, abs=0.01)
    assert script[9] == pytest.approx(0.18, abs=0.01)


# ---- the stored runs -------------------------------------------------------------------------------------------------


def test_the_file_says_where_it_comes_from(stored: dict[str, Any], experiment: ModuleType) -> None:
    about = json.loads(str(stored["about"]))
    assert {"date", "python", "numpy", "torch", "ufs", "machine", "seeds", "recipe", "seconds"} <= about.keys()
    assert stored["epochs"].tolist() == experiment.EPOCHS
    assert stored["rhos"].tolist() == experiment.RHOS
    assert stored["deep_epochs"].tolist() == experiment.DEEP_EPOCHS
    assert stored["W"].shape == (len(experiment.EPOCHS), 2, 7, 10, 4, 3)
    assert stored["deep_real_3_W"].shape == (len(experiment.DEEP_EPOCHS), len(experiment.SHARES), 10, 3, 8)
    np.testing.assert_array_equal(stored["counts"][3, 4], experiment.x2_table(0.02, 4))


@pytest.mark.result("X2")
def test_a_short_run_finds_the_stored_weights(stored: dict[str, Any], experiment: ModuleType) -> None:
    k, seeds, last = 3, slice(0, 4), 200
    t, P = stored["t"][seeds].astype(float), stored["counts"][k, seeds] / 100_000
    networks = [experiment.x2_network(seed) for seed in range(4)]
    np.testing.assert_allclose([nn.read(one, np.eye(8)).layers[1].t for one in networks], t, atol=1e-6)
    theta = experiment.weights_of(networks)[2:]
    wanted = [epoch for epoch in experiment.EPOCHS if epoch <= last]
    for i, (W, c, v, b) in enumerate(experiment.descend(P, t, theta, ["sigmoid"], wanted)):
        for name, values in zip("Wcvb", (W, c, v.swapaxes(1, 2), b), strict=True):
            np.testing.assert_allclose(values, stored[name][i, 0, k, seeds], atol=2e-4)


RECIPE: dict[str, Any] = {"lr": 4.0, "momentum": 0.9, "nesterov": True, "decay": 1e-6, "clip": 0.1, "progress": False}


def test_many_networks_at_once_train_as_one_alone(experiment: ModuleType) -> None:
    counts, x, y = experiment.x2_table(0.05, 1), *np.divmod(np.arange(48), 6)
    networks = [experiment.deep_network(seed, 6) for seed in (0, 1)]
    P, inputs = np.stack([counts, counts]) / 100_000, np.stack([np.eye(8)] * 2)
    (together,) = experiment.descend(P, inputs, experiment.weights_of(networks), experiment.DEEP, [60])
    for i, network in enumerate(networks):
        nn.fit_samples(network, np.eye(8)[x], y, weights=counts.ravel(), epochs=60, **RECIPE)
        for one, alone in zip(together, experiment.weights_of([network]), strict=True):
            np.testing.assert_allclose(one[i], alone[0], atol=1e-4)


def test_the_stored_deep_networks_are_those_trained(stored: dict[str, Any], experiment: ModuleType) -> None:
    tables = {"rho": stored["counts"][[3]] / 100_000, "real": experiment.fathers_and_sons()}
    for name, P in tables.items():
        theta = experiment.weights_of([experiment.deep_network(seed, P.shape[3]) for seed in range(2)])
        inputs = np.stack([np.eye(8)] * 2)
        (seen,) = experiment.descend(P[0, :2], inputs, theta, experiment.DEEP, [100])
        for i, part in enumerate(seen):
            kept = stored[f"deep_{name}_{i // 2}_{'c' if i % 2 else 'W'}"]
            np.testing.assert_allclose(part, kept[0, 0, :2], atol=2e-4)


def test_descent_keeps_the_balance_of_the_layers(stored: dict[str, Any], experiment: ModuleType) -> None:
    """WᵀW - vᵀv at the weakest dependence, from where the biases have settled until the units bend."""

    def balance(epoch: int, start: int, seed: int) -> np.ndarray:
        W, v = (stored[name][experiment.EPOCHS.index(epoch), start, 0, seed].astype(float) for name in "Wv")
        v -= v.mean(axis=0)
        D: np.ndarray = W.T @ W - v.T @ v
        return D

    for seed in range(10):
        for start in (0, 1):
            first, last = (balance(epoch, start, seed) for epoch in (25, 400))
            assert np.linalg.norm(last - first, 2) < 0.2 * np.linalg.norm(first, 2)
        assert np.linalg.eigvalsh(balance(2000, 0, seed))[-1] > 0.5  # Glorot's start: some W e cannot become small
        assert np.linalg.eigvalsh(balance(2000, 1, seed))[-1] < 0.05
