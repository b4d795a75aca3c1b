"""Train the networks of X2 far beyond the published 800 epochs, for chapter 8.

    python experiments/hidden_layers.py

Writes ``experiments/hidden_layers.npz`` (read it with ``numpy.load``; no pickles):

* ``about``: versions, settings and seconds, as JSON.
* ``epochs``, ``rhos``, ``counts`` of shape (7, 10, 8, 6): tables of 100,000 samples for each strength ρ and seed.
* ``t`` (10, 8, 4): the frozen layer of each seed. ``W``, ``c``, ``v``, ``b``: the weights at each epoch, for two starts
  (Glorot's; W at a tenth of it), each ρ and each seed, so ``W`` is of shape (epochs, 2, 7, 10, 4, 3).
* ``free_loss``, ``free_gradient``, ``free_v``, ``free_eta``: minimising the exact loss of the network of seed 0 at
  ρ = 0.02 without penalty, step by step; ``free_message`` is what ``ufs.nn.fit_exact`` said at the end.
* ``deep_epochs`` and ``deep_0_weight``, ``deep_0_bias``, …: an 8-5-4-3-6 network, nothing frozen, three seeds.

Weights are stored in single precision, which is more than any figure shows. Training for thousands of epochs is
chaotic in some of the runs: another processor's rounding changes single networks, and hardly the medians.
"""

from __future__ import annotations

import json
import platform
import time
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import scipy
import torch
from numpy.typing import NDArray
from scipy.special import expit, softmax

import ufs
from ufs import nn

Array: TypeAlias = NDArray[np.float64]

TARGET = Path(__file__).with_suffix(".npz")
RHOS = [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2]
SEEDS = range(10)
STARTS = [1.0, 0.1]  # factors of Glorot's weights W
EPOCHS = [25, 50, 75, 100, 150, 200, 300, 400, 600, 800, 1200, 2000, 3000, 5000, 8000, 10_000, 12_000]
DEEP_EPOCHS = [100, 150, 200, 300, 400, 500, 600, 700, 800, 900, 1000, 1200, 1400, 1600, 1800, 2000]
DEEP = (8, 5, 4, 3, 6)
RATE, DECAY, MOMENTUM, CLIP = 4.0, 1e-6, 0.9, 0.1


def x2_table(rho: float, seed: int) -> NDArray[np.int64]:
    """Count 100,000 samples of the published table, shape (8, 6)."""
    rng = np.random.default_rng(seed)
    U, V = rng.random((2, 6, 8))
    A = (np.eye(6, 8) + 0.05 * U) * V
    P = (1 - rho) / 48 + rho * A / A.sum()
    return rng.multinomial(100_000, P.T.ravel()).reshape(8, 6)


def x2_network(seed: int) -> torch.nn.Sequential:
    """Build the published network, its first layer frozen."""
    return nn.mlp((8, 4, 3, 6), ["tanh", "sigmoid"], seed, frozen=[0])


def gradients(P: Array, t: Array, W: Array, c: Array, v: Array, b: Array) -> list[Array]:
    """Gradients of the cross-entropy for many networks, the first axis of every array."""
    s = expit(t @ W + c[:, None])
    Q = softmax(s @ v.swapaxes(1, 2) + b[:, None], axis=2)
    r = P.sum(2, keepdims=True) * Q - P
    a = (r @ v) * s * (1 - s)
    return [t.swapaxes(1, 2) @ a, a.sum(1), r.swapaxes(1, 2) @ s, r.sum(1)]


def descend(P: Array, t: Array, W: Array, v: Array, epochs: list[int]) -> list[list[Array]]:
    """Run the published gradient descent on many networks at once; (W, c, v, b) after each of the epochs."""
    theta = [W, np.zeros((len(W), W.shape[2])), v, np.zeros(v.shape[:2])]
    velocity = [np.zeros_like(part) for part in theta]
    seen = []
    for step in range(max(epochs)):
        g = gradients(P, t, *theta)
        norm = np.sqrt(sum((part**2).reshape(len(part), -1).sum(1) for part in g))
        rate = RATE / (1 + DECAY * step) * np.minimum(1, CLIP / norm)
        g = [(part.T * rate).T for part in g]
        velocity = [MOMENTUM * u - part for u, part in zip(velocity, g, strict=True)]
        theta = [part + MOMENTUM * u - h for part, u, h in zip(theta, velocity, g, strict=True)]
        if step + 1 in epochs:
            seen.append(theta)
    return seen


