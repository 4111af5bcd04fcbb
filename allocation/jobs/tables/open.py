"""Open a response table wherever it is: files found, footers read, columns checked, nothing of the rows yet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from allocation.jobs.tables.files import find_files
from allocation.jobs.tables.footers import read_footers
from allocation.jobs.tables.reading import FileSource
from allocation.jobs.tables.schema import check_same, hive_types, schema_of
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
    files = find_files(path)
    footers = read_footers(files)
    kept = [k for k, footer in enumerate(footers) if footer.rows]
    if not kept:
        raise InputError(f"{path} has no rows; a response table has one row a user")
    files, footers = tuple(files[k] for k in kept), [footers[k] for k in kept]
    shown = [file.shown for file in files]
    folders = hive_types([file.hive for file in files], shown)
    schema = schema_of(footers[0].schema, shown[0], resources, attributes, ids=ids, hive=folders)
    for footer, name in zip(footers[1:], shown[1:], strict=True):
        check_same(schema, shown[0], footer.schema, name)
    return FileSource(files, [footer.groups for footer in footers], schema)
