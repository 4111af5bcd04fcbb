"""Where a data set's files are: a folder that the user names, the folder beside a checkout, or a checked download."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from uplift.datasets.registry import DataSet, describe
from uplift.errors import InputError
from uplift.files import PARQUET_MAGIC, read_table
from uplift.frames import open_frame

DATA_VARIABLE = "EARMARK_DATA"
"""Name of the environment variable with the folder in which loaders look first; `~` is the home folder."""


def local(file: str) -> Path | None:
    """The file in `$EARMARK_DATA`, or in the data folder beside a checkout; None where neither has it."""
    # Looked up when called: the folder is the package's public constant and may be pointed elsewhere.
    from uplift.datasets import BESIDE_CHECKOUT

    named = os.environ.get(DATA_VARIABLE)
    for folder in ([Path(named).expanduser()] if named else []) + [BESIDE_CHECKOUT]:
        if (folder / file).is_file():
            return folder / file
    return None


def fetch(name: str, file: str | None = None) -> Path:
    """The path of a file of the data set `name`, by default of its first; downloaded where no folder has it.

    Raises InputError, which names the folder variable and the file, where it is nowhere.
    """
    entry = describe(name)
    file = entry.files[0] if file is None else file
    return local(file) or _download(entry, file)


def read(name: str, columns: Iterable[str], file: str | None = None) -> pd.DataFrame:
    """The named columns of a data set's table. Raises InputError for a missing file and for a missing column."""
    path = fetch(name, file)
    with path.open("rb") as opened:
        parquet = path.suffix == ".parquet" or opened.read(4) == PARQUET_MAGIC
    frame: pd.DataFrame = open_frame(read_table(path)).to_pandas() if parquet else pd.read_csv(path)
    wanted = list(columns)
    lacking = [column for column in wanted if column not in frame.columns]
    if lacking:
        shown = file or describe(name).files[0]
        raise InputError(f"{shown} has no column {lacking[0]!r}; take the file of {describe(name).source}, unchanged")
    return frame[wanted]


def _download(entry: DataSet, file: str) -> Path:
    """The public file, checked against its checksum; one clear message when it cannot be had."""
    where = f"${DATA_VARIABLE} ({os.environ.get(DATA_VARIABLE, 'not set')})"
    mend = f"set {DATA_VARIABLE} to a folder that holds {file}"
    if entry.url is None:
        raise InputError(
            f"{file} is not in {where}, and no public address of it is known for certain; it is from: "
            f"{entry.source}; {mend}"
        )
    import pooch

    try:
        path = pooch.retrieve(
            entry.url, known_hash=f"sha256:{entry.sha256}", path=pooch.os_cache("earmark"), progressbar=False
        )
    except ValueError:
        raise InputError(
            f"{entry.url} was downloaded, but its SHA-256 is not {entry.sha256}: the file there has changed; {mend}"
        ) from None
    except OSError as error:  # every network error is one
        raise InputError(
            f"{file} is neither in {where} nor could {entry.url} be downloaded ({type(error).__name__}); {mend}"
        ) from None
    return Path(path)


def knapsack() -> dict[str, Path]:
    """The files of published multiple-choice multi-dimensional knapsacks, by name: {"I01": path, ...}.

    Paths only: a knapsack has no users, arms or outcomes, and turning one into a problem is the decider's business.
    Nine instances of Khan (groups, items, constraints; capacities; each group's items), six files of Hiremath and
    Hill with 120 instances, and under "optima" the table of their exact optima (columns file, problem, optimum).
    Lines after the last group of Khan's files are somebody's solution. Raises InputError where a file is missing.
    """
    return {
        Path(file).name.split(".txt")[0].removesuffix(".csv"): fetch("knapsack", file)
        for file in describe("knapsack").files
    }
