"""Limits that clash: the smallest set is named, and moving one of it by what is asked makes the problem solvable."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from allocation import Limit, Problem, ProblemError, solve
from allocation.engine.clash import give, outline_of, smallest_clash
from allocation.engine.scores import scores_of
from tests.clash_strategies import CLASH_FAMILIES, clashing_problem, indivisible_problem
from tests.limit_oracles import least_give, lp_feasible
from tests.limit_strategies import LIMIT_FAMILIES, random_limited_problem


def short(name):
    return name.removeprefix("the ")


@pytest.mark.parametrize("family", CLASH_FAMILIES)
def test_the_smallest_clash_and_how_much_it_must_give(family):
    rng = np.random.default_rng([41, CLASH_FAMILIES.index(family)])
    for _ in range(4):
        problem, expected = clashing_problem(rng, int(rng.integers(4, 40)), int(rng.integers(3, 6)), family)
        outline = outline_of(scores_of(problem))
        clash = smallest_clash(outline)
        assert clash is not None
        named = {short(outline.names[side.row]) for side in clash}
        assert named == expected
        for k, side in enumerate(clash):
            name = short(outline.names[side.row])
            assert give(outline, clash, k) == pytest.approx(least_give(problem, name, named), rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("family", CLASH_FAMILIES)
def test_solve_says_so_before_it_decides(family):
    rng = np.random.default_rng([42, CLASH_FAMILIES.index(family)])
    problem, expected = clashing_problem(rng, 30, 4, family)
    with pytest.raises(ProblemError, match=r"cannot be kept|no decision keeps .* together") as raised:
        solve(problem)
    for name in expected:
        assert ("the budget" if name == "budget" else repr(name)) in str(raised.value)
    assert "harmless" not in str(raised.value)


@pytest.mark.parametrize("family", CLASH_FAMILIES)
def test_the_first_mend_that_is_offered_mends(family):
    """The bound named first is moved by the amount in the message and a little more: split users then keep all."""
    rng = np.random.default_rng([43, CLASH_FAMILIES.index(family)])
    problem, _ = clashing_problem(rng, 20, 4, family)
    with pytest.raises(ProblemError) as raised:
        solve(problem)
    mend = re.search(r"(raise|lower) (the budget|limit '[^']+') by at least ([\d.,]+)", str(raised.value))
    verb, name, amount = mend.groups()
    by = float(amount.replace(",", "").rstrip(".")) * 1.001
    if name == "the budget":
        mended = replace(problem, budget=problem.budget + by)
    else:
        moved = [
            replace(one, **({"max": one.max + by} if verb == "raise" else {"min": one.min - by}))
            if repr(one.name) == name.removeprefix("limit ")
            else one
            for one in problem.limits
        ]
        mended = replace(problem, limits=moved)
    assert not lp_feasible(problem)
    assert lp_feasible(mended)


@pytest.mark.parametrize("family", LIMIT_FAMILIES)
def test_limits_that_can_be_kept_do_not_clash(family):
    rng = np.random.default_rng([44, LIMIT_FAMILIES.index(family)])
    for _ in range(3):
        problem = random_limited_problem(rng, int(rng.integers(2, 30)), 3, family)
        assert smallest_clash(outline_of(scores_of(problem))) is None


def test_what_only_split_users_could_keep_is_said_to_be_so():
    problem = indivisible_problem(np.random.default_rng(45), 6, 2)
    assert smallest_clash(outline_of(scores_of(problem))) is None
    with pytest.raises(ProblemError, match="no decision"):
        solve(problem)


def test_a_message_reads_well():
    """Ten users, each costs 2: a floor of 8 users needs 16 of money; 12 pay for 6, so the floor must fall by 2."""
    table = np.column_stack([np.zeros(10), np.ones(10)])
    problem = Problem(table, 2 * table, 12.0, limits=[Limit("reach", min=8)])
    message = (
        "no decision keeps the budget (max 12) and limit 'reach' (min 8) together, though it could without any one "
        "of them; raise the budget by at least 4, or lower limit 'reach' by at least 2"
    )
    with pytest.raises(ProblemError, match=re.escape(message)):
        solve(problem)
    alone = Problem(table, 2 * table, None, limits=[Limit("reach", min=12)])
    message = "'reach' (min 12) cannot be kept: any decision uses at most 10 of it; lower limit 'reach' by at least 2"
    with pytest.raises(ProblemError, match=re.escape(message)):
        solve(alone)
