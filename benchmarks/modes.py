"""Time ``ufs.modes`` beside its peers, in one run: ``python benchmarks/modes.py``. See README.md for how to read it."""

from __future__ import annotations

import argparse
import gc
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import prince
import scipy.sparse as sp
from provenance import provenance, write
from scipy.sparse.linalg import LinearOperator, eigsh, svds
from sklearn.decomposition import TruncatedSVD
from sklearn.utils.extmath import randomized_svd
from tqdm import tqdm

from ufs import Joint, dtm, modes

K, SEED = 10, 0
RESULTS = Path(__file__).parent / "results" / "modes.json"
SPARSE_SHAPE, SPARSE_PAIRS = (100_000, 50_000), 5_000_000
ROUNDS = 16  # over the methods, on a dense table
REST = 0.1  # seconds: numpy and scipy have a BLAS each, whose threads spin for some 25 ms after their last product


@dataclass
class Case:
    name: str
    joint: Joint
    frame: pd.DataFrame | None  # the counts, for the peer that starts from them
    rounds: int
    calls: int  # in a row, in each round


# A method returns left vectors (on X), singular values in descending order and right vectors (on Y).
Method = Callable[[Case], tuple[np.ndarray, np.ndarray, np.ndarray]]


def dense_case(shape: tuple[int, int], clusters: int) -> Case:
    rng = np.random.default_rng(SEED)
    x, y = (np.arange(n) % clusters for n in shape)
    counts = rng.poisson(5 + 10.0 * (x[:, None] == y) * (clusters > 1), shape).astype(float)
    name = f"dense {shape[0]} x {shape[1]}, {'flat' if clusters == 1 else 'gapped'}"
    return Case(name, Joint.from_counts(counts), pd.DataFrame(counts), ROUNDS, calls=3)


