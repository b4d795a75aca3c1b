"""The statistics on several processes: the answer of one, whatever happens to the parts."""

import os
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import dask
import dask.array as da
import numpy as np
import pytest
import scipy.sparse as sp
import torch
from dask.distributed import Client, LocalCluster

from ufs import HScore, Joint, h_score, modes
from ufs.distributed import dask_joint, dask_statistics, torch_joint, torch_statistics

# Older releases of Dask warn of another scheduler beside a client, which is what some tests are about.
pytestmark = pytest.mark.filterwarnings("ignore:Running on a single-machine scheduler:UserWarning")

CUTS = [0, 5, 5, 700, 1500, 1501, 2600, 4000]  # uneven, and the second part is empty
TOLERANCE = {"float64": 1e-12, "float32": 1e-7}


def refused(message: str):
    return pytest.raises(ValueError, match=re.escape(message))


def data(dtype="float64"):
    rng = np.random.default_rng(0)
    labels = np.sort(rng.integers(6, size=4000))  # sorted: the last class occurs in the last part only
    features = 3 + rng.standard_normal((4000, 20)) + rng.standard_normal((6, 20))[labels]
    return features.astype(dtype), labels


@pytest.fixture(scope="module")
def cluster():
    with (
        dask.config.set({"distributed.worker.memory.terminate": False}),
        LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as running,
        Client(running) as client,
    ):
        yield client


def delayed_parts(X, y):
    pairs = [(X[a:b], y[a:b]) for a, b in pairwise(CUTS)]
    return [dask.delayed(part) for part, _ in pairs], [dask.delayed(part) for _, part in pairs]


@pytest.mark.result("D9")
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_two_worker_processes(cluster, dtype):
    X, y = data(dtype)
    assert 5 not in y[: CUTS[-2]]  # a class that one worker alone sees
    assert len({worker["pid"] for worker in workers(cluster).values()} | {os.getpid()}) == 3
    expected = pytest.approx(h_score(X, y), rel=TOLERANCE[dtype])
    rows = tuple(np.diff(CUTS).tolist())
    for features in (da.from_array(X, chunks=(rows, 20)), da.from_array(X, chunks=(rows, 7))):
        for labels in (da.from_array(y, chunks=(rows,)), da.from_array(y, chunks=999), y):
            assert dask_statistics(features, labels).score() == expected
    merged = dask_statistics(*delayed_parts(X, y))
    assert (merged.n, sorted(merged.classes), merged.score()) == (4000, list(range(6)), expected)
    assert merged.update(X[:10], y[:10]).n == 4010


def workers(client):
    return client.run(lambda dask_worker: {"pid": os.getpid()})


def test_scales_offsets_and_far_parts(cluster):
    X, y = data()
    X = (X + 1e4 * np.arange(20)) * np.geomspace(1e-4, 1e4, 20)
    merged = dask_statistics(*delayed_parts(X, np.array([f"class {c}" for c in y])))
    assert merged.score() == pytest.approx(h_score(X, y), rel=1e-9)


def deadly(X, y, a, b, flag):
    """A part of the data; the first worker that asks for this one dies of it, with all that it holds."""
    if flag is not None and not Path(flag).exists():
        Path(flag).touch()
        os._exit(1)
    return X[a:b], y[a:b]


def test_a_worker_killed_in_mid_run(cluster, tmp_path):
    X, y = data()
    before = {worker["pid"] for worker in workers(cluster).values()}
    flag = tmp_path / "a worker has died"
    read = dask.delayed(deadly, nout=2, pure=False)
    cuts = np.linspace(0, 4000, 41).astype(int)
    parts = [read(X, y, a, b, str(flag) if number == 30 else None) for number, (a, b) in enumerate(pairwise(cuts))]
    merged = dask_statistics([features for features, _ in parts], [labels for _, labels in parts])
    assert flag.exists()
    cluster.wait_for_workers(2, timeout=30)
    assert {worker["pid"] for worker in workers(cluster).values()} != before
    assert merged.n == 4000
    assert merged.score() == pytest.approx(h_score(X, y), rel=1e-12)


def test_dask_joint(cluster):
    rng = np.random.default_rng(1)
    x, y = rng.integers(3000, size=20_000), rng.integers(3000, size=20_000)
    y = np.where(rng.random(20_000) < 0.3, x, y)
    expected = Joint.from_samples(x, y)
    found = dask_joint(da.from_array(x, chunks=((0, 3, 9997, 10_000),)), da.from_array(y, chunks=6000))
    assert sp.issparse(found.P)
    assert (found.P != expected.P).nnz == 0
    assert (found.x_labels, found.y_labels) == (expected.x_labels, expected.y_labels)
    np.testing.assert_allclose(modes(found, 3).sigma, modes(expected, 3).sigma, rtol=1e-12)


def test_dask_joint_of_words():
    x = np.array(["a", "bb", "a", "ccc", "dddd", "a"])
    y = np.array([1, 1, 2, 2, 2, 1])
    with dask.config.set(scheduler="synchronous"):
        found = dask_joint(da.from_array(x, chunks=2), da.from_array(y, chunks=3))
    expected = Joint.from_samples(x, y)
    np.testing.assert_array_equal(found.P, expected.P)
    assert (found.x_labels, found.y_labels) == (expected.x_labels, expected.y_labels)


