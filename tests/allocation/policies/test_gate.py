"""The gate: worth by loops over brute-force decisions, and who may decide, on arrays made by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from allocation.policies.gate import (
    EFFECTS,
    TUNED,
    TWO_STAGE,
    Difference,
    affordable,
    challenger,
    choose,
    gain_over_control,
    worth,
)
from allocation.policies.scored import Scores
from uplift.response import Response

ARMS = ("none", "small", "big")


def tables(seed, n=5):
    """Whole amounts, such that sums are exact; control is free."""
    rng = np.random.default_rng(seed)
    cost = np.column_stack([np.zeros(n), rng.integers(1, 4, n), rng.integers(3, 7, n)])
    return Response(rng.integers(0, 100, (n, 3)).astype(float) + rng.random((n, 3)), cost, ARMS)


def best(response, money):
    """The most valuable affordable decision, by trying all."""
    rows = range(len(response))
    tried = itertools.product(range(3), repeat=len(response))
    within = [z for z in tried if sum(response.cost[i, z[i]] for i in rows) <= money]
    return max(within, key=lambda z: sum(response.value[i, z[i]] for i in rows))


def promised(response, z):
    return sum(response.value[i, z[i]] for i in range(len(z)))


@pytest.mark.parametrize("seed", range(8))
def test_worth_is_value_less_spend_at_the_references_price_mean_over_budgets(seed):
    """The engine's decisions at a binding budget may miss the optimum by one user's step; compared where they do not.

    The price is recovered from the worths themselves: with scores of value 0 and cost 1 for every treated user, and
    with scores of value only, so that the sum of the two must be the whole.
    """
    rng = np.random.default_rng(seed)
    candidates = {TWO_STAGE: tables(seed), TUNED: tables(seed + 100)}
    scores = Scores(*rng.normal(size=(2, 5, 3)).astype(np.float32))
    free = max(float(r.cost[np.arange(5), r.value.argmax(axis=1)].sum()) for r in candidates.values())
    budgets = (0.4 * free / 5, free / 5 + 1)  # one that binds, one that does not and so has no price
    got = worth(candidates, scores, budgets, TWO_STAGE)
    nothing = np.zeros((5, 3), dtype=np.float32)
    of_value = worth(candidates, Scores(scores.value, nothing), budgets, TWO_STAGE)
    one_each = np.ones((5, 3), dtype=np.float32)
    price = -2 * worth(candidates, Scores(nothing, one_each), budgets, TWO_STAGE)[TWO_STAGE]
    assert price.min() == price.max() > 0
    exact = 0
    for name, response in candidates.items():
        z = [best(response, budget * 5) for budget in budgets]
        hand = np.mean([[scores.value[i, d[i]] for i in range(5)] for d in z], axis=0)
        if np.allclose(of_value[name], hand, atol=1e-6):
            exact += 1
            spent = np.array([scores.cost[i, z[0][i]] for i in range(5)])
            np.testing.assert_allclose(got[name], hand - price * spent / 2, atol=1e-6)
    assert exact  # the free budget is always met exactly; the binding one mostly


def test_the_price_is_the_references_and_marks_where_its_decision_turns():
    """Ten users of gain 10, 9, ..., 1 at a cost of 1 each and money for 4: the price lies in [6, 7]. The other's own
    price would be 100 times that; he spends all the same, and pays for it at the reference's."""
    gain = np.arange(10.0, 0.0, -1.0)
    cost = np.tile([0.0, 1.0], (10, 1))
    two = Response(np.column_stack([np.zeros(10), gain]), cost, ("none", "some"))
    other = Response(100 * np.asarray(two.value), cost, ("none", "some"))
    scores = Scores(np.zeros((10, 2), dtype=np.float32), np.tile(np.float32([0, 1]), (10, 1)))
    got = worth({TWO_STAGE: two, TUNED: other}, scores, [0.4], TWO_STAGE)
    assert (-got[TUNED][:4] >= 6).all()
    assert (-got[TUNED][:4] <= 7).all()
    np.testing.assert_array_equal(got[TUNED], got[TWO_STAGE])
    np.testing.assert_array_equal(got[TUNED][4:], 0)


