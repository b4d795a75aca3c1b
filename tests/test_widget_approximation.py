"""The interactive figure of trained networks and modes: its numbers, its HTML, and how it behaves in a browser."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import traitlets
from figure_page import (
    COUNTS,
    EYES,
    HOSTILE,
    PHONE,
    Notebook,
    Show,
    assert_accessible,
    assert_fits,
    assert_hostile_text_is_text,
    centre,
    content,
    drag,
    output,
    press,
    wait_for_speech,
)
from shown import all_show, shows

from ufs import Joint, feature_angles, modes
from ufs.widgets import Approximation, approximation

STRENGTHS = [0.05, 0.1, 0.2, 0.5, 1.0]


@pytest.fixture
def networks(eyes: Joint) -> dict[int, list[Any]]:
    """Stand-ins for trained networks: mixtures of the modes, the further off the stronger the dependence."""
    rng, m = np.random.default_rng(0), modes(eyes)
    found = {}
    for k in (1, 2):
        off = rng.standard_normal((2, 4, k))
        mix = rng.standard_normal((k, k)) + 2 * np.eye(k)
        found[k] = [
            SimpleNamespace(s=(m.f[:, :k] + 0.3 * t * off[0]) @ mix + 5, v=(m.g[:, :k] + 0.2 * t * off[1]) @ mix - 1)
            for t in STRENGTHS
        ]
    return found


@pytest.fixture
def figure(eyes: Joint, networks: dict[int, list[Any]]) -> Approximation:
    return approximation(eyes, STRENGTHS, networks)


def projection(mode: np.ndarray, features: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Best approximation of a mode by an affine function of the features, by least squares."""
    columns = np.column_stack([np.ones(len(p)), features])
    root = np.sqrt(p)
    return columns @ np.linalg.lstsq(root[:, None] * columns, root * mode, rcond=None)[0]


def check(page: Any, figure: Approximation, eyes: Joint, network: Any, k: int, mode: int) -> None:
    """The page shows the angles, and the projected mode on both sides."""
    m = modes(eyes)
    for side, features, of_modes, p in (("x", network.s, m.f, eyes.px), ("y", network.v, m.g, eyes.py)):
        angle = np.degrees(feature_angles(features, of_modes[:, :k], p).max())
        assert shows(output(page, side), angle)
        label = page.locator(f".ufs-plane.ufs-{side} svg").get_attribute("aria-label")
        pairs = [words.split(" ")[1:4:2] for words in label.split(": ")[1].split(", ")]
        shown = zip(*pairs, strict=True)
        for written, exact in zip(
            shown, (projection(of_modes[:, mode - 1], features, p), of_modes[:, mode - 1]), strict=True
        ):
            assert all_show(written, exact)


# ---- numbers ---------------------------------------------------------------------------------------------------------


def test_data(eyes: Joint, networks: dict[int, list[Any]], figure: Approximation) -> None:
    data = content(figure)["data"]
    m = modes(eyes)
    np.testing.assert_allclose(data["eps"], np.array(STRENGTHS) * np.linalg.norm(m.sigma), rtol=1e-5)
    np.testing.assert_allclose(data["x"]["modes"], m.f[:, :2].T, atol=1e-5)
    np.testing.assert_allclose(data["y"]["modes"], m.g[:, :2].T, atol=1e-5)
    assert [run["k"] for run in data["runs"]] == [1, 2]
    for run in data["runs"]:
        for fit, network in zip(run["x"], networks[run["k"]], strict=True):
            expected = [projection(m.f[:, i], network.s, eyes.px) for i in range(run["k"])]
            np.testing.assert_allclose(fit["part"], expected, atol=1e-5)
            angle = np.degrees(feature_angles(network.s, m.f[:, : run["k"]], eyes.px).max())
            assert fit["angle"] == pytest.approx(angle, rel=1e-4)
    assert content(figure)["state"] == {"features": 1, "mode": 1, "step": 4}
    assert len(figure.html()) < 60_000
    assert figure.html() == approximation(eyes, STRENGTHS, networks).html()


def test_state_is_checked(figure: Approximation) -> None:
    figure.features, figure.mode, figure.step = 2, 2, 0
    assert content(figure)["state"] == {"features": 2, "mode": 2, "step": 0}
    for name, value in (("features", 3), ("features", 0), ("mode", 3), ("step", 5), ("step", -1)):
        with pytest.raises(traitlets.TraitError):
            setattr(figure, name, value)
    assert repr(figure) == "<Approximation on Eye and Hair: k = 2, mode 2, ε = 0.0242>"


def test_exact_features_fill_the_outline(eyes: Joint) -> None:
    m = modes(eyes, 1)
    networks = {1: [SimpleNamespace(s=7 * m.f + 1, v=-m.g)] * 2}
    for side, exact in (("x", m.f), ("y", m.g)):
        for fit in approximation(eyes, [0.1, 1], networks).data["runs"][0][side]:
            np.testing.assert_allclose(fit["part"], exact.T, atol=1e-5)
            assert fit["angle"] < 1e-5


def test_unsuitable_input_is_refused(eyes: Joint, networks: dict[int, list[Any]]) -> None:
    with pytest.raises(ValueError, match="20 symbols of X and 20 of Y"):
        approximation(Joint.from_counts(np.ones((20, 20))), STRENGTHS, networks)
    for strengths in ([1.0], [1.0, 0.5], [0.0, 1.0], [[0.5, 1.0]]):
        with pytest.raises(ValueError, match="strengths"):
            approximation(eyes, strengths, networks)
    with pytest.raises(ValueError, match="no network"):
        approximation(eyes, STRENGTHS, {})
    with pytest.raises(ValueError, match=r"5 networks with k = 1 for 2 strengths"):
        approximation(eyes, [0.5, 1], networks)
    with pytest.raises(ValueError, match=r"k = 4: the table has 3 modes"):
        approximation(eyes, STRENGTHS, {4: networks[1]})
    with pytest.raises(ValueError, match="1 features: it is listed under k = 2"):
        approximation(eyes, STRENGTHS, {2: networks[1]})
    with pytest.raises(ValueError, match="each of the 4 symbols of Eye"):
        approximation(eyes, STRENGTHS, {1: [SimpleNamespace(s=[[1.0]], v=network.v) for network in networks[1]]})


def test_labels_are_text(networks: dict[int, list[Any]]) -> None:
    joint = Joint.from_counts(COUNTS, x_labels=[HOSTILE, *EYES[1:]], x_name=HOSTILE)
    assert_hostile_text_is_text(approximation(joint, STRENGTHS, networks))


def test_the_fallback_is_a_table(figure: Approximation) -> None:
    html = figure.fallback()
    assert html.count("<tr>") == 1 + len(STRENGTHS)
    assert f"{figure.data['runs'][1]['x'][4]['angle']:.2f}" in html


# ---- in a browser ----------------------------------------------------------------------------------------------------


def test_buttons_and_slider_choose_the_network(
    show: Show, figure: Approximation, eyes: Joint, networks: dict[int, list[Any]]
) -> None:
    page = show(figure)
    check(page, figure, eyes, networks[1][4], 1, 1)
    assert page.get_by_role("button", name="mode 2").is_disabled()
    press(page, "k = 2")
    check(page, figure, eyes, networks[2][4], 2, 1)
    press(page, "mode 2")
    check(page, figure, eyes, networks[2][4], 2, 2)
    slider = page.locator("input[type=range]")
    slider.focus()
    page.keyboard.press("Home")
    check(page, figure, eyes, networks[2][0], 2, 2)
    page.keyboard.press("ArrowRight")
    check(page, figure, eyes, networks[2][1], 2, 2)
    press(page, "k = 1")
    check(page, figure, eyes, networks[1][1], 1, 1)
    wait_for_speech(page, "With 1 feature at ε 0.048")


def test_the_point_is_dragged(show: Show, figure: Approximation, eyes: Joint, networks: dict[int, list[Any]]) -> None:
    page = show(figure)
    handle = page.locator(".ufs-handle")
    start = centre(handle.locator(".ufs-point"))
    chart = page.locator("svg:has(.ufs-handle)").bounding_box()
    drag(page, start, (chart["x"] + 20, start[1]))
    check(page, figure, eyes, networks[1][0], 1, 1)
    handle.focus()
    for key, step in (("ArrowRight", 1), ("ArrowUp", 2), ("ArrowLeft", 1), ("End", 4), ("ArrowRight", 4), ("Home", 0)):
        page.keyboard.press(key)
        assert handle.get_attribute("aria-valuenow") == str(step)
    check(page, figure, eyes, networks[1][0], 1, 1)


@pytest.mark.parametrize("width", [375, 732])
def test_nothing_is_wider_than_the_screen(show: Show, figure: Approximation, width: int) -> None:
    page = show(figure, viewport={"width": width, "height": 800})
    press(page, "k = 2")
    assert_fits(page, width)
    size = page.locator("text=Blond").first.evaluate("n => n.getBoundingClientRect().height")
    assert size > 9  # letters stay readable


def test_a_tap_moves_the_point(show: Show, figure: Approximation) -> None:
    page = show(figure, **PHONE)
    chart = page.locator("svg:has(.ufs-handle)")
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    page.touchscreen.tap(box["x"] + 0.17 * box["width"], box["y"] + box["height"] / 2)
    assert page.locator(".ufs-handle").get_attribute("aria-valuenow") == "0"


def test_the_figure_is_accessible(show: Show, figure: Approximation) -> None:
    page = show(figure)
    press(page, "k = 2")
    assert_accessible(page)


def test_without_scripts_the_table_stands(show: Show, figure: Approximation) -> None:
    page = show(figure, java_script_enabled=False)
    assert page.get_by_role("row").count() == 1 + len(STRENGTHS)
    assert page.get_by_role("slider").count() == 0


def test_a_notebook_shares_the_state(
    show: Show, figure: Approximation, eyes: Joint, networks: dict[int, list[Any]]
) -> None:
    page = show(figure)
    figure.features, figure.step = 2, 3
    notebook = Notebook(page, figure)
    check(page, figure, eyes, networks[2][3], 2, 1)
    assert notebook.saved == []
    press(page, "mode 2")
    assert notebook.saved == [[2, 2, 3]]
    notebook.set(step=0)
    check(page, figure, eyes, networks[2][0], 2, 2)
    notebook.close()
