"""The built pages, read back: nothing comes from another host, every link arrives, numbers go by chapter."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from bookfiles import CHAPTERS, NOTEBOOKS, PAGES, directives, notebook, texts
from bs4 import BeautifulSoup, Tag

# Attributes that a browser follows by itself, while it shows a page (<base>: all others start from it).
# An <a href> waits to be clicked.
LOADS = {
    "audio": "src", "base": "href", "embed": "src", "iframe": "src", "image": "href", "img": "src", "input": "src",
    "object": "data", "script": "src", "source": "src", "track": "src", "use": "href", "video": "src",
}  # fmt: skip
LINKS_THAT_LOAD = {
    "stylesheet",
    "icon",
    "preload",
    "modulepreload",
    "prefetch",
    "preconnect",
    "dns-prefetch",
    "manifest",
}
OTHER_HOST = re.compile(r"^\s*(?:[a-z][a-z0-9+.-]*:)?//", re.IGNORECASE)
IN_STYLE = re.compile(r"""(?:url\(|@import\s(?!\s*url))\s*['"]?([^'")\s;]+)""")
IN_SCRIPT = re.compile(
    r"""(?:fetch|import|importScripts|XMLHttpRequest|Worker|EventSource|WebSocket|\.src\s*=|\.open|requirejs?)\W{1,12}['"`]((?:https?|wss?):)?//"""
)
IN_IMPORT_MAP = re.compile(r':\s*"([^"]+)"')


@cache
def soup(path: Path) -> BeautifulSoup:
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


def files(site: Path, suffix: str) -> list[Path]:
    return [path for path in sorted(site.rglob(f"*{suffix}")) if "_sources" not in path.parts]


def pages(site: Path) -> list[Path]:
    """Pages for readers: not the theme's template for its own scripts."""
    return [path for path in files(site, ".html") if "_static" not in path.relative_to(site).parts]


def requests(html: BeautifulSoup) -> Iterator[str]:
    """What a browser asks for by itself when it shows a page."""
    for name, attribute in LOADS.items():
        for tag in html.find_all(name):
            yield from (str(tag[key]) for key in (attribute, f"xlink:{attribute}") if tag.get(key))
    for tag in html.find_all("video", poster=True):
        yield str(tag["poster"])
    for key in ("srcset", "imagesrcset"):
        for tag in html.find_all(attrs={key: True}):
            yield from (part.split()[0] for part in str(tag[key]).split(",") if part.strip())
    for tag in html.find_all("link", href=True):
        if LINKS_THAT_LOAD & set(tag.get("rel") or []):
            yield str(tag["href"])
    for tag in html.find_all("script", type="importmap"):
        yield from IN_IMPORT_MAP.findall(tag.get_text())
    for tag in html.find_all("iframe", srcdoc=True):
        yield from requests(BeautifulSoup(str(tag["srcdoc"]), "html.parser"))
    for tag in html.find_all("style"):
        yield from IN_STYLE.findall(tag.get_text())
    for tag in html.find_all(style=True):
        yield from IN_STYLE.findall(str(tag["style"]))
    for tag in html.find_all("meta", attrs={"http-equiv": re.compile("refresh", re.IGNORECASE)}):
        yield from re.findall(r"url=(\S+)", str(tag["content"]), re.IGNORECASE)


def foreign(html: BeautifulSoup) -> list[str]:
    scripts = [match[0] for tag in html.find_all("script", src=False) for match in IN_SCRIPT.finditer(tag.get_text())]
    return [request for request in requests(html) if OTHER_HOST.match(request)] + scripts


@pytest.mark.parametrize(
    "tag",
    [
        '<script src="https://cdn.example.org/a.js"></script>',
        '<script>const s = document.createElement("script"); s.src = "https://cdn.example.org/a.js"</script>',
        '<script>fetch("https://example.org/data.json")</script>',
        '<script type="module">import "https://cdn.example.org/a.js"</script>',
        '<link rel="stylesheet" href="//fonts.example.org/css">',
        '<link rel="preconnect" href="https://fonts.example.org">',
        '<img src="https://example.org/a.png" alt="">',
        '<img srcset="a.png 1x, https://example.org/b.png 2x" alt="">',
        '<link rel="preload" as="image" imagesrcset="https://example.org/b.png 2x">',
        '<video src="a.mp4" poster="https://example.org/a.png"></video>',
        '<base href="https://example.org/">',
        '<script type="importmap">{"imports": {"a": "https://cdn.example.org/a.js"}}</script>',
        '<iframe src="https://example.org/"></iframe>',
        "<iframe srcdoc=\"<img src='https://example.org/a.png'>\"></iframe>",
        '<style>@import "https://example.org/a.css";</style>',
        "<style>@import url(https://example.org/a.css);</style>",
        '<p style="background: url(https://example.org/a.png)"></p>',
        '<svg><image xlink:href="https://example.org/a.png"/></svg>',
    ],
)
def test_a_request_to_another_host_is_seen(tag: str) -> None:
    assert foreign(BeautifulSoup(tag, "html.parser"))


def test_a_link_to_another_host_is_no_request() -> None:
    assert not foreign(
        BeautifulSoup('<a href="https://doi.org/10.3390/e24010135">paper</a><img src="data:," alt="">', "html.parser")
    )


def describes(alt: str) -> bool:
    """Whether an alt text says what is seen: where there is none, a page may show the picture's path instead."""
    return len(alt) >= 20 and len(alt.split()) >= 4


@pytest.mark.parametrize(
    "alt", ["", " ", "A plot.", "_images/remainder-against-epsilon.png", "Remainder-against-epsilon plot"]
)
def test_a_path_or_a_word_is_no_alt_text(alt: str) -> None:
    assert not describes(alt)


def test_pages_ask_nothing_of_another_host(site: Path) -> None:
    assert len(pages(site)) > len(PAGES)
    found = {path.relative_to(site).as_posix(): requested for path in pages(site) if (requested := foreign(soup(path)))}
    assert not found


def test_style_sheets_ask_nothing_of_another_host(site: Path) -> None:
    sheets = files(site, ".css")
    assert sheets
    found = [
        (path.name, url)
        for path in sheets
        for url in IN_STYLE.findall(path.read_text(encoding="utf-8"))
        if OTHER_HOST.match(url)
    ]
    assert not found


def test_scripts_of_pages_are_there(site: Path) -> None:
    for path in pages(site):
        for request in requests(soup(path)):
            if not request.startswith(("data:", "#")):
                assert (path.parent / unquote(urlsplit(request).path)).exists(), f"{path.name}: {request}"


@pytest.mark.parametrize("page", PAGES)
class TestPage:
    def test_serves_its_own_mathjax(self, page: str, site: Path) -> None:
        html = soup(site / f"{page}.html")
        scripts = [str(tag["src"]) for tag in html.find_all("script", src=re.compile("mathjax"))]
        assert scripts or not html.select(".math")
        for script in scripts:
            assert ((site / f"{page}.html").parent / urlsplit(script).path).is_file()

    def test_holds_no_widget_state(self, page: str, site: Path) -> None:
        html = (site / f"{page}.html").read_text(encoding="utf-8")
        assert "application/vnd.jupyter.widget" not in html
        assert "require.js" not in html
        assert "thebe" not in html.lower()

    def test_pictures_have_alt_text(self, page: str, site: Path) -> None:
        pictures = soup(site / f"{page}.html").find_all("img")
        assert not [str(tag)[:120] for tag in pictures if not describes(str(tag.get("alt", "")))]

    def test_has_its_own_title_and_language(self, page: str, site: Path) -> None:
        html = soup(site / f"{page}.html")
        assert html.html is not None
        assert html.html["lang"] == "en"
        headings = [heading.get_text().removesuffix("#").strip() for heading in html.select("article h1")]
        assert len(headings) == 1
        assert html.title is not None
        about = notebook(page).metadata["ufs"] if page in NOTEBOOKS else {}
        assert html.title.get_text().startswith(about.get("title", headings[0]))

    def test_says_its_version(self, page: str, site: Path) -> None:
        if page in CHAPTERS:
            line = soup(site / f"{page}.html").select_one("h1 + p.ufs-version")
            assert line is not None
            assert line.get_text().startswith(f"Version {notebook(page).metadata['ufs']['version']} · ")

    def test_ids_are_unique(self, page: str, site: Path) -> None:
        article = soup(site / f"{page}.html").article
        assert article is not None
        ids = [tag["id"] for tag in article.find_all(id=True)]
        assert len(ids) == len(set(ids)), {name for name in ids if ids.count(name) > 1}

    def test_shows_no_unresolved_source(self, page: str, site: Path) -> None:
        article = soup(site / f"{page}.html").article
        assert article is not None
        text = " ".join(
            tag for tag in article.find_all(string=True) if tag.parent.name not in ("code", "pre", "span", "script")
        )
        assert not re.findall(r"\{[\w:]+\}`|:::|\[\[|\?\?", text)


def test_titles_tell_pages_apart(site: Path) -> None:
    titles = [soup(site / f"{page}.html").head.title.get_text().split(" — ") for page in PAGES]
    assert {book for _, book in titles} == {"Universal Features"}
    assert len({own for own, _ in titles} - {"Universal Features"}) == len(PAGES)


def links(path: Path) -> Iterator[tuple[str, Tag]]:
    for tag in soup(path).select("a[href], link[rel=next], link[rel=prev]"):
        href = str(tag["href"])
        if not urlsplit(href).scheme and not OTHER_HOST.match(href):
            yield href, tag


@pytest.mark.parametrize("page", PAGES)
def test_links_within_the_book_arrive(page: str, site: Path) -> None:
    start = site / f"{page}.html"
    for href, tag in links(start):
        target, _, anchor = href.partition("#")
        arrived = (start.parent / unquote(urlsplit(target).path)).resolve() if target else start
        assert arrived.is_file(), f"{href} of {tag}"
        assert arrived.is_relative_to(site.resolve()), href
        if anchor and arrived.suffix == ".html":
            assert soup(arrived).find(id=unquote(anchor)), f"{href} of {tag}: no such place"


@pytest.mark.parametrize("page", CHAPTERS)
class TestNumbers:
    """Chapter 3 has Theorem 3.2, Figure 3.1 and equation (3.1), whether or not chapters 1 and 2 are written."""

    def test_chapter_and_sections(self, page: str, site: Path) -> None:
        html, number = soup(site / f"{page}.html"), notebook(page).metadata["ufs"]["chapter"]
        assert html.select("article h1")[0].get_text().startswith(f"{number}. ")
        sections = [heading.get_text() for heading in html.select("article h2")]
        assert sections
        assert [heading.split()[0] for heading in sections] == [f"{number}.{i}." for i in range(1, len(sections) + 1)]
        entry = html.select_one("nav.bd-links li.current > a")
        assert entry is not None
        assert entry.get_text().strip().startswith(f"{number}. ")

    def test_results_share_one_count(self, page: str, site: Path) -> None:
        html, number = soup(site / f"{page}.html"), notebook(page).metadata["ufs"]["chapter"]
        shown = [
            title.get_text().strip() for title in html.select("div.proof > p.admonition-title > span.caption-number")
        ]
        written = [
            block.name.removeprefix("prf:").title()
            for block in directives("\n\n".join(texts(page)))
            if block.name.startswith("prf:") and block.name != "prf:proof"
        ]
        assert shown == [f"{kind} {number}.{i}" for i, kind in enumerate(written, start=1)]

    def test_equations_figures_and_exercises(self, page: str, site: Path) -> None:
        html, number = soup(site / f"{page}.html"), notebook(page).metadata["ufs"]["chapter"]
        for selector, form in [
            ("span.eqno", rf"\({number}\.\d+\)"),
            ("figcaption span.caption-number", rf"Fig\. {number}\.\d+"),
            ("div.exercise > p.admonition-title", rf"Exercise {number}\.\d+ .*"),
        ]:
            found = [tag.get_text().removesuffix("#").strip() for tag in html.select(selector)]
            assert found, selector
            assert all(re.fullmatch(form, text) for text in found), found

    def test_references_show_the_number_of_what_they_lead_to(self, page: str, site: Path) -> None:
        for path in (site / f"{other}.html" for other in PAGES):
            for href, tag in links(path):
                name = re.fullmatch(
                    r"(Definition|Theorem|Proposition|Lemma|Corollary|Example|Remark) [\dA-Z]+\.\d+",
                    tag.get_text().strip(),
                )
                if name:
                    target, _, anchor = href.partition("#")
                    place = soup((path.parent / target).resolve() if target else path).find(id=anchor)
                    assert isinstance(place, Tag)
                    assert place.get_text().strip().startswith(name[0]), (
                        f"{tag} leads to {place.get_text().strip()[:40]}"
                    )


@pytest.mark.parametrize("page", PAGES)
def test_every_glued_value_arrives(page: str, site: Path) -> None:
    """As many values on the built page as its source has roles."""
    roles = [match[1] for text in texts(page) for match in re.finditer(r"\{glue:text\}`([^`]+)`", text)]
    article = soup(site / f"{page}.html").article
    assert article is not None
    shown = [
        span.get_text() for span in article.select("span.pasted-text") if not span.find_parent(class_="ufs-paper-map")
    ]
    assert len(shown) == len(roles), f"{len(roles)} glued values in the source, {len(shown)} on the page"
    assert all(text.strip() for text in shown)
