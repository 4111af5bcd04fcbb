"""What the views' charts share: inks, colours, axes, words. Charts are tested as data."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import altair as alt
import pandas as pd

from allocation.jobs.analyst.compared import CURRENT
from allocation.jobs.analyst.figures import figure
from allocation.jobs.batch.frontier_charts import ARMS, CONTROL, SHORT
from allocation.jobs.charts import COLOURS, DARK_COLOURS, THEMES

TOLD = 24  # rows of a chart that its text tells; more would only be heard, never found again
DASHED = [6, 3]
PAGE = {"light": "#ffffff", "dark": "#171614"}  # Streamlit's own, behind every chart
Chart = TypeVar("Chart", alt.Chart, alt.LayerChart, alt.ConcatChart)


def inks(theme: str) -> dict[str, str]:
    """Ink, faint ink, the page and the colour of each policy on a "light" or a "dark" page."""
    look = THEMES[theme]
    own = COLOURS | (DARK_COLOURS if theme == "dark" else {})
    current = "#C9A27A" if theme == "dark" else "#7A4B2A"
    return {"ink": look["ink"], "faint": look["faint"], "page": PAGE[theme], CURRENT: current} | own


def arm_colours(arms: Sequence[str], theme: str) -> list[str]:
    """A colour for each arm, control's grey first; told apart by every common kind of colour vision."""
    hues = ARMS[theme]
    return [CONTROL[theme], *(hues[j % len(hues)] for j in range(len(arms) - 1))]


def described(what: str, rows: Iterable[str]) -> str:
    """A chart as text for those who cannot see it: what it shows, and its rows, of many the first TOLD."""
    clauses = list(rows)
    more = [f"and {len(clauses) - TOLD:,} more"] if len(clauses) > TOLD else []
    return f"{what[:1].upper()}{what[1:]}: {'; '.join([*clauses[:TOLD], *more]) or 'nothing to show'}."


def interval_words(estimate: float, low: float, high: float, told: Callable[[float], str] = figure) -> str:
    """An estimate and its 95% interval, each end `told` as words; alone where it has no interval."""
    if math.isnan(estimate):
        return "too few users to tell"
    if math.isnan(low) or math.isnan(high):
        return told(estimate)
    return f"{told(estimate)}, 95% interval {told(low)} to {told(high)}"


def percent(share: float) -> str:
    """A share, 0 to 1, as a percentage."""
    return f"{share:.1%}"


def dressed(chart: Chart, theme: str, told: str) -> Chart:
    """The chart in the inks of the page, without a background of its own; `told` is what a screen reader says."""
    ink, faint = THEMES[theme]["ink"], THEMES[theme]["faint"]
    axis = alt.AxisConfig(
        labelColor=ink,
        titleColor=ink,
        gridColor=faint,
        domainColor=faint,
        tickColor=faint,
        titleFontWeight="normal",
        labelFontSize=12,
        titleFontSize=12,
    )
    bare = alt.ViewConfig(stroke=None)
    found: Chart = chart.properties(description=told).configure(
        background="transparent", font="sans-serif", axis=axis, view=bare
    )
    return found


def amount_axis(scale: alt.Scale) -> alt.Axis:
    """Of thousands in short; of less as they are."""
    largest = max(abs(end) for end in scale["domain"])
    return alt.Axis(labelExpr=SHORT, tickCount=5) if largest >= 1000 else alt.Axis(format=",.4~g", tickCount=5)


def named_rows(frame: pd.DataFrame, column: str, size: int) -> alt.Y:
    """A row for each name in a column, in its order, in letters of so many pixels."""
    names = frame[column].tolist()
    axis = alt.Axis(title=None, labelFontSize=size, labelLimit=150, domain=False, ticks=False, grid=True)
    return alt.Y(f"{column}:N", sort=names, axis=axis, scale=alt.Scale(domain=names))


def note(rows: pd.DataFrame, y: alt.Y, ink: str, text: str) -> alt.Chart:
    """Words in the place of a figure that is not known, in each of the rows."""
    mark = alt.Chart(rows).mark_text(align="left", dx=4, color=ink, fontStyle="italic", text=text)
    words: alt.Chart = mark.encode(y=y, x=alt.value(0))
    return words
