"""H-score and accuracy of the paper's ten ImageNet networks (X3), for whoever has the ILSVRC-2012 validation images.

    python experiments/imagenet.py /data/imagenet/val

The folder holds one folder for each class, named by its synset (n01440764, …), with the images inside. Networks and
published weights come from timm, which downloads them: ``pip install timm torchvision`` (a torchvision made for the
torch that is installed). Features are those that enter the last Linear; batch by batch they go into ``ufs.HScore``, so
memory does not grow with the images. ``experiments/imagenet.json`` is written after every network, and a network that
is in it is not run again. Each entry has

* ``h``: the H-score of the validation images, in nats; ``h_corrected``: less its mean over permuted labels (R14);
* ``h_aic``: the paper's, h less the number of parameters over that of the training images;
* ``top1``, ``log_loss``: of the network's own classifier;
* ``features``, ``rank``, ``parameters``, ``images``, ``classes``, ``seconds``.

The checkpoints are timm's, some of them trained anew since the paper. All this is far from the local regime: h can
reach 499.5 where the log-loss is 6.9 at most, and what h_aic subtracts is not in the units of h. Compare h and h_aic
with what was published, and use h_corrected.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import torch
from measures import rounded, versions, write
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

import ufs

TARGET = Path(__file__).with_suffix(".json")
TRAINING_IMAGES = 1_281_167
NETWORKS = {
    "VGG16": "vgg16.tv_in1k",
    "VGG19": "vgg19.tv_in1k",
    "ResNet50": "resnet50.tv_in1k",
    "DenseNet121": "densenet121.tv_in1k",
    "DenseNet169": "densenet169.tv_in1k",
    "DenseNet201": "densenet201.tv_in1k",
    "InceptionV3": "inception_v3.tf_in1k",
    "InceptionResNetV2": "inception_resnet_v2.tf_in1k",
    "Xception": "legacy_xception.tf_in1k",
    "MobileNet": "mobilenetv1_100.ra4_e3600_r224_in1k",
}

Transform = Callable[[Image.Image], torch.Tensor]
Load = Callable[[str], tuple[torch.nn.Module, Transform]]


class Folder(Dataset[tuple[torch.Tensor, int]]):
    """Images in one folder per class; the classes are numbered in alphabetical order, as those of ILSVRC-2012 are."""

    def __init__(self, root: Path, transform: Transform) -> None:
        classes = sorted(entry for entry in root.iterdir() if entry.is_dir()) if root.is_dir() else []
        self.classes, self.transform = len(classes), transform
        self.files = [(path, label) for label, entry in enumerate(classes) for path in sorted(entry.iterdir())]
        if not self.files:
            raise ValueError(f"{root} holds no folders with images: it needs one for each class (n01440764, …)")

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        path, label = self.files[index]
        with Image.open(path) as image:
            return self.transform(image.convert("RGB")), label


def load_timm(name: str, pretrained: bool = True) -> tuple[torch.nn.Module, Transform]:
    """One network of timm, and what it does to an image first."""
    import timm

    network = timm.create_model(name if pretrained else name.split(".")[0], pretrained=pretrained)
    return network, timm.data.create_transform(**timm.data.resolve_model_data_config(network))


def check_timm(names: Iterable[str]) -> None:
    """Refuse before the first hour what would be missing after it."""
    try:
        import timm
    except ImportError as error:
        raise ImportError(f"timm cannot be imported ({error}): pip install timm torchvision") from error
    offered = set(timm.list_models(pretrained=True))
    missing = [name for name in names if name not in offered]
    if missing:
        raise ValueError(f"timm {timm.__version__} has no {', '.join(missing)}: pip install --upgrade timm")


@torch.no_grad()
def measure(network: torch.nn.Module, batches: Iterable[Any], classes: int, device: str = "cpu") -> dict[str, Any]:
    """Scores of the features that enter the last Linear, and the network's own accuracy and log-loss."""
    start = time.perf_counter()
    linears = [module for module in network.modules() if isinstance(module, torch.nn.Linear)]
    if not linears or linears[-1].out_features != classes:
        found = linears[-1].out_features if linears else "no"
        raise ValueError(f"there are {classes} folders of images, and the network ends in {found} classes")
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []
    hook = linears[-1].register_forward_hook(lambda module, inputs, output: seen.append((inputs[0], output)))
    statistics, right, loss = ufs.HScore(), 0, 0.0
    network.to(device).eval()
    try:
        for images, labels in batches:
            labels = labels.to(device)
            logits = network(images.to(device))
            features, left = seen.pop()
            if not torch.equal(left, logits):
                raise ValueError("the network's output is not that of its last Linear: the features would be others")
            statistics.update(features, labels)
            right += int((logits.argmax(1) == labels).sum())
            loss += float(torch.nn.functional.cross_entropy(logits.double(), labels, reduction="sum"))
    finally:
        hook.remove()
    parameters = sum(p.numel() for p in network.parameters() if p.requires_grad)
    return {
        "parameters": parameters,
        "features": statistics.width,
        "rank": statistics.rank,
        "images": statistics.n,
        "classes": len(statistics.classes),
        "h": statistics.score(),
        "h_corrected": statistics.corrected(),
        "h_aic": statistics.score() - parameters / TRAINING_IMAGES,
        "top1": right / statistics.n,
        "log_loss": loss / statistics.n,
        "seconds": time.perf_counter() - start,
    }


def run(
    folder: Path, names: Sequence[str], target: Path = TARGET, load: Load = load_timm, batch: int = 64, workers: int = 2
) -> dict[str, Any]:
    """Measure every network that the results file does not have yet; the contents of that file."""
    results: dict[str, Any] = {"networks": []}
    if target.is_file():
        results = json.loads(target.read_text(encoding="utf-8"))
    done = {entry["name"] for entry in results["networks"]}
    device = "cuda" if torch.cuda.is_available() else "cpu"
    for name in [name for name in names if name not in done]:
        network, transform = load(name)
        images = Folder(folder, transform)
        batches = DataLoader(images, batch, num_workers=workers)
        entry = measure(network, tqdm(batches, desc=name, unit=" batches"), images.classes, device)
        results["networks"].append({"name": name} | rounded(entry))
        about = {"date": date.today().isoformat(), "versions": versions(), "machine": {"cores": os.cpu_count()}}
        results = about | {"device": device, "networks": results["networks"]}
        write(target, results)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="the validation images, in one folder per class")
    parser.add_argument("--only", nargs="+", choices=NETWORKS, default=list(NETWORKS), metavar="NAME")
    options = parser.parse_args()
    names = [NETWORKS[name] for name in options.only]
    check_timm(names)
    run(options.folder, names)


if __name__ == "__main__":
    main()
