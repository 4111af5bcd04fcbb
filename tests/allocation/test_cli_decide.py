"""`earmark decide`: what it prints, writes and refuses; every sum is recomputed from the files in fractions."""

from __future__ import annotations

import json
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from allocation import BestMix
from tests.allocation.nightly import (
    ARMS,
    LIMITS,
    PLAN,
    decisions,
    earmark,
    events,
    manifest,
    state,
    total,
    users,
    widest,
)
from tests.allocation.test_cli import assert_one_message
from uplift import Campaign


def test_it_prints_what_the_files_hold_within_80_columns(plan: Path):
    code, out, err = earmark("decide", plan, "--out", "out")
    assert code == 0, err
    frame, told = decisions(Path("out")), " ".join(out.split())
    assert list(frame) == ["user_id", "arm", "expected_value", "expected_cost", "margin"]
    assert frame["user_id"].tolist() == users()["user_id"].tolist()
    spend, value = total(frame["expected_cost"]), total(frame["expected_value"])
    assert spend <= Fraction("300.5")
    assert f"promised value {float(value):,.2f} {float(value - total(users()['value.none'])):,.2f} above" in told
    assert f"spend {float(spend):,.2f} of a budget of 300.50 EUR" in told
    for arm in ARMS:
        count = int((frame["arm"] == arm).sum())
        assert f"{arm} {count:,} {100 * count / len(frame):.1f}%" in told
    price = manifest(Path("out"))["price"]
    assert f"the next 1 EUR buys {price:.2f} of value" in told
    assert "no decision within these terms is worth" in told
    assert "It is not verified" in told
    assert "Check them: earmark inspect out" in told
    assert widest(out) <= 80
    assert earmark("inspect", "out")[0] == 0


def test_limits_stand_beside_what_they_allow_and_hold_exactly(plan: Path):
    plan.write_text(PLAN + LIMITS)
    code, out, err = earmark("decide", plan, "--out", "out")
    assert code == 0, err
    frame = decisions(Path("out")).merge(users(), on="user_id", validate="1:1")
    minutes = sum(frame[f"resource.minutes.{arm}"].where(frame["arm"] == arm, 0) for arm in ARMS[1:])
    north = (frame["region"] == "north") & (frame["arm"] != "none")
    head = frame["segment"] == "head"
    assert int(((frame["arm"] == ARMS[2]) & head).sum()) <= int(head.sum()) // 10
    assert total(minutes) <= 400
    assert total(frame.loc[north, "expected_cost"]) >= Fraction("80.25")
    assert total(frame["expected_cost"]) <= Fraction("300.5")
    assert "few coupons" in out
    assert "A limit's price is the value that one more unit of its bound would add" in " ".join(out.split())
    assert widest(out) <= 80


def test_money_that_nobody_can_use_is_left_and_said_so(plan: Path):
    code, out, _ = earmark("decide", plan, "--budget", "1e6", "--out", "out")
    told, spend = " ".join(out.split()), total(decisions(Path("out"))["expected_cost"])
    assert code == 0
    assert "price 0.00 more money buys nothing" in told
    assert f"{float(1_000_000 - spend):,.2f} EUR stay unspent: nobody's predicted value would rise" in told


def test_without_a_budget_only_the_limits_bind_and_there_is_no_price(plan: Path):
    plan.write_text(PLAN.replace("budget = 300.5\n", "") + '[[limit]]\nname = "few"\nmax = 50\n')
    code, out, err = earmark("decide", plan, "--out", "out")
    assert code == 0, err
    assert int((decisions(Path("out"))["arm"] != "none").sum()) == 50
    assert "There is no budget: only the limits bind." in " ".join(out.split())
    assert not [line for line in out.splitlines() if line.startswith("price")]


def test_without_a_budget_and_limits_everybody_gets_the_best_arm(plan: Path):
    plan.write_text(PLAN.replace("budget = 300.5\n", ""))
    code, out, err = earmark("decide", plan, "--out", "out")
    assert code == 0, err
    assert "There is neither a budget nor a limit: everybody gets the best arm." in " ".join(out.split())
    made, table = decisions(Path("out")), pd.read_parquet(plan.parent / "responses")
    best = table.filter(regex=r"^value\.").max(axis=1)
    np.testing.assert_allclose(made["expected_value"], best)


