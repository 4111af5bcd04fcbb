"""Who was learned from: what a policy keeps of its training log, so that nobody is evaluated who trained it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from uplift.campaign import Campaign


@dataclass(frozen=True, eq=False)
class Seen:
    """The users of a training log.

    user_id : (n,), as in the log. source : as in `Campaign`, empty where the ids are the log's own, else the
    fingerprint of the log whose rows they number.
    """

    user_id: NDArray[Any]
    source: str = ""

    @classmethod
    def of(cls, campaign: Campaign) -> Self:
        """What is kept of a log."""
        return cls(campaign.user_id, campaign.source)

    def among(self, campaign: Campaign) -> NDArray[np.bool_]:
        """Which users of a log were learned from, as far as their ids tell, (n,).

        Stated ids are compared as they are, numbers and text alike. Row numbers are compared only between parts of
        one and the same log; between others they say nothing, so that nobody counts as seen: state ids
        (`user_id=`), or part one `Campaign` with `split`, to be sure.
        """
        if self.source != campaign.source:
            return np.zeros(len(campaign), dtype=bool)
        mine, theirs = alike(self.user_id, campaign.user_id)
        return np.isin(theirs, mine)


def alike(ids: NDArray[Any], others: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Two columns of ids in a form that compares: whole numbers where both are, else text, so that 7 is "7"."""
    if ids.dtype.kind in "iu" and others.dtype.kind in "iu":
        return ids, others
    return ids.astype(str), others.astype(str)


def fingerprint(X: NDArray[np.float32], treatment: NDArray[np.int64]) -> str:
    """A hash of a log's features and arms, row by row; which outcome is its value does not matter."""
    digest = hashlib.blake2b(digest_size=16)
    digest.update(np.ascontiguousarray(X + np.float32(0)).data)  # + 0: the two zeros are one number
    digest.update(np.ascontiguousarray(treatment).data)
    return digest.hexdigest()
