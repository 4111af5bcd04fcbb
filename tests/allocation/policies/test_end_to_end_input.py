"""Every argument and log that the end-to-end model refuses, with its message."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from allocation import ProblemError
from tests.allocation.policies.end_to_end_logs import few_of_arm, noisy, policy, shorten
from uplift.errors import InputError
from uplift.learners import SLearner

LOG = noisy(300)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    shorten(monkeypatch)


REFUSED = {
    "net": ({"net": SLearner()}, r"net is SLearner\(\); a NeuralResponse is expected"),
    "estimator": ({"estimator": "softmx"}, r"estimator is 'softmx'; one of .* Did you mean 'softmax'"),
    "scores": ({"scores": "aipw"}, r"scores is 'aipw'; one of dr, ipw is expected"),
    "warm start": ({"warm_start": None}, r"warm_start is None; one of effects, levels is expected"),
    "groups": ({"groups": "age"}, r"groups is 'age'; 'activeness' or None is expected"),
    "negative gamma": ({"gamma": -0.1}, r"gamma is -0.1; a number of at least 0 is expected"),
    "NaN gamma": ({"gamma": float("nan")}, r"gamma is nan; a number"),
    "infinite gamma": ({"gamma": float("inf")}, r"gamma is inf; a number"),
    "true gamma": ({"gamma": True}, r"gamma is True; a number"),
    "text gamma": ({"gamma": "1"}, r"gamma is '1'; a number"),
    "negative seed": ({"seed": -1}, r"seed is -1; a whole number of at least 0 is expected"),
    "seed of a half": ({"seed": 0.5}, r"seed is 0.5; a whole number"),
    "progress": ({"progress": "bar"}, r"progress is 'bar'; a function of a text is expected, or None"),
    "level": ({"level": 95}, r"level is 95"),
    "rule": ({"rule": "pcgra"}, r"there is no rule 'pcgra'. Did you mean 'pcgrad'"),
    "group rule": ({"group_rule": None}, r"the name of a rule is None; text is expected"),
    "outcome learner": ({"outcome_learner": "s"}, r"outcome_learner is 's'; a response learner is expected"),
    "regressor": ({"outcome_learner": LinearRegression()}, r"LinearRegression\(\) is no response learner"),
    "one budget": ({"budgets": 100.0}, r"budgets is 100.0; a list of money for all users of the log is expected"),
    "no budget": ({"budgets": []}, r"budgets is \[\]; a list of money"),
    "no limit": ({"budgets": [1.0, None]}, r"budgets holds None or an infinite amount; finite money"),
    "infinite budget": ({"budgets": [float("inf")]}, r"budgets holds None or an infinite amount; finite money"),
}


@pytest.mark.parametrize(("arguments", "message"), REFUSED.values(), ids=REFUSED)
def test_arguments_that_no_fit_can_use_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        policy(**arguments).fit(LOG)


@pytest.mark.parametrize("budget", [-1.0, float("nan"), "1"])
def test_budgets_that_are_no_money_are_refused(budget):
    with pytest.raises(ProblemError, match=r"budget is (-1|nan|'1'); "):
        policy(budgets=[100.0, budget]).fit(LOG)


def test_logs_that_cannot_say_what_a_decision_is_worth_are_refused():
    with pytest.raises(InputError, match=r"states no propensity.*propensity=\"arm shares\""):
        policy().fit(replace(LOG, propensity=None))
    with pytest.raises(InputError, match=r"the campaign has no cost, so no budget binds; give cost="):
        policy().fit(replace(LOG, cost=None))
    with pytest.raises(InputError, match=r"groups is 'activeness' and the campaign has none; give activeness="):
        policy(groups="activeness").fit(replace(LOG, activeness=None))
    with pytest.raises(InputError, match="strata need users who differ"):
        policy(groups="activeness").fit(replace(LOG, activeness=np.ones(300)))
    with pytest.raises(InputError, match=r"all users of treatment 1 \(1\) are in fold"):
        policy(gate=True).fit(few_of_arm(1))


def test_it_must_be_fitted_first():
    with pytest.raises(InputError, match=r"this EndToEnd is not fitted; call .fit\(campaign\) first"):
        policy().decide(LOG.X, 10.0)