def test_json_is_the_manifest_and_nothing_else(plan: Path):
    code, out, _ = earmark("decide", plan, "--out", "out", "--json")
    assert code == 0
    assert out == (Path("out") / "manifest.json").read_text(encoding="utf-8")


def test_a_dry_run_writes_nothing_and_shows_the_changes(plan: Path, tmp_path: Path):
    assert earmark("decide", plan, "--out", "out")[0] == 0
    before, old = state(tmp_path), decisions(Path("out"))
    code, out, err = earmark("decide", plan, "--out", "out", "--budget", "150", "--dry-run")
    assert code == 0, err
    assert state(tmp_path) == before
    dry = json.loads(earmark("decide", plan, "--out", "out", "--budget", "150", "--dry-run", "--json")[1])
    assert state(tmp_path) == before
    assert earmark("decide", plan, "--out", "new", "--budget", "150")[0] == 0
    new, written = decisions(Path("new")), manifest(Path("new"))
    assert {name: dry[name] for name in ("run", "totals", "price", "arm_users", "exact")} == {
        name: written[name] for name in ("run", "totals", "price", "arm_users", "exact")
    }
    flows = pd.crosstab(old["arm"], new["arm"])
    same = int((old["arm"] == new["arm"]).sum())
    assert (dry["dry_run"], dry["changes"]["same"], dry["changes"]["moved"]) == (True, same, len(old) - same)
    for flow in dry["changes"]["flows"]:
        assert flow["users"] == flows.loc[flow["from"], flow["to"]]
    told = " ".join(out.split())
    assert f"Against the decisions in out: {same:,} users ({100 * same / len(old):.1f}%) keep their arm" in told
    first = dry["changes"]["flows"][0]
    assert f"{first['from']} {first['to']} {first['users']:,}" in told
    assert "Nothing was written (--dry-run)." in told
    assert widest(out) <= 80


def test_a_dry_run_without_earlier_decisions_says_so(plan: Path, tmp_path: Path):
    before = state(tmp_path)
    code, out, _ = earmark("decide", plan, "--dry-run")
    assert code == 0
    assert "There are no earlier decisions in earmark-decisions to compare with." in " ".join(out.split())
    assert state(tmp_path) == before


def test_what_is_given_takes_the_place_of_the_plans_and_the_run_id_follows(plan: Path):
    runs = {}
    users(300).to_parquet("other.parquet")
    for name, given in {
        "same": [],
        "again": [],
        "budget": ["--budget", "150"],
        "stated": ["--budget", "300.5"],
        "table": ["--responses", "other.parquet"],
    }.items():
        code, _, err = earmark("decide", plan, "--out", name, *given)
        assert code == 0, err
        runs[name] = manifest(Path(name))
    assert runs["same"]["run"] == runs["again"]["run"] == runs["stated"]["run"]
    assert len({runs[name]["run"] for name in ("same", "budget", "table")}) == 3
    assert state(Path("same")) == state(Path("again"))
    assert (runs["budget"]["budget"], runs["table"]["rows"]) == (150.0, 300)
    assert total(decisions(Path("budget"))["expected_cost"]) <= 150


def test_the_json_log_is_one_object_a_line_from_the_first_to_the_totals(plan: Path):
    code, _, err = earmark("decide", plan, "--out", "out", "--log", "json")
    assert code == 0
    lines, written = events(err), manifest(Path("out"))
    for line in lines:
        assert set(line) >= {"time", "level", "event", "run", "what", "done", "of", "seconds"}
        assert line["time"].endswith("Z")
    assert [line["seconds"] for line in lines] == sorted(line["seconds"] for line in lines)
    named = [line["run"] for line in lines if line["run"] is not None]
    assert set(named) == {written["run"]}
    passes = [line for line in lines if line["event"] == "pass"]
    assert {line["what"] for line in passes} >= {"a sample for first prices", "writing decisions"}
    assert all(0 <= line["done"] <= line["of"] == 700 for line in passes)
    last = lines[-1]
    assert last["event"] == "done"
    assert last["totals"]["cost"] == float(total(decisions(Path("out"))["expected_cost"]))
    assert last["totals"]["arm_users"] == written["arm_users"]


