"""Decision stability in words, within 80 columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from uplift.words import counted, wrapped

if TYPE_CHECKING:
    import pandas as pd

KINDS = {"bootstrap": "bootstrap resamples of the log", "half": "random halves of the log"}


def stability_text(
    frame: pd.DataFrame, by_margin: pd.DataFrame, resample: str, level: float, margin_note: str
) -> str:
    """A paragraph a budget, from the two frames of a `Stability`."""
    first = frame.iloc[0]
    lines = [
        wrapped(
            f"Decision stability: {counted(int(first.refits), 'refit')} on {KINDS[resample]}, deciding for the same "
            f"{counted(int(first.users), 'user')}; {_ranges(int(first.refits), level)}."
        )
    ]
    for k in range(len(frame)):
        row = frame.iloc[k]
        lines.append(wrapped(_at_budget(row)))
        quarters = by_margin[(by_margin.budget == row.budget) & (by_margin.users > 0)]
        if len(quarters) > 1:
            close, clear = quarters.iloc[0], quarters.iloc[-1]
            lines.append(
                wrapped(
                    f"closest quarter by margin (up to {close.margin_high:,.3g}): {_share(close.changed)} change; "
                    f"clearest (from {clear.margin_low:,.3g}): {_share(clear.changed)}",
                    "  ",
                )
            )
    if margin_note:
        lines.append(wrapped(f"No margins: {margin_note}."))
    lines.append(wrapped("New logs are likely to differ more than these resamples of one log do."))
    return "\n".join(lines)


def _ranges(refits: int, level: float) -> str:
    """What the ranges hold: with so few refits that no whole one lies beyond an end, all of them."""
    few = refits * (1 - level) / 2 < 1
    return (
        "ranges go about from the lowest to the highest refit"
        if few
        else f"ranges hold {100 * level:g}% of the refits"
    )


def _at_budget(row: Any) -> str:
    return (
        f"budget {row.budget:,.6g}: {_share(row.changed)} of users change arm ({_share(row.changed_low)} to "
        f"{_share(row.changed_high)}), {_share(row.between_refits)} between two refits; arms dealt out blindly would "
        f"change {_share(row.by_chance)}. {_treated(int(row.treated), row.changed_treated)}"
    )


def _treated(count: int, changed: float) -> str:
    if not count or np.isnan(changed):
        return "Nobody is treated."
    who = "the one user" if count == 1 else f"the {count:,} users"
    return f"Of {who} treated {_share(changed)} change."


def _share(share: float) -> str:
    """12.3%, and never 0.0% for what is not 0."""
    percent = 100 * share
    return "under 0.1%" if 0 < percent < 0.1 else f"{percent:.1f}%"
