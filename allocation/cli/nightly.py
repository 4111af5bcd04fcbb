"""The options that the commands on a plan share: what else it reads from, and what stands on stderr."""

from __future__ import annotations

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
