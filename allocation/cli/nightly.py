"""Options that several commands share: what else a plan reads from, what stands on stderr, and where a job runs."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from allocation.cli.watching import Log

Responses = Annotated[
    str | None,
    typer.Option(
        help="Response table to read instead of the plan's: a Parquet file, a folder, a glob or a URL.",
        metavar="PATH",
    ),
]
Model = Annotated[
    str | None,
    typer.Option(help="Policy to predict with instead: a folder that `earmark fit` wrote.", metavar="FOLDER"),
]
Features = Annotated[
    str | None, typer.Option(help="Table of features to predict from instead of the plan's.", metavar="PATH")
]
Stderr = Annotated[
    Log,
    typer.Option(
        help="What stands on stderr: text to read, or json, one object a line (time, level, event, run, what, done, "
        "of, seconds) and nothing else."
    ),
]
Master = Annotated[
    str | None,
    typer.Option(help="Spark's master, such as local[2]. [default: as Spark is configured]", metavar="URL"),
]


class Engine(StrEnum):
    """Where a job runs."""

    local = "local"
    spark = "spark"
