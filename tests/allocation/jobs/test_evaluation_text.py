"""The evaluation's cells and sentences, from hand-made figures."""

from __future__ import annotations

import io
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from allocation.jobs.evaluation_job import EvaluationResult
from allocation.jobs.evaluation_report import report_html
from allocation.jobs.evaluation_table import rows
from allocation.jobs.evaluation_terminal import legend, print_evaluation
from allocation.jobs.evaluation_text import ESTIMATORS, findings, how_sure
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
    sentences = told(clear | {"p_adjusted": 0.06, "p_value": 0.01}, comparisons=6)
    assert not any(sentence.startswith("Better") for sentence in sentences)
    assert "Clear of zero taken alone, but not among so many comparisons: model at 0.5." in sentences
    sentences = told(clear | {"p_adjusted": 0.06, "p_value": 0.06})
    assert "Clear of zero by the interval, but not by the p-value: model at 0.5." in sentences
    assert not any(s.startswith("Better") for s in told(clear | {"difference_low": -1.0}))


def test_nothing_distinguishable_is_said_in_plain_words():
    sentences = told({}, {"budget": 100.0}, comparisons=2)
    adjusted = "adjusted for all 2 comparisons, no difference to the reference is clear of zero."
    assert f"Nothing is distinguishable: {adjusted}" in sentences
    assert "Nothing is distinguishable: the difference to the reference is not clear of zero." in told({})
    assert "Not distinguishable from the reference: model at every budget." in sentences


def test_equal_decisions_are_no_finding():
    sentences = told({"same_decision": True, "difference": 0.0, "difference_low": 0.0, "difference_high": 0.0})
    assert "The same decisions as the reference: model at 0.5." in sentences
    assert not any("istinguishable" in sentence for sentence in sentences)


def test_overspending_is_said_only_where_the_whole_interval_lies_above_the_budget():
    over = {"spend": 60.0, "spend_low": 55.0, "spend_high": 65.0, "overspend": 10.0, "overspend_low": 5.0}
    assert any("Spends more than the budget" in s and "model at 0.5 (0.60 [0.55, 0.65])" in s for s in told(over))
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


def filed(result: EvaluationResult, **plan: Any) -> EvaluationResult:
    """The same figures where another plan led to them."""
    return replace(result, plan=replace(result.plan, **plan))


def test_only_policies_that_choose_by_a_model_are_said_to_be_cursed():
    promised = {"promised_value": 135.0, "optimism": 15.0}
    words = "Promised more than the verified interval holds, one interval each, not adjusted"
    cursed, chance = f"{words} (a model that picks whom it overestimates", f"{words} (the training half differs, by"
    for name, start in (("two-stage S", cursed), ("outcome targeting", cursed), ("best mix of arms", chance)):
        assert any(s.startswith(start) and f"{name} at 0.5" in s for s in told(promised, name=name))
    assert f"{words}: ours at 0.5 (by 0.15 a user)." in told(promised, name="ours")
    named = findings(filed(made(promised, name="two-stage S"), decisions={"two-stage S": "d.parquet"}))
    assert f"{words}: two-stage S at 0.5 (by 0.15 a user)." in named
    less = told({"promised_value": 105.0, "optimism": -15.0}, name="two-stage S")
    assert f"{words.replace('more', 'less')}: two-stage S at 0.5 (by 0.15 a user)." in less
    solved = findings(filed(made(promised, name="ours"), responses={"ours": "r.parquet"}))
    assert any(s.startswith(cursed) for s in solved)


def test_what_trimming_may_bias_is_said_and_nothing_within_it_is_a_finding():
    """Bounds of 0.06, 0.02 and 0.3 a user; without them the promise, the spend and the difference would be told."""
    cell = {"promised_value": 135.0, "optimism": 15.0, "overspend": 3.0, "overspend_low": 1.0, "p_adjusted": math.nan}
    cell |= {"difference": 20.0, "difference_low": 10.0, "difference_high": 30.0}
    bounds = {"bias_bound": 6.0, "spend_bias_bound": 2.0, "difference_bias_bound": 30.0}
    sentences = told(cell | bounds, comparisons=0)
    limits = "a value by up to 0.060, a spend by up to 0.020 and a difference by up to 0.30 a user"
    assert sentences == [
        f"Trimming may bias {limits}, which no interval contains.",
        "Reference: rule.",
        "Nothing is distinguishable: trimming may bias every difference to the reference, of which no p-value knows.",
        "Not distinguishable from the reference, since trimming may bias the difference: model at 0.5.",
    ]
    beyond = told(cell | {"bias_bound": 4.0, "spend_bias_bound": 0.5, "difference_bias_bound": 0.0})
    assert any(s.startswith("Promised more") for s in beyond)
    assert any(s.startswith("Spends more") for s in beyond)


