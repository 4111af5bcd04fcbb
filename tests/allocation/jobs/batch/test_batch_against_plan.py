"""A manifest is held against its own plan: whoever edits one entry of it alone is told which."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from allocation.jobs.batch.inspect import inspect_decisions
from tests.allocation.jobs.batch.decide_runs import (
    decide,
    decisions,
    manifest,
    plan_of,
    response_table,
    write_responses,
)
from tests.allocation.jobs.batch.small_decisions import change_manifest
from tests.strategies import random_problem

N, BUDGET = 300, 120.0
LIMITS = """
currency = "EUR"
[[limit]]
name = "few"
max = "40%"
[[limit]]
name = "heavy"
arms = ["arm 1"]
where = { heavy = 1 }
max = "30%"
[[limit]]
name = "share of money"
measure = "cost"
arms = ["arm 1", "arm 2"]
max = "90%"
[[limit]]
name = "some value"
measure = "value"
min = -1e6
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A response table, decisions from it, without and with limits, and for whom the first wave has left."""
    home = tmp_path_factory.mktemp("plans")
    heavy = pa.array((np.arange(N) % 3 == 0).astype(int))
    table = response_table(random_problem(np.random.default_rng(5), N, 3, "generic"), heavy=heavy)
    write_responses(home / "r", table)
    decide(plan_of(home / "r", BUDGET, 120), home / "plain")
    decide(plan_of(home / "r", BUDGET, 120, LIMITS), home / "limits")
    first = decisions(home / "limits").slice(50, 60)
    columns = {"user_id": first["user_id"], "arm": first["arm"], "cost": first["expected_cost"]}
    heavy_too = {"value": first["expected_value"], "heavy": heavy.slice(50, 60)}
    pq.write_table(pa.table(columns | heavy_too), home / "spent.parquet")
    decide(plan_of(home / "r", BUDGET, 120, LIMITS), home / "wave", spent=str(home / "spent.parquet"))
    return home


@pytest.mark.parametrize("name", ["plain", "limits", "wave"])
def test_whole_runs_have_no_problem(folder: Path, name: str):
    assert inspect_decisions(folder / name).problems == ()
    assert inspect_decisions(folder / name, folder / "r").problems == ()


def up(*path: Any, by: float = 1.0) -> Callable[[dict[str, Any]], None]:
    """Raise one number by an amount."""

    def change(told: dict[str, Any]) -> None:
        for step in path[:-1]:
            told = told[step]
        told[path[-1]] += by

    return change


def put(cell: Any, *path: Any) -> Callable[[dict[str, Any]], None]:
    """Put something else into one entry."""

    def change(told: dict[str, Any]) -> None:
        for step in path[:-1]:
            told = told[step]
        assert repr(told[path[-1]]) != repr(cell)
        told[path[-1]] = cell

    return change


# what is changed -> the change, and the word by which it must be named
EDITS: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "budget raised": (up("budget"), "budget"),
    "budget lowered": (up("budget", by=-1e-9), "budget"),
    "no budget": (put(None, "budget"), "budget"),
    "no limits": (put([], "limits"), "limits"),
    "a limit less": (lambda m: m["limits"].pop(), "limits"),
    "a cap raised": (up("limits", 0, "max"), "max of limit 'few'"),
    "a cap of money raised": (up("limits", 2, "max"), "max of limit 'share of money'"),
    "no cap": (put(None, "limits", 0, "max"), "limit 'few'"),
    "a floor lowered": (up("limits", 3, "min", by=-1), "min of limit 'some value'"),
    "another where": (put({"heavy": [0]}, "limits", 1, "where"), "where of limit 'heavy'"),
    "a where of another kind": (put({"heavy": [True]}, "limits", 1, "where"), "where of limit 'heavy'"),
    "no where": (put({}, "limits", 1, "where"), "where of limit 'heavy'"),
    "other arms": (put(["arm 1"], "limits", 2, "arms"), "arms of limit 'share of money'"),
    "another measure": (put("cost", "limits", 0, "measure"), "measure of limit 'few'"),
    "another limit's name": (put("many", "limits", 0, "name"), "limits"),
    "a price of a limit": (up("limits", 3, "price"), "limit 'some value': its price"),
    "a side that binds": (put("min", "limits", 3, "binding"), "limit 'some value'"),
    "a price below 0": (up("price", by=-99.0), "price"),
    "the gap": (up("gap", by=1e-6), "gap"),
    "no gap": (put(None, "gap"), "gap"),
    "the bound": (up("bound", by=1e-3), "gap"),
    "a bound below the value": (up("bound", by=-99.0), "bound"),
    "the name": (put("other", "name"), "name"),
    "the currency": (put("USD", "currency"), "currency"),
    "part_rows": (up("part_rows", by=1), "part_rows"),
    "no input": (put({}, "input"), "run"),
    "a checksum of the input": (put("0" * 64, "input", "files", 0, "sha256"), "run"),
    "a version": (put("0", "versions", "numpy"), "run"),
    "the plan's text": (lambda m: m["plan"].update(text=m["plan"]["text"].replace("120.0", "130.0")), "plan"),
    "the plan's order": (lambda m: m["plan"].update(text=m["plan"]["text"] + "\n"), "plan"),
    "what is no plan": (put("[plan", "plan", "text"), "plan"),
}


def problems_of(folder: Path, name: str, change: Callable[[dict[str, Any]], Any], tmp_path: Path) -> str:
    """What an inspection says once the manifest is changed."""
    out = tmp_path / "out"
    out.mkdir()
    for path in (folder / name).iterdir():
        (out / path.name).write_bytes(path.read_bytes())
    change_manifest(out, change)
    return "\n".join(inspect_decisions(out).problems)


@pytest.mark.parametrize("edit", EDITS)
def test_each_edit_of_the_manifest_alone_is_named(edit: str, folder: Path, tmp_path: Path):
    change, word = EDITS[edit]
    assert word in problems_of(folder, "limits", change, tmp_path)


SPENT_EDITS: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "nobody spent": (lambda m: m.pop("spent"), "run"),
    "less spent": (up("spent", "cost", by=-1e-9), "cost of spent"),
    "the exact cost": (put("1/1", "spent", "exact"), "budget"),
    "others": (put("0" * 64, "spent", "sha256"), "run"),
    "more users": (up("spent", "users", by=30), "max of limit 'few'"),
    "what they used": (put("0/1", "spent", "limits", 0, "used"), "limit 'few'"),
    "a limit more": (lambda m: m["spent"]["limits"].append({"users": 0, "used": "0/1"}), "limits of spent"),
    "more than there are": (put(61, "spent", "limits", 1, "users"), "spent: 61 of 60 users"),
    "budget raised": (up("budget"), "budget"),
}


@pytest.mark.parametrize("edit", SPENT_EDITS)
def test_what_was_spent_is_held_against_what_is_left(edit: str, folder: Path, tmp_path: Path):
    change, word = SPENT_EDITS[edit]
    assert word in problems_of(folder, "wave", change, tmp_path)


@pytest.mark.parametrize("edit", ["a share of some users", "price"])
def test_with_the_responses_shares_of_some_users_and_the_price_too(edit: str, folder: Path, tmp_path: Path):
    """The one is counted, the other stands in every margin; the files alone cannot tell."""
    share = edit != "price"
    change = up("limits", 1, "max") if share else up("price", by=1e-3)
    name = "limits" if share else "plain"
    assert problems_of(folder, name, change, tmp_path) == ""
    word = "max of limit 'heavy'" if share else "has the margin"
    assert word in "\n".join(inspect_decisions(tmp_path / "out", folder / "r").problems)


def test_the_count_of_a_share_is_the_hand_count(folder: Path):
    """Of 300 users 100 are heavy; of 60 who were served, those numbered 51, 54, ..., 108: 20."""
    told = manifest(folder / "limits")
    assert (told["limits"][0]["max"], told["limits"][1]["max"]) == (120.0, 30.0)
    assert manifest(folder / "wave")["spent"]["limits"][1]["users"] == 20
