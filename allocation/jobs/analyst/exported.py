"""What an analyst takes away: the plan, the command that decides it, and its decisions as a file."""

from __future__ import annotations

import io
import re
import tempfile
import threading
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path

from allocation.jobs.analyst.held import held_table, is_filed
from allocation.jobs.analyst.run import Run
from allocation.jobs.batch.decide_job import run_decide
from allocation.jobs.batch.decide_plan import DecideTask
from allocation.jobs.batch.export import export_decisions
from allocation.jobs.batch.part_file import mend
from allocation.jobs.folder import reason
from allocation.jobs.plan import Plan, PlanLimit, parse_plan, plan_text
from allocation.jobs.summary import MANIFEST
from allocation.jobs.tables.writing import write_table
from uplift.errors import InputError

PARQUET, CSV = "Parquet", "CSV"
PLAN_FILE = "plan.toml"
COMMAND = f"earmark decide {PLAN_FILE} --out tonight/"  # where the plan lies
_UNTOLD = (1980, 1, 1, 0, 0, 0)  # of files in an archive: the same decisions are the same bytes
_one = threading.Lock()  # each run holds a block of a million users: sessions that build at once wait for one another


@dataclass(frozen=True)
class Built:
    """A file to take away: its name, what kind it is (MIME), and its bytes."""

    name: str
    kind: str
    content: bytes


def plan_for(run: Run, budget: float, limits: tuple[PlanLimit, ...]) -> Plan:
    """The run's plan with another budget and other limits; its table by an absolute path: it may lie anywhere.

    The table of an upload lies nowhere: the plan names it as it was called.

    Raises InputError for what no plan may hold, such as a budget below 0.
    """
    place = run.place if run.plan.responses is None else run.plan.responses
    if "://" not in str(place) and is_filed(run):
        place = str(Path(place).absolute())
    plan = replace(run.plan, responses=str(place), model=None, features=None, budget=float(budget), limits=limits)
    return parse_plan(plan_text(plan))


def build(plan: Plan, kind: str, run: Run | None = None) -> Built:
    """The decisions of a plan as a file, by the nightly job itself; of an upload, `run`, from what is held of it.

    PARQUET: the part that `earmark decide` writes, byte for byte; an archive of all parts and the manifest where
    there are several. CSV: what `earmark export` makes of it. Nothing stays on the disk, whatever happens. The file
    is held in memory: some 22 bytes a user in Parquet, 60 to 100 as CSV.

    Raises InputError and ProblemError as `run_decide` does, and InputError when the file system refuses.
    """
    try:
        with _one, tempfile.TemporaryDirectory(prefix="earmark-export-") as folder:
            out = Path(folder) / "decisions"
            if run is not None and not is_filed(run):
                table = Path(folder) / "responses.parquet"
                write_table(held_table(run), table)
                plan = replace(plan, responses=str(table))
            result = run_decide(DecideTask(plan, out))
            parts = [out / part["file"] for part in result.manifest["parts"]]
            if kind == CSV:
                file = export_decisions(out, Path(folder) / "decisions.csv").file
                return Built(file_name(plan, "csv"), "text/csv", file.read_bytes())
            if len(parts) == 1:
                content = parts[0].read_bytes()
                return Built(file_name(plan, "parquet"), "application/vnd.apache.parquet", content)
            content = _archive([*parts, out / MANIFEST])
            return Built(file_name(plan, "zip"), "application/zip", content)
    except OSError as error:
        raise InputError(
            f"the decisions cannot be built in {tempfile.gettempdir()}: {reason(error)}. {mend(error)}, or run "
            f"`{COMMAND}`"
        ) from None


def file_name(plan: Plan, ending: str) -> str:
    """A file's name from the plan's, with nothing in it that a system could mind."""
    word = re.sub(r"[^A-Za-z0-9]+", "-", plan.name).strip("-")[:60].lower() or "plan"
    return f"{word}-decisions.{ending}"


def _archive(files: list[Path]) -> bytes:
    """The files in a ZIP archive, not compressed again."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as archive:
        for file in files:
            archive.writestr(zipfile.ZipInfo(file.name, _UNTOLD), file.read_bytes())
    return content.getvalue()
