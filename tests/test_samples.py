"""Samples and features in every form: counted as Python counts, or refused with a place and a remedy that works."""

import datetime
import re
import sys
import tracemalloc
from collections import Counter, deque
from decimal import Decimal
from fractions import Fraction

import dask
import dask.array as da
import dask.dataframe
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ufs import HScore, Joint, ace, equal_mass_bins, h_score, h_score_pair, kl_divergence
from ufs.distributed import dask_joint, dask_statistics, torch_joint


def refused(message: str):
    return pytest.raises(ValueError, match=re.escape(message))


# ---- what each form is, and what a missing value looks like in it ----------------------------------------------------

WORDS = st.text("ab\0é ", max_size=3)
DAYS = st.dates(datetime.date(2026, 1, 1), datetime.date(2026, 1, 4))
KINDS = {
    "integers": st.integers(-2, 3) | st.sampled_from([2**53, 2**53 + 1, 2**63 - 1, -(2**63)]),
    "huge integers": st.sampled_from([-1, 2**63, 2**63 + 1, 2**64, 10**400]),
    "whole floats": st.integers(-2, 3).map(float) | st.sampled_from([-0.0, 2.0**60, 2.0**70]),
    "booleans": st.booleans(),
    "words": WORDS,
    "bytes": WORDS.map(str.encode),
    "days": DAYS,
    "moments": DAYS.map(lambda day: datetime.datetime.combine(day, datetime.time(1, 2, 3, 4))),
    "pairs": st.tuples(st.integers(0, 1), WORDS),
    "numbers": st.sampled_from([True, False, 0, 1, 2, 1.0, 2.0, 2**53, 2**53 + 1, 2.0**53, Fraction(1, 2), Decimal(2)]),
    "numpy scalars": st.sampled_from([np.int8(1), np.uint64(2**63 + 1), np.int64(-1), np.float32(2), np.True_, 1]),
    "numbers and words": st.sampled_from([0, 1, "0", "1", b"1", 1.0, True, (1,), frozenset([1])]),
}
LISTED = {"list": list, "tuple": tuple, "deque": deque, "object array": lambda v: np.fromiter(v, object, len(v))}
NOTHING = [None, float("nan"), np.float32("nan"), pd.NA, pd.NaT, np.datetime64("NaT"), Decimal("nan"), (1, None)]
TYPES = {
    "integers": ("Int64", pa.int64(), pl.Int64),
    "whole floats": ("Float64", pa.float64(), pl.Float64),
    "booleans": ("boolean", pa.bool_(), pl.Boolean),
    "words": ("string", pa.string(), pl.String),
    "bytes": (None, pa.binary(), pl.Binary),
    "days": (None, pa.date32(), pl.Date),
    "moments": ("datetime64[us]", pa.timestamp("us"), pl.Datetime("us")),
}


def native(values):
    """An array of numpy's own type, with its own missing value."""
    kind = type(next(value for value in values if value is not None))
    if kind is str:
        return np.array([np.nan if v is None else v for v in values], np.dtypes.StringDType(na_object=np.nan))
    if kind is bytes:
        return np.array(values, object)
    if kind in (datetime.date, datetime.datetime):
        return np.array(values, "M8[D]" if kind is datetime.date else "M8[us]")
    return np.array([np.nan if v is None else v for v in values])


def categorical(values):
    return pd.Series(pd.Categorical(values, categories=sorted({v for v in values if v is not None})))


FORMS = {
    "numpy": lambda values, types: native(values),
    "StringDType of None": lambda values, types: np.array(values, np.dtypes.StringDType(na_object=None)),
    "StringDType of NA": lambda values, types: np.array(
        [pd.NA if v is None else v for v in values], np.dtypes.StringDType(na_object=pd.NA)
    ),
    "masked": lambda values, types: np.ma.masked_array(
        np.fromiter((values[0] if v is None else v for v in values), object, len(values)), [v is None for v in values]
    ),
    "series": lambda values, types: pd.Series(values),
    "index": lambda values, types: pd.Index(values),
    "nullable": lambda values, types: pd.Series(values, dtype=types[0]),
    "categorical": lambda values, types: categorical(values),
    "arrow in pandas": lambda values, types: pd.Series(values, dtype=pd.ArrowDtype(types[1])),
    "pyarrow": lambda values, types: pa.array(values, types[1]),
    "chunked": lambda values, types: pa.chunked_array([values[:1], values[1:]], types[1]),
    "dictionary": lambda values, types: pa.array(values, types[1]).dictionary_encode(),
    "polars": lambda values, types: pl.Series(values, dtype=types[2]),
    "polars categorical": lambda values, types: pl.Series(values, dtype=pl.Categorical),
    "tensor": lambda values, types: torch.as_tensor(native(values)),
}