def test_the_json_log_ends_with_the_error(plan: Path):
    plan.write_text(PLAN.replace("300.5", "-1"))
    code, out, err = earmark("decide", plan, "--log", "json")
    (line,) = events(err)
    assert (code, out, line["level"], line["event"], line["run"]) == (1, "", "error", "error", None)
    assert "budget = -1" in line["message"]


def test_waves_spend_no_more_than_the_budget_together(plan: Path):
    """The first 200 users are served at what was predicted; the rest are decided for with what is left."""
    plan.write_text(PLAN + LIMITS)
    assert earmark("decide", plan, "--out", "first")[0] == 0
    served = decisions(Path("first"))[:200].merge(users(), on="user_id", validate="1:1")
    served["cost"] = served["expected_cost"]
    served["resource.minutes"] = served["arm"].map({arm: float(j) for j, arm in enumerate(ARMS)})
    columns = ["user_id", "arm", "cost", "resource.minutes", "segment", "region"]
    served[columns].to_parquet("served.parquet")
    code, out, err = earmark("decide", plan, "--spent", "served.parquet", "--out", "second")
    assert code == 0, err
    rest = decisions(Path("second"))
    assert set(rest["user_id"]) == set(users()["user_id"]) - set(served["user_id"])
    spent = total(served["cost"])
    assert spent + total(rest["expected_cost"]) <= Fraction("300.5")
    assert Fraction(manifest(Path("second"))["budget"]) <= Fraction("300.5") - spent
    assert manifest(Path("second"))["spent"]["users"] == 200
    assert manifest(Path("second"))["run"] != manifest(Path("first"))["run"]
    minutes = rest["arm"].map({arm: j for j, arm in enumerate(ARMS)})
    assert total(served["resource.minutes"]) + total(minutes) <= 400
    told = " ".join(out.split())
    assert f"200 users were served before, for {float(spent):,.2f} EUR: they are left out" in told
    served.assign(cost=2.0)[columns].to_csv("served.csv", index=False)
    words = ["the budget is 300.5", "served.csv 400 is spent already"]
    assert_one_message(*earmark("decide", plan, "--spent", "served.csv", "--out", "second"), words)


def test_a_run_that_fails_leaves_the_decisions_before_it(plan: Path):
    assert earmark("decide", plan, "--out", "out")[0] == 0
    before = state(Path("out"))
    frame = users()
    frame.loc[650, "value.mail"] = np.nan
    frame[400:].to_parquet("responses/b.parquet")
    assert_one_message(*earmark("decide", plan, "--out", "out"), ["b.parquet", "value.mail"])
    assert state(Path("out")) == before
    assert earmark("inspect", "out")[0] == 0


BAD = {
    "an arm": (
        LIMITS.replace('["[b]coupon"]', '["coupon"]'),
        ["names the arm 'coupon'", "Did you mean '[b]coupon'?"],
    ),
    "a column": (LIMITS.replace("segment =", "segmnt ="), ["asks in where for the column 'segmnt'", "'segment'"]),
    "a measure": (LIMITS.replace('"cost"', '"user"'), ["the north's share", "'user'", "Did you mean 'users'?"]),
    "a resource": (
        LIMITS.replace('"minutes"\nmax', '"minute"\nmax'),
        ["measures 'minute'", "Did you mean 'minutes'?"],
    ),
    "a key": ('[[limit]]\nname = "x"\nmaximum = 3\n', ["unknown key 'maximum'"]),
}


@pytest.mark.parametrize("case", BAD)
def test_what_a_limit_misspells_is_told_before_any_pass(case: str, plan: Path, tmp_path: Path):
    limits, words = BAD[case]
    plan.write_text(PLAN + limits)
    before = state(tmp_path)
    code, out, err = earmark("decide", plan, "--out", "out")
    assert_one_message(code, out, err, words)
    assert "pass" not in err
    assert state(tmp_path) == before


