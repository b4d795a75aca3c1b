"""The interactive figure of a feature at an angle to the question: its numbers, and how it behaves in a browser."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import traitlets

from ufs import chernoff_information, feature_exponent, local_exponent
from ufs.widgets import Mismatch, mismatch

STATIC = Path(str(files("ufs"))) / "static"
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
    content = json.loads(re.search(r'<script type="application/json">(.*)</script>', html)[1])  # type: ignore[index]
    assert content["state"] == {"angle": 120, "size": 0}
    assert content["data"]["labels"] == ["dark", "red", "<b>blond"]
    assert "<b>" not in html
    assert html.count('<th scope="row">') == 12
    assert len(html) < 20_000
    assert mismatch(P1, P2, ["dark", "red", "<b>blond"])._repr_mimebundle_()[0]["text/html"] == html.replace(
        '"angle":120', '"angle":50'
    )


# ---- in a browser ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        message = f"none of {', '.join(names)} is on the path"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    from playwright.sync_api import sync_playwright

    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=flags)
        yield browser
        browser.close()


@pytest.fixture
def show(chromium: Any, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Open a figure in a page from the disk; at the end, nothing was logged and nothing fetched."""
    complaints: list[str] = []
    contexts = []

    def open_page(figure: Mismatch, theme: str = "light", **options: Any) -> Any:
        head = f'<link rel="stylesheet" href="{(STATIC / "ufs-figures.css").as_uri()}">' + "".join(
            f'<script defer src="{(STATIC / f"ufs-{name}.js").as_uri()}"></script>' for name in ("figures", "mismatch")
        )
        colours = "html[data-theme=dark] body { background: #14181e; color: #ced6dd }"
        path = tmp_path / "page.html"
        path.write_text(
            f'<!doctype html><html lang="en" data-theme="{theme}"><head><meta charset="utf-8"><title>A figure</title>'
            f'<meta name="viewport" content="width=device-width"><style>body {{ margin: 16px }} {colours}</style>{head}'
            f"</head><body><main><h1>A figure</h1>{figure.html()}</main></body></html>",
            encoding="utf-8",
        )
        context = chromium.new_context(
            **{"viewport": {"width": 732, "height": 900}, "reduced_motion": "reduce"} | options
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: request.url.startswith("file:") or complaints.append(request.url))
        page.goto(path.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


def check(page: Any, size: int, angle: int) -> None:
    """Compare what the page shows with exponents that are computed here."""
    question = (P1 - P2) / np.sqrt(MIDDLE)
    question /= np.linalg.norm(question)
    across = np.cross(np.sqrt(MIDDLE), question)
    turn = np.deg2rad(angle)
    h = (np.cos(turn) * question + np.sin(turn) * across) / np.sqrt(MIDDLE)
    exact, best = feature_exponent(h, *pair(size)), chernoff_information(*pair(size))
    assert page.locator(".ufs-out-angle").inner_text() == f"{angle}°"
    text = page.locator(".ufs-out-exact").inner_text()
    shown, percent = re.findall(r"[\d.]+", text)
    assert text == f"{shown} ({percent}\u00a0% of the best)"
    assert float(shown) == pytest.approx(exact, abs=6e-6)
    assert float(percent) == pytest.approx(100 * exact / best, abs=0.51)
    local = float(page.locator(".ufs-out-local").inner_text())
    assert local == pytest.approx(local_exponent(h, *pair(size), MIDDLE), abs=6e-6)
    values = [float(text.replace("−", "-")) for text in page.locator(".ufs-value").all_inner_texts()]
    np.testing.assert_allclose(values, h, atol=0.0051)
    needed = page.locator(".ufs-out-n").inner_text()
    assert needed == (str(int(np.ceil(np.log(100) / exact))) if exact > 1e-3 * best else "too many")


def test_keys_turn_the_feature(show: Callable[..., Any], figure: Mismatch) -> None:
    page = show(figure)
    check(page, 0, 50)
    handle = page.get_by_role("slider")
    handle.focus()
    for key in ["ArrowRight"] * 3 + ["PageUp"]:
        page.keyboard.press(key)
    check(page, 0, 63)
    assert handle.get_attribute("aria-valuenow") == "63"
    page.keyboard.press("Home")
    page.keyboard.press("ArrowLeft")
    check(page, 0, 359)
    page.keyboard.press("End")
    check(page, 0, 90)
    page.wait_for_function("document.querySelector('.ufs-aloud').textContent.startsWith('At 90 degrees')")


def test_mouse_and_buttons(show: Callable[..., Any], figure: Mismatch) -> None:
    page = show(figure)
    circle = page.locator(".ufs-plane.ufs-x .ufs-unit").bounding_box()
    x, y, r = circle["x"] + circle["width"] / 2, circle["y"] + circle["height"] / 2, circle["width"] / 2
    page.mouse.move(x + 0.64 * r, y - 0.77 * r)
    page.mouse.down()
    page.mouse.move(x - 0.5 * r, y - 0.5 * r, steps=4)
    page.mouse.up()
    check(page, 0, 135)
    page.get_by_role("button").nth(1).click()
    check(page, 1, 135)
    page.get_by_role("button", name="turn to the best feature").click()
    check(page, 1, int(np.argmax(figure.data["exact"][1])))


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_is_accessible_and_fits_a_phone(show: Callable[..., Any], figure: Mismatch, theme: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page = show(figure, theme=theme, viewport={"width": 375, "height": 700}, has_touch=True, is_mobile=True)
    found = Axe().run(page, options={"preload": False}).response["violations"]
    assert [(rule["id"], rule["nodes"]) for rule in found if rule["impact"] in ("critical", "serious")] == []
    assert page.evaluate("document.documentElement.scrollWidth") == 375
    circle = page.locator(".ufs-plane.ufs-x .ufs-unit").bounding_box()
    page.touchscreen.tap(circle["x"] + circle["width"] / 2, circle["y"] + 0.1 * circle["height"])
    check(page, 0, 90)


def test_without_scripts_the_table_stands(show: Callable[..., Any], figure: Mismatch) -> None:
    page = show(figure, java_script_enabled=False)
    assert page.get_by_role("row").count() == 13
