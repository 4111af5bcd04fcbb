"""Who decides the last digits of limits: for each row the users nearest to a change of arm that touches it.

Users are told apart by their margin, in bins of a quarter of a doubling, and within the last bin by a hash of their
place: a rule that each chunk can follow alone, without a sort over all users.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from allocation.engine.money import WORDS, register_of
from allocation.engine.rows import Floats
from allocation.engine.scores import Scores, Survey
from allocation.engine.stream.chunks import Arrays, Chunk
from allocation.engine.stream.sample import packed_chunk
from allocation.engine.stream.terms import Terms
from allocation.engine.threads import PIECE
from allocation.engine.undecided import changes, touches

BINS = 280  # quarters of a doubling of the margin, from 2^-62 to 2^8 typical ranges
FIRST = 62


@dataclass(frozen=True, eq=False)
class Choice:
    """How users choose at prices of limits: sharply, or with heat by a rounding of soft shares (value units)."""

    terms: Terms
    prices: Floats
    heat: float

    def survey(self, scores: Scores) -> tuple[Survey, NDArray[np.int64]]:
        """The sharp survey of a chunk, and the arms that its users get."""
        sharp = scores.survey(self.prices)
        if self.heat == 0:
            return sharp, sharp.arm.astype(np.int64)
        return sharp, scores.survey(self.prices, heat=self.heat, round_off=True).arm.astype(np.int64)


def near_each(scores: Scores, survey: Survey, scale: float) -> NDArray[np.int64]:
    """How many users touch each row, by bin of their margin, (m, BINS); `scale` is the typical range of a value."""
    bins, found = bins_of(survey.margin, scale), np.zeros((len(scores.rows), BINS), dtype=np.int64)
    users = np.arange(scores.n)
    for k, one in enumerate(scores.groupings):
        _count(changes(scores, survey, users, k), one.rows, bins, found)
    return found


@dataclass(frozen=True, eq=False)
class Quota:
    """The last bin of each row, (m,), from which only a share (m,) of the users comes."""

    last: NDArray[np.int64]
    share: Floats

    @classmethod
    def of(cls, near: NDArray[np.int64], size: int) -> Quota:
        """About `size` users of each row, the nearest; all where there are fewer."""
        reached = near.cumsum(axis=1)
        last = np.minimum((reached < size).sum(axis=1), BINS - 1)
        rows = np.arange(len(near))
        before = reached[rows, last] - near[rows, last]
        return cls(last, np.clip((size - before) / np.maximum(near[rows, last], 1), 0.0, 1.0))


@dataclass(frozen=True, eq=False)
class Settle:
    """The nearest users of a chunk, and exact sums of all others.

    `used` (m, words), `worth`, `spent`, `control` are registers of what the others use of each row, are worth, cost,
    and would be worth on control.
    """

    choice: Choice
    scale: float
    quota: Quota

    def __call__(self, chunk: Chunk) -> Arrays:
        scores = self.choice.terms.scores(chunk)
        survey, arm = self.choice.survey(scores)
        bins, users = bins_of(survey.margin, self.scale), np.arange(len(chunk))
        chance, chosen = hashed(chunk.places()), np.zeros(len(chunk), dtype=np.bool_)
        for k, one in enumerate(scores.groupings):
            at = changes(scores, survey, users, k)
            _take(at, self.quota.last[one.rows], self.quota.share[one.rows], bins, chance, chosen)
        rest = np.flatnonzero(~chosen)
        used = np.zeros((len(scores.rows), WORDS), dtype=np.int64)
        for start in range(0, len(rest), PIECE):
            some = rest[start : start + PIECE]
            for r, column in enumerate(scores.picks(some, arm[some]).T):
                used[r] += register_of(column)
        return {
            "used": used,
            "worth": register_of(chunk.value[rest, arm[rest]].astype(np.float64)),
            "spent": register_of(chunk.cost[rest, arm[rest]].astype(np.float64)),
            "control": register_of(chunk.value[rest, 0].astype(np.float64)),
        } | packed_chunk(chunk, np.flatnonzero(chosen))


def bins_of(margin: Floats, scale: float) -> NDArray[np.int64]:
    """The number of each margin's bin."""
    with np.errstate(divide="ignore", invalid="ignore"):
        place = np.floor(4 * (np.log2(margin / scale) + FIRST))
    place = np.nan_to_num(place, nan=0.0, neginf=0.0, posinf=BINS - 1)
    return np.asarray(np.clip(place, 0, BINS - 1).astype(np.int64))


def hashed(place: NDArray[np.int64]) -> Floats:
    """A number in [0, 1) for each place, the same whoever asks (SplitMix64; Steele, Lea & Flood 2014)."""
    z = place.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return np.asarray((z >> np.uint64(11)).astype(np.float64) / 2.0**53)


@njit(nogil=True, cache=True)
def _count(changed: Any, rows: Any, bins: Any, found: Any) -> None:
    group, arm, second, member, arms, by_number = changed
    for i in range(len(group)):
        for r in range(len(rows)):
            if touches(arm[i], second[i], member[group[i], r], arms[r], by_number[r]):
                found[rows[r], bins[i]] += 1


@njit(nogil=True, cache=True)
def _take(changed: Any, last: Any, share: Any, bins: Any, chance: Any, chosen: Any) -> None:
    group, arm, second, member, arms, by_number = changed
    for i in range(len(group)):
        for r in range(len(last)):
            near = bins[i] < last[r] or (bins[i] == last[r] and chance[i] < share[r])
            if near and touches(arm[i], second[i], member[group[i], r], arms[r], by_number[r]):
                chosen[i] = True
