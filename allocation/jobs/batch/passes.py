"""A source and a plan's limits as chunks for the engine: which pass is run over which blocks, on this machine."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from allocation.engine import threads
from allocation.engine.stream.chunks import Arrays, Chunk, Chunks, Work, merged
from allocation.engine.tables import check_eligible
from allocation.jobs.plan import PlanLimit
from allocation.jobs.tables.blocks import Block, Source
from allocation.jobs.tables.duplicates import Rising
from allocation.jobs.tables.served import Served, unserved
from allocation.jobs.where import mask_of

Record = dict[str, Any]  # what the work on a block sends home, JSON
BlockWork = Callable[[int, Block, Chunk], Record]  # number of the block, its users, the same for the engine


class Passes(Chunks, Protocol):
    """Passes of the engine over a source, and one that sees the users' ids as well, to write their decisions."""

    @property
    def ids_rise(self) -> bool:
        """Whether a pass has seen that the ids rise, so that nobody stands twice; False where that is not known."""
        ...

    def blocks(self, work: BlockWork, what: str) -> list[Record]:
        """What the work returns for each block, in order."""
        ...


@dataclass(frozen=True, eq=False)
class Cut:
    """Makes the engine's chunks of a source's blocks: who is left to serve, and whom each limit is about.

    part_rows : places in a block; those of a source of n users are always cut alike. It can be pickled.
    """

    limits: tuple[PlanLimit, ...]
    part_rows: int
    served: Served | None = None

    def number(self, n: int) -> int:
        """How many blocks n users make."""
        return -(-n // self.part_rows)

    def left(self, block: Block) -> Block:
        """The users of the block who are to be decided for."""
        return block if self.served is None else unserved(block, self.served)

    def chunk(self, block: Block) -> Chunk:
        """The block as the engine takes it."""
        return Chunk(
            block.first,
            block.value,
            block.cost,
            None if block.eligible is None else check_eligible(block.eligible, block.value.shape),
            block.resources,
            self.masks(block),
            block.place,
        )

    def masks(self, block: Block) -> tuple[NDArray[np.bool_] | None, ...]:
        """The users of each limit; limits that ask for the same have the same array."""
        made: dict[str, NDArray[np.bool_] | None] = {}
        found = []
        for limit in self.limits:
            asked = repr(sorted(limit.where.items()))
            if asked not in made:
                made[asked] = mask_of(limit.where, block.attributes, len(block), f"limit {limit.name!r}")
            found.append(made[asked])
        return tuple(found)


@dataclass(frozen=True, eq=False)
class LocalPasses:
    """Passes on this machine, a block after the other, the next one read meanwhile.

    `progress(what, done, of)` hears of every pass as it goes, in users.
    """

    source: Source
    cut: Cut
    progress: Callable[[str, int, int], None]
    _rising: list[Rising] = field(default_factory=list)

    @property
    def ids_rise(self) -> bool:
        """See `Passes`; the first pass looks."""
        return bool(self._rising) and self._rising[0].holds

    @property
    def arms(self) -> int:
        """K+1."""
        return len(self.source.arms)

    @property
    def places(self) -> int:
        """How many users the source has, served or not."""
        return self.source.n

    def each(self, work: Work, what: str) -> list[Arrays]:
        """See `Chunks`."""
        return [work(self.cut.chunk(block)) for _, block in self._stream(what)]

    def tree(self, work: Work, merge: Callable[[Arrays, Arrays], Arrays], what: str) -> Arrays | None:
        """See `Chunks`."""
        return merged((work(self.cut.chunk(block)) for _, block in self._stream(what)), merge)

    def blocks(self, work: BlockWork, what: str) -> list[Record]:
        """See `Passes`. One block is decided while the one before is written."""
        found: list[Record] = []
        running: deque[Future[Record]] = deque()
        with ThreadPoolExecutor(2, thread_name_prefix="earmark-block") as pool:
            for k, block in self._stream(what):
                if len(running) == 2:
                    found.append(running.popleft().result())
                running.append(pool.submit(self._worked, work, k, block))
                del block
            return found + [one.result() for one in running]

    def _worked(self, work: BlockWork, k: int, block: Block) -> Record:
        return work(k, block, self.cut.chunk(block))

    def _stream(self, what: str) -> Iterator[tuple[int, Block]]:
        size, n = self.cut.part_rows, self.source.n
        threads.ready()  # before any thread of ours is there
        self.progress(what, 0, n)
        rising = None if self._rising else Rising()
        for k, block in enumerate(self.source.stream(size)):
            if rising is not None:
                rising.see(block.user_id)
            left = self.cut.left(block)
            del block
            yield k, left
            self.progress(what, min((k + 1) * size, n), n)
        if rising is not None:
            self._rising.append(rising)
