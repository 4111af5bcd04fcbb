"""Numbers as text: any amount has one, whatever its sign and size."""

from __future__ import annotations

import math

import pytest

from allocation.jobs.numbers import amount, decimals, distinct_places, number, two_digits

ODD = (0.0, -0.0, math.inf, -math.inf, math.nan, 5e-324, -5e-324, 1.7e308, -1.7e308)


def test_a_negative_amount_has_as_many_places_as_its_size():
    for x in (1e-9, 0.0123, 0.5, 1.0, 12.3, 1234.5, 1e99):
        assert decimals(-x) == decimals(x)
        assert two_digits(-x) == two_digits(x)
        assert amount(-x, "EUR") == f"-{amount(x, 'EUR')}"


@pytest.mark.parametrize("x", ODD)
def test_no_amount_is_without_a_text(x: float):
    assert isinstance(decimals(x), int)
    assert isinstance(two_digits(x), int)
    assert len(amount(x, "")) < 30


def test_places_that_tell_amounts_apart_look_at_the_largest_in_size():
    assert distinct_places([-1234.0, 0.0]) == 0
    assert distinct_places([-0.0123, 0.001]) == decimals(0.0123)
    assert distinct_places([]) == 2
    assert distinct_places([math.nan, math.nan]) == 2
    assert distinct_places([0.0]) == 2


def test_amounts_that_would_fill_the_line_are_told_in_powers_of_ten():
    assert amount(-2.5e20, "EUR") == "-2.50e+20 EUR"
    assert amount(999_999_999_999.0, "EUR") == "999,999,999,999.00 EUR"


def test_a_small_amount_is_not_rounded_to_nothing():
    assert [amount(x, "") for x in (1.234e-7, 0.012345, 3.0)] == ["1.23e-07", "0.0123", "3.00"]
    assert number(-0.001, 2) == "0.00"
