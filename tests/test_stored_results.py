"""Results files hold what was measured: no number has changed since, and what follows from others follows."""

import importlib.util
import json
import math
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

PROJECT = Path(__file__).parents[1]
FILES = sorted(
    file
    for folder in ("benchmarks/results", "experiments")
    for kind in ("*.json", "*.npz")
    for file in (PROJECT / folder).glob(kind)
)
SCRIPTS = {file: "benchmarks" if file.parent.name == "results" else "experiments" for file in FILES}
MADE_BY = {file: f"{folder}/{file.stem}.py" for file, folder in SCRIPTS.items()}
Record = dict[str, Any]


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"script_{Path(name).stem}", PROJECT / name)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


stored = load("experiments/stored.py")


def complaint(file: Path) -> str | None:
    """What is wrong with a results file, and what to do."""
    content = stored.read(file)
    if str(content.get("digest")) == stored.digest(content):
        return None
    return (
        f"{file.name} is not what its script wrote. Get the committed file back (git checkout), or measure again: "
        f"python {MADE_BY.get(file, 'the script')}. Running notebooks would only copy the error into the pages."
    )


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_no_number_has_changed_since_it_was_measured(file: Path) -> None:
    assert complaint(file) is None, complaint(file)
    assert (PROJECT / MADE_BY[file]).is_file()


@pytest.mark.parametrize("script", sorted(set(MADE_BY.values())))
def test_one_function_writes_all_results(script: str) -> None:
    source = (PROJECT / script).read_text(encoding="utf-8")
    assert "write(" in source
    assert "TARGET.write_" not in source
    assert "savez_compressed" not in source
    assert "output.write_" not in source


def alter_a_number(value: Any) -> Any:
    """The first float of a tree, one unit higher in its last digit shown."""
    if isinstance(value, float):
        return value * 1.001, True
    if isinstance(value, dict):
        for key, part in value.items():
            part, done = alter_a_number(part)
            if done:
                return value | {key: part}, True
    if isinstance(value, list):
        for i, part in enumerate(value):
            part, done = alter_a_number(part)
            if done:
                return [*value[:i], part, *value[i + 1 :]], True
    return value, False


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_an_altered_number_is_noticed(file: Path, tmp_path: Path) -> None:
    content, copy = stored.read(file), tmp_path / file.name
    if file.suffix == ".npz":
        name = next(name for name, value in content.items() if value.dtype.kind == "f" and value.ndim > 1)
        content[name] = content[name].copy()
        content[name].flat[0] *= 1.001
        np.savez_compressed(copy, **content)
    else:
        content, done = alter_a_number(content)
        assert done
        copy.write_text(json.dumps(content))
    found = complaint(copy)
    assert found is not None
    assert "measure again" in found
    assert "execute.py" not in found


def test_what_is_written_is_read(tmp_path: Path) -> None:
    for name in ("a.json", "a.npz"):
        stored.write(tmp_path / name, {"x": [0.1, 2.5], "digest": "old"})
        assert complaint(tmp_path / name) is None
    assert stored.digest({"a": np.zeros(2)}) != stored.digest({"a": np.zeros((2, 1))})
    assert stored.digest({"a": np.zeros(2)}) != stored.digest({"a": np.zeros(2, np.float32)})


# ---- fields that follow from others ----------------------------------------------------------------------------------


def records(name: str) -> list[Record]:
    return json.loads((PROJECT / name).read_text(encoding="utf-8"))["records"]


def off(record: Record, field: str, reference: Record, derived: str, tolerance: float) -> bool:
    if record.get(field) is None or record.get(derived) is None:
        return (record.get(field) is None) != (record.get(derived) is None)
    return not math.isclose(record[derived], record[field] / reference[field], rel_tol=tolerance)


@pytest.mark.parametrize(
    ("file", "method", "field", "derived", "tolerance"),
    [
        ("benchmarks/results/modes.json", "ufs.modes", "seconds", "ratio", 1e-12),
        ("benchmarks/results/hscore.json", "ufs.h_score", "seconds", "ratio", 1e-12),
        ("benchmarks/results/hscore.json", "ufs.h_score", "peak_bytes", "memory_ratio", 1e-12),
        ("benchmarks/results/ace.json", "ufs.ace", "seconds", "ratio", 0.04),  # three digits of each are stored
    ],
)
def test_ratios_are_ratios(file: str, method: str, field: str, derived: str, tolerance: float) -> None:
    found = records(file)
    references = {record["case"]: record for record in found if record["method"] == method}
    assert len(references) >= 2
    wrong = [record for record in found if off(record, field, references[record["case"]], derived, tolerance)]
    assert not wrong
    assert any(record.get(derived) not in (None, 1) for record in found)


def test_networks_are_compared_with_the_exact_training() -> None:
    found = records("benchmarks/results/networks.json")
    exact = {(one["case"], one["seed"]): one for one in found if one["method"] == "fit_exact"}
    for one in found:
        reference = exact[one["case"], one["seed"]]
        expected = 1.0 if one is reference else one["reached_seconds"] / reference["seconds"]
        assert one["ratio"] == pytest.approx(expected, rel=1e-12), one
        assert one["least_distance"] <= one["distance"] * (1 + 1e-12)
        assert one["reached"] == (one["least_distance"] <= one["target"])


def test_the_bars_of_the_h_score_follow_from_its_records() -> None:
    content = json.loads((PROJECT / "benchmarks/results/hscore.json").read_text(encoding="utf-8"))
    of = {(one["case"], one["method"]): one for one in content["records"]}
    tall, wide, _ = dict.fromkeys(one["case"] for one in content["records"])
    for name, case in (("tall", tall), ("wide", wide)):
        own, peer, syrk = (of[case, method] for method in ("ufs.h_score", "Transfer-Learning-Library", "syrk"))
        expected = {
            "times faster than Transfer-Learning-Library": peer["seconds"] / own["seconds"],
            "share of its extra memory": own["peak_bytes"] / peer["peak_bytes"],
            "share of the machine's syrk rate": syrk["seconds"] / own["seconds"],
        }
        for key, value in expected.items():
            assert content["bars"][f"{name}: {key}"] == pytest.approx(value, rel=1e-12)
    own = [one for one in content["sweeps"]["samples"] if one["method"] == "ufs.h_score"]
    slope = np.polyfit(np.log([one["n"] for one in own]), np.log([one["seconds"] for one in own]), 1)[0]
    assert content["bars"]["power of n"] == pytest.approx(slope, rel=1e-9)


def chance(entry: Record, images: int, classes: int = 10) -> float:
    return entry["rank"] * (classes - 1) / (2 * (images - 1))


@pytest.mark.parametrize(
    ("file", "keys", "plain", "corrected", "images"),
    [
        ("families.json", ("networks", "digits"), "h_train", "h_corrected", lambda one: one["images"]),
        ("pretrained.json", ("features", "pixels"), "h", "h_corrected", lambda one: one["train"]),
    ],
)
def test_corrected_scores_are_less_by_chance(
    file: str, keys: tuple[str, ...], plain: str, corrected: str, images: Callable[[Record], int]
) -> None:
    content = json.loads((PROJECT / "experiments" / file).read_text(encoding="utf-8"))
    for entry in (entry for key in keys for entry in content[key]):
        expected = entry[plain] - chance(entry, images(entry))
        assert entry[corrected] == pytest.approx(expected, abs=2e-5), entry  # six digits are stored
