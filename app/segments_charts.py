"""The two charts of the segments view: verified lift beside the promised, confounded effect beside the adjusted."""

from __future__ import annotations

import altair as alt
import pandas as pd

from allocation.jobs.analyst.figures import figure
from allocation.jobs.summary import CHALLENGER
from app.charts import amount_axis, described, dressed, inks, interval_words, named_rows, note

ROW = 30  # pixels of a segment
CONFOUNDED, ADJUSTED = "confounded", "adjusted"


def lift_chart(segments: pd.DataFrame, value_name: str, theme: str) -> alt.LayerChart:
    """Lift a user by segment: point and bar verified, diamond promised, a note where there are too few users."""
    look = inks(theme)
    names = ["lift", "lift_low", "lift_high", "promised_lift"]
    frame = segments.reindex(columns=["segment", "users", "lacking", *names])
    scale = _scale(frame[names])
    y, title = named_rows(frame, "segment", 12), f"value a user above control ({value_name})"
    x = alt.X("lift:Q", title=title, scale=scale, axis=amount_axis(scale))
    own, small = alt.Chart(frame[frame["lift"].notna()]), frame.loc[frame["lift"].isna(), ["segment"]]
    layers = [
        own.mark_rule(strokeWidth=3, color=look[CHALLENGER]).encode(
            y=y, x=alt.X("lift_low:Q", scale=scale), x2="lift_high:Q"
        ),
        own.mark_point(filled=True, size=80, opacity=1, color=look[CHALLENGER]).encode(y=y, x=x),
        alt.Chart(frame)
        .mark_point(shape="diamond", size=90, strokeWidth=1.6, opacity=1, color=look["ink"])
        .encode(y=y, x=alt.X("promised_lift:Q", scale=scale, title=title, axis=amount_axis(scale))),
        note(small, y, look["ink"], "too few users" if "lift" in segments else ""),
    ]
    words = [_lift_words(r, "lift" in segments) for _, r in frame.iterrows()]
    told = described(f"Value a user above control, by segment ({value_name})", words)
    return dressed(alt.LayerChart(layer=layers, height=ROW * len(frame), width="container"), theme, told)


def effect_chart(effects: pd.DataFrame, value_name: str, theme: str) -> alt.LayerChart:
    """The effect of treatment by segment, raw and adjusted, one above the other, each named at the first segment."""
    look = inks(theme)
    colours = {CONFOUNDED: look["best mix of arms"], ADJUSTED: look[CHALLENGER]}
    known = effects[effects["lacking"] == ""]
    parts = [
        known[["segment", name, f"{name}_low", f"{name}_high"]]
        .set_axis(["segment", "effect", "low", "high"], axis=1)
        .assign(kind=kind, colour=colours[kind])
        for kind, name in ((CONFOUNDED, "raw"), (ADJUSTED, "adjusted"))
    ]
    frame = pd.concat(parts, ignore_index=True)
    scale, y = _scale(frame[["effect", "low", "high"]]), named_rows(effects, "segment", 12)
    shift = alt.YOffset("kind:N", sort=[CONFOUNDED, ADJUSTED], scale=alt.Scale(paddingOuter=0.1))
    colour = alt.Color("colour:N", scale=None)
    x = alt.X("effect:Q", title=f"effect of treatment, a user ({value_name})", scale=scale, axis=amount_axis(scale))
    base = alt.Chart(frame)
    first = frame[frame["segment"] == (frame["segment"].iloc[0] if len(frame) else "")]
    gains = bool((first["effect"] > 0).all())  # names stand towards zero, where there is room
    layers = [
        alt.Chart(pd.DataFrame({"effect": [0.0]})).mark_rule(color=look["ink"], strokeDash=[4, 3]).encode(x=x),
        base.mark_rule(strokeWidth=3).encode(
            y=y, yOffset=shift, x=alt.X("low:Q", scale=scale), x2="high:Q", color=colour
        ),
        base.mark_point(filled=True, size=70, opacity=1).encode(
            y=y, yOffset=shift, x=x, color=colour, shape=alt.Shape("kind:N", legend=None)
        ),
        alt.Chart(first)
        .mark_text(align="right" if gains else "left", dx=-8 if gains else 8, fontSize=12, fontWeight="bold")
        .encode(
            y=y, yOffset=shift, x=alt.X("low:Q" if gains else "high:Q", scale=scale), text="kind:N", color=colour
        ),
    ]
    words = [_effect_words(r) for _, r in effects.iterrows()]
    told = described(f"Effect of treatment, a user, by segment ({value_name})", words)
    return dressed(alt.LayerChart(layer=layers, height=1.7 * ROW * len(effects), width="container"), theme, told)


def _lift_words(r: pd.Series, verified: bool) -> str:
    lift = f"{interval_words(r['lift'], r['lift_low'], r['lift_high'])}, " if verified else ""
    return f"{r['segment']}: {lift}promised {figure(r['promised_lift'])}"


def _effect_words(r: pd.Series) -> str:
    raw, adjusted = (interval_words(r[name], r[f"{name}_low"], r[f"{name}_high"]) for name in ("raw", "adjusted"))
    return f"{r['segment']}: " + (raw if r["lacking"] else f"{CONFOUNDED} {raw}, {ADJUSTED} {adjusted}")


def _scale(frame: pd.DataFrame) -> alt.Scale:
    """One that holds all of the frame's numbers, and zero."""
    low, high = min(0.0, float(frame.min().min())), max(0.0, float(frame.max().max()))
    return alt.Scale(domain=[low, high] if low < high else [-1, 1], nice=True, padding=12)
