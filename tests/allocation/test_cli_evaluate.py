"""`earmark evaluate`: what it prints and writes, its exit codes and messages, and that bad input writes nothing."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from allocation.cli import app
from tests.allocation.test_cli import assert_one_message, log

ROLES = ["--treatment", "arm", "--value", "spend", "--cost", "cost", "--features", "age,visits", "--user-id", "id"]
DRAWN = [*ROLES, "--propensity", "arm shares"]
FAST = ["--policies", "nobody,single", "--bootstrap", "50"]


def evaluate(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["evaluate", *arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture(scope="module")
def thornton(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """One run on the real experiment: its folder, what it printed and its progress."""
    out = tmp_path_factory.mktemp("evaluate") / "results"
    names = "nobody,single,mix,random,outcome,s,t"
    code, printed, err = evaluate("--policies", names, "--bootstrap", "200", "--out", str(out))
    assert code == 0, err
    return out, printed, err


def test_the_folder_holds_the_frame_its_charts_the_report_and_the_manifest(thornton: tuple[Path, str, str]):
    out, printed, err = thornton
    charts = {f"{name}{kind}" for name in ("value", "difference", "promise", "spend") for kind in KINDS}
    assert {p.name for p in out.iterdir()} == {
        *("evaluation.parquet", "evaluation.csv", "report.html", "manifest.json", "charts")
    }
    assert {p.name for p in (out / "charts").iterdir()} == charts
    for name in ("nobody", "best single arm", "outcome targeting", "two-stage S", "two-stage T"):
        assert name in printed
    assert "fitting two-stage T on 1,411 users" in err
    assert "1,414 held-out users" in printed


KINDS = (".png", "-dark.png", ".html")


def test_the_manifest_describes_every_file_and_repeats_the_frame(thornton: tuple[Path, str, str]):
    out, _, _ = thornton
    manifest = json.loads((out / "manifest.json").read_text())
    assert len(manifest["parts"]) == 3 + 12
    for part in manifest["parts"]:
        assert hashlib.sha256((out / part["file"]).read_bytes()).hexdigest() == part["sha256"]
    frame, text = pd.read_parquet(out / "evaluation.parquet"), pd.read_csv(out / "evaluation.csv")
    assert len(frame) == len(text) == len(manifest["evaluation"]) == 7 * 5 * 5
    assert set(frame["estimator"]) == {"ipw", "sn", "dr", "switch", "clipped"}
    for column in ("value", "spend_low", "p_adjusted"):
        np.testing.assert_allclose(text[column], frame[column], rtol=1e-12)
    assert manifest["held_out_users"] == 1_414
    assert manifest["train_users"] == 1_411
    assert manifest["plan"]["seed"] == 0


def test_no_line_of_the_terminal_is_wider_than_80_columns(thornton: tuple[Path, str, str]):
    printed = thornton[1]
    told = [line for line in printed.splitlines() if not line.startswith("Full report:")]
    assert max(map(len, told)) <= 80


def test_json_is_the_manifest_and_the_same_seed_gives_the_same_bytes(tmp_path: Path):
    arguments = ["--data", "simulated", "--users", "400", *FAST, "--json", "--out"]
    code, printed, _ = evaluate(*arguments, str(tmp_path / "a"))
    assert code == 0
    assert printed == (tmp_path / "a" / "manifest.json").read_text()
    again = evaluate(*arguments, str(tmp_path / "b"))[1]
    assert again == printed


def test_an_own_log_with_files_in_several_splits(tmp_path: Path):
    frame = log()
    frame.to_parquet(tmp_path / "log.parquet")
    pd.DataFrame({"user_id": frame["id"], "arm": "mail"}).to_csv(tmp_path / "mail.csv", index=False)
    code, printed, err = evaluate(
        *("--data", str(tmp_path / "log.parquet"), *DRAWN, *FAST, "--splits", "2", "--currency", "EUR"),
        *("--decisions", f"[b]mailed={tmp_path / 'mail.csv'}", "--out", str(tmp_path / "o")),
        *("--budgets-per-user", "0.5,0.11,0.5", "--reference", "single"),
    )
    assert code == 0, err
    told = " ".join(printed.split())
    assert re.search(r"split 2 of 2: deciding for (299|300|301) held-out users at 2 budgets", err)
    assert "Averages over 2 random splits" in told
    assert "[b]mailed: whether a policy from a file" in told
    assert "Reference: best single arm." in told


BAD = {
    "unknown policy": (["--policies", "nobody,forrest"], ["'forrest' is not known", "Did you mean 'forest'?"]),
    "policy twice": (["--policies", "s,s"], ["'s' stands more than once"]),
    "no policy": (["--policies", ","], ["no policy is named"]),
    "unknown estimator": (["--estimator", "dm"], ["'dm'"]),
    "unknown reference": (
        ["--policies", "nobody,mix", "--reference", "single"],
        ["'single' is none of the policies"],
    ),
    "budget is no number": (["--budgets-per-user", "0.1,much"], ["--budgets-per-user has 'much'", "0.1,0.25,0.5"]),
    "negative budget": (["--budgets-per-user", "-1"], ["budget is -1; budgets per user are 0 or more"]),
    "level": (["--level", "95"], ["level is 95", "between 0 and 1"]),
    "bootstrap": (["--bootstrap", "1"], ["bootstrap is 1", "at least 2"]),
    "no file": (["--decisions", "mine"], ["--decisions 'mine' is no NAME=FILE"]),
    "absent file": (["--decisions", "mine=gone.csv"], ["gone.csv does not exist"]),
    "splits of files alone": (["--decisions", "mine=x.csv", "--splits", "2"], ["leave --splits out"]),
    "roles of a named set": (["--cluster", "house"], ["--cluster", "thornton_hiv", "leave them out"]),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_arguments_get_one_message_exit_1_and_write_nothing(tmp_path: Path, case: str):
    arguments, words = BAD[case]
    assert_one_message(*evaluate(*arguments, "--out", str(tmp_path / "o")), words)
    assert list(tmp_path.iterdir()) == []


def test_an_own_log_without_propensity_must_be_declared_randomised(tmp_path: Path):
    log().to_parquet(tmp_path / "log.parquet")
    result = evaluate("--data", str(tmp_path / "log.parquet"), *ROLES, *FAST, "--out", str(tmp_path / "o"))
    assert_one_message(*result, ["log.parquet comes without propensities", '--propensity "arm shares"'])
    assert not (tmp_path / "o").exists()


def test_shares_that_contradict_the_propensities_are_refused_unless_allowed(tmp_path: Path):
    """200 users of each arm and propensities .41 / .3 / .29: p = 6e-4."""
    arm = np.repeat(["none", "mail", "coupon"], 200)
    log().assign(arm=arm).to_parquet(tmp_path / "log.parquet")
    arguments = ["--data", str(tmp_path / "log.parquet"), *ROLES, "--propensity", "none=.41,mail=.3,coupon=.29"]
    arguments += [*FAST, "--out", str(tmp_path / "o")]
    assert_one_message(*evaluate(*arguments), ["contradict the log", "p = 0.0006", "'none'", "--allow-mismatch"])
    code, printed, err = evaluate(*arguments, "--allow-mismatch")
    assert code == 0, err
    told = " ".join(printed.split())
    assert told.count("the propensities contradict the log") == 1
    assert told.index("contradict the log") < told.index("verified value")


def test_a_folder_of_a_demo_is_not_overwritten_nor_somebody_elses_file(tmp_path: Path, run_folder: Path):
    arguments = ["--data", "simulated", "--users", "400", *FAST, "--out"]
    assert_one_message(*evaluate(*arguments, str(run_folder)), ["holds a run of `earmark demo`", "another --out"])
    (tmp_path / "charts").write_text("mine")
    assert_one_message(*evaluate(*arguments, str(tmp_path)), ["charts is a file, where a folder would be written"])
    assert (tmp_path / "charts").read_text() == "mine"


def test_a_second_run_replaces_the_first_whole(tmp_path: Path):
    """A run of one policy has no reference: the picture of differences that the first run drew must go."""
    arguments = ["--data", "simulated", "--users", "400", "--bootstrap", "20", "--out", str(tmp_path / "o")]
    assert evaluate(*arguments, "--policies", "nobody,mix")[0] == 0
    (tmp_path / "o" / "notes.txt").write_text("mine")
    assert (tmp_path / "o" / "charts" / "difference.png").exists()
    assert evaluate(*arguments, "--policies", "mix")[0] == 0
    assert sorted(p.name for p in (tmp_path / "o" / "charts").glob("difference*")) == []
    assert (tmp_path / "o" / "notes.txt").read_text() == "mine"
    files = {part["file"] for part in json.loads((tmp_path / "o" / "manifest.json").read_text())["parts"]}
    assert files == {str(p.relative_to(tmp_path / "o")) for p in (tmp_path / "o").rglob("*.*")} - {
        *("notes.txt", "manifest.json")
    }


def test_wrong_usage_leaves_with_2_and_the_help_needs_no_numerical_library():
    assert evaluate("--splits", "many")[0] == 2
    code = (
        "import sys\nfrom allocation.cli import app\n"
        "try:\n    app(['evaluate', '--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'numpy', 'pandas', 'lightgbm', 'sklearn', 'altair', 'torch', 'pyarrow'} & set(sys.modules)\n"
        "sys.exit(repr(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "--budgets-per-user" in done.stdout


def test_the_decisions_of_a_demo_are_read_with_what_they_promise(tmp_path: Path):
    """Half of a log's users decided by `earmark demo`: on these users its promise is the sum that it states."""
    frame = log()
    frame.to_parquet(tmp_path / "log.parquet")
    own = ["--data", str(tmp_path / "log.parquet"), *DRAWN]
    done = CliRunner().invoke(app, ["demo", *own, "--out", str(tmp_path / "demo")])
    assert done.exit_code == 0, done.stderr
    decided = pd.read_parquet(tmp_path / "demo" / "decisions.parquet")
    frame[frame["id"].isin(decided["user_id"])].to_parquet(tmp_path / "log.parquet")
    code, printed, err = evaluate(
        *own, "--decisions", f"tonight={tmp_path / 'demo' / 'decisions.parquet'}", "--out", str(tmp_path / "o")
    )
    assert code == 0, err
    table = pd.read_parquet(tmp_path / "o" / "evaluation.parquet")
    np.testing.assert_allclose(table["promised_value"], decided["expected_value"].sum())
    np.testing.assert_allclose(table["promised_spend"], decided["expected_cost"].sum())
    assert "tonight" in printed
