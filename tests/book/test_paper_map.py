"""The paper map keeps what it promises: what is called done can be read, called and tested."""

import ast
import importlib
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from bookfiles import BOOK, CHAPTERS, PAGES, PROJECT, directives, notebook, texts
from bs4 import BeautifulSoup

MAP: dict[str, Any] = yaml.safe_load((BOOK / "paper-map.yml").read_text(encoding="utf-8"))
ROWS: list[dict[str, Any]] = MAP["rows"]
DONE = [row for row in ROWS if row["status"] == "done"]
LABELS = (
    [f"D{i}" for i in range(1, 10)] + [f"R{i}" for i in range(1, 17)] + ["R8′", "R13′"] + [f"X{i}" for i in range(1, 4)]
)
PLACES = {
    block.options["label"]: page
    for page in PAGES
    for text in texts(page)
    for block in directives(text)
    if "label" in block.options
}


def test_every_statement_has_one_row() -> None:
    assert sorted(row["label"] for row in ROWS) == sorted(LABELS)


def test_rows_are_whole() -> None:
    for row in ROWS:
        keys = {"label", "title", "chapter", "status"}
        if row["status"] == "done":
            keys |= {"stated_in", "functions", "tests"}
        assert keys <= row.keys() <= keys | ({"measured"} if row["status"] == "done" else set()), row
        assert row["status"] in ("done", "not yet written")
        assert row["chapter"] in MAP["chapters"]
        assert row["title"].strip()


def test_chapters_are_those_of_the_book() -> None:
    written = {notebook(page).metadata["ufs"]["chapter"]: page for page in CHAPTERS}
    assert {number: chapter["doc"] for number, chapter in MAP["chapters"].items() if chapter["doc"]} == written
    for number, page in written.items():
        title = texts(page)[0].splitlines()[0].removeprefix("# ")
        assert MAP["chapters"][number]["title"] == title


def test_something_is_done() -> None:
    assert {row["label"] for row in DONE} >= {"D6", "D7", "R5"}


def names_of_tests(path: Path) -> set[str]:
    """``test_f`` and ``TestC::test_f`` for each test of a file."""
    found = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.ClassDef):
            found |= {f"{node.name}::{method.name}" for method in node.body if isinstance(method, ast.FunctionDef)}
    return {name for name in found if name.split("::")[-1].startswith("test_")}


def marked(path: Path) -> set[tuple[str, str]]:
    """(label, name) for each ``@pytest.mark.result(label)`` of a file's tests."""
    tree, found = ast.parse(path.read_text(encoding="utf-8")), set()
    for owner in (tree, *(node for node in tree.body if isinstance(node, ast.ClassDef))):
        prefix = f"{owner.name}::" if isinstance(owner, ast.ClassDef) else ""
        for test in (node for node in owner.body if isinstance(node, ast.FunctionDef)):
            for mark in test.decorator_list:
                if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.result":
                    found |= {(ast.literal_eval(label), prefix + test.name) for label in mark.args}
    return found


def test_marks_are_read(tmp_path: Path) -> None:
    source = '@pytest.mark.result("R1", "R2")\ndef test_a(): ...\n\nclass TestB:\n    @pytest.mark.result("R3")\n'
    (tmp_path / "test_x.py").write_text(source + "    def test_c(self): ...\n\ndef test_d(): ...\n")
    assert marked(tmp_path / "test_x.py") == {("R1", "test_a"), ("R2", "test_a"), ("R3", "TestB::test_c")}


def test_the_map_and_the_tests_name_each_other() -> None:
    """What a row lists says of itself that it tests that result, and what says so is listed."""
    listed = {(row["label"], *test.split("::", 1)) for row in DONE for test in row["tests"]}
    files = {path.relative_to(PROJECT).as_posix(): path for path in (PROJECT / "tests").rglob("test_*.py")}
    said = {(label, name, test) for name, path in files.items() for label, test in marked(path)}
    assert not listed - said, "mark these with @pytest.mark.result(label)"
    assert not said - listed, "list these under `tests` of their row of book/paper-map.yml"


@pytest.mark.parametrize("row", DONE, ids=[row["label"] for row in DONE])
class TestDone:
    def test_is_stated_in_its_chapter(self, row: dict[str, Any]) -> None:
        page = MAP["chapters"][row["chapter"]]["doc"]
        assert row["stated_in"]
        for label in row["stated_in"]:
            assert PLACES.get(label) == page, f"{label} is not in {page}"

    def test_functions_exist_and_say_what_they_implement(self, row: dict[str, Any]) -> None:
        assert row["functions"]
        for name in row["functions"]:
            module, _, attribute = name.rpartition(".")
            function = getattr(importlib.import_module(module), attribute)
            assert callable(function), name
            named = re.findall(r"\w+′?", function.__doc__ or "")
            assert row["label"] in named, f"the docstring of {name} does not name {row['label']}"

    def test_tests_exist(self, row: dict[str, Any]) -> None:
        assert row["tests"]
        for test in row["tests"]:
            file, _, name = test.partition("::")
            assert name in names_of_tests(PROJECT / file), f"{test} does not exist"

    def test_links_of_the_page_lead_to_them(self, row: dict[str, Any], site: Path) -> None:
        page = site / "book/back/paper-map.html"
        table = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser").select_one(".ufs-paper-map table")
        assert table is not None
        cells = next(tr.find_all("td") for tr in table.select("tbody tr") if tr.td.get_text() == row["label"])
        targets = {link["href"].partition("#")[2] for cell in cells for link in cell.find_all("a")}
        assert set(row["stated_in"]) <= targets
        assert all(
            any(target.endswith("." + name.rpartition(".")[2]) for target in targets) for name in row["functions"]
        )
        assert len([link for link in cells[3].find_all("a") if f" {row['chapter']}." in link.get_text()]) == len(
            row["stated_in"]
        )

    def test_each_value_of_a_row_stands_in_its_row(self, row: dict[str, Any], site: Path) -> None:
        """An extension that leaves out a cell, or shifts one, leaves the rest as it was."""
        page = BeautifulSoup((site / "book/back/paper-map.html").read_text(encoding="utf-8"), "html.parser")
        (table,) = page.select(".ufs-paper-map table")
        header = [cell.get_text() for cell in table.select("thead th")]
        (tr,) = (tr for tr in table.select("tbody tr") if tr.td.get_text() == row["label"])
        cells = dict(zip(header, tr.find_all("td"), strict=True))
        assert cells["Statement"].get_text() == row["title"]
        assert cells["Chapter"].get_text().startswith(f"{row['chapter']}. ")
        assert len(cells["Stated in"].find_all("a")) == len(row["stated_in"])
        assert len(cells["Function"].find_all("a")) == len(row["functions"])
        assert [code.get_text() for code in cells["Test"].find_all("code")] == row["tests"]
        roles = re.findall(r"\{glue:text\}`[^`]+`", row.get("measured", ""))
        assert len(cells["Measured"].select("span.pasted-text")) == len(roles)
        words = re.sub(r"\{glue:text\}`[^`]+`|[^A-Za-z]", "", row.get("measured", ""))
        assert words == "" or words[:4] in re.sub(r"[^A-Za-z]", "", cells["Measured"].get_text())
