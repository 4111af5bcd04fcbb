"""What a solved plan leaves behind to decide by: two prices, a place, and the few users decided one by one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from allocation.engine.bracket import Steps, settle_users, steps_of
from allocation.engine.price import margins_at
from allocation.engine.stream.chunks import Chunk


@dataclass(frozen=True, eq=False)
class PriceRule:
    """Decides every user of a plan without limits.

    Who has the same arm at every price in [low, high] gets it. Of the others, those before the place `first` take
    every step of a return of at least `low`, those from it on only steps above `high`. The users at `place` (s,),
    rising, get `arm` (s,) whatever the prices say. price : for margins, value units per unit of money.
    """

    low: float
    high: float
    first: int
    price: float
    place: NDArray[np.int64]
    arm: NDArray[np.int64]

    def decide(self, chunk: Chunk) -> NDArray[np.int64]:
        """The arm of each user of a chunk, (r,)."""
        settled = settle_users(chunk.tables, self.low, self.high)
        steps = steps_of(chunk.tables, settled.rows, self.low, self.high)
        decision = settled.decision
        decision[settled.rows] = last_arms(steps, chunk.places(settled.rows) < self.first)
        return overruled(chunk, decision, self.place, self.arm)

    def margins(self, chunk: Chunk, decision: NDArray[np.int64]) -> NDArray[np.float64]:
        """How clearly each user's arm wins at the price, (r,), value units; see `allocation.engine.price.margins`."""
        return margins_at(chunk.tables, decision, self.price)


def last_arms(steps: Steps, taken: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The arms of open users (r,): after all their steps where `taken` (r,), else before the first."""
    arm = steps.base.copy()
    user = steps.step[:, 0]
    mine = taken[user]
    arm[user[mine]] = steps.step[mine, 1]  # in climbing order, so that the last step stays
    return arm


def overruled(
    chunk: Chunk, decision: NDArray[np.int64], place: NDArray[np.int64], arm: NDArray[np.int64]
) -> NDArray[np.int64]:
    """The decision with the arms of those users of the chunk who are decided one by one; changed in place."""
    if len(chunk) == 0 or len(place) == 0:
        return decision
    if chunk.place is None:
        here = slice(*np.searchsorted(place, [chunk.first, chunk.first + len(chunk)]))
        decision[place[here] - chunk.first] = arm[here]
        return decision
    here = slice(*np.searchsorted(place, [chunk.place[0], chunk.place[-1] + 1]))
    decision[np.searchsorted(chunk.place, place[here])] = arm[here]
    return decision
