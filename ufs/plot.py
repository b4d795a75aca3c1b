"""The book's figures in one style: the same colour for the same thing, names on the axes, no boxes.

Figures are drawn with a transparent background and dark ink, so that a page can follow its reader's theme.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Sized
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.ticker import NullFormatter
from numpy.typing import ArrayLike

from ufs import _checks as check
from ufs.dtm import Modes
from ufs.joint import Joint, required

__all__ = ["heatmap", "label_points", "mode_bars", "remainder", "spectrum", "use_style"]

X_SIDE = "#1f6f8b"
Y_SIDE = "#b5543c"
THEORY = "#222222"
TRAINED = "#7a4fa3"
EMPIRICAL = "#c28a1c"
DIVERGING = LinearSegmentedColormap.from_list("ufs", [Y_SIDE, "#ffffff", X_SIDE])

LARGEST_LOG = math.log(1e100)  # the margins of an axis that reaches further overflow
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

    Examples
    --------
    >>> with mpl.rc_context():  # which takes the style back at its end
    ...     use_style()
    ...     mpl.rcParams["figure.figsize"]
    [7.0, 2.8]
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
) -> None:
    """A signed matrix as coloured cells with their numbers: teal above zero, terracotta below, white at zero.

    The largest number, of either sign, has the full colour; where all of them are written 0.00, all cells are white.

    Parameters
    ----------
    ax : matplotlib Axes
    matrix : array_like, shape (m, n)
    rows, columns : sequences of length m and n
        Names of the rows and columns.

    Raises
    ------
    ValueError
        Without Axes, for an entry that is not finite, a matrix without entries, and another number of names.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> ax = Figure().subplots()
    >>> heatmap(ax, [[0.4, -0.4], [-0.4, 0.4]], ["no", "yes"], ["0", "1"])
    >>> [text.get_text() for text in ax.texts]
    ['+0.40', '−0.40', '−0.40', '+0.40']
    """
    _drawable(ax=ax)
    _named(rows=rows, columns=columns)
    matrix = check.finite(matrix, "matrix")
    check.axes(matrix, 2, "matrix", "give rows of numbers")
    if matrix.shape != (len(rows), len(columns)):
        raise ValueError(f"the matrix has shape {matrix.shape}: {len(rows)} rows and {len(columns)} columns are named")
    if matrix.size == 0:
        raise ValueError(f"the matrix has shape {matrix.shape}: it needs a row and a column at least")
    largest = np.abs(matrix).max()
    limit = largest if largest >= 0.005 else 1.0  # what is written 0.00 everywhere is not to look like a pattern
    edges = [np.arange(size + 1) - 0.5 for size in matrix.shape]
    ax.pcolormesh(edges[1], edges[0], matrix, cmap=DIVERGING, vmin=-limit, vmax=limit)
    ax.set(xticks=range(len(columns)), yticks=range(len(rows)), aspect="equal")
    ax.set_xticklabels([str(c) for c in columns])
    ax.set_yticklabels([str(r) for r in rows])
    ax.invert_yaxis()
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    for (i, j), value in np.ndenumerate(matrix):
        ink = "#ffffff" if abs(value) > 0.6 * limit else "#222222"
        ax.text(j, i, f"{value:+z.2f}".replace("-", "−"), ha="center", va="center", color=ink)


def mode_bars(axes: Sequence[Axes], joint: Joint, modes: Modes, i: int) -> None:
    """One mode as two rows of named bars, f_i over the symbols of X and g_i over those of Y, in increasing order.

    Parameters
    ----------
    axes : two matplotlib Axes
    joint : Joint
    modes : Modes
    i : int
        Which mode, from 1 as in the text.

    Raises
    ------
    ValueError
        If there are no two axes, no Joint or no such mode, or the modes are those of a table of another shape.

    Examples
    --------
    >>> import ufs
    >>> from matplotlib.figure import Figure
    >>> joint = Joint.from_counts(ufs.datasets.hair_eye_color())
    >>> axes = Figure().subplots(1, 2)
    >>> mode_bars(axes, joint, ufs.modes(joint), 1)
    >>> [label.get_text() for label in axes[0].get_yticklabels()]
    ['Brown', 'Hazel', 'Green', 'Blue']
    """
    if not isinstance(modes, Modes):
        raise ValueError(f"a {type(modes).__name__} is no Modes: ufs.modes makes them")
    _named(axes=axes)
    if len(axes) != 2:
        raise ValueError(f"{len(axes)} axes: give two, one for f and one for g")
    _drawable(**{f"axes[{side}]": ax for side, ax in enumerate(axes)})
    if not 1 <= (check.integer(i) or 0) <= len(modes.sigma):
        raise ValueError(f"i = {i!r}: the modes are numbered 1 to {len(modes.sigma)}, in integers")
    if required(joint).P.shape != (shape := (len(modes.f), len(modes.g))):
        raise ValueError(f"the table has shape {joint.P.shape}, the modes are those of one of shape {shape}")
    sides = [(modes.f, joint.x_labels, joint.x_name, "f", X_SIDE), (modes.g, joint.y_labels, joint.y_name, "g", Y_SIDE)]
    for ax, (features, labels, name, letter, colour) in zip(axes, sides, strict=True):
        values = features[:, i - 1]
        order = np.argsort(values)
        ax.barh(range(len(order)), values[order], color=colour, height=0.7)
        ax.set_yticks(range(len(order)), [str(labels[j]) for j in order])
        ax.axvline(0, color="#777777", linewidth=0.8)
        ax.spines["left"].set_visible(False)
        ax.tick_params(axis="y", length=0)
        ax.set_title(f"${letter}_{{{i}}}$ of {name}")


def label_points(ax: Axes, points: ArrayLike, labels: Sequence[Any], colour: str) -> None:
    """Points in the plane, each with its name beside it.

    Parameters
    ----------
    ax : matplotlib Axes
    points : array_like, shape (n, 2)
    labels : sequence of length n
    colour : str

    Raises
    ------
    ValueError
        If the points are not in the plane or not finite, or for another number of names.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> ax = Figure().subplots()
    >>> label_points(ax, [[0.5, 0.1], [-0.5, 0.1]], ["fathers", "sons"], X_SIDE)
    >>> [text.get_text() for text in ax.texts]
    ['fathers', 'sons']
    """
    _drawable(ax=ax)
    _named(labels=labels)
    points = check.finite(points, "points")
    if points.shape != (len(labels), 2):
        raise ValueError(f"the points have shape {points.shape}: for {len(labels)} names it must be ({len(labels)}, 2)")
    ax.plot(points[:, 0], points[:, 1], "o", color=colour, markersize=4)
    for point, label in zip(points, labels, strict=True):
        ax.annotate(str(label), point, (4, 3), textcoords="offset points", color=colour)
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

    Raises
    ------
    ValueError
        For singular values that are not one row of finite numbers of at least 0, and a floor that is no such number.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> ax = Figure().subplots()
    >>> spectrum(ax, [0.46, 0.15, 0.05], "eyes and hair", floor=0.14)
    >>> [float(line.get_ydata()[0]) for line in ax.lines]
    [0.46, 0.14]
    """
    _drawable(ax=ax)
    sigma = check.finite(sigma, "sigma")
    check.axes(sigma, 1, "sigma", "give the singular values in one row")
    check.entries(sigma >= 0, sigma, "sigma", "is negative: no singular value is")
    if floor is not None and not 0 <= check.number(floor) < np.inf:
        raise ValueError(f"floor = {floor!r}: it is a level of singular values, a finite number of at least 0")
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
        In any order.
    remainders : dict of array_like, shape (n,)
        Name to \|exact - local\|, five at the most.
    slopes : dict of float
        Name to fitted order.

    Raises
    ------
    ValueError
        For more remainders than the book's style has colours, one without an order, and what has no place on
        logarithmic axes: an ε that is not positive and finite, a remainder that is zero or not finite, and what lies
        beyond 1e100 or below 1e-100, a power law included.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> ax = Figure().subplots()
    >>> eps = np.array([0.01, 0.1])
    >>> remainder(ax, eps, {"divergence": eps**3 / 6}, {"divergence": 3.0})
    >>> [text.get_text() for text in ax.texts]
    ['divergence: order 3.0']
    """
    colours = (THEORY, TRAINED, EMPIRICAL, X_SIDE, Y_SIDE)
    _drawable(ax=ax)
    for name, given in (("remainders", remainders), ("slopes", slopes)):
        if not isinstance(given, Mapping):
            raise ValueError(f"{name} is a {type(given).__name__}: give a dictionary, from names to values")
    if len(remainders) > len(colours):
        raise ValueError(f"{len(remainders)} remainders: one panel has colours for {len(colours)}")
    if missing := [name for name in remainders if name not in slopes]:
        raise ValueError(f"no order is given for {missing[0]!r}: slopes needs one for each remainder")
    eps = check.epsilons(eps)
    _on_logarithmic_axis(eps, "eps")
    order = np.argsort(eps)
    distances = {name: _distances(values, name, eps)[order] for name, values in remainders.items()}
    eps = eps[order]
    for colour, (name, values) in zip(colours, distances.items(), strict=False):
        law = _power_law(eps, values, slopes[name], f"slopes[{name!r}]")
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


def _distances(remainders: ArrayLike, name: str, eps: check.Array) -> check.Array:
    """Sizes of the remainders of one name, each of them positive."""
    where = f"remainders[{name!r}]"
    values = check.finite(remainders, where)
    check.same_shape("give one remainder for each ε", **{"eps": eps, where: values})
    _on_logarithmic_axis(values, where)
    return np.abs(values)


def _on_logarithmic_axis(values: check.Array, name: str) -> None:
    with np.errstate(divide="ignore"):
        fits = np.abs(np.log(np.abs(values))) < LARGEST_LOG
    check.entries(fits, values, name, "has no place on a logarithmic axis from 1e-100 to 1e100: leave out its ε")


def _power_law(eps: check.Array, values: check.Array, slope: float, name: str) -> check.Array:
    """The power law of a slope through the middle of the values, both measured in logarithms."""
    middle = np.log(values).mean()
    with np.errstate(invalid="ignore"):
        rise = check.number(slope) * (np.log(eps) - np.log(eps).mean())
    if not (np.abs(middle + rise) < LARGEST_LOG).all():
        raise ValueError(f"{name} = {slope!r}: it is no order whose power law stays between 1e-100 and 1e100")
    return np.asarray(np.exp(middle + rise))


def _drawable(**axes: Any) -> None:
    for name, ax in axes.items():
        if not isinstance(ax, Axes):
            raise ValueError(f"{name} is a {type(ax).__name__}, no matplotlib Axes: plt.subplots() makes them")


def _named(**lists: Any) -> None:
    for name, items in lists.items():
        if not isinstance(items, Sized):
            raise ValueError(f"{name} is a {type(items).__name__}: give a list")
