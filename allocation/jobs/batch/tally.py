"""What decisions add up to arm by arm, exactly, as parts are read one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pyarrow as pa

from allocation.engine.money import exact_sum
from allocation.jobs.batch.parts import arm_codes, finite_column


@dataclass(frozen=True)
class Tally:
    """Sums by arm, control first: users (K+1,), exact value (value units) and exact cost (money), (K+1,) each."""

    users: tuple[int, ...]
    value: tuple[Fraction, ...]
    cost: tuple[Fraction, ...]

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            tuple(a + b for a, b in zip(self.users, other.users, strict=True)),
            tuple(a + b for a, b in zip(self.value, other.value, strict=True)),
            tuple(a + b for a, b in zip(self.cost, other.cost, strict=True)),
        )

    def of(self, measure: str, arms: Sequence[int]) -> Fraction:
        """The sum of "users", "value" or "cost" over some arms."""
        amounts: dict[str, Sequence[int | Fraction]] = {
            "users": self.users,
            "value": self.value,
            "cost": self.cost,
        }
        return Fraction(0) + sum(amounts[measure][arm] for arm in arms)


def nothing(arms: int) -> Tally:
    """The tally of nobody."""
    return Tally((0,) * arms, (Fraction(0),) * arms, (Fraction(0),) * arms)


def tally_of(table: pa.Table, arms: Sequence[str]) -> Tally:
    """The tally of some decisions; raises InputError for an unknown arm and amounts that are not finite."""
    codes = arm_codes(table.column("arm"), arms)
    order = np.argsort(codes, kind="stable")
    ends = np.searchsorted(codes[order], np.arange(len(arms) + 1))
    sums = []
    for name in ("expected_value", "expected_cost"):
        amounts = finite_column(table, name)[order]
        sums.append(tuple(exact_sum(amounts[a:b]) for a, b in pairwise(ends)))
    return Tally(tuple(np.diff(ends).tolist()), *sums)
