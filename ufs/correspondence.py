r"""Correspondence analysis: the modes as maps of the symbols, with the shares by which such maps are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from ufs.dtm import _normalised, dtm, modes
from ufs.joint import Joint, required

__all__ = ["Correspondence", "correspondence"]

Array: TypeAlias = NDArray[np.float64]

ROUNDING = 1e-14  # of a sum of 1, and of a cell of the centred DTM


@dataclass(frozen=True, eq=False)
class Correspondence:
    r"""A table's modes as correspondence analysis reports them, one column for each of k axes.

    Attributes
    ----------
    total : float
        Total inertia, :math:`\Vert \tilde B \Vert_F^2`: Pearson's :math:`\chi^2` over the number of samples.
    inertia : ndarray, shape (k,)
        Principal inertias :math:`\sigma_i^2`.
    share : ndarray, shape (k,)
        Their shares of the total.
    x, y : ndarray, shape (\|𝒳\|, k) and (\|𝒴\|, k)
        Principal coordinates :math:`\sigma_i f_i` and :math:`\sigma_i g_i`. Distances between two symbols of X are
        those of their profiles :math:`P_{Y|X=x}`, where all axes are kept, and likewise for Y; there is no distance
        between a symbol of X and one of Y.
    x_contribution, y_contribution : ndarray, shape (\|𝒳\|, k) and (\|𝒴\|, k)
        What each symbol contributes to an axis, :math:`P_X f_i^2` and :math:`P_Y g_i^2`: every column sums to 1.
    x_cos2, y_cos2 : ndarray, shape (\|𝒳\|, k) and (\|𝒴\|, k)
        How much of a symbol an axis shows: its squared coordinate over its squared distance from the centre. Over all
        axes a row sums to 1; it is 0 for a symbol at the centre.
    """

    total: float
    inertia: Array
    share: Array
    x: Array
    y: Array
    x_contribution: Array
    y_contribution: Array
    x_cos2: Array
    y_cos2: Array


def correspondence(joint: Joint, k: int | None = None) -> Correspondence:
    r"""Analyse a table's correspondences: coordinates, inertias, contributions and squared cosines (R5).

    Parameters
    ----------
    joint : Joint
    k : int, optional
        How many axes, 1 ≤ k ≤ min(\|𝒳\|, \|𝒴\|) − 1; by default all of them.

    Returns
    -------
    Correspondence

    Raises
    ------
    ValueError, numpy.linalg.LinAlgError
        As :func:`ufs.dtm.modes` does.

    Notes
    -----
    A row of counts that was no part of the table has its place at ``profile @ modes(joint).g``, where the profile is
    the row over its sum: for the rows of the table this is :math:`\mathbb E[g_i(Y) | X = x] = \sigma_i f_i(x)`.
    Divided by σ it is the standard coordinate. Columns: ``profile @ modes(joint).f``.

    Source: M. J. Greenacre, Theory and Applications of Correspondence Analysis, Academic Press, 1984; the numbers are
    those of R's package ca (O. Nenadić, M. Greenacre, J. Stat. Softw. 20(3), 2007).

    Examples
    --------
    >>> from ufs import datasets
    >>> smoke = correspondence(Joint.from_counts(datasets.smoke()), k=2)
    >>> round(smoke.total, 6), smoke.share.round(3)
    (0.08519, array([0.878, 0.118]))
    >>> smoke.x_cos2[0].round(3)  # how much of the senior managers each axis shows
    array([0.092, 0.8  ])
    """
    m = modes(joint, k)
    joint = _normalised(required(joint))
    far_x, far_y = _distances(joint)
    total = float(joint.px @ far_x)
    x, y = m.f * m.sigma, m.g * m.sigma
    return Correspondence(
        total,
        m.sigma**2,
        m.sigma**2 / total if total > 0 else np.zeros_like(m.sigma),
        x,
        y,
        joint.px[:, None] * m.f**2,
        joint.py[:, None] * m.g**2,
        _shares(x, far_x),
        _shares(y, far_y),
    )


def _distances(joint: Joint) -> tuple[Array, Array]:
    """Squared distance of each profile from the centre, for the symbols of X and for those of Y."""
    if sp.issparse(joint.P):
        cells = joint.P.tocoo()
        squares = cells.data**2 / joint.px[cells.row] / joint.py[cells.col]
        of_x = np.bincount(cells.row, squares, joint.px.size) / joint.px - 1
        of_y = np.bincount(cells.col, squares, joint.py.size) / joint.py - 1
        return np.where(of_x > ROUNDING, of_x, 0), np.where(of_y > ROUNDING, of_y, 0)
    squares = dtm(joint) ** 2
    of_x, of_y = squares.sum(axis=0), squares.sum(axis=1)
    return np.where(of_x > ROUNDING**2, of_x, 0) / joint.px, np.where(of_y > ROUNDING**2, of_y, 0) / joint.py


def _shares(coordinates: Array, far: Array) -> Any:
    return np.where(far > 0, coordinates.T**2 / np.where(far > 0, far, 1), 0).T
