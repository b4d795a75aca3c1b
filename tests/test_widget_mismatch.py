"""The interactive figure of a feature at an angle to the question: its numbers, and how it behaves in a browser."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import traitlets
from figure_page import (
    PHONE,
    Show,
    assert_accessible,
    assert_fits,
    content,
    drag,
    keys,
    on_disk,
    output,
    press,
    texts,
    wait_for_speech,
)
from shown import all_show, shows

from ufs import chernoff_information, feature_exponent, local_exponent
from ufs.widgets import Mismatch, mismatch

P1, P2 = np.array([0.6, 0.3, 0.1]), np.array([0.3, 0.3, 0.4])
MIDDLE = (P1 + P2) / 2


@pytest.fixture(scope="module")
def figure() -> Mismatch:
    return mismatch(P1, P2, ["dark", "red", "<b>blond"])


@pytest.fixture(autouse=True)
def _reset(figure: Mismatch) -> None:
    figure.angle, figure.size = 50, 0


def pair(size: int) -> tuple[np.ndarray, np.ndarray]:
    half = (P1 - P2) / 2**size / 2
    return MIDDLE + half, MIDDLE - half


# ---- numbers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 2])
@pytest.mark.parametrize("angle", [0, 37, 90, 215])
def test_exponents_are_those_of_the_feature_shown(figure: Mismatch, size: int, angle: int) -> None:
    figure.size, figure.angle = size, angle
    h = figure.feature(angle)
    assert MIDDLE @ h == pytest.approx(0, abs=1e-12)
    assert MIDDLE @ h**2 == pytest.approx(1)
    xi, question = np.sqrt(MIDDLE) * h, (P1 - P2) / np.sqrt(MIDDLE)
    assert xi @ question / np.linalg.norm(question) == pytest.approx(np.cos(np.deg2rad(angle)), abs=1e-12)
    exact = feature_exponent(h, *pair(size))
    assert figure.exponent == pytest.approx(exact, abs=1e-12)
    assert figure.data["exact"][size][angle % 180] == pytest.approx(exact, rel=1e-5, abs=1e-9)
    assert figure.local == pytest.approx(local_exponent(h, *pair(size), MIDDLE), rel=1e-5, abs=1e-9)


def test_no_angle_beats_chernoff_information(figure: Mismatch) -> None:
    for size, (curve, best) in enumerate(zip(figure.data["exact"], figure.data["best"], strict=True)):
        assert best == pytest.approx(chernoff_information(*pair(size)), rel=1e-5)
        assert 0.998 * best < max(curve) <= best * (1 + 1e-5)


def test_what_the_figure_cannot_show_is_refused(figure: Mismatch) -> None:
    with pytest.raises(ValueError, match="4 symbols and 3 labels"):
        mismatch(np.full(4, 0.25), [0.1, 0.2, 0.3, 0.4])
    with pytest.raises(ValueError, match="same distribution"):
        mismatch(P1, P1)
    with pytest.raises(ValueError, match=r"p1\[0\] = 0"):
        mismatch([0, 0.5, 0.5], P2)
    with pytest.raises(traitlets.TraitError):
        figure.angle = 360


def test_html_holds_data_state_and_a_table(figure: Mismatch) -> None:
    figure.angle = 120
    html = figure.html()
    assert content(figure)["state"] == {"angle": 120, "size": 0}
    assert content(figure)["data"]["labels"] == ["dark", "red", "<b>blond"]
    assert "<b>" not in html
    assert html.count('<th scope="row">') == 12
    assert len(html) < 20_000
    assert mismatch(P1, P2, ["dark", "red", "<b>blond"])._repr_mimebundle_()[0]["text/html"] == html.replace(
        '"angle":120', '"angle":50'
    )


# ---- in a browser ----------------------------------------------------------------------------------------------------


def check(page: Any, size: int, angle: int) -> None:
    """Compare what the page shows with exponents that are computed here."""
    question = (P1 - P2) / np.sqrt(MIDDLE)
    question /= np.linalg.norm(question)
    across = np.cross(np.sqrt(MIDDLE), question)
    turn = np.deg2rad(angle)
    h = (np.cos(turn) * question + np.sin(turn) * across) / np.sqrt(MIDDLE)
    exact, best = feature_exponent(h, *pair(size)), chernoff_information(*pair(size))
    assert output(page, "angle") == f"{angle}°"
    text = output(page, "exact")
    shown, percent = re.findall(r"[\d.]+", text)
    assert text == f"{shown} ({percent}\u00a0% of the best)"
    assert shows(shown, exact)
    assert shows(percent, 100 * exact / best)
    local = output(page, "local")
    assert shows(local, local_exponent(h, *pair(size), MIDDLE))
    assert all_show(texts(page, ".ufs-value"), h)
    needed = output(page, "n")
    assert needed == (str(int(np.ceil(np.log(100) / exact))) if exact > 1e-3 * best else "too many")


def test_keys_turn_the_feature(show: Show, figure: Mismatch) -> None:
    page = show(figure)
    check(page, 0, 50)
    handle = page.get_by_role("slider")
    handle.focus()
    keys(page, *["ArrowRight"] * 3, "PageUp")
    check(page, 0, 63)
    assert handle.get_attribute("aria-valuenow") == "63"
    keys(page, "Home", "ArrowLeft")
    check(page, 0, 359)
    keys(page, "End")
    check(page, 0, 90)
    wait_for_speech(page, "At 90 degrees")


def test_mouse_and_buttons(show: Show, figure: Mismatch) -> None:
    page = show(figure)
    drag(page, on_disk(page, 0.64, 0.77), on_disk(page, -0.5, 0.5))
    check(page, 0, 135)
    page.get_by_role("button").nth(1).click()
    check(page, 1, 135)
    press(page, "turn to the best feature")
    check(page, 1, int(np.argmax(figure.data["exact"][1])))


def test_it_is_accessible_and_fits_a_phone(show: Show, figure: Mismatch) -> None:
    page = show(figure, **PHONE)
    assert_accessible(page)
    assert_fits(page)
    page.touchscreen.tap(*on_disk(page, 0, 0.8))
    check(page, 0, 90)


def test_without_scripts_the_table_stands(show: Show, figure: Mismatch) -> None:
    page = show(figure, java_script_enabled=False)
    assert page.get_by_role("row").count() == 13
