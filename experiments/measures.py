"""What the experiments on networks have in common: the scores of features, and files that are written whole."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from stored import keep, write

import ufs

__all__ = ["CACHE", "keep", "rounded", "scores", "versions", "write"]

Array = NDArray[np.float64]

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "universal-features"


def scores(
    train: NDArray[Any], train_labels: NDArray[np.int64], test: NDArray[Any], test_labels: NDArray[np.int64]
) -> dict[str, float]:
    """H-scores of one set of features on the samples seen in training and on new ones, in nats.

    ``h_heldout`` is the two-sided score, on the new samples, of the features with the weights that are best on the
    others. It is the plug-in of H(s, v), with a bias of the order of one over the number of new samples.
    """
    seen = ufs.HScore().update(train, train_labels)
    new = ufs.HScore().update(test, test_labels)
    return {
        "h_train": seen.score(),
        "h_corrected": seen.corrected(),
        "h_test": new.score(),
        "h_test_corrected": new.corrected(),
        "h_heldout": seen.held_out(new),
        "rank": seen.rank,
        "effective_dimension": seen.effective_dimension,
    }


def rounded(values: dict[str, Any]) -> dict[str, Any]:
    """Six significant digits of every float: more than another machine reproduces."""
    return {name: float(f"{value:.6g}") if isinstance(value, float) else value for name, value in values.items()}


def versions(*more: Any) -> dict[str, str]:
    """Versions of what took part; `more` are modules."""
    modules = (np, torch, ufs, *more)
    return {"python": platform.python_version()} | {module.__name__: str(module.__version__) for module in modules}
