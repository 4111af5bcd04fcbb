"""The segments view: its page by AppTest, its charts as data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from streamlit.testing.v1 import AppTest

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


def test_a_small_segment_is_a_word_in_the_chart(run_folder: Path):
    run = open_run(run_folder)
    groups = grouping(run, next(iter(run.attributes)))
    found = segments(run, np.ones(len(run), dtype=int), groups)
    found.loc[1, ["lift", "lift_low", "lift_high"]] = np.nan
    chart = lift_chart(found, "revenue", "light").to_dict()
    notes = chart["datasets"][chart["layer"][3]["data"]["name"]]
    assert notes == [{"segment": groups.names[0], "words": "too few users"}]
