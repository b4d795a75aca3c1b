"""Where and with what a results file was measured."""

from __future__ import annotations

import datetime
import os
import platform
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_info

import ufs

sys.path.append(str(Path(__file__).parents[1] / "experiments"))

from stored import write

__all__ = ["provenance", "write"]


def provenance(*packages: str) -> dict[str, Any]:
    """Date, machine (but no name of it) and the versions of Python, ufs and the packages named."""
    return {
        "date": datetime.date.today().isoformat(),
        "machine": {
            "system": platform.system(),
            "architecture": platform.machine(),
            "cores": os.cpu_count(),
            "blas_threads": sorted({pool["num_threads"] for pool in threadpool_info()}),
        },
        "versions": {
            "python": platform.python_version(),
            "ufs": ufs.__version__,
            **{name: version(name) for name in packages},
        },
    }
