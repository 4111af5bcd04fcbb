"""A file that somebody sends: refused before it unpacks to more than memory holds, read, and kept nowhere."""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from allocation.jobs.analyst.run import Run, open_run
from allocation.jobs.numbers import number
from allocation.jobs.output import write_demo
from allocation.jobs.plan_values import check_name
from allocation.jobs.tables.schema import USER_ID
from uplift.errors import InputError, check_unique
from uplift.files import PARQUET_MAGIC
from uplift.frames import arm_name

MOST_FILE = 200 << 20  # bytes
MOST_UNPACKED = 512 << 20  # bytes that its columns may take once they are read
MOST_ROWS, MOST_COLUMNS, MOST_CELLS = 1_000_000, 1_000, MOST_UNPACKED // 8
MOST_HEADING = 200  # characters of a column's name
MOST_ARMS = 30
BATCH = 1 << 16  # rows that are read between two looks at what they took
MENDS = "send a part of it, or give the whole to `earmark` on the command line"
Progress = Callable[[str], None]


def read_upload(name: str, data: bytes, text: Sequence[str] = ()) -> pa.Table:
    """The table in the bytes of a file of this name, `.parquet` or `.csv`; flat columns, text as text.

    `text` are columns of names, which a CSV file keeps as they are written. What it takes is known before it is
    taken: of Parquet from the footer, and text is unpacked only once its length is counted; of CSV from the header
    and the number of lines. Raises InputError for another ending, an empty, damaged or truncated file, one that is
    too large packed or unpacked, columns of one name, names of columns that are too long, nested columns, and for a
    file whose name no plan may hold.
    """
    name = Path(name).name  # a browser sends the name alone; whatever else sends a path means no place here
    try:
        check_name(name)
    except ValueError as error:
        raise InputError(f"the file is called {name[:60]!r}: {error}; rename it") from None
    kind = Path(name).suffix.lower()
    if name.startswith("~") or name != name.strip():
        raise InputError(f"the file is called {name[:60]!r}; rename it: no ~ at its start, no space at its ends")
    if kind not in (".parquet", ".csv"):
        raise InputError(f"{name} ends in {kind or 'nothing'!r}; a file that ends in .parquet or .csv is expected")
    if not data:
        raise InputError(f"{name} is empty: 0 bytes; a table with a header and at least one row is expected")
    if len(data) > MOST_FILE:
        raise InputError(f"{name} has {_size(len(data))}; up to {_size(MOST_FILE)} are taken here: {MENDS}")
    try:
        table = _parquet(name, data) if kind == ".parquet" else _csv(name, data, text)
    except pa.ArrowException as error:
        first = str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else type(error).__name__
        raise InputError(
            f"{name} cannot be read: {first[:200]}; it may be cut short or damaged: write it anew"
        ) from None
    except OSError as error:
        raise InputError(f"{name} cannot be read: {str(error)[:200]}; it may be cut short: write it anew") from None
    if not table.num_rows:
        raise InputError(f"{name} has no rows; one row a user is expected")
    return table


def arms_of(table: pa.Table, column: str) -> list[str]:
    """The names in a treatment column; InputError where there are more than MOST_ARMS, and for a missing cell."""
    found = table[column]
    if found.null_count:
        raise InputError(f"column {column!r} has {found.null_count:,} missing cells; every user needs an arm")
    names = sorted({arm_name(value) for value in pc.unique(found).slice(0, 10 * MOST_ARMS).to_pylist()})
    if len(names) > MOST_ARMS:
        raise InputError(
            f"column {column!r} has more than {MOST_ARMS} different values; the treatment column names the arm of "
            "each user: choose another one"
        )
    return names


def numeric(table: pa.Table) -> list[str]:
    """The columns that hold numbers, or truth values."""
    kinds = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean)
    return [field.name for field in table.schema if any(check(field.type) for check in kinds)]


def run_of_table(name: str, data: bytes) -> Run:
    """The run of a response table that was sent; InputError as `read_upload` and `run.open_run` raise it."""
    table = read_upload(name, data, [USER_ID])
    with _placed(name, table) as path:
        run = open_run(path)
    return _named(run, name)


