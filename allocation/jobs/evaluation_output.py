"""The files of an evaluation: the tidy frame, its charts, the report, and the manifest that describes them."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import vl_convert

from allocation.jobs import manifest as entries
from allocation.jobs.evaluation_charts import pictures
from allocation.jobs.evaluation_dark import dark_spec, dark_svg
from allocation.jobs.evaluation_job import EvaluationResult
from allocation.jobs.evaluation_report import FIGURES, report_html
from allocation.jobs.folder import checked_folder, write_folder
from allocation.jobs.pages import chart_page
from allocation.jobs.summary import MANIFEST

PARQUET, CSV, REPORT = "evaluation.parquet", "evaluation.csv", "report.html"
CHARTS = tuple(f"charts/{name}{kind}" for name in FIGURES for kind in (".png", "-dark.png", ".html"))
FILES = (PARQUET, CSV, REPORT, *CHARTS, MANIFEST)
COMMAND = "evaluate"
LIBRARIES = ("numpy", "pandas", "scikit-learn", "lightgbm", "econml", "torch")


def check_folder(out: str | Path) -> Path:
    """The folder that an evaluation may write to; see `folder.checked_folder`."""
    return checked_folder(out, FILES, COMMAND)


def write_evaluation(result: EvaluationResult, out: str | Path) -> None:
    """Write `evaluation.parquet` and `.csv`, `charts/`, `report.html` and `manifest.json` into `out`, whole or not.

    Raises InputError, which says what was kept, when the file system refuses; see `folder.write_folder`.
    """
    write_folder(check_folder(out), FILES, lambda staging: _write_files(result, staging))


def _write_files(result: EvaluationResult, staging: Path) -> None:
    pq.write_table(pa.Table.from_pandas(result.frame, preserve_index=False), staging / PARQUET)
    result.frame.to_csv(staging / CSV, index=False)
    drawings = _write_charts(result, staging / "charts")
    (staging / REPORT).write_text(report_html(result, drawings, version("earmark")), encoding="utf-8")
    parts = [entries.part(staging, name) for name in FILES if (staging / name).exists()]
    (staging / MANIFEST).write_text(entries.text(manifest(result, parts)), encoding="utf-8")


def _write_charts(result: EvaluationResult, folder: Path) -> dict[str, dict[str, str]]:
    """Write every picture as PNG, light and dark, and as a page; returns their SVG texts by name and theme."""
    folder.mkdir()
    drawings: dict[str, dict[str, str]] = {}
    for name, chart in pictures(result).items():
        # What a picture looks like is not in doubt here, so that Vega-Lite's schema need not be checked.
        light = chart.to_dict(validate=False)
        drawing = vl_convert.vegalite_to_svg(light)
        drawings[name] = {"light": drawing, "dark": dark_svg(drawing)}
        for theme, text in drawings[name].items():
            file = folder / (f"{name}.png" if theme == "light" else f"{name}-{theme}.png")
            file.write_bytes(vl_convert.svg_to_png(text, scale=2.0))
        page = chart_page(FIGURES[name][0], {"light": light, "dark": dark_spec(light)})
        (folder / f"{name}.html").write_text(page, encoding="utf-8")
    return drawings


def manifest(result: EvaluationResult, parts: list[dict[str, Any]]) -> dict[str, Any]:
    """Plan, fingerprint of the log, versions, seed, warnings, checksums of the parts, and every estimate."""
    plan, source = result.plan, result.source
    return {
        "earmark": version("earmark"),
        "command": COMMAND,
        "plan": {
            "data": plan.data,
            "users": plan.users,
            "policies": list(dict.fromkeys(result.frame["policy"])),
            "decisions": _files(plan.decisions, result),
            "responses": _files(plan.responses, result),
            "saved": _files(plan.saved, result),
            "unseen": plan.unseen,
            "budgets_per_user": list(result.budgets_per_user),
            "splits": plan.splits,
            "estimator": plan.estimator,
            "reference": plan.reference,
            "level": plan.level,
            "n_bootstrap": plan.n_bootstrap if plan.splits == 1 else None,
            "seed": plan.seed,
            "allow_mismatch": plan.allow_mismatch,
            "roles": dict(source.roles),
        },
        "versions": {name: version(name) for name in LIBRARIES},
        "input": entries.log_entry(source),
        "about": source.about,
        "value_name": source.value_name,
        "currency": source.currency,
        "train_users": result.train_users,
        "held_out_users": result.users,
        "warnings": list(result.warnings),
        "parts": parts,
        "evaluation": entries.records(result.frame),
    }


def _files(paths: Mapping[str, str], result: EvaluationResult) -> dict[str, dict[str, str]]:
    return {name: {"file": path, "sha256": result.checksums[name]} for name, path in paths.items()}
