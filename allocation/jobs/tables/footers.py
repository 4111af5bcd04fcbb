"""Opening one Parquet file of a table: whole, unchanged, not absurd, or one message that names it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from allocation.jobs.tables.files import READERS, TableFile, current_state
from allocation.jobs.tables.remote import RemoteFile
from uplift.errors import InputError

# What Arrow reads of each column at a time: a row group is never in memory as a whole, however large.
LOCAL_BUFFER, REMOTE_BUFFER = 1 << 20, 4 << 20
SETTINGS: dict[str, Any] = {"pre_buffer": False, "page_checksum_verification": True}
# No table of users has wider rows, and none with a distinct id a row packs them denser: such files are damaged or
# made to fill the memory.
ROW_BYTES, ROWS_A_BYTE = 1 << 20, 100_000


@dataclass(frozen=True)
class Footer:
    """What the end of a file says of it: its rows, the rows of each row group, and its columns."""

    rows: int
    groups: tuple[int, ...]
    schema: pa.Schema


def read_footers(files: Sequence[TableFile]) -> list[Footer]:
    """The footer of each file, in their order; raises InputError for the first that is no whole Parquet file."""
    if len(files) == 1:
        return [read_footer(files[0])]
    with ThreadPoolExecutor(READERS, thread_name_prefix="footers") as pool:
        return list(pool.map(read_footer, files))


def read_footer(file: TableFile) -> Footer:
    """The footer of one file, checked for sizes that no table of users has."""
    with reading(file), open_file(file) as opened:
        about = opened.metadata
        groups = [about.row_group(k) for k in range(about.num_row_groups)]
        rows = tuple(int(group.num_rows) for group in groups)
        if min(rows, default=0) < 0 or sum(rows) != about.num_rows:
            raise InputError(_damaged(file, f"its row groups have {sum(rows):,} rows, its footer {about.num_rows:,}"))
        if sum(rows) > ROWS_A_BYTE * file.bytes:
            raise InputError(_damaged(file, f"it claims {sum(rows):,} rows in {file.bytes:,} bytes"))
        for count, group in zip(rows, groups, strict=True):
            if not 0 <= group.total_byte_size <= ROW_BYTES * max(count, 1):
                raise InputError(
                    _damaged(
                        file, f"it claims {group.total_byte_size:,} bytes for {count:,} rows, beyond 1 MiB a row"
                    )
                )
        return Footer(sum(rows), rows, opened.schema_arrow)


def open_file(file: TableFile) -> pq.ParquetFile:
    """The file, opened; raises InputError if it is not what it was when the table was opened."""
    check_unchanged(file)
    if file.bytes == 0:
        raise InputError(f"{file.shown} is empty: 0 bytes; a Parquet file is expected: write it anew")
    if file.system is None:
        return pq.ParquetFile(file.path, buffer_size=LOCAL_BUFFER, **SETTINGS)
    source = pa.PythonFile(RemoteFile(file.system, file.path, file.bytes), mode="r")
    return pq.ParquetFile(source, buffer_size=REMOTE_BUFFER, **SETTINGS)


def check_unchanged(file: TableFile) -> None:
    """Raise InputError where the file has been written since the table was opened."""
    size, stamp = current_state(file)
    if size != file.bytes or stamp != file.stamp:
        said = f"{size:,} bytes instead of {file.bytes:,}" if size != file.bytes else "it was written anew"
        raise InputError(
            f"{file.shown} has changed since the table was opened ({said}); wait until it is written, then run again"
        )


@contextmanager
def reading(file: TableFile) -> Iterator[None]:
    """Turn whatever goes wrong with a file into one message that names it."""
    try:
        yield
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{file.shown} is gone; write it anew, then run again") from None
    except PermissionError:
        raise InputError(f"{file.shown} may not be read; allow it, or run as who may") from None
    except (pa.ArrowException, OSError, ValueError, TypeError, KeyError, RuntimeError, MemoryError) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise InputError(_damaged(file, lines[0].rstrip(".")[:300])) from None


def _damaged(file: TableFile, why: str) -> str:
    return f"{file.shown} cannot be read as Parquet: {why}; it is damaged or cut short: write it anew"
