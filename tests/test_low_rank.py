"""The claims of the chapter on softmax as low-rank approximation, for other seeds, sizes and strengths."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import pytest
from scipy.linalg import null_space

import ufs
from ufs import nn

Array: TypeAlias = np.ndarray


def table(seed: int, shape: tuple[int, int], strength: float = 1.0) -> ufs.Joint:
    """A table of uniform random numbers, its dependence multiplied by the strength."""
    return ufs.Joint.from_counts(np.random.default_rng(seed).random(shape)).faded(strength)


def parts(joint: ufs.Joint) -> tuple[Array, Array, float, float]:
    """Roots of the marginals, ε and the theorem's κ."""
    root_x, root_y = np.sqrt(joint.px), np.sqrt(joint.py)
    eps = float(np.linalg.norm(ufs.dtm(joint)))
    return root_x, root_y, eps, (1 + 2**0.5) * eps / (root_x.min() * joint.py.min())


def trained(joint: ufs.Joint, k: int) -> nn.Reading:
    rows, columns = joint.P.shape
    for seed in range(10):
        network = nn.mlp((rows, k, columns), ["identity"], seed)
        try:
            nn.fit_exact(network, joint)
        except nn.NotConverged:
            continue  # a start so lopsided between s and v that rounding hides the minimum
        return nn.read(network, np.eye(rows))
    raise AssertionError("ten starts did not arrive")


def interaction(net: nn.Reading, joint: ufs.Joint) -> tuple[Array, Array]:
    """The matrix of the interaction, and the mismatch of the bias."""
    root_x, root_y, *_ = parts(joint)
    s, v = net.s - joint.px @ net.s, net.v - joint.py @ net.v
    d = net.b - np.log(joint.py)
    return root_y[:, None] * v @ s.T * root_x, v @ (joint.px @ net.s) + d - joint.py @ d


def local(s: Array, v: Array, b: Array, joint: ufs.Joint) -> tuple[float, float, float]:
    """Remainder of R8, half-range of the logits, and norm of the centred logit."""
    logits = np.log(ufs.posterior(s, v, b) / joint.py)
    centred = logits - (logits @ joint.py)[:, None]
    norm = np.sqrt(np.sum(np.outer(joint.px, joint.py) * centred**2))
    remainder = ufs.log_loss(s, v, b, joint) - ufs.local_log_loss(s, v, b, joint)
    return remainder, np.ptp(logits, axis=1).max() / 2, norm


# ---- R8 --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("power", [-1.0, 0.0, 0.5, 1.0, 2.0])
@pytest.mark.parametrize(("shape", "k", "seed"), [((3, 4), 1, 0), ((8, 6), 3, 1), ((5, 5), 6, 2)])
def test_the_order_of_r8_does_not_depend_on_the_split(shape: tuple[int, int], k: int, seed: int, power: float) -> None:
    rng = np.random.default_rng(seed)
    s, v = rng.standard_normal((shape[0], k)), rng.standard_normal((shape[1], k))
    d, mean = rng.standard_normal(shape[1]), 2.0
    eps = np.geomspace(1e-4, 0.03, 9)
    remainders = []
    for e in eps:
        joint = table(seed, shape, e)
        weights = e ** (1 - power) * v
        features = e**power * (s + mean)
        b = np.log(joint.py) - weights @ np.full(k, e**power * mean) + e * d
        remainders.append(local(features, weights, b, joint)[0])
    assert ufs.remainder_order(remainders, eps) == pytest.approx(3, abs=0.15)


@pytest.mark.parametrize("seed", range(20))
def test_the_remainder_of_r8_is_within_its_bound(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(2, 9, 2))
    joint = table(seed, shape, rng.random())
    k = int(rng.integers(1, 5))
    size = 10 ** rng.uniform(-2, 0.5)
    s, v = rng.standard_normal((shape[0], k)), size * rng.standard_normal((shape[1], k))
    b = np.log(joint.py) + size * rng.standard_normal(shape[1])
    remainder, alpha, norm = local(s, v, b, joint)
    weight = np.outer(joint.px, joint.py)
    cubes = np.sum(weight * np.abs(joint.P / weight - 1) ** 3) / 2
    assert abs(remainder) <= cubes + alpha / 3 * min(np.exp(2 * alpha) * norm**2, alpha**2)


