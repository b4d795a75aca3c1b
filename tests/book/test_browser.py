"""Every page in a real browser, on a wide screen and on a telephone, light and dark."""

import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from bookfiles import CHAPTERS, PAGES
from playwright.sync_api import Browser, Locator, Page, Response

# The theme and sphinx-togglebutton announce themselves.
HARMLESS = ("[PST]:", "[togglebutton]:")

# What is wider than the page, and stands in nothing that scrolls or hides it on purpose.
OVERFLOW = """() => {
  const wide = [];
  for (const element of document.querySelectorAll('article *')) {
    const box = element.getBoundingClientRect();
    if (box.width === 0 || box.height === 0 || box.right <= innerWidth + 1) continue;
    let holder = element.parentElement, held = false;
    for (; holder && holder.tagName !== 'ARTICLE'; holder = holder.parentElement) {
      const style = getComputedStyle(holder);
      if (style.overflowX !== 'visible' || style.position === 'fixed') { held = true; break; }
    }
    if (!held && !element.closest('mjx-assistive-mml')) wide.push(element.outerHTML.slice(0, 160));
  }
  return wide;
}"""

# For axe, which looks at every element and at what is drawn behind it: of the inside of a formula, which is MathJax's,
# one letter, and of the tokens of code, which are coloured by their kind, the first of each kind.
THINNED = """() => {
  for (const formula of document.querySelectorAll('mjx-container')) formula.replaceChildren('x');
  const seen = new Set();
  for (const token of document.querySelectorAll('div.highlight span')) {
    if (seen.has(token.className)) token.replaceWith(token.textContent);
    seen.add(token.className);
  }
}"""


