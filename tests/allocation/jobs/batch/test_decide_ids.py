"""Run ids: the same plan, inputs and version give the same bytes of every file; anything else is another run."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from tests.allocation.jobs.batch.decide_runs import (
    arms_of,
    content,
    decide,
    decisions,
    manifest,
    names,
    plan_of,
    response_table,
    write_responses,
)
from tests.strategies import random_problem

N = 300
LIMIT = '[[limit]]\nname = "few"\nwhere = { segment = "heavy" }\nmax = 40\n'


def world() -> pa.Table:
    """Users with a segment."""
    rng = np.random.default_rng(1)
    problem = random_problem(rng, N, 2, "generic")
    return response_table(problem, segment=rng.choice(["heavy", "light"], N))


def spent_file(path: Path, **columns: list) -> Path:
    """Some users served, by their columns."""
    pq.write_table(pa.table({"user_id": [10, 17], "arm": ["arm 1", "arm 2"], "cost": [1.0, 2.5]} | columns), path)
    return path


def test_the_same_plan_and_inputs_give_the_same_bytes_wherever_they_lie(tmp_path: Path):
    one = write_responses(tmp_path / "one" / "r", world(), 3)
    shutil.copytree(one, tmp_path / "elsewhere" / "s")
    for at, folder in (("a", one), ("b", tmp_path / "elsewhere" / "s"), ("c", one)):
        decide(plan_of(folder, 200.0, 64, LIMIT), tmp_path / at)
    assert content(tmp_path / "a") == content(tmp_path / "b") == content(tmp_path / "c")
    text = (tmp_path / "a" / "manifest.json").read_text()
    assert str(tmp_path) not in text


def test_a_run_over_its_own_decisions_gives_the_same_bytes(tmp_path: Path):
    folder = write_responses(tmp_path / "r", world(), 2)
    decide(plan_of(folder, 200.0, 64), tmp_path / "out")
    before = content(tmp_path / "out")
    decide(plan_of(folder, 200.0, 64), tmp_path / "out")
    assert content(tmp_path / "out") == before


@pytest.mark.parametrize("changed", ["a value", "a cost", "an id", "a segment", "an unread column", "a row less"])
def test_a_changed_cell_is_another_run(changed: str, tmp_path: Path):
    table = world().append_column("note", pa.array(["x"] * N))
    decide(plan_of(write_responses(tmp_path / "r", table), 200.0, 64, LIMIT), tmp_path / "out")
    column = {"a value": "value.arm 1", "a cost": "cost.arm 2", "an id": "user_id", "a segment": "segment"}
    name = column.get(changed, "note")
    cells = table[name].to_pylist()
    cells[7] = {"user_id": 4, "segment": "light" if cells[7] == "heavy" else "heavy", "note": "y"}.get(name, 0.125)
    other = table.set_column(table.column_names.index(name), name, pa.array(cells, type=table[name].type))
    other = other.slice(1) if changed == "a row less" else other
    decide(plan_of(write_responses(tmp_path / "s", other), 200.0, 64, LIMIT), tmp_path / "other")
    assert manifest(tmp_path / "out")["run"] != manifest(tmp_path / "other")["run"]


@pytest.mark.parametrize("change", ["budget", "part_rows", "limit", "name", "currency"])
def test_a_changed_plan_is_another_run(change: str, tmp_path: Path):
    folder = write_responses(tmp_path / "r", world())
    plan = plan_of(folder, 200.0, 64, LIMIT)
    decide(plan, tmp_path / "out")
    other = {
        "budget": plan.replace("200.0", "200.00000000000003"),
        "part_rows": plan.replace("64", "65"),
        "limit": plan.replace("max = 40", "max = 41"),
        "name": plan.replace('"test"', '"tests"'),
        "currency": plan.replace("[plan]", '[plan]\ncurrency = "EUR"'),
    }
    decide(other[change], tmp_path / "other")
    assert manifest(tmp_path / "out")["run"] != manifest(tmp_path / "other")["run"]


CHANGED = {
    "who": {"user_id": [10, 24]},
    "arm": {"arm": ["arm 2", "arm 2"]},
    "cost": {"cost": [1.0, 2.75]},
    "segment": {"segment": ["heavy", "heavy"]},
    "another resource": {"resource.stock": [1.0, 2.0]},
}


@pytest.mark.parametrize("change", CHANGED)
def test_other_users_served_are_another_run(change: str, tmp_path: Path):
    """Everything in the file that decisions may hang on; where two runs had one id, one would go on with the other's
    parts."""
    folder = write_responses(tmp_path / "r", world())
    columns = {"segment": ["light", "light"], "resource.minutes": [1.0, 2.0]}
    wider = {name: cells for name, cells in columns.items() if change != "another resource" or name == "segment"}
    one = spent_file(tmp_path / "one.parquet", **columns)
    two = spent_file(tmp_path / "two.parquet", **(wider | CHANGED[change]))
    found = []
    for spent in (one, two):
        decide(plan_of(folder, 200.0, 64, LIMIT), tmp_path / "out", spent=str(spent))
        found.append(manifest(tmp_path / "out")["run"])
    assert found[0] != found[1]


def test_the_order_of_users_served_and_the_kind_of_file_are_no_part_of_the_run(tmp_path: Path):
    folder = write_responses(tmp_path / "r", world())
    one = pa.table({"user_id": [10, 17, 24], "arm": ["arm 1", "none", "arm 2"], "cost": [1.0, 0.0, 2.5]})
    pq.write_table(one, tmp_path / "one.parquet")
    pa.csv.write_csv(one.take([2, 0, 1]), tmp_path / "two.csv")
    for spent in ("one.parquet", "two.csv"):
        decide(plan_of(folder, 200.0, 64), tmp_path / spent[:3], spent=str(tmp_path / spent))
    assert content(tmp_path / "one") == content(tmp_path / "two")


def test_arms_are_those_of_the_table_not_of_the_plan(tmp_path: Path):
    """Names in another order are another run, and the first one is control."""
    table = world()
    order = ["user_id", *(f"{kind}.{arm}" for arm in ("none", "arm 2", "arm 1") for kind in ("value", "cost"))]
    decide(plan_of(write_responses(tmp_path / "r", table), 200.0), tmp_path / "out")
    decide(plan_of(write_responses(tmp_path / "s", table.select(order)), 200.0), tmp_path / "other")
    assert manifest(tmp_path / "out")["run"] != manifest(tmp_path / "other")["run"]
    assert list(manifest(tmp_path / "other")["arm_users"]) == ["none", "arm 2", "arm 1"]
    one, other = (arms_of(decisions(tmp_path / at), names(3)) for at in ("out", "other"))
    np.testing.assert_array_equal(one, other)
