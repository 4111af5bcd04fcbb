"""Inputs that change while they are read: whenever it happens, one message or the decisions of one of the two."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from allocation import Problem
from allocation.jobs.batch.decide_job import Watch, run_decide
from allocation.jobs.batch.decide_plan import DecideTask
from allocation.jobs.plan import parse_plan
from tests.allocation.jobs.batch.decide_runs import (
    content,
    decide,
    plan_of,
    response_table,
    write_responses,
)
from uplift.errors import InputError

N = 3_000  # two parts
LIMIT = '[[limit]]\nname = "few"\nmax = "20%"\n'


def table_of(seed: int) -> pa.Table:
    """Responses of the same users; files of tables of any seed have the same size, for nothing is compressed."""
    rng = np.random.default_rng(seed)
    value = np.column_stack([np.zeros(N), rng.gamma(2, 2, (N, 2))])
    return response_table(Problem(value, np.column_stack([np.zeros(N), rng.gamma(2, 1, (N, 2))])))


def write(folder: Path, seed: int) -> Path:
    """Two files without compression or dictionaries."""
    return write_responses(folder, table_of(seed), 2, compression="none", use_dictionary=False)


def run_with(plan: str, out: Path, moment: int, change: Callable[[], None]) -> int:
    """Run a plan; at the `moment`-th word from the job the inputs change. How many words there were."""
    heard = [0]

    def word(*_: object) -> None:
        if heard[0] == moment:
            change()
        heard[0] += 1

    run_decide(DecideTask(parse_plan(plan), out), Watch(step=word, users=word))
    return heard[0]


def replaced(folder: Path, other: Path, how: str) -> Callable[[], None]:
    """Put the other table's second file in the place of the first table's, in one of several ways."""
    old, new = folder / "r001.parquet", other / "r001.parquet"

    def change() -> None:
        stamp = os.stat(old)
        if how == "rename":
            os.replace(new, old)
        elif how == "rename, same time":
            os.utime(new, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
            os.replace(new, old)
        elif how == "in place, same time":
            old.write_bytes(new.read_bytes())
            os.utime(old, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
        elif how == "in place":
            old.write_bytes(new.read_bytes())
        elif how == "cut":
            os.truncate(old, stamp.st_size // 2)
        elif how == "gone":
            old.unlink()
        elif how == "a file more":
            os.replace(new, folder / "r002.parquet")

    return change


HOWS = (
    "rename",
    "in place",
    "cut",
    "gone",
    "a file more",
    "rename, same time",
    "in place, same time",
)


@pytest.mark.parametrize("limits", ["", LIMIT], ids=["budget", "limits"])
@pytest.mark.parametrize("how", HOWS)
def test_a_file_replaced_at_any_moment_never_gives_decisions_of_half_of_each(how: str, limits: str, tmp_path: Path):
    """One message, and the old decisions; or those of the table before the change or after it, never a mixture."""
    plan = plan_of(tmp_path / "r", 500.0, 1_600, limits)
    ended = refused = 0
    write(tmp_path / "r", 1)
    decide(plan, tmp_path / "undisturbed")
    allowed = [content(tmp_path / "undisturbed")]
    replaced(tmp_path / "r", write(tmp_path / "other", 2), how)()
    with suppress(InputError):  # a file that is cut short, or users who stand twice
        decide(plan, tmp_path / "changed")
        allowed.append(content(tmp_path / "changed"))
    decide(plan_of(write(tmp_path / "old", 3), 500.0, 1_600), tmp_path / "out")
    before = content(tmp_path / "out")
    write(tmp_path / "r", 1)
    (tmp_path / "r" / "r002.parquet").unlink(missing_ok=True)
    words = run_with(plan, tmp_path / "probe", -1, lambda: None)
    for moment in range(words):
        write(tmp_path / "r", 1)
        (tmp_path / "r" / "r002.parquet").unlink(missing_ok=True)
        change = replaced(tmp_path / "r", write(tmp_path / "other", 2), how)
        try:
            run_with(plan, tmp_path / "out", moment, change)
        except InputError as error:
            refused += 1
            message = str(error)
            if "\n" in message or content(tmp_path / "out") != before:
                raise
            continue
        ended += 1
        assert content(tmp_path / "out") in allowed, moment
        decide(plan_of(tmp_path / "old", 500.0, 1_600), tmp_path / "out")
    assert ended
    assert refused > 2 or how == "a file more"


def test_a_table_whose_second_file_has_other_columns(tmp_path: Path):
    """Each way in which a schema may change half-way is one message, and nothing is touched."""
    table = table_of(1)
    folder, out = write(tmp_path / "r", 1), tmp_path / "out"
    decide(plan_of(folder, 500.0), out)
    before = content(out)
    half = table.slice(N // 2)
    text = half.set_column(0, "user_id", half["user_id"].cast(pa.string()))
    wider = half.append_column("value.arm 3", half["value.arm 2"]).append_column("cost.arm 3", half["cost.arm 2"])
    empty = half.set_column(2, half.column_names[2], pa.nulls(len(half), pa.float64()))
    changed = {
        "an arm less": half.drop(["value.arm 2", "cost.arm 2"]),
        "an arm more": wider,
        "a cost less": half.drop(["cost.arm 1"]),
        "ids of another kind": text,
        "amounts as text": half.set_column(2, half.column_names[2], half[2].cast(pa.string())),
        "empty cells": empty,
        "the same users again": table.slice(0, 10),
    }
    for what, second in changed.items():
        pq.write_table(second, folder / "r001.parquet")
        with pytest.raises(InputError) as caught:
            decide(plan_of(folder, 500.0), out)
        assert "r001.parquet" in str(caught.value) or "user_id" in str(caught.value), what
        assert "\n" not in str(caught.value), what
        assert content(out) == before, what
        assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "r"], what
