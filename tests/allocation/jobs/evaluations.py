"""A hand-made evaluation of two policies: 100 users, verified at 120 [110, 130], one of them the reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from allocation.jobs.evaluation_job import EvaluationResult
from allocation.jobs.evaluation_plan import EvaluationPlan
from allocation.jobs.source import Source
from uplift import synthetic

CELL: dict[str, Any] = {
    "budget": 50.0,
    "estimator": "dr",
    "users": 100,
    "matched": 40,
    "effective_size": 38.0,
    "support": "",
    "difference_support": "",
    "promised_value": 130.0,
    "promised_spend": 45.0,
    "value": 120.0,
    "value_low": 110.0,
    "value_high": 130.0,
    "spend": 40.0,
    "spend_low": 30.0,
    "spend_high": 50.0,
    "overspend": -10.0,
    "overspend_low": -20.0,
    "optimism": 10.0,
    "same_decision": False,
    "difference": 5.0,
    "difference_se": 5.0,
    "difference_low": -5.0,
    "difference_high": 15.0,
    "difference_band_low": -8.0,
    "difference_band_high": 18.0,
    "p_value": 0.3,
    "p_adjusted": 0.5,
    "splits": 1,
}
ZERO = dict.fromkeys(
    ("difference", "difference_se", "difference_low", "difference_high", "difference_band_low"), 0.0
) | {"difference_band_high": 0.0, "same_decision": True, "p_value": np.nan, "p_adjusted": np.nan}


def made(
    *cells: dict[str, Any],
    name: str = "model",
    comparisons: int = 1,
    splits: int = 1,
    warnings: tuple[str, ...] = (),
) -> EvaluationResult:
    """Each cell changes `CELL` for the policy `name`; the reference "rule" stands beside it at the same budget."""
    frame = []
    for cell in cells:
        mine = CELL | {"policy": name, "reference": "rule", "comparisons": comparisons} | cell
        frame += [CELL | ZERO | {"policy": "rule", "reference": "rule", "comparisons": comparisons}, mine]
        frame[-2]["budget"] = mine["budget"]
    log = synthetic.simulate(50, seed=0).campaign
    return EvaluationResult(
        plan=EvaluationPlan("made", splits=splits, reference="rule"),
        source=Source("made", log, "visits", "EUR", None, "A log made by hand."),
        budgets_per_user=tuple(sorted({row["budget"] / 100 for row in frame})),
        users=100,
        train_users=100,
        warnings=warnings,
        frame=pd.DataFrame(frame),
    )
