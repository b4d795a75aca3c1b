"""What is no such setting, and data of another kind, are refused by their name, in every public function.

A setting is a parameter that is one number, name or seed, as its annotation tells; all others hold data, whose checks
have tests beside what they are given to.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import suppress
from enum import Enum
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import dask.array
import numpy as np
import pandas as pd
import polars as pl
import pytest
import traitlets
from matplotlib.figure import Figure

import ufs
import ufs.datasets
import ufs.distributed
import ufs.nn
import ufs.plot
import ufs.widgets
from ufs import _checks as check

MODULES = (ufs, ufs.nn, ufs.plot, ufs.widgets, ufs.datasets, ufs.distributed)
SCALARS = {"int", "float", "bool", "str", "None", "np.random.Generator"}

# What no setting of the kind may be. A row holds one good value, so that only its being a row can be the fault.
ROWS = ([2], np.array([2]))
NUMBERS = (True, np.True_, np.timedelta64(3), "3", b"3", np.nan, np.inf, -np.inf, -1, 1j, *ROWS, {}, 10**400)
REAL = (*NUMBERS, None)
WHOLE = (*NUMBERS, None, 0, 1.5, 2.0, 2**70)
SEED = (True, np.timedelta64(3), "a", "3", np.nan, 1.5, 2.0, -1, *ROWS, None, np.random)
WORD = (True, "3", "", np.nan, -1, 1.5, None, pd.NA, np.array([]), *ROWS)

P = np.array([[0.30, 0.06, 0.04], [0.05, 0.24, 0.03], [0.05, 0.05, 0.18]])
LARGE = ufs.Joint(np.diag([0.15, 0.1, 0.05, 0.02]) + 0.0425)
JOINT = ufs.Joint(P)
P0, P1, P2 = [0.5, 0.3, 0.2], [0.45, 0.35, 0.2], [0.5, 0.25, 0.25]
PHI = ufs.information_vector(P1, P0, 1)
EPS = np.array([0.1, 0.2, 0.4])
X = np.array([0, 1, 2, 0, 1, 2, 1, 0])
Y = np.array([0, 1, 1, 0, 1, 2, 2, 0])
HEAD = (np.ones((3, 1)), [0.1, 0.2, 0.3], [[0.2], [0.3], [0.6]], JOINT)
STATISTICS = ufs.HScore().update([[0.0], [1.0], [0.5], [1.0]], [0, 1, 0, 0])


def bars(**settings: Any) -> None:
    ufs.plot.mode_bars(Figure().subplots(1, 2), JOINT, ufs.modes(JOINT), **settings)


def levels(**settings: Any) -> None:
    ufs.plot.spectrum(Figure().subplots(), [0.5, 0.2], **settings)


def without(values: tuple[Any, ...], *good: Any) -> tuple[Any, ...]:
    return tuple(value for value in values if not any(value is one for one in good))


# function, a call of it with good data and settings that are good unless given, and for each setting what it refuses
Row = tuple[Callable[..., Any], dict[str, Any], Callable[..., Any], dict[str, tuple[Any, ...]]]


def row(function: Callable[..., Any], *data: Any, good: dict[str, Any] | None = None, **bad: tuple[Any, ...]) -> Row:
    return function, good or {}, lambda **settings: function(*data, **settings), bad


TABLE: list[Row] = [
    row(ufs.Joint.faded, JOINT, good={"share": 0.5}, share=REAL),
    row(ufs.HScore.corrected, STATISTICS, parameters=without(REAL, None)),
    row(
        ufs.ace,
        X,
        Y,
        k=WHOLE,
        bins=without(NUMBERS, *ROWS),  # they are edges
        tolerance=REAL,
        max_sweeps=WHOLE,
    ),
    row(ufs.averaged_exponent, X[:3], JOINT, good={"spread": 4, "eps": 0.1}, spread=REAL, eps=(*REAL, 0), of=WORD),
    row(ufs.captured, X[:3], JOINT, of=WORD),
    row(ufs.certify, "R1", EPS, np.sin(EPS), EPS, within=(*REAL, 0)),
    row(ufs.contraction, JOINT, good={"starts": 2}, starts=WHOLE, seed=SEED),
    row(ufs.correspondence, JOINT, k=without(WHOLE, None)),
    row(ufs.distribution, PHI, P0, good={"eps": 0.1}, eps=(*REAL, 0)),
    row(ufs.equal_mass_bins, [0.1, 0.7, 0.3], good={"m": 2}, m=WHOLE),
    row(ufs.information_vector, P1, P0, good={"eps": 0.1}, eps=(*REAL, 0)),
    row(ufs.modes, JOINT, k=without(WHOLE, None)),
    row(
        ufs.mode_test,
        JOINT,
        good={"n": 100, "draws": 19},
        n=WHOLE,
        k=without(WHOLE, None),
        level=(*REAL, 0, 1),
        draws=WHOLE,
        seed=SEED,
    ),
    row(ufs.sigma_errors, JOINT, good={"n": 9}, n=WHOLE, k=without(WHOLE, None)),
    row(ufs.noise_floor, good={"shape": (4, 4), "n": 9}, shape=(*WHOLE, (2, True), (2, 1.5), "33", (3,)), n=WHOLE),
    row(
        ufs.random_attribute,
        P0,
        good={"eps": 0.1, "rng": 0},
        eps=(*REAL, 0),
        rng=SEED,
        values=WHOLE,
        draws=without(WHOLE, None),
    ),
    row(ufs.rotate, PHI, P0, good={"rng": 0}, rng=SEED, draws=without(WHOLE, None)),
    row(
        ufs.sample_neighborhood,
        P0,
        good={"eps": 0.1, "rng": 0},
        eps=(*REAL, 0),
        rng=without(SEED, None),
        size=without(WHOLE, None),
    ),
    row(
        ufs.simulate_error,
        [0, 1, 2],
        P1,
        P2,
        good={"n": 5, "trials": 10},
        n=without(WHOLE, *ROWS),
        trials=WHOLE,
        seed=SEED,
        confidence=(*REAL, 0, 1),
    ),
    row(ufs.valid_range, EPS, np.sin(EPS), EPS, within=(*REAL, 0)),
    (ufs.plot.mode_bars, {"i": 1}, bars, {"i": WHOLE}),
    (ufs.plot.spectrum, {"name": ""}, levels, {"floor": without(REAL, None)}),
    row(ufs.widgets.selection, LARGE, attributes=WHOLE, seed=SEED),
    row(ufs.widgets.separation, size=WHOLE, seed=SEED),
    row(ufs.widgets.simplex, P0, P1, P2, eps=without((*REAL, 0), None)),
    row(ufs.widgets.transport, JOINT, eps=without((*REAL, 0), None)),
    row(ufs.datasets.hair_eye_color, sex=without(WORD, None)),
    row(ufs.datasets.fashion_mnist, part=WORD),
]

# ---- the networks ----------------------------------------------------------------------------------------------------

SIZES, RELUS = [3, 2, 3], ["tanh"]


def networks() -> tuple[Any, Any]:
    return ufs.nn.mlp(SIZES, RELUS, seed=0), JOINT


def fit(**settings: Any) -> None:
    ufs.nn.fit_samples(networks()[0], np.eye(3)[X], X, **({"epochs": 1, "lr": 0.1, "progress": False} | settings))


def fit_exactly(**settings: Any) -> None:
    with suppress(ufs.nn.NotConverged):  # which takes more than good settings
        ufs.nn.fit_exact(*networks(), **({"max_steps": 5, "tolerance": 10.0} | settings))


TABLE += [
    row(ufs.composite_head, [[1.0]], [0.1], *HEAD, activation=WORD),
    row(ufs.hidden_layer_weights, *HEAD, activation=WORD),
    row(ufs.optimal_softmax, JOINT, good={"k": 1}, k=WHOLE),
    (
        ufs.nn.fit_exact,
        {},
        fit_exactly,
        {"tolerance": (*REAL, 0), "max_steps": WHOLE},
    ),
    (
        ufs.nn.fit_samples,
        {},
        fit,
        {
            "epochs": WHOLE,
            "lr": (*REAL, 0),
            "optimizer": WORD,
            "momentum": (*REAL, 1, 1.5),
            "decay": REAL,
            "clip": without((*REAL, 0), None),
            "batch_size": without(WHOLE, None),
            "seed": SEED,
        },
    ),
    row(
        ufs.nn.mlp,
        good={"sizes": SIZES, "activations": RELUS, "seed": 0},
        sizes=(3, [3], [3, 0, 3], [3, True, 3], [3, 1.5, 3], "323", None),
        seed=SEED,
    ),
    row(
        ufs.nn.whitening_penalty,
        JOINT,
        good={"radius": 1.0},
        radius=(*REAL, 0),
        mean=without(REAL, -1),
        strength=(*REAL, 0),
    ),
]

# ---- what is taken on purpose ----------------------------------------------------------------------------------------

FREE = {
    ("certify", "result"): "a label that is shown",
    ("label_points", "colour"): "matplotlib names the colours, and says which it does not know",
    ("spectrum", "name"): "a label that is shown",
    ("ranking", "accuracy"): "a key of the given networks",
    ("dtm", "centered"): "a flag: read as Python reads any condition",
    ("fit_samples", "nesterov"): "a flag",
    ("fit_samples", "progress"): "a flag",
    ("fashion_mnist", "folder"): "a path: pathlib says what is none",
}

CASES = [
    pytest.param(call, good, name, value, id=f"{function.__qualname__}-{name}-{value!r:.20}")
    for function, good, call, bad in TABLE
    for name, values in bad.items()
    for value in values
]


@pytest.mark.parametrize(("call", "good", "name", "value"), CASES)
def test_what_is_no_such_setting_is_refused_by_its_name(call, good, name, value):
    with pytest.raises(ValueError, match=rf"\b{name}\b"):
        call(**good | {name: value})


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row[0].__qualname__)
def test_the_settings_that_all_others_stand_beside_are_good(row):
    function, good, call, _ = row
    if function is not ufs.datasets.fashion_mnist:  # its files may not be there
        call(**good)


def public() -> Iterator[tuple[str, Callable[..., Any]]]:
    for module in MODULES:
        for name in module.__all__:
            thing = getattr(module, name)
            if inspect.isfunction(thing):
                yield name, thing
            elif thing in (ufs.HScore, ufs.Joint):
                yield from inspect.getmembers(thing, lambda member: inspect.isroutine(member))


def is_setting(parameter: inspect.Parameter) -> bool:
    kinds = {kind.strip() for kind in str(parameter.annotation).split("|")}
    return kinds <= SCALARS


def test_every_setting_is_in_the_table():
    listed = {(function.__name__, name) for function, _, _, bad in TABLE for name in bad}
    assert not listed & FREE.keys()
    settings = {
        (name, parameter.name)
        for name, function in public()
        if not name.startswith("_")
        for parameter in inspect.signature(function).parameters.values()
        if is_setting(parameter)
    }
    assert settings <= listed | FREE.keys()
    assert FREE.keys() - {("fashion_mnist", "folder")} <= settings


@pytest.mark.parametrize("number", [2, 2.0, Fraction(2), np.float32(2), np.int8(2)])
def test_a_number_of_any_type_is_a_number(number):
    check.positive(it=number)
    assert check.eps(number) == check.number(number) == 2
    assert np.allclose(ufs.Joint.faded(JOINT, number / 2).P, P)


@pytest.mark.parametrize("number", [2, np.int8(2), np.uint64(2)])
def test_an_integer_of_any_type_is_an_integer(number):
    check.counts(it=number)
    assert check.integer(number) == 2
    assert ufs.modes(JOINT, number).sigma.size == 2


OF_ANY_TYPE = {
    "share": lambda value: JOINT.faded(value).P,
    "confidence": lambda value: ufs.simulate_error([0, 1, 2], P1, P2, n=5, trials=10, confidence=value).high,
    "eps": lambda value: ufs.sample_neighborhood(P0, value, rng=0),
    "tolerance": lambda value: ufs.ace(X, Y, tolerance=value).f,
    "momentum": lambda value: fitted(momentum=value),
    "lr": lambda value: fitted(lr=value),
}


def fitted(**settings: Any) -> Any:
    network = networks()[0]
    ufs.nn.fit_samples(network, np.eye(3)[X], X, **({"epochs": 2, "lr": 0.1, "progress": False} | settings))
    return ufs.nn.read(network, np.eye(3)).v


class Third(float, Enum):
    number = 0.3


@pytest.mark.parametrize("name", OF_ANY_TYPE)
def test_settings_of_every_type_of_number_do_the_same(name):
    for number in (Fraction(3, 10), Third.number, np.float16(0.3), np.float32(0.3), np.longdouble("0.3")):
        np.testing.assert_array_equal(OF_ANY_TYPE[name](number), OF_ANY_TYPE[name](float(number)))
    for number in (np.int8(2), np.uint64(2), np.int64(2)):
        np.testing.assert_array_equal(fitted(batch_size=number), fitted(batch_size=2))


@pytest.mark.parametrize("eps", [Third.number, Fraction(9, 10), np.longdouble(2)])
def test_a_radius_of_any_type_that_is_too_large_is_told_the_largest(eps):
    with pytest.raises(ValueError, match=r"eps = \S+: beyond 0.25 some vectors"):
        ufs.sample_neighborhood([1 / 17, 16 / 17], eps)


def test_labels_come_in_order():
    for labels in (3, {"a", "b", "c"}, frozenset("abc")):
        with pytest.raises(ValueError, match=f"x_labels is a {type(labels).__name__}: give the labels in order"):
            ufs.Joint(P, x_labels=labels)
    assert ufs.Joint(P, x_labels={"a": 1, "b": 2, "c": 3}.keys()).x_labels == ("a", "b", "c")


def test_statistics_merge_with_statistics():
    with pytest.raises(ValueError, match="a int is no HScore: make one with"):
        ufs.HScore().merge(3)


NETWORK = SimpleNamespace(s=np.ones((3, 1)) * [[1], [2], [4]], v=np.ones((3, 1)) * [[1], [3], [2]])
RUNS = [{"family": "a", "name": name, "seed": 0, "H": h, "accuracy": h} for name, h in (("m", 0.1), ("n", 0.3))]
RATES = {"product": 1e11, "number": 2e-9, "end": 3e10, "call": 1e-3}
FIGURES = {
    "approximation": lambda: ufs.widgets.approximation(JOINT, [0.5, 1], {1: [NETWORK, NETWORK]}),
    "convergence": lambda: ufs.widgets.convergence(JOINT),
    "cost": lambda: ufs.widgets.cost(RATES, []),
    "mismatch": lambda: ufs.widgets.mismatch(P1, P2),
    "projections": lambda: ufs.widgets.projections(JOINT),
    "ranking": lambda: ufs.widgets.ranking(RUNS, {"H": "H"}),
    "selection": lambda: ufs.widgets.selection(LARGE),
    "separation": lambda: ufs.widgets.separation(),
    "simplex": lambda: ufs.widgets.simplex(P0, P1, P2),
    "transport": lambda: ufs.widgets.transport(JOINT),
    "width": lambda: ufs.widgets.width(JOINT),
}
STATES = ("3", np.nan, np.inf, -np.inf, -1, 1.5, None, [2], [np.nan, 1], [np.nan] * 3, 10**6, 1e300, [1e300, 1], [0, 0])


def test_every_figure_is_there():
    assert {name for name in ufs.widgets.__all__ if name.islower()} == FIGURES.keys()


@pytest.mark.parametrize("figure", FIGURES)
def test_a_state_that_is_taken_can_be_shown(figure):
    figure = FIGURES[figure]()
    for name in figure._state:
        before = getattr(figure, name)
        for value in STATES:
            try:
                setattr(figure, name, value)
            except traitlets.TraitError:
                assert getattr(figure, name) == before
            else:
                assert figure.html()
                assert repr(figure)
            setattr(figure, name, before)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ufs.certificate_table([1]), r"certificates\[0\] = 1 is no Certificate"),
        (lambda: ufs.certificate_table(1), "certificates = 1"),
        (lambda: ufs.Certificate("R1", "2", 0.5, 0.1, (0.1, 1)), "order = '2'"),
        (lambda: ufs.Certificate("R1", np.nan, 0.5, 0.1, (0.1, 1)), "order = nan"),
        (lambda: ufs.Certificate("R1", 2, None, 0.1, (0.1, 1)), "range = None"),
        *(
            (lambda r=r: ufs.Certificate("R1", 2, r, 0.1, (0.1, 1)), "range = ")
            for r in (5, 0.05, np.inf, "nan", pd.NA, np.datetime64("NaT"), np.array([0.5, 0.6]))
        ),
        (lambda: ufs.Certificate("R1", 2, 0.5, 0.1, None), "eps"),
        (lambda: ufs.Certificate("R1", 2, 0.5, 0.1, (1, 0.1)), r"eps = \(1, 0\.1\)"),
        (lambda: ufs.plot.heatmap(None, [[1]], "a", "b"), "ax is a NoneType"),
        (lambda: ufs.plot.heatmap(Figure().subplots(), [[1]], 1, "b"), "rows is a int"),
        (lambda: ufs.plot.mode_bars(Figure().subplots(), JOINT, ufs.modes(JOINT), 1), "axes is a Axes"),
        (lambda: ufs.plot.mode_bars([1], JOINT, ufs.modes(JOINT), 1), "1 axes"),
        (lambda: ufs.plot.mode_bars(Figure().subplots(1, 2), JOINT, None, 1), "NoneType is no Modes"),
        (lambda: ufs.plot.label_points(Figure().subplots(), [[np.nan, 1]], "a", "red"), r"points\[0, 0\] = nan"),
        (lambda: ufs.plot.label_points(Figure().subplots(), [["a", "b"]], "a", "red"), "points is of type"),
        (lambda: ufs.plot.label_points(Figure().subplots(), [[0, 1]], 1, "red"), "labels is a int"),
        (lambda: ufs.plot.spectrum(Figure().subplots(), [0.5, -0.1], ""), r"sigma\[1\] = -0\.1"),
        (lambda: ufs.plot.spectrum(Figure().subplots(), "ab", ""), "sigma is of type"),
        *(
            (lambda slope=slope: ufs.plot.remainder(Figure().subplots(), EPS, {"D": EPS}, {"D": slope}), "slopes")
            for slope in (None, "3", np.nan, np.inf, 1e5, True)
        ),
        (lambda: ufs.plot.remainder(Figure().subplots(), [1e-300, 1], {"D": [1, 2]}, {"D": 1}), r"eps\[0\]"),
        (lambda: ufs.plot.remainder(Figure().subplots(), EPS, {"D": [1, 1e300, 1]}, {"D": 1}), r"'D'\]\[1\]"),
        (lambda: ufs.plot.remainder(Figure().subplots(), EPS, [EPS], {"D": 1}), "remainders is a list"),
        (lambda: ufs.widgets.approximation(None, [1, 2], {}), "no Joint"),
        (lambda: ufs.widgets.approximation(JOINT, [1, 2], [1]), "no network"),
        (lambda: ufs.widgets.approximation(JOINT, [1, 2], {"1": [1, 2]}), "k = '1'"),
        (lambda: ufs.widgets.approximation(JOINT, [1, 2], {True: [NETWORK, NETWORK]}), "k = True"),
        (lambda: ufs.widgets.approximation(JOINT, [1, 2], {1: [1, 2]}), "a int is no network"),
        (lambda: ufs.widgets.approximation(JOINT, [1, 2], {1: 2}), "networks with k = 1 are a int"),
        (lambda: ufs.widgets.convergence([JOINT]), "no table"),
        (lambda: ufs.widgets.convergence({"a": 1}), "no Joint"),
        (lambda: ufs.widgets.width([JOINT]), "no table"),
        (lambda: ufs.widgets.cost(None, []), "rates is no dictionary"),
        (lambda: ufs.widgets.cost(RATES | {"end": "1"}, []), r"rates\['end'\] = '1'"),
        (lambda: ufs.widgets.cost(RATES | {"end": True}, []), r"rates\['end'\] = True"),
        (lambda: ufs.widgets.cost(RATES, [1]), r"points\[0\] is a int"),
        (lambda: ufs.widgets.cost(RATES, [{"n": "a"}]), r"points\[0\]\['n'\] = 'a'"),
        (lambda: ufs.widgets.mismatch(P1, P2, labels=3), "labels is a int"),
        (lambda: ufs.widgets.ranking(None, {"H": "H"}), "networks is a NoneType"),
        (lambda: ufs.widgets.ranking([{"name": "n"}], {"H": "H"}), r"networks\[0\] has no 'family'"),
        (lambda: ufs.widgets.ranking([one | {"H": "1"} for one in RUNS], {"H": "H"}), "H = '1'"),
        (lambda: ufs.widgets.ranking([one | {"seed": None} for one in RUNS], {"H": "H"}), r"\['seed'\] = None"),
        (lambda: ufs.widgets.ranking(RUNS, {"H": "H"}, accuracy="right"), "no 'right'"),
        (lambda: ufs.widgets.simplex(P0, P1, P2, labels=3), "labels is a int"),
    ],
)
def test_data_of_another_kind_are_refused_by_their_name(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("eps", [1e-300, 1e300])
def test_the_local_divergence_of_the_simplex_does_not_depend_on_its_radius(eps):
    figure = ufs.widgets.simplex(P0, P1, P2, eps=eps)
    assert figure.local == pytest.approx(ufs.widgets.simplex(P0, P1, P2).local)
    assert figure.html()


def test_a_generator_goes_on_and_a_seed_begins_anew():
    rng = np.random.default_rng(5)
    assert check.generator(rng, "rng") is rng
    assert check.generator(np.uint8(5), "rng").random() == check.generator(5, "rng").random() == rng.random()


@pytest.mark.parametrize("size", [1e76, 1e150, 1e200, 1e300])
@pytest.mark.parametrize("activation", ["identity", "relu"])
def test_inputs_too_large_to_descend_are_told_to_be_scaled_down(activation, size):
    with pytest.raises(ValueError, match=r"not below 1e\+75 at the start: scale the inputs down"):
        ufs.nn.fit_exact(ufs.nn.mlp((len(P), 1, P.shape[1]), [activation], seed=0), JOINT, inputs=size * np.eye(len(P)))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ufs.h_score(pl.LazyFrame({"a": [1.0, 2.0]}), [0, 1]), "features is a LazyFrame.*collect"),
        (lambda: ufs.h_score([1.0, 2.0], pl.LazyFrame({"a": [0, 1]})), "labels is a LazyFrame.*collect"),
        (lambda: ufs.Joint(pl.LazyFrame({"a": [0.5, 0.5]})), "P is a LazyFrame.*collect"),
        (lambda: ufs.distributed.dask_joint(None, None), "delayed blocks must come in pairs"),
        (lambda: ufs.distributed.dask_joint(*[dask.array.from_array(np.array(1))] * 2), "of no axis holds no samples"),
        (lambda: ufs.nn.read(3, np.eye(2)), "network is of type int"),
        (lambda: ufs.nn.fit_exact(None, JOINT), "network is of type NoneType"),
        (lambda: ufs.nn.fit_samples("a", np.eye(2), [0, 1], epochs=1, lr=0.1), "network is of type str"),
        (
            lambda: ufs.nn.fit_samples(ufs.nn.mlp((2, 2), [], seed=0), np.eye(2), [0, 1], epochs=1, lr=0.1, record=3),
            "record = 3",
        ),
        (
            lambda: ufs.distribution([2**0.5, -1], [1 / 3, 2 / 3], eps=1e19),
            "gives a distribution for eps up to",
        ),
    ],
)
def test_what_is_not_there_yet_or_of_another_kind_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
