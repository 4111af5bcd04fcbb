"""Plans broken at random: each is refused with one InputError or comes out valid, and none takes long.

EARMARK_FUZZ says how many are tried (300 by default); `broken_plans` says what is broken: bytes, lines, values, keys
and branches of the parsed tree, with hard values put in (huge, deep, unseen, of the wrong kind). What is accepted
must have the promised types and bounds and come back from its canonical text as the same plan.
"""

from __future__ import annotations

import math
import os
import random
import time
from pathlib import Path

import pytest

from allocation.jobs.plan import Plan, Share, parse_plan, plan_text, read_plan
from tests.allocation.jobs.broken_plans import broken
from uplift.errors import InputError

EXAMPLES = int(os.environ.get("EARMARK_FUZZ", "300"))
LONGEST = 5.0  # seconds that one plan may take, on a machine that does other things too


def check_valid(plan: Plan) -> None:
    """What `Plan` promises, and the way to its canonical text and back."""
    assert isinstance(plan, Plan)
    assert plan.name.strip()
    assert (plan.responses is None) != (plan.model is None)
    assert (plan.model is None) == (plan.features is None)
    assert plan.budget is None or (isinstance(plan.budget, float) and 0 <= plan.budget < math.inf)
    assert type(plan.part_rows) is int
    assert plan.part_rows >= 1
    assert len({limit.name for limit in plan.limits}) == len(plan.limits)
    for limit in plan.limits:
        assert limit.name not in ("", "the budget")
        bounds = [bound for bound in (limit.min, limit.max) if bound is not None]
        assert bounds
        for bound in bounds:
            amount = bound.of if isinstance(bound, Share) else bound
            assert isinstance(amount, float)
            assert math.isfinite(amount)
            assert not isinstance(bound, Share) or 0 <= amount <= 1
        for values in limit.where.values():
            assert values
            assert all(type(value) in (str, int, float, bool) for value in values)
        limit.amounts(1000, plan.budget)
    assert parse_plan(plan_text(plan)) == plan
    assert parse_plan(plan_text(plan)).digest() == plan.digest()


@pytest.mark.timeout(280 + EXAMPLES // 20)
def test_broken_plans_are_refused_or_valid(tmp_path: Path):
    file = tmp_path / "plan.toml"
    accepted, slowest = 0, 0.0
    for number in range(EXAMPLES):
        content = broken(random.Random(number))
        began = time.perf_counter()
        try:
            file.write_bytes(content)
            plan = read_plan(file)
            check_valid(plan)
            accepted += 1
        except InputError as error:
            message = str(error)
            assert message.startswith(str(file)), (number, message)
            assert len(message) < 1000, (number, message)
            assert message.replace("\u200d", "").isprintable(), (number, message)
        except Exception as error:  # noqa: BLE001
            pytest.fail(f"example {number}: {type(error).__name__}: {error}\n{content[:2000]!r}")
        slowest = max(slowest, time.perf_counter() - began)
        assert slowest < LONGEST, number
    print(f"{EXAMPLES:,} plans, {accepted:,} valid, the slowest in {slowest:.2f} s")  # noqa: T201
    assert 0.02 * EXAMPLES < accepted < 0.98 * EXAMPLES
