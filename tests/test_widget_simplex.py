"""The interactive simplex: its numbers, its HTML, and how it behaves in a browser."""

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

import ufs
from ufs.widgets import Simplex, simplex

STATIC = Path(str(files("ufs"))) / "static"
P0, P1, P2 = [0.5, 0.25, 0.25], [0.6, 0.2, 0.2], [0.4, 0.25, 0.35]
HOSTILE = "</script><b onclick=\"alert('x')\">&amp;"


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
    content = json.loads(re.search(r"<script[^>]*>(.*?)</script>", html)[1])
    assert content["state"] == {"p1": P1, "p2": [0.3, 0.3, 0.4]}
    assert content["data"] == {
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
    html = simplex(P0, P1, P2, labels=[HOSTILE, "b", "c"], names=[HOSTILE, ""]).html()
    assert "<b onclick" not in html
    assert html.count("<script") == html.count("</script>") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"p0": [0.5, 0.5]}, r"p0 has shape \(2,\): the figure shows distributions on three"),
        ({"p1": [0.5, 0.5, 0.5]}, r"p sums to 1\.5"),
        ({"p2": [0.5, 0.5, 0]}, r"p2 has a probability below 0\.001"),
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


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None:
        if os.environ.get("CI") == "true":
            pytest.fail("no Chromium is on the path")
        pytest.skip("no Chromium is on the path")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=path, args=flags)
        yield browser
        browser.close()


