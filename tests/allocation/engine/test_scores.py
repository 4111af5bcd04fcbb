"""The pass over the users: sharp and soft choices equal the formulas, whatever the rows, groups, tables and units."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from allocation import Limit, Problem
from allocation.engine.newton import Units, curvature, step
from allocation.engine.rows import BUDGET, GROUPS, excess, rows_of, used
from allocation.engine.scores import scores_of
from allocation.engine.undecided import weighted_sample


def problem_of(case: str, n: int = 3_000) -> Problem:
    """A problem whose users are in several groups; `case` says what else is special."""
    rng = np.random.default_rng(7)
    dtype = np.float32 if case == "float32" else np.float64
    value, cost, minutes, calls = (rng.normal(size=(n, 4)).astype(dtype) for _ in range(4))
    if case == "Fortran order":
        value, minutes = np.asfortranarray(value), np.asfortranarray(minutes)
    masks = [rng.random(n) < 0.5 for _ in range(14 if case == "many groups" else 3)]
    limits = [Limit(f"cost {k}", "cost", max=1.0, users=mask, arms=[1, 2]) for k, mask in enumerate(masks)]
    limits += [Limit("users", min=2, max=9, users=masks[0], arms=[0, 3]), Limit("value", "value", min=-1.0)]
    resources = {}
    if case != "no resources":
        resources = {"minutes": minutes, "calls": calls}
        limits += [
            Limit("minutes", "minutes", max=3.0, users=masks[1]),
            Limit("calls", "calls", min=0.0, arms=[0, 1]),
        ]
    eligible = None
    if case == "ineligible":
        eligible = rng.random((n, 4)) < 0.6
        eligible[:, 1] |= ~eligible.any(axis=1)
    return Problem(value, cost, 5.0, eligible, limits, resources)


def amounts_of(problem: Problem) -> np.ndarray:
    """What each arm of each user uses of each row, (n, K+1, m)."""
    tables = [problem.table(row.measure) for row in rows_of(problem)]
    cells = [np.ones(problem.value.shape) if table is None else table.astype(float) for table in tables]
    inside = [np.ones(problem.n_users, bool) if row.users is None else row.users for row in rows_of(problem)]
    parts = zip(cells, inside, rows_of(problem), strict=True)
    return np.stack([cell * users[:, None] * row.arms for cell, users, row in parts], axis=2)


CASES = ["plain", "no resources", "float32", "Fortran order", "many groups", "ineligible"]


@pytest.mark.parametrize("heat", [0.0, 0.05, 3.0])
@pytest.mark.parametrize("case", CASES)
def test_survey_is_the_formula(case, heat):
    problem = problem_of(case)
    scores, amounts = scores_of(problem), amounts_of(problem)
    assert (len(scores.groupings) > 1) == (case == "many groups")
    for weight in (1.0, 0.0):
        prices = np.random.default_rng(3).normal(size=len(scores.rows))
        survey = scores.survey(prices, weight, heat)
        score = weight * problem.value.astype(float) - amounts @ prices
        if problem.eligible is not None:
            score[~problem.eligible] = -np.inf
        ranked = np.sort(score, axis=1)
        np.testing.assert_array_equal(survey.arm, score.argmax(axis=1))
        np.testing.assert_allclose(survey.margin, ranked[:, -1] - ranked[:, -2], atol=1e-9)
        if heat == 0.0:
            share, worth = np.eye(4)[score.argmax(axis=1)], ranked[:, -1]
        else:
            share = np.exp((score - ranked[:, -1:]) / heat)
            worth = ranked[:, -1] + heat * np.log(share.sum(axis=1))
            share /= share.sum(axis=1, keepdims=True)
        assert survey.total == pytest.approx(math.fsum(worth), rel=1e-6)
        np.testing.assert_allclose(survey.usage, np.einsum("ij,ijr->r", share, amounts), rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("case", CASES)
def test_cells_picks_members_and_sizes(case):
    problem = problem_of(case)
    scores, amounts = scores_of(problem), amounts_of(problem)
    users, arms = np.array([5, 0, 2_999, 5]), np.array([3, 0, 1, 2])
    np.testing.assert_array_equal(scores.cells(users), amounts[users])
    np.testing.assert_array_equal(scores.picks(users, arms), amounts[users, arms])
    inside = [3_000 if row.users is None else row.users.sum() for row in rows_of(problem)]
    assert scores.sizes().tolist() == inside
    few = scores.of(users, scores.low, scores.high)
    np.testing.assert_array_equal(few.cells(np.arange(4)), amounts[users])


def test_groupings_are_few_and_hold_every_row_once():
    scores = scores_of(problem_of("many groups"))
    assert sorted(np.concatenate([one.rows for one in scores.groupings]).tolist()) == list(range(len(scores.rows)))
    assert all(len(one.member) <= GROUPS for one in scores.groupings)
    assert all(one.group.max() < len(one.member) for one in scores.groupings)


def test_use_of_a_row_is_exact():
    """0.1 ten times is a little more than 1 in fractions, though floats add it up to less."""
    problem = Problem(
        np.zeros((10, 2)), np.full((10, 2), 0.1), 1.0, limits=[Limit("some", "cost", min=0.5, arms=[1])]
    )
    budget, some = rows_of(problem)
    assert (budget.name, budget.arms.tolist(), some.arms.tolist()) == (BUDGET, [True, True], [False, True])
    assert excess(budget, used(problem, budget, np.ones(10, dtype=int))) == 10 * Fraction(0.1) - 1 > 0
    assert used(problem, some, np.zeros(10, dtype=int)) == 0
    assert excess(some, Fraction(0)) == Fraction(1, 2)


def test_weight_zero_proves_that_limits_clash():
    """60 and 50 of 100 users: at prices -1 for both floors, and without value, the dual is 100 - 110."""
    limits = [Limit("a", min=60, arms=[1]), Limit("b", min=50, arms=[2])]
    scores = scores_of(Problem(np.random.default_rng(0).random((100, 3)), np.zeros((100, 3)), limits=limits))
    floors = np.array([-1.0, -1.0])
    assert scores.survey(floors, 0.0).total + scores.support(floors).sum() == -10.0
    assert scores.survey(np.zeros(2), 0.0).total + scores.support(np.zeros(2)).sum() == 0.0
    assert -10.0 <= scores.bound(floors, weight=0.0) < -10.0 + 1e-9
    assert 0.0 <= scores.bound(np.zeros(2), weight=0.0) < 1e-9


def test_rounded_shares_keep_their_sums():
    problem = problem_of("no resources", 5_000)
    scores = scores_of(problem)
    prices, heat = np.zeros(len(scores.rows)), 1.0
    arm = scores.survey(prices, heat=heat, round_off=True).arm
    share = np.exp(problem.value / heat)
    share /= share.sum(axis=1, keepdims=True)
    group = scores.groupings[0].group
    for g in range(group.max() + 1):
        counts = np.bincount(arm[group == g], minlength=4)
        assert np.abs(counts - share[group == g].sum(axis=0)).max() <= 2


def test_curvature_is_the_change_of_usage():
    """Second derivatives against differences of first ones, where every user is in the sample."""
    scores = scores_of(problem_of("plain", 80))
    m, heat = len(scores.rows), 0.7
    prices = np.random.default_rng(1).normal(size=m) / 3
    units = Units(1.0, np.linspace(0.5, 2.0, m))
    bend = curvature(scores, scores.survey(prices, heat=heat), prices, units, heat)
    for r in range(m):
        shift = np.zeros(m)
        shift[r] = 1e-5
        ends = [scores.survey(prices + sign * shift, heat=heat).usage for sign in (1, -1)]
        slope = -(ends[0] - ends[1]) / 2e-5 * units.price * units.price[r]
        np.testing.assert_allclose(bend[r], slope, rtol=2e-3, atol=2e-2)


def test_sampled_curvature_counts_rare_rows():
    """Of 40,000 users 60 are in a row of their own: they are all in the sample, and the whole keeps its size."""
    rng = np.random.default_rng(2)
    few = np.zeros(40_000, dtype=bool)
    few[rng.choice(40_000, 60, replace=False)] = True
    value = rng.random((40_000, 3))
    limits = [Limit("all", max=20_000), Limit("few", max=20, users=few, arms=[1, 2])]
    scores = scores_of(Problem(value, value, limits=limits))
    survey = scores.survey(np.array([0.5, 0.0]), heat=0.5)
    users, chance = weighted_sample(scores, survey, np.arange(40_000), 100)
    touching = few & ((survey.arm == 0) != (survey.second == 0))
    assert set(np.flatnonzero(touching)) <= set(users)
    assert len(users) < 600
    touching_all = (survey.arm == 0) != (survey.second == 0)
    assert (1 / chance).sum() == pytest.approx(touching_all.sum(), rel=0.02)


def test_step_goes_to_the_least_point_of_its_model():
    """Against a fine grid: one row with both bounds, one with a cap only, in a box."""
    bend, usage = np.array([[2.0, 0.6], [0.6, 1.0]]), np.array([3.0, -1.0])
    low, high, x = np.array([1.0, -np.inf]), np.array([2.0, 0.5]), np.array([-0.2, 0.3])

    def model(at):
        d = at - x
        worth = max(at[0] * high[0], at[0] * low[0]) + (at[1] * high[1] if at[1] >= 0 else np.inf)
        return worth - usage @ d + d @ bend @ d / 2

    found = step(bend, usage, x, low, high, 0.4, 1e-12)
    grid = [np.array([a, b]) for a in np.linspace(-0.6, 0.2, 401) for b in np.linspace(0.0, 0.7, 351)]
    assert np.abs(found - x).max() <= 0.4
    assert model(found) <= min(model(at) for at in grid) + 1e-9
    assert step(bend, np.array([1.5, -9.0]), np.zeros(2), low, high, 0.4, 1e-12).tolist() == [0.0, 0.0]
