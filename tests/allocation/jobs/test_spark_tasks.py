"""What Spark's tasks do, without Spark: arrays on their way, subtrees, errors as rows, parts written twice."""

from __future__ import annotations

import itertools
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from allocation.engine.limit import ProblemError
from allocation.engine.stream.chunks import merged
from allocation.jobs.batch.passes import Cut
from allocation.jobs.batch.work import Decide, WritePart
from allocation.jobs.spark_tasks import (
    SCHEMA,
    Blocks,
    EachBlock,
    EachChunk,
    MergeParts,
    Subtree,
    Task,
    packed,
    rows_batch,
    rows_of,
    unpacked,
)
from allocation.jobs.tables.open import open_responses
from tests.allocation.jobs.spark_runs import ARMS, Users
from uplift.errors import InputError

RELEASE = version("earmark")


@pytest.fixture(scope="module")
def blocks(tmp_path_factory: pytest.TempPathFactory) -> Blocks:
    """37 users in blocks of 3."""
    return Blocks(open_responses(Users(37).write(tmp_path_factory.mktemp("users") / "responses")), Cut((), 3))


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch):
    """A task takes cores for its process."""
    monkeypatch.setenv("EARMARK_THREADS", "1")
    threads = pa.cpu_count()
    yield
    pa.set_cpu_count(threads)


def numbers(*batches: list[int]) -> list[pa.RecordBatch]:
    return [pa.RecordBatch.from_arrays([pa.array(batch, pa.int64())], names=["id"]) for batch in batches]


def test_arrays_come_home_as_they_left():
    sent = {
        "place": np.arange(3),
        "sums": np.asfortranarray(np.random.default_rng(0).random((2, 3))),
        "resource a/b.npy": np.empty((0, 4), dtype=np.float32),
        "eligible": np.array([[True, False]]),
        "file": np.array([np.nan, -0.0, np.inf, 5e-324]),
    }
    found = unpacked(packed(sent))
    assert list(found) == list(sent)
    for name, array in sent.items():
        assert found[name].dtype == array.dtype
        assert found[name].shape == array.shape
        assert found[name].flags.c_contiguous == array.flags.c_contiguous
        assert found[name].tobytes() == array.tobytes()


def test_what_holds_objects_does_not_leave():
    with pytest.raises(ValueError, match="Object arrays cannot be saved"):
        packed({"ids": np.array(["a", None], dtype=object)})


def test_blocks_are_cut_as_in_a_stream(blocks: Blocks):
    streamed = list(blocks.source.stream(3))
    for k, block in enumerate(streamed):
        one = blocks.block(k)
        assert (one.first, one.user_id, one.value.tobytes()) == (block.first, block.user_id, block.value.tobytes())


@pytest.mark.parametrize(("level", "upper"), [*itertools.product((0, 1, 2, 5), (0, 1, 2))])
def test_subtrees_merge_to_the_same_digits(blocks: Blocks, level: int, upper: int):
    def work(chunk):
        return {"sum": chunk.value.sum(axis=0) * np.float32(1e7), "order": chunk.places()}

    def merge(one, other):
        order = np.concatenate([one["order"], other["order"]])
        return {"sum": one["sum"] + np.float32(0.7) * other["sum"], "order": order}

    whole = merged([work(blocks.chunk(k)) for k in range(13)], merge)
    unit = Subtree(blocks, work, merge, level)
    rows = [(g, "done", unit(g)) for g in range(-(-13 >> level))]
    rng = np.random.default_rng(level)
    batches = [rows_batch([rows[k]]) for k in rng.permutation(len(rows))]
    parts = [row for batch in MergeParts(merge, upper)(batches) for row in rows_of(batch)]
    assert [k for k, _, _ in parts] == list(range(-(-len(rows) >> upper)))
    found = merged([unpacked(data) for _, _, data in parts], merge)
    assert found["order"].tolist() == list(range(37))
    assert found["sum"].tobytes() == whole["sum"].tobytes()


@pytest.mark.parametrize("kind", [InputError, ProblemError])
def test_what_is_wrong_with_the_input_comes_home_as_a_row_and_ends_the_task(kind: type[Exception]):
    def unit(k: int) -> bytes:
        if k >= 2:
            raise kind(f"block {k} is wrong")
        return b"fine"

    rows = [row for batch in Task(unit, RELEASE)(numbers([0, 1], [2, 3])) for row in rows_of(batch)]
    assert rows == [(0, "done", b"fine"), (1, "done", b"fine"), (2, kind.__name__, b"block 2 is wrong")]


def test_of_wrong_parts_the_first_is_told():
    batch = rows_batch([(5, "done", packed({})), (7, "InputError", b"second"), (6, "ProblemError", b"first")])
    assert [rows_of(b) for b in MergeParts(lambda one, _: one, 2)([batch])] == [[(1, "ProblemError", b"first")]]


def test_another_release_on_an_executor_is_refused():
    rows = [row for batch in Task(lambda _: b"", "0.0.0")(numbers([0])) for row in rows_of(batch)]
    assert rows[0][1] == "InputError"
    assert b"the driver has 0.0.0; install the same one everywhere" in rows[0][2]


def test_a_batch_is_what_the_schema_says():
    names = [column.split() for column in SCHEMA.split(", ")]
    kinds = {"bigint": pa.int64(), "string": pa.string(), "binary": pa.binary()}
    assert rows_batch([(1, "done", b"")]).schema == pa.schema([(name, kinds[kind]) for name, kind in names])


class Control:
    """Everybody gets control."""

    def decide(self, chunk):
        return np.zeros(len(chunk), dtype=np.int64)

    def margins(self, chunk, decision):
        return np.zeros(len(chunk))


def test_a_part_that_is_written_twice_is_written_once(blocks: Blocks, tmp_path: Path):
    unit = EachBlock(blocks, WritePart(Decide(Control(), ARMS), str(tmp_path), "1" * 64))
    first = unit(4)
    content = (tmp_path / "part-00004.parquet").read_bytes()
    assert unit(4) == first
    (tmp_path / "part-00004.parquet").write_bytes(content[:-9])
    assert unit(4) == first
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"part-00004.parquet": content}


def test_a_staging_folder_that_an_executor_does_not_see(blocks: Blocks, tmp_path: Path):
    unit = EachBlock(blocks, WritePart(Decide(Control(), ARMS), str(tmp_path / "elsewhere"), "1" * 64))
    with pytest.raises(InputError, match=r"elsewhere does not exist on .*give a folder on a file system that all"):
        unit(0)


def test_the_last_block_has_who_is_left(blocks: Blocks):
    assert unpacked(EachChunk(blocks, lambda chunk: {"n": np.array([len(chunk)])})(12))["n"] == [1]
