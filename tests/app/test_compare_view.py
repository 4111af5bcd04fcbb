"""The compare view: its page by AppTest, its charts as data."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from allocation.jobs.analyst.compared import CURRENT
from allocation.jobs.analyst.compared_at import compare
from allocation.jobs.analyst.figures import figure
from allocation.jobs.analyst.run import open_run
from app.compare_charts import difference_chart, value_chart


def page(folder: str) -> None:
    from pathlib import Path

    from app import state
    from app.views import compare

    compare.show(state.current(Path(folder)))


def opened(place: Path) -> AppTest:
    return AppTest.from_function(page, args=(str(place),), default_timeout=60).run()


def test_every_policy_stands_beside_the_others_and_words_say_who_wins(run_folder: Path):
    view, run = opened(run_folder), open_run(run_folder)
    assert not view.exception
    assert run.summary is not None
    assert list(view.dataframe[0].value["policy"]) == [*run.summary.policies, CURRENT]
    assert "`earmark demo --end-to-end` fits it too" in view.caption[-1].value
    said = " ".join(m.value for m in view.markdown)
    assert all(policy in said for policy in run.summary.policies)


def test_another_reference_is_another_comparison(run_folder: Path):
    view = opened(run_folder)
    view.selectbox[0].select(CURRENT).run()
    assert not view.exception
    table = view.dataframe[0].value
    assert table.set_index("policy").loc[CURRENT, "difference"] == "–"
    assert table.set_index("policy").loc[CURRENT, "verdict"] == "reference"


def test_the_evaluated_budget_nearest_to_the_chosen_one_is_named(run_folder: Path):
    view = opened(run_folder)
    assert "the evaluated one nearest" not in view.caption[0].value
    run = open_run(run_folder)
    assert run.compared is not None
    view.session_state["budget"] = run.compared.budgets[0] * 1.2
    view.run()
    assert "the evaluated one nearest" in view.caption[0].value
    assert f"At a budget of {run.compared.budgets[0]:,.0f}" in view.caption[0].value


def test_a_response_table_says_what_is_missing(run_folder: Path):
    view = opened(run_folder / "responses.parquet")
    assert not view.exception
    assert len(view.info) == 1
    assert "`earmark demo`" in view.info[0].value


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_charts_hold_every_policy_with_interval_promise_and_verdict(run_folder: Path, theme: str):
    run = open_run(run_folder)
    assert run.summary is not None
    assert run.compared is not None
    found = compare(run.summary, run.compared, run.plan.budget or 0.0, "nobody")
    values = value_chart(found, "revenue", theme).to_dict()
    marks = [layer["mark"]["type"] for layer in values["layer"]]
    assert marks[:3] == ["rule", "point", "point"]
    rows = values["datasets"][values["layer"][1]["data"]["name"]]
    assert [row["policy"] for row in rows] == list(found.rows["policy"])
    assert len({row["colour"] for row in rows}) == len(rows)
    assert "revenue" in values["layer"][1]["encoding"]["x"]["title"]
    chart = difference_chart(found, "revenue", theme).to_dict()
    drawn = chart["datasets"][chart["layer"][2]["data"]["name"]]
    assert {row["policy"] for row in drawn} == set(found.rows["policy"]) - {"nobody"}
    for row in drawn:
        assert (row["fill"] == "transparent") == (row["verdict"] not in ("better", "worse"))
        assert row["difference_low"] <= row["difference"] <= row["difference_high"]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_charts_tell_every_policy_with_interval_promise_and_verdict(run_folder: Path, theme: str):
    run = open_run(run_folder)
    assert run.summary is not None
    assert run.compared is not None
    found = compare(run.summary, run.compared, run.plan.budget or 0.0, "nobody")
    rows = found.rows.copy()
    rows.loc[0, ["value", "value_low", "value_high"]] = float("nan")
    rows.loc[0, ["difference", "difference_low", "difference_high", "verdict"]] = [*[float("nan")] * 3, "unknown"]
    found = replace(found, rows=rows)

    def told(row: dict[str, float], name: str) -> str:
        """A figure of a row as it must be told."""
        own, low, high = (figure(row[name + end]) for end in ("", "_low", "_high"))
        return f"{own}, 95% interval {low} to {high}" if own != "–" else "too few users to tell"

    values = value_chart(found, "revenue", theme).to_dict()["description"]
    differences = difference_chart(found, "revenue", theme).to_dict()["description"]
    assert values.startswith(f"Value of each policy (revenue): {rows['policy'][0]}: too few users to tell, promised ")
    assert differences.startswith(
        f"Value above nobody (revenue): {rows['policy'][0]}: too few users to tell, unknown;"
    )
    for row in rows.to_dict("records"):
        promised = "" if row["policy"] == CURRENT else f", promised {figure(row['promised_value'])}"
        assert f" {row['policy']}: {told(row, 'value')}{promised}" in values
        difference = f" {row['policy']}: {told(row, 'difference')}, {row['verdict']}"
        assert (difference in differences) == (row["policy"] != "nobody")
    assert (values.count(";"), differences.count(";")) == (len(rows) - 1, len(rows) - 2)
