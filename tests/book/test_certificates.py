"""Each numbered result is certified by a cell, and each cell that certifies would print otherwise if it were false."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bookfiles import NOTEBOOKS, PROJECT, directives, notebook, texts
from certificates import blind, times
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook

import ufs

NUMBERED = {f"prf:{kind}" for kind in ("theorem", "proposition", "corollary", "lemma")}
KEYS = {"certifies", "disturb", "bounds", "why"}
VERDICT = r"(?:np\.)?(?:True_?|False_?)"
BARE = re.compile(rf"^[\s(\[]*{VERDICT}(?:[\s,]+{VERDICT})*[\s)\],]*$", re.MULTILINE)


def results(page: str) -> list[str]:
    """The labels of a page's numbered results."""
    return [block.options["label"] for block in directives("\n\n".join(texts(page))) if block.name in NUMBERED]


def certificates(page: str) -> list[tuple[int, dict[str, Any]]]:
    """Cells that certify, by number, and what they say of it."""
    cells = enumerate(notebook(page).cells)
    return [(i, cell.metadata.ufs) for i, cell in cells if "certifies" in cell.metadata.get("ufs", {})]


def certified(page: str) -> set[str]:
    return {label for _, about in certificates(page) for label in about["certifies"]}


def uncertified(page: str) -> dict[str, str]:
    return notebook(page).metadata["ufs"].get("uncertified", {})


@pytest.mark.parametrize("page", NOTEBOOKS)
def test_each_result_is_certified_or_says_why_not(page: str) -> None:
    missing = [label for label in results(page) if label not in certified(page) | uncertified(page).keys()]
    assert not missing, (
        f'no cell says that it certifies {missing}: give the cell the metadata "ufs": {{"certifies": […], "disturb": '
        '[…]}, or give the notebook a reason, "ufs": {"uncertified": {label: reason}}'
    )


@pytest.mark.parametrize("page", NOTEBOOKS)
def test_what_is_certified_is_there(page: str) -> None:
    assert certified(page) <= set(results(page))
    assert uncertified(page).keys() <= set(results(page)) - certified(page)
    assert all(len(reason.split()) >= 4 for reason in uncertified(page).values())


@pytest.mark.parametrize("page", NOTEBOOKS)
def test_certificates_say_what_to_disturb(page: str) -> None:
    for i, about in certificates(page):
        assert about.keys() <= KEYS, f"cell {i}"
        assert about["certifies"], f"cell {i}"
        assert about.get("disturb") or about.get("bounds"), f"cell {i} certifies and names nothing to disturb"


@pytest.mark.parametrize("page", [page for page in NOTEBOOKS if certificates(page)])
def test_certificates_notice_an_error(page: str) -> None:
    faults = blind(notebook(page), (PROJECT / page).parent)
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("page", NOTEBOOKS)
def test_no_output_is_a_bare_verdict(page: str) -> None:
    for i, cell in enumerate(notebook(page).cells):
        for output in cell.get("outputs", []):
            text = output.get("text") or output.get("data", {}).get("text/plain", "")
            assert not BARE.search(text), f"cell {i} says {text.strip()!r}: say in words and numbers what was found"


# ---- the tests above can fail ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["True", "False\n", "(True, True)", "a: 1\nTrue\n", "True False", "[np.True_]"])
def test_a_bare_verdict(text: str) -> None:
    assert BARE.search(text)


@pytest.mark.parametrize("text", ["all 40 within the bound: True", "it is True", "(True, 0.5)", ""])
def test_words_and_numbers_are_no_bare_verdict(text: str) -> None:
    assert not BARE.search(text)


SETUP = "import numpy as np\nimport ufs\nfrom functools import cache\nfrom myst_nb import glue"
SETUP += "\nrng = np.random.default_rng(0)"
SETUP += "\np, q = np.array([0.5, 0.3, 0.2]), np.array([0.4, 0.4, 0.2])"
SETUP += "\ntwice = 2 * ufs.kl_divergence(p, q)\nfrozen = ufs.Joint(np.outer(p, q))"
DISTANCE = "\ndef distance(p, q):\n    return (p - q) @ ((p - q) / q)"


