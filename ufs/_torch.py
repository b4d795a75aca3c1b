"""What building, reading and training networks in torch have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

Array: TypeAlias = NDArray[np.float64]
Record: TypeAlias = Callable[[int, torch.nn.Module], Any]

ALL_FROZEN = "no parameter requires a gradient: unfreeze a layer (layer.requires_grad_(True))"


@contextmanager
def mode(network: torch.nn.Module, training: bool) -> Iterator[None]:
    """Training or evaluation mode, and afterwards each module's own mode as it was."""
    before = [(module, module.training) for module in network.modules()]
    network.train(training)
    try:
        yield
    finally:
        for module, was in before:
            module.training = was


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
def watching_linears(
    network: torch.nn.Module, note: Callable[[torch.nn.Linear, torch.Tensor, torch.Tensor], None]
) -> Iterator[None]:
    """Until the end of the block, ``note(layer, entered, left)`` hears of every call of a Linear layer."""

    def hook(layer: torch.nn.Module, entered: tuple[torch.Tensor, ...], left: torch.Tensor) -> None:
        assert isinstance(layer, torch.nn.Linear)
        note(layer, entered[0], left)

    linears = [module for module in network.modules() if isinstance(module, torch.nn.Linear)]
    hooks = [module.register_forward_hook(hook) for module in linears]
    try:
        yield
    finally:
        for handle in hooks:
            handle.remove()


def as_inputs(network: torch.nn.Module, inputs: ArrayLike | torch.Tensor) -> torch.Tensor:
    """Inputs on the network's device and in its precision; integer tensors, symbols for an embedding, as they are."""
    tensor = inputs if isinstance(inputs, torch.Tensor) else as_tensor(inputs, "inputs")
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


def as_tensor(values: ArrayLike, name: str) -> torch.Tensor:
    """Shares the memory of an array that may be written to; torch has no others, so of those it takes a copy."""
    array = np.require(values, requirements="W")
    if array.dtype.kind not in "biufc":
        raise ValueError(f"{name} have type {array.dtype}: give numbers")
    return torch.as_tensor(array)
