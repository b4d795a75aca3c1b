r"""Networks in torch: training on samples, training on the exact joint distribution, reading features and weights.

Imported by name, ``from ufs import nn``, since it needs torch.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq, minimize
from scipy.sparse import issparse
from torch.func import functional_call, grad, jacrev
from torch.nn.utils import vector_to_parameters

from ufs import _checks as check
from ufs.joint import Joint
from ufs.local import kl_divergence

__all__ = [
    "History",
    "Layer",
    "NotConverged",
    "Reading",
    "Training",
    "fit_exact",
    "fit_samples",
    "mlp",
    "read",
    "whitening_penalty",
]

Array: TypeAlias = NDArray[np.float64]
Penalty: TypeAlias = Callable[[torch.nn.Module, torch.Tensor], torch.Tensor]
Record: TypeAlias = Callable[[int, torch.nn.Module], Any]

ACTIVATIONS: dict[str, type[torch.nn.Module]] = {
    "sigmoid": torch.nn.Sigmoid,
    "tanh": torch.nn.Tanh,
    "relu": torch.nn.ReLU,
    "identity": torch.nn.Identity,
}

FLAT = 1e-13  # a curvature that may be rounding, relative to the largest
BENT = 10  # curvature that a straight step sees along a bent flat path, relative to the norm of the gradient
SAME = 1e-9  # of a direction's effect on the probabilities, relative to the largest: that of a symmetry is rounding
ROUNDING = 1e-16  # of a component of the gradient, relative to 1 + the norm of the weights
SETTLED = 1e-6  # a Newton step is the last one if it is shorter than this, relative to 1 + the norm of the weights
POLISH = 50  # Newton steps at most from the first small gradient to a settled one
GROWN = 2  # norm of the weights in the flat directions, relative to 1 + the norm of all weights at the start


# ---- networks --------------------------------------------------------------------------------------------------------


def mlp(
    sizes: Sequence[int],
    activations: Sequence[str],
    seed: int,
    frozen: Collection[int] = (),
    dtype: torch.dtype = torch.float64,
) -> torch.nn.Sequential:
    r"""A chain of Linear and activation modules that ends in a Linear: the logits of a softmax network.

    Weights are uniform on :math:`\pm\sqrt{6/(n_{in} + n_{out})}` (Glorot), biases are zero. On one-hot inputs the
    identity as the only activation leaves the features free functions of x (X1 without its sigmoid).

    Parameters
    ----------
    sizes : sequence of int
        Width of the input, of every hidden layer, of the output: X2 is ``(8, 4, 3, 6)``.
    activations : sequence of str
        One of "sigmoid", "tanh", "relu", "identity" for each hidden layer.
    seed : int
        Of a private generator: torch's own stream of random numbers is neither read nor moved.
    frozen : collection of int
        Linear layers that are not trained, counted from 0 at the input; negative ones from the output.
    dtype : torch.dtype
        Of the weights; :func:`fit_exact` asks for float64.

    Returns
    -------
    torch.nn.Sequential

    Raises
    ------
    ValueError
        For fewer than two sizes or one that is not positive, a number of activations other than the number of hidden
        layers, an unknown activation, or a frozen layer that does not exist.

    Notes
    -----
    Source: X. Glorot, Y. Bengio, "Understanding the difficulty of training deep feedforward neural networks",
    AISTATS 2010.

    Examples
    --------
    >>> mlp((8, 1, 6), ["sigmoid"], seed=0)
    Sequential(
      (0): Linear(in_features=8, out_features=1, bias=True)
      (1): Sigmoid()
      (2): Linear(in_features=1, out_features=6, bias=True)
    )
    """
    if len(sizes) < 2 or min(sizes) < 1:
        raise ValueError(f"sizes = {tuple(sizes)}: give at least an input and an output width, all of them positive")
    if len(activations) != len(sizes) - 2:
        raise ValueError(f"{len(activations)} activations for {len(sizes) - 2} hidden layers: give one for each")
    unknown = [name for name in activations if name not in ACTIVATIONS]
    if unknown:
        raise ValueError(f"unknown activation {unknown[0]!r}: choose among {', '.join(ACTIVATIONS)}")
    depth = len(sizes) - 1
    missing = [layer for layer in frozen if not -depth <= layer < depth]
    if missing:
        raise ValueError(f"frozen layer {missing[0]} does not exist: Linear layers are numbered 0 to {depth - 1}")
    generator = torch.Generator().manual_seed(seed)
    still = {layer % depth for layer in frozen}
    modules: list[torch.nn.Module] = []
    for layer, (fan_in, fan_out) in enumerate(pairwise(sizes)):
        linear = torch.nn.Linear(fan_in, fan_out, dtype=dtype, device="meta").to_empty(device="cpu")  # draws nothing
        limit = (6 / (fan_in + fan_out)) ** 0.5
        with torch.no_grad():
            linear.weight.uniform_(-limit, limit, generator=generator)
            linear.bias.zero_()
        modules.append(linear.requires_grad_(layer not in still))
        if layer < depth - 1:
            modules.append(ACTIVATIONS[activations[layer]]())
    return torch.nn.Sequential(*modules)


# ---- reading ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Layer:
    r"""One hidden Linear layer as :func:`read` finds it, in the paper's orientation.

    Attributes
    ----------
    t : ndarray, shape (n, m)
        What enters the layer.
    W : ndarray, shape (m, k)
        Weights, one column for each unit: ``t @ W + c`` leaves the layer. Torch stores the transpose.
    c : ndarray, shape (k,)
        Biases; zeros for a layer without.
    """

    t: Array
    W: Array
    c: Array


@dataclass(frozen=True, eq=False)
class Reading:
    r"""Features and weights of a softmax network, as :func:`read` finds them.

    Attributes
    ----------
    s : ndarray, shape (n, k)
        The last hidden layer's features of each input, which enter the last Linear.
    v : ndarray, shape (classes, k)
        Its weights: the logits are ``s @ v.T + b``.
    b : ndarray, shape (classes,)
        Its biases; zeros for a layer without.
    layers : tuple of Layer
        The other Linear layers, in the order in which the network calls them.
    """

    s: Array
    v: Array
    b: Array
    layers: tuple[Layer, ...]


def read(network: torch.nn.Module, inputs: ArrayLike | torch.Tensor) -> Reading:
    r"""Features and weights of a network that ends in a Linear layer: s, v, b of R8, and t, W, c of R12.

    Works on every module, however nested: forward hooks note what enters each Linear while the network runs once, in
    evaluation mode and without gradients. Its modes and hooks are left as they were.

    Parameters
    ----------
    network : torch.nn.Module
        Its output must be the output of a Linear: logits, before any softmax.
    inputs : array_like or torch.Tensor, shape (n, …)
        One row for each sample or symbol; cast to the precision of the weights (a tensor of
        integers, for an embedding, is not).

    Returns
    -------
    Reading
        Copies, in float64.

    Raises
    ------
    ValueError
        If the network's output is not that of a Linear layer, or that layer is not fed with vectors (n, k).

    Examples
    --------
    >>> network = mlp((3, 2, 4), ["tanh"], seed=0)
    >>> reading = read(network, np.eye(3))
    >>> reading.s.shape, reading.v.shape, reading.b.shape, reading.layers[0].W.shape
    ((3, 2), (4, 2), (4,), (3, 2))
    >>> bool(np.allclose(reading.s, np.tanh(reading.layers[0].W + reading.layers[0].c)))
    True
    """
    calls: list[tuple[torch.nn.Linear, torch.Tensor, torch.Tensor]] = []

    def note(module: torch.nn.Module, entered: tuple[torch.Tensor, ...], left: torch.Tensor) -> None:
        assert isinstance(module, torch.nn.Linear)
        calls.append((module, entered[0].detach().clone(), left))

    linears = [module for module in network.modules() if isinstance(module, torch.nn.Linear)]
    hooks = [module.register_forward_hook(note) for module in linears]
    try:
        with _mode(network, training=False), torch.no_grad():
            output = network(_inputs(network, inputs))
    finally:
        for hook in hooks:
            hook.remove()
    if not calls or calls[-1][2] is not output:
        raise ValueError(
            "the network's output is not that of a Linear layer: let it return the logits, and leave softmax, "
            "reshaping and the like to what follows"
        )
    *hidden, (last, s, _) = calls
    if s.ndim != 2:
        raise ValueError(f"the last Linear is fed with shape {tuple(s.shape)}, not (n, k): flatten its input first")
    return Reading(
        _numpy(s),
        _numpy(last.weight),
        _bias(last),
        tuple(Layer(_numpy(t), _numpy(m.weight).T, _bias(m)) for m, t, _ in hidden),
    )


def _numpy(tensor: torch.Tensor) -> Array:
    return tensor.detach().to("cpu", torch.float64, copy=True).numpy()


def _bias(linear: torch.nn.Linear) -> Array:
    # torch types the bias as a Parameter, but it is None for bias=False
    bias: torch.Tensor | None = linear.bias
    return np.zeros(linear.out_features) if bias is None else _numpy(bias)


@contextmanager
def _mode(network: torch.nn.Module, training: bool) -> Iterator[None]:
    """Training or evaluation mode, and afterwards each module's own mode as it was."""
    before = [(module, module.training) for module in network.modules()]
    network.train(training)
    try:
        yield
    finally:
        for module, mode in before:
            module.training = mode


