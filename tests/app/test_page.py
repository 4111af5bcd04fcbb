"""The page and its budget view: logic by AppTest, the rest in a real browser."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from streamlit.testing.v1 import AppTest

from allocation.jobs.analyst import scenarios
from allocation.jobs.analyst.address import plan_code
from allocation.jobs.analyst.answers import answers_of
from allocation.jobs.analyst.exported import plan_for
from allocation.jobs.analyst.figures import figure, whole
from allocation.jobs.analyst.run import open_run
from allocation.jobs.plan import PlanLimit, Share
from app.budget_charts import frontier_specification, mix_specification
from app.charts import described, interval_words
from app.labels import spread
from app.main import VIEWS
from app.state import plain
from tests.app.conftest import Visit
from tests.app.serving import served

PAGE = Path(__file__).resolve().parents[2] / "app" / "main.py"


def render(folder: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setattr(sys, "argv", ["main.py", str(folder)])
    return AppTest.from_file(str(PAGE), default_timeout=60).run()


def test_the_figures_follow_the_budget(run_folder: Path, monkeypatch: pytest.MonkeyPatch):
    page = render(run_folder, monkeypatch)
    assert not page.exception
    assert page.title[0].value == "What a budget buys"
    answers = answers_of(open_run(run_folder))
    assert page.number_input[0].value == pytest.approx(answers.run.plan.budget)
    before = [figure.value for figure in page.metric]
    half = round(answers.span[1] / 2, 2)
    page.number_input[0].set_value(half).run()
    assert not page.exception
    assert page.slider[0].value == pytest.approx(half, rel=0.01)
    after = [figure.value for figure in page.metric]
    assert after != before
    told = answers.at(half)
    assert float(after[0].replace(",", "")) == pytest.approx(told.gain.estimate, rel=0.01)


def test_a_response_table_is_shown_as_promises(run_folder: Path, monkeypatch: pytest.MonkeyPatch):
    page = render(run_folder / "responses.parquet", monkeypatch)
    assert not page.exception
    told = "Not verified: no log of these users is there. The figures are promises of the model. `earmark demo` on "
    assert len(page.info) == 1
    assert page.info[0].value.startswith(told)


@pytest.mark.parametrize("lift", [0.0, -1.0])
def test_a_run_without_a_use_for_money_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lift: float):
    """Nothing to buy, or arms that save money."""
    columns = {"user_id": [1, 2], "value.none": [1.0, 1.0], "value.mail": [1.0 + lift] * 2, "cost.none": [0.0, 0.0]}
    pq.write_table(pa.table(columns | {"cost.mail": [lift, lift]}), tmp_path / "flat.parquet")
    page = render(tmp_path / "flat.parquet", monkeypatch)
    assert not page.exception
    assert not page.error
    for view in [title for title, _, _ in VIEWS][1:]:
        page.sidebar.radio[0].set_value(view).run()
        assert not page.exception, view
        assert not page.error, view


def test_the_promised_return_is_above_control(tmp_path: Path):
    """Control costs 1 a user, and mail less for one: the cheapest decision is not everybody on control."""
    columns = {"user_id": [1, 2, 3], "value.none": [0.0] * 3, "value.mail": [1.0, 4.0, 5.0]}
    costs = {"cost.none": [1.0] * 3, "cost.mail": [0.5, 2.0, 3.0]}
    pq.write_table(pa.table(columns | costs), tmp_path / "t.parquet")
    answers = answers_of(open_run(tmp_path / "t.parquet"))
    told = answers.at(answers.span[1])
    assert (told.promised_gain, told.promised_extra) == (10.0, 2.5)
    assert told.promised_average == pytest.approx(10 / 2.5)


def test_what_a_view_holds_is_let_go_with_it(run_folder: Path, monkeypatch: pytest.MonkeyPatch):
    page = render(run_folder, monkeypatch)
    page.sidebar.radio[0].set_value("Segments").run()
    assert "segments_kept_decided" in page.session_state
    page.sidebar.radio[0].set_value("Budget").run()
    assert "segments_kept_decided" not in page.session_state
    assert not page.exception


def test_names_of_the_log_are_no_markdown():
    """Dollars would become a formula, stars bold, brackets a colour or a link."""
    assert plain("$5 *off* [now](x) :red[a]") == r"\$5 \*off\* \[now\](x) \:red\[a\]"


def test_a_folder_without_a_run_is_one_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    page = render(tmp_path, monkeypatch)
    assert not page.exception
    assert len(page.error) == 1
    assert "holds no run; give the folder" in page.error[0].value


def test_labels_at_the_ends_of_lines_keep_apart():
    placed = spread([1.0, 1.1, 5.0, 1.05], 0.5)
    gaps = sorted(placed)
    assert min(b - a for a, b in pairwise(gaps)) >= 0.49
    assert placed[2] == 5.0
    assert placed[0] < placed[3] < placed[1]


def test_a_chart_as_text_is_short_and_without_holes():
    assert described("value of each", ["a: 1", "b: 2"]) == "Value of each: a: 1; b: 2."
    assert described("Value", [str(k) for k in range(29)]).endswith("; 22; 23; and 5 more.")
    assert described("Value", []) == "Value: nothing to show."
    assert interval_words(1234.4, 1000, 1500.2) == "1,234, 95% interval 1,000 to 1,500"
    assert interval_words(0.5, float("nan"), float("nan")) == "0.500"
    assert interval_words(float("nan"), 0.0, 1.0) == "too few users to tell"


def rows_of(spec: dict[str, Any]) -> list[list[dict[str, Any]]]:
    """The rows of each of a chart's data, which are kept as Streamlit sends them."""
    sent = [data for data in spec["datasets"].values() if isinstance(data, bytes)]
    return [pa.ipc.open_stream(data).read_all().to_pylist() for data in sent]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_charts_hold_the_figures(run_folder: Path, theme: str):
    answers = answers_of(open_run(run_folder))
    answer = answers.at(answers.span[1] / 2)
    drawn, mix = frontier_specification(answers, answer, theme), mix_specification(answers, theme)
    names = {row["name"] for rows in rows_of(drawn) for row in rows if "name" in row}
    assert names == {"promised", "this policy", "best single arm", "random", "current policy"}
    assert drawn["datasets"]["chosen"] == [{"budget": answer.budget, "gain": answer.gain.estimate}]
    other = frontier_specification(answers, answers.at(answers.span[1]), theme)
    assert other["datasets"]["chosen"][0]["budget"] == answers.span[1]
    assert drawn["datasets"]["chosen"][0]["budget"] == answer.budget
    shares = next(rows for rows in rows_of(mix) if "share" in rows[0])
    assert sum(row["share"] for row in shares if row["budget"] == answers.span[0]) == pytest.approx(1)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_charts_tell_the_ends_of_their_lines_and_the_same_at_every_budget(run_folder: Path, theme: str):
    """A text that changes would make the browser draw a chart anew."""
    answers = answers_of(open_run(run_folder))
    half, most = (frontier_specification(answers, answers.at(answers.span[1] / k), theme) for k in (2, 1))
    told = half["description"]
    assert told == most["description"]
    assert whole(answers.span[1] / 2) not in told
    assert whole(answers.span[1]) in told
    end = answers.drawn.curve.iloc[-1]
    low, high = figure(end["low"]), figure(end["high"])
    assert f": this policy: {figure(end['gain'])}, 95% interval {low} to {high}; " in told
    assert f"; promised: {figure(end['promised'])}; " in told
    for name, line in answers.drawn.rivals.groupby("policy"):
        assert f"; {name}: {figure(line['gain'].iloc[-1])}; " in told
    own = next(rows[0] for rows in rows_of(half) if rows[0].keys() >= {"name", "low"})
    current = f"{figure(own['gain'])}, 95% interval {figure(own['low'])} to {figure(own['high'])}"
    assert told.endswith(f"; current policy, which spends {whole(own['budget'])} EUR: {current}.")
    mix = mix_specification(answers, theme)
    (shares,) = rows_of(mix)
    last = [f"{row['arm']}: {row['share']:.1%}" for row in shares if row["budget"] == answers.span[1]]
    assert mix["description"].endswith(f", at the largest: {'; '.join(last)}.")
    assert len(last) == len(answers.run.arms)


