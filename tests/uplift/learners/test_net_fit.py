"""Nets that somebody else trains: `begin`, the factual loss, `descend` with a gradient of one's own, `finish`."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from uplift.errors import InputError
from uplift.learners import NeuralResponse, net_fit
from uplift.learners.net_fit import tables
from uplift.learners.training import Schedule, descend

RNG = np.random.default_rng(0)
N = 200
X = RNG.normal(size=(N, 3)).astype(np.float32)
arm = np.arange(N) % 3
VALUE = 10 + X[:, 0] + arm + RNG.normal(size=N)
COST = np.where(arm == 2, RNG.gamma(2.0, size=N), 0.5 * arm)  # arm 2 is to be learnt
CHANCES = np.tile([0.5, 0.3, 0.2], (N, 1))
LOG = {"treatment": arm, "cost": COST, "propensity": CHANCES}
ROWS = torch.arange(N)


def net(**arguments):
    return NeuralResponse(**{"hidden": (4,), "epochs": 2, "value_likelihood": "gaussian"} | arguments)


def begun(**arguments):
    return net(**arguments).begin(X, VALUE, **LOG)


def test_begin_fit_and_finish_are_fit_to_the_byte():
    once, learner = net().fit(X, VALUE, **LOG), net()
    fit = learner.begin(X, VALUE, **LOG)
    again = learner.finish(fit, fit.fit(Schedule(2, 4096, 1e-2, None)))
    assert again is learner
    assert again.losses_ == once.losses_
    np.testing.assert_array_equal(again.predict(X).value, once.predict(X).value)
    np.testing.assert_array_equal(again.predict(X).cost, once.predict(X).cost)
    assert not any(p.requires_grad for p in again.net_.parameters())


def test_an_untrained_net_begins_with_the_means_of_the_arms():
    value, cost = begun().net(torch.from_numpy(X))
    for j in range(3):
        np.testing.assert_allclose(value[:, j].detach(), VALUE[arm == j].mean(), rtol=1e-4)
    np.testing.assert_allclose(cost[:, 2].detach(), COST[arm == 2].mean(), rtol=1e-4)


def test_the_factual_loss_is_the_weighted_squared_error_of_the_arms_received():
    """Gaussian value in standard deviations of all values, gaussian cost of arm 2 alone; weights 1/p, mean 1."""
    fit = begun(cost_likelihood="gaussian")
    value, cost = (table.detach().numpy().astype(np.float64) for table in fit.net(torch.from_numpy(X)))
    weight = 1 / CHANCES[np.arange(N), arm]
    weight /= weight.mean()
    total = 0.0
    for i in range(N):
        error = ((VALUE[i] - value[i, arm[i]]) / VALUE.std()) ** 2 / 2 + math.log(2 * math.pi) / 2
        paid = ((COST[i] - cost[i, arm[i]]) / COST.std()) ** 2 / 2 + math.log(2 * math.pi) / 2
        total += weight[i] * (error + (arm[i] == 2) * paid)
    loss = fit.factual_loss()
    assert loss(ROWS).item() == pytest.approx(total / N, rel=1e-5)
    part = torch.tensor([7, 3, 3])
    predicted = fit.net.parameters_of(torch.from_numpy(X[[7, 3, 3]]))
    assert loss(part, predicted).item() == loss(part).item()
    np.testing.assert_allclose(fit.weight, weight)


def test_without_propensities_everybody_counts_the_same():
    fit = net().begin(X, VALUE, treatment=arm, cost=COST)
    np.testing.assert_array_equal(fit.weight, np.ones(N))
    np.testing.assert_array_equal(fit.unknown, [False, False, True])


def quadratic(fit, seen):
    """Half the squared norm of the parameters: its gradient is the parameters; notes the batches."""

    def _gradient(rows):
        seen.append(rows.numpy().copy())
        for parameter in fit.net.parameters():
            parameter.grad = parameter.detach().clone()
        return torch.tensor(float(len(seen)))

    return _gradient


def test_descent_follows_the_gradient_that_is_written_batch_by_batch():
    fit, seen, told = begun(), [], []
    norm = sum(p.detach().square().sum().item() for p in fit.net.parameters())
    schedule = Schedule(3, 50, 1e-2, 0.0, progress=lambda *said: told.append(said), steps=4)
    losses = descend(fit.net, quadratic(fit, seen), np.ones(N), schedule, fit.rng)
    assert sum(p.detach().square().sum().item() for p in fit.net.parameters()) < norm
    assert all(p.grad is None for p in fit.net.parameters())
    assert [len(rows) for rows in seen] == [50] * 12
    for epoch in range(3):
        assert sorted(np.concatenate(seen[4 * epoch : 4 * epoch + 4])) == list(range(N))
    assert losses == (2.5, 6.5, 10.5)  # means of 1..4, 5..8, 9..12
    assert told == [(1, 3, 2.5), (2, 3, 6.5), (3, 3, 10.5)]


@pytest.mark.parametrize(("end", "epochs"), [(1, 1), (2, 2), (9, 4)])
def test_descent_ends_when_it_is_told_that_it_is_enough(end, epochs):
    fit, asked = begun(), []

    def _enough(epoch):
        asked.append(epoch)
        return epoch >= end

    losses = descend(fit.net, quadratic(fit, []), np.ones(N), Schedule(4, 100, 1e-3, 0.0), fit.rng, _enough)
    assert len(losses) == epochs
    assert asked == list(range(1, epochs + 1))


def test_a_loss_that_runs_off_is_refused():
    fit = begun()

    def _gradient(rows):
        for parameter in fit.net.parameters():
            parameter.grad = torch.zeros_like(parameter)
        return torch.tensor(float("inf"))

    with pytest.raises(InputError, match=r"the loss is inf after epoch 1; take a smaller lr than 0.001"):
        descend(fit.net, _gradient, np.ones(N), Schedule(2, 100, 1e-3, 0.0), fit.rng)


@pytest.mark.parametrize(("n", "steps", "rows"), [(1_000, 100, 32), (10_000, 100, 100), (10_000, 10, 500)])
def test_small_logs_take_small_batches_so_that_they_see_enough_steps(n, steps, rows):
    """n / steps, 32 at least, 500 at most."""
    assert Schedule(1, 500, 1e-3, 0.0, steps=steps).rows(n) == rows


def test_tables_stay_within_their_ranges_whatever_the_chunk(monkeypatch):
    fit = begun(monotone="cost")
    with torch.no_grad():
        for parameter in fit.net.parameters():
            parameter += torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0))
    value, cost = tables(fit.net, X, fit.ranges, fit.device)
    assert (value >= VALUE.min().astype(np.float32)).all()
    assert (value <= VALUE.max().astype(np.float32)).all()
    np.testing.assert_array_equal(cost[:, :2], np.tile(np.float32([0, 0.5]), (N, 1)))
    assert (np.diff(cost, axis=1) >= 0).all()
    monkeypatch.setattr(net_fit, "CHUNK", 7)
    for whole, parts in zip((value, cost), tables(fit.net, X, fit.ranges, fit.device), strict=True):
        np.testing.assert_allclose(parts, whole, rtol=1e-5)