def train_all() -> dict[str, Array]:
    """Train every start, ρ and seed."""
    counts = np.array([[x2_table(rho, seed) for seed in SEEDS] for rho in RHOS])
    readings = [nn.read(x2_network(seed), np.eye(8)) for seed in SEEDS]
    t, W, v = (np.stack(part) for part in zip(*((r.layers[1].t, r.layers[1].W, r.v) for r in readings), strict=True))
    copies = len(STARTS) * len(RHOS)
    P = np.concatenate([counts.reshape(-1, 8, 6) / 100_000] * len(STARTS))
    t_all, W_all, v_all = (np.concatenate([part] * copies) for part in (t, W, v))
    W_all = W_all * np.repeat(STARTS, len(P) // len(STARTS))[:, None, None]
    seen = descend(P, t_all, W_all, v_all, EPOCHS)
    shape = (len(EPOCHS), len(STARTS), len(RHOS), len(SEEDS))
    found = {
        name: np.array([at[i] for at in seen]).reshape(*shape, *seen[0][i].shape[1:])
        for i, name in enumerate(("W", "c", "v", "b"))
    }
    return {"counts": counts.astype(np.int32), "t": t, **found}


def minimise_freely(joint: ufs.Joint) -> dict[str, Array]:
    """Minimise the exact loss without a penalty, and note what grows."""

    def look(step: int, network: torch.nn.Module) -> tuple[float, float]:
        reading = nn.read(network, np.eye(8))
        layer = reading.layers[1]
        eta = np.abs((layer.t - joint.px @ layer.t) @ layer.W).max()
        return float(np.linalg.norm(reading.v)), float(eta)

    try:
        nn.fit_exact(x2_network(0), joint, max_steps=800, record=look)
    except nn.NotConverged as stopped:
        message, training = str(stopped), stopped.training
    v, eta = np.array(training.records).T
    free = {"loss": training.losses, "gradient": training.gradients, "v": v, "eta": eta, "message": np.array(message)}
    return {f"free_{name}": value for name, value in free.items()}


def train_deep() -> dict[str, Array]:
    """Train all layers of a deeper network at ρ = 0.02, three seeds."""
    x, y = np.divmod(np.arange(48), 6)
    found: dict[str, list[list[Array]]] = {}
    for seed in range(3):

        def look(epoch: int, network: torch.nn.Module) -> list[Array] | None:
            return [p.detach().numpy().copy() for p in network.parameters()] if epoch in DEEP_EPOCHS else None

        network = nn.mlp(DEEP, ["tanh", "sigmoid", "sigmoid"], seed)
        history = nn.fit_samples(
            network,
            np.eye(8)[x],
            y,
            weights=x2_table(0.02, seed).ravel(),
            epochs=max(DEEP_EPOCHS),
            lr=RATE,
            momentum=MOMENTUM,
            nesterov=True,
            decay=DECAY,
            clip=CLIP,
            record=look,
            progress=False,
        )
        seen = [one for one in history.records if one is not None]
        for i, values in enumerate(zip(*seen, strict=True)):
            name = f"deep_{i // 2}_{'bias' if i % 2 else 'weight'}"
            found.setdefault(name, []).append(list(values))
    return {name: np.array(values) for name, values in found.items()}


if __name__ == "__main__":
    start = time.perf_counter()
    results = train_all()
    free = minimise_freely(ufs.Joint.from_counts(results["counts"][RHOS.index(0.02), 0]))
    deep = train_deep()
    single: dict[str, Any] = {
        name: values.astype(np.float32) if values.dtype == float else values
        for name, values in (results | free | deep).items()
    }
    about = {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "torch": torch.__version__,
        "ufs": ufs.__version__,
        "seeds": list(SEEDS),
        "recipe": {"learning rate": RATE, "decay": DECAY, "Nesterov momentum": MOMENTUM, "clip": CLIP},
        "seconds": round(time.perf_counter() - start),
    }
    np.savez_compressed(
        TARGET, about=json.dumps(about), epochs=EPOCHS, rhos=RHOS, starts=STARTS, deep_epochs=DEEP_EPOCHS, **single
    )
    print(json.dumps(about, indent=1), f"{TARGET.stat().st_size / 1e3:.0f} kB")
