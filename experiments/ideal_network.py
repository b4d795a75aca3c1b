"""Train the network of X1, as published, on the authors' table and on others of its kind, for chapter 6.

    python experiments/ideal_network.py

Table and samples are those that the authors' `exp1.py` draws (https://github.com/XiangxiangXu/dnn), which is run with
the seed 1; other seeds give other tables. Writes ``experiments/ideal_network.json``:

* ``tables``: for each seed ``ratio`` (σ₂/σ₁ of the counts), ``eps``, ``empty`` cells; ``best``, the network of least
  loss of twelve exact trainings, or null where the least loss is that of trainings that did not end because the weights
  grew; ``minima``, what share of the improvement of the least loss over I(X; Y) each different ending has, and the
  modulus of the correlation of its s with f₁; ``failed``, how many exact trainings did not end.
* ``runs``: for each table and start, after 200 epochs and after 1000, what `compare` finds.

A correlation has the sign that it has when s is turned so as to agree with f₁: where v leans the other way than g₁ it
is negative.
"""

from __future__ import annotations

import os
import platform
import time
from datetime import date
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from measures import rounded, versions, write
from numpy.typing import NDArray

import ufs
from ufs import nn

Array: TypeAlias = NDArray[np.float64]

TARGET = Path(__file__).with_suffix(".json")
SEEDS = range(40)
STARTS = range(8)
EPOCHS = (200, 1000)  # as published, and far beyond
EXACT = 12
RECIPE: dict[str, Any] = {"lr": 4.0, "decay": 1e-2, "momentum": 0.9, "nesterov": True, "clip": 0.5}


def counts_of(seed: int) -> NDArray[np.int64]:
    """Count 100,000 samples of the published kind of table, shape (8, 6); seed 1 is the authors'."""
    draw = np.random.RandomState(seed)  # the generator of the published script
    P = draw.random_sample((6, 8))
    cells = draw.choice(48, 100_000, p=(P / P.sum()).ravel())
    return np.bincount(cells, minlength=48).reshape(6, 8).T


def recipe(counts: NDArray[np.int64], start: int, epochs: tuple[int, ...] = EPOCHS) -> list[nn.Reading]:
    """Train the published network from one start; what it is after each of the epochs."""
    x, y = np.indices(counts.shape).reshape(2, -1)
    one_hot = np.eye(len(counts))
    network = nn.mlp((len(counts), 1, counts.shape[1]), ["sigmoid"], start)

    def look(epoch: int, network: Any) -> nn.Reading | None:
        return nn.read(network, one_hot) if epoch in epochs else None

    weights = counts.ravel()
    seen = nn.fit_samples(
        network, one_hot[x], y, epochs=max(epochs), weights=weights, record=look, progress=False, **RECIPE
    )
    return [net for net in seen.records if net is not None]


def exact(joint: ufs.Joint, starts: int = EXACT) -> tuple[list[nn.Reading], list[float]]:
    """Train free features to the minimum from several starts: the networks, best first, and losses that had no end."""
    found: list[tuple[float, int, nn.Reading]] = []
    endless: list[float] = []
    rows, columns = joint.P.shape
    for seed in range(starts):
        network = nn.mlp((rows, 1, columns), ["identity"], seed)
        try:
            found.append((nn.fit_exact(network, joint, max_steps=500).loss, seed, nn.read(network, np.eye(rows))))
        except nn.NotConverged as stopped:
            endless.append(stopped.training.loss)
    return [net for *_, net in sorted(found, key=lambda one: one[:2])], endless


def compare(net: nn.Reading, joint: ufs.Joint, least: float) -> dict[str, float]:
    """How far s, v and b are from theory: signs, sizes and all.

    ``s``, ``v``: correlations with f₁ and g₁; ``size``: sd(s) sd(v) over σ₁; ``d``: correlation of d(y) with -μ_s·v(y),
    and ``mismatch``: the norm of their difference over that of μ_s·v; ``improvement``: the share of the least loss's
    way from I(X; Y) that the network has gone.
    """
    m = ufs.modes(joint, 1)
    s, v = net.s[:, 0], net.v[:, 0]
    mean = joint.px @ s
    s, v, d = s - mean, v - joint.py @ v, net.b - np.log(joint.py)
    d = d - joint.py @ d
    sd_s, sd_v = np.sqrt(joint.px @ s**2), np.sqrt(joint.py @ v**2)
    along = joint.px @ (s * m.f[:, 0]) / sd_s
    sign = 1.0 if along >= 0 else -1.0
    moved = np.sqrt(joint.py @ d**2) * abs(mean) * sd_v
    ignorant = joint.mutual_information()
    return {
        "s": sign * along,
        "v": sign * (joint.py @ (v * m.g[:, 0])) / sd_v,
        "size": sd_s * sd_v / m.sigma[0],
        "d": -mean * (joint.py @ (d * v)) / moved,
        "mismatch": np.sqrt(joint.py @ (d + mean * v) ** 2) / (abs(mean) * sd_v),
        "improvement": (ignorant - ufs.log_loss(net.s, net.v, net.b, joint)) / (ignorant - least),
    }


def table(seed: int) -> dict[str, Any]:
    """Everything about one table."""
    counts = counts_of(seed)
    joint = ufs.Joint.from_counts(counts)
    sigma = ufs.modes(joint, 2).sigma
    networks, endless = exact(joint)
    losses = [ufs.log_loss(net.s, net.v, net.b, joint) for net in networks]
    least = min(losses + endless)
    ends = [compare(net, joint, least) for net in networks]
    minima = {round(float(end["improvement"]), 4): round(abs(float(end["s"])), 3) for end in ends}
    about = rounded({"seed": seed, "ratio": float(sigma[1] / sigma[0]), "eps": float(np.linalg.norm(ufs.dtm(joint)))})
    about |= {"empty": int(np.sum(counts == 0)), "failed": len(endless)}
    runs = []
    for start in STARTS:
        for epochs, net in zip(EPOCHS, recipe(counts, start), strict=True):
            found = {key: float(value) for key, value in compare(net, joint, least).items()}
            runs.append({"seed": seed, "start": start, "epochs": epochs} | shortened(found))
    best = {key: float(ends[0][key]) for key in ("s", "v", "size")} if losses[0] <= least * (1 + 1e-9) else None
    return {"about": about | {"best": best and shortened(best), "minima": list(minima.items())}, "runs": runs}


def shortened(values: dict[str, float]) -> dict[str, float]:
    """Five decimals: what another processor's rounding leaves alone in most runs."""
    return {name: round(value, 5) for name, value in values.items()}


if __name__ == "__main__":
    begun = time.perf_counter()
    found = [table(seed) for seed in SEEDS]
    content = {
        "date": date.today().isoformat(),
        "versions": versions(),
        "machine": {"system": platform.system(), "architecture": platform.machine(), "cores": os.cpu_count()},
        "recipe": RECIPE | {"epochs": list(EPOCHS), "starts": len(STARTS), "exact": EXACT},
        "seconds": round(time.perf_counter() - begun),
        "tables": [one["about"] for one in found],
        "runs": [run for one in found for run in one["runs"]],
    }
    write(TARGET, content)
