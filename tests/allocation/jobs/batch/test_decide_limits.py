"""Limits in the batch job: every one holds exactly in the written files, and a clash is named before anything is."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from allocation import Limit, Problem, solve
from allocation.engine.limit import ProblemError
from allocation.engine.stream import limits as stream
from tests.allocation.jobs.batch.decide_runs import (
    arms_of,
    assert_manifest,
    content,
    decide,
    decisions,
    manifest,
    names,
    plan_of,
    response_table,
    summed,
    write_responses,
)
from uplift.errors import InputError

N = 600
LIMITS = """
[[limit]]
name = "reach"
max = "55%"
[[limit]]
name = "heavy users"
where = { segment = "heavy" }
min = "10%"
max = "40%"
[[limit]]
name = "money north"
where = { region = ["north", "east"], segment = ["heavy", "light"] }
measure = "cost"
max = "30%"
[[limit]]
name = "worth it"
measure = "value"
arms = ["none", "arm 1", "arm 2"]
min = 1_000
[[limit]]
name = "calls"
measure = "minutes"
arms = ["arm 2"]
min = 50.0
max = 120.5
"""


@pytest.fixture(scope="module")
def world() -> tuple[Problem, pa.Table, np.ndarray, np.ndarray]:
    """The problem without limits, its table, and who is heavy and who lives in the north or east."""
    rng = np.random.default_rng(1)
    value = np.column_stack([rng.random(N), rng.gamma(2, 2, (N, 2))])
    cost = np.column_stack([np.zeros(N), rng.gamma(2, 1, (N, 2))])
    minutes = np.column_stack([np.zeros(N), np.zeros(N), rng.uniform(0, 3, N)])
    problem = Problem(value, cost, 450.0, resources={"minutes": minutes})
    segment, region = rng.choice(["heavy", "light"], N), rng.choice(["north", "east", "south"], N)
    return problem, response_table(problem, segment=segment, region=region), segment == "heavy", region != "south"


def in_memory(problem: Problem, heavy: np.ndarray, north: np.ndarray) -> Problem:
    """The plan's limits, written down by hand."""
    share = int(heavy.sum())
    limits = [
        Limit("reach", max=N * 55 // 100),
        Limit("heavy users", min=-(-share // 10), max=share * 4 // 10, users=heavy),
        Limit("money north", "cost", max=0.3 * 450.0, users=north),
        Limit("worth it", "value", min=1_000, arms=[0, 1, 2]),
        Limit("calls", "minutes", min=50.0, max=120.5, arms=[2]),
    ]
    return Problem(problem.value, problem.cost, problem.budget, None, limits, dict(problem.resources))


def assert_limits_hold(problem: Problem, heavy: np.ndarray, north: np.ndarray, out: Path) -> None:
    """Counted again from the files, in fractions."""
    table = decisions(out)
    arm = arms_of(table, names(3))
    value, cost = (np.array(table[name].to_pylist()) for name in ("expected_value", "expected_cost"))
    minutes = problem.resources["minutes"][np.arange(N), arm]
    used = {
        "reach": Fraction(int((arm > 0).sum())),
        "heavy users": Fraction(int((arm > 0)[heavy].sum())),
        "money north": summed(cost[north & (arm > 0)].tolist()),
        "worth it": summed(value.tolist()),
        "calls": summed(minutes[arm == 2].tolist()),
    }
    for limit in in_memory(problem, heavy, north).limits:
        assert limit.low <= used[limit.name] <= limit.high, limit.name
    for told in manifest(out)["limits"]:
        assert told["used"] == float(used[told["name"]])
    assert sum(told["binding"] is not None for told in manifest(out)["limits"]) >= 2


@pytest.mark.parametrize("part_rows", [64, 601])
def test_limits_of_every_measure_hold_and_few_users_are_decided_as_in_memory(world, part_rows: int, tmp_path: Path):
    problem, table, heavy, north = world
    folder = write_responses(tmp_path / "r", table, 3)
    decide(plan_of(folder, 450.0, part_rows, LIMITS), tmp_path / "out")
    assert_limits_hold(problem, heavy, north, tmp_path / "out")
    assert_manifest(tmp_path / "out", 450.0)
    held = solve(in_memory(problem, heavy, north))
    np.testing.assert_array_equal(arms_of(decisions(tmp_path / "out"), names(3)), held.decision)


@pytest.mark.parametrize("part_rows", [64, 601])
def test_limits_of_more_users_than_are_held(world, part_rows: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(stream, "HELD", 100)
    monkeypatch.setattr(stream, "SAMPLE", 100)
    monkeypatch.setattr(stream, "NEAR", 150)
    monkeypatch.setattr(stream, "FEWEST", 20)
    problem, table, heavy, north = world
    result = decide(plan_of(write_responses(tmp_path / "r", table, 3), 450.0, part_rows, LIMITS), tmp_path / "out")
    assert_limits_hold(problem, heavy, north, tmp_path / "out")
    assert_manifest(tmp_path / "out", 450.0)
    held = solve(in_memory(problem, heavy, north))
    assert held.value <= result.solved.bound
    assert result.solved.value <= held.bound
    assert result.solved.gap < 0.01
    assert result.passes < 60  # from the prices of a hundred users; of 100,000 it takes a third


CLASHES = {
    "floor above a cap": ('[[limit]]\nname = "at least"\nmin = 300\n[[limit]]\nname = "at most"\nmax = 200\n', None),
    "floor against money": ('[[limit]]\nname = "at least"\nmin = 600\n', 2.0),
    "floor beyond reach": ('[[limit]]\nname = "at least"\nmeasure = "value"\nmin = 1e9\n', 450.0),
}


@pytest.mark.parametrize("held", [True, False])
@pytest.mark.parametrize("clash", CLASHES)
def test_a_clash_is_named_and_the_old_decisions_stay(
    world, clash: str, held: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder, out = write_responses(tmp_path / "r", world[1]), tmp_path / "out"
    decide(plan_of(folder, 450.0, 200), out)
    before = content(out)
    if not held:
        monkeypatch.setattr(stream, "HELD", 100)
        monkeypatch.setattr(stream, "SAMPLE", 100)
    limits, budget = CLASHES[clash]
    with pytest.raises(ProblemError) as caught:
        decide(plan_of(folder, budget, 200, limits), out)
    message = str(caught.value)
    assert "'at least'" in message
    assert "\n" not in message
    assert ("'at most'" in message) == (clash == "floor above a cap")
    assert ("budget" in message) == (clash == "floor against money")
    assert content(out) == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "r"]


@pytest.mark.parametrize(
    ("limits", "match"),
    [
        ('[[limit]]\nname = "x"\nmax = 1\nwhere = { segmnt = "heavy" }\n', "segment"),
        ('[[limit]]\nname = "x"\nmax = 1\nwhere = { segment = "nobody" }\n', "nobody"),
        ('[[limit]]\nname = "x"\nmax = 1\nwhere = { segment = 3 }\n', "segment"),
        ('[[limit]]\nname = "x"\nmax = 1\narms = ["arm 9"]\n', "arm 9"),
        ('[[limit]]\nname = "x"\nmax = 1\nmeasure = "minuts"\n', "minutes"),
    ],
)
def test_limits_about_what_is_not_there_are_one_message(world, limits: str, match: str, tmp_path: Path):
    folder, out = write_responses(tmp_path / "r", world[1]), tmp_path / "out"
    decide(plan_of(folder, 450.0, 200), out)
    before = content(out)
    with pytest.raises((InputError, ProblemError), match=match) as caught:
        decide(plan_of(folder, 450.0, 200, limits), out)
    assert "\n" not in str(caught.value)
    assert content(out) == before