def kinds_in(form):
    if form in LISTED:
        return sorted(KINDS)
    if form == "tensor":
        return ["booleans", "integers", "whole floats"]
    return ["words"] if "StringDType" in form or form == "polars categorical" else sorted(TYPES)


def drawn(data, form, gaps):
    """Plain values, the place of what is missing, and the samples in this form."""
    kind = data.draw(st.sampled_from(kinds_in(form)))
    values = data.draw(st.lists(KINDS[kind], min_size=2, max_size=12))
    place = data.draw(st.integers(1, len(values) - 1)) if gaps else None
    shown = list(values)
    if gaps:
        shown[place] = data.draw(st.sampled_from(NOTHING)) if form in LISTED else None
    return values, place, LISTED[form](shown) if form in LISTED else FORMS[form](shown, TYPES[kind])


def plain(label):
    """A date of numpy as one of Python, which the samples were made of."""
    if not isinstance(label, np.datetime64):
        return label
    return (label if label.dtype == "M8[D]" else label.astype("M8[us]")).item()  # of nanoseconds numpy makes integers


def cells(joint, n):
    P = joint.P * n
    return {
        (plain(x), plain(y)): round(P[i, j])
        for i, x in enumerate(joint.x_labels)
        for j, y in enumerate(joint.y_labels)
        if P[i, j]
    }


@pytest.fixture(scope="module", autouse=True)
def one_rank():
    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    with dask.config.set(scheduler="synchronous"):
        yield
    torch.distributed.destroy_process_group()


def dask_of_one_block(x, y):
    return dask_joint([dask.delayed(x, traverse=False)], [dask.delayed(y)])


JOINTS = {
    "from_samples": Joint.from_samples,
    "ace": lambda x, y: sys.modules["ufs.ace"]._joint(x, y, None),
    "dask": dask_of_one_block,
    "torch": torch_joint,
}


EVERY_FORM = pytest.mark.parametrize("form", [*LISTED, *FORMS])


@EVERY_FORM
@given(st.data())
@settings(deadline=None, derandomize=True, max_examples=15, database=None)
def test_every_form_is_counted_as_python_counts_it(form, data):
    values, _, made = drawn(data, form, gaps=False)
    y = [place % 2 for place in range(len(values))]
    statistics = HScore().update(np.arange(len(values)), made)
    assert {plain(c): n for c, n in zip(statistics.classes, statistics.counts, strict=True)} == Counter(values)
    try:
        sorted(set(values))
        ordered = len({type(value) for value in values} & {frozenset, str, bytes, tuple}) < 2
    except TypeError:
        ordered = False
    for name, joint in JOINTS.items():
        if ordered:
            found = joint(made, y)
            assert cells(found, len(values)) == Counter(zip(values, y, strict=True)), name
            assert [plain(label) for label in found.x_labels] == sorted(set(values))
        else:
            with refused("have no order: give symbols of one type"):
                joint(made, y)


@EVERY_FORM
@given(st.data())
@settings(deadline=None, derandomize=True, max_examples=15, database=None)
def test_in_every_form_what_is_missing_is_refused_with_its_place(form, data):
    _, place, made = drawn(data, form, gaps=True)
    y = list(range(len(made)))
    for joint in JOINTS.values():
        for side, pair in (("x", (made, y)), ("y", (y, made))):
            with pytest.raises(ValueError, match=rf"{side}\[{place}\].* is (missing|masked)"):
                joint(*pair)
    with pytest.raises(ValueError, match=rf"labels\[{place}\].* is (missing|masked)"):
        HScore().update(np.arange(len(made)), made)
    with pytest.raises(ValueError, match=rf"labels\[{place}\].* is (missing|masked)"):
        h_score(np.arange(len(made)), made)