@contextmanager
def _one_thread() -> Iterator[None]:
    """On tables, several threads of torch wait for each other longer than they work, on small ones many times so."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _inputs(network: torch.nn.Module, inputs: ArrayLike | torch.Tensor) -> torch.Tensor:
    """Inputs on the network's device and in its precision; integer tensors, symbols for an embedding, as they are."""
    tensor = inputs if isinstance(inputs, torch.Tensor) else _tensor(inputs)
    if not isinstance(inputs, torch.Tensor) and not tensor.is_floating_point():
        tensor = tensor.double()
    if tensor.ndim == 0 or len(tensor) == 0:
        raise ValueError(f"inputs have shape {tuple(tensor.shape)}: give one row for each sample or symbol")
    weight = next(network.parameters(), torch.empty(0))
    if tensor.is_floating_point():
        if not tensor.isfinite().all():
            raise ValueError("inputs hold NaN or infinite entries: give numbers in their place")
        tensor = tensor.to(weight.dtype)
    return tensor.to(weight.device)


def _tensor(values: ArrayLike) -> torch.Tensor:
    """Shares the memory of an array that may be written to; torch has no others, so of those it takes a copy."""
    return torch.as_tensor(np.require(values, requirements="W"))


# ---- training on samples ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class History:
    r"""What :func:`fit_samples` saw.

    Attributes
    ----------
    loss : ndarray, shape (epochs,)
        Mean cross-entropy over each epoch in nats, of every batch before its step.
    records : tuple
        What ``record`` returned, before the first epoch and after each.
    """

    loss: Array
    records: tuple[Any, ...]


