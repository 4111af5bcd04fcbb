"""The cost curve of every policy as an Altair chart, and as pictures that need no browser."""

from __future__ import annotations

import altair as alt
import pandas as pd

from allocation.jobs.summary import CHALLENGER, END_TO_END, Summary

# Okabe and Ito's colours and a teal: told apart by every common kind of colour vision.
COLOURS = {
    CHALLENGER: "#0072B2",
    END_TO_END: "#00565B",
    "best single arm": "#D55E00",
    "best mix of arms": "#E69F00",
    "outcome targeting": "#009E73",
    "random": "#CC79A7",
    "nobody": "#7F7F7F",
}
THEMES = {
    "light": {"background": "#ffffff", "ink": "#1b1f24", "faint": "#d8dde3"},
    "dark": {"background": "#14171b", "ink": "#e6e9ed", "faint": "#3a4149"},
}
# Those that would be too dim on a dark page.
DARK_COLOURS = {CHALLENGER: "#56B4E9", END_TO_END: "#7DE8DC", "nobody": "#A3ADB8"}
DARKER = {COLOURS[name]: dark for name, dark in DARK_COLOURS.items()}
DARKER |= {THEMES["light"][of]: THEMES["dark"][of] for of in THEMES["light"]}
PANEL_HEIGHT = 170
SHAPES = {3: 230, 4: 168}  # width of a panel where so many stand side by side


def cost_curve(run: Summary, theme: str = "light", background: str | None = None) -> alt.ConcatChart:
    """One panel a policy: verified value per user against the budget per user, with the interval as a band.

    The curve of two-stage is repeated in every panel, dashed, so that each rival is read against it.
    `theme` is "light" or "dark"; `background` replaces the theme's own, "transparent" for a page that has one.
    """
    frame = run.headline()
    look = THEMES[theme]
    money = f"budget per user ({run.currency})" if run.currency else "budget per user"
    y_range = [float(frame["value_low"].min()), float(frame["value_high"].max())]
    y = alt.Scale(domain=y_range, nice=True, zero=False)
    colours = COLOURS | (DARK_COLOURS if theme == "dark" else {})
    columns = 3 if len(run.policies) <= 6 else 4
    reference = _rows(frame[frame["policy"] == CHALLENGER])
    panels = [
        _panel(
            _rows(frame[frame["policy"] == policy]),
            reference,
            policy,
            money,
            y,
            colours,
            look["ink"],
            first=k % columns == 0,
            width=SHAPES[columns],
        )
        for k, policy in enumerate(run.policies)
    ]
    how = "by bootstrap over users" if run.n_bootstrap else "in closed form"
    title = alt.TitleParams(
        f"Verified value per user ({run.value_name}), {run.users:,} held-out users",
        subtitle=f"band: 95% interval {how}; dashed: {CHALLENGER}",
        anchor="start",
        color=look["ink"],
        subtitleColor=look["ink"],
        offset=12,
    )
    chart = alt.concat(*panels, columns=columns, spacing={"row": 80, "column": 18}, bounds="flush", title=title)
    return themed(chart, theme, background)


def themed(chart: alt.ConcatChart, theme: str, background: str | None = None) -> alt.ConcatChart:
    """The chart in the inks of a light or a dark page."""
    look = THEMES[theme]
    axis = alt.AxisConfig(
        labelColor=look["ink"],
        titleColor=look["ink"],
        gridColor=look["faint"],
        domainColor=look["ink"],
        tickColor=look["ink"],
        titleFontWeight="normal",
        labelFontSize=11,
        titleFontSize=11,
    )
    # One call: each of altair's copies the whole chart.
    inked: alt.ConcatChart = chart.configure(
        background=background or look["background"],
        font="sans-serif",
        padding=12,
        axis=axis,
        view=alt.ViewConfig(stroke=None),
    )
    return inked


def _panel(
    rows: alt.InlineData,
    reference: alt.InlineData,
    policy: str,
    money: str,
    y: alt.Scale,
    colours: dict[str, str],
    ink: str,
    first: bool,
    width: int,
) -> alt.LayerChart:
    # The others' axes are there but unseen: all panels then have the same outline, and their titles one height.
    seen = 1 if first else 0
    axis = alt.Axis(labelOpacity=seen, tickOpacity=seen, domainOpacity=seen, tickCount=6, title=None)
    x = alt.X("budget:Q", title=money, axis=alt.Axis(tickCount=4, labelFlush=False))
    colour = colours[policy]
    band = alt.Chart(rows).mark_area(opacity=0.28, color=colour)
    band = band.encode(x=x, y=alt.Y("value_low:Q", scale=y, axis=axis), y2="value_high:Q")
    line = alt.Chart(rows).mark_line(color=colour, strokeWidth=2.2, point=alt.OverlayMarkDef(color=colour, size=28))
    line = line.encode(x=x, y=alt.Y("value:Q", scale=y, axis=axis))
    layers = [band, line]
    if policy != CHALLENGER:
        dashed = alt.Chart(reference).mark_line(color=colours[CHALLENGER], strokeWidth=1.4, strokeDash=[4, 3])
        layers.insert(1, dashed.encode(x=x, y=alt.Y("value:Q", scale=y, axis=axis)))
    title = alt.TitleParams(policy, color=ink, fontSize=12, anchor="start", frame="group")
    return alt.LayerChart(layer=layers, width=width, height=PANEL_HEIGHT, title=title)


def _rows(frame: pd.DataFrame) -> alt.InlineData:
    """What is drawn, as it is: altair would look at every column of a frame for each layer."""
    drawn = frame[["budget", "value", "value_low", "value_high"]]
    cells = drawn.astype(object).where(drawn.notna(), None).itertuples(index=False)
    return alt.InlineData(values=[dict(zip(drawn.columns, row, strict=True)) for row in cells])


def svg(chart: alt.ConcatChart) -> str:
    """The chart as SVG text, drawn without a browser and without the network."""
    import vl_convert

    text: str = vl_convert.vegalite_to_svg(chart.to_dict())
    return text


def png(chart: alt.ConcatChart, scale: float = 2.0) -> bytes:
    """The chart as a PNG picture."""
    import vl_convert

    picture: bytes = vl_convert.vegalite_to_png(chart.to_dict(), scale=scale)
    return picture
