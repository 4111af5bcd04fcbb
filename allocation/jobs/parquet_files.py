"""Parquet files of results at paths that the user names: none half written, and nothing of somebody else's lost."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from uplift.errors import InputError
from uplift.files import expanded

if TYPE_CHECKING:
    import pandas as pd

MARK = b"earmark"


def checked_file(path: str | Path, option: str) -> Path:
    """The file that the path means; refuses, before any work, what cannot or must not be written.

    Raises InputError for a name that does not end in .parquet, a folder that is missing or may not be written to,
    and a file that earmark has not written, which would be lost.
    """
    file = expanded(path).resolve()
    if file.suffix.lower() != ".parquet":
        raise InputError(f"{option} is {str(path)!r}; the name of a Parquet file is expected, such as top.parquet")
    if not file.parent.is_dir() or not os.access(file.parent, os.W_OK | os.X_OK):
        raise InputError(f"{file.parent} is no folder that may be written to; make it, or choose another {option}")
    if file.exists() and not _ours(file):
        raise InputError(f"{file} would be lost, and earmark has not written it; choose another {option}")
    return file


def write_frames(frames: Mapping[Path, pd.DataFrame]) -> None:
    """Write every frame to its file, staged beside it and moved in once all are written.

    No file is ever half written; where moving in fails between two files, those before it are already the new ones.
    Raises InputError when the file system refuses.
    """
    staged = {file: file.with_name(f".{file.name}-{uuid.uuid4().hex}") for file in frames}
    try:
        for file, frame in frames.items():
            table = pa.Table.from_pandas(frame, preserve_index=False)
            metadata = {**(table.schema.metadata or {}), MARK: version("earmark").encode()}
            with staged[file].open("wb") as out:
                pq.write_table(table.replace_schema_metadata(metadata), out)
                out.flush()
                os.fsync(out.fileno())
        for file, stage in staged.items():
            stage.replace(file)
    except OSError as error:
        where = ", ".join(map(str, frames))
        reason = error.strerror or error
        raise InputError(f"{where} cannot be written: {reason}; no file is half written") from None
    finally:
        for stage in staged.values():
            stage.unlink(missing_ok=True)


def _ours(file: Path) -> bool:
    try:
        return MARK in (pq.read_schema(file).metadata or {})
    except (pa.ArrowException, OSError):
        return False
