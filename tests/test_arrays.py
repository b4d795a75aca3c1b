"""Whatever stands for an array is read as one, or refused by its name, in every public function that takes one."""

from collections import deque
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from matplotlib.figure import Figure

import ufs
from ufs import nn, plot

JOINT = ufs.Joint([[0.30, 0.06, 0.04], [0.05, 0.24, 0.03], [0.05, 0.05, 0.18]])
P0, P1, P2 = np.array([0.5, 0.25, 0.25]), np.array([0.5, 0.375, 0.125]), np.array([0.25, 0.25, 0.5])
H = np.array([0.125, 0.75, -0.5])
S, V, B = np.array([[1.0], [2.0], [4.0]]), np.array([[0.25], [0.5], [-0.75]]), np.array([0.0, 0.125, -0.25])
EPS, COUNTS, Y = np.array([0.125, 0.25, 0.5]), np.array([[3.0, 1.0], [1.0, 4.0]]), [0, 1, 0]
PHI = np.array([0.0, 0.5, -0.5])
ATTRIBUTES = np.array([[[0.5, 0.25, 0.25], [0.25, 0.5, 0.25]]])
HEAD = {"s": S, "v": V, "b": B}


def network():
    return nn.mlp((3, 1, 3), ["tanh"], seed=0)


def fitted(**changed):
    data = {"inputs": np.eye(3), "labels": [0, 1, 2], "weights": [1.0, 2.0, 4.0]} | changed
    return nn.fit_samples(network(), **data, epochs=2, lr=0.1, progress=False).loss


def drawn(function, *data):
    ax = Figure().subplots()
    function(ax, *data)
    return [np.asarray(line.get_ydata(), float) for line in ax.lines] + [text.get_text() for text in ax.texts]


# the name of a parameter, a good value, and a call with it
CALLS = [
    ("p", P1, lambda p: ufs.kl_divergence(p, P0)),
    ("q", P0, lambda q: ufs.kl_divergence(P1, q)),
    ("p", P1, lambda p: ufs.chi2_divergence(p, P0)),
    ("p", P1, lambda p: ufs.information_vector(p, P0, 1)),
    ("phi", PHI, lambda phi: ufs.distribution(phi, P0, 0.1)),
    ("h", np.array([0.0, 0.5, -0.5]), lambda h: ufs.feature_vector(h, P0)),
    ("f", H, lambda f: ufs.feature_angles(f, S, P0)),
    ("p0", P0, lambda p0: ufs.sample_neighborhood(p0, 0.1, 0)),
    ("p0", P0, ufs.largest_eps),
    ("p0", P0, lambda p0: ufs.random_attribute(p0, 0.1, 0)),
    ("phi", PHI, lambda phi: ufs.rotate(phi, P0, 0)),
    ("p1", P1, lambda p1: ufs.chernoff_information(p1, P2)),
    ("h", H, lambda h: ufs.feature_exponent(h, P1, P2)),
    ("h", H, lambda h: ufs.local_exponent(h, P1, P2, P0)),
    ("h", H, lambda h: ufs.simulate_error(h, P1, P2, 5, trials=20).error),
    ("n", np.array([5, 6]), lambda n: ufs.simulate_error(H, P1, P2, n, trials=20).error),
    ("P", COUNTS / 16 + 7 / 64, lambda P: ufs.Joint(P).P),
    ("the table", COUNTS, lambda table: ufs.Joint.from_counts(table).P),
    ("the table", COUNTS, lambda table: ufs.ace(table).f),
    ("start", S, lambda start: ufs.ace(JOINT, start=start).f),
    ("f", S, lambda f: ufs.ace_sweep(JOINT, f)[0]),
    ("values", H, lambda values: ufs.equal_mass_bins(values, 2)),
    ("bin edges", np.array([0.0, 0.5]), lambda edges: ufs.ace(H, Y, bins=(edges, None)).f),
    ("h", S, lambda h: ufs.captured(h, JOINT)),
    ("px_v", ATTRIBUTES, lambda px_v: ufs.attribute_exponents(S, JOINT, px_v)),
    *((name, good, lambda x, name=name: ufs.posterior(**HEAD | {name: x})) for name, good in HEAD.items()),
    *((name, good, lambda x, name=name: ufs.log_loss(**HEAD | {name: x}, joint=JOINT)) for name, good in HEAD.items()),
    *((n, g, lambda x, n=n: ufs.local_log_loss(**HEAD | {n: x}, joint=JOINT)) for n, g in HEAD.items()),
    ("s", S, lambda s: ufs.optimal_weights(s, JOINT)[0]),
    ("v", V, lambda v: ufs.optimal_features(v, B, JOINT)),
    ("b", B, lambda b: ufs.optimal_features(V, b, JOINT)),
    ("t", S, lambda t: ufs.hidden_layer_weights(V, B, t, JOINT, "identity")[0]),
    ("c", B[:1], lambda c: ufs.composite_head([[1]], c, S, B, V, JOINT)[1]),
    ("features", S, lambda features: round(ufs.h_score(features, Y), 15)),  # of a tensor by torch
    ("features", S, lambda features: ufs.h_score(features, JOINT)),
    ("remainder", EPS**2, lambda remainder: ufs.remainder_order(remainder, EPS)),
    ("eps", EPS, lambda eps: ufs.valid_range(EPS, EPS, eps)),
    ("sigma", EPS, lambda sigma: drawn(plot.spectrum, sigma, "")),
    ("matrix", COUNTS, lambda matrix: drawn(plot.heatmap, matrix, "ab", "ab")),
    ("inputs", np.eye(3), lambda inputs: nn.read(network(), inputs).s),
    ("inputs", np.eye(3), lambda inputs: fitted(inputs=inputs)),
    ("weights", EPS, lambda weights: fitted(weights=weights)),
    ("labels", np.array([0, 1, 2]), lambda labels: fitted(labels=labels)),
]


