"""The result table as text cells per user, the same for the terminal and the report, and what it says in words."""

from __future__ import annotations

import math
from dataclasses import dataclass

from allocation.evaluation.estimators import FEW
from allocation.jobs.numbers import Cell, decimals, distinct_places, number, with_interval
from allocation.jobs.summary import CHALLENGER, END_TO_END, Summary


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
    unsure: bool  # too few matched users, here or in the reference or where the two differ, to compare
    why: str  # the evaluation's words for that, where it has some
    clear: int  # 1 better, -1 worse than the reference, 0 where the interval holds zero or nothing can be compared


def rows(run: Summary) -> list[Row]:
    """The table, budget by budget, as text."""
    frame = run.headline()
    value = decimals(frame["value"].abs().max())
    money = distinct_places(frame["budget"])
    matched = {(r["policy"], r["budget"]): r["matched"] for _, r in frame.iterrows()}
    out = []
    for _, r in frame.iterrows():
        own, few = r["policy"] == r["reference"], r["matched"] < FEW or math.isnan(r["value"])
        apart = r.get("difference_support", "")
        thin = few or matched[r["reference"], r["budget"]] < FEW or bool(apart)
        low, high = r["difference_low"], r["difference_high"]
        if own:
            difference = Cell("best baseline")
        elif r["same_decision"]:
            difference = Cell("same decision")
        else:
            difference = _cell(r["difference"], low, high, value, thin, sign=True)
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
                unsure=thin or math.isnan(r["difference"]),
                why=apart,
                clear=0 if own or thin or r["same_decision"] else int(low > 0) - int(high < 0),
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
    if at["matched"] < FEW or math.isnan(at["value"]):
        return [
            *run.warnings,
            f"Only {at['matched']:,.0f} of {run.users:,} held-out users received the arm that two-stage chose for "
            f"them at {budget} a user. That is too few to judge it: log more users.",
        ]
    sentences = [*run.warnings, f"At {budget} a user, two-stage {_compared(row)}."]
    tuned = next((r for r in rows(run) if r.policy == END_TO_END and r.budget == row.budget), None)
    told = [*([] if tuned is None else [f"End-to-end {_compared(tuned)}."]), run.tuning]
    sentences += [text for text in [" ".join(told).strip()] if text]
    control = next(iter(run.arm_users))
    if at["matched_control"] >= FEW and run.arm_users[control] < run.users:
        gain = _cell(at["gain"], at["gain_low"], at["gain_high"], value, sign=True)
        cost = f"{row.spend} {run.currency}".rstrip()
        sentences.append(f"Against treating nobody: {gain} a user in value, for a verified spend of {cost}.")
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
        f"The model promised {row.promised} a user, {row.verified} was verified: the promise "
        + ("lies inside the interval." if inside else "lies outside the interval, so trust the verified figure.")
    )
    return sentences


def _compared(row: Row) -> str:
    """Two-stage against the best baseline, in words."""
    other = f"the best baseline ({row.reference})"
    amount = str(row.difference)
    if row.difference.estimate == "same decision":
        return f"makes the same decisions as {other}"
    if row.unsure:
        why = row.why or f"fewer than {FEW} users received the arms that one of them chose"
        return f"and {other} cannot be compared: {why}"
    if row.clear > 0:
        return f"beats {other} by {amount}"
    if row.clear < 0:
        return f"is worse than {other}: {amount}"
    return f"and {other} are not distinguishable: {amount}"


def _cell(x: float, low: float, high: float, places: int, few: bool = False, sign: bool = False) -> Cell:
    """The estimate with its interval, or why there is none."""
    if math.isnan(x):
        return Cell("too few" if few else "no match")
    return Cell(number(x, places, sign), "too few") if few else with_interval(x, low, high, places, sign)


def budget_text(run: Summary) -> str:
    """The chosen budget per user, written as in the table."""
    return number(run.budget_per_user, distinct_places(run.headline()["budget"]))
