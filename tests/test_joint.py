"""The joint distribution: what is kept, what is refused, and the words in which it is refused."""

import re

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from ufs import Joint

FAIR = np.array([[0.45, 0.05], [0.05, 0.45]])
FORMS = {"dense": np.array, "sparse": sp.csr_array, "coo": sp.coo_array, "matrix": sp.csc_matrix}


def refused(message: str):
    return pytest.raises(ValueError, match=re.escape(message))


def frame(values, index=("ann", "bob"), columns=("tea", "rum")) -> pd.DataFrame:
    return pd.DataFrame(
        values, index=pd.Index(list(index), name="guest"), columns=pd.Index(list(columns), name="drink")
    )


def dense(table) -> np.ndarray:
    return table.toarray() if sp.issparse(table) else table


@pytest.mark.parametrize("form", FORMS)
def test_marginals(form):
    joint = Joint(FORMS[form]([[0.1, 0.2, 0.3], [0.0, 0.3, 0.1]]))
    np.testing.assert_allclose(joint.px, [0.6, 0.4])
    np.testing.assert_allclose(joint.py, [0.1, 0.5, 0.4])
    assert sp.issparse(joint.P) == (form != "dense")
    assert (joint.x_name, joint.y_name) == ("X", "Y")
    assert (list(joint.x_labels), list(joint.y_labels)) == ([0, 1], [0, 1, 2])


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("bad", [-0.05, np.nan, np.inf, -np.inf])
def test_bad_entry(form, bad):
    table = FAIR.copy()
    table[1, 0] = bad
    with refused("at row 1, column 0"):
        Joint(FORMS[form](table))
    with refused("the table has the entry"):
        Joint.from_counts(FORMS[form](table))
    with refused("every entry must be finite and at least 0"):
        Joint(FORMS[form](table))


def test_bad_entry_names_the_labels():
    for make in (Joint, Joint.from_counts):
        with refused("entry -0.05 at row 1, column 0 ('bob', 'tea')"):
            make(frame([[0.45, 0.05], [-0.05, 0.55]]))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("factor", [0.5, 1.25, 1 + 2e-9, 1 - 2e-9, 0.0])
def test_wrong_sum_is_not_renormalised(form, factor):
    with refused("not 1: divide it by its sum, or use Joint.from_counts"):
        Joint(FORMS[form](FAIR * factor))


def test_rounding_is_no_wrong_sum_and_stays():
    for factor in (1 + 9e-10, 1 - 9e-10):
        table = FAIR * factor
        joint = Joint(table)
        np.testing.assert_array_equal(joint.P, table)
        for form in (joint, Joint(sp.csr_array(table))):
            assert form.mutual_information() == pytest.approx(Joint(FAIR).mutual_information(), rel=1e-8)
        np.testing.assert_allclose(joint.faded(0.5).P, Joint(FAIR).faded(0.5).P, rtol=2e-9)


def test_a_little_below_zero_is_refused_and_a_little_above_is_mass():
    with refused("entry -1e-13 at row 0, column 1"):
        Joint([[0.5, -1e-13], [0.5, 1e-13]])
    assert Joint([[1 - 1e-14, 0], [0, 1e-14]]).px[1] == 1e-14


def test_the_first_of_two_bad_entries_is_named():
    with refused("at row 0, column 1"):
        Joint.from_counts([[1, np.nan], [-1, 1]])
    with refused("the table[0, 1] = 'two'"):
        Joint.from_counts(np.array([[1, "two"], [None, 1]], dtype=object))


@pytest.mark.parametrize("form", FORMS)
def test_massless_row_and_column(form):
    with refused("row 1 (X = 1) has no mass: drop every empty row (1 in all)"):
        Joint(FORMS[form]([[0.5, 0.5], [0.0, 0.0]]))
    with refused("column 1 (Y = 1) has no mass: drop every empty column (2 in all)"):
        Joint.from_counts(FORMS[form]([[5, 0, 0], [3, 0, 0]]))


def test_massless_row_names_the_label():
    with refused("row 1 (guest = 'bob') has no mass"):
        Joint(frame([[0.5, 0.5], [0, 0]]))
    with refused("column 0 (drink = 'tea') has no mass"):
        Joint.from_counts(frame([[0, 5], [0, 1]]))


@pytest.mark.parametrize(("shape", "axes"), [((2, 2, 1), 3), ((4,), 1), ((), 0)])
def test_wrong_rank(shape, axes):
    for make in (Joint, Joint.from_counts):
        with refused(f"has {axes} axes, not 2"):
            make(np.full(shape, 0.25))


@pytest.mark.parametrize("make", [np.zeros, sp.csr_array, lambda shape: pd.DataFrame(np.zeros(shape))])
@pytest.mark.parametrize("shape", [(0, 3), (3, 0)])
def test_empty(shape, make):
    for build in (Joint, Joint.from_counts):
        with refused(f"is empty: its shape is {shape}"):
            build(make(shape))