def test_a_promise_is_told_with_its_band(run_folder: Path):
    answers = answers_of(open_run(run_folder / "responses.parquet"))
    end = answers.drawn.curve.iloc[-1]
    told = frontier_specification(answers, answers.at(answers.span[1]), "light")["description"]
    low, high = figure(end["low"]), figure(end["high"])
    assert told.endswith(f", at the largest: promised: {figure(end['promised'])}, 95% interval {low} to {high}.")


def first_figure(seen: Visit) -> str:
    """The first of the four figures, once all of them stand."""
    figures = seen.page.locator('[data-testid="stMetricValue"]')
    figures.nth(3).wait_for(timeout=60_000)
    return str(figures.first.inner_text())


def test_the_budget_in_a_browser(visit: Callable[..., Visit], demo_address: str):
    """Moved by the keyboard, the figures and the address follow; the address opens the same budget."""
    seen = visit(demo_address)
    seen.open()
    before = first_figure(seen)
    seen.page.get_by_role("slider").press("End")
    changed = "was => document.querySelector('[data-testid=\"stMetricValue\"]').innerText !== was"
    seen.page.wait_for_function(changed, arg=before, timeout=60_000)
    seen.settled()
    after = first_figure(seen)
    assert "budget=" in seen.page.url
    again = visit(demo_address)
    again.open(seen.page.url.split("?")[1])
    assert first_figure(again) == after


