"""What a solved plan with limits leaves behind to decide by: prices, and the users who are decided one by one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from allocation.engine.choice import score_cells
from allocation.engine.rows import Floats
from allocation.engine.scores import Scores
from allocation.engine.stream.chunks import Chunk
from allocation.engine.stream.near import Choice
from allocation.engine.stream.rule import overruled

BLOCK = 1 << 14  # users whose arms are scored one by one at a time


@dataclass(frozen=True, eq=False)
class LimitRule:
    """Everybody chooses at the prices of budget and limits; the users at `place` (s,), rising, get `arm` (s,)."""

    choice: Choice
    place: NDArray[np.int64]
    arm: NDArray[np.int64]

    def decide(self, chunk: Chunk) -> NDArray[np.int64]:
        """The arm of each user of a chunk, (r,)."""
        arm = self.choice.survey(self.choice.terms.scores(chunk))[1]
        return overruled(chunk, arm, self.place, self.arm)

    def margins(self, chunk: Chunk, decision: NDArray[np.int64]) -> NDArray[np.float64]:
        """The score of each user's arm minus the best other arm's, (r,), value units; prices of limits are in it.

        Below 0 are those who got another arm than their best so that the limits hold.
        """
        scores = self.choice.terms.scores(chunk)
        survey = scores.survey(self.choice.prices)
        margin = survey.margin
        other = np.flatnonzero(decision != survey.arm)
        for first in range(0, len(other), BLOCK):
            some = other[first : first + BLOCK]
            margin[some] = _behind(scores, some, decision[some], self.choice.prices)
        return margin


def _behind(scores: Scores, users: NDArray[np.int64], arm: NDArray[np.int64], prices: Floats) -> Floats:
    score = score_cells(scores.values(users), scores.cells(users), prices)
    rows = np.arange(len(users))
    own = score[rows, arm]
    score[rows, arm] = -np.inf
    return np.asarray(own - score.max(axis=1))
