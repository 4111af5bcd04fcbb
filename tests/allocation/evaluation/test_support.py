"""Support: what a log of rare arms cannot tell is not told, whether or not a rare user happens to match."""

from __future__ import annotations

import numpy as np
import pytest

from allocation import evaluate
from allocation.evaluation.outcomes import Outcomes
from allocation.evaluation.scores import VALUE, bias_bounds
from allocation.evaluation.support import apart, lacking, not_apart, support
from tests.allocation.evaluation.logs import log_of


def test_by_hand():
    """p = (.8, .2) or (.5, .5); decided 0, 1, 1: matched weights 1.25, 5, 0 of received 0, 1, 0.

    Kish (6.25)^2 / (1.5625 + 25) = 1.4706; expected 9 / (1.25 + 5 + 2) = 1.0909, the smaller. Against 0, 0, 1 the
    second user differs: |5 - 0|: Kish 1; expected 2^2 / (5 + 1.25) = .64.
    """
    log = log_of([0, 1, 0], [1, 2, 3], [[0.8, 0.2], [0.8, 0.2], [0.5, 0.5]])
    matched, size = support(np.array([0, 1, 1]), log)
    assert (matched, size) == (2, pytest.approx(9 / 8.25))
    matched, size = apart(np.array([0, 1, 1]), np.array([0, 0, 1]), log)
    assert (matched, size) == (1, pytest.approx(0.64))
    assert apart(np.array([0, 1, 1]), np.array([0, 1, 1]), log) == (0, 0.0)


def test_equal_chances_count_the_matched_or_the_expected():
    """100 users at 1/4: 25 are expected; 40 who happen to match do not make more of it."""
    treatment = np.r_[np.ones(40, dtype=int), np.zeros(60, dtype=int)]
    log = log_of(treatment, np.zeros(100), np.full((100, 4), 0.25))
    assert support(np.ones(100, dtype=int), log) == (40, pytest.approx(25))
    assert support(np.full(100, 2), log) == (0, 0.0)


@pytest.mark.parametrize(("together", "expected"), [(True, 10), (False, 40 * 40 / (40 * (2 + 1)))])
def test_clusters_drawn_whole_or_user_by_user(together, expected):
    """20 pairs at 1/2. Drawn whole: E W^2 = 2 x 4 = 8, 40^2 / 160 = 10. One by one: 4 + 2 = 6, 40^2 / 120 = 13.3."""
    cluster = np.repeat(np.arange(20), 2)
    treatment = (cluster if together else np.arange(40)) % 2
    log = log_of(treatment, np.zeros(40), np.full((40, 2), 0.5))
    assert support(np.ones(40, dtype=int), log, cluster)[1] == pytest.approx(expected)


def rare(n, decided, seed):
    """Arms at .98, .01, .01; arm 2 is worth 1 more and decided for the first users."""
    rng = np.random.default_rng(seed)
    t = rng.choice(3, n, p=[0.98, 0.01, 0.01])
    t[-3:] = 0, 1, 2
    decision = np.zeros(n, dtype=int)
    decision[:decided] = 2
    return log_of(t, 10 + rng.normal(0, 3, n) + (t == 2), np.tile([0.98, 0.01, 0.01], (n, 1))), decision


def test_no_difference_rests_on_a_rare_arm_that_nobody_of_them_received():
    """100 users get an arm of chance 1%: about one of them matches, or none, and then 98 others look like plenty."""
    seen = set()
    for seed in range(40):
        log, decision = rare(3_000, 100, seed)
        policies = {"control": np.zeros(3_000, dtype=int), "rare": decision}
        row = evaluate(
            policies, log, budgets=[1.0], reference="control", estimators=["ipw"], intervals="influence"
        ).iloc[1]
        seen.add(int((log.treatment[:100] == 2).sum()))
        assert np.isnan(row[["difference", "gain", "p_value"]].astype(float)).all()
        assert "tell the two apart; 30 are needed" in row.difference_support
    assert {0, 1} <= seen


def test_where_there_is_support_the_interval_covers():
    """2,000 users get an arm of chance 10%, and the model is wrong by 1: 95% of the differences hold the truth."""
    covered = []
    for seed in range(150):
        rng = np.random.default_rng(seed)
        t = rng.choice(2, 4_000, p=[0.9, 0.1])
        log = log_of(t, 10 + rng.normal(0, 3, 4_000) + t, np.tile([0.9, 0.1], (4_000, 1)))
        policies = {"control": np.zeros(4_000, dtype=int), "rare": (np.arange(4_000) < 2_000).astype(int)}
        wrong = Outcomes(np.tile([11.0, 10.0], (4_000, 1)), None)
        frame = evaluate(
            policies,
            log,
            budgets=[1.0],
            reference="control",
            estimators=["ipw", "dr"],
            intervals="influence",
            outcome_model=wrong,
        )
        rows = frame[frame.policy == "rare"]
        covered.append(((rows.difference_low <= 2_000) & (rows.difference_high >= 2_000)).to_numpy())
    assert (np.mean(covered, axis=0) > 0.89).all()  # 95% less 3.4 standard errors


def test_the_words():
    assert lacking(0, 0.0, 50) == "none of 50 users received the arm decided for them"
    assert lacking(12, 12.2, 400) == "12 of 400 users match; 30 are needed"
    assert lacking(981, 4.1, 2_000) == "981 of 2,000 users match and count as 4; 30 are needed"
    assert lacking(31, 30.0, 400) == ""
    assert not_apart(0, 0.0) == "no matched user tells the two apart; 30 are needed"
    assert not_apart(1, 1.0) == "1 matched user tells the two apart; 30 are needed"
    assert not_apart(16, 15.2) == "16 matched users, who count as 15, tell the two apart; 30 are needed"
    assert not_apart(40, 40.0) == ""


def test_clusters_drawn_whole_and_decided_user_by_user():
    """100 whole clusters of 50 at 1/4, decisions at random: against the second moment of 2,000 drawn assignments."""
    rng = np.random.default_rng(0)
    cluster, decision = np.repeat(np.arange(100), 50), rng.integers(0, 4, 5_000)
    log = log_of(rng.integers(0, 4, 100)[cluster], np.zeros(5_000), np.full((5_000, 4), 0.25))
    counts = np.zeros((100, 4))
    np.add.at(counts, (cluster, decision), 4.0)  # the weight of a cluster by the arm that it draws
    drawn = counts[np.arange(100), rng.integers(0, 4, (2_000, 100))]
    expected = 5_000**2 / (drawn**2).sum(axis=1).mean()
    size = support(decision, log, cluster)[1]
    realised = counts[np.arange(100), log.treatment[::50]]
    assert size == pytest.approx(min(expected, realised.sum() ** 2 / (realised**2).sum()), rel=0.03)
    assert size > 80


def test_a_largest_weight_equal_to_every_weight_trims_nothing():
    """For all of .01, .02, ..., .99, whatever the rounding of 1 / p and p / 1."""
    for percent in range(1, 100):
        p = percent / 100
        log = log_of(np.arange(100) % 2, np.ones(100), np.tile([p, 1 - p], (100, 1)))
        zeros, model = np.zeros((1, 100), dtype=int), Outcomes(np.zeros((100, 2)), None)
        for estimator in ("switch", "clipped"):
            assert bias_bounds(estimator, VALUE, log, model, 1 / p, zeros)[0] == 0