@pytest.mark.parametrize("nothing", [None, np.nan, pd.NA, "nothing", ""])
def test_what_an_array_of_strings_takes_for_missing_is_no_symbol(nothing):
    words = np.array(["a", nothing, "b"], np.dtypes.StringDType(na_object=nothing))
    for joint in JOINTS.values():
        with pytest.raises(ValueError, match=r"x\[1\] = .*is missing: leave out the samples that have no symbol"):
            joint(words, [0, 1, 0])
    with refused("labels[1] = "):
        h_score([0, 1, 0], words)
    assert Joint.from_samples(words[[0, 2]], [0, 1]).x_labels == ("a", "b")
    plain = words[[0, 2]].astype(np.dtypes.StringDType())
    assert Joint.from_samples(plain, [0, 1]).x_labels == ("a", "b")


def test_a_set_with_a_missing_value_is_none():
    for gap in (None, np.nan, pd.NA):
        with refused("x[1] = frozenset("):
            Joint.from_samples([frozenset([1]), frozenset([gap])], [0, 1])


# ---- what numpy would merge, cut or blow up --------------------------------------------------------------------------


def test_strings_keep_the_nuls_that_numpy_cuts():
    for words in (["a", "a\0", "a"], pl.Series(["a", "a\0", "a"]), ("a", "a\0", "a")):
        assert Joint.from_samples(words, [0, 1, 0]).x_labels == ("a", "a\0")
        assert ace(words, [0, 1, 0]).joint.x_labels == ("a", "a\0")
        assert h_score([0.0, 1.0, 0.0], words) == pytest.approx(0.5)


def test_a_long_token_costs_its_own_length_and_not_n_times_that():
    words = [*"abcdefgh" * 250, "z" * 100_000]
    for made in (words, pl.Series(words)):
        tracemalloc.start()
        joint = Joint.from_samples(made, words)
        held = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert held < 1e6 < len(words) * 100_000
        assert joint.P.shape == (9, 9)


def test_sets_are_counted_though_their_order_is_no_total_one():
    sets = np.array([frozenset([1]), frozenset([2]), frozenset([1]), frozenset([1, 2])], dtype=object)
    assert sorted((Joint.from_samples(sets, [0, 1, 0, 1]).P.sum(axis=1) * 4).tolist()) == [1, 1, 2]


def test_complex_numbers_are_symbols_as_long_as_they_are_an_array():
    points = np.array([1 + 1j, 1 - 1j, 1 + 1j])
    assert Joint.from_samples(points, [0, 1, 0]).x_labels == (1 - 1j, 1 + 1j)
    points[1] = complex(0, np.nan)
    with refused("x[1] = nanj is missing"):
        Joint.from_samples(points, [0, 1, 0])


@pytest.mark.parametrize(
    "values",
    [
        np.array([1.5, 2], dtype=object),
        [2, 1.5],
        [1.5, True],
        (np.float32(1.5), 1),
        np.array([2, np.inf], dtype=object),
        pd.Series([1.5, 2]),
        pl.Series([2.0, 1.5]),
        pa.array([2.0, 1.5]),
        torch.tensor([2, 1.5]).bfloat16(),
    ],
)
def test_fractions_are_refused_in_any_form(values):
    for pattern, call in {
        r"x\[\d\] = (1.5|inf) is not an integer: bin": lambda: Joint.from_samples(values, [0, 1]),
        r"y\[\d\] = (1.5|inf) is not an integer: bin": lambda: ace([0, 1], values),
        r"labels\[\d\] = (1.5|inf) is not an integer: bin": lambda: h_score([0, 1], values),
        r"block 0: x\[\d\] = (1.5|inf) is not an integer": lambda: dask_of_one_block(values, [0, 1]),
    }.items():
        with pytest.raises(ValueError, match=pattern):
            call()


