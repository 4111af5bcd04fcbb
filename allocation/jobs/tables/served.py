"""Users who were served already (`--spent FILE`): who they are, what they were given, what that cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from allocation.engine.money import exact_sum
from allocation.engine.tables import LARGEST
from allocation.jobs.tables.blocks import Block
from allocation.jobs.tables.duplicates import keys_of
from allocation.jobs.tables.files import find_files
from allocation.jobs.tables.footers import open_file, read_footer, reading
from allocation.jobs.tables.schema import RESOURCE, USER_ID, plain
from uplift.errors import InputError, check_unique, nearest
from uplift.files import expanded, read_table


@dataclass(frozen=True, eq=False)
class Served:
    """The s users who were served, in an order of their own that makes them quick to find.

    Attributes
    ----------
    path : where they were read from, for messages.
    user_id : (s,) int64, uint64 or text. keys : (s,) what they are sorted by.
    arm : (s,) the arm that each was given, counted into the arms of the run.
    cost : (s,) money that was spent on each; may be negative.
    value : (s,) in value units, or None where the file does not say.
    resources : what each used, (s,), by resource.
    attributes : the file's further columns by name, (s,).
    total : the exact sum of cost, in money.
    """

    path: str
    user_id: pa.Array
    keys: NDArray[np.uint64]
    arm: NDArray[np.int64]
    cost: NDArray[np.float64]
    value: NDArray[np.float64] | None
    resources: Mapping[str, NDArray[np.float64]]
    attributes: Mapping[str, pa.Array]
    total: Fraction

    def __len__(self) -> int:
        return len(self.arm)

    def find(self, ids: pa.Array) -> NDArray[np.int64]:
        """Which of the served users each of some users is, (r,): counted from 0, and -1 for who is not among them."""
        if not len(self) or not len(ids):
            return np.full(len(ids), -1, dtype=np.int64)
        keys = keys_of(ids)
        at = np.minimum(np.searchsorted(self.keys, keys), len(self) - 1)
        hit = np.flatnonzero(self.keys[at] == keys)
        found = np.full(len(ids), -1, dtype=np.int64)
        found[hit] = at[hit]
        if pa.types.is_integer(ids.type):
            return found
        # Two texts may share a key, however seldom: only the same text is the same user.
        same = pc.equal(self.user_id.take(pa.array(at[hit])), ids.take(pa.array(hit))).to_numpy(zero_copy_only=False)
        found[hit[~same]] = -1
        for row in hit[~same].tolist():
            for k in range(int(at[row]) + 1, int(np.searchsorted(self.keys, keys[row], side="right"))):
                if self.user_id[k] == ids[row]:
                    found[row] = k
        return found


def unserved(block: Block, served: Served) -> Block:
    """The block without the users who were served; the others keep their places."""
    left = served.find(block.user_id) < 0
    return block if left.all() else block.keep(left)


def read_served(path: str | Path, id_type: pa.DataType, arms: Sequence[str]) -> Served:
    """The users who were served, from a Parquet or CSV file with `user_id`, `arm` and `cost` (money that was spent).

    A Parquet table may be a folder, a glob or a URL. `value` and resource.<name> (no arm: what the arm that was given
    used) may stand beside them, and further columns, which are kept as attributes. `id_type` is that of the users
    to be decided for, `arms` the arms of the run, control first. A user who is not to be decided for counts too.

    Raises InputError for a missing column or cell, an unknown arm, a user twice, ids of another kind, and an amount
    that is no finite number.
    """
    shown = str(path)
    table = _read(shown, id_type)
    check_unique(table.column_names, "column", f"{shown}: the", "rename or drop one of them")
    for name in (USER_ID, "arm", "cost"):
        if name not in table.column_names:
            told = nearest(name, table.column_names)
            if name == "cost" and "expected_cost" in table.column_names:
                told = " It has expected_cost, as decisions do; cost is the money that was really spent on each user."
            raise InputError(f"{shown} has no column {name}.{told}")
    columns = {name: _whole(table, name, shown) for name in table.column_names}
    ids = _ids(columns.pop(USER_ID), id_type, shown)
    given = _arms(columns.pop("arm"), arms, shown)
    amounts = {
        name: _amounts(columns.pop(name), name, shown)
        for name in list(columns)
        if name in ("cost", "value") or name.startswith(RESOURCE)
    }
    keys = keys_of(ids)
    order = np.argsort(keys, kind="stable")
    served = Served(
        shown,
        ids.take(pa.array(order)),
        keys[order],
        given[order],
        amounts["cost"][order],
        amounts["value"][order] if "value" in amounts else None,
        {name.removeprefix(RESOURCE): own[order] for name, own in amounts.items() if name.startswith(RESOURCE)},
        {name: column.take(pa.array(order)) for name, column in columns.items()},
        exact_sum(amounts["cost"]),
    )
    _check_once(served, order)
    return served


def _read(shown: str, id_type: pa.DataType) -> pa.Table:
    """The whole table; a file of CSV by its name."""
    if shown.lower().endswith(".csv") and "://" not in shown:
        return read_table(expanded(shown), ["arm", *([USER_ID] if pa.types.is_string(id_type) else [])])
    tables = []
    for file in find_files(shown):
        read_footer(file)
        with reading(file), open_file(file) as opened:
            tables.append(opened.read())
    try:
        return pa.concat_tables(tables, promote_options="none")
    except pa.ArrowInvalid as error:
        raise InputError(f"the files of {shown} have different columns: {str(error).splitlines()[0]}") from None


def _whole(table: pa.Table, name: str, shown: str) -> pa.Array:
    """A column as one array of plain cells; of those that are read, none may be missing."""
    column = table.column(name)
    kind = plain(column.type)
    if pa.types.is_dictionary(column.type) or kind != column.type:
        column = column.cast(kind)
    array = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], type=kind)
    if array.null_count and (name in (USER_ID, "arm", "cost", "value") or name.startswith(RESOURCE)):
        row = int(np.argmax(array.is_null().to_numpy(zero_copy_only=False)))
        raise InputError(
            f"{shown}: column {name} is missing in row {row:,} (counted from 0); fill the cell or drop the row"
        )
    return array


def _ids(ids: pa.Array, id_type: pa.DataType, shown: str) -> pa.Array:
    if not len(ids):
        return pa.array([], type=id_type)
    text, wants_text = pa.types.is_string(ids.type), pa.types.is_string(id_type)
    if text != wants_text or not (text or pa.types.is_integer(ids.type)):
        expected = "text" if wants_text else "integers"
        raise InputError(
            f"{shown} holds {ids.type} cells in column {USER_ID}, such as {ids[0].as_py()!r}; the users to be "
            f"decided for have {expected} for ids: write the same ids"
        )
    try:
        ids = ids.cast(id_type)
        ids.validate(full=True)
    except pa.ArrowInvalid as error:
        raise InputError(
            f"{shown}: column {USER_ID}: {error}; write the ids of the users to be decided for"
        ) from None
    return ids


def _arms(names: pa.Array, arms: Sequence[str], shown: str) -> NDArray[np.int64]:
    if pa.types.is_integer(names.type):
        names = names.cast(pa.string())
    if not len(names):
        return np.empty(0, dtype=np.int64)
    if not pa.types.is_string(names.type):
        raise InputError(f"{shown} holds {names.type} cells in column arm; names of arms are expected")
    found = pc.index_in(names, pa.array(list(arms), type=pa.string()))
    if found.null_count:
        row = int(np.argmax(found.is_null().to_numpy(zero_copy_only=False)))
        arm = names[row].as_py()
        raise InputError(
            f"{shown} gives arm {arm!r} in row {row:,} (counted from 0), which is none of this run."
            f"{nearest(arm, arms)}"
        )
    return np.asarray(found.to_numpy(), dtype=np.int64)


def _amounts(column: pa.Array, name: str, shown: str) -> NDArray[np.float64]:
    if not len(column):
        return np.empty(0)
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        raise InputError(
            f"{shown} holds {column.type} cells in column {name}; numbers are expected: cast it to float64"
        )
    try:
        values: NDArray[np.float64] = column.cast(pa.float64()).to_numpy()
    except pa.ArrowInvalid as error:
        raise InputError(f"{shown}: column {name}: {error}; write it as float64") from None
    wrong = ~(np.abs(values) <= LARGEST)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise InputError(
            f"{shown}: column {name} is {values[row]} in row {row:,} (counted from 0); a finite number within "
            f"{LARGEST:g} is expected"
        )
    return values


def _check_once(served: Served, order: NDArray[Any]) -> None:
    """Refuse a user who stands twice; `order` (s,) is the row of each in the file."""
    twice = np.flatnonzero(served.keys[1:] == served.keys[:-1])
    seen: dict[Any, int] = {}
    for k in np.unique(np.concatenate([twice, twice + 1])).tolist():
        user, row = served.user_id[k].as_py(), int(order[k])
        if user in seen:
            raise InputError(
                f"{served.path} has user_id {user!r} in rows {seen[user]:,} and {row:,} (counted from 0); a user is "
                "served once: add the rows up"
            )
        seen[user] = row
