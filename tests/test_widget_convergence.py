"""The interactive figure of ACE: its numbers, its HTML, and how it behaves in a browser."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import traitlets
from figure_page import (
    EYES,
    HAIR,
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

from ufs import Joint, ace_sweep, modes
from ufs.widgets import Convergence, convergence


@pytest.fixture
def figure(eyes: Joint, many: Joint) -> Convergence:
    return convergence({"eyes and hair": eyes, "many": many})


def expected(joint: Joint, f: np.ndarray, sweeps: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Features after that many sweeps, f with the sign of f₁, and the angle to f₁ in degrees."""
    first = modes(joint, 1)
    f, g = np.asarray(f, dtype=float)[:, None], np.zeros((joint.py.size, 1))
    f = (f - joint.px @ f) / np.sqrt(joint.px @ (f - joint.px @ f) ** 2)
    for _ in range(sweeps):
        f, g, _ = ace_sweep(joint, f)
    sign = np.sign(joint.px @ (f * first.f))
    along = float(joint.px @ (sign * f * first.f)[:, 0])
    rest = sign * f - along * first.f
    angle = np.degrees(np.arctan2(np.sqrt(float(joint.px @ rest[:, 0] ** 2)), along))
    return (sign * f)[:, 0], (sign * g)[:, 0], angle


# ---- numbers ---------------------------------------------------------------------------------------------------------


def test_data(eyes: Joint, many: Joint, figure: Convergence) -> None:
    table = content(figure)["data"]["tables"][0]
    exact = modes(eyes, 2)
    np.testing.assert_allclose(table["sigma"], exact.sigma, rtol=1e-5)
    np.testing.assert_allclose(table["x"]["mode"], exact.f[:, 0], rtol=1e-5)
    np.testing.assert_allclose(table["y"]["mode"], exact.g[:, 0], rtol=1e-5)
    np.testing.assert_allclose(table["P"], eyes.P, rtol=1e-5)
    assert [start["name"] for start in table["starts"]] == ["random", "only Brown", "only Blue", "only Hazel"]
    assert content(figure)["state"] == {"table": 0, "start": 0, "sweep": 0}
    assert len(figure.html()) < 60_000
    assert figure.html() == convergence({"eyes and hair": eyes, "many": many}).html()


def test_state_is_checked(figure: Convergence) -> None:
    figure.table, figure.start, figure.sweep = 1, 3, 7
    assert content(figure)["state"] == {"table": 1, "start": 3, "sweep": 7}
    for name, value in (("table", 2), ("start", 4), ("sweep", 1000), ("sweep", -1)):
        with pytest.raises(traitlets.TraitError):
            setattr(figure, name, value)
    assert repr(figure) == "<Convergence on eyes and hair, many: table 1, start 3, sweep 7>"


def test_unsuitable_tables_are_refused() -> None:
    uniform = np.full(4, 0.25)
    with pytest.raises(ValueError, match="no first mode"):
        convergence(Joint(0.5 * np.diag(uniform) + 0.5 * np.outer(uniform, uniform)))
    with pytest.raises(ValueError, match="2 symbols of X"):
        convergence(Joint([[0.45, 0.05], [0.05, 0.45]]))
    with pytest.raises(ValueError, match="there is no table"):
        convergence({})


def test_labels_are_text(eyes: Joint) -> None:
    joint = Joint(eyes.P, x_labels=[HOSTILE, *EYES[1:]], y_labels=HAIR, x_name=HOSTILE)
    assert_hostile_text_is_text(convergence({HOSTILE: joint}))


# ---- in a browser ----------------------------------------------------------------------------------------------------


def shown(page: Any, side: str) -> list[str]:
    """Return the values of a feature as the figure reads them out."""
    label = page.locator(f".ufs-plane.ufs-{side} svg").get_attribute("aria-label")
    return re.findall(r" ([−-]?\d+\.\d\d)", label.split(":")[1])


def check(page: Any, joint: Joint, start: np.ndarray, sweeps: int) -> None:
    f, g, angle = expected(joint, start, sweeps)
    assert output(page, "sweep") == str(sweeps)
    assert all_show(shown(page, "x"), f)
    if sweeps:
        assert all_show(shown(page, "y"), g)
    if angle > 1e-3:
        assert shows(output(page, "angle"), angle)


