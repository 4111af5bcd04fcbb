"""Draw the pictures of `how-it-works.md`, from a small simulated log: `make pictures`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
import torch

from allocation import Problem, frontier, solve
from allocation.jobs import charts
from allocation.policies.gradients import ESTIMATORS, goal
from allocation.policies.scored import OutcomeModels, scores_of
from uplift import Campaign, Response, synthetic
from uplift.learners import SLearner

HERE = Path(__file__).parent
USERS, BUDGET = 12, 10.0  # of the picture of the frontier; EUR
BATCH, ARM, WIDTH = 80, 3, 0.2  # of the picture of the gradient; EUR of score
BLUE, ORANGE, GREEN, PINK = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
LIGHT_BLUE = "#56B4E9"  # on a dark page
HEIGHT, WIDE, BETWEEN = 230, 270, 76


def _titled(text: str, subtitle: str, ink: str) -> alt.TitleParams:
    return alt.TitleParams(
        text, subtitle=subtitle, color=ink, subtitleColor=ink, fontSize=13, anchor="start", frame="group", offset=8
    )


def frontier_picture(theme: str) -> alt.ConcatChart:
    """One user's hull; the steps of all users; the frontier with decisions at many budgets."""
    ink, blue = charts.THEMES[theme]["ink"], LIGHT_BLUE if theme == "dark" else BLUE
    predicted = _predicted()[1].take(np.arange(USERS))
    value, cost = predicted.value, predicted.cost
    price = float(solve(Problem(value, cost, BUDGET)).price)
    user = int(np.argmax([_shown(value[i], cost[i], price) for i in range(USERS)]))
    panels = [
        _hull(value[user], cost[user], predicted.arms, price, ink, blue),
        _steps(value, cost, price, ink, blue),
        _curve(value, cost, ink, blue),
    ]
    above = alt.concat(*panels[:2], spacing=BETWEEN, bounds="flush")
    below = panels[2].properties(width=2 * WIDE + BETWEEN)
    return charts.themed(alt.concat(above, below, columns=1, spacing=30), theme)


def _shown(value: Any, cost: Any, price: float) -> float:
    """How much is to be seen of a user's hull: arms left out, and a best arm that is neither first nor last."""
    f = frontier(value[None], cost[None])
    best = cost[np.argmax(value - price * cost)]
    inside = [f.at(c)[0] - v for v, c in zip(value, cost, strict=True)]
    return max(inside) if f.budget[0] < best < f.budget[-1] else -1.0


def _hull(value: Any, cost: Any, arms: tuple[str, ...], price: float, ink: str, blue: str) -> alt.LayerChart:
    f = frontier(value[None], cost[None])
    corner = np.isin(cost, f.budget)
    best = int(np.argmax(value - price * cost))
    points = pd.DataFrame({"cost": cost, "value": value, "arm": arms, "kind": np.where(corner, "corner", "left out")})
    hull = pd.DataFrame({"cost": f.budget, "value": f.value})
    ends = np.array([0.0, cost.max() * 1.1])
    tangent = pd.DataFrame({"cost": ends, "value": value[best] + price * (ends - cost[best])})
    x = alt.X("cost:Q", title="cost of the arm (EUR)", scale=alt.Scale(domain=[0, float(cost.max() * 1.22)]))
    span = float(np.ptp(value))
    low, high = float(value.min() - 0.15 * span), float(value.max() + 0.25 * span)
    y = alt.Y("value:Q", title="value of the arm (EUR)", scale=alt.Scale(domain=[low, high], nice=False))
    line = alt.Chart(hull).mark_line(color=blue, strokeWidth=2).encode(x=x, y=y)
    dashed = alt.Chart(tangent).mark_line(color=ORANGE, strokeDash=[5, 3], clip=True).encode(x=x, y=y)
    dots = (
        alt.Chart(points)
        .mark_point(filled=True, size=70, opacity=1)
        .encode(
            x=x,
            y=y,
            color=alt.Color(
                "kind:N", scale=alt.Scale(domain=["corner", "left out"], range=[blue, "#9aa3ad"]), legend=None
            ),
        )
    )
    names = alt.Chart(points).mark_text(align="left", dx=8, dy=12, color=ink).encode(x=x, y=y, text="arm:N")
    title = _titled("One user's arms", "line: hull; dashed: slope of the price", ink)
    return alt.layer(dashed, line, dots, names, title=title).properties(width=WIDE, height=HEIGHT)


