"""The local Sphinx extensions, on a small book of their own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from bookfiles import CONFIG, PROJECT
from bs4 import BeautifulSoup

CHAPTER = """\
---
ufs: {{chapter: {number}, version: "1.2.3", date: "2026-03-01"}}
---
# {title}

## First

:::{{prf:definition}} One
:label: def-{label}
$$a = b$$ (eq-{label})
:::

:::{{prf:theorem}} Two
:label: thm-{label}
See {{prf:ref}}`def-{label}` and {{eq}}`eq-{label}`.
:::

:::{{prf:proof}}
Plain.
:::
"""
PAGES = {
    "index": "---\nufs: {title: What it is about}\n---\n# Start\n\n"
    "{prf:ref}`thm-seven` {prf:ref}`thm-nine` {prf:ref}`thm-annex` {cite:t}`huang2019universal`\n",
    "seven": CHAPTER.format(number=7, title="Late", label="seven"),
    "nine": CHAPTER.format(number=9, title="Later", label="nine"),
    "annex": CHAPTER.format(number="A", title="Annex", label="annex"),
    "references": "# References\n\nThe letter ($p$) is the length, $q$-dimensional or not, of $r$, which $s$.\n\n"
    "All that is cited stands here, by author and by year {cite}`huang2019universal`. For all $n$ of them.\n\n"
    "```{bibliography}\n```\n",
}
TOC = {
    "format": "jb-book",
    "root": "index",
    "parts": [
        {"caption": "One", "numbered": True, "chapters": [{"file": "seven"}]},
        {"caption": "Two", "numbered": True, "chapters": [{"file": "nine"}, {"file": "annex"}]},
        {"caption": "End", "chapters": [{"file": "references"}]},
    ],
}


def make(folder: Path, pages: dict[str, str] = PAGES) -> None:
    for name, text in pages.items():
        (folder / f"{name}.md").write_text(text, encoding="utf-8")
    (folder / "_toc.yml").write_text(yaml.safe_dump(TOC))
    (folder / "_config.yml").write_text(yaml.safe_dump(CONFIG, allow_unicode=True), encoding="utf-8")
    for name in ("_ext", "_static", "references.bib", "paper-map.yml"):
        source = PROJECT / "book" / name
        target = folder / "book" / name
        target.parent.mkdir(exist_ok=True)
        shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)


def build(folder: Path, **addresses: str) -> subprocess.CompletedProcess[str]:
    """The strict build of `make book`."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("BOOK_")} | addresses
    program = Path(sys.executable).with_name("jupyter-book")
    command = [program, "build", "-W", "-n", "--keep-going", "--all", "."]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def page(folder: Path, name: str) -> BeautifulSoup:
    return BeautifulSoup((folder / "_build" / "html" / f"{name}.html").read_text(encoding="utf-8"), "html.parser")


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plain")
    make(folder)
    run = build(folder)
    assert run.returncode == 0, run.stdout + run.stderr
    return folder


@pytest.fixture(scope="module")
def addressed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("addressed")
    make(folder)
    run = build(folder, BOOK_URL="https://book.example.org/uf", BOOK_REPOSITORY="https://github.com/example/uf")
    assert run.returncode == 0, run.stdout + run.stderr
    return folder


@pytest.mark.parametrize(("name", "number"), [("seven", "7"), ("nine", "9"), ("annex", "A")])
def test_numbers_come_from_the_page(name: str, number: str, plain: Path) -> None:
    html = page(plain, name)
    assert html.select("article h1")[0].get_text().startswith(f"{number}. ")
    assert html.select("article h2")[0].get_text().startswith(f"{number}.1. ")
    boxes = [" ".join(title.get_text().split()) for title in html.select("div.proof > p.admonition-title")]
    assert boxes == [f"Definition {number}.1 (One)", f"Theorem {number}.2 (Two)"]
    assert html.select("span.eqno")[0].get_text().startswith(f"({number}.1)")
    links = [link.get_text() for link in html.select("div.theorem a.reference")]
    assert links == [f"Definition {number}.1", f"({number}.1)"]


