"""The two charts of the budget view: gain against the budget beside its rivals, and the mix of arms."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import altair as alt
import pandas as pd
from streamlit.dataframe_util import convert_anything_to_arrow_bytes

from allocation.jobs.analyst.answers import Answer, Answers
from allocation.jobs.analyst.certainty import TOO_FEW
from allocation.jobs.analyst.compared import CURRENT
from allocation.jobs.analyst.figures import figure, in_unit, whole
from allocation.jobs.batch.frontier_charts import SHORT
from allocation.jobs.summary import CHALLENGER
from app.charts import DASHED, arm_colours, described, dressed, inks, interval_words, percent
from app.labels import Labels

OWN, PROMISED = "this policy", "promised"
SOLID, DOTTED = [1, 0], [2, 3]
HEIGHT = 340
CHOSEN = "chosen"  # the name of the data that move
Spec = dict[str, Any]
_kept: WeakKeyDictionary[Answers, dict[tuple[Any, str], Spec]] = WeakKeyDictionary()


def frontier_specification(answers: Answers, answer: Answer, theme: str) -> Spec:
    """`frontier_chart` as Vega-Lite, with the chosen budget in it."""
    gain = answer.promised_gain if math.isnan(answer.gain.estimate) else answer.gain.estimate
    kept = _specification(frontier_chart, answers, theme)
    return kept | {"datasets": kept["datasets"] | {CHOSEN: [{"budget": answer.budget, "gain": gain}]}}


def mix_specification(answers: Answers, theme: str) -> Spec:
    """`mix_chart` as Vega-Lite."""
    return dict(_specification(mix_chart, answers, theme))  # Streamlit takes it apart


def _specification(draw: Callable[[Answers, str], alt.LayerChart | alt.Chart], answers: Answers, theme: str) -> Spec:
    """A chart as Vega-Lite, written down once a theme: that takes a third of a second, and is the same for all."""
    kept = _kept.setdefault(answers, {})
    if (draw, theme) not in kept:
        kept[draw, theme] = _encoded(draw(answers, theme).to_dict())
    return kept[draw, theme]


def _encoded(spec: Spec) -> Spec:
    """The chart with its data as Streamlit sends them: else it would write the same bytes at every budget anew."""
    own = {name: convert_anything_to_arrow_bytes(pd.DataFrame(rows)) for name, rows in spec["datasets"].items()}
    return spec | {"datasets": own}


def frontier_chart(answers: Answers, theme: str) -> alt.LayerChart:
    """Verified gain with its band, promised gain, rivals, and the chosen budget, which is data of its own."""
    frame, look = answers.drawn.curve, inks(theme)
    own, verified, title = look[CHALLENGER], "gain" in frame, f"gain above {answers.run.arms[0]}"
    x, y = _x(answers), alt.Y("gain:Q", title=f"{title} ({answers.run.value_name})", axis=_axis())
    labels, layers = Labels(answers.span[1]), []

    def line(rows: pd.DataFrame, colour: str, width: float, dash: list[int], name: str = "") -> None:
        """A line, and its name at its end."""
        mark = alt.Chart(rows[["budget", "gain"]]).mark_line(color=colour, strokeWidth=width, strokeDash=dash)
        layers.append(mark.encode(x=x, y=y))
        if name:
            labels.add(name, float(rows["gain"].iloc[-1]), colour)

    if "low" in frame:
        band = alt.Chart(frame[["budget", "low", "high"]]).mark_area(color=own, opacity=0.22)
        layers.append(band.encode(x=x, y="low:Q", y2="high:Q"))
    promised = frame.assign(gain=frame["promised"])
    line(promised, own, 1.4 if verified else 2.6, DASHED if verified else SOLID, PROMISED)
    if verified:
        for sure, dash in ((~frame["supported"], DOTTED), (frame["supported"], SOLID)):
            if sure.any():
                line(frame.assign(gain=frame["gain"].where(sure)), own, 2.6, dash)
        labels.add(OWN, float(frame["gain"].iloc[-1]), own)
        for name, rows in answers.drawn.rivals.groupby("policy", sort=False):
            line(rows, look[str(name)], 1.8, SOLID, str(name))
    layers += [labels.drawn(float(frame.max(numeric_only=True).drop("budget").max())), *_chosen(look, x, y)]
    if verified:
        layers += _current(answers, look, x, y)  # last: its name may stand on the line of the chosen budget
    told = described(_at_largest(f"{title} ({answers.run.value_name})", answers), _gain_words(answers))
    return dressed(alt.LayerChart(layer=layers, height=HEIGHT, width="container"), theme, told)


def mix_chart(answers: Answers, theme: str) -> alt.Chart:
    """Shares of the users on each arm at every budget, control at the bottom."""
    arms, ink = list(answers.run.arms), inks(theme)["ink"]
    frame = answers.drawn.mix.assign(order=lambda f: f["arm"].map({arm: j for j, arm in enumerate(arms)}))
    x, axis = _x(answers), alt.Axis(format="%", tickCount=4)
    y = alt.Y("share:Q", stack="zero", title="share of users", scale=alt.Scale(domain=[0, 1]), axis=axis)
    legend = alt.Legend(title=None, orient="bottom", labelColor=ink, labelLimit=220, symbolType="square", columns=4)
    scale = alt.Scale(domain=arms, range=arm_colours(arms, theme))
    colour = alt.Color("arm:N", scale=scale, sort=arms, legend=legend)
    base = alt.Chart(frame, height=220, width="container").mark_area()
    areas: alt.Chart = base.encode(x=x, y=y, color=colour, order="order:Q")
    ends = frame.groupby("arm", sort=False)["share"].last()
    shares = [f"{arm}: {percent(share)}" for arm, share in ends.items()]
    return dressed(areas, theme, described(_at_largest("Share of users on each arm", answers), shares))


def _at_largest(what: str, answers: Answers) -> str:
    """What a text tells, of the largest budget: the chosen one would make the browser draw a chart anew."""
    least, most = answers.span
    return f"{what} by budget, from {whole(least)} to {_money(most, answers)}, at the largest"


def _money(x: float, answers: Answers) -> str:
    return f"{whole(x)} {answers.run.currency}".rstrip()


def _gain_words(answers: Answers) -> list[str]:
    """The ends of the lines, and what the current policy gained."""
    last = answers.drawn.curve.iloc[-1]
    low, high = last.get("low", math.nan), last.get("high", math.nan)
    if "gain" not in last:
        return [f"{PROMISED}: {interval_words(last['promised'], low, high)}"]
    few = "" if last["supported"] else f", {TOO_FEW}"
    spend, gain = answers.current()
    ends = answers.drawn.rivals.groupby("policy", sort=False)["gain"].last()
    return [
        f"{OWN}: {interval_words(last['gain'], low, high)}{few}",
        f"{PROMISED}: {figure(last['promised'])}",
        *(f"{name}: {figure(end)}" for name, end in ends.items()),
        f"{CURRENT}, which spends {_money(spend, answers)}: {interval_words(*gain)}",
    ]


def _x(answers: Answers) -> alt.X:
    scale = alt.Scale(domain=list(answers.span), nice=False)
    axis = alt.Axis(labelExpr=SHORT, tickCount=6, grid=False)
    return alt.X("budget:Q", title=in_unit("budget", answers.run.currency), scale=scale, axis=axis)


def _axis() -> alt.Axis:
    return alt.Axis(labelExpr=SHORT, tickCount=5)


def _current(answers: Answers, look: dict[str, str], x: alt.X, y: alt.Y) -> list[alt.Chart]:
    """What the log's own policy cost and gained, with its interval."""
    colour, (budget, gain) = look[CURRENT], answers.current()
    cells = {"budget": budget, "gain": gain.estimate, "low": gain.low, "high": gain.high}
    base = alt.Chart(pd.DataFrame([cells | {"name": CURRENT}]))

    def name(colour: str, **halo: Any) -> alt.Chart:
        """The policy's name beside its interval."""
        text = base.mark_text(color=colour, dx=8, dy=10, align="left", fontSize=12, fontWeight="bold", **halo)
        named: alt.Chart = text.encode(x=x, y="low:Q", text="name:N")
        return named

    return [
        name(look["page"], stroke=look["page"], strokeWidth=4),
        base.mark_rule(color=colour, strokeWidth=2).encode(x=x, y="low:Q", y2="high:Q"),
        base.mark_point(color=colour, filled=True, size=70, shape="diamond", opacity=1).encode(x=x, y=y),
        name(colour),
    ]


def _chosen(look: dict[str, str], x: alt.X, y: alt.Y) -> list[alt.Chart]:
    """The budget that is set: a line down to it, and a point on the curve."""
    base = alt.Chart(alt.NamedData(CHOSEN))
    return [
        base.mark_rule(color=look["ink"], strokeDash=DASHED).encode(x=x),
        base.mark_point(color=look["ink"], filled=True, size=90, opacity=1).encode(x=x, y=y),
    ]
