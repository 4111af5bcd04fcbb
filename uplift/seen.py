"""Who was learned from: what a policy keeps of its training log, so that nobody is evaluated who trained it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from uplift.campaign import Campaign


@dataclass(frozen=True, eq=False)
class Seen:
    """The users of a training log.

    user_id : (n,), as in the log. record : (n,) uint64, a hash of each user's features, arm and value where the log
    states no ids (`Campaign.numbered`), else None: row 7 of two such logs is the same user only if the record is too.
    """

    user_id: NDArray[Any]
    record: NDArray[np.uint64] | None

    @classmethod
    def of(cls, campaign: Campaign) -> Self:
        """What is kept of a log."""
        return cls(campaign.user_id, _record(campaign) if campaign.numbered else None)

    def among(self, campaign: Campaign) -> NDArray[np.bool_]:
        """Which users of a log were learned from, (n,)."""
        mine, theirs = self.user_id, campaign.user_id
        if mine.dtype.kind not in "iu" or theirs.dtype.kind not in "iu":
            mine, theirs = mine.astype(str), theirs.astype(str)
        if self.record is None or not campaign.numbered:
            return np.isin(theirs, mine)
        order = np.argsort(mine, kind="stable")
        place = np.minimum(np.searchsorted(mine, theirs, sorter=order), len(mine) - 1)
        found = order[place]
        return np.asarray((mine[found] == theirs) & (self.record[found] == _record(campaign)))


def _record(campaign: Campaign) -> NDArray[np.uint64]:
    """A 64-bit hash of each row: multiply, shift and add column by column (the finaliser of SplitMix64)."""
    digest = np.zeros(len(campaign), dtype=np.uint64)
    columns = [campaign.X[:, j].astype(np.float64) for j in range(campaign.X.shape[1])]
    for column in (*columns, campaign.treatment.astype(np.float64), campaign.value):
        digest += np.ascontiguousarray(column).view(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
        digest = (digest ^ (digest >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        digest = (digest ^ (digest >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        digest ^= digest >> np.uint64(31)
    return digest
