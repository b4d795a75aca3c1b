"""Certificates: orders and ranges of known functions, and what is refused."""

from itertools import permutations

import numpy as np
import pytest

from ufs import Certificate, certificate_table, certify, remainder_order, valid_range

EPS = np.geomspace(1e-3, 1, 31)


@pytest.mark.parametrize("order", [0.5, 1, 2, 3.7])
def test_a_power_law_has_its_exponent(order):
    assert remainder_order(-7 * EPS**order, EPS) == pytest.approx(order, abs=1e-12)


def test_the_order_is_that_of_the_leading_term():
    small = np.geomspace(1e-4, 1e-2, 15)
    assert remainder_order(small**3 + 5 * small**4, small) == pytest.approx(3, abs=0.02)


def test_the_range_ends_at_the_first_failure():
    local, exact = np.ones(5), np.array([1.0, 1.05, 1.2, 1.0, 1.0])
    assert valid_range(local, exact, [1, 2, 3, 4, 5]) == 2
    assert valid_range(local[::-1], exact[::-1], [5, 4, 3, 2, 1]) == 2  # in any order of ε
    assert valid_range(local, exact, [1, 2, 3, 4, 5], within=0.3) == 5
    assert np.isnan(valid_range(local * 2, exact, [1, 2, 3, 4, 5]))


def test_the_error_is_relative_to_the_size_of_the_exact_value_and_may_be_the_tolerance():
    eps = [0.1, 0.2, 0.3, 0.4]
    assert valid_range([-4, -5, -3, -5.1], [-4, -4, -4, -4], eps, within=0.25) == 0.3
    assert valid_range([4, 5, 3, 5.1], [4, 4, 4, 4], eps, within=0.25) == 0.3
    assert np.isnan(valid_range([1.5], [1.0], [0.1], within=0.4))  # 0.5 is more than 0.4 of 1, and less of 1.5


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_the_range_does_not_depend_on_the_order_of_the_measurements(order):
    local, eps = np.array([1, 1, 2, 1]), np.array([0.1, 0.2, 0.2, 0.3])  # at 0.2 one value is good and one is not
    order = list(order)
    assert valid_range(local[order], np.ones(4), eps[order]) == 0.1
    assert np.isnan(valid_range(local[order], np.ones(4), np.full(4, 0.1)))


@pytest.mark.parametrize("within", [0.1, 0.01])
def test_a_certificate_holds_both(within):
    mixed = EPS[np.r_[20:31, 0:20]]
    c = certify("sine", mixed, np.sin(mixed), mixed, within)
    assert (c.result, c.within, c.eps) == ("sine", within, (1e-3, 1.0))
    assert c.order == pytest.approx(remainder_order(np.sin(EPS) - EPS, EPS))
    assert c.range == valid_range(EPS, np.sin(EPS), EPS, within) == EPS[EPS / np.sin(EPS) - 1 <= within].max()


def test_a_certificate_is_by_default_for_ten_percent():
    c = certify("sine", EPS, np.sin(EPS), EPS)
    assert (c.within, c.range) == (0.1, valid_range(EPS, np.sin(EPS), EPS, 0.1))


def test_the_table_says_when_the_range_was_not_exhausted():
    table = certificate_table(
        [Certificate("a", 2.04, 0.5, 0.1, (0.01, 0.5)), Certificate("b", 3, 0.2, 0.1, (0.01, 0.5))]
    )
    assert list(table.index) == ["a", "b"]
    assert list(table["measured order"]) == [2.0, 3]
    assert list(table["within 10 % up to ε ="]) == ["0.5 or more", "0.2"]


def test_a_table_is_made_of_any_iterable_and_has_no_negative_zero():
    table = certificate_table(Certificate("a", order, 0.5, 0.25, (0.01, 0.5)) for order in (-0.04, -0.06, 1.25))
    assert [str(order) for order in table["measured order"]] == ["0.0", "-0.1", "1.2"]
    assert "within 25 % up to ε =" in table


