"""What an end-to-end fit says of itself, in every case: the verdict, the figures, and lines that a terminal shows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from allocation.policies import gated
from allocation.policies.gate import EFFECTS, TUNED, TWO_STAGE, Difference
from allocation.policies.tuning_result import TuningResult
from tests.allocation.policies.end_to_end_logs import noisy, policy, shorten

GAINED = TuningResult(
    users=123_456,
    kept=TUNED,
    warm_start="effects",
    scores="dr",
    estimator="softmax",
    budgets=(1.0, 2.0, 3.0),
    level=0.95,
    gain=Difference(0.02, 0.005, 24_691),
    tuning=Difference(0.001, 0.002, 24_691),
    over_control=Difference(1.5, 0.1, 24_691),
    seconds={"two-stage net": 12.34, "outcome models": 7.0, "decision phase": 1.26},
)
KEPT_BACK = replace(GAINED, kept=TWO_STAGE, gain=Difference(0.002, 0.005, 24_691))
NO_GATE = replace(GAINED, gain=None, tuning=None, over_control=None)
NULL = replace(KEPT_BACK, gain=Difference(0.0, 0.0, 10), over_control=Difference(0.1, 0.1, 24_691))
CASES = {
    "passed": GAINED,
    "warm start": replace(GAINED, kept=EFFECTS),
    "not passed": KEPT_BACK,
    "no gate": NO_GATE,
    "nothing to gain": NULL,
    "from levels, one budget": replace(GAINED, warm_start="levels", tuning=None, budgets=(5.0,)),
    "long": replace(GAINED, users=10**9, gain=Difference(-1.234567e-17, 1e-18, 9), seconds={"phase " * 30: 1e6}),
}


def words(result):
    """The text as one line."""
    return " ".join(str(result).split())


@pytest.mark.parametrize("result", CASES.values(), ids=CASES)
def test_every_line_fits_a_terminal_of_80_columns_and_says_no_none(result):
    lines = str(result).splitlines()
    assert max(map(len, lines)) <= 80
    assert "None" not in words(result)
    assert "nan" not in words(result)
    assert words(result).startswith(f"End-to-end on {result.users:,} users: the ")


def test_a_net_that_passed():
    """Gain .02 +- 1.96 * .005 and so on, all figures with their intervals; 12.34 + 7 + 1.26 = 20.6 seconds."""
    text = words(GAINED)
    assert GAINED.passed
    assert not GAINED.nothing_to_gain
    for part in (
        "the net tuned for the decision decides (20.6 s: two-stage net 12.3 s, outcome models 7.0 s, ",
        "decision phase 1.3 s)",
        "the end-to-end net passed",
        "+0.02 [+0.0102, +0.0298] a user more than the two-stage net, mean over 3 budgets",
        "The decision phase itself: +0.001 [-0.00292, +0.00492] a user over its warm start.",
        "over treating nobody: +1.5 [+1.304, +1.696] a user.",
    ):
        assert part in text
    assert "nothing to gain" not in text
    assert "No gate" not in text


def test_the_warm_start_alone():
    assert CASES["warm start"].passed
    assert "the net fitted to effects, before the decision phase decides" in words(CASES["warm start"])


def test_a_net_that_did_not_pass():
    assert not KEPT_BACK.passed
    text = words(KEPT_BACK)
    assert "the two-stage net decides" in text
    assert "the end-to-end net did not pass" in text
    assert "+0.002 [-0.0078, +0.0118] a user more" in text
    assert "Only an interval above zero lets it through; the two-stage net was fitted to all users." in text


def test_a_fit_without_a_gate_says_that_nothing_was_verified():
    text = words(NO_GATE)
    assert NO_GATE.passed
    assert not NO_GATE.nothing_to_gain
    assert "No gate was asked for: nothing says that it is no worse than the two-stage net." in text
    assert "The gate:" not in text
    assert "Verified" not in text


@pytest.mark.parametrize(("mean", "nothing"), [(0.1, True), (0.19, True), (0.2, False), (0.0, True), (-1.0, True)])
def test_nothing_to_gain_is_said_where_the_interval_over_control_reaches_zero(mean, nothing):
    """Standard error .1: an interval from 1.96 standard errors below the mean."""
    result = replace(KEPT_BACK, over_control=Difference(mean, 0.1, 100))
    assert result.nothing_to_gain == nothing
    said = "There is nothing to gain that this log can tell from zero: treating nobody may be as good." in words(
        result
    )
    assert said == nothing


def test_the_level_widens_the_intervals():
    """At 68.27% the interval is one standard error to either side."""
    assert "+0.02 [+0.015, +0.025]" in words(replace(GAINED, level=0.6827))
    assert replace(NULL, level=0.6).nothing_to_gain is False


def test_one_budget_is_one_budget():
    assert "mean over 1 budget," in words(CASES["from levels, one budget"])
    assert "decision phase itself" not in words(CASES["from levels, one budget"])


@pytest.mark.parametrize(("tuned", "kept", "gain", "over"), [(5.0, TUNED, 3.0, 4.0), (1.5, TWO_STAGE, -0.5, 1.0)])
def test_a_fit_reports_the_differences_of_its_candidates(monkeypatch, tuned, kept, gain, over):
    """Worths given: two-stage 2, gains over control 1 less, warm start .5 below the tuned net."""
    each = {TUNED: tuned, EFFECTS: tuned - 0.5, TWO_STAGE: 2.0}
    monkeypatch.setattr(gated, "worth", lambda *_: {name: np.full(60, mean) for name, mean in each.items()})
    order = iter([TWO_STAGE, EFFECTS, TUNED] * 5)
    monkeypatch.setattr(gated, "gain_over_control", lambda *_: np.full(60, each[next(order)] - 1))
    shorten(monkeypatch)
    found = policy(gate=True, budgets=[90.0]).fit(noisy(300)).result_
    assert (found.kept, found.users, found.budgets) == (kept, 300, (90.0,))
    for difference, mean in ((found.gain, gain), (found.tuning, 0.5), (found.over_control, over)):
        assert (difference.mean, difference.se, difference.users) == (mean, 0.0, 300)
