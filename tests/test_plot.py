"""Figures show the numbers they are given, in the book's colours and on no background of their own."""

import os
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgba

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


def cell_colours(ax):
    return ax.collections[0].to_rgba(ax.collections[0].get_array().ravel())


def test_heatmap_names_rows_and_columns_and_writes_each_number(ax):
    plot.heatmap(ax, [[0.5, -0.25], [0.0, 1.0], [-1.0, 0.1]], ["a", "b", "c"], ["x", "y"])
    assert [t.get_text() for t in ax.get_yticklabels()] == ["a", "b", "c"]
    assert [t.get_text() for t in ax.get_xticklabels()] == ["x", "y"]
    assert texts(ax) == ["+0.50", "−0.25", "+0.00", "+1.00", "−1.00", "+0.10"]
    colours = cell_colours(ax)
    np.testing.assert_allclose(colours[2], [1, 1, 1, 1], atol=0.01)  # zero is white, the extremes have the full colour
    np.testing.assert_allclose(colours[[3, 4]], [to_rgba(plot.X_SIDE), to_rgba(plot.Y_SIDE)], atol=0.01)


def test_heatmap_colours_are_symmetric_about_zero(ax):
    plot.heatmap(ax, [[0.5, -1.0]], ["a"], ["x", "y"])
    half = plot.DIVERGING(0.75)
    np.testing.assert_allclose(cell_colours(ax), [half, to_rgba(plot.Y_SIDE)], atol=0.01)


def test_heatmap_cells_lie_around_their_numbers_with_the_first_row_on_top(ax):
    plot.heatmap(ax, np.arange(6).reshape(3, 2), ["a", "b", "c"], ["x", "y"])
    corners = ax.collections[0].get_coordinates()
    middles = (corners[:-1, :-1] + corners[1:, 1:]) / 2
    np.testing.assert_allclose(middles.reshape(-1, 2), [text.get_position() for text in ax.texts])
    np.testing.assert_allclose(corners[1:, 1:] - corners[:-1, :-1], 1)
    assert list(ax.get_xticks()) == [0, 1]
    assert list(ax.get_yticks()) == [0, 1, 2]
    assert ax.yaxis_inverted()
    assert not ax.xaxis_inverted()


@pytest.mark.parametrize("size", [0, 1e-17, 0.0049])
def test_heatmap_is_white_where_all_is_written_as_zero(ax, size):
    plot.heatmap(ax, [[size, -size]], ["a"], ["x", "y"])
    assert texts(ax) == ["+0.00", "+0.00"]
    np.testing.assert_allclose(cell_colours(ax), np.ones((2, 4)), atol=0.01)


def test_heatmap_has_full_colours_as_soon_as_a_number_is_seen(ax):
    plot.heatmap(ax, [[0.0051, -0.0051]], ["a"], ["x", "y"])
    assert texts(ax) == ["+0.01", "−0.01"]
    np.testing.assert_allclose(cell_colours(ax), [to_rgba(plot.X_SIDE), to_rgba(plot.Y_SIDE)], atol=0.01)


@pytest.mark.parametrize("i", [1, 2, np.int64(3)])
def test_mode_bars_are_the_features_in_order(i):
    joint = Joint.from_counts(datasets.hair_eye_color())
    m = modes(joint)
    fig, axes = plt.subplots(1, 2)
    plot.mode_bars(axes, joint, m, i)
    sides = [(m.f, joint.x_labels, plot.X_SIDE), (m.g, joint.y_labels, plot.Y_SIDE)]
    for ax, (features, labels, colour) in zip(axes, sides, strict=True):
        order = np.argsort(features[:, i - 1])
        assert [bar.get_width() for bar in ax.patches] == pytest.approx(features[order, i - 1])
        assert [t.get_text() for t in ax.get_yticklabels()] == [labels[j] for j in order]
        assert {to_hex(bar.get_facecolor()) for bar in ax.patches} == {colour}
    assert [ax.get_title() for ax in axes] == [f"$f_{{{i}}}$ of eyes", f"$g_{{{i}}}$ of hair"]
    plt.close(fig)


def test_points_carry_their_names(ax):
    plot.label_points(ax, [[0, 1], [2, 3]], ["one", "two"], plot.X_SIDE)
    assert texts(ax) == ["one", "two"]
    np.testing.assert_array_equal(ax.lines[0].get_xydata(), [[0, 1], [2, 3]])


def test_spectrum_draws_values_and_floor(ax):
    plot.spectrum(ax, [0.5, 0.2], "table", floor=0.1)
    np.testing.assert_array_equal(ax.lines[0].get_xydata(), [[1, 0.5], [2, 0.2]])
    assert set(ax.lines[1].get_ydata()) == {0.1}
    np.testing.assert_allclose(ax.collections[0].get_segments(), [[[1, 0], [1, 0.5]], [[2, 0], [2, 0.2]]])
    assert ax.get_title(loc="left") == "table"


def test_remainder_fits_the_law_it_names(ax):
    eps = np.geomspace(0.01, 1, 9)
    plot.remainder(ax, eps, {"D": -2 * eps**3}, {"D": 3.0})
    law, dots = ax.lines
    np.testing.assert_allclose(law.get_ydata(), 2 * eps**3)
    np.testing.assert_allclose(dots.get_ydata(), 2 * eps**3)
    assert texts(ax) == ["D: order 3.0"]


