"""What a response table's columns are: arms, numbers, ids, attributes; every file of it must say the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from allocation.engine.tables import LARGEST
from uplift.errors import InputError, check_unique, nearest

USER_ID, FEATURES = "user_id", "features"
VALUE, COST, ELIGIBLE, RESOURCE = "value.", "cost.", "eligible.", "resource."
PREFIXES = (VALUE, COST, ELIGIBLE, RESOURCE)  # how columns of responses begin that are no attributes
NO_RESOURCES = {"value": VALUE, "cost": COST}


class Columns(NamedTuple):
    """Columns that are read side by side into one table.

    names : of the columns. dtype : of the table, as numpy calls it; float32 only if every column is. largest : no
    cell may be beyond it.
    """

    names: tuple[str, ...]
    dtype: str
    largest: float


@dataclass(frozen=True)
class TableSchema:
    """The columns that are read of every file.

    Attributes
    ----------
    arms : names of the K+1 arms, control first, in the order of the value columns.
    user_id : int64, uint64 or text; None where ids are not read.
    tables : "value", "cost" and each resource, or "features" where a model is to tell value and cost.
    eligible : whether the table says which arms a user may get.
    attributes : the types of the further columns that were asked for.
    hive : those attributes that folder names tell.
    columns : the types of what is read of the files, by column, with dictionaries decoded.
    """

    arms: tuple[str, ...]
    user_id: pa.DataType | None
    tables: Mapping[str, Columns]
    eligible: bool
    attributes: Mapping[str, pa.DataType]
    hive: frozenset[str]
    columns: Mapping[str, pa.DataType] = field(repr=False)

    @property
    def resources(self) -> tuple[str, ...]:
        """The resources that were asked for."""
        return tuple(name for name in self.tables if name not in (*NO_RESOURCES, FEATURES))


def schema_of(
    schema: pa.Schema,
    shown: str,
    resources: Sequence[str] = (),
    attributes: Sequence[str] = (),
    *,
    ids: bool = True,
    hive: Mapping[str, pa.DataType] | None = None,
) -> TableSchema:
    """What the first file's columns say; `shown` is its name in messages, `hive` what the folders above it tell.

    Raises InputError for a table without ids, an arm with a value and no cost or the reverse, some arms only with
    `eligible`, a resource or attribute that is not there, columns of one name, and cells that are no numbers.
    """
    check_unique(schema.names, "column", f"{shown}: the", "rename or drop one of them")
    arms = _arms(schema.names, shown)
    tables = {
        name: columns_of(schema, shown, [prefix + arm for arm in arms]) for name, prefix in NO_RESOURCES.items()
    }
    return with_others(schema, shown, arms, tables, resources, attributes, ids=ids, hive=hive)


def with_others(
    schema: pa.Schema,
    shown: str,
    arms: tuple[str, ...],
    tables: Mapping[str, Columns],
    resources: Sequence[str],
    attributes: Sequence[str],
    *,
    ids: bool,
    hive: Mapping[str, pa.DataType] | None,
) -> TableSchema:
    """The schema of these tables, and of what stands beside them: ids, resources, eligible arms, attributes."""
    names, folders = list(schema.names), dict(hive or {})
    id_type = _id_type(schema, shown) if ids else None
    check_unique(resources, "resource", "the asked-for", "name each once")
    for name in resources:
        if name in NO_RESOURCES or name == FEATURES:
            raise InputError(f"a resource is named {name!r}, which is a word of its own here; name it otherwise")
    tables = {**tables, **{r: columns_of(schema, shown, [f"{RESOURCE}{r}.{arm}" for arm in arms]) for r in resources}}
    eligible = _eligible(schema, arms, shown)
    types: dict[str, pa.DataType] = {}
    for name in dict.fromkeys(attributes):
        if name in folders and name in names:
            raise InputError(
                f"{name} is a column of {shown} and a folder's name above it; rename or drop one of them"
            )
        if name not in folders and name not in names:
            raise InputError(f"{shown} has no column {name}.{nearest(name, [*names, *folders])}")
        types[name] = folders[name] if name in folders else plain(schema.field(name).type)
    told = frozenset(name for name in types if name in folders)
    read = [column for own in tables.values() for column in own.names]
    read += [*([USER_ID] if ids else []), *(ELIGIBLE + arm for arm in arms if eligible), *(set(types) - told)]
    columns = {column: plain(schema.field(column).type) for column in sorted(set(read))}
    return TableSchema(arms, id_type, tables, eligible, types, told, columns)


def columns_of(schema: pa.Schema, shown: str, names: Sequence[str]) -> Columns:
    """Columns of amounts, one table; raises InputError where one is missing or holds no numbers."""
    for name in names:
        if name not in schema.names:
            raise InputError(f"{shown} has no column {name}.{nearest(name, schema.names)}")
    kinds = [_amount_type(schema.field(name).type, name, shown) for name in names]
    dtype = "float32" if all(pa.types.is_float32(kind) for kind in kinds) else "float64"
    return Columns(tuple(names), dtype, LARGEST)


def check_same(first: TableSchema, first_shown: str, schema: pa.Schema, shown: str) -> None:
    """Refuse a later file whose columns are not those of the first: missing, of another type, or of one more arm."""
    names = list(schema.names)
    check_unique(names, "column", f"{shown}: the", "rename or drop one of them")
    for column, expected in first.columns.items():
        if column not in names:
            raise InputError(
                f"{shown} has no column {column}, which {first_shown} has; all files of a table have the same "
                f"columns: write it anew or move it away.{nearest(column, names)}"
            )
        found = plain(schema.field(column).type)
        if found != expected and not (pa.types.is_null(found) and column in first.attributes):
            raise InputError(
                f"{shown} holds {found} cells in column {column}, {first_shown} holds {expected} cells; all files of "
                "a table have the same columns: write one of them anew"
            )
    known = {*first.columns, *(VALUE + arm for arm in first.arms)}
    more = [
        n for n in names if n.startswith((VALUE, COST, *([ELIGIBLE] if first.eligible else []))) and n not in known
    ]
    late = [] if first.eligible else [n for n in names if n.startswith(ELIGIBLE)]
    for column in (*more, *late):
        raise InputError(
            f"{shown} has a column {column}, which {first_shown} has not; all files of a table have the same arms: "
            "write one of them anew"
        )


def plain(kind: pa.DataType) -> pa.DataType:
    """The type of the cells, however they are stored: dictionaries decoded, text is text."""
    if pa.types.is_dictionary(kind):
        return plain(kind.value_type)
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.string()
    return kind


def _arms(names: Sequence[str], shown: str) -> tuple[str, ...]:
    arms = tuple(name.removeprefix(VALUE) for name in names if name.startswith(VALUE))
    if not arms:
        raise InputError(
            f"{shown} has no value.<arm> column; a response table has value.<arm> and cost.<arm> for every arm, "
            f"control first.{nearest(VALUE, names)}"
        )
    if "" in arms:
        raise InputError(f"{shown} has a column value. that names no arm; write value.<arm>")
    _check_arms(names, arms, COST, shown)
    return arms


def _check_arms(names: Sequence[str], arms: Sequence[str], prefix: str, shown: str) -> None:
    """Refuse a column of an arm that is none."""
    for name in names:
        arm = name.removeprefix(prefix)
        if name.startswith(prefix) and arm not in arms:
            raise InputError(f"{shown} has a column {name}, and {arm!r} is no arm.{nearest(arm, arms)}")


def _id_type(schema: pa.Schema, shown: str) -> pa.DataType:
    if USER_ID not in schema.names:
        raise InputError(f"{shown} has no column {USER_ID}.{nearest(USER_ID, schema.names)}")
    found = schema.field(USER_ID).type
    kind = plain(found)
    if pa.types.is_integer(kind):
        return pa.uint64() if pa.types.is_uint64(kind) else pa.int64()
    if pa.types.is_string(kind):
        return kind
    mend = (
        "pandas makes floats of integers with missing cells: drop those rows and cast to int64"
        if pa.types.is_floating(kind)
        else "cast the column to text"
    )
    raise InputError(f"{shown} holds {found} cells in column {USER_ID}; integers or text are expected: {mend}")


def _amount_type(found: pa.DataType, column: str, shown: str) -> pa.DataType:
    kind = plain(found)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return kind
    mend = "cast it to float64" if pa.types.is_decimal(kind) else "write numbers, float32 or float64"
    raise InputError(f"{shown} holds {found} cells in column {column}; numbers are expected: {mend}")


def _eligible(schema: pa.Schema, arms: Sequence[str], shown: str) -> bool:
    """Whether the table has the columns eligible.<arm>."""
    _check_arms(schema.names, arms, ELIGIBLE, shown)
    stated = [arm for arm in arms if ELIGIBLE + arm in schema.names]
    if not stated:
        return False
    for arm in arms:
        column = ELIGIBLE + arm
        if arm not in stated:
            raise InputError(
                f"{shown} has a column {ELIGIBLE}{stated[0]} and no column {column}; write eligible.<arm> for every "
                "arm or for none"
            )
        kind = plain(schema.field(column).type)
        if not pa.types.is_boolean(kind):
            raise InputError(f"{shown} holds {kind} cells in column {column}; booleans are expected: cast it")
    return True


def hive_types(folders: Sequence[tuple[tuple[str, str | None], ...]], shown: Sequence[str]) -> dict[str, pa.DataType]:
    """The type of each key in folder names: whole numbers where every one of its values is one, else text.

    `folders` are the keys and values above each file. Raises InputError where a file stands under other keys.
    """
    keys = [key for key, _ in folders[0]] if folders else []
    check_unique(keys, "folder name", f"{shown[0] if shown else ''}: the", "rename one of the folders")
    for own, name in zip(folders, shown, strict=True):
        if [key for key, _ in own] != keys:
            said = ", ".join(key for key, _ in own) or "none"
            raise InputError(
                f"{name} stands under folders that name {said}, {shown[0]} under {', '.join(keys) or 'none'}; all "
                "files of a table stand under the same names: move it"
            )
    values: dict[str, set[str]] = {key: {v for own in folders for k, v in own if k == key and v} for key in keys}
    return {key: pa.int64() if all(_is_whole(v) for v in values[key]) else pa.string() for key in keys}


def _is_whole(text: str) -> bool:
    """Whether the text is a whole number as a program writes it, within 64 bits: 007 is a name."""
    try:
        number = int(text)
    except ValueError:
        return False
    return str(number) == text and np.iinfo(np.int64).min <= number <= np.iinfo(np.int64).max
