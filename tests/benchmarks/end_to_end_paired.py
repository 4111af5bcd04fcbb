"""Finished rows of one regime and size compared pair by pair: the seed gives both methods the same log and users."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import fmean, median, stdev

import numpy as np
from scipy.stats import t as student

from tests.benchmarks.end_to_end_methods import END_TO_END, METHODS, NET
from tests.benchmarks.end_to_end_rows import Row

ORDER = {method.name: place for place, method in enumerate(METHODS)}
BEST, BEST_OF_SEED = "the best two-stage", "the best two-stage of each seed"
BEST_OTHER = "the best of all others"


@dataclass(frozen=True)
class Mean:
    """A mean over seeds with its standard error and 95% t interval of n - 1 degrees of freedom; NaN for one seed."""

    point: float
    se: float
    low: float
    high: float
    seeds: int

    @classmethod
    def of(cls, amounts: Sequence[float]) -> Mean:
        """Of one amount a seed."""
        n, point = len(amounts), fmean(amounts)
        se = stdev(amounts) / n**0.5 if n > 1 else np.nan
        reach = student.ppf(0.975, n - 1) * se if n > 1 else np.nan
        return cls(point, se, point - reach, point + reach, n)


@dataclass(frozen=True, eq=False)
class Group:
    """All rows of one regime and size: method -> seed -> row."""

    regime: str
    rows: int
    found: dict[str, dict[int, Row]]

    @property
    def to_gain(self) -> bool:
        """Whether anything can be gained; where not (`null`), money spent for nothing is what is compared."""
        return any(s is not None for seeds in self.found.values() for row in seeds.values() for s in row["share"])

    def measure(self, method: str) -> dict[int, float]:
        """Of each seed, the mean over the budgets of the share of the oracle's gain, or of spend / budget."""
        return {seed: fmean(row["share"]) if self.to_gain else spent(row) for seed, row in self.found[method].items()}

    def minus(self, method: str, other: str) -> Mean | None:
        """The paired difference over the seeds that both have; None where they have none in common."""
        one, two = self.measure(method), self._reference(other)
        both = sorted(set(one) & set(two))
        return Mean.of([one[seed] - two[seed] for seed in both]) if both else None

    @property
    def two_stages(self) -> list[str]:
        """Those that `BEST` is among, of whatever size."""
        return [name for name in self.found if name.startswith("two-stage")]

    @property
    def others(self) -> list[str]:
        """All that is not end-to-end, larger nets and rankers included."""
        return [name for name in self.found if not name.startswith(END_TO_END)]

    def best(self, names: Sequence[str]) -> str | None:
        """The one of the highest mean share: by paired differences to the two-stage net's, as some have fewer seeds.

        Chosen on the seeds that it is then compared on, in its favour. Where nothing can be gained, of lowest spend.
        """
        over = {name: self.minus(name, NET) for name in names} if NET in self.found else {}
        sign = 1 if self.to_gain else -1
        return max((name for name in over if over[name]), key=lambda name: sign * over[name].point, default=None)

    def named(self, other: str) -> str | None:
        """The method that a reference stands for."""
        of = {BEST: self.two_stages, BEST_OTHER: self.others}
        return self.best(of[other]) if other in of else other

    def _reference(self, other: str) -> dict[int, float]:
        if other != BEST_OF_SEED:
            name = self.named(other)
            return self.measure(name) if name in self.found else {}
        each = [self.measure(name) for name in self.two_stages]
        pick = max if self.to_gain else min
        return {seed: pick(one[seed] for one in each if seed in one) for seed in set().union(*each)} if each else {}


def groups(rows: Sequence[Row]) -> Iterator[Group]:
    """The rows by regime and size, methods in the order of `METHODS`."""

    def where(row: Row) -> tuple[str, int]:
        return row["regime"], row["rows"]

    for (regime, size), own in groupby(sorted(rows, key=where), key=where):
        found: dict[str, dict[int, Row]] = {}
        for row in sorted(own, key=lambda row: (ORDER.get(row["method"], len(ORDER)), row["method"], row["seed"])):
            found.setdefault(row["method"], {})[row["seed"]] = row
        yield Group(regime, size, found)


def spent(row: Row) -> float:
    """True spend over budget, mean over the budgets."""
    return fmean(s / b for s, b in zip(row["spend"], row["budgets"], strict=True))


def seconds(rows: Sequence[Row]) -> float:
    """Median training time."""
    return median(row["train_s"] for row in rows)