def small(source: str, setup: str = "", **about: Any) -> NotebookNode:
    """A notebook whose last cell certifies something."""
    return new_notebook(
        cells=[
            new_code_cell(SETUP + setup),
            new_code_cell(source, metadata={"ufs": {"certifies": ["thm-small"], **about}}),
        ]
    )


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("print(ufs.kl_divergence(p, q) / ufs.kl_divergence(p, q))", {"disturb": ["ufs.kl_divergence"]}),
        ("x = ufs.kl_divergence(p, q)\nprint(any([x < twice, x < 1e9]))", {"disturb": ["ufs.kl_divergence"]}),
        ("print('below the bound:', distance(p, q) < 1e9)", {"disturb": ["distance"], "bounds": []}),
        ("bound = 1e9\nprint('below the bound:', distance(p, q) < twice + bound)", {"bounds": ["twice"]}),
        ("print(round(distance(p, q), 2))", {"disturb": ["distance"]}),
        ("print(ufs.kl_divergence(p, p))", {"disturb": ["ufs.kl_divergence"]}),  # nothing of round-off's size counts
        ("glue('x', len(p))", {"disturb": ["p"]}),
        ("rng.random(3).sum()", {"disturb": ["p"]}),  # not because the generator has moved on
    ],
)
def test_a_blind_certificate_is_caught(source: str, names: dict[str, list[str]]) -> None:
    (fault,) = blind(small(source, DISTANCE, **names), PROJECT)
    assert "cell 1, which certifies thm-small, does not notice" in fault


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("print(f'{ufs.kl_divergence(p, q) / twice:.4f}')", {"disturb": ["ufs.kl_divergence", "twice"]}),
        ("inner = lambda: distance(p, q)\nf'{inner():.5f}'", {"disturb": ["distance", "p"]}),
        ("print('below the bound:', distance(p, q) < twice)", {"bounds": ["twice"]}),
        ("glue('x', distance(p, q))", {"disturb": ["distance"]}),
        ("assert abs(distance(p, q) - kept) < 1e-9", {"disturb": ["distance"]}),
        ("found = remembered(1)\nprint(found)", {"disturb": ["distance"]}),
        ("print(frozen.px[0], next(iter(frozen.P))[0])", {"disturb": ["frozen.P"]}),
        ("held.append(distance(p, q))\nprint(len(held), sum(held))", {"disturb": ["distance"]}),
        ("print(apart.mutual_information())", {"disturb": ["ufs.Joint.mutual_information"]}),
    ],
)
def test_a_certificate_that_sees_is_none(source: str, names: dict[str, list[str]]) -> None:
    setup = DISTANCE + "\nkept, held = distance(p, q), []"
    setup += "\n@cache\ndef remembered(n):\n    return n * distance(p, q)\nremembered(1)"
    setup += "\napart = ufs.Joint(np.array([[0.3, 0.2], [0.1, 0.4]]))"
    assert not blind(small(source, setup, **names), PROJECT)


def test_names_that_mean_nothing_come_with_a_remedy() -> None:
    found = blind(small("print(p)", disturb=["nothing", "ufs.nothing", "rng"]), PROJECT)
    assert [fault.partition("but ")[2] for fault in found] == [
        "nothing is not there before the cell: compute it in a cell above",
        "ufs.nothing does not exist before the cell: compute it in a cell above",
        "a Generator cannot be multiplied: name a number, an array or a function in it",
    ]


def test_a_cell_that_comes_out_otherwise_each_time_is_caught() -> None:
    (fault,) = blind(small("print(np.random.default_rng().random())", disturb=["p"]), PROJECT)
    assert "the same twice" in fault


def test_nothing_is_left_behind() -> None:
    before, here = ufs.kl_divergence, Path.cwd()
    blind(small("print(ufs.kl_divergence(p, q))", disturb=["ufs.kl_divergence"]), PROJECT / "book")
    assert ufs.kl_divergence is before
    assert Path.cwd() == here


def test_what_is_multiplied() -> None:
    whole = np.arange(3)
    assert times((1, True, "a", None), 2) == (1, True, "a", None)
    assert np.array_equal(times([whole, 0.5 * whole], 2)[1], whole)
    assert np.array_equal(times(whole, 2), whole)
    assert times({"a": (0.5, [np.float64(1.5)])}, 2) == {"a": (1.0, [3.0])}
    modes = ufs.modes(ufs.Joint(np.array([[0.3, 0.2], [0.1, 0.4]])))
    assert np.allclose(times(modes, 2).sigma, 2 * modes.sigma)
