"""`earmark predict`: a response table from a saved policy and a table of features."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from allocation.cli.plumbing import Progress, one_message, printed, split_names


def predict(
    model: Annotated[str, typer.Option(help="Folder that `earmark fit` wrote.", metavar="FOLDER")],
    data: Annotated[
        str,
        typer.Option(
            help="The users: user_id and the policy's features by name. A Parquet file, a folder of them, a glob or "
            "a URL such as s3://bucket/features/.",
            metavar="PATH",
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the response table, with manifest.json.", metavar="FOLDER")],
    attributes: Annotated[
        str | None,
        typer.Option(
            help="Columns of --data to keep for the limits of a plan, with commas between.", metavar="COLUMNS"
        ),
    ] = None,
    resources: Annotated[
        str | None,
        typer.Option(
            help="Resources of --data, columns resource.NAME.ARM, to keep for the limits of a plan, with commas "
            "between.",
            metavar="NAMES",
        ),
    ] = None,
    part_rows: Annotated[int, typer.Option(min=1, help="Users of a file.", metavar="NUMBER")] = 1_000_000,
    json: Annotated[bool, typer.Option("--json", help="Print the manifest as JSON instead of a sentence.")] = False,
) -> None:
    """Predict value and cost of every arm for every user, for `earmark decide`.

    Users are read and predicted block by block, however many there are. An earlier prediction in the folder is
    replaced once the new one is whole.
    """
    with one_message(), Progress() as progress:
        from allocation.jobs.apart import check_apart
        from allocation.jobs.predict_job import PredictPlan, run_predict

        check_apart(out, {"model": model, "data": data})
        kept = [tuple(split_names(names) or ()) for names in (resources, attributes)]
        plan = PredictPlan(model, data, resources=kept[0], attributes=kept[1], part_rows=part_rows)
        result = run_predict(plan, out, progress.step)
    with printed(result.folder):
        if json:
            from allocation.jobs.summary import MANIFEST

            typer.echo((result.folder / MANIFEST).read_text(encoding="utf-8"), nl=False)
        else:
            files = "1 file" if result.parts == 1 else f"{result.parts:,} files"
            typer.echo(f"{result.users:,} users x {len(result.arms)} arms in {files}: {result.folder}")
