"""The result table as text cells per user, the same for the terminal and the report, and what it says in words."""

from __future__ import annotations

import math
from dataclasses import dataclass

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
    unsure: bool  # too few matched users here or in the reference to compare
    clear: int  # 1 better, -1 worse than the reference, 0 where the interval holds zero or nothing can be compared


def rows(run: Summary) -> list[Row]:
    """The table, budget by budget, as text."""
    frame = run.headline()
    value = decimals(frame["value"].abs().max())
    money = _money_places(frame)
    matched = {(r["policy"], r["budget"]): r["matched"] for _, r in frame.iterrows()}
    out = []
    for _, r in frame.iterrows():
        own, few = r["policy"] == r["reference"], r["matched"] < FEW
        unsure = few or matched[r["reference"], r["budget"]] < FEW
        low, high = r["difference_low"], r["difference_high"]
        if own:
            difference = Cell("best baseline")
        elif r["same_decision"]:
            difference = Cell("same decision")
        else:
            difference = _cell(r["difference"], low, high, value, unsure, sign=True)
        out.append(
            Row(
                policy=r["policy"],
                budget=number(r["budget"], money),
                per_user=float(r["budget"]),
                promised=number(r["promised_value"], value),
                verified=_cell(r["value"], r["value_low"], r["value_high"], value, few),
                spend=_cell(r["spend"], r["spend_low"], r["spend_high"], money, few),
                difference=difference,
                reference=r["reference"],
                matched=int(r["matched"]),
                unsure=bool(unsure),
                clear=0 if own or unsure or r["same_decision"] else int(low > 0) - int(high < 0),
            )
        )
    return out


def verdict(run: Summary) -> list[str]:
    """What the table says, in sentences, at the chosen budget and over all of them; warnings first."""
    frame = run.headline()
    mine = frame[frame["policy"] == CHALLENGER].reset_index(drop=True)
    judged = [row for row in rows(run) if row.policy == CHALLENGER]
    k = int((mine["budget"] - run.budget_per_user).abs().argmin())
    at, row = mine.iloc[k], judged[k]
    value = decimals(frame["value"].abs().max())
    budget = f"{row.budget} {run.currency}".strip()
    if at["matched"] < FEW:
        return [
            *run.warnings,
            f"Only {at['matched']:,.0f} of {run.users:,} held-out users received the arm that two-stage chose for "
            f"them at {budget} a user. That is too few to judge it: log more users.",
        ]
    sentences = [*run.warnings, f"At {budget} a user, two-stage {_compared(row)}."]
    control = next(iter(run.arm_users))
    if at["matched_control"] >= FEW and run.arm_users[control] < run.users:
        gain = _cell(at["gain"], at["gain_low"], at["gain_high"], value, sign=True)
        cost = f"{_words(row.spend)} {run.currency}".rstrip()
        sentences.append(f"Against treating nobody: {_words(gain)} a user in value, for a verified spend of {cost}.")
    if at["spend_low"] > at["budget"]:
        sentences.append("It spends more than the budget: the budget limits the predicted spend, not the real one.")
    if len(judged) > 1:
        better, worse = (sum(r.clear == side for r in judged) for side in (1, -1))
        unsure = sum(r.unsure for r in judged)
        sentences.append(
            f"Of {len(judged)} budgets, two-stage is better than the best baseline at {better}, worse at {worse}, "
            f"not distinguishable at {len(judged) - better - worse - unsure}"
            + (f", and has too few users to judge at {unsure}" if unsure else "")
            + ". Of many 95% intervals a few miss the truth."
        )
    inside = at["value_low"] <= at["promised_value"] <= at["value_high"]
    sentences.append(
        f"The model promised {row.promised} a user, {_words(row.verified)} was verified: the promise "
        + ("lies inside the interval." if inside else "lies outside the interval, so trust the verified figure.")
    )
    return sentences


def _compared(row: Row) -> str:
    """Two-stage against the best baseline, in words."""
    other = f"the best baseline ({row.reference})"
    amount = _words(row.difference)
    if row.difference.estimate == "same decision":
        return f"makes the same decisions as {other}"
    if row.unsure:
        return f"and {other} cannot be compared: fewer than {FEW} users received the arms that one of them chose"
    if row.clear > 0:
        return f"beats {other} by {amount}"
    if row.clear < 0:
        return f"is worse than {other}: {amount}"
    return f"and {other} are not distinguishable: {amount}"


def _money_places(frame: pd.DataFrame) -> int:
    """Decimal places of money: three digits of the largest budget, and enough to tell the budgets apart."""
    budgets = sorted(frame["budget"].unique())
    places = decimals(budgets[-1])
    while 0 <= places < 6 and len({number(b, places) for b in budgets}) < len(budgets):
        places += 1
    return places


def decimals(scale: float) -> int:
    """Decimal places that show at least three digits of the largest amount; -1, scientific notation, below 1e-4."""
    if not scale or not math.isfinite(scale):
        return 2
    places = max(0, 2 - math.floor(math.log10(scale)))
    return places if places <= 6 else -1


def number(x: float, places: int, sign: bool = False) -> str:
    """A number with thousands separators; a dash where there is none, no minus before a zero."""
    if math.isnan(x):
        return "–"
    if places < 0:
        return f"{x:{'+' if sign else ''}.2e}" if x else "0"
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


def _words(cell: Cell) -> str:
    return f"{cell.estimate} {cell.interval}".strip()


def budget_text(run: Summary) -> str:
    """The chosen budget per user, written as in the table."""
    return number(run.budget_per_user, _money_places(run.headline()))


def amount(x: float, unit: str) -> str:
    """A total with its unit, at least two decimals where it is small."""
    return f"{number(x, max(decimals(x), 2) if decimals(x) >= 0 else -1)} {unit}".strip()
