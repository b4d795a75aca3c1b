"""Train the networks of X2, and deeper ones, far beyond the published 800 epochs, for chapter 8.

    python experiments/hidden_layers.py

Writes ``experiments/hidden_layers.npz`` (read it with ``numpy.load``; no pickles):

* ``about``: date, versions, machine, settings, seeds and seconds, as JSON.
* ``epochs``, ``rhos``, ``counts`` of shape (7, 10, 8, 6): tables of 100,000 samples for each strength (``rho`` in the
  authors' script, β in the chapter) and seed.
* ``t`` (10, 8, 4): the frozen layer of each seed. ``W``, ``c``, ``v``, ``b``: the weights at each epoch, for two starts
  (Glorot's; W at a tenth of it), each strength and each seed, so ``W`` is of shape (epochs, 2, 7, 10, 4, 3).
* ``deep_epochs``, and for 8-5-4-3-|Y| networks with nothing frozen ``deep_rho_0_W``, ``deep_rho_0_c``, …, on the tables
  of strength 0.02, and ``deep_real_0_W``, …, on fathers and sons with ``shares`` of their dependence: shape (epochs,
  tables, seeds, …), the last layer being the head.

Weights are stored in single precision, which is more than any figure shows. Training for thousands of epochs is
chaotic in some of the runs: another processor's rounding changes single networks, and hardly the medians.
"""

from __future__ import annotations

import datetime
import json
import os
import platform
import time
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import scipy
import torch
from numpy.typing import NDArray
from scipy.special import expit, softmax
from stored import write

import ufs
from ufs import datasets, nn

Array: TypeAlias = NDArray[np.float64]

TARGET = Path(__file__).with_suffix(".npz")
RHOS = [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2]
SEEDS = range(10)
STARTS = [1.0, 0.1]  # factors of Glorot's weights W
EPOCHS = [25, 50, 75, 100, 150, 200, 300, 400, 600, 800, 1200, 2000, 3000, 5000, 8000, 10_000, 12_000]
DEEP = ["tanh", "sigmoid", "sigmoid"]
DEEP_EPOCHS = [100, 200, 300, 400, 600, 800, 1200, 2000, 3000, 5000, 8000, 12_000]
SHARES = [1.0, 0.1]  # of the dependence of fathers and sons
RATE, DECAY, MOMENTUM, CLIP = 4.0, 1e-6, 0.9, 0.1
VALUE = {"tanh": np.tanh, "sigmoid": expit}
SLOPE = {"tanh": lambda s: 1 - s**2, "sigmoid": lambda s: s * (1 - s)}


def x2_table(rho: float, seed: int) -> NDArray[np.int64]:
    """Count 100,000 samples of a table of the published kind, shape (8, 6)."""
    rng = np.random.default_rng(seed)
    U, V = rng.random((2, 6, 8))
    A = (np.eye(6, 8) + 0.05 * U) * V
    P = (1 - rho) / 48 + rho * A / A.sum()
    return rng.multinomial(100_000, P.T.ravel()).reshape(8, 6)


def x2_network(seed: int) -> torch.nn.Sequential:
    """Build the published network, its first layer frozen."""
    return nn.mlp((8, 4, 3, 6), ["tanh", "sigmoid"], seed, frozen=[0])


def deep_network(seed: int, classes: int) -> torch.nn.Sequential:
    """Build the deeper network, nothing frozen."""
    return nn.mlp((8, 5, 4, 3, classes), DEEP, seed)


def gradients(P: Array, inputs: Array, theta: list[Array], kinds: list[str]) -> list[Array]:
    """Gradients of the cross-entropy for many networks, the first axis of every array; theta as in `descend`."""
    values = [inputs]
    for W, c, kind in zip(theta[:-2:2], theta[1:-2:2], kinds, strict=True):
        values.append(VALUE[kind](values[-1] @ W + c[:, None]))
    Q = softmax(values[-1] @ theta[-2] + theta[-1][:, None], axis=2)
    back = P.sum(2, keepdims=True) * Q - P
    found: list[Array] = []
    for i, kind in zip(range(len(values) - 1, -1, -1), [*kinds[::-1], ""], strict=True):
        found = [values[i].swapaxes(1, 2) @ back, back.sum(1), *found]
        if i:
            back = (back @ theta[2 * i].swapaxes(1, 2)) * SLOPE[kind](values[i])
    return found


