"""Users who were served: who is found, what was spent, and what a file of them must not be."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from response_tables import ARMS, responses, write

from allocation.jobs.tables import served as served_module
from allocation.jobs.tables.open import open_responses
from allocation.jobs.tables.served import read_served, unserved
from uplift.errors import InputError


def served_file(folder: Path, **columns: object) -> Path:
    path = folder / "served.parquet"
    pq.write_table(pa.table({"user_id": [4, 2], "arm": ["mail", "none"], "cost": [0.1, -0.2], **columns}), path)
    return path


def test_columns_come_along_in_one_order(tmp_path):
    more = {"value": [1, 2], "resource.minutes": [5.0, 6.0], "segment": ["a", None]}
    served = read_served(served_file(tmp_path, **more), pa.int64(), ARMS)
    assert len(served) == 2
    by_user = {
        user: (int(served.arm[k]), served.cost[k], served.value[k], served.resources["minutes"][k],
               served.attributes["segment"][k].as_py())
        for k, user in enumerate(served.user_id.to_pylist())
    }  # fmt: skip
    assert by_user == {4: (1, 0.1, 1.0, 5.0, "a"), 2: (0, -0.2, 2.0, 6.0, None)}
    assert served.total == Fraction(0.1) + Fraction(-0.2)
    assert read_served(served_file(tmp_path), pa.int64(), ARMS).value is None


@given(
    st.sets(st.integers(0, 2**64 - 1), max_size=30), st.lists(st.integers(0, 2**64 - 1), max_size=30), st.booleans()
)
@settings(deadline=None, max_examples=60)
def test_found_are_just_those_who_are_there(tmp_path_factory, those, others, text):
    convert, kind = (lambda k: f"user {k}", pa.string()) if text else (lambda k: k, pa.uint64())
    rows, asked = [convert(k) for k in those], [convert(k) for k in [*others, *list(those)[::2]]]
    path = tmp_path_factory.mktemp("served") / "s.parquet"
    cells = {"user_id": pa.array(rows, kind), "arm": ["none"] * len(rows), "cost": np.zeros(len(rows))}
    pq.write_table(pa.table(cells), path)
    served = read_served(path, kind, ARMS)
    found = served.find(pa.array(asked, kind))
    assert [None if k < 0 else served.user_id[k].as_py() for k in found.tolist()] == [
        user if user in set(rows) else None for user in asked
    ]


def test_texts_that_share_a_key_are_told_apart(tmp_path, monkeypatch):
    monkeypatch.setattr(served_module, "keys_of", lambda ids: np.zeros(len(ids), np.uint64))
    path = tmp_path / "s.parquet"
    pq.write_table(pa.table({"user_id": ["a", "b", "c"], "arm": ["none"] * 3, "cost": [1.0, 2.0, 3.0]}), path)
    served = read_served(path, pa.string(), ARMS)
    assert served.cost[served.find(pa.array(["c", "b"]))].tolist() == [3.0, 2.0]
    assert served.find(pa.array(["d"])).tolist() == [-1]


def test_the_others_keep_their_positions(tmp_path):
    write(tmp_path / "t", responses(10))
    served = read_served(served_file(tmp_path), pa.int64(), ARMS)
    blocks = [unserved(block, served) for block in open_responses(tmp_path / "t").stream(4)]
    assert [block.places.tolist() for block in blocks] == [[0, 1, 3], [5, 6, 7], [8, 9]]
    assert [block.user_id.to_pylist() for block in blocks] == [[0, 1, 3], [5, 6, 7], [8, 9]]
    assert blocks[2].place is None  # nobody of them was served


def test_a_csv_file_says_the_same(tmp_path):
    path = tmp_path / "served.csv"
    path.write_text("user_id,arm,cost,value\n007,mail,1.5,2\n8,none,0,0\n")
    by_name = read_served(path, pa.string(), ARMS)
    assert sorted(by_name.user_id.to_pylist()) == ["007", "8"]
    assert by_name.total == Fraction(3, 2)
    assert sorted(read_served(path, pa.int64(), ARMS).user_id.to_pylist()) == [7, 8]
    pd.DataFrame({"user_id": [1], "arm": [20], "cost": [3]}).to_csv(path, index=False)
    assert read_served(path, pa.int64(), ("0", "20")).arm.tolist() == [1]


def test_decisions_given_for_who_was_served_are_told_apart(tmp_path):
    """A part of decisions says what was expected, not what was spent."""
    part = pa.table({"user_id": [1], "arm": ["mail"], "expected_value": [1.0], "expected_cost": [0.5]})
    pq.write_table(part, tmp_path / "part-00000.parquet")
    with pytest.raises(
        InputError, match=r"no column cost\. It has expected_cost, .* the money that was really spent on"
    ):
        read_served(tmp_path, pa.int64(), ARMS)


def test_folders_of_parts_and_nobody_at_all(tmp_path):
    served_file(tmp_path)
    pq.write_table(pa.table({"user_id": [9], "arm": ["coupon"], "cost": [7.0]}), tmp_path / "t.parquet")
    served = read_served(tmp_path, pa.int64(), ARMS)
    assert served.total == Fraction(0.1) + Fraction(-0.2) + 7
    nobody = tmp_path / "none.csv"
    nobody.write_text("user_id,arm,cost\n")
    none = read_served(nobody, pa.string(), ARMS)
    assert (len(none), none.total, none.find(pa.array(["x"])).tolist()) == (0, 0, [-1])


@pytest.mark.parametrize(
    ("columns", "kind", "message"),
    [
        ({"arm": ["mail", "mial"]}, pa.int64(), "gives arm 'mial' in row 1 .* none of this run. Did you mean 'mail'"),
        ({"user_id": [4, 4]}, pa.int64(), "has user_id 4 in rows 0 and 1 .* a user is served once: add the rows up"),
        ({}, pa.string(), "holds int64 cells in column user_id, such as 4; .* have text for ids"),
        (
            {"user_id": ["a", "b"]},
            pa.int64(),
            "holds string cells in column user_id, such as 'a'; .* integers for ids",
        ),
        ({"user_id": [-1, 2]}, pa.uint64(), "column user_id: .*-1"),
        ({"cost": [1.0, None]}, pa.int64(), "column cost is missing in row 1"),
        ({"cost": [1.0, float("inf")]}, pa.int64(), "column cost is inf in row 1"),
        ({"cost": ["1", "2"]}, pa.int64(), "holds string cells in column cost; numbers are expected"),
        ({"value": [None, 1.0]}, pa.int64(), "column value is missing in row 0"),
        ({"arm": [None, "mail"]}, pa.int64(), "column arm is missing in row 0"),
        ({"user_id": [None, 2]}, pa.int64(), "column user_id is missing in row 0"),
    ],
)
def test_what_a_file_of_served_users_must_not_be(columns, kind, message, tmp_path):
    with pytest.raises(InputError, match=rf"served.parquet:? {message}"):
        read_served(served_file(tmp_path, **columns), kind, ARMS)


def test_a_column_that_is_missing_is_named(tmp_path):
    path = tmp_path / "s.csv"
    path.write_text("user_id,arm,costs\n1,none,2\n")
    with pytest.raises(InputError, match=r"s.csv has no column cost. Did you mean 'costs'"):
        read_served(path, pa.int64(), ARMS)
    with pytest.raises(InputError, match="does not exist"):
        read_served(tmp_path / "x.parquet", pa.int64(), ARMS)
    (tmp_path / "y.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(InputError, match=r"y.parquet cannot be read as Parquet"):
        read_served(tmp_path / "y.parquet", pa.int64(), ARMS)
