"""Interactive figures: their numbers, their HTML, and how they behave in a browser."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import traitlets
from figure_page import (
    EYES,
    HAIR,
    HOSTILE,
    PHONE,
    STATIC,
    Notebook,
    Show,
    assert_accessible,
    assert_fits,
    keys,
    numbers,
    on_disk,
    press,
    swipe,
    wait_for_speech,
)

from ufs import Joint
from ufs.widgets import Figure, Transport, transport
from ufs.widgets.figure import fallback_table


@pytest.fixture
def figure(eyes: Joint) -> Transport:
    return transport(eyes)


def parse(html: str) -> tuple[dict[str, Any], list[tuple[str, str]], list[str]]:
    """Return the JSON inside a figure's HTML, the (tag, text) pairs outside it, and all tags."""

    class Reader(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.tags: list[str] = []
            self.texts: list[tuple[str, str]] = []

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            self.tags.append(tag)

        def handle_data(self, data: str) -> None:
            if data.strip():
                self.texts.append((self.tags[-1], data))

    reader = Reader()
    reader.feed(html)
    (content,) = [text for tag, text in reader.texts if tag == "script"]
    return json.loads(content), [pair for pair in reader.texts if pair[0] != "script"], reader.tags


def two_modes(joint: Joint) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return σ (2,), f (|X|, 2), g (|Y|, 2) by a plain SVD, up to signs."""
    root_x, root_y = np.sqrt(joint.px), np.sqrt(joint.py)
    u, sigma, vt = np.linalg.svd(joint.P.T / np.outer(root_y, root_x) - np.outer(root_y, root_x))
    return sigma[:2], vt[:2].T / root_x[:, None], u[:, :2] / root_y[:, None]


# ---- numbers ---------------------------------------------------------------------------------------------------------


def test_data_are_the_two_modes(eyes: Joint, figure: Transport) -> None:
    content, _, _ = parse(figure.html())
    sigma, f, g = two_modes(eyes)
    data = content["data"]
    signs = np.sign(f[0] * data["x"]["modes"][0])
    np.testing.assert_allclose(data["sigma"], sigma, rtol=1e-5)
    np.testing.assert_allclose(data["x"]["modes"], signs * f, rtol=1e-5)
    np.testing.assert_allclose(data["y"]["modes"], signs * g, rtol=1e-5)
    np.testing.assert_allclose(data["sigma"], [0.456916, 0.149086], rtol=1e-5)
    assert (data["x"]["name"], data["x"]["labels"]) == ("Eye", EYES)
    assert (data["y"]["name"], data["y"]["labels"]) == ("Hair", HAIR)
    assert content["state"] == {"a": 0.6, "b": 0.6}
    assert data["eps"] == pytest.approx(figure.eps, rel=1e-5)


@pytest.mark.parametrize("angle", np.linspace(0, 2 * np.pi, 13))
def test_conditionals_are_those_of_a_markov_chain(eyes: Joint, figure: Transport, angle: float) -> None:
    figure.move(np.cos(angle), np.sin(angle))
    px, py = figure.px_given_v, figure.py_given_v
    assert px.min() > 0
    assert px.sum() == pytest.approx(1)
    np.testing.assert_allclose(py, px @ (eyes.P / eyes.px[:, None]), rtol=1e-12)
    tilt = (px - eyes.px) / (figure.eps * np.sqrt(eyes.px))
    assert np.linalg.norm(tilt) == pytest.approx(1)


def test_default_eps_changes_no_probability_by_more_than_half(eyes: Joint, figure: Transport) -> None:
    changes = []
    for angle in np.linspace(0, 2 * np.pi, 3601):
        figure.move(np.cos(angle), np.sin(angle))
        changes += [np.abs(figure.px_given_v / eyes.px - 1).max(), np.abs(figure.py_given_v / eyes.py - 1).max()]
    assert max(changes) == pytest.approx(0.5, rel=1e-5)


def test_eps_outside_its_range_is_refused(eyes: Joint, figure: Transport) -> None:
    limit = 2 * figure.eps
    assert transport(eyes, eps=0.999 * limit).eps == 0.999 * limit
    for eps in (0, -0.1, limit, 1.001 * limit, float("nan"), "a", 0.1j, [0.1]):
        with pytest.raises(ValueError, match=r"^eps = .* a number above 0 and below 0\.43.*Eye = 'Green'"):
            transport(eyes, eps=eps)


def test_only_a_joint_has_modes(eyes: Joint) -> None:
    with pytest.raises(ValueError, match=r"ndarray.* Joint"):
        transport(eyes.P)  # type: ignore[arg-type]


@pytest.mark.parametrize(("shape", "name"), [((2, 5), "X"), ((5, 2), "Y"), ((1, 4), "X")])
def test_a_single_mode_is_refused(shape: tuple[int, int], name: str) -> None:
    table = np.random.default_rng(0).uniform(1, 2, shape)
    with pytest.raises(ValueError, match=rf"{name} has \d symbols?: .* at least three"):
        transport(Joint.from_counts(table))


def test_point_stays_in_the_disk(figure: Transport) -> None:
    figure.move(1, 0)
    figure.move(0, 1)
    for bad in [(0.8, 0.8), (float("nan"), 0)]:
        with pytest.raises(traitlets.TraitError, match="at most 1"):
            figure.move(*bad)
        assert (figure.a, figure.b) == (0, 1)
    with pytest.raises(traitlets.TraitError, match=r"\(1, 1\) has length 1\.41"):
        figure.a = 1
    figure.b = -0.5
    assert (figure.a, figure.b) == (0, -0.5)
    figure.move(1 + 5e-10, 0)  # a point of the circle, up to rounding
    assert figure.a == 1 + 5e-10
    with pytest.raises(traitlets.TraitError, match="at most 1"):
        figure.move(1 + 1e-8, 0)


def test_a_figure_keeps_its_name(figure: Transport) -> None:
    with pytest.raises(traitlets.TraitError, match="read-only"):
        figure.figure = "selection"
    assert figure.figure == "transport"


# ---- HTML ------------------------------------------------------------------------------------------------------------


def test_bundle_serves_page_and_notebook(figure: Transport) -> None:
    bundle, _ = figure._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html", "application/vnd.jupyter.widget-view+json"}
    assert bundle["text/html"].startswith('<div class="ufs-figure" data-figure="transport">')
    assert bundle["text/plain"] == (
        "<Transport Eye → Hair: sigma = (0.457, 0.149), eps = 0.217, (a, b) = (0.600, 0.600)>"
    )


def test_bundle_is_the_same_in_every_run(eyes: Joint, figure: Transport) -> None:
    bundles = [widget._repr_mimebundle_()[0] for widget in (figure, transport(eyes))]
    for kind in ("text/html", "text/plain"):
        assert bundles[0][kind] == bundles[1][kind]
        assert figure.model_id not in bundles[0][kind]
    numbers = re.findall(r"-?\d+\.\d+(?:e-?\d+)?", bundles[0]["text/html"])
    assert len(numbers) > 16
    assert all(len(number.lstrip("-0.").replace(".", "")) <= 6 for number in numbers)


def test_rounding_errors_do_not_reach_the_html() -> None:
    symmetric = Joint([[0.20, 0.06, 0.04], [0.06, 0.20, 0.04], [0.04, 0.04, 0.32]])  # f₂ vanishes at the last symbol
    html = transport(symmetric).html()
    assert parse(html)[0]["data"]["x"]["modes"][2][1] == 0
    assert "-0.0]" not in html


def test_a_notebook_gets_the_digits_of_the_page(figure: Transport) -> None:
    assert figure.data == parse(figure.html())[0]["data"]
    assert figure.data["sigma"] == [float(f"{s:.6g}") for s in figure.modes.sigma]


def test_html_holds_no_number_that_json_has_not(figure: Transport) -> None:
    figure.data = {**figure.data, "eps": float("nan")}
    with pytest.raises(ValueError, match="not JSON compliant"):
        figure.html()


def test_a_space_can_be_seen(eyes: Joint) -> None:
    figure = transport(Joint(eyes.P, x_labels=[" ", *EYES[1:]], y_labels=[*HAIR[:-1], " "]))
    content, texts, _ = parse(figure.html())
    assert content["data"]["x"]["labels"] == ["␣", *EYES[1:]]
    assert content["data"]["y"]["labels"] == [*HAIR[:-1], "␣"]
    assert {"X = ␣", "Y = ␣"} <= {text for _, text in texts}


def test_html_shows_the_state_it_is_asked_for(figure: Transport) -> None:
    figure.move(-0.25, 0.5)
    assert parse(figure.html())[0]["state"] == {"a": -0.25, "b": 0.5}
    figure.move(1 / 3, 0)
    assert parse(figure.html())[0]["state"] == {"a": 0.333333, "b": 0}


def test_labels_are_text(eyes: Joint) -> None:
    labels = [HOSTILE, "<i>", "&lt;", "Green"]
    html = transport(Joint(eyes.P, x_labels=labels, y_labels=HAIR, x_name=HOSTILE, y_name="<h1>")).html()
    content, texts, tags = parse(html)
    assert content["data"]["x"]["labels"] == labels
    assert content["data"]["x"]["name"] == HOSTILE
    assert not {"b", "i", "h1"} & set(tags)
    assert tags.count("script") == 1
    text = "".join(text for _, text in texts)
    assert all(f"{HOSTILE} = {label}" in text for label in labels)


def test_fallback_is_a_table_of_the_modes(eyes: Joint, figure: Transport) -> None:
    _, texts, _ = parse(figure.html())
    cells = [float(text) for tag, text in texts if tag == "td"]
    expected = np.vstack([figure.modes.f, figure.modes.g])
    np.testing.assert_allclose(np.reshape(cells, (8, 2)), expected, atol=5.1e-4)
    rows = [text for tag, text in texts if tag == "th" and "=" in text]
    assert rows == [f"Eye = {eye}" for eye in EYES] + [f"Hair = {hair}" for hair in HAIR]
    (caption,) = [text for tag, text in texts if tag == "caption"]
    assert "along mode 1 reaches Hair with 0.457 of its length, along mode 2 with 0.149." in caption


def test_every_part_of_a_fallback_is_text() -> None:
    table = fallback_table("<i>caption", ["<b>head"], [["<u>row", "<s>cell", HOSTILE]])
    for part in ("<i>caption", "<b>head", "<u>row", "<s>cell", HOSTILE):
        assert part not in table
        assert escape(part) in table


# ---- packaging -------------------------------------------------------------------------------------------------------


def test_the_core_does_not_load_widgets() -> None:
    code = "import sys, ufs; print(sorted({'anywidget', 'ipywidgets', 'matplotlib', 'torch'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


@pytest.mark.parametrize("kind", Figure.__subclasses__())
def test_every_figure_has_its_script(kind: type[Figure]) -> None:
    name = kind.figure.default_value
    script = (STATIC / f"ufs-{name}.js").read_text(encoding="utf-8")
    assert f'register("{name}"' in script
    assert kind._esm.startswith((STATIC / "ufs-figures.js").read_text(encoding="utf-8"))
    assert script in kind._esm


def test_colours_are_those_of_the_plots() -> None:
    plot = pytest.importorskip("ufs.plot", reason="ufs.plot is needed to compare the colours")
    css = (STATIC / "ufs-figures.css").read_text(encoding="utf-8")
    assert f"--ufs-x-side: {plot.X_SIDE};" in css
    assert f"--ufs-y-side: {plot.Y_SIDE};" in css


def test_only_pages_with_a_figure_load_its_scripts(tmp_path: Path, figure: Transport) -> None:
    extensions = Path(__file__).parents[1] / "book" / "_ext"
    conf = f"import sys\nsys.path.insert(0, {str(extensions)!r})\nextensions = ['interactive']\n"
    (tmp_path / "conf.py").write_text(conf, encoding="utf-8")
    (tmp_path / "figure.html").write_text(figure.html(), encoding="utf-8")
    (tmp_path / "index.rst").write_text("Index\n=====\n\n.. toctree::\n\n   page\n", encoding="utf-8")
    (tmp_path / "page.rst").write_text("Page\n====\n\n.. raw:: html\n   :file: figure.html\n", encoding="utf-8")
    out = tmp_path / "out"
    build = [sys.executable, "-m", "sphinx", "-q", "-W", "-b", "html", str(tmp_path), str(out)]
    result = subprocess.run(build, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    page, index = ((out / name).read_text(encoding="utf-8") for name in ("page.html", "index.html"))
    assert re.findall(r"_static/(ufs-[a-z.-]+)", page) == ["ufs-figures.css", "ufs-figures.js", "ufs-transport.js"]
    assert "ufs-" not in index
    for name in ("ufs-figures.css", "ufs-figures.js", "ufs-transport.js"):
        assert (out / "_static" / name).read_bytes() == (STATIC / name).read_bytes()


# ---- in a browser ----------------------------------------------------------------------------------------------------


def bar_shares(page: Any, side: str) -> np.ndarray:
    """Return each bar's signed length as a share of half its track, from the boxes on the screen."""
    script = """bars => bars.map(bar => {
        const track = bar.parentElement.getBoundingClientRect(), box = bar.getBoundingClientRect();
        const middle = (track.left + track.right) / 2;
        const end = Math.abs(box.left - middle) > Math.abs(box.right - middle) ? box.left : box.right;
        return 2 * (end - middle) / track.width;
    })"""
    return np.array(page.locator(f".ufs-bars.ufs-{side} .ufs-bar").evaluate_all(script))


def check(page: Any, figure: Transport, a: float, b: float, tolerance: float = 0.051) -> None:
    """Compare everything the page shows with the point (a, b), computed by a plain SVD."""
    sigma, f, g = two_modes(figure.joint)
    signs = np.sign((f * figure.modes.f).sum(axis=0))
    expected = {"x": figure.eps * (signs * f) @ [a, b], "y": figure.eps * (signs * g) @ (sigma * [a, b])}
    reach = figure.eps * np.hypot(*f.T).max()
    for side, changes in expected.items():
        np.testing.assert_allclose(numbers(page, f".ufs-bars.ufs-{side} .ufs-value"), 100 * changes, atol=tolerance)
        np.testing.assert_allclose(bar_shares(page, side), changes / reach, atol=0.012)
    lengths = np.hypot(a, b), np.hypot(*(sigma * [a, b]))
    shown = [float(page.locator(f".ufs-{name}").inner_text()) for name in ("norm-x", "norm-y")]
    np.testing.assert_allclose(shown, lengths, atol=tolerance / 20)
    if lengths[0] > 0:
        kept = float(page.locator(".ufs-kept").inner_text())
        assert kept == pytest.approx(lengths[1] / lengths[0], abs=tolerance / 20)


def test_keys_turn_and_scale_the_tilt(show: Show, figure: Transport) -> None:
    page = show(figure)
    handle = page.get_by_role("slider")
    check(page, figure, 0.6, 0.6)
    page.keyboard.press("Tab")
    while not handle.evaluate("node => node === document.activeElement"):
        page.keyboard.press("Tab")
    assert handle.locator(".ufs-ring").evaluate("node => getComputedStyle(node).visibility") == "visible"
    keys(page, *["ArrowRight"] * 3, *["ArrowDown"] * 2)
    radius = np.hypot(0.6, 0.6) - 0.2
    check(page, figure, radius * np.cos(np.pi / 3), radius * np.sin(np.pi / 3))
    assert handle.get_attribute("aria-valuetext") == "angle 60 degrees, length 0.65"
    assert handle.get_attribute("aria-valuenow") == "60"
    keys(page, "Home")
    check(page, figure, 1, 0)
    keys(page, "ArrowLeft", "ArrowUp")  # not beyond the rim
    check(page, figure, np.cos(np.pi / 36), -np.sin(np.pi / 36))
    keys(page, *["ArrowDown"] * 12)
    check(page, figure, 0, 0)
    assert page.locator(".ufs-kept").inner_text() == "–"
    keys(page, "ArrowUp")  # the direction is kept
    check(page, figure, 0.1 * np.cos(np.pi / 36), -0.1 * np.sin(np.pi / 36))
    keys(page, "End")
    check(page, figure, 0, 1)
    wait_for_speech(page, "0.149 of the length")


def test_the_mouse_drags_the_tilt(show: Show, figure: Transport) -> None:
    page = show(figure)
    page.mouse.move(*on_disk(page, 0.6, 0.6))
    page.mouse.down()
    page.mouse.move(*on_disk(page, -0.3, 0.5), steps=5)
    check(page, figure, -0.3, 0.5, tolerance=0.15)
    page.mouse.move(*on_disk(page, -1.2, -1.6))  # outside: the nearest point of the disk
    check(page, figure, -0.6, -0.8, tolerance=0.15)
    page.mouse.up()
    page.mouse.move(*on_disk(page, 0.5, 0))
    check(page, figure, -0.6, -0.8, tolerance=0.15)
    page.mouse.click(*on_disk(page, 0.5, 0))
    check(page, figure, 0.5, 0, tolerance=0.15)


def test_the_answer_is_drawn_where_it_is(show: Show, figure: Transport) -> None:
    figure.move(0.6, -0.8)
    page = show(figure)
    names = (".ufs-unit", ".ufs-ellipse", ".ufs-point")
    boxes = {name: page.locator(f".ufs-plane.ufs-y {name}").bounding_box() for name in names}
    middle = {name: (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2) for name, box in boxes.items()}
    radius = boxes[".ufs-unit"]["width"] / 2
    sigma = figure.modes.sigma
    shown = [boxes[".ufs-ellipse"]["width"] / 2 / radius, boxes[".ufs-ellipse"]["height"] / 2 / radius]
    np.testing.assert_allclose(shown, sigma, atol=0.01)
    offset = np.subtract(middle[".ufs-point"], middle[".ufs-unit"]) / radius
    np.testing.assert_allclose(offset, [sigma[0] * 0.6, sigma[1] * 0.8], atol=0.01)  # down on the screen is +


def test_a_finger_drags_the_point_and_scrolls_elsewhere(show: Show, figure: Transport) -> None:
    page = show(figure, **PHONE)
    swipe(page, on_disk(page, 0.6, 0.6), on_disk(page, 0.2, -0.6))
    check(page, figure, 0.2, -0.6, tolerance=0.3)
    assert page.evaluate("scrollY") == 0
    page.touchscreen.tap(*on_disk(page, -0.5, 0.5))
    check(page, figure, -0.5, 0.5, tolerance=0.3)
    swipe(page, on_disk(page, 0.4, -0.8), on_disk(page, 0.4, 0.8))
    page.wait_for_function("scrollY > 50")
    check(page, figure, -0.5, 0.5, tolerance=0.3)


@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
def test_buttons_tilt_towards_modes_and_symbols(show: Show, figure: Transport, motion: str) -> None:
    page = show(figure, reduced_motion=motion)
    directions = {"mode 1": (1, 0), "mode 2": (0, 1)} | dict(zip(EYES, figure.modes.f, strict=True))
    for name, direction in directions.items():
        press(page, name)
        a, b = direction / np.linalg.norm(direction)
        if motion == "no-preference":
            degrees = round(np.degrees(np.arctan2(b, a))) % 360
            page.wait_for_selector(f'[aria-valuetext="angle {degrees} degrees, length 1.00"]')
            page.wait_for_timeout(100)
        check(page, figure, a, b)


def test_panels_stack_on_a_narrow_screen(show: Show, figure: Transport) -> None:
    for width, stacked in [(375, True), (732, False)]:
        page = show(figure, viewport={"width": width, "height": 700})
        x, y = (page.locator(f".ufs-plane.ufs-{side}").bounding_box() for side in "xy")
        assert (y["y"] >= x["y"] + x["height"]) == stacked
        assert_fits(page, width)


def test_the_figure_is_accessible(show: Show, figure: Transport) -> None:
    page = show(figure)
    assert page.get_by_role("slider").count() == 1
    assert_accessible(page)


def test_labels_are_text_in_the_page(show: Show, eyes: Joint) -> None:
    labels = [HOSTILE, "<i>", "&lt;", "Green"]
    page = show(transport(Joint(eyes.P, x_labels=labels, y_labels=HAIR, x_name="<u>Eye</u>", y_name="Hair")))
    assert page.locator(".ufs-bars.ufs-x .ufs-label").evaluate_all("nodes => nodes.map(n => n.textContent)") == labels
    assert page.locator(".ufs-plane.ufs-x .ufs-title").inner_text().startswith("<u>Eye</u> (X)")
    assert page.locator(".ufs-figure u, .ufs-figure [onclick]").count() == 0


def test_without_scripts_the_table_stands(show: Show, figure: Transport) -> None:
    page = show(figure, java_script_enabled=False)
    assert page.get_by_role("row").count() == 9
    assert page.get_by_role("slider").count() == 0


def test_a_notebook_shares_the_state(show: Show, figure: Transport) -> None:
    page = show(figure)
    figure.move(0, -1)
    notebook = Notebook(page, figure)
    check(page, figure, 0, -1)
    assert notebook.saved == []
    page.get_by_role("slider").press("ArrowUp")
    page.get_by_role("slider").press("Home")
    assert notebook.saved == [[0, -1], [1, 0]]
    notebook.set(a=-0.5, b=0.25)
    check(page, figure, -0.5, 0.25)
    notebook.close()
