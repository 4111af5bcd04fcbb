"""The demo's table and verdict where the evaluation gives no figure."""

from __future__ import annotations

import math

import pytest

from allocation.jobs.table import rows, verdict
from tests.allocation.jobs.test_table import summary


def test_two_policies_that_too_few_users_tell_apart_are_not_called_indistinguishable():
    run = summary(math.nan, math.nan, math.nan)
    run.evaluation["difference_support"] = ["9 matched users tell the two apart; 30 are needed", ""]
    row = rows(run)[0]
    assert (row.difference.estimate, row.clear, row.unsure) == ("too few", 0, True)
    said = verdict(run)[0]
    assert said.endswith("cannot be compared: 9 matched users tell the two apart; 30 are needed.")


def test_a_value_without_support_is_not_judged_though_30_match():
    """40 users match but count as fewer than 30: no promise lies inside or outside an interval that is not there."""
    run = summary(20.0, 10.0, 30.0)
    run.evaluation.loc[0, ["value", "value_low", "value_high", "difference"]] = math.nan
    assert rows(run)[0].verified.estimate == "too few"
    assert verdict(run)[0].endswith("That is too few to judge it: log more users.")


@pytest.mark.parametrize("matched", [29, 40])
def test_figures_that_are_there_are_shown_as_before(matched: int):
    shown = rows(summary(20.0, 10.0, 30.0, matched=matched))[0]
    assert shown.verified.estimate == "1.20"
    assert shown.verified.interval == ("too few" if matched < 30 else "[1.10, 1.30]")