def test_numbers_are_the_same_elsewhere(plain: Path) -> None:
    html = page(plain, "index")
    assert [link.get_text() for link in html.select("article a.reference.internal")][:3] == [
        "Theorem 7.2",
        "Theorem 9.2",
        "Theorem A.2",
    ]
    shown = [link.get_text().strip() for link in html.select("nav.bd-links li a")]
    assert [text for text in shown if "Late" in text or "Annex" in text] == ["7. Late", "9. Later", "A. Annex"]


def test_a_chapter_without_a_number_fails_the_build(tmp_path: Path) -> None:
    make(tmp_path, PAGES | {"nine": PAGES["nine"].replace("chapter: 9, ", "")})
    run = build(tmp_path)
    assert run.returncode != 0
    assert "nine stands in a numbered part: give it a number" in run.stdout + run.stderr


def test_a_broken_reference_fails_the_build(tmp_path: Path) -> None:
    make(tmp_path, PAGES | {"index": "# Start\n\n{prf:ref}`thm-nowhere`\n"})
    run = build(tmp_path)
    assert run.returncode != 0
    assert "thm-nowhere" in run.stdout + run.stderr


def test_version_stands_under_the_title(plain: Path) -> None:
    line = page(plain, "seven").select_one("h1 + p.ufs-version")
    assert line is not None
    assert line.get_text() == "Version 1.2.3 · 1 March 2026"
    assert not page(plain, "index").select(".ufs-version")


def test_proofs_open_with_a_word_set_apart(plain: Path) -> None:
    assert [word.get_text() for word in page(plain, "seven").select("div.proof > p > .ufs-proof-word")] == ["Proof. "]


def test_bibliography_is_a_list_of_items(plain: Path) -> None:
    entries = page(plain, "references").select('[role="list"] > *')
    assert entries
    assert {entry["role"] for entry in entries} == {"listitem"}


def test_a_formula_keeps_the_marks_that_touch_it(plain: Path) -> None:
    units = [unit.get_text() for unit in page(plain, "references").select("article .ufs-together")]
    assert units == [r"(\(p\))", r"\(q\)-dimensional", r"\(r\),", r"\(s\)."]


def test_a_page_describes_itself_in_its_first_sentence_without_a_formula(plain: Path, addressed: Path) -> None:
    for folder in (plain, addressed):
        found = page(folder, "references").select('meta[name="description"]')
        assert [tag["content"] for tag in found] == ["All that is cited stands here, by author and by year."]


def test_a_page_named_like_the_book_has_another_title(plain: Path) -> None:
    titles = [page(plain, name).select("title")[0].get_text().split(" — ")[0] for name in ("index", "references")]
    assert titles == ["What it is about", "References"]


def test_without_addresses_nothing_names_one(plain: Path) -> None:
    html = page(plain, "seven")
    assert not html.select('link[rel="canonical"], meta[property^="og:"]')
    assert not html.select(".dropdown-launch-buttons, .dropdown-source-buttons")
    assert not (plain / "_build/html/sitemap.xml").exists()


def test_addresses_bring_what_needs_them(addressed: Path) -> None:
    html = page(addressed, "seven")
    canonical, title = html.select_one('link[rel="canonical"]'), html.select_one('meta[property="og:site_name"]')
    assert canonical is not None
    assert canonical["href"] == "https://book.example.org/uf/seven.html"
    assert title is not None
    assert title["content"] == "Universal Features"
    assert "https://book.example.org/uf/seven.html" in (addressed / "_build/html/sitemap.xml").read_text()
    links = [link["href"] for link in html.select("a[href]")]
    assert any(link.startswith("https://github.com/example/uf/issues/new") for link in links)
    assert "https://github.com/example/uf" in links
