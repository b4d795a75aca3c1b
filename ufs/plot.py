"""The book's figures in one style: the same colour for the same thing, names on the axes, no boxes.

Figures are drawn with a transparent background and dark ink, so that a page can follow its reader's theme.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.ticker import NullFormatter
from numpy.typing import ArrayLike

from ufs.dtm import Modes
from ufs.joint import Joint

__all__ = ["heatmap", "label_points", "mode_bars", "remainder", "spectrum", "use_style"]

X_SIDE = "#1f6f8b"
Y_SIDE = "#b5543c"
THEORY = "#222222"
TRAINED = "#7a4fa3"
EMPIRICAL = "#c28a1c"
DIVERGING = LinearSegmentedColormap.from_list("ufs", [Y_SIDE, "#ffffff", X_SIDE])

WIDTH = 7.0  # inches: the width of the book's text

STYLE: Any = {
    "figure.figsize": (WIDTH, 2.8),
    "figure.facecolor": "none",
    "figure.constrained_layout.use": True,
    "savefig.facecolor": "none",
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": "medium",
    "axes.titlelocation": "left",
    "axes.edgecolor": "#777777",
    "axes.linewidth": 0.8,
    "font.size": 10,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "xtick.color": "#444444",
    "ytick.color": "#444444",
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "svg.hashsalt": "ufs",  # the same figure gives the same file
}


def use_style() -> None:
    """Draw every later figure in the book's style; in a notebook, as SVG with a PNG beside it.

    Pages show the SVG. The PNG is what a viewer shows that does not trust a notebook's SVG.
    """
    mpl.rcParams.update(STYLE)
    try:
        from IPython import get_ipython
        from matplotlib_inline.backend_inline import set_matplotlib_formats
    except ImportError:
        return
    if get_ipython() is not None:
        set_matplotlib_formats("svg", "retina", metadata={"Date": None})  # type: ignore[no-untyped-call]


def heatmap(
    ax: Axes,
    matrix: ArrayLike,
    rows: Sequence[Any],
    columns: Sequence[Any],
    fmt: str | None = "{:+.2f}",
    limit: float | None = None,
) -> None:
    """A signed matrix as coloured cells: teal above zero, terracotta below, white at zero.

    Parameters
    ----------
    ax : matplotlib Axes
    matrix : array_like, shape (m, n)
    rows, columns : sequences of length m and n
        Names of the rows and columns.
    fmt : str, optional
        Format of the number written into each cell; None writes none.
    limit : float, optional
        Value of the fullest colour; by default the largest modulus.
    """
    matrix = np.asarray(matrix)
    limit = np.abs(matrix).max() if limit is None else limit
    edges = [np.arange(size + 1) - 0.5 for size in matrix.shape]
    ax.pcolormesh(edges[1], edges[0], matrix, cmap=DIVERGING, vmin=-limit, vmax=limit)
    ax.set(xticks=range(len(columns)), yticks=range(len(rows)), aspect="equal")
    ax.set_xticklabels([str(c) for c in columns])
    ax.set_yticklabels([str(r) for r in rows])
    ax.invert_yaxis()
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    if fmt is not None:
        for (i, j), value in np.ndenumerate(matrix):
            ink = "#ffffff" if abs(value) > 0.6 * limit else "#222222"
            ax.text(j, i, fmt.format(value).replace("-", "−"), ha="center", va="center", color=ink)


def mode_bars(axes: Sequence[Axes], joint: Joint, modes: Modes, i: int, most: int | None = None) -> None:
    """One mode as two rows of named bars, f_i over the symbols of X and g_i over those of Y, in increasing order.

    Parameters
    ----------
    axes : two matplotlib Axes
    joint : Joint
    modes : Modes
    i : int
        Which mode, from 1 as in the text.
    most : int, optional
        Show only this many symbols, those furthest from zero.
    """
    sides = [(modes.f, joint.x_labels, joint.x_name, "f", X_SIDE), (modes.g, joint.y_labels, joint.y_name, "g", Y_SIDE)]
    for ax, (features, labels, name, letter, colour) in zip(axes, sides, strict=True):
        values = features[:, i - 1]
        shown = np.argsort(-np.abs(values))[:most]
        shown = shown[np.argsort(values[shown])]
        ax.barh(range(len(shown)), values[shown], color=colour, height=0.7)
        ax.set_yticks(range(len(shown)), [str(labels[j]) for j in shown])
        ax.axvline(0, color="#777777", linewidth=0.8)
        ax.spines["left"].set_visible(False)
        ax.tick_params(axis="y", length=0)
        ax.set_title(f"${letter}_{{{i}}}$ of {name}")


def label_points(
    ax: Axes,
    points: ArrayLike,
    labels: Sequence[Any],
    colour: str,
    offset: tuple[float, float] = (4, 3),
    dots: bool = True,
) -> None:
    """Points in the plane, each with its name beside it.

    Parameters
    ----------
    ax : matplotlib Axes
    points : array_like, shape (n, 2)
    labels : sequence of length n
    colour : str
    offset : (float, float)
        From the point to its name, in typographic points.
    dots : bool
        Without dots the name stands at the point itself.
    """
    points = np.asarray(points)
    if dots:
        ax.plot(points[:, 0], points[:, 1], "o", color=colour, markersize=4)
    else:
        ax.update_datalim(points)
        ax.autoscale_view()
    where = {"xytext": offset, "textcoords": "offset points"} if dots else {"ha": "center", "va": "center"}
    for point, label in zip(points, labels, strict=True):
        ax.annotate(str(label), point, color=colour, **where)
    ax.axhline(0, color="#bbbbbb", linewidth=0.6, zorder=0)
    ax.axvline(0, color="#bbbbbb", linewidth=0.6, zorder=0)


def spectrum(ax: Axes, sigma: ArrayLike, name: str, floor: float | None = None) -> None:
    """Singular values in decreasing order, with the level below which chance alone reaches.

    Parameters
    ----------
    ax : matplotlib Axes
    sigma : array_like, shape (k,)
    name : str
        Title of the panel.
    floor : float, optional
        Drawn as a line.
    """
    sigma = np.asarray(sigma)
    order = np.arange(1, sigma.size + 1)
    ax.vlines(order, 0, sigma, color=THEORY, linewidth=1)
    ax.plot(order, sigma, "o", color=THEORY, markersize=4)
    if floor is not None:
        ax.axhline(floor, color=EMPIRICAL, linestyle="--", linewidth=1.2)
    ax.set(title=name, xlabel="mode $i$", ylabel=r"$\sigma_i$", ylim=(0, None))


def remainder(ax: Axes, eps: ArrayLike, remainders: dict[str, ArrayLike], slopes: dict[str, float]) -> None:
    r"""Remainders against ε on logarithmic axes, each named where they part, with its fitted power law.

    Parameters
    ----------
    ax : matplotlib Axes
    eps : array_like, shape (n,)
    remainders : dict of array_like, shape (n,)
        Name to \|exact - local\|.
    slopes : dict of float
        Name to fitted order.
    """
    eps = np.asarray(eps, dtype=float)
    for colour, (name, values) in zip((THEORY, TRAINED, EMPIRICAL, X_SIDE, Y_SIDE), remainders.items(), strict=False):
        values = np.abs(np.asarray(values, dtype=float))
        law = np.exp(np.log(values).mean()) * (eps / np.exp(np.log(eps).mean())) ** slopes[name]
        ax.loglog(eps, law, color=colour, linewidth=0.8)
        ax.loglog(eps, values, "o", color=colour, markersize=3.5)
        # Power laws meet where ε is large and part where it is small, so that is where their names stand.
        label = f"{name}: order {slopes[name]:.1f}"
        ax.annotate(
            label, (eps[0], values[0]), (-6, 0), textcoords="offset points", ha="right", va="center", color=colour
        )
    ax.set_xlim(left=eps[0] / (eps[-1] / eps[0]) ** 0.55)
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set(xlabel=r"$\epsilon$", ylabel="remainder")
