"""Random plans with limits of every family as files: exact in the files, accepted by `inspect`, as in memory."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from allocation import Problem, solve
from allocation.engine.stream import limits as stream
from allocation.jobs.batch.inspect import inspect_decisions
from tests.allocation.jobs.batch.decide_runs import (
    arms_of,
    assert_manifest,
    decide,
    decisions,
    names,
    plan_of,
    response_table,
    write_responses,
)
from tests.limit_oracles import amounts_used
from tests.limit_strategies import LIMIT_FAMILIES, random_limited_problem


def plan_limits(problem: Problem) -> str:
    """The problem's limits as TOML, their users by a column of yes and no each."""
    arms, text = names(problem.value.shape[1]), ""
    for k, limit in enumerate(problem.limits):
        text += f"\n[[limit]]\nname = {json.dumps(limit.name)}\nmeasure = {json.dumps(limit.measure)}\n"
        text += "".join(
            f"{side} = {getattr(limit, side)!r}\n" for side in ("min", "max") if getattr(limit, side) is not None
        )
        text += f"arms = {json.dumps([arms[j] for j in limit.arms])}\n"
        text += f"where = {{ mask{k} = true }}\n" if limit.users is not None else ""
    return text


def table_of(problem: Problem) -> pa.Table:
    """The problem's users with a column for each limit that is not about everybody."""
    masks = {f"mask{k}": pa.array(limit.users) for k, limit in enumerate(problem.limits) if limit.users is not None}
    return response_table(problem, **masks)


@pytest.mark.parametrize("held", [True, False], ids=["held", "streamed"])
@pytest.mark.parametrize("family", LIMIT_FAMILIES)
def test_limits_of_every_family(family: str, held: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    if not held:
        monkeypatch.setattr(stream, "HELD", 60)
        monkeypatch.setattr(stream, "SAMPLE", 60)
        monkeypatch.setattr(stream, "NEAR", 100)
        monkeypatch.setattr(stream, "FEWEST", 20)
    rng = np.random.default_rng([1, LIMIT_FAMILIES.index(family)])
    problem = random_limited_problem(rng, 250, 3, family)
    folder, out = write_responses(tmp_path / "r", table_of(problem), 2), tmp_path / "out"
    result = decide(plan_of(folder, problem.budget, 90, plan_limits(problem)), out)
    assert_manifest(out, problem.budget)
    decision = arms_of(decisions(out), names(4))
    for limit, used in zip(problem.limits, amounts_used(problem, decision), strict=True):
        assert limit.low <= used <= limit.high, limit.name
    assert problem.eligible is None or problem.eligible[np.arange(250), decision].all()
    in_memory = solve(problem)
    if held:
        np.testing.assert_array_equal(decision, in_memory.decision)
    slack = 1e-9 * max(abs(in_memory.bound), abs(result.solved.bound))
    assert result.solved.value <= in_memory.bound + slack
    assert in_memory.value <= result.solved.bound + slack
    assert inspect_decisions(out, folder).problems == ()
