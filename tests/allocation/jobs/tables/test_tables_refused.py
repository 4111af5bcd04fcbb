"""What a response table must not be: one message that names the file, the column, the row, and the mend."""

from __future__ import annotations

import datetime as dt
import decimal
import io
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from response_tables import ARMS, responses, write

from allocation.jobs.tables.open import open_responses
from uplift.errors import InputError


def renamed(old: str, new: str) -> pa.Table:
    table = responses(4)
    return table.rename_columns([new if name == old else name for name in table.column_names])


def holding(column: str, cells: object) -> pa.Table:
    table = responses(4)
    place = table.column_names.index(column)
    return table.set_column(place, column, cells if isinstance(cells, pa.Array) else pa.array(cells))


def with_column(name: str, cells: object, table: pa.Table | None = None) -> pa.Table:
    return (responses(4) if table is None else table).append_column(name, pa.array(cells))


TRUE = [True] * 4
SCHEMAS: list[tuple[Callable[[], pa.Table], str]] = [
    (lambda: renamed("user_id", "userid"), "a.parquet has no column user_id. Did you mean 'userid'"),
    (lambda: renamed("cost.mail", "cost.mial"), "has a column cost.mial, and 'mial' is no arm. Did you mean 'mail'"),
    (lambda: responses(4).drop_columns(["cost.mail"]), "has no column cost.mail."),
    (lambda: responses(4).drop_columns(["value.mail"]), "has a column cost.mail, and 'mail' is no arm."),
    (lambda: responses(4).select(["user_id"]), "has no value.<arm> column; a response table has value.<arm>"),
    (lambda: with_column("value.", [1.0] * 4), "has a column value. that names no arm"),
    (lambda: with_column("cost.", [1.0] * 4), "has a column cost., and '' is no arm"),
    (
        lambda: with_column("eligible.mail", TRUE),
        "a column eligible.mail and no column eligible.none; write eligible",
    ),
    (lambda: with_column("eligible.sms", TRUE), "has a column eligible.sms, and 'sms' is no arm"),
    (
        lambda: holding("user_id", [1.0, 2.0, 3.0, 4.0]),
        "holds double cells in column user_id; integers or text .*int64",
    ),
    (lambda: holding("user_id", [b"a"] * 4), "holds binary cells in column user_id; .* cast the column to text"),
    (lambda: holding("value.mail", ["1"] * 4), "holds string cells in column value.mail; numbers are expected"),
    (lambda: holding("cost.mail", [dt.date(2024, 1, 1)] * 4), "date32.* cells in column cost.mail; numbers"),
    (
        lambda: holding("cost.mail", [decimal.Decimal("1.5")] * 4),
        "decimal128.* in column cost.mail; .* cast it to float64",
    ),
    (lambda: holding("value.mail", [[1.0]] * 4), "holds list.* cells in column value.mail; numbers"),
]


@pytest.mark.parametrize(("make", "message"), SCHEMAS, ids=[message[:40] for _, message in SCHEMAS])
def test_columns_that_no_response_table_has(make, message, tmp_path):
    write(tmp_path, make())
    with pytest.raises(InputError, match=message):
        open_responses(tmp_path)


def test_eligible_must_be_booleans(tmp_path):
    table = responses(4)
    for arm in ARMS:
        table = with_column(f"eligible.{arm}", [1, 0, 1, 1], table)
    write(tmp_path, table)
    with pytest.raises(InputError, match=r"holds int64 cells in column eligible.none; booleans are expected"):
        open_responses(tmp_path)


def test_what_is_asked_for_must_be_there(tmp_path):
    write(tmp_path, with_column("segment", ["a"] * 4))
    with pytest.raises(InputError, match=r"no column segmnet. Did you mean 'segment'"):
        open_responses(tmp_path, attributes=["segmnet"])
    with pytest.raises(InputError, match=r"no column resource.minutes.none"):
        open_responses(tmp_path, ["minutes"])
    with pytest.raises(InputError, match="a resource is named 'cost', which is a word of its own"):
        open_responses(tmp_path, ["cost"])


