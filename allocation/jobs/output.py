"""Writing a run's folder: staged, then moved in, the manifest last; a failure to write leaves the old run alone."""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import tempfile
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from allocation.jobs.demo import DemoResult
from allocation.jobs.report import report_html
from allocation.jobs.summary import MANIFEST
from uplift.campaign import Campaign
from uplift.errors import InputError

DECISIONS, REPORT = "decisions.parquet", "report.html"


def check_folder(out: Path) -> Path:
    """The folder that `out` means, links and `~` followed; refuses, before any work, what cannot be written to.

    Raises InputError for a path that is no folder, a folder that may not be written to, and files that would be lost.
    """
    out = Path(out).expanduser().resolve()
    for place in (out, *out.parents):
        if place.exists():
            if not place.is_dir():
                raise InputError(f"{place} is a file; the results need a folder: choose another --out")
            if not os.access(place, os.W_OK | os.X_OK):
                raise InputError(f"the folder {place} may not be written to; choose another --out")
            break
    for name in (DECISIONS, REPORT, MANIFEST):
        if (out / name).is_dir():
            raise InputError(f"{out / name} is a folder, where a file would be written; choose another --out")
    for name in (DECISIONS, REPORT, MANIFEST):
        if (out / name).exists() and not _is_ours(out / MANIFEST):
            raise InputError(
                f"{out / name} would be lost, and no manifest says that earmark wrote it; move it away or choose "
                "another --out"
            )
    return out


def write_demo(result: DemoResult, out: Path) -> None:
    """Write `decisions.parquet`, `report.html` and `manifest.json` into the folder `out`.

    The files are written and flushed in a staging folder first; until that is done, an error leaves everything as it
    was. A folder that was not there then appears whole; into one that was, the files move one by one, its old
    manifest gone first and the new one last, so that a manifest never stands beside files that it does not describe.

    Raises InputError, which says what was kept, when the file system refuses.
    """
    out = check_folder(out)
    # A folder that is there may be a file system of its own, into which nothing can be moved from outside.
    home = out if out.exists() else out.parent
    missing = [parent for parent in (home, *home.parents) if not parent.exists()]
    staging = None
    try:
        home.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=".earmark-", dir=home))
        _write_files(result, staging)
    except OSError as error:
        if staging is not None:
            shutil.rmtree(staging, ignore_errors=True)
        for parent in missing:
            with suppress(OSError):
                parent.rmdir()
        raise InputError(f"the results cannot be written to {out}: {_reason(error)}; nothing was changed") from None
    try:
        _move_in(staging, out)
    except OSError as error:
        raise InputError(
            f"the results cannot be moved into {out}: {_reason(error)}; if there is no {MANIFEST} in it now, its "
            "files are not whole: run again"
        ) from None
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _write_files(result: DemoResult, staging: Path) -> None:
    pq.write_table(decisions_table(result), staging / DECISIONS)
    (staging / REPORT).write_text(
        report_html(result.summary(), result.plan.seed, version("earmark")), encoding="utf-8"
    )
    parts = [_part(staging / name) for name in (DECISIONS, REPORT)]
    text = json.dumps(manifest(result, parts), indent=2, ensure_ascii=False, allow_nan=False)
    (staging / MANIFEST).write_text(text + "\n", encoding="utf-8")
    for name in (DECISIONS, REPORT, MANIFEST):
        _flush(staging / name)


def _is_ours(path: Path) -> bool:
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        return isinstance(manifest, dict) and "earmark" in manifest
    except (ValueError, TypeError, OSError):
        return False


def _reason(error: OSError) -> str:
    return error.strerror or str(error).splitlines()[0]


def decisions_table(result: DemoResult) -> pa.Table:
    """`user_id, arm, expected_value, expected_cost, margin`, one row a held-out user."""
    arms = np.asarray(result.held_out.arms, dtype=object)
    return pa.table(
        {
            "user_id": pa.array(result.held_out.user_id),
            "arm": pa.array(arms[result.allocation.decision], type=pa.string()),
            "expected_value": pa.array(result.expected_value),
            "expected_cost": pa.array(result.expected_cost),
            "margin": pa.array(result.margin),
        }
    )


def manifest(result: DemoResult, parts: list[dict[str, Any]]) -> dict[str, Any]:
    """Plan, fingerprint of the log, totals, certificate, checksums of the parts, and every estimate."""
    plan, source, run = result.plan, result.source, result.summary()
    return {
        "earmark": version("earmark"),
        "plan": {
            "data": plan.data,
            "users": plan.users,
            "budget_per_user": result.budget_per_user,
            "seed": plan.seed,
            "n_bootstrap": plan.n_bootstrap,
            "roles": dict(source.roles),
        },
        "input": {
            "name": source.name,
            "users": len(source.campaign),
            "arms": list(source.campaign.arms),
            "features": list(source.campaign.features),
            "sha256": fingerprint(source.campaign),
        },
        "about": run.about,
        "value_name": run.value_name,
        "currency": run.currency,
        "held_out_users": run.users,
        "budget": result.budget_per_user * run.users,
        "totals": {name: _plain(total) for name, total in run.totals.items()},
        "warnings": list(run.warnings),
        "arm_users": run.arm_users,
        "parts": parts,
        "evaluation": [
            {str(key): _plain(cell) for key, cell in row.items()}
            for row in result.evaluation.to_dict(orient="records")
        ],
    }


def fingerprint(campaign: Campaign) -> str:
    """SHA-256 over the log's arrays and names: the same log gives the same text, whatever file it came from."""
    digest = hashlib.sha256(json.dumps([campaign.arms, campaign.features]).encode())
    for array in (campaign.X, campaign.treatment, campaign.value, campaign.cost, campaign.propensity):
        digest.update(b"none" if array is None else np.ascontiguousarray(array).tobytes())
    digest.update("\0".join(map(str, campaign.user_id.tolist())).encode())
    return digest.hexdigest()


def _plain(cell: Any) -> Any:
    """A JSON value; what is not a number becomes null."""
    if isinstance(cell, float):
        return cell if math.isfinite(cell) else None
    return cell


def _part(path: Path) -> dict[str, Any]:
    part: dict[str, Any] = {"file": path.name, "bytes": path.stat().st_size}
    if path.suffix == ".parquet":
        part["rows"] = pq.read_metadata(path).num_rows
    return part | {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _move_in(staging: Path, out: Path) -> None:
    if not out.exists():
        mask = os.umask(0)
        os.umask(mask)
        staging.chmod(0o777 & ~mask)  # a staging folder is private; the result is what the user's folders are
        staging.rename(out)
    else:
        (out / MANIFEST).unlink(missing_ok=True)
        for name in (DECISIONS, REPORT, MANIFEST):
            (staging / name).replace(out / name)
    _flush(out)
