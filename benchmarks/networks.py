"""Time exact training beside the paper's recipe, in one run: ``python benchmarks/networks.py``.

See README.md for how to read it.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from provenance import provenance, write
from tqdm import tqdm

import ufs
from ufs import Joint, nn

SAMPLES, RADIUS, CLOSE, UNPENALISED_STEPS = 100_000, 0.1, 0.1, 3000
RESULTS = Path(__file__).parent / "results" / "networks.json"
X1_RECIPE = {"epochs": 200, "lr": 4.0, "momentum": 0.9, "nesterov": True, "decay": 1e-2, "clip": 0.5}
X2_RECIPE = {"epochs": 800, "lr": 4.0, "momentum": 0.9, "nesterov": True, "decay": 1e-6, "clip": 0.1}

# A track: processor and wall-clock seconds and the weights, at the start and after each step.
Track = list[tuple[float, float, dict[str, torch.Tensor]]]


def x1_table(seed: int) -> np.ndarray:
    P = np.random.default_rng(seed).random((8, 6))
    return P / P.sum()


def x2_table(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    A = (np.eye(6, 8) + 0.05 * rng.random((6, 8))) * rng.random((6, 8))
    return (0.98 / 48 + 0.02 * A / A.sum()).T


def x1_network(seed: int) -> torch.nn.Sequential:
    return nn.mlp((8, 1, 6), ["sigmoid"], seed=seed)


def x2_network(seed: int) -> torch.nn.Sequential:
    return nn.mlp((8, 4, 3, 6), ["tanh", "sigmoid"], seed=seed, frozen=[0])


def draw(P: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray, Joint]:
    cells = np.random.default_rng([seed, 1]).choice(P.size, SAMPLES, p=P.ravel())
    counts = np.bincount(cells, minlength=P.size).reshape(P.shape)
    return *np.divmod(cells, P.shape[1]), Joint.from_counts(counts)


def tracked(train: Callable[[Callable[[int, torch.nn.Module], None]], Any]) -> tuple[Track, Any]:
    """The track of one training, timed from its call; the training itself, converged or not."""
    track: Track = []
    start = time.process_time(), time.perf_counter()

    def record(_: int, network: torch.nn.Module) -> None:
        weights = {name: value.clone() for name, value in network.state_dict().items()}
        track.append((time.process_time() - start[0], time.perf_counter() - start[1], weights))

    try:
        outcome = train(record)
    except nn.NotConverged as caught:
        outcome = caught.training
    return track, outcome


def readings(network: torch.nn.Module, track: Track) -> list[nn.Reading]:
    result = []
    for *_, weights in track:
        network.load_state_dict(weights)
        result.append(nn.read(network, np.eye(8)))
    return result


def x1_distance(joint: Joint, exact: nn.Reading) -> Callable[[nn.Reading], float]:
    """Angle of s to that of the exact minimiser."""
    return lambda reading: float(ufs.feature_angles(reading.s, exact.s, joint.px)[0])


def x2_distance(joint: Joint) -> Callable[[nn.Reading], float]:
    """Relative error of R12's W, from the network's own v and b."""

    def distance(reading: nn.Reading) -> float:
        layer = reading.layers[-1]
        try:
            W, _ = ufs.hidden_layer_weights(reading.v, reading.b, layer.t, joint, "sigmoid")
        except ValueError:  # no W puts the mean of a unit where R12 wants it
            return np.inf
        return float(np.linalg.norm(layer.W - W) / np.linalg.norm(W))

    return distance


def recipes(make: Callable[[], torch.nn.Module], x: np.ndarray, y: np.ndarray, joint: Joint, settings: Any) -> Any:
    """The recipe on the samples as published, and on the cells of their table with the counts as weights."""
    rows, columns = np.divmod(np.arange(joint.P.size), joint.P.shape[1])
    data = {
        "recipe on samples": (np.eye(8)[x], y, None),
        "recipe on cells": (np.eye(8)[rows], columns, joint.P.ravel()),
    }
    for name, (inputs, labels, weights) in data.items():
        network = make()

        def train(
            record: Any, network: Any = network, inputs: Any = inputs, labels: Any = labels, w: Any = weights
        ) -> Any:
            return nn.fit_samples(network, inputs, labels, weights=w, record=record, progress=False, **settings)

        yield name, network, tracked(train)[0]


def row(case: str, seed: int, method: str, track: Track, exact: dict[str, Any] | None, **values: Any) -> dict[str, Any]:
    """One record: what the whole training took, and when it came as close to theory as the exact one."""
    distances, target = values.pop("distances"), values.pop("target")
    first = next((i for i, distance in enumerate(distances) if distance <= target), None)
    reached = track[-1 if first is None else first]
    record = {"case": case, "seed": seed, "method": method, "steps": len(track) - 1}
    record |= {"cpu_seconds": track[-1][0], "seconds": track[-1][1], **values}
    record |= {"distance": distances[-1], "least_distance": min(distances), "target": target}
    record |= {"reached": first is not None, "reached_step": first, "reached_cpu_seconds": reached[0]}
    record |= {"reached_seconds": reached[1], "ratio": reached[1] / exact["seconds"] if exact else 1.0}
    return record


def x1(seed: int) -> list[dict[str, Any]]:
    x, y, joint = draw(x1_table(seed), seed)
    network, starts = x1_network(seed), 0

    def train(record: Any) -> nn.Training:
        """Again from other weights, within the timed run, where a start leads to saturation."""
        nonlocal starts
        while True:
            starts += 1
            try:
                return nn.fit_exact(x1_network(seed + 100 * (starts - 1)), joint, record=record)
            except nn.NotConverged:
                if starts == 5:
                    raise

    track, training = tracked(train)
    exact = readings(network, track[-1:])[0]
    f = ufs.modes(joint, 1).f
    theory = float(ufs.feature_angles(exact.s, f, joint.px)[0])
    distance, target = x1_distance(joint, exact), CLOSE * theory
    common = {"target": target, "theory_angle": theory}
    distances = [distance(reading) for reading in readings(network, track)]
    rows = [row("X1", seed, "fit_exact", track, None, distances=distances, gradient=training.gradient, **common)]
    rows[0]["starts"] = starts
    for name, other, other_track in recipes(lambda: x1_network(seed), x, y, joint, X1_RECIPE):
        distances = [distance(reading) for reading in readings(other, other_track)]
        rows.append(row("X1", seed, name, other_track, rows[0], distances=distances, **common))
    return rows


def x2(seed: int) -> list[dict[str, Any]]:
    x, y, joint = draw(x2_table(seed), seed)
    network, penalty = x2_network(seed), nn.whitening_penalty(joint, RADIUS)
    track, training = tracked(lambda record: nn.fit_exact(network, joint, penalty=penalty, record=record))
    distance = x2_distance(joint)
    distances = [distance(reading) for reading in readings(network, track)]
    common = {"target": (1 + CLOSE) * distances[-1]}
    rows = [row("X2", seed, "fit_exact", track, None, distances=distances, gradient=training.gradient, **common)]
    for name, other, other_track in recipes(lambda: x2_network(seed), x, y, joint, X2_RECIPE):
        distances = [distance(reading) for reading in readings(other, other_track)]
        rows.append(row("X2", seed, name, other_track, rows[0], distances=distances, **common))
    return rows


def x2_unpenalised(seed: int) -> list[dict[str, Any]]:
    """Loss, gradient and the sizes of v and W t̃ on the way, at steps spaced geometrically."""
    _, _, joint = draw(x2_table(seed), seed)
    network = x2_network(seed)
    track, training = tracked(lambda record: nn.fit_exact(network, joint, max_steps=UNPENALISED_STEPS, record=record))
    distance, rows = x2_distance(joint), []
    chosen = sorted({0, *np.geomspace(1, training.steps, 30).astype(int).tolist()})
    for step, reading in zip(chosen, readings(network, [track[i] for i in chosen]), strict=True):
        layer = reading.layers[-1]
        a = (layer.t - joint.px @ layer.t) @ layer.W
        rows.append(
            {
                "seed": seed,
                "step": step,
                "cpu_seconds": track[step][0],
                "seconds": track[step][1],
                "loss": float(training.losses[step]),
                "gradient": float(training.gradients[step]),
                "norm_v": float(np.linalg.norm(reading.v)),
                "norm_Wt": float(np.sqrt(joint.px @ (a**2).sum(axis=1))),
                "error_W": distance(reading),
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=RESULTS)
    parser.add_argument("--seeds", type=int, default=10, help="tables and networks, from seed 0")
    arguments = parser.parse_args()
    start = time.perf_counter()
    joint = Joint(x1_table(0))
    nn.fit_exact(x1_network(0), joint)  # torch loads parts of itself on their first use
    records: list[dict[str, Any]] = []
    unpenalised: list[dict[str, Any]] = []
    for seed in tqdm(range(arguments.seeds), unit="seed"):
        records += x1(seed) + x2(seed)
        unpenalised += x2_unpenalised(seed)
    result = {
        **provenance("numpy", "scipy", "torch"),
        "torch_threads": torch.get_num_threads(),
        "samples": SAMPLES,
        "radius": RADIUS,
        "seeds": list(range(arguments.seeds)),
        "total_seconds": time.perf_counter() - start,
        "records": records,
        "unpenalised": unpenalised,
    }
    # A distance that does not exist is null: JSON knows no infinity.
    write(arguments.output, _finite(result))
    frame = pd.DataFrame(records)
    shown = ["seconds", "cpu_seconds", "reached_seconds", "ratio", "distance", "least_distance", "target", "reached"]
    print(frame.groupby(["case", "method"])[shown].median().to_string(float_format="{:.3g}".format))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


if __name__ == "__main__":
    main()
