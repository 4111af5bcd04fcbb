"""The export view and scenarios: the file is the command's, plans are saved, opened, compared and passed on."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from allocation.jobs.analyst import scenarios
from allocation.jobs.analyst.address import plan_code, plan_of_code
from allocation.jobs.analyst.exported import plan_for
from allocation.jobs.analyst.run import open_run
from allocation.jobs.plan import Plan, PlanLimit, Share, parse_plan
from tests.app.conftest import Visit

LIMITS = (PlanLimit("few", max=Share(0.1)),)


def script(folder: str) -> None:
    """The page of the export alone."""
    from pathlib import Path

    from app import main
    from app.views import export

    main._shown(export.show, Path(folder))


@pytest.fixture
def page(run_folder: Path, saved: Path) -> AppTest:
    """The page with a limit applied, not drawn yet."""
    page = AppTest.from_function(script, args=(str(run_folder),), default_timeout=60)
    page.session_state["limits"] = LIMITS
    return page


@pytest.fixture
def saved(run_folder: Path) -> Iterator[Path]:
    """Where scenarios go; empty before and after."""
    folder = scenarios.scenarios_folder(open_run(run_folder))
    assert not folder.exists()
    yield folder
    for name in scenarios.saved_names(folder):
        scenarios.delete(folder, name)


def plan_of(run_folder: Path, limits: tuple[PlanLimit, ...] = LIMITS) -> Plan:
    run = open_run(run_folder)
    return plan_for(run, run.plan.budget or 0.0, limits)


@pytest.mark.parametrize(("kind", "ending"), [("Parquet", "parquet"), ("CSV", "csv")])
def test_the_file_is_what_the_command_on_the_shown_plan_writes(page: AppTest, kind: str, ending: str, tmp_path: Path):
    page.run()
    shown = [code.value for code in page.code]
    (tmp_path / "plan.toml").write_text(shown[0])
    assert shown[1] == "earmark decide plan.toml --out tonight/"
    page.button(key=f"build_{kind}").click().run()
    assert not page.exception
    assert not page.error
    command = [sys.executable, "-m", "allocation.cli"]
    subprocess.run([*command, *shown[1].split()[1:]], cwd=tmp_path, check=True, capture_output=True)
    written = tmp_path / "tonight" / "part-00000.parquet"
    if kind == "CSV":
        written = tmp_path / "d.csv"
        subprocess.run([*command, "export", "tonight", "d.csv"], cwd=tmp_path, check=True, capture_output=True)
    built = page.session_state["export_built"][2]
    assert built.content == written.read_bytes()
    assert built.name.endswith(f"-decisions.{ending}")
    page.session_state["limits"] = ()
    page.run()
    assert "export_built" not in page.session_state  # a file of another plan is not offered


def test_the_digest_is_that_of_the_plan(page: AppTest, run_folder: Path):
    page.run()
    shown = [code.value for code in page.code]
    assert parse_plan(shown[0]) == plan_of(run_folder)
    assert shown[2] == plan_of(run_folder).digest()


def test_a_scenario_is_saved_opened_compared_and_deleted(page: AppTest, run_folder: Path, saved: Path):
    page.run()
    page.text_input(key="scenario_name").set_value("few & <b>")
    page.button(key="scenario_save").click().run()
    assert [error.value for error in page.error] == [
        r"a scenario cannot be called 'few & \<b\>'\: it holds \<, which separates folders or means something to a "
        r"system; choose another name"
    ]
    page.text_input(key="scenario_name").set_value("few")
    page.button(key="scenario_save").click().run()
    assert [success.value for success in page.success] == ["Saved as few."]
    assert scenarios.load(saved, "few") == plan_of(run_folder)
    page.session_state["limits"] = ()
    page.run()
    page.button(key="scenario_save").click().run()
    assert "Overwrite it" in page.error[0].value
    assert scenarios.load(saved, "few").limits == LIMITS
    page.button(key="scenario_overwrite").click().run()
    assert scenarios.load(saved, "few").limits == ()
    page.session_state["limits"] = LIMITS
    page.run()
    page.button(key="scenario_open").click().run()
    assert page.session_state["limits"] == ()
    page.button(key="scenario_delete").click().run()
    assert scenarios.saved_names(saved) == ["few"]
    page.button(key="scenario_gone").click().run()
    assert scenarios.saved_names(saved) == []
    assert not page.exception


def test_scenarios_stand_side_by_side(page: AppTest, run_folder: Path, saved: Path):
    scenarios.save(saved, "free", plan_of(run_folder, ()))
    scenarios.save(saved, "clash", plan_of(run_folder, (PlanLimit("a", min=9e9), *LIMITS)))
    page.run()
    page.multiselect(key="scenarios_chosen").set_value(["now: this plan", "free", "clash"]).run()
    assert not page.exception
    frame = page.dataframe[0].value
    assert list(frame.columns) == ["now: this plan", "free", "clash"]
    assert frame["free"]["limits"] == "0 limits"
    assert frame["now: this plan"]["binding"] == "few"
    assert len(page.error) == 1
    assert "limit 'a'" in page.error[0].value


def test_an_address_opens_its_plan(run_folder: Path, saved: Path):
    plan = plan_of(run_folder)
    page = AppTest.from_function(script, args=(str(run_folder),), default_timeout=60)
    page.query_params["plan"] = plan_code(Plan(**{**plan.__dict__, "budget": 123.456}))
    page.run()
    assert not page.exception
    shown = parse_plan(page.code[0].value)
    assert (shown.budget, shown.limits) == (123.456, LIMITS)


def test_a_budget_that_was_moved_since_is_the_one_that_counts(run_folder: Path, saved: Path):
    page = AppTest.from_function(script, args=(str(run_folder),), default_timeout=60)
    page.query_params["plan"] = plan_code(plan_of(run_folder))
    page.query_params["budget"] = "77.125"
    page.run()
    shown = parse_plan(page.code[0].value)
    assert (shown.budget, shown.limits) == (77.125, LIMITS)
    code = page.query_params["plan"]
    assert plan_of_code(code[0] if isinstance(code, list) else code).budget == 77.125


def test_a_broken_address_is_one_message_and_the_page_lives(run_folder: Path, saved: Path):
    page = AppTest.from_function(script, args=(str(run_folder),), default_timeout=60)
    page.query_params["plan"] = "eJzzzU"
    page.run()
    assert not page.exception
    assert len(page.error) == 1
    assert "the plan in the address" in page.error[0].value
    assert page.title[0].value == "Export"
    page.run()
    assert not page.error


def test_a_scenario_saved_in_a_browser_opens_elsewhere_by_address_and_by_name(
    visit: Callable[..., Visit], demo_address: str, saved: Path
):
    """A budget moved and a plan saved; another session opens it by its address, a third by its name."""
    one = visit(demo_address)
    one.open("view=export&budget=321.5")
    side = one.page.get_by_test_id("stSidebar")
    side.get_by_text("Scenarios", exact=True).click()
    side.get_by_label("Name").fill("spring")
    side.get_by_label("Name").press("Enter")
    one.settled()
    side.get_by_role("button", name="Save this plan").click()
    one.page.get_by_text("Saved as spring.").wait_for(timeout=60_000)
    assert scenarios.load(saved, "spring").budget == 321.5
    digest = one.page.get_by_test_id("stCode").nth(2).inner_text()
    two = visit(demo_address)
    two.open(one.page.url.split("?")[1])
    assert two.page.get_by_test_id("stCode").nth(2).inner_text() == digest
    three = visit(demo_address)
    three.open("view=export")
    assert three.page.get_by_test_id("stCode").nth(2).inner_text() != digest
    side = three.page.get_by_test_id("stSidebar")
    side.get_by_text("Scenarios", exact=True).click()
    side.get_by_test_id("stBaseButton-secondary").filter(has_text="Open").click()
    three.page.get_by_text("Opened spring.").wait_for(timeout=60_000)
    three.settled()
    assert three.page.get_by_test_id("stCode").nth(2).inner_text() == digest


def test_a_download_in_a_browser_is_the_command_s_part(
    visit: Callable[..., Visit], demo_address: str, run_folder: Path, saved: Path, tmp_path: Path
):
    at = visit(demo_address)
    at.open()
    at.page.get_by_test_id("stSidebar").get_by_text("Export", exact=True).click()
    at.page.get_by_role("button", name="Build the Parquet file").click()
    with at.page.expect_download() as download:
        at.page.get_by_role("button", name="-decisions.parquet").click()
    download.value.save_as(tmp_path / "d.parquet")
    with at.page.expect_download() as download:
        at.page.get_by_role("button", name="Download plan.toml").click()
    download.value.save_as(tmp_path / "plan.toml")
    subprocess.run(
        [sys.executable, "-m", "allocation.cli", "decide", "plan.toml", "--out", "tonight/"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    assert (tmp_path / "d.parquet").read_bytes() == (tmp_path / "tonight" / "part-00000.parquet").read_bytes()
