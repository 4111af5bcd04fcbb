"""The charts of the evidence view, one idea each."""

from __future__ import annotations

import math
from collections.abc import Sequence

import altair as alt
import pandas as pd

from allocation.jobs.analyst.evidence import Checks
from allocation.jobs.analyst.evidence_frames import (
    ALL_USERS,
    MODEL,
    PLACEBO,
    QUARTERS,
    RANDOM_ORDER,
    THIS_LOG,
    balance_frame,
    calibration_frame,
    experiment_frame,
    ranking_frame,
    refits_frame,
    shares_frame,
    support_frame,
)
from allocation.jobs.analyst.evidence_model import Calibration
from allocation.jobs.analyst.figures import figure
from allocation.jobs.batch.frontier_charts import SHORT
from allocation.jobs.summary import CHALLENGER
from app.charts import DASHED, described, dressed, inks, interval_words, percent

ROW, AROUND = 34, 60  # pixels of a row in a chart of rows, and of all that stands around the rows
TALL = 300
# Thousands in short, as everywhere; what is small as it is, where SI would say 200m.
PLAIN = f"abs(datum.value) < 1000 ? format(datum.value, ',.3~r') : {SHORT}"
NAME_WIDTH = 150  # pixels of a name beside a chart


def shares_chart(checks: Checks, theme: str) -> alt.LayerChart:
    """Share of the users of each arm: logged, with its interval, and a tick where the stated chance puts it."""
    frame, look = shares_frame(checks), inks(theme)
    x = alt.X("logged:Q", title="share of the log's users", axis=alt.Axis(format="%", tickCount=5), scale=_near())
    y = _rows("arm", frame["arm"].tolist())
    base = alt.Chart(frame)
    layers = [
        base.mark_tick(color=look["ink"], thickness=2, size=22).encode(x="expected:Q", y=y),
        *_estimates(base, look[CHALLENGER], x, y),
    ]
    words = [
        f"{r['arm']}: {interval_words(r['logged'], r['low'], r['high'], percent)}, expected {percent(r['expected'])}"
        for _, r in frame.iterrows()
    ]
    return _of_rows(layers, len(frame), theme, described("Share of the log's users on each arm", words))


def balance_chart(checks: Checks, theme: str) -> alt.LayerChart:
    """Standardised difference between an arm and control of each feature, the least likely first."""
    frame, look = balance_frame(checks), inks(theme)
    frame["row"] = frame["feature"] + " (" + frame["arm"] + ")"
    x = alt.X("difference:Q", title="difference from control (standard deviations)", axis=alt.Axis(tickCount=5))
    y = _rows("row", frame["row"].tolist())
    zero = alt.Chart(pd.DataFrame({"difference": [0.0]})).mark_rule(color=look["ink"]).encode(x="difference:Q")
    words = [f"{r['row']}: {interval_words(r['difference'], r['low'], r['high'])}" for _, r in frame.iterrows()]
    told = described("Difference of each feature (arm) from control, in standard deviations", words)
    return _of_rows([zero, *_estimates(alt.Chart(frame), look[CHALLENGER], x, y)], len(frame), theme, told)


def support_chart(checks: Checks, theme: str) -> alt.LayerChart:
    """Effective users who speak for each arm that is decided for, beside the number needed."""
    frame, look = support_frame(checks), inks(theme)
    frame["label"] = [f"{users:,.0f}" for users in frame["effective"]]
    frame["beside"] = frame["effective"].where(frame["effective"] > checks.support.needed, checks.support.needed)
    top = max(float(frame["effective"].max()), float(checks.support.needed)) * 1.25
    x = alt.X("effective:Q", title="effective users", axis=_axis(), scale=_upto(top))
    y = _rows("arm", frame["arm"].tolist())
    base = alt.Chart(frame)
    bars = base.mark_bar(color=look[CHALLENGER], size=16).encode(x=x, y=y)
    text = base.mark_text(align="left", dx=5, color=look["ink"], fontSize=12).encode(
        x="beside:Q", y=y, text="label:N"
    )
    need = pd.DataFrame({"effective": [checks.support.needed]})
    rule = alt.Chart(need).mark_rule(color=look["ink"], strokeDash=DASHED, strokeWidth=2).encode(x=x)
    words = [f"{arm}: {label}" for arm, label in zip(frame["arm"], frame["label"], strict=True)]
    told = described(f"Effective users of each arm that is decided for, {checks.support.needed:,} are needed", words)
    return _of_rows([bars, text, rule], len(frame), theme, told)