def test_decisions_of_a_file_spend_what_they_spend_whatever_the_budget():
    over = {"spend": 120.0, "spend_low": 110.0, "spend_high": 130.0, "overspend": 70.0, "overspend_low": 60.0}
    result = made(over, over | {"budget": 100.0, "overspend": 20.0, "overspend_low": 10.0}, name="tonight")
    sentences = findings(filed(result, decisions={"tonight": "t.csv"}))
    assert "tonight spends 1.20 [1.10, 1.30] whatever the budget." in sentences
    assert not any("Spends more" in s for s in sentences)


def test_a_spend_has_the_decimals_of_its_interval_whatever_the_size_of_the_budget():
    """A spend of 0.40 [0.30, 0.50] beside a budget of 15,500, and of 4,000.0 [3,999.5, 4,000.5]."""
    _, small, _, row = rows(made({"budget": 5.0}, {"budget": 1_550_000.0}))
    assert (small.budget, row.budget, str(row.spend)) == ("0.05", "15,500", "0.40 [0.30, 0.50]")
    large = {"spend": 4e5, "spend_low": 399_950.0, "spend_high": 400_050.0}
    result = made(large)
    frame = result.frame[result.frame["policy"] == "model"]
    assert str(rows(replace(result, frame=frame))[0].spend) == "4,000.0 [3,999.5, 4,000.5]"


def test_the_first_policy_is_called_the_reference_for_being_the_first_where_no_rule_of_thumb_is():
    result = made({})
    assert "Reference: rule, the first given." in findings(filed(result, reference=None))
    assert "Reference: rule." in findings(result)


def test_missing_support_is_said_and_never_compared():
    nan = dict.fromkeys(("value", "value_low", "value_high", "difference", "p_adjusted", "overspend_low"), math.nan)
    lacking = nan | {"support": "12 of 100 users match; 30 are needed", "difference_support": "12 of 100 users match"}
    sentences = told(lacking)
    assert "No policy can be compared with it." in sentences
    assert any("to judge: model at 0.5 (12 of 100 users match; 30 are needed). Log more" in s for s in sentences)
    row = rows(made(lacking))[1]
    assert (row.verified.estimate, row.difference.estimate, row.clear) == ("too few", "too few", 0)
    apart = {"difference": math.nan, "p_adjusted": math.nan, "difference_support": "3 users tell the two apart"}
    assert any("Hardly any other decision than the reference: model at 0.5 (3 users" in s for s in told(apart))


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


@pytest.mark.parametrize("estimator", ["ipw", "sn", "dr", "switch", "clipped"])
def test_the_terminal_says_how_the_shown_estimator_verifies(estimator: str):
    """The words are those of the report."""
    told = legend(filed(made({}), estimator=estimator))
    assert f"; {estimator}: {ESTIMATORS[estimator]}. effective size: how many users of equal weight" in told


def test_the_effective_size_counts_clusters_where_there_are_some():
    result = made({})
    clustered = replace(result, source=replace(result.source, cluster=np.zeros(50, dtype=np.int64)))
    for one, header, words in (
        (result, "size", "many users of"),
        (clustered, "clusters", "many clusters of users of"),
    ):
        console = Console(width=120, highlight=False, markup=False, file=io.StringIO())
        print_evaluation(one, Path("o"), console)
        printed = console.file.getvalue()
        assert f"effective {header}: how {words} equal weight" in " ".join(printed.split())
        assert any(line.rstrip().endswith(f" {header}") for line in printed.splitlines())
        page = " ".join(report_html(one, {}, "0").split())
        assert f"effective<br>{header}</th>" in page
        assert f"<b>effective {header}</b> is how {words} equal weight" in page


def test_the_report_says_above_the_charts_that_they_can_be_slid_sideways():
    page = report_html(made({}), {"value": {"light": "<svg></svg>"}}, "0")
    hint = '<p class="hint">The charts are wider than this screen: slide them sideways.</p>'
    assert page.count(hint) == 1
    assert page.index("Brackets are") < page.index(hint) < page.index("<figure")
