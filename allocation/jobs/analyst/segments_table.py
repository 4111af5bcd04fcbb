"""Segments, and one user's arms, as tables of text cells with units."""

from __future__ import annotations

import math

import pandas as pd

from allocation.jobs.analyst.figures import in_unit
from allocation.jobs.analyst.why import Why
from allocation.jobs.numbers import decimals, number, with_interval


def segments_table(segments: pd.DataFrame, currency: str) -> pd.DataFrame:
    """A row a segment: users, share treated, then lift, spend and return, verified with interval and promised."""
    titles = {
        "lift": "lift a user",
        "spend": in_unit("spend", currency),
        "return": f"return (per {currency or 'unit of money'})",
    }
    frame = pd.DataFrame(
        {
            "segment": segments["segment"],
            "users": [f"{n:,}" for n in segments["users"]],
            "treated": [f"{share:.1%}" for share in segments["treated"]],
        }
    )
    for name, title in titles.items():
        promised = segments[f"promised_{name}"]
        places = decimals(float(promised.abs().max()))
        if name in segments:
            frame[title] = [_verified(r, name, places) for _, r in segments.iterrows()]
        frame[f"{name} promised"] = [number(float(x), places) for x in promised]
    return frame


def why_table(found: Why, currency: str) -> pd.DataFrame:
    """A row an arm: predicted value and cost, the score at the price, and which one was decided."""
    places = {name: decimals(float(found.table[name].abs().max())) for name in ("value", "cost", "score")}
    return pd.DataFrame(
        {
            "arm": found.table["arm"],
            "predicted value": [number(float(x), places["value"]) for x in found.table["value"]],
            in_unit("predicted cost", currency): [number(float(x), places["cost"]) for x in found.table["cost"]],
            "score at the price": [number(float(x), places["score"]) for x in found.table["score"]],
            "": [
                "decided" if decided else "" if eligible else "may not be given"
                for decided, eligible in zip(found.table["decided"], found.table["eligible"], strict=True)
            ],
        }
    )


def _verified(r: pd.Series, name: str, places: int) -> str:
    x, low, high = (float(r[f"{name}{end}"]) for end in ("", "_low", "_high"))
    if r["lacking"]:
        return str(r["lacking"])
    if math.isnan(x):
        return "nothing is spent"
    if not (math.isfinite(low) and math.isfinite(high)):
        return f"{number(x, places)} [anything]"
    return str(with_interval(x, low, high, places))
