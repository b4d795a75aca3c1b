"""What the chapter on the H-score claims, on other tables, seeds and sizes than it shows."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from scipy.special import logsumexp, ndtr
from sklearn.cross_decomposition import CCA
from sklearn.datasets import load_iris
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

import ufs
from ufs import datasets, nn

SMOKE = ufs.Joint.from_counts(datasets.smoke())
EYES = ufs.Joint.from_counts(datasets.hair_eye_color())


def table(seed: int, shape: tuple[int, int] = (7, 5)) -> ufs.Joint:
    cells = np.random.default_rng(seed).random(shape)
    return ufs.Joint(cells / cells.sum())


def log_odds(s: np.ndarray, joint: ufs.Joint) -> np.ndarray:
    """u*(x, y): the class means of s, centred, in the ruler of its covariance."""
    tilde = s - joint.px @ s
    means = (joint.P / joint.py).T @ tilde
    return tilde @ np.linalg.pinv((tilde.T * joint.px) @ tilde) @ means.T


def gain(s: np.ndarray, joint: ufs.Joint) -> float:
    head = nn.mlp((s.shape[1], joint.py.size), [], seed=0)
    return joint.mutual_information() - nn.fit_exact(head, joint, s).loss


def gaussian_classes(
    rng: np.random.Generator, n: int, k: int, g: int, spread: float
) -> tuple[np.ndarray, np.ndarray, float]:
    """Features and labels of n samples of g equally likely Gaussian classes, and their true H-score."""
    means = rng.standard_normal((g, k))
    means = (means - means.mean(axis=0)) * spread / np.sqrt(k)
    labels = rng.integers(g, size=n)
    lam = np.linalg.eigvalsh(means.T @ means / g)
    return means[labels] + rng.standard_normal((n, k)), labels, float(np.sum(lam / (1 + lam)) / 2)


# ---- the score and its forms (D9) ------------------------------------------------------------------------------------


@pytest.mark.result("D9")
@pytest.mark.parametrize("joint", [SMOKE, EYES, table(3), table(4, (5, 9))], ids=["smoke", "eyes", "7×5", "5×9"])
def test_one_sided_is_the_maximum_of_two_sided(joint: ufs.Joint) -> None:
    rng = np.random.default_rng(0)
    s = rng.standard_normal((len(joint.px), 2)) @ rng.standard_normal((2, 3))  # three features of rank two
    score, (best, _) = ufs.h_score(s, joint), ufs.optimal_weights(s, joint)
    assert ufs.h_score_pair(s, best, joint) == pytest.approx(score, abs=1e-13)
    tilde = s - joint.px @ s
    for scale in (0.01, 0.3, 5.0):
        v = best + scale * rng.standard_normal(best.shape)
        off = tilde @ (v - joint.py @ v - best).T
        lost = joint.px @ off**2 @ joint.py / 2
        assert ufs.h_score_pair(s, v, joint) == pytest.approx(score - lost, abs=1e-12 * (1 + lost))
    from_dtm = ufs.captured(s, joint, of="X") / 2
    assert score == pytest.approx(from_dtm, abs=1e-13)


def test_only_the_span_counts_and_more_is_never_less() -> None:
    rng, joint = np.random.default_rng(1), table(5)
    s = rng.standard_normal((7, 4))
    turned = s @ rng.standard_normal((4, 4)) - 3
    assert ufs.h_score(turned, joint) == pytest.approx(ufs.h_score(s, joint), abs=1e-12)
    scores = [ufs.h_score(s[:, :k], joint) for k in (1, 2, 3, 4)]
    assert np.all(np.diff(scores) > 0)
    weights = joint.px[:, None]
    rest = s[:, 1:] - joint.px @ s[:, 1:]
    first = s[:, :1] - joint.px @ s[:, :1]
    rest = rest - first @ ((weights * first).T @ rest) / (joint.px @ first**2)
    assert scores[3] == pytest.approx(scores[0] + ufs.h_score(rest, joint), abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_features_that_move_together_keep_their_score(seed: int) -> None:
    s, y, _ = gaussian_classes(np.random.default_rng(seed), 500, 5, 4, 2.0)
    joint, t = table(seed, (9, 4)), np.random.default_rng(seed).standard_normal((9, 5))
    for delta in 10.0 ** -np.arange(1, 9):
        near = s[:, :1] + delta * np.column_stack([0 * s[:, 0], s[:, 1:]])
        assert ufs.h_score(near, y) == pytest.approx(ufs.h_score(s, y), rel=1e-7)
        near = t[:, :1] + delta * np.column_stack([0 * t[:, 0], t[:, 1:]])
        assert ufs.h_score(near, joint) == pytest.approx(ufs.h_score(t, joint), rel=1e-7)
        assert ufs.captured(near, joint, of="X") / 2 == pytest.approx(ufs.h_score(t, joint), rel=1e-7)


# ---- bounds, forecast, limits (R13) ----------------------------------------------------------------------------------


@pytest.mark.result("R13")
@pytest.mark.parametrize("joint", [SMOKE, table(6), table(7, (4, 9))], ids=["smoke", "7×5", "4×9"])
def test_modes_attain_the_bound_and_nothing_exceeds_it(joint: ufs.Joint) -> None:
    rng = np.random.default_rng(2)
    for k in range(1, min(joint.P.shape)):
        m = ufs.modes(joint, k)
        most = np.sum(m.sigma**2) / 2
        assert ufs.h_score(m.f, joint) == pytest.approx(most, abs=1e-12)
        rivals = [ufs.h_score(rng.standard_normal((len(joint.px), k)), joint) for _ in range(50)]
        assert max(rivals) <= most + 1e-12


@pytest.mark.result("R13")
@pytest.mark.parametrize(("joint", "k"), [(SMOKE, 1), (EYES, 2), (table(8), 3)], ids=["smoke", "eyes", "7×5"])
def test_the_gain_is_within_its_bounds(joint: ufs.Joint, k: int) -> None:
    s = np.random.default_rng(3).standard_normal((len(joint.px), k))
    for share in (0.02, 0.1, 0.4, 0.7):
        weak = joint.faded(share)
        score, exact = ufs.h_score(s, weak), gain(s, weak)
        delta = np.abs(log_odds(s, weak)).max()
        eps = np.linalg.norm(ufs.dtm(weak))
        assert delta <= eps / np.sqrt(weak.px.min() * weak.py.min())
        if delta < 1:
            assert -delta / (3 - delta) * score <= exact - score <= delta / (3 * (1 - delta)) * score
            assert exact <= np.log1p(2 * score)


def test_what_the_forecast_leaves_out_is_of_third_order_with_a_known_coefficient() -> None:
    joint, s = table(9), np.random.default_rng(4).standard_normal((7, 2))
    shares = np.geomspace(0.01, 0.2, 6)
    left, rest = [], []
    for share in shares:
        weak = joint.faded(share)
        left.append(gain(s, weak) - ufs.h_score(s, weak))
        rest.append(left[-1] + np.sum(np.outer(weak.px, weak.py) * log_odds(s, weak) ** 3) / 6)
    assert ufs.remainder_order(left, shares) == pytest.approx(3, abs=0.15)
    assert ufs.remainder_order(rest, shares) == pytest.approx(4, abs=0.2)


def test_equal_class_means_leave_a_softmax_layer_nothing() -> None:
    joint = ufs.Joint(np.array([[0.0, 0.2], [0.3, 0.3], [0.0, 0.2]]) + 0.0)  # Y = 0 happens in the middle only
    s = np.array([[-1.0], [0.0], [1.0]])
    assert ufs.h_score(s, joint) == pytest.approx(0, abs=1e-15)
    assert joint.mutual_information() > 0.1
    assert gain(s, joint) == pytest.approx(0, abs=1e-9)
    assert ufs.h_score(s**2, joint) > 0.05


@pytest.mark.result("R13")
def test_at_most_half_of_chi2_and_equal_only_for_linear_dependence() -> None:
    for seed in range(5):
        joint = table(seed, (6, 4))
        half = ufs.chi2_divergence(joint.P, np.outer(joint.px, joint.py)) / 2
        posterior = joint.P / joint.px[:, None]
        assert ufs.h_score(posterior[:, :3], joint) == pytest.approx(half, abs=1e-12)
        assert ufs.h_score(np.arange(6.0), joint) < 0.99 * half


# ---- the averaged exponent (R13′) ------------------------------------------------------------------------------------


@pytest.mark.result("R13′")
@pytest.mark.parametrize(("joint", "k"), [(EYES, 1), (table(10), 2), (table(11, (4, 6)), 3)])
def test_the_mean_exponent_is_proportional_to_the_score(joint: ufs.Joint, k: int) -> None:
    rng = np.random.default_rng(5)
    s = rng.standard_normal((len(joint.px), k))
    eps = min(ufs.largest_eps(joint.py), 0.1) / 3
    asked = ufs.random_attribute(joint.py, eps, rng, draws=250)
    found = ufs.attribute_exponents(s, ufs.Joint(joint.P.T), asked)
    expected = eps**2 / 8 * 4 / (len(joint.py) - 1) * 2 * ufs.h_score(s, joint)
    assert ufs.averaged_exponent(s, joint, spread=4, eps=eps, of="X") == pytest.approx(expected, rel=1e-10)
    delta = eps * ufs.modes(joint, 1).sigma[0] / np.sqrt(joint.px.min())
    error = 4 * found.std() / np.sqrt(len(found))
    assert abs(found.mean() - expected) < error + 2 * delta / (1 - 2 * delta) * expected
    assert abs(found.mean() - expected) < 0.5 * expected


@pytest.mark.result("R13′")
def test_for_single_features_the_error_is_a_function_of_samples_times_score() -> None:
    joint, strength = EYES, 0.1
    m = ufs.modes(joint, 3)
    asked = ufs.random_attribute(joint.py, strength, np.random.default_rng(12), draws=200)
    shown = asked @ (joint.P / joint.py).T
    cosine = np.random.default_rng(13).standard_normal((100_000, len(joint.py) - 1))
    cosine = np.abs(cosine[:, 0]) / np.linalg.norm(cosine, axis=1)
    for f in m.f.T:
        score = ufs.h_score(f, joint)
        for nH in (20, 200):
            n = [round(nH / score)]
            error = [ufs.simulate_error(f, p, q, n, trials=200, seed=i).error[0] for i, (p, q) in enumerate(shown)]
            expected = ndtr(-strength * np.sqrt(2 * nH) * cosine)
            deviation = np.sqrt((expected.var() + 0.25 / 200) / 200)
            assert abs(np.mean(error) - expected.mean()) < 4 * deviation


# ---- other names -----------------------------------------------------------------------------------------------------


@pytest.mark.result("D9")
def test_iris() -> None:
    features, species = load_iris(return_X_y=True)
    assert 2 * ufs.h_score(features, species) == pytest.approx(1.19189882504147, abs=1e-12)


@pytest.mark.result("D9")
@pytest.mark.parametrize(("k", "g"), [(3, 4), (5, 3), (2, 2)])
def test_equals_scikit_learn(k: int, g: int) -> None:
    s, y, _ = gaussian_classes(np.random.default_rng(6), 200, k, g, 1.5)
    twice = 2 * ufs.h_score(s, y)
    lda = LinearDiscriminantAnalysis(solver="eigen").fit(s, y)
    z = lda.transform(s)
    means = np.array([z[y == c].mean(axis=0) for c in range(g)])[y]
    assert twice == pytest.approx(np.sum(means.var(axis=0) / z.var(axis=0)), abs=1e-10)
    within, total = lda.covariance_, np.cov(s.T, bias=True)
    assert twice == pytest.approx(np.trace((total - within) @ np.linalg.inv(total)), abs=1e-10)
    number = min(k, g - 1)
    a, b = CCA(number, tol=1e-14, max_iter=50_000).fit(s, np.eye(g)[y][:, 1:]).transform(s, np.eye(g)[y][:, 1:])
    correlations = [np.corrcoef(a[:, i], b[:, i])[0, 1] for i in range(number)]
    assert twice == pytest.approx(np.sum(np.square(correlations)), abs=1e-8)


# ---- samples (R14) ---------------------------------------------------------------------------------------------------


@pytest.mark.result("R14")
@pytest.mark.parametrize(("labels", "k"), [([0, 0, 1, 1, 2, 3], 2), ([0, 0, 0, 0, 1, 2], 3), ([0, 1, 0, 1, 0, 1], 4)])
def test_the_level_of_chance_is_exact(labels: list[int], k: int) -> None:
    s = np.random.default_rng(7).standard_normal((6, k))
    scores = [ufs.h_score(s, np.take(labels, order)) for order in permutations(range(6))]
    g = len(set(labels))
    assert np.mean(scores) == pytest.approx(k * (g - 1) / (2 * 5), abs=1e-12)
    assert min(scores) >= max(0, (k + g - 6) / 2) - 1e-12
    assert ufs.HScore().update(s, labels).null_level == pytest.approx(np.mean(scores), abs=1e-12)


@pytest.mark.result("R14")
@pytest.mark.parametrize("k", [2, 12])  # fewer than classes, and more
@pytest.mark.parametrize("spread", [1.0, 5.0])
def test_rescaling_has_the_least_bias(k: int, spread: float) -> None:
    rng = np.random.default_rng(8)
    found = []
    for _ in range(300):
        s, y, true = gaussian_classes(rng, 90, k, 6, spread)
        score = ufs.HScore().update(s, y)
        found.append([score.score() - true, score.corrected() - true, score.rescaled() - true])
    plug_in, less_chance, rescaled = np.mean(found, axis=0)
    assert abs(rescaled) < 0.5 * min(plug_in, abs(less_chance))
    assert plug_in > 0 > less_chance


def test_pairs_of_different_samples_score_a_head_without_bias() -> None:
    g, k, m, rng = 4, 6, 12, np.random.default_rng(14)
    means = 3 * rng.standard_normal((g, k))
    v = means @ np.linalg.inv(np.eye(k) + means.T @ means / g) + 0.3 * rng.standard_normal((g, k))
    true = np.sum(means * v) / g - np.sum(v @ (np.eye(k) + means.T @ means / g) * v) / (2 * g)  # about the mean 0
    without, plug_in = [], []
    for _ in range(4000):
        y = rng.integers(g, size=m)
        u = (means[y] + rng.standard_normal((m, k))) @ v[y].T
        squares = np.sum(u**2) - np.sum(np.diag(u) ** 2)
        without.append(np.diag(u).mean() - squares / (2 * m * (m - 1)))
        plug_in.append(np.diag(u).mean() - np.sum(u**2) / (2 * m**2))
    error = np.std(without) / np.sqrt(4000)
    assert abs(np.mean(without) - true) < 4 * error
    assert np.mean(plug_in) < true - 8 * error


@pytest.mark.result("R14")
def test_half_in_half_out_for_unequal_covariances() -> None:
    rng = np.random.default_rng(9)
    g, k, n = 3, 4, 60
    py, means = np.array([0.5, 0.3, 0.2]), rng.standard_normal((g, k))
    means -= py @ means
    roots = rng.standard_normal((g, k, k))
    covariances = roots @ roots.transpose(0, 2, 1)
    total = np.einsum("y,yij->ij", py, covariances) + (means.T * py) @ means
    inverse = np.linalg.inv(total)
    score = np.einsum("y,yi,ij,yj", py, means, inverse, means) / 2
    delta = sum((1 - p) * np.trace(inverse @ c) for p, c in zip(py, covariances, strict=True)) / (2 * n)
    noise = rng.standard_normal((20_000, g, k)) / np.sqrt(n * py)[:, None]
    seen = means + np.einsum("yij,tyj->tyi", roots, noise)
    seen -= np.einsum("y,tyi->ti", py, seen)[:, None]
    v = seen @ inverse
    size = np.einsum("y,tyi,ij,tyj->t", py, v, total, v) / 2
    inside, outside = size - score, np.einsum("y,yi,tyi->t", py, means, v) - size - score
    for excess, expected in ((inside, delta), (outside, -delta)):
        assert abs(excess.mean() - expected) < 4 * excess.std() / np.sqrt(len(excess))
    assert delta > 20 * inside.std() / np.sqrt(len(inside))


def test_the_local_head_gains_what_the_lower_bound_says() -> None:
    joint = table(12).faded(0.3)
    s = np.random.default_rng(10).standard_normal((7, 2))
    u, score = log_odds(s, joint), ufs.h_score(s, joint)
    attained = np.sum(joint.P * u) - joint.px @ logsumexp(u + np.log(joint.py), axis=1)
    delta = np.abs(u).max()
    assert delta < 1
    assert attained >= score * (1 - delta / (3 - delta))
    assert attained <= gain(s, joint) + 1e-12
