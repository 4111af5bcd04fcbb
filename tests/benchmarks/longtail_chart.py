"""The picture of the long-tail benchmark: change of tail and head against joint training, row by row."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import altair as alt
import pandas as pd
import vl_convert

from allocation.jobs.charts import THEMES, themed
from tests.benchmarks.longtail_store import Result
from tests.benchmarks.longtail_table import change

ROWS = (
    "tail only",
    "balanced",
    "aggregation",
    "placebo aggregation",
    "aggregation + plugins",
    "joint + plugins",
    "joint + placebo plugins",
    "joint, tuned by joint",
    "joint, tuned by balanced",
    "joint, tuned by aggregation",
    "joint, tuned by placebo aggregation",
    "aggregation + memory",
    "joint + placebo memory",
    "joint + memory",
    "as shipped",
)
COLOURS = {"light": ("#0072B2", "#D55E00"), "dark": ("#56B4E9", "#F08040")}  # Okabe and Ito's


def draw(results: Sequence[Result], out: Path, setting: str) -> None:
    """Two pictures: `out` and, beside it, `-dark`."""
    frame = changes([result for result in results if result.setting == setting])
    if frame.empty:
        raise SystemExit(f"no units of the {setting} setting yet: `run` them first")
    out.parent.mkdir(parents=True, exist_ok=True)
    for theme in THEMES:
        file = out if theme == "light" else out.with_stem(f"{out.stem}-{theme}")
        file.write_bytes(vl_convert.vegalite_to_png(picture(frame, setting, theme).to_dict(), scale=1.2))
        print(file)


def changes(results: Sequence[Result]) -> pd.DataFrame:
    """A line a data set, backbone, row and group of users: the change of NDCG@10, with its interval."""
    found = []
    for data, backbone in sorted({(r.data, r.backbone) for r in results}):
        units = [r for r in results if (r.data, r.backbone) == (data, backbone)]
        for row in ROWS:
            have = [unit for unit in units if row in unit.rows]
            for head in (False, True) if have else ():
                c = change(have, row, "ndcg@10", head=head)
                who = "head" if head else "tail"
                ends = {"change": c.mean, "low": c.low, "high": c.high}
                found.append({"cell": f"{data}, {backbone}", "row": row, "users": who, **ends})
    return pd.DataFrame(found)


def picture(frame: pd.DataFrame, setting: str, theme: str) -> alt.FacetChart:
    """A panel a data set and backbone; points with intervals, tail above head, a rule at no change."""
    look = THEMES[theme]
    rows = [row for row in ROWS if row in set(frame["row"])]
    x_title = "change of NDCG@10 against joint training"
    y = alt.Y("row:N", title=None, sort=rows, axis=alt.Axis(labelLimit=300, grid=True))
    shift = alt.YOffset("users:N", sort=["tail", "head"])
    legend = alt.Legend(orient="top", title=None, labelColor=look["ink"], symbolOpacity=1)
    scale = alt.Scale(domain=["tail", "head"], range=list(COLOURS[theme]))
    by = alt.Color("users:N", scale=scale, legend=legend)
    shape = alt.Shape("users:N", scale=alt.Scale(domain=["tail", "head"]), legend=legend)
    base = alt.Chart(frame)
    whiskers = base.mark_rule(strokeWidth=1.6).encode(
        x=alt.X("low:Q", title=x_title), x2="high:Q", y=y, yOffset=shift, color=by
    )
    points = base.mark_point(filled=True, size=45, opacity=1).encode(
        x=alt.X("change:Q", title=x_title),
        y=y,
        yOffset=shift,
        color=by,
        shape=shape,
    )
    nothing = base.mark_rule(color=look["ink"], strokeDash=[4, 3]).encode(x=alt.datum(0))
    layered = alt.layer(nothing, whiskers, points, data=frame).properties(width=270, height=22 * len(rows))
    title = alt.TitleParams(
        f"Long tail, {setting} setting: what each row changes, for tail and head users",
        subtitle="full ranking on held-out last events; bars: 95% paired interval over users and seeds",
        anchor="start",
        color=look["ink"],
        subtitleColor=look["ink"],
    )
    header = alt.Header(title=None, labelColor=look["ink"], labelFontSize=12, labelFontWeight="bold")
    faceted = layered.facet(facet=alt.Facet("cell:N", header=header), columns=2, title=title)
    return themed(faceted.resolve_scale(x="independent"), theme)