def columns(values, of, table):
    return of(values.tolist()) if values.ndim == 1 else table({str(j): column for j, column in enumerate(values.T)})


def objects(kind):
    return lambda values: np.vectorize(kind, otypes=[object])(values)


READ = {
    "list": lambda values: values.tolist(),
    "deque of rows": deque,
    "rational": objects(Fraction),
    "decimal": objects(Decimal),
    "long": lambda values: values.astype(np.longdouble if values.dtype.kind == "f" else np.uint64),
    "of another byte order": lambda values: values.astype(values.dtype.newbyteorder(">")),
    "reversed": lambda values: values[::-1].copy()[::-1],
    "read-only": lambda values: np.broadcast_to(values, values.shape),
    "tensor": torch.tensor,
    "bfloat16": lambda values: torch.tensor(values).bfloat16() if values.dtype.kind == "f" else torch.tensor(values),
    "parameter": lambda values: torch.nn.Parameter(torch.tensor(values), requires_grad=values.dtype.kind == "f"),
    "rows of tensors": lambda values: [*torch.tensor(values).requires_grad_(values.dtype.kind == "f")],
    "array and tensors": lambda values: [values[0], *torch.tensor(values[1:]).requires_grad_(values.dtype.kind == "f")],
    "polars": lambda values: columns(values, pl.Series, pl.DataFrame),
    "pyarrow": lambda values: columns(values, pa.array, pa.table),
}
REFUSED = {
    "masked": lambda values: np.ma.masked_array(values, np.arange(values.size).reshape(values.shape) == 0),
    "last row masked": lambda values: [*values[:-1], np.ma.masked_array(values[-1], mask=np.ones(values[-1].shape))],
    "deque with a masked row": lambda values: deque([np.ma.masked_array(values[0], np.ones(values[0].shape))]),
    "complex": lambda values: values + 1j,
    "complex tensor": lambda values: torch.tensor(values) + 1j,
    "words": lambda values: values.astype(str),
    "meta": lambda values: torch.tensor(values).to("meta"),
    "sparse": lambda values: torch.tensor(values).to_sparse(),
}
WHOLE = {"n", "labels"}  # integers, which no rational is
RATIONAL, FLAT = {"rational", "decimal"}, {"polars", "pyarrow"}  # forms that these and a cube do not have