def calibration_chart(found: Calibration, value_name: str, theme: str) -> alt.LayerChart:
    """Verified against predicted effect of one arm, by bin, and the diagonal on which they agree."""
    frame, look = calibration_frame(found), inks(theme)
    unit = f"({value_name} a user)"
    x = alt.X("predicted:Q", title=f"predicted effect {unit}", axis=_axis(grid=False), scale=_near())
    y = alt.Y("verified:Q", title=f"verified effect {unit}", axis=_axis())
    ends = [float(frame["predicted"].min()), float(frame["predicted"].max())]
    diagonal = pd.DataFrame({"predicted": ends, "verified": ends})
    line = alt.Chart(diagonal).mark_line(color=look["ink"], strokeDash=DASHED).encode(x=x, y=y)
    base = alt.Chart(frame)
    bar = base.mark_rule(color=look[CHALLENGER], strokeWidth=2).encode(x=x, y="low:Q", y2="high:Q")
    point = base.mark_point(color=look[CHALLENGER], filled=True, size=60, opacity=1).encode(x=x, y=y)
    name = alt.Chart(diagonal.head(1)).mark_text(align="left", dx=8, dy=12, color=look["ink"], fontSize=12)
    text = name.encode(x=x, y=y, text=alt.value("as predicted"))
    words = [
        f"predicted {figure(r['predicted'])}: verified {interval_words(r['verified'], r['low'], r['high'])}"
        for _, r in frame.iterrows()
    ]
    told = described(f"Verified effect of {found.arm} by its predicted effect {unit}", words)
    return _drawn([line, bar, point, text], TALL, theme, told)


def ranking_chart(checks: Checks, value_name: str, theme: str) -> alt.LayerChart:
    """Gain by the share of users treated in the order of the model, with its band, beside a random order."""
    look = inks(theme)
    return _curves(checks, {MODEL: look[CHALLENGER], RANDOM_ORDER: look["ink"]}, value_name, theme)


def placebo_chart(checks: Checks, value_name: str, theme: str) -> alt.LayerChart:
    """The same curve of a placebo, on the scale of the model's."""
    return _curves(checks, {PLACEBO: inks(theme)["random"]}, value_name, theme)


def _curves(checks: Checks, colours: dict[str, str], value_name: str, theme: str) -> alt.LayerChart:
    frame = ranking_frame(checks)
    ends = frame[["low", "gain", "high"]]
    low, high = min(float(ends.min().min()), 0.0), max(float(ends.max().max()), 0.0)
    scale = alt.Scale(domain=[low, high], nice=True)
    x = alt.X("share:Q", title="share of users treated", axis=alt.Axis(format="%", tickCount=5, grid=False))
    y = alt.Y("gain:Q", title=f"gain ({value_name} a user of all)", axis=_axis(), scale=scale)
    zero = alt.Chart(pd.DataFrame({"gain": [0.0]})).mark_rule(color=inks(theme)["ink"]).encode(y=y)
    layers, words = [zero], []
    for name, colour in colours.items():
        rows = frame[frame["curve"] == name]
        words += _curve_words(name, rows)
        if name != RANDOM_ORDER:
            band = alt.Chart(rows[["share", "low", "high"]]).mark_area(color=colour, opacity=0.2)
            layers.append(band.encode(x=x, y=alt.Y("low:Q", scale=scale), y2="high:Q"))
        line = alt.Chart(rows[["share", "gain"]])
        dash = DASHED if name == RANDOM_ORDER else [1, 0]
        layers.append(line.mark_line(color=colour, strokeWidth=2, strokeDash=dash).encode(x=x, y=y))
        layers.append(_named(name, rows, colour, x, y))
    told = described(f"Gain by the share of users treated ({value_name} a user of all)", words)
    return _drawn(layers, TALL, theme, told)


def _curve_words(name: str, rows: pd.DataFrame) -> list[str]:
    """The points of a curve nearest to each quarter; of the straight line its end."""
    quarters = (1.0,) if name == RANDOM_ORDER else (0.25, 0.5, 0.75, 1.0)
    nearest = dict.fromkeys(int((rows["share"] - share).abs().argmin()) for share in quarters)
    return [
        f"{name} at {r['share']:.0%}: {interval_words(r['gain'], r['low'], r['high'])}"
        for _, r in rows.iloc[list(nearest)].iterrows()
    ]


def _named(name: str, rows: pd.DataFrame, colour: str, x: alt.X, y: alt.Y) -> alt.Chart:
    """A curve's name: above its band half-way, or below the straight line, which the others leave at both ends."""
    if name == RANDOM_ORDER:
        at: tuple[float, float] = (0.62, 0.62 * float(rows["gain"].iloc[-1]))
    else:
        middle = rows.iloc[int((rows["share"] - 0.5).abs().argmin())]
        at = (float(middle["share"]), float(middle["high"]))
    base = alt.Chart(pd.DataFrame([{"share": at[0], "gain": at[1], "name": name}]))
    below = name == RANDOM_ORDER
    mark = base.mark_text(
        color=colour, fontSize=12, fontWeight="bold", align="left" if below else "right", dy=16 if below else -8
    )
    found: alt.Chart = mark.encode(x=x, y=y, text="name:N")
    return found