def test_classes_of_batches_are_one_if_python_holds_them_equal():
    h = HScore()
    for labels in ([True, 2], np.array([1, 2], np.uint8), [1.0, 2], ["1", "2"], torch.tensor([1.0, 2.0]), [1, b"1"]):
        h.update([0.0, 1.0], labels)
    assert dict(zip(h.classes, h.counts.tolist(), strict=True)) == {1: 5, 2: 4, "1": 1, "2": 1, b"1": 1}
    h = HScore().update([0.0, 1.0], np.array([2**63 + 1, 2**53], np.uint64)).update([0.0, 1.0], [2**53 + 1, -1])
    h.update([0.0], [2.0**53])
    assert dict(zip(h.classes, h.counts.tolist(), strict=True)) == {2**53: 2, 2**63 + 1: 1, 2**53 + 1: 1, -1: 1}


def test_dates_of_two_units_are_one_class_and_no_integer():
    h = HScore()
    for unit in ("s", "us", "ns"):
        h.update([0.0, 1.0], np.array(["2026-01-01T00:00", "2026-01-02T00:00"], f"M8[{unit}]"))
        h.update([0.0], np.array([7], f"m8[{unit}]").astype("m8[ns]"))
    moments = pd.Series(pd.to_datetime(["2026-01-01", "2026-01-02"])).astype(object)
    h.update([0.0, 1.0], moments).update([0.0], [int(np.datetime64("2026-01-01", "ns").astype(int))])
    first, second = datetime.datetime(2026, 1, 1), datetime.datetime(2026, 1, 2)
    seven = datetime.timedelta(microseconds=7)
    counts = dict(zip(h.classes, h.counts.tolist(), strict=True))
    assert (counts[first], counts[second], counts[seven]) == (4, 4, 1)
    assert counts[1_767_225_600_000_000_000] == 1


def test_dates_that_one_type_would_change_are_refused():
    mixed = [np.datetime64("2500-01-01"), np.datetime64("2026-01-01T00:00:00.000000001")]
    with refused("x[0] = 2500-01-01 is of type datetime64[D], and other samples are not"):
        Joint.from_samples(mixed, [0, 1])
    assert Joint.from_samples(np.array(mixed, "M8[us]"), [0, 1]).P.shape == (2, 2)


# ---- blocks and ranks ------------------------------------------------------------------------------------------------


def blocks(*parts):
    return [dask.delayed(part, traverse=False) for part in parts]


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"numbers and words"}))
@given(st.data())
@settings(deadline=None, derandomize=True, max_examples=8, database=None)
def test_blocks_are_joined_as_python_joins_them(kind, data):
    parts = data.draw(st.lists(st.lists(KINDS[kind], max_size=4), min_size=1, max_size=10))
    values = [value for part in parts for value in part]
    if values:
        made = [np.array(part, np.int64) if kind == "integers" else part for part in parts]
        found = dask_joint(blocks(*made), blocks(*([0] * len(part) for part in parts)))
        assert cells(found, len(values)) == Counter((value, 0) for value in values)
        assert [plain(label) for label in found.x_labels] == sorted(set(values))


@pytest.mark.parametrize(
    ("one", "other", "shown"),
    [
        ([1, 2], ["1", "x"], ("1", "'1'")),
        (["a"], [b"a"], ("'a'", "b'a'")),
        ([1], np.array(["2026-01-01"], "M8[D]"), ("1", "2026-01-01")),
        ([5], np.array([5], "m8[D]"), ("5", "5 days")),
        (np.array(["2500-01-01"], "M8[D]"), np.array(["2026-01-01"], "M8[ns]"), ("2500-01-01", "2026-01-01T00")),
        ([(1, "a")], [1], ("(1, 'a')", "1")),
        (np.array([1j]), np.array([1]), ("1j", "1")),
        (np.array([1j]), np.array([1j], np.complex64), ("1j", "1j")),
    ],
)
def test_blocks_of_different_kinds_are_refused_with_their_numbers(one, other, shown):
    for left, right, (first, second) in ((one, other, shown), (other, one, shown[::-1])):
        pattern = rf"y holds {re.escape(first)}.* in block 1 and {re.escape(second)}.* in block 3: give symbols of one"
        with pytest.raises(ValueError, match=pattern):
            dask_joint(blocks([], [0] * len(left), [], [1] * len(right)), blocks([], left, [], right))


