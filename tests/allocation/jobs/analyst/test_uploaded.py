"""Files that somebody sends: read as they are, refused in one message, and kept nowhere."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from allocation.engine.problem import ProblemError
from allocation.jobs.analyst import uploaded
from allocation.jobs.analyst.answers import answers_of
from allocation.jobs.analyst.run import open_run
from allocation.jobs.analyst.uploaded import arms_of, read_upload, run_of_log, run_of_table
from uplift import synthetic
from uplift.errors import InputError


def parquet(table: pa.Table, **how: object) -> bytes:
    out = io.BytesIO()
    pq.write_table(table, out, **how)
    return out.getvalue()


PLAIN = pa.table({"user_id": ["a", "b"], "value.none": [1.0, 2.0], "cost.none": [0.0, 0.0]})


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for temporary files of its own, to see what is left in it."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_a_table_is_read_as_it_is():
    assert read_upload("a.PARQUET", parquet(PLAIN)).equals(PLAIN)
    table = read_upload("a.csv", b"user_id,value.none\n007,1.5\n", ["user_id"])
    assert table.to_pydict() == {"user_id": ["007"], "value.none": [1.5]}
    coded = PLAIN.set_column(0, "user_id", PLAIN["user_id"].dictionary_encode())
    assert read_upload("a.parquet", parquet(coded)).to_pydict() == PLAIN.to_pydict()


WHOLE = parquet(PLAIN)
NESTED = parquet(pa.table({"a": [[1, 2], [3]]}))
WIDE = pa.table({f"c{j}": [1] for j in range(1_001)})
REPEATED = parquet(pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"]))


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("log.xlsx", b"PK", r"log.xlsx ends in '.xlsx'; a file that ends in .parquet or .csv is expected"),
        ("log", b"a", r"log ends in 'nothing'; a file that ends in"),
        ("a.csv", b"", r"a.csv is empty: 0 bytes"),
        ("a.csv", b"a,b\n", r"a.csv has no rows"),
        ("a.csv", b"\n\n", r"a.csv (cannot be read|has no rows)"),
        ("a.csv", b"a,a\n1,2\n", r"column 'a' .*more than once|column 'a' .*twice|'a'"),
        ("a.csv", b"a,b\n1\n", r"a.csv cannot be read: .*Expected 2 columns"),
        ("a.csv", "é,b\n1,2\n".encode("latin-1"), r"a.csv is no UTF-8 text"),
        ("a.csv", b"a\n\xff\xfe\n", r"a.csv is no UTF-8 text"),
        ("a.csv", b"x" * 300 + b"\n1\n", r"a column whose name has 300 characters"),
        ("a.csv", b"x" * 300_000, r"a first line of 300,000 characters"),
        ("a.csv", b"x" * 150_000 + b"\n1\n", r"a first line that is no header: field larger than field limit"),
        ("~a.csv", b"a\n1\n", r"the file is called '~a.csv'; rename it"),
        ("a" * 197 + ".csv", b"a\n1\n", r"a name of at most 200 characters is expected \(it has 201\); rename it"),
        (" .csv", b"a\n1\n", r"the file is called ' .csv'; rename it"),
        ("a.csv", ",".join(f"c{j}" for j in range(1_001)).encode() + b"\n", r"1,001 columns; up to 1,000 are taken"),
        ("a.parquet", b"a,b\n1,2\n", r"a.parquet is no whole Parquet file: it starts with b'a,b"),
        ("a.parquet", WHOLE[:-20], r"a.parquet is no whole Parquet file"),
        ("a.parquet", WHOLE[:40] + WHOLE[-8:], r"a.parquet cannot be read: .*; it may be cut short"),
        ("a.parquet", b"PAR1" + b"\xff" * 60 + b"PAR1", r"a.parquet cannot be read"),
        ("a.parquet", NESTED, r"lists or records in column 'a'"),
        ("a.parquet", parquet(WIDE), r"1,001 columns; up to 1,000 are taken"),
        ("a.parquet", REPEATED, r"column 'a'"),
        ("a.parquet", parquet(PLAIN.slice(0, 0)), r"a.parquet has no rows"),
    ],
)
def test_what_is_no_table_is_one_message(name: str, data: bytes, message: str):
    with pytest.raises(InputError, match=message):
        read_upload(name, data)


def test_bombs_are_known_before_they_are_unpacked():
    """Three files of less than 3 MB: more rows, more cells, and far more text than is taken."""
    rows = parquet(pa.table({"a": np.zeros(3_000_000, dtype=np.int8)}), compression="zstd")
    cells = parquet(pa.table({f"c{j}": np.zeros(700_000, dtype=np.int8) for j in range(100)}), compression="zstd")
    text = pa.DictionaryArray.from_arrays(np.zeros(900_000, dtype=np.int32), ["x" * 1_000_000])
    for data, message in (
        (rows, r"has 3,000,000 rows; up to 1,000,000 are taken here"),
        (cells, r"has 700,000 rows of 100 columns; up to 67,108,864 cells"),
        (parquet(pa.table({"t": text})), r"unpacks to 858,307 MB of text; up to 512 MB are taken"),
    ):
        assert len(data) < 3 << 20
        with pytest.raises(InputError, match=message):
            read_upload("bomb.parquet", data)


def test_what_the_footer_says_is_too_much_is_not_read(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(uploaded, "MOST_UNPACKED", 10)
    monkeypatch.setattr(pq.ParquetFile, "iter_batches", lambda *_, **__: pytest.fail("it was read"))
    with pytest.raises(InputError, match=r"a.parquet unpacks to .* MB; up to"):
        read_upload("a.parquet", WHOLE)


def test_lines_of_a_csv_are_counted_before_they_are_read(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(uploaded, "MOST_ROWS", 3)
    with pytest.raises(InputError, match=r"a.csv has 4 rows; up to 3 are taken"):
        read_upload("a.csv", b"a\n1\n2\n3\n4")
    monkeypatch.setattr(uploaded, "MOST_FILE", 5)
    with pytest.raises(InputError, match=r"up to 0.00 MB are taken here"):
        read_upload("a.csv", b"a\n1\n2\n")


def test_a_name_that_no_plan_may_hold_is_refused_at_once():
    with pytest.raises(InputError, match=r"the file is called 'a\\nb.csv': a name without control characters"):
        read_upload("a\nb.csv", b"x\n1\n")


def test_two_hundred_columns_with_hostile_names_are_text():
    names = ["<script>alert(1)</script>", "=1+1", "[a](http://x)", "$x$", *(f"c{j}" for j in range(196))]
    data = (",".join(names) + "\n" + ",".join("1" * 200) + "\n").encode()
    assert read_upload("wide.csv", data).column_names == names


def test_a_response_table_becomes_the_run_that_its_file_is(run_folder: Path, temporary: Path):
    file = run_folder / "responses.parquet"
    run, same = run_of_table("spring <b>.parquet", file.read_bytes()), open_run(file)
    assert run.plan.name == "spring <b>"
    assert run.arms == same.arms
    np.testing.assert_array_equal(run.value, same.value)
    assert run.user_id.equals(same.user_id)
    assert list(temporary.iterdir()) == []
    assert answers_of(run).span == answers_of(same).span  # nothing of the run lies in the file that is gone
    assert all(run.attributes[name].equals(same.attributes[name]) for name in same.attributes)


def test_a_table_without_its_columns_is_named_as_it_was_sent(temporary: Path):
    with pytest.raises(InputError, match=r"^mine.csv has no value.<arm> column"):
        run_of_table("mine.csv", b"user_id,x\n1,2\n")
    with pytest.raises(InputError, match=r"mine.csv"):
        run_of_table("mine.csv", b"user_id,value.a,cost.a\n1,2,x\n")
    assert list(temporary.iterdir()) == []


ROLES = {"treatment": "arm", "value": "value", "cost": "cost", "features": ["x0", "x1"], "control": "none"}


def log(n: int) -> pd.DataFrame:
    camp = synthetic.simulate(n, seed=1).campaign
    frame = pd.DataFrame(camp.X[:, :2], columns=["x0", "x1"])
    return frame.assign(
        arm=np.array(camp.arms)[camp.treatment], value=camp.value, cost=camp.cost, active=np.arange(n) % 50
    )


def test_a_log_becomes_a_verified_run_and_leaves_nothing(temporary: Path):
    data, steps = log(600).to_csv(index=False).encode(), []
    run = run_of_log("spring.csv", data, ROLES | {"activeness": "active"}, progress=steps.append, n_bootstrap=20)
    assert run.evidence is not None
    assert run.compared is not None
    assert run.summary is not None
    assert (run.summary.name, run.plan.name) == ("spring.csv", "spring")
    assert set(run.attributes["activeness"].dictionary.to_pylist()) == {"head", "tail"}
    assert any("fitting" in step for step in steps)
    assert list(temporary.iterdir()) == []


def test_a_log_that_cannot_be_run_is_one_message_and_leaves_nothing(temporary: Path):
    data = log(60).assign(x0="text").to_csv(index=False).encode()
    with pytest.raises(InputError, match=r"feature column 'x0' holds String cells"):
        run_of_log("spring.csv", data, ROLES)
    with pytest.raises((InputError, ProblemError), match=r"control"):
        run_of_log("spring.csv", log(60).to_csv(index=False).encode(), ROLES | {"control": "nothing"})
    assert list(temporary.iterdir()) == []


def test_arms_are_a_few_names():
    assert arms_of(pa.table({"t": [1.0, 0.0, 1.0]}), "t") == ["0", "1"]
    with pytest.raises(InputError, match=r"column 't' has more than 30 different values"):
        arms_of(pa.table({"t": list(range(31))}), "t")
    with pytest.raises(InputError, match=r"column 't' has 1 missing cells"):
        arms_of(pa.table({"t": ["a", None]}), "t")


def varint(number: int) -> bytes:
    """A whole number as Parquet's footer writes it: seven bits a byte, the lowest first, folded around 0."""
    number, found = number << 1, b""
    while number > 127:
        found, number = found + bytes([number & 127 | 128]), number >> 7
    return found + bytes([number])


