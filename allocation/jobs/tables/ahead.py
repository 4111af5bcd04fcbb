"""One step ahead: the next item of an iterator is made in a thread while this one is used."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")


def one_ahead(items: Iterator[Item]) -> Iterator[Item]:
    """The same items in the same order; at most one waits, so that at most two are there at a time.

    What the iterator raises is raised here, in its turn. Whoever leaves early waits for the item that is being made.
    """
    pool = ThreadPoolExecutor(1, thread_name_prefix="ahead")
    try:
        coming = pool.submit(_next, items)
        while True:
            item = coming.result()
            if not item:
                return
            coming = pool.submit(_next, items)
            yield item.pop()
    finally:
        pool.shutdown(wait=True)


def _next(items: Iterator[Item]) -> list[Item]:
    """The next item alone in a list, or an empty list at the end."""
    for item in items:
        return [item]
    return []
