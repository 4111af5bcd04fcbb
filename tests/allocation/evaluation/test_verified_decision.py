"""Totals of one decision and of the difference of two: against sums written out, and against a known truth."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest

from allocation.evaluation.estimators import FEW
from allocation.evaluation.verified_decision import supported, verified_total
from uplift.errors import InputError

N, ARMS = 200, 3


def scores(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(N, ARMS)), rng.integers(0, ARMS, N), rng.integers(0, ARMS, N)


def test_the_total_is_the_sum_written_out():
    score, decision, _ = scores()
    each = [float(score[i][decision[i]] - score[i][0]) for i in range(N)]
    half = statistics.NormalDist().inv_cdf(0.975) * math.sqrt(N * statistics.variance(each))
    found = verified_total(score, decision)
    assert found == pytest.approx((math.fsum(each), math.fsum(each) - half, math.fsum(each) + half))


def test_a_difference_is_paired_user_by_user():
    score, one, other = scores()
    each = [float(score[i][one[i]] - score[i][other[i]]) for i in range(N)]
    half = statistics.NormalDist().inv_cdf(0.95) * math.sqrt(N * statistics.variance(each))
    found = verified_total(score, one, other, level=0.9)
    assert found == pytest.approx((math.fsum(each), math.fsum(each) - half, math.fsum(each) + half))
    assert verified_total(score, one, one) == (0, 0, 0)


def test_intervals_hold_the_truth_as_often_as_they_say():
    """Arms of known means, drawn evenly; scores by inverse propensity, so that a total is unbiased."""
    rng, means, held = np.random.default_rng(1), np.array([1.0, 1.5, 0.5]), 0
    decision = rng.integers(0, ARMS, 400)
    truth = float((means[decision] - means[0]).sum())
    for _ in range(400):
        arm = rng.integers(0, ARMS, 400)
        outcome = means[arm] + rng.normal(size=400)
        score = np.where(arm[:, None] == np.arange(ARMS), ARMS * outcome[:, None], 0.0)
        low, high = verified_total(score, decision)[1:]
        held += low <= truth <= high
    assert 0.92 <= held / 400 <= 0.98


def effective(treatment: np.ndarray, propensity: np.ndarray, decision: np.ndarray) -> float:
    """Both sizes, a user at a time."""
    users = range(len(decision))
    weights = [1 / propensity[i][decision[i]] for i in users if treatment[i] == decision[i]]
    seen = sum(weights) ** 2 / sum(w * w for w in weights) if weights else 0.0
    return min(seen, len(decision) ** 2 / sum(1 / propensity[i][decision[i]] for i in users))


@pytest.mark.parametrize("share", [0.02, 0.05, 0.1, 0.2, 0.3, 0.9])
def test_support_is_counted_as_elsewhere(share: float):
    rng = np.random.default_rng(3)
    propensity = np.tile([1 - share, share], (N, 1))
    treatment = (rng.random(N) < share).astype(np.int64)
    for decision in (np.ones(N, np.int64), np.zeros(N, np.int64), rng.integers(0, 2, N)):
        assert supported(treatment, propensity, decision) == (effective(treatment, propensity, decision) >= FEW)


def test_nobody_who_matches_is_no_support():
    assert not supported(np.zeros(N, np.int64), np.full((N, 2), 0.5), np.ones(N, np.int64))


@pytest.mark.parametrize("which", ["decision", "other"])
def test_a_decision_of_other_users_is_refused(which: str):
    arms = {"decision": np.zeros(N, np.int64), "other": np.zeros(N, np.int64)} | {which: np.zeros(3, np.int64)}
    with pytest.raises(InputError, match=r"shape \(3,\); \(200,\) is expected"):
        verified_total(scores()[0], **arms)
