"""Score tables: what a user adds to an estimate under each arm, so that a decision only picks its cells."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from allocation.evaluation.estimators import TRIMMED, WITH_MODEL, bias_bound, terms
from allocation.evaluation.outcomes import Outcomes
from uplift.campaign import Campaign
from uplift.errors import InputError

Array = NDArray[np.float64]
WEIGHT = "weight"
VALUE, SPEND = "value", "spend"


def score_tables(
    held_out: Campaign, estimators: Sequence[str], outcomes: Outcomes | None, largest: float
) -> dict[tuple[str, str], Array]:
    """Tables (n, K+1) by estimator and amount ("value", and "spend" where the log has cost).

    Cell ij is phi of `estimators.terms` for user i if everybody got arm j. "sn" shares those of "ipw" and adds
    (WEIGHT, WEIGHT), its omega.
    """
    n, K1 = len(held_out), len(held_out.arms)
    assert held_out.propensity is not None
    rows, t = np.arange(n), held_out.treatment
    weight = np.zeros((n, K1))
    weight[rows, t] = 1 / held_out.propensity[rows, t]
    amounts = {VALUE: held_out.value} | ({} if held_out.cost is None else {SPEND: held_out.cost})
    tables: dict[tuple[str, str], Array] = {}
    for estimator in estimators:
        if estimator == "sn":
            tables[WEIGHT, WEIGHT] = weight
        for amount, logged in amounts.items():
            key = (table_of(estimator), amount)
            if key not in tables:
                model, fitted = _model(outcomes, amount, estimator, held_out)
                tables[key] = terms(key[0], weight, logged[:, None], model, fitted, largest)[0]
    return tables


def table_of(estimator: str) -> str:
    """The estimator whose phi this one uses."""
    return "ipw" if estimator == "sn" else estimator


def bias_bounds(
    estimator: str,
    amount: str,
    held_out: Campaign,
    outcomes: Outcomes | None,
    largest: float,
    decision: NDArray[np.integer],
) -> Array:
    """`estimators.bias_bound` of the total value or spend of each decision (m, n), (m,); NaN without cost.

    Its first factor is exact here, as all propensities are known: the mean over users of (1 - L p_iz)+ for
    "clipped", of 1[1 / p_iz > L] for "switch".
    """
    if estimator not in TRIMMED:
        return np.zeros(len(decision))
    assert held_out.propensity is not None
    logged = held_out.value if amount == VALUE else held_out.cost
    if logged is None:
        return np.full(len(decision), np.nan)
    _, fitted = _model(outcomes, amount, estimator, held_out)
    residual = fitted[:, 0] if isinstance(fitted, np.ndarray) else 0.0
    rows, bounds = np.arange(len(held_out)), np.empty(len(decision))
    for k, z in enumerate(decision):
        chance = held_out.propensity[rows, z]
        beyond = 1 / chance > largest  # as `terms` compares, to the last digit
        if estimator == "clipped":
            beyond = np.where(beyond, 1 - largest * chance, 0.0)
        bounds[k] = bias_bound(estimator, beyond.sum(), logged, residual)
    return bounds


def _model(
    outcomes: Outcomes | None, amount: str, estimator: str, held_out: Campaign
) -> tuple[Array | float, Array | float]:
    """(m_ij, m_{i t_i}) of an amount for estimators with a model, else zeros."""
    if estimator not in WITH_MODEL:
        return 0.0, 0.0
    table = None if outcomes is None else outcomes.value if amount == VALUE else outcomes.cost
    if table is None:
        raise InputError(f"estimator {estimator!r} needs outcome models; give outcomes=fit_outcomes(held_out)")
    return table, table[np.arange(len(held_out)), held_out.treatment][:, None]
