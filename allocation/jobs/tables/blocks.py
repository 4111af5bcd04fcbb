"""Block: some consecutive users of a table that is never in memory as a whole; Source: whatever hands out blocks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Table = NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class Block:
    """The users [first, first + r) of a source, or those of them who are still to be served.

    Attributes
    ----------
    first : place of the block's first user among all users of the source, counted from 0.
    user_id : (r,) int64, uint64 or text, without nulls; a null array where ids were not asked for.
    value : (r, K+1) float32 or float64, C-contiguous, finite, in value units; column 0 is control.
    cost : (r, K+1) likewise, in money.
    eligible : (r, K+1), or None where every user may get every arm.
    resources : consumption by name, (r, K+1) each, in units of the resource.
    attributes : further columns of the users by name, (r,) each; dictionaries are decoded.
    place : (r,) each row's place, rising; None for first, first + 1, ...
    """

    first: int
    user_id: pa.Array
    value: Table
    cost: Table
    eligible: NDArray[np.bool_] | None = None
    resources: Mapping[str, Table] = field(default_factory=dict)
    attributes: Mapping[str, pa.Array] = field(default_factory=dict)
    place: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.value)

    @property
    def places(self) -> NDArray[np.int64]:
        """Each row's place among all users of the source, (r,), rising."""
        if self.place is not None:
            return self.place
        return np.arange(self.first, self.first + len(self), dtype=np.int64)

    def keep(self, rows: NDArray[np.bool_]) -> Block:
        """The block with the rows where `rows` (r,) is true; their places stay."""
        mask = pa.array(rows)
        return Block(
            self.first,
            self.user_id.filter(mask),
            self.value[rows],
            self.cost[rows],
            None if self.eligible is None else self.eligible[rows],
            {name: table[rows] for name, table in self.resources.items()},
            {name: column.filter(mask) for name, column in self.attributes.items()},
            self.places[rows],
        )

    def rows(self, first: int, end: int) -> Block:
        """Its rows [first, end), counted within the block, without a copy."""
        if (first, end) == (0, len(self)):
            return self
        at = slice(first, end)
        return Block(
            self.first + first if self.place is None else self.first,
            self.user_id[at],
            self.value[at],
            self.cost[at],
            None if self.eligible is None else self.eligible[at],
            {name: table[at] for name, table in self.resources.items()},
            {name: column[at] for name, column in self.attributes.items()},
            None if self.place is None else self.place[at],
        )


def join(one: Block, other: Block) -> Block:
    """The users of one block and of the next of the same source, all of them there."""
    if not len(one):
        return other
    return Block(
        one.first,
        pa.concat_arrays([one.user_id, other.user_id]),
        np.concatenate([one.value, other.value]),
        np.concatenate([one.cost, other.cost]),
        None if one.eligible is None or other.eligible is None else np.concatenate([one.eligible, other.eligible]),
        {name: np.concatenate([table, other.resources[name]]) for name, table in one.resources.items()},
        {name: pa.concat_arrays([column, other.attributes[name]]) for name, column in one.attributes.items()},
    )


class Source(Protocol):
    """Anything that users' responses come from; it can be pickled, and opens its files where it is used."""

    @property
    def n(self) -> int:
        """How many users there are."""
        ...

    @property
    def arms(self) -> tuple[str, ...]:
        """The names of the K+1 arms, control first."""
        ...

    def block(self, first: int, end: int) -> Block:
        """The users [first, end), 0 <= first < end <= n."""
        ...

    def stream(self, size: int) -> Iterator[Block]:
        """The blocks [0, size), [size, 2 size), ... in order, the next read meanwhile."""
        ...

    def fingerprint(self) -> dict[str, Any]:
        """What was read, as JSON: rows, and of each file its name, size and checksum."""
        ...


class FiledSource(Source, Protocol):
    """A source that reads files: its ids can be read alone, and a place be said in the words of files."""

    @property
    def id_type(self) -> pa.DataType | None:
        """int64, uint64 or text; None where ids are not read."""
        ...

    def ids(self, size: int) -> Iterator[pa.Array]:
        """The user ids alone, in order, in arrays of `size` users, the last one shorter."""
        ...

    def place(self, position: int) -> str:
        """Which row of which file the user at a place is, for messages."""
        ...

    def start_fingerprint(self) -> object:
        """Begin to read what `fingerprint` will tell, in a thread."""
        ...
