"""`earmark inspect` and `earmark export` as a reader or a script meets them: output, one message, exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from allocation.cli.export_command import export
from allocation.cli.inspect_command import inspect
from tests.allocation.jobs.batch.small_decisions import Made, N, change_manifest, make

app = typer.Typer()
app.command()(inspect)
app.command()(export)


@pytest.fixture
def made(tmp_path: Path) -> Made:
    """A whole run."""
    return make(tmp_path)


def run(*arguments: object):
    """What the command prints and how it ends."""
    return CliRunner().invoke(app, list(map(str, arguments)), env={"COLUMNS": "80"})


def test_a_whole_run_ends_with_0_and_a_table(made: Made):
    done = run("inspect", made.out)
    assert done.exit_code == 0
    assert "spring: decisions for 700 users" in done.stdout
    assert "limit 'few coupons'" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    done = run("inspect", made.out, "--responses", made.responses)
    assert done.exit_code == 0
    assert "not checked" not in done.stdout


def test_a_wrong_run_ends_with_1_and_one_message(made: Made):
    for k in range(9):
        (made.out / f"part-1000{k}.parquet").touch()
    change_manifest(made.out, lambda m: m.update(rows=3))
    done = run("inspect", made.out)
    assert done.exit_code == 1
    assert done.stdout == ""
    assert done.stderr.count("error:") == 1
    assert "'part-10000.parquet' is there" in done.stderr
    assert "and 5 more" in done.stderr


def test_json_says_all_of_it_and_the_exit_code_too(made: Made):
    assert json.loads(run("inspect", made.out, "--json").stdout)["ok"] is True
    change_manifest(made.out, lambda m: m["totals"].update(cost=0.0))
    done = run("inspect", made.out, "--json")
    told = json.loads(done.stdout)
    assert (done.exit_code, told["ok"], len(told["problems"])) == (1, False, 1)


def test_what_is_no_folder_of_decisions_is_one_message(tmp_path: Path):
    for arguments in (("inspect", tmp_path / "none"), ("export", tmp_path, tmp_path / "x.csv")):
        done = run(*arguments)
        assert done.exit_code == 1
        assert done.stderr.count("error:") == 1
        assert "earmark decide --out FOLDER" in done.stderr


def test_an_export_says_what_it_wrote(made: Made, tmp_path: Path):
    done = run("export", made.out, tmp_path / "x.csv", "--arm", "mail", "--arm", "=coupon")
    assert done.exit_code == 0
    treated = int((made.frame["arm"] != "none").sum())
    coupons = int((made.frame["arm"] == "=coupon").sum())
    assert f"{treated:,} decisions in" in done.stdout
    assert f"{coupons:,} cells begin like a formula" in done.stdout
    assert run("export", made.out, tmp_path / "x.csv").exit_code == 1
    done = run("export", made.out, tmp_path / "x.csv", "--force", "--json")
    assert json.loads(done.stdout)["users"] == N
