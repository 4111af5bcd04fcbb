"""Decisions as CSV: the same decisions, no cell that a spreadsheet executes, and nobody's file lost."""

from __future__ import annotations

import csv
import errno
import os
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from allocation.jobs.batch.export import escaped, export_decisions
from tests.allocation.jobs.batch.small_decisions import ARMS, Made, N, change_part, make
from uplift.errors import InputError

EVIL = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\tx",
    "\rx",
    "\n=1",
    " =1",
    "＝1",
    "＋1",
    "－1",
    "＠x",
    "﹢1",
    "\u200b=1",
    "\ufeff=1",
]
KIND = ["a=1", "7", "", "user-1", "'=1", "x@y", "0", '"quoted", and\nmore']


@pytest.fixture
def made(tmp_path: Path) -> Made:
    """A run whose ids are text that wants to be more."""
    texts = [*EVIL, *KIND]
    return make(tmp_path, ids=lambda k: f"{texts[k % len(texts)]}#{k}")


def test_the_file_holds_the_decisions_in_their_order(made: Made, tmp_path: Path):
    done = export_decisions(made.out, tmp_path / "all.csv")
    with done.file.open(newline="", encoding="utf-8") as file:
        header, *rows = list(csv.reader(file))
    assert header == ["user_id", "arm", "expected_value", "expected_cost", "margin"]
    assert done.rows == len(rows) == N
    for row, expected in zip(rows, made.frame.itertuples(), strict=True):
        assert row[0] == "'" * expected.user_id.startswith(tuple(EVIL)) + expected.user_id
        assert row[1] == "'" * (expected.arm == "=coupon") + expected.arm
        assert list(map(float, row[2:])) == [expected.expected_value, expected.expected_cost, expected.margin]
    evil = made.frame["user_id"].str.startswith(tuple(EVIL)).sum()
    assert done.escaped == evil + (made.frame["arm"] == "=coupon").sum()


def test_no_cell_of_text_begins_like_a_formula_and_others_are_as_they_are():
    column, count = escaped(pa.array([*EVIL, *KIND]))
    assert column.to_pylist() == ["'" + text for text in EVIL] + KIND
    assert count == len(EVIL)


def test_ids_that_are_numbers_stay_numbers(tmp_path: Path):
    made = make(tmp_path, ids=lambda k: k - 5)
    done = export_decisions(made.out, tmp_path / "all.csv")
    assert done.file.read_text().splitlines()[1].startswith("-5,")
    assert pd.read_csv(done.file)["user_id"].tolist() == list(range(-5, N - 5))


def test_some_arms_alone(made: Made, tmp_path: Path):
    done = export_decisions(made.out, tmp_path / "some.csv", ["mail", "none"])
    kept = made.frame[made.frame["arm"].isin(["mail", "none"])]
    with done.file.open(newline="", encoding="utf-8") as file:
        assert [row["arm"] for row in csv.DictReader(file)] == kept["arm"].tolist()
    with pytest.raises(InputError, match=r"decides for no arm 'post'. There is|Did you mean"):
        export_decisions(made.out, tmp_path / "none.csv", ["post"])
    assert not (tmp_path / "none.csv").exists()


def test_a_file_that_is_there_is_kept_unless_forced(made: Made, tmp_path: Path):
    (tmp_path / "mine.csv").write_text("mine")
    with pytest.raises(InputError, match="is there, and would be lost"):
        export_decisions(made.out, tmp_path / "mine.csv")
    assert (tmp_path / "mine.csv").read_text() == "mine"
    export_decisions(made.out, tmp_path / "mine.csv", force=True)
    assert len((tmp_path / "mine.csv").read_text()) > 10_000


def test_what_is_no_place_for_a_csv_file_is_refused(made: Made, tmp_path: Path):
    (tmp_path / "folder.csv").mkdir()
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "link.csv").symlink_to(made.out / "manifest.csv")
    cases = {
        "x.txt": "no name of a CSV file",
        "none/x.csv": "no folder that may be written to",
        "decisions/x.csv": "lies in the folder of the decisions",
        "link.csv": "lies in the folder of the decisions",
        "folder.csv": "no regular file",
        "pipe.csv": "no regular file",
        "n\0.csv": "cannot be a CSV file",
        "x" * 300 + ".csv": "cannot be",
    }
    for name, message in cases.items():
        with pytest.raises(InputError, match=message):
            export_decisions(made.out, f"{tmp_path}/{name}", force=True)


@pytest.mark.parametrize("harm", ["cut", "bit", "arm"])
def test_a_part_that_is_not_the_manifests_leaves_no_file(made: Made, tmp_path: Path, harm: str):
    path = made.out / "part-00002.parquet"
    content = path.read_bytes()
    if harm == "cut":
        path.write_bytes(content[:-1])
    elif harm == "bit":
        path.write_bytes(content[:500] + bytes([content[500] ^ 1]) + content[501:])
    else:
        change_part(made.out, 2, lambda t: t.set_column(1, "arm", pa.array(["../../x"] * t.num_rows)))
    with pytest.raises(InputError, match=r"part-00002.parquet"):
        export_decisions(made.out, tmp_path / "x.csv")
    assert [p.name for p in tmp_path.iterdir() if p.suffix == ".csv"] == []


def test_a_full_disk_leaves_no_file(made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(InputError, match=r"No space left on device; no file is half written. Free some"):
        export_decisions(made.out, tmp_path / "x.csv")
    assert [p.name for p in tmp_path.iterdir() if ".csv" in p.name] == []


def test_an_arm_is_quoted_too(made: Made, tmp_path: Path):
    text = export_decisions(made.out, tmp_path / "x.csv", [ARMS[2]]).file.read_text()
    assert ',"\'=coupon",' in text
    assert ',"=coupon",' not in text
