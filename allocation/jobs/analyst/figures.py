"""Figures as text, for captions, cells and charts: digits, intervals, units."""

from __future__ import annotations

import math

from allocation.evaluation.verified_path import Estimated
from allocation.jobs.numbers import WIDEST, amount, decimals, number, with_interval


def figure(x: float) -> str:
    """Three digits at least, thousands apart."""
    return number(x, decimals(x))


def whole(x: float) -> str:
    """An amount: whole numbers as such, others with three digits, empty for none."""
    if math.isnan(x):
        return ""
    return f"{x:,.0f}" if x.is_integer() and abs(x) < WIDEST else amount(x, "")


def interval(estimated: Estimated) -> str:
    """`[low, high]`, in as many digits as the estimate; `[anything]` where no number is ruled out."""
    if math.isinf(estimated.low) or math.isinf(estimated.high):
        return "[anything]"
    return with_interval(*estimated, max(decimals(estimated.estimate), 0)).interval


def in_unit(title: str, unit: str) -> str:
    """`title (unit)`; the title alone where there is no unit."""
    return f"{title} ({unit})" if unit else title
