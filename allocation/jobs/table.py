"""The result table as text cells per user, the same for the terminal and the report, and what it says in words."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pandas as pd

from allocation.evaluation.evaluate import FEW
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
    per_user: float  # the budget as a number
    promised: str
    verified: Cell
    spend: Cell
    difference: Cell
    reference: str
    matched: int  # held-out users who received the arm decided for them
    clear: bool  # the interval of the difference excludes zero


def rows(run: Summary) -> list[Row]:
    """The table, budget by budget, as text."""
    frame = run.headline()
    value = decimals(frame["value"].abs().max())
    money = decimals(frame["budget"].abs().max())
    matched = {(r["policy"], r["budget"]): r["matched"] for _, r in frame.iterrows()}
    out = []
    for _, r in frame.iterrows():
        own, few = r["policy"] == r["reference"], r["matched"] < FEW
        unsure = few or matched[r["reference"], r["budget"]] < FEW
        low, high = r["difference_low"], r["difference_high"]
        out.append(
            Row(
                policy=r["policy"],
                budget=number(r["budget"], money),
                per_user=float(r["budget"]),
                promised=number(r["promised_value"], value),
                verified=_cell(r["value"], r["value_low"], r["value_high"], value, few),
                spend=_cell(r["spend"], r["spend_low"], r["spend_high"], money, few),
                difference=_difference(own, r["difference"], low, high, value, unsure),
                reference=r["reference"],
                matched=int(r["matched"]),
                clear=bool(not own and not unsure and (low > 0 or high < 0)),
            )
        )
    return out


def verdict(run: Summary) -> list[str]:
    """What the table says, in sentences, at the chosen budget and over all of them; warnings first."""
    frame = run.headline()
    mine = frame[frame["policy"] == CHALLENGER]
    value, money = decimals(frame["value"].abs().max()), decimals(frame["budget"].abs().max())
    at = mine[(mine["budget"] - run.budget_per_user).abs() <= 1e-9 * max(1.0, run.budget_per_user)].iloc[0]
    budget = f"{number(at['budget'], money)} {run.currency}".strip()
    if at["matched"] < FEW:
        return [
            *run.warnings,
            f"Only {at['matched']:,.0f} of {run.users:,} held-out users received the arm that two-stage chose for "
            f"them at {budget} a user. That is too few to judge it: log more users.",
        ]
    spend = _cell(at["spend"], at["spend_low"], at["spend_high"], money)
    gain = _cell(*run.against_nobody, value, sign=True)
    sentences = [
        *run.warnings,
        f"At {budget} a user, two-stage {_compared(at, value)}.",
        f"Against treating nobody it gains {_words(gain)} a user in value, for a verified spend of "
        f"{_words(spend)} {run.currency}".rstrip()
        + ".",
    ]
    if at["spend_low"] > at["budget"]:
        sentences.append("It spends more than the budget: the budget limits the predicted spend, not the real one.")
    if len(mine) > 1:
        better, worse = int((mine["difference_low"] > 0).sum()), int((mine["difference_high"] < 0).sum())
        sentences.append(
            f"Of {len(mine)} budgets, two-stage is better than the best baseline at {better}, worse at {worse}, and "
            f"not distinguishable at {len(mine) - better - worse}. Of many 95% intervals a few miss the truth."
        )
    verified = _cell(at["value"], at["value_low"], at["value_high"], value)
    inside = at["value_low"] <= at["promised_value"] <= at["value_high"]
    sentences.append(
        f"The model promised {number(at['promised_value'], value)} a user, {_words(verified)} was verified: "
        "the promise "
        + ("lies inside the interval." if inside else "lies outside the interval, so trust the verified figure.")
    )
    return sentences


def _compared(at: pd.Series[Any], places: int) -> str:
    """Two-stage against the best baseline, in words."""
    other = f"the best baseline ({at['reference']})"
    low, high = at["difference_low"], at["difference_high"]
    if at["difference"] == low == high == 0:
        return f"makes the same decisions as {other}"
    amount = _words(_cell(at["difference"], low, high, places, sign=True))
    if low > 0:
        return f"beats {other} by {amount}"
    if high < 0:
        return f"is worse than {other}: {amount}"
    return f"and {other} are not distinguishable: {amount}"


def decimals(scale: float) -> int:
    """Decimal places that show three digits of the largest amount; -1, for scientific notation, below 1e-4."""
    if not scale or not math.isfinite(scale):
        return 2
    places = max(0, 2 - math.floor(math.log10(scale)))
    return places if places <= 6 else -1


def number(x: float, places: int, sign: bool = False) -> str:
    """A number with thousands separators; a dash where there is none, no minus before a zero."""
    if math.isnan(x):
        return "–"
    if places < 0:
        return f"{x + 0.0:{'+' if sign else ''}.3g}"
    x = round(x, places) + 0.0
    return f"{x:{'+' if sign else ''},.{places}f}"


def _cell(x: float, low: float, high: float, places: int, few: bool = False, sign: bool = False) -> Cell:
    """The estimate with its interval; so many digits that no end of the interval is rounded to a false zero."""
    if math.isnan(x):
        return Cell("no match")
    if few:
        return Cell(number(x, places, sign), "too few")
    dust = 10.0 ** -(places + 4)  # what rounding leaves of a true zero
    wanted = places
    while 0 <= places < wanted + 3 and any(dust < abs(end) < 0.5 * 10**-places for end in (low, high)):
        places += 1
    return Cell(number(x, places, sign), f"[{number(low, places, sign)}, {number(high, places, sign)}]")


def _difference(own: bool, x: float, low: float, high: float, places: int, few: bool) -> Cell:
    if own:
        return Cell("best baseline")
    if x == low == high == 0:
        return Cell("same decision")
    return _cell(x, low, high, places, few, sign=True)


def _words(cell: Cell) -> str:
    return f"{cell.estimate} {cell.interval}".strip()


def budget_text(run: Summary) -> str:
    """The chosen budget per user, written as in the table."""
    return number(run.budget_per_user, decimals(run.headline()["budget"].abs().max()))
