"""Interactive figures in a browser: what the tests of all figures share.

Its fixtures are registered in conftest.py.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pytest

from ufs import Joint

if TYPE_CHECKING:
    from ufs.widgets import Figure

Show: TypeAlias = Callable[..., Any]  # show(figure, **options of the browser's context) -> page

STATIC = Path(str(files("ufs"))) / "static"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
PHONE = {"viewport": {"width": 375, "height": 700}, "has_touch": True, "is_mobile": True}
HOSTILE = "</script><b onclick=\"alert('x')\">&amp;\u2028é"

EYES = ["Brown", "Blue", "Hazel", "Green"]
HAIR = ["Black", "Brown", "Red", "Blond"]
COUNTS = np.array([[68, 119, 26, 7], [20, 84, 17, 94], [15, 54, 14, 10], [5, 29, 14, 16]])


@pytest.fixture
def eyes() -> Joint:
    """The colours of eyes and hair of 592 students."""
    return Joint.from_counts(COUNTS, x_labels=EYES, y_labels=HAIR, x_name="Eye", y_name="Hair")


@pytest.fixture
def many() -> Joint:
    """A table with as many symbols as figures of small tables have room for."""
    table = np.random.default_rng(2).gamma(0.5, size=(20, 15)) + 0.01
    return Joint.from_counts(table, x_labels=[chr(97 + i) for i in range(20)], y_labels=[str(i) for i in range(15)])


def content(figure: Figure) -> dict[str, Any]:
    """Return the data and the state inside a figure's HTML."""
    found = re.findall(r'<script type="application/json">(.*?)</script>', figure.html(), re.DOTALL)
    assert len(found) == 1
    return json.loads(found[0])


def assert_hostile_text_is_text(figure: Figure) -> None:
    """HOSTILE is among the data, and nothing in the figure's HTML is an element because of it."""
    data, rest = figure.html().split("</script>")
    assert json.dumps(HOSTILE)[1:-1].replace("<", "\\u003c") in data
    assert "<b onclick" not in rest


# ---- the page --------------------------------------------------------------------------------------------------------


# One for all tests of a process: a thread can have only one Playwright.
@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A browser. Where there is none its tests are left out, except where CI=true: there they fail."""
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        message = f"none of {', '.join(BROWSERS)} is on the path"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


def document(figure: Figure) -> str:
    """Return a page that holds a figure, and room to scroll."""
    scripts = "".join(
        f'<script defer src="{(STATIC / f"ufs-{name}.js").as_uri()}"></script>' for name in ("figures", figure.figure)
    )
    return (
        '<!doctype html><html lang="en" data-theme="light"><head><meta charset="utf-8"><title>A figure</title>'
        '<meta name="viewport" content="width=device-width"><style>body { margin: 16px } '
        "html[data-theme=dark] body { background: #14181e; color: #ced6dd }</style>"
        f'<link rel="stylesheet" href="{(STATIC / "ufs-figures.css").as_uri()}">{scripts}</head><body><main>'
        f"<h1>A figure</h1>{figure._repr_mimebundle_()[0]['text/html']}"
        '<div style="height: 1000px"></div></main></body></html>'
    )


class Pages:
    """The pages of a browser, one for each set of options: a test has it after another, and loads its own document."""

    def __init__(self, browser: Any) -> None:
        self.browser = browser
        self.pages: dict[str, Any] = {}
        self.complaints: list[str] = []  # what was logged, and what was fetched from elsewhere

    def page(self, **options: Any) -> Any:
        key = json.dumps(options, sort_keys=True)
        if key not in self.pages:
            page = self.pages[key] = self.browser.new_context(**options).new_page()
            page.on("console", lambda message: self.complaints.append(message.text))
            page.on("pageerror", lambda error: self.complaints.append(str(error)))
            page.on("request", self.note)
        return self.pages[key]

    def note(self, request: Any) -> None:
        if not request.url.startswith(("file:", "blob:")):
            self.complaints.append(request.url)


@pytest.fixture(scope="module")
def pages(chromium: Any) -> Pages:
    """The pages that the tests of a module use, one test after the other."""
    return Pages(chromium)


@pytest.fixture
def show(pages: Pages, tmp_path: Path) -> Iterator[Show]:
    """Open a figure in a page from the disk; at the end, nothing was logged and nothing fetched."""

    def open_page(figure: Figure, **options: Any) -> Any:
        path = tmp_path / "page.html"
        path.write_text(document(figure), encoding="utf-8")
        page = pages.page(**{"viewport": {"width": 732, "height": 900}, "reduced_motion": "reduce"} | options)
        page.mouse.move(0, 0)
        page.goto(path.as_uri())
        return page

    yield open_page
    for page in pages.pages.values():
        page.evaluate("0")  # what is still on its way arrives before the answer
    complaints, pages.complaints = pages.complaints, []
    assert complaints == [], f"logged, or fetched from elsewhere: {complaints}"


# ---- what a page shows -----------------------------------------------------------------------------------------------


def number(text: str) -> float:
    """Read a number as a figure writes it: with a minus sign, a percent or degree sign, a space that does not break."""
    return float(text.replace("−", "-").rstrip("\u00a0%°"))


def numbers(page: Any, selector: str) -> np.ndarray:
    """Return the number that each element shows."""
    return np.array([number(text) for text in page.locator(selector).all_inner_texts()])


def texts(page: Any, selector: str) -> list[str]:
    """Return the text of each element."""
    return page.locator(selector).all_inner_texts()


def reading(page: Any, name: str) -> float:
    """Return the number in the text of the first element of class ufs-name."""
    return float(re.sub(r"[^\d.-]", "", page.locator(f".ufs-{name}").inner_text().replace("−", "-")))


def output(page: Any, name: str) -> str:
    """Return what the figure writes into the place of this name."""
    return page.locator(f".ufs-out-{name}").inner_text()


def centre(mark: Any) -> tuple[float, float]:
    """Return where the middle of an element is on the screen."""
    box = mark.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def boxes(rectangles: Any) -> list[list[float]]:
    """Return x, y, width and height of each rectangle, in the drawing's units."""
    return rectangles.evaluate_all(
        "nodes => nodes.map(n => ['x', 'y', 'width', 'height'].map(key => Number(n.getAttribute(key))))"
    )