@pytest.fixture(scope="session")
def address(site: Path) -> Iterator[str]:
    """The built book, served on this machine at a free port."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=site)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(autouse=True)
def closed(chromium: Browser) -> Iterator[None]:
    """Leave no page open behind a test."""
    yield
    for context in chromium.contexts:
        context.close()


class Visit:
    """One page, open, with all that it asked for and complained of on the way."""

    def __init__(self, chromium: Browser, url: str, width: int, scheme: Any) -> None:
        self.page: Page = chromium.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.said.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.said.append(f"error: {error}"))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("response", self.note)
        self.page.goto(url)
        self.page.wait_for_load_state("networkidle")
        self.page.wait_for_function("!window.MathJax?.startup?.promise || MathJax.startup.promise.then(() => true)")

    def note(self, response: Response) -> None:
        if response.status >= 400:
            self.said.append(f"{response.status}: {response.url}")


@pytest.fixture(params=PAGES)
def url(request: pytest.FixtureRequest, address: str) -> str:
    return f"{address}{request.param}.html"


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (375, "dark")])
def test_page_is_quiet_self_contained_fits_and_is_accessible(
    url: str, width: int, scheme: str, chromium: Browser, address: str
) -> None:
    visit = Visit(chromium, url, width, scheme)
    page = visit.page
    assert not [line for line in visit.said if not any(word in line for word in HARMLESS)]
    assert not [request for request in visit.asked if not request.startswith((address, "data:", "blob:"))]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert not page.evaluate(OVERFLOW)
    formulas = page.locator("span.math, div.math")
    assert page.locator("mjx-container").count() >= formulas.count()
    assert page.locator("mjx-merror, [data-mjx-error]").count() == 0
    assert page.locator("mjx-container:not(:has(mjx-assistive-mml math))").count() == 0  # what a screen reader reads
    assert page.evaluate("document.documentElement.dataset.theme") == scheme
    page.evaluate(
        "document.querySelectorAll('details').forEach(fold => { fold.open = true })"
    )  # read what is folded too
    page.evaluate("Promise.all(document.getAnimations().map(fading => fading.finished))")
    page.evaluate(THINNED)
    violations = [rule for rule in Axe().run(page).response["violations"] if rule["impact"] in ("critical", "serious")]
    assert not violations, "\n".join(
        f"{rule['id']}: {[node['html'][:200] for node in rule['nodes']]}" for rule in violations
    )


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_drawings_are_legible_on_a_dark_page(chapter: str, chromium: Browser, address: str) -> None:
    """Drawings are made for a light page on a transparent ground; a dark page turns them over."""
    page = Visit(chromium, f"{address}{chapter}.html", 1280, "dark").page
    pictures = page.locator("div.cell_output img")
    assert pictures.count()
    for picture in pictures.all():
        style = picture.evaluate("image => { const s = getComputedStyle(image); return [s.filter, s.backgroundColor] }")
        assert style == ["invert(1) hue-rotate(180deg)", "rgba(0, 0, 0, 0)"]


def assert_answers(page: Page, figure: Locator) -> None:
    """An interactive figure changes when its first control is worked by the keyboard, and again by the mouse."""
    figure.scroll_into_view_if_needed()
    sliders = figure.locator('[role="slider"], input[type="range"]')
    slides = sliders.count() > 0
    control = (sliders if slides else figure.get_by_role("button", disabled=False)).first
    control.focus()
    before = figure.text_content()
    for key in ("ArrowRight", "ArrowLeft") if slides else ("Enter",):  # a slider may stand at one of its ends
        if figure.text_content() == before:
            page.keyboard.press(key)
    by_key = figure.text_content()
    assert by_key != before
    box = control.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    if slides:
        page.mouse.move(x - 40, y + 25, steps=4)
    page.mouse.up()
    assert figure.text_content() != by_key


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_folds_open_and_figures_answer(chapter: str, chromium: Browser, address: str) -> None:
    page = Visit(chromium, f"{address}{chapter}.html", 1280, "light").page
    figures = page.locator("div.ufs-figure").all()
    assert figures
    for figure in figures:
        assert_answers(page, figure)
    proof = page.locator("details.sd-dropdown").first
    assert not proof.locator("div.proof").is_visible()
    proof.locator("summary").click()
    assert proof.locator("div.proof").is_visible()
    solution = page.locator("div.solution.dropdown").first
    hidden = solution.locator("section p, section div.cell").first
    assert not hidden.is_visible()
    solution.locator("button.toggle-button").click()
    assert hidden.is_visible()


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_wide_drawings_keep_a_legible_size_on_a_telephone(chapter: str, chromium: Browser, address: str) -> None:
    """They scroll in a box that the keyboard reaches, and the caption does not scroll with them."""
    page = Visit(chromium, f"{address}{chapter}.html", 375, "light").page
    page.evaluate("document.querySelectorAll('details').forEach(fold => { fold.open = true })")
    boxes = page.locator(".ufs-drawing:visible")
    assert boxes.count()
    for box in boxes.all():
        width, shown, room, content = box.evaluate(
            "box => [box.firstElementChild.naturalWidth, box.firstElementChild.clientWidth, box.clientWidth, "
            "box.scrollWidth]"
        )
        assert shown >= (0.74 * width if width > 602 else min(width, room) - 1)
        assert (content > room + 1) == (box.get_attribute("tabindex") == "0") == (width > 602)
    page.set_viewport_size({"width": 1280, "height": 900})
    page.wait_for_function("!document.querySelector('.ufs-drawing[tabindex]')")


def test_paper_is_light_and_unfolded(chromium: Browser, address: str) -> None:
    page = Visit(chromium, f"{address}{CHAPTERS[0]}.html", 1280, "dark").page
    folds = page.locator("article details.sd-dropdown")
    assert page.locator("article details.sd-dropdown[open]").count() == 0
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("article details.sd-dropdown[open]").count() == folds.count() > 0
    assert page.evaluate("document.documentElement.dataset.theme") == "light"
    page.emulate_media(media="print")
    assert page.locator("h1:visible").all_inner_texts() == [page.title().split(" — ")[0]]
    page.emulate_media(media="screen")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("article details.sd-dropdown[open]").count() == 0
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
