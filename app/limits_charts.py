"""How much of each limit is used, who gets what with and without limits, and scenarios beside one another."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import pandas as pd

from allocation.jobs.analyst.figures import figure
from allocation.jobs.analyst.limited import DecidedPlan, limit_rows
from allocation.jobs.analyst.limited_words import limit_words
from allocation.jobs.batch.frontier_charts import SHORT
from app.charts import arm_colours, described, dressed, inks, interval_words, percent

ROW, BAR = 64, 10  # pixels of a limit: its name, its bar, its figures
AXIS, LEGEND_LINE = 56, 24  # what stands below, and a line of a legend: a chart fits its height
TEXT_WIDTH = 320  # no more is there on a telephone, and a longer text would make the bars short
BINDING = {"light": "#D55E00", "dark": "#F07C2E"}
FREE = {"light": "#56B4E9", "dark": "#56B4E9"}
WITH, WITHOUT = "with limits", "without"


def use_chart(decided: DecidedPlan, currency: str, theme: str) -> alt.LayerChart:
    """A bar a limit: what is used, as a share of the cap, or of the floor where there is none; who binds is told."""
    look, rows = inks(theme), limit_rows(decided)
    words = [limit_words(row, currency) for row in rows.to_dict("records")]
    frame = rows.assign(words=words, order=range(len(rows)), binds=rows["binding"] != "", start=0.0, full=1.0)
    most = max(1.0, float(frame["share"].max(skipna=True)) if frame["share"].notna().any() else 1.0)
    scale = alt.Scale(domain=[0, 1.05 * most], nice=False)
    axis = alt.Axis(format="%", tickCount=5, grid=False)
    x = alt.X("share:Q", title="used, as a share of the cap or floor", scale=scale, axis=axis)
    y = alt.Y("order:O", axis=None, sort=None, scale=alt.Scale(paddingInner=0, paddingOuter=0))
    base = alt.Chart(frame)
    colour = alt.condition("datum.binds", alt.value(BINDING[theme]), alt.value(FREE[theme]))
    left = _left(look["ink"])
    marks = [
        base.mark_bar(height=BAR, color=look["faint"]).encode(x=alt.X("start:Q"), x2="full:Q", y=y),
        base.mark_bar(height=BAR).encode(x=x, y=y, color=colour),
        base.mark_tick(thickness=3, height=2 * BAR, color=look["ink"]).encode(x="full:Q", y=y),
        base.mark_tick(thickness=2, height=2 * BAR, color=look["ink"]).encode(x="floor_share:Q", y=y),
        base.mark_text(**left, dy=-19, fontWeight="bold").encode(x="start:Q", y=y, text="limit:N"),
        base.mark_text(**left, dy=18).encode(x="start:Q", y=y, text="words:N"),
    ]
    height = ROW * max(len(frame), 1) + AXIS
    used = ["" if math.isnan(share) else f"{percent(share)} used, " for share in frame["share"]]
    clauses = [f"{name}: {part}{rest}" for name, part, rest in zip(frame["limit"], used, words, strict=True)]
    told = described("Use of each limit, as a share of its cap or floor", clauses)
    return dressed(alt.LayerChart(layer=marks, height=height, width="container"), theme, told)


def arms_chart(decided: DecidedPlan, free: DecidedPlan, arms: Sequence[str], theme: str) -> alt.LayerChart:
    """Two bars an arm: its share of the users with the limits and without, each with its figure."""
    look, hues = inks(theme), arm_colours(arms, theme)
    n, both = len(decided.decision), ((WITH, decided), (WITHOUT, free))
    cells = [
        {
            "arm": arm,
            "which": which,
            "share": plan.users[j] / n,
            "words": f"{which}: {plan.users[j]:,}",
            "hue": hues[j],
        }
        for j, arm in enumerate(arms)
        for which, plan in both
    ]
    frame = pd.DataFrame(cells)
    most = float(frame["share"].max())
    scale = alt.Scale(domain=[0, 1.45 * most if most > 0 else 1.0], nice=False)
    x = alt.X("share:Q", title="share of users", scale=scale, axis=alt.Axis(format="%", tickCount=4, grid=False))
    y = alt.Y("arm:N", sort=list(arms), title=None, axis=alt.Axis(labelLimit=110, ticks=False, domain=False))
    offset = alt.YOffset("which:N", sort=[WITH, WITHOUT])
    base = alt.Chart(frame).encode(x=x, y=y, yOffset=offset)
    opacity = alt.condition(f"datum.which == '{WITH}'", alt.value(1.0), alt.value(0.45))
    bars = base.mark_bar(height={"band": 0.85}).encode(color=alt.Color("hue:N", scale=None), opacity=opacity)
    text = base.mark_text(align="left", dx=5, fontSize=12, color=look["ink"]).encode(text="words:N")
    clauses = [
        f"{arm}: " + ", ".join(f"{percent(p.users[j] / n)} ({p.users[j]:,} users) {which}" for which, p in both)
        for j, arm in enumerate(arms)
    ]
    told = described("Share of users on each arm", clauses)
    layers, height = [bars, text], 46 * len(arms) + AXIS
    return dressed(alt.LayerChart(layer=layers, height=height, width="container"), theme, told)


def gains_chart(plans: Mapping[str, DecidedPlan], title: str, theme: str) -> alt.LayerChart:
    """A row a plan: its verified gain as a point with its interval, its promised gain as a tick; figures beside."""
    look = inks(theme)
    cells = []
    for name, plan in plans.items():
        known = not math.isnan(plan.verified_gain.estimate)
        told = f"verified {figure(plan.verified_gain.estimate)}, " if known else ""
        gain = dict(zip(("gain", "low", "high"), plan.verified_gain, strict=True))
        cells.append({"plan": name, "promised": plan.gain, **gain, "words": f"{told}promised {figure(plan.gain)}"})
    frame = pd.DataFrame(cells).assign(zero=0.0)
    low = min(0.0, float(frame[["low", "promised"]].min().min()))
    high = max(0.0, float(frame[["high", "promised"]].max().max()))
    scale = alt.Scale(domain=[low, high + 0.05 * (high - low) if high > low else low + 1.0], nice=False)
    axis = alt.Axis(labelExpr=SHORT, tickCount=4, grid=False)
    y = alt.Y("plan:N", sort=list(plans), title=None, axis=None)
    base = alt.Chart(frame).encode(y=y)
    own = FREE[theme]
    left = _left(look["ink"])
    marks = [
        base.mark_rule(strokeWidth=3, color=own).encode(
            x=alt.X("low:Q", title=title, scale=scale, axis=axis), x2="high:Q"
        ),
        base.mark_point(filled=True, size=90, opacity=1, color=own).encode(x="gain:Q"),
        base.mark_tick(thickness=2, height=18, color=look["ink"]).encode(x="promised:Q"),
        base.mark_text(**left, dy=-18, fontWeight="bold").encode(x=alt.datum(low), text="plan:N"),
        base.mark_text(**left, dy=19).encode(x=alt.datum(low), text="words:N"),
    ]
    told = described(f"{title} of each plan", [_gain_words(r) for _, r in frame.iterrows()])
    return dressed(alt.LayerChart(layer=marks, height=ROW * len(plans) + AXIS, width="container"), theme, told)


def mixes_chart(plans: Mapping[str, DecidedPlan], arms: Sequence[str], theme: str) -> alt.Chart:
    """A bar a plan: how the users share out among the arms, control first."""
    cells = [
        {"plan": name, "arm": arm, "order": j, "share": plan.users[j] / len(plan.decision)}
        for name, plan in plans.items()
        for j, arm in enumerate(arms)
    ]
    scale = alt.Scale(domain=list(arms), range=arm_colours(arms, theme))
    legend = alt.Legend(
        title=None, orient="bottom", labelColor=inks(theme)["ink"], labelLimit=220, symbolType="square", columns=2
    )
    x = alt.X(
        "share:Q",
        title="share of users",
        axis=alt.Axis(format="%", tickCount=4, grid=False),
        scale=alt.Scale(domain=[0, 1]),
    )
    y = alt.Y("plan:N", sort=list(plans), title=None, axis=alt.Axis(labelLimit=110, ticks=False, domain=False))
    colour = alt.Color("arm:N", scale=scale, sort=list(arms), legend=legend)
    chart = alt.Chart(
        pd.DataFrame(cells), height=34 * len(plans) + AXIS + LEGEND_LINE * -(-len(arms) // 2), width="container"
    ).mark_bar(height={"band": 0.75})
    bars: alt.Chart = chart.encode(x=x, y=y, color=colour, order="order:Q")
    shares = {name: [percent(users / len(plan.decision)) for users in plan.users] for name, plan in plans.items()}
    mixes = [
        f"{name}: " + ", ".join(f"{share} on {arm}" for share, arm in zip(own, arms, strict=True))
        for name, own in shares.items()
    ]
    return dressed(bars, theme, described("Share of users on each arm, by plan", mixes))


def _left(ink: str) -> dict[str, Any]:
    """The look of a text above or below its bar."""
    return {"align": "left", "fontSize": 12, "color": ink, "limit": TEXT_WIDTH}


def _gain_words(r: pd.Series) -> str:
    known = not math.isnan(r["gain"])
    verified = f"verified {interval_words(r['gain'], r['low'], r['high'])}" if known else "not verified"
    return f"{r['plan']}: {verified}, promised {figure(r['promised'])}"
