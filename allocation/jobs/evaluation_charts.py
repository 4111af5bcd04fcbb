"""The evaluation's four pictures: value, difference, promise and spend against the budget, a panel a policy."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import altair as alt
import pandas as pd

from allocation.jobs.charts import themed
from allocation.jobs.evaluation_job import EvaluationResult
from allocation.jobs.evaluation_page import PADDING, Page, band, bars, layer, line, points, tooltip, x_axis, y_axis

WIDTH, HEIGHT, COLUMNS = 215, 150, 3


def pictures(result: EvaluationResult, theme: str = "light") -> dict[str, alt.ConcatChart]:
    """The pictures by name: "value", "difference" where there is a reference, "promise", "spend"."""
    page = Page.of(result, theme)
    drawn = {"value": value(page), "promise": promise(page), "spend": spend(page)}
    if "reference" in page.frame:
        drawn["difference"] = difference(page)
    return {name: themed(chart, theme) for name, chart in drawn.items()}


def value(page: Page) -> alt.ConcatChart:
    """Verified value per user against the budget per user with its interval as a band, and the reference dashed."""
    scale = page.scale("value_low", "value_high")
    subtitle = [f"band: {page.level} interval"]
    dashed = None
    if "reference" in page.frame:
        own = page.frame[page.frame["policy"] == page.frame["reference"]]
        dashed = line(page, own, "value", scale, dashed=True)
        names = page.frame["reference"].unique()
        subtitle[0] += f"; dashed: the reference{f', {names[0]}' if len(names) == 1 else ''}"

    def _panel(policy: str) -> list[alt.Chart]:
        rows = page.rows(policy, "value")
        layers = [*band(page, rows, "value", scale), line(page, rows, "value", scale)]
        return layers if dashed is None else [layers[0], dashed, *layers[1:]]

    return _grid(page, f"Verified value per user ({page.value})", subtitle, page.policies, _panel)


def difference(page: Page) -> alt.ConcatChart:
    """Paired difference to the reference: interval of each budget as a bar, band over all budgets as an area."""
    frame = page.frame
    real = (frame["policy"] != frame["reference"]) & ~frame["same_decision"].astype(bool)
    compared = [policy for policy in page.policies if (real & (frame["policy"] == policy)).any()]
    subtitle = [
        f"bar: {page.level} interval of one budget; shaded: band that holds at all budgets of that one policy",
        "better and worse are said after adjusting for all comparisons, of every policy at every budget",
        "every panel has a scale of its own; no bar: the reference itself, or the same decisions",
    ]
    out = [policy for policy in page.policies if policy not in compared]
    if out and compared:
        subtitle.append(f"left out, since it would be zero at every budget: {', '.join(out)}")

    def _panel(policy: str) -> list[alt.Chart]:
        rows = page.rows(policy, "difference")
        ends = rows[["difference_band_low", "difference_band_high", "difference_low", "difference_high"]]
        low, high = (min(0.0, float(ends.min().min())), max(0.0, float(ends.max().max()))) if len(rows) else (0, 0)
        scale = {"domain": [low, high] if low < high else [-1, 1], "nice": False, "padding": PADDING}
        zero = {"type": "rule", "color": page.ink, "strokeDash": [4, 3]}
        clear = page.rows(policy, "difference", among=real)
        return [
            *band(page, clear, "difference_band", scale),
            layer(pd.DataFrame({"y": [0.0]}), zero, y={"field": "y", "type": "quantitative", "scale": scale}),
            bars(page, rows, "difference", scale),
            points(page, rows, "difference", scale),
        ]

    title = f"Value per user above the reference ({page.value})"
    return _grid(page, title, subtitle, compared or page.policies, _panel, "difference_support")


def promise(page: Page) -> alt.ConcatChart:
    """What each policy promised (diamond) beside what was verified (point with interval)."""
    scale = page.scale("value_low", "value_high", "promised_value")

    def _panel(policy: str) -> list[alt.Chart]:
        rows, promised = page.rows(policy, "value"), page.rows(policy, "promised_value")
        diamond = {
            "type": "point",
            "shape": "diamond",
            "size": 60,
            "strokeWidth": 1.6,
            "opacity": 1,
            "color": page.ink,
        }
        ends = {"x": x_axis(page), "y": y_axis("promised_value", scale)}
        return [
            bars(page, rows, "value", scale),
            points(page, rows, "value", scale),
            layer(promised, diamond, tooltip=tooltip(page), **ends),
        ]

    subtitle = [
        f"diamond: promised by the policy itself; point: verified, with its {page.level} interval",
        "a model that picks the users whom it overestimates promises too much: the winner's curse",
    ]
    title = f"Promised and verified value per user ({page.value})"
    return _grid(page, title, subtitle, page.policies, _panel)


def spend(page: Page) -> alt.ConcatChart:
    """Verified spend against the budget; on the dashed line the two are equal."""
    scale = page.scale("spend_low", "spend_high", also=page.span)
    ends = pd.DataFrame({"budget": page.span, "spend": page.span})
    thin = {"type": "line", "color": page.ink, "strokeDash": [4, 3], "strokeWidth": 1.2}
    equal = layer(ends, thin, x=x_axis(page), y=y_axis("spend", scale))

    def _panel(policy: str) -> list[alt.Chart]:
        rows = page.rows(policy, "spend")
        return [*band(page, rows, "spend", scale), equal, line(page, rows, "spend", scale)]

    subtitle = [f"band: {page.level} interval; dashed: spend equals the budget, above it more is spent"]
    money = f" ({page.currency})" if page.currency else ""
    return _grid(page, f"Verified spend per user{money}", subtitle, page.policies, _panel)


def _grid(
    page: Page,
    title: str,
    subtitle: Sequence[str],
    policies: Sequence[str],
    panel: Callable[[str], list[alt.Chart]],
    support: str = "support",
) -> alt.ConcatChart:
    """A panel a policy under its name, with a note where the column `support` says that budgets have no estimate."""
    panels = []
    for policy in policies:
        lacking = int((page.frame.loc[page.frame["policy"] == policy, support] != "").sum())
        note = f"too few users at {lacking} of {len(page.budgets)} budgets" if lacking else ""
        head = page.title(policy, note, fontSize=12, frame="group", limit=WIDTH + 30)
        panels.append(alt.LayerChart(layer=panel(policy), width=WIDTH, height=HEIGHT, title=head))
    spacing = {"row": 84, "column": 64}
    whole = page.title(f"{title}, {page.users:,} held-out users", subtitle, offset=14)
    chart: alt.ConcatChart = alt.concat(*panels, columns=COLUMNS, spacing=spacing, bounds="flush", title=whole)
    return chart
