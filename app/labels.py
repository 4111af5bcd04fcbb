"""Names at the ends of a chart's lines, apart from one another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import altair as alt
import numpy as np
import pandas as pd

LINE = 0.055  # of a chart's height that a line of text takes


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
