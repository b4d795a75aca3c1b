"""Certificates that can fail: a notebook runs once, and each cell that certifies something, again and again, disturbed.

A cell says in its metadata what it certifies and what a reader could have got wrong::

    "ufs": {"certifies": ["thm-x"], "disturb": ["ufs.kl_divergence", "theory.sigma"], "bounds": ["bound"]}

`disturb` and `bounds` name what is there just before the cell runs: a function, whose result is disturbed, a float, an
array, a table, a dataclass, or tuples, lists and dictionaries of these. With one name at a time multiplied by
1 + 1e-3, a bound by 1e-3, what the cell prints, returns or glues must change by more than nbval would overlook.
Integers and truth values stay: a label or a seed is not what is measured.
"""

import ast
import copy
import dataclasses
import functools
import importlib.util
import io
import os
import sys
import types
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import IPython.display
import matplotlib as mpl
import matplotlib.pyplot as plt
import myst_nb
import numpy as np
import pandas as pd
from nbformat import NotebookNode
from scipy import sparse

BOOK = Path(__file__).parents[2] / "book"
sys.path.append(str(BOOK))
SPEC = importlib.util.spec_from_file_location("comparison", BOOK / "conftest.py")
assert SPEC is not None
assert SPEC.loader is not None
comparison = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(comparison)
texts_agree, neutral = comparison.texts_agree, comparison.neutral  # what nbval overlooks; where its kernels run

ERROR, SHRINK = 1 + 1e-3, 1e-3
Namespace = dict[str, Any]


class UnusableError(Exception):
    """A name that no disturbance can be given to."""