def _steps(value: Any, cost: Any, price: float, ink: str, blue: str) -> alt.LayerChart:
    f = frontier(value, cost)
    frame = pd.DataFrame({"from": f.budget[:-1], "to": f.budget[1:], "slope": f.price[:-1]})
    frame["taken"] = frame["to"] <= BUDGET
    bars = (
        alt.Chart(frame)
        .mark_rect(stroke=charts_background(ink), strokeWidth=0.6)
        .encode(
            x=alt.X("from:Q", title="money spent (EUR)"),
            x2="to:Q",
            y=alt.Y("slope:Q", title="value per EUR of the step"),
            y2=alt.datum(0),
            color=alt.Color("taken:N", scale=alt.Scale(domain=[True, False], range=[blue, "#9aa3ad"]), legend=None),
        )
    )
    budget = alt.Chart(pd.DataFrame({"x": [BUDGET]})).mark_rule(color=ORANGE, strokeWidth=1.6).encode(x="x:Q")
    rule = alt.Chart(pd.DataFrame({"y": [price]})).mark_rule(color=ORANGE, strokeDash=[5, 3]).encode(y="y:Q")
    told = pd.DataFrame(
        {
            "x": [BUDGET, float(f.budget[-1])],
            "y": [0.96 * float(f.price[0]), price],
            "text": ["budget", f"price {price:.2f}"],
        }
    )
    base = alt.Chart(told).encode(x="x:Q", y="y:Q", text="text:N")
    words = base.transform_filter("datum.text == 'budget'").mark_text(align="left", dx=5, color=ink)
    priced = base.transform_filter("datum.text != 'budget'").mark_text(align="right", dy=-8, color=ink)
    title = _titled(f"All steps of {USERS} users, steepest first", "blue: taken within the budget", ink)
    return alt.layer(bars, budget, rule, words, priced, title=title).properties(width=WIDE, height=HEIGHT)


def charts_background(ink: str) -> str:
    """The page's colour under this ink."""
    return next(look["background"] for look in charts.THEMES.values() if look["ink"] == ink)


def _curve(value: Any, cost: Any, ink: str, blue: str) -> alt.LayerChart:
    f = frontier(value, cost)
    knots = pd.DataFrame({"budget": f.budget, "value": f.value})
    budgets = np.linspace(0, float(f.budget[-1]), 41)
    decided = pd.DataFrame({"budget": budgets, "value": [solve(Problem(value, cost, b)).value for b in budgets]})
    x = alt.X("budget:Q", title="budget (EUR)")
    y = alt.Y("value:Q", title="value of all users (EUR)", scale=alt.Scale(zero=False))
    line = (
        alt.Chart(knots)
        .mark_line(color=blue, strokeWidth=2, point=alt.OverlayMarkDef(color=blue, size=22))
        .encode(x=x, y=y)
    )
    dots = alt.Chart(decided).mark_point(color=ORANGE, size=26, strokeWidth=1.4).encode(x=x, y=y)
    budget = alt.Chart(pd.DataFrame({"x": [BUDGET]})).mark_rule(color=ORANGE, strokeWidth=1.6).encode(x="x:Q")
    title = _titled("The frontier of these users", "circles: decisions, at most one step below", ink)
    return alt.layer(budget, line, dots, title=title).properties(width=WIDE, height=HEIGHT)


