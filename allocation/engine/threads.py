"""Runs a kernel over pieces of the users on every core; pieces are fixed, so results never depend on the cores."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from threading import Lock
from typing import TypeVar

from numba import njit

PIECE = 1 << 16  # users a piece, at most
PIECES = 12  # at least, down to
SMALL = 1 << 14  # users a piece: less is not worth a thread

Piece = TypeVar("Piece")
Result = TypeVar("Result")


def pieces(n: int, size: int | None = None) -> list[tuple[int, int]]:
    """Where n users are cut: (first, end) of each piece, in order. It depends on n alone."""
    size = min(PIECE, max(SMALL, -(-n // PIECES))) if size is None else size
    return [(first, min(first + size, n)) for first in range(0, n, size)]


def run(work: Callable[[Piece], Result], over: Iterable[Piece]) -> list[Result]:
    """The results of `work` for each piece, in the order of the pieces; a single piece runs at once, here."""
    todo = list(over)
    ready()
    if len(todo) < 2 or cores() == 1:
        return [work(piece) for piece in todo]
    return list(_pool(os.getpid(), cores()).map(work, todo))


def ready() -> None:
    """Load what compiled loops run on, half a second, once in a process; call it before threads of one's own.

    The first call of any loop registers the types that numba knows, which a first call in another thread may just be
    looking through: "dictionary changed size during iteration".
    """
    with _loading:
        if not _loaded:
            _touch()
            _loaded.append(True)


_loading, _loaded = Lock(), list[bool]()


@njit(cache=True)
def _touch() -> int:
    return 0


def cores() -> int:
    """Cores that this process may use; EARMARK_THREADS in the environment overrules it."""
    wished = os.environ.get("EARMARK_THREADS", "")
    if wished.isdecimal() and int(wished) > 0:
        return int(wished)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def _pool(process: int, threads: int) -> ThreadPoolExecutor:
    """One pool a process: a forked child has none of its parent's threads."""
    return ThreadPoolExecutor(threads, thread_name_prefix="earmark")
