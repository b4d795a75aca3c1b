"""What a reader has set up for themselves reaches neither a stored output nor its comparison."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode

FIGURE = {"image": {"alt": "A line."}, "figure": {"caption": "A line.", "name": "fig-line"}}
SETTINGS = """\
import sys
print([name for name in globals() if name.startswith("reader")], sys.warnoptions, sys.flags.dev_mode, __debug__)"""
DRAWING = """\
import matplotlib.pyplot as plt
plt.rcParams["svg.hashsalt"] = "fixed"
plt.plot([0, 1])
plt.show()"""
STARTUP = "reader = 1\nprint('good morning')\nimport matplotlib\nmatplotlib.rcParams['lines.linewidth'] = 9"


def backend(folder: Path) -> dict[str, str]:
    return {"MPLBACKEND": "Agg"}


def matplotlibrc(folder: Path) -> dict[str, str]:
    (folder / "matplotlibrc").write_text("figure.figsize: 1, 1\nsavefig.facecolor: red\n")
    return {"MPLCONFIGDIR": str(folder), "MATPLOTLIBRC": str(folder)}


def ipython(folder: Path) -> dict[str, str]:
    path = folder / "profile_default" / "startup" / "reader.py"
    path.parent.mkdir(parents=True)
    path.write_text(STARTUP)
    return {"IPYTHONDIR": str(folder)}


def python(folder: Path) -> dict[str, str]:
    (folder / "reader.py").write_text(STARTUP)
    switches = {"PYTHONWARNINGS": "always", "PYTHONDEVMODE": "1", "PYTHONOPTIMIZE": "1"}
    return {"PYTHONSTARTUP": str(folder / "reader.py")} | switches


def kernel(folder: Path) -> dict[str, str]:
    path = folder / "kernels" / "python3" / "kernel.json"
    path.parent.mkdir(parents=True)
    path.write_text('{"argv": ["false"], "display_name": "The reader\'s own", "language": "python"}')
    return {"JUPYTER_PATH": str(folder)}


READERS = [backend, matplotlibrc, ipython, python, kernel]
Reader = Callable[[Path], dict[str, str]]


def execute(project: Path, path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(project / "book" / "execute.py"), str(path)]
    return subprocess.run(command, env=os.environ | environment, capture_output=True, text=True)


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory, project: Path) -> Path:
    """A notebook as it is stored where the reader has set up nothing."""
    path = tmp_path_factory.mktemp("book") / "tiny.ipynb"
    cells = [
        nbformat.v4.new_code_cell(SETTINGS),
        nbformat.v4.new_code_cell(DRAWING, metadata={"mystnb": FIGURE}),
    ]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    run = execute(project, path)
    assert run.returncode == 0, run.stderr
    return path


def outputs(path: Path) -> list[list[NotebookNode]]:
    """The outputs of each cell, without the pixels of the figure."""
    found = [cell.outputs for cell in nbformat.read(path, as_version=4).cells]
    for output in found[1]:
        assert output.data.pop("image/png")
    return found


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.__name__)
def test_what_is_stored_does_not_depend_on_the_reader(
    reader: Reader, stored: Path, tmp_path: Path, project: Path
) -> None:
    (tmp_path / "own").mkdir()
    path = Path(shutil.copy(stored, tmp_path))
    run = execute(project, path, **reader(tmp_path / "own"))
    assert run.returncode == 0, run.stderr
    assert outputs(path) == outputs(stored)
    assert outputs(path)[0][0].text == "[] [] False True\n"


def test_a_comparison_does_not_depend_on_the_reader(stored: Path, tmp_path: Path, project: Path) -> None:
    for name in ("conftest.py", "surroundings.py"):
        shutil.copy(project / "book" / name, tmp_path)
    shutil.copy(stored, tmp_path)
    environment = dict(os.environ)
    for reader in READERS:
        folder = tmp_path / reader.__name__
        folder.mkdir()
        environment |= reader(folder)
    command = [sys.executable, "-m", "pytest", "--nbval", "--nbval-current-env", "-p", "no:cacheprovider", "tiny.ipynb"]
    run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout


def test_a_notebook_that_loses_its_figure_is_left_as_it_was(stored: Path, tmp_path: Path, project: Path) -> None:
    path = Path(shutil.copy(stored, tmp_path))
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[1].source = "print('no line')"
    nbformat.write(notebook, path)
    before = path.read_bytes()
    run = execute(project, path)
    assert run.returncode != 0
    assert f"{path}, cell 2" in run.stderr
    assert path.read_bytes() == before
