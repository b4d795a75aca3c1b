"""Correspondence analysis: the numbers that R's package ca prints, and what the shares promise."""

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.stats import chi2_contingency

from ufs import Correspondence, Joint, correspondence, datasets, modes

# summary(ca(smoke)) as O. Nenadic and M. Greenacre print it (J. Stat. Softw. 20(3), 2007): thousandths of mass, and of
# coordinate, squared correlation and contribution on axes 1 and 2
ROWS = """ 57  -66  92   3 -194 800 214
           93  259 526  84 -243 465 551
          264 -381 999 512  -11   1   3
          456  233 942 331   58  58 152
          130 -201 865  70   79 133  81"""
COLUMNS = """316 -393 994 654  -30   6  29
             233   99 327  31  141 657 463
             321  196 982 166    7   1   2
             130  294 684 150 -198 310 506"""
SINGULAR_VALUES = [0.2734211145572992, 0.1000858656965546, 0.02033652083951985]


def smoke() -> Joint:
    return Joint.from_counts(datasets.smoke())


def table(text: str) -> np.ndarray:
    return np.array([line.split() for line in text.splitlines()], dtype=float) / 1000


@pytest.mark.result("R5")
def test_the_numbers_of_ca() -> None:
    joint = smoke()
    found = correspondence(joint)
    assert isinstance(found, Correspondence)
    np.testing.assert_allclose(np.sqrt(found.inertia), SINGULAR_VALUES, rtol=1e-12)
    assert found.total == pytest.approx(0.085190, abs=5e-7)
    np.testing.assert_allclose(found.share, [0.878, 0.118, 0.005], atol=5e-4)
    sides = (
        (ROWS, joint.px, found.x, found.x_cos2, found.x_contribution),
        (COLUMNS, joint.py, found.y, found.y_cos2, found.y_contribution),
    )
    for text, mass, place, cos2, contribution in sides:
        printed = table(text)
        np.testing.assert_allclose(printed[:, 0], mass, atol=5.1e-4)
        for axis in (0, 1):
            coordinate = printed[:, 1 + 3 * axis]
            sign = np.sign(place[:, axis] @ coordinate)
            np.testing.assert_allclose(sign * place[:, axis], coordinate, atol=1e-3)
            np.testing.assert_allclose(cos2[:, axis], printed[:, 2 + 3 * axis], atol=1e-3)
            np.testing.assert_allclose(contribution[:, axis], printed[:, 3 + 3 * axis], atol=1e-3)


def test_both_axes_have_one_sign_on_both_sides() -> None:
    """Signs of an axis in ca are ours or all reversed, for rows and columns together."""
    found = correspondence(smoke())
    for axis in (0, 1):
        rows, columns = (
            np.sign(place[:, axis] @ table(text)[:, 1 + 3 * axis])
            for place, text in ((found.x, ROWS), (found.y, COLUMNS))
        )
        assert rows == columns


@pytest.mark.parametrize("shape", [(4, 6), (6, 4), (5, 5)])
def test_shares_add_up(shape) -> None:
    counts = np.random.default_rng(0).integers(1, 40, shape)
    found = correspondence(Joint.from_counts(counts))
    chi2 = chi2_contingency(counts, correction=False).statistic
    assert found.total == pytest.approx(chi2 / counts.sum(), rel=1e-12)
    assert found.share.sum() == pytest.approx(1)
    for cos2, contribution in ((found.x_cos2, found.x_contribution), (found.y_cos2, found.y_contribution)):
        np.testing.assert_allclose(contribution.sum(axis=0), 1)
        np.testing.assert_allclose(cos2.sum(axis=1), 1)
    few = correspondence(Joint.from_counts(counts), 2)
    assert few.total == pytest.approx(found.total, rel=1e-12)
    for whole, part in zip(vars(found).values(), vars(few).values(), strict=True):
        if np.ndim(whole):
            np.testing.assert_allclose(part, whole[..., :2], atol=1e-10)


