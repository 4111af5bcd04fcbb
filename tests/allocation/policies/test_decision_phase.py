"""The decision phase: the gradient that it writes, against finite differences through the net, and its prices."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from allocation.policies import decision_phase as module
from allocation.policies.decision_phase import Goal, Priced, decision_phase, goal_gradient, prices, tables
from allocation.policies.effect_regression import effect_loss
from allocation.policies.gradients import ESTIMATORS
from tests.allocation.policies.end_to_end_logs import begun, drawn_costs, noisy, random_scores
from uplift.learners.training import Schedule

BUDGETS, TEMPERATURE, GAMMA = (0.5, 1.2), 0.4, 0.7


def goal_of(scores, **changed):
    """A goal at two budgets, smoothed alike from the first step to the last."""
    return replace(Goal(scores, BUDGETS, "softmax", GAMMA, (TEMPERATURE, TEMPERATURE)), **changed)


@pytest.fixture
def written(monkeypatch):
    """The `.grad` by name that one step on all users writes, as vectors; nothing is learnt."""

    def _written(fit, goal):
        def _once(net, gradient, *others):
            return (float(gradient(torch.arange(len(fit.log.X)))),)

        monkeypatch.setattr(module, "descend", _once)
        loss = decision_phase(fit, goal, effect_loss(fit, goal.scores), Schedule(1, 500, 1e-3, 0.0))
        grads = {name: p.grad for name, p in fit.net.named_parameters()}
        return loss[0], {name: None if g is None else g.flatten().double().numpy() for name, g in grads.items()}

    return _written


def objective(fit, net, scores, at):
    """factual - gamma / L sum_l G_l / s_l in numpy, double precision, G the mean worth of softmax shares."""
    with torch.no_grad():
        value, cost = (table.numpy() for table in net(torch.from_numpy(fit.log.X).double()))
    known = ~fit.unknown
    cost[:, known] = fit.ranges[1][0][known]
    g, c = scores.value.astype(np.float64), scores.cost.astype(np.float64)
    effect = g[:, 1:] - g[:, :1]
    rate = np.sqrt((effect**2).mean() / ((c[:, 1:] - c[:, :1]) ** 2).mean())
    total = (((value[:, 1:] - value[:, :1]) - effect) ** 2).sum() + rate**2 * ((cost - c)[:, ~known] ** 2).sum()
    total /= effect.size * effect.std(ddof=1) ** 2
    for one in at:
        score, worth = value - one.price * cost, g - one.price * c
        share = np.exp((score - score.max(axis=1, keepdims=True)) / (TEMPERATURE * one.spread))
        share /= share.sum(axis=1, keepdims=True)
        total -= GAMMA / len(at) * (share * worth).sum(axis=1).mean() / one.spread
    return total


@pytest.mark.parametrize("log", [noisy(40), drawn_costs(40)], ids=["known costs", "two unknown costs"])
def test_the_gradient_written_is_that_of_the_smoothed_loss(written, log):
    """By central differences in double precision through the whole net, every parameter."""
    fit, scores = begun(log), random_scores(log)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in fit.net.parameters():
            parameter += 0.5 * torch.randn(parameter.shape, generator=generator)
        fit.net.value.bias += torch.tensor([2.0, 5.0])  # so that both budgets bind
    at = prices(fit, torch.from_numpy(log.X), BUDGETS)
    assert all(one.price > 0 for one in at)
    _, grads = written(fit, goal_of(scores))
    net = copy.deepcopy(fit.net).double()
    for name, parameter in net.named_parameters():
        flat, expected = parameter.detach().view(-1), np.zeros(parameter.numel())
        for k in range(len(flat)):
            own = float(flat[k])
            ends = []
            for step in (1e-5, -1e-5):
                flat[k] = own + step
                ends.append(objective(fit, net, scores, at))
            flat[k] = own
            expected[k] = (ends[0] - ends[1]) / 2e-5
        got = np.zeros_like(expected) if grads[name] is None else grads[name]
        np.testing.assert_allclose(got, expected, rtol=2e-3, atol=2e-4 * max(1.0, np.abs(expected).max()))


def test_known_costs_take_no_gradient_and_stand_in_the_tables(written):
    log = noisy(50, shift=0.5)
    fit = begun(log)
    _, cost = tables(fit, fit.net.parameters_of(torch.from_numpy(log.X)))
    np.testing.assert_array_equal(cost.detach().numpy(), np.tile(np.float32([0.5, 1.5, 2.5]), (50, 1)))
    _, grads = written(fit, goal_of(random_scores(log)))
    assert all(not np.any(g) for name, g in grads.items() if name.startswith("cost") and g is not None)
    assert np.any(grads["value.bias"])


def test_a_price_meets_its_budget_and_the_spread_is_that_of_the_scores():
    """Known costs 0, 1, 2 and the net's own values: argmax at the price spends at most the budget, a little less
    would spend more. The spread of earlier prices is kept."""
    fit, X = begun(noisy(200)), torch.from_numpy(noisy(200).X)
    with torch.no_grad():
        fit.net.value.contrast.weight.normal_(generator=torch.Generator().manual_seed(0))
        fit.net.value.bias += 1.0
    value, cost = (table.detach().numpy().astype(np.float64) for table in tables(fit, fit.net.parameters_of(X)))
    (found,) = prices(fit, X, [0.8])

    def _spent(price):
        return cost[np.arange(200), (value - price * cost).argmax(axis=1)].mean()

    assert _spent(found.price * 1.001) <= 0.8 < _spent(found.price * 0.9)
    score = value - found.price * cost
    deviations = [score[i, j] - score[i].mean() for i in range(200) for j in range(3)]
    assert found.spread == pytest.approx(np.sqrt(np.mean(np.square(deviations))), rel=1e-4)
    later = prices(fit, X, [0.8], [Priced(9.0, 5.0)])
    assert (later[0].price, later[0].spread) == (found.price, 5.0)


def test_a_budget_below_what_the_cheapest_arms_cost_has_their_price():
    """Sums in single precision were once the last digit too small, and the engine refused them."""
    fit, log = begun(drawn_costs(480)), drawn_costs(480)
    assert np.isfinite([one.price for one in prices(fit, torch.from_numpy(log.X), [0.0, 0.1, 50.0])]).all()


@pytest.mark.parametrize("name", ESTIMATORS)
def test_every_estimator_smooths_as_much_as_softmax(name):
    """Two arms far from each other's reach at a small temperature: no gradient; at a gap of the smoothing's order,
    all push the worthier arm up, within a factor of 2 of each other."""
    score = torch.tensor([[0.0, 0.5]]).repeat(4_000, 1)
    worth = torch.tensor([[1.0, 0.0]]).repeat(4_000, 1)
    zero, rng = torch.zeros_like(score), np.random.default_rng(0)
    by_value, by_cost = goal_gradient((score, zero), (worth, zero), [Priced(0.5, 2.0)], name, 0.25, rng)
    reference, _ = goal_gradient((score, zero), (worth, zero), [Priced(0.5, 2.0)], "softmax", 0.25, rng)
    assert 0.5 < float(by_value[:, 0].sum() / reference[:, 0].sum()) < 2
    np.testing.assert_allclose(by_cost.numpy(), -0.5 * by_value.numpy(), rtol=1e-6)
    near, _ = goal_gradient((40 * score, zero), (worth, zero), [Priced(0.5, 2.0)], name, 0.25, rng)
    assert float(near.abs().max()) < 1e-9
