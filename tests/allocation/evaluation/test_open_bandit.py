"""Open Bandit: each policy from the other's log equals textbook loops, and the other log's click rate is inside."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from allocation.evaluation.estimators import ESTIMATORS, default_largest
from tests.benchmarks.open_bandit import CAMPAIGNS, click_rates, inside, shares, transfers, yardstick
from tests.oracles import dr_terms, mean_and_se, ratio_and_se, weighted_terms
from uplift.datasets import BanditLog

SOURCES = ("uniform", "Thompson sampling", "Thompson sampling, averaged")


@pytest.fixture(scope="module", params=CAMPAIGNS)
def campaign(request, data_folder):
    return transfers(request.param)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_equals_the_textbook_formula(campaign, source, estimator):
    """Mean and standard error of a policy that draws its item, to 1e-10."""
    transfer = next(one for one in campaign[1] if one.source == source)
    log, policy = transfer.log, transfer.policy
    arm, reward, logged = log.action.tolist(), log.reward.tolist(), transfer.logged.tolist()
    target = [pi[a] for pi, a in zip(policy.tolist(), arm, strict=True)]
    largest = default_largest(len(log))
    if estimator == "sn":
        ones = [1.0] * len(log)
        expected = ratio_and_se(weighted_terms(reward, target, logged), weighted_terms(ones, target, logged))
    elif estimator in ("ipw", "clipped"):
        terms = weighted_terms(reward, target, logged, *([largest] if estimator == "clipped" else []))
        expected = mean_and_se(terms)
    else:
        cut = [largest] if estimator == "switch" else []
        expected = mean_and_se(dr_terms(reward, arm, policy.tolist(), logged, transfer.model.tolist(), *cut))
    found = transfer.estimate(estimator)
    assert found.mean == pytest.approx(expected[0], rel=1e-10, abs=1e-10)
    assert found.se() == pytest.approx(expected[1], rel=1e-10, abs=1e-10)


@pytest.mark.parametrize("source", ["uniform", "Thompson sampling, averaged"])
def test_the_click_rate_of_the_own_log_is_inside_the_interval(campaign, source):
    """By each estimator; the logged probabilities of Thompson sampling are left out, down to 2 rows' worth."""
    logs, both = campaign
    transfer = next(one for one in both if one.source == source)
    own = yardstick(logs[transfer.evaluated])
    assert [inside(transfer.estimate(estimator), own)[0] for estimator in ESTIMATORS] == [True] * len(ESTIMATORS)


def test_a_policy_from_its_own_log_is_the_mean_reward(campaign):
    """The averaged policy on the log that it is the average of has weight 1 throughout."""
    _, both = campaign
    averaged = both[2]
    own = replace(averaged, policy=shares(averaged.log)[averaged.log.position - 1])
    for estimator in ("ipw", "sn", "clipped"):
        assert own.estimate(estimator).mean == pytest.approx(averaged.log.reward.mean(), rel=1e-12)


def test_click_rates_never_see_their_own_fold():
    """A click turned around changes the rates at its position, but for its own fifth of the rows."""
    rng = np.random.default_rng(0)
    n = 50
    action, position, reward = rng.integers(0, 3, n), rng.integers(1, 4, n), rng.integers(0, 2, n).astype(float)
    log = BanditLog(action, position, reward, np.full(n, 1 / 3), 3, np.zeros((n, 3)), None, np.zeros(n))
    turned = replace(log, reward=np.where(np.arange(n) == 7, 1 - reward, reward))
    moved = (click_rates(log) != click_rates(turned)).any(axis=1)
    at_its_position = position == position[7]
    assert not moved[7]
    assert not moved[~at_its_position].any()
    assert 0 < (at_its_position & ~moved).sum() <= n // 5
    assert moved[at_its_position].any()
