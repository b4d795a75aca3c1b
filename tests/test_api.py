"""The API page is made from docstrings: every public function is on it, names its parameters and has an example."""

import inspect
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import pytest

import ufs

MODULES = [name for _, name, _ in iter_modules(ufs.__path__, "ufs.") if not name.startswith("ufs._")]
FUNCTIONS = [
    function
    for module in map(import_module, MODULES)
    for name in module.__all__
    if inspect.isfunction(function := getattr(module, name))
]
API_PAGE = Path(__file__).parents[1] / "book" / "back" / "api.md"


@pytest.mark.parametrize("module", MODULES)
def test_every_module_is_on_the_page(module: str) -> None:
    assert f".. automodule:: {module}\n" in API_PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: f"{function.__module__}.{function.__name__}")
def test_every_function_names_its_parameters_and_has_an_example(function) -> None:
    text = inspect.getdoc(function) or ""
    parameters = text.partition("Parameters\n----------\n")[2].partition("\n\n")[0].splitlines()
    lines = [line.partition(" : ")[0] for line in parameters if not line.startswith(" ")]
    named = {name.strip(" *") for line in lines for name in line.split(",")}
    assert set(inspect.signature(function).parameters) <= named
    assert ">>> " in text
