"""The dual of many limits over users in chunks: one pass a survey, with the curvature for Newton's next step."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from allocation.engine.money import float_above
from allocation.engine.newton import Units, curvature
from allocation.engine.rows import Floats, Row
from allocation.engine.scores import Scores
from allocation.engine.stream.chunks import Arrays, Chunk, Chunks
from allocation.engine.stream.near import near_each
from allocation.engine.stream.terms import Terms


@dataclass(frozen=True, eq=False)
class Choose:
    """What the users of a chunk choose at some prices: `total`, `usage` (m,), `slop`; with heat `bend`, else `near`.

    As `Scores.survey`, `Scores.slop`, `newton.curvature` (m, m) and `near_each` have them, value units.
    """

    terms: Terms
    prices: Floats
    weight: float
    heat: float
    units: Units

    def __call__(self, chunk: Chunk) -> Arrays:
        scores = self.terms.scores(chunk)
        survey = scores.survey(self.prices, self.weight, self.heat)
        found = {
            "total": np.array([survey.total]),
            "usage": survey.usage,
            "slop": np.array([float_above(scores.slop(self.prices, self.weight))]),
        }
        if self.heat > 0:
            found["bend"] = curvature(scores, survey, self.prices, self.units, self.heat)
        else:
            found["near"] = near_each(scores, survey, self.units.value)
        return found


@dataclass(frozen=True, eq=False)
class Surveyed:
    """What all users choose at some prices; `slop` is by how much the total may be wrong.

    bend : the curvature, of a soft choice. near : users by row and bin of their margin, of a sharp one.
    """

    total: float
    usage: Floats
    slop: Fraction
    bend: Floats
    near: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class StreamScores:
    """The rows of a plan over users in chunks, to be surveyed at any prices, as `Scores` does in memory.

    n : users. units : scales of the plan. Sums over chunks are correctly rounded, so that they hang on the cuts
    alone, not on who worked on which chunk.
    """

    chunks: Chunks
    terms: Terms
    n: int
    units: Units

    @cached_property
    def alone(self) -> Scores:
        """What is known of the rows without users."""
        return self.terms.nobody()

    @property
    def rows(self) -> tuple[Row, ...]:
        """The constraints."""
        return self.alone.rows

    @property
    def low(self) -> Floats:
        """Floors, (m,)."""
        return self.alone.low

    @property
    def high(self) -> Floats:
        """Caps, (m,)."""
        return self.alone.high

    def support(self, prices: Floats) -> Floats:
        """See `Scores.support`."""
        return self.alone.support(prices)

    def snapped(self, prices: Floats) -> Floats:
        """See `Scores.snapped`."""
        return self.alone.snapped(prices)

    def survey(self, prices: Floats, weight: float = 1.0, heat: float = 0.0) -> Surveyed:
        """One pass; see `Scores.survey`."""
        parts = self.chunks.each(Choose(self.terms, prices, weight, heat, self.units), "prices of the limits")
        m = len(prices)
        slop = sum((Fraction(float(part["slop"][0])) for part in parts), Fraction(0))
        bend = _summed([part["bend"] for part in parts], (m, m)) if heat > 0 else np.zeros((m, m))
        total = math.fsum(float(part["total"][0]) for part in parts)
        near = np.sum([part["near"] for part in parts if "near" in part], axis=0)
        return Surveyed(total, _summed([part["usage"] for part in parts], (m,)), slop, bend, near)

    def bound(self, prices: Floats, weight: float = 1.0, survey: Any = None) -> float:
        """A float no less than the dual at prices as `snapped`; see `Scores.bound`."""
        survey = self.survey(prices, weight) if survey is None else survey
        return float_above(self.alone.worth(prices) + Fraction(survey.total) + survey.slop)


def bend_of(scores: Any, survey: Any, prices: Floats, units: Units, heat: float) -> Floats:
    """The curvature that came with the survey."""
    bend: Floats = survey.bend
    return bend


def _summed(parts: list[Floats], shape: tuple[int, ...]) -> Floats:
    """The sum of the chunks' arrays, each cell correctly rounded."""
    cells = np.array([part.ravel() for part in parts]).reshape(len(parts), -1)
    return np.array([math.fsum(column) for column in cells.T.tolist()]).reshape(shape)
