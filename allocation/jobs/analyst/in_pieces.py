"""Tables of a run into memory, some users at a time: no more is held than what is kept, and one piece."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from allocation.jobs.output import LOGGED_VALUE, PROPENSITY, SPEND_SCORE, TREATMENT, VALUE_SCORE
from allocation.jobs.tables.blocks import Block
from allocation.jobs.tables.files import find_files
from allocation.jobs.tables.footers import open_file, reading
from allocation.jobs.tables.reading import FileSource
from allocation.jobs.tables.schema import USER_ID
from uplift.errors import InputError

Array = NDArray[Any]
PIECE = 1 << 16  # users
TABLES = {"propensity": PROPENSITY, "value_score": VALUE_SCORE, "spend_score": SPEND_SCORE}
LOGGED = {"value": LOGGED_VALUE}  # may be missing: an earlier version did not write it


def read_users(source: FileSource) -> Block:
    """Everybody of a response table as one block; attributes are dictionaries, 1 to 4 bytes a user."""
    ids: list[pa.Array] = []
    attributes: dict[str, list[pa.Array]] = {}
    tables, resources = dict[str, Array](), dict[str, Array]()
    for block in source.stream(PIECE):
        at = slice(block.first, block.first + len(block))
        for key, table in (("value", block.value), ("cost", block.cost), ("eligible", block.eligible)):
            if table is not None:
                _put(tables, key, table, at, source.n)
        for name, table in block.resources.items():
            _put(resources, name, table, at, source.n)
        ids.append(block.user_id)
        for name, column in block.attributes.items():
            attributes.setdefault(name, []).append(column.dictionary_encode())
    told = {name: pa.chunked_array(parts).unify_dictionaries() for name, parts in attributes.items()}
    return Block(
        0,
        pa.concat_arrays(ids),
        tables["value"],
        tables["cost"],
        tables.get("eligible"),
        resources,
        {name: _small(pa.concat_arrays(column.chunks)) for name, column in told.items()},
    )


def read_log(file: Path, arms: tuple[str, ...], user_id: pa.Array) -> dict[str, Any]:
    """What `evidence.parquet` tells of the users of a run: the fields of `Evidence`, by name.

    Raises InputError for a file that is none, and for one of other users.
    """
    n, found, row, filed = len(user_id), dict[str, Array](), 0, find_files(file)[0]
    with reading(filed), open_file(filed) as opened:
        columns = opened.schema_arrow.names
        lacking = [name for name in _needed(arms) if name not in columns]
        if lacking:
            raise InputError(f"{file} is no evidence of this run: no column {lacking[0]}; run `earmark demo` again")
        logged = {key: name for key, name in LOGGED.items() if name in columns}
        if opened.metadata.num_rows != n:
            raise _changed(file)
        for batch in opened.iter_batches(PIECE, columns=[*_needed(arms), *logged.values()]):
            at = slice(row, row + len(batch))
            treatment = pc.index_in(batch[TREATMENT], pa.array(arms, pa.string()))
            if treatment.null_count or not batch[USER_ID].cast(user_id.type).equals(user_id[at]):
                raise _changed(file)
            _put(found, "treatment", treatment.to_numpy().astype(np.int64), at, n)
            for key, prefix in TABLES.items():
                _put(found, key, np.column_stack([batch[prefix + arm].to_numpy() for arm in arms]), at, n)
            for key, name in logged.items():
                _put(found, key, batch[name].to_numpy(), at, n)
            row += len(batch)
    return found


def _small(column: pa.DictionaryArray) -> pa.DictionaryArray:
    """The same with indices of 1 byte or 2 where there are so few different values."""
    kinds = ((pa.int8(), 1 << 7), (pa.int16(), 1 << 15))
    few = next((kind for kind, most in kinds if len(column.dictionary) <= most), None)
    if few is None:
        return column
    return pa.DictionaryArray.from_arrays(column.indices.cast(few), column.dictionary)


def _put(found: dict[str, Array], key: str, piece: Array, at: slice, n: int) -> None:
    """Write a piece into its place in the array of that name, which the first one makes, for n users."""
    if key not in found:
        found[key] = np.empty((n, *piece.shape[1:]), dtype=piece.dtype)
    found[key][at] = piece


def _needed(arms: tuple[str, ...]) -> list[str]:
    return [USER_ID, TREATMENT, *(prefix + arm for prefix in TABLES.values() for arm in arms)]


def _changed(file: Path) -> InputError:
    return InputError(
        f"{file} is not of the users of the response table beside it, in their order: one of the two was changed "
        "since; run `earmark demo` again"
    )
