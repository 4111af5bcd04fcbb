"""`earmark simulate`: users whose true response is known, as files to try everything else on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from allocation.cli.plumbing import Progress, one_message, printed


def simulate(
    what: Annotated[
        str,
        typer.Option(
            help="log: features, arm, value and cost of a past campaign, for `earmark fit`. responses: the expected "
            "value and cost of every arm, for a plan's responses. features: what is known before the campaign.",
            metavar="NAME",
        ),
    ] = "log",
    users: Annotated[int, typer.Option(min=1, help="How many users.", metavar="NUMBER")] = 100_000,
    regime: Annotated[
        str,
        typer.Option(
            help="The world: simulate, well_specified, small_student, scarce, heavy_tail, or null, where nothing "
            "has an effect.",
            metavar="NAME",
        ),
    ] = "simulate",
    seed: Annotated[
        int,
        typer.Option(
            min=0,
            help="Same seed, same users, whatever is written of them; a longer simulation begins with them.",
            metavar="NUMBER",
        ),
    ] = 0,
    float32: Annotated[bool, typer.Option("--float32", help="Amounts in single precision, half the bytes.")] = False,
    part_rows: Annotated[int, typer.Option(min=1, help="Users in each part.", metavar="NUMBER")] = 1_000_000,
    out: Annotated[
        Path, typer.Option(help="Folder for the Parquet parts, with manifest.json.", metavar="FOLDER")
    ] = Path("earmark-simulated"),
    json: Annotated[bool, typer.Option("--json", help="Print the manifest as JSON instead of sentences.")] = False,
) -> None:
    """Simulate users into a folder of Parquet parts, in bounded memory however many they are."""
    with one_message(), Progress() as progress:
        from allocation.jobs.simulate_job import SimulatePlan, run_simulation
        from allocation.jobs.simulated_tables import Simulated
        from uplift.files import expanded

        plan = SimulatePlan(Simulated(what, users, regime, seed, float32), part_rows)
        out = expanded(out).resolve()
        manifest = run_simulation(plan, out, progress.step)
    with printed(out):
        if json:
            from allocation.jobs.manifest import text

            typer.echo(text(manifest), nl=False)
        else:
            from allocation.jobs.simulate_terminal import told

            typer.echo(told(plan, manifest, out))
