"""Policies that somebody else made: decisions or predictions from files, in the order of the log's users."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from allocation.engine.problem import Allocation
from uplift.campaign import Campaign
from uplift.errors import InputError, nearest
from uplift.files import read_table
from uplift.frames import labels, numbers, open_frame, user_ids
from uplift.response import Response


@dataclass(frozen=True, eq=False)
class Promised:
    """Decisions (n,) of arms of `arms_`, the same at every budget, with what each was said to be worth and to cost.

    `value` (n,) in value units and `cost` (n,) in money: what the file's maker expected of each user, NaN where the
    file does not say. Anything with `arms_` and `decide` can be evaluated.
    """

    arms_: tuple[str, ...]
    decision: NDArray[np.int64]
    value: NDArray[np.float64]
    cost: NDArray[np.float64]

    def decide(self, users: object, budget: float | None) -> Allocation:
        """The same decision whatever the budget, with its promised totals; `users` are those of the file."""
        return Allocation(self.decision, value=float(self.value.sum()), cost=float(self.cost.sum()))

    def take(self, rows: NDArray[np.int64]) -> Promised:
        """The decisions for the users of the given rows."""
        return Promised(self.arms_, self.decision[rows], self.value[rows], self.cost[rows])


# Decisions (n,), the same at every budget, with promises or without, or predictions to be solved at each.
Filed = NDArray[np.int64] | Promised | Response
EXPECTED = ("expected_value", "expected_cost")


def read_filed(
    decisions: Mapping[str, str], responses: Mapping[str, str], users: Campaign, own_numbers: bool = False
) -> dict[str, Filed]:
    """Every file as {name: decisions or predictions} for the users of the log, in their order.

    A decisions file has `user_id` and `arm`; a predictions file is a response table (`uplift.Response.write`). Users
    that the log does not have are left out; user ids and arms are compared by name, so that 7 and "7" are the same.
    `own_numbers` says that the log states no ids of its own, but had its rows numbered when it was read.

    Raises InputError for a file that cannot be read, a name given twice, a user of the log that the file lacks, and
    an arm that the log does not have or, in predictions, that the file does not have.
    """
    twice = next((name for name in decisions if name in responses), None)
    if twice is not None:
        raise InputError(f"--decisions and --responses both name {twice!r}; give each policy a name of its own")
    if own_numbers and (decisions or responses):
        raise InputError(
            "policies from files are matched with the log by user id, and the log names none; say which column holds "
            "them: --user-id COLUMN"
        )
    filed: dict[str, Filed] = {name: read_decisions(path, users) for name, path in decisions.items()}
    return filed | {name: read_response(path, users) for name, path in responses.items()}


def take(filed: Mapping[str, Filed], rows: NDArray[np.int64]) -> dict[str, Filed]:
    """The same policies for the users of the given rows."""
    return {name: one[rows] if isinstance(one, np.ndarray) else one.take(rows) for name, one in filed.items()}


def read_decisions(path: str, users: Campaign) -> NDArray[np.int64] | Promised:
    """The arm of every user of the log, (n,), from a table with `user_id` and `arm`.

    With `expected_value` and `expected_cost`, as `earmark demo` writes them, also what the decisions promise.
    """
    with _naming(path):
        frame = open_frame(read_table(path, ["user_id", "arm"]))
        rows = _rows(path, user_ids(frame, "user_id"), users)
        named = labels(frame, "arm", "arm")[rows]
        given = {name: numbers(frame, name, "promise")[rows] for name in EXPECTED if name in frame.columns}
    code = {arm: j for j, arm in enumerate(users.arms)}
    unknown = np.array([arm not in code for arm in named])
    if unknown.any():
        arm = named[int(np.argmax(unknown))]
        raise InputError(
            f"{path} gives arm {arm!r} ({int(unknown.sum()):,} of {len(named):,} users), which the log never gave: "
            f"nothing about it can be verified.{nearest(arm, users.arms)}"
        )
    decision = np.array([code[arm] for arm in named], dtype=np.int64)
    if not given:
        return decision
    value, cost = (given.get(name, np.full(len(users), np.nan)) for name in EXPECTED)
    return Promised(users.arms, decision, value, cost)


def read_response(path: str, users: Campaign) -> Response:
    """The predictions for every user of the log, arms in the log's order, from a response table."""
    with _naming(path):
        response = Response.read(path)
    if response.user_id is None:
        raise InputError(f"{path} has no user_id column, so its rows cannot be matched with the users of the log")
    for arm in response.arms:
        if arm not in users.arms:
            raise InputError(
                f"{path} predicts arm {arm!r}, which the log never gave: nothing about it can be verified; leave its "
                f"columns out.{nearest(arm, users.arms)}"
            )
    for arm in users.arms:
        if arm not in response.arms:
            raise InputError(
                f"{path} has no value.{arm} column; predictions for every arm of the log are expected: "
                f"{', '.join(users.arms)}"
            )
    rows = _rows(path, response.user_id, users)
    columns = [response.arms.index(arm) for arm in users.arms]
    return Response(response.value[rows][:, columns], response.cost[rows][:, columns], users.arms)


@contextmanager
def _naming(path: str) -> Iterator[None]:
    """Put the file's name before a message that lacks it."""
    try:
        yield
    except InputError as error:
        if str(path) in str(error):
            raise
        raise InputError(f"{path}: {error}") from None


def _rows(path: str, ids: NDArray[Any], users: Campaign) -> NDArray[np.int64]:
    """The file's row of every user of the log."""
    row = {str(user): k for k, user in enumerate(ids.tolist())}
    wanted = [str(user) for user in users.user_id.tolist()]
    missing = [user for user in wanted if user not in row]
    if missing:
        raise InputError(
            f"{path} lacks {len(missing):,} of the {len(wanted):,} users of the log, such as user_id {missing[0]!r}; "
            "every user verified on is expected in it: write them too, or give the log of the file's users alone"
        )
    return np.array([row[user] for user in wanted], dtype=np.int64)