def test_a_column_that_stands_twice(tmp_path):
    table = responses(4)
    doubled = pa.Table.from_arrays([*table.columns, table.column(1)], [*table.column_names, "value.none"])
    write(tmp_path, doubled)
    with pytest.raises(InputError, match=r"a.parquet: the column 'value.none' stands more than once"):
        open_responses(tmp_path)


DRIFT: list[tuple[Callable[[], pa.Table], str]] = [
    (lambda: holding("value.mail", np.ones(4)), r"b.parquet holds double .* value.mail, .*a.parquet holds float"),
    (
        lambda: holding("user_id", ["a"] * 4),
        r"b.parquet holds string cells in column user_id, .*a.parquet holds int64",
    ),
    (lambda: holding("user_id", pa.array([1] * 4, pa.int32())), "b.parquet holds int32 .*a.parquet holds int64"),
    (lambda: responses(4).drop_columns(["cost.mail"]), r"b.parquet has no column cost.mail, which .*a.parquet has"),
    (lambda: with_column("value.sms", [1.0] * 4), "b.parquet has a column value.sms, which .*a.parquet has not"),
    (lambda: with_column("eligible.mail", TRUE), "b.parquet has a column eligible.mail, which .*a.parquet has not"),
]


@pytest.mark.parametrize(("make", "message"), DRIFT, ids=[message[:40] for _, message in DRIFT])
def test_a_schema_that_changes_half_way(make, message, tmp_path):
    write(tmp_path, responses(4), make())
    with pytest.raises(InputError, match=message):
        open_responses(tmp_path)


NAN, SINGLE, DOUBLE, WHOLE = float("nan"), pa.float32(), pa.float64(), pa.int64()
CELLS = [
    ("value.mail", SINGLE, [1.0, None, 2.0], r"value.mail is missing \(null\) in row 201 "),
    ("value.mail", SINGLE, [1.0, 2.0, NAN], r"value.mail is missing \(NaN\) in row 202 "),
    ("value.mail", DOUBLE, [1.0, 2.0, NAN], r"value.mail is missing \(NaN\) in row 202 "),
    ("cost.none", SINGLE, [float("-inf"), float("inf"), 2.0], r"cost.none is infinite in row 200 "),
    ("cost.none", DOUBLE, [float("inf"), 1.0, 2.0], r"cost.none is infinite in row 200 "),
    ("cost.none", DOUBLE, [1.0, -1e101, 2.0], r"cost.none is -1e\+101 in row 201 .* within 1e\+100"),
    ("cost.none", WHOLE, [1, 2**53 + 1, 3], r"cost.none: .* write it as float64"),
    ("user_id", WHOLE, [1, None, 3], r"user_id is missing \(null\) in row 201 "),
]


@pytest.mark.parametrize(("column", "kind", "cells", "message"), CELLS)
def test_a_cell_that_is_none_is_named_by_its_row_in_its_file(column, kind, cells, message, tmp_path):
    first, second = responses(5), responses(203)
    place = first.column_names.index(column)
    bad = pa.array(second[column].to_pylist()[:200] + cells, kind)
    write(tmp_path, first.set_column(place, column, pa.array(first[column].to_pylist(), kind)),
          second.set_column(place, column, bad), row_group_size=64)  # fmt: skip
    source = open_responses(tmp_path)
    with pytest.raises(InputError, match=rf"b.parquet: column {message}"):
        list(source.stream(64))
    assert len(source.block(0, 100)) == 100  # what stands before it is read


def test_eligible_must_be_known(tmp_path):
    table = responses(4)
    for arm in ARMS:
        table = with_column(f"eligible.{arm}", [True, True, None, False], table)
    write(tmp_path, table)
    with pytest.raises(InputError, match=r"column eligible.none is missing \(null\) in row 2"):
        open_responses(tmp_path).block(0, 4)


def test_large_finite_sums_are_no_fault(tmp_path):
    write(tmp_path, holding("value.mail", np.full(4, 3e38, np.float32)))
    assert open_responses(tmp_path).block(0, 4).value[0, 1] == np.float32(3e38)


