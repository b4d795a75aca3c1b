"""Two classes dragged apart: the figure's numbers, its HTML, and how it behaves in a browser."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import traitlets
from figure_page import (
    PHONE,
    Notebook,
    Show,
    assert_accessible,
    assert_fits,
    centre,
    content,
    drag,
    keys,
    press,
    reading,
    swipe,
    wait_for_speech,
)
from shown import shows
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

import ufs
from ufs.widgets import Separation, separation


@pytest.fixture
def figure() -> Separation:
    return separation()


def varied() -> list[Separation]:
    """The figure in several states."""
    figures = [separation() for _ in range(5)]
    figures[1].a, figures[1].b = [-2.0, 1.0], [2.5, -1.5]
    figures[2].axis = [-1.9, 0.2]
    figures[3].ring, figures[3].b = True, [-1.0, -0.4]
    figures[4].sheared = True
    return figures


# ---- numbers and HTML ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("figure", varied(), ids=["start", "means", "axis", "ring", "shear"])
def test_numbers_are_those_of_discriminant_analysis(figure: Separation) -> None:
    points, labels = figure.points, figure.labels
    assert points.shape == (80, 2)
    assert figure.h_score == ufs.h_score(points, labels)
    assert figure.null_level == pytest.approx(2 / (2 * 79))
    rule = LinearDiscriminantAnalysis(solver="lsqr").fit(points, labels)
    assert figure.accuracy == rule.score(points, labels)
    np.testing.assert_allclose(figure.direction, rule.coef_[0] / np.linalg.norm(rule.coef_[0]), atol=1e-10)


def test_a_shear_changes_neither_score_nor_accuracy(figure: Separation) -> None:
    score, accuracy, direction = figure.h_score, figure.accuracy, figure.direction
    figure.sheared = True
    assert figure.h_score == pytest.approx(score, abs=1e-12)
    assert figure.accuracy == accuracy
    assert np.abs(figure.direction - direction).max() > 0.1


def test_a_ring_has_no_difference_of_means_to_see(figure: Separation) -> None:
    figure.a = figure.b = [0.0, 0.0]
    figure.axis, figure.ring = [0.7, 0.0], True
    distance = np.linalg.norm(figure.points / [0.7, 0.5], axis=1)
    assert np.mean((distance > 2.2) == (figure.labels == 1)) > 0.9  # told apart by their distance
    assert figure.h_score < figure.null_level
    assert abs(figure.accuracy - 0.5) < 0.1


def test_html_holds_data_and_state(figure: Separation) -> None:
    figure.b = [2.0, 1.0]
    state = content(figure)["state"]
    assert state == {"a": [-1.2, -0.5], "b": [2.0, 1.0], "axis": [1.1, 0.9], "ring": False, "sheared": False}
    data = content(figure)["data"]
    assert [np.shape(data[name]) for name in ("first", "second", "ring")] == [(40, 2)] * 3
    html = figure.html()
    assert f"H = {figure.h_score:.3f} of at most 0.5" in html
    assert html.count("<tr>") == 3
    assert len(html) < 5000


@pytest.mark.parametrize("size", [4, 201, 10.5])
def test_bad_sizes_are_refused(size: Any) -> None:
    with pytest.raises(ValueError, match=r"size = .*: give each class 5 to 200 points"):
        separation(size)


@pytest.mark.parametrize(
    ("name", "bad"),
    [("a", [4.1, 0.0]), ("b", [0.0, -3.6]), ("a", [0.0]), ("axis", [0.1, 0.1]), ("axis", [2.0, 1.0])],
)
def test_states_out_of_range_are_refused(figure: Separation, name: str, bad: list[float]) -> None:
    before = getattr(figure, name)
    with pytest.raises(traitlets.TraitError, match=f"{name} = "):
        setattr(figure, name, bad)
    assert getattr(figure, name) == before


# ---- in a browser ----------------------------------------------------------------------------------------------------


def check(page: Any, figure: Separation, loose: bool = False) -> None:
    """Compare everything the page shows with the figure, computed by the package."""
    expected = np.degrees(np.arctan2(*figure.direction[::-1]))
    assert shows(page.locator(".ufs-chance").inner_text(), figure.null_level)
    if loose:  # a pixel of the pointer is more than a unit of the last digit
        assert reading(page, "score") == pytest.approx(figure.h_score, abs=0.03)
        assert reading(page, "accuracy") == pytest.approx(100 * figure.accuracy, abs=6)
    else:
        assert shows(page.locator(".ufs-score").inner_text(), figure.h_score)
        assert shows(page.locator(".ufs-accuracy").inner_text(), 100 * figure.accuracy)
    assert abs((reading(page, "angle") - expected + 180) % 360 - 180) <= (12 if loose else 0.5 + 1e-9)


def spot(page: Any, i: int) -> tuple[float, float]:
    """Return where handle i is on the screen."""
    return centre(page.locator(".ufs-handle .ufs-point").nth(i))


def shifted(page: Any, i: int, dx: float, dy: float) -> tuple[float, float]:
    """Return where handle i would be after a move by (dx, dy) in the plane."""
    x, y = spot(page, i)
    unit = 36 * page.locator(".ufs-plane svg").first.evaluate("svg => svg.getScreenCTM().a")
    return x + unit * dx, y - unit * dy


def test_it_opens_with_the_exact_numbers(show: Show, figure: Separation) -> None:
    page = show(figure)
    check(page, figure)
    wait_for_speech(page, f"H-score {figure.h_score:.3f}")
    shown = page.locator(".ufs-plane svg").first.locator("> circle").all()
    where = np.array([[float(dot.get_attribute(name)) for name in ("cx", "cy")] for dot in shown])
    np.testing.assert_allclose((where - [170, 150]) / [36, -36], figure.points, atol=1e-4)


def test_bars_and_arrow_follow_the_numbers(show: Show, figure: Separation) -> None:
    page = show(figure)
    widths = [float(bar.get_attribute("width")) for bar in page.locator("svg[aria-label*='core'] rect").all()]
    assert widths[1] / widths[0] == pytest.approx(figure.h_score / 0.5, abs=1e-4)
    widths = [float(bar.get_attribute("width")) for bar in page.locator("svg[aria-label*='Accuracy'] rect").all()]
    assert widths[1] / widths[0] == pytest.approx(2 * figure.accuracy - 1, abs=1e-4)
    line = page.locator(".ufs-plane svg").first.locator("> line")
    ends = [[float(line.nth(1).get_attribute(name)) for name in pair] for pair in (("x1", "y1"), ("x2", "y2"))]
    arrow = np.subtract(*ends[::-1]) * [1, -1]
    np.testing.assert_allclose(arrow / np.linalg.norm(arrow), figure.direction, atol=1e-6)


def test_keys_move_means_and_axis(show: Show, figure: Separation) -> None:
    page = show(figure)
    first, second, axis = page.get_by_role("slider").all()
    first.focus()
    keys(page, "ArrowLeft", "ArrowUp")
    figure.a = [-1.4, -0.3]
    check(page, figure)
    second.focus()
    keys(page, "ArrowDown", "Shift+ArrowRight")
    figure.b = [1.25, 0.4]
    check(page, figure)
    axis.focus()
    keys(page, "ArrowRight", "ArrowDown")
    figure.axis = [1.3, 0.7]
    check(page, figure)
    keys(page, *["ArrowRight"] * 12)  # no longer than 2
    direction = [float(value) for value in axis.get_attribute("aria-valuetext").split(", ")]
    assert np.linalg.norm(direction) == pytest.approx(2, abs=0.01)
    second.focus()
    keys(page, *["ArrowRight"] * 20)  # not out of the plane
    assert second.get_attribute("aria-valuetext") == "4.00, 0.40"


def test_the_mouse_drags(show: Show, figure: Separation) -> None:
    page = show(figure)
    drag(page, spot(page, 1), shifted(page, 1, 1.0, -1.5))
    figure.b = [2.2, -0.9]
    page.mouse.move(10, 10)
    check(page, figure, loose=True)
    drag(page, spot(page, 2), shifted(page, 2, -0.5, 0.7))
    figure.axis = [0.6, 1.6]
    check(page, figure, loose=True)
    press(page, "shear")
    figure.sheared = True
    drag(page, spot(page, 0), shifted(page, 0, -1.0, 0.0))  # a horizontal move is the same after the shear
    figure.a = [-2.2, -0.5]
    check(page, figure, loose=True)


def test_a_finger_drags(show: Show, figure: Separation) -> None:
    page = show(figure, **PHONE)
    assert_fits(page)
    swipe(page, spot(page, 0), shifted(page, 0, -1.0, 0.6))
    figure.a = [-2.2, 0.1]
    check(page, figure, loose=True)
    assert page.evaluate("scrollY") == 0


def test_buttons(show: Show, figure: Separation) -> None:
    page = show(figure)
    press(page, "one place")
    figure.b = figure.a
    check(page, figure)
    assert reading(page, "score") == pytest.approx(figure.null_level, abs=2e-3)
    press(page, "far apart")
    figure.a, figure.b = [-2.6, -1.0], [2.6, 1.0]
    check(page, figure)
    press(page, "ring")
    figure.a = figure.b = [0.0, 0.0]
    figure.axis, figure.ring = [0.7, 0.0], True
    check(page, figure)
    press(page, "shear")
    figure.sheared = True
    check(page, figure)
    assert page.get_by_role("button", name="shear").get_attribute("aria-pressed") == "true"
    press(page, "as at first")
    check(page, separation())


def test_the_figure_is_accessible(show: Show, figure: Separation) -> None:
    assert_accessible(show(figure))


def test_a_notebook_shares_the_state(show: Show, figure: Separation) -> None:
    page = show(figure)
    notebook = Notebook(page, figure)
    check(page, figure)
    page.get_by_role("slider").first.press("ArrowRight")
    (sent,) = notebook.saved
    np.testing.assert_allclose(sent[0], [-1.0, -0.5], atol=1e-9)
    assert sent[3:] == [False, False]
    figure.a = sent[0]  # what a page sends is accepted
    figure.ring, figure.b = True, [0.5, 0.5]
    notebook.set(ring=True, b=[0.5, 0.5])
    check(page, figure)
    notebook.close()
