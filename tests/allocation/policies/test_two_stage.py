"""Two-stage: the prediction is solved, nothing else; where the model is right, the decision is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression

from allocation import ProblemError, TwoStage
from tests.invariants import assert_feasible, assert_one_step, largest_step
from tests.oracles import brute_force, exact_total
from uplift.campaign import Campaign
from uplift.errors import InputError
from uplift.learners import SLearner, TLearner


def linear_world(n, seed):
    """A log without noise whose value and cost are linear in x under each of 3 arms, and the true tables."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 2)).astype(np.float32)
    design = np.column_stack([np.ones(n), X.astype(float)])
    value = design @ np.array([[5, 7, 8], [1, 3, -1], [0, 1, 2.0]])
    cost = np.maximum(design @ np.array([[0, 2, 4], [0, 0.5, 0], [0, 0, 0.5]]), 0.0)
    treatment = np.arange(n) % 3
    rows = np.arange(n)
    log = Campaign(
        X=X,
        treatment=treatment,
        value=value[rows, treatment],
        cost=cost[rows, treatment],
        propensity=np.full((n, 3), 1 / 3),
        arms=("none", "small", "big"),
        user_id=rows,
        features=("a", "b"),
    )
    return log, value, cost


@pytest.fixture(scope="module")
def fitted():
    return TwoStage(TLearner(LinearRegression())).fit(linear_world(300, seed=0)[0])


def test_a_model_that_is_right_decides_within_one_step_of_the_truth(fitted):
    """Seven new users of the same world: true value of the decision against brute force on the true tables."""
    log, value, _ = linear_world(7, seed=1)
    problem = fitted.problem(log.X, 9.0)
    np.testing.assert_allclose(problem.value, value, atol=1e-4)
    decided = fitted.decide(log.X, 9.0)
    optimum = brute_force(value, problem.cost, 9.0)
    worth = exact_total(value, decided.decision)
    assert float(optimum - worth) <= largest_step(problem) + 1e-3


@pytest.mark.parametrize("budget", [0.0, 20.0, 100.0, 1e6, None])
def test_the_budget_holds_on_predicted_cost(fitted, budget):
    X = linear_world(80, seed=2)[0].X
    problem, decided = fitted.problem(X, budget), fitted.decide(X, budget)
    assert_feasible(problem, decided)
    assert_one_step(problem, decided)


def test_predicting_once_or_at_every_budget_is_the_same(fitted):
    X = linear_world(50, seed=3)[0].X
    response = fitted.predict(X)
    for budget in (5.0, 50.0):
        once, again = fitted.decide(response, budget), fitted.decide(X, budget)
        np.testing.assert_array_equal(once.decision, again.decision)
        assert once.value == again.value


def test_decides_for_each_user_whatever_the_outcome_of_the_log(fitted):
    """No outcome of the users decided for is looked at: the campaign's features are all that is passed."""
    log = linear_world(30, seed=4)[0]
    assert len(fitted.decide(log.X, 10.0).decision) == 30
    assert fitted.arms_ == log.arms


def test_the_learner_that_was_passed_stays_unfitted():
    learner = SLearner(LinearRegression())
    policy = TwoStage(learner).fit(linear_world(60, seed=5)[0])
    assert policy.learner is learner
    assert not hasattr(learner, "arms_")
    assert not hasattr(learner.base, "coef_")
    assert policy.learner_.arms_ == ("none", "small", "big")


def test_propensities_reach_the_learner():
    """Arm 1 of x = 0 has value 0, of x = 1 value 10; x = 1 was logged with probability .1 but counts like x = 0."""
    x = np.repeat([0.0, 1.0], 1000)
    p1 = np.where(x == 0, 0.5, 0.1)
    treatment = np.concatenate([np.arange(1000) % 2, (np.arange(1000) % 10 == 0).astype(int)])
    log = Campaign(
        X=np.zeros((2000, 1), dtype=np.float32),
        treatment=treatment,
        value=10.0 * x * treatment,
        cost=treatment.astype(float),
        propensity=np.column_stack([1 - p1, p1]),
        arms=("none", "some"),
        user_id=np.arange(2000),
        features=("nothing",),
    )
    policy = TwoStage(TLearner(LinearRegression())).fit(log)
    assert policy.predict(np.zeros((1, 1), dtype=np.float32)).value[0, 1] == pytest.approx(5.0, abs=1e-6)


def test_a_budget_that_cannot_be_met_is_refused(fitted):
    response = fitted.predict(linear_world(5, seed=6)[0].X)
    dear = type(response)(response.value, response.cost + 1.0, response.arms)
    with pytest.raises(ProblemError, match="the cheapest arm of every user costs"):
        fitted.decide(dear, 1.0)


def test_a_negative_budget_is_refused(fitted):
    with pytest.raises(ProblemError, match=r"budget is -5; 0 or more is expected"):
        fitted.decide(np.zeros((3, 2), dtype=np.float32), -5)


def test_features_of_other_names_or_in_another_order_are_refused(fitted):
    log = linear_world(20, seed=3)[0]
    turned = replace(log, X=log.X[:, ::-1].copy(), features=log.features[::-1])
    for users in (turned, pd.DataFrame(turned.X, columns=list(turned.features))):
        with pytest.raises(InputError, match=r"the users' features are b, a; .*in their order: a, b"):
            fitted.predict(users)
    # A frame holds its cells in another order in memory, in which sums round differently.
    named = fitted.predict(pd.DataFrame(log.X, columns=["a", "b"]))
    np.testing.assert_allclose(named.value, fitted.predict(log.X).value, rtol=1e-5)


@pytest.mark.parametrize("learner", [None, "s", SLearner])
def test_what_is_no_learner_is_refused(learner):
    log = Campaign(np.zeros((2, 1)), np.array([0, 1]), np.ones(2), None, None, ("a", "b"), np.arange(2), ("x",))
    with pytest.raises(InputError, match=r"learner is .*; a response learner is expected, such as SLearner\(\)"):
        TwoStage(learner).fit(log)