@pytest.mark.parametrize("form", FORMS)
def test_no_counts(form):
    with refused("the table holds no counts"):
        Joint.from_counts(FORMS[form](np.zeros((2, 2))))


def test_wrong_number_of_labels():
    with refused("3 labels for the 2 symbols of X"):
        Joint(FAIR, x_labels="abc")
    with refused("1 labels for the 2 symbols of Y"):
        Joint(FAIR, y_labels=["a"])


def test_frame_keeps_labels_and_names():
    for joint in (Joint(frame(FAIR)), Joint.from_counts(frame(FAIR * 100))):
        assert (joint.x_labels, joint.y_labels) == (("ann", "bob"), ("tea", "rum"))
        assert (joint.x_name, joint.y_name) == ("guest", "drink")
        np.testing.assert_allclose(joint.P, FAIR)


def test_given_names_win():
    joint = Joint(frame(FAIR), x_labels=["a", "b"], x_name="who")
    assert (joint.x_labels, joint.y_labels) == (("a", "b"), ("tea", "rum"))
    assert (joint.x_name, joint.y_name) == ("who", "drink")
    joint = Joint.from_counts(frame(FAIR), x_labels=pd.Series(["a", "b"], index=[5, 6]), y_name="cup")
    assert (joint.x_labels, joint.y_labels) == (("a", "b"), ("tea", "rum"))
    assert (joint.x_name, joint.y_name) == ("guest", "cup")


def test_a_frame_names_its_axes_as_it_likes():
    table = pd.DataFrame(FAIR, index=pd.RangeIndex(2, name=0), columns=pd.RangeIndex(2, name=1))
    assert (Joint(table).x_name, Joint(table).y_name) == ("0", "1")


@pytest.mark.parametrize("form", FORMS)
def test_input_is_neither_changed_nor_shared(form):
    table = FORMS[form](FAIR)
    joint = Joint(table)
    values = table.data if sp.issparse(table) else table
    values *= 2
    np.testing.assert_allclose(dense(joint.P), FAIR)
    with pytest.raises(ValueError, match="read-only"):
        (joint.P.data if sp.issparse(joint.P) else joint.P)[...] = 0
    parts = (joint.P.indices, joint.P.indptr) if sp.issparse(joint.P) else ()
    for part in (joint.px, joint.py, *parts):
        with pytest.raises(ValueError, match="read-only"):
            part[0] = 1
    with pytest.raises(AttributeError):
        joint.P = FAIR


def test_sparse_duplicates_are_added():
    P = sp.coo_array(([0.25, 0.25, 0.5], ([0, 0, 1], [0, 0, 1])), shape=(2, 2))
    joint = Joint(P)
    assert joint.P.nnz == 2
    np.testing.assert_array_equal(joint.P.toarray(), [[0.5, 0], [0, 0.5]])
    assert joint.P.format == "csr"


@pytest.mark.parametrize("form", FORMS)
def test_from_counts(form):
    joint = Joint.from_counts(FORMS[form]([[3, 1], [1, 3]]))
    np.testing.assert_array_equal(dense(joint.P), [[0.375, 0.125], [0.125, 0.375]])
    assert sp.issparse(joint.P) == (form != "dense")


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", ["integers", "far integers", "whole floats", "strings", "booleans"])
def test_from_samples_is_crosstab(kind, seed):
    rng = np.random.default_rng(seed)
    x, y = rng.integers(-3, 5, 400), rng.integers(0, 2, 400)
    x = {
        "integers": x,
        "far integers": x * 10**15,
        "whole floats": x.astype(float),
        "strings": np.array(list("zyxwvuts"))[x + 3],
        "booleans": x > 1,
    }[kind]
    table = pd.crosstab(x, y)
    joint = Joint.from_samples(x, y, x_name="a", y_name="b")
    np.testing.assert_allclose(joint.P, table.to_numpy() / 400, rtol=1e-15)
    assert joint.x_labels == tuple(table.index)
    assert joint.y_labels == tuple(table.columns)
    assert (joint.x_name, joint.y_name) == ("a", "b")


def test_from_samples_of_series():
    samples = pd.DataFrame({"x": ["b", "a", "b"], "y": [1, 0, 0]})
    assert Joint.from_samples(samples["x"], samples["y"]).x_labels == ("a", "b")


