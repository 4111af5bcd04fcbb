"""Open a response table wherever it is: files found, footers read, columns checked, nothing of the rows yet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa

from allocation.jobs.tables.files import find_files
from allocation.jobs.tables.footers import read_footers
from allocation.jobs.tables.reading import FileSource
from allocation.jobs.tables.schema import TableSchema, check_same, hive_types, schema_of
from uplift.errors import InputError


def open_responses(
    path: str | Path, resources: Sequence[str] = (), attributes: Sequence[str] = (), *, ids: bool = True
) -> FileSource:
    """The users of a response table, to be read block by block.

    Parameters
    ----------
    path : a Parquet file, a folder of them at any depth (`segment=heavy/` in it becomes an attribute), a glob, or
        an fsspec URL. Files are read in the order of their paths.
    resources : names whose columns resource.<name>.<arm> are read.
    attributes : further columns that are read, from the files or from folder names.
    ids : whether user ids are read.

    Raises InputError for a path without Parquet files, a damaged file, columns that are missing or of a wrong type,
    files that disagree, and a table without rows. Cells are checked as they are read.
    """

    def first_schema(schema: pa.Schema, shown: str, hive: dict[str, pa.DataType]) -> TableSchema:
        """What is read of a file of responses."""
        return schema_of(schema, shown, resources, attributes, ids=ids, hive=hive)

    return open_table(path, first_schema)


def open_table(
    path: str | Path, schema_of_first: Callable[[pa.Schema, str, dict[str, pa.DataType]], TableSchema]
) -> FileSource:
    """The users of a table; `schema_of_first` takes the columns of the first file, its name, and folder names."""
    files = find_files(path)
    footers = read_footers(files)
    kept = [k for k, footer in enumerate(footers) if footer.rows]
    if not kept:
        raise InputError(f"{path} has no rows; a table with one row a user is expected")
    files, footers = tuple(files[k] for k in kept), [footers[k] for k in kept]
    shown = [file.shown for file in files]
    schema = schema_of_first(footers[0].schema, shown[0], hive_types([file.hive for file in files], shown))
    for footer, name in zip(footers[1:], shown[1:], strict=True):
        check_same(schema, shown[0], footer.schema, name)
    return FileSource(files, [footer.groups for footer in footers], schema)
