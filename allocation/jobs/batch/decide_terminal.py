"""A nightly run on the terminal: who gets what, what it is worth and costs, what binds, and what to do next."""

from __future__ import annotations

import shlex
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from allocation.jobs.batch.decide_plan import DecideResult
from allocation.jobs.batch.decide_words import (
    change_sentences,
    flows,
    gap_words,
    limit_price,
    percent,
    price_words,
    sentences,
)
from allocation.jobs.numbers import WIDEST, amount
from uplift.words import counted

BAR = 24  # columns of a bar
NARROW = 60  # columns below which there is no bar


def print_decisions(result: DecideResult, console: Console | None = None) -> None:
    """Print what was decided and where it lies, to stdout unless another console is given.

    Names come from the user's files, so they are printed as they are, never read as markup.
    """
    console = console or Console(highlight=False, markup=False)
    plan, solved = result.task.plan, result.solved
    console.print()
    what = "dry run" if result.task.dry_run else "decisions"
    head = f": {what} for {counted(solved.n_users, 'user')} in {result.seconds:.1f} s, run {result.run_id[:12]}\n"
    console.print(Text(plan.name, style="bold").append(head, style="not bold"))
    console.print(_arms(result.manifest["arm_users"], solved.n_users, bar=console.width >= NARROW))
    console.print()
    console.print(_amounts(result))
    console.print()
    if plan.limits:
        console.print(_limits(result))
        console.print()
    for sentence in sentences(result):
        console.print(Text(f"- {sentence}"))
    if result.task.dry_run:
        _print_changes(result, console)
        return
    parts = counted(len(result.manifest["parts"]), "part")
    console.print(Text(f"Decisions: {result.task.out} ({parts}, manifest.json)"), soft_wrap=True)
    console.print(Text(f"Check them: earmark inspect {shlex.quote(str(result.task.out))}"), soft_wrap=True)


def _print_changes(result: DecideResult, console: Console) -> None:
    for sentence in change_sentences(result.changes, str(result.task.out)):
        console.print(Text(f"- {sentence}"))
    if result.changes is not None and (moves := flows(result.changes)):
        grid = _grid()
        for name in ("from", "to"):
            grid.add_column(name, overflow="fold")
        grid.add_column("users", justify="right", no_wrap=True)
        for before, now, users in moves:
            grid.add_row(Text(before), Text(now), f"{users:,}")
        console.print()
        console.print(grid)
        console.print()
    console.print(Text("Nothing was written (--dry-run)."))


def _grid() -> Table:
    return Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")


def _arms(users: dict[str, int], n: int, *, bar: bool) -> Table:
    grid = _grid()
    grid.add_column("arm", overflow="fold")
    grid.add_column("users", justify="right", no_wrap=True)
    grid.add_column("share", justify="right", no_wrap=True)
    if bar:
        grid.add_column("", no_wrap=True)
    most = max(users.values(), default=0)
    for arm, count in users.items():
        bars = [Text(bar_of(count, most), style="cyan")] if bar else []
        grid.add_row(Text(arm), f"{count:,}", share_text(count, n), *bars)
    return grid


def share_text(count: float, n: int) -> str:
    """A share of the users in percent; what is there is never shown as nothing."""
    share = 100 * count / n if n else 0.0
    return "<0.1%" if 0 < share < 0.05 else f"{share:.1f}%"


def bar_of(count: float, most: float) -> str:
    """A bar as long as the count is beside the most; anybody at all has a mark."""
    return "█" * max(round(BAR * count / most), 1) if count > 0 else ""


def _amounts(result: DecideResult) -> Table:
    plan, solved, budget = result.task.plan, result.solved, result.manifest["budget"]
    grid = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_header=False)
    grid.add_column(no_wrap=True)
    grid.add_column(justify="right", no_wrap=True)
    grid.add_column(overflow="fold")
    gain = f"{amount(solved.gain, '')} above everybody on control"
    spend = "no budget" if budget is None else f"of a budget of {amount(budget, plan.currency)}"
    grid.add_row("promised value", amount(solved.value, ""), gain)
    grid.add_row("spend", amount(solved.cost, ""), spend)
    if budget is not None:
        grid.add_row("price", amount(solved.price, ""), price_words(solved.price, plan.currency))
    grid.add_row("gap", percent(solved.gap), gap_words(result))
    return grid


def _limits(result: DecideResult) -> Table:
    grid = _grid()
    grid.add_column("limit", overflow="fold", ratio=1)
    for name in ("of", "used", "min", "max", "price"):
        grid.add_column(name, justify="left" if name == "of" else "right", no_wrap=True)
    grid.add_column("", no_wrap=True)
    for limit in result.manifest["limits"]:
        bounds = [_number(limit[side]) for side in ("used", "min", "max")]
        price = limit_price(limit["price"])
        binding = f"at its {limit['binding']}" if limit["binding"] else ""
        grid.add_row(Text(limit["name"]), Text(limit["measure"]), *bounds, price, Text(binding, style="bold"))
    return grid


def _number(x: Any) -> str:
    if x is None:
        return ""
    return f"{x:,.0f}" if float(x).is_integer() and abs(x) < WIDEST else amount(x, "")
