"""The evaluation as text cells per user, the same for the terminal and the report."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from allocation.jobs.numbers import Cell, decimals, distinct_places, number, two_digits, with_interval

if TYPE_CHECKING:
    from allocation.jobs.evaluation_job import EvaluationResult  # what fits policies loads their libraries

DUST = 1e-9  # share of an amount that rounding alone may make of zero


@dataclass(frozen=True)
class Places:
    """Decimal places of values, of differences in value, of budgets (`money`), and of what is spent."""

    value: int
    difference: int
    money: int
    spend: int

    @classmethod
    def of(cls, frame: pd.DataFrame) -> Places:
        """Of the frame of `EvaluationResult.headline`: three digits of the largest amount, two of a usual error.

        A spend has two digits of a usual width of its interval: the budget may be of another size.
        """
        shown = frame["promised_value"] if frame["value"].isna().all() else frame["value"]
        value = decimals(float(shown.abs().max()))
        difference = value
        if "difference_se" in frame and value >= 0:
            errors = frame.loc[frame["difference_se"] > 0, "difference_se"]
            difference = min(max(value, decimals(float(errors.median())) - 1), value + 2)
        return cls(value, difference, distinct_places(frame["budget"]), _spend_places(frame))


@dataclass(frozen=True)
class Row:
    """One policy at one budget, every amount per user.

    `clear` is 1 for better and -1 for worse than the reference by the p-value adjusted for all comparisons, else 0;
    `matched` and `effective` count users; `support` says in words why there is no estimate.
    """

    policy: str
    budget: str
    per_user: float
    promised: str
    verified: Cell
    spend: Cell
    difference: Cell
    reference: str
    matched: str
    effective: str
    support: str
    clear: int


def rows(result: EvaluationResult) -> list[Row]:
    """The table, budget by budget, as text."""
    frame = result.headline()
    places = Places.of(frame)
    return [_row(r, places, 1 - result.plan.level) for _, r in frame.iterrows()]


def clear_side(r: pd.Series, alpha: float) -> int:
    """1 where the row is better than its reference, -1 where worse, by adjusted p-value and interval both; else 0."""
    if "p_adjusted" not in r or not r["p_adjusted"] < alpha:
        return 0
    return int(r["difference_low"] > 0) - int(r["difference_high"] < 0)


def bias(frame: pd.DataFrame, amount: str) -> pd.Series:
    """How far trimming may bias each row's "value", "spend" or "difference", which no interval contains; 0 if not."""
    column = "bias_bound" if amount == "value" else f"{amount}_bias_bound"
    return frame[column].fillna(0.0) if column in frame else pd.Series(0.0, index=frame.index)


def budget_text(budget: float, places: Places) -> str:
    """A budget per user, without zeros that say nothing: 0.1, not 0.100; nor 0 for 0.05 beside 15,500."""
    own = two_digits(budget)
    text = number(budget, max(places.money, own) if min(places.money, own) >= 0 else -1)
    return text.rstrip("0").rstrip(".") if "." in text and "e" not in text else text


def _spend_places(frame: pd.DataFrame) -> int:
    largest = float(frame["spend"].abs().max())
    places = decimals(largest)
    wide = frame["spend_high"] - frame["spend_low"]
    wide = wide[wide > DUST * largest]
    if places < 0 or not len(wide):
        return places
    finest = two_digits(float(wide.median()))
    return places + 2 if finest < 0 else min(finest, places + 2)


def _row(r: pd.Series, places: Places, alpha: float) -> Row:
    return Row(
        policy=r["policy"],
        budget=budget_text(r["budget"], places),
        per_user=float(r["budget"]),
        promised=number(r["promised_value"], places.value),
        verified=_cell(r, "value", places.value),
        spend=_cell(r, "spend", places.spend),
        difference=_difference(r, places.difference),
        reference=r.get("reference", ""),
        matched=f"{r['matched']:,.0f}",
        effective=f"{r['effective_size']:,.0f}",
        support=r["support"],
        clear=clear_side(r, alpha),
    )


def _difference(r: pd.Series, places: int) -> Cell:
    if "reference" not in r:
        return Cell("–")
    if r["policy"] == r["reference"]:
        return Cell("reference")
    if r["same_decision"]:
        return Cell("same decision")
    return _cell(r, "difference", places, sign=True)


def _cell(r: pd.Series, name: str, places: int, sign: bool = False) -> Cell:
    if math.isnan(r[name]):
        return Cell("too few")
    return with_interval(r[name], r[f"{name}_low"], r[f"{name}_high"], places, sign)