EVERY_CALL = pytest.mark.parametrize(("name", "good", "call"), CALLS)


@EVERY_CALL
def test_numbers_in_any_form_are_read_exactly(name, good, call):
    expected = np.atleast_1d(call(good))
    for form in READ.keys() - (RATIONAL if name in WHOLE else FLAT if good.ndim == 3 else set()):
        for one, other in zip(np.atleast_1d(call(READ[form](good))), expected, strict=True):
            np.testing.assert_array_equal(one, other, err_msg=form)


@EVERY_CALL
def test_what_holds_no_real_number_for_each_place_is_refused_by_its_name(name, good, call):
    for form, make in REFUSED.items():
        with pytest.raises(ValueError, match=rf"\b{name}\b"):
            pytest.fail(f"{form}: {call(make(good))}")


@pytest.mark.parametrize("call", [lambda p: ufs.kl_divergence(p, P0), ufs.Joint])
def test_what_adds_up_to_more_than_a_double_is_told_how_to_be_normalised(call):
    p = np.full((3, 3), 1e308) if call is ufs.Joint else np.full(3, 1e308)
    with pytest.raises(ValueError, match="sums to inf, not 1: divide it by its largest entry, and then divide it by"):
        call(p)
    p = p / p.max()
    call(p / p.sum())


@pytest.mark.parametrize("activation", ["identity", "tanh"])
def test_weights_so_small_that_the_features_overflow_are_told_to_be_scaled_up(activation):
    for v in (1e-310 * V, 5e-324 * np.sign(V)):
        with pytest.raises(ValueError, match="s would be larger than any float: scale v up"):
            ufs.optimal_features(v, B, JOINT)
        with pytest.raises(ValueError, match="the mean of a feature would be larger than any float: scale v up"):
            ufs.hidden_layer_weights(v, B, S, JOINT, activation)


def test_an_edge_that_is_no_number_is_no_edge():
    with pytest.raises(ValueError, match="the bin edges of x must be one row of increasing numbers"):
        ufs.ace(H, Y, bins=([np.nan], None))
    assert ufs.ace(H, Y, bins=([-np.inf, 0, np.inf], None)).joint.x_labels == (1, 2)


@pytest.mark.parametrize("function", [ufs.kl_divergence, ufs.chi2_divergence, ufs.chernoff_information])
def test_distributions_whose_symbols_stand_in_two_orders_are_refused_and_both_remedies_work(function):
    p, q = pd.Series([0.2, 0.3, 0.5], list("abc")), pd.Series([0.5, 0.3, 0.2], list("cba"))
    message = r"has the index 'a' and that of \w+ 'c': pair them by index, (\w+)\.loc\[(\w+)\.index\], or by position"
    with pytest.raises(ValueError, match=message):
        function(p, q)
    assert function(p, q.loc[p.index]) == pytest.approx(0, abs=1e-15)
    assert function(p, q.to_numpy()) > 0.01
    assert function(p, q.tolist()) == function(p.to_numpy(), q)


