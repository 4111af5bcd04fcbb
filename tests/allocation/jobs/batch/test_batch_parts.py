"""Parts as tables and files: the same bytes every time, exact sums that merge, columns that any reader knows."""

from __future__ import annotations

import json
import pickle
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocation.engine.tables import LARGEST
from allocation.jobs.batch.part_file import write_part
from allocation.jobs.batch.parts import (
    arm_codes,
    decisions_table,
    fraction_of,
    fraction_text,
    of_record,
    summary_of,
    total,
)
from allocation.jobs.tables.writing import part_name
from tests.allocation.jobs.batch.small_runs import ARMS, ONE, table
from uplift.errors import InputError

FLOATS = st.floats(allow_nan=False, allow_infinity=False, width=32)


def test_a_table_has_a_row_a_user_with_the_name_of_the_arm():
    got = decisions_table(pa.array(["b", "a"]), ARMS, np.array([2, 0]), *np.float32([[0.1, 2], [3, 4], [5, 6]]))
    assert got.to_pydict() == {
        "user_id": ["b", "a"],
        "arm": ["coupon", "none"],
        "expected_value": [float(np.float32(0.1)), 2.0],
        "expected_cost": [3.0, 4.0],
        "margin": [5.0, 6.0],
    }


@pytest.mark.parametrize(
    "ids",
    [
        np.array([3, 1]),
        pa.array(["a", "b"]).dictionary_encode(),
        pa.array(["a", "b"], pa.large_string()),
        pa.chunked_array([["a"], ["b"]]),
        pa.chunked_array([pa.array(["a"]).dictionary_encode(), pa.array(["b"]).dictionary_encode()]),
        pa.array([2**64 - 1, 0], pa.uint64()),
    ],
)
def test_ids_of_any_make_are_numbers_or_text_in_the_file(tmp_path: Path, ids: pa.Array):
    made = decisions_table(ids, ARMS, np.array([0, 1]), *np.zeros((3, 2)))
    write_part(tmp_path, 0, ONE, made)
    read = pq.read_table(tmp_path / part_name(0))
    expected = ids.tolist() if isinstance(ids, np.ndarray) else ids.to_pylist()
    assert read["user_id"].to_pylist() == expected
    assert str(read.schema.field("user_id").type) in ("int64", "uint64", "string")
    assert [str(kind) for kind in read.schema.types[1:]] == ["string", "double", "double", "double"]
    assert pd.read_parquet(tmp_path / part_name(0))["arm"].tolist() == ["none", "mail"]


def test_the_same_table_gives_the_same_bytes_however_it_was_cut(tmp_path: Path):
    """In memory, from chunks, in another process' pickled arguments, on another day."""
    made = table(ONE, 0)
    contents = set()
    for k, source in enumerate([made, pickle.loads(pickle.dumps(made)), table(ONE, 0)]):  # noqa: S301
        folder = tmp_path / str(k)
        folder.mkdir()
        function, arguments = pickle.loads(pickle.dumps((write_part, (str(folder), 3, ONE, source))))  # noqa: S301
        function(*arguments)
        contents.add((folder / part_name(3)).read_bytes())
    assert len(contents) == 1


def test_the_summary_is_that_of_the_file_and_comes_through_json(tmp_path: Path):
    made = table(ONE, 0)
    part = write_part(tmp_path, 0, ONE, made)
    content = (tmp_path / part.file).read_bytes()
    frame = made.to_pandas()
    assert (part.file, part.rows, part.bytes) == ("part-00000.parquet", len(frame), len(content))
    assert part.users == tuple((frame["arm"] == arm).sum() for arm in ARMS)
    assert part.cost == sum(map(Fraction, frame["expected_cost"]))
    assert part == of_record(json.loads(json.dumps(part.record())))


def test_a_part_of_nobody(tmp_path: Path):
    """As where all users of a part were served before."""
    part = write_part(tmp_path, 0, ONE, decisions_table(pa.array([], pa.int64()), ARMS, *np.zeros((4, 0))))
    assert (part.rows, part.users, part.value) == (0, (0, 0, 0), 0)
    assert pq.read_schema(tmp_path / part.file).field("user_id").type == pa.int64()


@given(st.lists(st.tuples(st.integers(0, 2), FLOATS, FLOATS), max_size=30), st.integers(0, 30))
def test_sums_of_parts_are_those_of_the_whole_to_the_last_bit(rows: list[tuple[int, float, float]], cut: int):
    arm, value, cost = (np.array([row[k] for row in rows]) for k in range(3))
    pieces = [
        summary_of(decisions_table(np.arange(len(a)), ARMS, a, v, c, v), ARMS, "", 0, "")
        for a, v, c in ((arm[:cut], value[:cut], cost[:cut]), (arm[cut:], value[cut:], cost[cut:]))
    ]
    sums = total(pieces, len(ARMS))
    assert sums.rows == len(rows)
    assert sums.users == tuple(int((arm == k).sum()) for k in range(3))
    assert sums.value == sum(map(Fraction, value.tolist()))
    assert sums.cost == sum(map(Fraction, cost.tolist()))


def test_arms_of_several_dictionaries_are_told_by_their_names():
    chunks = [pa.array(["mail", "none"]).dictionary_encode(), pa.array(["none", "coupon"]).dictionary_encode()]
    assert arm_codes(pa.chunked_array(chunks), ARMS).tolist() == [1, 0, 0, 2]
    assert arm_codes(pa.chunked_array([["mail"], ["none"]]), ARMS).tolist() == [1, 0]
    # A name in a dictionary that no user has is no harm.
    unused = pa.DictionaryArray.from_arrays(pa.array([1], pa.int8()), pa.array(["post", "mail"]))
    assert arm_codes(pa.chunked_array([unused]), ARMS).tolist() == [1]


@pytest.mark.parametrize(
    ("column", "cells", "message"),
    [
        ("arm", ["post", "none"], "'arm' holds 'post', which is no arm of the run"),
        ("arm", [None, "none"], "'arm' has empty cells"),
        ("expected_value", [np.inf, 0.0], "'expected_value' has cells that are no finite numbers"),
        ("expected_cost", [None, 0.0], "'expected_cost' has cells that are no finite numbers"),
    ],
)
def test_what_does_not_add_up_is_told(column: str, cells: list[object], message: str):
    made = decisions_table(np.arange(2), ARMS, np.zeros(2, int), *np.zeros((3, 2)))
    at = made.column_names.index(column)
    with pytest.raises(InputError, match=message):
        summary_of(made.set_column(at, column, pa.array(cells)), ARMS, "", 0, "")


@pytest.mark.parametrize("text", [None, 1, "", "1", "1/0", "1/-2", "a/1", "1/2/3", " 1/2", "1" * 900 + "/1", "1e3/1"])
def test_what_is_no_fraction_is_told(text: object):
    with pytest.raises(InputError, match="is no exact amount; numerator/denominator is expected"):
        fraction_of(text)


@given(st.lists(st.floats(-LARGEST, LARGEST), max_size=5))
def test_fractions_come_back(amounts: list[float]):
    amount = sum(map(Fraction, amounts), Fraction(0))
    assert fraction_of(fraction_text(amount)) == amount


def test_too_many_parts_are_told():
    with pytest.raises(InputError, match="more than 100,000 parts, the most that have names; raise part_rows"):
        part_name(100_000)
