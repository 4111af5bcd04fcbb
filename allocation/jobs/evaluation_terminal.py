"""The evaluation on the terminal: a block a budget, in one line a policy where it fits and in two where not."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from allocation.jobs.evaluation_job import EvaluationResult
from allocation.jobs.evaluation_table import Row, rows
from allocation.jobs.evaluation_text import ESTIMATORS, findings, how_sure
from allocation.jobs.numbers import Cell


def print_evaluation(result: EvaluationResult, folder: Path, console: Console | None = None) -> None:
    """Print the table, what it says and where the report lies, to stdout unless another console is given.

    Names come from the user's log, so they are printed as they are, never read as markup.
    """
    console = console or Console(highlight=False, markup=False)
    console.print()
    console.print(Text(result.source.name, style="bold").append(f": {_about(result)}\n", style="not bold"))
    for warning in result.warnings:
        console.print(Text(f"! {warning}\n"))
    screen = console.width
    grid = _table(result, wide=True)
    if _width(console, grid) > screen:
        grid = _table(result, wide=False)
    # Digits are never cut off: a table wider than the screen is printed as wide as it is.
    console.width = max(screen, _width(console, grid))
    console.print(grid)
    console.width = screen
    console.print()
    for sentence in [*findings(result)[len(result.warnings) :], *how_sure(result)]:
        console.print(Text(f"- {sentence}"))
    console.print(Text(f"\n{legend(result)}"))
    console.print(Text(f"Full report: {folder / 'report.html'}, table: {folder / 'evaluation.csv'}"), soft_wrap=True)


def legend(result: EvaluationResult) -> str:
    """What the columns are."""
    estimator = result.plan.estimator
    size, counted = ("size", "users") if result.source.cluster is None else ("clusters", "clusters of users")
    return (
        "promised: predicted by the policy itself. verified: estimated on held-out users, of whom those count who by "
        f"chance received the arm decided for them; {estimator}: {ESTIMATORS[estimator]}. effective {size}: how many "
        f"{counted} of equal weight would know as much."
    )


def _about(result: EvaluationResult) -> str:
    unit = f", money in {result.source.currency}" if result.source.currency else ""
    return (
        f"per user of {result.users:,} held-out users; value is {result.source.value_name}{unit}; "
        f"estimator {result.plan.estimator}; brackets are {100 * result.plan.level:g}% intervals"
    )


def _width(console: Console, grid: Table) -> int:
    """Columns that the table takes when nothing is cut off."""
    return Measurement.get(console, console.options.update(max_width=10_000), grid).maximum


def _table(result: EvaluationResult, *, wide: bool) -> Table:
    """A block a budget: policy, promised, verified value, verified spend, difference, effective size."""
    grid = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    grid.add_column("policy" if wide else "policy\n promised value", no_wrap=wide, max_width=None if wide else 26)
    size = "size" if result.source.cluster is None else "clusters"
    names = ["verified\nvalue", "verified\nspend", "difference to\nreference", f"effective\n{size}"]
    for name in ["promised\nvalue", *names] if wide else names:
        grid.add_column(name, justify="right", no_wrap=True)
    last = None
    for row in rows(result):
        if row.per_user != last:
            if last is not None:
                grid.add_row()
            grid.add_row(Text(f"budget {row.budget}", style="bold"))
        last = row.per_user
        grid.add_row(*_cells(row, wide))
    return grid


def _cells(row: Row, wide: bool) -> list[Text]:
    policy = Text(row.policy) if wide else Text(row.policy).append(f"\n {row.promised}", style="dim")
    colour = {1: "green", -1: "red", 0: ""}[row.clear]
    estimates = [_cell(row.verified, wide), _cell(row.spend, wide), _cell(row.difference, wide, colour)]
    return [policy, *([Text(row.promised)] if wide else []), *estimates, Text(row.effective)]


def _cell(cell: Cell, wide: bool, style: str = "") -> Text:
    text = Text(cell.estimate, style=style)
    if cell.interval:
        text.append((" " if wide else "\n") + cell.interval, style="dim not bold")
    return text
