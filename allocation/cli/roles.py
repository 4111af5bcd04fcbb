"""The options that say what the log is, the same for every command that reads one."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from allocation.cli.plumbing import pairs_or_name, split_names

Data = Annotated[
    str,
    typer.Option(
        help="thornton_hiv, hillstrom, simulated, or the path of your own .parquet or .csv log.", metavar="NAME|FILE"
    ),
]
Users = Annotated[
    int | None,
    typer.Option(
        help="Use a random sample of this many users [default: all]; for simulated: how many to make [20,000].",
        metavar="NUMBER",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the manifest as JSON instead of the table.")]
Treatment = Annotated[
    str | None, typer.Option(help="Own log: column of the arm each user received.", metavar="COLUMN")
]
Value = Annotated[str | None, typer.Option(help="Own log: column of the outcome.", metavar="COLUMN")]
Features = Annotated[
    str | None,
    typer.Option(
        help="Own log: columns of numbers known before the campaign, with commas between.", metavar="COLUMNS"
    ),
]
Cost = Annotated[
    str | None,
    typer.Option(
        help="Own log: column of the money spent, or arm=cost,arm=cost for every arm (quote names with spaces).",
        metavar="COLUMN|PAIRS",
    ),
]
Control = Annotated[
    str | None, typer.Option(help="Own log: the arm that means no treatment. [default: none]", metavar="ARM")
]
UserId = Annotated[str | None, typer.Option(help="Own log: column of unique user ids.", metavar="COLUMN")]
ValueName = Annotated[
    str | None, typer.Option(help="Own log: what one unit of value is, such as 'revenue in EUR'.", metavar="TEXT")
]
Currency = Annotated[str | None, typer.Option(help="Own log: what money is in, such as EUR.", metavar="TEXT")]


def roles_of(given: dict[str, str | None]) -> dict[str, Any]:
    """The options as `source.load` takes them: names split at commas, arm=number pairs as a mapping."""
    return given | {
        "features": split_names(given["features"]),
        "cost": pairs_or_name(given["cost"]),
        "propensity": pairs_or_name(given["propensity"]),
    }
