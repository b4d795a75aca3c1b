r"""Networks in torch: building them, reading their features and weights, training them on samples or exactly.

Imported by name, ``from ufs import nn``, since it needs torch.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike

from ufs import _checks as check
from ufs._exact import NotConverged, Training, fit_exact, whitening_penalty
from ufs._torch import (
    ALL_FROZEN,
    NO_HEAD,
    NO_LOGITS,
    Array,
    Call,
    Record,
    as_inputs,
    as_tensor,
    linear_calls,
    mode,
)

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

ACTIVATIONS: dict[str, type[torch.nn.Module]] = {
    "sigmoid": torch.nn.Sigmoid,
    "tanh": torch.nn.Tanh,
    "relu": torch.nn.ReLU,
    "identity": torch.nn.Identity,
}

# the module that tracebacks and the book's links name
for public in (NotConverged, fit_exact, whitening_penalty):
    public.__module__ = __name__


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
        For fewer than two sizes or one that is no positive integer, a number of activations other than that of hidden
        layers, an unknown activation, or a frozen layer that does not exist; for a seed that is no integer from 0 to
        2^64 - 1, and a dtype of other than real floating point numbers.

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
    if not isinstance(sizes, Sequence) or len(sizes) < 2 or not all((check.integer(n) or 0) > 0 for n in sizes):
        raise ValueError(f"sizes = {sizes!r}: give at least an input and an output width, all positive integers")
    if len(activations) != len(sizes) - 2:
        raise ValueError(f"{len(activations)} activations for {len(sizes) - 2} hidden layers: give one for each")
    unknown = [name for name in activations if name not in ACTIVATIONS]
    if unknown:
        raise ValueError(f"unknown activation {unknown[0]!r}: choose among {', '.join(ACTIVATIONS)}")
    depth = len(sizes) - 1
    missing = [layer for layer in frozen if check.integer(layer) is None or not -depth <= layer < depth]
    if missing:
        raise ValueError(f"frozen layer {missing[0]} does not exist: Linear layers are numbered 0 to {depth - 1}")
    if not isinstance(dtype, torch.dtype) or not dtype.is_floating_point:
        raise ValueError(f"dtype = {dtype!r}: choose torch.float64, or another floating point type of torch")
    generator = torch.Generator().manual_seed(_seed(seed))
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


def _seed(value: int) -> int:
    if not 0 <= (-1 if check.integer(value) is None else value) < 2**64:
        raise ValueError(f"seed = {value!r}: it must be an integer from 0 to 2^64 - 1")
    return int(value)


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
        The other Linear layers, in the order in which the network calls them, an auxiliary head among them; without
        those whose output a hook or a subclass has made into something other than ``t @ W + c``.
    """

    s: Array
    v: Array
    b: Array
    layers: tuple[Layer, ...]


def read(network: torch.nn.Module, inputs: ArrayLike | torch.Tensor) -> Reading:
    r"""Features and weights of a network that ends in a Linear layer: s, v, b of R8, and t, W, c of R12.

    Works on every module, however nested: forward hooks note what enters each Linear while the network runs once, in
    evaluation mode and without gradients; compiled parts run uncompiled for that. The last layer is the one whose
    output is the network's, also where others are called after it. Modes and hooks are left as they were.

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
        If the network's output is not that of a Linear layer, or is altered afterwards, in place too; if that layer is
        not fed with vectors (n, k); for inputs
        that are empty or not finite.

    Examples
    --------
    >>> network = mlp((3, 2, 4), ["tanh"], seed=0)
    >>> reading = read(network, np.eye(3))
    >>> reading.s.shape, reading.v.shape, reading.b.shape, reading.layers[0].W.shape
    ((3, 2), (4, 2), (4,), (3, 2))
    >>> bool(np.allclose(reading.s, np.tanh(reading.layers[0].W + reading.layers[0].c)))
    True
    """
    with mode(network, training=False), torch.no_grad():
        calls, head = linear_calls(network, as_inputs(network, inputs))
    if head < 0 or not _affine(calls[head]):
        raise ValueError(NO_HEAD)
    last, s, _ = calls.pop(head)
    if s.ndim != 2:
        raise ValueError(f"the last Linear is fed with shape {tuple(s.shape)}, not (n, k): flatten its input first")
    hidden = [(call.layer, call.entered) for call in calls if _affine(call)]
    return Reading(
        _numpy(s),
        _numpy(last.weight),
        _bias(last),
        tuple(Layer(_numpy(t), _numpy(layer.weight).T, _bias(layer)) for layer, t in hidden),
    )


def _affine(call: Call) -> bool:
    """Whether what left the layer is what its weights and bias make of what entered: a hook may have had a say."""
    t, W, c, left = _numpy(call.entered), _numpy(call.layer.weight).T, _bias(call.layer), _numpy(call.left)
    rounding = torch.finfo(call.left.dtype).eps ** 0.5
    with np.errstate(over="ignore", invalid="ignore"):  # of a network that has diverged
        size = np.abs(t) @ np.abs(W) + np.abs(c)
        return np.allclose(left, t @ W + c, rtol=0, atol=rounding * size, equal_nan=True)


def _numpy(tensor: torch.Tensor) -> Array:
    return tensor.detach().to("cpu", torch.float64, copy=True).numpy()


