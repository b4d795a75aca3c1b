"""Run notebooks on a clean kernel and store their outputs, fit to be committed.

python book/execute.py            every notebook of the book
python book/execute.py FILE ...   these
"""

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode
from tqdm import tqdm

from surroundings import neutral

BOOK = Path(__file__).parent
KEPT = {
    "kernelspec",
    "language_info",
    "ufs",
}  # a page needs no other metadata, and widget state would call a CDN


def needs_figure(cell: NotebookNode) -> bool:
    return not {"figure", "image"}.isdisjoint(cell.metadata.get("mystnb", {}))


def has_figure(cell: NotebookNode) -> bool:
    return any(
        kind.startswith("image/")
        for output in cell.outputs
        for kind in output.get("data", {})
    )


def execute(path: Path) -> None:
    """Execute one notebook in its own folder, in place, or leave it as it is.

    SystemExit where a figure is missing: the pages would lose it silently.
    """
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        kernel_name="python3",
        resources={"metadata": {"path": path.parent}},
        store_widget_state=False,
        coalesce_streams=True,
    )
    with neutral():
        client.execute()
    for number, cell in enumerate(notebook.cells, 1):
        if needs_figure(cell) and not has_figure(cell):
            sys.exit(
                f"{path}, cell {number}: its metadata describe a figure, and "
                "it gave none; end it with plt.show(). Nothing was written."
            )
    notebook.metadata = {
        key: value for key, value in notebook.metadata.items() if key in KEPT
    }
    notebook.metadata["kernelspec"] = {
        "display_name": "Python 3",
        "language": "python",
        "name": "python3",
    }
    notebook.metadata["language_info"] = {
        "name": "python",
        "file_extension": ".py",
        "mimetype": "text/x-python",
    }
    for cell in notebook.cells:
        cell.metadata.pop(
            "execution", None
        )  # times of day differ with every run
    nbformat.write(notebook, path)


if __name__ == "__main__":
    for path in tqdm(
        [Path(name) for name in sys.argv[1:]] or sorted(BOOK.rglob("*.ipynb")),
        unit="notebook",
    ):
        execute(path)