def test_empty_cells_are_within_the_bound_of_r8() -> None:
    joint = ufs.Joint([[0.5, 0.0], [0.1, 0.4]])
    remainder, alpha, norm = local(np.array([[1.0], [-1.0]]), np.array([[0.3], [-0.3]]), np.log(joint.py), joint)
    weight = np.outer(joint.px, joint.py)
    cubes = np.sum(weight * np.abs(joint.P / weight - 1) ** 3) / 2
    assert abs(remainder) <= cubes + alpha / 3 * min(np.exp(2 * alpha) * norm**2, alpha**2)


@pytest.mark.parametrize("seed", range(30))
def test_the_lemma_on_cumulants(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.full(int(rng.integers(2, 7)), 0.5))
    z = 10 ** rng.uniform(-2, 1) * rng.standard_normal(len(p))
    z -= p @ z
    alpha, w = np.ptp(z) / 2, p @ z**2
    cumulant = np.log(p @ np.exp(z))
    slack = 1e-13
    assert abs(cumulant - w / 2) <= alpha / 3 * min(np.exp(2 * alpha) * w, alpha**2) + slack
    assert cumulant >= (1 / 2 - alpha / 3) * w - slack


# ---- R8′ -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(10))
def test_whoever_beats_ignorance_is_near_the_marginal(seed: int) -> None:
    rng = np.random.default_rng(seed)
    joint = table(seed, (6, 5), 0.01)
    ignorant, (root_x, _, eps, kappa) = joint.mutual_information(), parts(joint)
    assert kappa < 0.5
    best = ufs.optimal_softmax(joint, 2)
    met = 0
    for scale in np.geomspace(0.01, 3, 40):
        s = best[0] + scale * rng.standard_normal((6, 2))
        v = best[1] + scale * eps * rng.standard_normal((5, 2))
        b = best[2] + scale * eps * rng.standard_normal(5)
        if ufs.log_loss(s, v, b, joint) > ignorant:
            continue
        met += 1
        distance = np.abs(ufs.posterior(s, v, b) - joint.py)
        assert np.all(distance <= (1 + 2**0.5) / 2 * eps / root_x[:, None])
        remainder, alpha, norm = local(s, v, b, joint)
        assert alpha <= kappa
        assert norm <= 3 * eps
        assert abs(remainder) <= 21 * eps**3 / (root_x.min() * joint.py.min())
    assert met >= 10


# ---- R9 --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(10))
def test_growth_away_from_a_truncation(seed: int) -> None:
    rng = np.random.default_rng(seed)
    B = rng.standard_normal((6, 5))
    U, sigma, Vt = np.linalg.svd(B, full_matrices=False)
    for k in (1, 2, 4):
        B_k = (U[:, :k] * sigma[:k]) @ Vt[:k]
        for _ in range(50):
            turn = 10 ** rng.uniform(-3, 1)
            left = U[:, :k] * sigma[:k] + turn * rng.standard_normal((6, k))
            A = left @ (Vt[:k] + turn * rng.standard_normal((k, 5)))
            grown = np.sum((B - A) ** 2) - np.sum((B - B_k) ** 2)
            assert grown >= (1 - sigma[k] / sigma[k - 1]) * np.sum((A - B_k) ** 2) - 1e-9


