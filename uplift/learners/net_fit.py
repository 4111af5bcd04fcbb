"""How the net of `NeuralResponse` is fitted to a log, set right in the mean, and asked for its tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from uplift.learners.log import Log
from uplift.learners.nets import ResponseNet, trunk_of
from uplift.learners.outcomes import Outcome
from uplift.learners.training import Schedule, Share, learning, one_thread, single, torch_generator, train

CHUNK = 8_192  # users predicted at once: their hidden layers fit into a core's cache
CALIBRATED = ("poisson", "zero_inflated_lognormal")
BELIEVED = (0.5, 2.0)  # factors of a calibration; beyond, a few odd users speak and not the family's shape

Array = NDArray[np.float64]
Predicted = tuple[Tensor, Tensor]  # parameters of the likelihoods of value and of cost, as `parameters_of` gives them
Ranges = tuple[Array, Array]  # smallest and largest: value (2,), cost (2, K+1)


class Loss(Protocol):
    """The mean loss of a batch of users, a scalar."""

    def __call__(self, rows: Tensor, predicted: Predicted | None = None) -> Tensor:
        """`rows` (b,) int64; `predicted` are the net's parameters for them, where somebody has them already."""
        ...


@dataclass(frozen=True, eq=False)
class NetFit:
    """A net on its way: the log it learns from, and what its outcomes are.

    Attributes
    ----------
    log : checked. outcomes : of value and of cost. unknown (K+1,) : arms whose cost is to be learnt.
    ranges : that the predictions are kept to. net : on `device`, changed in place. rng : for the next fit.
    """

    log: Log
    outcomes: tuple[Outcome, Outcome]
    unknown: NDArray[np.bool_]
    ranges: Ranges
    net: ResponseNet
    device: torch.device
    rng: np.random.Generator

    @classmethod
    def begin(
        cls,
        log: Log,
        outcomes: tuple[Outcome, Outcome],
        unknown: NDArray[np.bool_],
        ranges: Ranges,
        hidden: tuple[int, ...],
        device: torch.device,
        rng: np.random.Generator,
    ) -> Self:
        """A new net whose heads begin with what each arm's users show on average."""
        generator = torch_generator(rng)
        with learning():
            net = ResponseNet(trunk_of(log.X, hidden, generator), len(log.arms) - 1, *outcomes, generator)
            _start(net, log, outcomes)
            return cls(log, outcomes, unknown, ranges, net.to(device), device, rng)

    @property
    def weight(self) -> Array:
        """What each user counts, (n,), mean 1."""
        return self.log.weights

    def fit(self, schedule: Schedule, share: Share | None = None) -> tuple[float, ...]:
        """Fit the net to the log by its likelihood; the losses by epoch. Raises InputError when they run off."""
        losses = train(self.net, self.factual_loss(), self.weight, schedule, self.rng, share)
        with learning():
            _calibrate(self.net, self.log, self.unknown, self.ranges, self.device)
        return losses

    def factual_loss(self) -> Loss:
        """The mean negative log-likelihood of a batch; arms of known cost teach nothing about cost."""
        return _loss(self.net, self.log, self.outcomes, self.unknown, self.device)


def _start(net: ResponseNet, log: Log, outcomes: tuple[Outcome, Outcome]) -> None:
    """Let the heads begin with what each arm's users show on average."""
    weight = log.weights
    for head, outcome, logged in zip((net.value, net.cost), outcomes, (log.value, log.cost), strict=True):
        y = outcome.of_net(logged, log.treatment).astype(np.float64)
        members = [np.flatnonzero(log.treatment == j) for j in range(len(log.arms))]
        starts = [head.likelihood.start(y[rows], weight[rows]) for rows in members]
        head.start_at(torch.tensor(starts, dtype=torch.float32))


def tables(
    net: ResponseNet, X: NDArray[np.float32], ranges: Ranges, device: torch.device
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Value and cost (n, K+1) that the net expects for X (n, d) within the ranges, chunk by chunk on one thread."""
    K1 = 1 + len(net.embedding)
    value, cost = (np.empty((len(X), K1), dtype=np.float32) for _ in range(2))
    with torch.inference_mode(), one_thread():
        for start in range(0, len(X), CHUNK):
            rows = slice(start, start + CHUNK)
            chunk = net(single(X[rows], device))
            value[rows], cost[rows] = (table.cpu().numpy() for table in chunk)
    for head, table, bounds in zip((net.value, net.cost), (value, cost), ranges, strict=True):
        np.clip(table, *bounds.astype(np.float32), out=table)
        if head.monotone:  # a sum of increments, scaled and rounded, may fall by the last digit
            np.maximum.accumulate(table, axis=1, out=table)
    return value, cost


def _calibrate(net: ResponseNet, log: Log, unknown: NDArray[np.bool_], ranges: Ranges, device: torch.device) -> None:
    """Scale each outcome by one number, so that its predictions for the arms received add up to the log.

    Where spend is no lognormal, exp(mu + s^2/2) is off by about the same factor for everybody, and the Poisson mean
    is a few per cent low in a heavy tail. Least squares and log odds need no such factor. A factor outside
    `BELIEVED` is left out.
    """
    each = log.weights
    predictions = tables(net, log.X, ranges, device)
    weights = (each, each * unknown[log.treatment])
    heads = (net.value, net.cost)
    for head, table, logged, weight in zip(heads, predictions, (log.value, log.cost), weights, strict=True):
        predicted = float(weight @ table[np.arange(len(table)), log.treatment].astype(np.float64))
        factor = float(weight @ logged) / predicted if predicted > 0 else 1.0
        if head.family in CALIBRATED and BELIEVED[0] <= factor <= BELIEVED[1]:
            head.unit *= factor


def _loss(
    net: ResponseNet, log: Log, outcomes: tuple[Outcome, Outcome], unknown: NDArray[np.bool_], device: torch.device
) -> Loss:
    values, costs = outcomes
    each = log.weights
    X, y, c, weight, cost_weight = (
        single(array, device)
        for array in (
            log.X,
            values.of_net(log.value, log.treatment),
            costs.of_net(log.cost, log.treatment),
            each,
            each * unknown[log.treatment],
        )
    )
    treatment = torch.from_numpy(log.treatment).to(device)

    def _of_batch(rows: Tensor, predicted: Predicted | None = None) -> Tensor:
        value, cost = net.parameters_of(X[rows]) if predicted is None else predicted
        received = treatment[rows]
        each = torch.arange(len(rows), device=device)
        of_value = net.value.likelihood.loss(value[each, received], y[rows])
        of_cost = net.cost.likelihood.loss(cost[each, received], c[rows])
        return (weight[rows] * of_value + cost_weight[rows] * of_cost).mean()

    return _of_batch
