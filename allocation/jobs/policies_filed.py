"""Policies that somebody else made: decisions or predictions from files, in the order of the log's users."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uplift.campaign import Campaign
from uplift.errors import InputError, nearest
from uplift.files import read_table
from uplift.frames import labels, open_frame, user_ids
from uplift.response import Response

# Decisions (n,), the same at every budget, or predictions to be solved at each.
Filed = NDArray[np.int64] | Response


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
    return {name: one.take(rows) if isinstance(one, Response) else one[rows] for name, one in filed.items()}


def read_decisions(path: str, users: Campaign) -> NDArray[np.int64]:
    """The arm of every user of the log, (n,), from a table with `user_id` and `arm`."""
    frame = open_frame(read_table(path, ["user_id", "arm"]))
    rows = _rows(path, user_ids(frame, "user_id"), users)
    named = labels(frame, "arm", "arm")[rows]
    code = {arm: j for j, arm in enumerate(users.arms)}
    unknown = np.array([arm not in code for arm in named])
    if unknown.any():
        arm = named[int(np.argmax(unknown))]
        raise InputError(
            f"{path} gives arm {arm!r} ({int(unknown.sum()):,} of {len(named):,} users), which the log never gave: "
            f"nothing about it can be verified.{nearest(arm, users.arms)}"
        )
    return np.array([code[arm] for arm in named], dtype=np.int64)


def read_response(path: str, users: Campaign) -> Response:
    """The predictions for every user of the log, arms in the log's order, from a response table."""
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
    # In a CSV file, ids as the text that they are: 007 stays 007.
    ids = user_ids(open_frame(read_table(path, ["user_id"])), "user_id")
    rows = _rows(path, ids, users)
    columns = [response.arms.index(arm) for arm in users.arms]
    return Response(response.value[rows][:, columns], response.cost[rows][:, columns], users.arms)


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
