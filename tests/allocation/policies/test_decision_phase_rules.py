"""The decision phase under rules and groups: which gradient of several is written."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from allocation.policies import decision_phase as module
from allocation.policies.decision_phase import Goal, decision_phase
from allocation.policies.effect_regression import effect_loss
from allocation.policies.scored import Scores
from tests.allocation.policies.end_to_end_logs import begun, drawn_costs, random_scores
from uplift.causal.aggregation import rule
from uplift.learners.training import Schedule

LOG = drawn_costs(60)
SCORES = random_scores(LOG)
PLAIN = Goal(SCORES, (0.9,), "softmax", 1.0, (0.5, 0.5))


def with_rule(name):
    return replace(PLAIN, rule=rule(name))


def by_group(name, group, scores=SCORES):
    return replace(PLAIN, scores=scores, group=np.asarray(group), group_rule=rule(name))


@pytest.fixture
def written(monkeypatch):
    """The gradients that one step on all users writes, by tensor, as vectors in double precision."""

    def _written(goal):
        def _once(net, gradient, *others):
            return (float(gradient(torch.arange(len(LOG)))),)

        monkeypatch.setattr(module, "descend", _once)
        fit = begun(LOG)
        with torch.no_grad():
            for parameter in fit.net.parameters():
                parameter += 0.5 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1))
        # The regression is always of the same scores, whatever the goal's.
        decision_phase(fit, goal, effect_loss(fit, SCORES), Schedule(1, 60, 1e-3, 0.0))
        return {k: p.grad.flatten().double().numpy() for k, p in fit.net.named_parameters() if p.grad is not None}

    return _written


def near(got, expected):
    assert got.keys() == expected.keys()
    for name in got:
        np.testing.assert_allclose(got[name], expected[name], rtol=1e-3, atol=1e-5)


@pytest.fixture
def parts(written):
    """The gradients of the regression and of the goal (to be minimised), apart."""
    factual, both = written(replace(PLAIN, gamma=0.0)), written(PLAIN)
    return factual, {name: both[name] - factual[name] for name in both}


def test_without_a_rule_the_goal_enters_by_its_weight(written, parts):
    factual, goal = parts
    near(written(replace(PLAIN, gamma=2.5)), {name: factual[name] + 2.5 * goal[name] for name in goal})
    near(written(with_rule("sum")), {name: factual[name] + goal[name] for name in goal})


@pytest.mark.parametrize("gamma", [0.4, 1.0])
def test_pcgrad_takes_from_each_what_opposes_the_other_tensor_by_tensor(written, parts, gamma):
    factual, goal = parts
    expected, conflicts = {}, 0
    for name in goal:
        f, g = factual[name], gamma * goal[name]
        inner = min(f @ g, 0.0)
        conflicts += inner < 0
        expected[name] = f + g - (inner * (f / (f @ f) + g / (g @ g)) if inner < 0 else 0)
    assert conflicts
    near(written(replace(with_rule("pcgrad"), gamma=gamma)), expected)


@pytest.mark.parametrize("gamma", [0.3, 1.0])
def test_norm_matched_brings_the_goal_to_the_size_of_the_regression_whatever_its_weight(written, parts, gamma):
    factual, goal = parts
    expected = {}
    for name in goal:
        f, g = factual[name], gamma * goal[name]
        if np.linalg.norm(f) < 1e-6:  # the level: no difference of arms depends on it, but for rounding
            expected[name] = g
            continue
        turned = g - min(g @ f, 0.0) / (f @ f) * f
        expected[name] = f + np.linalg.norm(f) / np.linalg.norm(turned) * turned
    near(written(replace(with_rule("norm_matched"), gamma=gamma)), expected)


def test_each_group_has_the_gradient_of_its_own_mean(written, parts):
    """50 users and 10: by "sum" each stratum counts as if it were alone, 60/50 and 60/10 of its part of the mean.

    A group alone is the goal in which everybody else's scores are 0, so that no decision of theirs is worth anything.
    """
    factual, _ = parts
    group = np.arange(60) % 6 == 0
    expected = dict(factual)
    for code, factor in ((False, 60 / 50), (True, 60 / 10)):
        mine = (group == code)[:, None]
        alone = written(replace(PLAIN, scores=Scores(SCORES.value * mine, SCORES.cost * mine)))
        expected = {name: expected[name] + factor * (alone[name] - factual[name]) for name in expected}
    near(written(by_group("sum", group.astype(np.int64))), expected)


def test_one_group_is_no_group(written):
    near(written(by_group("gradient_aggregation", np.zeros(60, dtype=np.int64))), written(PLAIN))


def test_a_rule_that_opposes_no_group_keeps_a_small_one_from_being_drowned(written):
    """Nine in ten gain by arm 2, the tenth loses as much by it: the plain goal harms the small group's, "upgrad"
    harms neither in any tensor."""
    small = np.arange(60) % 10 == 0
    value = np.where(small[:, None], [1.0, 0.0, -1.0], [-1.0, 0.0, 1.0]).astype(np.float32) * 3
    scores = Scores(value, np.zeros_like(value))
    nothing = written(replace(PLAIN, gamma=0.0))

    def _goal(got):
        return {name: got[name] - nothing[name] for name in got}

    each = []
    for mine in (~small, small):
        alone = Scores(scores.value * mine[:, None], scores.cost)
        each.append(_goal(written(replace(PLAIN, scores=alone))))
    plain = _goal(written(replace(PLAIN, scores=scores)))
    fair = _goal(written(by_group("upgrad", small.astype(np.int64), scores)))
    harmed = [name for name in plain if plain[name] @ each[1][name] < -1e-8]
    assert "value.bias" in harmed
    for name in fair:
        for one in each:
            size = np.linalg.norm(fair[name]) * np.linalg.norm(one[name])
            assert fair[name] @ one[name] >= -1e-3 * size - 1e-10


def test_groups_and_a_rule_go_together(written, parts):
    """The goal by groups first, then regression and goal by the rule."""
    factual, goal = parts
    one = np.zeros(60, dtype=np.int64)
    expected = written(with_rule("pcgrad"))
    near(written(replace(by_group("sum", one), rule=rule("pcgrad"))), expected)
    assert any(not np.allclose(expected[name], factual[name] + goal[name]) for name in goal)
