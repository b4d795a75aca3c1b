"""Run notebooks on a clean kernel and store their outputs, fit to be committed.

python book/execute.py            every notebook of the book
python book/execute.py FILE ...   these
"""

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from tqdm import tqdm

BOOK = Path(__file__).parent
KEPT = {
    "kernelspec",
    "language_info",
    "ufs",
}  # a page needs no other metadata, and widget state would call a CDN


def execute(path: Path) -> None:
    """Execute one notebook in its own folder, in place."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        kernel_name="python3",
        resources={"metadata": {"path": path.parent}},
        store_widget_state=False,
        coalesce_streams=True,
    )
    client.execute()
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