def refits_chart(checks: Checks, theme: str) -> alt.LayerChart:
    """Share of users whose arm stays, of all and by how clear the choice was, beside blind dealing."""
    frame, look = refits_frame(checks), inks(theme)
    frame["label"] = [f"{share:.0%}" for share in frame["stays"]]
    scale, axis = alt.Scale(domain=[0, 1]), alt.Axis(format="%", tickCount=5)
    x = alt.X("stays:Q", title="share of users whose arm stays", axis=axis, scale=scale)
    y = _rows("users", [name for name in (ALL_USERS, *QUARTERS) if name in set(frame["users"])])
    base = alt.Chart(frame)
    bars = base.mark_bar(color=look[CHALLENGER], size=16).encode(x=x, y=y)
    ends = base.mark_rule(color=look["ink"], strokeWidth=2).encode(x="low:Q", x2="high:Q", y=y)
    far = frame.assign(at=frame[["stays", "high"]].max(axis=1))
    text = alt.Chart(far).mark_text(align="left", dx=5, color=look["ink"], fontSize=12)
    rule = alt.Chart(pd.DataFrame({"stays": [checks.refits.by_chance]}))
    blind = rule.mark_rule(color=look["ink"], strokeDash=DASHED, strokeWidth=2).encode(x=x)
    layers = [bars, ends, text.encode(x="at:Q", y=y, text="label:N"), blind]
    dealt = f"dealt out blindly: {percent(checks.refits.by_chance)}"
    words = [f"{r['users']}: {percent(r['stays'])}{_refit_ends(r)}" for _, r in frame.iterrows()]
    told = described("Share of users whose arm stays in refits of the model", [*words, dealt])
    return _of_rows(layers, len(frame), theme, told)


def _refit_ends(r: pd.Series) -> str:
    return "" if math.isnan(r["low"]) else f", lowest refit {percent(r['low'])}, highest {percent(r['high'])}"


def experiment_chart(checks: Checks, theme: str) -> alt.LayerChart:
    """Users that the next experiment needs, by the way its arms are drawn, beside those of this log."""
    frame, look = experiment_frame(checks), inks(theme)
    low, high = float(frame["users"].min()), float(frame["users"].max())
    ends = low / 2, high * 8
    scale = alt.Scale(type="log", domain=list(ends), nice=False)
    steps = [times * 10**power for power in range(11) for times in (1, 3)]
    axis = alt.Axis(labelExpr=PLAIN, values=[step for step in steps if ends[0] <= step <= ends[1]], grid=False)
    x = alt.X("users:Q", title="users (logarithmic scale)", axis=axis, scale=scale)
    y = _rows("design", frame["design"].tolist())
    colour = alt.condition(f"datum.design == '{THIS_LOG}'", alt.value(look["ink"]), alt.value(look[CHALLENGER]))
    base = alt.Chart(frame)
    points = base.mark_point(filled=True, size=90, opacity=1).encode(x=x, y=y, color=colour)
    text = base.mark_text(align="left", dx=9, color=look["ink"], fontSize=12).encode(x=x, y=y, text="label:N")
    words = [f"{design}: {label}" for design, label in zip(frame["design"], frame["label"], strict=True)]
    return _of_rows([points, text], len(frame), theme, described("Users that the next experiment needs", words))


def _estimates(base: alt.Chart, colour: str, x: alt.X, y: alt.Y) -> list[alt.Chart]:
    """Points with their intervals."""
    return [
        base.mark_rule(color=colour, strokeWidth=2).encode(x="low:Q", x2="high:Q", y=y),
        base.mark_point(color=colour, filled=True, size=70, opacity=1).encode(x=x, y=y),
    ]


def _rows(column: str, order: Sequence[str]) -> alt.Y:
    axis = alt.Axis(labelLimit=NAME_WIDTH, grid=False, ticks=False, domain=False)
    return alt.Y(f"{column}:N", sort=list(order), title=None, axis=axis)


def _axis(grid: bool = True) -> alt.Axis:
    return alt.Axis(labelExpr=PLAIN, tickCount=5, grid=grid)


def _near() -> alt.Scale:
    return alt.Scale(zero=False, nice=True)


def _upto(top: float) -> alt.Scale:
    return alt.Scale(domain=[0, top], nice=False)


def _of_rows(layers: Sequence[alt.Chart], rows: int, theme: str, told: str) -> alt.LayerChart:
    return _drawn(layers, rows * ROW + AROUND, theme, told)


def _drawn(layers: Sequence[alt.Chart], height: int, theme: str, told: str) -> alt.LayerChart:
    room = {"left": 5, "top": 10, "right": 10, "bottom": 5}
    return dressed(alt.LayerChart(layer=list(layers), height=height, width="container", padding=room), theme, told)
