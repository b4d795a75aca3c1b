"""Random attributes and the exponents of features averaged over them, against formulas derived another way."""

import numpy as np
import pytest
from scipy.linalg import helmert, null_space, subspace_angles
from scipy.stats import norm

import ufs
from ufs import attribute_exponents, averaged_exponent, captured, datasets, largest_eps, random_attribute, rotate

COUNTS = np.array([[68, 119, 26, 7], [20, 84, 17, 94], [15, 54, 14, 10], [5, 29, 14, 16], [9, 20, 31, 12]])
P0 = np.array([0.4, 0.3, 0.2, 0.1])


@pytest.fixture
def joint() -> ufs.Joint:
    return ufs.Joint.from_counts(COUNTS)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def plane_vectors(p0: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Vectors perpendicular to √p0, one in each row."""
    basis = null_space(np.sqrt(p0)[None, :])
    return rng.standard_normal((count, basis.shape[1])) @ basis.T


def white(h: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Features of mean zero with the same span, uncorrelated and of variance one under p."""
    h = h - p @ h
    return np.linalg.solve(np.linalg.cholesky((h * p[:, None]).T @ h), h.T).T


# ---- the ensemble (D8) -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_rotations_keep_lengths_angles_and_the_root(rng: np.random.Generator, count: int) -> None:
    phi = plane_vectors(P0, count, rng)
    turned = rotate(phi, P0, rng, draws=20)
    assert turned.shape == (20, count, 4)
    np.testing.assert_allclose(turned @ np.sqrt(P0), 0, atol=1e-13)
    np.testing.assert_allclose(
        turned @ np.swapaxes(turned, 1, 2), np.broadcast_to(phi @ phi.T, (20, count, count)), atol=1e-12
    )
    assert rotate(phi, P0, rng).shape == phi.shape
    assert rotate(phi[0], P0, rng).shape == (4,)
    assert np.ptp(turned[:, 0], axis=0).min() > 0.1


@pytest.mark.result("D8")
def test_rotations_are_uniform_on_the_hyperplane(rng: np.random.Generator) -> None:
    """Second and fourth moments of a uniform unit vector in R³, along a fixed direction and jointly for a pair."""
    phi = np.linalg.qr(plane_vectors(P0, 2, rng).T)[0].T
    turned = rotate(phi, P0, rng, draws=40_000)
    direction = null_space(np.sqrt(P0)[None, :])[:, 0]
    first, second = (turned @ direction).T
    error = 5 / np.sqrt(40_000)
    assert abs(first.mean()) < error
    np.testing.assert_allclose(np.mean(first**2), 1 / 3, atol=error)
    np.testing.assert_allclose(np.mean(first**4), 3 / 15, atol=error)
    np.testing.assert_allclose(np.mean(first**2 * second**2), 1 / 15, atol=error)
    np.testing.assert_allclose(
        turned[:, 0].T @ turned[:, 0] / 40_000, (np.eye(4) - np.sqrt(np.outer(P0, P0))) / 3, atol=error
    )


def test_two_symbols_leave_a_sign(rng: np.random.Generator) -> None:
    phi = np.array([np.sqrt(0.3), -np.sqrt(0.7)])
    signs = rotate(phi, [0.7, 0.3], rng, draws=1000) / phi
    np.testing.assert_allclose(np.abs(signs), 1)
    assert 400 < np.sum(signs[:, 0] > 0) < 600


@pytest.mark.result("D8")
@pytest.mark.parametrize("values", [2, 3, 4])
def test_attributes_are_simplices_around_the_marginal(rng: np.random.Generator, values: int) -> None:
    eps = largest_eps(P0)
    px_v = random_attribute(P0, eps, rng, values, draws=50)
    assert px_v.shape == (50, values, 4)
    assert px_v.min() >= 0
    np.testing.assert_allclose(px_v.sum(axis=2), 1)
    np.testing.assert_allclose(px_v.mean(axis=1), np.broadcast_to(P0, (50, 4)))
    phi = (px_v - P0) / (eps * np.sqrt(P0))
    gram = values / (values - 1) * np.eye(values) - 1 / (values - 1)
    np.testing.assert_allclose(phi @ np.swapaxes(phi, 1, 2), np.broadcast_to(gram, (50, values, values)), atol=1e-12)
    assert random_attribute(P0, eps, rng, values).shape == (values, 4)


@pytest.mark.result("D8")
def test_the_largest_eps_is_sharp(rng: np.random.Generator) -> None:
    limit = largest_eps(P0)
    phi = np.sqrt(P0[3]) * np.sqrt(P0) - np.eye(4)[3]
    phi /= np.linalg.norm(phi)
    assert (P0 + limit * np.sqrt(P0) * phi).min() == pytest.approx(0, abs=1e-15)
    assert (P0 + 1.001 * limit * np.sqrt(P0) * phi).min() < 0
    turned = rotate(phi, P0, rng, draws=20_000)
    assert (P0 + limit * np.sqrt(P0) * turned).min() >= 0


@pytest.mark.result("R4")
def test_attributes_travel_by_the_dtm(joint: ufs.Joint, rng: np.random.Generator) -> None:
    """V − X − Y: φ_v of Y is B̃ φ_v of X; and U − Y − X: φ_u of X is B̃ᵀ φ_u of Y (R4)."""
    B = ufs.dtm(joint)
    for table, move in ((joint, B), (ufs.Joint(joint.P.T), B.T)):
        px_v = random_attribute(table.px, 0.2, rng, values=3)
        py_v = px_v @ (table.P / table.px[:, None])
        phi_x, phi_y = ((p_v - p) / np.sqrt(p) for p_v, p in ((px_v, table.px), (py_v, table.py)))
        np.testing.assert_allclose(phi_y, phi_x @ move.T, atol=1e-14)


# ---- what features capture (R6) --------------------------------------------------------------------------------------


@pytest.mark.result("R6")
@pytest.mark.parametrize("k", [1, 2, 3])
def test_modes_capture_most(joint: ufs.Joint, rng: np.random.Generator, k: int) -> None:
    m = ufs.modes(joint)
    best = np.sum(m.sigma[:k] ** 2)
    assert captured(m.g[:, :k], joint) == pytest.approx(best, rel=1e-12)
    assert captured(m.f[:, :k], joint, of="X") == pytest.approx(best, rel=1e-12)
    others = [captured(rng.standard_normal((4, k)), joint) for _ in range(300)]
    assert max(others) <= best * (1 + 1e-12)
    others = [captured(rng.standard_normal((5, k)), joint, of="X") for _ in range(300)]
    assert max(others) <= best * (1 + 1e-12)


def turned(joint: ufs.Joint, k: int, angle: float) -> np.ndarray:
    """The first k modes of Y, the last of them turned by the angle towards the next."""
    g = ufs.modes(joint, k + 1).g
    return np.column_stack([g[:, : k - 1], np.cos(angle) * g[:, k - 1] + np.sin(angle) * g[:, k]])


@pytest.mark.result("R6")
@pytest.mark.parametrize("k", [1, 2])
def test_whoever_leaves_the_modes_pays_for_the_gap(joint: ufs.Joint, rng: np.random.Generator, k: int) -> None:
    """Any features lose (σ_k² - σ_k+1²) Σ sin² θ_i at least, and some no more: with a gap, no other maximum is left."""
    m = ufs.modes(joint)
    best, gap = np.sum(m.sigma[:k] ** 2), m.sigma[k - 1] ** 2 - m.sigma[k] ** 2
    root = np.sqrt(joint.py)[:, None]

    def prices(sets: list[np.ndarray]) -> np.ndarray:
        sines = [np.sin(subspace_angles(root * (h - joint.py @ h), root * m.g[:, :k])) for h in sets]
        return np.array([(best - captured(h, joint)) / np.sum(s**2) for h, s in zip(sets, sines, strict=True)])

    anyhow = prices([rng.standard_normal((4, k)) for _ in range(300)])
    least = prices([turned(joint, k, angle) for angle in (0.1, 0.7, 1.5)])
    assert np.all(anyhow >= gap * (1 - 1e-9))
    np.testing.assert_allclose(least, gap, rtol=1e-9)  # so that 1.1 times the gap would be refuted


@pytest.mark.result("R6")
def test_a_tie_leaves_a_circle_of_maximisers() -> None:
    features = 2 * helmert(4)[[2, 0, 1]]
    tied = ufs.Joint((1 + features.T * [0.5, 0.25, 0.25] @ features) / 16)
    loss = [np.sum(ufs.modes(tied, 2).sigma ** 2) - captured(turned(tied, 2, angle), tied) for angle in (0.3, 0.8, 1.5)]
    np.testing.assert_allclose(loss, 0, atol=1e-14)
    parted = ufs.Joint((1 + features.T * [0.5, 0.25, 0.2] @ features) / 16)
    assert np.sum(ufs.modes(parted, 2).sigma ** 2) - captured(turned(parted, 2, 0.8), parted) > 0.01


def test_captured_is_the_squared_norm_of_conditional_means(joint: ufs.Joint, rng: np.random.Generator) -> None:
    """With E h = 0 and E h hᵀ = I: ‖ΞᵀB̃‖² = Σ_x P_X(x) ‖E[h(Y) | X = x]‖²."""
    h = white(rng.standard_normal((4, 2)), joint.py)
    means = joint.P @ h / joint.px[:, None]
    assert captured(h, joint) == pytest.approx(joint.px @ np.sum(means**2, axis=1), rel=1e-12)


def test_only_the_span_counts(joint: ufs.Joint, rng: np.random.Generator) -> None:
    h = rng.standard_normal((4, 2))
    value = captured(h, joint)
    affine = h @ np.array([[1e-6, 3.0], [2e-6, -1e5]]) + [7, -1e3]
    assert captured(affine, joint) == pytest.approx(value, rel=1e-8)
    assert captured(np.column_stack([h, h[:, 0] - h[:, 1], np.ones(4)]), joint) == pytest.approx(value, rel=1e-10)
    assert captured(np.full(4, 0.1), joint) == 0
    assert captured(np.eye(4), joint) == pytest.approx(np.sum(ufs.dtm(joint) ** 2), rel=1e-12)


def test_a_sparse_table_gives_the_same(joint: ufs.Joint) -> None:
    from scipy.sparse import csr_array

    sparse = ufs.Joint(csr_array(joint.P))
    for of, size in (("Y", 4), ("X", 5)):
        h = np.arange(size) ** 2.0
        assert captured(h, sparse, of=of) == pytest.approx(captured(h, joint, of=of), rel=1e-12)


# ---- averaged exponents (R6) -----------------------------------------------------------------------------------------


@pytest.mark.result("R6")
@pytest.mark.parametrize("of", ["Y", "X"])
def test_the_average_is_that_of_a_simulation(joint: ufs.Joint, rng: np.random.Generator, of: str) -> None:
    """Local exponents of 40,000 random attributes, and the constant 1 / (|𝒳| - 1) or 1 / (|𝒴| - 1) of their mean."""
    table = joint if of == "Y" else ufs.Joint(joint.P.T)
    h = white(rng.standard_normal((len(table.py), 2)), table.py)
    px_v = random_attribute(table.px, 0.1, rng, values=3, draws=40_000)
    moved = (px_v[:, 0] - px_v[:, 1]) @ (table.P / table.px[:, None]) @ h  # E[h | V = v] - E[h | V = v']
    local = np.sum(moved**2, axis=1) / 8
    expected = averaged_exponent(h, joint, spread=3, eps=0.1, of=of)
    assert abs(local.mean() - expected) < 5 * local.std() / np.sqrt(40_000)
    for false in (0.9, 1.1, 3 / 4 if of == "Y" else 4 / 3):  # and the divisor of the other side
        assert abs(local.mean() - false * expected) > 5 * local.std() / np.sqrt(40_000)


@pytest.mark.result("R6")
def test_both_sides_have_their_maximum_at_the_modes(rng: np.random.Generator) -> None:
    """thm-two-sided, exact exponents both ways, on a table that is not square; each side with its own divisor."""
    cells = np.random.default_rng(1).random((8, 6))
    joint, swapped = ufs.Joint(cells / cells.sum()), ufs.Joint(cells.T / cells.sum())
    m = ufs.modes(joint)
    delta = 0.05 * m.sigma[0] / np.sqrt(min(joint.px.min(), joint.py.min()))
    for table, of, best, size in ((joint, "Y", m.g[:, :2], 6), (swapped, "X", m.f[:, :2], 8)):
        px_v = random_attribute(table.px, 0.05, rng, draws=200)
        for h in (best, white(rng.standard_normal((size, 2)), table.py)):
            moved = (px_v[:, 0] - px_v[:, 1]) @ (table.P / table.px[:, None]) @ h
            local = np.sum(moved**2, axis=1) / 8
            exact = attribute_exponents(h, table, px_v)
            assert abs(exact.mean() / local.mean() - 1) <= delta / (1 - delta)
            expected = averaged_exponent(h, joint, 4, 0.05, of=of)
            assert abs(exact.mean() - expected) < 5 * exact.std() / np.sqrt(200)
        top = averaged_exponent(best, joint, 4, 0.05, of=of)
        others = [averaged_exponent(rng.standard_normal((size, 2)), joint, 4, 0.05, of=of) for _ in range(300)]
        assert max(others) < top * (1 + 1e-12)
        divisor = 0.05**2 / 8 * 4 * np.sum(m.sigma[:2] ** 2) / top
        assert divisor == pytest.approx(len(table.px) - 1, rel=1e-12)


@pytest.mark.result("R6")
def test_exact_exponents_approach_the_average(joint: ufs.Joint, rng: np.random.Generator) -> None:
    """Of each attribute the exact exponent differs by order 3; with its mirror image, and so on average, by order 4."""
    g = ufs.modes(joint).g[:, :2]
    phi = (random_attribute(joint.px, 0.2, rng, values=3, draws=8) - joint.px) / 0.2
    to_mean = (joint.P / joint.px[:, None]) @ g
    eps = np.geomspace(0.03, 0.2, 5)
    local = np.array([np.sum(((phi[:, 0] - phi[:, 1]) @ to_mean) ** 2, axis=1) for _ in eps]) * eps[:, None] ** 2 / 8
    plus, minus = (np.array([attribute_exponents(g, joint, joint.px + s * e * phi) for e in eps]) for s in (1, -1))
    assert np.median([ufs.remainder_order(r, eps) for r in (plus - local).T]) == pytest.approx(3, abs=0.2)
    assert ufs.remainder_order(((plus + minus) / 2 - local).mean(axis=1), eps) == pytest.approx(4, abs=0.2)


@pytest.mark.result("R6")
def test_the_exponent_stays_within_its_bound(joint: ufs.Joint, rng: np.random.Generator) -> None:
    """|E_h - local| ≤ δ/(1 - δ) · local, δ = ε σ₁ / √min P_Y: uniform in the features and in the attributes."""
    sigma = ufs.modes(joint).sigma[0]
    eps = 0.125 * np.sqrt(joint.py.min()) / sigma
    assert eps <= largest_eps(joint.px)
    for k in (1, 2, 3):
        h = white(rng.standard_normal((4, k)), joint.py)
        px_v = random_attribute(joint.px, eps, rng, values=3, draws=20)
        moved = (px_v[:, 0] - px_v[:, 1]) @ (joint.P / joint.px[:, None]) @ h
        local = np.sum(moved**2, axis=1) / 8
        exact = attribute_exponents(h, joint, px_v)
        assert np.all(np.abs(exact - local) <= 1 / 7 * local)  # δ = 1/8
        assert np.max(np.abs(exact / local - 1)) > 1e-4


@pytest.mark.result("R6")
@pytest.mark.parametrize(("delta", "sign"), [(0.125, 1), (0.3, 1), (0.3, -1)])
def test_the_bound_is_nearly_attained_by_a_rare_symbol(delta: float, sign: int) -> None:
    """X = Y, and both values make one rare symbol rarer (or commoner): nine tenths of the bound would be refuted."""
    p = np.array([0.98, 0.02])
    tilt = sign * delta * np.sqrt(p[1]) * np.sqrt(p[0] * p[1])
    px_v = p + tilt * np.array([[[1, -1], [0.99, -0.99]]])
    h = np.array([-1, 1]) * np.sqrt(p[::-1] / p)
    local = ((px_v[:, 0] - px_v[:, 1]) @ h) ** 2 / 8
    off = abs(attribute_exponents(h, ufs.Joint(np.diag(p)), px_v) / local - 1)[0]
    bound = delta / (1 - delta) if sign == 1 else 1 - 1 / (1 + delta)
    assert 0.9 * bound < off < bound


# ---- one attribute among many, and the samples it takes --------------------------------------------------------------


def seen_by_features(tau: np.ndarray, nu: int, draws: int, rng: np.random.Generator) -> np.ndarray:
    """‖ΞᵀB̃Φ‖² for uniform unit vectors Φ of ν dimensions, where ΞᵀB̃ has the singular values τ."""
    phi = rng.standard_normal((draws, nu))
    phi /= np.linalg.norm(phi, axis=1, keepdims=True)
    return np.asarray(phi[:, : tau.size] ** 2 @ tau**2)


@pytest.mark.parametrize(("tau", "nu"), [([0.6, 0.6, 0.6, 0.6, 0.6], 8), ([0.53, 0.27, 0.17, 0.1, 0.08], 7)])
def test_moments_of_the_exponent_of_one_attribute(tau: list[float], nu: int, rng: np.random.Generator) -> None:
    square = np.array(tau) ** 2
    Z = seen_by_features(np.array(tau), nu, 400_000, rng)
    mean, inverse = square.sum() / nu, np.mean(1 / Z)
    variance = 2 / (nu * (nu + 2)) * (np.sum(square**2) - square.sum() ** 2 / nu)
    assert Z.mean() == pytest.approx(mean, rel=0.01)
    assert Z.var() == pytest.approx(variance, rel=0.02)
    low, high = ((nu - 2) / (square.size - 2) / s for s in (square[0], square[-1]))
    assert 0.99 * low < inverse < 1.01 * high
    if tau[0] == tau[-1]:  # where the bounds are one, nine tenths of the upper and 1.1 of the lower fail
        assert 0.9 * high < inverse < 1.1 * low


@pytest.mark.parametrize("k", [1, 2, 3])
def test_unlucky_attributes_are_as_common_as_a_power(k: int, rng: np.random.Generator) -> None:
    """P(Z ≤ z) ∝ z^(k/2): whence an infinite mean of 1/Z for k = 1 and 2, and a finite one for 3."""
    Z = seen_by_features(np.full(k, 0.6), 8, 1_000_000, rng)
    levels = np.geomspace(1e-3, 2e-2, 12)
    assert ufs.remainder_order(levels, np.quantile(Z, levels)) == pytest.approx(k / 2, rel=0.06)


def test_samples_follow_the_normal_law() -> None:
    """With q_α² / 2E men the error is α; a tenth fewer are too few, and log(1/α)/E men are too many."""
    counts = datasets.occupational_status()
    ladder = ufs.Joint.from_counts(counts)
    h, alpha = ufs.modes(ladder).g[:, :2], 0.01
    asked = random_attribute(ladder.px, 0.1, 3)
    p, q = asked @ (ladder.P / ladder.px[:, None])
    exponent = attribute_exponents(h, ladder, asked[None])[0]
    n = norm.isf(alpha) ** 2 / 2 / exponent
    sizes = np.rint([n, 0.9 * n, 1.1 * n, np.log(1 / alpha) / exponent]).astype(int)
    error = ufs.simulate_error(h, p, q, sizes, 200_000).error / alpha
    assert error[0] == pytest.approx(1, abs=0.1)
    assert error[1] > 1.2
    assert error[2] < 0.85
    assert error[3] < 0.2


# ---- linear algebra (appendix) ---------------------------------------------------------------------------------------


def test_the_maximum_principle_is_attained_and_unique_with_a_gap(rng: np.random.Generator) -> None:
    A = rng.standard_normal((6, 4))
    left, sigma, right = np.linalg.svd(A, full_matrices=False)
    for k in (1, 2, 3):
        frames = [(np.linalg.qr(rng.standard_normal((6, k)))[0], np.linalg.qr(rng.standard_normal((4, k)))[0])]
        frames += [(left[:, :k], right[:k].T)]
        traces = [np.trace(p.T @ A @ q) for p, q in frames]
        assert traces[0] < traces[1] * (1 - 1e-6)
        assert traces[1] == pytest.approx(sigma[:k].sum(), rel=1e-12)


def test_the_trace_inequality_and_weyl_are_attained(rng: np.random.Generator) -> None:
    A, C = rng.standard_normal((2, 6, 4))
    left, sigma, right = np.linalg.svd(A, full_matrices=False)
    tau = np.linalg.svd(C, compute_uv=False)
    aligned = left * tau @ right
    assert np.trace(A.T @ C) < sigma @ tau
    assert np.trace(A.T @ aligned) == pytest.approx(sigma @ tau, rel=1e-12)
    assert np.linalg.norm(A - aligned) == pytest.approx(np.linalg.norm(sigma - tau), rel=1e-12)
    for k in (1, 2, 3):
        truncated = left[:, :k] * sigma[:k] @ right[:k]
        assert np.linalg.norm(A - truncated) ** 2 == pytest.approx(np.sum(sigma[k:] ** 2), rel=1e-12)
        others = [rng.standard_normal((6, k)) @ rng.standard_normal((k, 4)) for _ in range(50)]
        fitted = [X @ np.linalg.lstsq(X, A, rcond=None)[0] for X in others]  # the best with that column space
        assert min(np.linalg.norm(A - F) for F in fitted) > np.linalg.norm(A - truncated) * (1 - 1e-12)
    lifted = A + 0.3 * np.outer(left[:, 0], right[0])
    moved = np.linalg.svd(lifted, compute_uv=False) - sigma
    assert moved[0] == pytest.approx(0.3, rel=1e-12)
    assert np.all(np.abs(np.linalg.svd(A + C, compute_uv=False) - sigma) <= tau[0])


# ---- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("p0", "message"),
    [
        ([0.5, 0.5, 0.5], r"sums to 1\.5, not 1"),
        ([1.0, 0.0], r"p0\[1\] = 0\.0 is not positive"),
        ([1.5, -0.5], r"p0\[1\] = -0\.5 is no probability"),
        ([0.5, float("nan")], r"p0\[1\] = nan is no probability"),
        ([1.0], "at least two symbols"),
        ([[0.5, 0.5]], r"shape \(1, 2\)"),
    ],
)
def test_no_distribution_is_refused(p0: list[float], message: str, rng: np.random.Generator) -> None:
    for call in (
        lambda: largest_eps(p0),
        lambda: random_attribute(p0, 0.1, rng),
        lambda: rotate(np.zeros(len(p0)), p0, rng),
    ):
        with pytest.raises(ValueError, match=message):
            call()


