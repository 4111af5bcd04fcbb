"""`earmark app RUN` as a process of its own, and a run of a million users for it."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.serving import serving


@contextmanager
def served(run: Path) -> Iterator[tuple[str, int]]:
    """The app on a free port, answering: its address and its process."""
    with serving([sys.executable, "-m", "allocation.cli", "app", str(run), "--port", "{port}"]) as answering:
        yield answering


def repeated(run: Path, folder: Path, users: int, seed: int = 0) -> Path:
    """A run of at least so many users in `folder`: those of a demo's run over and over, predictions a little moved.

    What was found out about the demo (`evidence.json`, `comparison.json`) is left out: it is of other users.
    """
    rng = np.random.default_rng(seed)
    times = -(-users // pq.read_metadata(run / "responses.parquet").num_rows)
    folder.mkdir(parents=True)
    for file in ("responses.parquet", "evidence.parquet"):
        whole = pa.concat_tables([pq.read_table(run / file)] * times)
        for j, name in enumerate(whole.column_names):
            column = whole[name]
            if name == "user_id":
                column = pa.chunked_array([np.arange(len(whole))])
            elif file.startswith("responses") and name.startswith(("value.", "cost.")):
                moved = column.to_numpy() * rng.uniform(0.98, 1.02, len(whole))
                column = pa.chunked_array([moved.astype(np.float32)])
            whole = whole.set_column(j, name, column)
        pq.write_table(whole, folder / file)
    for file in ("decisions.parquet", "report.html"):
        shutil.copy(run / file, folder / file)
    about = json.loads((run / "manifest.json").read_text(encoding="utf-8"))
    about["held_out_users"] = len(whole)
    about["budget"] *= times
    (folder / "manifest.json").write_text(json.dumps(about), encoding="utf-8")
    plan = (run / "plan.toml").read_text(encoding="utf-8").splitlines()
    lines = [f"budget = {about['budget']}" if line.startswith("budget") else line for line in plan]
    (folder / "plan.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder
