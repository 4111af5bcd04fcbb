"""Reading the parts of decisions: nothing of a part is used before its bytes are found to be the manifest's."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from allocation.jobs.batch.part_file import RUN
from allocation.jobs.batch.parts import COLUMNS
from allocation.jobs.batch.published import PartEntry, open_plain
from allocation.jobs.folder import refused_as
from uplift.errors import InputError

BATCH = 1 << 17  # rows that are looked at together


@contextmanager
def opened_part(place: Path, part: PartEntry, run_id: str) -> Iterator[pq.ParquetFile]:
    """A part, open, once size, checksum, rows, columns and run are found to be those that the manifest says.

    Raises InputError, which names the part, where one of them is not, and where the file cannot be read.
    """
    with _told(part.file):
        try:
            descriptor = open_plain(place / part.file)
        except FileNotFoundError:
            raise InputError(f"{part.file} is missing") from None
    with open(descriptor, "rb", buffering=0) as content:
        with _told(part.file):
            size = os.fstat(descriptor).st_size
            if size != part.bytes:
                raise InputError(f"{part.file} has {size:,} bytes, the manifest says {part.bytes:,}")
            if hashlib.file_digest(content, "sha256").hexdigest() != part.sha256:
                raise InputError(f"{part.file} has another checksum than the manifest says")
            content.seek(0)
            file = pq.ParquetFile(content, page_checksum_verification=True, read_dictionary=["arm"])
            _check(file, part, run_id)
        yield file


def batches(file: pq.ParquetFile, part: PartEntry, columns: Sequence[str] = COLUMNS) -> Iterator[pa.Table]:
    """The rows of a part in order, as tables of some columns, `user_id` among them.

    Raises InputError for pages that cannot be read, and for a user without an id.
    """
    with _told(part.file):
        for batch in file.iter_batches(BATCH, columns=list(columns), use_threads=False):
            batch.validate(full=True)
            if batch.column("user_id").null_count:
                raise InputError(f"{part.file} has empty cells in user_id")
            yield pa.Table.from_batches([batch])


def _check(file: pq.ParquetFile, part: PartEntry, run_id: str) -> None:
    if file.metadata.num_rows != part.rows:
        raise InputError(f"{part.file} has {file.metadata.num_rows:,} rows, the manifest says {part.rows:,}")
    if (file.metadata.metadata or {}).get(RUN) != run_id.encode():
        raise InputError(f"{part.file} is of another run than the manifest")
    schema = file.schema_arrow
    if schema.names != list(COLUMNS):
        raise InputError(
            f"{part.file} has the columns {', '.join(schema.names)[:200]}; {', '.join(COLUMNS)} are expected"
        )
    kind = schema.field("user_id").type
    if kind not in (pa.int64(), pa.uint64(), pa.string()):
        raise InputError(f"{part.file} has user_id of type {kind}; int64, uint64 or text is expected")
    arm = schema.field("arm").type
    if not (pa.types.is_dictionary(arm) and pa.types.is_string(arm.value_type)):
        raise InputError(f"{part.file} has arm of type {arm}; text is expected")
    for name in COLUMNS[2:]:
        if not pa.types.is_float64(schema.field(name).type):
            raise InputError(f"{part.file} has {name} of type {schema.field(name).type}; double is expected")


def _told(name: str) -> AbstractContextManager[None]:
    return refused_as(lambda why: f"{name} cannot be read: {why}", pa.ArrowException)
