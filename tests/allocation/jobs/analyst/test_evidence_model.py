"""Calibration, ranking and placebo on worlds whose effects are known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from allocation.evaluation.outcomes import Outcomes
from allocation.jobs.analyst.evidence_model import POINTS, calibrations, dealt, placebo, ranking
from uplift.campaign import Campaign

ARMS = ("none", "mail", "call")


def scores(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Predicted effects (n, 2) and noisy unbiased scores of effects that are half as large as predicted."""
    rng = np.random.default_rng(seed)
    effect = rng.standard_normal((n, 2))
    return effect, 0.5 * effect + 2 * rng.standard_normal((n, 2))


def test_a_slope_is_that_of_least_squares():
    effect, score = scores(3000, 1)
    found = calibrations(effect, score, ARMS)
    assert [one.arm for one in found] == ["mail", "call"]
    for j, one in enumerate(found):
        assert one.slope == pytest.approx(np.polyfit(effect[:, j], score[:, j], 1)[0])
        assert one.interval[0] < 0.5 < one.interval[1]
        assert one.against_one < 1e-6
        assert len(one.predicted) == 10
        order = np.argsort(effect[:, j], kind="stable")
        bins = np.array_split(order, 10)
        assert one.verified == pytest.approx([score[rows, j].mean() for rows in bins])


def test_a_model_that_predicts_one_effect_for_all_has_no_slope():
    _, score = scores(300, 1)
    found = calibrations(np.ones((300, 2)), score, ARMS)
    assert all(math.isnan(one.slope) and "constant has no slope" in one.note for one in found)


def test_the_gain_is_the_mean_score_of_those_ranked_first():
    effect, score = scores(500, 2)
    found = ranking(effect, score)
    best = effect.argmax(axis=1)
    own = score[np.arange(500), best]
    order = np.argsort(-effect.max(axis=1))
    assert len(found.share) <= POINTS + 1
    for share, gain in zip(found.share, found.gain, strict=True):
        assert gain == pytest.approx(own[order[: round(share * 500)]].sum() / 500)
    curve = np.cumsum(own[order]) / 500
    area = np.trapezoid(np.concatenate([[0], curve]), dx=1 / 500) - curve[-1] / 2
    assert found.area == pytest.approx(area)
    assert found.chance < 1e-3


def test_the_band_is_as_wide_as_the_curve_varies_over_new_users():
    """2,000 logs of 200 users: the standard deviation of the gain above a fixed prediction."""
    found = [ranking(*scores(2000, seed)) for seed in range(400)]
    at = POINTS // 2
    spread = np.std([one.gain[at] for one in found])
    assert np.mean([one.error[at] for one in found]) == pytest.approx(spread, rel=0.12)
    end = np.std([one.gain[-1] for one in found])
    assert np.mean([one.error[-1] for one in found]) == pytest.approx(end, rel=0.12)


def log(n: int, seed: int) -> tuple[Campaign, np.ndarray, Outcomes]:
    """A log with large effects, which follow the first feature, and outcome models that know them."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, 2)).astype(np.float32)
    effect = np.column_stack([1 + X[:, 0], 2 * X[:, 0]]).astype(float)
    treatment = rng.choice(3, n, p=[0.4, 0.4, 0.2])
    means = np.column_stack([np.zeros(n), effect])
    value = means[np.arange(n), treatment] + rng.standard_normal(n)
    campaign = Campaign(
        X=X,
        treatment=treatment,
        value=value,
        cost=np.zeros(n),
        propensity=np.broadcast_to([0.4, 0.4, 0.2], (n, 3)),
        arms=ARMS,
        user_id=np.arange(n),
        features=("x0", "x1"),
    )
    return campaign, effect, Outcomes(means, None)


def test_a_placebo_finds_nothing_where_the_model_finds_much():
    campaign, effect, outcomes = log(2000, 0)
    found = placebo(effect, dealt(campaign, 0), outcomes)
    truth = np.sort(effect.max(axis=1))[::-1].cumsum() / 2000
    gains, errors = np.array(found.gain[1:]), np.array(found.error[1:])
    assert found.chance > 0.01
    assert (np.abs(gains) <= 3.5 * errors).all()
    assert truth[-1] > 10 * errors[-1]


def test_sound_placebos_fail_as_rarely_as_said():
    """At most one in twenty below .05: the smaller of two chances, twice."""
    campaign, effect, outcomes = log(1000, 1)
    chances = np.array([placebo(effect, dealt(campaign, seed), outcomes).chance for seed in range(300)])
    assert np.mean(chances < 0.05) <= 0.085
    assert np.mean(chances < 0.5) >= 0.2


def test_arms_are_dealt_out_among_the_same_users():
    campaign, *_ = log(500, 1)
    found = dealt(campaign, 3)
    assert np.bincount(found.treatment).tolist() == np.bincount(campaign.treatment).tolist()
    assert (found.treatment != campaign.treatment).any()
    assert found.propensity is not None
    assert found.propensity[0] == pytest.approx(np.bincount(campaign.treatment) / 500)
    assert np.array_equal(found.treatment, dealt(campaign, 3).treatment)
    assert not np.array_equal(found.treatment, dealt(campaign, 4).treatment)


def test_rows_that_were_dealt_out_together_fail_a_placebo():
    """Ten rows that share an arm and a value make errors sqrt(10) too small, so that noise looks like an effect."""
    campaign, effect, outcomes = log(300, 2)
    rows = np.repeat(np.arange(300), 10)
    together = Outcomes(outcomes.value[rows], None)
    chances = [placebo(effect[rows], dealt(campaign, seed).take(rows), together).chance for seed in range(60)]
    assert np.mean(np.array(chances) < 0.01) > 0.3
