"""Windows of histories as examples, and epochs in which every group sees all its data, a share in every step."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uplift.recommender.histories import Histories


@dataclass(frozen=True, eq=False)
class Windows:
    """Training histories cut so that none is too long: every event but a user's first is a target exactly once.

    Window k of a user holds events kL to (k + 1)L, both included: L inputs, each with the next event as its target.

    Attributes
    ----------
    histories : the windows, each of 2 to L + 1 events.
    user : (w,) int64, whose it is, a row of the training histories.
    """

    histories: Histories
    user: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.user)

    @property
    def targets(self) -> NDArray[np.int64]:
        """How many targets each window has, (w,)."""
        return np.asarray(self.histories.counts - 1)


def windows(train: Histories, length: int) -> Windows:
    """Cut histories into windows of at most `length` targets; who has fewer than two events has none."""
    targets = np.maximum(train.counts - 1, 0)
    pieces = -(-targets // length)
    user = np.repeat(np.arange(len(train)), pieces)
    k = np.arange(len(user)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    start = train.offsets[:-1][user] + k * length
    size = np.minimum(targets[user] - k * length, length) + 1
    offsets = np.concatenate([[0], np.cumsum(size)]).astype(np.int64)
    within = np.arange(offsets[-1]) - np.repeat(offsets[:-1], size)
    return Windows(Histories(train.items[np.repeat(start, size) + within], offsets), user)


@dataclass(frozen=True, eq=False)
class Examples:
    """What is trained on, by group: e windows or events of users in S groups.

    Attributes
    ----------
    group : (e,) int64 from 0 to S - 1, the group of each example.
    targets : (e,) int64, how many targets each has.
    users : (S,) int64, users in each group, also those without an example.
    """

    group: NDArray[np.int64]
    targets: NDArray[np.int64]
    users: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.group)


def examples(cut: Windows, group: NDArray[np.int64]) -> Examples:
    """The windows as examples, for users in the groups (U,)."""
    return Examples(np.asarray(group)[cut.user], cut.targets, np.bincount(group))


def n_steps(data: Examples, batch_size: int) -> int:
    """Steps of an epoch: ceil(e / batch_size), but no more than the largest group has examples."""
    return min(math.ceil(len(data) / batch_size), int(np.bincount(data.group, minlength=1).max()))


def epoch(data: Examples, batch_size: int, rng: np.random.Generator) -> Iterator[list[NDArray[np.int64]]]:
    """One pass over all examples: in each step a share of every group's, as row numbers; a share may be empty.

    There are `n_steps`, the same for all groups. A group's examples, in a new random order, are cut into as many
    nearly equal shares. A group of fewer examples than steps sits out some of them.
    """
    steps = n_steps(data, batch_size)
    shares = [np.array_split(rng.permutation(np.flatnonzero(data.group == z)), steps) for z in range(len(data.users))]
    # Else the groups that are one example short would all be so in the same, last steps.
    turn = [rng.permutation(steps) for _ in shares]
    for step in range(steps):
        yield [of_group[order[step]] for of_group, order in zip(shares, turn, strict=True)]
