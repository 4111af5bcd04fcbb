"""What a plan with limits comes to, in words and as cells of a table."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from allocation.jobs.analyst.figures import figure, interval, whole
from allocation.jobs.analyst.limited import DecidedPlan, Outcome, Refused, limit_rows
from allocation.jobs.numbers import amount, number, two_digits
from uplift.words import counted


def limit_words(row: Mapping[Any, Any], currency: str) -> str:
    """What is used of a limit, of how much, and what it takes away."""
    used, floor, cap, price = (float(row[name]) for name in ("used", "floor", "cap", "price"))
    unit = currency if row["measure"] == "cost" else str(row["measure"])
    if math.isnan(floor) or math.isnan(cap):
        bounds = f"at most {whole(cap)}" if math.isnan(floor) else f"at least {whole(floor)}"
    else:
        bounds = whole(cap) if floor == cap else f"{whole(floor)} to {whole(cap)}"
    told = f"{whole(used)} of {bounds} {unit}".rstrip()
    if not row["binding"]:
        return f"{told}: does not bind"
    return f"{told}: binds at its {row['binding']}, price {number(price, two_digits(abs(price)))}"


def limits_table(decided: DecidedPlan) -> pd.DataFrame:
    """A row a limit, every cell text: what is used, floor, cap, price, and whether it binds."""
    rows = limit_rows(decided)
    return pd.DataFrame(
        {
            "limit": rows["limit"],
            "of": rows["measure"],
            "used": rows["used"].map(whole),
            "floor": rows["floor"].map(whole),
            "cap": rows["cap"].map(whole),
            "price": [number(x, two_digits(abs(x))) if x else "0" for x in rows["price"]],
            "binds": [f"● at its {side}" if side else "" for side in rows["binding"]],
        }
    )


def unspent_words(decided: DecidedPlan, currency: str) -> str:
    """Why money is left over; empty where it is spent."""
    if decided.unspent <= 0 or decided.plan.budget is None or decided.unspent < 1e-9 * decided.plan.budget:
        return ""
    within = " within these limits" if decided.plan.limits else ""
    return (
        f"{amount(decided.unspent, currency)} of the budget of {amount(decided.plan.budget, currency)} stay unspent: "
        f"nobody's predicted value would rise by more money{within} (price 0)."
    )


def side_by_side(outcomes: Mapping[str, Outcome], arms: tuple[str, ...], currency: str) -> pd.DataFrame:
    """A column a plan, by name, and a row a figure, every cell text."""
    return pd.DataFrame({name: _column(outcome, arms, currency) for name, outcome in outcomes.items()}).fillna("–")


def _column(outcome: Outcome, arms: tuple[str, ...], currency: str) -> dict[str, str]:
    if isinstance(outcome, Refused):
        return {"cannot be decided": outcome.reason}
    budget = outcome.plan.budget
    known = not outcome.lacking
    binding = [use.name for use in outcome.limits if use.binding]
    column = {
        "budget": "none" if budget is None else amount(budget, currency),
        "limits": counted(len(outcome.plan.limits), "limit"),
        "binding": ", ".join(binding) or "none",
        "promised gain": figure(outcome.gain),
        "verified gain": figure(outcome.verified_gain.estimate) if known else "–",
        "  95% interval": interval(outcome.verified_gain) if known else outcome.lacking,
        "promised spend": amount(outcome.cost, currency),
        "verified extra spend": amount(outcome.verified_spend.estimate, currency) if known else "–",
        "  95% interval of it": interval(outcome.verified_spend) if known else "–",
        "price": figure(outcome.price),
    }
    n = sum(outcome.users)
    return column | {
        f"on {arm}": f"{users:,} ({users / n:.1%})" for arm, users in zip(arms, outcome.users, strict=True)
    }