def fit_samples(
    network: torch.nn.Module,
    inputs: ArrayLike | torch.Tensor,
    labels: ArrayLike | torch.Tensor,
    *,
    epochs: int,
    lr: float,
    optimizer: str = "sgd",
    momentum: float = 0.0,
    nesterov: bool = False,
    decay: float = 0.0,
    clip: float | None = None,
    batch_size: int | None = None,
    weights: ArrayLike | None = None,
    seed: int = 0,
    record: Record | None = None,
    progress: bool = True,
) -> History:
    r"""Train a network on labelled samples by gradient descent on the mean cross-entropy, the field's usual loop.

    The published settings of X1 and X2 are full batches with ``lr=4, momentum=0.9, nesterov=True`` and
    ``decay=1e-2, clip=0.5, epochs=200`` or ``decay=1e-6, clip=0.1, epochs=800``.

    Parameters
    ----------
    network : torch.nn.Module
        Returns logits, shape (n, classes). Parameters that do not require a gradient are left alone.
    inputs : array_like or torch.Tensor, shape (n, …)
        Cast to the precision of the weights (a tensor of integers, for an embedding, is not).
    labels : array_like or torch.Tensor of int, shape (n,)
        Classes, from 0.
    epochs : int
        Passes over the samples.
    lr : float
        Learning rate. Step i, from 0, uses ``lr / (1 + decay * i)``.
    optimizer : str
        "sgd", or "adam" with torch's defaults, which takes no momentum.
    momentum, nesterov, decay
        As in Keras 2.3: the velocity keeps the learning rates at which it was gathered.
    clip : float, optional
        Gradients are scaled down to this norm, taken over all parameters together, where they exceed it.
    batch_size : int, optional
        By default all samples at once; else batches in a new random order every epoch.
    weights : array_like, shape (n,), optional
        How often each row counts. The cells of a contingency table with its counts as weights give the same full-batch
        gradient as the samples themselves.
    seed : int
        Of the order of the batches, and of dropout. Torch's own stream of random numbers is left as it was.
    record : callable, optional
        Called with (epoch, network) before the first epoch and after each; its values are returned.
    progress : bool
        Show a progress bar (tqdm).

    Returns
    -------
    History

    Raises
    ------
    ValueError
        For labels that are not integers, negative or beyond the number of logits; numbers of rows that differ; inputs
        that are empty or not finite; weights that are negative or without mass; settings out of range.
    FloatingPointError
        If the loss becomes NaN or infinite.

    Notes
    -----
    Keras 2.3's SGD moves by :math:`\mu u' - \eta g` with the velocity :math:`u' = \mu u - \eta g` (Nesterov), and by
    :math:`u'` without. Torch keeps :math:`u / \eta` instead; the two differ where the learning rate η changes, so the
    buffer is rescaled when it does. Its ``clipnorm`` is the norm over all parameters together; torch adds 1e-6 to that
    norm before it divides.

    Source: Keras 2.3, ``keras/optimizers.py``.

    Examples
    --------
    Counts as weights: four cells stand for ten samples.

    >>> x, y, counts = [[1, 0], [1, 0], [0, 1], [0, 1]], [0, 1, 0, 1], [4, 1, 2, 3]
    >>> network = mlp((2, 2), [], seed=0)
    >>> history = fit_samples(network, x, y, epochs=300, lr=2.0, weights=counts, progress=False)
    >>> torch.softmax(network(torch.eye(2).double()), 1).detach().numpy().round(6)
    array([[0.8, 0.2],
           [0.4, 0.6]])
    """
    x = _inputs(network, inputs)
    y = _labels(labels, len(x)).to(x.device)
    w = _row_weights(weights, len(x)).to(x.device)
    _check_positive(epochs=epochs, lr=lr, batch_size=batch_size, clip=clip)
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    descent = _optimizer(optimizer, trained, lr, momentum, nesterov)
    rows = torch.arange(len(x), device=x.device)
    losses, records, step = np.empty(epochs), [], 0
    with _mode(network, training=True), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if record is not None:
            records.append(record(0, network))
        for epoch in _watched(epochs, progress):
            order = rows if batch_size is None else rows[torch.randperm(len(rows)).to(rows.device)]
            total = 0.0
            for batch in torch.split(order, batch_size or len(order)):
                part = (x, y, w) if batch_size is None else (x[batch], y[batch], w[batch])
                _set_rate(descent, lr / (1 + decay * step))
                total += _step(network, descent, trained, clip, *part)
                step += 1
            losses[epoch] = total / float(w.sum())
            if not np.isfinite(losses[epoch]):
                raise FloatingPointError(f"the loss became {losses[epoch]} in epoch {epoch}: lower lr, or set clip")
            if record is not None:
                records.append(record(epoch + 1, network))
    return History(losses, tuple(records))


