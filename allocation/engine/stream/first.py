"""A first pass for one budget: some of the users, from whom two prices are guessed with the budget's between them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from allocation.engine.bracket import DRAWN, SMALL, around, bracket, steps_of
from allocation.engine.kernels import TOP
from allocation.engine.stream.chunks import Arrays, Chunk, Chunks
from allocation.engine.stream.look import Pool, packed, pooled
from allocation.engine.stream.sample import SAMPLING, places_of

MOST = 1 << 18  # users in the sample


@dataclass(frozen=True, eq=False)
class Draw:
    """The rows of a chunk's users whose places are picked (rising), and how many users there are."""

    picked: NDArray[np.int64]

    def __call__(self, chunk: Chunk) -> Arrays:
        first, end = _ends(chunk)
        mine = self.picked[slice(*np.searchsorted(self.picked, [first, end]))]
        if chunk.place is None:
            rows = mine - first
        else:  # some places are empty
            rows = np.searchsorted(chunk.place, mine)
            rows = rows[chunk.place[rows] == mine]
        return {"users": np.array([len(chunk)])} | packed(chunk.tables.of(rows), chunk.places(rows))


@dataclass(frozen=True, eq=False)
class First:
    """What the first pass tells.

    n : users. low, high : prices that probably hold the budget's between them. steps : how many steps of all users
    probably lie between these.
    """

    n: int
    low: float
    high: float
    steps: float


def first_look(chunks: Chunks, budget: float) -> First:
    """Draw one user at random of each of some stretches of places, and solve these for their share of the budget.

    Without a budget there is nothing to guess, and no pass.
    """
    if math.isinf(budget):
        return First(0, 0.0, 0.0, 0.0)
    places = chunks.places
    size = min(max(SMALL, int(DRAWN * places ** (2 / 3))), MOST)
    parts = chunks.each(Draw(places_of(places, size)), SAMPLING)
    n, pool = sum(int(part["users"][0]) for part in parts), pooled(parts, chunks.arms)
    if n <= SMALL or len(pool.place) == 0:
        return First(n, 0.0, TOP, float(n * chunks.arms))
    low, high = _prices(pool, budget / n * len(pool.place))
    between = steps_of(pool.users, np.arange(len(pool.place)), low, high)
    return First(n, low, high, len(between.step) * n / len(pool.place))


def _ends(chunk: Chunk) -> tuple[int, int]:
    """The place of a chunk's first user, and the one after its last's."""
    if chunk.place is None:
        return chunk.first, chunk.first + len(chunk)
    return (int(chunk.place[0]), int(chunk.place[-1]) + 1) if len(chunk) else (chunk.first, chunk.first)


def _prices(pool: Pool, target: float) -> tuple[float, float]:
    """Prices around that at which the sample spends its target, as far apart as a sample errs."""
    return around(pool.users, target, *bracket(pool.users, target))