def times(value: Any, factor: float) -> Any:
    """A value whose floating-point numbers are all multiplied."""
    if isinstance(value, np.ndarray) and value.dtype == object:
        return np.array([times(item, factor) for item in value.ravel()], object).reshape(value.shape)
    if isinstance(value, (np.ndarray, np.generic)):
        return value * value.dtype.type(factor) if np.issubdtype(value.dtype, np.inexact) else value
    if isinstance(value, pd.DataFrame):
        return value.apply(lambda column: times(column, factor))
    if isinstance(value, pd.Series):
        return value * factor if pd.api.types.is_float_dtype(value.dtype) else value
    if value is None or isinstance(value, (bool, int, str, bytes)):
        return value
    if isinstance(value, (float, complex)) or sparse.issparse(value):
        return value * factor
    if hasattr(value, "is_floating_point"):  # a tensor
        return value * factor if value.is_floating_point() else value
    if isinstance(value, Mapping):
        return type(value)((key, times(item, factor)) for key, item in value.items())
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(times(item, factor) for item in value))
    if isinstance(value, (tuple, list)):
        return type(value)(times(item, factor) for item in value)
    if isinstance(value, Iterator):
        return (times(item, factor) for item in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        other, fields = copy.copy(value), {field.name for field in dataclasses.fields(value)}
        for name in [*getattr(other, "__dict__", ())]:
            if name not in fields:  # computed from the fields, and kept
                del other.__dict__[name]
        for name in fields:
            object.__setattr__(other, name, times(getattr(value, name), factor))
        return other
    if callable(value):

        @functools.wraps(value)
        def disturbed(*args: Any, **kwargs: Any) -> Any:
            return times(value(*args, **kwargs), factor)

        return disturbed
    raise UnusableError(f"a {type(value).__name__} cannot be multiplied: name a number, an array or a function in it")


def owner_of(name: str, namespace: Namespace) -> tuple[Any, str]:
    """The object that holds what a dotted name means, and its last part."""
    first, *rest = name.split(".")
    if first not in namespace:
        raise UnusableError(f"{first} is not there before the cell: compute it in a cell above")
    if not rest:
        return namespace, first
    owner = namespace[first]
    for part in rest[:-1]:
        owner = getattr(owner, part, None)
    if not hasattr(owner, rest[-1]):
        raise UnusableError(f"{name} does not exist before the cell: compute it in a cell above")
    return owner, rest[-1]


@contextmanager
def disturbed(name: str, factor: float, namespace: Namespace) -> Iterator[None]:
    owner, last = owner_of(name, namespace)
    if owner is namespace:
        namespace[last] = times(namespace[last], factor)  # the namespace is put back by the caller
        yield
        return
    own = last in vars(owner) if hasattr(owner, "__dict__") else False
    before = getattr(owner, last)
    write = setattr if isinstance(owner, (type, types.ModuleType)) else object.__setattr__
    write(owner, last, times(before, factor))
    try:
        yield
    finally:
        if own or not isinstance(owner, (type, types.ModuleType)):
            write(owner, last, before)
        else:
            delattr(owner, last)


def names_used(code: types.CodeType) -> set[str]:
    inner = (constant for constant in code.co_consts if isinstance(constant, types.CodeType))
    return {*code.co_names}.union(*map(names_used, inner))


def reachable(source: str, namespace: Namespace) -> set[str]:
    """The names of the namespace that a cell uses, itself or through functions that cells have defined."""
    found: set[str] = set()
    waiting = names_used(compile(ast.parse(source), "cell", "exec")) & namespace.keys()
    while waiting:
        name = waiting.pop()
        found.add(name)
        value = inspect_wrapped(namespace[name])
        codes = [value.__code__] if isinstance(value, types.FunctionType) and value.__globals__ is namespace else []
        if isinstance(value, type) and value.__module__ == namespace.get("__name__"):
            codes = [method.__code__ for method in vars(value).values() if isinstance(method, types.FunctionType)]
        for code in codes:
            waiting |= (names_used(code) & namespace.keys()) - found
    return found


def inspect_wrapped(value: Any) -> Any:
    return getattr(value, "__wrapped__", value)


def copied(values: Namespace) -> Namespace:
    """Copies that share what the originals share. What cannot be copied holds no state that a cell alters."""
    memo: dict[int, Any] = {}
    copies = {}
    for name, value in values.items():
        try:
            copies[name] = (
                value if isinstance(value, (types.ModuleType, TemporaryDirectory)) else copy.deepcopy(value, memo)
            )
        except (TypeError, RuntimeError):
            copies[name] = value
    return copies


class Run:
    """Cells run one after the other as a kernel would, without drawing."""

    def __init__(self) -> None:
        output: list[str] = []

        def display(*values: Any, **_: Any) -> None:
            output.extend(f"{value!r}\n" for value in values)

        def glue(name: str, value: Any, display: bool = True) -> None:
            output.append(f"{name}: {value!r}\n")

        self.output, self.display, self.glue = output, display, glue
        self.namespace: Namespace = {"__name__": "__main__", "display": display}

    def cell(self, source: str) -> str:
        """What a cell prints, returns and glues."""
        self.output.clear()
        body = ast.parse(source).body
        last = body.pop() if body and isinstance(body[-1], ast.Expr) and not source.rstrip().endswith(";") else None
        stdout = io.StringIO()
        with redirect_stdout(stdout), redirect_stderr(io.StringIO()):
            exec(compile(ast.Module(body, []), "cell", "exec"), self.namespace)
            if last is not None:
                value = eval(compile(ast.Expression(last.value), "cell", "eval"), self.namespace)
                if value is not None:
                    self.display(value)
        plt.close("all")
        return stdout.getvalue() + "".join(self.output)


@contextmanager
def as_a_kernel(run: Run, folder: Path) -> Iterator[None]:
    here, path = Path.cwd(), [*sys.path]
    with ExitStack() as stack:
        stack.enter_context(neutral())
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        stack.enter_context(mpl.rc_context())
        stack.enter_context(mock.patch.object(plt, "show"))
        stack.enter_context(mock.patch.object(myst_nb, "glue", run.glue))
        stack.enter_context(mock.patch.object(IPython.display, "display", run.display))
        plt.switch_backend("Agg")
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(here)
            sys.path[:] = path
            plt.close("all")
            for value in run.namespace.values():
                if isinstance(value, TemporaryDirectory):
                    value.cleanup()


def generators() -> Callable[[], None]:
    """What puts the random numbers of numpy and torch back to where they are now."""
    numpy_state = np.random.get_state()  # noqa: NPY002
    torch = sys.modules.get("torch")
    torch_state = torch.get_rng_state() if torch else None

    def restore() -> None:
        np.random.set_state(numpy_state)  # noqa: NPY002
        if torch_state is not None:
            sys.modules["torch"].set_rng_state(torch_state)

    return restore


def examined(run: Run, source: str, about: Mapping[str, Any]) -> list[str]:
    """Run a cell that certifies something, first as it is, then disturbed, and say what it does not notice."""
    before, restore = {**run.namespace}, generators()
    used = (
        reachable(source, run.namespace)
        | {name.split(".")[0] for name in [*about.get("disturb", []), *about.get("bounds", [])]} & run.namespace.keys()
    )
    originals = copied({name: before[name] for name in used})

    def forget() -> None:
        for name in used:
            if hasattr(before[name], "cache_clear") and not isinstance(before[name], type):
                before[name].cache_clear()

    reference = run.cell(source)
    after, restore_after = {**run.namespace}, generators()

    def again(name: str | None, factor: float = 1.0) -> str:
        run.namespace.clear()
        run.namespace.update({**before, **copied(originals)})
        restore()
        forget()
        with disturbed(name, factor, run.namespace) if name else ExitStack():
            try:
                return run.cell(source)
            except UnusableError:
                raise
            except Exception as error:  # a cell that stops has noticed
                return f"{type(error).__name__}: {error}"

    faults = []
    if not texts_agree(again(None), reference):
        faults.append("does not come out the same twice: no change of it means anything")
    for key, factor in (("disturb", ERROR), ("bounds", SHRINK)):
        for name in about.get(key, []):
            try:
                noticed = not texts_agree(again(name, factor), reference)
            except UnusableError as error:
                faults.append(f"{key} names {name}, but {error}")
            else:
                if not noticed:
                    faults.append(f"does not notice {name} × {factor:g}: show more digits, or compare with a bound")
    run.namespace.clear()
    run.namespace.update(after)
    restore_after()
    forget()
    return faults


def blind(notebook: NotebookNode, folder: Path) -> list[str]:
    """What the certificates of a notebook would not notice, cell by cell."""
    cells = [(i, cell) for i, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
    last = max((i for i, cell in cells if cell.metadata.get("ufs", {}).get("certifies")), default=-1)
    run, faults = Run(), []
    with as_a_kernel(run, folder):
        for i, cell in cells:
            about = cell.metadata.get("ufs", {})
            if i > last:
                break
            if about.get("certifies"):
                place = f"cell {i}, which certifies {', '.join(about['certifies'])}, "
                faults += [place + fault for fault in examined(run, cell.source, about)]
            else:
                run.cell(cell.source)
    return faults
