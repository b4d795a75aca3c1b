"""The interactive figure of feature selection: its numbers, and how it behaves in a browser."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import traitlets
from figure_page import (
    COUNTS,
    PHONE,
    Show,
    assert_accessible,
    assert_fits,
    content,
    drag,
    keys,
    number,
    on_disk,
    wait_for_speech,
)

from ufs import Joint, captured, dtm
from ufs.widgets import Selection, selection

NAMES = ["Black", "Brown", "Red", "<b>Blond"]
POINTS = [(1, 0), (0, 1), (0, 0), (0.4, 0.5), (-0.3, 0.9), (-0.6, -0.8)]


@pytest.fixture(scope="module")
def joint() -> Joint:
    return Joint.from_counts(COUNTS, y_labels=NAMES, x_name="eyes", y_name="hair")


@pytest.fixture
def figure(joint: Joint) -> Selection:
    return selection(joint)


# ---- numbers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [1, 2])
@pytest.mark.parametrize("point", POINTS)
def test_features_capture_what_is_shown(joint: Joint, figure: Selection, point: tuple[float, float], k: int) -> None:
    figure.move(*point)
    figure.k = k
    h = figure.features
    np.testing.assert_allclose((h * joint.py[:, None]).T @ h, np.eye(k), atol=1e-10)
    np.testing.assert_allclose(joint.py @ h, 0, atol=1e-10)
    assert figure.captured == pytest.approx(captured(h, joint), rel=1e-9)
    assert figure.captured <= np.sum(figure.modes.sigma[:k] ** 2) * (1 + 1e-12)


def test_the_best_are_the_modes(figure: Selection) -> None:
    squares = figure.modes.sigma**2
    figure.move(1, 0)
    assert figure.captured == pytest.approx(squares[0])
    figure.k = 2
    figure.move(0, 0)
    assert figure.captured == pytest.approx(squares[0] + squares[1])


def test_answers_are_those_of_unit_vectors(joint: Joint, figure: Selection) -> None:
    """With four symbols of X, the three coordinates along the modes are all: dividing by σ gives back unit vectors."""
    unit = np.array(figure.data["answers"]) / figure.modes.sigma
    np.testing.assert_allclose(np.linalg.norm(unit, axis=1), 1, atol=2e-3)
    assert np.abs(unit.mean(axis=0)).max() < 0.15
    assert figure.data["all"] == pytest.approx(np.sum(dtm(joint) ** 2), rel=1e-5)
    assert figure.data["dimension"] == 3


def test_what_the_figure_cannot_show_is_refused(joint: Joint, figure: Selection) -> None:
    with pytest.raises(ValueError, match=r"Y has 3 symbols: .* at least four"):
        selection(Joint.from_counts(COUNTS[:, :3] + 1))
    for attributes in (0, 1001, 2.5):
        with pytest.raises(ValueError, match="between 1 and 1000"):
            selection(joint, attributes=attributes)  # type: ignore[arg-type]
    figure.move(0, 1)
    with pytest.raises(traitlets.TraitError, match=r"\(1, 1\) has length 1\.41"):
        figure.a = 1
    with pytest.raises(traitlets.TraitError):
        figure.k = 3
    assert (figure.a, figure.b, figure.k) == (0, 1, 1)


def test_html_holds_data_state_and_a_table(joint: Joint, figure: Selection) -> None:
    figure.move(-0.25, 0.5)
    html = figure.html()
    assert content(figure)["state"] == {"a": -0.25, "b": 0.5, "k": 1}
    assert content(figure)["data"]["y"]["labels"] == NAMES
    assert "<b>" not in html
    assert html.count('<th scope="row">') == 4
    assert len(html) < 60_000
    again = selection(joint)
    again.move(-0.25, 0.5)
    assert again._repr_mimebundle_()[0]["text/html"] == html


# ---- in a browser ----------------------------------------------------------------------------------------------------


def shows(text: str, *exact: float) -> bool:
    """Whether a text shows a number, or one between several: to half a unit of its last digit, and a page's data."""
    digits = len(text.rstrip("\u00a0%°").partition(".")[2])
    blur = 0.5 * 10.0**-digits + 2e-5 * np.abs(exact).max()
    return bool(min(exact) - blur <= number(text) <= max(exact) + blur)