@pytest.fixture
def show(chromium: Any, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Open a figure in a page from the disk; at the end, nothing was logged."""
    complaints: list[str] = []
    contexts = []

    def open_page(figure: Simplex, **options: Any) -> Any:
        head = f'<link rel="stylesheet" href="{(STATIC / "ufs-figures.css").as_uri()}">' + "".join(
            f'<script defer src="{(STATIC / f"ufs-{name}.js").as_uri()}"></script>' for name in ("figures", "simplex")
        )
        path = tmp_path / "page.html"
        path.write_text(
            '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>A figure</title><meta name="viewport" '
            f'content="width=device-width">{head}</head><body><main><h1>A figure</h1>{figure.html()}</main>'
            '<div style="height: 1000px"></div></body></html>',
            encoding="utf-8",
        )
        options = {"viewport": {"width": 732, "height": 900}, "reduced_motion": "reduce"} | options
        context = chromium.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(path.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


def shown(page: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return P₁ and P₂ as rows, and the information vectors, from the table in the page."""
    text = page.locator(".ufs-figure table td").all_inner_texts()
    numbers = np.array([float(cell.replace("−", "-")) for cell in text]).reshape(3, 5)
    return numbers[:, 1:3].T, numbers[:, 3:].T


def reading(page: Any, name: str) -> float:
    text = page.locator(f".ufs-{name}").inner_text()
    return float(re.sub(r"[^\d.-]", "", text.replace("−", "-")))


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


def test_it_opens_with_the_exact_numbers(show: Callable[..., Any], figure: Simplex) -> None:
    page = show(figure)
    check(page, figure, P1, P2)
    assert reading(page, "error") == pytest.approx(100 * (figure.local / figure.divergence - 1), abs=0.06)
    first, second = figure.phi
    angle = np.degrees(np.arccos(first @ second / np.linalg.norm(first) / np.linalg.norm(second)))
    assert reading(page, "angle") == round(angle)
    page.wait_for_function("document.querySelector('.ufs-aloud[aria-live]').textContent.includes('nats')")


def test_keys_move_each_point(show: Callable[..., Any], figure: Simplex) -> None:
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
    for _ in range(60):
        page.keyboard.press("ArrowRight")
    points, _ = shown(page)
    assert points.min() >= 0.001  # the edge is never reached
    assert second.get_attribute("aria-valuetext") == f"dark 0.001, red {points[1, 1]:.3f}, blond {points[1, 2]:.3f}"


def test_the_mouse_drags_each_point(show: Callable[..., Any], figure: Simplex) -> None:
    page = show(figure)
    ends = {0: [0.2, 0.5, 0.3], 1: [0.7, 0.2, 0.1]}
    for i, start in ((0, P1), (1, P2)):
        page.mouse.move(*screen(page, start))
        page.mouse.down()
        page.mouse.move(*screen(page, ends[i]), steps=4)
        page.mouse.up()
    page.mouse.move(10, 10)
    check(page, figure, ends[0], ends[1], atol=5e-3)
    page.mouse.move(*screen(page, ends[0]))
    page.mouse.down()
    page.mouse.move(*screen(page, [0.6, 0.6, -0.2]))  # outside: the nearest point of the triangle
    page.mouse.up()
    check(page, figure, [0.5, 0.499, 0.001], ends[1], atol=5e-3)


def test_a_finger_drags_and_taps(show: Callable[..., Any], figure: Simplex) -> None:
    page = show(figure, viewport={"width": 375, "height": 700}, has_touch=True, is_mobile=True)
    assert page.evaluate("document.documentElement.scrollWidth") == 375
    session = page.context.new_cdp_session(page)
    start, end = np.array(screen(page, P1)), np.array(screen(page, [0.3, 0.4, 0.3]))
    for step in np.linspace(0, 1, 6):
        x, y = start + step * (end - start)
        kind = "touchMove" if step else "touchStart"
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    check(page, figure, [0.3, 0.4, 0.3], P2, atol=1e-2)
    assert page.evaluate("scrollY") == 0
    page.touchscreen.tap(*screen(page, [0.1, 0.1, 0.8]))
    check(page, figure, [0.3, 0.4, 0.3], [0.1, 0.1, 0.8], atol=1e-2)


def test_buttons_move_both_points(show: Callable[..., Any], figure: Simplex) -> None:
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
        page.get_by_role("button", name=name, exact=True).click()
        check(page, figure, *points)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_figure_is_accessible(show: Callable[..., Any], figure: Simplex, theme: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page = show(figure)
    colour = {"light": "#fff", "dark": "#14181e"}[theme]
    page.evaluate(f"document.documentElement.dataset.theme = '{theme}'; document.body.style.background = '{colour}'")
    if theme == "dark":
        page.evaluate("document.body.style.color = '#ced6dd'")
    found = Axe().run(page, options={"preload": False}).response["violations"]
    assert [(rule["id"], rule["nodes"]) for rule in found if rule["impact"] in ("critical", "serious")] == []


def test_a_notebook_shares_the_state(show: Callable[..., Any], figure: Simplex) -> None:
    page = show(figure)
    page.evaluate(
        """async ([source, state]) => {
            const listeners = {};
            window.saved = 0;
            window.model = {
                get: key => state[key],
                set(key, value) { state[key] = value; (listeners[`change:${key}`] ?? []).forEach(f => f()); },
                save_changes() { window.saved += 1; },
                on(event, f) { (listeners[event] ??= []).push(f); },
                off(event, f) { listeners[event] = listeners[event].filter(g => g !== f); },
            };
            const el = document.createElement("div");
            document.querySelector(".ufs-figure").replaceWith(el);
            const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
            (await import(url)).default.render({ model: window.model, el });
        }""",
        [figure._esm, {"figure": figure.figure, "data": figure.data, "p1": P1, "p2": P2}],
    )
    check(page, figure, P1, P2)
    page.get_by_role("slider").first.press("ArrowRight")
    sent = page.evaluate("[saved, model.get('p1'), model.get('p2')]")
    assert sent[0] == 1
    np.testing.assert_allclose(sent[1:], [np.add(P1, [-0.02, 0.02, 0]), P2], atol=1e-9)
    figure.p1 = sent[1]  # what a page sends is accepted
    page.evaluate("model.set('p2', [0.2, 0.3, 0.5])")
    check(page, figure, np.add(P1, [-0.02, 0.02, 0]), [0.2, 0.3, 0.5])
