"""Time ``ufs.h_score`` beside its peers, in one run: ``python benchmarks/hscore.py``. README.md: how to read it."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from provenance import provenance, write
from scipy.linalg import blas, cho_factor, cho_solve
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from tqdm import tqdm

import ufs

SEED = 0
RESULTS = Path(__file__).parent / "results" / "hscore.json"
# name: samples, features, classes, common offset
CASES = {
    "1,000,000 x 256, 100 classes": (1_000_000, 256, 100, 0.0),
    "50,000 x 2048, 1000 classes": (50_000, 2048, 1000, 0.0),
    "50,000 x 64, 10 classes, offset 1e5": (50_000, 64, 10, 1e5),
}
SWEEPS = {
    "samples": [(n, 128, 10) for n in (3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000, 3_000_000)],
    "features": [(20_000, d, 10) for d in (32, 64, 128, 256, 512, 1024, 2048)],
    "classes": [(300_000, 128, g) for g in (2, 10, 100, 1000, 10_000)],
}
SWEPT = ("ufs.h_score", "Transfer-Learning-Library", "original authors")
SHARED = (400_000, 256, 100)  # what worker processes share
WORKERS = (1, 2)


# ---- the methods -----------------------------------------------------------------------------------------------------
# The peers are stated here by their published formulas, tr(cov(f)⁺ cov(E[f|y])) = 2H, and return it as they give it.


def by_ufs(f: np.ndarray, y: np.ndarray) -> float:
    return 2 * ufs.h_score(f, y)


def class_means(f: np.ndarray, y: np.ndarray, classes: Any) -> np.ndarray:
    """Every row replaced by the mean of its class, one class after the other."""
    g = np.zeros_like(f)
    for c in classes:
        g[y == c] = f[y == c].mean(axis=0)
    return g


def by_library(f: np.ndarray, y: np.ndarray) -> float:
    """As in thuml's Transfer-Learning-Library: numpy's covariance, which is float64 for any input."""
    covariance = np.cov(f, rowvar=False)
    between = np.cov(class_means(f, y, range(int(y.max()) + 1)), rowvar=False)
    return float(np.trace(np.linalg.pinv(covariance, rcond=1e-15) @ between))


def covariance_in_its_own_precision(f: np.ndarray) -> np.ndarray:
    centred = f - f.mean(axis=0, keepdims=True)
    return centred.T @ centred / (len(f) - 1)


def by_authors(f: np.ndarray, y: np.ndarray) -> float:
    """The original loop, as the authors of the transferability score published it: all in the features' precision."""
    between = covariance_in_its_own_precision(class_means(f, y, set(y.tolist())))
    return float(np.trace(np.linalg.pinv(covariance_in_its_own_precision(f), rcond=1e-15) @ between))


def by_stable_transfer(f: np.ndarray, y: np.ndarray) -> float:
    """google-research stable_transfer, from TensorFlow to numpy, with the entrywise product that stands there."""
    g = np.zeros_like(f)
    for c in np.unique(y):
        rows = np.flatnonzero(y == c)
        g[rows] = np.repeat(f[rows].mean(axis=0, keepdims=True), len(rows), axis=0)
    inverse = np.linalg.pinv(covariance_in_its_own_precision(f), rcond=1e-5)
    return float(np.trace(inverse * covariance_in_its_own_precision(g)))


def by_lda(f: np.ndarray, y: np.ndarray) -> float:
    """Pillai's trace in the coordinates of scikit-learn's discriminant analysis, where S_W is the identity."""
    lda = LinearDiscriminantAnalysis(solver="eigen").fit(f, y)
    means = (lda.means_ - lda.priors_ @ lda.means_) @ lda.scalings_
    ratio = np.linalg.eigvalsh(means.T @ (lda.priors_[:, None] * means))
    return float((ratio / (1 + ratio)).sum())


def by_syrk(f: np.ndarray, _: np.ndarray) -> float:
    """One product FᵀF in the features' precision, all that any method must do: what the machine can."""
    return float(blas.ssyrk(1.0, f.T, lower=1)[0, 0])


# method: function, what to know of it
METHODS: dict[str, tuple[Callable[[np.ndarray, np.ndarray], float], str]] = {
    "ufs.h_score": (by_ufs, ""),
    "Transfer-Learning-Library": (by_library, "numpy's covariance is float64 for float32 features"),
    "original authors": (by_authors, "all in float32"),
    "stable_transfer": (by_stable_transfer, "all in float32; entrywise product: not 2H"),
    "scikit-learn LDA": (by_lda, "solver='eigen'; 2H computed from its scalings"),
    "syrk": (by_syrk, "the machine's own rate: one product, no answer"),
}
RUNS = 3


