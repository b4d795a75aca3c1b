"""Figures show the numbers they are given, in the book's colours and on no background of their own."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgba

from ufs import Joint, datasets, modes, plot


@pytest.fixture
def ax():
    with mpl.rc_context(), plt.ioff():
        mpl.use("agg")
        plot.use_style()
        fig, ax = plt.subplots()
        yield ax
        plt.close(fig)


def texts(ax):
    return [text.get_text() for text in ax.texts]


def test_heatmap_names_rows_and_columns_and_writes_each_number(ax):
    plot.heatmap(ax, [[0.5, -0.25], [0.0, 1.0], [-1.0, 0.1]], ["a", "b", "c"], ["x", "y"])
    assert [t.get_text() for t in ax.get_yticklabels()] == ["a", "b", "c"]
    assert [t.get_text() for t in ax.get_xticklabels()] == ["x", "y"]
    assert texts(ax) == ["+0.50", "−0.25", "+0.00", "+1.00", "−1.00", "+0.10"]
    colours = ax.collections[0].to_rgba(ax.collections[0].get_array().ravel())
    np.testing.assert_allclose(colours[2], [1, 1, 1, 1], atol=0.01)  # zero is white, the extremes have the full colour
    np.testing.assert_allclose(colours[[3, 4]], [to_rgba(plot.X_SIDE), to_rgba(plot.Y_SIDE)], atol=0.01)


def test_mode_bars_are_the_features_in_order():
    joint = Joint.from_counts(datasets.hair_eye_color())
    m = modes(joint)
    fig, axes = plt.subplots(1, 2)
    plot.mode_bars(axes, joint, m, 1)
    for ax, features, labels in zip(axes, (m.f, m.g), (joint.x_labels, joint.y_labels), strict=True):
        order = np.argsort(features[:, 0])
        assert [bar.get_width() for bar in ax.patches] == pytest.approx(features[order, 0])
        assert [t.get_text() for t in ax.get_yticklabels()] == [labels[i] for i in order]
    plt.close(fig)


def test_points_carry_their_names(ax):
    plot.label_points(ax, [[0, 1], [2, 3]], ["one", "two"], plot.X_SIDE)
    assert texts(ax) == ["one", "two"]
    np.testing.assert_array_equal(ax.lines[0].get_xydata(), [[0, 1], [2, 3]])


def test_spectrum_draws_values_and_floor(ax):
    plot.spectrum(ax, [0.5, 0.2], "table", floor=0.1)
    np.testing.assert_array_equal(ax.lines[0].get_xydata(), [[1, 0.5], [2, 0.2]])
    assert set(ax.lines[1].get_ydata()) == {0.1}


def test_remainder_fits_the_law_it_names(ax):
    eps = np.geomspace(0.01, 1, 9)
    plot.remainder(ax, eps, {"D": -2 * eps**3}, {"D": 3.0})
    law, dots = ax.lines
    np.testing.assert_allclose(law.get_ydata(), 2 * eps**3)
    np.testing.assert_allclose(dots.get_ydata(), 2 * eps**3)
    assert texts(ax) == ["D: order 3.0"]


def test_no_background(ax):
    assert ax.figure.get_facecolor()[3] == 0
    assert ax.get_facecolor()[3] == 0


def test_what_would_be_shown_wrongly_is_refused(ax):
    joint = Joint.from_counts(datasets.smoke())
    for i in (0, 4):
        with pytest.raises(ValueError, match=f"i = {i}: the modes are numbered 1 to 3"):
            plot.mode_bars([ax, ax], joint, modes(joint), i)
    with pytest.raises(ValueError, match=r"shape \(2, 2\): 3 rows and 2 columns are named"):
        plot.heatmap(ax, np.eye(2), "abc", "xy")
    with pytest.raises(ValueError, match="6 remainders"):
        plot.remainder(ax, [0.1, 1.0], {name: [0.1, 1.0] for name in "abcdef"}, dict.fromkeys("abcdef", 1.0))
    with pytest.raises(ValueError, match=r"table has shape \(4, 4\), the modes are those of one of shape \(5, 4\)"):
        plot.mode_bars([ax, ax], Joint.from_counts(datasets.hair_eye_color()), modes(joint), 1)
    with pytest.raises(ValueError, match=r"shape \(2, 2\): for 3 names it must be \(3, 2\)"):
        plot.label_points(ax, np.eye(2), "abc", plot.X_SIDE)
    with pytest.raises(ValueError, match="no order is given for 'b'"):
        plot.remainder(ax, [0.1, 1.0], {name: [0.1, 1.0] for name in "ab"}, {"a": 1.0})
