"""The evaluation's cells and sentences, from hand-made figures."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from allocation.jobs.evaluation_table import rows
from allocation.jobs.evaluation_terminal import print_evaluation
from allocation.jobs.evaluation_text import findings, how_sure
from tests.allocation.jobs.evaluations import made


def told(*cells: dict[str, Any], **plan: Any) -> list[str]:
    return findings(made(*cells, **plan))


def test_amounts_are_per_user_and_differences_have_two_digits_of_their_error():
    """Totals over 100 users: 120 is 1.20 a user, a difference of 20 with an error of 5 is +0.200 a user."""
    _, row = rows(made({"difference": 20.0, "difference_low": 10.0, "difference_high": 30.0}))
    assert (row.budget, row.promised, str(row.verified)) == ("0.5", "1.30", "1.20 [1.10, 1.30]")
    assert str(row.difference) == "+0.200 [+0.100, +0.300]"
    assert (row.matched, row.effective) == ("40", "38")


def test_better_and_worse_follow_the_adjusted_p_value_not_the_interval():
    clear = {"difference": 20.0, "difference_low": 10.0, "difference_high": 30.0, "p_adjusted": 0.01}
    assert "Better than the reference: model at 0.5 (+0.200 [+0.100, +0.300])." in told(clear)
    worse = {"difference": -20.0, "difference_low": -30.0, "difference_high": -10.0, "p_adjusted": 0.01}
    assert "Worse than the reference: model at 0.5 (-0.200 [-0.300, -0.100])." in told(worse)
    assert "Nothing is shown to be better than the reference." in told(worse)
    sentences = told(clear | {"p_adjusted": 0.06})
    assert not any(sentence.startswith("Better") for sentence in sentences)
    assert "Clear of zero taken alone, but not among so many comparisons: model at 0.5." in sentences


def test_nothing_distinguishable_is_said_in_plain_words():
    sentences = told({}, {"budget": 100.0})
    assert "Nothing is distinguishable: no difference to the reference is clear of zero." in sentences
    assert "Not distinguishable from the reference: model at every budget." in sentences


def test_equal_decisions_are_no_finding():
    sentences = told({"same_decision": True, "difference": 0.0, "difference_low": 0.0, "difference_high": 0.0})
    assert "The same decisions as the reference: model at 0.5." in sentences
    assert not any("istinguishable" in sentence for sentence in sentences)


def test_overspending_is_said_only_where_the_whole_interval_lies_above_the_budget():
    over = {"spend": 60.0, "spend_low": 55.0, "spend_high": 65.0, "overspend": 10.0, "overspend_low": 5.0}
    assert any("Spends more than the budget" in s and "model at 0.5 (0.600 [0.550, 0.650])" in s for s in told(over))
    assert not any("Spends more" in s for s in told(over | {"overspend_low": -1.0}))


@pytest.mark.parametrize(
    ("promised", "words"),
    [(135.0, "Promised more than the verified interval holds"), (105.0, "Promised less than"), (129.0, None)],
)
def test_a_promise_outside_the_interval_is_called_out_with_the_gap(promised: float, words: str | None):
    """Verified 120 [110, 130] of 100 users: a promise of 135 is 0.15 a user too high."""
    sentences = told({"promised_value": promised, "optimism": promised - 120.0})
    found = [s for s in sentences if s.startswith("Promised")]
    if words is None:
        assert found == []
    else:
        assert found[0].startswith(words)
        assert "model at 0.5 (by 0.15 a user)" in found[0]


def test_missing_support_is_said_and_never_compared():
    nan = dict.fromkeys(("value", "value_low", "value_high", "difference", "p_adjusted", "overspend_low"), math.nan)
    lacking = nan | {"support": "12 of 100 users match; 30 are needed", "difference_support": "12 of 100 users match"}
    sentences = told(lacking)
    assert "No policy can be compared with it." in sentences
    assert any("to judge: model at 0.5 (12 of 100 users match; 30 are needed). Log more" in s for s in sentences)
    row = rows(made(lacking))[1]
    assert (row.verified.estimate, row.difference.estimate, row.clear) == ("too few", "too few", 0)
    apart = {"difference": math.nan, "p_adjusted": math.nan, "difference_support": "3 users tell the two apart"}
    assert any("tell the policy from the reference: model at 0.5 (3 users" in s for s in told(apart))


def test_warnings_come_first_and_the_number_of_comparisons_is_stated():
    assert told({}, warnings=("mind this",))[0] == "mind this"
    single, several = how_sure(made({}, comparisons=12)), how_sure(made({}, comparisons=12, splits=5))
    assert single[0] == "Brackets are 95% intervals from 1,000 resamples of users."
    assert single[1].startswith("12 differences are compared with zero at once, and about 0.6 of so many intervals")
    assert several[0].startswith("Averages over 5 random splits")
    assert len(how_sure(made({}, comparisons=1))) == 1


def test_the_terminal_prints_names_as_they_are_and_keeps_80_columns():
    result = made({}, {"budget": 100.0}, name="[red]a name that somebody chose without thinking of tables[/red]")
    console = Console(width=80, highlight=False, markup=False, file=io.StringIO())
    print_evaluation(result, Path("o"), console)
    lines = console.file.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert "[red]a name that somebody" in " ".join(lines)
    assert [line.strip() for line in lines if line.startswith("budget")] == ["budget 0.5", "budget 1"]