# ---- one method in a process of its own ------------------------------------------------------------------------------


def child(method: str, folder: Path) -> dict[str, Any]:
    """Value, times and memory of one call; the features are in memory before it."""
    f, y = np.load(folder / "features.npy"), np.load(folder / "labels.npy")
    run = METHODS[method][0]
    run(f[: len(f) // 100], y[: len(f) // 100] % 2)  # libraries are loaded, threads are started
    try:
        Path("/proc/self/clear_refs").write_text("5")  # resets the high-water mark
        before = _status("VmRSS")
    except OSError:
        before = None
    start, cpu_start = time.perf_counter(), time.process_time()
    value = run(f, y)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu_start
    peak = None if before is None else max(0, _status("VmHWM") - before)
    return {"value": value, "seconds": seconds, "cpu_seconds": cpu, "peak_bytes": peak}


def _status(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(field))


def spawned(method: str, folder: Path) -> dict[str, Any]:
    command = [sys.executable, __file__, "--child", method, "--folder", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        return {"failed": (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]}
    return json.loads(done.stdout.splitlines()[-1])


# ---- all methods, in turns -------------------------------------------------------------------------------------------


def samples(n: int, d: int, g: int, offset: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(SEED)
    y = rng.integers(g, size=n)
    f = rng.standard_normal((n, d), dtype=np.float32)
    means = (0.2 * rng.standard_normal((g, d)) + offset).astype(np.float32)
    for start in range(0, n, 10_000):
        f[start : start + 10_000] += means[y[start : start + 10_000]]
    return f, y


def reference(f: np.ndarray, y: np.ndarray) -> float:
    """2H in float64 after exact centring, block by block."""
    mean, g = f.mean(axis=0, dtype=np.float64), int(y.max()) + 1
    gram, sums = np.zeros((f.shape[1],) * 2), np.zeros((g, f.shape[1]))
    for start in range(0, len(f), 10_000):
        x = f[start : start + 10_000] - mean
        gram += x.T @ x
        np.add.at(sums, y[start : start + 10_000], x)
    counts = np.bincount(y, minlength=g)
    kept = counts > 0
    C = sums[kept].T / np.sqrt(counts[kept])
    return float((C * cho_solve(cho_factor(gram), C)).sum())


def measure(case: str, shape: tuple[int, int, int, float], bar: tqdm) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        f, y = samples(*shape)
        expected = reference(f, y)
        np.save(folder / "features.npy", f)
        np.save(folder / "labels.npy", y)
        del f
        found: dict[str, dict[str, Any]] = {}
        for _ in range(RUNS):
            for method, (_, note) in METHODS.items():
                bar.set_postfix_str(f"{case}: {method}")
                one = spawned(method, folder)
                bar.update()
                record = found.setdefault(method, {"case": case, "method": method, "note": note, "runs": 0})
                if "failed" in one:
                    record["note"] = f"failed: {one['failed']}"
                    continue
                record["runs"] += 1
                for key in ("seconds", "cpu_seconds"):
                    record[key] = min(one[key], record.get(key, np.inf))
                record["peak_bytes"] = one["peak_bytes"] and max(one["peak_bytes"], record.get("peak_bytes") or 0)
                if method != "syrk":
                    record["relative_error"] = abs(one["value"] / expected - 1)
    own = found["ufs.h_score"]
    for record in found.values():
        if "seconds" in record:
            record["ratio"] = record["seconds"] / own["seconds"]
            record["memory_ratio"] = record["peak_bytes"] and record["peak_bytes"] / own["peak_bytes"]
    return list(found.values())


def best_time(run: Callable[[np.ndarray, np.ndarray], float], f: np.ndarray, y: np.ndarray) -> float:
    """Of three calls, fewer if they are long, more if they are short."""
    times: list[float] = []
    while not times or (len(times) < RUNS and sum(times) < 2) or (len(times) < 50 and sum(times) < 0.3):
        start = time.perf_counter()
        run(f, y)
        times.append(time.perf_counter() - start)
    return min(times)


def sweep(points: list[tuple[int, int, int]], bar: tqdm) -> list[dict[str, Any]]:
    """Best times of calls in this process, of ``ufs.h_score`` and of the two peers that return 2H."""
    records = []
    for n, d, g in points:
        f, y = samples(n, d, g)
        for method in SWEPT:
            bar.set_postfix_str(f"{n} x {d}, {g} classes: {method}")
            records.append(
                {"n": n, "d": d, "classes": g, "method": method, "seconds": best_time(METHODS[method][0], f, y)}
            )
        bar.update()
    return records


# ---- several processes -----------------------------------------------------------------------------------------------


def rank(number: int, workers: int, folder: Path) -> float:
    """Seconds from a barrier to the score of the whole, for one of several processes with its share in memory."""
    import torch.distributed as dist

    from ufs.distributed import torch_statistics

    f = np.array(np.array_split(np.load(folder / "features.npy", mmap_mode="r"), workers)[number])
    y = np.array_split(np.load(folder / "labels.npy"), workers)[number]
    dist.init_process_group("gloo", f"file://{folder}/store-{workers}", rank=number, world_size=workers)
    times = []
    for _ in range(RUNS):
        dist.barrier()
        start = time.perf_counter()
        torch_statistics(ufs.HScore().update(f, y)).score()
        times.append(time.perf_counter() - start)
    dist.destroy_process_group()
    return min(times)


def shared(n: int, d: int, g: int, bar: tqdm) -> list[dict[str, Any]]:
    """The same samples split among 1, 2, … processes, each with one thread, merged by all-reduce."""
    records = []
    with tempfile.TemporaryDirectory() as name:
        f, y = samples(n, d, g)
        np.save(Path(name) / "features.npy", f)
        np.save(Path(name) / "labels.npy", y)
        del f
        for workers in WORKERS:
            bar.set_postfix_str(f"{n} x {d}, {g} classes: {workers} processes")
            command = [sys.executable, __file__, "--folder", name, "--workers", str(workers), "--rank"]
            one_thread = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
            ranks = [
                subprocess.Popen([*command, str(i)], env=one_thread, stdout=subprocess.PIPE, text=True)
                for i in range(workers)
            ]
            seconds = max(float(process.communicate()[0].splitlines()[-1]) for process in ranks)
            records.append({"n": n, "d": d, "classes": g, "workers": workers, "seconds": seconds})
            bar.update()
    return records


def bars_met(records: list[dict[str, Any]]) -> dict[str, float]:
    """The figures by which the method is judged."""
    of = {(record["case"], record["method"]): record for record in records}
    tall, wide, _ = CASES
    result = {}
    for name, case in (("tall", tall), ("wide", wide)):
        own, peer, syrk = (of[case, m] for m in ("ufs.h_score", "Transfer-Learning-Library", "syrk"))
        result[f"{name}: times faster than Transfer-Learning-Library"] = peer["seconds"] / own["seconds"]
        if own["peak_bytes"] is not None:
            result[f"{name}: share of its extra memory"] = own["peak_bytes"] / peer["peak_bytes"]
        result[f"{name}: share of the machine's syrk rate"] = syrk["seconds"] / own["seconds"]
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=RESULTS)
    parser.add_argument("--scale", type=float, default=1, help="share of the samples to use, for a quick look")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--rank", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--workers", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(child(arguments.child, arguments.folder)))
        return
    if arguments.rank is not None:
        print(rank(arguments.rank, arguments.workers, arguments.folder))
        return
    start = time.perf_counter()

    def scaled(n: int) -> int:
        return round(n * arguments.scale)

    total = RUNS * len(CASES) * len(METHODS) + sum(map(len, SWEEPS.values())) + len(WORKERS)
    records: list[dict[str, Any]] = []
    with tqdm(total=total, unit="run") as bar:
        for case, (n, *rest) in CASES.items():
            records += measure(case, (scaled(n), *rest), bar)
        sweeps = {name: sweep([(scaled(n), d, g) for n, d, g in points], bar) for name, points in SWEEPS.items()}
        by_workers = shared(scaled(SHARED[0]), *SHARED[1:], bar)
    by_n = np.array([(one["n"], one["seconds"]) for one in sweeps["samples"] if one["method"] == SWEPT[0]])
    slopes = np.polynomial.Polynomial.fit(*np.log(by_n.T), 1).convert().coef[1]
    result = {
        **provenance("numpy", "scipy", "scikit-learn"),
        "seed": SEED,
        "scale": arguments.scale,
        "total_seconds": time.perf_counter() - start,
        "bars": bars_met(records) | {"power of n": float(slopes)},
        "records": records,
        "sweeps": sweeps,
        "workers": by_workers,
    }
    write(arguments.output, result)
    for record in records:
        peak = record.get("peak_bytes")
        print(
            f"{record['case']:36} {record['method']:26} {record.get('seconds', np.nan):8.3g} s "
            f"{record.get('ratio', np.nan):7.3g} x  {'' if peak is None else f'{peak / 2**20:8.0f} MiB'} "
            f"error {record.get('relative_error', np.nan):.1e}  {record['note']}"
        )
    for name, value in result["bars"].items():
        print(f"{name}: {value:.3g}")


if __name__ == "__main__":
    main()
