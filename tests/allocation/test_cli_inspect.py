"""`earmark inspect` and `earmark export` as a reader or a script meets them: output, one message, exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.allocation.jobs.batch.small_decisions import Made, N, change_manifest, make
from tests.allocation.nightly import earmark


@pytest.fixture(autouse=True)
def _narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal of 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")


@pytest.fixture
def made(tmp_path: Path) -> Made:
    """A whole run."""
    return make(tmp_path)


def test_a_whole_run_ends_with_0_and_a_table(made: Made):
    code, out, _ = earmark("inspect", made.out)
    assert code == 0
    assert "spring: decisions for 700 users" in out
    assert "limit 'few coupons'" in out
    assert max(map(len, out.splitlines())) <= 80
    code, out, _ = earmark("inspect", made.out, "--responses", made.responses)
    assert code == 0
    assert "not checked" not in out


def test_a_wrong_run_ends_with_1_and_one_message(made: Made):
    for k in range(9):
        (made.out / f"part-1000{k}.parquet").touch()
    change_manifest(made.out, lambda m: m.update(rows=3))
    code, out, err = earmark("inspect", made.out)
    assert code == 1
    assert out == ""
    assert err.count("error:") == 1
    assert "'part-10000.parquet' is there" in err
    assert "and 5 more" in err


def test_json_says_all_of_it_and_the_exit_code_too(made: Made):
    assert json.loads(earmark("inspect", made.out, "--json")[1])["ok"] is True
    change_manifest(made.out, lambda m: m["totals"].update(cost=0.0))
    code, out, _ = earmark("inspect", made.out, "--json")
    told = json.loads(out)
    assert (code, told["ok"], len(told["problems"])) == (1, False, 1)


def test_what_is_no_folder_of_decisions_is_one_message(tmp_path: Path):
    for arguments in (("inspect", tmp_path / "none"), ("export", tmp_path, tmp_path / "x.csv")):
        code, _, err = earmark(*arguments)
        assert code == 1
        assert err.count("error:") == 1
        assert "earmark decide --out FOLDER" in err


def test_an_export_says_what_it_wrote(made: Made, tmp_path: Path):
    code, out, _ = earmark("export", made.out, tmp_path / "x.csv", "--arm", "mail", "--arm", "=coupon")
    assert code == 0
    treated = int((made.frame["arm"] != "none").sum())
    coupons = int((made.frame["arm"] == "=coupon").sum())
    assert f"{treated:,} decisions in" in out
    assert f"{coupons:,} cells begin like a formula" in out
    assert earmark("export", made.out, tmp_path / "x.csv")[0] == 1
    _, out, _ = earmark("export", made.out, tmp_path / "x.csv", "--force", "--json")
    assert json.loads(out)["users"] == N
