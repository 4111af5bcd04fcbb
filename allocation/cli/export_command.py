"""`earmark export`: decisions as a CSV file that a spreadsheet opens without executing anything."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from allocation.cli.plumbing import Progress, one_message, printed


def export(
    folder: Annotated[Path, typer.Argument(help="Folder that `earmark decide --out FOLDER` wrote.", metavar="DIR")],
    file: Annotated[Path, typer.Argument(help="CSV file to write.", metavar="FILE.csv")],
    arm: Annotated[
        list[str] | None,
        typer.Option("--arm", help="Only users who get this arm; may be given more than once.", metavar="NAME"),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print what was written as JSON.")] = False,
) -> None:
    """Write decisions to a CSV file; text that begins like a formula gets an apostrophe in front."""
    with one_message(), Progress() as progress:
        from allocation.jobs.batch.export import export_decisions
        from allocation.jobs.paced import Paced

        progress.step(f"exporting {folder}")
        paced = Paced(progress.step)
        done = export_decisions(folder, file, arm or (), force=force, progress=paced.step)
    with printed(file):
        if json:
            from allocation.jobs.manifest import text

            told = {"file": str(done.file), "users": done.rows, "escaped": done.escaped}
            typer.echo(text(told), nl=False)
        else:
            typer.echo(f"{done.rows:,} decisions in {done.file}")
            if done.escaped:
                typer.echo(f"{done.escaped:,} cells begin like a formula and got an apostrophe in front")