TABLE = ufs.Joint(pd.DataFrame([[0.3, 0.05, 0.05], [0.05, 0.2, 0.05], [0.05, 0.05, 0.2]], list("abc"), list("xyz")))
OF_X = pd.DataFrame([[0.5, 1.0], [2.0, -1.0], [-1.0, 0.25]], list("abc"))
OF_Y, ROW = OF_X.set_axis(list("xyz")), pd.Series([1.0, 2.0, 3.0], list("xyz"))
ONE, TWO = pd.Series([0.2, 0.3, 0.5], list("abc")), pd.Series([0.3, 0.3, 0.4], list("abc"))
BY_SYMBOL = {  # the rows that have labels, by what name a message knows them, and what they go into
    "h_score": (OF_X, "features", lambda f: ufs.h_score(f, TABLE)),
    "h_score_pair, f": (OF_X, "f", lambda f: ufs.h_score_pair(f, OF_Y, TABLE)),
    "h_score_pair, g": (OF_Y, "g", lambda g: ufs.h_score_pair(OF_X, g, TABLE)),
    "captured, X": (OF_X, "h", lambda h: ufs.captured(h, TABLE, "X")),
    "captured, Y": (OF_Y, "h", lambda h: ufs.captured(h, TABLE)),
    "averaged_exponent": (OF_Y, "h", lambda h: ufs.averaged_exponent(h, TABLE, 1.0, 0.1)),
    "optimal_weights": (OF_X, "s", lambda s: ufs.optimal_weights(s, TABLE)[0]),
    "optimal_features, v": (OF_Y, "v", lambda v: ufs.optimal_features(v, ROW, TABLE)[0]),
    "optimal_features, b": (ROW, "b", lambda b: ufs.optimal_features(OF_Y, b, TABLE)[1]),
    "log_loss, s": (OF_X, "s", lambda s: ufs.log_loss(s, OF_Y, ROW, TABLE)),
    "log_loss, v": (OF_Y, "v", lambda v: ufs.log_loss(OF_X, v, ROW, TABLE)),
    "log_loss, b": (ROW, "b", lambda b: ufs.log_loss(OF_X, OF_Y, b, TABLE)),
    "local_log_loss": (OF_X, "s", lambda s: ufs.local_log_loss(s, OF_Y, ROW, TABLE)),
    "posterior": (ROW, "b", lambda b: ufs.posterior(OF_X, OF_Y, b)),
    "hidden_layer_weights": (OF_X, "t", lambda t: ufs.hidden_layer_weights(OF_Y, 0 * ROW, t, TABLE, "identity")[0]),
    "composite_head": (OF_X, "t", lambda t: ufs.composite_head(np.eye(2), [0, 0], OF_Y, ROW, t, TABLE, "tanh")[1]),
    "ace": (OF_X, "start", lambda f: ufs.ace(TABLE, k=2, start=f).sigma),
    "ace_sweep": (OF_X, "f", lambda f: ufs.ace_sweep(TABLE, f)[2]),
    "feature_exponent": (OF_X, "h", lambda h: ufs.feature_exponent(h, ONE, TWO)),
    "local_exponent": (OF_X, "h", lambda h: ufs.local_exponent(h, ONE, TWO, TWO)),
    "feature_angles": (OF_X, "f", lambda f: ufs.feature_angles(f, OF_X[0], TWO)),
    "feature_vector": (pd.Series([2, -2, 0], list("abc")), "h", lambda h: ufs.feature_vector(h, TWO)),
    "distribution": ((ONE - TWO) / TWO**0.5, "phi", lambda phi: ufs.distribution(phi, TWO, 1.0)),
}


@pytest.mark.parametrize("name", BY_SYMBOL)
def test_rows_with_the_label_of_another_symbol_are_refused_and_both_remedies_work(name):
    rows, called, function = BY_SYMBOL[name]
    expected = function(rows)
    for order in ([2, 0, 1], [0, 2, 1]):
        first = next(place for place, number in enumerate(order) if place != number)
        message = (
            rf"row {first} of {called} has the label '\w', which is symbol {order[first]} of \w+: put its rows into"
        )
        with pytest.raises(ValueError, match=message):
            function(rows.iloc[order])
        np.testing.assert_array_equal(function(rows.iloc[order].loc[rows.index]), expected)
    for fine in (rows.to_numpy(), rows.set_axis(range(3)), rows.set_axis(list("klm"))):  # these name no symbol
        np.testing.assert_array_equal(function(fine), expected)


def test_measurements_of_different_strengths_are_refused():
    eps = pd.Series([0.1, 0.2, 0.4])
    with pytest.raises(ValueError, match="row 0 of remainder has the index 2 and that of eps 0"):
        ufs.remainder_order((eps**2)[::-1], eps)