@pytest.mark.parametrize("backwards", [False, True])
def test_remainders_are_named_at_the_smallest_eps_in_any_order(ax, backwards):
    eps = np.geomspace(0.01, 1, 9)[:: -1 if backwards else 1]
    plot.remainder(ax, eps, {"D": eps**3, "E": -3 * eps**2}, {"D": 3.0, "E": 2.0})
    np.testing.assert_allclose([text.xy for text in ax.texts], [[0.01, 1e-6], [0.01, 3e-4]])
    left, right = ax.get_xlim()
    assert 0 < left < 0.01 < 1 < right  # room for the names on the left
    np.testing.assert_allclose(ax.lines[1].get_xydata(), np.c_[np.sort(eps), np.sort(eps) ** 3])


@pytest.mark.parametrize(
    ("eps", "values", "message"),
    [
        ([0.1, 1.0], [0.1, 0.0], r"remainders\['D'\]\[1\] = 0\.0 has no place on a logarithmic axis"),
        ([0.1, 1.0], [np.nan, 1.0], r"remainders\['D'\]\[0\] = nan is not finite"),
        ([0.1, 1.0], [0.1, np.inf], r"remainders\['D'\]\[1\] = inf is not finite"),
        ([0.0, 1.0], [0.1, 1.0], r"eps\[0\] = 0\.0 is no ε: it must be positive"),
        ([0.1, np.nan], [0.1, 1.0], r"eps\[1\] = nan is not finite"),
        ([0.1, 1.0], [0.1], r"eps has shape \(2,\) and remainders\['D'\] \(1,\)"),
        ([], [], "eps is empty"),
    ],
)
def test_what_has_no_logarithm_is_refused(ax, eps, values, message):
    with pytest.raises(ValueError, match=message):
        plot.remainder(ax, eps, {"D": values}, {"D": 1.0})
    assert not ax.lines


def test_a_notebook_gets_the_same_svg_in_every_run_and_a_png_beside_it(tmp_path: Path):
    code = """if True:
        import matplotlib.pyplot as plt
        from IPython.core.interactiveshell import InteractiveShell
        from ufs import plot
        shell = InteractiveShell.instance()
        plot.use_style()
        fig, ax = plt.subplots()
        plot.spectrum(ax, [0.5, 0.2], "table", floor=0.1)
        data = [shell.display_formatter.format(fig)[0] for _ in range(2)]
        assert {"image/svg+xml", "image/png"} <= set(data[0]), set(data[0])
        svg = data[0]["image/svg+xml"]
        assert "clip-path" in svg  # its id is random unless it is salted
        assert svg == data[1]["image/svg+xml"]
        assert "<dc:date>" not in svg
    """
    environment = os.environ | {"IPYTHONDIR": str(tmp_path), "MPLBACKEND": "module://matplotlib_inline.backend_inline"}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert run.returncode == 0, run.stderr


def test_no_background(ax):
    assert ax.figure.get_facecolor()[3] == 0
    assert ax.get_facecolor()[3] == 0


def test_what_would_be_shown_wrongly_is_refused(ax):
    joint = Joint.from_counts(datasets.smoke())
    for i in (0, 4, 1.0, True, "1", None):
        with pytest.raises(ValueError, match=f"i = {i!r}: the modes are numbered 1 to 3"):
            plot.mode_bars([ax, ax], joint, modes(joint), i)
    with pytest.raises(ValueError, match=r"shape \(2, 2\): 3 rows and 2 columns are named"):
        plot.heatmap(ax, np.eye(2), "abc", "xy")
    with pytest.raises(ValueError, match=r"matrix\[0, 1\] = nan is not finite"):
        plot.heatmap(ax, [[1.0, np.nan], [0.5, 1.0]], "ab", "xy")
    with pytest.raises(ValueError, match="matrix is of type <U1: it must hold real numbers"):
        plot.heatmap(ax, [["p", "q"]], "a", "xy")
    with pytest.raises(ValueError, match="matrix has 1 axes, not 2"):
        plot.heatmap(ax, [], "", "")
    with pytest.raises(ValueError, match=r"shape \(0, 2\): it needs a row and a column at least"):
        plot.heatmap(ax, np.empty((0, 2)), "", "xy")
    with pytest.raises(ValueError, match="6 remainders"):
        plot.remainder(ax, [0.1, 1.0], {name: [0.1, 1.0] for name in "abcdef"}, dict.fromkeys("abcdef", 1.0))
    with pytest.raises(ValueError, match=r"table has shape \(4, 4\), the modes are those of one of shape \(5, 4\)"):
        plot.mode_bars([ax, ax], Joint.from_counts(datasets.hair_eye_color()), modes(joint), 1)
    with pytest.raises(ValueError, match="no Joint"):
        plot.mode_bars([ax, ax], joint.P, modes(joint), 1)
    with pytest.raises(ValueError, match=r"shape \(2, 2\): for 3 names it must be \(3, 2\)"):
        plot.label_points(ax, np.eye(2), "abc", plot.X_SIDE)
    with pytest.raises(ValueError, match="no order is given for 'b'"):
        plot.remainder(ax, [0.1, 1.0], {name: [0.1, 1.0] for name in "ab"}, {"a": 1.0})