def test_the_first_block_of_another_kind_is_named_among_many():
    x = [[number] for number in range(20)]
    x[13] = ["13"]
    with refused("x holds 8 in block 8 and '13' in block 13"):
        dask_joint(blocks(*x), blocks(*([0] for _ in x)))


def test_integers_of_blocks_are_joined_exactly():
    x = (np.array([2**53 + 1, 2**63 + 1], np.uint64), np.array([2**53, -(2**63)]), [True, 2**70], np.array([1.0, 2]))
    found = dask_joint(blocks(*x), blocks(*([0, 0] for _ in x)))
    assert found.x_labels == (-(2**63), 1, 2, 2**53, 2**53 + 1, 2**63 + 1, 2**70)
    np.testing.assert_array_equal(found.P[:, 0] * 8, [1, 2, 1, 1, 1, 1, 1])
    found = dask_joint(blocks(*x[:2]), blocks([0, 0], [0, 0]))
    assert found.x_labels == (-(2**63), 2**53, 2**53 + 1, 2**63 + 1)


def test_what_stands_beside_a_dask_array_is_taken_as_it_is():
    x = da.from_array(np.array([0, 1, 0]), chunks=2)
    with refused("block 0: y[0] = 0 and y[1] = '0' have no order"):
        dask_joint(x, [0, "0", "0"])
    assert dask_joint(x, ["a", "a\0", "a"]).y_labels == ("a", "a\0")
    assert set(dask_statistics(x[:, None], [0, "0", "0"]).classes) == {0, "0"}
    with refused("a ndarray has no blocks: make it a Dask array, dask.array.from_array"):
        dask_joint(np.arange(3), np.arange(3))


def test_collections_of_dask_without_blocks_of_rows_are_told_to_become_arrays():
    frame = dask.dataframe.from_pandas(pd.DataFrame({"a": [1.0, 2.0, 4.0], "b": [0, 1, 0]}), npartitions=2)
    with refused("a DataFrame of Dask is no array: call its to_dask_array()"):
        dask_statistics(frame[["a"]], frame["b"])
    assert dask_statistics(frame[["a"]].to_dask_array(), frame["b"].to_dask_array()).n == 3
    with refused("a Series of Dask is no array: call its to_dask_array()"):
        dask_joint(frame["b"], frame["b"])
    assert dask_joint(frame["b"].to_dask_array(), frame["b"].to_dask_array()).x_labels == (0, 1)


# ---- pandas pairs by index, numpy by position ------------------------------------------------------------------------

X, Y = pd.Series(list("abab"), index=[3, 1, 2, 0]), pd.Series([0, 1, 0, 1], index=[3, 2, 1, 0])
PAIRED = {
    "from_samples": lambda x, y: Joint.from_samples(x, y),
    "ace": lambda x, y: ace(x, y),
    "ace with smoothers": lambda x, y: ace(x, y, smoothers=(lambda v: v, lambda v: v), max_sweeps=2),
    "dask": dask_of_one_block,
    "torch": lambda x, y: torch_joint(x, y),
}
NUMBERS = X.map({"a": 1.0, "b": 2.0})
SCORED = {
    "h_score": (lambda x, y: h_score(x, y), "features", "labels"),
    "update": (lambda x, y: HScore().update(x, y), "features", "labels"),
    "batches": (lambda x, y: h_score([(x, y)]), "features", "labels"),
    "pair": (lambda x, y: h_score_pair(x, y), "f", "g"),
    "frame": (lambda x, y: h_score(x.to_frame(), y), "features", "labels"),
    "ace in bins": (lambda x, y: ace(x, y, bins=(2, None)), "x", "y"),
}
CALLS = {name: (call, X, "x", "y") for name, call in PAIRED.items()} | {
    name: (call, NUMBERS, *names) for name, (call, *names) in SCORED.items()
}


