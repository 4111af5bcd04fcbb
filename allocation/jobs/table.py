"""The result table as text cells per user, the same for the terminal and the report, and what it says in words."""

from __future__ import annotations

import math
from dataclasses import dataclass

from allocation.jobs.summary import CHALLENGER, Summary


@dataclass(frozen=True)
class Cell:
    """An estimate and its interval as text; the interval is empty where there is none."""

    estimate: str
    interval: str = ""


@dataclass(frozen=True)
class Row:
    """One policy at one budget, every amount per user."""

    policy: str
    budget: str
    promised: str
    verified: Cell
    spend: Cell
    difference: Cell
    reference: str
    clear: bool  # the interval of the difference excludes zero


def rows(run: Summary) -> list[Row]:
    """The table, budget by budget, as text."""
    frame = run.headline()
    value = decimals(frame["value"].abs().max())
    money = decimals(frame["budget"].abs().max())
    out = []
    for _, r in frame.iterrows():
        own = r["policy"] == r["reference"]
        low, high = r["difference_low"], r["difference_high"]
        out.append(
            Row(
                policy=r["policy"],
                budget=number(r["budget"], money),
                promised=number(r["promised_value"], value),
                verified=_cell(r["value"], r["value_low"], r["value_high"], value),
                spend=_cell(r["spend"], r["spend_low"], r["spend_high"], money),
                difference=_difference(own, r["difference"], low, high, value),
                reference=r["reference"],
                clear=bool(not own and (low > 0 or high < 0)),
            )
        )
    return out


def verdict(run: Summary) -> list[str]:
    """What the table says, in sentences: two-stage against the best baseline, promised against verified."""
    frame = run.headline()
    mine = frame[frame["policy"] == CHALLENGER]
    value, money = decimals(frame["value"].abs().max()), decimals(frame["budget"].abs().max())
    at = mine[(mine["budget"] - run.budget_per_user).abs() <= 1e-9 * max(1.0, run.budget_per_user)].iloc[0]
    amount = _cell(at["difference"], at["difference_low"], at["difference_high"], value, sign=True)
    budget = f"{number(at['budget'], money)} {run.currency}".strip()
    if math.isnan(at["difference"]):
        first = f"At {budget} a user the log shows too few users with the decided arm to compare anything."
    elif at["difference_low"] > 0:
        first = f"At {budget} a user, two-stage beats the best baseline ({at['reference']}) by {_words(amount)}."
    elif at["difference_high"] < 0:
        first = (
            f"At {budget} a user, two-stage is worse than the best baseline ({at['reference']}): {_words(amount)}."
        )
    else:
        first = (
            f"At {budget} a user, two-stage and the best baseline ({at['reference']}) are not distinguishable: "
            f"{_words(amount)}."
        )
    better = int((mine["difference_low"] > 0).sum())
    worse = int((mine["difference_high"] < 0).sum())
    second = (
        f"Over the {len(mine)} budgets it is better at {better}, worse at {worse}, and not distinguishable at "
        f"{len(mine) - better - worse}; each interval stands for itself, so of many a few miss."
    )
    promised = number(at["promised_value"], value)
    verified = _cell(at["value"], at["value_low"], at["value_high"], value)
    inside = at["value_low"] <= at["promised_value"] <= at["value_high"]
    third = f"The model promised {promised} a user; verified are {_words(verified)}: " + (
        "the promise holds." if inside else "the promise lies outside, so trust the verified figure."
    )
    return [first, second, third]


def decimals(scale: float) -> int:
    """Decimal places that show three digits of the largest amount, at least none and at most eight."""
    if not scale or not math.isfinite(scale):
        return 2
    return min(8, max(0, 2 - math.floor(math.log10(scale))))


def number(x: float, places: int, sign: bool = False) -> str:
    """A number with thousands separators; a dash where there is none.

    With `sign` the sign is that of the exact number, so that an interval shows on which side of zero it ends.
    """
    if math.isnan(x):
        return "–"
    if not sign or x == 0:
        x = round(x, places) + 0.0  # no minus before a plain zero
    return f"{x:{'+' if sign else ''},.{places}f}"


def _cell(x: float, low: float, high: float, places: int, sign: bool = False) -> Cell:
    if math.isnan(x):
        return Cell("no support")
    return Cell(number(x, places, sign), f"[{number(low, places, sign)}, {number(high, places, sign)}]")


def _difference(own: bool, x: float, low: float, high: float, places: int) -> Cell:
    if own:
        return Cell("best baseline")
    if x == low == high == 0:
        return Cell("same decision")
    return _cell(x, low, high, places, sign=True)


def _words(cell: Cell) -> str:
    return f"{cell.estimate} {cell.interval}".strip()


def budget_text(run: Summary) -> str:
    """The chosen budget per user, written as in the table."""
    return number(run.budget_per_user, decimals(run.headline()["budget"].abs().max()))
