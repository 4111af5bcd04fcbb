"""`earmark decide`: a decision for every user of a plan's table, written whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from allocation.cli.nightly import Engine, Features, Master, Model, Responses, Stderr
from allocation.cli.plumbing import printed
from allocation.cli.watching import Log, watched

if TYPE_CHECKING:
    from allocation.jobs.batch.decide_plan import DecideResult


def decide(
    plan: Annotated[
        Path,
        typer.Argument(
            help="TOML file: what to decide from, the budget, the limits; see above.", metavar="PLAN.toml"
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            help="Folder for the decisions, part-00000.parquet and so on, and manifest.json. Decisions that it holds "
            "are replaced in one step once all the new ones are written.",
            metavar="FOLDER",
        ),
    ] = Path("earmark-decisions"),
    responses: Responses = None,
    model: Model = None,
    features: Features = None,
    budget: Annotated[
        float | None, typer.Option(help="Money for all users together instead of the plan's.", metavar="NUMBER")
    ] = None,
    spent: Annotated[
        str | None,
        typer.Option(
            help="Users who were served already: .parquet or .csv with user_id, arm and cost (money that was spent; "
            "value and resource.NAME where limits measure them). They are left out, and what they used is taken off "
            "the budget and the limits.",
            metavar="FILE",
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Write nothing: show what would be decided, and what would change against the decisions in --out.",
        ),
    ] = False,
    engine: Annotated[
        Engine,
        typer.Option(
            help="local: this machine, in bounded memory. spark: the same passes and the same bytes on a cluster."
        ),
    ] = Engine.local,
    master: Master = None,
    partitions: Annotated[
        int | None,
        typer.Option(min=1, help="Spark's tasks a pass. [default: four a core]", metavar="NUMBER"),
    ] = None,
    log: Stderr = Log.text,
    json: Annotated[
        bool, typer.Option("--json", help="Print the manifest as JSON instead of tables (--dry-run: and changes).")
    ] = False,
) -> None:
    """Decide for every user of a plan's table, within its budget and limits, in bounded memory.

    The decisions appear in one step, or not at all: a run that is killed or fails leaves the earlier ones as they
    were, and the same command, run again, decides anew and keeps the parts that are whole. The same plan, table and
    version give the same bytes.

    A plan, with paths relative to its own folder:

    \b
        [plan]
        name = "spring"
        responses = "responses/"       # or: model = ..., features = ...
        budget = 100_000               # left out: only the limits bind
        currency = "EUR"
    \b
        [[limit]]                      # as many as you like
        name = "few big coupons"
        arms = ["8 EUR"]               # default: every arm but control
        where = { segment = "head" }   # default: everybody
        measure = "users"              # or cost, value, a resource
        max = "20%"                    # a number, or a share; or min
    """
    with watched(log) as seen:
        from allocation.jobs.batch.decide_job import Watch, run_decide
        from allocation.jobs.batch.decide_plan import decide_task
        from allocation.jobs.batch.decide_words import totals
        from allocation.jobs.batch.given import given_plan

        decided = given_plan(plan, responses=responses, model=model, features=features, budget=budget)
        task = decide_task(
            decided, out, spent=spent, dry_run=dry_run, engine=engine.value, master=master, partitions=partitions
        )
        result = run_decide(task, Watch(seen.step, seen.users, seen.run))
        seen.done(totals(result))
    with printed("no file" if dry_run else out):
        _show(result, as_json=json)


def _show(result: DecideResult, *, as_json: bool) -> None:
    """The manifest as JSON, or tables and sentences."""
    if not as_json:
        from allocation.jobs.batch.decide_terminal import print_decisions

        print_decisions(result)
        return
    from allocation.jobs.batch.decide_words import dry_entry
    from allocation.jobs.manifest import text

    typer.echo(text(dry_entry(result) if result.task.dry_run else result.manifest), nl=False)
