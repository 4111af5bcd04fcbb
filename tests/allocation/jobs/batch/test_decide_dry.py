"""The dry run: its numbers are the real run's, it writes nothing, and the changes it tells are those of a count."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from allocation.jobs.batch.changes import NOT_THERE, Changes
from allocation.jobs.batch.decide_plan import DecideResult
from tests.allocation.jobs.batch.decide_runs import (
    content,
    decide,
    decisions,
    manifest,
    plan_of,
    response_table,
    write_responses,
)
from tests.allocation.jobs.batch.small_decisions import change_manifest
from tests.strategies import random_problem
from uplift.errors import InputError

N = 500
LIMIT = '[[limit]]\nname = "few"\nmax = "40%"\n'
SUMS = ("run", "rows", "arm_users", "budget", "price", "totals", "exact", "bound", "gap", "limits", "input", "plan")


def table_of(seed: int, n: int = N, text: bool = False) -> pa.Table:
    """Responses; the same users with other answers for another seed."""
    table = response_table(random_problem(np.random.default_rng(seed), n, 3, "generic"))
    if text:
        ids = pa.array([f"u{k}" for k in table["user_id"].to_pylist()])
        table = table.set_column(0, "user_id", ids)
    return table


def counted(before: pa.Table, now: pa.Table) -> Counter:
    """Users by the arm they had and the one they get, by dictionaries."""
    had, get = (dict(zip(t["user_id"].to_pylist(), t["arm"].to_pylist(), strict=True)) for t in (before, now))
    return Counter((had.get(user, NOT_THERE), get.get(user, NOT_THERE)) for user in {**had, **get})


def flows(changes: Changes) -> Counter:
    """The changes as such a count."""
    rows, columns = (*changes.before, NOT_THERE), (*changes.now, NOT_THERE)
    cells = {(a, b): int(changes.users[i, j]) for i, a in enumerate(rows) for j, b in enumerate(columns)}
    return Counter({pair: count for pair, count in cells.items() if count})


def assert_same_numbers(dry: DecideResult, out: Path) -> None:
    """What a dry run promises is what the run's manifest says."""
    told = manifest(out)
    assert {name: dry.manifest[name] for name in SUMS} == {name: told[name] for name in SUMS}
    assert [part["rows"] for part in dry.manifest["parts"]] == [part["rows"] for part in told["parts"]]
    assert dry.run_id == told["run"]


