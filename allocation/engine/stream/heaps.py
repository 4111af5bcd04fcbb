"""The frontier of users in chunks, in one pass: all their hull steps, heaped by return."""

from __future__ import annotations

import numpy as np

from allocation.engine.bins import Heap, add_heaps, heap_steps, no_steps
from allocation.engine.money import carried
from allocation.engine.stream.chunks import Arrays, Chunk, Chunks

DIGITS = 9  # 512 bins for each doubling of the return
KNOTS = 8_000


def heap_of_chunks(chunks: Chunks) -> Heap:
    """All steps of all users, heaped in one pass."""
    found = chunks.tree(heap_of_chunk, heaps_added, "frontier")
    return no_steps(chunks.arms, DIGITS) if found is None else heap_of(found)


def heap_of_chunk(chunk: Chunk) -> Arrays:
    """The heap of a chunk as arrays."""
    found = _arrays(heap_steps(chunk.tables, DIGITS))
    return found | {"start": np.array([carried(register) for register in found["start"]])}


def heaps_added(one: Arrays, other: Arrays) -> Arrays:
    """The heap of both."""
    return _arrays(add_heaps([heap_of(one), heap_of(other)], DIGITS))


def heap_of(arrays: Arrays) -> Heap:
    """The heap that such arrays are of."""
    return Heap(DIGITS, **arrays)


def _arrays(heap: Heap) -> Arrays:
    return {name: array for name, array in vars(heap).items() if name != "digits"}
