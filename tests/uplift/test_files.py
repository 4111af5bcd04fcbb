"""A table file is read, or refused by one message that names the file and the mend."""

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.uplift import ROLES, log
from uplift import Campaign, InputError
from uplift.files import read_table


@pytest.fixture
def parquet(tmp_path):
    """A good Parquet file of the log."""
    pq.write_table(pa.table(log()), tmp_path / "log.parquet")
    return tmp_path / "log.parquet"


@pytest.mark.parametrize("kind", [str, lambda path: path])
def test_parquet(parquet, kind):
    """What was written is read, from a path or its text."""
    assert read_table(kind(parquet)).to_pydict() == log()


@pytest.mark.parametrize("name", ["log.csv", "LOG.CSV"])
def test_csv(tmp_path, name):
    """Columns of a CSV file get the types of their cells."""
    pd.DataFrame(log()).to_csv(tmp_path / name, index=False)
    assert read_table(tmp_path / name).to_pydict() == log()


def test_missing(tmp_path):
    """A path without a file."""
    with pytest.raises(InputError, match=r"gone\.parquet does not exist; give the path"):
        read_table(tmp_path / "gone.parquet")


def test_home(tmp_path, monkeypatch):
    """What pyarrow writes to ~ is read from there."""
    monkeypatch.setenv("HOME", str(tmp_path))
    pq.write_table(pa.table({"a": [1]}), "~/log.parquet")
    assert read_table("~/log.parquet").to_pydict() == {"a": [1]}


def test_folder(tmp_path):
    """A folder instead of a file in it."""
    with pytest.raises(InputError, match=r"is a folder; give the path of one Parquet or CSV file"):
        read_table(tmp_path)


@pytest.mark.parametrize("name", ["log.parquet", "log.csv"])
def test_no_bytes(tmp_path, name):
    """An upload that broke off before its first byte."""
    (tmp_path / name).touch()
    with pytest.raises(InputError, match=rf"{name} is empty: 0 bytes; a table with at least one row is expected"):
        read_table(tmp_path / name)


@pytest.mark.parametrize("content", [b"id,arm\n1,none\n", b"PA", b"\x1f\x8b\x08\x00 zipped"])
def test_something_else_named_parquet(tmp_path, content):
    """A file that does not start like Parquet; the message says how to name a CSV file."""
    (tmp_path / "log.parquet").write_bytes(content)
    with pytest.raises(InputError, match=r"log\.parquet is no Parquet file: it starts with .*name a CSV file \.csv"):
        read_table(tmp_path / "log.parquet")


@pytest.mark.parametrize("share", [0.01, 0.25, 0.5, 0.75, 0.999])
def test_cut_short(parquet, share):
    """A Parquet file cut anywhere is refused, not half read."""
    whole = parquet.read_bytes()
    parquet.write_bytes(whole[: max(4, int(share * len(whole)))])
    with pytest.raises(
        InputError, match=r"log\.parquet starts like Parquet but cannot be read: .*cut short"
    ) as caught:
        read_table(parquet)
    assert "\n" not in str(caught.value)


def test_damaged_inside(parquet):
    """A page that does not unpack is refused though the ends of the file are sound."""
    whole = bytearray(parquet.read_bytes())
    whole[4:40] = b"\xff" * 36
    parquet.write_bytes(bytes(whole))
    with pytest.raises(InputError, match=r"log\.parquet starts like Parquet but cannot be read"):
        read_table(parquet)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a,b\n1,2\n3,4,5\n", r"Expected 2 columns, got 3: 3,4,5"),
        (b"a,b\n1,2\n3\n", r"Expected 2 columns, got 1: 3"),
        (b'a,b\n"1,2\n3,4\n', r"Expected 2 columns"),
        (b"\n\n", r"Empty CSV"),
    ],
    ids=["too long", "too short", "open quote", "blank"],
)
def test_broken_csv(tmp_path, content, message):
    """A row with too many or too few cells is shown."""
    (tmp_path / "log.csv").write_bytes(content)
    with pytest.raises(InputError, match=rf"log\.csv cannot be read as CSV: .*{message}.*mend the file"):
        read_table(tmp_path / "log.csv")


def test_csv_without_rows(tmp_path):
    """A header alone makes no campaign."""
    (tmp_path / "log.csv").write_text("id,arm,age,visits,spend\n")
    with pytest.raises(InputError, match=r"0 rows"):
        Campaign.from_parquet(tmp_path / "log.csv", **ROLES)


def test_csv_header_in_another_encoding(tmp_path):
    """A header that is not UTF-8."""
    (tmp_path / "log.csv").write_bytes("arm,âge,visits,spend\nnone,1,1,1\nmail,1,1,1\n".encode("latin1"))
    with pytest.raises(InputError, match=r"UTF-8|utf-8"):
        Campaign.from_parquet(tmp_path / "log.csv", **ROLES)


@pytest.mark.parametrize("role", ["arm", "id"])
def test_blank_name_in_a_csv(tmp_path, role):
    """An empty cell is a missing arm or a missing id, not one called ''."""
    names = {"id": list("abcdefgh")}
    cells = (log() | names)[role][:]
    cells[1] = None
    pd.DataFrame(log(**(names | {role: cells}))).to_csv(tmp_path / "log.csv", index=False)
    with pytest.raises(InputError, match=rf"'{role}' has 1 missing of 8 cells"):
        Campaign.from_parquet(tmp_path / "log.csv", **ROLES, user_id="id")


def test_parquet_with_a_column_twice(tmp_path):
    """Two columns of one name are no sign of a file cut short."""
    pq.write_table(pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"]), tmp_path / "log.parquet")
    with pytest.raises(InputError, match=r"'a'.*more than once"):
        read_table(tmp_path / "log.parquet")
