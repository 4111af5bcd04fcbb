"""The report: what a reader sees of it, in text and in a real browser."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from allocation.jobs import charts, table
from allocation.jobs.demo import DemoResult
from allocation.jobs.recolour import recoloured
from allocation.jobs.report import report_html
from allocation.jobs.summary import BASELINES, CHALLENGER


def test_the_report_holds_every_cell_of_the_table(result: DemoResult):
    run = result.summary()
    page = report_html(run, 0, "0")
    for row in table.rows(run):
        for text in (row.policy, row.budget, row.promised, row.verified.estimate, row.spend.interval):
            assert text in page
    for sentence in table.verdict(run):
        assert sentence in page


def test_names_from_the_log_are_text_never_markup(result: DemoResult):
    hostile = replace(result.summary(), name="<script>alert(1)</script>", arm_users={"<img src=x>": 3, "b": 1})
    page = report_html(hostile, 0, "0")
    assert "<script>alert" not in page
    assert "<img src=x>" not in page


def test_the_report_refers_to_nothing_outside_itself(run_folder: Path):
    page = (run_folder / "report.html").read_text()
    assert not re.search(r"<(script|link|iframe|img)\b|\b(src|href)=|url\(|@import", page)


@pytest.mark.parametrize("name", ["revenue", 'x fill="#ffffff" y', '</text> stroke="#0072B2">'])
def test_the_dark_picture_is_the_one_drawn_dark(result: DemoResult, name: str):
    """Of every colour that a policy may have; names of the log keep theirs."""
    run = replace(result.summary(), value_name=name, currency=name)
    drawn = {theme: charts.svg(charts.cost_curve(run, theme)) for theme in charts.THEMES}
    assert recoloured(drawn["light"], charts.DARKER) == drawn["dark"] != drawn["light"]
    assert len(charts.DARKER) == len(charts.DARK_COLOURS) + len(charts.THEMES["light"])
    same = {colour for policy, colour in charts.COLOURS.items() if policy not in charts.DARK_COLOURS}
    assert not same & charts.DARKER.keys()


def test_a_panel_a_policy_each_with_band_and_line(result: DemoResult):
    chart = charts.cost_curve(result.summary()).to_dict()
    assert [panel["title"]["text"] for panel in chart["concat"]] == [CHALLENGER, *BASELINES]
    for panel in chart["concat"]:
        marks = [layer["mark"]["type"] for layer in panel["layer"]]
        assert marks.count("area") == 1
        assert marks.count("line") == (1 if panel["title"]["text"] == CHALLENGER else 2)
    assert charts.svg(charts.cost_curve(result.summary())).startswith("<svg")
    assert charts.png(charts.cost_curve(result.summary())).startswith(b"\x89PNG")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_in_a_browser_it_asks_for_nothing_and_fits_the_page(browser: Any, run_folder: Path, scheme: str, width: int):
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True)
    page = context.new_page()
    requests, errors = [], []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: errors.append(message.text))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto((run_folder / "report.html").as_uri())
    assert requests == [(run_folder / "report.html").as_uri()]
    assert errors == []
    assert page.locator("figure:visible").count() == 1
    assert page.locator("figure:visible").get_attribute("class") == scheme
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("tbody tr").count() == 30
    context.close()
