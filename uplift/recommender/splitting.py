"""Splits of a log into what trains, what chooses among models, and what judges the chosen one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from uplift.errors import InputError
from uplift.recommender.histories import Histories
from uplift.recommender.interactions import Interactions
from uplift.words import counted, wrapped


@dataclass(frozen=True, eq=False)
class Queries:
    """What is asked of a recommender: histories, and the item that really came next.

    Attributes
    ----------
    user : (q,) int64, the row of each query's user in the log, rising.
    histories : q histories, none empty.
    target : (q,) int32, the code of the next item, which may stand in the history too.
    """

    user: NDArray[np.int64]
    histories: Histories
    target: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.user)

    def __repr__(self) -> str:
        return f"Queries({len(self):,})"

    def take(self, rows: ArrayLike) -> Queries:
        """The queries of the given rows (indices or booleans), in their order."""
        picked = np.asarray(rows)
        picked = picked if picked.size else picked.astype(np.int64)
        return Queries(self.user[picked], self.histories.take(picked), self.target[picked])


@dataclass(frozen=True, eq=False)
class Split:
    """A log cut into training events, validation queries and test queries.

    Attributes
    ----------
    train : the training events of every user of the log, (U,); may be empty for some.
    validation, test : what to choose by, and what to report; `Queries.user` are rows of `train`.
    n_items : items of the whole log, V. An item that only queries have is still to be ranked.
    notes : which users have no query, and why.
    """

    train: Histories
    validation: Queries
    test: Queries
    n_items: int
    notes: tuple[str, ...]

    @property
    def activeness(self) -> NDArray[np.int64]:
        """Training events of each user, (U,); queries do not count."""
        return self.train.counts

    def __str__(self) -> str:
        trained = len(np.unique(self.train.items))
        lines = [
            f"{counted(len(self.train), 'user')}, {counted(self.n_items, 'item')}",
            f"training events     {len(self.train.items):>11,} of {counted(trained, 'item')}",
            f"validation queries  {len(self.validation):>11,}",
            f"test queries        {len(self.test):>11,}",
        ]
        return "\n".join([*lines, *(wrapped(note) for note in self.notes)])

    def __repr__(self) -> str:
        return str(self)


def leave_last_out(log: Interactions) -> Split:
    """Each user's last event is its test query, the one before its validation query, the rest trains.

    Of a user with c >= 3 events the test history is the first c - 1, the validation history the first c - 2, which
    are also its training events. A user with fewer has all of them in training, and no query. Events that tie in
    time are in the order of the rows, which then decides which is last.

    Misleads as a forecast: another user's training event may be later than this user's test event. `split_by_time`
    has no such leak. Raises InputError for anything but `Interactions`.
    """
    _check_log(log)
    asked = np.flatnonzero(log.counts >= 3)
    short = log.n_users - len(asked)
    held_out = np.where(log.counts >= 3, 2, 0)
    left_out = f"Without a query: {counted(short, 'user')} with fewer than 3 events, all of them in training."
    return Split(
        train=log.histories.first(log.counts - held_out),
        validation=_queries(log.histories, asked, log.counts - 2),
        test=_queries(log.histories, asked, log.counts - 1),
        n_items=log.n_items,
        notes=(left_out,) if short else (),
    )


def split_by_time(log: Interactions, validation_from: Any, test_from: Any) -> Split:
    """Events before `validation_from` train; queries are what users did first in each of the two later periods.

    The validation query of a user is its first event in [validation_from, test_from), after all its events before
    that; the test query is its first event from `test_from` on, after all its events before that, those of the
    validation period among them. A query needs an event before it, so who comes new in a period has none there; a
    test query may do without training events. Later events of a period are no queries.

    `validation_from` and `test_from` are in the kind of `log.order`: numbers, or dates (a datetime, a numpy
    datetime64, a text such as "2024-03-01"), in UTC where they state no time zone. Raises InputError for a log
    without order, for bounds of another kind or not rising, and for a period without any event.
    """
    _check_log(log)
    if log.order is None:
        raise InputError(
            "the log has no order, so it cannot be split by time; name its column, "
            "Interactions.from_frame(..., order='...'), or use leave_last_out"
        )
    first = _bound(validation_from, "validation_from", log.order)
    second = _bound(test_from, "test_from", log.order)
    if not first < second:
        raise InputError(f"validation_from, {first}, is not before test_from, {second}; give the earlier one first")
    before, earlier = log.order < first, log.order < second
    for name, events in (
        (f"before validation_from, {first}", before.sum()),
        (f"from validation_from, {first}, to test_from, {second}", (earlier & ~before).sum()),
        (f"from test_from, {second}, on", (~earlier).sum()),
    ):
        if not events:
            raise InputError(
                f"no event is {name}; the log runs from {log.order.min()} to {log.order.max()}: move the bounds"
            )
    owner = np.repeat(np.arange(log.n_users), log.counts)
    trained = np.bincount(owner[before], minlength=log.n_users)
    known = np.bincount(owner[earlier], minlength=log.n_users)
    parts, notes = [], []
    for name, prior, until in (("validation", trained, known), ("test", known, log.counts)):
        active = until > prior
        asked = active & (prior > 0)
        parts.append(_queries(log.histories, np.flatnonzero(asked), prior))
        why = (("without an event in the period", ~active), ("without an event before it", active & ~asked))
        left_out = [f"{counted(int(users.sum()), 'user')} {reason}" for reason, users in why if users.any()]
        if left_out:
            notes.append(f"Without a {name} query: {', '.join(left_out)}.")
    return Split(log.histories.first(trained), parts[0], parts[1], log.n_items, tuple(notes))


def _queries(whole: Histories, users: NDArray[np.int64], prior: NDArray[np.int64]) -> Queries:
    """Of each of these users the event that follows its first `prior` ones, (U,)."""
    known = prior[users]
    return Queries(users, whole.take(users).first(known), whole.items[whole.offsets[users] + known])


def _bound(bound: Any, name: str, order: NDArray[Any]) -> Any:
    """The bound in the kind of the order."""
    if order.dtype.kind != "M":
        number = isinstance(bound, int | float | np.number) and not isinstance(bound, bool)
        if not number or not abs(bound) < 2**63:
            raise InputError(f"{name} is {bound!r}; a number below 2^63 is expected, as the log's order is numbers")
        return bound
    try:
        if not isinstance(bound, str | date | np.datetime64):
            raise TypeError
        moment = pd.Timestamp(bound)
        if pd.isna(moment):
            raise ValueError
    except (TypeError, ValueError):
        raise InputError(
            f"{name} is {bound!r}; a date is expected, such as '2024-03-01', as the log's order is dates"
        ) from None
    return (moment if moment.tzinfo is None else moment.tz_convert("UTC").tz_localize(None)).to_datetime64()


def _check_log(log: object) -> None:
    if not isinstance(log, Interactions):
        raise InputError(
            f"log is a {type(log).__name__}; Interactions are expected: Interactions.from_frame(frame, user=..., "
            "item=..., order=...)"
        )