def _step(
    network: torch.nn.Module,
    descent: torch.optim.Optimizer,
    trained: list[torch.nn.Parameter],
    clip: float | None,
    x: torch.Tensor,
    y: torch.Tensor,
    w: torch.Tensor,
) -> float:
    """One step on one batch; returns the batch's total loss before it."""
    logits = network(x)
    _check_logits(logits, len(x), int(y.max()) + 1)
    total = (w.to(logits.dtype) * torch.nn.functional.cross_entropy(logits, y, reduction="none")).sum()
    descent.zero_grad()
    torch.autograd.backward(total / w.sum().to(logits.dtype))
    if clip is not None:
        torch.nn.utils.clip_grad_norm_(trained, clip)
    descent.step()
    return float(total.detach())


def _optimizer(
    name: str, trained: list[torch.nn.Parameter], lr: float, momentum: float, nesterov: bool
) -> torch.optim.Optimizer:
    if not trained:
        raise ValueError("no parameter requires a gradient: unfreeze a layer (layer.requires_grad_(True))")
    if name == "sgd":
        return torch.optim.SGD(trained, lr=lr, momentum=momentum, nesterov=nesterov)
    if name == "adam" and not momentum and not nesterov:
        return torch.optim.Adam(trained, lr=lr)
    raise ValueError(f"optimizer = {name!r}, momentum = {momentum}: choose 'sgd', or 'adam' without momentum")


