"""Certificates: orders and ranges of known functions, and what is refused."""

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


def test_a_certificate_holds_both():
    c = certify("sine", EPS, np.sin(EPS), EPS)
    assert (c.result, c.within, c.eps) == ("sine", 0.1, (1e-3, 1.0))
    assert c.order == pytest.approx(remainder_order(np.sin(EPS) - EPS, EPS))
    assert c.range == valid_range(EPS, np.sin(EPS), EPS)


def test_the_table_says_when_the_range_was_not_exhausted():
    table = certificate_table(
        [Certificate("a", 2.04, 0.5, 0.1, (0.01, 0.5)), Certificate("b", 3, 0.2, 0.1, (0.01, 0.5))]
    )
    assert list(table.index) == ["a", "b"]
    assert list(table["measured order"]) == [2.0, 3]
    assert list(table["within 10 % up to ε ="]) == ["0.5 or more", "0.2"]


def test_a_table_has_rows_that_can_be_compared():
    with pytest.raises(ValueError, match="ranges are none"):
        certificate_table([])
    with pytest.raises(ValueError, match=r"ranges are 0\.1, 0\.05"):
        certificate_table([Certificate(name, 2, 0.5, within, (0.1, 1.0)) for name, within in (("a", 0.1), ("b", 0.05))])


@pytest.mark.parametrize(
    ("remainder", "eps", "message"),
    [
        ([1e-3, 0.0, 1e-1], [0.1, 0.2, 0.3], "remainder"),
        ([1e-3, np.nan, 1e-1], [0.1, 0.2, 0.3], "remainder"),
        ([1, 2], [0.1, 0.2, 0.3], "shape"),
        ([1, 2], [0.1, -0.2], "positive"),
        ([1, 2], [0.1, 0.1], "two different"),
    ],
)
def test_what_has_no_order_is_refused(remainder, eps, message):
    with pytest.raises(ValueError, match=message):
        remainder_order(remainder, eps)
