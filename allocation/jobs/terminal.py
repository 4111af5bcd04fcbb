"""The result on the terminal: the report's own table, in one line a row where it fits and in two where not."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from allocation.jobs import table
from allocation.jobs.numbers import Cell
from allocation.jobs.summary import CHALLENGER, Summary


def print_result(run: Summary, report: Path, console: Console | None = None) -> None:
    """Print the table, the verdict and where the report lies, to stdout unless another console is given.

    Names come from the user's log, so they are printed as they are, never read as markup.
    """
    console = console or Console(highlight=False, markup=False)
    unit = f", money in {run.currency}" if run.currency else ""
    console.print()
    console.print(
        Text(run.name, style="bold").append(
            f": per user of {run.users:,} held-out users; value is {run.value_name}{unit}; "
            "brackets are 95% intervals\n",
            style="not bold",
        )
    )
    screen = console.width
    grid = result_table(run, wide=True)
    if _width(console, grid) > screen:
        grid = result_table(run, wide=False)
    needed = _width(console, grid)
    # Digits are never cut off: a table wider than the screen is printed as wide as it is.
    console.width = max(screen, needed)
    console.print(grid)
    console.width = screen
    console.print()
    for sentence in table.verdict(run):
        console.print(Text(f"- {sentence}"))
    console.print(
        "\npromised: predicted by the model that chose. verified: estimated on held-out users, from those who by "
        "chance received the arm decided for them and a model for the rest (doubly robust). best baseline: the rule "
        "of thumb with the highest verified value at that budget, of those with 30 effective users or more."
    )
    console.print(Text(f"Full report: {report}"), soft_wrap=True)


def _width(console: Console, grid: Table) -> int:
    """Columns that the table takes when nothing is cut off."""
    return Measurement.get(console, console.options.update(max_width=10_000), grid).maximum


def result_table(run: Summary, *, wide: bool) -> Table:
    """Policy, budget, promised, verified value, verified spend, difference to the best baseline."""
    grid = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    grid.add_column("policy", no_wrap=True)
    grid.add_column("budget", justify="right", no_wrap=True, min_width=6)
    for name in ("promised\nvalue", "verified\nvalue", "verified\nspend", "difference to\nbest baseline"):
        grid.add_column(name, justify="right", no_wrap=True)
    last = None
    for row in table.rows(run):
        if last is not None and row.per_user != last:
            grid.add_row()
        last = row.per_user
        style = "bold" if row.policy == CHALLENGER else ""
        grid.add_row(
            Text(row.policy, style=style),
            row.budget,
            row.promised,
            _cell(row.verified, wide, style),
            _cell(row.spend, wide, ""),
            _cell(row.difference, wide, _colour(row)),
        )
    return grid


def _cell(cell: Cell, wide: bool, style: str) -> Text:
    text = Text(cell.estimate, style=style)
    if cell.interval:
        text.append((" " if wide else "\n") + cell.interval, style="dim not bold")
    return text


def _colour(row: table.Row) -> str:
    return {1: "green", -1: "red", 0: ""}[row.clear]
