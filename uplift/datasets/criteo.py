"""CRITEO-UPLIFT v2: a compressed CSV of 14 million rows, read in blocks, so that memory holds only what is kept."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
from numpy.typing import NDArray

from uplift.campaign import Campaign
from uplift.datasets.registry import CRITEO_BYTES, CRITEO_SHA256
from uplift.datasets.store import fetch
from uplift.errors import InputError
from uplift.files import expanded
from uplift.seeds import stream

FEATURES = tuple(f"f{j}" for j in range(12))
FLAGS = ("treatment", "conversion", "visit", "exposure")
OUTCOMES = FLAGS[1:]
CRITEO_ARMS = ("control", "treated")
BLOCK_BYTES = 1 << 23

Block = tuple[NDArray[np.float32], NDArray[np.int8]]


def criteo_uplift(
    path: str | Path | None = None,
    *,
    value: str = "conversion",
    cost: str | None = "visit",
    rows: int | None = None,
    seed: int | np.random.Generator = 0,
    verify: bool = True,
) -> Campaign:
    """Advertising on or off, 13,979,592 users of several randomised tests put together.

    Parameters
    ----------
    path : the file `criteo-research-uplift-v2.1.csv.gz`; by default sought in `$EARMARK_DATA` and beside a checkout,
        else downloaded (311 MB) with its checksum.
    value, cost : two different of "conversion", "visit" and "exposure" (0/1 each); cost may be None. A visit as the
        cost of a conversion is how papers on budget allocation make a cost out of this set: no money is logged, so
        "cost" counts visits and the budget is a number of visits.
    rows : keep this many rows, each with the same chance, in the file's order; None keeps all (about 1.4 GB).
    seed : of the sample; the same rows for the same seed and file.
    verify : compare size and SHA-256 with the public file's first; False for an excerpt of your own.

    Arm 1 is the flag `treatment` (advertising allowed), not `exposure` (an advertisement was shown), which comes
    after it and depends on the user. Features f0 to f11 are anonymised projections. `user_id` is the row in the file.
    Propensity is the share of each arm (about .85 treated). Memory: the rows kept and one block of the file.

    Misleads: rows were sub-sampled unevenly before publication, so rates and effects are not those of the campaigns;
    several tests are in one file without a mark, so one share of treated may not hold in each; conversions are rare
    (about 3 in 1,000), so value needs many rows.

    Licence CC BY-NC-SA 4.0: not for commercial use. Source: Diemert, Betlei, Renaudin, Amini 2018, A Large Scale
    Benchmark for Uplift Modeling, AdKDD; version 2.1, repository criteo/criteo-uplift on Hugging Face.
    Raises InputError for another size or checksum, other columns, a file cut short, a cell that is no number, an arm
    without rows, and more rows wanted than there are.
    """
    _check_roles(value, cost, rows)
    source = fetch("criteo_uplift") if path is None else expanded(path)
    if not source.is_file():
        raise InputError(f"{source} does not exist; give the path of criteo-research-uplift-v2.1.csv.gz")
    if verify:
        _check_file(source)
    blocks = _blocks(source)
    X, flags, kept = _all(blocks) if rows is None else _sample(blocks, rows, seed, source)
    treatment = flags[:, 0].astype(np.int64)
    counts = np.bincount(treatment, minlength=2)
    if (counts == 0).any():
        raise InputError(
            f"{source.name}: the {len(X):,} rows kept have {counts[0]:,} of arm {CRITEO_ARMS[0]!r} and "
            f"{counts[1]:,} of {CRITEO_ARMS[1]!r}; users of both are needed: take more rows"
        )
    column = {name: flags[:, 1 + j] for j, name in enumerate(OUTCOMES)}
    return Campaign(
        X=X,
        treatment=treatment,
        value=column[value].astype(np.float64),
        cost=None if cost is None else column[cost].astype(np.float64),
        propensity=np.tile(counts / len(X), (len(X), 1)),
        arms=CRITEO_ARMS,
        user_id=kept,
        features=FEATURES,
    )


def _check_roles(value: str, cost: str | None, rows: int | None) -> None:
    for role, name in (("value", value), ("cost", cost)):
        if name not in OUTCOMES and not (role == "cost" and name is None):
            also = " or None" if role == "cost" else ""
            raise InputError(f"{role} is {name!r}; one of {', '.join(OUTCOMES)}{also} is expected")
    if value == cost:
        raise InputError(f"value and cost are both {value!r}; give each a column of its own")
    whole = isinstance(rows, int | np.integer) and not isinstance(rows, bool)
    if rows is not None and not (whole and rows >= 2):
        raise InputError(f"rows is {rows!r}; a whole number of at least 2, or None for all, is expected")


def _check_file(path: Path) -> None:
    import pooch

    mend = "fetch it anew, or pass verify=False for an excerpt of your own"
    size = path.stat().st_size
    if size != CRITEO_BYTES:
        raise InputError(f"{path} has {size:,} bytes, the public file has {CRITEO_BYTES:,}; {mend}")
    found = pooch.file_hash(str(path))
    if found != CRITEO_SHA256:
        raise InputError(f"{path} has SHA-256 {found}, the public file has {CRITEO_SHA256}; {mend}")


def _blocks(path: Path) -> Iterator[Block]:
    """Features (b, 12) and flags (b, 4) of one block of rows after another, checked."""
    names = [*FEATURES, *FLAGS]
    try:
        with gzip.open(path, "rt", encoding="utf-8") as text:
            header = [name.strip('"') for name in text.readline().strip().split(",")]
    except (OSError, EOFError, UnicodeDecodeError, zlib.error):
        raise InputError(
            f"{path} is no gzip file of UTF-8 text; the compressed CSV is expected as published"
        ) from None
    if header != names:
        wrong = [name for name in names if name not in header] or [name for name in header if name not in names]
        where = f"{wrong[0]!r} is missing or too many" if wrong else "their order differs"
        raise InputError(
            f"{path} has the columns {', '.join(header)[:200]}; {', '.join(names)} are expected ({where}): "
            "version 2.1 of the file is read, no earlier one"
        )
    kinds = {name: pa.float32() for name in FEATURES} | {name: pa.int8() for name in FLAGS}
    done = 0
    try:
        # Arrow itself would go by the file's suffix.
        source = pa.input_stream(str(path), compression="gzip")
        with pyarrow.csv.open_csv(
            source,
            read_options=pyarrow.csv.ReadOptions(block_size=BLOCK_BYTES),
            convert_options=pyarrow.csv.ConvertOptions(column_types=kinds),
        ) as reader:
            for batch in reader:
                yield _checked(batch, path, done)
                done += batch.num_rows
    except pa.ArrowInvalid as error:
        reason = str(error).strip().splitlines()[0][:200]
        raise InputError(f"{path} cannot be read after row {done:,}: {reason}; numbers are expected") from None
    except OSError as error:
        raise InputError(f"{path} is cut short or damaged after row {done:,} ({error}); fetch it anew") from None
    if done == 0:
        raise InputError(f"{path} has a header and no rows; fetch it anew")


def _checked(batch: pa.RecordBatch, path: Path, done: int) -> Block:
    """The numbers of a block; a missing or infinite cell and a flag that is neither 0 nor 1 are refused."""
    if any(column.null_count for column in batch.columns):
        raise InputError(f"{path} has an empty cell after row {done:,}; every cell holds a number in the public file")
    X = np.column_stack([batch.column(name).to_numpy() for name in FEATURES])
    flags = np.column_stack([batch.column(name).to_numpy() for name in FLAGS])
    if not np.isfinite(X).all():
        raise InputError(f"{path} has a feature that is no finite number after row {done:,}; fetch the file anew")
    if ((flags != 0) & (flags != 1)).any():
        name = FLAGS[int(np.argwhere((flags != 0) & (flags != 1))[0][1])]
        raise InputError(f"{path} has a {name} that is neither 0 nor 1 after row {done:,}; fetch the file anew")
    return X, flags


def _all(blocks: Iterator[Block]) -> tuple[NDArray[np.float32], NDArray[np.int8], NDArray[np.int64]]:
    parts = list(blocks)
    n = sum(len(X) for X, _ in parts)
    X, flags = np.empty((n, len(FEATURES)), np.float32), np.empty((n, len(FLAGS)), np.int8)
    end = n
    while parts:  # from the back, so that a block's memory is free once it is copied
        one, its_flags = parts.pop()
        X[end - len(one) : end], flags[end - len(one) : end] = one, its_flags
        end -= len(one)
    return X, flags, np.arange(n)


def _sample(
    blocks: Iterator[Block], rows: int, seed: int | np.random.Generator, path: Path
) -> tuple[NDArray[np.float32], NDArray[np.int8], NDArray[np.int64]]:
    """A simple random sample of unknown total: every row draws a key, the smallest `rows` keys stay."""
    rng = stream(seed, "criteo sample")
    X, flags = np.empty((0, len(FEATURES)), np.float32), np.empty((0, len(FLAGS)), np.int8)
    keys, kept = np.empty(0), np.empty(0, np.int64)
    done = 0
    for new_X, new_flags in blocks:
        drawn = rng.random(len(new_X))
        # A row above the largest key kept can no longer enter.
        enters = np.flatnonzero(drawn < keys.max()) if len(keys) == rows else np.arange(len(drawn))
        keys, kept = np.r_[keys, drawn[enters]], np.r_[kept, done + enters]
        X, flags = np.r_[X, new_X[enters]], np.r_[flags, new_flags[enters]]
        done += len(new_X)
        if len(keys) > rows:
            stay = np.sort(np.argpartition(keys, rows - 1)[:rows])
            X, flags, keys, kept = X[stay], flags[stay], keys[stay], kept[stay]
    if done < rows:
        raise InputError(f"rows is {rows:,}, but {path} has {done:,}; ask for at most these, or None for all")
    return X, flags, kept
