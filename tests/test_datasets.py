"""Each table is the published one: its totals, its labels, and singular values known from elsewhere."""

import numpy as np
import pytest

from ufs import Joint, datasets, modes


@pytest.mark.parametrize(
    ("load", "shape", "total", "names"),
    [
        (datasets.hair_eye_color, (4, 4), 592, ("eyes", "hair")),
        (datasets.occupational_status, (8, 8), 3498, ("father", "son")),
        (datasets.letter_bigrams, (27, 27), 659_223, ("letter", "next letter")),
        (datasets.smoke, (5, 4), 193, ("staff", "smoking")),
    ],
)
def test_size_and_names(load, shape, total, names):
    table = load()
    assert table.shape == shape
    assert table.to_numpy().sum() == total
    assert (table.index.name, table.columns.name) == names


def test_singular_values_that_r_prints():
    smoke = modes(Joint.from_counts(datasets.smoke())).sigma
    np.testing.assert_allclose(smoke, [0.2734211145572992, 0.1000858656965546, 0.02033652083951985], rtol=1e-12)
    colours = modes(Joint.from_counts(datasets.hair_eye_color())).sigma
    np.testing.assert_allclose(colours, [0.456916460254126, 0.1490859301677244, 0.05097488817253516], rtol=1e-12)


def test_both_sexes_add_up():
    male, female = (datasets.hair_eye_color(sex) for sex in ("Male", "Female"))
    assert (male.to_numpy().sum(), female.to_numpy().sum()) == (279, 313)
    assert (male + female).equals(datasets.hair_eye_color())


def test_another_sex_is_refused():
    with pytest.raises(ValueError, match="'Male' and 'Female'"):
        datasets.hair_eye_color("male")


def test_a_letter_begins_as_often_as_it_ends():
    counts = datasets.letter_bigrams().to_numpy()
    assert np.abs(counts.sum(axis=0) - counts.sum(axis=1)).max() <= 1  # all but the first and the last of the text
    assert counts[26, 26] == 0  # runs of spaces count as one


def test_an_altered_file_is_refused(monkeypatch):
    monkeypatch.setitem(datasets.SHA256, "smoke.csv", "0" * 64)
    with pytest.raises(ValueError, match=r"smoke\.csv"):
        datasets.smoke()
