"""The table's cells and sentences, from hand-made figures."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from allocation.jobs.summary import Summary
from allocation.jobs.table import decimals, number, rows, verdict


def summary(
    difference: float,
    low: float,
    high: float,
    promised: float = 130.0,
    warnings: tuple[str, ...] = (),
    matched: int = 40,
) -> Summary:
    """100 users, one budget of 50; two-stage verified at 120 [110, 130], the reference at 120 - difference."""
    common = {"budget": 50.0, "estimator": "dr", "users": 100, "matched": matched, "spend": 40.0, "spend_low": 30.0}
    common |= {
        "spend_high": 50.0,
        "promised_spend": 45.0,
        "reference": "random",
        "same_decision": False,
        "matched_control": 40,
    }
    mine = {"policy": "two-stage", "promised_value": promised, "value": 120.0, "value_low": 110.0}
    mine |= {"value_high": 130.0, "difference": difference, "difference_low": low, "difference_high": high}
    mine |= {"gain": 30.0, "gain_low": 20.0, "gain_high": 40.0}
    other = mine | {"policy": "random", "difference": 0.0, "difference_low": 0.0, "difference_high": 0.0}
    frame = pd.DataFrame([common | mine, common | other])
    return Summary("made", "", "visits", "EUR", 100, 0.5, 1000, {"none": 60, "mail": 40}, {}, warnings, frame)


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
    ],
)
def test_the_verdict_follows_the_interval(interval: tuple[float, float, float], words: str):
    import re

    assert re.search(words, verdict(summary(*interval))[0])


def test_a_promise_outside_the_interval_is_called_out():
    assert "lies inside the interval" in verdict(summary(1, 0, 2, promised=129.0))[-1]
    assert "lies outside the interval" in verdict(summary(1, 0, 2, promised=131.0))[-1]


def test_equal_decisions_and_missing_support_are_said_in_words():
    same = summary(0.0, 0.0, 0.0)
    same.evaluation["same_decision"] = True
    assert rows(same)[0].difference.estimate == "same decision"
    assert "makes the same decisions as the best baseline" in verdict(same)[0]
    assert rows(summary(0.0, 0.0, 0.0))[0].difference.estimate == "+0.00"
    assert rows(summary(math.nan, math.nan, math.nan))[0].difference.estimate == "no match"


@pytest.mark.parametrize(
    ("scale", "places"),
    [(0.0, 2), (0.7, 3), (8.6, 2), (55.0, 1), (1234.0, 0), (0.004, 5), (1e-12, -1), (math.nan, 2)],
)
def test_decimals_show_three_digits_of_the_largest(scale: float, places: int):
    assert decimals(scale) == places


def test_numbers_have_separators_a_dash_for_nothing_and_no_minus_zero():
    assert number(1234567.891, 1) == "1,234,567.9"
    assert number(math.nan, 2) == "–"
    assert number(-0.0001, 2) == "0.00"
    assert number(0.25, 1, sign=True) == "+0.2"
    assert number(1.2345e-9, decimals(5e-9)) == "1.23e-09"


def test_an_end_of_an_interval_is_never_rounded_to_a_false_zero():
    """-0.02 of 100 users is -0.0002 a user: three digits would hide on which side of zero it lies."""
    assert rows(summary(-1.9, -4.3, -0.02))[0].difference.interval == "[-0.0430, -0.0002]"


def test_few_matched_users_are_not_judged():
    """Of 29 matched users no interval is shown and the verdict says why; of 30 it is."""
    few, enough = summary(20.0, 10.0, 30.0, matched=29), summary(20.0, 10.0, 30.0, matched=30)
    assert (rows(few)[0].verified.interval, rows(few)[0].clear) == ("too few", False)
    assert verdict(few) == [
        "Only 29 of 100 held-out users received the arm that two-stage chose for them at 0.500 EUR a user. "
        "That is too few to judge it: log more users."
    ]
    assert rows(enough)[0].clear


def test_warnings_come_first_and_the_gain_over_nobody_is_told():
    told = verdict(summary(20.0, 10.0, 30.0, warnings=("the propensities contradict the log",)))
    assert told[0] == "the propensities contradict the log"
    gain = (
        "Against treating nobody: +0.30 [+0.20, +0.40] a user in value, for a verified spend of 0.400 [0.300, 0.500]"
    )
    assert told[2] == f"{gain} EUR."