def test_bad_vectors_and_numbers_are_refused(joint: ufs.Joint, rng: np.random.Generator) -> None:
    with pytest.raises(ValueError, match=r"inner product 1 with the root of p0"):
        rotate(np.sqrt(P0), P0, rng)
    with pytest.raises(ValueError, match=r"shape \(3,\): give vectors of length 4"):
        rotate([1, 0, -1], P0, rng)
    with pytest.raises(ValueError, match=r"phi\[2\] = nan is not finite"):
        rotate([0, 0, np.nan, 0], P0, rng)
    for eps in (0, -0.1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match=rf"eps = {eps}: it must be a positive number"):
            random_attribute(P0, eps, rng)
    with pytest.raises(ValueError, match=r"eps = 0\.34: beyond 0\.333333 .*p0\[3\] = 0\.1 sets the limit"):
        random_attribute(P0, 0.34, rng)
    for values in (1, 5, 2.5):
        with pytest.raises(ValueError, match="room for a simplex of 2 to 4 vectors"):
            random_attribute(P0, 0.1, rng, values=values)
    for h in ([1, 2, 3], np.ones((5, 2)), np.ones((4, 1, 1))):
        with pytest.raises(ValueError, match=r"h has shape .*: it needs one row for each of the 4 symbols of Y"):
            captured(h, joint)
    with pytest.raises(ValueError, match=r"h\[3\] = inf is not finite"):
        captured([1, 2, 3, float("inf")], joint)
    with pytest.raises(ValueError, match="5 symbols of X"):
        captured(np.ones(4), joint, of="X")
    with pytest.raises(ValueError, match="of = 'Z'"):
        captured(np.ones(4), joint, of="Z")
    with pytest.raises(ValueError, match="of = 'Z'"):
        averaged_exponent(np.ones(4), joint, 4, 0.1, of="Z")
    for spread in (-1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match=rf"spread = {spread}: .* finite and at least 0"):
            averaged_exponent(np.ones(4), joint, spread, 0.1)
    for eps in (0, float("inf")):
        with pytest.raises(ValueError, match=rf"eps = {eps}: it must be a positive number"):
            averaged_exponent(np.ones(4), joint, 4, eps)
    for shape in ((2, 5), (3, 1, 5), (3, 2, 4)):
        with pytest.raises(ValueError, match=r"must be \(draws, values, 5\)"):
            attribute_exponents(np.ones(4), joint, np.ones(shape))


def test_no_attribute_of_a_constant() -> None:
    constant_x, constant_y = ufs.Joint([[0.5, 0.5]]), ufs.Joint([[0.5], [0.5]])
    with pytest.raises(ValueError, match="X has a single symbol"):
        averaged_exponent([1.0, -1.0], constant_x, spread=4, eps=0.1)
    with pytest.raises(ValueError, match="Y has a single symbol"):
        averaged_exponent([1.0, -1.0], constant_y, spread=4, eps=0.1, of="X")
    assert averaged_exponent([1.0], constant_x, spread=4, eps=0.1, of="X") == 0  # X tells nothing of Y


def test_a_seed_stands_for_its_generator() -> None:
    phi = plane_vectors(P0, 1, np.random.default_rng(0))
    np.testing.assert_array_equal(rotate(phi, P0, 3), rotate(phi, P0, np.random.default_rng(3)))
    attributes = [random_attribute(P0, 0.1, seed, draws=2) for seed in (3, np.random.default_rng(3))]
    np.testing.assert_array_equal(*attributes)


def test_a_number_of_values_is_an_integer() -> None:
    with pytest.raises(ValueError, match=r"values = 2\.0"):
        random_attribute([0.5, 0.5], 0.1, np.random.default_rng(0), values=2.0)
