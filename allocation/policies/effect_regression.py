"""The warm start: a response net fitted to doubly robust scores, to spend itself on effects and not on levels."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from allocation.policies.scored import Scores
from uplift.learners.net_fit import CHUNK, Loss, NetFit, Predicted
from uplift.learners.training import Schedule, learning, single, train

RIDGE = 1e-6  # of the level's least squares: hidden units that are the same for everybody are legal


def effect_loss(begun: NetFit, scores: Scores) -> Loss:
    """The mean regression loss of a batch as a function of its rows.

        (sum_j ((v_ij - v_i0) - (Gamma^v_ij - Gamma^v_i0))^2  +  r^2 sum_j (c_ij - Gamma^c_ij)^2) / (K s_v^2)

    over the K treatments, and over the arms of unknown cost; s_v is the standard deviation of the scored effects (all
    cells together), and r the root mean square of the expected effects over that of the expected costs above
    control's (value a unit of money), so that both errors count as they do in a decision and no unit matters. Costs
    are fitted as they are and not as differences: a budget is spent on them.
    """
    net, device = begun.net, begun.device
    effect = single(scores.value[:, 1:] - scores.value[:, :1], device)
    cost = single(scores.cost, device)
    X = single(begun.log.X, device)
    unknown = torch.from_numpy(begun.unknown).to(device)
    spread = float(effect.std()) or 1.0
    rate = _value_of_money(scores)

    def _of_batch(rows: Tensor, predicted: Predicted | None = None) -> Tensor:
        of_value, of_cost = net.parameters_of(X[rows]) if predicted is None else predicted
        value, paid = net.value.mean(of_value), net.cost.mean(of_cost)
        missed = ((value[:, 1:] - value[:, :1]) - effect[rows]) / spread
        overpaid = (paid - cost[rows])[:, unknown] * (rate / spread)
        return missed.square().mean() + overpaid.square().sum() / missed.numel()

    return _of_batch


def fit_effects(begun: NetFit, scores: Scores, schedule: Schedule) -> tuple[float, ...]:
    """Fit the net to the scores; its mean loss in each epoch. Control's level is left to `fit_level`."""
    return train(begun.net, effect_loss(begun, scores), np.ones(len(scores.value)), schedule, begun.rng)


def fit_level(begun: NetFit, scores: Scores) -> None:
    """Control's value by least squares of its scores on the last hidden layer; the effects stay as they are.

    No decision depends on it, the promised value does. In closed form, so it costs one pass.
    """
    net, width = begun.net, begun.net.trunk.width
    offset, unit = float(net.value.offset[0]), float(net.value.unit[0])
    with learning(), torch.no_grad():
        target = torch.from_numpy((scores.value[:, 0].astype(np.float64) - offset) / unit)
        square = torch.zeros(width + 1, width + 1, dtype=torch.float64)
        product = torch.zeros(width + 1, dtype=torch.float64)
        for start in range(0, len(target), CHUNK):
            part = slice(start, start + CHUNK)
            h = F.pad(net.trunk(single(begun.log.X[part], begun.device)).cpu().double(), (0, 1), value=1.0)
            square += h.T @ h
            product += h.T @ target[part]
        square.diagonal()[:width] += RIDGE * len(target)
        solution = torch.linalg.solve(square, product).float().to(begun.device)
        net.value.level.weight.copy_(solution[None, :-1])
        net.value.level.bias.copy_(solution[-1:])


def _value_of_money(scores: Scores) -> float:
    """Root mean square of the effects over that of the costs above control's, by the models where there are any."""
    value, cost = (scores.value, scores.cost) if scores.expected is None else scores.expected
    effect, paid = (_root_mean_square(table[:, 1:] - table[:, :1]) for table in (value, cost))
    return effect / paid if effect > 0 and paid > 0 else 1.0


def _root_mean_square(table: NDArray[np.float32]) -> float:
    return float(np.sqrt(np.mean(np.square(table, dtype=np.float64))))
