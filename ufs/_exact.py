r"""Training a network on the exact joint distribution, to rounding."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import issparse
from torch.func import functional_call, grad, jacrev
from torch.nn.utils import vector_to_parameters

from ufs import _checks as check
from ufs._minimize import GROWN, UNSETTLED, Path, minimize
from ufs._torch import ALL_FROZEN, NO_HEAD, NO_LOGITS, Array, Record, as_inputs, linear_calls, mode, one_thread
from ufs.joint import Joint, required
from ufs.local import kl_divergence

Penalty: TypeAlias = Callable[[torch.nn.Module, torch.Tensor], torch.Tensor]

SAME = 1e-9  # of a direction's effect on the probabilities, relative to the largest: that of a symmetry is rounding
VANISHED = 1e-7  # a probability that pulls the weights less than the rounding of the curvature does
SATURATED = "units are saturated: only smaller weights would make a difference"
SILENT = "all units of a hidden layer are 0 for every x"
VOID = "probabilities have vanished where the table is zero"
MOVED = 1e-3  # a change of a logarithm of a probability, relative to the largest, that is none of rounding
LARGEST = 1e75  # derivative: the descent takes fourth powers


@dataclass(frozen=True, eq=False)
class Training:
    r"""What :func:`fit_exact` reached, and how.

    Attributes
    ----------
    loss : float
        :math:`D(P_{XY} \Vert P_X Q)` in nats, the penalty left out.
    penalty : float
        What the penalty adds to it.
    gradient : float
        Norm of the gradient of loss and penalty together, over the trained parameters.
    newton_step : float
        Length of the last Newton step, relative to 1 + the norm of the weights.
    weight_norm : float
        Norm of all trained parameters together.
    weight_growth : float
        Relative growth of that norm over the last quarter of the steps.
    silent : int
        Hidden units that are 0 for every x, rectifiers that have died: the minimum is that of a network without them.
    steps : int
        L-BFGS and Newton steps together.
    losses, gradients, weight_norms : ndarray, shape (steps + 1,)
        Loss with penalty, norm of the gradient and of the weights, at the start and after each step.
    records : tuple
        What ``record`` returned, at the start and after each step.
    """

    loss: float
    penalty: float
    gradient: float
    newton_step: float
    weight_norm: float
    weight_growth: float
    silent: int
    steps: int
    losses: Array
    gradients: Array
    weight_norms: Array
    records: tuple[Any, ...]


class NotConverged(RuntimeError):  # noqa: N818  # it names a state of the training, not a fault of the program
    """Training ended away from a minimum, or at none: ``training`` says where."""

    def __init__(self, message: str, training: Training) -> None:
        super().__init__(message)
        self.training = training


def fit_exact(
    network: torch.nn.Module,
    joint: Joint,
    inputs: ArrayLike | torch.Tensor | None = None,
    *,
    penalty: Penalty | None = None,
    tolerance: float = 1e-10,
    max_steps: int = 1000,
    record: Record | None = None,
) -> Training:
    r"""Train a network on :math:`P_{XY}` itself (X1, X2): minimise :math:`D(P_{XY} \Vert P_X Q)` to rounding.

    L-BFGS first, then Newton steps with the exact Hessian, which need no help from the loss: near its minimum the loss
    changes less than its own rounding, while the gradient still tells the way. Directions that leave the loss alone
    (a common shift of v, a linear map between s and v) are recognised and left alone. The work is done where the
    network is.

    Parameters
    ----------
    network : torch.nn.Module
        In float64; returns logits, shape (\|𝒳\|, \|𝒴\|). Trained in place, in evaluation mode; parameters that do not
        require a gradient are left alone. The Hessian is dense: a few hundred parameters.
    joint : Joint
        The distribution.
    inputs : array_like or torch.Tensor, shape (\|𝒳\|, …), optional
        What the network sees of each x. One-hot by default.
    penalty : callable, optional
        Takes (network, inputs), returns a scalar tensor that is added to the loss, as :func:`whitening_penalty`.
    tolerance : float
        Largest norm of the gradient at the end.
    max_steps : int
        L-BFGS may use half of them.
    record : callable, optional
        Called with (step, network) at the start and after each step; its values are returned.

    Returns
    -------
    Training

    Raises
    ------
    NotConverged
        With the ``training`` so far, and the network as it then is: if the gradient is not below the tolerance after
        all steps; and if it is, but Newton steps do not settle or the weights are still growing. A minimum is told by a
        Newton step shorter than 1e-6 of the weights, within fifty steps of the first small gradient. Where the loss
        falls towards an infimum at infinity (a table with zeros, saturated units) the curvature vanishes together with
        the gradient: the steps stay long until both are rounding. So it is no minimum either if the loss is flat, to
        rounding, in a direction that changes the logarithm of a probability (then one has vanished, where the table is
        zero), or in which smaller weights would change the probabilities and larger ones do not (saturated units),
        wherever the weights started; or if there are more flat directions than the network's own symmetries, and the
        weights in them have a norm above twice 1 + that of all weights at the start. Nor is it a minimum worth the name
        if all units of a hidden layer are 0 for every x: rectifiers that have died. If some are, ``training.silent``
        says how many.
    ValueError
        For a network that is not in float64, has no trained parameter, or returns no logits, ones of another shape or
        that are not finite; inputs without one row for each x; a penalty that is no finite scalar tensor; a tolerance
        or max_steps that is not positive.

    Notes
    -----
    A saddle is left where the loss curves downwards. Where slope and curvature vanish in more directions than the
    network's own symmetries, as where several layers are zero, a lower place is looked for in random ones of them, the
    same in every run; but not where rectifiers are at rest, which may make directions flat at a minimum.

    Examples
    --------
    One free feature on a binary symmetric channel is enough for the exact conditional distribution:

    >>> from ufs import Joint, nn
    >>> joint = Joint([[0.45, 0.05], [0.05, 0.45]])
    >>> network = nn.mlp((2, 1, 2), ["identity"], seed=0)
    >>> training = nn.fit_exact(network, joint)
    >>> training.gradient < 1e-10, abs(round(training.loss, 12))
    (True, 0.0)
    >>> separable = Joint([[0.5, 0.0], [0.0, 0.5]])
    >>> nn.fit_exact(nn.mlp((2, 1, 2), ["identity"], seed=0), separable)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    ufs.nn.NotConverged: the weights are still growing, small as the gradient is ...
    """
    check.positive(tolerance=tolerance)
    check.counts(max_steps=max_steps)
    required(joint)
    records: list[Any] = []
    with mode(network, training=False), one_thread():
        objective = _Objective(network, joint, _table_inputs(network, joint, inputs), penalty)

        def visit(step: int, theta: Array) -> None:
            objective.load(theta)
            if record is not None:
                records.append(record(step, network))

        _, gradient = objective.value_and_gradient(objective.weights())
        if not np.abs(gradient).max(initial=0) < LARGEST:
            raise ValueError(f"the gradient of the loss is not below {LARGEST:g} at the start: scale the inputs down")
        path = Path(objective, objective.weights(), visit)
        fault = minimize(path, tolerance, max_steps)
        training = _training(objective, path, records)
    if fault:
        raise NotConverged(_complaint(training, fault, tolerance, max_steps), training)
    return training


def whitening_penalty(joint: Joint, radius: float, mean: float = 0.0, strength: float = 10.0) -> Penalty:
    r"""Penalty that holds the last hidden pre-activations at a given mean and covariance, for :func:`fit_exact` (X2).

    With :math:`a = W^T t(X) + c`, of covariance Λ, it is

    .. math:: \alpha\, I(X; Y) \left( \tfrac14 \lVert \Lambda / r^2 - I_k \rVert_F^2
       + \tfrac12 \lVert E[a] - m \rVert^2 \right),

    so that :math:`E \lVert W^T \tilde t \rVert^2 \approx k r^2`: R12's stationary point, small :math:`W^T \tilde t`,
    becomes a minimum.

    Parameters
    ----------
    joint : Joint
        Gives the weights :math:`P_X`, and the unit I(X;Y), the loss of a network that ignores x.
    radius : float
        The standard deviation r at which every pre-activation is held.
    mean : float
        The mean m at which every pre-activation is held.
    strength : float
        α > 0. From 4 on a unit cannot vanish: that costs the penalty more than the whole loss, at most I(X;Y).

    Returns
    -------
    callable
        Takes (network, inputs), returns a scalar tensor. The network must end in a Linear and have another below it.

    Raises
    ------
    ValueError
        For a radius or strength that is not positive and a mean that is no finite number; when called, for a network
        with a single Linear layer, or whose output is not that of a Linear layer.

    Notes
    -----
    For small :math:`W^T \tilde t` the units are affine. The loss is then invariant under :math:`W \to W A,\ v \to
    A^{-1} v` for every invertible k × k matrix A, and under a change of c that v and b undo. A multiple of
    :math:`E \lVert W^T \tilde t \rVert^2` as a penalty would therefore have no minimiser: W shrinks and v grows
    forever. To pin the sum :math:`E \lVert W^T \tilde t \rVert^2` alone leaves the other directions of A open, along
    which one unit may still shrink while its v grows; and c may run to where the units are saturated. To pin the
    whole covariance and the mean leaves only rotations of A, which are bounded.

    Examples
    --------
    >>> from ufs import Joint, nn
    >>> joint = Joint([[0.3, 0.1, 0.1], [0.1, 0.3, 0.1]])
    >>> network = nn.mlp((2, 1, 3), ["sigmoid"], seed=0)
    >>> training = nn.fit_exact(network, joint, penalty=nn.whitening_penalty(joint, 0.05))
    >>> (layer,) = nn.read(network, np.eye(2)).layers
    >>> round(float(np.std(layer.t @ layer.W)), 4)
    0.05
    """
    check.positive(radius=radius, strength=strength)
    required(joint)
    if not math.isfinite(check.number(mean)):
        raise ValueError(f"mean = {mean!r}: it must be a finite number")
    px = torch.tensor(joint.px)
    scale = strength * joint.mutual_information()

    def penalty(network: torch.nn.Module, inputs: torch.Tensor) -> torch.Tensor:
        a = _last_preactivations(network, inputs)
        p = px.to(a.device)
        center = p @ a
        covariance = ((a - center).T * p) @ (a - center)
        excess = covariance / radius**2 - torch.eye(len(center), dtype=a.dtype, device=a.device)
        return scale * ((excess**2).sum() / 4 + ((center - mean) ** 2).sum() / 2)

    return penalty


def _last_preactivations(network: torch.nn.Module, inputs: torch.Tensor) -> torch.Tensor:
    """What leaves the Linear layer that is called before the one that gives the logits."""
    calls, head = linear_calls(network, inputs)
    if head < 0:
        raise ValueError(NO_HEAD)
    if head == 0:
        raise ValueError("the network has a single Linear layer: there are no hidden pre-activations to penalise")
    return calls[head - 1].left


def _table_inputs(network: torch.nn.Module, joint: Joint, inputs: ArrayLike | torch.Tensor | None) -> torch.Tensor:
    """What the network sees of each symbol of X."""
    for name, parameter in network.named_parameters():
        if parameter.dtype != torch.float64:
            raise ValueError(f"{name} is in {parameter.dtype}: train in double precision (network.double())")
    symbols = len(joint.px)
    x = as_inputs(network, np.eye(symbols) if inputs is None else inputs)
    if len(x) != symbols:
        raise ValueError(f"inputs have {len(x)} rows: give one for each of the {symbols} symbols of {joint.x_name}")
    return x


class _Objective(torch.nn.Module):
    """Loss and penalty as a function of one flat vector of the trained parameters.

    A module with the network inside, so that ``functional_call`` puts trial weights in the network wherever the
    penalty looks at it.
    """

    def __init__(self, network: torch.nn.Module, joint: Joint, inputs: torch.Tensor, penalty: Penalty | None) -> None:
        super().__init__()
        self.network, self.inputs, self.penalty = network, inputs, penalty
        self.P = np.asarray(joint.P.toarray() if issparse(joint.P) else joint.P)
        self.px = joint.px
        self.target = torch.tensor(self.P, device=inputs.device)
        self.trained = {name: p for name, p in self.named_parameters() if p.requires_grad}
        if not self.trained:
            raise ValueError(ALL_FROZEN)
        with torch.no_grad():
            logits = network(inputs)
        if not isinstance(logits, torch.Tensor):
            raise ValueError(NO_LOGITS.format(type(logits).__name__))
        if logits.shape != self.P.shape:
            shape = tuple(logits.shape)
            raise ValueError(f"the network returns shape {shape}: logits need the shape {self.P.shape} of the joint")
        if not logits.isfinite().all():
            raise ValueError("the network returns logits that are NaN or infinite: start from other weights")
        if penalty is not None:
            with torch.no_grad():
                value = penalty(network, inputs)
            if not isinstance(value, torch.Tensor) or value.shape != () or not value.isfinite():
                raise ValueError(f"the penalty is {value} at the start: let it return a finite scalar tensor")

    def forward(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Cross-entropy, penalty, and the logarithm of Q."""
        log_q = torch.log_softmax(self.network(self.inputs), dim=1)
        penalty = log_q.new_zeros(()) if self.penalty is None else self.penalty(self.network, self.inputs)
        return -(self.target * log_q).sum(), penalty, log_q

    def at(self, theta: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        parts = torch.split(theta, [p.numel() for p in self.trained.values()])
        weights = {name: part.view_as(p) for part, (name, p) in zip(parts, self.trained.items(), strict=True)}
        result: tuple[torch.Tensor, torch.Tensor, torch.Tensor] = functional_call(self, weights, ())
        return result

    def divergence(self, log_q: torch.Tensor) -> float:
        """D(P_XY || P_X Q): its gradient is that of the cross-entropy, its value has none of its cancellation."""
        return kl_divergence(self.P, self.px[:, None] * log_q.detach().exp().cpu().numpy())

    def point(self, theta: Array) -> torch.Tensor:
        return torch.tensor(theta, device=self.inputs.device)

    def value_and_gradient(self, theta: Array) -> tuple[float, Array]:
        point = self.point(theta).requires_grad_()
        entropy, penalty, log_q = self.at(point)
        (gradient,) = torch.autograd.grad(entropy + penalty, point)
        return self.divergence(log_q) + float(penalty.detach()), gradient.cpu().numpy()

    def hessian(self, theta: Array) -> Array:
        def total(point: torch.Tensor) -> torch.Tensor:
            entropy, penalty, _ = self.at(point)
            return entropy + penalty

        result: Array = jacrev(grad(total))(self.point(theta)).cpu().numpy()
        return result

    def slopes(self, theta: Array) -> Array:
        """Derivatives of the logarithms of the probabilities."""
        result: Array = jacrev(lambda point: self.at(point)[2].flatten())(self.point(theta)).cpu().numpy()
        return result

    def symmetries(self, theta: Array) -> int:
        """How many directions change no probability, wherever the weights are: counted at random places."""
        rng = np.random.default_rng(0)
        places = (theta + 0.3 * rng.standard_normal(len(theta)), rng.standard_normal(len(theta)))  # one that is small
        return len(theta) - max(int(np.linalg.matrix_rank(self.slopes(place), rtol=SAME)) for place in places)

    def lost(self, theta: Array, flat: Array) -> str:
        slopes, log_q = self.slopes(theta), self.log_q(theta)
        vanished = self.px[:, None] * np.exp(log_q) < VANISHED
        if np.abs((slopes @ flat)[vanished.ravel()]).max(initial=0.0) > MOVED * np.abs(slopes).max():
            return VOID
        if all(map(np.all, self.features(theta))):  # no rectifier is at rest, where flat directions are its right
            outward = flat @ (flat.T @ theta)
            for share in (0.5, 1.0):
                back, on = (np.abs(self.log_q(theta + sign * share * outward) - log_q).max() for sign in (-1, 1))
                if back > MOVED * MOVED and on < MOVED * back:
                    return SATURATED
        return ""

    def idle(self, theta: Array) -> str:
        return SILENT if any(silent.all() for silent in self.silent(theta)) else ""

    def silent(self, theta: Array) -> list[NDArray[np.bool_]]:
        """Which of the units that enter a Linear layer are 0 for every x, by a rectifier that is not so everywhere."""
        noise = np.random.default_rng(0).standard_normal(len(theta))
        places = theta, theta + MOVED * MOVED * noise, theta - MOVED * MOVED * noise, noise, -noise
        blocks = [[block == 0 for block in self.features(place)] for place in places]
        self.load(theta)
        return [
            here.all(axis=0) & (near | by).any(axis=0) & ~(one & other).all(axis=0)
            for here, near, by, one, other in zip(*blocks, strict=True)
        ]

    def smooth(self, theta: Array) -> bool:
        noise = np.random.default_rng(0).standard_normal(len(theta))
        here, nearby = (self.features(place) for place in (theta, theta + MOVED * MOVED * noise))
        self.load(theta)
        return not any(np.any((one == 0) & (other == 0)) for one, other in zip(here, nearby, strict=True))

    def log_q(self, theta: Array) -> Array:
        with torch.no_grad():
            result: Array = self.at(self.point(theta))[2].cpu().numpy()
        return result

    def features(self, theta: Array) -> list[Array]:
        """What enters each Linear layer but the first, in columns."""
        self.load(theta)
        with torch.no_grad():
            calls, _ = linear_calls(self.network, self.inputs)
        return [call.entered.reshape(-1, call.entered.shape[-1]).cpu().numpy() for call in calls[1:]]

    def weights(self) -> Array:
        return torch.cat([p.detach().flatten() for p in self.trained.values()]).cpu().numpy().copy()

    def load(self, theta: Array) -> None:
        vector_to_parameters(self.point(theta), self.trained.values())


def _training(objective: _Objective, path: Path, records: list[Any]) -> Training:
    with torch.no_grad():
        _, penalty, log_q = objective()
    return Training(
        loss=objective.divergence(log_q),
        penalty=float(penalty),
        gradient=path.gradients[-1],
        newton_step=float(path.newton_step),
        weight_norm=path.norms[-1],
        weight_growth=path.norms[-1] / max(path.norms[3 * path.steps // 4], np.finfo(float).tiny) - 1,
        silent=sum(int(silent.sum()) for silent in objective.silent(path.theta)),
        steps=path.steps,
        losses=np.array(path.losses),
        gradients=np.array(path.gradients),
        weight_norms=np.array(path.norms),
        records=tuple(records),
    )


def _complaint(training: Training, fault: str, tolerance: float, max_steps: int) -> str:
    norms = f"their norm is {training.weight_norm:.4g}, {training.weight_norms[0]:.4g} at the start"
    if fault == SILENT:
        return (
            f"{fault}, so that nothing below is trained: rectifiers that have died. Start from another seed, or "
            "take another activation"
        )
    growing = training.weight_growth > 0.01 or training.weight_norm > GROWN * (1 + training.weight_norms[0])
    weights = f"the weights are {'still growing' if growing else 'not growing'}"
    if training.gradient > tolerance:
        why = "all steps are used" if training.steps >= max_steps else "no step lowers the loss any more"
        return (
            f"{weights} ({norms}), and the gradient is {training.gradient:.2g}, above {tolerance:g}, after "
            f"{training.steps} steps: {why}. Raise max_steps, or add a penalty that bounds the weights"
        )
    only = (
        "only an infimum at infinity: start from another seed, add a penalty that bounds the weights, or freeze a layer"
    )
    remedy = (
        f"The loss has no minimum here, {only}"
        if growing or fault != UNSETTLED
        else f"Either the minimum is degenerate: take fewer features; or there is none, {only}"
    )
    return f"{weights}, small as the gradient is ({training.gradient:.2g}): {norms}, and {fault}. {remedy}"
