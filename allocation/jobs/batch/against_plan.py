"""A manifest held against the plan that stands in it: whatever was decided for other terms is told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

from allocation.engine.problem import gap_of
from allocation.jobs.batch.parts import fraction_of
from allocation.jobs.batch.published import LimitEntry, Published
from allocation.jobs.batch.terms import bounds_left, budget_left
from allocation.jobs.batch.versions import run_id_of
from allocation.jobs.plan import Plan, PlanLimit, Share, parse_plan, plan_text
from allocation.jobs.plan_values import shown
from uplift.errors import InputError

HEAD = "[plan]\n"


def stated_plan(published: Published) -> Plan:
    """The plan of a manifest, without its paths; raises InputError where its text is no plan as we write them."""
    text = published.plan.text
    try:
        if not text.startswith(HEAD):
            raise InputError(f"it does not begin with {HEAD.strip()}")
        plan = parse_plan(text.replace(HEAD, f'{HEAD}responses = "."\n', 1), "the manifest's plan")
        plan = replace(plan, responses=None)
        if plan_text(plan) != text or plan.digest() != published.plan.sha256:
            raise InputError("it has another checksum than the manifest says")
    except InputError as error:
        raise InputError(f"plan: the manifest says {shown(published.plan.sha256[:12])}, but {error}") from None
    return plan


def differences(published: Published, plan: Plan, about: Sequence[int] | None = None) -> list[str]:
    """Each entry of the manifest that is not what the plan makes of it, in words; none where all are.

    Held against it: run id, name, currency, part_rows, budget, and of each limit name, measure, arms, where and
    bounds, less what was used by users who were served before. Against one another: value, bound and gap, and
    prices with whether a limit binds. A share of the users in a `where` is looked at with `about` alone, (m,) how
    many of the decided users each limit is about.
    """
    return [*_head(published, plan), *_spent(published), *_limits(published, plan, about), *_certificate(published)]


def _head(published: Published, plan: Plan) -> Iterator[str]:
    spent = published.spent
    run = run_id_of(published.versions, plan.digest(), published.input, None if spent is None else spent.sha256)
    yield from _other("run", published.run[:12], run[:12], "plan, input, spent and versions")
    for name in ("name", "currency", "part_rows"):
        yield from _other(name, getattr(published, name), getattr(plan, name))
    yield from _other("budget", published.budget, budget_left(plan.budget, _cost(published)))


def _spent(published: Published) -> Iterator[str]:
    spent = published.spent
    if spent is None:
        return
    yield from _other("cost of spent", spent.cost, float(_cost(published)), "its exact sum")
    yield from _other("limits of spent", len(spent.limits), len(published.limits), "the number of limits")
    for entry in spent.limits:
        if entry.users > spent.users:
            yield f"spent: {entry.users:,} of {spent.users:,} users are said to be in a limit"


def _limits(published: Published, plan: Plan, about: Sequence[int] | None) -> Iterator[str]:
    yield from _other("limits", [x.name for x in published.limits], [x.name for x in plan.limits])
    for k, (said, stated) in enumerate(zip(published.limits, plan.limits, strict=False)):
        called = f"limit {shown(stated.name)}"
        yield from _other(f"measure of {called}", said.measure, stated.measure)
        arms = published.arms[1:] if stated.arms is None else stated.arms
        yield from _other(f"arms of {called}", said.arms, list(arms))
        where = {column: list(values) for column, values in stated.where.items()}
        if _typed(said.where) != _typed(where):
            yield from _other(f"where of {called}", repr(said.where), repr(where))
        yield from _bounds(called, said, stated, _users(published, stated, k, about), published, plan, k)
        yield from _priced(called, said)


def _bounds(
    called: str, said: LimitEntry, stated: PlanLimit, users: int | None, published: Published, plan: Plan, k: int
) -> Iterator[str]:
    used = Fraction(0)
    if published.spent is not None and k < len(published.spent.limits):
        used = fraction_of(published.spent.limits[k].used)
    low, high = bounds_left(stated, users or 0, plan.budget, used)
    for name, found, bound, plans in (("min", said.min, low, stated.min), ("max", said.max, high, stated.max)):
        counted = isinstance(plans, Share) and stated.measure == "users"
        if not counted or users is not None:
            yield from _other(f"{name} of {called}", found, bound)


def _users(published: Published, stated: PlanLimit, k: int, about: Sequence[int] | None) -> int | None:
    """How many users a share is taken of, those who were served among them; None where that is not known."""
    spent = published.spent
    if not stated.where:
        return published.rows + (0 if spent is None else spent.users)
    if about is None:
        return None
    return about[k] + (spent.limits[k].users if spent is not None and k < len(spent.limits) else 0)


def _priced(called: str, said: LimitEntry) -> Iterator[str]:
    price = said.price
    if price is None:  # beyond any float
        return
    binding = "max" if price > 0 else "min" if price < 0 else None
    if said.binding != binding:
        yield f"{called}: its price is {price:,}, and it is said to bind by its {said.binding}"
    elif (binding == "max" and said.max is None) or (binding == "min" and said.min is None):
        yield f"{called}: its price is {price:,}, but it has no {binding}"


def _certificate(published: Published) -> Iterator[str]:
    value, bound, gap, price = published.totals.value, published.bound, published.gap, published.price
    if bound is None:
        yield from _other("gap", gap, None, "no bound")
    elif bound < value:
        yield f"bound: {bound:,} is below the value of the decisions, {value:,}"
    else:
        yield from _other("gap", gap, gap_of(value, bound), "bound and value")
    if price is not None and (price < 0 or (price > 0 and published.budget is None)):
        yield f"price: {price:,} cannot be, with the budget {published.budget}"


def _cost(published: Published) -> Fraction:
    return Fraction(0) if published.spent is None else fraction_of(published.spent.exact)


def _typed(where: Any) -> Any:
    """Conditions so that 1, 1.0 and true differ."""
    return {column: [(type(value).__name__, value) for value in values] for column, values in where.items()}


def _other(what: str, said: Any, stated: Any, by: str = "its plan") -> Iterator[str]:
    if said != stated:
        yield f"{what}: the manifest says {_short(said)}, by {by} it is {_short(stated)}"


def _short(entry: Any) -> str:
    return f"{entry:,}" if isinstance(entry, int | float) else "none" if entry is None else str(entry)[:120]
