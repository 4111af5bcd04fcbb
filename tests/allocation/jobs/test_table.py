"""The table's cells and sentences, from hand-made figures."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from allocation.jobs.summary import Summary
from allocation.jobs.table import decimals, number, rows, verdict


def summary(difference: float, low: float, high: float, promised: float = 130.0) -> Summary:
    """100 users, one budget of 50; two-stage verified at 120 [110, 130], the reference at 120 - difference."""
    common = {"budget": 50.0, "estimator": "sn", "users": 100, "matched": 30, "spend": 40.0, "spend_low": 30.0}
    common |= {"spend_high": 50.0, "promised_spend": 45.0, "reference": "random"}
    mine = {"policy": "two-stage", "promised_value": promised, "value": 120.0, "value_low": 110.0}
    mine |= {"value_high": 130.0, "difference": difference, "difference_low": low, "difference_high": high}
    other = mine | {"policy": "random", "difference": 0.0, "difference_low": 0.0, "difference_high": 0.0}
    frame = pd.DataFrame([common | mine, common | other])
    return Summary("made", "", "visits", "EUR", 100, 0.5, 1000, {"none": 60, "mail": 40}, {}, frame)


def test_amounts_are_per_user_with_three_digits_and_thousands():
    first, second = rows(summary(20.0, 10.0, 30.0))
    assert (first.budget, first.promised, first.verified.estimate) == ("0.500", "1.30", "1.20")
    assert first.verified.interval == "[1.10, 1.30]"
    assert (first.difference.estimate, first.difference.interval) == ("+0.20", "[+0.10, +0.30]")
    assert second.difference.estimate == "best baseline"


@pytest.mark.parametrize(
    ("interval", "words"),
    [
        ((20.0, 10.0, 30.0), r"two-stage beats the best baseline \(random\) by \+0.20"),
        ((-20.0, -30.0, -10.0), r"two-stage is worse than the best baseline \(random\): -0.20"),
        ((5.0, -10.0, 20.0), r"are not distinguishable: \+0.05 \[-0.10, \+0.20\]"),
        ((math.nan, math.nan, math.nan), r"too few users with the decided arm"),
    ],
)
def test_the_verdict_follows_the_interval(interval: tuple[float, float, float], words: str):
    import re

    assert re.search(words, verdict(summary(*interval))[0])


def test_a_promise_outside_the_interval_is_called_out():
    assert "the promise holds" in verdict(summary(1, 0, 2, promised=129.0))[2]
    assert "lies outside" in verdict(summary(1, 0, 2, promised=131.0))[2]


def test_equal_decisions_and_missing_support_are_said_in_words():
    assert rows(summary(0.0, 0.0, 0.0))[0].difference.estimate == "same decision"
    assert rows(summary(math.nan, math.nan, math.nan))[0].difference.estimate == "no support"


@pytest.mark.parametrize(
    ("scale", "places"), [(0.0, 2), (0.7, 3), (8.6, 2), (55.0, 1), (1234.0, 0), (0.004, 5), (1e-12, 8), (math.nan, 2)]
)
def test_decimals_show_three_digits_of_the_largest(scale: float, places: int):
    assert decimals(scale) == places


def test_numbers_have_separators_a_dash_for_nothing_and_no_minus_zero():
    assert number(1234567.891, 1) == "1,234,567.9"
    assert number(math.nan, 2) == "–"
    assert number(-0.0001, 2) == "0.00"
    assert (number(-0.0001, 2, sign=True), number(0.0001, 2, sign=True)) == ("-0.00", "+0.00")
    assert number(0.25, 1, sign=True) == "+0.2"
