"""What chapter 8 says of hidden layers, on other tables and networks; its stored runs, trained again for a while."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import expit, logit

import ufs
from ufs import nn

PROJECT = Path(__file__).parents[1]
MEAN = np.array([0.35, 0.55])


@pytest.fixture(scope="module")
def experiment() -> ModuleType:
    """The script that stored the runs."""
    spec = importlib.util.spec_from_file_location("hidden_layers", PROJECT / "experiments" / "hidden_layers.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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
    independent = np.outer(full.px, full.py)
    return ufs.Joint(independent + eps / np.linalg.norm(ufs.dtm(full)) * (full.P - independent))


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
    return Q @ (Q.T @ (root * h)) / root


# ---- the theorem -----------------------------------------------------------------------------------------------------


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
    assert ufs.remainder_order(errors, eps) == pytest.approx(order, abs=0.06)


@pytest.mark.parametrize("eps", [1e-3, 1e-2, 0.05])
def test_the_bound_holds_for_the_weights_and_the_means(full: ufs.Joint, eps: float) -> None:
    joint, t, v = shrunk(full, eps), layer_below(), head(full, 3)
    layer, b = trained(joint, t, v, MEAN)
    a, u = joint.px @ t @ layer.W + layer.c, (t - joint.px @ t) @ layer.W
    s, J = expit(a + u), expit(a) * expit(-a)
    star = ufs.optimal_features(v, b, joint)
    d = b - np.log(joint.py)
    omega = np.abs(s @ v.T + d - joint.py @ d).max()
    delta = np.expm1(np.abs(u).max())
    assert omega <= 1
    root = np.sqrt(joint.px)[:, None]
    left = np.hypot(
        np.linalg.norm(root * (J * u - project(star, t, joint.px))), np.linalg.norm(expit(a) - joint.px @ star)
    )
    right = np.linalg.norm(v, axis=1).max() / 9 * (1.5 * omega**2 + delta * np.sqrt(2 * ufs.log_loss(s, v, b, joint)))
    right += delta / 2 * np.linalg.norm(root * J * u)
    assert 0 < left <= right


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


# ---- why training leaves it ------------------------------------------------------------------------------------------


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
    assert ufs.remainder_order(remainder, scales) == pytest.approx(2, abs=0.1)
    assert abs(slope) > 1e-4


def test_width_keeps_its_share_of_a_uniform_span(full: ufs.Joint) -> None:
    rng, B, root = np.random.default_rng(15), ufs.dtm(full), np.sqrt(full.px)[:, None]
    shares = []
    for _ in range(4000):
        t = rng.standard_normal((7, 2)) / root
        shares.append(np.sum((B @ np.linalg.qr(root * (t - full.px @ t))[0]) ** 2) / np.sum(B**2))
    assert np.mean(shares) == pytest.approx(2 / 6, abs=4 * np.std(shares) / np.sqrt(4000))


# ---- other layers ----------------------------------------------------------------------------------------------------


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
    assert ufs.remainder_order(errors, eps) == pytest.approx(1, abs=0.1)


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
    assert ufs.remainder_order(errors, eps) == pytest.approx(1, abs=0.1)


# ---- the stored runs -------------------------------------------------------------------------------------------------


def test_the_file_says_where_it_comes_from(stored: dict[str, Any], experiment: ModuleType) -> None:
    about = json.loads(str(stored["about"]))
    assert {"python", "numpy", "torch", "ufs", "seeds", "recipe", "seconds"} <= about.keys()
    assert stored["epochs"].tolist() == experiment.EPOCHS
    assert stored["rhos"].tolist() == experiment.RHOS
    assert stored["W"].shape == (len(experiment.EPOCHS), 2, 7, 10, 4, 3)
    np.testing.assert_array_equal(stored["counts"][3, 4], experiment.x2_table(0.02, 4))


def test_a_short_run_finds_the_stored_weights(stored: dict[str, Any], experiment: ModuleType) -> None:
    k, seeds, last = 3, slice(0, 4), 200
    t, P = stored["t"][seeds].astype(float), stored["counts"][k, seeds] / 100_000
    readings = [nn.read(experiment.x2_network(seed), np.eye(8)) for seed in range(4)]
    np.testing.assert_allclose([r.layers[1].t for r in readings], t, atol=1e-6)
    W, v = np.stack([r.layers[1].W for r in readings]), np.stack([r.v for r in readings])
    wanted = [epoch for epoch in experiment.EPOCHS if epoch <= last]
    for i, theta in enumerate(experiment.descend(P, t, W, v, wanted)):
        for name, values in zip("Wcvb", theta, strict=True):
            np.testing.assert_allclose(values, stored[name][i, 0, k, seeds], atol=2e-4)


def test_many_networks_at_once_train_as_one_alone(experiment: ModuleType) -> None:
    counts, network = experiment.x2_table(0.05, 1), experiment.x2_network(1)
    start = nn.read(network, np.eye(8))
    x, y = np.divmod(np.arange(48), 6)
    settings: dict[str, Any] = {
        "lr": 4.0,
        "momentum": 0.9,
        "nesterov": True,
        "decay": 1e-6,
        "clip": 0.1,
        "progress": False,
    }
    nn.fit_samples(network, np.eye(8)[x], y, weights=counts.ravel(), epochs=60, **settings)
    layer = start.layers[1]
    ((W, c, v, b),) = experiment.descend(counts[None] / 100_000, layer.t[None], layer.W[None], start.v[None], [60])
    alone = nn.read(network, np.eye(8))
    for one, other in ((W, alone.layers[1].W), (c, alone.layers[1].c), (v, alone.v), (b, alone.b)):
        np.testing.assert_allclose(one[0], other, atol=1e-4)


def test_the_stored_deep_network_is_the_one_trained(stored: dict[str, Any], experiment: ModuleType) -> None:
    x, y = np.divmod(np.arange(48), 6)
    network = nn.mlp(experiment.DEEP, ["tanh", "sigmoid", "sigmoid"], 0)
    settings: dict[str, Any] = {
        "lr": 4.0,
        "momentum": 0.9,
        "nesterov": True,
        "decay": 1e-6,
        "clip": 0.1,
        "progress": False,
    }
    counts = experiment.x2_table(0.02, 0)
    nn.fit_samples(network, np.eye(8)[x], y, weights=counts.ravel(), epochs=100, **settings)
    assert stored["deep_epochs"][0] == 100
    for i, linear in enumerate(network[::2]):
        np.testing.assert_allclose(linear.weight.detach().numpy(), stored[f"deep_{i}_weight"][0, 0], atol=2e-4)
        np.testing.assert_allclose(linear.bias.detach().numpy(), stored[f"deep_{i}_bias"][0, 0], atol=2e-4)
