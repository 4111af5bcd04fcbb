"""The frontier as a picture: gain against the budget, and below it who gets what, on a light and on a dark page."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import pandas as pd

from allocation.jobs.batch.frontier_job import FrontierResult
from allocation.jobs.charts import THEMES, themed
from uplift.words import counted

MOST = 8  # arms that are told apart
WIDTH, GAIN_HEIGHT, MIX_HEIGHT = 520, 220, 150
SHORT = "format(datum.value, '~s')"  # 200k, 1M; as a format of the axis it would write 0.2M and 0M
CONTROL = {"light": "#c9ced6", "dark": "#4a525c"}
# Okabe and Ito's colours: told apart by every common kind of colour vision; blue, which leads, is lighter on dark.
ARMS = {
    "light": ["#56B4E9", "#0072B2", "#E69F00", "#D55E00", "#009E73", "#CC79A7", "#8C6D31"],
    "dark": ["#56B4E9", "#2F8FD0", "#E69F00", "#F07C2E", "#2BB38A", "#CC79A7", "#B89A5A"],
}
LINE = {"light": "#0072B2", "dark": "#56B4E9"}


def frontier_chart(result: FrontierResult, theme: str = "light") -> alt.ConcatChart:
    """Gain above control against the budget over the shares of the arms; the plan's budget is a dashed line."""
    frame = pd.DataFrame(result.columns(result.curve(own=False)))
    currency = f" ({result.plan.currency})" if result.plan.currency else ""
    look = THEMES[theme]
    scale = alt.Scale(domain=[float(frame["budget"].min()), float(frame["budget"].max())], nice=False)

    def x(title: str | None) -> alt.X:
        """The budget, the same in both panels."""
        return alt.X("budget:Q", scale=scale, title=title, axis=alt.Axis(labelExpr=SHORT, tickCount=6, grid=False))

    line = alt.Chart(frame[["budget", "gain"]]).mark_line(color=LINE[theme], strokeWidth=2.4)
    gain = line.encode(
        x=x(None), y=alt.Y("gain:Q", title="promised gain above control", axis=alt.Axis(labelExpr=SHORT))
    )
    upper = alt.layer(gain, *_plan(result, look["ink"], named=True)).properties(width=WIDTH, height=GAIN_HEIGHT)
    lower = alt.layer(_mix(result, frame, theme, x(f"budget{currency}")), *_plan(result, look["ink"], named=False))
    lower = lower.properties(width=WIDTH, height=MIX_HEIGHT)
    subtitle = f"{counted(result.frontier.n_users, 'user')}; predicted, not verified"
    if result.plan.limits:
        subtitle += "; the plan's limits are not in it"
    title = alt.TitleParams(
        f"{result.plan.name[:80]}: what every budget buys",
        subtitle=subtitle,
        anchor="start",
        color=look["ink"],
        subtitleColor=look["ink"],
        offset=12,
    )
    return themed(alt.concat(upper, lower, columns=1, spacing=18, title=title), theme)


def _mix(result: FrontierResult, frame: pd.DataFrame, theme: str, x: alt.X) -> alt.Chart:
    frame, names = _most_used(frame[["budget", *(f"share.{arm}" for arm in result.arms)]], result.arms)
    tidy = frame.melt("budget", list(names), "arm", "share").assign(
        order=lambda f: f["arm"].map({column: j for j, column in enumerate(names)})
    )
    tidy["arm"] = tidy["arm"].map(names)
    hues = ARMS[theme]
    colours = [CONTROL[theme], *(hues[j % len(hues)] for j in range(len(names) - 1))]
    scale = alt.Scale(domain=list(names.values()), range=colours)
    ink = THEMES[theme]["ink"]
    legend = alt.Legend(title="arm", labelColor=ink, titleColor=ink, labelLimit=220, symbolType="square")
    y = alt.Y(
        "share:Q", stack="zero", title="share of users", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%")
    )
    colour = alt.Color("arm:N", scale=scale, legend=legend, sort=list(names.values()))
    areas: alt.Chart = alt.Chart(tidy).mark_area().encode(x=x, y=y, color=colour, order="order:Q")
    return areas


def _most_used(frame: pd.DataFrame, arms: Sequence[str]) -> tuple[pd.DataFrame, dict[str, str]]:
    """Control and the arms that most users get, in their order, and the rest as one; columns -> what they are."""
    names = {f"share.{arm}": arm for arm in arms}
    if len(arms) <= MOST:
        return frame, names
    control, *others = names
    used = set(frame[others].mean().nlargest(MOST - 2).index)
    rest = [column for column in others if column not in used]
    kept = [control, *(column for column in others if column in used)]
    frame = frame[["budget", *kept]].assign(rest=frame[rest].sum(axis=1))
    return frame, {column: names[column] for column in kept} | {"rest": f"{len(rest):,} other arms"}


def _plan(result: FrontierResult, ink: str, *, named: bool) -> list[alt.Chart]:
    """A dashed line at the plan's budget."""
    if result.plan.budget is None or not result.starts <= result.plan.budget:
        return []
    at = pd.DataFrame({"budget": [result.plan.budget], "text": ["the plan's budget"]})
    drawn = [alt.Chart(at).mark_rule(color=ink, strokeDash=[4, 3], strokeWidth=1.2).encode(x="budget:Q")]
    if named:
        left = result.plan.budget > (result.starts + float(result.curve()[-1])) / 2
        text = alt.Chart(at).mark_text(
            color=ink, align="right" if left else "left", dx=-5 if left else 5, dy=-6, fontSize=11
        )
        drawn.append(text.encode(x="budget:Q", y=alt.value(GAIN_HEIGHT), text="text:N"))
    return drawn
