r"""The divergence transition matrix :math:`B` and its singular modes, the universal features of :math:`P_{XY}`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.linalg import svd
from scipy.sparse.linalg import aslinearoperator

from ufs.joint import Joint

__all__ = ["Modes", "dtm", "maximal_correlation", "modes"]


@dataclass(frozen=True, eq=False)
class Modes:
    r"""Singular modes of the centred DTM :math:`\tilde B`, as features of X and of Y.

    Attributes
    ----------
    sigma : ndarray, shape (k,)
        Singular values, 1 ≥ σ₁ ≥ … ≥ σ_k ≥ 0.
    f : ndarray, shape (\|𝒳\|, k)
        Column i is :math:`f_i(x) = \psi_i^X(x) / \sqrt{P_X(x)}`: zero mean and unit variance under
        :math:`P_X`, and uncorrelated with the other columns.
    g : ndarray, shape (\|𝒴\|, k)
        Column i is :math:`g_i(y) = \psi_i^Y(y) / \sqrt{P_Y(y)}`, likewise under :math:`P_Y`.
    """

    sigma: NDArray[np.float64]
    f: NDArray[np.float64]
    g: NDArray[np.float64]


def dtm(joint: Joint, centered: bool = True) -> Any:
    r"""Divergence transition matrix (D6).

    .. math:: B(y, x) = \frac{P_{XY}(x, y)}{\sqrt{P_X(x) P_Y(y)}}, \qquad
              \tilde B = B - \sqrt{P_Y} \sqrt{P_X}^{\mathsf T}.

    Parameters
    ----------
    joint : Joint
    centered : bool
        :math:`\tilde B` if true, else :math:`B`.

    Returns
    -------
    ndarray, shape (\|𝒴\|, \|𝒳\|)
        For a sparse joint, a sparse array of that shape; centred, which would fill it, a ``LinearOperator``.

    Examples
    --------
    >>> dtm(Joint([[0.45, 0.05], [0.05, 0.45]]))
    array([[ 0.4, -0.4],
           [-0.4,  0.4]])
    """
    root_x, root_y = np.sqrt(joint.px), np.sqrt(joint.py)
    if sp.issparse(joint.P):
        B = sp.diags_array(1 / root_y) @ joint.P.T @ sp.diags_array(1 / root_x)
        return aslinearoperator(B) - aslinearoperator(root_y[:, None]) @ aslinearoperator(root_x[None, :]) if centered else B.tocsr()
    if centered:
        return (joint.P.T - np.outer(joint.py, joint.px)) / np.outer(root_y, root_x)
    return joint.P.T / np.outer(root_y, root_x)


def modes(joint: Joint, k: int | None = None) -> Modes:
    r"""The k strongest modes of the dependence between X and Y (D7).

    .. math:: P_{XY} = P_X P_Y \Bigl(1 + \sum_{i=1}^{K} \sigma_i f_i g_i\Bigr), \qquad
              K = \min(|\mathcal X|, |\mathcal Y|) - 1.

    Parameters
    ----------
    joint : Joint
    k : int, optional
        How many modes, 1 ≤ k ≤ K. By default all K of them.

    Returns
    -------
    Modes
        Of each pair (f_i, g_i), which is fixed only up to a common sign, the one in which the largest entry of
        ψ_i^X is positive (the first of them, where several are equally large).

    Raises
    ------
    ValueError
        If k is not between 1 and K.

    Examples
    --------
    >>> m = modes(Joint([[0.45, 0.05], [0.05, 0.45]]))
    >>> m.sigma.round(12), m.f.round(12).T, m.g.round(12).T
    (array([0.8]), array([[ 1., -1.]]), array([[ 1., -1.]]))
    """
    most = min(joint.P.shape) - 1
    if k is None:
        k = most
    elif not 1 <= k <= most:
        raise ValueError(f"k = {k}: a table of shape {joint.P.shape} has {most} modes, so k must be in 1..{most}")
    root_x, root_y = np.sqrt(joint.px), np.sqrt(joint.py)
    psi_y, sigma, psi_x = _dense_modes(dtm(joint), root_y, root_x, k)
    signs = _signs(psi_x)
    return Modes(np.clip(sigma, 0, 1), signs * psi_x / root_x[:, None], signs * psi_y / root_y[:, None])


def maximal_correlation(joint: Joint) -> float:
    r"""Hirschfeld–Gebelein–Rényi maximal correlation of X and Y (R5): the largest singular value σ₁ of the centred DTM.

    It is 0 where one of the variables is constant, and has no non-constant function.

    Examples
    --------
    >>> round(maximal_correlation(Joint([[0.45, 0.05], [0.05, 0.45]])), 12)
    0.8
    """
    return float(modes(joint, 1).sigma[0]) if min(joint.P.shape) > 1 else 0.0


def _dense_modes(B: NDArray[np.float64], root_y: NDArray[np.float64], root_x: NDArray[np.float64], k: int):
    """Top k singular triples of the centred B, with both families of vectors exactly orthogonal to the roots.

    Reflections that carry the roots to the first axis leave a block with one row and one column less, and with the
    same singular values: its null vectors, unlike those of B itself, cannot be contaminated by the roots.
    """
    w_y, w_x = _reflector(root_y), _reflector(root_x)
    block = _reflect(w_x, _reflect(w_y, B).T).T[1:, 1:]
    U, sigma, Vt = svd(block, full_matrices=False, overwrite_a=True, check_finite=False)
    pad = np.zeros((1, k))
    return _reflect(w_y, np.vstack([pad, U[:, :k]])), sigma[:k], _reflect(w_x, np.vstack([pad, Vt[:k].T]))


def _reflector(unit: NDArray[np.float64]) -> NDArray[np.float64]:
    """The unit vector w for which I - 2wwᵀ carries the non-negative unit vector to minus the first axis."""
    w = unit.copy()
    w[0] += 1
    return w / np.linalg.norm(w)


def _reflect(w: NDArray[np.float64], A: NDArray[np.float64]) -> NDArray[np.float64]:
    return A - np.outer(2 * w, w @ A)


def _signs(psi: NDArray[np.float64]) -> NDArray[np.float64]:
    """For each column the sign of the first entry whose modulus is, up to rounding, the largest."""
    size = np.abs(psi)
    first = np.argmax(size >= (1 - 1e-6) * size.max(axis=0), axis=0)
    return np.where(psi[first, np.arange(psi.shape[1])] < 0, -1.0, 1.0)
