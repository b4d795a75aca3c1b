"""The interactive simplex: its numbers, its HTML, and how it behaves in a browser."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import traitlets
from figure_page import (
    HOSTILE,
    PHONE,
    Notebook,
    Show,
    assert_accessible,
    assert_fits,
    assert_hostile_text_is_text,
    content,
    drag,
    keys,
    numbers,
    press,
    reading,
    swipe,
    wait_for_speech,
)
from shown import shows

import ufs
from ufs.widgets import Simplex, simplex

P0, P1, P2 = [0.5, 0.25, 0.25], [0.6, 0.2, 0.2], [0.4, 0.25, 0.35]


@pytest.fixture
def figure() -> Simplex:
    return simplex(P0, P1, P2, labels=["dark", "red", "blond"], names=["brown", "blue"])


# ---- numbers and HTML ------------------------------------------------------------------------------------------------


def test_numbers_are_those_of_the_package(figure: Simplex) -> None:
    assert figure.eps == pytest.approx(np.sqrt(0.25 / 0.75))
    assert figure.divergence == ufs.kl_divergence(P1, P2)
    first, second = (ufs.information_vector(p, P0, figure.eps) for p in (P1, P2))
    assert figure.local == pytest.approx(figure.eps**2 / 2 * np.sum((first - second) ** 2))
    assert simplex(P0, P1, P2, eps=0.1).local == pytest.approx(figure.local)  # whatever the unit


def test_html_holds_data_and_state(figure: Simplex) -> None:
    figure.p2 = [0.3, 0.3, 0.4]
    html = figure.html()
    assert content(figure)["state"] == {"p1": P1, "p2": [0.3, 0.3, 0.4]}
    assert content(figure)["data"] == {
        "p0": P0,
        "eps": pytest.approx(figure.eps, rel=1e-5),
        "labels": ["dark", "red", "blond"],
        "names": ["brown", "blue"],
        "least": 0.001,
    }
    assert f"D(P₁‖P₂) = {figure.divergence:.4f} nats" in html
    assert html.count("<tr>") == 4
    assert len(html) < 5000


def test_labels_are_text() -> None:
    assert_hostile_text_is_text(simplex(P0, P1, P2, labels=[HOSTILE, "b", "c"], names=[HOSTILE, ""]))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"p0": [0.5, 0.5]}, r"p0 has shape \(2,\): the figure shows distributions on three"),
        ({"p1": [0.5, 0.5, 0.5]}, r"p1 sums to 1\.5"),
        ({"p2": [0.5, 0.5, 0]}, r"p2\[2\] = 0\.0 is below 0\.001"),
        ({"labels": ["a", "b"]}, r"2 labels and 2 names"),
        ({"eps": 0}, r"eps = 0"),
    ],
)
def test_bad_input_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        simplex(**{"p0": P0, "p1": P1, "p2": P2} | arguments)


@pytest.mark.parametrize("bad", [[0.5, 0.5], [0.5, 0.5, 0.0], [0.5, 0.3, 0.3], [float("nan"), 0.5, 0.5]])
def test_a_point_that_is_no_distribution_is_refused(figure: Simplex, bad: list[float]) -> None:
    with pytest.raises(traitlets.TraitError, match="p1 = "):
        figure.p1 = bad
    assert figure.p1 == P1


# ---- in a browser ----------------------------------------------------------------------------------------------------


def shown(page: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return P₁ and P₂ as rows, and the information vectors, from the table in the page."""
    cells = numbers(page, ".ufs-figure table td").reshape(3, 5)
    return cells[:, 1:3].T, cells[:, 3:].T


def check(page: Any, figure: Simplex, p1: Any, p2: Any, atol: float = 6e-4) -> None:
    """Compare everything the page shows with the two distributions, computed by the package."""
    points, vectors = shown(page)
    np.testing.assert_allclose(points, [p1, p2], atol=atol)
    first, second = (ufs.information_vector(p, P0, figure.eps) for p in (p1, p2))
    np.testing.assert_allclose(vectors, [first, second], atol=atol / 0.25)
    local = figure.eps**2 / 2 * np.sum((first - second) ** 2)
    for name, value in [
        ("forward", ufs.kl_divergence(p1, p2)),
        ("backward", ufs.kl_divergence(p2, p1)),
        ("local", local),
    ]:
        assert reading(page, name) == pytest.approx(value, rel=20 * atol, abs=2e-3 if atol > 1e-3 else 0)