@pytest.mark.parametrize("limits", ["", LIMIT])
@pytest.mark.parametrize("part_rows", [40, 1_000])
def test_its_numbers_are_the_real_runs_and_nothing_is_written(limits: str, part_rows: int, tmp_path: Path):
    folder = write_responses(tmp_path / "r", table_of(1), 2)
    plan = plan_of(folder, 300.0, part_rows, limits)
    dry = decide(plan, tmp_path / "out", dry_run=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["r"]
    assert dry.changes is None
    real = decide(plan, tmp_path / "out")
    assert_same_numbers(dry, tmp_path / "out")
    assert (real.solved.price, real.solved.bound) == (dry.solved.price, dry.solved.bound)
    before = content(tmp_path / "out")
    again = decide(plan, tmp_path / "out", dry_run=True)
    assert (again.changes.same, again.changes.moved, again.changes.biggest()) == (N, 0, [])
    assert content(tmp_path / "out") == before


@pytest.mark.parametrize("text", [False, True])
def test_changes_are_those_of_a_count_user_by_user(text: bool, tmp_path: Path):
    """Other answers, users who went and users who came."""
    earlier = write_responses(tmp_path / "earlier", table_of(2, text=text))
    decide(plan_of(earlier, 300.0, 70), tmp_path / "out")
    before = decisions(tmp_path / "out")
    table = table_of(3, N + 60, text=text).slice(25)
    folder = write_responses(tmp_path / "r", table, 3)
    plan = plan_of(folder, 200.0, 130, LIMIT)
    dry = decide(plan, tmp_path / "out", dry_run=True)
    decide(plan, tmp_path / "out")
    expected = counted(before, decisions(tmp_path / "out"))
    assert flows(dry.changes) == expected
    assert dry.changes.same == sum(count for (a, b), count in expected.items() if a == b)
    both = {pair: count for pair, count in expected.items() if NOT_THERE not in pair}
    assert dry.changes.moved == sum(count for (a, b), count in both.items() if a != b)
    moves = sorted(((a, b, c) for (a, b), c in expected.items() if a != b), key=lambda m: (-m[2], m[0], m[1]))
    assert dry.changes.biggest(3) == moves[:3]
    assert dry.changes.biggest(99) == moves


def test_changes_where_arms_were_other_arms(tmp_path: Path):
    """An arm that is new, one that is gone, and one that is called as users are who are not there."""
    one = table_of(4)
    renamed = [name.replace("arm 1", NOT_THERE).replace("arm 3", "new") for name in one.column_names]
    decide(plan_of(write_responses(tmp_path / "a", one), 300.0), tmp_path / "out")
    before = decisions(tmp_path / "out")
    other = write_responses(tmp_path / "b", one.rename_columns(renamed))
    dry = decide(plan_of(other, 300.0), tmp_path / "out", dry_run=True)
    users = Counter({"arm 1": NOT_THERE, "arm 3": "new"}.get(arm, arm) for arm in before["arm"].to_pylist())
    assert dry.changes.same == users["none"] + users["arm 2"]
    assert dry.changes.moved == users[NOT_THERE] + users["new"]
    expected = [("arm 1", NOT_THERE, users[NOT_THERE]), ("arm 3", "new", users["new"])]
    assert dry.changes.biggest() == sorted(expected, key=lambda move: -move[2])


def test_ids_of_another_kind_have_no_changes(tmp_path: Path):
    decide(plan_of(write_responses(tmp_path / "a", table_of(5)), 300.0), tmp_path / "out")
    text = write_responses(tmp_path / "b", table_of(5, text=True))
    assert decide(plan_of(text, 300.0), tmp_path / "out", dry_run=True).changes is None


def test_a_dry_run_over_damaged_decisions_says_so(tmp_path: Path):
    plan = plan_of(write_responses(tmp_path / "r", table_of(6)), 300.0)
    decide(plan, tmp_path / "out")
    part = tmp_path / "out" / "part-00000.parquet"
    part.write_bytes(part.read_bytes()[:-30])
    with pytest.raises(InputError, match=r"the earlier decisions in .* cannot be read: .*run `earmark inspect"):
        decide(plan, tmp_path / "out", dry_run=True)


def arm_gone(out: Path) -> None:
    """A user without an arm, by a manifest that says so."""

    def change(table: pa.Table) -> pa.Table:
        return table.set_column(1, "arm", pa.array([None, *table["arm"].to_pylist()[1:]], pa.string()))

    table = change(pq.read_table(out / "part-00000.parquet"))
    marks = pq.read_metadata(out / "part-00000.parquet").metadata
    pq.write_table(table.replace_schema_metadata(marks), out / "part-00000.parquet")
    whole = (out / "part-00000.parquet").read_bytes()
    entry = {"bytes": len(whole), "sha256": hashlib.sha256(whole).hexdigest()}
    change_manifest(out, lambda told: told["parts"][0].update(entry))


DAMAGES = {
    "a part is gone": lambda out: (out / "part-00000.parquet").unlink(),
    "a part is a link": lambda out: (
        os.replace(out / "part-00000.parquet", out.parent / "moved")
        or (out / "part-00000.parquet").symlink_to(out.parent / "moved")
    ),
    "a part is a folder": lambda out: (out / "part-00000.parquet").unlink() or (out / "part-00000.parquet").mkdir(),
    "half a manifest": lambda out: change_manifest(out, lambda told: told.pop("rows")),
    "no arm": arm_gone,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_whatever_is_damaged_is_one_message(damage: str, tmp_path: Path):
    plan = plan_of(write_responses(tmp_path / "r", table_of(6)), 300.0)
    decide(plan, tmp_path / "out")
    DAMAGES[damage](tmp_path / "out")
    with pytest.raises(InputError, match=r"the earlier decisions in .* cannot be read: .*run `earmark inspect"):
        decide(plan, tmp_path / "out", dry_run=True)


def test_a_dry_run_over_any_folder_of_anything_else_leaves_it(tmp_path: Path):
    """Even one that a real run would refuse."""
    plan = plan_of(write_responses(tmp_path / "r", table_of(7)), 300.0)
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.txt").write_text("mine")
    assert decide(plan, out, dry_run=True).changes is None
    pq.write_table(pa.table({"user_id": [1], "other": [2]}), out / "part-00000.parquet")
    assert decide(plan, out, dry_run=True).changes is None
    for foreign in ("[", '{"earmark": "1", "command": "predict"}'):
        (out / "manifest.json").write_text(foreign)
        assert decide(plan, out, dry_run=True).changes is None
    assert (out / "thesis.txt").read_text() == "mine"
