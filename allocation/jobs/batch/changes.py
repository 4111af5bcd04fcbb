"""How a run's decisions differ from those that the folder holds: who would move from which arm to which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from allocation.jobs.batch.part_reading import batches, opened_part
from allocation.jobs.batch.parts import arm_codes
from allocation.jobs.batch.published import read_published
from allocation.jobs.batch.target import COMMAND
from allocation.jobs.folder import writer_of
from allocation.jobs.summary import MANIFEST
from allocation.jobs.tables.duplicates import keys_of
from uplift.errors import InputError

NOT_THERE = "(not there)"


@dataclass(frozen=True, eq=False)
class Previous:
    """The decisions of an earlier run: keys (s,) of its users, sorted, and their arms (s,), counted into `arms`."""

    arms: tuple[str, ...]
    keys: NDArray[np.uint64]
    arm: NDArray[np.signedinteger[Any]]

    def __len__(self) -> int:
        return len(self.keys)

    def of(self, ids: pa.Array) -> NDArray[np.int64]:
        """The arm that each user had, (r,); len(arms) for who was not there."""
        if not len(self):
            return np.full(len(ids), len(self.arms), dtype=np.int64)
        keys = keys_of(ids)
        at = np.minimum(np.searchsorted(self.keys, keys), len(self) - 1)
        return np.where(self.keys[at] == keys, self.arm[at], len(self.arms)).astype(np.int64)


@dataclass(frozen=True, eq=False)
class Changes:
    """Users by the arm that they had (rows) and the one that they would get (columns), (B+1, K+2).

    The last row are users who were not there before, the last column those who are not there now. Users are told
    apart by a hash of 64 bits of their id where that is text.
    """

    before: tuple[str, ...]
    now: tuple[str, ...]
    users: NDArray[np.int64]

    @property
    def same(self) -> int:
        """Users who keep their arm."""
        return sum(int(self.users[i, j]) for i, j in self._kept())

    @property
    def moved(self) -> int:
        """Users who were there and get another arm."""
        return int(self.users[:-1, :-1].sum()) - self.same

    def biggest(self, most: int = 5) -> list[tuple[str, str, int]]:
        """The largest moves: from which arm, to which, how many users."""
        rows, columns = (*self.before, NOT_THERE), (*self.now, NOT_THERE)
        kept = self._kept()
        at = [(i, j) for i, j in np.argwhere(self.users).tolist() if (i, j) not in kept]
        moves = [(rows[i], columns[j], int(self.users[i, j])) for i, j in at]
        return sorted(moves, key=lambda flow: (-flow[2], flow[0], flow[1]))[:most]

    def _kept(self) -> set[tuple[int, int]]:
        """The cells of users who keep their arm; an arm may be called as those are who are not there."""
        return {(self.before.index(arm), j) for j, arm in enumerate(self.now) if arm in self.before}


def read_previous(folder: Path, id_type: pa.DataType) -> Previous | None:
    """The decisions in a folder; None where no run of `earmark decide` lies, or of other kinds of ids.

    Each part is held against the manifest before it is read. Memory grows with the users of the earlier run: 9 bytes
    a user (10 or 12 with very many arms), and about four times as much while they are sorted.

    Raises InputError for a run that is damaged, which names the file.
    """
    if writer_of(folder / MANIFEST) != COMMAND:
        return None
    try:
        place, published = read_published(folder)
        keys, arms = [], []
        for part in published.parts:
            with opened_part(place, part, published.run) as file:
                for table in batches(file, part, ["user_id", "arm"]):
                    if table.schema.field("user_id").type != id_type:
                        return None
                    keys.append(keys_of(table.column("user_id").combine_chunks()))
                    arms.append(arm_codes(table.column("arm"), published.arms).astype(_code(published.arms)))
    except InputError as error:
        raise InputError(
            f"the earlier decisions in {folder} cannot be read: {error}; run `earmark inspect {folder}`"
        ) from None
    all_keys = np.concatenate([np.empty(0, dtype=np.uint64), *keys])
    order = np.argsort(all_keys, kind="stable")
    return Previous(
        published.arms, all_keys[order], np.concatenate([np.empty(0, _code(published.arms)), *arms])[order]
    )


def _code(arms: Sequence[str]) -> type[np.signedinteger[Any]]:
    """The smallest whole numbers that count the arms."""
    return np.int8 if len(arms) <= 127 else np.int16 if len(arms) < 1 << 15 else np.int32


def changes_of(previous: Previous, arms: tuple[str, ...], moves: NDArray[np.int64]) -> Changes:
    """The changes from the summed moves of all blocks, (B+1, K+1)."""
    had = np.bincount(previous.arm, minlength=len(previous.arms))
    gone = np.append(had - moves[:-1].sum(axis=1), 0)
    return Changes(previous.arms, arms, np.column_stack([moves, gone]))


def moves_of(previous: Previous, ids: pa.Array, decision: NDArray[np.int64], arms: int) -> NDArray[np.int64]:
    """Users of a block by the arm that they had and the one that they get, (B+1, K+1)."""
    rows = len(previous.arms) + 1
    pairs = previous.of(ids) * arms + decision
    return np.bincount(pairs, minlength=rows * arms).reshape(rows, arms)