def _set_rate(descent: torch.optim.Optimizer, lr: float) -> None:
    """A new learning rate, for which momentum gathered at the old one keeps its length."""
    for group in descent.param_groups:
        for parameter in group["params"]:
            buffer = descent.state[parameter].get("momentum_buffer")
            if buffer is not None:
                buffer.mul_(group["lr"] / lr)
        group["lr"] = lr


def _watched(epochs: int, progress: bool) -> Any:
    if not progress:
        return range(epochs)
    from tqdm.auto import tqdm  # type: ignore[import-untyped]

    return tqdm(range(epochs), unit="epoch")


def _labels(labels: ArrayLike | torch.Tensor, rows: int) -> torch.Tensor:
    values = labels if isinstance(labels, torch.Tensor) else _tensor(labels)
    if values.is_floating_point() or values.is_complex() or values.dtype == torch.bool:
        raise ValueError(f"labels have type {values.dtype}: give integer classes, from 0")
    if values.shape != (rows,):
        raise ValueError(f"labels have shape {tuple(values.shape)} and inputs {rows} rows: give one label for each row")
    if int(values.min()) < 0:
        raise ValueError(f"labels[{int(values.argmin())}] = {int(values.min())}: classes are counted from 0")
    return values.long()


def _row_weights(weights: ArrayLike | None, rows: int) -> torch.Tensor:
    if weights is None:
        return torch.ones(rows, dtype=torch.float64)
    values = check.finite(weights, "weights")
    check.entries(values >= 0, values, "weights", "is negative: a row counts a number of times")
    if values.shape != (rows,) or values.sum() == 0:
        raise ValueError(
            f"weights have shape {values.shape} and sum {values.sum():g}: give one for each of {rows} rows"
        )
    return _tensor(values)


def _check_positive(**settings: float | None) -> None:
    for name, value in settings.items():
        if value is not None and not value > 0:
            raise ValueError(f"{name} = {value!r}: it must be positive")


def _check_logits(logits: torch.Tensor, rows: int, classes: int) -> None:
    if logits.ndim != 2 or len(logits) != rows:
        raise ValueError(f"the network returns shape {tuple(logits.shape)}: logits need the shape ({rows}, classes)")
    if logits.shape[1] < classes:
        raise ValueError(f"label {classes - 1} needs {classes} logits, and the network returns {logits.shape[1]}")


