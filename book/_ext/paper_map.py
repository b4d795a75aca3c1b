"""``{paper-map}``: the table of book/paper-map.yml.

Each row leads from a statement of the paper to the place where the book states it, its function and its test.
"""

import importlib
from functools import reduce
from pathlib import Path
from typing import Any

import yaml
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

DATA = Path(__file__).parents[1] / "paper-map.yml"
HEADER = ("Label", "Statement", "Chapter", "Stated in", "Function", "Measured", "Test")


def load(path: Path = DATA) -> dict[str, Any]:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def resolve(function: str) -> Any:
    """The object behind a public dotted name. ``ufs.dtm`` is a function and a module; the name means the function."""
    package, *names = function.split(".")
    return reduce(member, names, importlib.import_module(package))


def member(owner: Any, name: str) -> Any:
    """An attribute of a module or class, or a submodule that nobody has imported yet."""
    return getattr(owner, name) if hasattr(owner, name) else importlib.import_module(f"{owner.__name__}.{name}")


def function_link(function: str) -> str:
    target = resolve(function)
    return f"{{py:obj}}`{function} <{target.__module__}.{target.__qualname__}>`"


def cells(row: dict[str, Any], chapters: dict[int, dict[str, str | None]]) -> tuple[str, ...]:
    chapter = chapters[row["chapter"]]
    title = f"{row['chapter']}. {chapter['title']}"
    if row["status"] != "done":
        return row["label"], row["title"], title, "not yet written", "", "", ""
    return (
        row["label"],
        row["title"],
        f"{{doc}}`{title} </{chapter['doc']}>`",
        ", ".join(f"{{prf:ref}}`{label}`" for label in row["stated_in"]),
        ", ".join(map(function_link, row["functions"])),
        row.get("measured", ""),
        ", ".join(f"`{test}`" for test in row["tests"]),
    )


class PaperMap(SphinxDirective):
    def run(self) -> list[nodes.Node]:
        self.env.note_dependency(str(DATA))
        data = load()
        table = [HEADER, *(cells(row, data["chapters"]) for row in data["rows"])]
        columns = [column for column in zip(*table, strict=True) if any(column[1:])]
        lines = ["| " + " | ".join(row) + " |" for row in zip(*columns, strict=True)]
        lines.insert(1, "|" + "---|" * len(columns))
        container = nodes.container(classes=["ufs-paper-map"])
        self.state.nested_parse(StringList(lines, source=str(DATA)), self.content_offset, container)
        return [container]


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("paper-map", PaperMap)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
