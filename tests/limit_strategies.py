"""Input families with limits: feasible by construction, and clashing with the smallest clashing set known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from allocation import Limit, Problem
from tests.oracles import exact_total
from tests.strategies import problems, random_tables

LIMIT_FAMILIES = (
    "segment budgets",
    "segment floors and caps",
    "arm caps",
    "overlapping limits",
    "value floors",
    "resources",
    "no budget",
    "redundant limits",
    "floor equals cap",
    "ties",
    "negative amounts",
    "ineligible arms",
    "limits on one user",
    "float32",
    "Fortran order",
    "tiny money",
    "huge money",
    "many limits",
)
WITHOUT_BUDGET = ("resources", "no budget")
TABLES = {"ties": "ties", "negative amounts": "negative cost", "tiny money": "tiny money", "huge money": "huge money"}


def float_at_least(amount: Fraction) -> float:
    """The nearest float that is no less."""
    nearest = float(amount)
    return nearest if Fraction(nearest) >= amount else math.nextafter(nearest, math.inf)


@dataclass
class Draft:
    """Tables, and one eligible decision that every bound drawn from it allows."""

    rng: np.random.Generator
    value: np.ndarray
    cost: np.ndarray
    eligible: np.ndarray | None
    decision: np.ndarray
    resources: dict[str, np.ndarray] = field(default_factory=dict)
    limits: list[Limit] = field(default_factory=list)

    def add(
        self, measure: str, sides: str, users: np.ndarray | None = None, arms: Sequence[int] | None = None, room=None
    ) -> None:
        """One more limit on the "min", "max" or "both" sides of what the decision uses.

        `room` is the distance to each bound as a share of the amount; None draws up to 0.3, or, for a few users, 0.
        With both sides given, an amount that is not a count is left the width of its largest cell. Otherwise limits
        may leave no more than the one decision, and to find that among many users is to break a code.
        """
        used, largest = self.used(measure, users, arms)
        low, high = (self.room(used) if room is None else abs(room * used) for _ in range(2))
        if sides == "both" and measure != "users":
            low, high = low + Fraction(largest), high + Fraction(largest)
        if measure == "users":
            low, high = Fraction(math.floor(low)), Fraction(math.ceil(high))
        floor, cap = -float_at_least(low - used), float_at_least(used + high)
        self.limits.append(
            Limit(
                f"{measure} {len(self.limits)}",
                measure,
                floor if sides != "max" else None,
                cap if sides != "min" else None,
                users,
                arms,
            )
        )

    def room(self, used: Fraction) -> Fraction:
        """Nothing, if users are few, or up to 0.3 of an amount."""
        least = 0.0 if len(self.value) <= 20 else 0.01
        return Fraction(abs(float(used)) * self.rng.choice([least, least + 0.3 * self.rng.random()]))

    def used(self, measure: str, users: np.ndarray | None, arms: Sequence[int] | None) -> tuple[Fraction, float]:
        """What the decision uses, exactly, and the largest cell that counts."""
        counts = np.zeros(self.value.shape, dtype=bool)
        counts[:, list(range(1, counts.shape[1]) if arms is None else arms)] = True
        if users is not None:
            counts[~users] = False
        table = {"users": np.ones(counts.shape), "cost": self.cost, "value": self.value, **self.resources}[measure]
        amounts = np.where(counts, np.asarray(table, dtype=float), 0.0)
        return exact_total(amounts, self.decision), float(np.abs(amounts).max())

    def segments(self, at_most: int = 4) -> list[np.ndarray]:
        """A partition of the users into 1 to `at_most` sets, none empty."""
        n = len(self.value)
        k = min(n, int(self.rng.integers(1, at_most + 1)))
        label = self.rng.permutation(np.append(np.arange(k), self.rng.integers(0, k, n - k)))
        return [label == s for s in range(k)]

    def some_users(self) -> np.ndarray:
        """A random set of users, not empty."""
        chosen = self.rng.random(len(self.value)) < self.rng.choice([0.2, 0.5, 0.8])
        chosen[self.rng.integers(len(chosen))] = True
        return chosen

    def some_arms(self) -> list[int]:
        """A random set of arms, not empty; control is seldom among them."""
        arms = np.arange(self.value.shape[1])
        chosen = self.rng.random(len(arms)) < np.where(arms == 0, 0.2, 0.6)
        chosen[self.rng.integers(len(arms))] = True
        return arms[chosen].tolist()

    def some_limits(self, many: int) -> None:
        """Limits of any measure over sets that overlap."""
        for _ in range(many):
            measure = str(self.rng.choice(["users", "cost", "value", *self.resources]))
            users = [None, self.some_users()][self.rng.integers(2)]
            arms = [None, self.some_arms()][self.rng.integers(2)]
            self.add(measure, str(self.rng.choice(["min", "max", "max", "both"])), users, arms)

    def problem(self, budget: bool) -> Problem:
        """The problem; a budget leaves some room beyond what the decision costs."""
        spent = exact_total(self.cost, self.decision)
        money = float_at_least(max(Fraction(0), spent + self.room(spent))) if budget else None
        return Problem(self.value, self.cost, money, self.eligible, self.limits, self.resources)


def random_limited_problem(rng: np.random.Generator, n: int, K: int, family: str) -> Problem:
    """A random feasible problem of n users, K >= 1 treatments and some limits; `family` is one of LIMIT_FAMILIES."""
    value, cost = random_tables(rng, n, K, TABLES.get(family, "generic"))
    eligible = None
    if family in ("ineligible arms", "resources"):
        eligible = np.ones(value.shape, dtype=bool) if family == "resources" else rng.random(value.shape) < 0.6
        eligible[:, 0] &= family != "resources"
        eligible[np.arange(n), rng.integers(1, K + 1, n)] = True
    if family == "float32":
        value, cost = value.astype(np.float32), cost.astype(np.float32)
    if family == "Fortran order":
        value, cost = np.asfortranarray(value), np.asfortranarray(cost)
    resources = {}
    if family in ("resources", "overlapping limits"):
        resources = {f"resource {k}": rng.integers(0, 9, value.shape).astype(value.dtype) for k in range(3)}
    if family == "resources":  # what is worth more uses more, as in the published instances
        value = value + 0.5 * sum(resources.values())
    draft = Draft(rng, value, cost, eligible, _some_decision(rng, value, eligible), resources)
    _add_limits(draft, family)
    return draft.problem(family not in WITHOUT_BUDGET)


def _some_decision(rng, value, eligible):
    chance = rng.random(value.shape)
    return (chance if eligible is None else np.where(eligible, chance, -1.0)).argmax(axis=1)


def _add_limits(draft: Draft, family: str) -> None:
    rng, K = draft.rng, draft.value.shape[1] - 1
    if family == "segment budgets":
        for segment in draft.segments():
            draft.add("cost", "max", segment)
    elif family in ("segment floors and caps", "float32", "Fortran order"):
        for segment in draft.segments():
            draft.add("users", "both", segment)
            draft.add("cost", "both", segment)
    elif family == "floor equals cap":
        for segment in draft.segments():
            draft.add("users", "both", segment, room=0)
    elif family == "arm caps":
        for arm in range(1, K + 1):
            draft.add("users", "max", arms=[arm])
    elif family == "value floors":
        # Nobody but the first segment gets much: a floor that the budget alone would not reach.
        first, *others = draft.segments(2)
        draft.decision = np.where(first, draft.value.argmax(axis=1), draft.cost.argmin(axis=1))
        for segment in (first, *others):
            draft.add("value", "min", segment, arms=range(K + 1), room=Fraction(rng.uniform(0.01, 0.2)))
    elif family == "resources":
        for name in draft.resources:
            draft.add(name, "max")
    elif family == "redundant limits":
        draft.some_limits(2)
        draft.limits += [
            Limit(f"{limit.name} again", limit.measure, limit.min, limit.max, limit.users, limit.arms)
            for limit in draft.limits
        ]
        draft.limits.append(Limit("everybody at most", max=len(draft.value)))
        draft.limits.append(Limit("nobody at least", min=0))
    elif family == "limits on one user":
        for user in range(min(3, len(draft.value))):
            draft.add("users", "max", np.arange(len(draft.value)) == user, [int(rng.integers(1, K + 1))], room=0)
        draft.some_limits(1)
    elif family == "many limits":
        for segment in draft.segments():
            draft.add("cost", "both", segment)
        for arm in range(1, K + 1):
            draft.add("users", "max", arms=[arm])
        draft.some_limits(5)
    else:
        draft.some_limits(int(rng.integers(1, 5)))


@st.composite
def limited_problems(draw, max_users: int = 5, max_arms: int = 3, max_limits: int = 3) -> Problem:
    """Feasible problems with limits that shrink towards few users, arms and limits, and small whole numbers."""
    bare = draw(problems(max_users, max_arms))
    n, arms = bare.value.shape
    eligible = np.ones((n, arms), dtype=bool) if bare.eligible is None else bare.eligible
    decision = np.array([draw(st.sampled_from(np.flatnonzero(row).tolist())) for row in eligible])
    draft = Draft(np.random.default_rng(0), bare.value, bare.cost, bare.eligible, decision)
    for _ in range(draw(st.integers(1, max_limits))):
        users = draw(st.one_of(st.none(), hnp.arrays(np.bool_, n).filter(lambda mask: mask.any())))
        counted = draw(st.one_of(st.none(), st.sets(st.integers(0, arms - 1), min_size=1).map(sorted)))
        if counted is None and arms == 1:
            counted = [0]
        measure, sides = (
            draw(st.sampled_from(["users", "cost", "value"])),
            draw(st.sampled_from(["max", "min", "both"])),
        )
        draft.add(measure, sides, users, counted, room=0)
    budget = draw(st.sampled_from([None, 0, 1, 3]))
    spent = max(Fraction(0), exact_total(bare.cost, decision))
    money = None if budget is None else float_at_least(spent + budget)
    return Problem(bare.value, bare.cost, money, bare.eligible, draft.limits)