# ---- training on the exact joint distribution ------------------------------------------------------------------------


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
    (a common shift of v, a linear map between s and v) are recognised and left alone.

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
        rounding, in more directions than the network's own symmetries, and the weights in the flat directions have a
        norm above twice 1 + that of all weights at the start.
    ValueError
        For a network that is not in float64, has no trained parameter, or returns logits of another shape; inputs
        without one row for each x; a tolerance or max_steps that is not positive.

    Examples
    --------
    One free feature on a binary symmetric channel is enough for the exact conditional distribution:

    >>> joint = Joint([[0.45, 0.05], [0.05, 0.45]])
    >>> network = mlp((2, 1, 2), ["identity"], seed=0)
    >>> training = fit_exact(network, joint)
    >>> training.gradient < 1e-10, abs(round(training.loss, 12))
    (True, 0.0)
    >>> fit_exact(mlp((2, 1, 2), ["identity"], seed=0), Joint([[0.5, 0.0], [0.0, 0.5]]))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    ufs.nn.NotConverged: the weights are still growing, small as the gradient is ...
    """
    _check_positive(tolerance=tolerance, max_steps=max_steps)
    with _mode(network, training=False), _one_thread():
        objective = _Objective(network, joint, _exact_inputs(network, joint, inputs), penalty)
        run = _Run(objective, record)
        if run.gradients[0] > tolerance:
            minimize(
                objective.value_and_gradient,
                run.theta,
                method="L-BFGS-B",
                jac=True,
                callback=run.move,
                options={
                    "maxiter": max(1, max_steps // 2),
                    "maxfun": 10 * max_steps,
                    "maxcor": 30,
                    "gtol": tolerance,
                    "ftol": 0.0,
                },
            )
        settled = _newton(run, tolerance, max_steps)
        training = run.training()
    if not settled:
        raise NotConverged(_complaint(training, tolerance, max_steps), training)
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
        For a radius or strength that is not positive; when called, for a network with a single Linear layer.

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
    >>> joint = Joint([[0.3, 0.1, 0.1], [0.1, 0.3, 0.1]])
    >>> network = mlp((2, 1, 3), ["sigmoid"], seed=0)
    >>> training = fit_exact(network, joint, penalty=whitening_penalty(joint, 0.05))
    >>> (layer,) = read(network, np.eye(2)).layers
    >>> round(float(np.std(layer.t @ layer.W)), 4)
    0.05
    """
    _check_positive(radius=radius, strength=strength)
    px = torch.tensor(joint.px)
    scale = strength * joint.mutual_information()

    def penalty(network: torch.nn.Module, inputs: torch.Tensor) -> torch.Tensor:
        a = _last_preactivations(network, inputs)
        center = px @ a
        covariance = ((a - center).T * px) @ (a - center)
        excess = covariance / radius**2 - torch.eye(len(center), dtype=a.dtype)
        return scale * ((excess**2).sum() / 4 + ((center - mean) ** 2).sum() / 2)

    return penalty