def test_from_samples_of_a_huge_alphabet_is_sparse():
    rng = np.random.default_rng(0)
    x, y = rng.integers(10**9, size=40_000), rng.integers(10**9, size=40_000)
    x, y = np.r_[x, x[:100]], np.r_[y, y[:100]]  # some pairs twice
    joint = Joint.from_samples(x, y)
    assert sp.issparse(joint.P)
    assert joint.P.shape == (len(np.unique(x)), len(np.unique(y)))
    assert joint.P.sum() == pytest.approx(1)
    cells = joint.P.tocoo()
    pairs = np.c_[np.array(joint.x_labels)[cells.row], np.array(joint.y_labels)[cells.col]]
    expected, counts = np.unique(np.c_[x, y], axis=0, return_counts=True)
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))
    np.testing.assert_array_equal(pairs[order], expected)
    np.testing.assert_allclose(cells.data[order], counts / len(x))


def test_samples_of_different_lengths():
    with refused("x has 3 samples and y has 2: they must be pairs"):
        Joint.from_samples([0, 1, 0], [1, 0])


@pytest.mark.parametrize(("x", "y", "name"), [([], [], "x"), ([1], [], "y")])
def test_no_samples(x, y, name):
    with refused(f"{name} is empty"):
        Joint.from_samples(x, y)


@pytest.mark.parametrize("bad", [0.5, np.inf])
def test_continuous_samples(bad):
    with refused(f"y[2] = {bad} is not an integer: bin a continuous variable first"):
        Joint.from_samples([0, 1, 0], [0.0, 1.0, bad])
    with refused("y[2] = nan is missing: leave out the samples that have no symbol"):
        Joint.from_samples([0, 1, 0], [0.0, 1.0, np.nan])


def test_samples_of_the_wrong_rank():
    with refused("x has shape (2, 2): give one symbol per sample, in a list or an array"):
        Joint.from_samples(np.array([[0, 1], [1, 0]]), [0, 1])
    with refused("y has shape (): give one symbol per sample, in a list or an array"):
        Joint.from_samples([0, 1], 1)


def test_mutual_information_of_known_channels():
    assert Joint(np.eye(4) / 4).mutual_information() == pytest.approx(np.log(4), abs=1e-15)
    assert Joint(np.outer([0.2, 0.8], [0.3, 0.7])).mutual_information() == pytest.approx(0, abs=1e-16)
    entropy = -(0.1 * np.log(0.1) + 0.9 * np.log(0.9))
    assert Joint(FAIR).mutual_information() == pytest.approx(np.log(2) - entropy, abs=1e-15)


@pytest.mark.parametrize("seed", range(5))
def test_mutual_information_dense_equals_sparse(seed):
    counts = np.random.default_rng(seed).poisson(1.0, (30, 20)) + np.eye(30, 20) + (np.arange(20) == 0)
    joint = Joint.from_counts(counts)
    rows = joint.P[joint.P > 0]
    direct = np.sum(rows * np.log(rows / np.outer(joint.px, joint.py)[joint.P > 0]))
    assert joint.mutual_information() == pytest.approx(direct, abs=1e-13)
    assert Joint(sp.csr_array(joint.P)).mutual_information() == pytest.approx(direct, abs=1e-13)


def independent(seed: int) -> Joint:
    rng = np.random.default_rng(seed)
    return Joint(np.outer(rng.dirichlet(np.ones(50)), rng.dirichlet(np.ones(40))))


def test_mutual_information_is_never_negative():
    assert min(independent(seed).mutual_information() for seed in range(20)) >= 0


def test_sparse_mutual_information_is_never_negative():
    assert min(Joint(sp.csr_array(independent(seed).P)).mutual_information() for seed in range(20)) >= 0


@pytest.mark.parametrize("share", [0, 1e-6, 0.3, 1])
def test_faded_scales_the_dependence_alone(share):
    joint = Joint.from_counts(np.random.default_rng(0).integers(0, 9, (5, 4)) + np.eye(5, 4))
    product = np.outer(joint.px, joint.py)
    faded = joint.faded(share)
    np.testing.assert_allclose(faded.P - product, share * (joint.P - product), atol=1e-16)
    np.testing.assert_allclose(faded.px, joint.px, rtol=1e-14)
    np.testing.assert_allclose(faded.py, joint.py, rtol=1e-14)


def test_faded_keeps_labels_and_names():
    faded = Joint(frame(FAIR)).faded(0.5)
    assert (faded.x_labels, faded.y_labels) == (("ann", "bob"), ("tea", "rum"))
    assert (faded.x_name, faded.y_name) == ("guest", "drink")


@pytest.mark.parametrize("share", [-0.1, 1.1, np.nan, "half", None])
def test_faded_beyond_the_table(share):
    with refused("it must be between 0 (independence) and 1 (the table itself)"):
        Joint(FAIR).faded(share)


