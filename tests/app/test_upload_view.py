"""Upload: forms by AppTest with files in memory; hostile ones leave the session alive, and nothing behind."""

from __future__ import annotations

import io
import re
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from streamlit.testing.v1 import AppTest

from app.main import VIEWS
from app.views.upload import LOG
from tests.app.conftest import Visit
from uplift import synthetic


def page(folder: str) -> None:
    """The upload view, and below it what every other view would show."""
    from pathlib import Path

    import streamlit as st

    from app import state
    from app.views import upload

    upload.show()
    st.text(state.current(Path(folder)).run.plan.name)


@pytest.fixture
def view(run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return AppTest.from_function(page, args=(str(run_folder),), default_timeout=120).run()


def sent(view: AppTest, name: str, data: bytes) -> AppTest:
    view.file_uploader[0].upload(name, data).run()
    return view


def pressed(view: AppTest, label: str) -> AppTest:
    next(button for button in view.button if button.label == label).click().run()
    return view


def csv(frame: pd.DataFrame) -> bytes:
    return frame.to_csv(index=False).encode()


TABLE = pd.DataFrame(
    {"user_id": ["007", "b"], "value.none": [0, 0], "cost.none": [0, 0], "value.<b>": [3, 2], "cost.<b>": [1, 1]}
)


def test_a_table_is_shown_in_this_session_until_one_returns(view: AppTest, run_folder: Path, tmp_path: Path):
    assert view.text[-1].value == "simulated"
    pressed(sent(view, "mine.csv", csv(TABLE)), "Show it")
    assert not view.exception
    assert view.text[-1].value == "mine"
    assert view.session_state["uploaded"].run.arms == ("none", "<b>")
    assert view.session_state["uploaded"].run.user_id.to_pylist() == ["007", "b"]
    assert not view.file_uploader[0].value  # forgotten
    assert list(tmp_path.iterdir()) == []
    pressed(view, "Return to the run")
    assert view.text[-1].value == "simulated"
    assert "uploaded" not in view.session_state


def test_a_log_is_fitted_decided_and_verified(view: AppTest, tmp_path: Path):
    camp = synthetic.simulate(600, seed=1).campaign
    frame = pd.DataFrame(camp.X[:, :2], columns=["x0", "=1+1 <script>"])
    frame = frame.assign(arm=np.array(camp.arms)[camp.treatment], value=camp.value, cost=camp.cost)
    view.radio[0].set_value(LOG).run()
    sent(view, "spring.csv", csv(frame))
    assert not view.exception
    assert [box.value for box in view.selectbox[:3]] == ["arm", "value", "none"]
    assert view.multiselect[0].value == ["x0", "=1+1 <script>"]
    pressed(view, "Fit, decide, verify")
    assert not view.exception
    assert not view.error
    run = view.session_state["uploaded"].run
    assert view.text[-1].value == "spring"
    assert run.evidence is not None
    assert run.compared is not None
    assert list(tmp_path.iterdir()) == []


def test_a_log_without_features_or_with_costs_of_arms_is_guided(view: AppTest):
    frame = pd.DataFrame({"arm": ["none", "mail"] * 30, "value": range(60), "x": range(60)})
    view.radio[0].set_value(LOG).run()
    sent(view, "spring.csv", csv(frame))
    assert {box.label for box in view.number_input} >= {"Cost of none", "Cost of mail"}
    view.multiselect[0].set_value([]).run()
    pressed(view, "Fit, decide, verify")
    assert not view.exception
    assert "no feature is chosen" in view.error[0].value
    assert view.text[-1].value == "simulated"


def bomb() -> bytes:
    text = pa.DictionaryArray.from_arrays(np.zeros(900_000, dtype=np.int32), ["x" * 100_000])
    out = io.BytesIO()
    pq.write_table(pa.table({"t": text}), out)
    return out.getvalue()


WIDE = csv(
    pd.DataFrame([[1] * 200], columns=["<script>alert(1)</script>", "=1+1", *(f"**c{j}**" for j in range(198))])
)


@pytest.mark.parametrize("kind", ["table", "log"])
@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("wide.csv", WIDE, "value"),
        ("empty.csv", b"", "empty: 0 bytes"),
        ("half.parquet", csv(TABLE), "no whole Parquet file"),
        ("bomb.parquet", bomb(), "MB of text; up to 512 MB are taken here"),
        ("twice.csv", b"a,a\n1,2\n", "'a'"),
        ("words.csv", b"a,b\nx,y\n", "value|column of numbers"),
    ],
)
def test_hostile_files_are_one_message_and_the_session_lives_on(
    view: AppTest, tmp_path: Path, kind: str, name: str, data: bytes, message: str
):
    if kind == "log":
        view.radio[0].set_value(LOG).run()
    sent(view, name, data)
    label = "Show it" if kind == "table" else "Fit, decide, verify"
    if any(button.label == label for button in view.button):
        pressed(view, label)
    assert not view.exception
    assert len(view.error) == 1
    said = view.error[0].value
    assert re.search(message, said.replace("\\", ""))
    assert not re.search(r"(?<!\\)[<$*]", said)  # whatever the file holds, Markdown shows it as text
    assert view.text[-1].value == "simulated"
    assert list(tmp_path.iterdir()) == []


def test_in_a_browser_files_are_sent_looked_at_and_forgotten(
    visit: Callable[..., Visit], demo_address: str, tmp_path: Path
):
    huge = tmp_path / "huge.csv"
    with huge.open("wb") as file:
        file.truncate(300 << 20)
    mine = tmp_path / "mine.csv"
    mine.write_bytes(csv(TABLE))
    seen = visit(demo_address)
    seen.open()
    page = seen.page
    page.get_by_test_id("stSidebar").get_by_text("Upload", exact=True).click()
    page.get_by_text("A file of your own").wait_for(timeout=60_000)
    sender = page.locator('input[type="file"]')
    sender.set_input_files(str(huge))
    page.get_by_text("314.6MB").wait_for(timeout=60_000)
    assert page.get_by_role("button", name="Show it").count() == 0  # refused: the view never saw it
    sender.set_input_files(str(mine))
    page.get_by_role("button", name="Show it").click()
    page.get_by_text("Every view shows mine now").wait_for(timeout=60_000)
    page.get_by_test_id("stSidebar").get_by_text("Segments", exact=True).click()
    page.get_by_text("User 007 gets <b>").wait_for(timeout=60_000)
    page.get_by_role("button", name="Return to the run").click()
    page.get_by_text("simulated", exact=True).wait_for(timeout=60_000)
    assert page.get_by_text("Uploaded: in this session alone.").count() == 0
    for title, view, _ in VIEWS:  # all else is of the run again
        page.get_by_test_id("stSidebar").get_by_text(title, exact=True).click()
        page.wait_for_url(f"**view={view}*")
        seen.settled()
        seen.heading(title)
        assert "mine" not in page.get_by_test_id("stMain").inner_text()
