"""The job of `earmark simulate`: any number of simulated users into a folder of Parquet parts, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from allocation.jobs import manifest as entries
from allocation.jobs.folder import checked_folder, earlier_parts, write_folder
from allocation.jobs.paced import Paced
from allocation.jobs.plan_values import PART_ROWS
from allocation.jobs.simulated_tables import Simulated, check_simulated, simulated_tables
from allocation.jobs.summary import MANIFEST
from allocation.jobs.tables.writing import PARTS, part_name
from uplift.errors import InputError

COMMAND = "simulate"


@dataclass(frozen=True)
class SimulatePlan:
    """What to simulate, and how many users go into each part."""

    simulated: Simulated = field(default_factory=Simulated)
    part_rows: int = PART_ROWS

    @property
    def files(self) -> list[str]:
        """The names of the parts."""
        return [part_name(number) for number in range(-(-self.simulated.users // self.part_rows))]


def check_plan(plan: SimulatePlan) -> None:
    """Raise InputError for what cannot be simulated, or would be too many parts."""
    check_simulated(plan.simulated)
    if plan.part_rows < 1:
        raise InputError(f"part_rows is {plan.part_rows:,}; a whole number of at least 1 is expected")
    if plan.simulated.users > plan.part_rows * PARTS:
        raise InputError(
            f"{plan.simulated.users:,} users in parts of {plan.part_rows:,} are more than {PARTS:,} parts; give "
            "a larger part_rows"
        )


def run_simulation(
    plan: SimulatePlan, out: str | Path, progress: Callable[[str], None] = lambda _: None
) -> dict[str, Any]:
    """Write the parts and `manifest.json` into `out`, whole or not at all, and return the manifest.

    The same plan gives the same bytes (on the same processor and versions). No more than a block of 200,000 users is
    in memory. An earlier simulation in the folder is replaced.
    Raises InputError for a plan or folder that cannot be used, and where the file system refuses.
    """
    check_plan(plan)
    folder = checked_folder(out, [*plan.files, MANIFEST], COMMAND)
    earlier = earlier_parts(folder, "simulation")
    progress(f"drawing {plan.simulated.users:,} users into {folder}")
    manifest: dict[str, Any] = {}

    def _fill(staging: Path) -> None:
        _write_parts(plan, staging, Paced(progress))
        manifest.update(_manifest(plan, staging))
        (staging / MANIFEST).write_text(entries.text(manifest), encoding="utf-8")

    write_folder(folder, [*dict.fromkeys([*plan.files, *earlier]), MANIFEST], _fill)
    return manifest


def _write_parts(plan: SimulatePlan, folder: Path, progress: Paced) -> None:
    tables = simulated_tables(plan.simulated)
    rest: pa.Table | None = None
    done = 0
    for name in plan.files:
        wanted = min(plan.part_rows, plan.simulated.users - done)
        writer = None
        try:
            while wanted:
                table = rest if rest is not None else next(tables)
                piece, rest = table.slice(0, wanted), table.slice(wanted) if len(table) > wanted else None
                writer = writer or pq.ParquetWriter(folder / name, piece.schema)
                writer.write_table(piece)
                wanted, done = wanted - len(piece), done + len(piece)
                progress.step("drawing users", done, plan.simulated.users)
        finally:
            if writer is not None:
                writer.close()


def _manifest(plan: SimulatePlan, folder: Path) -> dict[str, Any]:
    schema = pq.read_schema(folder / plan.files[0])
    return {
        "earmark": version("earmark"),
        "command": COMMAND,
        "plan": asdict(plan.simulated) | {"part_rows": plan.part_rows},
        "currency": "EUR",
        "columns": {name: str(kind) for name, kind in zip(schema.names, schema.types, strict=True)},
        "parts": [entries.part(folder, name) for name in plan.files],
    }
