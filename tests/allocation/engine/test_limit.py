"""What a problem refuses of limits, resources, arms and segments, in words that name the mend."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from allocation import Limit, Problem, ProblemError, solve
from allocation.engine.limit import resolve
from allocation.engine.problem import allocation_of

value, cost = np.zeros((3, 4)), np.ones((3, 4))
NAMES = ("control", "mail", "coupon", "call")
some, nobody = np.array([True, False, True]), np.zeros(3, dtype=bool)


def problem(*limits, **more):
    """Three users, three treatments, a budget, and what the test is about."""
    return Problem(value, cost, 3.0, limits=limits, **more)


@pytest.mark.parametrize(
    ("limit", "message"),
    [
        ("few", r"limits holds 'few'; Limit\(\.\.\.\) is expected"),
        (Limit("", max=1), r"a limit is called ''; a name is expected"),
        (Limit(7, max=1), r"a limit is called 7; a name is expected"),
        (
            Limit("few", "person", max=1),
            r"limit 'few' has the measure 'person'; known are 'users', 'cost', 'value': give its table to "
            r"Problem\(resources=\{\.\.\.\}\)",
        ),
        (Limit("few", "user", max=1), r"limit 'few' has the measure 'user'; known are .*: did you mean 'users'\?"),
        (Limit("few"), r"limit 'few' has neither min nor max; give at least one"),
        (Limit("few", max=math.inf), r"limit 'few' has neither min nor max; give at least one"),
        (Limit("few", min=-math.inf, max=math.inf), r"limit 'few' has neither min nor max"),
        (
            Limit("few", min=2000, max=1000),
            r"limit 'few' has its floor 2,000\.0 above its cap 1,000\.0; swap or mend them",
        ),
        (Limit("few", max=math.nan), r"limit 'few' has max nan; a number is expected, or None for none"),
        (Limit("few", min=math.nan), r"limit 'few' has min nan; a number is expected, or None for none"),
        (Limit("few", max=-math.inf), r"limit 'few' has max -inf, which nothing can meet; a number is expected"),
        (Limit("few", min=math.inf), r"limit 'few' has min inf, which nothing can meet; a number is expected"),
        (Limit("few", max="9"), r"limit 'few' has max '9'; a number is expected, or None for none"),
        (Limit("few", max=b"9"), r"limit 'few' has max b'9'; a number is expected"),
        (Limit("few", min=True), r"limit 'few' has min True; a number is expected"),
        (Limit("few", max=[1]), r"limit 'few' has max \[1\]; a number is expected"),
    ],
)
def test_a_bound_is_refused_with_the_mend(limit, message):
    with pytest.raises(ProblemError, match=message):
        problem(limit)


@pytest.mark.parametrize(
    ("arms", "message"),
    [
        ("mail", r"limit 'few' has arms 'mail'; a list is expected, \['mail'\]"),
        (2, r"limit 'few' has arms 2; a list is expected, \[2\]"),
        ([], r"limit 'few' counts no arm; name at least one, or None for all but control"),
        ([4], r"limit 'few' has the arm 4; positions from 0 to 3 are expected"),
        ([-1], r"limit 'few' has the arm -1; positions from 0 to 3 are expected"),
        ([1.0], r"limit 'few' has the arm 1\.0; positions from 0 to 3 are expected"),
        ([True], r"limit 'few' has the arm True; positions from 0 to 3 are expected"),
        (
            ["coupons"],
            r"limit 'few' has the arm 'coupons'; known are 'control', 'mail', 'coupon', 'call': "
            r"did you mean 'coupon'\?",
        ),
        (["gift"], r"limit 'few' has the arm 'gift'; known are 'control', .*: name one of them"),
    ],
)
def test_arms_that_are_not_there_are_refused(arms, message):
    with pytest.raises(ProblemError, match=message):
        problem(Limit("few", max=1, arms=arms), arms=NAMES)


def test_an_arm_by_name_needs_names():
    message = (
        r"limit 'few' names the arm 'mail', but the problem has no names of arms; give Problem\(arms=\(\.\.\.\)\)"
    )
    with pytest.raises(ProblemError, match=message):
        problem(Limit("few", max=1, arms=["mail"]))


def test_with_control_alone_a_limit_on_all_treatments_counts_nobody():
    assert Problem(value[:, :1], cost[:, :1], limits=[Limit("few", max=1)]).limits[0].arms == ()


@pytest.mark.parametrize(
    ("users", "message"),
    [
        (
            "nrth",
            r"limit 'few' has the segment 'nrth'; known are 'north', 'south': did you mean 'north'\?",
        ),
        ("west", r"limit 'few' has the segment 'west'; known are .*: give it to Problem\(segments=\{\.\.\.\}\)"),
        (
            "south",
            r"segment 'south' of limit 'few': nobody, the mask is False for all 3 users; mend it or drop the",
        ),
        (nobody, r"the users of limit 'few': nobody, the mask is False for all 3 users"),
        (
            some[:2],
            r"the users of limit 'few' have shape \(2,\) and type bool; booleans of shape \(3,\) are expected, or "
            r"the name of a segment",
        ),
        (np.array([0, 2, 2]), r"the users of limit 'few' have shape \(3,\) and type int64; booleans"),
        ([0, 2], r"the users of limit 'few' have shape \(2,\) and type int64; booleans"),
    ],
    ids=["misspelt", "unknown", "empty segment", "empty mask", "short mask", "labels", "positions"],
)
def test_users_that_are_not_there_are_refused(users, message):
    with pytest.raises(ProblemError, match=message):
        problem(Limit("few", max=1, users=users), segments={"north": some, "south": nobody})


def test_a_segment_is_unknown_where_there_are_none():
    with pytest.raises(ProblemError, match="has the segment 'north'; known are none: give it to"):
        problem(Limit("few", max=1, users="north"))


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (
            some[:2],
            r"segment 'north' has shape \(2,\) and type bool; booleans of shape \(3,\) are expected, one a user",
        ),
        (np.array(["a", "b", "a"]), r"segment 'north' has shape \(3,\) and type <U1; booleans of shape \(3,\)"),
        (np.ones((3, 1), dtype=bool), r"segment 'north' has shape \(3, 1\) and type bool; booleans"),
    ],
)
def test_a_segment_of_another_shape_or_type_is_refused(mask, message):
    with pytest.raises(ProblemError, match=message):
        problem(segments={"north": mask})


@pytest.mark.parametrize(
    ("resources", "message"),
    [
        ({"cost": cost}, r"a resource is called 'cost', which is a measure of its own; give it another name"),
        ({"users": cost}, r"a resource is called 'users', which is a measure of its own"),
        ({"value": cost}, r"a resource is called 'value', which is a measure of its own"),
        ({"hours": cost[:2]}, r"resource 'hours' has shape \(2, 4\); \(3, 4\) is expected, as value's"),
        ({"hours": cost[0]}, r"resource 'hours' has 1 dimensions; a table \(users, arms\) is expected"),
        ({"hours": cost * math.nan}, r"resource 'hours' has 12 missing or infinite of 12 cells.*user 0, arm 0"),
        ({"hours": cost.astype(str)}, r"resource 'hours' holds <U32 cells; numbers are expected"),
        ({"hours": cost * 1e101}, r"resource 'hours' has amounts up to 1e\+101; at most 1e\+100 can be summed"),
    ],
)
def test_a_resource_is_refused_with_the_mend(resources, message):
    with pytest.raises(ProblemError, match=message):
        problem(resources=resources)


def test_names_of_arms_are_as_many_as_columns():
    with pytest.raises(ProblemError, match=r"arms is .*; 4 names are expected, one for each column"):
        problem(arms=("control", "mail"))


def test_each_limit_has_a_name_of_its_own():
    with pytest.raises(ProblemError, match=r"2 limits are called 'few'; give each a name of its own"):
        problem(Limit("few", max=1), Limit("other", max=1), Limit("few", min=0))


def test_a_limit_is_resolved_to_numbers_positions_and_a_mask():
    """Names become positions, in order and once; a segment becomes its mask; an infinite bound is none."""
    asked = Limit(
        "few", "hours", min=np.float32(2), max=math.inf, users="north", arms=["call", 1, "mail", np.int64(2)]
    )
    (limit,) = problem(asked, arms=NAMES, segments={"north": some}, resources={"hours": cost}).limits
    assert (limit.name, limit.measure, limit.arms) == ("few", "hours", (1, 2, 3))
    assert (limit.min, limit.max, limit.low, limit.high) == (2.0, None, 2.0, math.inf)
    assert type(limit.min) is float
    assert limit.users is some


def test_without_users_and_arms_a_limit_counts_every_treatment_of_everybody():
    (limit,) = problem(Limit("few", max=0)).limits
    assert (limit.users, limit.arms, limit.low, limit.high) == (None, (1, 2, 3), -math.inf, 0)


def test_control_counts_where_it_is_named():
    assert problem(Limit("left alone", min=1, arms=["control"]), arms=NAMES).limits[0].arms == (0,)


def test_a_resolved_limit_resolves_to_itself():
    """`dataclasses.replace` on a problem states its limits anew."""
    (limit,) = problem(Limit("few", max=1, users=some, arms=[2])).limits
    again = resolve(limit, 3, 4, None, {}, ())
    assert (again.min, again.max, again.arms) == (limit.min, limit.max, limit.arms)
    assert again.users is limit.users


def test_floor_and_cap_may_be_one_number():
    assert problem(Limit("just so", min=1, max=1)).limits[0].low == 1


def test_a_limit_on_nobody_of_nobody_is_no_error():
    """Without users a mask has nobody to name."""
    empty = np.zeros((0, 2))
    limits = [Limit("few", max=1, users=np.zeros(0, dtype=bool))]
    assert len(Problem(empty, empty, limits=limits).limits) == 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_resource_is_not_copied(dtype):
    hours = cost.astype(dtype)
    assert problem(resources={"hours": hours}).resources["hours"] is hours


def test_each_measure_has_its_table():
    hours = cost * 2
    stated = problem(resources={"hours": hours})
    assert stated.table("users") is None
    assert stated.table("cost") is stated.cost
    assert stated.table("value") is stated.value
    assert stated.table("hours") is hours


def test_a_decision_carries_no_limits_that_nobody_counted():
    assert allocation_of(problem(Limit("few", max=1)), np.zeros(3, dtype=np.int64)).limits == ()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"limits": [Limit("few", max=10**400)]}, r"limit 'few' has a max larger than any float; None means none"),
        ({"limits": [Limit("few", max=1j)]}, r"limit 'few' has max 1j; a number is expected"),
        ({"limits": [Limit("few", max=1, arms=np.int64(1))]}, r"limit 'few' has arms .*1.*; a list is expected"),
        ({"limits": Limit("few", max=1)}, r"limits is the single limit 'few'; a list is expected"),
        ({"limits": [Limit("few", max=1, users=[[True], [True, False]])]}, r"users of limit 'few': rows that differ"),
        ({"limits": [Limit("the budget", max=1)]}, r"called 'the budget', as messages call the problem's own"),
        ({"segments": [True, True]}, r"segments is list; masks by name are expected"),
        ({"arms": ["none", "none"]}, r"2 different names are expected"),
        ({"arms": "ab"}, r"arms is 'ab'; 2 names are expected"),
    ],
)
def test_what_is_of_the_wrong_kind_is_refused(arguments, message):
    with pytest.raises(ProblemError, match=message):
        Problem(np.zeros((2, 2)), np.zeros((2, 2)), **arguments)


def test_a_problem_with_control_only_can_be_changed():
    alone = Problem(np.zeros((2, 1)), np.zeros((2, 1)), 1.0, limits=[Limit("few", max=1)])
    assert replace(alone, budget=2.0).limits[0].arms == ()
    assert solve(alone).limits[0].used == 0
