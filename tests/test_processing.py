"""What processing can keep: the contraction constants against every case with a formula, and against brute force."""

import numpy as np
import pytest
import scipy.sparse as sp

import ufs
from ufs import Contraction, Joint, chi2_divergence, contraction, datasets, kl_divergence, modes


def channel_of(joint: Joint) -> np.ndarray:
    return joint.P / joint.px[:, None]


def ratio(p: np.ndarray, joint: Joint) -> float:
    """D(P^Y || P_Y) / D(P || P_X), each as a plain sum of p log(p/q)."""

    def divergence(p, q):
        return float(sum(a * np.log(a / b) for a, b in zip(p, q, strict=True) if a > 0))

    return divergence(p @ channel_of(joint), joint.py) / divergence(p, joint.px)


def erasure(px, e: float) -> Joint:
    return Joint(np.c_[(1 - e) * np.diag(px), e * np.asarray(px)])


def z_channel(one: float, flip: float) -> Joint:
    return Joint([[1 - one, 0.0], [one * flip, one * (1 - flip)]])


def ladder() -> Joint:
    return Joint.from_counts(datasets.occupational_status())


def random_joint(seed: int, shape=(4, 5)) -> Joint:
    return Joint.from_counts(np.random.default_rng(seed).dirichlet(np.full(shape[0] * shape[1], 0.5)).reshape(shape))


def informations(joint: Joint, weights: np.ndarray, px_v: np.ndarray) -> tuple[float, float]:
    """I(V; X) and I(V; Y) of an attribute with P(v) and P(x|v)."""
    table = weights[:, None] * px_v
    return Joint(table).mutual_information(), Joint(table @ channel_of(joint)).mutual_information()


def rare_attribute(joint: Joint, p: np.ndarray, weight: float) -> tuple[float, float]:
    """I(V; X) and I(V; Y) of V = 1 with a small probability and the distribution p of X, else what is left of P_X."""
    rest = (joint.px - weight * p) / (1 - weight)
    return informations(joint, np.array([weight, 1 - weight]), np.array([p, rest]))


# ---- cases with a formula --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("joint", "constant"),
    [
        (Joint([[0.45, 0.05], [0.05, 0.45]]), 0.64),
        (erasure([0.6, 0.3, 0.05, 0.05], 0.25), 0.75),
        (Joint(np.outer([0.2, 0.8], [0.5, 0.3, 0.2])), 0.0),
        (Joint([[0.3, 0.0], [0.0, 0.7]]), 1.0),
        (Joint([[0.3, 0.0], [0.0, 0.3], [0.4, 0.0]]), 1.0),
    ],
    ids=["symmetric", "erasure", "independence", "copy", "function"],
)
def test_where_all_three_constants_are_one_number(joint: Joint, constant: float) -> None:
    found = contraction(joint)
    assert found.chi2 == pytest.approx(constant, abs=1e-12)
    assert found.lower == pytest.approx(constant, abs=1e-9)
    assert found.upper == pytest.approx(constant, abs=1e-9)


