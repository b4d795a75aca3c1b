r"""Interactive figures: alive in a built page without a kernel, and in a notebook as widgets that Python can steer.

A figure is a subclass of :class:`Figure`, in a module of its own, that prepares its numbers in Python, and one
JavaScript function in ``ufs/static/ufs-<name>.js`` that draws them. The same script serves the page and the notebook.
"""

from ufs.widgets.convergence import Convergence, convergence
from ufs.widgets.figure import Figure
from ufs.widgets.mismatch import Mismatch, mismatch
from ufs.widgets.selection import Selection, selection
from ufs.widgets.simplex import Simplex, simplex
from ufs.widgets.transport import Transport, transport

__all__ = [
    "Convergence",
    "Figure",
    "Mismatch",
    "Selection",
    "Simplex",
    "Transport",
    "convergence",
    "mismatch",
    "selection",
    "simplex",
    "transport",
]
