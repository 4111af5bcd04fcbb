"""Who may move when the last money is spent: everybody whom the full greedy filling moves, and not many more."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from allocation.engine.money import float_above
from allocation.engine.stream.movers import may_move
from allocation.engine.tables import Tables
from tests.strategies import random_tables

KINDS = ("generic", "ties", "zero cost", "negative cost", "collinear arms", "costs a rounding apart")


def greedy(users: Tables, arm: np.ndarray, money: Fraction) -> np.ndarray:
    """The filling as it is told: of all moves that fit, again and again the best, exactly.

    Best is the highest return as a float, then the first user, then the nearest arm.
    """
    value, cost, eligible = users
    arm, left = arm.copy(), money
    while True:
        moves = []
        for i, own in enumerate(arm):
            for j in range(value.shape[1]):
                gain = float(value[i, j]) - float(value[i, own])
                extra = Fraction(float(cost[i, j])) - Fraction(float(cost[i, own]))
                open_ = eligible is None or eligible[i, j]
                if open_ and gain > 0 and 0 < extra <= left:
                    moves.append((-gain / float(extra), i, extra, j))
        if not moves:
            return arm
        _, i, extra, j = min(moves)
        arm[i] = j
        left -= extra


def instance(rng: np.random.Generator, kind: str) -> tuple[Tables, np.ndarray]:
    """Users with some arm each, eligible ones, as a price would leave them or not."""
    n, arms = int(rng.integers(1, 30)), int(rng.integers(2, 5))
    value, cost = random_tables(rng, n, arms - 1, kind)
    eligible = None
    if rng.random() < 0.3:
        eligible = rng.random(value.shape) < 0.7
        eligible[:, 0] = True
    return Tables(value, cost, eligible), np.zeros(n, dtype=np.int64)


@pytest.mark.parametrize("kind", KINDS)
def test_everybody_whom_the_filling_moves_is_kept(kind: str):
    rng = np.random.default_rng([7, KINDS.index(kind)])
    moved = kept = 0
    for _ in range(60):
        users, arm = instance(rng, kind)
        money = Fraction(float(rng.choice([0.05, 0.3, 1.0])) * float(np.abs(users.cost).sum()) * rng.random())
        may = may_move(users, arm, float_above(money))
        does = greedy(users, arm, money) != arm
        assert may[does].all()
        moved, kept = moved + int(does.sum()), kept + int(may.sum())
    assert moved > 50
    assert kept < 3 * moved


def test_chunks_may_be_swept_each_alone_and_again_together():
    """Nobody who is kept in the end is lost on the way: with fewer others more may move."""
    rng = np.random.default_rng(8)
    for _ in range(60):
        users, arm = instance(rng, "ties")
        money = float(rng.integers(0, 12))
        whole = may_move(users, arm, money)
        halves = [np.arange(0, len(arm) // 2), np.arange(len(arm) // 2, len(arm))]
        parts = np.concatenate([may_move(users.of(half), arm[half], money) for half in halves])
        assert parts[whole].all()


def test_nobody_moves_without_money():
    rng = np.random.default_rng(9)
    users, arm = instance(rng, "generic")
    assert not may_move(users, arm, 0.0).any()


def test_of_many_who_ask_for_the_same_only_the_best_is_left():
    """One euro is left, everybody asks for one: only the best user can move."""
    value = np.column_stack([np.zeros(100_000), np.random.default_rng(10).permutation(100_000) + 1.0])
    cost = np.column_stack([np.zeros(100_000), np.ones(100_000)])
    may = may_move(Tables(value, cost, None), np.zeros(100_000, dtype=np.int64), 1.0)
    assert np.flatnonzero(may).tolist() == [int(value[:, 1].argmax())]