@pytest.mark.parametrize("flip", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("one", [0.05, 0.3, 0.8])
def test_z_channel(one: float, flip: float) -> None:
    """Its constant for the worst input is 1 - flip; for a given one the supremum is found on a grid."""
    joint = z_channel(one, flip)
    found = contraction(joint)
    grid = np.linspace(0, 1, 1001)
    tried = [ratio(np.array([1 - t, t]), joint) for t in grid if abs(t - one) > 1e-9]
    assert found.upper == pytest.approx(1 - flip, abs=1e-9)
    assert found.lower == pytest.approx(max(tried), rel=2e-5)
    assert found.lower > 1.0001 * found.chi2  # the gap is real


@pytest.mark.parametrize("seed", range(6))
def test_no_distribution_of_three_symbols_keeps_more(seed: int) -> None:
    joint = random_joint(seed, (3, 4))
    found = contraction(joint)
    steps = np.linspace(0, 1, 61)
    tried = max(
        ratio(p, joint)
        for a in steps
        for b in steps[steps <= 1 - a + 1e-12]
        if np.abs((p := np.array([a, b, max(1 - a - b, 0)])) - joint.px).max() > 1e-3
    )
    assert tried <= found.lower * (1 + 1e-9)
    assert tried > 0.9 * found.lower  # a claim smaller by a tenth would fail


# ---- what is proved -------------------------------------------------------------------------------------------------


@pytest.mark.result("R4")
@pytest.mark.parametrize("seed", range(5))
def test_the_constants_are_in_order(seed: int) -> None:
    joint = random_joint(seed)
    found = contraction(joint)
    variation = max(np.abs(a - b).sum() / 2 for a in channel_of(joint) for b in channel_of(joint))
    assert found.chi2 == pytest.approx(modes(joint).sigma[0] ** 2)
    assert found.chi2 <= found.lower <= found.upper <= variation + 1e-12
    if found.lower > found.chi2:
        assert ratio(found.px_v, joint) == pytest.approx(found.lower, rel=1e-9)


@pytest.mark.result("R4")
def test_the_ladder_keeps_more_nats_than_chi2() -> None:
    joint = ladder()
    found = contraction(joint)
    assert found.chi2 == pytest.approx(0.28145092, abs=1e-8)
    assert found.lower == pytest.approx(0.35500920, abs=1e-8)
    assert ratio(found.px_v, joint) == pytest.approx(0.35500920, abs=1e-8)
    assert found.upper == pytest.approx(0.58444324, abs=1e-8)
    assert [contraction(joint, starts=5, seed=seed).lower for seed in range(5)] == pytest.approx([found.lower] * 5)


@pytest.mark.result("R4")
def test_information_contracts_by_the_constant_and_by_no_smaller_one() -> None:
    """I(V; Y) <= η I(V; X) for attributes of every kind; a rare one comes as near to equality as is wanted."""
    joint, rng = ladder(), np.random.default_rng(0)
    found = contraction(joint)
    for _ in range(300):
        table = rng.dirichlet(np.full(3, rng.choice([0.2, 1, 5])), 8).T * joint.px  # P(v, x)
        weights = table.sum(axis=1)
        of_x, of_y = informations(joint, weights, table / weights[:, None])
        assert of_y <= found.lower * of_x
    shares = [of_y / of_x for of_x, of_y in (rare_attribute(joint, found.px_v, w) for w in (1e-2, 1e-3, 1e-4))]
    assert np.all(np.diff(shares) > 0)
    assert shares[-1] == pytest.approx(found.lower, rel=2e-4)
    assert shares[-1] > 0.9 * found.lower  # a constant smaller by a tenth fails
    assert shares[-1] > 1.2 * found.chi2  # and so does σ₁²


def test_the_largest_share_of_a_novel_is_that_of_q() -> None:
    joint = Joint.from_counts(datasets.letter_bigrams())
    found = contraction(joint)
    q = joint.x_labels.index("q")
    assert found.px_v[q] > 0.999
    assert found.lower == pytest.approx(ratio(np.eye(27)[q], joint), rel=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_the_upper_bound_is_that_of_the_worst_input(seed: int) -> None:
    """No input distribution passes it, and the best two symbols with the best weights reach it."""
    joint, rng = random_joint(seed), np.random.default_rng(seed)
    W, upper = channel_of(joint), contraction(joint).upper
    largest = 0.0
    for px in rng.dirichlet(np.full(4, 0.5), 8):
        assert contraction(Joint(px[:, None] * W), starts=4).lower <= upper * (1 + 1e-9)
    for one in range(4):
        for other in range(one):
            for weight in np.linspace(0.005, 0.995, 100):
                table = np.array([weight * W[one], (1 - weight) * W[other]])
                table = table[:, table.sum(axis=0) > 0]
                largest = max(largest, ufs.maximal_correlation(Joint(table)) ** 2)
    assert 0.999 * upper < largest <= upper


@pytest.mark.result("R4")
def test_chi2_contracts_by_the_square_of_the_first_singular_value() -> None:
    """Part 2: no change of distribution does better, those along ψ₁ and only those do as well."""
    joint, rng = ladder(), np.random.default_rng(1)
    m, W = modes(joint), channel_of(joint)

    def share(p):
        return chi2_divergence(p @ W, joint.py) / chi2_divergence(p, joint.px)

    bound = m.sigma[0] ** 2
    shares = [share(p) for p in rng.dirichlet(np.full(8, 0.3), 2000)]
    assert max(shares) <= bound
    assert max(shares) > 0.9 * bound  # a constant smaller by a tenth fails
    along = joint.px * (1 + 0.1 * m.f[:, 0])
    aside = joint.px * (1 + 0.1 * m.f[:, 0] + 0.01 * m.f[:, 1])
    assert share(along) == pytest.approx(bound, rel=1e-12)
    assert share(aside) < bound * (1 - 1e-3)


def test_every_direction_of_a_repeated_first_singular_value_does_as_well() -> None:
    joint, rng = erasure([0.5, 0.3, 0.2], 0.4), np.random.default_rng(2)
    for p in rng.dirichlet(np.ones(3), 20):
        kept = chi2_divergence(p @ channel_of(joint), joint.py) / chi2_divergence(p, joint.px)
        assert kept == pytest.approx(0.6, rel=1e-12)


@pytest.mark.result("R4")
@pytest.mark.parametrize(("strengths", "weights", "order"), [((1, -1), (0.5, 0.5), 4), ((1, -0.25), (0.2, 0.8), 3)])
def test_the_order_of_the_local_rule(strengths, weights, order: int) -> None:
    """I(V; Y) - σ₁² I(V; X) along the first mode: order 3, and 4 where + and - are alike."""
    joint = Joint.from_counts(datasets.hair_eye_color())
    m = modes(joint)
    eps = np.geomspace(1e-3, 1e-1, 13)
    left = []
    for e in eps:
        px_v = joint.px * (1 + e * np.outer(strengths, m.f[:, 0]))
        of_x, of_y = informations(joint, np.array(weights), px_v)
        left.append(abs(of_y - m.sigma[0] ** 2 * of_x))
    slopes = np.diff(np.log(left)) / np.diff(np.log(eps))
    np.testing.assert_allclose(slopes, order, rtol=0.09)  # an order larger or smaller by a tenth fails


# ---- input -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 3), (3, 1), (1, 1)])
def test_one_symbol(shape) -> None:
    found = contraction(Joint(np.full(shape, 1 / np.prod(shape))))
    assert (found.chi2, found.lower, found.upper) == (0, 0, 0)


def test_deterministic() -> None:
    one, other = contraction(ladder(), seed=3), contraction(ladder(), seed=3)
    assert isinstance(one, Contraction)
    assert one.lower == other.lower
    np.testing.assert_array_equal(one.px_v, other.px_v)


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="make it dense"):
        contraction(Joint(sp.csr_array(np.eye(2) / 2)))
    with pytest.raises(ValueError, match="no Joint"):
        contraction(np.eye(2) / 2)
    for starts in (0, 1.5, True):
        with pytest.raises(ValueError, match="starts"):
            contraction(ladder(), starts=starts)


def test_a_kept_divergence_is_what_the_package_says() -> None:
    """The plain sums of this file and ufs.kl_divergence agree."""
    joint, p = ladder(), np.full(8, 1 / 8)
    of_ufs = kl_divergence(p @ channel_of(joint), joint.py) / kl_divergence(p, joint.px)
    assert ratio(p, joint) == pytest.approx(of_ufs, rel=1e-12)
