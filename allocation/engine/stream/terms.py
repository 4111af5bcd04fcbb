"""The budget and the limits of a plan whose users come in chunks, and the scores of one chunk at their prices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from allocation.engine.limit import Limit, resolve
from allocation.engine.problem import check_budget
from allocation.engine.rows import Row, rows_for
from allocation.engine.scores import Scores, scores_from
from allocation.engine.stream.chunks import Chunk
from allocation.engine.tables import Table


@dataclass(frozen=True, eq=False)
class Terms:
    """What a decision must hold: a budget (money, None for none) and limits, whose users are each chunk's masks.

    limits : with positions for arms and numbers for bounds; arms : K+1; resources : names of the tables measured.
    """

    budget: float | None
    limits: tuple[Limit, ...]
    arms: int
    resources: tuple[str, ...] = ()

    @property
    def limit(self) -> float:
        """The budget as a number: infinity where there is none."""
        return math.inf if self.budget is None else self.budget

    def rows(self, chunk: Chunk | None = None) -> tuple[Row, ...]:
        """The constraints, the budget first; about the users of a chunk, or with users left out."""
        masks = (None,) * len(self.limits) if chunk is None else chunk.masks
        limits = [replace(limit, users=mask) for limit, mask in zip(self.limits, masks, strict=True)]
        return rows_for(self.budget, limits, self.arms)

    def scores(self, chunk: Chunk) -> Scores:
        """The rows and tables of a chunk, its users grouped."""
        resources = {name: chunk.resources[name] for name in self.resources}
        return scores_from(self.rows(chunk), chunk.value, chunk.cost, chunk.eligible, resources)

    def nobody(self) -> Scores:
        """The scores of no user: what they know of rows and prices alone."""
        none: Table = np.empty((0, self.arms))
        return scores_from(self.rows(), none, none, None, dict.fromkeys(self.resources, none))


def terms_of(
    budget: float | None, limits: Sequence[Limit], arms: Sequence[str], resources: Sequence[str] = ()
) -> Terms:
    """Terms with everything checked that can be without users; ProblemError as of `Problem`."""
    checked = tuple(resolve(replace(limit, users=None), 0, len(arms), arms, {}, resources) for limit in limits)
    return Terms(check_budget(budget), checked, len(arms), tuple(resources))
