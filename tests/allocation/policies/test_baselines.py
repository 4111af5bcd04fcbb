"""Rules of thumb: each does what its name says, within the budget, and the same for the same seed."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression

from allocation import (
    BestMix,
    BestSingleArm,
    Nobody,
    OutcomeTargeting,
    Problem,
    ProblemError,
    RandomArm,
)
from allocation.policies.base import ArmMeans, treat_in_order
from tests.invariants import budget_excess
from tests.oracles import brute_force, exact_total, sn_total
from tests.strategies import problems
from uplift.campaign import Campaign
from uplift.errors import InputError
from uplift.learners import TLearner
from uplift.response import Response


def log_of(value, cost, n=60, propensity=None):
    """A log in which each arm has these means exactly: user i got arm i mod (K+1), and x falls with i."""
    K1 = len(value)
    treatment = np.arange(n) % K1
    return Campaign(
        X=np.linspace(1, 0, n, dtype=np.float32)[:, None],
        treatment=treatment,
        value=np.asarray(value, dtype=float)[treatment],
        cost=np.asarray(cost, dtype=float)[treatment],
        propensity=np.full((n, K1), 1 / K1) if propensity is None else propensity,
        arms=("none", "small", "big", "odd")[:K1],
        user_id=np.arange(n),
        features=("x",),
    )


# Effects 2, 5, -1 at costs 1, 4, 0: the small arm has the higher return, the big one the higher effect.
LOG = log_of([10, 12, 15, 9], [0, 1, 4, 0])
X = np.zeros((10, 1), dtype=np.float32)


def test_arm_means_weigh_users_by_propensity():
    """Self-normalised, as the estimates are: n times the mean is the total of giving the arm to everybody."""
    rng = np.random.default_rng(0)
    treatment = rng.integers(0, 3, 40)
    p = rng.dirichlet([3, 3, 3], 40)
    value, cost = rng.normal(size=40), rng.gamma(2, 1, 40)
    log = Campaign(X[:1].repeat(40, 0), treatment, value, cost, p, ("a", "b", "c"), np.arange(40), ("x",))
    means = ArmMeans.of(log)
    for j in range(3):
        for got, amount in zip((means.value, means.cost), (value, cost), strict=True):
            assert 40 * got[j] == pytest.approx(sn_total([j] * 40, treatment, p, amount))


def test_arm_means_without_propensity_and_cost_are_plain():
    """Arm 0: (1 + 3) / 2; arm 1: 8; nothing is spent."""
    log = Campaign(X[:3], np.array([0, 1, 0]), np.array([1.0, 8, 3]), None, None, ("a", "b"), np.arange(3), ("x",))
    means = ArmMeans.of(log)
    assert (means.value.tolist(), means.cost.tolist()) == ([2, 8], [0, 0])


@pytest.mark.parametrize("budget", [0.0, 7.0, None])
def test_nobody_is_treated(budget):
    """Ten users at the control mean of 10, whatever the budget."""
    decided = Nobody().fit(LOG).decide(X, budget)
    assert (decided.decision.tolist(), decided.value, decided.cost) == ([0] * 10, 100, 0)


@pytest.mark.parametrize(
    ("budget", "arm", "users"),
    [
        (0.0, 0, 0),  # no arm that helps is free
        (10.0, 1, 10),  # small: 10 x 2 = 20; big: 2.5 x 5 = 12.5
        (20.0, 2, 5),  # small: 20; big: 5 x 5 = 25
        (43.0, 2, 10),  # everybody
        (None, 2, 10),
    ],
)
def test_best_single_arm(budget, arm, users):
    decided = BestSingleArm().fit(LOG).decide(X, budget)
    assert (decided.decision == arm).sum() == (users if arm else 10)
    assert (decided.decision == 0).sum() == 10 - users


def test_an_arm_that_does_harm_is_given_to_nobody():
    decided = BestSingleArm().fit(log_of([10, 9], [0, 1])).decide(X, None)
    assert decided.decision.tolist() == [0] * 10


def test_best_mix_spends_what_one_arm_leaves_over():
    """Ten small ones cost 10; turning one into a big one costs 3 more: not within 11, within 13."""
    mix = BestMix().fit(LOG)
    assert np.bincount(mix.decide(X, 11.0).decision, minlength=3).tolist() == [0, 10, 0]
    assert np.bincount(mix.decide(X, 13.0).decision, minlength=3).tolist() == [0, 9, 1]


@pytest.mark.parametrize("budget", [0.0, 3.0, 9.5, 17.0, 40.0])
def test_best_mix_is_within_one_step_of_the_optimum_without_features(budget):
    policy = BestMix().fit(LOG)
    decided = policy.decide(X[:6], budget)
    optimum = brute_force([policy.means_.value] * 6, [policy.means_.cost] * 6, budget)
    assert 0 <= optimum - exact_total([policy.means_.value] * 6, decided.decision) <= 6
    assert exact_total([policy.means_.cost] * 6, decided.decision) <= budget


def test_random_arms_until_the_money_is_gone():
    """With budget, everybody draws among three treatments alike: 900 users give 300 +- 4.5 standard deviations."""
    users = np.zeros((900, 1), dtype=np.float32)
    counts = np.bincount(RandomArm(seed=1).fit(LOG).decide(users, None).decision, minlength=4)
    assert counts[0] == 0
    assert (np.abs(counts[1:] - 300) < 4.5 * np.sqrt(900 * 2 / 9)).all()


@pytest.mark.parametrize("baseline", [RandomArm, BestSingleArm, BestMix])
def test_users_are_drawn_by_the_seed_and_not_by_their_place(baseline):
    users = np.zeros((200, 1), dtype=np.float32)
    first, again, other = (baseline(seed=s).fit(LOG).decide(users, 90.0).decision for s in (0, 0, 1))
    assert first.tolist() == again.tolist()
    assert first.tolist() != other.tolist()
    treated = np.flatnonzero(first)
    assert 0 < treated.min() + 200 - treated.max() < 60  # from both ends of the list


@pytest.mark.parametrize("baseline", [RandomArm, BestSingleArm, BestMix])
@pytest.mark.parametrize("budget", [0.0, 0.3, 1.0, 7.7, 1e4])
def test_baselines_keep_the_budget_exactly(baseline, budget):
    policy = baseline(seed=2).fit(log_of([1, 3, 2], [0.0, 0.1, 0.7]))
    decided = policy.decide(np.zeros((50, 1), dtype=np.float32), budget)
    assert sum(Fraction(float(policy.means_.cost[arm])) for arm in decided.decision) <= Fraction(budget)


def test_outcome_targeting_goes_by_the_value_under_control():
    """Value under control rises with x, the effect falls with x: it treats the largest x all the same."""
    n = 90
    x, treatment = np.linspace(0, 1, n), np.arange(n) % 2
    log = Campaign(
        X=x.astype(np.float32)[:, None],
        treatment=treatment,
        value=10 * x + treatment * (3 - 2 * x),
        cost=2.0 * treatment,
        propensity=np.full((n, 2), 0.5),
        arms=("none", "mail"),
        user_id=np.arange(n),
        features=("x",),
    )
    policy = OutcomeTargeting(TLearner(LinearRegression())).fit(log)
    users = np.array([[0.9], [0.1], [0.5], [0.7]], dtype=np.float32)
    assert policy.decide(users, 4.0).decision.tolist() == [1, 0, 0, 1]
    assert policy.decide(policy.predict(users), 5.9).decision.tolist() == [1, 0, 0, 1]
    assert policy.decide(users, None).decision.tolist() == [1, 1, 1, 1]
    assert not hasattr(policy.learner, "arms_")


def test_treating_in_order_stops_at_the_first_user_who_does_not_fit():
    """Costs 2, 3, 1 in the order 2, 0, 1: 1 and 2 are spent, 3 is too much for 5, though nothing is skipped."""
    problem = Problem(np.zeros((3, 2)), [[0.0, 2], [0, 3], [0, 1]], 5.0)
    ones = np.ones(3, dtype=np.int64)
    assert treat_in_order(problem, np.array([2, 0, 1]), ones).decision.tolist() == [1, 0, 1]
    assert treat_in_order(problem, np.array([1, 0, 2]), ones).decision.tolist() == [1, 1, 0]
    assert treat_in_order(Problem(problem.value, problem.cost, 4.5), np.array([1, 0, 2]), ones).cost == 3


@given(problems(budgets="finite"), st.data())
def test_treating_in_order_keeps_the_budget(problem, data):
    n, arms = problem.value.shape
    arm = np.array(data.draw(st.lists(st.integers(0, arms - 1), min_size=n, max_size=n)), dtype=np.int64)
    budget = float(max(0, problem.cost[:, 0].sum())) + 1.0 + problem.budget
    problem = Problem(problem.value, problem.cost, budget)
    decided = treat_in_order(problem, np.array(data.draw(st.permutations(range(n)))), arm)
    assert budget_excess(problem, decided) <= 0
    assert ((decided.decision == 0) | (decided.decision == arm)).all()


def test_control_beyond_the_budget_is_refused():
    """Five users at a control cost of 2 need 10."""
    policy = RandomArm().fit(log_of([1, 2], [2, 3]))
    with pytest.raises(ProblemError, match=r"budget 9 cannot be met: control alone is predicted to cost 10; raise"):
        policy.decide(np.zeros((5, 1), dtype=np.float32), 9.0)


def test_control_beyond_the_budget_by_one_bit_is_refused():
    problem = Problem(np.zeros((10, 2)), np.full((10, 2), 0.1), 1.0)
    with pytest.raises(ProblemError, match="control alone"):
        treat_in_order(problem, np.arange(10), np.ones(10, dtype=np.int64))


def test_control_that_fits_exactly_is_accepted():
    """0.61 + 0.72 + 0.64 is 1.97 rounded up in floats, and no more than the float 1.97 exactly."""
    cost = np.array([[0.61, 1], [0.72, 1], [0.64, 1]])
    assert exact_total(cost, [0, 0, 0]) <= Fraction(1.97)
    problem = Problem(np.zeros((3, 2)), cost, 1.97)
    assert treat_in_order(problem, np.arange(3), np.ones(3, dtype=np.int64)).decision.tolist() == [0, 0, 0]


def test_an_arm_of_constant_cost_has_exactly_that_mean():
    """A weighted sum of 56 times .1 divided by its weights need not give .1; the constant does."""
    n = 56
    log = Campaign(
        X[:1].repeat(n, 0),
        np.arange(n) % 2,
        np.ones(n),
        np.where(np.arange(n) % 2, 0.1, 5.0),
        np.full((n, 2), [0.3, 0.7]),
        ("a", "b"),
        np.arange(n),
        ("x",),
    )
    assert ArmMeans.of(log).cost.tolist() == [5.0, 0.1]


def test_best_single_arm_counts_what_control_costs():
    """Control costs 1 each, so of 15 for 10 users 5 are left: 5 users of arm 1 (+2 each) beat 1 of arm 2 (+9)."""
    policy = BestSingleArm()
    policy.arms_, policy.means_ = ("a", "b", "c"), ArmMeans(np.array([0.0, 2.0, 9.0]), np.array([1.0, 2.0, 6.0]))
    assert policy.arm(10, 15.0) == 1


def test_outcome_targeting_ranks_by_the_value_under_control():
    """User 1 is worth most untreated, user 0 most when treated; with money for one, it is user 1 that gets it."""

    class Known:
        def predict(self, X):
            return Response(np.array([[1.0, 9.0], [5.0, 6.0]]), np.array([[0.0, 1.0], [0.0, 1.0]]), ("a", "b"))

    policy = OutcomeTargeting(TLearner())
    policy.arms_, policy.learner_ = ("a", "b"), Known()
    policy.single_ = BestSingleArm()
    policy.single_.arms_ = ("a", "b")
    policy.single_.means_ = ArmMeans(np.array([3.0, 7.5]), np.array([0.0, 1.0]))
    assert policy.decide(X[:2], 1.0).decision.tolist() == [0, 1]


RULES = [Nobody, RandomArm, BestSingleArm, BestMix]


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_that_is_not_fitted_says_so(rule):
    with pytest.raises(InputError, match=f"this {rule.__name__} is not fitted; call .fit.campaign. first"):
        rule().decide(X, 1.0)


def test_outcome_targeting_that_is_not_fitted_says_so():
    with pytest.raises(InputError, match="this OutcomeTargeting is not fitted"):
        OutcomeTargeting(TLearner()).decide(Response(np.ones((2, 2)), np.ones((2, 2)), ("a", "b")), 1.0)


@pytest.mark.parametrize("rule", RULES)
def test_a_log_without_a_user_of_an_arm_is_refused(rule):
    """A random sample may have lost the rare one."""
    with pytest.raises(InputError, match=r"arm 'odd' was never logged in 45 rows.*; drop the arm, take more users"):
        rule().fit(LOG.take(LOG.treatment < 3))


@pytest.mark.parametrize("rule", [*RULES, lambda: OutcomeTargeting(TLearner())])
def test_a_table_is_no_log(rule):
    with pytest.raises(InputError, match="the log has the type DataFrame; a Campaign is expected"):
        rule().fit(pd.DataFrame({"x": [1.0]}))
