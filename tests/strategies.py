"""Input families for the invariants: seeded random problems by name, and hypothesis problems that shrink."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from allocation import Problem

FAMILIES = (
    "generic",
    "ties",
    "zero cost",
    "negative cost",
    "negative value",
    "dominated arms",
    "one user",
    "zero budget",
    "unlimited budget",
    "control only",
    "collinear arms",
    "tiny money",
    "huge money",
    "costs a rounding apart",
    "ineligible arms",
    "float32",
    "Fortran order",
)


def random_problem(rng: np.random.Generator, n: int, K: int, family: str) -> Problem:
    """A random feasible problem of at most n users and K treatments; `family` is one of FAMILIES."""
    n = 1 if family == "one user" else n
    K = 0 if family == "control only" else K
    value, cost = random_tables(rng, n, K, family)
    eligible = None
    if family == "ineligible arms":
        eligible = rng.random(value.shape) < 0.6
        eligible[np.arange(n), rng.integers(0, K + 1, n)] = True
    if family == "float32":
        value, cost = value.astype(np.float32), cost.astype(np.float32)
    if family == "Fortran order":
        value, cost = np.asfortranarray(value), np.asfortranarray(cost)
    if family == "unlimited budget":
        return Problem(value, cost, [None, math.inf][rng.integers(2)])
    if family == "zero budget":
        return Problem(value, cost, 0.0)
    return Problem(value, cost, _budget(rng, value, cost, eligible), eligible)


def least_budget(cost, eligible=None) -> float:
    """The smallest float, at least 0, that pays for everybody's cheapest arm in exact arithmetic."""
    open_cost = np.where(True if eligible is None else eligible, np.asarray(cost, dtype=float), np.inf)
    exact = sum((Fraction(float(c)) for c in open_cost.min(axis=1)), Fraction(0))
    least = float(exact)
    return max(0.0, least if Fraction(least) >= exact else math.nextafter(least, math.inf))


@st.composite
def problems(draw, max_users: int = 5, max_arms: int = 4, budgets: str = "any") -> Problem:
    """Feasible problems that shrink towards few users, few arms and small whole numbers.

    `budgets` is "any" or "finite". A third of the tables hold small whole numbers, so ties and zeros are common.
    """
    shape = (draw(st.integers(1, max_users)), draw(st.integers(1, max_arms)))
    whole = st.integers(-3, 6).map(float)
    eighths = st.integers(-40, 80).map(lambda k: k / 8)
    cents = st.integers(-10_000, 50_000).map(lambda k: k / 100)  # no float is a whole number of cents: sums round
    cells = draw(st.sampled_from([whole, eighths, cents]))
    value = draw(hnp.arrays(np.float64, shape, elements=cells))
    cost = draw(hnp.arrays(np.float64, shape, elements=cells))
    eligible = None
    if draw(st.booleans()):
        eligible = draw(hnp.arrays(np.bool_, shape))
        eligible[np.arange(shape[0]), draw(hnp.arrays(np.int64, shape[0], elements=st.integers(0, shape[1] - 1)))] = (
            True
        )
    least = least_budget(cost, eligible)
    budget = draw(st.one_of(st.just(least), cells.map(lambda extra: least + abs(extra))))
    if budgets == "any":
        budget = draw(st.sampled_from([budget, budget, budget, None]))
    return Problem(value, cost, budget, eligible)


def random_tables(rng, n, K, family):
    """Value and cost, (n, K+1) each; control costs nothing where the family does not say otherwise."""
    shape = (n, K + 1)
    value = rng.gamma(2.0, 2.0, (n, 1)) + rng.normal(1.0, 2.0, shape) * (np.arange(K + 1) > 0)
    cost = rng.gamma(2.0, 1.0, shape) * (np.arange(K + 1) > 0)
    if family == "ties":
        value, cost = rng.integers(0, 4, shape).astype(float), rng.integers(0, 4, shape).astype(float)
    elif family in ("zero cost", "zero budget"):
        cost[rng.random(shape) < 0.4] = 0.0
        if family == "zero budget":  # what some arms earn may pay for others
            cost[:, 1:] -= rng.integers(0, 2, (n, K)) * rng.random((n, K))
    elif family == "negative cost":
        cost = rng.normal(0.0, 2.0, shape)
    elif family == "negative value":
        value = -rng.gamma(2.0, 2.0, shape)
    elif family == "dominated arms" and K:
        worse = rng.integers(0, K + 1, n)
        value[:, K] = value[np.arange(n), worse] - rng.integers(0, 2, n) * rng.random(n)
        cost[:, K] = cost[np.arange(n), worse] + rng.integers(0, 2, n) * rng.random(n)
    elif family == "collinear arms":
        cost = rng.integers(0, 6, shape).astype(float)
        value = rng.integers(1, 4, (n, 1)) * cost + rng.integers(0, 3, (n, 1))
    elif family == "tiny money":
        cost = cost * 1e-9
    elif family == "huge money":
        cost, value = cost * 1e12, value * 1e12
    elif family == "costs a rounding apart":
        cost = rng.integers(1, 9, (n, 1)) / 10 * (1 + 2.0**-52 * rng.integers(0, 3, shape))
    return value, cost


def _budget(rng, value, cost, eligible):
    """From just enough for the cheapest arms to enough for everybody's most valuable arm."""
    least = least_budget(cost, eligible)
    wanted = np.where(True if eligible is None else eligible, value, -np.inf).argmax(axis=1)
    most = max(least, math.fsum(cost[np.arange(len(cost)), wanted].tolist()))
    share = rng.choice([0.0, 1.0, rng.random()], p=[0.05, 0.05, 0.9])
    return max(least, least + share * (most - least))
