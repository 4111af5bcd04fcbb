"""Reading a table file, with one clear message when it is not what its name says."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from uplift.errors import InputError, check_unique

# Both ends of every Parquet file carry these four bytes.
PARQUET_MAGIC = b"PAR1"


def expanded(path: str | Path) -> Path:
    """The path with `~` and `~name` as home folders. Raises InputError for the home of somebody who is not here."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise InputError(f"{path} starts at a home folder that is not here; write the path out") from None


def read_table(path: str | Path, names: Sequence[str] = ()) -> pa.Table:
    """An Arrow table from a `.parquet` or `.csv` file.

    `names` are columns that hold names, such as user ids: in a CSV file they are kept as the text that they are, so
    that 007 stays 007.

    Raises InputError for a path that does not exist, a folder, an empty file, and a file whose content is not what
    its name says.
    """
    try:
        path = expanded(path)
        exists = path.exists()
    except InputError:
        raise
    except (TypeError, ValueError, OSError):
        raise InputError(f"{str(path)[:80]!r} is no path; give the path of a Parquet or CSV file") from None
    if not exists:
        raise InputError(f"{path} does not exist; give the path of a Parquet or CSV file")
    if path.is_dir():
        raise InputError(f"{path} is a folder; give the path of one Parquet or CSV file in it")
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty: 0 bytes; a table with at least one row is expected")
    if path.suffix.lower() == ".csv":
        try:
            as_text = pyarrow.csv.ConvertOptions(column_types={name: pa.string() for name in names})
            table = _unique_columns(pyarrow.csv.read_csv(path, convert_options=as_text))
            if any(pa.types.is_binary(kind) for kind in table.schema.types):
                raise InputError(f"{path} is no UTF-8 text; save the CSV as UTF-8")
            return table
        except UnicodeDecodeError:
            raise InputError(f"{path} is no UTF-8 text; save the CSV as UTF-8") from None
        except pa.ArrowInvalid as error:
            if "UTF8" in str(error):
                raise InputError(f"{path} is no UTF-8 text; save the CSV as UTF-8") from None
            raise InputError(f"{path} cannot be read as CSV: {_first_line(error)}; mend the file") from None
    with path.open("rb") as file:
        start = file.read(4)
    if start != PARQUET_MAGIC:
        raise InputError(
            f"{path} is no Parquet file: it starts with {start!r}, Parquet starts with {PARQUET_MAGIC!r}; "
            "name a CSV file .csv, or write it with DataFrame.to_parquet"
        )
    try:
        # Of the file alone: the dataset reader would take folder names for columns.
        return _unique_columns(pq.ParquetFile(path).read())
    except (pa.ArrowException, OSError) as error:
        raise InputError(
            f"{path} starts like Parquet but cannot be read: {_first_line(error)}; it may be cut short: write it anew"
        ) from None


def _unique_columns(table: pa.Table) -> pa.Table:
    check_unique(table.column_names, "column", "the file's", "rename or drop one of them")
    return table


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0].rstrip(".")
