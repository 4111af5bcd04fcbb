"""Policies that were made before: saved ones, and decisions or predictions from files, in the log's order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw
import numpy as np
from numpy.typing import NDArray

from allocation.engine.problem import Allocation
from allocation.evaluation.checks import check_arms, check_unseen
from allocation.jobs.tables.schema import ELIGIBLE
from uplift.campaign import Campaign
from uplift.errors import InputError, nearest
from uplift.files import expanded, read_table
from uplift.frames import labels, numbers, open_frame, user_ids
from uplift.response import Response

if TYPE_CHECKING:
    from allocation.policies.saved import SavedPolicy


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
    _check_apart({"decisions": decisions, "responses": responses})
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
        frame = open_frame(read_table(path, ["user_id"]))
        response = Response.of_frame(frame, path)
        _check_eligible(frame)
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


def _check_eligible(frame: nw.DataFrame[Any]) -> None:
    """Refuse a table by which somebody may not get an arm: predictions alone would be decided without it."""
    for name in frame.columns:
        if name.startswith(ELIGIBLE):
            barred = int((numbers(frame, name, "eligible") == 0).sum())
            if barred:
                raise InputError(
                    f"by its column {name}, {barred:,} of {len(frame):,} users may not get that arm, which a policy "
                    "from predictions does not follow here; let `earmark decide` decide by the table, and give what "
                    "it wrote: --decisions NAME=FILE"
                )


def read_saved(folders: Mapping[str, str], filed: Mapping[str, object], log: Campaign) -> dict[str, SavedPolicy]:
    """The policies that `policy.save` or `earmark fit` wrote, {name: fitted policy}, for a log with their columns.

    Raises InputError for a folder that holds none, a name that a file of `filed` has too, and a policy of other arms
    or of other features than the log's, or of the same in another order.
    """
    if not folders:
        return {}
    from allocation.policies.saved import load_policy  # skops takes seconds to import

    _check_apart({"policy": folders, "decisions or --responses": filed})
    saved = {name: load_policy(folder) for name, folder in folders.items()}
    for name, policy in saved.items():
        check_arms(name, policy.arms_, log)
        features = getattr(policy, "features_", None)  # a rule of thumb looks at none
        if features is not None and features != log.features:
            raise InputError(
                f"policy {name!r} was fitted on the features {', '.join(features)}; the log's are "
                f"{', '.join(log.features)}: the same columns in the same order are expected, "
                f"--features {','.join(features)}"
            )
    return saved


def index_file(folder: str) -> Path:
    """The file of a saved policy that holds the checksums of all the others."""
    from allocation.policies.saved import FORM

    return expanded(folder) / FORM.index


def seen_by(saved: Mapping[str, SavedPolicy], log: Campaign) -> NDArray[np.bool_]:
    """Which users of the log some saved policy was fitted on, (n,)."""
    seen = np.zeros(len(log), dtype=bool)
    for policy in saved.values():
        seen |= policy.users_.among(log)
    return seen


def refuse_seen(saved: Mapping[str, SavedPolicy], held_out: Campaign, log: Campaign) -> None:
    """Refuse a saved policy that was fitted on users who are to verify it, and say how to verify it on others."""
    unseen = int((~seen_by(saved, log)).sum())
    for name, policy in saved.items():
        try:
            check_unseen(f"policy {name!r}", policy.users_, held_out)
        except InputError as error:
            mend = (
                f"add --unseen to verify on the {unseen:,} users of this log whom no saved policy was fitted on"
                if unseen
                else "none are left in this log: fit the policy with `earmark fit --share 0.5`, which leaves half"
            )
            raise InputError(f"{error}; here: {mend}") from None


def unknowable(saved: Mapping[str, SavedPolicy], log: Campaign) -> list[str]:
    """What is to be said of saved policies whose users cannot be compared with the log's."""
    names = [name for name, policy in saved.items() if policy.users_.source != log.source]
    if not names:
        return []
    return [
        f"{', '.join(names)}: whether it was fitted on users of this log cannot be known, because a log without "
        "--user-id has its rows numbered; if so, it looks better than it is."
    ]


def _check_apart(named: Mapping[str, Mapping[str, object]]) -> None:
    """Refuse a name that two options give."""
    (one, ours), (other, theirs) = named.items()
    twice = next((name for name in ours if name in theirs), None)
    if twice is not None:
        raise InputError(f"--{one} and --{other} both name {twice!r}; give each policy a name of its own")


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
