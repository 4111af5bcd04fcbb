"""Parquet files with errors in them, read and decided in a process of its own: `python mutated_files.py COUNT SEED`.

A file that still reads is decided within a budget, and within limits, and the decisions are inspected against it.
Prints the number of each file before it is read, so that whoever started it knows which one killed it, and at the
end how many were refused, read and decided. Ends with 1 at the first that is none of them.
"""

from __future__ import annotations

import io
import json
import resource
import shutil
import struct
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).resolve().parent))
from response_tables import responses

from allocation.engine.limit import ProblemError
from allocation.jobs.batch.decide_job import run_decide
from allocation.jobs.batch.decide_plan import DecideTask
from allocation.jobs.batch.inspect import inspect_decisions
from allocation.jobs.plan import parse_plan
from allocation.jobs.tables.duplicates import check_unique_ids
from allocation.jobs.tables.open import open_responses
from uplift.errors import InputError

SECONDS, MEMORY = 10.0, 6 << 30
WANTED = {"attributes": ["segment"], "resources": ["minutes"]}
PLAN = """[plan]
name = "fuzz"
responses = {responses}
budget = 900.0
part_rows = 300
"""
LIMITS = """
[[limit]]
name = "few"
arms = ["coupon"]
where = {{ segment = "heavy" }}
max = "30%"

[[limit]]
name = "minutes"
measure = "minutes"
max = {minutes}
"""


def originals() -> list[bytes]:
    """Whole files of several writers' habits."""
    n = 700
    table = responses(n)
    text = pa.array([f"user-{k:05d}" for k in range(n)])
    segment = pa.array(["heavy" if k % 3 else "light" for k in range(n)])
    for arm in ("none", "mail", "coupon"):
        table = table.append_column(f"resource.minutes.{arm}", pa.array(np.arange(n, dtype=np.float64) % 5))
    table = table.append_column("segment", segment)
    named = table.set_column(0, "user_id", text)
    flags = {f"eligible.{arm}": pa.array(np.arange(n) % 4 > 0) for arm in ("none", "mail", "coupon")}
    for name, column in flags.items():
        named = named.append_column(name, column)
    floats = [name for name in table.column_names if name.startswith(("value.", "cost."))]
    written = [
        (table, {}),
        (named, {"compression": "zstd", "row_group_size": 100}),
        (table, {"compression": "none", "use_dictionary": False}),
        (named, {"data_page_version": "2.0", "data_page_size": 512, "write_page_checksum": True}),
        (table, {"use_dictionary": False, "column_encoding": {"user_id": "DELTA_BINARY_PACKED"}}),
        (table, {"use_dictionary": False, "column_encoding": dict.fromkeys(floats, "BYTE_STREAM_SPLIT")}),
        (named, {"use_dictionary": False, "column_encoding": {"user_id": "DELTA_BYTE_ARRAY"}, "compression": "gzip"}),
        (named, {"compression": "lz4", "store_schema": False, "write_page_index": True}),
    ]
    files = []
    for content, settings in written:
        sink = io.BytesIO()
        pq.write_table(content, sink, **settings)
        files.append(sink.getvalue())
    return files


def flips(file: bytearray, rng: np.random.Generator) -> bytearray:
    """Some bytes anywhere become others."""
    for at in rng.integers(0, len(file), rng.integers(1, 20)):
        file[at] = int(rng.integers(0, 256))
    return file


def one_bit(file: bytearray, rng: np.random.Generator) -> bytearray:
    """One bit is the other."""
    file[int(rng.integers(0, len(file)))] ^= 1 << int(rng.integers(0, 8))
    return file


def cut_short(file: bytearray, rng: np.random.Generator) -> bytearray:
    """The end is missing, or the start."""
    at = int(rng.integers(0, len(file)))
    return file[:at] if rng.random() < 0.7 else file[at:]


def swapped(file: bytearray, rng: np.random.Generator) -> bytearray:
    """Two stretches have changed places."""
    a, b, c = sorted(int(k) for k in rng.integers(0, len(file), 3))
    return file[:a] + file[b:c] + file[a:b] + file[c:]


def footer_flips(file: bytearray, rng: np.random.Generator) -> bytearray:
    """Some bytes of the footer become others."""
    (length,) = struct.unpack("<I", file[-8:-4])
    for at in rng.integers(len(file) - 8 - length, len(file) - 8, rng.integers(1, 6)):
        file[at] = int(rng.integers(0, 256))
    return file


