"""What all panels of the evaluation's pictures share: colours, axes, and the marks of an estimate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import pandas as pd
import pyarrow as pa

from allocation.jobs.charts import THEMES
from allocation.jobs.evaluation_job import EvaluationResult
from allocation.jobs.policies_named import NAMES

Spec = dict[str, Any]  # a part of a Vega-Lite specification

# One colour a name of `policies_named`: Okabe and Ito's, then wine, brown, indigo and teal; on a dark page
# lighter ones.
LIGHT = (
    *("#7F7F7F", "#D55E00", "#E69F00", "#CC79A7", "#009E73", "#0072B2"),
    *("#3A9BD9", "#8A7F00", "#882255", "#7A4B2A", "#332288", "#00565B"),
)
DARK = (
    *("#A3ADB8", "#F08040", "#E69F00", "#EBB0D2", "#2CC79A", "#56B4E9"),
    *("#A8DFFF", "#F0E442", "#E8649F", "#C9A27A", "#A79BFF", "#7DE8DC"),
)
TOLD = {
    "policy": "policy",
    "budget": "budget per user",
    "promised_value": "promised value",
    "value": "verified value",
    "value_low": "value from",
    "value_high": "value to",
    "spend": "verified spend",
    "spend_low": "spend from",
    "spend_high": "spend to",
    "reference": "reference",
    "difference": "difference",
    "difference_low": "difference from",
    "difference_high": "difference to",
    "p_adjusted": "adjusted p-value",
    "matched": "matched users",
    "effective_size": "effective size",
}
DRAWN = (*TOLD, "support", "difference_support", "same_decision", "difference_band_low", "difference_band_high")
RUN = {"field": "run", "type": "nominal"}
PADDING = 9  # pixels between the outermost points and the frame of a panel


@dataclass(frozen=True, eq=False)
class Page:
    """One run in one theme.

    `frame` is that of `EvaluationResult.headline`; `budgets` per user, rising; `money` the title of the budget's
    axis; `value` what a unit of value is; `colour` each policy's; `ink` that of text; `level` of the intervals.
    """

    frame: pd.DataFrame
    users: int
    policies: list[str]
    budgets: list[float]
    money: str
    currency: str
    value: str
    colour: dict[str, str]
    ink: str
    level: str

    @classmethod
    def of(cls, result: EvaluationResult, theme: str) -> Page:
        """The page of one run in one theme, "light" or "dark"."""
        whole, currency = result.headline(), result.source.currency
        frame = whole[[column for column in DRAWN if column in whole]]
        policies = list(dict.fromkeys(frame["policy"]))
        return cls(
            frame=frame,
            users=result.users,
            policies=policies,
            budgets=sorted(frame["budget"].unique()),
            money=f"budget per user ({currency})" if currency else "budget per user",
            currency=currency,
            value=result.source.value_name,
            colour=colours(policies, DARK if theme == "dark" else LIGHT),
            ink=THEMES[theme]["ink"],
            level=f"{100 * result.plan.level:g}%",
        )

    def rows(self, policy: str, needed: str, among: pd.Series | None = None) -> pd.DataFrame:
        """The rows of one policy that have an estimate, with `run`: neighbouring budgets have the same one.

        A band or line is drawn within a run only, so that none crosses a budget without an estimate.
        """
        chosen = (self.frame["policy"] == policy) & self.frame[needed].notna()
        rows = self.frame[chosen if among is None else chosen & among].sort_values("budget")
        place = rows["budget"].map(self.budgets.index)
        return rows.assign(run=place.diff().ne(1).cumsum())

    @property
    def span(self) -> tuple[float, float]:
        """The lowest and the highest budget drawn; one budget alone stands in the middle."""
        low, high = self.budgets[0], self.budgets[-1]
        if low < high:
            return low, high
        return (0.0, 2 * high) if high > 0 else (-1.0, 1.0)

    def scale(self, *columns: str, also: Sequence[float] = ()) -> Spec:
        """One scale for all panels that holds the named columns and further amounts."""
        held = pd.concat([self.frame[column] for column in columns] + [pd.Series(also, dtype=float)])
        low, high = float(held.min()), float(held.max())
        domain = {"domain": [low, high]} if low < high else {}
        return {**domain, "nice": False, "zero": False, "padding": PADDING}

    def title(self, text: str, subtitle: str | Sequence[str], **look: Any) -> alt.TitleParams:
        """A title in the page's ink."""
        return alt.TitleParams(
            text, subtitle=subtitle, anchor="start", color=self.ink, subtitleColor=self.ink, **look
        )