@pytest.mark.parametrize(("shape", "k", "seed"), [((8, 6), 1, 3), ((8, 6), 2, 4), ((4, 7), 2, 5), ((5, 4), 3, 6)])
def test_the_orders_of_r9(shape: tuple[int, int], k: int, seed: int) -> None:
    eps, rows = np.geomspace(0.003, 0.03, 3), []
    for e in eps:
        joint = table(seed, shape, e)
        net, m = trained(joint, k), ufs.modes(joint, k)
        root_x, root_y, size, _ = parts(joint)
        A, mismatch = interaction(net, joint)
        away = np.linalg.norm(A - root_y[:, None] * (m.g * m.sigma) @ m.f.T * root_x)
        angles = [
            ufs.feature_angles(net.s, m.f, joint.px).max(),
            ufs.feature_angles(net.v, m.g, joint.py).max(),
        ]
        rows.append([away / size, *angles, np.sqrt(joint.py @ mismatch**2)])
    columns = np.array(rows).T
    orders = [0 if values.max() < 1e-9 else ufs.remainder_order(values, eps) for values in columns]
    assert orders[0] == pytest.approx(1, abs=0.2)
    for order, size_of_side in zip(orders[1:3], shape, strict=True):
        if k == size_of_side - 1:
            assert order == 0  # the features span everything
        else:
            assert order == pytest.approx(1, abs=0.3)
    assert orders[3] == pytest.approx(2, abs=0.2)


@pytest.mark.parametrize("seed", [0, 7])
def test_the_bounds_of_r9(seed: int) -> None:
    joint = table(seed, (5, 4), 1.0)
    joint = table(seed, (5, 4), 0.4 / parts(joint)[3])
    _, _, eps, kappa = parts(joint)
    assert 0.3 < kappa <= 0.5
    sigma = np.append(ufs.modes(joint).sigma, 0)
    for k in (1, 2, 3):
        net = trained(joint, k)
        _, mismatch = interaction(net, joint)
        assert np.sqrt(joint.py @ mismatch**2) <= 13 * kappa * eps
        angle = ufs.feature_angles(net.s, ufs.modes(joint, k).f, joint.px).max()
        assert np.sin(angle) <= 25 * kappa * eps / (sigma[k - 1] - sigma[k])


@pytest.mark.parametrize("k", [5, 6, 9])
def test_enough_features_fit_exactly(k: int) -> None:
    joint = table(11, (8, 6), 0.3)
    network = nn.mlp((8, k, 6), ["identity"], 0)
    assert nn.fit_exact(network, joint).loss < 1e-20


def test_the_correction_is_one_order_better() -> None:
    eps, errors = np.geomspace(0.004, 0.04, 3), []
    for e in eps:
        joint = table(2, (6, 5), e)
        root_x, root_y, *_ = parts(joint)
        m = ufs.modes(joint, 2)
        half = ((m.f * m.sigma) @ m.g.T) ** 2 / 2
        T = half - joint.px @ half
        T -= (T @ joint.py)[:, None]
        U, sigma, Vt = np.linalg.svd(ufs.dtm(joint) - (root_x[:, None] * root_y * T).T)
        A, mismatch = interaction(trained(joint, 2), joint)
        mean = -((m.g**2 - 1) @ m.sigma**2) / 2
        errors.append([np.linalg.norm(A - (U[:, :2] * sigma[:2]) @ Vt[:2]), np.linalg.norm(mismatch - mean)])
    for values in np.array(errors).T:
        assert ufs.remainder_order(values, eps) == pytest.approx(3, abs=0.25)


@pytest.mark.parametrize(("shape", "seed"), [((6, 5), 2), ((4, 7), 5)])
def test_one_feature_leans_by_skewness_over_gap(shape: tuple[int, int], seed: int) -> None:
    joint = table(seed, shape, 1e-3)
    m = ufs.modes(joint)
    root = np.sqrt(joint.px)[:, None]
    rest = null_space(np.hstack([root, root * m.f]).T) / root  # features beyond the modes
    f = np.hstack([m.f, rest])
    sigma = np.append(m.sigma, np.zeros(rest.shape[1]))
    by_f = (joint.px * f[:, 0] ** 2) @ f
    by_g = np.append((joint.py * m.g[:, 0] ** 2) @ m.g, np.zeros(rest.shape[1]))
    c = -(sigma[0] ** 2) / 2 * (sigma[0] * by_g[0] * by_f + sigma * by_f[0] * by_g)[1:]
    c /= sigma[0] ** 2 - sigma[1:] ** 2
    s = trained(joint, 1).s[:, 0]
    parts_of_s = (joint.px * (s - joint.px @ s)) @ f
    np.testing.assert_allclose(parts_of_s[1:] / parts_of_s[0], c, atol=0.02 * np.abs(c).max())