@pytest.mark.parametrize("name", CALLS)
def test_samples_of_two_indices_are_refused_and_both_remedies_work(name):
    call, x, one, other = CALLS[name]
    message = f"row 1 of {one} has the index 1 and that of {other} 2: pair them by index, {other}.loc[{one}.index], or"
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        call(x, Y)
    remedies = re.search(r"pair them by index, (.*), or by position, (.*)$", str(caught.value)).groups()
    for remedy in remedies:
        call(x, eval(remedy, {one: x, other: Y}))
    for fine in (Y.set_axis(x.index), Y.to_numpy(), Y.tolist(), Y.set_axis([3.0, 1.0, 2.0, 0.0])):
        call(x, fine)
    call(x.set_axis([7, 7, 8, 8]), Y.set_axis([7, 7, 8, 8]))
    with refused(f"row 0 of {one} has the index 3 and that of {other} 0: pair them by position, {other}.to_numpy()"):
        call(x, Y.set_axis([0, 1, 2, 9]))
    with refused(f"row 3 of {one} has the index 8 and that of {other} 7: pair them by position"):
        call(x.set_axis([7, 7, 8, 8]), Y.set_axis([7, 7, 8, 7]))
    with refused("row 0 of"):
        call(x, Y.set_axis(list("3120")))


def test_an_index_with_gaps_is_compared_too():
    index = pd.Index([1, None, 3, 4], dtype="Int64")
    assert Joint.from_samples(X.set_axis(index), Y.set_axis(index)).P.shape == (2, 2)
    with refused("row 3 of x has the index 4 and that of y 5"):
        Joint.from_samples(X.set_axis(index), Y.set_axis(pd.Index([1, None, 3, 5], dtype="Int64")))


# ---- tables and tensors ----------------------------------------------------------------------------------------------

COUNTS = {"tea": [3, 1], "rum": [1, 3]}


@pytest.mark.parametrize("make", [pl.DataFrame, pa.table, pa.record_batch, pd.DataFrame])
def test_data_frames_of_any_library_are_tables(make):
    for joint in (Joint.from_counts(make(COUNTS)), Joint(make({k: np.array(v) / 8 for k, v in COUNTS.items()}))):
        np.testing.assert_array_equal(joint.P, [[0.375, 0.125], [0.125, 0.375]])
        assert (list(joint.x_labels), list(joint.y_labels)) == ([0, 1], ["tea", "rum"])
        assert (joint.x_name, joint.y_name) == ("X", "Y")
    assert ace(make(COUNTS)).sigma == pytest.approx([0.5])
    assert Joint.from_counts(make(COUNTS), x_labels=["ann", "bob"]).x_labels == ("ann", "bob")
    table = make({"guest": ["ann", "bob"], **COUNTS})
    with refused("the table[0, 0] = 'ann' is no number: give a number in its place, or leave its column out"):
        Joint.from_counts(table)
    missing = make({"tea": [3, None], "rum": [1, 3]})
    with refused("the table has the entry nan at row 1, column 0 (1, 'tea')"):
        Joint.from_counts(missing)
    with refused("features[1, 0] = nan is not finite"):
        h_score(missing, [0, 1])


@pytest.mark.parametrize("make", [pl.DataFrame, pa.table, pd.DataFrame])
def test_frames_of_booleans_and_numbers_are_features(make):
    columns = {"large": [True, False, True, False], "weight": [0.5, 2.0, 1.0, 7.0], "legs": [4, 2, 4, 4]}
    expected = h_score(np.column_stack([np.array(column, float) for column in columns.values()]), [0, 1, 0, 1])
    assert h_score(make(columns), [0, 1, 0, 1]) == pytest.approx(expected, rel=1e-14)
    with refused("features[0, 1] = 'x' is no number: give a number in its place, or leave its column out"):
        h_score(make({"legs": [4.5, 2], "name": ["x", "y"]}), [0, 1])


def test_missing_features_are_named():
    frame = pd.DataFrame({"a": [1, None, 3], "b": [1, 2, 3]}, dtype="Int64")
    with refused("features[1, 0] = <NA> is no number: give a number in its place"):
        h_score(frame, [0, 1, 0])


P = [[0.375, 0.125], [0.125, 0.375]]
TENSORS = {
    "bfloat16": torch.tensor(P).bfloat16(),
    "float8": torch.tensor(P).to(torch.float8_e4m3fn),
    "half": torch.tensor(P).half(),
    "with gradient": torch.tensor(P, requires_grad=True),
    "parameter": torch.nn.Parameter(torch.tensor(P)),
    "negated": (-1j * torch.tensor(P).double()).conj().imag,
    "rows with gradient": [*torch.tensor(P, requires_grad=True)],
}


