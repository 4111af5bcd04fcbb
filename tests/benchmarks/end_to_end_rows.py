"""Finished rows on disk: a line of JSON a row, written through to the disk, so that hours of work survive a stop."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

Row = dict[str, Any]
KEY = ("regime", "rows", "method", "seed")


def key(row: Row) -> tuple[Any, ...]:
    """What names a row."""
    return tuple(row[name] for name in KEY)


def read(files: Iterable[Path]) -> list[Row]:
    """All rows of the files, the first of each key; a line that a stop cut short is passed over and told of."""
    found: dict[tuple[Any, ...], Row] = {}
    for file in files:
        for number, line in enumerate(file.read_text().splitlines() if file.exists() else [], start=1):
            try:
                row = json.loads(line)
            except json.JSONDecodeError:
                if line.strip():
                    print(f"{file}: line {number} is no row, passed over", file=sys.stderr)
                continue
            found.setdefault(key(row), row)
    return list(found.values())


def append(file: Path, row: Row) -> None:
    """Add a row and wait until it is on the disk; what a stop left of an earlier row is closed first."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a+b") as out:
        size = out.seek(0, os.SEEK_END)
        if size:
            out.seek(size - 1)
            cut = out.read(1) != b"\n"
            if cut:
                out.write(b"\n")
        out.write(json.dumps(row, allow_nan=False).encode() + b"\n")
        out.flush()
        os.fsync(out.fileno())