def descend(P: Array, inputs: Array, theta: list[Array], kinds: list[str], epochs: list[int]) -> list[list[Array]]:
    """Run the published gradient descent on many networks at once; their weights after each of the epochs.

    `theta` has the weights, shape (networks, m, k), and the biases of each layer in turn, the head last.
    """
    velocity = [np.zeros_like(part) for part in theta]
    seen = []
    for step in range(max(epochs)):
        g = gradients(P, inputs, theta, kinds)
        norm = np.sqrt(sum((part**2).reshape(len(part), -1).sum(1) for part in g))
        rate = RATE / (1 + DECAY * step) * np.minimum(1, CLIP / norm)
        g = [(part.T * rate).T for part in g]
        velocity = [MOMENTUM * u - part for u, part in zip(velocity, g, strict=True)]
        theta = [part + MOMENTUM * u - h for part, u, h in zip(theta, velocity, g, strict=True)]
        if step + 1 in epochs:
            seen.append(theta)
    return seen


def weights_of(networks: list[torch.nn.Sequential]) -> list[Array]:
    """Weights (networks, m, k) and biases of every layer in turn, in the paper's orientation."""
    linears = [[part for part in network if isinstance(part, torch.nn.Linear)] for network in networks]
    theta: list[Array] = []
    for layer in zip(*linears, strict=True):
        theta.append(np.stack([one.weight.detach().numpy().T for one in layer]))
        theta.append(np.stack([one.bias.detach().numpy() for one in layer]))
    return theta


def train_all() -> dict[str, Array]:
    """Train the published network from every start, for every strength and seed."""
    counts = np.array([[x2_table(rho, seed) for seed in SEEDS] for rho in RHOS])
    below, bias, *theta = weights_of([x2_network(seed) for seed in SEEDS])
    t = np.tanh(below + bias[:, None])
    copies = len(STARTS) * len(RHOS)
    P = np.concatenate([counts.reshape(-1, 8, 6) / 100_000] * len(STARTS))
    t_all, *theta = (np.concatenate([part] * copies) for part in (t, *theta))
    theta[0] = theta[0] * np.repeat(STARTS, len(P) // len(STARTS))[:, None, None]
    seen = descend(P, t_all, theta, ["sigmoid"], EPOCHS)
    shape = (len(EPOCHS), len(STARTS), len(RHOS), len(SEEDS))
    found = {
        name: np.array([at[i] for at in seen]).reshape(*shape, *seen[0][i].shape[1:])
        for i, name in enumerate(("W", "c", "v", "b"))
    }
    found["v"] = found["v"].swapaxes(-1, -2)
    return {"counts": counts.astype(np.int32), "t": t, **found}


def train_deep(name: str, tables: Array) -> dict[str, Array]:
    """Train all layers of a deeper network on tables of shape (tables, seeds, 8, classes)."""
    copies, seeds, _, classes = tables.shape
    theta = weights_of([deep_network(seed, classes) for seed in range(seeds)])
    theta = [np.concatenate([part] * copies) for part in theta]
    inputs = np.broadcast_to(np.eye(8), (copies * seeds, 8, 8))
    seen = descend(tables.reshape(-1, 8, classes), inputs, theta, DEEP, DEEP_EPOCHS)
    return {
        f"deep_{name}_{i // 2}_{'c' if i % 2 else 'W'}": np.array([at[i] for at in seen]).reshape(
            len(DEEP_EPOCHS), copies, seeds, *theta[i].shape[1:]
        )
        for i in range(len(theta))
    }


def fathers_and_sons() -> Array:
    """The table with each share of its dependence, once for every seed: shape (shares, seeds, 8, 8)."""
    joint = ufs.Joint.from_counts(datasets.occupational_status())
    return np.array([[joint.faded(share).P] * len(SEEDS) for share in SHARES])


if __name__ == "__main__":
    start = time.perf_counter()
    results = train_all()
    results |= train_deep("rho", results["counts"][[RHOS.index(0.02)]] / 100_000)
    results |= train_deep("real", fathers_and_sons())
    single: dict[str, Any] = {
        name: values.astype(np.float32) if values.dtype == float else values for name, values in results.items()
    }
    about = {
        "date": datetime.date.today().isoformat(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "torch": torch.__version__,
        "ufs": ufs.__version__,
        "machine": {"system": platform.system(), "architecture": platform.machine(), "cores": os.cpu_count()},
        "seeds": list(SEEDS),
        "recipe": {"learning rate": RATE, "decay": DECAY, "Nesterov momentum": MOMENTUM, "clip": CLIP},
        "seconds": round(time.perf_counter() - start),
    }
    content = {"epochs": EPOCHS, "rhos": RHOS, "starts": STARTS, "deep_epochs": DEEP_EPOCHS, "shares": SHARES, **single}
    write(TARGET, {"about": json.dumps(about)} | content)
    print(json.dumps(about, indent=1), f"{TARGET.stat().st_size / 1e3:.0f} kB")
