"""Problems in chunks for the tests: decisions put together, chunks in any order of work, users left out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from allocation import Problem
from allocation.engine.stream.chunks import Arrays, Chunk, Work, merged
from allocation.engine.stream.solved import Solved
from allocation.engine.stream.terms import Terms


def decided(solved: Solved, chunks: Any) -> np.ndarray:
    """The arms of all users of the chunks, in order."""
    arms = [solved.rule.decide(chunk) for chunk in chunks]
    return np.concatenate([np.empty(0, dtype=np.int64), *arms])


def margins_in_chunks(solved: Solved, chunks: Any) -> np.ndarray:
    """The margins of all users of the chunks, in order."""
    found = [solved.rule.margins(chunk, solved.rule.decide(chunk)) for chunk in chunks]
    return np.concatenate([np.empty(0), *found])


def terms_of_problem(problem: Problem) -> Terms:
    """The problem's budget and limits, their users left to the chunks' masks."""
    limits = tuple(replace(limit, users=None) for limit in problem.limits)
    return Terms(problem.budget, limits, int(problem.value.shape[1]), tuple(problem.resources))


@dataclass(frozen=True, eq=False)
class HeldChunks:
    """A problem in memory, cut into chunks of `size` users.

    Those where `there` (n,) is false are left out, as served users are, and keep their places.
    """

    problem: Problem
    size: int = 1 << 20
    there: np.ndarray | None = None

    @property
    def arms(self) -> int:
        """K+1."""
        return int(self.problem.value.shape[1])

    @property
    def places(self) -> int:
        """n, those left out among them."""
        return self.problem.n_users

    def each(self, work: Work, what: str = "") -> list[Arrays]:
        """See `Chunks`."""
        return [work(chunk) for chunk in self]

    def tree(self, work: Work, merge: Callable[[Arrays, Arrays], Arrays], what: str = "") -> Arrays | None:
        """See `Chunks`."""
        return merged((work(chunk) for chunk in self), merge)

    def __iter__(self) -> Any:
        problem = self.problem
        for first in range(0, problem.n_users, self.size):
            part: Any = slice(first, first + self.size)
            at = None
            if self.there is not None:
                part = at = first + np.flatnonzero(self.there[part])
            yield Chunk(
                first,
                problem.value[part],
                problem.cost[part],
                None if problem.eligible is None else problem.eligible[part],
                {name: table[part] for name, table in problem.resources.items()},
                tuple(limit.users[part] if isinstance(limit.users, np.ndarray) else None for limit in problem.limits),
                at,
            )


@dataclass(frozen=True, eq=False)
class ShuffledChunks:
    """The same chunks, each pass worked on in another random order; what comes back is in order all the same."""

    chunks: HeldChunks
    rng: np.random.Generator

    @property
    def arms(self) -> int:
        """K+1."""
        return self.chunks.arms

    @property
    def places(self) -> int:
        """n."""
        return self.chunks.places

    def each(self, work: Work, what: str = "") -> list[Arrays]:
        """See `Chunks`."""
        parts = list(self.chunks)
        found = {k: work(parts[k]) for k in self.rng.permutation(len(parts)).tolist()}
        return [found[k] for k in range(len(parts))]

    def tree(self, work: Work, merge: Callable[[Arrays, Arrays], Arrays], what: str = "") -> Arrays | None:
        """See `Chunks`."""
        return merged(self.each(work, what), merge)


def without(problem: Problem, there: np.ndarray) -> Problem:
    """The problem of those users alone."""
    limits = [replace(limit, users=None if limit.users is None else limit.users[there]) for limit in problem.limits]
    return Problem(
        problem.value[there],
        problem.cost[there],
        problem.budget,
        None if problem.eligible is None else problem.eligible[there],
        limits,
        {name: table[there] for name, table in problem.resources.items()},
    )
