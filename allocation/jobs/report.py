"""The demo's report: one HTML file that opens offline, light or dark as the reader's system is."""

from __future__ import annotations

from allocation.jobs import charts, table
from allocation.jobs.numbers import amount
from allocation.jobs.pages import environment
from allocation.jobs.recolour import recoloured
from allocation.jobs.summary import Summary


def report_html(run: Summary, seed: int, version: str) -> str:
    """The whole page as text; every cell is escaped, pictures stand inside, nothing is loaded from anywhere."""
    rows = table.rows(run)
    budgets = list(dict.fromkeys(row.per_user for row in rows))
    chosen = table.budget_text(run)
    light = charts.svg(charts.cost_curve(run))
    return (
        environment()
        .get_template("report.html")
        .render(
            run=run,
            seed=seed,
            version=version,
            verdict=table.verdict(run),
            groups=[[row for row in rows if row.per_user == budget] for budget in budgets],
            chosen=chosen,
            loop_chosen=lambda row: abs(row.per_user - run.budget_per_user) <= 1e-9 * run.budget_per_user,
            amount=amount,
            figures={"light": light, "dark": recoloured(light, charts.DARKER)},
        )
    )
