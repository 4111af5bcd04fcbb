"""A block as a response table on disk: the columns that `open_responses` reads, in files with a checksum a page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from allocation.jobs.tables.blocks import Block
from allocation.jobs.tables.schema import COST, ELIGIBLE, PREFIXES, RESOURCE, USER_ID, VALUE
from uplift.errors import InputError

PARTS = 100_000  # files at most, so that names sort as the parts do
GROUP = 1 << 18  # rows of a row group, which is what random access decodes at least
SETTINGS: dict[str, Any] = {"compression": "snappy", "write_page_checksum": True, "store_schema": False}


def part_name(k: int) -> str:
    """The file name of part k; names sort as the parts do, InputError for more than there are."""
    if not 0 <= k < PARTS:
        raise InputError(f"there would be more than {PARTS:,} parts, the most that have names; raise part_rows")
    return f"part-{k:05d}.parquet"


def table_of(block: Block, arms: Sequence[str]) -> pa.Table:
    """`user_id`, then value, cost, and what else the block has: eligible, resources, attributes; a row a user."""
    columns: dict[str, pa.Array] = {USER_ID: block.user_id}
    prefixed: dict[str, NDArray[Any]] = {VALUE: block.value, COST: block.cost}
    prefixed |= {} if block.eligible is None else {ELIGIBLE: block.eligible}
    prefixed |= {f"{RESOURCE}{name}.": table for name, table in block.resources.items()}
    for prefix, table in prefixed.items():
        columns |= {prefix + arm: pa.array(table[:, j]) for j, arm in enumerate(arms)}
    for name, column in block.attributes.items():
        if name in columns or name.startswith(PREFIXES):
            raise InputError(
                f"the attribute {name} has the name of a column of response tables; rename it, or leave it out"
            )
        columns[name] = column
    return pa.table(columns)


def write_table(table: pa.Table, path: Path) -> None:
    """Write a file; the same table gives the same bytes. Raises OSError."""
    # Amounts hardly repeat, so that a dictionary of them costs time and saves nothing.
    plain = (pa.types.is_floating, pa.types.is_integer)
    names = [f.name for f in table.schema if f.name != USER_ID and not any(check(f.type) for check in plain)]
    pq.write_table(table, path, row_group_size=GROUP, use_dictionary=names, **SETTINGS)