@pytest.mark.parametrize("form", TENSORS)
def test_tensors_are_read_exactly_wherever_arrays_are(form):
    tensor = TENSORS[form]
    for joint in (Joint(tensor), Joint.from_counts(tensor)):
        np.testing.assert_array_equal(joint.P, P)
    assert ace(tensor).sigma == pytest.approx([0.5])
    assert h_score(tensor, Joint(P)) == pytest.approx(h_score(P, Joint(P)))
    assert h_score(tensor, [0, 1]) == pytest.approx(h_score(P, [0, 1]))
    assert kl_divergence(tensor, P) == 0
    assert equal_mass_bins(tensor[0], 2).tolist() == [1, 0]


@pytest.mark.parametrize("dtype", [torch.uint16, torch.int8, torch.bool, torch.bfloat16, torch.float8_e4m3fn])
def test_tensors_are_samples_and_labels(dtype):
    samples = torch.tensor([1, 0, 1, 0]).to(dtype)
    for made in (samples, samples.detach().requires_grad_() if dtype is torch.bfloat16 else samples):
        assert Joint.from_samples(made, made).x_labels == (0, 1)
        assert ace(made, made).joint.y_labels == (0, 1)
        assert HScore().update([1, 0, 1, 0], made).classes == (0, 1)
        assert h_score(torch.tensor([1.0, 0.0, 1.0, 0.0]), made) == pytest.approx(0.5)


UNREADABLE = {
    "is on the device meta, where tensors hold no values": torch.zeros(2, 2, device="meta"),
    "is sparse: call its to_dense()": torch.tensor(P).to_sparse(),
    "is nested: give rows of the same length": torch.nested.nested_tensor(
        [torch.ones(1), torch.ones(2)], layout=torch.jagged
    ),
}


@pytest.mark.parametrize("fault", UNREADABLE)
def test_tensors_without_values_in_their_places_are_refused_by_name(fault):
    tensor = UNREADABLE[fault]
    column = tensor.to_dense()[0].to_sparse() if "sparse" in fault else tensor
    for name, call in {
        "P": lambda: Joint(tensor),
        "the table": lambda: ace(tensor),
        "p": lambda: kl_divergence(tensor, P),
        "x": lambda: Joint.from_samples(column, [0, 1]),
        "y": lambda: ace([0, 1], column),
        "labels": lambda: h_score([0, 1], column),
    }.items():
        with refused(f"{name} {fault}"):
            call()
    with refused("features is sparse, and centred it is not" if "sparse" in fault else f"features {fault}"):
        h_score(tensor, [0, 1])
    if "sparse" in fault:
        np.testing.assert_array_equal(Joint(tensor.to_dense()).P, P)


@pytest.mark.parametrize("make", [np.array, torch.tensor])
def test_complex_numbers_are_refused_and_their_real_part_is_taken(make):
    numbers = make(P) + 0j
    for values in (numbers, numbers.conj()):
        with refused("it must hold real numbers (.real"):
            Joint(values)
        with refused("it must hold real numbers (.real"):
            h_score(values, [0, 1])
        np.testing.assert_array_equal(Joint(values.real).P, P)
        assert h_score(values.real, [0, 1]) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([10**400, 1], "p[0] = 1000"),
        (np.array([np.longdouble(10) ** 4000, 1]), "p[0] = inf is no probability"),
        ([Decimal("sNaN"), 1], "p[0] = Decimal('sNaN') is no number"),
        ([np.ma.masked_array([0.5, 0.5], [False, True])], "p[0][1] is masked"),
        ([torch.zeros(2, device="meta")], "p[0] is on the device meta"),
    ],
)
def test_numbers_that_no_double_holds_are_refused(values, message):
    with refused(message):
        kl_divergence(values, [0.5, 0.5])


# ---- remedies --------------------------------------------------------------------------------------------------------

CODES = np.array([0, 1, 0, 1])
COLUMNS = {
    "array": CODES[:, None],
    "tensor": torch.tensor(CODES[:, None]),
    "frame": pd.DataFrame({"c": CODES}),
    "polars": pl.DataFrame({"c": CODES}),
    "pyarrow": pa.table({"c": CODES}),
    "one-hot": np.eye(2)[CODES],
    "one-hot tensor": torch.eye(2)[CODES],
    "one-hot frame": pd.DataFrame(np.eye(2)[CODES]),
}