def run_of_log(
    name: str,
    data: bytes,
    roles: Mapping[str, Any],
    budget_per_user: float | None = None,
    progress: Progress = lambda _: None,
    n_bootstrap: int | None = None,
) -> Run:
    """The demo's job on a log that was sent: its run, as `open_run` reads it.

    `roles` as for `source.load`: treatment, value, features, cost, and control, propensity, user_id, activeness,
    currency, value_name where they are known. Raises InputError and ProblemError as `run_demo` does.
    """
    # Its learners take memory that looking at a run does not need.
    from allocation.jobs.demo import DemoPlan, run_demo

    table = read_upload(name, data, [roles["user_id"]] if roles.get("user_id") else [])
    with _placed(name, table) as path:
        plan = DemoPlan(str(path), budget_per_user=budget_per_user, roles=roles, n_bootstrap=n_bootstrap)
        result = run_demo(plan, progress)
        progress("verifying every budget")
        source = replace(result.source, name=name)
        write_demo(replace(result, source=source), path.parent / "run")
        run = open_run(path.parent / "run")
    return _named(run, name)


@contextmanager
def _placed(name: str, table: pa.Table) -> Iterator[Path]:
    """The table as a file in a folder that is gone afterwards, whatever happens; messages call it by its name."""
    with tempfile.TemporaryDirectory(prefix="earmark-upload-") as folder:
        path = Path(folder) / "upload.parquet"
        pq.write_table(table, path)
        try:
            yield path
        except InputError as error:
            said = str(error)
            for own in (path, Path(folder)):  # what lies beside the table was made of it
                said = said.replace(str(own.resolve()), name).replace(str(own), name)
            raise InputError(said) from None


def _named(run: Run, name: str) -> Run:
    """The run under the file's own name; the folder where it was read is gone."""
    return replace(
        run,
        place=Path(Path(name).name),
        plan=replace(run.plan, name=Path(name).stem or name, responses=Path(name).name),
    )


def _parquet(name: str, data: bytes) -> pa.Table:
    if data[:4] != PARQUET_MAGIC or data[-4:] != PARQUET_MAGIC:
        raise InputError(
            f"{name} is no whole Parquet file: it starts with {data[:4]!r} and ends with {data[-4:]!r}, Parquet does "
            f"with {PARQUET_MAGIC!r}; it may be cut short, or be of another kind"
        )
    footer = pq.read_metadata(pa.BufferReader(data))
    groups = [footer.row_group(k) for k in range(footer.num_row_groups)]
    rows = max(footer.num_rows, sum(group.num_rows for group in groups))
    unpacked = sum(
        max(group.total_byte_size, sum(group.column(j).total_uncompressed_size for j in range(group.num_columns)))
        for group in groups
    )
    schema = footer.schema.to_arrow_schema()
    _check_shape(name, schema.names, rows, unpacked)
    nested = [field.name for field in schema if pa.types.is_nested(field.type)]
    if nested:
        raise InputError(f"{name} has lists or records in column {nested[0]!r}; a cell is one number or one text")
    # A page may hold a text once and name it a million times: it is unpacked when that has been counted.
    words = [field.name for field in schema if _is_text(field.type)]
    file = pq.ParquetFile(pa.BufferReader(data), read_dictionary=words)
    return _text_unpacked(name, _read_counted(name, file))


def _read_counted(name: str, file: pq.ParquetFile) -> pa.Table:
    """The table, for as long as it is no larger than may be: a footer may say less than what its pages unpack to."""
    batches, cells, words = [], 0, dict[str, int]()
    for batch in file.iter_batches(BATCH, use_threads=False):
        for column, own in zip(batch.column_names, batch.columns, strict=True):
            if pa.types.is_dictionary(own.type):  # each batch brings all the words that came before it
                words[column] = max(words.get(column, 0), own.dictionary.nbytes)
            cells += (own.indices if pa.types.is_dictionary(own.type) else own).nbytes
        _check_shape(name, [], 0, cells + sum(words.values()))
        batches.append(batch)
    return pa.Table.from_batches(batches, file.schema_arrow).unify_dictionaries()


