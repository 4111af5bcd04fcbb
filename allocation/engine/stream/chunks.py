"""Users who come in chunks (Chunk), and where the chunks come from (Chunks)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from allocation.engine.tables import Table, Tables

Arrays = dict[str, NDArray[Any]]  # what a pass over one chunk sends home
Work = Callable[["Chunk"], Arrays]
Part = TypeVar("Part")


@dataclass(frozen=True, eq=False)
class Chunk:
    """Some users, in the order of their places, and all that deciding for them needs.

    Attributes
    ----------
    first : the place of the first user among all. place : (r,) rising places, None for first, first + 1, ...
    value, cost : (r, K+1) value units and money; eligible : (r, K+1) booleans with at least one arm each, or None.
    resources : tables (r, K+1) by name. masks : for each limit the users it is about, (r,) booleans, or None.
    """

    first: int
    value: Table
    cost: Table
    eligible: NDArray[np.bool_] | None = None
    resources: Mapping[str, Table] = field(default_factory=dict)
    masks: tuple[NDArray[np.bool_] | None, ...] = ()
    place: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.value)

    @property
    def tables(self) -> Tables:
        """Value, cost and who is eligible."""
        return Tables(self.value, self.cost, self.eligible)

    def places(self, rows: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
        """The places of all users of the chunk, or of some of its rows."""
        if self.place is None:
            return self.first + (np.arange(len(self)) if rows is None else rows)
        return self.place if rows is None else self.place[rows]


class Chunks(Protocol):
    """All users in chunks, in rising order of their places; the cuts are always the same.

    A pass gives `work` every chunk once. What comes back does not depend on how many chunks are worked on at a time.
    """

    @property
    def arms(self) -> int:
        """K+1."""
        ...

    @property
    def places(self) -> int:
        """How far the users' places go."""
        ...

    def each(self, work: Work, what: str) -> list[Arrays]:
        """What the work finds in each chunk, in order; `what` says what the pass is for, to whoever watches."""
        ...

    def tree(self, work: Work, merge: Callable[[Arrays, Arrays], Arrays], what: str) -> Arrays | None:
        """What the work finds in all chunks, merged as `merged` does; None where there is no chunk."""
        ...


def merged(parts: Iterable[Part], merge: Callable[[Part, Part], Part]) -> Part | None:
    """The parts merged in a binary tree that depends on their number alone; None of none.

    The parts of 2^k consecutive leaves that start at a multiple of 2^k form a subtree: whoever merges these first,
    and then the results, gets the same to the last digit.
    """
    stack: list[tuple[int, Part]] = []
    for part in parts:
        level = 0
        while stack and stack[-1][0] == level:
            part, level = merge(stack.pop()[1], part), level + 1
        stack.append((level, part))
    if not stack:
        return None
    whole = stack.pop()[1]
    while stack:
        whole = merge(stack.pop()[1], whole)
    return whole
