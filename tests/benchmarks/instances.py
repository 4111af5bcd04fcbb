"""The instances of the allocation benchmark: every arm on the user's hull, and twenty limits that bind."""

from __future__ import annotations

import numpy as np

from allocation import Limit, Problem

PIECE = 100_000
ARMS = 10
SHARE = 0.3  # of what everybody's dearest arm costs


def concave(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Value and cost (n, 11), float32; control is worth 0 and costs 0.

    Costs are cumulated increments, uniform(0.1, 1). Each value increment is the cost increment times a return, the
    user's ten returns being uniform(0, 1) and sorted to fall, so that no arm is below the user's hull. Made in pieces
    with seeds of their own: the first users are the same whatever n is, and little more memory than the tables' own
    is needed.
    """
    value, cost = (np.zeros((n, ARMS + 1), dtype=np.float32) for _ in range(2))
    for first in range(0, n, PIECE):
        rng = np.random.default_rng([seed, 0, first])
        last = min(n, first + PIECE)
        step = rng.random((PIECE, ARMS), dtype=np.float32) * np.float32(0.9) + np.float32(0.1)
        gain = -np.sort(-rng.random((PIECE, ARMS), dtype=np.float32), axis=1) * step
        np.cumsum(step[: last - first], axis=1, out=cost[first:last, 1:])
        np.cumsum(gain[: last - first], axis=1, out=value[first:last, 1:])
    return value, cost


def one_budget(n: int, seed: int = 0) -> Problem:
    """The concave tables of n users under 30% of what everybody's dearest arm costs."""
    return under_one_budget(*concave(n, seed))


def under_one_budget(value: np.ndarray, cost: np.ndarray) -> Problem:
    """These tables under 30% of what everybody's dearest arm costs."""
    return Problem(value, cost, SHARE * float(cost[:, -1].sum(dtype=np.float64)))


def twenty_limits(n: int, seed: int = 0) -> Problem:
    """One budget and twenty limits: 10 segments with floors and caps, 5 caps on arms, 5 over sets that overlap.

    The bounds are what a decision uses that pays other prices (by segment, by arm, by set) than one budget would,
    loosened by 0.1% to 1%: feasible by construction, and most of them bind. The resource "minutes" takes 1 to 6 a
    treated user.
    """
    value, cost = concave(n, seed)
    rng = np.random.default_rng([seed, 1])
    minutes = np.zeros_like(cost)
    for first in range(0, n, PIECE):
        drawn = np.random.default_rng([seed, 2, first]).random((PIECE, ARMS), dtype=np.float32)
        minutes[first : first + PIECE, 1:] = 1 + 5 * drawn[: n - first]
    segment = rng.integers(0, 10, n)
    sets = [rng.random(n) < share for share in (0.5, 0.3, 0.5, 0.5)]
    usual = _price(value[:10_000], cost[:10_000])
    # (measure, users, arms, price, side): a price above 0 makes a cap bind, one below 0 a floor.
    priced = [("cost", segment == s, None, usual * f, "both") for s, f in enumerate(np.linspace(-0.2, 0.25, 10))]
    priced += [("users", None, [arm], 0.02, "max") for arm in range(2, 7)]
    priced += [
        ("minutes", sets[0], None, 0.003, "max"),
        ("value", sets[1], None, -0.05, "min"),
        ("users", sets[2], None, -0.05, "min"),
        ("cost", None, list(range(6, ARMS + 1)), 0.03 * usual, "max"),
        ("minutes", sets[3], [1, 2, 3, 4, 5], 0.003, "max"),
    ]
    tables = {"cost": cost, "value": value, "minutes": minutes, "users": None}
    decision = _at_prices(
        value, cost, usual, [(tables[m], users, arms, price) for m, users, arms, price, _ in priced]
    )
    rows = np.arange(n)
    limits = []
    for k, (measure, users, arms, price, side) in enumerate(priced):
        counted = np.isin(decision, range(1, ARMS + 1) if arms is None else arms) & (True if users is None else users)
        amounts = np.ones(n) if measure == "users" else tables[measure][rows, decision].astype(np.float64)
        used, loose = float(amounts[counted].sum()), rng.uniform(0.001, 0.01)
        floor, cap = (0.8, 1 + loose) if price > 0 else (1 - loose, 1.25)
        limits.append(
            Limit(
                f"{measure} {k}",
                measure,
                floor * used if side != "max" else None,
                cap * used if side != "min" else None,
                users,
                arms,
            )
        )
    budget = 1.001 * float(cost[rows, decision].sum(dtype=np.float64))
    return Problem(value, cost, budget, limits=limits, resources={"minutes": minutes})


def _price(value: np.ndarray, cost: np.ndarray) -> float:
    """The price at which these users spend the usual share, by bisection."""
    low, high, rows = 0.0, 1.0, np.arange(len(value))
    for _ in range(30):
        price = (low + high) / 2
        spent = cost[rows, (value - np.float32(price) * cost).argmax(axis=1)].sum()
        low, high = (price, high) if spent > SHARE * cost[:, -1].sum() else (low, price)
    return high


def _at_prices(value, cost, usual, priced):
    """The arm of each user where money costs the usual price and every set its own beside it."""
    decision = np.empty(len(value), dtype=np.int64)
    for first in range(0, len(value), PIECE):
        at = slice(first, first + PIECE)
        score = value[at] - usual * cost[at]
        for table, users, arms, price in priced:
            counted = list(range(1, ARMS + 1) if arms is None else arms)
            amounts = np.ones_like(score) if table is None else table[at]
            mask = 1.0 if users is None else users[at, None]
            score[:, counted] -= price * amounts[:, counted] * mask
        decision[at] = score.argmax(axis=1)
    return decision


BY_NAME = {"one_budget": one_budget, "twenty_limits": twenty_limits}
