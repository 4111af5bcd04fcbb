"""What every manifest holds: the log's fingerprint, the checksum of each file, and a frame as JSON."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq

if TYPE_CHECKING:
    import pandas as pd

    from allocation.jobs.source import Source
    from uplift.campaign import Campaign


def text(manifest: dict[str, Any]) -> str:
    """The manifest as it stands in its file."""
    return json.dumps(manifest, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def log_entry(source: Source) -> dict[str, Any]:
    """The log's name, users, arms, features and fingerprint."""
    return {
        "name": source.name,
        "users": len(source.campaign),
        "arms": list(source.campaign.arms),
        "features": list(source.campaign.features),
        "sha256": fingerprint(source.campaign),
    }


def fingerprint(campaign: Campaign) -> str:
    """SHA-256 over the log's arrays and names: the same log gives the same text, whatever file it came from."""
    digest = hashlib.sha256(json.dumps([campaign.arms, campaign.features]).encode())
    for array in (campaign.X, campaign.treatment, campaign.value, campaign.cost, campaign.propensity):
        digest.update(b"none" if array is None else np.ascontiguousarray(array).tobytes())
    digest.update("\0".join(map(str, campaign.user_id.tolist())).encode())
    return digest.hexdigest()


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The frame's rows as JSON objects."""
    return [{str(key): plain(cell) for key, cell in row.items()} for row in frame.to_dict(orient="records")]


def plain(cell: Any) -> Any:
    """A JSON value; what is not a finite number becomes null."""
    if isinstance(cell, np.generic):
        cell = cell.item()
    if isinstance(cell, float):
        return cell if math.isfinite(cell) else None
    return cell


def part(folder: Path, name: str) -> dict[str, Any]:
    """Name within the folder, size, rows where it is a Parquet file, and checksum of one file."""
    path = folder / name
    entry: dict[str, Any] = {"file": name, "bytes": path.stat().st_size}
    if path.suffix == ".parquet":
        entry["rows"] = pq.read_metadata(path).num_rows
    return entry | {"sha256": checksum(path)}


def checksum(path: str | Path) -> str:
    """SHA-256 of a file's bytes."""
    with Path(path).open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