def on_disk(page: Any, a: float, b: float) -> tuple[float, float]:
    """Return where the point (a, b) of the first disk is on the screen."""
    script = """(circle, [a, b]) => {
        const [cx, cy, r] = ["cx", "cy", "r"].map(name => Number(circle.getAttribute(name)));
        const point = new DOMPoint(cx + r * a, cy - r * b).matrixTransform(circle.getScreenCTM());
        return [point.x, point.y];
    }"""
    return tuple(page.locator(".ufs-unit").first.evaluate(script, [a, b]))


def wait_for_speech(page: Any, text: str) -> None:
    """Wait until the figure says a text to those who do not see it."""
    page.wait_for_function(
        "text => document.querySelector('.ufs-aloud[aria-live]').textContent.includes(text)", arg=text
    )


def assert_fits(page: Any, width: int = 375) -> None:
    """Nothing is wider than the screen."""
    found = page.evaluate("document.documentElement.scrollWidth")
    assert found == width, f"{found} pixels on a screen of {width}"


def assert_accessible(page: Any) -> None:
    """Axe finds nothing serious, neither on a light page nor on a dark one."""
    from axe_playwright_python.sync_playwright import Axe

    for theme in ("light", "dark"):
        page.evaluate("theme => { document.documentElement.dataset.theme = theme }", theme)
        found = Axe().run(page, options={"preload": False}).response["violations"]
        serious = [(rule["id"], rule["nodes"]) for rule in found if rule["impact"] in ("critical", "serious")]
        assert serious == [], f"on a {theme} page: {serious}"


# ---- what a reader does ----------------------------------------------------------------------------------------------


def press(page: Any, name: str) -> None:
    """Press the button of this name."""
    page.get_by_role("button", name=name, exact=True).click()


def keys(page: Any, *names: str) -> None:
    """Press keys, one after the other."""
    for name in names:
        page.keyboard.press(name)


def drag(page: Any, *spots: tuple[float, float], steps: int = 4) -> None:
    """Press the mouse button at the first spot, go through the others, and let go."""
    page.mouse.move(*spots[0])
    page.mouse.down()
    for spot in spots[1:]:
        page.mouse.move(*spot, steps=steps)
    page.mouse.up()


def swipe(page: Any, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Move a finger over the screen."""
    session = page.context.new_cdp_session(page)
    for step in np.linspace(0, 1, 8):
        x, y = np.add(start, step * np.subtract(end, start))
        kind = "touchMove" if step else "touchStart"
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    session.detach()


# ---- in a notebook ---------------------------------------------------------------------------------------------------


class Notebook:
    """A figure as a notebook shows it, as a widget on a stand-in for its model.

    Parameters
    ----------
    page
        An open page, whose own figure is replaced.
    figure
        Its state is the model's at first.
    """

    def __init__(self, page: Any, figure: Figure) -> None:
        self.page, self.names = page, list(figure._state)
        state = {name: getattr(figure, name) for name in ("figure", "data", *self.names)}
        page.evaluate(
            """async ([source, state, names]) => {
                const listeners = {};
                window.saved = [];
                window.model = {
                    get: key => state[key],
                    set(key, value) { state[key] = value; (listeners[`change:${key}`] ?? []).forEach(f => f()); },
                    save_changes() { window.saved.push(names.map(name => state[name])); },
                    on(event, f) { (listeners[event] ??= []).push(f); },
                    off(event, f) { listeners[event] = listeners[event].filter(g => g !== f); },
                    count: () => Object.values(listeners).flat().length,
                };
                const el = document.createElement("div");
                document.querySelector(".ufs-figure").replaceWith(el);
                const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
                window.close_figure = (await import(url)).default.render({ model: window.model, el });
            }""",
            [figure._esm, state, self.names],
        )

    @property
    def saved(self) -> list[list[Any]]:
        """The states that the figure sent to Python, each as the values of the names in the figure's order."""
        return self.page.evaluate("saved")

    def set(self, **changes: Any) -> None:
        """Set part of the state, as Python does; nothing of it is sent back."""
        before = self.saved
        self.page.evaluate(
            "changes => Object.entries(changes).forEach(([name, value]) => model.set(name, value))", changes
        )
        assert self.saved == before, f"sent back: {self.saved}"

    def close(self) -> None:
        """Close the figure; it then listens to nothing."""
        assert self.page.evaluate("model.count()") > 0
        self.page.evaluate("close_figure()")
        assert self.page.evaluate("model.count()") == 0
