"""Blocks at random and in order hold what pyarrow, pandas and polars say is in the files."""

from __future__ import annotations

import gc
import pickle
import threading
import weakref
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from response_tables import ARMS, expected, responses, write

from allocation.jobs.tables import reading
from allocation.jobs.tables.ahead import one_ahead
from allocation.jobs.tables.blocks import Block
from allocation.jobs.tables.open import open_responses


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1,000 users in three files, with row groups of 64."""
    parts = [responses(400), responses(1, 400), responses(599, 401)]
    return write(tmp_path_factory.mktemp("parts"), *parts, row_group_size=64)


WHOLE = responses(1_000)


def agrees(block: Block, first: int, end: int) -> None:
    rows = WHOLE.slice(first, end - first)
    assert block.first == first
    assert len(block) == end - first
    assert block.user_id.to_pylist() == rows["user_id"].to_pylist()
    for kind, table in (("value", block.value), ("cost", block.cost)):
        assert table.dtype == np.float32
        assert table.flags.c_contiguous
        np.testing.assert_array_equal(table, expected(rows, kind))
    np.testing.assert_array_equal(block.places, np.arange(first, end))


@given(st.integers(0, 999), st.integers(1, 1_000))
@settings(max_examples=60, deadline=None)
def test_any_range_is_that_range(folder, first, length):
    end = min(first + length, 1_000)
    agrees(open_responses(folder).block(first, end), first, end)


@pytest.mark.parametrize("size", [1, 63, 64, 400, 401, 999, 1_000, 10**9])
def test_a_stream_is_every_block_in_order(folder, size):
    source = open_responses(folder)
    assert (source.n, source.arms) == (1_000, ARMS)
    if size == 1:
        source.files, source.groups, source.ends = source.files[:2], source.groups[:2], source.ends[:2]
    blocks = list(source.stream(size))
    for k, block in enumerate(blocks):
        agrees(block, k * size, min((k + 1) * size, source.n))
    assert sum(map(len, blocks)) == source.n


def test_a_source_travels(folder):
    source = open_responses(folder)
    source.start_fingerprint()
    agrees(pickle.loads(pickle.dumps(source)).block(390, 410), 390, 410)  # noqa: S301  # as Spark does


def test_only_row_groups_that_overlap_are_read(tmp_path):
    """Of 10 row groups of 100 users all but the one asked for are wiped: reading them would fail."""
    path = write(tmp_path, responses(1_000), row_group_size=100, compression="snappy") / "a.parquet"
    group = pq.ParquetFile(path).metadata.row_group(4)
    starts = [group.column(j).dictionary_page_offset or group.column(j).data_page_offset for j in range(7)]
    first, end = min(starts), max(s + group.column(j).total_compressed_size for j, s in enumerate(starts))
    content = bytearray(path.read_bytes())
    content[4:first] = bytes(first - 4)
    last = pq.ParquetFile(path).metadata.row_group(9).column(6)
    stop = (last.dictionary_page_offset or last.data_page_offset) + last.total_compressed_size
    content[end:stop] = bytes(stop - end)
    path.write_bytes(content)
    agrees(open_responses(path).block(410, 490), 410, 490)


def test_one_huge_row_group_streams_in_bounded_memory(tmp_path, monkeypatch):
    """Three million users in one row group, 96 MB decoded: at no time does Arrow hold a fifth of that."""
    monkeypatch.setattr(reading, "BATCH_ROWS", 1 << 16)
    n = 3_000_000
    columns = {"user_id": pa.array(np.arange(n))}
    for arm in ARMS:
        columns |= {f"value.{arm}": np.arange(n, dtype=np.float32), f"cost.{arm}": np.zeros(n, np.float32)}
    write(tmp_path, pa.table(columns), row_group_size=n)
    del columns
    source, before, most, seen = open_responses(tmp_path), pa.total_allocated_bytes(), 0, 0
    for block in source.stream(100_000):
        most, seen = max(most, pa.total_allocated_bytes() - before), seen + len(block)
        assert block.value[0, 0] == np.float32(block.first)
    assert seen == n
    assert most < 19e6


def test_at_most_two_blocks_are_alive(folder):
    alive: list[weakref.ref[Block]] = []
    for block in open_responses(folder).stream(100):
        alive.append(weakref.ref(block))
        del block
        gc.collect()
        assert sum(ref() is not None for ref in alive) == 0


def test_the_next_is_made_while_this_one_is_used():
    made = [threading.Event() for _ in range(4)]

    def items():
        for k in range(4):
            made[k].set()
            yield k

    for k in one_ahead(items()):
        if k < 3:
            assert made[k + 1].wait(10)
        if k < 2:
            assert not made[k + 2].is_set()


def test_what_the_maker_raises_comes_in_its_turn():
    def items():
        yield 1
        raise ValueError("second")

    coming = one_ahead(items())
    assert next(coming) == 1
    with pytest.raises(ValueError, match="second"):
        next(coming)


def test_whoever_leaves_early_leaves_no_thread(folder):
    before = threading.active_count()
    stream = open_responses(folder).stream(10)
    next(stream)
    stream.close()
    assert threading.active_count() == before


def test_pandas_and_polars_write_the_same_table(tmp_path):
    frame = WHOLE.to_pandas()
    frame["segment"] = pd.Categorical(np.where(frame.index % 2, "heavy", "light"))
    frame.to_parquet(tmp_path / "pandas.parquet")
    pl.from_pandas(frame).write_parquet(tmp_path / "polars.parquet")
    frame.set_index("user_id").to_parquet(tmp_path / "index.parquet", index=True)
    for name in ("pandas", "polars", "index"):
        source = open_responses(tmp_path / f"{name}.parquet", attributes=["segment"])
        block = source.block(0, 1_000)
        agrees(block, 0, 1_000)
        assert block.attributes["segment"].type == pa.string()
        assert block.attributes["segment"].to_pylist() == ["light", "heavy"] * 500


@pytest.mark.parametrize(
    ("stored", "comes"),
    [
        (pa.array([f"ü-{k}" for k in range(6)]), pa.string()),
        (pa.array([f"ü-{k}" for k in range(6)], pa.large_string()), pa.string()),
        (pa.array([f"ü-{k}" for k in range(6)]).dictionary_encode(), pa.string()),
        (pa.array([f"ü-{k}" for k in range(6)], pa.string_view()), pa.string()),
        (pa.array(range(6), pa.int8()), pa.int64()),
        (pa.array(range(6), pa.uint32()), pa.int64()),
        (pa.array([2**64 - 1 - k for k in range(6)], pa.uint64()), pa.uint64()),
        (pa.array([-(2**63) + k for k in range(6)], pa.int64()), pa.int64()),
    ],
)
def test_ids_are_integers_or_text_however_stored(stored, comes, tmp_path):
    write(tmp_path, responses(6).set_column(0, "user_id", stored), row_group_size=4)
    source = open_responses(tmp_path)
    blocks = list(source.stream(5))
    assert {b.user_id.type for b in blocks} == {comes}
    assert [u for b in blocks for u in b.user_id.to_pylist()] == stored.to_pylist()
    assert [u for ids in source.ids(4) for u in ids.to_pylist()] == stored.to_pylist()
    assert [len(ids) for ids in source.ids(4)] == [4, 2]


def test_ids_may_be_left_out(folder):
    block = open_responses(folder, ids=False).block(0, 3)
    assert block.user_id.to_pylist() == [None] * 3


@pytest.mark.parametrize(
    ("value", "cost", "dtypes"),
    [
        (pa.float32(), pa.float32(), ("float32", "float32")),
        (pa.float32(), pa.int32(), ("float32", "float64")),
        (pa.float64(), pa.float32(), ("float64", "float32")),
        (pa.int64(), pa.uint8(), ("float64", "float64")),
        (pa.float16(), pa.float64(), ("float64", "float64")),
    ],
)
def test_single_precision_stays_only_where_all_columns_have_it(value, cost, dtypes, tmp_path):
    cells = {"user_id": [1, 2]}
    for arm in "ab":
        cells |= {
            f"value.{arm}": pa.array([1, 2], pa.int64()).cast(value),
            f"cost.{arm}": pa.array([3, 4]).cast(cost),
        }
    write(tmp_path, pa.table(cells))
    block = open_responses(tmp_path).block(0, 2)
    assert (str(block.value.dtype), str(block.cost.dtype)) == dtypes
    assert block.value.tolist() == [[1, 1], [2, 2]]
    assert block.cost.tolist() == [[3, 3], [4, 4]]


def test_mixed_columns_become_double(tmp_path):
    table = responses(4).set_column(1, "value.none", pa.array([2**53, 1, 2, 3]))
    write(tmp_path, table)
    value = open_responses(tmp_path).block(0, 4).value
    assert value.dtype == np.float64
    assert value[0, 0] == 2.0**53


def test_eligible_resources_and_attributes_come_along(tmp_path):
    n = 10
    table = responses(n)
    for j, arm in enumerate(ARMS):
        table = table.append_column(f"eligible.{arm}", [np.arange(n) % 3 != j])
        table = table.append_column(f"resource.call.minutes.{arm}", [np.arange(n) * j])
    table = table.append_column("age", pa.array([None, *range(1, n)]))
    later = table.set_column(table.column_names.index("age"), "age", pa.nulls(n))
    write(tmp_path, table, later, row_group_size=3)
    block = open_responses(tmp_path, ["call.minutes"], ["age"]).block(5, 15)
    order = np.r_[5:10, 0:5]
    np.testing.assert_array_equal(block.eligible, order[:, None] % 3 != np.arange(3))
    np.testing.assert_array_equal(block.resources["call.minutes"], order[:, None] * np.arange(3))
    assert block.attributes["age"].to_pylist() == [5, 6, 7, 8, 9] + [None] * 5


def test_arms_keep_their_names_and_order(tmp_path):
    arms = ("kein", "10 % für 2.5 €", "a.b", "a", "值")
    write(tmp_path, responses(3, arms=arms))
    source = open_responses(tmp_path)
    assert source.arms == arms
    np.testing.assert_array_equal(source.block(0, 3).value, expected(responses(3, arms=arms), "value", arms))


def test_columns_may_stand_in_another_order_and_files_without_rows_are_passed_over(tmp_path):
    table = responses(20)
    empty = pa.table({"user_id": pa.nulls(0)})
    write(tmp_path, empty, table.slice(0, 10), table.slice(10).select(sorted(table.column_names)), empty)
    np.testing.assert_array_equal(open_responses(tmp_path).block(0, 20).value, expected(table, "value"))


def test_a_nested_column_of_the_same_path_is_not_taken_for_an_arm(tmp_path):
    table = responses(5).append_column("value", pa.array([{"none": -1.0, "x": 2.0}] * 5))
    write(tmp_path, table)
    source = open_responses(tmp_path)
    assert source.arms == ARMS
    np.testing.assert_array_equal(source.block(0, 5).value, expected(table, "value"))


def test_rows_and_keep_carry_everything_along(tmp_path):
    table = responses(10).append_column("age", [np.arange(10)])
    write(tmp_path, table)
    block = open_responses(tmp_path, attributes=["age"]).block(2, 10)
    kept = block.keep(np.arange(8) % 2 == 0).rows(1, 3)
    assert kept.places.tolist() == [4, 6] == kept.user_id.to_pylist() == kept.attributes["age"].to_pylist()
    np.testing.assert_array_equal(kept.value, expected(table, "value")[[4, 6]].astype(np.float32))
    assert block.rows(3, 5).places.tolist() == [5, 6]
