"""The evidence view: what it says by AppTest, its charts as data, its look in a real browser."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from allocation.jobs.analyst.evidence_words import verdicts
from allocation.jobs.analyst.run import open_run
from app import evidence_charts as charts
from app.state import plain
from tests.allocation.jobs.analyst.test_evidence_words import SOUND
from tests.app.conftest import Visit


def view(place: str) -> None:
    """The page, as a script of its own."""
    from pathlib import Path

    from app import state
    from app.views import evidence

    evidence.show(state.current(Path(place)))


def shown(place: Path) -> AppTest:
    return AppTest.from_function(view, default_timeout=60, args=(str(place),)).run()


def test_every_check_stands_with_its_verdict_and_its_picture(run_folder: Path):
    page = shown(run_folder)
    assert not page.exception
    run = open_run(run_folder)
    assert run.checks is not None
    found = verdicts(run.checks, run.value_name)
    lines = [text.value for text in page.markdown]
    for verdict in found:
        line = next(text for text in lines if f"**{verdict.topic}**" in text)
        assert plain(verdict.sentence) in line
        assert verdict.outcome in line
    assert [head.value for head in page.subheader] == [verdict.topic for verdict in found]
    assert len(page.get("vega_lite_chart")) == len(found)
    assert len(page.expander) == len(found)


def test_another_arm_is_another_calibration(run_folder: Path):
    page = shown(run_folder)
    run = open_run(run_folder)
    assert run.checks is not None
    arms = [one.arm for one in run.checks.calibration]
    assert page.selectbox[0].options == arms
    other = next(arm for arm in arms if arm != page.selectbox[0].value)
    page.selectbox[0].set_value(other).run()
    assert not page.exception
    assert any(plain(f"predicted effect of {other}:") in caption.value for caption in page.caption)


def test_a_run_of_an_earlier_version_says_how_to_get_them(run_folder: Path, tmp_path: Path):
    shutil.copytree(run_folder, tmp_path / "old")
    (tmp_path / "old" / "evidence.json").unlink()
    page = shown(tmp_path / "old")
    assert not page.exception
    assert [info.value for info in page.info] == [
        "There are no checks of this run. This run was written without them: run `earmark demo` again with the same "
        "options."
    ]


def test_a_response_table_says_what_is_missing(run_folder: Path):
    page = shown(run_folder / "responses.parquet")
    assert not page.exception
    assert "A response table holds predictions alone" in page.info[0].value
    assert not page.subheader


def rows(chart: object) -> list[dict[str, object]]:
    return [row for data in chart.to_dict()["datasets"].values() for row in data]  # type: ignore[attr-defined]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_charts_hold_the_figures(theme: str):
    assert {row["arm"] for row in rows(charts.shares_chart(SOUND, theme))} == {"none", "mail", "call"}
    assert [row["row"] for row in rows(charts.balance_chart(SOUND, theme)) if "row" in row] == [
        "past (mail)",
        "age (mail)",
    ]
    assert {row.get("effective") for row in rows(charts.support_chart(SOUND, theme))} == {250, 90, 30}
    assert {row.get("verified") for row in rows(charts.calibration_chart(SOUND.calibration[0], "visits", theme))} >= {
        1.1,
        1.9,
    }
    assert {row.get("stays") for row in rows(charts.refits_chart(SOUND, theme))} >= {0.4, 0.6, 0.99}
    assert {row.get("users") for row in rows(charts.experiment_chart(SOUND, theme))} == {900, 400, 1_000}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_charts_tell_the_figures(theme: str):
    """95% intervals are 1.96 standard errors to either side, as 51% and 1.96 points: 49.0% to 53.0%."""
    for chart, told in (
        (
            charts.shares_chart(SOUND, theme),
            "Share of the log's users on each arm: none: 51.0%, 95% interval 49.0% to 53.0%, expected 50.0%; "
            "mail: 29.0%, 95% interval 27.0% to 31.0%, expected 30.0%; "
            "call: 20.0%, 95% interval 18.0% to 22.0%, expected 20.0%.",
        ),
        (
            charts.balance_chart(SOUND, theme),
            "Difference of each feature (arm) from control, in standard deviations: "
            "past (mail): -0.100, 95% interval -0.237 to 0.0372; age (mail): 0.0500, 95% interval -0.0872 to 0.187.",
        ),
        (
            charts.support_chart(SOUND, theme),
            "Effective users of each arm that is decided for, 30 are needed: none: 250; call: 90.",
        ),
        (
            charts.calibration_chart(SOUND.calibration[0], "visits", theme),
            "Verified effect of mail by its predicted effect (visits a user): "
            "predicted 1.00: verified 1.10, 95% interval 0.708 to 1.49; "
            "predicted 2.00: verified 1.90, 95% interval 1.51 to 2.29.",
        ),
        (
            charts.ranking_chart(SOUND, "visits", theme),
            "Gain by the share of users treated (visits a user of all): "
            "model at 0%: 0.00, 95% interval 0.00 to 0.00; model at 50%: 2.00, 95% interval 1.80 to 2.20; "
            "model at 100%: 3.00, 95% interval 2.61 to 3.39; random order at 100%: 3.00.",
        ),
        (
            charts.placebo_chart(SOUND, "visits", theme),
            "Gain by the share of users treated (visits a user of all): "
            "placebo at 0%: 0.00, 95% interval 0.00 to 0.00; "
            "placebo at 50%: 0.0500, 95% interval -0.146 to 0.246; "
            "placebo at 100%: -0.100, 95% interval -0.492 to 0.292.",
        ),
        (
            charts.refits_chart(SOUND, theme),
            "Share of users whose arm stays in refits of the model: "
            "all users: 85.0%, lowest refit 80.0%, highest 90.0%; closest choices: 60.0%; second quarter: 80.0%; "
            "third quarter: 90.0%; clearest choices: 99.0%; dealt out blindly: 40.0%.",
        ),
        (
            charts.experiment_chart(SOUND, theme),
            "Users that the next experiment needs: arms as in this log: 900 users; "
            "A/B of the two policies: 400 users; this log has: 1,000 users.",
        ),
    ):
        assert chart.to_dict()["description"] == told


def test_a_placebo_is_drawn_on_the_scale_of_the_model():
    """Else its noise would fill its picture."""

    def domains(chart: object) -> list[list[float]]:
        layers = chart.to_dict()["layer"]  # type: ignore[attr-defined]
        axes = [layer["encoding"].get("y", {}) for layer in layers]
        return [axis["scale"]["domain"] for axis in axes if "domain" in axis.get("scale", {})]

    model = domains(charts.ranking_chart(SOUND, "visits", "light"))
    dealt = domains(charts.placebo_chart(SOUND, "visits", "light"))
    assert model
    assert all(domain == model[0] for domain in model + dealt)
    assert model[0][1] >= 3.0 + 1.95 * 0.2


def test_names_of_arms_and_features_cannot_break_a_chart():
    odd = replace(
        SOUND,
        arms=("none", "a.b['c']", "<b>$5</b>"),
        balance=replace(SOUND.balance, features=("x.y[0]", "<script>")),
    )
    assert "<script> (a.b['c'])" in [row.get("row") for row in rows(charts.balance_chart(odd, "light"))]
    assert {"a.b['c']", "<b>$5</b>"} <= {row["arm"] for row in rows(charts.shares_chart(odd, "light"))}


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_in_a_browser_nothing_is_cut_off(visit: Callable[..., Visit], demo_address: str, width: int, scheme: str):
    look = visit(demo_address, 1280, scheme)
    look.open()
    look.page.get_by_test_id("stSidebar").get_by_text("Evidence", exact=True).click()
    look.page.get_by_role("heading", name="Can the figures be believed?").wait_for(timeout=60_000)
    look.page.locator("canvas, svg.marks").nth(7).wait_for(timeout=60_000)
    look.page.set_viewport_size({"width": width, "height": 900})
    look.settled()
    drawn = look.page.locator("canvas, svg.marks").evaluate_all("all => all.map(one => one.getBoundingClientRect())")
    assert len(drawn) == 8
    assert all(box["left"] >= 0 and box["right"] <= width and box["height"] > 100 for box in drawn)
    wide = look.page.evaluate("document.querySelector('[data-testid=\"stMain\"]').scrollWidth")
    assert wide <= width
