"""The prediction job: a saved policy and a table of features in, a response table out, in bounded memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from allocation.jobs import manifest as entries
from allocation.jobs.folder import checked_folder, earlier_parts, write_folder
from allocation.jobs.paced import Paced
from allocation.jobs.plan_values import PART_ROWS
from allocation.jobs.summary import MANIFEST
from allocation.jobs.tables.blocks import Source
from allocation.jobs.tables.predicted import open_predicted
from allocation.jobs.tables.writing import part_name, table_of, write_table
from uplift.errors import InputError
from uplift.files import expanded

COMMAND = "predict"


@dataclass(frozen=True)
class PredictPlan:
    """What is to be predicted.

    model : folder of a saved policy. features : path of the table of features. resources, attributes : what else of
    it is kept in the response table. part_rows : users of a file.
    """

    model: str
    features: str
    resources: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()
    part_rows: int = PART_ROWS


@dataclass(frozen=True)
class PredictResult:
    """What came of it: the folder, the users predicted for, the arms, the files and the seconds that it took."""

    folder: Path
    users: int
    arms: tuple[str, ...]
    parts: int
    seconds: float


def run_predict(
    plan: PredictPlan, out: str | Path, progress: Callable[[str], None] = lambda _: None
) -> PredictResult:
    """Predict value and cost of every arm for every user, and write them into the folder `out`.

    Parts of `part_rows` users in the order of the features, and `manifest.json`: the same model and features give
    the same bytes in every part. They are staged first; until all are written, an error leaves an earlier
    prediction as it was. Ids are copied, not checked to be unique: `earmark decide` does that.

    Raises InputError as `open_predicted` does, for a folder that holds anything but an earlier prediction, and when
    the file system refuses.
    """
    began = time.perf_counter()
    if plan.part_rows < 1:
        raise InputError(f"part_rows is {plan.part_rows:,}; a file holds at least one user")
    progress(f"opening {plan.model} and {plan.features}")
    source = open_predicted(plan.model, plan.features, plan.resources, plan.attributes)
    parts = -(-source.n // plan.part_rows)
    part_name(parts - 1)  # the last one is refused first
    names = [part_name(k) for k in range(parts)]
    folder = checked_folder(out, [*names, MANIFEST], COMMAND)
    earlier = earlier_parts(folder, "prediction")
    source.start_fingerprint()

    def fill(staging: Path) -> None:
        """Write every part, then the manifest."""
        write_parts(source, plan.part_rows, staging, progress)
        progress("writing the manifest")
        described = [entries.part(staging, name) for name in names]
        about = {
            "earmark": version("earmark"),
            "command": COMMAND,
            "plan": _plain(plan),
            "input": source.fingerprint(),
            "arms": list(source.arms),
            "users": source.n,
            "parts": described,
        }
        (staging / MANIFEST).write_text(entries.text(about), encoding="utf-8")

    write_folder(folder, [*dict.fromkeys([*names, *earlier]), MANIFEST], fill)
    return PredictResult(folder, source.n, source.arms, parts, time.perf_counter() - began)


def write_parts(source: Source, part_rows: int, folder: Path, progress: Callable[[str], None]) -> None:
    """Write the users of a source as a response table, in parts of so many; raises OSError."""
    told = Paced(progress)
    told(f"predicting {source.n:,} users")
    for k, block in enumerate(source.stream(part_rows)):
        write_table(table_of(block, source.arms), folder / part_name(k))
        told.step("users predicted", block.first + len(block), source.n)


def _plain(plan: PredictPlan) -> dict[str, Any]:
    kept: dict[str, Sequence[str]] = {"resources": list(plan.resources), "attributes": list(plan.attributes)}
    return {"model": str(expanded(plan.model)), "features": plan.features, **kept, "part_rows": plan.part_rows}
