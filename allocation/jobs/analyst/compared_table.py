"""The comparison at one budget as a table of text cells."""

from __future__ import annotations

import math

import pandas as pd

from allocation.jobs.analyst.compared_at import Comparison
from allocation.jobs.analyst.figures import in_unit
from allocation.jobs.numbers import decimals, number, with_interval


def compared_table(found: Comparison, currency: str) -> pd.DataFrame:
    """A row a policy: verdict, promised and verified value, difference to the reference, adjusted p, gain, spend."""
    rows = found.rows
    places = {name: decimals(float(rows[name].abs().max())) for name in ("value", "gain", "spend", "difference")}

    def cell(r: pd.Series, name: str, sign: bool = False) -> str:
        """An estimate with its interval."""
        x, low, high = (float(r[f"{name}{end}"]) for end in ("", "_low", "_high"))
        return "too few users" if math.isnan(x) else str(with_interval(x, low, high, places[name], sign))

    def difference(r: pd.Series) -> str:
        """The difference, or why there is none."""
        return cell(r, "difference", sign=True) if not r["why"] and not r["same_decision"] else "–"

    return pd.DataFrame(
        {
            "policy": rows["policy"],
            "verdict": rows["verdict"],
            "promised value": [number(x, places["value"]) for x in rows["promised_value"]],
            "verified value": [cell(r, "value") for _, r in rows.iterrows()],
            "difference": [difference(r) for _, r in rows.iterrows()],
            "p, adjusted": [_p(p) for p in rows["p_adjusted"]],
            "gain above control": [cell(r, "gain") for _, r in rows.iterrows()],
            in_unit("spend", currency): [cell(r, "spend") for _, r in rows.iterrows()],
        }
    )


def _p(p: float) -> str:
    if math.isnan(p):
        return "–"
    return "below 0.001" if p < 0.001 else number(p, 3)