def test_the_certificate_of_optimality() -> None:
    joint = table(1, (8, 6), 0.02)
    net = trained(joint, 1)
    root_x, root_y, *_ = parts(joint)
    A, _ = interaction(net, joint)
    Q = ufs.posterior(net.s, net.v, net.b)
    N = ((joint.P - joint.px[:, None] * Q) / np.outer(root_x, root_y)).T
    np.testing.assert_allclose(A.T @ N, 0, atol=1e-10)
    np.testing.assert_allclose(A @ N.T, 0, atol=1e-10)
    np.testing.assert_allclose(N @ root_x, 0, atol=1e-10)
    ratio = np.linalg.norm(N, 2) / np.linalg.norm(A, 2)
    least = ufs.log_loss(net.s, net.v, net.b, joint)
    weight, logits = np.outer(joint.px, joint.py), np.log(Q / joint.py)
    rng = np.random.default_rng(0)
    for size in np.geomspace(1e-3, 1, 60):
        s = net.s + size * rng.standard_normal((8, 1))
        v = net.v * (1 + size * rng.standard_normal((6, 1)))
        b = net.b + size * 0.01 * rng.standard_normal(6)
        rival = np.log(ufs.posterior(s, v, b) / joint.py)
        alpha = max(np.ptp(rival, axis=1).max(), np.ptp(logits, axis=1).max()) / 2
        h = rival - logits
        h -= (h @ joint.py)[:, None]
        promised = 0.5 * (np.exp(-2 * alpha) - ratio) * np.sum(weight * h**2)
        assert ufs.log_loss(s, v, b, joint) - least >= promised - 1e-14


# ---- X1 --------------------------------------------------------------------------------------------------------------


def test_the_published_experiment() -> None:
    """On tables that it can finish within its 200 epochs, the recipe agrees with theory to a few hundredths."""
    for seed in (1, 2, 4):
        rng = np.random.default_rng(seed)
        truth = ufs.Joint.from_counts(rng.random((8, 6)))
        counts = rng.multinomial(100_000, truth.P.ravel()).reshape(8, 6)
        x, y = np.indices(counts.shape).reshape(2, -1)
        network = nn.mlp((8, 1, 6), ["sigmoid"], seed)
        settings = {"lr": 4.0, "decay": 1e-2, "momentum": 0.9, "nesterov": True, "clip": 0.5}
        nn.fit_samples(network, np.eye(8)[x], y, epochs=200, weights=counts.ravel(), progress=False, **settings)
        joint, net = ufs.Joint.from_counts(counts), nn.read(network, np.eye(8))
        m = ufs.modes(joint, 1)
        assert np.cos(ufs.feature_angles(net.s, m.f, joint.px)[0]) > 0.99
        assert np.cos(ufs.feature_angles(net.v, m.g, joint.py)[0]) > 0.98
        _, mismatch = interaction(net, joint)
        bias = net.b - np.log(joint.py)
        assert joint.py @ mismatch**2 < 0.15 * (joint.py @ (bias - joint.py @ bias) ** 2)


def test_a_small_gap_spoils_the_experiment() -> None:
    """Where σ₁ ≈ σ₂ even the best network's feature is far from the first mode, until the dependence is very weak."""
    angles = []
    for strength in (0.01, 0.3):
        joint = table(3, (8, 6), strength)
        angles.append(ufs.feature_angles(trained(joint, 1).s, ufs.modes(joint, 1).f, joint.px)[0])
    assert angles[0] < 0.02
    assert angles[1] > 0.15
