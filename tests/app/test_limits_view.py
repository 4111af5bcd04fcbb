"""The limits view: what is typed is applied, refused or mended; charts as data; the table in a real browser."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from allocation.jobs.analyst.certainty import UNVERIFIED
from allocation.jobs.analyst.exported import plan_for
from allocation.jobs.analyst.figures import figure
from allocation.jobs.analyst.limited import DecidedPlan, decide_run, limit_rows, without_limits
from allocation.jobs.analyst.limits_table import COLUMNS
from allocation.jobs.analyst.run import Run, open_run
from allocation.jobs.plan import PlanLimit, Share
from app.limits_charts import BINDING, FREE, arms_chart, gains_chart, mixes_chart, use_chart
from tests.app.conftest import Visit

TITLE = "Limits"


def script(folder: str) -> None:
    """The page of the limits alone."""
    from pathlib import Path

    from app import main
    from app.views import limits

    main._shown(limits.show, Path(folder))


def page_of(folder: Path, *rows: dict[str, Any]) -> AppTest:
    """The page with rows typed into the table, drawn once."""
    page = AppTest.from_function(script, args=(str(folder),), default_timeout=60)
    page.session_state["limits_typed"] = frame_of(*rows)
    return page.run()


def frame_of(*rows: dict[str, Any]) -> pd.DataFrame:
    blank = {"name": "few", "kind": "cap", "amount": "10%", "measure": "users", "arms": [], "where": ""}
    return pd.DataFrame([blank | row for row in rows], columns=list(COLUMNS))


def typed(page: AppTest, *rows: dict[str, Any]) -> AppTest:
    """Other rows in the table, and applied."""
    page.session_state["limits_base"] = frame_of(*rows)
    return page.button(key="apply_limits").click().run()


def test_without_limits_the_view_says_how_to_begin(run_folder: Path):
    page = page_of(run_folder)
    assert not page.exception
    assert page.title[0].value == TITLE
    assert [info.value for info in page.info] == ["No limit is applied: add a row to the table, and apply it."]
    assert page.metric[1].value == "0.00"  # no limit costs nothing


def test_a_limit_is_applied_made_infeasible_and_mended(run_folder: Path):
    page = page_of(run_folder, {})
    assert "not applied" in page.caption[-1].value or any("not applied" in c.value for c in page.caption)
    before = page.metric[0].value
    page.button(key="apply_limits").click().run()
    assert not page.exception
    assert not page.error
    assert page.metric[0].value != before
    assert page.session_state["limits"] == (PlanLimit("few", max=Share(0.1)),)
    assert page.dataframe[-1].value["binds"].tolist() == ["● at its cap"]
    arm = open_run(run_folder).arms[1]
    typed(page, {}, {"name": "many", "kind": "floor", "amount": "50%", "arms": [arm]})
    assert not page.exception
    assert len(page.error) == 1
    told = page.error[0].value.replace("\\", "")
    assert re.search(r"limit 'few' \(max \d+.*limit 'many' \(min \d+", told) or re.search(
        "limit 'many'.*limit 'few'", told
    )
    assert "by at least" in told
    assert "The table stays as it is" in told
    assert page.session_state["limits_typed"]["name"].tolist() == ["few", "many"]
    typed(page, {}, {"name": "many", "kind": "floor", "amount": "5%", "arms": [arm]})
    assert not page.error
    assert len(page.dataframe[-1].value) == 2


def test_wrong_rows_are_told_and_nothing_is_applied(run_folder: Path):
    page = page_of(run_folder, {"amount": "1,5"}, {"name": "*b*", "where": "segmnt"})
    page.button(key="apply_limits").click().run()
    assert not page.exception
    told = [error.value for error in page.error]
    assert len(told) == 2
    assert "Row 1, 'few', has the amount '1,5'" in told[0]
    assert r"Row 2, '\*b\*', has the condition 'segmnt'" in told[1]
    assert page.session_state["limits"] == ()


def test_a_budget_that_is_too_high_for_the_limits_is_a_banner(run_folder: Path):
    page = page_of(run_folder, {"amount": "1"})
    page.button(key="apply_limits").click().run()
    assert [w.value for w in page.main.warning][-1].count("stay unspent") == 1
    page.number_input(key="limits_budget").set_value(10_000_000.0).run()
    assert not page.exception
    assert "of the budget of 10,000,000" in [w.value for w in page.main.warning][-1]


def test_a_table_without_a_log_is_promised(run_folder: Path):
    page = page_of(run_folder / "responses.parquet", {})
    page.button(key="apply_limits").click().run()
    assert not page.exception
    assert not page.error
    assert any("Not verified: no log of these users is there" in info.value for info in page.info)
    assert "promised, not verified" in [caption.value for caption in page.caption]


@pytest.fixture(scope="module")
def run(run_folder: Path) -> Run:
    return open_run(run_folder)


@pytest.fixture(scope="module")
def decided(run: Run) -> DecidedPlan:
    """Two limits that bind and one that does not."""
    limits = (
        PlanLimit("few", max=Share(0.1)),
        PlanLimit("some mail", min=20.0, max=30.0, arms=(run.arms[1],)),
        PlanLimit("plenty", "cost", max=1e9),
    )
    return decide_run(run, plan_for(run, run.plan.budget or 0.0, limits))


def rows_in(chart: Any) -> list[dict[str, Any]]:
    return next(iter(chart.to_dict()["datasets"].values()))


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_bars_are_what_is_used_and_binding_ones_stand_out(decided: DecidedPlan, theme: str):
    chart = use_chart(decided, "EUR", theme)
    rows, expected = rows_in(chart), limit_rows(decided)
    assert [row["share"] for row in rows] == pytest.approx(expected["share"].tolist())
    assert [row["binds"] for row in rows] == [bool(side) for side in expected["binding"]]
    assert rows[0]["binds"]
    assert not rows[2]["binds"]
    colour = chart.to_dict()["layer"][1]["encoding"]["color"]
    assert (colour["condition"]["value"], colour["value"]) == (BINDING[theme], FREE[theme])
    assert rows[1]["words"].startswith(f"{expected['used'][1]:,.0f} of 20 to 30 users")
    clauses = [f"{row['limit']}: {row['share']:.1%} used, {row['words']}" for row in rows]
    told = f"Use of each limit, as a share of its cap or floor: {'; '.join(clauses)}."
    assert chart.to_dict()["description"] == told


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_bars_of_arms_are_shares_with_and_without(run: Run, decided: DecidedPlan, theme: str):
    free = decide_run(run, without_limits(decided.plan))
    chart = arms_chart(decided, free, run.arms, theme)
    rows = rows_in(chart)
    assert len(rows) == 2 * len(run.arms)
    for which, plan in (("with limits", decided), ("without", free)):
        mine = [row for row in rows if row["which"] == which]
        assert [row["share"] for row in mine] == pytest.approx([users / len(run) for users in plan.users])
        assert [row["words"] for row in mine] == [f"{which}: {users:,}" for users in plan.users]
    told = [
        f"{arm}: {own / len(run):.1%} ({own:,} users) with limits, {other / len(run):.1%} ({other:,} users) without"
        for arm, own, other in zip(run.arms, decided.users, free.users, strict=True)
    ]
    assert chart.to_dict()["description"] == f"Share of users on each arm: {'; '.join(told)}."


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_scenarios_are_points_with_intervals_and_mixes(run: Run, decided: DecidedPlan, theme: str):
    free = decide_run(run, without_limits(decided.plan))
    plans = {"<few>": decided, "all": free}
    gains = gains_chart(plans, "gain", theme)
    rows = rows_in(gains)
    assert [(row["plan"], row["promised"], row["gain"], row["low"], row["high"]) for row in rows] == [
        (name, plan.gain, *plan.verified_gain) for name, plan in plans.items()
    ]
    mixes = mixes_chart(plans, run.arms, theme)
    shares = rows_in(mixes)
    assert sum(row["share"] for row in shares if row["plan"] == "all") == pytest.approx(1)
    told = [
        f"{row['plan']}: verified {figure(row['gain'])}, 95% interval {figure(row['low'])} to {figure(row['high'])}, "
        f"promised {figure(row['promised'])}"
        for row in rows
    ]
    assert gains.to_dict()["description"] == f"Gain of each plan: {'; '.join(told)}."
    told = [
        f"{name}: " + ", ".join(f"{row['share']:.1%} on {row['arm']}" for row in shares if row["plan"] == name)
        for name in plans
    ]
    assert mixes.to_dict()["description"] == f"Share of users on each arm, by plan: {'; '.join(told)}."


def test_a_scenario_that_no_log_verifies_is_told_as_promised(decided: DecidedPlan):
    chart = gains_chart({"few": replace(decided, verified_gain=UNVERIFIED)}, "gain", "light")
    told = f"Gain of each plan: few: not verified, promised {figure(decided.gain)}."
    assert chart.to_dict()["description"] == told


def test_the_table_is_typed_into_in_a_browser(visit: Callable[..., Visit], demo_address: str):
    """Applied, made infeasible, mended; the address opens the same limits for somebody else."""
    at = visit(demo_address)
    page = _opened(at)
    _type_row(page, 0, "few", "10%")
    page.get_by_role("button", name="Apply limits").click()
    page.get_by_text("What each limit takes").wait_for()
    _type_row(page, 1, "many", "90%", kind="floor")
    page.get_by_role("button", name="Apply limits").click()
    page.get_by_text("This plan cannot be decided").wait_for()
    _type_cell(page, 1, "amount", "5%")
    page.get_by_role("button", name="Apply limits").click()
    page.get_by_text("What each limit takes").wait_for()
    at.settled()
    code = page.url.split("?")[1]
    other = visit(demo_address)
    other.open(code)
    limits = other.page
    limits.get_by_test_id("stSidebar").get_by_text(TITLE, exact=True).click()
    limits.get_by_text("What each limit takes").wait_for()


# Where the columns of the table begin, in pixels from its left.
LEFT = {"name": 33, "kind": 213, "amount": 318}


def _opened(at: Visit) -> Any:
    at.open()
    at.page.get_by_test_id("stSidebar").get_by_text(TITLE, exact=True).click()
    at.page.get_by_test_id("stDataFrame").first.wait_for()
    at.settled()
    return at.page


def _type_row(page: Any, row: int, name: str, amount: str, kind: str = "") -> None:
    """Add a row: the line below the last one makes one when it is clicked."""
    _click(page, row, "name")
    page.wait_for_timeout(800)
    page.keyboard.type(name, delay=50)
    page.keyboard.press("Enter")
    page.wait_for_timeout(800)
    _type_cell(page, row, "amount", amount)
    if kind:
        _type_cell(page, row, "kind", kind)


def _type_cell(page: Any, row: int, column: str, text: str) -> None:
    """Open a cell and put a text in the place of its own: the table is a canvas, which answers to mouse and keys."""
    _click(page, row, column)  # which may only give the table the focus
    _click(page, row, column, times=2)
    page.wait_for_timeout(500)
    page.keyboard.press("Control+A")
    page.keyboard.type(text, delay=50)
    page.keyboard.press("Enter")
    page.wait_for_timeout(800)


def _click(page: Any, row: int, column: str, times: int = 1) -> None:
    table = page.get_by_test_id("stDataFrame").first
    table.scroll_into_view_if_needed()
    box = table.bounding_box()
    page.mouse.click(box["x"] + LEFT[column] + 40, box["y"] + 35 * (row + 1) + 17, click_count=times)
    page.wait_for_timeout(300)
