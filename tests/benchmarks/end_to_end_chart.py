"""The chart of the comparison: what end-to-end gains over two-stage, by the rows of the log."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import altair as alt
import pandas as pd
import vl_convert

from allocation.jobs.charts import THEMES, themed
from tests.benchmarks.end_to_end_methods import END_TO_END, NET, UNGATED
from tests.benchmarks.end_to_end_paired import BEST, groups
from tests.benchmarks.end_to_end_rows import Row

REGIME = "small_student"
SERIES = {  # what is drawn: (method, reference)
    "minus two-stage with the same net": (END_TO_END, NET),
    "minus the best two-stage of any kind": (END_TO_END, BEST),
    "without the gate, minus two-stage with the same net": (UNGATED, NET),
}
COLOURS = {"light": ("#0072B2", "#D55E00", "#7F7F7F"), "dark": ("#56B4E9", "#F08040", "#A3ADB8")}  # Okabe and Ito's


def draw(rows: Sequence[Row], out: Path) -> None:
    """Two pictures: `out` and, beside it, `-dark`."""
    frame = gains(rows)
    if frame.empty:
        raise SystemExit(f"no rows of {REGIME} with {END_TO_END} and {NET} yet: `run` them first")
    out.parent.mkdir(parents=True, exist_ok=True)
    for theme in THEMES:
        file = out if theme == "light" else out.with_stem(f"{out.stem}-{theme}")
        file.write_bytes(vl_convert.vegalite_to_png(picture(frame, theme).to_dict(), scale=2.0))
        print(file)


def gains(rows: Sequence[Row]) -> pd.DataFrame:
    """A line a size and series: the paired difference in hundredths of the oracle's gain."""
    found = []
    for group in groups([row for row in rows if row["regime"] == REGIME]):
        for name, (method, reference) in SERIES.items():
            mean = group.minus(method, reference) if method in group.found else None
            if mean is not None and mean.seeds > 1:
                amounts = {end: 100 * getattr(mean, end) for end in ("point", "low", "high")}
                found.append({"rows": group.rows, "series": name, "seeds": mean.seeds, **amounts})
    return pd.DataFrame(found)


def picture(frame: pd.DataFrame, theme: str) -> alt.LayerChart:
    """Points with intervals, joined over the sizes; a rule where neither is better."""
    look = THEMES[theme]
    sizes = sorted(frame["rows"].unique().tolist())
    written = "datum.value >= 1e6 ? datum.value / 1e6 + ' M' : datum.value / 1e3 + ' k'"
    x = alt.X("rows:Q", title="users in the training log").scale(type="log", nice=False, padding=30)
    x = x.axis(values=sizes, labelExpr=written, grid=False)
    y_title = "difference, points of the oracle's gain"
    y = alt.Y("point:Q", title=y_title).scale(zero=True)
    colours = dict(zip(SERIES, COLOURS[theme], strict=True))
    drawn = [name for name in SERIES if name in set(frame["series"])]
    legend = alt.Legend(orient="top", title=None, labelColor=look["ink"], labelLimit=400, columns=1, symbolOpacity=1)
    by = alt.Color("series:N", scale=alt.Scale(domain=drawn, range=[colours[name] for name in drawn]), legend=legend)
    base = alt.Chart(frame)
    whiskers = base.mark_errorbar(ticks=True, thickness=1.6).encode(
        x=x, y=alt.Y("low:Q", title=y_title), y2="high:Q", color=by
    )
    line = base.mark_line(point=alt.OverlayMarkDef(size=45), strokeWidth=2).encode(x=x, y=y, color=by)
    nothing = alt.Chart(pd.DataFrame({"point": [0.0]})).mark_rule(color=look["ink"], strokeDash=[4, 3])
    seeds = frame["seeds"]
    many = f"{seeds.min()}" if seeds.min() == seeds.max() else f"{seeds.min()} to {seeds.max()}"
    title = alt.TitleParams(
        "End-to-end minus two-stage, by the size of the log",
        subtitle=f"small_student, net of 8 hidden units; paired over {many} seeds; bars: 95% t interval",
        anchor="start",
        color=look["ink"],
        subtitleColor=look["ink"],
    )
    layers = [nothing.encode(y="point:Q"), whiskers, line]
    return themed(alt.LayerChart(layer=layers, width=520, height=300, title=title), theme)
