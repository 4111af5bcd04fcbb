"""Which rows it touches when a user changes between the best and the second arm, and users chosen by that."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from allocation.engine.rows import Floats, Ints
from allocation.engine.scores import USERS, Scores, Survey


def weighted_sample(scores: Scores, survey: Survey, users: Ints, quota: int) -> tuple[Ints, Floats]:
    """Some of the users and each one's chance: quota over the number of those who touch the rarest of its rows.

    So about `quota` users or more touch each row, if there are as many. Who touches no row has no chance; the
    choice is systematic, without random numbers.
    """
    count = np.zeros(len(scores.rows), dtype=np.int64)
    rarest = np.zeros(len(users))
    for counted in (False, True):
        for k, one in enumerate(scores.groupings):
            _count(changes(scores, survey, users, k), one.rows, count, counted, rarest)
    chance = np.minimum(1.0, quota * rarest)
    taken = np.diff(np.floor(np.cumsum(chance) + 0.5), prepend=0) > 0
    return users[taken], chance[taken]


def first_of_each(scores: Scores, survey: Survey, users: Ints, quota: Ints) -> Ints:
    """Those of the users, in their order, who are among the first quota (m,) to touch some row."""
    chosen = np.zeros(len(users), dtype=np.bool_)
    for k, one in enumerate(scores.groupings):
        _take(changes(scores, survey, users, k), quota[one.rows], chosen)
    return users[chosen]


def changes(scores: Scores, survey: Survey, users: Ints, k: int) -> tuple[NDArray[Any], ...]:
    """Of each user (group, best arm, second arm), and of one grouping's rows (member, arms, whether of numbers)."""
    one = scores.groupings[k]
    by_number = scores.measure[one.rows] == USERS
    return (one.group[users], survey.arm[users], survey.second[users], one.member, scores.arms[one.rows], by_number)


@njit(nogil=True, cache=True)
def touches(a: int, b: int, inside: float, arms: Any, by_number: bool) -> bool:
    """A change between two arms touches a row of numbers if one of them counts, a row of amounts if any does."""
    if inside == 0:
        return False
    return bool(arms[a] != arms[b]) if by_number else bool(arms[a] + arms[b] > 0)


@njit(nogil=True, cache=True)
def _count(changes: Any, rows: Any, count: Any, counted: bool, rarest: Any) -> None:
    """How many touch each row; once that is counted, for each user 1 over the number of the rarest."""
    group, arm, second, member, arms, by_number = changes
    for i in range(len(group)):
        for r in range(len(rows)):
            if touches(arm[i], second[i], member[group[i], r], arms[r], by_number[r]):
                if counted:
                    rarest[i] = max(rarest[i], 1 / count[rows[r]])
                else:
                    count[rows[r]] += 1


@njit(nogil=True, cache=True)
def _take(changes: Any, quota: Any, chosen: Any) -> None:
    group, arm, second, member, arms, by_number = changes
    left = quota.copy()
    for i in range(len(group)):
        for r in range(len(left)):
            if left[r] > 0 and touches(arm[i], second[i], member[group[i], r], arms[r], by_number[r]):
                left[r] -= 1
                chosen[i] = True