def gradient_picture(theme: str) -> alt.ConcatChart:
    """The goal as one arm's scores rise for all users of a batch, and its slope by every estimator."""
    ink, blue = charts.THEMES[theme]["ink"], LIGHT_BLUE if theme == "dark" else BLUE
    score, worth = _scored()
    shifts = np.linspace(-2.5, 2.5, 501)
    raised = [score.index_add(1, torch.tensor([ARM]), torch.full((BATCH, 1), s, dtype=score.dtype)) for s in shifts]
    smooth = [float((torch.softmax(s / WIDTH, dim=1) * worth).sum(dim=1).mean()) for s in raised]
    steps = [float(goal(s, worth)) for s in raised]
    worths = pd.concat(
        [
            pd.DataFrame({"shift": shifts, "y": steps, "what": "decided: it moves in jumps"}),
            pd.DataFrame({"shift": shifts, "y": smooth, "what": "softmax: smooth"}),
        ]
    )
    frame = pd.concat(
        pd.DataFrame({"shift": shifts[::5], "what": name, "y": [_slope(name, s, worth) for s in raised[::5]]})
        for name in ESTIMATORS
    )
    names = ["softmax", "nes", "finite_difference", "improved_fd"]
    left = _lines(worths, list(worths["what"].unique()), [ORANGE, blue], "worth by the log (EUR a user)", ink)
    right = _lines(frame, names, [blue, ORANGE, GREEN, PINK], "slope of the goal (EUR a user per EUR)", ink)
    left = left.properties(
        title=_titled(
            "What decisions are worth",
            f"{BATCH} users, the score of '4 EUR' raised for all",
            ink,
        )
    )
    right = right.properties(
        title=_titled("Its slope, by four estimators", "each smoothing as much as softmax does", ink)
    )
    return charts.themed(
        alt.concat(left, right, spacing=BETWEEN, bounds="flush").resolve_scale(color="independent"), theme
    )


def _predicted() -> tuple[Campaign, Response]:
    """The held-out half of a small log, and what a model of the other half predicts for it."""
    train, held_out = synthetic.simulate(6_000, seed=0).campaign.split(0.5, seed=0)
    model = SLearner().fit(train.X, train.value, treatment=train.treatment, cost=train.cost, arms=train.arms)
    return held_out, model.predict(held_out.X)


def _scored() -> tuple[torch.Tensor, torch.Tensor]:
    """Predicted scores of a batch and what each decision is worth by the log, at the price of a budget."""
    batch, predicted = _predicted()
    scores = scores_of(batch, OutcomeModels.fit(batch, SLearner(), 0).expected)
    price = float(solve(Problem(predicted.value, predicted.cost, 0.5 * len(batch))).price)
    rows = slice(0, BATCH)
    score = predicted.value[rows] - price * predicted.cost[rows]
    worth = scores.value[rows] - price * scores.cost[rows]
    return torch.as_tensor(score, dtype=torch.float64), torch.as_tensor(worth, dtype=torch.float64)


def _slope(name: str, score: torch.Tensor, worth: torch.Tensor) -> float:
    """The change of the smoothed goal as the arm's score is raised for all users alike."""
    estimate = ESTIMATORS[name]
    width = WIDTH * ESTIMATORS["softmax"].gap_noise / estimate.gap_noise
    options = {"pairs": 2_000} if name == "nes" else {}
    return float(estimate(score, worth, width, torch.Generator().manual_seed(0), **options)[:, ARM].sum())


def _lines(frame: pd.DataFrame, names: list[str], colours: list[str], y: str, ink: str) -> alt.Chart:
    legend = alt.Legend(title=None, orient="bottom", columns=2, labelColor=ink, labelFontSize=11, labelLimit=260)
    return (
        alt.Chart(frame)
        .mark_line(strokeWidth=1.8)
        .encode(
            x=alt.X("shift:Q", title="score of the arm raised by (EUR)"),
            y=alt.Y("y:Q", title=y, scale=alt.Scale(zero=False)),
            color=alt.Color("what:N", scale=alt.Scale(domain=names, range=colours), legend=legend),
        )
        .properties(width=WIDE, height=HEIGHT)
    )


def main() -> None:
    for theme in charts.THEMES:
        for name, picture in (("frontier", frontier_picture), ("gradient", gradient_picture)):
            (HERE / f"how-{name}-{theme}.png").write_bytes(charts.png(picture(theme), scale=1.6))


if __name__ == "__main__":
    main()
