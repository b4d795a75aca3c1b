"""The surroundings in which notebooks run, for storing and for comparing.

Nothing that a reader has set up for themselves may reach a stored output:
no backend and no matplotlibrc, nothing that Python or IPython do at their
start, no warnings that others do not see, no assertion left out, no other
kernel of the same name.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

LEFT_OUT = (
    "JUPYTER_PATH",
    "PYTHONDEVMODE",
    "PYTHONOPTIMIZE",
    "PYTHONSTARTUP",
    "PYTHONWARNINGS",
)


@contextmanager
def neutral() -> Iterator[None]:
    """Kernels that start within know nothing of the reader's settings."""
    folder = Path(_folder().name)
    settings = {
        "IPYTHONDIR": str(folder / "ipython"),
        "JUPYTER_DATA_DIR": str(folder / "jupyter"),
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        # not MPLCONFIGDIR: matplotlib keeps its list of fonts there, and
        # says so in a cell's output where a new one takes long
        "MATPLOTLIBRC": str(folder / "matplotlibrc"),
    }
    with mock.patch.dict(os.environ, settings):
        for name in LEFT_OUT:
            os.environ.pop(name, None)
        yield


@cache
def _folder() -> TemporaryDirectory[str]:
    """One folder for all kernels of a process: some of them end late."""
    folder = TemporaryDirectory(prefix="book-")
    (Path(folder.name) / "matplotlibrc").touch()
    return folder