def test_a_budget_below_the_cheapest_arms_is_raised_to_exactly_their_cost():
    """Ten times .1 is a little less when added up in floats, which the engine would refuse."""
    cost = np.full((10, 2), 0.1)
    cost[:, 1] = 0.7
    assert affordable(0.0, cost) >= 10 * 0.1
    assert affordable(3.0, cost) == 30.0
    response = Response(np.tile([0.0, 1.0], (10, 1)), cost, ("none", "some"))
    single = Response(response.value, np.full((10, 2), np.float32(0.3)), ("none", "some"))
    for one in (response, single):
        got = worth({TWO_STAGE: one}, Scores(cost, cost), [0.0], TWO_STAGE)
        assert np.isfinite(got[TWO_STAGE]).all()


def test_a_difference_has_the_textbook_standard_error_and_interval():
    """Differences 0, 2, 4, 6: mean 3, variance 20/3, standard error sqrt(20/12) = 1.291; 90%: +-1.6449 of that."""
    found = Difference.of(np.array([0.0, 2.0, 4.0, 6.0]))
    assert (found.mean, found.users) == (3.0, 4)
    assert found.se == pytest.approx(1.2909944)
    assert found.interval(0.9) == pytest.approx((3 - 2.1234, 3 + 2.1234), abs=1e-3)
    low, high = found.interval()
    assert (high - low) / 2 == pytest.approx(1.959964 * found.se)


def around(mean, n=100):
    """n amounts, alternating by 1 around the mean: standard error 1.005 / 10."""
    return mean + np.where(np.arange(n) % 2 == 0, 1.0, -1.0)


def test_the_tuned_net_is_put_aside_only_where_it_is_worse_by_a_standard_error():
    zero = np.zeros(100)
    assert challenger({TUNED: around(-0.09), EFFECTS: zero, TWO_STAGE: zero}) == TUNED
    assert challenger({TUNED: around(-0.11), EFFECTS: zero, TWO_STAGE: zero}) == EFFECTS
    assert challenger({TUNED: around(-9.0), TWO_STAGE: zero}) == TUNED  # the warm start was the two-stage net itself
    assert challenger({}) == TUNED


@pytest.mark.parametrize(
    ("tuned", "effects", "level", "kept"),
    [
        (0.30, 0.30, 0.95, TUNED),
        (0.30, 0.90, 0.95, EFFECTS),
        (0.18, 0.18, 0.95, TWO_STAGE),  # 1.8 standard errors above
        (0.18, 0.18, 0.90, TUNED),
        (-5.0, -5.0, 0.95, TWO_STAGE),
        (-5.0, 0.10, 0.95, EFFECTS),
        (-5.0, -0.10, 0.95, TWO_STAGE),
    ],
)
def test_only_an_interval_above_zero_lets_a_net_decide(tuned, effects, level, kept):
    worths = {TUNED: around(tuned), EFFECTS: np.full(100, effects), TWO_STAGE: np.zeros(100)}
    assert choose(worths, level) == kept


def test_nets_that_decide_alike_leave_the_two_stage_net_in_place():
    alike = np.arange(50.0)
    assert choose({TUNED: alike, EFFECTS: alike, TWO_STAGE: alike}, 0.95) == TWO_STAGE


def test_a_tuning_that_the_watch_ended_is_called_the_warm_start():
    """Tuned and warm start are then one net; the refit of all users must not run the unwatched phase again."""
    rng = np.random.default_rng(0)
    start = rng.normal(1.0, 0.1, 500)
    worths = {TWO_STAGE: np.zeros(500), EFFECTS: start, TUNED: start.copy()}
    assert challenger(worths) == EFFECTS
    assert choose(worths, 0.95) == EFFECTS


def test_the_gain_over_control_does_not_count_the_spend():
    """100 users who all gain 2 at a cost of 1, money for 30: at the price of 2 nothing is left, yet 60 are gained."""
    tables = Response(np.tile([0.0, 2.0], (100, 1)), np.tile([0.0, 1.0], (100, 1)), ("none", "some"))
    scores = Scores(np.tile(np.float32([1, 3]), (100, 1)), np.tile(np.float32([0, 1]), (100, 1)))
    assert gain_over_control(tables, scores, [0.3]).sum() == 60
    assert gain_over_control(tables, scores, [0.3, 0.5]).sum() == 80
