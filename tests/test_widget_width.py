"""The interactive figure of a hidden layer's width: its numbers, its HTML, and how it behaves in a browser."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import traitlets
from figure_page import (
    EYES,
    HOSTILE,
    Notebook,
    Show,
    assert_accessible,
    assert_fits,
    assert_hostile_text_is_text,
    boxes,
    content,
    output,
    press,
    wait_for_speech,
)
from shown import all_show, shows

from ufs import Joint, modes
from ufs.widgets import Width, width


@pytest.fixture
def figure(eyes: Joint, many: Joint) -> Width:
    return width({"eyes and hair": eyes, "many": many})


def layers(joints: list[Joint]) -> list[list[np.ndarray]]:
    """The random layers of a figure on these tables, drawn here anew, shape (|X|, |X| - 1) each."""
    rng = np.random.default_rng(0)
    spread = np.sqrt(0.5)
    return [[np.tanh(rng.uniform(-spread, spread, (len(j.px), len(j.px) - 1))) for _ in range(3)] for j in joints]


def projected(joint: Joint, mode: int, units: np.ndarray) -> np.ndarray:
    """The mode, projected in L²(P_X) on the affine functions of some units."""
    root = np.sqrt(joint.px)[:, None]
    design = np.column_stack([np.ones(len(joint.px)), units])
    target = modes(joint).f[:, mode : mode + 1]
    return (design @ np.linalg.lstsq(root * design, root * target, rcond=None)[0])[:, 0]


# ---- numbers ---------------------------------------------------------------------------------------------------------


def test_data(eyes: Joint, many: Joint, figure: Width) -> None:
    tables = content(figure)["data"]["tables"]
    for table, joint in zip(tables, (eyes, many), strict=True):
        exact = modes(joint, 3)
        np.testing.assert_allclose(table["sigma"], exact.sigma, rtol=1e-5)
        np.testing.assert_allclose(table["modes"], exact.f.T, rtol=1e-5, atol=1e-10)
        np.testing.assert_allclose(table["px"], joint.px, rtol=1e-5)
        for layer in table["layers"]:
            gram = np.array(layer) * joint.px @ np.array(layer).T
            np.testing.assert_allclose(gram, np.eye(len(joint.px) - 1), atol=1e-3)
    assert content(figure)["state"] == {"table": 0, "mode": 0, "layer": 0, "units": 3}
    assert len(figure.html()) < 60_000
    assert figure.html() == width({"eyes and hair": eyes, "many": many}).html()


def test_shares_are_those_of_the_projection_on_the_units(eyes: Joint, many: Joint, figure: Width) -> None:
    for i, (joint, drawn) in enumerate(zip((eyes, many), layers([eyes, many]), strict=True)):
        for mode in range(3):
            for layer in range(3):
                for units in (1, 2, 3):
                    kept = projected(joint, mode, drawn[layer][:, :units])
                    share = joint.px @ kept**2
                    assert figure.share(i, mode, layer, units) == pytest.approx(share, abs=1e-3)
        assert figure.share(i, 0, 0, len(joint.px) - 1) == pytest.approx(1, abs=1e-3)


def test_state_is_checked(figure: Width) -> None:
    figure.table, figure.mode, figure.layer, figure.units = 1, 2, 1, 7
    assert content(figure)["state"] == {"table": 1, "mode": 2, "layer": 1, "units": 7}
    for name, value in (("table", 2), ("mode", 3), ("layer", 3), ("units", 0), ("units", 20)):
        with pytest.raises(traitlets.TraitError):
            setattr(figure, name, value)
    assert repr(figure) == "<Width on eyes and hair, many: table 1, mode 2, layer 1, 7 units>"


def test_unsuitable_tables_are_refused() -> None:
    with pytest.raises(ValueError, match="2 symbols of X"):
        width(Joint([[0.45, 0.05], [0.05, 0.45]]))
    with pytest.raises(ValueError, match="31 symbols of X"):
        width(Joint(np.full((31, 2), 1 / 62)))
    with pytest.raises(ValueError, match="there is no table"):
        width({})


def test_labels_are_text(eyes: Joint) -> None:
    joint = Joint(eyes.P, x_labels=[HOSTILE, *EYES[1:]], x_name=HOSTILE)
    assert_hostile_text_is_text(width({HOSTILE: joint}))


# ---- in a browser ----------------------------------------------------------------------------------------------------


def shown(page: Any) -> list[str]:
    """Return the values of the projection as the figure reads them out."""
    label = page.locator(".ufs-plane svg").first.get_attribute("aria-label")
    return re.findall(r" ([−-]?\d+\.\d\d)", label.split(":")[1])


def check(page: Any, joint: Joint, drawn: np.ndarray, mode: int, units: int) -> None:
    values = projected(joint, mode, drawn[:, :units])
    share = joint.px @ values**2
    lost = modes(joint).sigma[mode] ** 2 * (1 - share) / 2
    assert output(page, "units") == f"{units} of {len(joint.px) - 1}"
    assert all_show(shown(page), values)
    assert shows(output(page, "share"), 100 * share)
    assert shows(output(page, "lost"), lost)
    if share < 0.99:
        assert shows(output(page, "turn"), np.degrees(np.arccos(np.sqrt(share))))


def test_every_choice_shows_its_projection(show: Show, figure: Width, eyes: Joint, many: Joint) -> None:
    page = show(figure)
    few, lots = layers([eyes, many])
    slider = page.get_by_role("slider")
    check(page, eyes, few[0], 0, 3)
    slider.fill("1")
    check(page, eyes, few[0], 0, 1)
    press(page, "layer B")
    check(page, eyes, few[1], 0, 1)
    press(page, "f2")
    check(page, eyes, few[1], 1, 1)
    press(page, "many")
    slider.fill("11")
    check(page, many, lots[1], 1, 11)
    press(page, "eyes and hair")
    check(page, eyes, few[1], 1, 3)  # as wide as it can be


def test_the_curve_rises_to_one(show: Show, figure: Width) -> None:
    page = show(figure)
    press(page, "many")
    dots = page.locator(".ufs-plane svg").nth(1).locator("circle[r='4']")
    heights = [float(value) for value in dots.evaluate_all("nodes => nodes.map(n => n.getAttribute('cy'))")]
    assert len(heights) == 20
    assert np.all(np.diff(heights) <= 1e-9)
    line = page.locator(".ufs-plane svg").nth(1).locator("line[style*=dash]")
    assert float(line.get_attribute("y1")) == pytest.approx(heights[0], abs=0.01)
    assert float(line.get_attribute("y2")) == pytest.approx(heights[-1], abs=0.5)


def test_bars_fill_the_outlines_when_nothing_is_lost(show: Show, figure: Width) -> None:
    page = show(figure)
    bars = boxes(page.locator(".ufs-plane svg").first.locator("rect"))
    np.testing.assert_allclose(bars[:4], bars[4:], atol=0.15)


def test_the_keyboard_changes_the_width(show: Show, figure: Width) -> None:
    page = show(figure)
    slider = page.get_by_role("slider")
    slider.focus()
    for key, units in (("ArrowLeft", 2), ("Home", 1), ("ArrowRight", 2), ("End", 3)):
        page.keyboard.press(key)
        assert output(page, "units") == f"{units} of 3"
    assert slider.get_attribute("aria-valuetext") == "3 of 3 units"
    page.get_by_role("button", name="layer C", exact=True).focus()
    page.keyboard.press("Enter")
    pressed = page.locator("button[aria-pressed=true]").all_inner_texts()
    assert pressed == ["eyes and hair", "f1", "layer C"]
    wait_for_speech(page, "3 units keep 100")


@pytest.mark.parametrize("wide", [375, 732])
def test_nothing_is_wider_than_the_screen(show: Show, figure: Width, wide: int) -> None:
    page = show(figure, viewport={"width": wide, "height": 800})
    for name in ("eyes and hair", "many"):
        press(page, name)
        assert_fits(page, wide)
        size = page.locator("text=units below").first.evaluate("n => n.getBoundingClientRect().height")
        assert size > 9  # letters stay readable


def test_the_figure_is_accessible(show: Show, figure: Width) -> None:
    assert_accessible(show(figure))


def test_without_scripts_the_table_stands(show: Show, figure: Width) -> None:
    page = show(figure, java_script_enabled=False)
    assert page.get_by_role("row").count() == 9
    assert page.get_by_role("slider").count() == 0


def test_a_notebook_shares_the_state(show: Show, figure: Width, eyes: Joint) -> None:
    page = show(figure)
    figure.mode, figure.layer, figure.units = 1, 2, 2
    notebook = Notebook(page, figure)
    (few,) = layers([eyes])
    check(page, eyes, few[2], 1, 2)
    assert notebook.saved == []
    page.get_by_role("slider").fill("1")
    assert notebook.saved == [[0, 1, 2, 1]]
    notebook.set(units=3)
    check(page, eyes, few[2], 1, 3)
    notebook.close()
