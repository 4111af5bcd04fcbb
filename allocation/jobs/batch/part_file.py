"""One part of the decisions as a file: written whole or not at all, and the same bytes every time."""

from __future__ import annotations

import errno
import hashlib
import os
import uuid
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from allocation.jobs.batch.parts import PartSummary, summary_of
from allocation.jobs.folder import reason
from allocation.jobs.parquet_files import MARK
from allocation.jobs.tables.writing import GROUP, PARTS, part_name
from uplift.errors import InputError

RUN = b"earmark.run"
# Snappy, which every reader knows. Of 10 million decisions (a core, in memory): none 0.6 s and 324 MB, snappy 1.1 s
# and 219 MB, lz4 1.1 s and 218 MB, zstd at level 1 1.9 s and 158 MB; pyarrow's own settings 2.5 s and 230 MB.
# Ids are unique, so only arms gain from a dictionary; the text of the Arrow schema would make a category of them.
SETTINGS: dict[str, Any] = {
    "compression": "snappy",
    "use_dictionary": ["arm"],
    "write_statistics": ["user_id"],
    "write_page_checksum": True,
    "store_schema": False,
}
MENDS = {
    errno.ENOSPC: "Free some space",
    errno.EDQUOT: "Free some space of the quota",
    errno.EFBIG: "Raise the limit on the size of files, or lower part_rows",
    errno.EROFS: "Have the file system writable",
    errno.EACCES: "See to it that the folder may be written to",
    errno.EPERM: "See to it that the folder may be written to",
    errno.EIO: "Check the disk",
    errno.EXDEV: "Choose an --out that is not there yet",
    errno.EBUSY: "Choose another --out",
}


def check_parts(n: int, part_rows: int) -> None:
    """Refuse, before any work, n users who need more parts than there are names."""
    parts = -(-n // part_rows)
    if parts > PARTS:
        raise InputError(
            f"{n:,} users in parts of {part_rows:,} need {parts:,} parts, at most {PARTS:,} have names that sort; "
            f"set part_rows to {-(-n // PARTS):,} or more in the plan"
        )


def write_part(staging: str | Path, k: int, run_id: str, table: pa.Table) -> PartSummary:
    """Write part k of a run, a table of `parts.decisions_table`, into the staging folder; returns its summary.

    Under a name of its own first, flushed to the disk, then renamed: a file called part-... is a whole one. Where it
    stands there already with these very bytes, as an earlier run that was killed has left it, nothing is written. A
    plain function of plain arguments, so that Spark's executors call it; two that write the same part write the same
    bytes.

    Raises InputError when the file system refuses.
    """
    folder, name = Path(staging), part_name(k)
    content = _content(table, run_id)
    if not _stands(folder / name, content):
        hidden = folder / f".{name}-{uuid.uuid4().hex}"
        try:
            write_whole(hidden, content)
            hidden.rename(folder / name)
        except OSError as error:
            with suppress(OSError):
                hidden.unlink()
            raise refused(f"{name} cannot be written into {folder}", error) from None
    arms = table.column("arm").chunk(0).dictionary.to_pylist()
    return summary_of(table, arms, name, content.size, hashlib.sha256(content).hexdigest())


def write_whole(path: Path, content: bytes | pa.Buffer) -> None:
    """Write a new file and have it on the disk; raises OSError."""
    with path.open("xb", buffering=0) as file:
        left = memoryview(content)
        while len(left):
            left = left[file.write(left) :]
        os.fsync(file.fileno())


def refused(what: str, error: OSError) -> InputError:
    """The message for a file system that refuses: what, why, what is kept, what to do."""
    return InputError(
        f"{what}: {reason(error)}; the decisions that were published before are untouched. "
        f"{mend(error)} and run again: it keeps the parts that are whole"
    )


def mend(error: OSError) -> str:
    """What to do where the file system refuses."""
    return MENDS.get(error.errno or 0, "Mend that")


def _stands(path: Path, content: pa.Buffer) -> bool:
    """Whether the file holds these bytes; one that cannot be read does not."""
    try:
        return not path.is_symlink() and content.equals(pa.py_buffer(path.read_bytes()))
    except OSError:
        return False


def _content(table: pa.Table, run_id: str) -> pa.Buffer:
    """The file's bytes; nothing in them tells when or where they were made."""
    stream = pa.BufferOutputStream()
    with pq.ParquetWriter(stream, table.schema.remove_metadata(), **SETTINGS) as writer:
        writer.add_key_value_metadata({MARK: version("earmark").encode(), RUN: run_id.encode()})
        writer.write_table(table, row_group_size=GROUP)
    return stream.getvalue()
