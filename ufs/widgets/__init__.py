r"""Interactive figures: alive in a built page without a kernel, and in a notebook as widgets that Python can steer.

A figure is a subclass of :class:`Figure`, in a module of its own, that prepares its numbers in Python, and one
JavaScript function in ``ufs/static/ufs-<name>.js`` that draws them. The same script serves the page and the notebook.
"""

from ufs.widgets.approximation import Approximation, approximation
from ufs.widgets.convergence import Convergence, convergence
from ufs.widgets.cost import Cost, cost
from ufs.widgets.figure import Figure
from ufs.widgets.mismatch import Mismatch, mismatch
from ufs.widgets.projections import Projections, projections
from ufs.widgets.ranking import Ranking, ranking
from ufs.widgets.selection import Selection, selection
from ufs.widgets.separation import Separation, separation
from ufs.widgets.simplex import Simplex, simplex
from ufs.widgets.transport import Transport, transport
from ufs.widgets.width import Width, width

__all__ = [
    "Approximation",
    "Convergence",
    "Cost",
    "Figure",
    "Mismatch",
    "Projections",
    "Ranking",
    "Selection",
    "Separation",
    "Simplex",
    "Transport",
    "Width",
    "approximation",
    "convergence",
    "cost",
    "mismatch",
    "projections",
    "ranking",
    "selection",
    "separation",
    "simplex",
    "transport",
    "width",
]
