"""Discrete ACE beside its peers, on the same pairs of letters, in one run: R's acepack and PyPI's ace.

python benchmarks/ace.py [--ace-python PYTHON] [--large N] [--small N]

The pairs are drawn from the letter table of the book. Times leave out drawing and reading; ufs is timed as the median
of seven runs, acepack of three, PyPI's ace once. acepack is run with both variables declared categorical, where it
computes the same conditional means. PyPI's ace knows only continuous variables and smooths over the letters' codes, so
that its answer is another one by design; it runs on fewer pairs. PYTHON is an interpreter that has it (pip install
ace).
Writes benchmarks/results/ace.json: where and when, and records {case, method, seconds, ratio, sigma_error, note}.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from provenance import provenance, write

import ufs
from ufs import datasets

RESULTS = Path(__file__).parent / "results" / "ace.json"
SEED = 1
MINUTES = 10

R_PROGRAM = """
suppressMessages(library(acepack))
path <- commandArgs(TRUE)
pairs <- matrix(readBin(path[1], "integer", n = 1e9, size = 4), ncol = 2)
x <- as.double(pairs[, 1]); y <- as.double(pairs[, 2])
once <- function(i) system.time(found <<- ace(x, y, cat = c(0, 1), delrsq = as.double(path[2])))["elapsed"]
seconds <- median(sapply(1:3, once))
cat(seconds, cor(as.vector(found$tx), found$ty))
"""
PYTHON_PROGRAM = """
import contextlib, io, sys, time
import numpy as np
from ace.ace import ACESolver
x, y = np.fromfile(sys.argv[1], dtype=np.int32).reshape(2, -1).astype(float)
solver = ACESolver()
solver.specify_data_set([x], y)
start = time.perf_counter()
with contextlib.redirect_stdout(io.StringIO()):
    solver.solve()
seconds = time.perf_counter() - start
print(seconds, np.corrcoef(solver.x_transforms[0], solver.y_transform)[0, 1])
"""


def timed(work: Callable[[], Any], runs: int = 7) -> tuple[float, Any]:
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        result = work()
        seconds.append(time.perf_counter() - start)
    return median(seconds), result


def draw(n: int) -> tuple[np.ndarray, np.ndarray]:
    joint = ufs.Joint.from_counts(datasets.letter_bigrams())
    cells = np.random.default_rng(SEED).choice(joint.P.size, n, p=joint.P.ravel())
    x, y = np.unravel_index(cells, joint.P.shape)
    return x, y


def other(command: list[str]) -> tuple[float, float] | str:
    """Seconds and correlation as another program prints them, or why there are none."""
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=60 * MINUTES)
    except subprocess.TimeoutExpired:
        return f"stopped after {MINUTES} minutes"
    if run.returncode:
        return (run.stderr.strip() or "failed").splitlines()[-1]
    seconds, correlation = map(float, run.stdout.split()[-2:])
    return seconds, correlation


def ours(case: str, x: np.ndarray, y: np.ndarray, k: int) -> tuple[list[dict[str, Any]], float, float]:
    start = np.eye(27)[:, :1]  # with this tolerance one sweep is enough
    by_modes, exact = timed(lambda: ufs.modes(ufs.Joint.from_samples(x, y), k))
    seconds, found = timed(lambda: ufs.ace(x, y, k=k))
    error = float(np.abs(found.sigma - exact.sigma).max())
    feature_error = float(max(np.abs(found.f - exact.f).max(), np.abs(found.g - exact.g).max()))
    note = f"{found.sweeps} sweeps; features differ from those of ufs.modes by {feature_error:.1e} at most"
    counting = timed(lambda: ufs.ace(x, y, start=start, tolerance=1.0))[0]
    records = [
        record(case, "ufs.ace", seconds, 1.0, error, note + f"; {counting:.4f} s of it count the pairs"),
        record(case, "ufs.modes of Joint.from_samples", by_modes, by_modes / seconds, 0.0, "the reference"),
    ]
    return records, seconds, float(exact.sigma[0])


def record(
    case: str, method: str, seconds: float | None, ratio: float | None, error: float | None, note: str
) -> dict[str, Any]:
    def short(value: float | None) -> float | None:
        return None if value is None else float(f"{value:.3g}")

    return {"case": case, "method": method, "seconds": short(seconds), "ratio": short(ratio),
            "sigma_error": short(error), "note": note}  # fmt: skip


def peer(
    case: str, method: str, outcome: tuple[float, float] | str, reference: float, sigma: float, note: str
) -> dict[str, Any]:
    if isinstance(outcome, str):
        return record(case, method, None, None, None, f"not run: {outcome}")
    return record(case, method, outcome[0], outcome[0] / reference, abs(outcome[1] - sigma), note)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ace-python", default=sys.executable, help="an interpreter that has PyPI's ace")
    parser.add_argument("--large", type=int, default=1_000_000)
    parser.add_argument("--small", type=int, default=100_000)
    arguments = parser.parse_args()
    records: list[dict[str, Any]] = []
    peers = {}
    with tempfile.TemporaryDirectory() as folder:
        for n in (arguments.large, arguments.small):
            x, y = draw(n)
            path = Path(folder) / f"{n}.bin"
            np.stack([x, y]).astype(np.int32).tofile(path)
            for k in (3, 1):
                case = f"{n} pairs of letters, 27 x 27, k = {k}"
                found, seconds, sigma = ours(case, x, y, k)
                records += found
            if shutil.which("Rscript"):
                peers["acepack"] = subprocess.run(
                    ["Rscript", "-e", 'cat(as.character(packageVersion("acepack")))'], capture_output=True, text=True
                ).stdout
                for delrsq in ("0.01", "1e-12"):
                    outcome = other(["Rscript", "-e", R_PROGRAM, str(path), delrsq])
                    note = f"cat = c(0, 1), delrsq = {delrsq}{' (its default)' if delrsq == '0.01' else ''}"
                    records.append(peer(case, "R acepack::ace", outcome, seconds, sigma, note))
            else:
                records.append(peer(case, "R acepack::ace", "Rscript is not installed", seconds, sigma, ""))
            if n == arguments.small:
                outcome = other([arguments.ace_python, "-c", PYTHON_PROGRAM, str(path)])
                note = "continuous only: smooths over the letters' codes, so it solves another problem"
                records.append(peer(case, "PyPI ace", outcome, seconds, sigma, note))
    shown = subprocess.run(
        [arguments.ace_python, "-c", "import importlib.metadata as m; print(m.version('ace'))"],
        capture_output=True,
        text=True,
    )
    peers |= {"ace": shown.stdout.strip()} if shown.returncode == 0 else {}
    result = {**provenance("numpy", "scipy"), "seed": SEED, "records": records}
    result["versions"] |= peers
    write(RESULTS, result, indent=2)
    for entry in records:
        print(entry)


if __name__ == "__main__":
    main()