def test_a_table_has_rows_that_can_be_compared():
    with pytest.raises(ValueError, match="ranges are none"):
        certificate_table([])
    with pytest.raises(ValueError, match=r"ranges are 0\.1, 0\.05"):
        certificate_table([Certificate(name, 2, 0.5, within, (0.1, 1.0)) for name, within in (("a", 0.1), ("b", 0.05))])


@pytest.mark.parametrize(
    ("remainder", "eps", "message"),
    [
        ([1e-3, 0.0, 1e-1], [0.1, 0.2, 0.3], r"the remainder at eps\[1\] = 0\.2 is 0"),
        ([1e-3, np.nan, 1e-1], [0.1, 0.2, 0.3], r"remainder\[1\] = nan is not finite"),
        ([1e-3, 1e-2, -np.inf], [0.1, 0.2, 0.3], r"remainder\[2\] = -inf is not finite"),
        ([], [], "eps is empty"),
        (1.0, 0.1, "eps has 0 axes, not 1"),
        ([1, 2], [0.1, 0.2, 0.3], "shape"),
        ([1, 2], [0.1, -0.2], r"eps\[1\] = -0\.2 is no ε: it must be positive"),
        ([1, 2], [0.0, 0.2], r"eps\[0\] = 0\.0 is no ε: it must be positive"),
        ([1, 2], [0.1, np.inf], r"eps\[1\] = inf is not finite"),
        ([1, 2], [0.1, 0.1], "two different"),
        ([1, 2], [0.1, np.nextafter(0.1, 1)], "two different"),
        ([1, 2], [0.1, 0.1 + 1e-12], "further apart than rounding"),
    ],
)
def test_what_has_no_order_is_refused(remainder, eps, message):
    with pytest.raises(ValueError, match=message):
        remainder_order(remainder, eps)


@pytest.mark.parametrize(
    ("local", "exact", "eps", "message"),
    [
        ([1, np.nan], [1, 1], [0.1, 0.2], r"local\[1\] = nan is not finite"),
        ([1, 1], [-np.inf, 1], [0.1, 0.2], r"exact\[0\] = -inf is not finite"),
        ([1, 1], [1, 1], [0.1, 0.0], r"eps\[1\] = 0\.0 is no ε"),
        ([1, 1], [1], [0.1, 0.2], r"local has shape \(2,\) and exact \(1,\)"),
        ([], [], [], "eps is empty"),
    ],
)
@pytest.mark.parametrize("function", [valid_range, lambda *values: certify("it", *values)])
def test_what_has_no_range_is_refused(function, local, exact, eps, message):
    with pytest.raises(ValueError, match=message):
        function(local, exact, eps)


@pytest.mark.parametrize("within", [np.nan, np.inf, -1, 0, 1j, True, np.True_, "a", None])
def test_a_relative_error_is_a_positive_number(within):
    for function in (valid_range, lambda *values: certify("it", *values)):
        with pytest.raises(ValueError, match=r"^within = .* must be a positive number"):
            function(EPS, np.sin(EPS), EPS, within)
    with pytest.raises(ValueError, match=r"^within = .* must be a positive number"):
        Certificate("it", 2.0, 0.5, within, (0.1, 1.0))


def test_values_at_the_ends_of_the_range_of_floats_have_order_and_range():
    eps = np.array([0.1, 0.2, 0.4])
    for scale in (1e308, 1e-308, 5e-324):
        assert valid_range([0, 1.79, 1], np.array([0, 1, 1]) * scale, eps) == 0.1
        assert valid_range(np.array([0, 1, 1]) * scale, np.array([0, 1, -1]) * scale, eps) == 0.2
    c = certify("it", [-1e308, 1e307, 1e306], [1e308, -1e307, -1e306], eps[::-1])
    assert c.order == pytest.approx(remainder_order([2, 0.2, 0.02], eps[::-1]))
    assert np.isnan(c.range)
    assert valid_range([1e308] * 3, [1e308] * 3, eps, within=1e10) == 0.4