def colours(policies: Sequence[str], palette: Sequence[str]) -> dict[str, str]:
    """A colour a policy, the same in every run for those fitted by name; others get what is left over."""
    fixed = dict(zip(NAMES.values(), palette, strict=True))
    mine = {name: fixed[name] for name in policies if name in fixed}
    left = [colour for colour in palette if colour not in mine.values()] or list(palette)
    others = [name for name in policies if name not in fixed]
    return mine | {name: left[-1 - k % len(left)] for k, name in enumerate(others)}


def layer(rows: pd.DataFrame, mark: Spec, **encoding: Any) -> alt.Chart:
    """One layer, its mark and channels as Vega-Lite's own dictionaries.

    Altair copies every chart for every step of a composition, and its objects hold a hundred unset fields each, so
    that dictionaries are put together several times faster; an Arrow table is converted faster than a pandas frame.
    """
    data, channels = pa.Table.from_pandas(rows, preserve_index=False), alt.FacetedEncoding(**encoding)
    return alt.Chart(data, mark=mark, encoding=channels)  # type: ignore[arg-type]  # its stub forgets dictionaries


def band(page: Page, rows: pd.DataFrame, name: str, scale: Spec) -> list[alt.Chart]:
    """The area from `name_low` to `name_high` along neighbouring budgets, and a broad bar where a budget has none."""
    ends = {"x": x_axis(page), "y": y_axis(f"{name}_low", scale), "y2": {"field": f"{name}_high"}}
    look, alone = {"opacity": 0.26, "color": _colour(page, rows)}, rows.groupby("run")["run"].transform("size") == 1
    area = layer(rows[~alone], {"type": "area", **look}, detail=RUN, **ends)
    return [area, layer(rows[alone], {"type": "rule", "strokeWidth": 12, **look}, **ends)]


def line(page: Page, rows: pd.DataFrame, name: str, scale: Spec, dashed: bool = False) -> alt.Chart:
    """The estimates along the budgets, as points joined by a line; the reference dashed, thin and without points."""
    ends = {"x": x_axis(page), "y": y_axis(name, scale)}
    if dashed:
        return layer(rows, {"type": "line", "color": page.ink, "strokeWidth": 1.2, "strokeDash": [4, 3]}, **ends)
    colour = _colour(page, rows)
    thick = {"type": "line", "color": colour, "strokeWidth": 2.2, "point": {"color": colour, "size": 28}}
    return layer(rows, thick, detail=RUN, tooltip=tooltip(page), **ends)


def bars(page: Page, rows: pd.DataFrame, name: str, scale: Spec) -> alt.Chart:
    """The interval of each budget."""
    ends = {"x": x_axis(page), "y": y_axis(f"{name}_low", scale), "y2": {"field": f"{name}_high"}}
    return layer(rows, {"type": "rule", "color": _colour(page, rows), "strokeWidth": 2}, **ends)


def points(page: Page, rows: pd.DataFrame, name: str, scale: Spec) -> alt.Chart:
    """The estimate of each budget."""
    point = {"type": "point", "color": _colour(page, rows), "filled": True, "size": 45, "opacity": 1}
    return layer(rows, point, x=x_axis(page), y=y_axis(name, scale), tooltip=tooltip(page))


def x_axis(page: Page) -> Spec:
    """The budgets."""
    scale = {"domain": list(page.span), "nice": False, "zero": False, "padding": PADDING}
    axis = {"tickCount": 4, "labelFlush": False}
    return {"field": "budget", "type": "quantitative", "title": page.money, "scale": scale, "axis": axis}


def y_axis(column: str, scale: Spec) -> Spec:
    """A column on the given scale, without a title: the picture's own says what it is."""
    return {"field": column, "type": "quantitative", "scale": scale, "axis": {"title": None, "tickCount": 5}}


def tooltip(page: Page) -> list[Spec]:
    """What is told of a point in the interactive pictures."""
    words = ("policy", "reference")
    return [
        {"field": column, "title": title, "type": "nominal"}
        if column in words
        else {"field": column, "title": title, "type": "quantitative", "format": ",.4~g"}
        for column, title in TOLD.items()
        if column in page.frame
    ]


def _colour(page: Page, rows: pd.DataFrame) -> str:
    return page.colour[rows["policy"].iloc[0]] if len(rows) else page.ink
