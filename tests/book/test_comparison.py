"""nbval with book/conftest.py: round-off passes, and nothing else does."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode

Edit = Callable[[NotebookNode], object]

NUMBERS = "import numpy as np\nnp.array([0.1234567890123, 2.5])"
SENTENCE = "print('12 modes, the largest 0.204, remainder 3.1e-16')"
TABLE = "import pandas as pd\npd.DataFrame({'rate': [0.25, 0.75]}, index=['left', 'right'])"
DRAWING = """\
import matplotlib.pyplot as plt
from IPython.display import SVG
from io import StringIO
plt.rcParams["svg.hashsalt"] = "fixed"
figure, axes = plt.subplots(figsize=(3, 2))
axes.plot([0, 1, 2], [0, 0.7, 0.3], color="#1f5f99", marker="o")
axes.set_xlabel("label")
drawing = StringIO()
figure.savefig(drawing, format="svg", metadata={"Date": None})
plt.close(figure)
SVG(drawing.getvalue())"""
GLUE = "from myst_nb import glue\nglue('key', 0.456916, display=False)"
PNG = "from IPython.display import Image\nImage(b'pixels', format='png', width=300)"


def replace(old: str, new: str) -> Edit:
    """Alter the stored outputs of a cell as text."""

    def edit(cell: NotebookNode) -> None:
        texts = [output.get("data", output) for output in cell.outputs]
        keys = [(text, key) for text in texts for key, value in text.items() if isinstance(value, str) and old in value]
        assert keys, f"{old!r} is not in {texts}"
        for text, key in keys:
            text[key] = text[key].replace(old, new)

    return edit


def add_output(cell: NotebookNode) -> None:
    cell.outputs.append(nbformat.v4.new_output("display_data", {"text/plain": "one more"}))


def glue_elsewhere(cell: NotebookNode) -> None:
    cell.outputs[0].metadata.scrapbook.name = "another key"


def draw_elsewhere(cell: NotebookNode) -> None:
    cell.outputs[0].data["image/png"] = "b3RoZXI="
    cell.outputs[0].metadata["image/png"].width = 301


def never_run(cell: NotebookNode) -> None:
    cell.update(outputs=[], execution_count=None)


PASSES: dict[str, tuple[str, Edit]] = {
    "unchanged": (NUMBERS, lambda cell: None),
    "silent": ("x = 1", lambda cell: None),
    "round-off in a full-precision number": ("0.1 + 0.2", replace("0.30000000000000004", "0.3")),
    "round-off in an array": (NUMBERS, replace("0.12345679", "0.12345678")),
    "round-off in a residual": (SENTENCE, replace("3.1e-16", "-2.0e-15")),
    "round-off in a table": (TABLE, replace("0.25", "0.250000000000001")),
    "round-off in a glued value": (GLUE, replace("0.456916", "0.4569160000001")),
    "names derived from coordinates": (DRAWING, replace("pbc6aa12d6e", "p0123456789")),
    "a hundredth of a pixel": (DRAWING, replace("L 110.7 22.32", "L 110.7 22.33")),
    "pixels and size of a PNG": (PNG, draw_elsewhere),
}
FAILS: dict[str, tuple[str, Edit]] = {
    "a wrong digit in text": (SENTENCE, replace("0.204", "0.205")),
    "a wrong digit in an array": (NUMBERS, replace("0.12345679", "0.12346679")),
    "a wrong digit in a table": (TABLE, replace("<td>0.25</td>", "<td>0.26</td>")),
    "a wrong digit in a glued value": (GLUE, replace("0.456916", "0.456917")),
    "a value glued under another name": (GLUE, glue_elsewhere),
    "a wrong exponent": (SENTENCE, replace("3.1e-16", "3.1e-6")),
    "a lost sign": (SENTENCE, replace("largest 0.204", "largest -0.204")),
    "another integer": (SENTENCE, replace("12 modes", "13 modes")),
    "another word": (SENTENCE, replace("largest", "smallest")),
    "another row label": (TABLE, replace("<th>left</th>", "<th>up</th>")),
    "an output missing": (TABLE, lambda cell: cell.update(outputs=[])),
    "one kind of output missing": (TABLE, lambda cell: cell.outputs[0].data.pop("text/html")),
    "an output too many": (NUMBERS, add_output),
    "an output of a silent cell": ("x = 1", add_output),
    "a cell never run": (NUMBERS, never_run),
    "a silent cell never run": ("x = 1", never_run),
    "an exception": ("1 / 0", lambda cell: None),
    "half a pixel": (DRAWING, replace("L 110.7 22.32", "L 110.7 22.82")),
    "another colour": (DRAWING, replace("#1f5f99", "#1f5f9a")),
    "another glyph": (DRAWING, replace('"#DejaVuSans-13"', '"#DejaVuSans-14"')),
    "an element missing": (DRAWING, replace('<g id="axes_1">', '<g id="axes_1"><g/>')),
}
CASES = PASSES | FAILS


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory, project: Path) -> dict[str, str]:
    """What nbval says of each case: they are the cells of one notebook, run once and then altered."""
    folder = tmp_path_factory.mktemp("book")
    for name in ("conftest.py", "surroundings.py"):
        shutil.copy(project / "book" / name, folder)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source, _ in CASES.values()])
    NotebookClient(notebook, kernel_name="python3", allow_errors=True).execute()
    for cell, (_, edit) in zip(notebook.cells, CASES.values(), strict=True):
        edit(cell)
    nbformat.write(notebook, folder / "cases.ipynb")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--nbval",
        "--nbval-current-env",
        "--junit-xml=report.xml",
        "cases.ipynb",
    ]
    run = subprocess.run([*command, "-p", "no:cacheprovider"], cwd=folder, capture_output=True, text=True)
    report = ElementTree.parse(folder / "report.xml").findall(".//testcase")
    assert len(report) == len(CASES), run.stdout + run.stderr
    return {
        name: "passes" if test.find("failure") is None and test.find("error") is None else "fails"
        for name, test in zip(CASES, report, strict=True)
    }


@pytest.mark.parametrize("case", PASSES)
def test_passes(case: str, outcomes: dict[str, str]) -> None:
    assert outcomes[case] == "passes"


@pytest.mark.parametrize("case", FAILS)
def test_fails(case: str, outcomes: dict[str, str]) -> None:
    assert outcomes[case] == "fails"