def test_text_that_is_no_utf8_is_refused(tmp_path):
    bad = pa.StringArray.from_buffers(2, pa.py_buffer(np.array([0, 1, 2], np.int32)), pa.py_buffer(b"a\xff"))
    write(tmp_path, responses(2).set_column(0, "user_id", bad))
    with pytest.raises(InputError, match=r"a.parquet cannot be read as Parquet: .*UTF8"):
        open_responses(tmp_path).block(0, 2)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "a.parquet is empty: 0 bytes"),
        (b"user_id,value.none\n1,2\n", "a.parquet cannot be read as Parquet: Parquet magic bytes not found"),
        (b"PAR1", "a.parquet cannot be read as Parquet"),
        (b"PAR1" + b"\xff" * 100 + b"PAR1", "a.parquet cannot be read as Parquet"),
    ],
)
def test_files_that_are_no_parquet(content, message, tmp_path):
    (tmp_path / "a.parquet").write_bytes(content)
    with pytest.raises(InputError, match=message):
        open_responses(tmp_path)


def test_no_rows_at_all(tmp_path):
    write(tmp_path, responses(0), responses(0))
    with pytest.raises(InputError, match="has no rows"):
        open_responses(tmp_path)


def test_a_file_cut_anywhere_is_refused(tmp_path):
    sink = io.BytesIO()
    pq.write_table(responses(300), sink, row_group_size=100)
    whole = sink.getvalue()
    for at in [*range(0, len(whole), 97), *range(len(whole) - 12, len(whole))]:
        path = tmp_path / "cut.parquet"
        path.write_bytes(whole[:at])
        with pytest.raises(InputError, match=r"cut.parquet"):
            list(open_responses(path).stream(50))


def test_every_flipped_byte_of_a_page_is_found_where_pages_have_checksums(tmp_path):
    path = write(tmp_path, responses(300), write_page_checksum=True) / "a.parquet"
    whole = path.read_bytes()
    column = pq.ParquetFile(path).metadata.row_group(0).column(3)
    end = (column.dictionary_page_offset or column.data_page_offset) + column.total_compressed_size
    for at in range(end - 40, end):
        damaged = bytearray(whole)
        damaged[at] ^= 0x10
        path.write_bytes(damaged)
        with pytest.raises(InputError, match="could not verify page integrity, CRC checksum verification failed"):
            open_responses(path).block(0, 300)


def test_files_that_change_or_go_while_they_are_read(tmp_path):
    write(tmp_path, responses(50), responses(50, 50))
    source, second = open_responses(tmp_path), tmp_path / "b.parquet"
    stream = source.stream(10)
    next(stream)
    pq.write_table(responses(60, 50), second)
    with pytest.raises(InputError, match=r"b.parquet has changed since the table was opened \(.* bytes instead of"):
        list(stream)
    with pytest.raises(InputError, match=r"b.parquet has changed"):
        source.block(60, 70)
    with pytest.raises(InputError, match=r"b.parquet has changed"):
        source.fingerprint()
    source = open_responses(tmp_path)
    os.utime(second, ns=(1, 1))
    with pytest.raises(InputError, match=r"\(it was written anew\)"):
        source.block(60, 70)
    second.unlink()
    with pytest.raises(InputError, match=r"b.parquet is gone; write it anew"):
        source.block(60, 70)
    assert len(source.block(0, 50)) == 50


def test_a_file_that_may_not_be_read_is_refused(tmp_path, monkeypatch):
    path: Path = write(tmp_path, responses(5)) / "a.parquet"
    source = open_responses(path)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(pq, "ParquetFile", refuse)
    with pytest.raises(InputError, match=r"a.parquet may not be read; allow it"):
        source.block(0, 5)


def test_absurd_sizes_are_refused(tmp_path, monkeypatch):
    """A row of 2 MB; and rows that no file of this size can hold if every user has an id."""
    write(tmp_path, with_column("photo", ["x" * 2_000_000] * 4), use_dictionary=False)
    with pytest.raises(InputError, match=r"it claims .* bytes for 4 rows, beyond 1 MiB a row"):
        open_responses(tmp_path)
    write(tmp_path, responses(1000))
    monkeypatch.setattr("allocation.jobs.tables.footers.ROWS_A_BYTE", 0.01)
    with pytest.raises(InputError, match=r"it claims 1,000 rows in .* bytes"):
        open_responses(tmp_path)
