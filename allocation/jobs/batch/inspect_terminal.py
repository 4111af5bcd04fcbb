"""An inspection for the reader: a table of checks, one message of what is wrong, JSON for machines."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from allocation.jobs.batch.inspect import Check, Inspection
from uplift.words import counted

SHOWN = 5  # problems in the message
MARKS = {True: ("ok", "green"), False: ("WRONG", "bold red"), None: ("not checked", "yellow")}


def print_inspection(found: Inspection, console: Console | None = None) -> None:
    """Print what was checked, to stdout unless another console is given; names are printed as they are."""
    console = console or Console(highlight=False, markup=False)
    published = found.published
    unit = f", money in {published.currency}" if published.currency else ""
    console.print()
    console.print(
        Text(published.name, style="bold").append(
            f": decisions for {counted(published.rows, 'user')}, run {published.run[:12]}{unit}\n", style="not bold"
        )
    )
    grid = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    grid.add_column("check", overflow="fold", ratio=3)
    grid.add_column("manifest", justify="right", overflow="fold")
    grid.add_column("files", justify="right", overflow="fold")
    grid.add_column("", no_wrap=True)
    for check in found.checks:
        mark, style = MARKS[check.ok]
        grid.add_row(Text(check.name), Text(check.said), Text(check.found), Text(mark, style=style))
    console.print(grid)
    console.print()
    for sentence in _sentences(found):
        console.print(Text(f"- {sentence}"))


def problem_text(found: Inspection) -> str:
    """One message of what is wrong, the first few problems by name."""
    more = len(found.problems) - SHOWN
    first = "; ".join(found.problems[:SHOWN]) + (f"; and {more:,} more" if more > 0 else "")
    return f"{found.place} is not what its manifest says: {first}. Run `earmark decide` again, or restore the folder"


def inspection_json(found: Inspection) -> dict[str, Any]:
    """The inspection as JSON values; `ok` of a check is null where the files alone cannot say."""
    published = found.published
    return {
        "ok": not found.problems,
        "run": published.run,
        "users": published.rows,
        "checks": [_entry(check) for check in found.checks],
        "problems": list(found.problems),
    }


def _entry(check: Check) -> dict[str, Any]:
    return {"check": check.name, "manifest": check.said, "files": check.found, "ok": check.ok}


def _sentences(found: Inspection) -> list[str]:
    unchecked = sum(check.ok is None for check in found.checks)
    told = ["Sums are exact: fractions, no rounding. Every file was read."]
    if unchecked:
        told.append(
            f"{unchecked} of the limits cannot be checked from the files alone: they are about some users, or a "
            "resource. `--responses PATH`, the table that was decided from, has them checked."
        )
    return told
