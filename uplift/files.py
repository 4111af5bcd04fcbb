"""Reading a table file, with one clear message when it is not what its name says."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from uplift.errors import InputError

# Both ends of every Parquet file carry these four bytes.
PARQUET_MAGIC = b"PAR1"


def read_table(path: str | Path) -> pa.Table:
    """An Arrow table from a `.parquet` or `.csv` file.

    Raises InputError for a path that does not exist, a folder, an empty file, and a file whose content is not what
    its name says.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path} does not exist; give the path of a Parquet or CSV file")
    if path.is_dir():
        raise InputError(f"{path} is a folder; give the path of one Parquet or CSV file in it")
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty: 0 bytes; a table with at least one user of every arm is expected")
    if path.suffix.lower() == ".csv":
        try:
            return pyarrow.csv.read_csv(path)
        except (pa.ArrowInvalid, UnicodeDecodeError) as error:
            raise InputError(f"{path} cannot be read as CSV: {_first_line(error)}; mend the file") from None
    with path.open("rb") as file:
        start = file.read(4)
    if start != PARQUET_MAGIC:
        raise InputError(
            f"{path} is no Parquet file: it starts with {start!r}, Parquet starts with {PARQUET_MAGIC!r}; "
            "name a CSV file .csv, or write it with DataFrame.to_parquet"
        )
    try:
        return pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise InputError(
            f"{path} starts like Parquet but cannot be read: {_first_line(error)}; it may be cut short: write it anew"
        ) from None


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0].rstrip(".")
