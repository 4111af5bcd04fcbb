"""What the views' charts share: inks, colours, names at the ends of lines, texts. Charts are tested as data."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import altair as alt
import numpy as np
import pandas as pd

from allocation.jobs.analyst.compared import CURRENT
from allocation.jobs.analyst.limited_words import figure
from allocation.jobs.batch.frontier_charts import ARMS, CONTROL, SHORT
from allocation.jobs.charts import COLOURS, DARK_COLOURS, THEMES

__all__ = [
    "HEIGHT",
    "SHORT",
    "Labels",
    "arm_colours",
    "described",
    "dressed",
    "figure",
    "inks",
    "percent",
    "spread",
    "with_interval",
]

HEIGHT = 340
LINE = 0.055  # of a chart's height that a line of text takes
TOLD = 24  # rows of a chart that its text tells; more would only be heard, never found again
Chart = TypeVar("Chart", alt.Chart, alt.LayerChart, alt.ConcatChart)


def inks(theme: str) -> dict[str, str]:
    """Ink, faint ink and the colour of each policy on a "light" or a "dark" page."""
    look = THEMES[theme]
    own = COLOURS | (DARK_COLOURS if theme == "dark" else {})
    return {"ink": look["ink"], "faint": look["faint"], CURRENT: "#C9A27A" if theme == "dark" else "#7A4B2A"} | own


def arm_colours(arms: Sequence[str], theme: str) -> list[str]:
    """A colour for each arm, control's grey first; told apart by every common kind of colour vision."""
    hues = ARMS[theme]
    return [CONTROL[theme], *(hues[j % len(hues)] for j in range(len(arms) - 1))]


def described(what: str, rows: Iterable[str]) -> str:
    """A chart as text for those who cannot see it: what it shows, and its rows, of many the first TOLD."""
    clauses = list(rows)
    more = [f"and {len(clauses) - TOLD:,} more"] if len(clauses) > TOLD else []
    return f"{what[:1].upper()}{what[1:]}: {'; '.join([*clauses[:TOLD], *more]) or 'nothing to show'}."


def with_interval(estimate: float, low: float, high: float, told: Callable[[float], str] = figure) -> str:
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


@dataclass
class Labels:
    """Names at the right ends of lines, `at` on the x axis, each in the colour of its line."""

    at: float
    rows: list[dict[str, object]] = field(default_factory=list)

    def add(self, name: str, height: float, colour: str) -> None:
        """The name of a line that ends at a height."""
        self.rows.append({"name": name, "y": height, "colour": colour})

    def drawn(self, span: float) -> alt.Chart:
        """The names, apart from one another on a chart whose values span so much."""
        frame = pd.DataFrame(self.rows).assign(x=self.at)
        frame["y"] = spread(frame["y"].tolist(), LINE * span)
        text = alt.Chart(frame).mark_text(align="left", dx=6, fontSize=12, fontWeight="bold")
        labels: alt.Chart = text.encode(x="x:Q", y="y:Q", text="name:N", color=alt.Color("colour:N", scale=None))
        return labels


def spread(heights: Sequence[float], gap: float) -> list[float]:
    """The heights moved apart as little as needed, until neighbours are `gap` from one another."""
    order = np.argsort(heights, kind="stable")
    placed = np.asarray(heights, dtype=float)[order]
    for _ in range(100):
        close = np.flatnonzero(np.diff(placed) < 0.999 * gap)
        if not len(close):
            break
        for k in close:
            middle = (placed[k] + placed[k + 1]) / 2
            placed[k], placed[k + 1] = min(placed[k], middle - gap / 2), max(placed[k + 1], middle + gap / 2)
    found = np.empty(len(placed))
    found[order] = placed
    return [float(height) for height in found]