def footer_length(file: bytearray, rng: np.random.Generator) -> bytearray:
    """The footer says another length of itself."""
    wrong = int(rng.choice([0, 1, 7, len(file), 2**31 - 1, 2**32 - 1, int(rng.integers(0, 2 * len(file)))]))
    file[-8:-4] = struct.pack("<I", wrong)
    return file


def page_flips(file: bytearray, rng: np.random.Generator) -> bytearray:
    """Bytes at the head of a page become others: sizes and counts."""
    opened = pq.ParquetFile(io.BytesIO(bytes(file))).metadata
    group = opened.row_group(int(rng.integers(0, opened.num_row_groups)))
    column = group.column(int(rng.integers(0, group.num_columns)))
    start = column.dictionary_page_offset if column.has_dictionary_page and rng.random() < 0.5 else 0
    start = start or column.data_page_offset
    for at in rng.integers(start, min(start + 24, len(file)), rng.integers(1, 4)):
        file[at] = int(rng.integers(0, 256))
    return file


def zeros(file: bytearray, rng: np.random.Generator) -> bytearray:
    """A stretch of nothing, as a disk leaves after a crash."""
    at, length = int(rng.integers(0, len(file))), int(rng.integers(1, 4096))
    file[at : at + length] = bytes(min(length, len(file) - at))
    return file


MUTATIONS: tuple[Callable[[bytearray, np.random.Generator], bytearray], ...] = (
    flips,
    one_bit,
    cut_short,
    swapped,
    footer_flips,
    footer_length,
    page_flips,
    zeros,
)


def read(path: Path) -> str:
    """What comes of a file: refused or read."""
    try:
        source = open_responses(path, **WANTED)
        seen = 0
        for block in source.stream(97):
            seen += len(block)
            if not (
                np.isfinite(block.value).all() and np.isfinite(block.cost).all() and block.first + len(block) == seen
            ):
                raise AssertionError("a block with a hole")
            block.user_id.to_pylist(), block.attributes["segment"].to_pylist()
        if seen != source.n:
            raise AssertionError(f"{seen} users of {source.n}")
        source.block(source.n // 2, source.n)
        check_unique_ids(source)
    except InputError as error:
        if str(path) not in str(error) and "stands more than once" not in str(error):
            raise AssertionError(f"no file in {error}") from error
        return "refused"
    return "read"


def decide(path: Path, limits: str) -> str:
    """What comes of a plan for a file that reads: decided or impossible."""
    out = path.with_name("out")
    shutil.rmtree(out, ignore_errors=True)
    plan = parse_plan(PLAN.format(responses=json.dumps(str(path))) + limits)
    try:
        run_decide(DecideTask(plan, out))
    except (InputError, ProblemError):
        if out.exists():
            raise AssertionError("decisions of a run that failed") from None
        return "impossible"
    if problems := inspect_decisions(out, path).problems:
        raise AssertionError(f"inspect rejects: {problems}")
    return "decided"


def say(text: str) -> None:
    """A line for whoever started this, at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main(count: int, seed: int) -> int:
    """Mutate and read so many files; the exit code."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    rng, files = np.random.default_rng(seed), originals()
    came = {"refused": 0, "read": 0, "decided": 0, "impossible": 0}
    slowest = 0.0
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "whole.parquet"
        for content in files:
            whole.write_bytes(content)
            for limits in ("", LIMITS.format(minutes=400)):
                decide(whole, limits)  # compiled before the clock runs
        for k in range(count):
            mutate = MUTATIONS[k % len(MUTATIONS)]
            content = bytes(mutate(bytearray(files[int(rng.integers(0, len(files)))]), rng))
            path = Path(folder) / f"{k}.parquet"
            path.write_bytes(content)
            say(f"{k} {mutate.__name__}")
            began = time.monotonic()
            try:
                what = read(path)
                came[what] += 1
                for limits in ("", LIMITS.format(minutes=40 * (k % 30))) if what == "read" else ():
                    came[decide(path, limits)] += 1
            except Exception:  # noqa: BLE001  # whatever it is, it is what the test is for
                kept = Path(tempfile.gettempdir()) / f"mutated-{seed}-{k}.parquet"
                kept.write_bytes(content)
                say(f"{kept}: {traceback.format_exc()}")
                return 1
            slowest = max(slowest, time.monotonic() - began)
            path.unlink()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    decided = f"{came['decided']} plans decided, {came['impossible']} impossible"
    say(f"{came['refused']} refused, {came['read']} read, {decided}, slowest {slowest:.2f} s, peak {peak} MB")
    return int(slowest > SECONDS)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
