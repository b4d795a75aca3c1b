"""How a results file is written: whole or not at all, with a digest by which a later change of a number shows.

Experiments and benchmarks share it. The digest is no seal against malice: whoever alters a file can alter its digest.
It tells a number that was measured from one that slipped, was rounded by hand, or survived a merge by half.
"""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np


def digest(content: dict[str, Any]) -> str:
    """sha256 of all but the digest itself, in one spelling: keys sorted, no blanks; arrays by type, shape and bytes."""
    rest = {
        name: [value.dtype.str, value.shape, hashlib.sha256(value.tobytes()).hexdigest()]
        if isinstance(value, np.ndarray)
        else value
        for name, value in content.items()
        if name != "digest"
    }
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def keep(path: Path, content: Any, indent: int = 1) -> None:
    """Write JSON, so that a reader finds the old file or the new one and never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}")
    part.write_text(json.dumps(content, indent=indent, ensure_ascii=False) + "\n", encoding="utf-8")
    part.replace(path)


def write(path: Path, content: dict[str, Any], indent: int = 1) -> None:
    """Write a results file: JSON, or for `.npz` the arrays and, as JSON, what is said `about` them."""
    if path.suffix == ".npz":
        arrays = {name: np.asarray(value) for name, value in content.items() if name != "digest"}
        np.savez_compressed(path, **arrays, digest=np.asarray(digest(arrays)))
    else:
        content = {name: value for name, value in content.items() if name != "digest"}
        keep(path, content | {"digest": digest(content)}, indent)


def read(path: Path) -> dict[str, Any]:
    """A results file, digest and all."""
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    return json.loads(path.read_text(encoding="utf-8"))