REFUSED = {
    "two sources": (["--responses", "r", "--model", "m"], ["--responses and --model are both given"]),
    "features of a table": (["--responses", "r", "--features", "f"], ["--responses and --features are both given"]),
    "a model alone": (["--model", "m"], ["has no features", "--features"]),
    "features alone": (["--features", "f"], ["has no model", "--model"]),
    "budget": (["--budget", "-3"], ["--budget is -3.0", "at least 0"]),
    "infinite": (["--budget", "inf"], ["--budget is inf", "finite", "leave it out where there is no bound"]),
    "master": (["--master", "local[2]"], ["--master is for --engine spark only"]),
    "partitions": (["--partitions", "3"], ["--partitions is for --engine spark only"]),
    "spent": (["--spent", "nowhere.csv"], ["nowhere.csv does not exist"]),
    "no table": (["--responses", "nowhere"], ["nowhere does not exist"]),
    "another folder": (["--out", "responses"], ["which is the responses, "]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_arguments_get_one_message_exit_1_and_write_nothing(case: str, plan: Path, tmp_path: Path):
    before = state(tmp_path)
    arguments, words = REFUSED[case]
    assert_one_message(*earmark("decide", plan, *arguments), words)
    assert state(tmp_path) == before


@pytest.mark.parametrize(
    "arguments", [["--log", "jason"], ["--engine", "dask"], ["--partitions", "0"], ["--bugdet", "3"]]
)
def test_misused_options_exit_2(arguments: list[str], plan: Path, tmp_path: Path):
    before = state(tmp_path)
    assert earmark("decide", plan, *arguments)[0] == 2
    assert state(tmp_path) == before


def test_a_model_takes_the_place_of_the_table_and_its_arms_are_checked_too(plan: Path):
    """A rule of thumb says the same of everybody, so that the spend can be counted."""
    log = pd.DataFrame(
        {"arm": ["none", "mail"] * 200, "spend": [1.0, 3.0] * 200, "cost": [0.0, 0.5] * 200, "age": 1.0}
    )
    roles = {"features": ["age"], "treatment": "arm", "value": "spend", "cost": "cost"}
    BestMix().fit(Campaign.from_frame(log, **roles)).save("policy")
    users(300)[["user_id", "segment"]].assign(age=1.0).to_parquet("features.parquet")
    given = ["--model", "policy", "--features", "features.parquet", "--budget", "20", "--out", "out"]
    code, _, err = earmark("decide", plan, *given)
    assert code == 0, err
    frame = decisions(Path("out"))
    assert (int((frame["arm"] == "mail").sum()), total(frame["expected_cost"])) == (40, 20)
    plan.write_text(PLAN + LIMITS)
    assert_one_message(*earmark("decide", plan, *given), ["names the arm '[b]coupon'", "'none', 'mail'"])
    plan.write_text(PLAN + '[[limit]]\nname = "few"\nwhere = { segment = "head" }\nmax = 3\n')
    assert earmark("decide", plan, *given)[0] == 0
    chosen = decisions(Path("out")).merge(users(300), on="user_id")
    assert int(((chosen["arm"] == "mail") & (chosen["segment"] == "head")).sum()) <= 3


def test_the_commands_stand_in_the_order_of_their_use_and_help_needs_no_numerical_library():
    code = (
        "import sys\nfrom allocation.cli import app\n"
        "for words in ([], ['decide'], ['frontier'], ['inspect'], ['export']):\n"
        "    try:\n        app([*words, '--help'])\n    except SystemExit:\n        pass\n"
        "heavy = {'numpy', 'pandas', 'pyarrow', 'numba', 'torch', 'altair', 'pyspark', 'rich'} & set(sys.modules)\n"
        "sys.exit(repr(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={"COLUMNS": "80"})
    assert done.returncode == 0, done.stderr
    commands = [line.split()[0] for line in done.stdout.split("Commands:")[1].split("Usage:")[0].splitlines() if line]
    order = ["demo", "simulate", "fit", "evaluate", "predict", "frontier", "decide", "inspect", "export", "app"]
    assert commands == [*order, "recommend"]
    assert "..." not in done.stdout.split("Commands:")[1].split("app ")[0]
    for option in ("--dry-run", "--spent", "--engine", "--log", "--budgets"):
        assert option in done.stdout
