"""The warm start: its loss by hand, its level by least squares, and a linear world whose effects it must find."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from allocation.policies import effect_regression
from allocation.policies.effect_regression import effect_loss, fit_effects, fit_level
from allocation.policies.scored import Scores
from tests.allocation.policies.end_to_end_logs import begun, campaign, drawn_costs, noisy, random_scores
from uplift.learners.training import Schedule


def tables_of(fit, X):
    with torch.no_grad():
        return tuple(table.numpy().astype(np.float64) for table in fit.net(torch.from_numpy(X)))


def shaken(log, hidden=(3,)):
    """A net whose every weight is random, so that no term of a loss is zero by chance."""
    fit, generator = begun(log, hidden), torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in fit.net.parameters():
            parameter += 0.3 * torch.randn(parameter.shape, generator=generator)
    return fit


@pytest.mark.parametrize("modelled", [True, False])
def test_the_loss_of_a_batch_is_the_formula(modelled):
    """The costs of two arms are drawn and to be learnt; that of control is known and takes no part."""
    log = drawn_costs(40)
    scores = random_scores(log)
    if modelled:
        scores = Scores(scores.value, scores.cost, (2 * scores.value + 1, 5 * scores.cost + 3))
    fit, rows = shaken(log), np.array([3, 8, 9, 30])
    value, cost = tables_of(fit, log.X)
    g, c = scores.value.astype(np.float64), scores.cost.astype(np.float64)
    scored = g[:, 1:] - g[:, :1]
    e, paid = scores.expected if modelled else (g, c)
    r = np.sqrt(np.mean((e[:, 1:] - e[:, :1]) ** 2) / np.mean((paid[:, 1:] - paid[:, :1]) ** 2))
    s = scored.std(ddof=1)
    total = 0.0
    for i in rows:
        total += sum((value[i, j] - value[i, 0] - scored[i, j - 1]) ** 2 for j in (1, 2)) / (2 * s**2)
        unknown = [j for j in range(3) if np.ptp(log.cost[log.treatment == j]) > 0]
        assert unknown == [1, 2]
        total += r**2 * sum((cost[i, j] - c[i, j]) ** 2 for j in unknown) / (2 * s**2)
    loss = effect_loss(fit, scores)
    assert loss(torch.from_numpy(rows)).item() == pytest.approx(total / len(rows), rel=1e-4)
    predicted = fit.net.parameters_of(torch.from_numpy(log.X[rows]))
    assert loss(torch.from_numpy(rows), predicted).item() == loss(torch.from_numpy(rows)).item()


def test_known_costs_take_no_part():
    log = noisy(40)
    scores = random_scores(log)
    rows = torch.arange(40)
    without = effect_loss(begun(log), scores)(rows).item()
    assert effect_loss(begun(log), Scores(scores.value, scores.cost * 7))(rows).item() == without


def test_a_world_without_any_spread_has_a_finite_loss():
    """All scores alike and all arms free: neither a unit of value nor a price of money is known."""
    log = campaign(np.zeros((8, 1)), np.arange(8) % 2, np.ones(8), np.zeros(8))
    alike = Scores(np.ones((8, 2), dtype=np.float32), np.zeros((8, 2), dtype=np.float32))
    assert effect_loss(begun(log), alike)(torch.arange(8)).item() == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("hidden", [(), (3,)])
def test_the_level_is_the_least_squares_of_controls_scores(hidden, monkeypatch):
    """Against numpy's lstsq on the last hidden layer, in chunks that do not divide the log."""
    monkeypatch.setattr(effect_regression, "CHUNK", 64)
    log = noisy(300)
    scores, fit = random_scores(log), shaken(log, hidden)
    before = tables_of(fit, log.X)
    fit_level(fit, scores)
    value, cost = tables_of(fit, log.X)
    with torch.no_grad():
        h = fit.net.trunk(torch.from_numpy(log.X)).numpy().astype(np.float64)
    design = np.column_stack([h, np.ones(len(h))])
    solution = np.linalg.lstsq(design, scores.value[:, 0].astype(np.float64), rcond=None)[0]
    np.testing.assert_allclose(value[:, 0], design @ solution, atol=1e-3)
    np.testing.assert_allclose(value[:, 1:] - value[:, :1], before[0][:, 1:] - before[0][:, :1], atol=1e-5)
    np.testing.assert_array_equal(cost, before[1])


def test_hidden_units_that_are_the_same_for_everybody_do_no_harm_to_the_level():
    """A constant feature leaves the design singular; the level is then controls' mean."""
    log = campaign(np.ones((20, 2)), np.arange(20) % 2, np.arange(20.0), np.arange(20) % 2)
    fit, scores = begun(log), random_scores(log)
    fit_level(fit, scores)
    np.testing.assert_allclose(tables_of(fit, log.X)[0][:, 0], scores.value[:, 0].mean(), rtol=1e-4)


def test_the_effects_and_costs_of_a_linear_world_are_found_under_noise():
    """Effects 1 + x0 and 2 - x1, scores with a noise of 2; cost of arm 2 is 1 + .5 x0 and to be learnt."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(3_000, 2)).astype(np.float32)
    t = np.arange(3_000) % 3
    level = 50 * np.sin(X[:, 0])  # no linear net could fit this; effects must not suffer
    value = level[:, None] + np.column_stack([np.zeros(3_000), 1 + X[:, 0], 2 - X[:, 1]])
    cost = np.column_stack([np.zeros(3_000), np.ones(3_000), 1 + 0.5 * X[:, 0]])
    log = campaign(X, t, value[np.arange(3_000), t], cost[np.arange(3_000), t])
    noise = rng.normal(size=(2, 3_000, 3)) * np.array([2.0, 0.3])[:, None, None]
    scores = Scores((value + noise[0]).astype(np.float32), (cost + noise[1]).astype(np.float32), (value, cost))
    fit = begun(log, hidden=())
    losses = fit_effects(fit, scores, Schedule(5, 500, 2e-2, 1e-3))
    fit_level(fit, scores)
    got, paid = tables_of(fit, X)
    assert np.abs((got[:, 1:] - got[:, :1]) - (value[:, 1:] - value[:, :1])).mean() < 0.15
    assert np.abs(paid[:, 2] - cost[:, 2]).mean() < 0.08
    assert losses[-1] < losses[0]
