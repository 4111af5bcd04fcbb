"""A plan's limits in numbers: shares taken of the users that there are, and what was spent already taken off."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from allocation.engine.limit import Limit, ProblemError
from allocation.engine.money import amount_text, exact_sum, float_above, float_below
from allocation.engine.stream.chunks import Arrays, Chunk
from allocation.engine.stream.terms import Terms, terms_of
from allocation.jobs.batch.parts import fraction_text
from allocation.jobs.batch.passes import Passes
from allocation.jobs.plan import Plan, PlanLimit, Share
from allocation.jobs.plan_values import shown
from allocation.jobs.tables.duplicates import bytes_of
from allocation.jobs.tables.schema import RESOURCE
from allocation.jobs.tables.served import Served
from allocation.jobs.where import mask_of
from uplift.errors import InputError


@dataclass(frozen=True, eq=False)
class CountMasks:
    """How many users of a chunk each limit is about, (m,)."""

    def __call__(self, chunk: Chunk) -> Arrays:
        return {"users": np.array([len(chunk) if mask is None else int(mask.sum()) for mask in chunk.masks])}


Values = Callable[[str], Sequence[Any]]  # some values of an attribute, for messages


def terms_for(
    plan: Plan,
    passes: Passes,
    arms: tuple[str, ...],
    n: int,
    served: Served | None = None,
    some: Values = lambda _: (),
) -> Terms:
    """The budget and the limits that are left for the users of `passes`.

    Shares of users are of all users whom a limit is about, served or not; what the served used is taken off caps and
    floors, their money off the budget. A pass counts users where a limit is about some of them, so that one that is
    about nobody is told, and where users are served and a limit is a share.

    Raises ProblemError and InputError for limits that nobody can keep: unknown arms, more spent than the budget
    allows, a cap that is used up beyond its amount, and nobody whom a limit is about.
    """
    about = _about(plan, passes, n, served, some)
    used = [_used(limit, served, arms) if served is not None else Fraction(0) for limit in plan.limits]
    limits = [_limit(limit, users, plan.budget, u) for limit, users, u in zip(plan.limits, about, used, strict=True)]
    return terms_of(_budget(plan.budget, served), limits, arms, plan.resources)


def _about(plan: Plan, passes: Passes, n: int, served: Served | None, some: Values) -> list[int]:
    """How many users each limit is about, served or not; the pass is made where that is not known without it.

    A user who was served counts once, whether the table still has him or not.
    """
    shares = any(isinstance(bound, Share) for limit in plan.limits for bound in (limit.min, limit.max))
    if not any(limit.where for limit in plan.limits) and (served is None or not shares):
        return [n] * len(plan.limits)
    parts = passes.each(CountMasks(), "counting whom limits are about")
    found = np.sum([part["users"] for part in parts], axis=0)
    if served is not None:
        found = found + [int(_inside(limit, served).sum()) for limit in plan.limits]
    for limit, users in zip(plan.limits, found.tolist(), strict=True):
        if users == 0:
            asked = ", ".join(f"{name} = {list(values)}" for name, values in limit.where.items())
            there = "; ".join(
                f"{name} has {', '.join(map(shown, values))} and may have others"
                for name in limit.where
                if (values := some(name))
            )
            asked += f" ({there})" if there else ""
            raise InputError(
                f"limit {limit.name!r} is about nobody: no user has {asked}; mend its where, or leave the limit out"
            )
    return [int(users) for users in found]


def _limit(limit: PlanLimit, users: int, budget: float | None, used: Fraction) -> Limit:
    most = limit.amounts(users, budget)[1]
    if used and most is not None and Fraction(most) < used and limit.measure in ("users", "cost"):
        raise ProblemError(
            f"limit {limit.name!r} allows at most {amount_text(most)}, and the served users have already used "
            f"{amount_text(float_above(used))}; raise its max"
        )
    return Limit(limit.name, limit.measure, *bounds_left(limit, users, budget, used), None, limit.arms)


def bounds_left(
    limit: PlanLimit, users: int, budget: float | None, used: Fraction
) -> tuple[float | None, float | None]:
    """Floor and cap of a limit about so many users once so much of it is used, rounded inwards."""
    low, high = limit.amounts(users, budget)
    if not used:
        return low, high
    low = None if low is None else float_above(Fraction(low) - used)
    return low, None if high is None else float_below(Fraction(high) - used)


def budget_left(budget: float | None, spent: Fraction) -> float | None:
    """The budget once so much is spent (money), rounded down; None where there is none."""
    return None if budget is None else float_below(Fraction(budget) - spent)


def spent_entry(plan: Plan, served: Served, arms: tuple[str, ...]) -> dict[str, Any]:
    """Who was served before, in a manifest: how many, what they cost, and of each limit how many and what they used.

    Exactly, so that budget and bounds that are left can be computed again.
    """
    limits = [
        {"users": int(_inside(limit, served).sum()), "used": fraction_text(_used(limit, served, arms))}
        for limit in plan.limits
    ]
    total = {"cost": float(served.total), "exact": fraction_text(served.total)}
    return {"users": len(served), **total, "limits": limits}


def served_digest(plan: Plan, served: Served) -> str:
    """A checksum of the users served: who, which arms and amounts, and whom each limit is about."""
    head = [str(served.user_id.type), sorted(served.resources), served.value is not None]
    digest = hashlib.sha256(json.dumps(head).encode())
    amounts = [served.cost, served.value, *(served.resources[name] for name in sorted(served.resources))]
    masks = [_inside(limit, served) for limit in plan.limits]
    for array in (*bytes_of(served.user_id), served.arm, *amounts, *masks):
        digest.update(b"" if array is None else np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _budget(budget: float | None, served: Served | None) -> float | None:
    if budget is None or served is None:
        return budget
    if served.total > Fraction(budget):
        raise ProblemError(
            f"the budget is {amount_text(budget)}, and by {served.path} {amount_text(float_above(served.total))} is "
            "spent already; raise the budget, or end the campaign"
        )
    return budget_left(budget, served.total)


def _inside(limit: PlanLimit, served: Served) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    mask = mask_of(limit.where, served.attributes, len(served), f"limit {limit.name!r}, of {served.path},")
    return np.ones(len(served), dtype=np.bool_) if mask is None else mask


def _used(limit: PlanLimit, served: Served, arms: tuple[str, ...]) -> Fraction:
    """What the served users have used of a limit, exactly."""
    counts = [arms.index(arm) for arm in limit.arms if arm in arms] if limit.arms is not None else range(1, len(arms))
    rows = _inside(limit, served) & np.isin(served.arm, np.array(list(counts), dtype=np.int64))
    if limit.measure == "users":
        return Fraction(int(rows.sum()))
    amounts = {"cost": served.cost, "value": served.value}.get(limit.measure, served.resources.get(limit.measure))
    if amounts is None:
        column = "value" if limit.measure == "value" else RESOURCE + limit.measure
        raise InputError(
            f"limit {limit.name!r} measures {limit.measure}, and {served.path} has no column {column}; add what each "
            "served user used"
        )
    return exact_sum(amounts[rows])