def lying(data: bytes) -> bytes:
    """The same file with a footer that claims its columns to unpack to 1 byte each."""
    length = int.from_bytes(data[-8:-4], "little")
    footer, group = data[-8 - length : -8], pq.read_metadata(io.BytesIO(data)).row_group(0)
    for size in {group.total_byte_size, group.column(0).total_uncompressed_size}:
        told = varint(size)
        assert told in footer
        footer = footer.replace(told, bytes([2 | 128] + [128] * (len(told) - 2) + [0]))  # as many bytes as before
    return data[: -8 - length] + footer + data[-8:]


@pytest.mark.parametrize("dictionary", [True, False])
def test_a_footer_that_claims_less_than_its_pages_hold_is_found_out(
    monkeypatch: pytest.MonkeyPatch, dictionary: bool
):
    rows = 30_000
    text = pa.array([f"{j:06d}" + "x" * 400 for j in range(rows)])
    out = io.BytesIO()
    pq.write_table(pa.table({"t": text}), out, compression="zstd", use_dictionary=dictionary)
    data = lying(out.getvalue())
    assert pq.read_metadata(io.BytesIO(data)).row_group(0).total_byte_size == 1
    assert read_upload("lie.parquet", data).num_rows == rows
    monkeypatch.setattr(uploaded, "MOST_UNPACKED", 8 << 20)
    with pytest.raises(InputError, match=r"lie\.parquet unpacks to .* MB; up to 8.00 MB are taken here"):
        read_upload("lie.parquet", data)
