"""What a refutation refutes: the estimator, checked, and an outcome that it does not adjust for."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from uplift.campaign import Campaign, check_campaign
from uplift.causal.adjustment import adjust
from uplift.causal.estimate import Estimate, check_target, treated_position
from uplift.errors import InputError

Estimator = Callable[[Campaign], Estimate]


def estimator_of(campaign: Campaign, estimate: Estimator | None, arm: str | int, target: str) -> Estimator:
    """What to refute: the adjusted effect of the arm on the target, or `estimate` with its results checked."""
    check_campaign(campaign)
    check_target(target)
    j = treated_position(arm, campaign.arms)
    if estimate is None:
        return lambda c: adjust(c).effect(j, target)
    example = f'lambda c: adjust(c).effect("{campaign.arms[-1]}", "treated")'
    if not callable(estimate):
        raise InputError(
            f"estimate has the type {type(estimate).__name__}; a function that estimates anew for each changed log "
            f"is expected: {example}"
        )
    if j != 1 or target != "all":
        raise InputError(
            f"arm={arm!r}, target={target!r} beside an estimate, which would ignore them; name them within it: "
            f"{example}"
        )

    def checked(given: Campaign) -> Estimate:
        """`estimate`, refused where it gives no `Estimate`."""
        found = estimate(given)
        if not isinstance(found, Estimate):
            raise InputError(f"estimate gives the type {type(found).__name__}; an Estimate is expected: {example}")
        return found

    return checked


def check_no_covariate(campaign: Campaign, outcome: NDArray[np.float64], leave_out: tuple[str, ...]) -> None:
    """Refuse an outcome that is among the covariates of the run."""
    columns = dict(zip(campaign.features, campaign.X.T, strict=True))
    if campaign.activeness is not None and "activeness" not in columns:
        columns["activeness"] = campaign.activeness
    single = outcome.astype(np.float32)
    same = [
        name
        for name, column in columns.items()
        if name not in leave_out and np.array_equal(single, column.astype(np.float32))
    ]
    if same:
        raise InputError(
            "the outcome is among what is adjusted for, so 0 would be found whatever is true; it is feature "
            f"{same[0]!r}: leave_out={(*leave_out, *same)!r}"
        )
