"""The two charts of the compare view: every policy's value on one axis, and its difference to the reference."""

from __future__ import annotations

import math

import altair as alt
import pandas as pd

from allocation.jobs.analyst.compared_at import BETTER, WORSE, Comparison
from allocation.jobs.analyst.figures import figure
from app.charts import amount_axis, described, dressed, inks, interval_words, named_rows, note

ROW = 34  # pixels of a policy


def value_chart(found: Comparison, value_name: str, theme: str) -> alt.LayerChart:
    """Verified value with its interval as point and bar, promised value as a diamond, a row a policy."""
    look = inks(theme)
    rows = _coloured(found.rows[["policy", "value", "value_low", "value_high", "promised_value"]], look)
    ends = rows[["value", "value_low", "value_high", "promised_value"]]
    scale = alt.Scale(domain=[float(ends.min().min()), float(ends.max().max())], nice=True, zero=False, padding=14)
    x = alt.X("value:Q", title=f"value ({value_name})", scale=scale, axis=amount_axis(scale))
    y = named_rows(rows, "policy", 13)
    known = alt.Chart(rows[rows["value"].notna()])
    colour = alt.Color("colour:N", scale=None)
    promised = alt.Chart(rows[rows["promised_value"].notna()])
    layers = [
        known.mark_rule(strokeWidth=3).encode(
            y=y, x=alt.X("value_low:Q", scale=scale), x2="value_high:Q", color=colour
        ),
        known.mark_point(filled=True, size=90, opacity=1).encode(y=y, x=x, color=colour, tooltip=_tips(rows)),
        promised.mark_point(shape="diamond", size=110, strokeWidth=1.8, color=look["ink"], opacity=1).encode(
            y=y, x=alt.X("promised_value:Q", scale=scale)
        ),
        note(rows.loc[rows["value"].isna(), ["policy"]], y, look["ink"], "too few users to verify"),
    ]
    told = described(f"Value of each policy ({value_name})", [_value_words(r) for _, r in rows.iterrows()])
    return dressed(alt.LayerChart(layer=layers, height=ROW * len(rows), width="container"), theme, told)


def difference_chart(found: Comparison, value_name: str, theme: str) -> alt.LayerChart:
    """Paired differences to the reference with intervals around a line at zero; what is clear is filled."""
    look = inks(theme)
    others = found.rows[found.rows["policy"] != found.reference]
    rows = _coloured(others[["policy", "difference", "difference_low", "difference_high", "verdict"]], look)
    rows["fill"] = rows["colour"].where(rows["verdict"].isin((BETTER, WORSE)), "transparent")
    ends = rows[["difference_low", "difference_high"]]
    low, high = min(0.0, float(ends.min().min())), max(0.0, float(ends.max().max()))
    scale = alt.Scale(domain=[low, high] if low < high else [-1, 1], nice=True, padding=14)
    title = f"value above {found.reference} ({value_name})"
    x = alt.X("difference:Q", title=title, scale=scale, axis=amount_axis(scale))
    y = named_rows(rows, "policy", 13)
    known = alt.Chart(rows[rows["difference"].notna()])
    colour = alt.Color("colour:N", scale=None)
    zero = alt.Chart(pd.DataFrame({"difference": [0.0]})).mark_rule(color=look["ink"], strokeDash=[4, 3])
    words = known.mark_text(dy=-11, fontSize=11, color=look["ink"])
    layers = [
        zero.encode(x=x),
        known.mark_rule(strokeWidth=3).encode(
            y=y, x=alt.X("difference_low:Q", scale=scale), x2="difference_high:Q", color=colour
        ),
        known.mark_point(size=100, strokeWidth=2.2, opacity=1).encode(
            y=y, x=x, color=colour, fill=alt.Fill("fill:N", scale=None), tooltip=_tips(rows)
        ),
        words.encode(y=y, x=x, text="verdict:N"),
        note(rows.loc[rows["difference"].isna(), ["policy"]], y, look["ink"], "too few users to compare"),
    ]
    told = described(title, [_difference_words(r) for _, r in rows.iterrows()])
    return dressed(alt.LayerChart(layer=layers, height=1.25 * ROW * len(rows), width="container"), theme, told)


def _value_words(r: pd.Series) -> str:
    promised = "" if math.isnan(r["promised_value"]) else f", promised {figure(r['promised_value'])}"
    return f"{r['policy']}: {interval_words(r['value'], r['value_low'], r['value_high'])}{promised}"


def _difference_words(r: pd.Series) -> str:
    difference = interval_words(r["difference"], r["difference_low"], r["difference_high"])
    return f"{r['policy']}: {difference}, {r['verdict']}"


def _coloured(rows: pd.DataFrame, look: dict[str, str]) -> pd.DataFrame:
    """The rows with each policy's colour; one that has none of its own is drawn in ink."""
    return rows.assign(colour=[look.get(policy, look["ink"]) for policy in rows["policy"]]).reset_index(drop=True)


def _tips(rows: pd.DataFrame) -> list[alt.Tooltip]:
    numbers = [name for name in rows.columns if pd.api.types.is_numeric_dtype(rows[name])]
    return [
        alt.Tooltip("policy:N"),
        *(alt.Tooltip(f"{name}:Q", title=name.replace("_", " "), format=",.4~g") for name in numbers),
    ]
