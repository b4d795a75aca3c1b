"""The interactive figure of alternating projections: its numbers, its HTML, and how it behaves in a browser."""

from __future__ import annotations

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
    number,
    numbers,
    on_disk,
    output,
    press,
    texts,
    wait_for_speech,
)
from shown import all_show, shows

from ufs import Joint, feature_angles, modes, optimal_features, optimal_weights
from ufs.widgets import Projections, projections

FATHERS = ["upper", "middle", "manual"]
COUNTS = np.array([[80, 90, 60], [70, 400, 300], [40, 500, 1500]])


@pytest.fixture
def joint() -> Joint:
    return Joint.from_counts(COUNTS, x_labels=FATHERS, y_labels=FATHERS, x_name="father", y_name="son")


@pytest.fixture
def figure(joint: Joint) -> Projections:
    return projections(joint)


def start(joint: Joint, angle: float) -> np.ndarray:
    return modes(joint).f @ [[np.cos(np.radians(angle))], [np.sin(np.radians(angle))]]


def project(joint: Joint, s: np.ndarray, passes: int) -> np.ndarray:
    for _ in range(passes):
        s = optimal_features(*optimal_weights(s, joint), joint)
    return s / np.sqrt(joint.px @ s**2)


# ---- numbers ---------------------------------------------------------------------------------------------------------


def test_data(joint: Joint, figure: Projections) -> None:
    data, exact = content(figure)["data"], modes(joint)
    np.testing.assert_allclose(data["sigma"], exact.sigma, rtol=1e-5)
    np.testing.assert_allclose(data["x"]["modes"], exact.f, rtol=1e-5)
    np.testing.assert_allclose(data["y"]["modes"], exact.g, rtol=1e-5)
    assert content(figure)["state"] == {"angle": 70, "step": 0}
    assert len(figure.html()) < 10_000


def test_state_is_checked(figure: Projections) -> None:
    figure.angle, figure.step = -90, 3
    assert content(figure)["state"] == {"angle": 270, "step": 3}
    for value in (-1, 13):
        with pytest.raises(traitlets.TraitError):
            figure.step = value
    assert repr(figure) == "<Projections of father and son: angle 270, step 3>"


def test_unsuitable_tables_are_refused() -> None:
    uniform = np.full(3, 1 / 3)
    with pytest.raises(ValueError, match="no first mode"):
        projections(Joint(0.5 * np.diag(uniform) + 0.5 * np.outer(uniform, uniform)))
    with pytest.raises(ValueError, match="father has 4 symbols: only for three"):
        projections(Joint.from_counts(np.eye(4) + np.arange(1, 5), x_name="father"))
    with pytest.raises(ValueError, match="needs two modes"):
        projections(Joint.from_counts([[2, 1], [1, 2], [1, 1]]))


def test_labels_are_text(joint: Joint) -> None:
    hostile = Joint(joint.P, x_labels=[HOSTILE, "b", "c"], y_labels=FATHERS, x_name=HOSTILE)
    assert_hostile_text_is_text(projections(hostile))


# ---- in a browser ----------------------------------------------------------------------------------------------------


def test_steps_are_the_two_projections(show: Show, figure: Projections, joint: Joint) -> None:
    page = show(figure)
    exact = modes(joint)
    s = start(joint, 70)
    assert all_show(texts(page, ".ufs-bars.ufs-x .ufs-value"), s[:, 0])
    assert output(page, "captured") == "0.0\u00a0%"
    for passes in range(3):
        now = project(joint, s, passes)
        press(page, "Backward")
        v, _ = optimal_weights(now, joint)
        assert all_show(texts(page, ".ufs-bars.ufs-y .ufs-value"), v[:, 0])
        angle = np.degrees(feature_angles(v, exact.g[:, 0], joint.py)[0])
        assert shows(output(page, "weights"), angle)
        left = np.sum((np.sqrt(joint.py)[:, None] * v) ** 2) / np.sum(exact.sigma**2)
        assert shows(output(page, "captured"), 100 * left)
        press(page, "Forward")
        now = project(joint, s, passes + 1)
        assert all_show(texts(page, ".ufs-bars.ufs-x .ufs-value"), now[:, 0])
        angle = np.degrees(feature_angles(now, exact.f[:, 0], joint.px)[0])
        assert shows(output(page, "angle"), angle)
        assert shows(output(page, "factor"), (exact.sigma[1] / exact.sigma[0]) ** 2)
    assert output(page, "passes") == "3"


def test_the_two_buttons_take_turns(show: Show, figure: Projections) -> None:
    page = show(figure)
    backward, forward = (page.get_by_role("button", name=name, exact=True) for name in ("Backward", "Forward"))
    assert forward.is_disabled()
    backward.focus()
    for _ in range(6):
        page.keyboard.press("Enter")  # the focus goes to the button that can be pressed next
        assert backward.is_disabled()
        assert forward.is_enabled()
        page.keyboard.press("Enter")
    assert output(page, "passes") == "6"
    assert backward.is_disabled()
    assert forward.is_disabled()
    press(page, "Start over")
    assert output(page, "passes") == "0"
    assert number(output(page, "angle")) == 70


def test_a_drag_is_a_new_start(show: Show, figure: Projections, joint: Joint) -> None:
    page = show(figure)
    press(page, "Backward")
    drag(page, on_disk(page, np.cos(np.radians(70)), np.sin(np.radians(70))), on_disk(page, 0.6, -0.6))
    assert output(page, "passes") == "0"
    assert output(page, "weights") == "–"
    assert number(output(page, "angle")) == pytest.approx(45, abs=1)
    bars = numbers(page, ".ufs-bars.ufs-x .ufs-value")
    np.testing.assert_allclose(bars, start(joint, -45)[:, 0], atol=0.03)


def test_the_keyboard_turns(show: Show, figure: Projections) -> None:
    page = show(figure)
    page.get_by_role("slider").focus()
    keys(page, "ArrowRight", "ArrowRight")
    assert number(output(page, "angle")) == 80
    keys(page, "ArrowLeft", "ArrowDown", "ArrowUp")
    assert number(output(page, "angle")) == 75
    wait_for_speech(page, "At the start the feature is at 75.00°")


@pytest.mark.parametrize("options", [{"viewport": {"width": 732, "height": 800}}, PHONE])
def test_nothing_is_wider_than_the_screen(show: Show, figure: Projections, options: dict) -> None:
    page = show(figure, **options)
    press(page, "Backward")
    assert_fits(page, options["viewport"]["width"])


def test_the_figure_is_accessible(show: Show, figure: Projections) -> None:
    page = show(figure)
    press(page, "Backward")
    assert_accessible(page)


def test_without_scripts_the_table_stands(show: Show, figure: Projections) -> None:
    page = show(figure, java_script_enabled=False)
    assert page.get_by_role("row").count() == 2
    assert page.get_by_role("slider").count() == 0


def test_a_notebook_shares_the_state(show: Show, figure: Projections) -> None:
    page = show(figure)
    figure.angle, figure.step = 30, 1
    notebook = Notebook(page, figure)
    assert number(output(page, "angle")) == 30
    press(page, "Forward")
    assert notebook.saved == [[30, 2]]
    notebook.set(angle=100)
    notebook.set(step=0)
    assert number(output(page, "angle")) == 80
    notebook.close()
