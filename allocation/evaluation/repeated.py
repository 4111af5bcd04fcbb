"""Repeated splits: fit on one part, evaluate on the other, several times over: one lucky split misleads less."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from allocation.engine.problem import ProblemError
from allocation.evaluation.cells import Cells
from allocation.evaluation.checks import check_held_out
from allocation.evaluation.decided import Decider, check_budgets, check_names, decide_all
from allocation.evaluation.estimators import check_estimators, check_largest
from allocation.evaluation.evaluate import verify_decided
from allocation.evaluation.frame import check_reference, tidy
from allocation.evaluation.verified import Verified
from uplift.campaign import Campaign
from uplift.errors import InputError, check_fraction, check_whole

Build = Callable[[Campaign, int], Mapping[str, Decider]]


def evaluate_splits(
    build: Build,
    campaign: Campaign,
    *,
    budgets_per_user: Sequence[float],
    splits: int = 5,
    share: float = 0.5,
    reference: str | Sequence[str] | None = None,
    estimators: Sequence[str] = ("ipw", "sn", "dr"),
    level: float = 0.95,
    seed: int = 0,
    cluster: ArrayLike | None = None,
    outcome_model: Any = None,
    largest_weight: float | None = None,
    allow_mismatch: bool = False,
    progress: Callable[[str], None] = lambda _: None,
) -> pd.DataFrame:
    """Average what `evaluate` finds over several random splits of one log into training and held-out users.

    Parameters
    ----------
    build : of a training campaign and a seed, the policies fitted on it, by name: the same names each time.
    campaign : the whole log, with propensities.
    budgets_per_user : money per held-out user.
    splits : how many, at least 2; they use seed, seed + 1, ..., each for the split, `build` and the outcome models.
    share : of the users (of each arm, or of the clusters) that train.
    reference, estimators, level, cluster, largest_weight, allow_mismatch : as in `evaluate`, cluster for the users of
        the campaign.
    outcome_model : as in `evaluate`, but no result of `fit_outcomes`: each split fits its own.
    progress : told of each split.

    Returns the frame of `evaluate` and the column `splits`: totals over one split's held-out users, averaged over
    splits. Intervals are closed-form. The splits share users, so that more of them bring little more evidence:
    variances are averaged and not divided by their number, which errs on the wide side. With clusters, whole
    clusters train or are held out, and where they differ in size so do the held-out users: totals are scaled to the
    first split's number.

    Misleads as `evaluate` does. Raises InputError and ProblemError as it does; InputError also for fewer than 2
    splits, a seed that is no whole number, an arm too small to be split, and a `build` that is no function or changes
    its names.
    """
    check_whole(splits, "splits", 2, " (one split: `evaluate`)")
    names = check_estimators(estimators)
    check_fraction(level, "level", 0.95)
    check_whole(seed, "seed", 0, ", from which each split has its own")
    if not callable(build):
        raise InputError(
            f"build is a {type(build).__name__}; a function of a training campaign and a seed is expected, which "
            "gives {name: fitted policy}: each split fits its own"
        )
    if not np.iterable(budgets_per_user):
        raise ProblemError(f"budgets_per_user is {budgets_per_user!r}; a list is expected")
    per_user = check_budgets(budgets_per_user)
    if largest_weight is not None:
        check_largest(largest_weight)
    check_held_out(campaign, allow_mismatch=allow_mismatch, cluster=cluster)
    found: list[tuple[Cells, list[Verified]]] = []
    for number in range(int(splits)):
        progress(f"split {number + 1} of {splits}")
        first, second = campaign.split_rows(share, seed + number, cluster=cluster)
        train, held_out = campaign.take(first), campaign.take(second)
        own = None if cluster is None else np.asarray(cluster)[second]
        policies = build(train, seed + number)
        check_reference(reference, check_names(policies))
        decided = decide_all(policies, held_out, [budget * len(held_out) for budget in per_user])
        cells, verified = verify_decided(
            decided, held_out, names, 0, seed + number, own, outcome_model, largest_weight
        )
        if found and cells.names != found[0][0].names:
            raise InputError(
                f"split {number + 1} has the policies {', '.join(cells.names)} and the first "
                f"{', '.join(found[0][0].names)}; build must give the same names each time"
            )
        found.append((cells, verified))
    users = found[0][0].users
    averaged = Cells.average([cells.scaled(users) for cells, _ in found])
    by_estimator = zip(*([v.scaled(users / cells.users) for v in verified] for cells, verified in found), strict=True)
    frame = tidy(averaged, [Verified.average(of_one) for of_one in by_estimator], reference, level, seed)
    return frame.assign(splits=int(splits))
