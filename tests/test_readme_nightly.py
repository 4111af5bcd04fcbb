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


def test_the_plan_and_the_commands_run_and_a_wave_keeps_the_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    Path("plan.toml").write_text(block("nightly plan"))
    Path("served.csv").write_text(block("served.csv"))
    for line in (block("nightly commands") + block("nightly wave")).strip().splitlines():
        words = shlex.split(line, comments=True)
        result = CliRunner().invoke(app, words[1:])
        assert words[0] == "earmark"
        assert result.exit_code == 0, result.output
    rest = pq.read_table("rest/part-00000.parquet").to_pandas()
    assert len(rest) == 49_997
    assert 9_990 < sum(map(Fraction, rest["expected_cost"].tolist()), Fraction(3)) <= 10_000
    assert Path("frontier/frontier-light.png").is_file()
    assert Path("coupons.csv").read_text(encoding="utf-8").count('"4 EUR"') > 0