def test_unknown_chunk_sizes():
    X, y = data()
    X, y = da.from_array(X, chunks=(500, 20)), da.from_array(y, chunks=500)
    chosen = y > 1
    with dask.config.set(scheduler="synchronous"):
        found = dask_statistics(X[chosen], y[chosen])
        assert found.score() == pytest.approx(h_score(X[chosen].compute(), y[chosen].compute()), rel=1e-12)
        with refused("there are 8 blocks and 1, of unknown lengths"):
            dask_statistics(X[chosen], np.zeros(3000))


def test_labels_of_any_kind_in_a_list():
    X, y = data()
    names = [[0, "0", (1, 2), "a", b"a", frozenset([3])][c] for c in y]
    with dask.config.set(scheduler="synchronous"):
        found = dask_statistics(da.from_array(X, chunks=(1000, 20)), names)
    assert set(found.classes) == set(names)
    assert found.score() == pytest.approx(h_score(X, y), rel=1e-12)


def test_refused():
    X, y = data()
    bad = X.copy()
    bad[2100, 7] = np.nan
    with dask.config.set(scheduler="synchronous"):
        with refused("block 2: features[100, 7] = nan"):
            dask_statistics(da.from_array(bad, chunks=(1000, 20)), y)
        with refused("there are 4000 samples and 3999 labels"):
            dask_statistics(da.from_array(X, chunks=(1000, 20)), y[1:])
        with refused("delayed blocks must come in pairs"):
            dask_statistics([dask.delayed(X)], [])
        with refused("block 1: y[0] = 0.5 is not an integer"):
            dask_joint(da.from_array(np.arange(4), chunks=2), da.from_array(np.array([0, 1, 0.5, 1]), chunks=2))
        with refused("block 0: x has 3 samples and y has 2"):
            dask_joint([dask.delayed(np.arange(3))], [dask.delayed(np.arange(2))])
        with refused("there are no samples"):
            dask_joint(da.zeros(0, chunks=1), da.zeros(0, chunks=1))
        with refused("there are no samples"):
            dask_statistics([], []).score()
    with refused("there is no process group"):
        torch_statistics(HScore())


def test_without_dask():
    code = """
import sys
sys.modules["dask"] = sys.modules["dask.array"] = None
import ufs.distributed
try:
    ufs.distributed.dask_statistics([], [])
except ImportError as error:
    assert 'pip install -e ".[distributed]"' in str(error), error
else:
    raise SystemExit("no error")
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


# ---- two gloo ranks --------------------------------------------------------------------------------------------------


def rank_main(rank: int, store: str) -> None:
    """What each rank does; it fails by an exception."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    try:
        for dtype, tolerance in TOLERANCE.items():
            X, y = data(dtype)
            expected = pytest.approx(h_score(X, y), rel=tolerance)
            for cut in (4000, 0, 1, 3500):  # an empty rank, an uneven split; rank 1 alone has the last class
                own = slice(0, cut) if rank == 0 else slice(cut, None)
                for make in (np.array, torch.tensor):
                    part = HScore().update(make(X[own]), y[own])
                    n, classes = part.n, part.classes
                    merged = torch_statistics(part)
                    assert (merged.n, sorted(merged.classes), merged.score()) == (4000, list(range(6)), expected)
                    assert (part.n, part.classes) == (n, classes)
                    assert merged.update(make(X[:10]), y[:10]).n == 4010
        words = np.array(["x", "y", "z", "u", "v", "w"])[y]
        assert torch_statistics(HScore().update(X[own], words[own])).score() == expected
        assert torch_statistics(HScore()).n == 0
        with refused("ranks have 19 and 20 features"):
            torch_statistics(HScore().update(X[:, rank:], y))
        x = np.random.default_rng(5).integers(8, size=4000)
        for mine in (own, slice(4000 * rank, None)):
            found = torch_joint(x[mine], y[mine])
            np.testing.assert_array_equal(found.P, Joint.from_samples(x, y).P)
        ids = [np.array([2**63 + 1, 2**53 + 1], np.uint64), np.array([2**53, -1])][rank]
        assert torch_joint(ids, [0, 0]).x_labels == (-1, 2**53, 2**53 + 1, 2**63 + 1)
        with refused("y holds 1 in rank 0 and '1' in rank 1: give symbols of one type everywhere"):
            torch_joint([0, 0], [[1, 2], ["1", "2"]][rank])
        with refused("rank 1: x[1] = None is missing: leave out the samples that have no symbol"):  # on both
            torch_joint(["a", [None, "b"][rank == 0]], [0, 1])
        torch.distributed.barrier()  # a rank that leaves early may take the other's connection along
    finally:
        torch.distributed.destroy_process_group()


def test_two_ranks(tmp_path):
    command = [sys.executable, "-W", "error", __file__]
    ranks = [
        subprocess.Popen([*command, str(rank), str(tmp_path / "store")], stderr=subprocess.PIPE, text=True)
        for rank in (0, 1)
    ]
    try:
        errors = [rank.communicate(timeout=120)[1] for rank in ranks]
    finally:
        for rank in ranks:
            rank.kill()
    assert [rank.returncode for rank in ranks] == [0, 0], "\n".join(errors)


if __name__ == "__main__":
    rank_main(int(sys.argv[1]), sys.argv[2])