@pytest.mark.parametrize("form", COLUMNS)
def test_labels_in_a_matrix_are_told_what_makes_them_a_row(form):
    wrong = COLUMNS[form]
    for name, call in {
        "labels": lambda labels: h_score([0.0, 1.0, 0.0, 1.0], labels),
        "x": lambda x: Joint.from_samples(x, CODES).mutual_information(),
        "y": lambda y: ace(CODES, y).sigma[0],
    }.items():
        width = 2 if "one-hot" in form else 1
        with pytest.raises(ValueError, match=re.escape(f"{name} has shape (4, {width}): give one symbol")) as caught:
            call(wrong)
        remedy = re.search(r"\(((?:numpy|\w+)\..*?\))[,)]", str(caught.value))[1]
        assert call(eval(remedy, {"numpy": np, name: wrong})) == pytest.approx(call(CODES))


def test_elements_of_tensors_and_of_pyarrow_are_told_to_come_as_a_whole():
    for whole in (torch.tensor(CODES), pa.array(CODES)):
        for name, call in {
            "x": lambda x: Joint.from_samples(x, CODES),
            "labels": lambda labels: h_score([0.0, 1.0, 0.0, 1.0], labels),
        }.items():
            with refused(f"{name}[0] = {next(iter(whole))!r} is no Python value: give the tensor or array as a whole"):
                call(list(whole))
            call(whole)
            call(whole.tolist())


def test_lists_of_lists_are_told_to_become_tuples():
    rows = [["a", 1], ["b", 2], ["a", 1]]
    with refused("x[0] = ['a', 1] is not hashable: give integers, strings or other hashable values (a tuple, not a"):
        Joint.from_samples(rows, [0, 1, 0])
    assert Joint.from_samples([tuple(row) for row in rows], [0, 1, 0]).x_labels == (("a", 1), ("b", 2))
    assert h_score([0, 1, 0], [tuple(row) for row in rows]) == pytest.approx(0.5)


def test_continuous_samples_are_symbols_once_they_are_binned():
    values = np.array([0.3, 9.5, 0.1, 2.5])
    with refused("x[0] = 0.3 is not an integer: bin a continuous variable first (numpy.digitize), or pass codes"):
        Joint.from_samples(values, CODES)
    assert Joint.from_samples(np.digitize(values, [1, 5]), CODES).x_labels == (0, 1, 2)


def test_statistics_are_saved_once_their_labels_are_as_told(tmp_path):
    for labels in ([2**70, 1], [2**63, -1], ["a", "a\0"], [1, "1"]):
        with refused(
            "cannot be saved without pickle: use labels that are all strings (that do not end in NUL), or all"
        ):
            HScore().update([0.0, 1.0], labels).save(tmp_path / "statistics")
        HScore().update([0.0, 1.0], [repr(label) for label in labels]).save(tmp_path / "statistics")
        assert HScore.load(tmp_path / "statistics").classes == tuple(map(repr, labels))


def test_gaps_and_empty_rows_of_a_table_are_told_what_fills_or_drops_them():
    table = pd.DataFrame({"tea": [3, 1, np.nan], "rum": [1, 3, np.nan]})
    with refused("at row 2, column 0 (2, 'tea'): every entry must be finite and at least 0, and 0 where nothing was"):
        Joint.from_counts(table)
    with refused("row 2 (X = 2) has no mass: drop every empty row"):
        Joint.from_counts(table.fillna(0))
    assert Joint.from_counts(table.fillna(0)[table.sum(axis=1) > 0]).x_labels == (0, 1)


def test_blocks_of_unknown_length_are_paired_once_their_lengths_are_computed():
    x = da.from_array(np.arange(12) % 3, chunks=4)
    chosen = x[x > 0]
    with refused("of unknown lengths: call compute_chunk_sizes() on the arrays first"):
        dask_joint(chosen, np.zeros(8, int))
    assert dask_joint(chosen.compute_chunk_sizes(), np.zeros(8, int)).x_labels == (1, 2)
