"""The evaluation's report: one HTML file that opens offline, light or dark as the reader's system is."""

from __future__ import annotations

from collections.abc import Mapping

from allocation.jobs.evaluation_job import EvaluationResult
from allocation.jobs.evaluation_table import rows
from allocation.jobs.evaluation_text import ESTIMATORS, findings, how_sure
from allocation.jobs.pages import environment
from allocation.jobs.policies_named import MEANINGS

FIGURES = {
    "value": ("What each budget buys", "Verified value per user against the budget, a panel a policy."),
    "difference": ("Against the reference", "Paired difference in value to the reference, a panel a policy."),
    "promise": ("Promised and verified", "Promised beside verified value per user, a panel a policy."),
    "spend": ("What is really spent", "Verified spend per user against the budget, a panel a policy."),
}


def report_html(result: EvaluationResult, drawings: Mapping[str, Mapping[str, str]], version: str) -> str:
    """The whole page as text; every cell is escaped, pictures stand inside, nothing is loaded from anywhere.

    `drawings` has each picture's SVG text by its name and theme.
    """
    table = rows(result)
    asked = list(dict.fromkeys(row.policy for row in table))
    return (
        environment()
        .get_template("evaluation.html")
        .render(
            source=result.source,
            warnings=result.warnings,
            findings=findings(result)[len(result.warnings) :],
            how_sure=how_sure(result),
            figures=[
                {"title": title, "label": label, "drawings": drawings[name]}
                for name, (title, label) in FIGURES.items()
                if name in drawings
            ],
            groups=[
                [row for row in table if row.per_user == budget]
                for budget in dict.fromkeys(row.per_user for row in table)
            ],
            estimator=result.plan.estimator,
            clustered=result.source.cluster is not None,
            estimators=ESTIMATORS,
            meanings={name: _meaning(name, result) for name in asked},
            level=f"{100 * result.plan.level:g}%",
            users=result.users,
            seed=result.plan.seed,
            version=version,
        )
    )


def _meaning(name: str, result: EvaluationResult) -> str:
    """What a policy is, in the words of the table's legend."""
    return "a saved policy" if name in result.plan.saved else MEANINGS.get(name, "from a file")
