"""Captions speak of lines as they are drawn: a style that a caption or an alternative text names is in the drawing."""

import copy
import re
from collections.abc import Iterator

import pytest
from bookfiles import NOTEBOOKS, notebook
from nbformat import NotebookNode

# Matplotlib's own patterns, in units of the line's width: dashed 3.7 on and 1.6 off, dotted 1 on and 1.65 off.
STYLES = {"dashed": 3.7 / 1.6, "dotted": 1 / 1.65}


def figures(page: str) -> Iterator[tuple[int, NotebookNode]]:
    """Cells of a page that draw a figure with a caption, by number."""
    for i, cell in enumerate(notebook(page).cells):
        if cell.cell_type == "code" and "figure" in cell.metadata.get("mystnb", {}):
            yield i, cell


def words(cell: NotebookNode) -> set[str]:
    about = cell.metadata["mystnb"]
    text = " ".join([about["figure"].get("caption", ""), about.get("image", {}).get("alt", "")])
    return {style for style in STYLES if re.search(rf"\b{style}\b", text, re.IGNORECASE)}


def drawn(svg: str) -> set[str]:
    patterns = [
        [float(x) for x in re.split(r"[ ,]+", found)] for found in re.findall(r"stroke-dasharray: ([\d., ]+)", svg)
    ]
    ratios = [on / off for on, off in (pattern for pattern in patterns if len(pattern) == 2)]
    return {style for style, ratio in STYLES.items() if any(abs(found / ratio - 1) < 0.05 for found in ratios)}


def unseen(cell: NotebookNode) -> set[str]:
    """Styles that the words name and the drawing lacks."""
    drawings = [output.data["image/svg+xml"] for output in cell.outputs if "image/svg+xml" in output.get("data", {})]
    return words(cell) - set().union(*map(drawn, drawings)) if drawings else set()


@pytest.mark.parametrize("page", NOTEBOOKS)
def test_styles_that_are_named_are_drawn(page: str) -> None:
    for i, cell in figures(page):
        assert not unseen(cell), f"cell {i}: no line is {' or '.join(unseen(cell))}, as its caption says"


def test_some_captions_name_styles() -> None:
    assert sum(bool(words(cell)) for page in NOTEBOOKS for _, cell in figures(page)) > 5


def test_a_line_drawn_otherwise_is_noticed() -> None:
    cells = (cell for page in NOTEBOOKS for _, cell in figures(page))
    cell = copy.deepcopy(next(cell for cell in cells if "dashed" in words(cell) and not unseen(cell)))
    output = next(output for output in cell.outputs if "image/svg+xml" in output.get("data", {}))
    output.data["image/svg+xml"] = re.sub(r"stroke-dasharray: [\d., ]+;?", "", output.data["image/svg+xml"])
    assert "dashed" in unseen(cell)