def sparse_case(clusters: int, rounds: int) -> Case:
    """Random pairs; with clusters, those of x and y agree with a probability that differs from cluster to cluster."""
    rng = np.random.default_rng(SEED)
    nx, ny = SPARSE_SHAPE
    x = np.concatenate([np.arange(nx), rng.integers(nx, size=SPARSE_PAIRS - nx)])
    agree = rng.random(SPARSE_PAIRS) < (np.linspace(0.3, 0.9, clusters)[x % clusters] if clusters > 1 else 0)
    label = np.where(agree, x % clusters, rng.integers(clusters, size=SPARSE_PAIRS))
    y = rng.integers(ny // clusters, size=SPARSE_PAIRS) * clusters + label
    y[:ny] = np.arange(ny)
    weights = rng.uniform(0.5, 1.5, SPARSE_PAIRS)
    table = sp.csr_array((weights, (x, y)), shape=SPARSE_SHAPE)
    name = f"sparse {nx} x {ny}, {table.nnz} stored, {'flat' if clusters == 1 else 'gapped'}"
    return Case(name, Joint.from_counts(table), None, rounds, calls=1)


def by_ufs(case: Case) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    m = modes(case.joint, K)
    return np.sqrt(case.joint.px)[:, None] * m.f, m.sigma, np.sqrt(case.joint.py)[:, None] * m.g


def by_prince(engine: str) -> Method:
    def run(case: Case) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        svd = prince.CA(n_components=K, engine=engine, random_state=SEED).fit(case.frame).svd_
        return svd.U, svd.s, svd.V.T

    return run


def deflated(joint: Joint) -> Any:
    """The centred DTM, X first: an array, or for a sparse table scaled products less the trivial mode."""
    if not sp.issparse(joint.P):
        return dtm(joint).T
    root_x, root_y = np.sqrt(joint.px), np.sqrt(joint.py)

    def forward(y: np.ndarray) -> np.ndarray:
        y = y.reshape(len(root_y), -1)
        return joint.P @ (y / root_y[:, None]) / root_x[:, None] - root_x[:, None] * (root_y @ y)

    def backward(x: np.ndarray) -> np.ndarray:
        x = x.reshape(len(root_x), -1)
        return joint.P.T @ (x / root_x[:, None]) / root_y[:, None] - root_y[:, None] * (root_x @ x)

    return LinearOperator(
        joint.P.shape, matvec=forward, rmatvec=backward, matmat=forward, rmatmat=backward, dtype=np.float64
    )


def by_svds(**options: Any) -> Method:
    def run(case: Case) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        U, s, Vt = svds(deflated(case.joint), K, rng=np.random.default_rng(SEED), **options)
        order = np.argsort(-s)
        return U[:, order], s[order], Vt[order].T

    return run


def by_randomized_svd(case: Case) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    if not sp.issparse(case.joint.P):
        U, s, Vt = randomized_svd(deflated(case.joint), K, random_state=SEED)
        return U, s, Vt.T
    U, s, Vt = randomized_svd(dtm(case.joint, centered=False).T.tocsr(), K + 1, random_state=SEED)
    return U[:, 1:], s[1:], Vt[1:].T  # it takes arrays only: B itself, whose first mode is the trivial one


def by_truncated_svd(case: Case) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    sparse = sp.issparse(case.joint.P)
    B = dtm(case.joint, centered=False).T.tocsr() if sparse else deflated(case.joint)
    svd = TruncatedSVD(K + sparse, random_state=SEED)
    US = svd.fit_transform(B)[:, int(sparse) :]
    s = svd.singular_values_[int(sparse) :]
    return US / s, s, svd.components_[int(sparse) :].T


UNCENTRED = "for a sparse table: of B itself, the trivial mode dropped"
METHODS: dict[str, tuple[Method, str]] = {
    "ufs.modes": (by_ufs, ""),
    "prince CA, scipy engine": (by_prince("scipy"), "starts from its data frame of counts"),
    "prince CA, default engine": (by_prince("sklearn"), "starts from its data frame of counts"),
    "sklearn randomized_svd": (by_randomized_svd, UNCENTRED),
    "sklearn TruncatedSVD": (by_truncated_svd, UNCENTRED),
    "scipy svds, ARPACK": (by_svds(solver="arpack"), "default settings"),
    "scipy svds, PROPACK": (by_svds(solver="propack", maxiter=2000), "maxiter raised to 2000: the default 100 fails"),
    "scipy svds, LOBPCG": (by_svds(solver="lobpcg", maxiter=40), "maxiter=40: it may stop before it has converged"),
}


def reference(case: Case) -> np.ndarray:
    """Singular values to rounding, from a full decomposition or from ARPACK on the Gram operator at zero tolerance."""
    B = deflated(case.joint)
    if isinstance(B, np.ndarray):
        return np.linalg.svd(B, compute_uv=False)[:K]
    gram = LinearOperator((B.shape[1],) * 2, matvec=lambda v: B.rmatvec(B.matvec(v)).ravel(), dtype=np.float64)
    start = np.random.default_rng(SEED).standard_normal(B.shape[1])
    return np.sqrt(np.sort(eigsh(gram, K, ncv=6 * K, v0=start, return_eigenvectors=False))[::-1])


def residual(case: Case, U: np.ndarray, s: np.ndarray, V: np.ndarray) -> float:
    """Largest of the norms of B v - s u and of its transpose, over the modes."""
    B = deflated(case.joint)
    sides = (B @ V - s * U, B.T @ U - s * V)
    return float(max(np.linalg.norm(side, axis=0).max() for side in sides))


def watched(run: Callable[[], Any], calls: int) -> tuple[Any, float, float, int | None]:
    """Result, the best seconds and processor seconds of some calls in a row, and the rise of the resident memory.

    The memory is known on Linux, and None elsewhere. The first call finds the processors at rest and the caches cold.
    """
    gc.collect()
    try:
        Path("/proc/self/clear_refs").write_text("5")  # resets the high-water mark
        before = _status("VmRSS")
    except OSError:
        before = None
    seconds, cpu_seconds = [], []
    time.sleep(REST)
    for _ in range(calls):
        start, cpu_start = time.perf_counter(), time.process_time()
        result = run()
        seconds.append(time.perf_counter() - start)
        cpu_seconds.append(time.process_time() - cpu_start)
    peak = None if before is None else max(0, _status("VmHWM") - before)
    return result, min(seconds), min(cpu_seconds), peak


def _status(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(field))


def measure(case: Case, budget: float, bar: tqdm) -> list[dict[str, Any]]:
    """Rounds over all methods, so that a slow moment of the machine strikes all alike; the best time of each counts."""
    expected = reference(case)
    records: dict[str, dict[str, Any]] = {}
    for _ in range(case.rounds):
        for name, (method, note) in METHODS.items():
            bar.set_postfix_str(f"{case.name}: {name}")
            bar.update()
            record = records.setdefault(name, {"case": case.name, "method": name, "note": note})
            if "failed" in record["note"] or ("prince" in name and case.frame is None):
                continue
            # Twice is enough for what takes so long. Once is not: one stalled run would stand as the best of several.
            if record.get("seconds", 0) > budget and record["runs"] >= 2:
                continue
            try:
                (U, s, V), seconds, cpu, peak = watched(lambda method=method: method(case), case.calls)
            except Exception as error:  # a peer that gives up is a finding, not the end of the run
                record["note"] = f"failed: {type(error).__name__}: {error}"
                continue
            record["seconds"] = min(seconds, record.get("seconds", np.inf))
            record["cpu_seconds"] = min(cpu, record.get("cpu_seconds", np.inf))
            record["runs"] = record.get("runs", 0) + case.calls
            record["peak_bytes"] = None if peak is None else max(peak, record.get("peak_bytes", 0))
            record["sigma_error"] = float(np.max(np.abs(s - expected) / expected))
            record["residual"] = residual(case, U, s, V)
    own = records["ufs.modes"]["seconds"]
    fields = (
        "case",
        "method",
        "seconds",
        "ratio",
        "sigma_error",
        "residual",
        "peak_bytes",
        "cpu_seconds",
        "runs",
        "note",
    )
    rows = [record | ({"ratio": record["seconds"] / own} if "seconds" in record else {}) for record in records.values()]
    kept = [row for row in rows if "seconds" in row or "failed" in row["note"]]
    return [{name: row.get(name) for name in fields} for row in kept]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=RESULTS)
    parser.add_argument("--budget", type=float, default=10, help="seconds beyond which a method runs only twice")
    arguments = parser.parse_args()
    start = time.perf_counter()
    cases = [
        lambda: dense_case((1000, 1000), 1),
        lambda: dense_case((1000, 1000), 12),
        lambda: dense_case((5000, 500), 1),
        lambda: sparse_case(15, 3),
        lambda: sparse_case(1, 2),
    ]
    records, bar = [], tqdm(total=(3 * ROUNDS + 3 + 2) * len(METHODS), unit="run")
    for make in cases:
        records += measure(make(), arguments.budget, bar)
    bar.close()
    result = {
        **provenance("numpy", "scipy", "prince", "scikit-learn", "pandas"),
        "k": K,
        "seed": SEED,
        "total_seconds": time.perf_counter() - start,
        "records": records,
    }
    write(arguments.output, result)
    shown = ["case", "method", "seconds", "ratio", "sigma_error", "residual", "peak_bytes", "cpu_seconds", "runs"]
    print(pd.DataFrame(records)[shown].to_string(index=False, float_format="{:.3g}".format))


if __name__ == "__main__":
    main()
