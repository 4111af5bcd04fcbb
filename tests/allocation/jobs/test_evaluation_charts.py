"""The evaluation's pictures and its report: what they draw, in text and in a real browser."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import vl_convert

from allocation.jobs.charts import THEMES
from allocation.jobs.evaluation_charts import pictures
from allocation.jobs.evaluation_output import write_evaluation
from allocation.jobs.evaluation_page import DARK, LIGHT, Page, colours
from allocation.jobs.evaluation_report import report_html
from allocation.jobs.evaluation_text import findings
from allocation.jobs.pages import chart_page
from allocation.jobs.policies_named import NAMES
from tests.allocation.jobs.evaluations import made

BUDGETS = [{"budget": budget} for budget in (25.0, 50.0, 75.0, 100.0)]
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"


def panels(chart: Any) -> dict[str, dict[str, Any]]:
    return {panel["title"]["text"]: panel for panel in chart.to_dict()["concat"]}


def luminance(colour: str) -> float:
    """Relative luminance of WCAG 2.1 (definition in its glossary)."""
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [x / 12.92 if x <= 0.03928 else ((x + 0.055) / 1.055) ** 2.4 for x in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_a_panel_a_policy_and_no_picture_of_differences_without_a_reference():
    drawn = pictures(made(*BUDGETS))
    assert set(drawn) == {"value", "difference", "promise", "spend"}
    for name in ("value", "promise", "spend"):
        assert list(panels(drawn[name])) == ["rule", "model"]
    alone = made(*BUDGETS)
    without = replace(alone, frame=alone.frame.drop(columns=["reference", "same_decision"]))
    assert set(pictures(without)) == {"value", "promise", "spend"}


def test_the_difference_leaves_out_the_reference_says_so_and_draws_zero():
    chart = pictures(made(*BUDGETS))["difference"].to_dict()
    assert [panel["title"]["text"] for panel in chart["concat"]] == ["model"]
    assert chart["title"]["subtitle"][-1] == "left out, since it would be zero at every budget: rule"
    marks = [layer["mark"]["type"] for layer in chart["concat"][0]["layer"]]
    assert sorted(marks) == ["area", "point", "rule", "rule", "rule"]  # band, lone band, zero, intervals


def test_no_line_crosses_a_budget_without_an_estimate():
    """Of four budgets the second lacks support: the first stands alone, the last two are one run."""
    cells = [dict(cell) for cell in BUDGETS]
    cells[1] |= {"value": math.nan, "value_low": math.nan, "value_high": math.nan, "support": "none of 100 match"}
    result = made(*cells)
    rows = Page.of(result, "light").rows("model", "value")
    assert rows["budget"].tolist() == [0.25, 0.75, 1.0]
    assert rows["run"].nunique() == 2
    assert rows["run"].iloc[1] == rows["run"].iloc[2]
    drawn = panels(pictures(result)["value"])
    assert drawn["model"]["title"]["subtitle"] == "too few users at 1 of 4 budgets"


def test_every_policy_has_a_colour_of_its_own_seen_on_its_page():
    """Contrast of 1.9 and more to the background, a line's thickness helping; names fitted here always look alike."""
    for palette, theme in ((LIGHT, "light"), (DARK, "dark")):
        mine = colours([*NAMES.values()], palette)
        assert len(set(mine.values())) == len(NAMES) == 12
        paper = luminance(THEMES[theme]["background"])
        for colour in mine.values():
            light, dark = sorted((luminance(colour), paper), reverse=True)
            assert (light + 0.05) / (dark + 0.05) > 1.9
    assert colours(["ours", "nobody"], LIGHT)["nobody"] == colours(["nobody"], LIGHT)["nobody"]
    assert len(set(colours(["ours", "theirs", "nobody", "two-stage S"], LIGHT).values())) == 4


@pytest.mark.parametrize("cells", [[{}], [{"budget": 0.0}], BUDGETS])
def test_pictures_of_one_budget_of_none_and_of_several_can_be_drawn(cells: list[dict[str, Any]]):
    for theme in THEMES:
        for chart in pictures(made(*cells), theme).values():
            assert vl_convert.vegalite_to_svg(chart.to_dict()).startswith("<svg")


def test_a_run_in_which_nothing_could_be_estimated_is_still_drawn_and_written(tmp_path: Path):
    names = ("value", "spend", "difference")
    lacking = {f"{name}{end}": math.nan for name in names for end in ("", "_low", "_high")}
    lacking |= {"support": "none of 100 users", "difference_support": "none of 100 users", "p_adjusted": math.nan}
    result = made(lacking)
    frame = result.frame.assign(**{name: math.nan for name in lacking if not name.endswith("support")})
    write_evaluation(replace(result, frame=frame.assign(support="none of 100 users")), tmp_path / "o")
    assert (tmp_path / "o" / "charts" / "value.png").read_bytes().startswith(b"\x89PNG")


def test_the_report_holds_every_sentence_and_names_are_text_never_markup():
    result = made(*BUDGETS, name=HOSTILE, warnings=("mind <this>",))
    page = report_html(result, {"value": {"light": "<svg></svg>", "dark": "<svg></svg>"}}, "0")
    assert "<img" not in page
    assert "<script" not in page
    assert "mind &lt;this&gt;" in page
    plain = made(*BUDGETS)
    for sentence in findings(plain):
        assert sentence in report_html(plain, {}, "0")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_in_a_browser_the_chart_and_the_report_ask_for_nothing(browser: Any, tmp_path: Path, scheme: str):
    """A hostile name stays text, the figures under the pointer are shown, and nothing is loaded from anywhere."""
    result = made(*BUDGETS, name=HOSTILE)
    write_evaluation(result, tmp_path / "o")
    context = browser.new_context(viewport={"width": 1000, "height": 800}, color_scheme=scheme, offline=True)
    page = context.new_page()
    requests, errors = [], []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: errors.append(message.text))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("dialog", lambda dialog: errors.append(dialog.message))
    chart = (tmp_path / "o" / "charts" / "difference.html").as_uri()
    page.goto(chart)
    page.locator("#chart path[aria-label*='policy']").first.hover()
    page.locator("#vg-tooltip-element.visible").wait_for()
    assert "adjusted p-value" in page.locator("#vg-tooltip-element").inner_text()
    report = (tmp_path / "o" / "report.html").as_uri()
    page.goto(report)
    assert page.locator("figure:visible").count() == 4
    assert set(page.locator("figure:visible").evaluate_all("all => all.map(f => f.className)")) == {scheme}
    assert page.evaluate("document.documentElement.scrollWidth") <= 1000
    assert requests == [chart, report]
    assert errors == []
    context.close()


def test_a_chart_page_is_one_script_for_the_library_and_one_for_the_chart():
    spec = pictures(made(*BUDGETS, name=HOSTILE))["value"].to_dict()
    page = chart_page("a <title>", {"light": spec, "dark": spec})
    assert len(re.findall(r"</script>", page)) == 2
    assert "a &lt;title&gt;" in page
