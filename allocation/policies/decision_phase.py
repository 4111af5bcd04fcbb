"""The decision phase: the net goes on learning, with what its decisions are worth as a part of the loss."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from allocation.engine.problem import Problem
from allocation.engine.solve import solve
from allocation.policies.gate import affordable
from allocation.policies.gradients import ESTIMATORS, gradient
from allocation.policies.scored import Scores
from uplift.causal.aggregation import Rule, backward
from uplift.learners.net_fit import Loss, NetFit, Predicted
from uplift.learners.training import Schedule, descend, learning, single

PRICED = 20_000  # users on whom the engine finds the price
PRICE_EVERY = 20  # steps
SMALLEST_SPREAD = 1e-12


@dataclass(frozen=True, eq=False)
class Goal:
    """What the decision phase maximises, and how.

    Attributes
    ----------
    scores : what each decision is worth by the log. budgets : money a user.
    estimator : a name in `gradients.ESTIMATORS`. gamma : weight of the goal beside the regression.
    temperature : (first, last) smoothing, in standard deviations of a user's scores; geometric between.
    rule : how the gradients of regression and goal become one, tensor by tensor; None adds them.
    group : (n,) codes 0..G-1 of groups whose goals are combined by `group_rule`, or None.
    """

    scores: Scores
    budgets: tuple[float, ...]
    estimator: str
    gamma: float
    temperature: tuple[float, float]
    rule: Rule | None = None
    group: NDArray[np.int64] | None = None
    group_rule: Rule | str = "gradient_aggregation"


@dataclass(frozen=True)
class Priced:
    """A budget's price by the net as it is, and the spread of its scores there (value units)."""

    price: float
    spread: float


def decision_phase(
    begun: NetFit, goal: Goal, factual: Loss, schedule: Schedule, enough: Callable[[int], bool] | None = None
) -> tuple[float, ...]:
    """Go on fitting the net in place; the mean loss in each epoch.

        loss = factual - gamma / L sum_l G_l / s_l
        G_l = mean_i W_i,z_i(S)        S = v - p_l c        W = Gamma^v - p_l Gamma^c

    for the prices p_l of the L budgets; s_l is the spread of S over the arms of a user, so that neither the unit of
    value nor the size of a budget matters. G has no gradient: the estimator gives one for each cell of S, which then
    goes backwards through the net. Prices come from the engine, on a sample of the users, and are constants in
    between. `factual(rows)` is the loss that the net was fitted by.
    """
    X = single(begun.log.X, begun.device)
    gamma_value, gamma_cost = (single(table, begun.device) for table in (goal.scores.value, goal.scores.cost))
    group = None if goal.group is None else torch.from_numpy(goal.group).to(begun.device)
    priced_rows = np.sort(begun.rng.permutation(len(X))[:PRICED])
    sample = torch.from_numpy(priced_rows).to(begun.device)
    steps = schedule.epochs * math.ceil(len(X) / schedule.rows(len(X)))
    step, priced = 0, tuple[Priced, ...]()

    def _gradient(rows: Tensor) -> Tensor:
        nonlocal step, priced
        if step % PRICE_EVERY == 0:
            priced = prices(begun, X[sample], goal.budgets, priced)
        temperature = _between(goal.temperature, step / steps)
        step += 1
        begun.net.zero_grad()
        predicted = begun.net.parameters_of(X[rows])
        value, cost = tables(begun, predicted)
        of_value, of_cost = goal_gradient(
            (value, cost), (gamma_value[rows], gamma_cost[rows]), priced, goal.estimator, temperature, begun.rng
        )
        of_batch = factual(rows, predicted)
        if goal.rule is None and group is None:
            torch.autograd.backward([of_batch, value, cost], [None, -goal.gamma * of_value, -goal.gamma * of_cost])
            return of_batch.detach()
        each = -(value * of_value + cost * of_cost).sum(dim=1)
        _combined(begun, of_batch, each, None if group is None else group[rows], goal)
        return of_batch.detach()

    return descend(begun.net, _gradient, np.ones(len(X)), schedule, begun.rng, enough)


def tables(begun: NetFit, predicted: Predicted) -> tuple[Tensor, Tensor]:
    """Value and cost (b, K+1) of a batch by the net's parameters, with the costs that are known in their place."""
    value, cost = begun.net.value.mean(predicted[0]), begun.net.cost.mean(predicted[1])
    known = np.where(begun.unknown, np.nan, begun.ranges[1][0]).astype(np.float32)
    fixed = torch.from_numpy(known).to(cost.device)
    return value, torch.where(fixed.isnan(), cost, fixed)


def prices(begun: NetFit, X: Tensor, budgets: Sequence[float], before: Sequence[Priced] = ()) -> tuple[Priced, ...]:
    """The price of each budget (money a user) by the net for the users X; spreads as they were `before`."""
    with learning(), torch.no_grad():
        value, cost = (table.cpu().numpy() for table in tables(begun, begun.net.parameters_of(X)))
    found = []
    for k, budget in enumerate(budgets):
        price = float(solve(Problem(value, cost, affordable(budget, cost))).price)
        score = value - price * cost
        spread = before[k].spread if before else float((score - score.mean(axis=1, keepdims=True)).std())
        found.append(Priced(price, max(spread, SMALLEST_SPREAD)))
    return tuple(found)


def goal_gradient(
    predicted: tuple[Tensor, Tensor],
    scores: tuple[Tensor, Tensor],
    priced: Sequence[Priced],
    estimator: str,
    temperature: float,
    rng: np.random.Generator,
) -> tuple[Tensor, Tensor]:
    """The gradient of 1/L sum_l G_l / s_l by value and by cost, (b, K+1) each.

    Every estimator smooths as much as softmax does at this temperature (standard deviations of a user's scores).
    """
    of_value, of_cost = torch.zeros_like(predicted[0]), torch.zeros_like(predicted[1])
    for at in priced:
        width = temperature * at.spread * ESTIMATORS["softmax"].gap_noise / ESTIMATORS[estimator].gap_noise
        by_value, by_cost = gradient(estimator, *predicted, *scores, at.price, width=width, seed=rng)
        of_value += by_value / (at.spread * len(priced))
        of_cost += by_cost / (at.spread * len(priced))
    return of_value, of_cost


def _between(temperature: tuple[float, float], done: float) -> float:
    first, last = temperature
    return float(first * (last / first) ** done)


def _combined(begun: NetFit, factual: Tensor, each: Tensor, group: Tensor | None, goal: Goal) -> None:
    """Write `.grad`: the goal's gradient by groups, then that and the factual one by the rule; `each` (b,)."""
    net = begun.net
    parameters = [p for p in net.parameters() if p.requires_grad]
    of_factual = torch.autograd.grad(factual, parameters, retain_graph=True, allow_unused=True)
    if group is None:
        each.sum().backward()  # type: ignore[no-untyped-call]
    else:
        masks = [group == code for code in torch.unique(group)]
        losses = [each[mask].sum() * (len(each) / mask.sum()) for mask in masks]
        backward(losses, net, goal.group_rule)
    for p, f in zip(parameters, of_factual, strict=True):
        p.grad = None if p.grad is None else goal.gamma * p.grad
        if p.grad is None or f is None:
            p.grad = f if p.grad is None else p.grad
        elif goal.rule is None:
            p.grad += f
        else:
            p.grad = goal.rule(torch.stack([f.flatten(), p.grad.flatten()])).view_as(p)
