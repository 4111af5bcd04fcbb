"""Whether every user stands once: free where ids rise, else exact in bounded memory, by sorted keys of 64 bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numba import njit
from numpy.typing import NDArray

from allocation.jobs.tables.blocks import FiledSource
from uplift.errors import InputError

BLOCK = 1 << 20
KEYS = 1 << 24  # keys in memory at a time: 128 MB, sorted in place; the ids are read once for each so many users
SUSPECTS = 1 << 20


class Rising:
    """Whether whole-number ids that are seen block after block have risen strictly, so that none stands twice."""

    def __init__(self) -> None:
        self.holds = True
        self._last: int | None = None

    def see(self, ids: pa.Array) -> bool:
        """Take in the next ids; whether all so far rise."""
        if not self.holds or not len(ids):
            return self.holds
        if not pa.types.is_integer(ids.type):
            self.holds = False
            return False
        numbers = ids.to_numpy()
        first = int(numbers[0])
        self.holds = (self._last is None or first > self._last) and bool((numbers[1:] > numbers[:-1]).all())
        self._last = int(numbers[-1])
        return self.holds


def check_unique_ids(source: FiledSource) -> None:
    """Raise InputError if an id stands more than once, with the id and two of its places.

    Ids that rise are read once and need no memory. Else each id has a key of 64 bits, the same for the same id; keys
    are taken in ranges of about `KEYS`, each range sorted, and the ids of equal keys compared as they are, so that
    the answer is exact. It reads the ids 1 + n / KEYS times, and once more where keys are equal.
    """
    rising = Rising()
    if all(rising.see(ids) for ids in source.ids(BLOCK)):
        return
    ranges = -(-source.n // KEYS)
    for k in range(ranges):
        suspects = _equal_keys(source, k, ranges)
        for at in range(0, len(suspects), SUSPECTS):
            _compare(source, suspects[at : at + SUSPECTS])


def keys_of(ids: pa.Array) -> NDArray[np.uint64]:
    """A key of each id, (r,): one to one for whole numbers, a hash of 64 bits for text."""
    keys = np.empty(len(ids), dtype=np.uint64)
    if pa.types.is_integer(ids.type):
        _mix_numbers(ids.to_numpy().view(np.uint64), keys)
    elif len(ids):
        letters, offsets = bytes_of(ids)
        _mix_texts(letters, offsets, keys)
    return keys


def bytes_of(ids: pa.Array) -> tuple[NDArray[Any], ...]:
    """What ids are, (r,): whole numbers of 64 bits alone, or the letters of texts and where each begins and ends."""
    if pa.types.is_integer(ids.type):
        return (ids.to_numpy(),)
    if not len(ids):
        return np.empty(0, dtype=np.uint8), np.zeros(1, dtype=np.int32)
    _, ends, text = ids.buffers()
    offsets = np.frombuffer(ends, dtype=np.int32)[ids.offset : ids.offset + len(ids) + 1]
    letters = np.frombuffer(text, dtype=np.uint8) if text is not None else np.empty(0, dtype=np.uint8)
    return letters[offsets[0] : offsets[-1]], offsets - offsets[0]


def _equal_keys(source: FiledSource, k: int, ranges: int) -> NDArray[np.uint64]:
    """The keys of range k of so many that more than one user has, sorted."""
    found, have = np.empty(source.n // ranges + BLOCK, dtype=np.uint64), 0
    low, high = (k << 64) // ranges, ((k + 1) << 64) // ranges - 1
    for ids in source.ids(BLOCK):
        keys = keys_of(ids)
        if ranges > 1:
            keys = keys[(keys >= np.uint64(low)) & (keys <= np.uint64(high))]
        if have + len(keys) > len(found):
            found = np.concatenate([found[:have], np.empty(len(found), dtype=np.uint64)])
        found[have : have + len(keys)] = keys
        have += len(keys)
    keys = found[:have]
    keys.sort()
    return np.unique(keys[1:][keys[1:] == keys[:-1]])


def _compare(source: FiledSource, suspects: NDArray[np.uint64]) -> None:
    """Raise InputError if two users whose keys are among the suspects (sorted) have the same id."""
    first: dict[Any, int] = {}
    position = 0
    for ids in source.ids(BLOCK):
        keys = keys_of(ids)
        at = np.minimum(np.searchsorted(suspects, keys), len(suspects) - 1)
        rows = np.flatnonzero(suspects[at] == keys)
        for row, user in zip(rows.tolist(), pc.take(ids, pa.array(rows)).to_pylist(), strict=True):
            if user in first:
                raise InputError(
                    f"user_id {user!r} stands more than once: {source.place(first[user])}, and "
                    f"{source.place(position + row)} (rows counted from 0); one row a user is expected: drop the "
                    "repeats"
                )
            first[user] = position + row
        position += len(ids)


@njit(nogil=True, cache=True, inline="always")
def _mix(number: Any) -> Any:
    """A one-to-one scramble of 64 bits: the finaliser of MurmurHash3 (A. Appleby, public domain)."""
    number ^= number >> np.uint64(33)
    number *= np.uint64(0xFF51AFD7ED558CCD)
    number ^= number >> np.uint64(33)
    number *= np.uint64(0xC4CEB9FE1A85EC53)
    number ^= number >> np.uint64(33)
    return number


@njit(nogil=True, cache=True)
def _mix_numbers(numbers: Any, keys: Any) -> None:
    for i in range(len(numbers)):
        keys[i] = _mix(numbers[i])


@njit(nogil=True, cache=True)
def _mix_texts(letters: Any, offsets: Any, keys: Any) -> None:
    """FNV-1a of each text, scrambled."""
    for i in range(len(keys)):
        number = np.uint64(0xCBF29CE484222325)
        for k in range(offsets[i], offsets[i + 1]):
            number = (number ^ np.uint64(letters[k])) * np.uint64(0x100000001B3)
        keys[i] = _mix(number)
