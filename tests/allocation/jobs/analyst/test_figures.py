"""Figures as an analyst reads them."""

from __future__ import annotations

import math

import pytest

from allocation.evaluation.verified_path import Estimated
from allocation.jobs.analyst.figures import figure, in_unit, interval, whole


@pytest.mark.parametrize(
    ("x", "short", "amount"), [(1234.5, "1,234", "1,234.50"), (0.1234, "0.123", "0.123"), (5.0, "5.00", "5")]
)
def test_figures_have_three_digits_and_amounts_of_things_are_whole(x: float, short: str, amount: str):
    assert (figure(x), whole(x)) == (short, amount)
    assert whole(math.nan) == ""


def test_an_interval_has_the_digits_of_its_estimate_and_none_where_nothing_is_ruled_out():
    assert interval(Estimated(10.25, 8.512, 12.0)) == "[8.5, 12.0]"
    assert interval(Estimated(2.0, -math.inf, math.inf)) == "[anything]"


def test_a_unit_stands_in_brackets_where_there_is_one():
    assert (in_unit("budget", "EUR"), in_unit("budget", "")) == ("budget (EUR)", "budget")
