"""Whether each user stands once among any number of users, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numba import njit
from numpy.typing import NDArray

KEYS = 1 << 25  # that are held at once, 8 bytes each
SUSPECTS = 100_000  # keys that are looked at by name at once


def repeated(ids: Callable[[], Iterable[pa.Array]], n: int, keys: int = KEYS) -> list[Any]:
    """Some of the ids that stand more than once, none where each stands once.

    `ids()` begins a pass over the n ids, whole numbers or text, all of one type, without nulls, in arrays. Ids that
    rise are done in one pass. Otherwise each pass sorts those of a range of 64-bit keys, ceil(n / keys) passes in
    all: a number is its own key, and texts of the same key are compared as they are. Holds 16 bytes a key at most.
    """
    if _rising(ids()):
        return []
    passes = -(-n // keys)
    for turn in range(passes):
        own = np.sort(np.concatenate([np.empty(0, np.uint64), *_of_turn(ids(), turn, passes)]))
        suspects = np.unique(own[1:][own[1:] == own[:-1]])
        for first in range(0, len(suspects), SUSPECTS):
            found = _same(ids(), suspects[first : first + SUSPECTS])
            if found:
                return found
    return []


def _rising(arrays: Iterable[pa.Array]) -> bool:
    last = None
    for array in arrays:
        if not len(array):
            continue
        if last is not None and not last < array[0].as_py():
            return False
        if pc.all(pc.less(array[:-1], array[1:])).as_py() not in (True, None):
            return False
        last = array[-1].as_py()
    return True


def _of_turn(arrays: Iterable[pa.Array], turn: int, passes: int) -> Iterator[NDArray[np.uint64]]:
    for array in arrays:
        key = keys_of(array)
        yield key if passes == 1 else key[(key >> np.uint64(32)) % np.uint64(passes) == np.uint64(turn)]


def _same(arrays: Iterable[pa.Array], suspects: NDArray[np.uint64]) -> list[Any]:
    """The ids among those of some keys that stand more than once."""
    seen: set[Any] = set()
    found: list[Any] = []
    for array in arrays:
        for name in array.filter(pa.array(np.isin(keys_of(array), suspects))).to_pylist():
            if name in seen and len(found) < 3 and name not in found:
                found.append(name)
            seen.add(name)
        if len(found) == 3:
            break
    return found


def keys_of(array: pa.Array) -> NDArray[np.uint64]:
    """64 bits an id (r,), spread over their range: the same for the same id, other ones for other numbers."""
    if pa.types.is_integer(array.type):
        numbers = array.to_numpy(zero_copy_only=False).astype(np.int64, copy=False).view(np.uint64)
        keys: NDArray[np.uint64] = _spread(numbers)
        return keys
    array = array.cast(pa.large_string())
    _, ends, text = array.buffers()
    bounds = np.frombuffer(ends, np.int64, len(array) + 1, array.offset * 8)
    keys = _hash(np.frombuffer(text or b"", np.uint8), bounds)
    return keys


@njit(nogil=True, cache=True, inline="always")
def _mix(key: Any) -> Any:
    """One to one on 64 bits: the finaliser of MurmurHash3 (A. Appleby), as in SplitMix64."""
    key = (key ^ (key >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    key = (key ^ (key >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return key ^ (key >> np.uint64(31))


@njit(nogil=True, cache=True)
def _spread(numbers: Any) -> Any:
    keys = np.empty(len(numbers), np.uint64)
    for i in range(len(numbers)):
        keys[i] = _mix(numbers[i])
    return keys


@njit(nogil=True, cache=True)
def _hash(text: Any, bounds: Any) -> Any:
    """FNV-1a of each text's bytes, spread."""
    keys = np.empty(len(bounds) - 1, np.uint64)
    for i in range(len(keys)):
        key = np.uint64(0xCBF29CE484222325)
        for at in range(bounds[i], bounds[i + 1]):
            key = (key ^ np.uint64(text[at])) * np.uint64(0x100000001B3)
        keys[i] = _mix(key)
    return keys
