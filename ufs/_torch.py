"""What building, reading and training networks in torch have in common."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from ufs import _checks as check

Array: TypeAlias = NDArray[np.float64]
Record: TypeAlias = Callable[[int, torch.nn.Module], Any]

ALL_FROZEN = "no parameter requires a gradient: unfreeze a layer (layer.requires_grad_(True))"
NO_HEAD = (
    "the network's output is not that of a Linear layer: let it return the logits as that layer gives them, and leave "
    "softmax, reshaping and the like to what follows"
)

NO_LOGITS = "the network returns a {}: let it return logits, a tensor with a row for each input"


@contextmanager
def mode(network: torch.nn.Module, training: bool) -> Iterator[None]:
    """Training or evaluation mode, and afterwards each module's own mode as it was."""
    before = [(part, part.training) for part in module(network).modules()]
    network.train(training)
    try:
        yield
    finally:
        for part, was in before:
            part.training = was


@contextmanager
def one_thread() -> Iterator[None]:
    """On tables, several threads of torch wait for each other longer than they work, on small ones many times so."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def eager() -> Iterator[None]:
    """Compiled parts run as they were written: once compiled they call no hooks, and torch.func cannot enter them."""
    if "torch._dynamo" not in sys.modules:  # nothing is compiled then, and to load the compiler takes seconds
        yield
        return
    with torch.compiler.set_stance("force_eager"):
        yield


class Call(NamedTuple):
    """Of a Linear layer; copies, since what follows may work in place."""

    layer: torch.nn.Linear
    entered: torch.Tensor
    left: torch.Tensor


def linear_calls(network: torch.nn.Module, inputs: torch.Tensor) -> tuple[list[Call], int]:
    """Calls of Linear layers in their order, and the index of the one that gives the output: -1 if none does."""
    calls: list[Call] = []
    returned: list[torch.Tensor] = []

    def note(
        layer: torch.nn.Module, given: tuple[torch.Tensor, ...], named: Mapping[str, torch.Tensor], left: torch.Tensor
    ) -> None:
        assert isinstance(layer, torch.nn.Linear)
        entered = given[0] if given else named["input"]
        calls.append(Call(layer, entered.clone(), left.clone()))
        returned.append(left)

    linears = [module for module in network.modules() if isinstance(module, torch.nn.Linear)]
    hooks = [module.register_forward_hook(note, with_kwargs=True) for module in linears]
    try:
        with eager():
            output = network(inputs)
    finally:
        for handle in hooks:
            handle.remove()
    heads = [i for i, call in enumerate(calls) if _same(call.left, output)]
    # layers that are zero, as some are at the start, give the same output: it is the tensor of one of them
    return calls, max(heads, key=lambda i: (returned[i] is output, i), default=-1)


def _same(one: torch.Tensor, other: Any) -> bool:
    """Equal, also where both are NaN, as in a network that has diverged."""
    if not isinstance(other, torch.Tensor) or (one.shape, one.dtype) != (other.shape, other.dtype):
        return False
    return torch.allclose(one, other, rtol=0, atol=0, equal_nan=True)


def module(network: torch.nn.Module) -> torch.nn.Module:
    if not isinstance(network, torch.nn.Module):
        raise ValueError(f"network is of type {type(network).__name__}: give a torch.nn.Module")
    return network


def as_inputs(network: torch.nn.Module, inputs: ArrayLike | torch.Tensor) -> torch.Tensor:
    """Inputs on the network's device and in its precision; integer tensors, symbols for an embedding, as they are."""
    module(network)
    if isinstance(inputs, torch.Tensor):
        check.tensor(inputs, "inputs")
        tensor = inputs.detach()
    else:
        tensor = as_tensor(inputs, "inputs")
        tensor = tensor if tensor.is_floating_point() else tensor.double()
    if tensor.ndim == 0 or len(tensor) == 0:
        raise ValueError(f"inputs have shape {tuple(tensor.shape)}: give one row for each sample or symbol")
    if tensor.is_complex():
        raise ValueError(f"inputs have type {tensor.dtype}: give real numbers")
    weight = next(network.parameters(), torch.empty(0))
    if tensor.is_floating_point():
        tensor = tensor.to(weight.dtype)
        if not tensor.isfinite().all():
            raise ValueError(f"inputs hold NaN or infinite entries in {weight.dtype}: give numbers in their place")
    return tensor.to(weight.device)


def as_tensor(values: ArrayLike, name: str) -> torch.Tensor:
    """Shares the memory of an array that torch can have too: writable, not reversed, of a type that it knows."""
    array = check.array(values, name)
    if array.dtype.kind == "O" or array.dtype.itemsize > 8:
        array = check.real(array, name)
    check.real_type(array.dtype, name)
    return torch.as_tensor(np.require(array, array.dtype.newbyteorder("="), ["C", "W"]))
