"""Amounts at the end of the floats: decided, inspected and drawn up, never a traceback."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from allocation.jobs.batch.frontier_job import _rounded_up
from tests.allocation.nightly import earmark, widest

LIMIT = '\n[[limit]]\nname = "few"\nmeasure = "cost"\nmax = {most!r}\n'


@pytest.mark.parametrize("size", [1e-200, 1e-310, 5e-324])
@pytest.mark.parametrize("what", ["value", "cost", "both"])
def test_tiny_amounts_go_through_every_command(
    size: float, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    rng = np.random.default_rng(0)
    of = {kind: size if what in (kind, "both") else 1.0 for kind in ("value", "cost")}
    frame = pd.DataFrame({"user_id": np.arange(20), "cost.none": 0.0, "value.none": rng.uniform(0, 5, 20)})
    frame["value.none"] *= of["value"]
    frame["value.mail"] = rng.uniform(3, 9, 20) * of["value"]
    frame["cost.mail"] = rng.uniform(1, 4, 20) * of["cost"]
    frame.to_parquet("r.parquet")
    limit = LIMIT.format(most=15 * of["cost"]) if what != "both" else ""
    Path("p.toml").write_text(f'[plan]\nname = "p"\nresponses = "r.parquet"\nbudget = {20 * of["cost"]!r}\n{limit}')
    for command in (
        ["decide", "p.toml", "--out", "o"],
        ["inspect", "o", "--responses", "r.parquet"],
        ["decide", "p.toml", "--out", "o", "--dry-run"],
        ["frontier", "p.toml"],
    ):
        code, out, err = earmark(*command)
        assert code == 0, (command, err)
        assert widest(out) <= 80, command


@pytest.mark.parametrize(
    "x", [0.0, 5e-324, -5e-324, 1e-310, 3.14159e-320, 1e-100, 0.0123456, 12.3456, -12.3456, 1e300]
)
def test_budgets_of_a_ladder_are_no_less_and_hardly_more(x: float):
    assert x - 1e-8 * abs(x) <= _rounded_up(x) <= x + 0.0101 * abs(x) + 5e-324
    assert _rounded_up(0.1 + 0.2) == 0.3
    assert _rounded_up(123.4) == 124.0
    assert _rounded_up(99_912.0) == 100_000.0