@pytest.mark.result("R5")
def test_distances_are_those_of_profiles() -> None:
    """On both sides, by the definition; the first two axes fall short of it, and coordinates of half the length too."""
    joint = Joint.from_counts(datasets.occupational_status())
    found = correspondence(joint)
    for P, mass, other, place in ((joint.P, joint.px, joint.py, found.x), (joint.P.T, joint.py, joint.px, found.y)):
        for a in range(8):
            for b in range(a):
                squared = sum((P[a] / mass[a] - P[b] / mass[b]) ** 2 / other)
                assert sum((place[a] - place[b]) ** 2) == pytest.approx(squared, rel=1e-9)
                assert sum((place[a, :2] - place[b, :2]) ** 2) < squared
                assert sum((0.9 * place[a] - 0.9 * place[b]) ** 2) < 0.9 * squared


def test_a_row_of_the_table_lies_where_its_supplementary_row_would() -> None:
    """Profiles averaged over the g_i: for the table's rows, and for parts that add up to one of them."""
    joint = Joint.from_counts(datasets.hair_eye_color())
    found, g = correspondence(joint), modes(joint).g
    places, sizes = [], []
    for sex in ("Male", "Female"):
        counts = datasets.hair_eye_color(sex).to_numpy().astype(float)
        sizes.append(counts.sum(axis=1))
        places.append(counts / sizes[-1][:, None] @ g)
    together = (sizes[0][:, None] * places[0] + sizes[1][:, None] * places[1]) / (sizes[0] + sizes[1])[:, None]
    np.testing.assert_allclose(together, found.x, atol=1e-12)
    np.testing.assert_allclose(joint.P / joint.px[:, None] @ g, found.x, atol=1e-12)
    assert places[1][1, 0] - places[0][1, 0] > 0.5  # blue-eyed women and men


def test_sparse_tables_have_the_same_numbers() -> None:
    joint = smoke()
    dense, sparse = correspondence(joint), correspondence(Joint(sp.csr_array(joint.P)))
    for one, other in zip(vars(dense).values(), vars(sparse).values(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-12)


@pytest.mark.parametrize("kind", [np.asarray, sp.csr_array])
def test_at_the_centre_nothing_is_divided_by_nothing(kind) -> None:
    found = correspondence(Joint(kind(np.outer([0.5, 0.3, 0.2], [0.6, 0.4]))))
    assert found.total == pytest.approx(0, abs=1e-14)
    assert np.all(found.x_cos2 == 0)
    assert np.all(found.y_cos2 == 0)
    middle = Joint(kind(np.array([[0.2, 0.1], [0.1, 0.2], [0.2, 0.2]])))  # the third row is the average
    np.testing.assert_allclose(correspondence(middle).x_cos2[:, 0], [1, 1, 0])


def test_weak_dependence_keeps_its_shares() -> None:
    joint = Joint.from_counts(datasets.hair_eye_color())
    strong, weak = correspondence(joint), correspondence(joint.faded(1e-6))
    np.testing.assert_allclose(weak.x_cos2, strong.x_cos2, atol=1e-6)
    np.testing.assert_allclose(weak.share, strong.share, atol=1e-6)


def test_an_isolated_cell_makes_the_first_axis() -> None:
    """However light it is, and whatever else stands in the table."""
    counts = np.pad(datasets.hair_eye_color().to_numpy(), ((0, 1), (0, 1)))
    counts[-1, -1] = 1
    found = correspondence(Joint.from_counts(counts))
    assert found.inertia[0] == pytest.approx(1)
    assert found.x_contribution[-1, 0] == pytest.approx(1 - 1 / 593)
    np.testing.assert_allclose(np.sqrt(found.inertia[1:]), modes(Joint.from_counts(counts[:-1, :-1])).sigma, rtol=1e-12)


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="no Joint"):
        correspondence(np.eye(2) / 2)
    with pytest.raises(ValueError, match="k = 4"):
        correspondence(smoke(), 4)