def test_every_move_of_a_hand_that_goes_on_counts(visit: Callable[..., Visit], demo_address: str):
    """What is moved while earlier moves are still being answered stays moved, on a slow machine too."""
    seen = visit(demo_address)
    seen.page.context.new_cdp_session(seen.page).send("Emulation.setCPUThrottlingRate", {"rate": 2})
    seen.open()
    first_figure(seen)
    slider, number = seen.page.get_by_role("slider"), seen.page.get_by_label("Exact budget (EUR)")
    start, step = float(slider.input_value()), float(slider.get_attribute("step"))
    for moved, key, times, end in (
        (slider, "ArrowLeft", 40, start - 40 * step),
        (number, "ArrowUp", 20, start - 20 * step),
        (slider, "ArrowRight", 10, start - 10 * step),
    ):
        moved.focus()
        for _ in range(times):
            seen.page.keyboard.press(key)
        for kind in ("range", "number"):
            there = f"Math.abs(parseFloat(document.querySelector('[type={kind}]').value) - {end!r}) < 1e-6"
            seen.page.wait_for_function(there, timeout=60_000)
    typed = start - 45 * step
    slider.press("End")
    number.click()
    number.fill(f"{typed}")  # while the browser is still to hear what the slider's move has come to
    number.press("Shift+Tab")
    seen.page.wait_for_url(f"**budget={typed!r}*")
    seen.settled()
    assert float(slider.input_value()) == float(number.input_value()) == typed
    assert seen.page.evaluate("document.activeElement.type") == "range"  # where the Tab led


@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (1280, "dark"), (390, "dark")])
def test_every_view_in_a_browser(visit: Callable[..., Visit], demo_address: str, width: int, scheme: str):
    """Nothing is wrong, nothing is wider than the window; the fourth look is that of the charts' own test."""
    seen = visit(demo_address, width, scheme)
    headings = set()
    for title, view, _ in VIEWS:
        if width > 1000 and headings:
            seen.choose(title, view)
        else:  # on a telephone the names are folded away
            seen.open(f"view={view}")
        headings.add(seen.heading(title))
        assert seen.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert len(headings) == len(VIEWS)


TOLD = {
    "budget": ("Gain above none (", "Share of users on each arm by budget, "),
    "limits": ("Use of each limit, as a share of its cap or floor: few: ", "Share of users on each arm: none: "),
    "compare": ("Value of each policy (", "Value above "),
    "segments": ("Value a user above control, by segment (", "Effect of treatment, a user, by segment ("),
    "evidence": (
        "Share of the log's users on each arm: none: ",
        "Difference of each feature (arm) from control, ",
        "Effective users of each arm ",
        "Verified effect of ",
        "Gain by the share of users treated (",
        "Gain by the share of users treated (",
        "Share of users whose arm stays in refits of the model: all users: ",
        "Users that the next experiment needs: ",
    ),
    "export": ("Gain above none (", "Share of users on each arm, by plan: now: this plan: "),
}


def test_every_chart_in_a_browser_says_what_it_shows(
    visit: Callable[..., Visit], demo_address: str, run_folder: Path
):
    """Vega labels the element that holds the drawing with the chart's text, which a screen reader says."""
    assert list(TOLD) == [view for _, view, _ in VIEWS]
    run = open_run(run_folder)
    plan = plan_for(run, run.plan.budget or 0.0, (PlanLimit("few", max=Share(0.1)),))
    folder = scenarios.scenarios_folder(run)
    scenarios.save(folder, "spring", plan)  # without one nothing is compared
    try:
        seen = visit(demo_address)
        charts = seen.page.get_by_test_id("stVegaLiteChart")
        for title, view, _ in VIEWS:
            starts = TOLD[view]
            seen.open(f"view={view}&plan={plan_code(plan)}")
            seen.heading(title)
            drawn = charts.and_(seen.page.locator('[role="graphics-document"]'))
            drawn.nth(len(starts) - 1).wait_for(timeout=60_000)
            assert seen.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
            assert charts.count() == len(starts), view
            told = [chart.get_attribute("aria-label") for chart in charts.all()]
            for text, start in zip(told, starts, strict=True):
                assert text.startswith(start)
                assert text.endswith(".")
    finally:
        scenarios.delete(folder, "spring")


def test_every_view_of_a_run_that_is_emptied_while_it_is_shown(
    visit: Callable[..., Visit], run_folder: Path, tmp_path: Path
):
    """One message in each; when the run is written anew the same session goes on."""
    place = tmp_path / "run"
    shutil.copytree(run_folder, place)
    with served(place) as (address, _):
        seen = visit(address)
        alerts = seen.page.locator('[data-testid="stAlertContentError"]')
        seen.open("view=evidence")
        for file in place.iterdir():
            file.unlink()
        for title, view, _ in VIEWS:
            seen.choose(title, view)
            assert alerts.count() == 1
            assert f"{place} holds no run; give the folder" in alerts.inner_text()
        shutil.copytree(run_folder, place, dirs_exist_ok=True)
        for title, view, _ in VIEWS:
            seen.choose(title, view)
            assert seen.heading(title)
        seen.page.close()


def test_an_empty_folder_is_not_served(tmp_path: Path):
    done = subprocess.run(
        [sys.executable, "-m", "allocation.cli", "app", str(tmp_path)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {tmp_path} holds no run; give the folder")
    assert "Traceback" not in done.stderr