def check(page: Any, figure: Selection, a: float, b: float, k: int, pixels: float = 0) -> None:
    """Compare everything the page shows with the direction (a, b), or one so many pixels beside, computed in Python."""
    figure.k = k
    best = np.sum(figure.modes.sigma[:k] ** 2)
    psi = np.sqrt(figure.joint.py)[:, None]
    reach = pixels / (on_disk(page, 1, 0)[0] - on_disk(page, 0, 0)[0])
    shown, bars, widths = [], [], []
    for x, y in {(a + dx, b + dy) for dx in (-reach, 0, reach) for dy in (-reach, 0, reach)}:
        figure.move(*np.array([x, y]) / max(1, np.hypot(x, y)))
        seen = np.array(figure.data["answers"]) @ (psi * figure.modes.g).T @ (psi * figure.features)
        drawn = 3 * np.mean(np.sum(seen**2, axis=1))
        shown.append((figure.captured, 100 * figure.captured / best, drawn))
        bars.append(figure.modes.g @ figure.direction)
        widths.append(figure.captured / figure.data["all"])
    for name, exact in zip(("captured", "share", "drawn"), zip(*shown, strict=True), strict=True):
        text = page.locator(f".ufs-{name}").inner_text()
        assert shows(text, *exact), (name, text, exact)
    texts = page.locator(".ufs-bars .ufs-value").all_inner_texts()
    for text, exact in zip(texts, np.transpose(bars), strict=True):
        assert shows(text, *exact), (text, exact)
    gauge, fill = (
        page.locator(f".ufs-plane {name}").last.bounding_box() for name in ("rect:not(.ufs-fill)", ".ufs-fill")
    )
    assert min(widths) - 0.01 < fill["width"] / gauge["width"] < max(widths) + 0.01


@pytest.mark.parametrize(
    ("text", "exact", "right"),
    [
        ("0.0405", (0.04052,), True),
        ("0.0405", (0.04058,), False),
        ("19.4\u00a0%", (19.44,), True),
        ("−1.07", (-1.05,), False),
        ("0.30", (0.28, 0.31), True),
        ("0.27", (0.28, 0.31), False),
    ],
)
def test_what_a_text_shows(text: str, exact: tuple[float, ...], right: bool) -> None:
    assert shows(text, *exact) == right


def test_keys_turn_the_direction(show: Show, figure: Selection) -> None:
    page = show(figure)
    handle = page.get_by_role("slider")
    check(page, figure, 0.4, 0.5, 1)
    handle.focus()
    keys(page, "Home")
    check(page, figure, 1, 0, 1)
    keys(page, *["ArrowRight"] * 6, *["ArrowDown"] * 4, "ArrowUp")
    check(page, figure, 0.7 * np.cos(np.pi / 6), 0.7 * np.sin(np.pi / 6), 1)
    assert handle.get_attribute("aria-valuetext") == "angle 30 degrees, distance 0.70 from the middle"
    keys(page, "End")
    check(page, figure, 0, 0, 1)
    keys(page, "ArrowUp", "ArrowLeft")  # the angle is kept
    check(page, figure, 0.1 * np.cos(np.radians(25)), 0.1 * np.sin(np.radians(25)), 1)
    wait_for_speech(page, "percent of the best")


def test_mouse_and_buttons_choose(show: Show, figure: Selection) -> None:
    page = show(figure)
    drag(page, on_disk(page, 0.4, 0.5), on_disk(page, -0.3, 0.2))
    check(page, figure, -0.3, 0.2, 1, pixels=1)
    page.get_by_role("button", name="two features").click()
    assert page.get_by_role("button", name="two features").get_attribute("aria-pressed") == "true"
    for name, point in {"mode 1": (1, 0), "mode 2": (0, 1), "mode 3": (0, 0)}.items():
        page.get_by_role("button", name=name).click()
        check(page, figure, *point, 2)
    page.get_by_role("button", name="Red").click()
    red = figure.modes.g[2] / np.linalg.norm(figure.modes.g[2])
    check(page, figure, *(red[:2] * np.sign(red[2])), 2)
    page.get_by_role("button", name="one feature").click()
    check(page, figure, *(red[:2] * np.sign(red[2])), 1)


def test_the_shadow_is_that_of_the_ellipsoid(show: Show, figure: Selection) -> None:
    """With mode 3 left out its semi-axes are σ₁ and σ₂, on a scale where the circle's radius is σ₁."""
    page = show(figure)
    page.get_by_role("button", name="two features").click()
    page.get_by_role("button", name="mode 3").click()
    circle, shadow = (page.locator(f".ufs-plane {name}").last.bounding_box() for name in (".ufs-unit", ".ufs-shadow"))
    sigma = figure.modes.sigma
    assert shadow["width"] / circle["width"] == pytest.approx(1, abs=0.03)
    assert shadow["height"] / circle["height"] == pytest.approx(sigma[1] / sigma[0], abs=0.03)
    assert page.locator(".ufs-answer").count() == 300


def test_a_finger_drags_the_point_on_a_narrow_screen(show: Show, figure: Selection) -> None:
    page = show(figure, **PHONE | {"viewport": {"width": 375, "height": 900}})
    assert_fits(page)
    page.touchscreen.tap(*on_disk(page, -0.5, 0.5))
    check(page, figure, -0.5, 0.5, 1, pixels=1)


def test_the_figure_is_accessible(show: Show, figure: Selection) -> None:
    page = show(figure)
    assert_accessible(page)


def test_without_scripts_the_table_stands(show: Show, figure: Selection) -> None:
    page = show(figure, java_script_enabled=False)
    assert page.get_by_role("row").count() == 5
    assert page.get_by_role("slider").count() == 0
