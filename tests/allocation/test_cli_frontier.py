"""`earmark frontier`: against the dual of every budget computed apart, its files, its pictures, what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from allocation.jobs.batch.frontier_charts import frontier_chart
from allocation.jobs.batch.frontier_job import frontier_plan, run_frontier
from allocation.jobs.batch.frontier_terminal import bar
from tests.allocation.nightly import ARMS, LIMITS, PLAN, earmark, events, state, users, widest
from tests.allocation.test_cli import assert_one_message

FILES = [
    "frontier-dark.png",
    "frontier-dark.svg",
    "frontier-light.png",
    "frontier-light.svg",
    "frontier.parquet",
    "manifest.json",
]


def best(budget: float) -> float:
    """The relaxed optimum: min over p of p B + sum_i max_j (value - p cost), at every price where an arm changes."""
    frame = users()
    value, cost = (frame[[f"{kind}.{arm}" for arm in ARMS]].to_numpy() for kind in ("value", "cost"))
    slopes = [
        (value[:, j] - value[:, i]) / (cost[:, j] - cost[:, i])
        for i in range(3)
        for j in range(3)
        if i < j and not np.allclose(cost[:, j], cost[:, i])
    ]
    prices = np.unique(np.clip(np.concatenate([*slopes, [0.0]]), 0, None))
    return min(float(p * budget + (value - p * cost).max(axis=1).sum()) for p in prices)


def test_values_are_those_of_the_dual_and_prices_their_slope(plan: Path):
    code, out, err = earmark("frontier", plan, "--budgets", "0,50,400,900", "--json")
    assert code == 0, err
    told = json.loads(out)
    assert (told["users"], told["arms"], told["plan_budget"]) == (700, list(ARMS), 300.5)
    rows = told["budgets"]
    assert [row["budget"] for row in rows] == [0.0, 50.0, 300.5, 400.0, 900.0]
    control = float(users()["value.none"].sum())
    for row in rows:
        optimum = best(row["budget"])
        assert optimum * (1 - 1e-4) <= row["value"] <= optimum * (1 + 1e-12)
        assert row["gain"] == pytest.approx(row["value"] - control, rel=1e-12)
        step = 1.0
        slope = (best(row["budget"] + step) - best(row["budget"])) / step
        assert slope <= row["price"] * 1.01 + 1e-9
        assert sum(row["share"].values()) == pytest.approx(1)
    assert 0 < rows[2]["share"]["none"] < 1


def test_the_table_marks_the_plan_and_says_where_money_ends(plan: Path):
    code, out, err = earmark("frontier", plan)
    assert code == 0, err
    told = " ".join(out.split())
    result = run_frontier(frontier_plan(plan))
    assert f"From {result.ends:,.2f} EUR on money buys nothing more." in told
    assert best(result.ends) == pytest.approx(best(10 * result.ends), rel=1e-9)
    marked = [line for line in out.splitlines() if line.startswith(">")]
    assert len(marked) == 1
    assert " 300" in marked[0]
    assert "a letter is 5% of the users: . none a mail b [b]coupon" in told
    assert "not verified" in told
    assert widest(out) <= 80
    assert len(result.budgets) == 11


def test_each_rung_of_the_ladder_buys_another_tenth(plan: Path):
    result = run_frontier(frontier_plan(Path("responses")))
    gain = result.columns()["gain"]
    np.testing.assert_allclose(gain / gain[-1], np.arange(1, 11) / 10, atol=0.02)


def test_limits_are_not_in_it_and_that_is_said(plan: Path):
    plan.write_text(PLAN + LIMITS)
    told = " ".join(earmark("frontier", plan)[1].split())
    assert "Limits of the plan that are not looked at: 3. Within them a budget buys less" in told
    assert len(json.loads(earmark("frontier", plan, "--json")[1])["limits_not_looked_at"]) == 3


def test_the_folder_holds_table_and_pictures_and_is_replaced_whole(plan: Path, tmp_path: Path):
    code, out, err = earmark("frontier", plan, "--out", "f", "--budgets", "77")
    assert code == 0, err
    assert "Table and charts: " in out
    assert sorted(path.name for path in Path("f").iterdir()) == FILES
    frame = pd.read_parquet("f/frontier.parquet")
    assert list(frame) == ["budget", "value", "gain", "price", *(f"share.{arm}" for arm in ARMS)]
    assert {77.0, 300.5} <= set(frame["budget"])
    assert frame["budget"].is_monotonic_increasing
    assert frame["value"].diff().min() >= -1e-9
    assert frame["price"].diff().max() <= 1e-9
    assert Path("f/frontier-light.png").read_bytes()[:4] == b"\x89PNG"
    before = state(Path("f"))
    assert earmark("frontier", plan, "--out", "f", "--budgets", "77")[0] == 0
    assert state(Path("f")) == before
    assert earmark("decide", plan, "--out", "d")[0] == 0
    held = state(Path("d"))
    assert_one_message(*earmark("frontier", plan, "--out", "d"), ["holds a run of `earmark decide`"])
    assert_one_message(*earmark("decide", plan, "--out", "f"), ["holds a run of `earmark frontier`"])
    assert state(Path("d")) == held
    assert state(Path("f")) == before


def test_pictures_tell_a_few_arms_apart_and_count_the_rest(tmp_path: Path):
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"user_id": np.arange(30)})
    for j in range(40):
        frame[f"value.{j}"] = rng.normal(j, 5, 30)
        frame[f"cost.{j}"] = rng.uniform(0, j + 0.1, 30) * (j > 0)
    frame.to_parquet(tmp_path / "many.parquet")
    result = run_frontier(frontier_plan(tmp_path / "many.parquet"))
    drawn = frontier_chart(result, "dark").to_dict()
    areas = drawn["concat"][1]["layer"][0]
    domain = areas["encoding"]["color"]["scale"]["domain"]
    assert (domain[0], domain[-1], len(domain)) == ("0", "33 other arms", 8)
    rows = pd.DataFrame(next(rows for rows in drawn["datasets"].values() if "share" in rows[0]))
    np.testing.assert_allclose(rows.groupby("budget")["share"].sum(), 1)


def test_bars_are_as_long_as_the_shares_and_always_whole():
    assert bar([0.5, 0.25, 0.25], 8) == "....aabb"
    assert bar([1 / 3, 1 / 3, 1 / 3], 10) == "....aaabbb"
    assert bar([1.0, 0.0], 5) == "....."
    assert bar([float("nan"), float("nan")], 5) == ""


def test_below_the_cheapest_decision_there_is_no_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    frame = users(20)
    frame["cost.none"] = 1.0
    for arm in ARMS[1:]:
        frame[f"cost.{arm}"] += 1.0
    frame.to_parquet("r.parquet")
    told = json.loads(earmark("frontier", "r.parquet", "--budgets", "19,20", "--json")[1])
    assert told["cheapest"] == 20.0
    assert told["budgets"][0] == {
        "budget": 19.0, "value": None, "gain": None, "price": None, "share": dict.fromkeys(ARMS)
    }  # fmt: skip
    assert told["budgets"][1]["gain"] == pytest.approx(0, abs=1e-9)
    code, out, _ = earmark("frontier", "r.parquet", "--budgets", "19,20")
    assert code == 0
    assert "The cheapest decision costs 20.00: no budget below can be kept." in " ".join(out.split())


def test_the_json_log_has_one_pass_and_the_totals(plan: Path):
    code, out, err = earmark("frontier", plan, "--log", "json", "--json")
    assert code == 0
    lines = events(err)
    begun = [line["what"] for line in lines if line["event"] == "pass" and line["done"] == 0]
    assert begun == ["frontier"]
    assert lines[-1]["event"] == "done"
    assert lines[-1]["totals"] == json.loads(out)


BAD = {
    "budgets": (["plan.toml", "--budgets", "1,x"], ["--budgets has 'x'"]),
    "nan": (["plan.toml", "--budgets", "nan"], ["a budget is nan"]),
    "no plan": (["other.toml"], ["other.toml does not exist"]),
    "no table": (["nowhere"], ["nowhere does not exist"]),
    "in its input": (["plan.toml", "--out", "responses/f"], ["/responses/f, which lies under the responses, "]),
    "around it": (["responses", "--out", "."], [", which holds the responses, responses"]),
    "two tables": (["responses", "--responses", "responses"], ["taken for a response table", "--responses"]),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_arguments_get_one_message_and_write_nothing(case: str, plan: Path, tmp_path: Path):
    before = state(tmp_path)
    arguments, words = BAD[case]
    assert_one_message(*earmark("frontier", "--out", "f", *arguments), words)
    assert state(tmp_path) == before