def _last_preactivations(network: torch.nn.Module, inputs: torch.Tensor) -> torch.Tensor:
    """What leaves the last Linear but one."""
    left: list[torch.Tensor] = []

    def note(module: torch.nn.Module, entered: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        left.append(output)

    linears = [module for module in network.modules() if isinstance(module, torch.nn.Linear)]
    hooks = [module.register_forward_hook(note) for module in linears]
    try:
        network(inputs)
    finally:
        for hook in hooks:
            hook.remove()
    if len(left) < 2:
        raise ValueError("the network has a single Linear layer: there are no hidden pre-activations to penalise")
    return left[-2]


def _exact_inputs(network: torch.nn.Module, joint: Joint, inputs: ArrayLike | torch.Tensor | None) -> torch.Tensor:
    for name, parameter in network.named_parameters():
        if parameter.dtype != torch.float64:
            raise ValueError(f"{name} is in {parameter.dtype}: train in double precision (network.double())")
    symbols = len(joint.px)
    x = _inputs(network, np.eye(symbols) if inputs is None else inputs)
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
        self.target = torch.tensor(self.P)
        self.trained = {name: p for name, p in self.named_parameters() if p.requires_grad}
        if not self.trained:
            raise ValueError("no parameter requires a gradient: unfreeze a layer (layer.requires_grad_(True))")
        with torch.no_grad():
            shape = tuple(network(inputs).shape)
        if shape != self.P.shape:
            raise ValueError(f"the network returns shape {shape}: logits need the shape {self.P.shape} of the joint")

    def forward(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Cross-entropy, penalty, and the logarithm of Q."""
        log_q = torch.log_softmax(self.network(self.inputs), dim=1)
        penalty = torch.zeros(()) if self.penalty is None else self.penalty(self.network, self.inputs)
        return -(self.target * log_q).sum(), penalty, log_q

    def at(self, theta: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        parts = torch.split(theta, [p.numel() for p in self.trained.values()])
        weights = {name: part.view_as(p) for part, (name, p) in zip(parts, self.trained.items(), strict=True)}
        result: tuple[torch.Tensor, torch.Tensor, torch.Tensor] = functional_call(self, weights, ())
        return result

    def divergence(self, log_q: torch.Tensor) -> float:
        """D(P_XY || P_X Q): its gradient is that of the cross-entropy, its value has none of its cancellation."""
        return kl_divergence(self.P, self.px[:, None] * log_q.detach().exp().numpy())

    def value_and_gradient(self, theta: Array) -> tuple[float, Array]:
        point = torch.tensor(theta, requires_grad=True)
        entropy, penalty, log_q = self.at(point)
        (gradient,) = torch.autograd.grad(entropy + penalty, point)
        return self.divergence(log_q) + float(penalty.detach()), gradient.numpy()

    def hessian(self, theta: Array) -> Array:
        def total(point: torch.Tensor) -> torch.Tensor:
            entropy, penalty, _ = self.at(point)
            return entropy + penalty

        result: Array = jacrev(grad(total))(torch.tensor(theta)).numpy()
        return result

    def symmetries(self, theta: Array) -> int:
        """How many directions change no probability, wherever the weights are: counted at a random place nearby."""
        place = torch.tensor(theta + 0.3 * np.random.default_rng(0).standard_normal(len(theta)))
        slopes: torch.Tensor = jacrev(lambda point: self.at(point)[2].flatten())(place)
        return len(theta) - int(torch.linalg.matrix_rank(slopes, rtol=SAME))

    def weights(self) -> Array:
        return torch.cat([p.detach().flatten() for p in self.trained.values()]).numpy().copy()

    def load(self, theta: Array) -> None:
        vector_to_parameters(torch.tensor(theta), self.trained.values())


class _Run:
    """Where the training is, and what it has passed."""

    def __init__(self, objective: _Objective, record: Record | None) -> None:
        self.objective, self.record = objective, record
        self.losses: list[float] = []
        self.gradients: list[float] = []
        self.norms: list[float] = []
        self.records: list[Any] = []
        self.newton_step = np.inf
        self.start = objective.weights()
        self.move(self.start)

    def move(self, theta: Array) -> None:
        """Take a step; L-BFGS reuses its vector, hence the copy."""
        self.theta = theta.copy()
        self.value, self.gradient = self.objective.value_and_gradient(self.theta)
        self.objective.load(self.theta)
        self.losses.append(self.value)
        self.gradients.append(float(np.linalg.norm(self.gradient)))
        self.norms.append(float(np.linalg.norm(self.theta)))
        if self.record is not None:
            self.records.append(self.record(len(self.losses) - 1, self.objective.network))

    @property
    def steps(self) -> int:
        return len(self.losses) - 1

    def training(self) -> Training:
        with torch.no_grad():
            _, penalty, log_q = self.objective()
        return Training(
            loss=self.objective.divergence(log_q),
            penalty=float(penalty),
            gradient=self.gradients[-1],
            newton_step=float(self.newton_step),
            weight_norm=self.norms[-1],
            weight_growth=self.norms[-1] / max(self.norms[3 * self.steps // 4], np.finfo(float).tiny) - 1,
            steps=self.steps,
            losses=np.array(self.losses),
            gradients=np.array(self.gradients),
            weight_norms=np.array(self.norms),
            records=tuple(self.records),
        )


def _newton(run: _Run, tolerance: float, max_steps: int) -> bool:
    """Newton steps in a trust region until they settle; whether they did."""
    radius, polish = 0.5 * (1 + run.norms[-1]), 0
    while True:
        curvature, axes = np.linalg.eigh(run.objective.hessian(run.theta))
        slope, scale = axes.T @ run.gradient, 1 + run.norms[-1]
        bend = _bend(slope, curvature, scale)
        run.newton_step = float(np.linalg.norm(slope / bend)) / scale
        if run.gradients[-1] <= tolerance and run.newton_step <= SETTLED:
            if _saturated(run, axes[:, np.isinf(bend)]):
                return False
            if not _escape(run, float(curvature[0]), axes[:, 0]):
                _try(run, run.theta - axes @ (slope / bend), 0.0, tolerance)
                return True
            continue
        polish += run.gradients[-1] <= tolerance
        if polish > POLISH or run.steps >= max_steps:
            return False
        gain = None
        while gain is None:
            step = _within(radius, slope, bend)
            length = float(np.linalg.norm(step))
            predicted = -float(step @ (slope + curvature * step / 2))
            gain = _try(run, run.theta + axes @ step, predicted, tolerance)
            if gain is None:
                radius = length / 4
                if radius < 1e-12 * scale:
                    return False
            elif gain > 0.75 and length > 0.9 * radius:
                radius = min(2 * radius, scale)


def _saturated(run: _Run, flat: Array) -> bool:
    """Whether there are more flat directions than the network's own, and the weights have grown along them."""
    if flat.shape[1] <= run.objective.symmetries(run.start):
        return False
    return float(np.linalg.norm(flat.T @ run.theta)) > GROWN * (1 + run.norms[0])


def _bend(slope: Array, curvature: Array, scale: float) -> Array:
    """What each component of the slope is divided by: the modulus of the curvature, so that saddles repel.

    Infinite in flat directions, so that no step goes there; bounded below in those that only look flat.
    """
    least = FLAT * np.abs(curvature).max()
    level = np.abs(slope) <= ROUNDING * scale
    flat = level & (np.abs(curvature) <= least + BENT * float(np.linalg.norm(slope)))
    bend: Array = np.where(flat, np.inf, np.maximum(np.abs(curvature), least))
    return bend


def _within(radius: float, slope: Array, bend: Array) -> Array:
    """The step of a trust region, in the Hessian's axes."""

    def excess(shift: float) -> float:
        return 1 / radius - 1 / float(np.linalg.norm(slope / (bend + shift)))

    shift = 0.0
    if np.linalg.norm(slope / bend) > radius:
        shift = float(brentq(excess, 0.0, float(np.linalg.norm(slope)) / radius, xtol=1e-300, rtol=1e-3))
    return -slope / (bend + shift)


def _try(run: _Run, theta: Array, predicted: float, tolerance: float) -> float | None:
    """Move if that lowers the loss; where the loss cannot tell, if it lowers the gradient or leaves it small.

    Returns the gain over the predicted one (1 where the loss cannot tell), or None where the run stays.
    """
    value, gradient = run.objective.value_and_gradient(theta)
    resolution, slope = _resolution(run), float(np.linalg.norm(gradient))
    if predicted > resolution:
        gain, moves = (run.value - value) / predicted, run.value - value > 1e-4 * predicted
    else:
        gain, moves = 1.0, slope < run.gradients[-1] or (slope <= tolerance and value - run.value <= resolution)
    if not moves:
        return None
    run.move(theta)
    return gain


def _escape(run: _Run, curvature: float, axis: Array) -> bool:
    """Leave a saddle along its axis of negative curvature, if there is one and the loss falls there."""
    for length in (1 + run.norms[-1]) * np.geomspace(0.3, 1e-3, 6):
        predicted = -curvature * length**2 / 2
        if predicted < _resolution(run):
            return False
        for theta in (run.theta + length * axis, run.theta - length * axis):
            value, _ = run.objective.value_and_gradient(theta)
            if run.value - value > 0.1 * predicted:
                run.move(theta)
                return True
    return False


def _resolution(run: _Run) -> float:
    """Differences of the loss below this are rounding: it is a sum of squares, each with a rounding of its root."""
    return 1e-14 * (run.value + float(np.sqrt(run.value)))


def _complaint(training: Training, tolerance: float, max_steps: int) -> str:
    norms = f"their norm is {training.weight_norm:.4g}, {training.weight_norms[0]:.4g} at the start"
    growing = training.weight_growth > 0.01 or training.weight_norm > GROWN * (1 + training.weight_norms[0])
    weights = f"the weights are {'still growing' if growing else 'not growing'}"
    if training.gradient <= tolerance:
        remedy = (
            "The loss has no minimum here, only an infimum at infinity: start from another seed, add a penalty that "
            "bounds the weights, or freeze a layer"
            if growing
            else "The minimum is degenerate: take fewer features"
        )
        return (
            f"{weights}, small as the gradient is ({training.gradient:.2g}): {norms}, and Newton steps do not settle. "
            f"{remedy}"
        )
    why = "all steps are used" if training.steps >= max_steps else "no step lowers the loss any more"
    return (
        f"{weights} ({norms}), and the gradient is {training.gradient:.2g}, above {tolerance:g}, after "
        f"{training.steps} steps: {why}. Raise max_steps, or add a penalty that bounds the weights"
    )
