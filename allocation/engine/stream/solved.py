"""What a solved plan is: totals, certificate, and the rule by which every user is decided."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from allocation.engine.limit import LimitUse
from allocation.engine.problem import gap_of
from allocation.engine.stream.chunks import Chunk


class Rule(Protocol):
    """Decides users chunk by chunk, each chunk alone."""

    def decide(self, chunk: Chunk) -> NDArray[np.int64]:
        """The arm of each user of the chunk, (r,)."""
        ...

    def margins(self, chunk: Chunk, decision: NDArray[np.int64]) -> NDArray[np.float64]:
        """How clearly each user's arm wins at the prices, (r,), value units."""
        ...


@dataclass(frozen=True, eq=False)
class Solved:
    """The totals and the certificate of a decision that is not written out yet; units as in `Allocation`.

    rule : decides each chunk. n_users : how many are decided. exact_value, exact_cost : the totals without rounding.
    The rest as in `allocation.engine.problem.Allocation`.
    """

    rule: Rule
    n_users: int
    value: float
    gain: float
    cost: float
    price: float
    bound: float
    gap: float
    slack: float
    exact_value: Fraction
    exact_cost: Fraction
    limits: tuple[LimitUse, ...] = ()


def solved(
    rule: Rule,
    n_users: int,
    limit: float,
    totals: tuple[Fraction, Fraction, Fraction],
    price: float,
    bound: float,
    limits: tuple[LimitUse, ...] = (),
) -> Solved:
    """Totals and certificate from the exact value, cost and control value; as `allocation_of` does in memory."""
    value, cost, control = map(float, totals)
    bound = max(bound, value)
    gap = gap_of(value, bound)
    slack = math.inf if math.isinf(limit) else limit - cost
    return Solved(rule, n_users, value, value - control, cost, price, bound, gap, slack, totals[0], totals[1], limits)
