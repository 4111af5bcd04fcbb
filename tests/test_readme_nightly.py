"""What the README says of the nightly job is what happens."""

from __future__ import annotations

import re
import shlex
from fractions import Fraction
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from allocation.cli import app

README = (Path(__file__).resolve().parents[1] / "README.md").read_text(encoding="utf-8")


def block(name: str) -> str:
    """The block under a mark."""
    found = re.search(rf"<!-- {name} -->\n```\w+\n(.*?)```", README, flags=re.DOTALL)
    assert found is not None
    return found[1]


def test_the_plan_and_the_commands_run_and_the_waves_keep_the_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    Path("plan.toml").write_text(block("nightly plan"))
    for line in block("nightly commands").strip().splitlines():
        words = shlex.split(line, comments=True)
        if "--spent" in words:
            first = pq.read_table("tonight/part-00000.parquet").to_pandas()[:1000]
            users = pq.read_table("responses/part-00000.parquet").to_pandas()[:1000]
            served = first[["user_id", "arm"]].assign(cost=first["expected_cost"], segment=users["segment"])
            minutes = [users[f"resource.minutes.{arm}"][i] for i, arm in enumerate(first["arm"])]
            served.assign(**{"resource.minutes": minutes}).to_csv("served.csv", index=False)
        result = CliRunner().invoke(app, words[1:])
        assert words[0] == "earmark"
        assert result.exit_code == 0, result.output
    rest = pq.read_table("rest/part-00000.parquet").to_pandas()
    assert len(rest) == 49_000
    spent = sum(map(Fraction, [*served["cost"].tolist(), *rest["expected_cost"].tolist()]), Fraction(0))
    assert 9_000 < spent <= 10_000
    assert Path("frontier/frontier-light.png").is_file()
    assert Path("coupons.csv").read_text(encoding="utf-8").count('"8 EUR"') > 0