def test_sweeps_are_those_of_ace(show: Show, figure: Convergence, eyes: Joint, many: Joint) -> None:
    page = show(figure)
    tables = figure.data["tables"]
    check(page, eyes, tables[0]["starts"][0]["f"], 0)
    for sweep in (1, 2, 3):
        press(page, "Sweep")
        check(page, eyes, tables[0]["starts"][0]["f"], sweep)
    press(page, "Back")
    check(page, eyes, tables[0]["starts"][0]["f"], 2)
    press(page, "only Blue")
    check(page, eyes, np.eye(4)[1], 0)
    press(page, "Sweep")
    check(page, eyes, np.eye(4)[1], 1)
    press(page, "many")
    for _ in range(4):
        press(page, "Sweep")
    check(page, many, tables[1]["starts"][0]["f"], 4)
    press(page, "Start over")
    check(page, many, tables[1]["starts"][0]["f"], 0)


def test_tangent_falls_as_promised(show: Show, figure: Convergence, eyes: Joint) -> None:
    page = show(figure)
    sigma = modes(eyes).sigma
    for _ in range(4):
        press(page, "Sweep")
        assert float(output(page, "factor")) <= round((sigma[1] / sigma[0]) ** 2, 3) + 1e-9
    assert float(output(page, "factor")) == pytest.approx((sigma[1] / sigma[0]) ** 2, abs=6e-4)
    assert float(output(page, "correlation")) == pytest.approx(sigma[0], abs=6e-5)
    dots = page.locator("circle[visibility=visible]")
    heights = [float(value) for value in dots.evaluate_all("nodes => nodes.map(n => n.getAttribute('cy'))")]
    assert len(heights) == 5
    np.testing.assert_allclose(np.diff(heights)[2:], np.diff(heights)[-1], rtol=0.02)  # a straight line


def test_bars_settle_on_the_outlines(show: Show, figure: Convergence) -> None:
    page = show(figure)
    for _ in range(8):
        press(page, "Sweep")
    for side in "xy":
        bars = boxes(page.locator(f".ufs-plane.ufs-{side} rect"))
        np.testing.assert_allclose(bars[:4], bars[4:], atol=0.01)
    assert page.get_by_role("button", name="Sweep", exact=True).is_enabled()


def test_the_keyboard_sweeps(show: Show, figure: Convergence, eyes: Joint) -> None:
    page = show(figure)
    slider = page.get_by_role("slider")
    slider.focus()
    for key, sweep in (
        ("ArrowRight", 1),
        ("ArrowRight", 2),
        ("ArrowLeft", 1),
        ("End", figure.data["tables"][0]["sweeps"]),
    ):
        page.keyboard.press(key)
        assert output(page, "sweep") == str(sweep)
    assert page.get_by_role("button", name="Sweep", exact=True).is_disabled()
    assert slider.get_attribute("aria-valuetext").startswith("sweep ")
    page.get_by_role("button", name="only Hazel", exact=True).focus()
    page.keyboard.press("Enter")
    assert output(page, "sweep") == "0"
    pressed = page.locator("button[aria-pressed=true]").all_inner_texts()
    assert pressed == ["eyes and hair", "only Hazel"]
    wait_for_speech(page, "After 0 sweeps")


@pytest.mark.parametrize("width", [375, 732])
def test_nothing_is_wider_than_the_screen(show: Show, figure: Convergence, width: int) -> None:
    page = show(figure, viewport={"width": width, "height": 800})
    for name in ("eyes and hair", "many"):
        press(page, name)
        assert_fits(page, width)
        size = page.locator("text=tan of the angle").first.evaluate("n => n.getBoundingClientRect().height")
        assert size > 9  # letters stay readable


def test_the_figure_is_accessible(show: Show, figure: Convergence) -> None:
    page = show(figure)
    press(page, "Sweep")
    assert_accessible(page)


def test_without_scripts_the_table_stands(show: Show, figure: Convergence) -> None:
    page = show(figure, java_script_enabled=False)
    assert page.get_by_role("row").count() == 3
    assert page.get_by_role("slider").count() == 0


def test_a_notebook_shares_the_state(show: Show, figure: Convergence, eyes: Joint) -> None:
    page = show(figure)
    figure.start, figure.sweep = 2, 1
    notebook = Notebook(page, figure)
    check(page, eyes, np.eye(4)[1], 1)
    assert notebook.saved == []
    press(page, "Sweep")
    assert notebook.saved == [[0, 2, 2]]
    notebook.set(sweep=3)
    check(page, eyes, np.eye(4)[1], 3)
    notebook.close()
