"""The long-tail benchmark's results on disk: one file a unit, the rank of every target under every row."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.longtail_cases import Setting
from tests.benchmarks.longtail_rows import Unit
from uplift.recommender import Ranks


@dataclass(frozen=True)
class Result:
    """What one unit found: ranks, seconds of training and a note by row, and which test users are head."""

    setting: str
    data: str
    backbone: str
    seed: int
    head: np.ndarray
    rows: dict[str, tuple[Ranks, float, str]]


def unit_path(folder: Path, setting: str, data: str, backbone: str, seed: int, rules: list[str] | None) -> Path:
    """Where a unit is kept; further rules beside the main rows."""
    extra = "" if rules is None else "-" + "-".join(rules)
    return folder / f"{setting}-{data.replace(' ', '_')}-{backbone}-{seed}{extra}.npz"


def write_unit(path: Path, unit: Unit) -> None:
    """Keep a unit, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, Any] = {"head": unit.strata.head[unit.test.user], "user": unit.test.user}
    notes = {}
    for k, (name, (ranks, seconds, note)) in enumerate(unit.rows.items()):
        arrays |= {f"above{k}": ranks.above.astype(np.int32), f"tied{k}": ranks.tied.astype(np.int32)}
        arrays["candidates"] = ranks.candidates.astype(np.int32)
        notes[name] = [seconds, note]
    arrays["settings"] = np.array(repr(unit.case))
    arrays["rows"] = np.array(json.dumps(notes))
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        np.savez_compressed(file, **arrays)
    part.replace(path)


def is_done(path: Path, case: Setting) -> bool:
    """Whether the unit is there; one that was run with other settings must not be mixed with new ones."""
    if not path.exists():
        return False
    if str(np.load(path).get("settings")) != repr(case):
        raise SystemExit(f"error: {path} was run with other settings; move it away, or give another --results")
    return True


def read_units(folder: Path) -> list[Result]:
    """All units that are there; the main rows and further rules of the same unit come together."""
    found: dict[tuple[str, str, str, int], Result] = {}
    for path in sorted(folder.glob("*.npz")):
        setting, data, backbone, seed = path.stem.split("-")[:4]
        kept = np.load(path)
        rows = {
            name: (Ranks(kept[f"above{k}"], kept[f"tied{k}"], kept["candidates"], kept["user"]), seconds, note)
            for k, (name, (seconds, note)) in enumerate(json.loads(str(kept["rows"])).items())
        }
        key = (setting, data.replace("_", " "), backbone, int(seed))
        result = found.setdefault(key, Result(*key, kept["head"], {}))
        for name, row in rows.items():
            result.rows.setdefault(name, row)
    return list(found.values())
