"""`earmark frontier`: what every budget would buy, in one pass over the users."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from allocation.cli.nightly import Features, Model, Responses, Stderr
from allocation.cli.plumbing import number_list, printed
from allocation.cli.watching import Log, watched


def frontier(
    plan: Annotated[
        str,
        typer.Argument(
            help="TOML file of a plan, or the path of a response table (a Parquet file, a folder, a glob, a URL).",
            metavar="PLAN.toml|RESPONSES",
        ),
    ],
    budgets: Annotated[
        str | None,
        typer.Option(
            help="Money for all users together, with commas between. [default: ten budgets, of which each buys "
            "another tenth of what money can buy]",
            metavar="NUMBERS",
        ),
    ] = None,
    responses: Responses = None,
    model: Model = None,
    features: Features = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for frontier.parquet, charts (PNG and SVG, light and dark) and manifest.json. [default: "
            "nothing is written]",
            metavar="FOLDER",
        ),
    ] = None,
    log: Stderr = Log.text,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of the table.")] = False,
) -> None:
    """Show what every budget buys: value, gain above control, price and who gets what, in one pass.

    It is the best that the predictions allow, limits of a plan not looked at.
    """
    with watched(log) as seen:
        from allocation.jobs.batch.decide_job import Watch
        from allocation.jobs.batch.frontier_job import frontier_plan, run_frontier

        folder = None
        asked = frontier_plan(plan, responses=responses, model=model, features=features)
        if out is not None:
            from allocation.jobs.apart import check_apart
            from allocation.jobs.batch.frontier_output import check_folder

            check_apart(out, asked.places)
            folder = check_folder(out)
        amounts = number_list(budgets, "budgets")
        result = run_frontier(asked, amounts, Watch(seen.step, seen.users, seen.run), fingerprint=folder is not None)
        if folder is not None:
            from allocation.jobs.batch.frontier_output import write_frontier

            seen.step(f"writing {folder}")
            write_frontier(result, folder)
        from allocation.jobs.batch.frontier_terminal import frontier_json

        found = frontier_json(result)
        seen.done(found)
    with printed(folder or "no file"):
        if json:
            from allocation.jobs.manifest import text

            typer.echo(text(found), nl=False)
        else:
            from allocation.jobs.batch.frontier_terminal import print_frontier

            print_frontier(result, folder)
