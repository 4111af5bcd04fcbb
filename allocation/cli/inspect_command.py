"""`earmark inspect`: whether decisions are what their manifest says, from the files alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from allocation.cli.plumbing import Progress, fail, one_message, printed


def inspect(
    folder: Annotated[Path, typer.Argument(help="Folder that `earmark decide --out FOLDER` wrote.", metavar="DIR")],
    responses: Annotated[
        str | None,
        typer.Option(
            help="The response table that was decided from: every decision is then also held against its user's row, "
            "and limits on some users or on a resource are checked too.",
            metavar="PATH",
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the checks as JSON instead of a table.")] = False,
) -> None:
    """Check a folder of decisions: checksums, totals, the budget and limits, exactly; exit code 1 if one is wrong."""
    with one_message(), Progress() as progress:
        from allocation.jobs.batch.inspect import inspect_decisions

        found = inspect_decisions(folder, responses, progress.step)
    from allocation.jobs.batch.inspect_terminal import inspection_json, print_inspection, problem_text

    with printed(folder):
        if json:
            from allocation.jobs.manifest import text

            typer.echo(text(inspection_json(found)), nl=False)
        elif not found.problems:
            print_inspection(found)
    if found.problems:
        fail(problem_text(found))
