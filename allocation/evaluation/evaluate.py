"""Policies at several budgets on held-out users: promised, verified, and against a reference, with intervals."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from allocation.evaluation.cells import Cells
from allocation.evaluation.checks import check_held_out
from allocation.evaluation.decided import Decided, Decider, check_names, decide_all
from allocation.evaluation.estimators import WITH_MODEL, check_estimators, check_largest, default_largest
from allocation.evaluation.frame import check_reference, tidy
from allocation.evaluation.nuisance import fit_outcomes
from allocation.evaluation.outcomes import Outcomes, check_outcomes
from allocation.evaluation.scores import SPEND, VALUE, bias_bounds, score_tables
from allocation.evaluation.verified import Verified, resample, verify
from uplift.campaign import Campaign
from uplift.errors import InputError, check_fraction, check_whole, nearest
from uplift.groups import label_codes

INTERVALS = ("bootstrap", "influence")


def evaluate(
    policies: Mapping[str, Decider],
    held_out: Campaign,
    *,
    budgets: Sequence[float],
    reference: str | Sequence[str] | None = None,
    estimators: Sequence[str] = ("ipw", "sn", "dr"),
    intervals: str = "bootstrap",
    n_bootstrap: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    cluster: ArrayLike | None = None,
    train: Campaign | None = None,
    outcome_model: Any = None,
    largest_weight: float | None = None,
    allow_mismatch: bool = False,
) -> pd.DataFrame:
    """Let every policy decide for the held-out users at every budget, then estimate what that is worth.

    Budgets are spent on *predicted* cost, before any outcome is looked at; what was really spent is estimated beside.

    Parameters
    ----------
    policies : by name: fitted policies; a `Response` for the held-out users in their order, which is solved at every
        budget (row numbers of another log cannot be told from theirs); or arms already decided, (n,) whole numbers.
    held_out : users that no policy was fitted on, with propensities.
    budgets : money for all held-out users together.
    reference : the policy that the others are compared with, or several names: then, at each budget and for each
        estimator, the one of highest verified value among them. That choice is made on the same users and so errs in
        favour of the reference. None leaves the differences out.
    estimators : of "ipw", "sn", "dr", "switch", "clipped"; see `evaluation.estimators.terms`.
    intervals : "bootstrap" (percentiles, users or clusters resampled) or "influence" (closed form, estimate -+ z se).
    n_bootstrap : resamples, shared by all cells, so that differences are paired.
    level : of the intervals, and of the bands.
    seed : of the resamples, the folds of the outcome models and the bands.
    cluster : (n,) labels of households, shops, ...: users of one are resampled together, and their influence is
        added up. None takes users as independent.
    train : the log that the policies were fitted on, where they do not remember it themselves (ours do).
    outcome_model : for "dr" and "switch", see `fit_outcomes`; or its result.
    largest_weight : for "switch" and "clipped"; None takes sqrt(n).
    allow_mismatch : go on, with a warning, where the arms' shares contradict the propensities.

    Returns
    -------
    A tidy frame, one row a policy, budget and estimator; amounts are totals over the held-out users, in value units
    or money. Where X is an estimate, `X_se` is its closed-form standard error, `X_low` and `X_high` its interval.

    - `users`, `matched` (who happened to receive the arm decided for them), `match_rate`, `effective_size` (matched
      users, or clusters, of equal weight who would know as much), `matched_control` (who received control),
      `support`: empty, or why there is no estimate (fewer than 30 effective users); then all that follow from it are
      NaN. `gain_support` and `difference_support` likewise for these, which rest on the users who tell two decisions
      apart.
    - `promised_value`, `promised_spend`, `price`: the policy's own claim, NaN where it makes none. `optimism` =
      promised - verified value, the winner's-curse gap.
    - `value`, `gain` (above everybody on control), `spend`, `overspend` (above the budget); `bias_bound` and
      `spend_bias_bound`, by how much trimming may bias value and spend, which no interval contains.
    - with a reference: `reference`, `same_decision` (for every user), `difference` and `spend_difference`;
      `difference_band_low`, `_high`, which hold at all budgets of the policy at once; `p_value` of no difference, and
      `p_adjusted` for all `comparisons` of the estimator: in closed form, as the bands. Where trimming may bias the
      difference, by `difference_bias_bound`, there is no p-value.

    Warns when a policy promises to spend more than the budget, of few resamples, and of shares that contradict the
    propensities where that is allowed. Misleads when the propensities are wrong, when users influence each other, and
    for users of another kind. Everything is given the decisions and the price: what a refit would change, `stability`
    tells. Raises InputError for a log or policy that cannot be verified (see `evaluation.checks`), and for arguments
    that do not fit; ProblemError for budgets that are no finite amounts, or that a policy cannot meet.

    Sources: those of the estimators stand in `evaluation.estimators.terms`. Bands are sup-t bands and p-values
    single-step max-t (Westfall and Young 1993, by its usual form).
    """
    names = check_estimators(estimators)
    check_fraction(level, "level", 0.95)
    if intervals not in INTERVALS:
        raise InputError(f"intervals is {intervals!r}.{nearest(str(intervals), INTERVALS)}")
    check_resamples(n_bootstrap)
    if intervals == "bootstrap":
        warn_of_few(n_bootstrap, level)
    check_held_out(held_out, allow_mismatch=allow_mismatch, train=train, cluster=cluster)
    check_reference(reference, check_names(policies))
    decided = decide_all(policies, held_out, budgets)
    drawn = int(n_bootstrap) if intervals == "bootstrap" else 0
    cells, verified = verify_decided(decided, held_out, names, drawn, seed, cluster, outcome_model, largest_weight)
    return tidy(cells, verified, reference, level, seed)


def verify_decided(
    decided: Decided,
    held_out: Campaign,
    estimators: Sequence[str],
    n_bootstrap: int,
    seed: int,
    cluster: ArrayLike | None,
    outcome_model: Any,
    largest_weight: float | None,
) -> tuple[Cells, list[Verified]]:
    """Support and estimates of decisions already taken; everybody on control is added as a policy at each budget."""
    code = None if cluster is None else label_codes(cluster, len(held_out), "cluster")[1]
    n, P, B = len(held_out), len(decided.names), len(decided.budgets)
    largest = default_largest(n) if largest_weight is None else check_largest(largest_weight)
    cells = Cells.of(decided, held_out, code)
    outcomes = None
    if set(estimators) & set(WITH_MODEL):
        if isinstance(outcome_model, Outcomes):
            outcomes = check_outcomes(outcome_model, held_out)
        else:
            outcomes = fit_outcomes(held_out, model=outcome_model, cluster=code, seed=seed)
    tables = score_tables(held_out, estimators, outcomes, largest)
    decision = _with_control(decided.decision, P, B)
    resamples = resample(tables, decision, P + 1, n_bootstrap, seed, code) if n_bootstrap else None
    bounds = {
        (name, amount): bias_bounds(name, amount, held_out, outcomes, largest, decision)
        for name in estimators
        for amount in (VALUE, SPEND)
    }
    return cells, verify(estimators, tables, decision, held_out, bounds, code, resamples)


def check_resamples(n_bootstrap: int) -> None:
    """Refuse what is no whole number of at least 2."""
    check_whole(n_bootstrap, "n_bootstrap", 2, ", 1000 resamples are usual")


def warn_of_few(n_bootstrap: int, level: float) -> None:
    """Warn where fewer than 5 resamples lie beyond both ends of the interval together: it is then too short."""
    if n_bootstrap * (1 - level) < 5 - 1e-9:
        warnings.warn(
            f"{n_bootstrap:,} resamples are few for {100 * level:g}% intervals, which come out too short; 1000 are "
            "usual, or intervals='influence' for closed-form ones",
            stacklevel=3,
        )


def _with_control(decision: NDArray[Any], n_policies: int, n_budgets: int) -> NDArray[Any]:
    """The decisions with everybody on control after the last policy of every budget, (budgets (policies + 1), n)."""
    by_budget = decision.reshape(n_budgets, n_policies, -1)
    control = np.zeros((n_budgets, 1, by_budget.shape[2]), dtype=decision.dtype)
    return np.concatenate([by_budget, control], axis=1).reshape(-1, by_budget.shape[2])