def screen(page: Any, p: Any) -> tuple[float, float]:
    """Return where a distribution is on the screen."""
    script = """(triangle, p) => {
        const corners = [...triangle.points];
        const [x, y] = ["x", "y"].map(axis => corners.reduce((sum, corner, z) => sum + p[z] * corner[axis], 0));
        const point = new DOMPoint(x, y).matrixTransform(triangle.getScreenCTM());
        return [point.x, point.y];
    }"""
    return tuple(page.locator(".ufs-plane polygon.ufs-axis").first.evaluate(script, list(p)))


def test_it_opens_with_the_exact_numbers(show: Show, figure: Simplex) -> None:
    page = show(figure)
    check(page, figure, P1, P2)
    assert shows(page.locator(".ufs-error").inner_text(), 100 * (figure.local / figure.divergence - 1))
    first, second = figure.phi
    angle = np.degrees(np.arccos(first @ second / np.linalg.norm(first) / np.linalg.norm(second)))
    assert reading(page, "angle") == round(angle)
    wait_for_speech(page, "nats")


def test_keys_move_each_point(show: Show, figure: Simplex) -> None:
    page = show(figure)
    first, second = page.get_by_role("slider").all()
    first.focus()
    page.keyboard.press("ArrowRight")  # towards the second symbol
    check(page, figure, np.add(P1, [-0.02, 0.02, 0]), P2)
    page.keyboard.press("ArrowLeft")
    second.focus()
    step = 0.02 * 2 / np.sqrt(3)  # a step up raises the third symbol by this
    page.keyboard.press("ArrowUp")
    check(page, figure, P1, np.add(P2, [-step / 2, -step / 2, step]))
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Shift+ArrowRight")
    check(page, figure, P1, np.add(P2, [-0.002, 0.002, 0]))
    keys(page, *["ArrowRight"] * 60)
    points, _ = shown(page)
    assert points.min() >= 0.001  # the edge is never reached
    assert second.get_attribute("aria-valuetext") == f"dark 0.001, red {points[1, 1]:.3f}, blond {points[1, 2]:.3f}"


def test_the_mouse_drags_each_point(show: Show, figure: Simplex) -> None:
    page = show(figure)
    ends = {0: [0.2, 0.5, 0.3], 1: [0.7, 0.2, 0.1]}
    for i, start in ((0, P1), (1, P2)):
        drag(page, screen(page, start), screen(page, ends[i]))
    page.mouse.move(10, 10)
    check(page, figure, ends[0], ends[1], atol=5e-3)
    drag(page, screen(page, ends[0]), screen(page, [0.6, 0.6, -0.2]), steps=1)  # outside: the nearest point inside
    check(page, figure, [0.5, 0.499, 0.001], ends[1], atol=5e-3)


def test_a_finger_drags_and_taps(show: Show, figure: Simplex) -> None:
    page = show(figure, **PHONE)
    assert_fits(page)
    swipe(page, screen(page, P1), screen(page, [0.3, 0.4, 0.3]))
    check(page, figure, [0.3, 0.4, 0.3], P2, atol=1e-2)
    assert page.evaluate("scrollY") == 0
    page.touchscreen.tap(*screen(page, [0.1, 0.1, 0.8]))
    check(page, figure, [0.3, 0.4, 0.3], [0.1, 0.1, 0.8], atol=1e-2)


def test_buttons_move_both_points(show: Show, figure: Simplex) -> None:
    page = show(figure)
    p0, p1, p2 = np.array(P0), np.array(P1), np.array(P2)
    targets = {
        "halve both": ((p0 + p1) / 2, (p0 + p2) / 2),
        "double both": (p1, p2),
        "P₂ opposite P₁": (p1, 2 * p0 - p1),
        "P₂ to P₀": (p1, p0),
        "as at first": (p1, p2),
    }
    for name, points in targets.items():
        press(page, name)
        check(page, figure, *points)


def test_the_figure_is_accessible(show: Show, figure: Simplex) -> None:
    page = show(figure)
    assert_accessible(page)


def test_a_notebook_shares_the_state(show: Show, figure: Simplex) -> None:
    page = show(figure)
    notebook = Notebook(page, figure)
    check(page, figure, P1, P2)
    page.get_by_role("slider").first.press("ArrowRight")
    (sent,) = notebook.saved
    np.testing.assert_allclose(sent, [np.add(P1, [-0.02, 0.02, 0]), P2], atol=1e-9)
    figure.p1 = sent[0]  # what a page sends is accepted
    notebook.set(p2=[0.2, 0.3, 0.5])
    check(page, figure, np.add(P1, [-0.02, 0.02, 0]), [0.2, 0.3, 0.5])
    notebook.close()
