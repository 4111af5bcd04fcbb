"""Seeds worked off side by side, in processes of one thread each."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from multiprocessing import get_context
from typing import TypeVar

Item, Found = TypeVar("Item"), TypeVar("Found")


def side_by_side(work: Callable[[Item], Found], items: Iterable[Item], processes: int = 2) -> Iterator[Found]:
    """Yield `work(item)` for each item, in their order; `work` is a function of a module, or a `partial` of one."""
    for name in ("OMP_NUM_THREADS", "EARMARK_THREADS"):
        os.environ[name] = "1"  # of the processes to come: threads of each would wait for those of the others
    with get_context("spawn").Pool(processes) as pool:
        yield from pool.imap(work, items)