def test_a_sparse_table_does_not_fade():
    with refused("make it dense with P.toarray() first"):
        Joint(sp.csr_array(FAIR)).faded(0.5)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (np.ma.masked_array([[1, 1], [7, 0]], mask=[[0, 0], [1, 0]]), "the table[1, 0] is masked"),
        (np.array([[1 + 1j, 2], [3, 4]]), "the table is of type complex128: it must hold real numbers"),
        (sp.coo_array(np.array([[1j, 2], [3, 4]])), "the table is of type complex128: it must hold real numbers"),
        ([["1", "2"], ["3", "4"]], "the table is of type <U1: it must hold real numbers"),
        ([[1, 2], [3]], "the table is no array: give rows of the same length"),
        ([[1, None], [3, 4]], "the table[0, 1] = None is no number: give a number in its place"),
        (frame([[1, pd.NA], [3, 4]]), "the table[0, 1] = <NA> is no number"),
        (np.array([[1, "2"], [3, 4]], dtype=object), "the table[0, 1] = '2' is no number"),
        ((row for row in ([1, 2], [3, 4])), "the table is of type object"),
        (sp.coo_array(np.ones(3)), "the table has 1 axes, not 2"),
        ([[1e308, 1e308], [1, 1]], "the table adds up to more than a double can hold: divide it by its largest entry"),
    ],
)
def test_what_is_no_table_of_real_numbers_is_refused(table, message):
    with refused(message):
        Joint.from_counts(table)


def test_tables_of_python_numbers_and_of_nullable_ones_are_read():
    for table in (np.array([[3, 1], [1, 3]], dtype=object), pd.DataFrame([[3, 1], [1, 3]], dtype="Int64")):
        np.testing.assert_array_equal(Joint.from_counts(table).P, [[0.375, 0.125], [0.125, 0.375]])


@pytest.mark.parametrize("where", [([0, 0, 0, 1], [0, 0, 0, 1]), ([0, 0, 0, 1], [0, 3, 4])], ids=["coo", "csr"])
@pytest.mark.parametrize("dtype", [np.int8, float])
def test_repeated_cells_add_up_to_more_than_their_type_holds(where, dtype):
    form, cells = (sp.coo_array, (where,)) if len(where[1]) == 4 else (sp.csr_array, where)
    table = form((np.full(4, 100, dtype), *cells), shape=(2, 2))
    P = Joint.from_counts(table).P
    assert P.nnz == 2
    np.testing.assert_array_equal(P.toarray(), [[0.75, 0], [0, 0.25]])


def test_labels_that_do_not_fit_are_refused_before_entries_are_named_by_them():
    with refused("1 labels for the 2 symbols of X"):
        Joint.from_counts([[1, 2], [-3, 4]], x_labels=["one"], y_labels=["a", "b"])
    with pytest.raises(TypeError, match="xlabels"):
        Joint.from_counts([[1, 2], [3, 4]], xlabels=["a", "b"])


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (["a", 1, "1"], "x[0] = 'a' and x[1] = 1 have no order: give symbols of one type"),
        ([1, "1", "a"], "x[0] = 1 and x[1] = '1' have no order: give symbols of one type"),
        (["a", b"a", "b"], "x[0] = 'a' and x[1] = b'a' have no order: give symbols of one type"),
        (np.array(["a", 1, "1"], dtype=object), "x[0] = 'a' and x[1] = 1 have no order"),
        (["a", None, "b"], "x[1] = None is missing: leave out the samples that have no symbol"),
        (np.array(["a", "b", np.nan], dtype=object), "x[2] = nan is missing"),
        (np.array([1, np.nan, 2], dtype=object), "x[1] = nan is missing"),
        (pd.Series(["a", pd.NA, "b"], dtype="string"), "x[1] = <NA> is missing"),
        (pd.Series(["a", None, "b"], dtype="category"), "x[1] = nan is missing"),
        (np.array(["2026-01-01", "NaT", "NaT"], dtype="M8[D]"), "x[1] = NaT is missing"),
        (np.ma.masked_array([1, 2, 3], mask=[0, 0, 1]), "x[2] is masked"),
    ],
)
def test_samples_that_are_missing_or_would_be_taken_for_others_are_refused(samples, message):
    with refused(message):
        Joint.from_samples(samples, [0, 1, 1])


def test_dates_and_python_objects_are_symbols():
    days = np.array(["2026-01-02", "2026-01-01", "2026-01-02"], dtype="M8[D]")
    assert [str(day) for day in Joint.from_samples(days, [0, 1, 1]).x_labels] == ["2026-01-01", "2026-01-02"]
    fine = np.array(["2026-01-01T00:00:00.000000001", "2026-01-01"], dtype="M8[ns]")
    assert [str(time) for time in Joint.from_samples(fine, [0, 1]).x_labels][1].endswith("00.000000001")
    pairs = np.empty(3, dtype=object)
    pairs[:] = [("b", 1), ("a", 2), ("b", 1)]
    assert Joint.from_samples(pairs, [0, 1, 1]).x_labels == (("a", 2), ("b", 1))
