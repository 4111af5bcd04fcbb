"""What a nightly run decided, in sentences and as totals: promise, price, certificate, what is left and why."""

from __future__ import annotations

import math
from typing import Any

from allocation.jobs.batch.changes import NOT_THERE, Changes
from allocation.jobs.batch.decide_plan import DecideResult
from allocation.jobs.manifest import plain
from allocation.jobs.numbers import amount, number, two_digits
from uplift.words import counted

LEAST = 1e-6  # percent that are still told
BIGGEST = 5  # flows of users that are told
PRICE = "A limit's price is the value that one more unit of its bound would add; it is negative for a floor."
PROMISE = (
    "The promised value is a sum of predictions over these very users. It is not verified, and has no interval: how "
    "wrong the predictions are, only a randomised log can tell (`earmark evaluate`)."
)


def totals(result: DecideResult) -> dict[str, Any]:
    """The totals of a run as JSON values, for one that writes and for a dry one."""
    manifest, solved = result.manifest, result.solved
    told = {
        "users": solved.n_users,
        "arm_users": manifest["arm_users"],
        "budget": manifest["budget"],
        "left": plain(solved.slack),
        "price": plain(solved.price),
        **manifest["totals"],
        "bound": manifest["bound"],
        "gap": manifest["gap"],
        "limits": manifest["limits"],
        "passes": result.passes,
        "dry_run": result.task.dry_run,
        "out": None if result.task.dry_run else str(result.task.out),
    }
    return told | ({} if result.changes is None else {"changes": changes_entry(result.changes)})


def dry_entry(result: DecideResult) -> dict[str, Any]:
    """The manifest that a run would write, but for its parts, and the changes; `dry_run` says that it is none."""
    manifest = {name: entry for name, entry in result.manifest.items() if name != "parts"}
    changes = None if result.changes is None else changes_entry(result.changes)
    return {"dry_run": True, **manifest, "changes": changes}


def changes_entry(changes: Changes) -> dict[str, Any]:
    """Who keeps the arm, who moves, and every flow of users from one arm to another, the largest first."""
    flows = changes.biggest(len(changes.before) * len(changes.now) + len(changes.before) + len(changes.now) + 1)
    return {
        "same": changes.same,
        "moved": changes.moved,
        "flows": [{"from": a, "to": b, "users": users} for a, b, users in flows],
    }


def price_words(price: float, currency: str) -> str:
    """The price as what the next unit of money buys."""
    if price == 0:
        return "more money buys nothing"
    unit = f"1 {currency}" if currency else "unit of money"
    return f"the next {unit} buys {amount(price, '')} of value"


def gap_words(result: DecideResult) -> str:
    """The certificate: how much more any other decision could be worth."""
    missing = max(result.solved.bound - result.solved.value, 0.0)
    if missing == 0:
        return "proved: no decision within these terms is worth more"
    return f"no decision within these terms is worth {amount(missing, '')} more"


def percent(share: float) -> str:
    """A small share in percent, with one digit that counts."""
    x = 100 * share
    if 0 < x < LEAST:
        return f"<{LEAST:f}%"
    return f"{x:.{max(-math.floor(math.log10(x)), 0)}f}%" if x > 0 else "0%"


def sentences(result: DecideResult) -> list[str]:
    """What a reader must know beyond the tables."""
    binding = any(limit["binding"] for limit in result.manifest["limits"])
    return [*_served(result), *([PRICE] if binding else []), *_left(result), PROMISE]


def change_sentences(changes: Changes | None, folder: str) -> list[str]:
    """What would be otherwise than in the decisions that are there."""
    if changes is None:
        return [f"There are no earlier decisions in {folder} to compare with."]
    there = int(changes.users[:-1].sum())
    new, gone = int(changes.users[-1, :-1].sum()), int(changes.users[:-1, -1].sum())
    share = f" ({100 * changes.same / there:.1f}%)" if there else ""
    told = f"Against the decisions in {folder}: {counted(changes.same, 'user')}{share} keep their arm, "
    told += f"{changes.moved:,} get another."
    if new or gone:
        told += f" {new:,} are new, {gone:,} are not decided for any more."
    return [told]


def flows(changes: Changes) -> list[tuple[str, str, int]]:
    """The largest flows of users between arms."""
    words = {NOT_THERE: "not there"}
    return [(words.get(a, a), words.get(b, b), users) for a, b, users in changes.biggest(BIGGEST)]


def _served(result: DecideResult) -> list[str]:
    users, cost = result.served
    if not users:
        return []
    plan = result.task.plan
    left = "" if plan.budget is None else f"; the budget is what is left of {amount(plan.budget, plan.currency)}"
    return [
        f"{counted(users, 'user')} were served before, for {amount(cost, plan.currency)}: they are left out{left}."
    ]


def _left(result: DecideResult) -> list[str]:
    """Why money is left over."""
    plan, solved = result.task.plan, result.solved
    if result.manifest["budget"] is None:
        bind = "There is no budget: only the limits bind."
        return [bind if plan.limits else "There is neither a budget nor a limit: everybody gets the best arm."]
    if solved.slack <= 0:
        return []
    left = amount(solved.slack, plan.currency)
    if solved.price == 0:
        within = " within the limits" if plan.limits else ""
        return [f"{left} stay unspent: nobody's predicted value would rise by more money{within} (price 0)."]
    why = "a change of one user that holds every limit" if plan.limits else "the next step of any user"
    return [f"{left} are left over, too little for {why}."]


def limit_price(price: float | None) -> str:
    """Value per unit of a limit's bound, in digits."""
    return number(price, two_digits(abs(price))) if price else "0"