def _bias(linear: torch.nn.Linear) -> Array:
    # torch types the bias as a Parameter, but it is None for bias=False
    bias: torch.Tensor | None = linear.bias
    return np.zeros(linear.out_features) if bias is None else _numpy(bias)


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
        How often each row counts; a batch in which none does takes no step. The cells of a contingency table with its
        counts as weights give the same full-batch gradient as the samples themselves.
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
    Keras 2.3's SGD has the velocity ``u = momentum * u - lr * gradient`` and moves by ``u``, with Nesterov by
    ``momentum * u - lr * gradient``. Torch keeps ``u / lr`` instead; the two differ where the learning rate changes, so
    the buffer is rescaled when it does. Its ``clipnorm`` is the norm over all parameters together; torch adds 1e-6 to
    that norm before it divides.

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
    x = as_inputs(network, inputs)
    y = _labels(labels, len(x)).to(x.device)
    w = _row_weights(weights, len(x)).to(x.device)
    size = len(x) if batch_size is None else batch_size
    check.counts(epochs=epochs, batch_size=size)
    check.positive(lr=lr, clip=1.0 if clip is None else clip)
    if not 0 <= check.number(decay) < np.inf:
        raise ValueError(f"decay = {decay!r}: it must be at least 0, so that the learning rate does not grow")
    if not 0 <= check.number(momentum) < 1:
        raise ValueError(f"momentum = {momentum!r}: it must be at least 0 and below 1, or the velocity never fades")
    if nesterov and momentum == 0:
        raise ValueError("nesterov needs a momentum above 0: give one, or leave nesterov out")
    if record is not None and not callable(record):
        raise ValueError(f"record = {record!r}: give a function of (epoch, network), or leave it out")
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    lr, decay, momentum = float(lr), float(decay), float(momentum)  # torch knows no fractions
    descent = _optimizer(optimizer, trained, lr, momentum, nesterov)
    rows = torch.arange(len(x), device=x.device)
    losses, records, step = np.empty(epochs), [], 0
    with mode(network, training=True), torch.random.fork_rng(devices=[]):
        torch.manual_seed(_seed(seed))
        if record is not None:
            records.append(record(0, network))
        for epoch in _watched(epochs, progress):
            order = rows if batch_size is None else rows[torch.randperm(len(rows)).to(rows.device)]
            total = 0.0
            for batch in torch.split(order, int(size)):
                part = (x, y, w) if batch_size is None else (x[batch], y[batch], w[batch])
                if not part[2].any():
                    continue  # it counts no time, and to go on at the velocity of others would count it
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
    unit = torch.frexp(w.max()).exponent
    w = torch.ldexp(w, -unit)  # in the precision of the network, small weights beside large ones elsewhere are not lost
    total = (w.to(logits.dtype) * torch.nn.functional.cross_entropy(logits, y, reduction="none")).sum()
    descent.zero_grad()
    torch.autograd.backward(total / w.sum().to(logits.dtype))
    if clip is not None:
        torch.nn.utils.clip_grad_norm_(trained, clip)
    descent.step()
    return math.ldexp(float(total.detach()), int(unit))


def _optimizer(
    name: str, trained: list[torch.nn.Parameter], lr: float, momentum: float, nesterov: bool
) -> torch.optim.Optimizer:
    if not trained:
        raise ValueError(ALL_FROZEN)
    if not isinstance(name, str):
        raise ValueError(f"optimizer = {name!r}: choose 'sgd' or 'adam'")
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
    if isinstance(labels, torch.Tensor):
        check.tensor(labels, "labels")
    values = labels if isinstance(labels, torch.Tensor) else as_tensor(labels, "labels")
    if values.is_floating_point() or values.is_complex() or values.dtype == torch.bool:
        raise ValueError(f"labels have type {values.dtype}: give integer classes, from 0")
    given, values = values, values.long()
    if values.shape != (rows,):
        raise ValueError(f"labels have shape {tuple(values.shape)} and inputs {rows} rows: give one label for each row")
    if int(values.min()) < 0:
        worst = int(values.argmin())
        raise ValueError(f"labels[{worst}] = {given[worst].item()}: classes are counted from 0, and below 2**63")
    return values


def _row_weights(weights: ArrayLike | None, rows: int) -> torch.Tensor:
    if weights is None:
        return torch.ones(rows, dtype=torch.float64)
    values = check.finite(weights, "weights")
    check.entries(values >= 0, values, "weights", "is negative: a row counts a number of times")
    if values.shape != (rows,) or not values.any():
        total = "with" if values.any() else "without"
        raise ValueError(f"weights have shape {values.shape}, {total} mass: give one for each of {rows} rows")
    return as_tensor(np.ldexp(values, -int(np.frexp(values.max())[1])), "weights")  # only their ratios count


def _check_logits(logits: Any, rows: int, classes: int) -> None:
    if not isinstance(logits, torch.Tensor):
        raise ValueError(NO_LOGITS.format(type(logits).__name__))
    if logits.ndim != 2 or len(logits) != rows:
        raise ValueError(f"the network returns shape {tuple(logits.shape)}: logits need the shape ({rows}, classes)")
    if logits.shape[1] < classes:
        raise ValueError(f"label {classes - 1} needs {classes} logits, and the network returns {logits.shape[1]}")
