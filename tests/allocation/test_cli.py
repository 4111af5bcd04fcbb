"""The `earmark` command: its exit codes, its messages, and that bad input writes nothing."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from allocation.cli import app
from allocation.jobs.output import FILES
from allocation.jobs.summary import read_run

ROLES = ["--treatment", "arm", "--value", "spend", "--cost", "cost", "--features", "age,visits", "--user-id", "id"]


ARM_CODES = {"none": "00", "mail": "01", "coupon": "02"}


def log(n: int = 600) -> pd.DataFrame:
    """A small randomised log of three arms."""
    rng = np.random.default_rng(0)
    arm = rng.choice(["none", "mail", "coupon"], n)
    age, visits = rng.normal(40, 10, n), rng.poisson(3, n)
    redeemed = (rng.random(n) < 0.5) * (arm == "coupon")
    spend = 10 + visits + (arm != "none") * visits + rng.normal(0, 1, n)
    cost = 2.0 * redeemed + 0.1 * (arm == "mail")
    return pd.DataFrame({"id": np.arange(n), "arm": arm, "spend": spend, "cost": cost, "age": age, "visits": visits})


def demo(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["demo", *arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


def test_an_own_log_runs_end_to_end(tmp_path: Path):
    """The default budget lies half-way to the dearest arm: mail costs .1 for certain, a coupon 2 with chance .5."""
    log().to_parquet(tmp_path / "log.parquet")
    code, out, err = demo(
        "--data", str(tmp_path / "log.parquet"), *ROLES, "--currency", "EUR", "--out", str(tmp_path / "o")
    )
    assert code == 0, err
    run = read_run(tmp_path / "o")
    assert (run.name, run.value_name, run.currency) == ("log.parquet", "spend", "EUR")
    assert set(run.arm_users) == {"none", "coupon", "mail"}
    assert run.budget_per_user == pytest.approx(0.5, abs=0.1)
    for name in ("two-stage", "best single arm", "outcome targeting", "random", "nobody"):
        assert name in out
    assert "fitting on" in err


def test_the_demo_on_real_incentives_prints_the_table_and_writes_three_files(tmp_path: Path):
    code, out, _ = demo("--out", str(tmp_path / "o"))
    assert code == 0
    assert "results collected" in out
    assert sorted(p.name for p in (tmp_path / "o").iterdir()) == sorted(FILES)


def test_json_is_the_manifest_and_nothing_else(tmp_path: Path):
    code, out, _ = demo("--data", "simulated", "--users", "500", "--json", "--out", str(tmp_path / "o"))
    assert code == 0
    assert json.loads(out) == json.loads((tmp_path / "o" / "manifest.json").read_text())


def put(column: str, row: int, cell: object) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def change(frame: pd.DataFrame) -> pd.DataFrame:
        frame[column] = frame[column].astype(object if isinstance(cell, str) else frame[column].dtype)
        frame.loc[row, column] = cell
        return frame

    return change


def probabilities(text: str) -> list[str]:
    return [*ROLES, "--propensity", text]


THIRDS = "none=.333,mail=.333,coupon=.334"
BAD = {
    "missing column": (lambda f: f.drop(columns="spend"), ROLES, ["'spend'", "not in the table"]),
    "missing feature": (lambda f: f.rename(columns={"age": "agee"}), ROLES, ["'age'", "Did you mean 'agee'?"]),
    "unknown arm": (put("arm", 3, "fax"), probabilities(THIRDS), ["'arm'", "1 rows", "'fax'", "drop these rows"]),
    "NaN value": (put("spend", 5, np.nan), ROLES, ["'spend'", "1 missing", "of 600", "row 5", "fill"]),
    "infinite value": (put("spend", 7, np.inf), ROLES, ["'spend'", "1 infinite", "of 600", "row 7"]),
    "NaN cost": (put("cost", 5, np.nan), ROLES, ["'cost'", "1 missing"]),
    "infinite feature": (put("age", 5, -np.inf), ROLES, ["'age'", "1 infinite"]),
    "text feature": (put("age", 5, "old"), ROLES, ["'age'", "numbers are expected"]),
    "duplicate user": (put("id", 5, 6), ROLES, ["'id'", "2 of 600", "such as ", "aggregate or drop"]),
    "no control": (lambda f: f[f["arm"] != "none"], ROLES, ["'none'", "absent", "'arm'", "control="]),
    "arm never logged": (lambda f: f[f["arm"] != "mail"], probabilities(THIRDS), ["'mail'", "never logged", "0 of"]),
    "propensity zero": (lambda f: f, probabilities("none=0,mail=.5,coupon=.5"), ["'none'", "outside (0, 1]"]),
    "propensity above one": (lambda f: f, probabilities("none=1.5,mail=.5,coupon=.5"), ["'none'", "outside (0, 1]"]),
    "propensity sum": (lambda f: f, probabilities("none=.5,mail=.5,coupon=.5"), ["sum to 1.5", "1 is expected"]),
    "propensity lacks an arm": (lambda f: f, probabilities("none=.5,mail=.5"), ["'coupon'"]),
    "propensity twice": (
        lambda f: f,
        probabilities("none=.3,none=.2,mail=.25,coupon=.25"),
        ["'none'", "more than once"],
    ),
    "user id as feature": (lambda f: f, [*ROLES[:6], "--features", "id,age", *ROLES[8:]], ["'id'", "leave it out"]),
    "propensity malformed": (lambda f: f, probabilities("none=.5,mail"), ["'mail'", "arm=number"]),
    "no rows": (lambda f: f.head(0), ROLES, ["empty", "0 rows"]),
    "negative budget": (lambda f: f, [*ROLES, "--budget-per-user", "-2"], ["budget is -2", "0 or more"]),
    "budget is no number": (lambda f: f, [*ROLES, "--budget-per-user", "nan"], ["budget is nan"]),
    "infinite budget": (lambda f: f, [*ROLES, "--budget-per-user", "inf"], ["budget", "finite"]),
    "too many users asked": (lambda f: f, [*ROLES, "--users", "601"], ["601", "600"]),
    "roles forgotten": (lambda f: f, [], ["--treatment, --value, --features, --cost", "--help"]),
    "cost forgotten": (lambda f: f, ROLES[:4] + ROLES[6:], ["--cost missing", "--cost none=0"]),
}


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_bad_input_gets_one_message_exit_1_and_writes_nothing(tmp_path: Path, case: str, kind: str):
    change, arguments, words = BAD[case]
    frame, path = change(log()), tmp_path / f"log.{kind}"
    frame.to_parquet(path) if kind == "parquet" and case != "text feature" else frame.to_csv(path, index=False)
    if kind == "parquet" and case == "text feature":
        frame.astype({"age": str}).to_parquet(path)
    code, out, err = demo("--data", str(path), *arguments, "--out", str(tmp_path / "o"))
    assert_one_message(code, out, err, words)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("log.parquet", b"", ["log.parquet", "empty", "0 bytes"]),
        ("log.parquet", b"id,arm,spend\n1,none,2\n", ["no Parquet file", "b'id,a'", "name a CSV file .csv"]),
        ("log.parquet", b"PAR1 and then nothing", ["cannot be read", "cut short"]),
        ("log.csv", b"a,b\n1,2\n1,2,3\n", ["cannot be read as CSV"]),
        ("log.txt", b"hello", ["neither a named set nor", "log.txt"]),
    ],
)
def test_a_file_that_is_not_what_its_name_says(tmp_path: Path, name: str, content: bytes, words: list[str]):
    (tmp_path / name).write_bytes(content)
    code, out, err = demo("--data", str(tmp_path / name), *ROLES, "--out", str(tmp_path / "o"))
    assert_one_message(code, out, err, words)
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_a_file_that_does_not_exist_and_an_output_that_is_a_file(tmp_path: Path):
    code, out, err = demo("--data", str(tmp_path / "no.parquet"), *ROLES, "--out", str(tmp_path / "o"))
    assert_one_message(code, out, err, ["no.parquet", "does not exist"])
    (tmp_path / "o").write_text("mine")
    code, out, err = demo("--out", str(tmp_path / "o"))
    assert_one_message(code, out, err, ["is a file", "--out"])
    assert (tmp_path / "o").read_text() == "mine"


def assert_one_message(code: int, out: str, err: str, words: list[str]) -> None:
    assert code == 1
    assert out == ""
    messages = [line for line in err.splitlines() if "error: " in line]
    assert len(messages) == 1
    assert "Traceback" not in err
    for word in words:
        assert word in messages[0], messages[0]


def test_a_control_arm_that_costs_money_has_budgets_it_can_meet(tmp_path: Path):
    """Every control user costs 1: all five budgets must lie above that."""
    frame = log()
    frame["cost"] += 1.0
    frame.to_parquet(tmp_path / "log.parquet")
    code, _, err = demo("--data", str(tmp_path / "log.parquet"), *ROLES, "--out", str(tmp_path / "o"))
    assert code == 0, err
    assert (read_run(tmp_path / "o").headline()["budget"] > 1).all()


def test_roles_beside_a_named_set_are_refused(tmp_path: Path):
    code, out, err = demo("--treatment", "arm", "--currency", "EUR", "--out", str(tmp_path / "o"))
    assert_one_message(code, out, err, ["--currency, --treatment", "thornton_hiv", "leave them out"])


def test_shares_that_contradict_the_propensities(tmp_path: Path):
    """200 users of each arm: .5 / .25 / .25 (p = 1e-15) is refused, .41 / .3 / .29 (p = 6e-4) is said first."""
    arm = np.repeat(["none", "mail", "coupon"], 200)
    frame = log().assign(arm=arm, cost=0.1 * (arm == "mail") + 1.0 * (arm == "coupon"))
    path, out = tmp_path / "log.parquet", tmp_path / "o"
    frame.to_parquet(path)
    result = demo("--data", str(path), *probabilities("none=.5,mail=.25,coupon=.25"), "--out", str(out))
    assert_one_message(*result, ["'none' should have about 300 of 600 users and has 200"])
    assert not out.exists()
    code, printed, _ = demo("--data", str(path), *probabilities("none=.41,mail=.3,coupon=.29"), "--out", str(out))
    assert code == 0
    assert "the propensities contradict the log" in " ".join(printed.split())
    assert "contradict the log" in (out / "report.html").read_text()


def test_names_of_a_csv_are_kept_as_they_are(tmp_path: Path):
    """007 stays 007, and an id of 20 digits is no float."""
    frame = log().assign(id=[f"{k:07d}" for k in range(599)] + ["9" * 20], arm=lambda f: f["arm"].map(ARM_CODES))
    frame.to_csv(tmp_path / "log.csv", index=False)
    code, _, err = demo("--data", str(tmp_path / "log.csv"), *ROLES, "--control", "00", "--out", str(tmp_path / "o"))
    assert code == 0, err
    ids = pd.read_parquet(tmp_path / "o" / "decisions.parquet")["user_id"]
    assert ids.isin(frame["id"]).all()
    assert set(read_run(tmp_path / "o").arm_users) == {"00", "01", "02"}


def test_names_of_the_log_are_printed_as_they_are(tmp_path: Path):
    """One that reads like a formula, the end and the start of markup, and a tag, as value and as currency."""
    name = "=1+1 [/bold] [red]euro <b>&"
    log().rename(columns={"spend": name}).to_parquet(tmp_path / "log.parquet")
    roles = [name if word == "spend" else word for word in ROLES]
    code, out, err = demo(
        "--data", str(tmp_path / "log.parquet"), *roles, "--currency", name, "--out", str(tmp_path / "o")
    )
    assert code == 0, err
    printed = " ".join(out.split())
    assert f"value is {name}" in printed
    assert f"money in {name}" in printed


def test_no_digit_of_a_large_amount_is_cut_off(tmp_path: Path):
    """Sixteen million a user do not fit into 80 columns: the table becomes wider, the numbers stay whole."""
    log().assign(spend=lambda f: f["spend"] * 1e6, cost=lambda f: f["cost"] * 1e6).to_parquet(
        tmp_path / "log.parquet"
    )
    code, out, err = demo("--data", str(tmp_path / "log.parquet"), *ROLES, "--out", str(tmp_path / "o"))
    assert code == 0, err
    assert "…" not in out


def test_a_reader_that_leaves_early_is_no_error(tmp_path: Path):
    command = f"{sys.executable} -m allocation.cli demo --data simulated --users 400 --out {tmp_path / 'o'} | true"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert read_run(tmp_path / "o").users > 0


def test_the_help_states_every_default():
    """Square brackets are text here, not markup that vanishes."""
    shown = " ".join(CliRunner().invoke(app, ["demo", "--help"]).stdout.split())
    for default in ("[default: all]", "[default: none]", "half-way from control", "[default: thornton_hiv]"):
        assert default in shown


def test_a_budget_below_control_is_refused_in_its_own_unit(tmp_path: Path):
    frame = log()
    frame["cost"] += 1.0
    frame.to_parquet(tmp_path / "log.parquet")
    out = tmp_path / "o"
    result = demo("--data", str(tmp_path / "log.parquet"), *ROLES, "--budget-per-user", "0.5", "--out", str(out))
    assert_one_message(*result, ["budget of 0.5 a user", "control alone costs 1 a user; give at least that"])


def test_one_column_in_two_roles_is_refused(tmp_path: Path):
    log().to_parquet(tmp_path / "log.parquet")
    roles = ["spend" if word == "cost" else word for word in ROLES]
    result = demo("--data", str(tmp_path / "log.parquet"), *roles, "--out", str(tmp_path / "o"))
    assert_one_message(*result, ["column 'spend' stands more than once", "a column of its own"])


def test_wrong_usage_leaves_with_2():
    assert demo("--budget-per-user", "much")[0] == 2
    assert demo("--colour", "red")[0] == 2


def test_help_and_version_need_no_numerical_library():
    """Lazy imports: the help must not wait for numpy, pandas or LightGBM."""
    code = (
        "import sys\nfrom allocation.cli import app\n"
        "try:\n    app(['--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'numpy', 'pandas', 'lightgbm', 'sklearn', 'altair', 'streamlit', 'pyarrow'} & set(sys.modules)\n"
        "sys.exit(repr(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "demo" in done.stdout


def test_a_port_that_is_taken_is_told_before_a_demo_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        result = CliRunner().invoke(app, ["app", "--port", f"{port}"])
    assert result.exit_code == 1
    assert result.stderr.startswith(
        f"error: port {port} of this machine cannot be listened at: Address already in use; give another"
    )
    assert f"--port {port + 1 if port < 65535 else 8501}" in result.stderr
    assert not any(tmp_path.iterdir())


def test_the_app_command_refuses_a_folder_without_a_run(tmp_path: Path):
    result = CliRunner().invoke(app, ["app", str(tmp_path)])
    assert result.exit_code == 1
    assert f"{tmp_path} holds no run; give the folder that `earmark demo --out FOLDER` wrote" in result.stderr
