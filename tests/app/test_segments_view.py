"""The segments view: its page by AppTest, its charts as data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from streamlit.testing.v1 import AppTest

from allocation.jobs.analyst.figures import figure
from allocation.jobs.analyst.run import open_run
from allocation.jobs.analyst.segments import EVERYBODY, effects, grouping, segments
from app.segments_charts import effect_chart, lift_chart


def page(folder: str) -> None:
    from pathlib import Path

    from app import state
    from app.views import segments

    segments.show(state.current(Path(folder)))


def opened(place: Path) -> AppTest:
    return AppTest.from_function(page, args=(str(place),), default_timeout=60).run()


def test_segments_add_up_and_follow_the_attribute_and_the_budget(run_folder: Path):
    view, run = opened(run_folder), open_run(run_folder)
    assert not view.exception
    table = view.dataframe[0].value
    assert table["segment"].iloc[0] == EVERYBODY
    users = [int(cell.replace(",", "")) for cell in table["users"]]
    assert sum(users[1:]) == users[0] == len(run)
    other = view.selectbox[0].options[1]
    view.selectbox[0].select(other).run()
    assert list(view.dataframe[0].value["segment"])[1:] == list(grouping(run, other).names)
    treated = view.dataframe[0].value["treated"].iloc[0]
    view.session_state["budget"] = 0.0
    view.run()
    assert not view.exception
    assert view.dataframe[0].value["treated"].iloc[0] == "0.0%" != treated


def test_one_user_is_explained_and_a_stranger_is_one_message(run_folder: Path):
    view, run = opened(run_folder), open_run(run_folder)
    user = str(run.user_id[7].as_py())
    view.text_input[0].set_value(user).run()
    assert any(m.value.startswith(f"User {user} gets ") for m in view.markdown)
    assert list(view.dataframe[1].value["arm"]) == list(run.arms)
    view.text_input[0].set_value("=1+1 <b>").run()
    assert not view.exception
    assert len(view.error) == 1
    assert "is no user id" in view.error[0].value


def test_a_table_without_log_and_attributes_says_what_is_missing(run_folder: Path, tmp_path: Path):
    view = opened(run_folder / "responses.parquet")
    assert not view.exception
    assert [info.value[:12] for info in view.info] == ["Not verified"]
    bare = pa.table({"user_id": ["<b>*a*</b>", "b"], "value.none": [0.0, 0.0], "cost.none": [0.0, 0.0]})
    bare = bare.append_column("value.mail", pa.array([1.0, 2.0])).append_column("cost.mail", pa.array([1.0, 1.0]))
    pq.write_table(bare, tmp_path / "bare.parquet")
    view = opened(tmp_path / "bare.parquet")
    assert not view.exception
    assert "no attributes" in view.info[0].value
    assert any(r"User \<b\>\*a\*\</b\> gets" in m.value for m in view.markdown)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_charts_hold_every_segment(run_folder: Path, theme: str):
    run = open_run(run_folder)
    groups = grouping(run, next(iter(run.attributes)))
    found = segments(run, np.ones(len(run), dtype=int), groups)
    chart = lift_chart(found, "revenue", theme).to_dict()
    promised = chart["datasets"][chart["layer"][2]["data"]["name"]]
    assert [row["segment"] for row in promised] == [EVERYBODY, *groups.names]
    told = effects(run, groups)
    drawn = effect_chart(told, "revenue", theme).to_dict()
    marks = drawn["datasets"][drawn["layer"][1]["data"]["name"]]
    assert len(marks) == 2 * (told["lacking"] == "").sum()
    named = drawn["datasets"][drawn["layer"][3]["data"]["name"]]
    assert {row["kind"] for row in named} == {"confounded", "adjusted"}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_charts_tell_every_segment(run_folder: Path, theme: str):
    """Both effects and the lift with their intervals; what is too small is said."""
    run = open_run(run_folder)
    groups = grouping(run, next(iter(run.attributes)))
    found = segments(run, np.ones(len(run), dtype=int), groups)
    clauses = [
        f"{row['segment']}: {told(row, 'lift')}, promised {figure(row['promised_lift'])}" for row in rows(found)
    ]
    text = lift_chart(found, "revenue", theme).to_dict()["description"]
    assert text == f"Value a user above control, by segment (revenue): {'; '.join(clauses)}."
    both = effects(run, groups)
    both.loc[1, [name for name in both.columns if name.startswith(("raw", "adjusted"))]] = np.nan
    both.loc[1, "lacking"] = "too small"
    clauses = [
        f"{row['segment']}: confounded {told(row, 'raw')}, adjusted {told(row, 'adjusted')}"
        if not row["lacking"]
        else f"{row['segment']}: too few users to tell"
        for row in rows(both)
    ]
    text = effect_chart(both, "revenue", theme).to_dict()["description"]
    assert text == f"Effect of treatment, a user, by segment (revenue): {'; '.join(clauses)}."


def rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return frame.to_dict("records")


def told(row: dict[str, Any], name: str) -> str:
    """A figure of a row as it must be told."""
    own, low, high = (figure(row[name + end]) for end in ("", "_low", "_high"))
    return f"{own}, 95% interval {low} to {high}"


def test_a_segment_without_a_log_is_told_as_promised(run_folder: Path):
    run = open_run(run_folder / "responses.parquet")
    found = segments(run, np.ones(len(run), dtype=int), grouping(run, next(iter(run.attributes))))
    clauses = [f"{row['segment']}: promised {figure(row['promised_lift'])}" for row in rows(found)]
    text = lift_chart(found, "value", "light").to_dict()["description"]
    assert text == f"Value a user above control, by segment (value): {'; '.join(clauses)}."


def test_a_small_segment_is_a_word_in_the_chart(run_folder: Path):
    run = open_run(run_folder)
    groups = grouping(run, next(iter(run.attributes)))
    found = segments(run, np.ones(len(run), dtype=int), groups)
    found.loc[1, ["lift", "lift_low", "lift_high"]] = np.nan
    chart = lift_chart(found, "revenue", "light").to_dict()
    notes = chart["datasets"][chart["layer"][3]["data"]["name"]]
    assert notes == [{"segment": groups.names[0]}]
    assert chart["layer"][3]["mark"]["text"] == "too few users"
    assert f"; {groups.names[0]}: too few users to tell, promised " in chart["description"]