def _csv(name: str, data: bytes, text: Sequence[str]) -> pa.Table:
    ends = [end for end in (data.find(b"\n"), data.find(b"\r")) if end >= 0]
    try:
        head = data[: min(ends, default=len(data))].decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _no_utf8(name) from None
    if len(head) > MOST_COLUMNS * (MOST_HEADING + 3):
        raise InputError(
            f"{name} has a first line of {len(head):,} characters; a header with column names is expected"
        )
    try:
        names = next(csv.reader(io.StringIO(head)), [])
    except csv.Error as error:
        raise InputError(f"{name} has a first line that is no header: {error}") from None
    lines = max(data.count(b"\n"), data.count(b"\r")) + (not data.endswith((b"\n", b"\r")))
    _check_shape(name, names, lines - 1, 0)
    kinds = pyarrow.csv.ConvertOptions(column_types={column: pa.string() for column in text})
    try:
        table = pyarrow.csv.read_csv(pa.BufferReader(data), convert_options=kinds)
    except (UnicodeDecodeError, pa.ArrowInvalid) as error:
        if isinstance(error, UnicodeDecodeError) or "UTF8" in str(error):
            raise _no_utf8(name) from None
        raise
    if any(pa.types.is_binary(kind) for kind in table.schema.types):
        raise _no_utf8(name)
    return table


def _no_utf8(name: str) -> InputError:
    return InputError(f"{name} is no UTF-8 text; save the CSV as UTF-8")


def _check_shape(name: str, columns: Sequence[str], rows: int, unpacked: int) -> None:
    """Refuse what would take too much once it is read, by what the file says of itself."""
    if len(columns) > MOST_COLUMNS:
        raise InputError(
            f"{name} has {len(columns):,} columns; up to {MOST_COLUMNS:,} are taken: leave out what is no role"
        )
    long = [column for column in columns if len(column) > MOST_HEADING]
    if long:
        raise InputError(
            f"{name} has a column whose name has {len(long[0]):,} characters ({long[0][:40]!r}...); up to "
            f"{MOST_HEADING} are taken: is the first line its header?"
        )
    check_unique(columns, "column", f"{name}: the", "rename or drop one of them")
    if rows > MOST_ROWS:
        raise InputError(f"{name} has {rows:,} rows; up to {MOST_ROWS:,} are taken here: {MENDS}")
    if rows * len(columns) > MOST_CELLS:
        raise InputError(
            f"{name} has {rows:,} rows of {len(columns):,} columns; up to {MOST_CELLS:,} cells are taken here: leave "
            f"out columns that are no role, or {MENDS}"
        )
    if unpacked > MOST_UNPACKED:
        raise _too_much(name, _size(unpacked))


def _too_much(name: str, unpacked: str) -> InputError:
    return InputError(f"{name} unpacks to {unpacked}; up to {_size(MOST_UNPACKED)} are taken here: {MENDS}")


def _text_unpacked(name: str, table: pa.Table) -> pa.Table:
    """Dictionaries as plain text, once it is counted how much that is."""
    coded = [field.name for field in table.schema if pa.types.is_dictionary(field.type)]
    total = sum(_bytes(chunk) for column in coded for chunk in table[column].chunks)
    if total > MOST_UNPACKED:
        raise _too_much(name, f"{_size(total)} of text")
    for column in coded:
        kind = table.schema.field(column).type.value_type
        table = table.set_column(table.column_names.index(column), column, table[column].cast(kind))
    return table


def _bytes(chunk: pa.DictionaryArray) -> int:
    """What a column's text takes unpacked; 8 bytes a cell where the dictionary holds something else."""
    if not _is_text(chunk.dictionary.type):
        return 8 * len(chunk)
    lengths = pc.binary_length(chunk.dictionary).cast(pa.int64())
    return int(pc.sum(lengths.take(chunk.indices)).as_py() or 0)


def _is_text(kind: pa.DataType) -> bool:
    plain = kind.value_type if pa.types.is_dictionary(kind) else kind
    checks = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)
    return any(check(plain) for check in checks)


def _size(count: int) -> str:
    return f"{number(count / (1 << 20), 0 if count >= 10 << 20 else 2)} MB"
