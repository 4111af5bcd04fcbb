"""A frontier on the terminal: a row a budget with a bar of who gets what, and where money stops buying anything."""

from __future__ import annotations

import math
import string
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from allocation.jobs.batch.decide_words import price_words
from allocation.jobs.batch.frontier_job import FrontierResult
from allocation.jobs.manifest import plain
from allocation.jobs.numbers import amount, decimals, number
from uplift.words import counted

CELLS = 20  # letters of a bar
FEW = 8  # arms that are all explained
LETTERS = "." + string.ascii_lowercase + string.ascii_uppercase
OTHER = "+"  # of arms beyond the letters
HUES = ("dim", "cyan", "yellow", "green", "magenta", "blue", "red")


def print_frontier(result: FrontierResult, folder: Path | None, console: Console | None = None) -> None:
    """Print the frontier, to stdout unless another console is given; names are printed as they are, not as markup."""
    console = console or Console(highlight=False, markup=False)
    plan, n = result.plan, result.frontier.n_users
    console.print()
    unit = f", money in {plan.currency}" if plan.currency else ""
    head = f": what a budget buys for {counted(n, 'user')}, {counted(len(result.arms), 'arm')}{unit}\n"
    console.print(Text(plan.name, style="bold").append(head, style="not bold"))
    console.print(_table(result))
    console.print()
    console.print(_legend(result))
    for sentence in sentences(result):
        console.print(Text(f"- {sentence}"))
    if folder is not None:
        console.print(Text(f"Table and charts: {folder} (frontier.parquet, frontier-light.png)"), soft_wrap=True)


def frontier_json(result: FrontierResult) -> dict[str, Any]:
    """The frontier as JSON values; what there is not below the cheapest decision is null."""
    columns = result.columns()
    rows = [
        {
            **{name: plain(columns[name][k]) for name in ("budget", "value", "gain", "price")},
            "share": {arm: plain(columns[f"share.{arm}"][k]) for arm in result.arms},
        }
        for k in range(len(result.budgets))
    ]
    return {
        "name": result.plan.name,
        "users": result.frontier.n_users,
        "arms": list(result.arms),
        "currency": result.plan.currency,
        "plan_budget": result.plan.budget,
        "cheapest": result.starts,
        "all_bought": result.ends,
        "limits_not_looked_at": [limit.name for limit in result.plan.limits],
        "budgets": rows,
    }


def sentences(result: FrontierResult) -> list[str]:
    """What the table does not say: where money ends, what the plan's budget would buy, what is not in it."""
    plan, told = result.plan, []
    if result.starts > 0:
        told.append(
            f"The cheapest decision costs {amount(result.starts, plan.currency)}: no budget below can be kept."
        )
    told.append(f"From {amount(result.ends, plan.currency)} on money buys nothing more.")
    if plan.budget is not None:
        price = result.frontier.at(plan.budget)[1]
        if math.isfinite(price):
            told.append(f"At the plan's budget (>) {price_words(price, plan.currency)}.")
    if plan.limits:
        told.append(
            f"Limits of the plan that are not looked at: {len(plan.limits):,}. Within them a budget buys less; "
            "`earmark decide --dry-run` shows what."
        )
    told.append(
        "Value is promised, a sum of predictions over these very users: not verified, without an interval. `earmark "
        "evaluate` verifies at several budgets."
    )
    return told


def bar(shares: Sequence[float], cells: int = CELLS) -> str:
    """The shares of the arms as letters, as near as so many cells can show them."""
    if not np.isfinite(shares).all():
        return ""
    exact = np.asarray(shares) * cells
    whole = np.floor(exact + 1e-9).astype(int)
    for j in np.argsort(-(exact - whole), kind="stable")[: cells - int(whole.sum())]:
        whole[j] += 1
    return "".join(letter(j) * count for j, count in enumerate(whole))


def letter(arm: int) -> str:
    """What stands for an arm in a bar."""
    return LETTERS[arm] if arm < len(LETTERS) else OTHER


def _table(result: FrontierResult) -> Table:
    columns = result.columns()
    places = {name: _places(columns[name]) for name in ("budget", "value", "gain", "price")}
    grid = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    grid.add_column("", no_wrap=True)
    for name in places:
        grid.add_column(name, justify="right", no_wrap=True)
    grid.add_column("who gets what", no_wrap=True)
    for k, budget in enumerate(result.budgets):
        own = budget == result.plan.budget
        cells = [
            Text(number(float(columns[name][k]), n) if np.isfinite(columns[name][k]) else "–")
            for name, n in places.items()
        ]
        mix = bar([columns[f"share.{arm}"][k] for arm in result.arms])
        grid.add_row(">" if own else "", *cells, _coloured(mix), style="bold" if own else "")
    return grid


def _places(amounts: np.ndarray[Any, Any]) -> int:
    """Decimal places that show the digits of the middle of the amounts, and no more than their largest needs."""
    finite = np.abs(amounts[np.isfinite(amounts)])
    places = decimals(float(finite.max())) if len(finite) else 0
    return max(places, 2) if places > 0 else places


def _coloured(mix: str) -> Text:
    text = Text()
    for sign in mix:
        at = LETTERS.find(sign)
        text.append(sign, style=HUES[at % len(HUES)] if at >= 0 else "")
    return text


def _legend(result: FrontierResult) -> Text:
    """What the letters are; of many arms those alone that stand in a bar."""
    columns, arms = result.columns(), result.arms
    seen = {sign for k in range(len(result.budgets)) for sign in bar([columns[f"share.{arm}"][k] for arm in arms])}
    text = Text(f"a letter is {100 / CELLS:g}% of the users:")
    for j, arm in enumerate(arms[: len(LETTERS)]):
        if len(arms) <= FEW or letter(j) in seen:
            text.append(f"   {letter(j)}", style=HUES[j % len(HUES)]).append(f" {arm}")
    return text.append(f"   {OTHER} any other arm") if OTHER in seen else text
