"""A frontier's folder: the table, the pictures on light and dark, and the manifest, written as a whole."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import pandas as pd

from allocation.jobs import manifest as entries
from allocation.jobs.batch.frontier_charts import frontier_chart
from allocation.jobs.batch.frontier_job import FrontierResult
from allocation.jobs.batch.frontier_terminal import frontier_json
from allocation.jobs.charts import THEMES, png, svg
from allocation.jobs.folder import checked_folder, write_folder
from allocation.jobs.summary import MANIFEST

COMMAND, TABLE = "frontier", "frontier.parquet"
CHARTS = tuple(f"frontier-{theme}.{kind}" for theme in THEMES for kind in ("png", "svg"))
FILES = (TABLE, *CHARTS, MANIFEST)


def check_folder(out: Path) -> Path:
    """The folder that `out` means; see `folder.checked_folder`."""
    return checked_folder(out, FILES, COMMAND)


def write_frontier(result: FrontierResult, out: Path) -> None:
    """Write frontier.parquet, the charts and manifest.json into `out`, whole or not at all.

    The table has the columns budget, value, gain, price, share.<arm>, a row a budget: those asked for, the plan's and
    200 between the cheapest decision and the last that buys something.
    """

    def fill(folder: Path) -> None:
        """Write every file into the staging folder."""
        frame = pd.DataFrame(result.columns(result.curve()))
        frame.to_parquet(folder / TABLE, index=False)
        for theme in THEMES:
            chart = frontier_chart(result, theme)
            (folder / f"frontier-{theme}.svg").write_text(svg(chart), encoding="utf-8")
            (folder / f"frontier-{theme}.png").write_bytes(png(chart))
        head = {"earmark": version("earmark"), "command": COMMAND, "plan_sha256": result.plan.digest()}
        files = [entries.part(folder, name) for name in (TABLE, *CHARTS)]
        manifest = {**head, **frontier_json(result), "input": result.fingerprint, "files": files}
        (folder / MANIFEST).write_text(entries.text(manifest), encoding="utf-8")

    write_folder(out, FILES, fill)
