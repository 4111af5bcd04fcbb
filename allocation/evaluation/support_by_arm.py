"""Where a log lacks support: arm by arm, who matches a decision and how many more logged users are needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from allocation.evaluation.checks import check_held_out
from allocation.evaluation.decided import Decided
from allocation.evaluation.support import FEW
from uplift.campaign import Campaign
from uplift.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]
Integers = NDArray[np.int64]


class ArmSupport(NamedTuple):
    """How much of a log speaks for the arms of one decision, (K+1,) each.

    decided : users decided for the arm. logged : users who received it. matched : both. effective_size :
    (sum w)^2 / sum w^2 over the matched, w = 1 / p. more_logged : further logged users of the arm that are needed.
    """

    decided: Integers
    logged: Integers
    matched: Integers
    effective_size: Array
    more_logged: Integers


def arm_support(
    decision: NDArray[np.integer], treatment: Integers, propensity: Array, *, needed: float = FEW
) -> ArmSupport:
    """The support of a decision (n,), arm by arm, in a log with propensities (n, K+1).

    Of the users who will be logged with arm j, the share that adds to its effective size is expected to be

        r_j = N_j^2 / (sum_{i: z_i = j} 1 / p_ij  *  sum_i p_ij),      N_j = #{i: z_i = j},

    which is N_j / n where everybody has the same chances, so that (needed - effective size) / r_j more are needed,
    rounded up; none for an arm of nobody. Derived here from E sum w = N_j and E sum w^2 = sum 1 / p as the ratio of
    expectations: about half of the new logs of that size fall short, fewer where the chances differ strongly.
    """
    K1 = propensity.shape[1]
    rows, match = np.arange(len(treatment)), decision == treatment
    w = 1 / propensity[rows, treatment]
    decided = np.bincount(decision, minlength=K1)
    first, second = (np.bincount(treatment[match], v[match], minlength=K1) for v in (w, w**2))
    effective = np.divide(first**2, second, where=second > 0, out=np.zeros(K1))
    spread = np.bincount(decision, 1 / propensity[rows, decision], minlength=K1) * propensity.sum(axis=0)
    rate = np.divide(decided.astype(np.float64) ** 2, spread, where=decided > 0, out=np.ones(K1))
    missing = np.where(decided > 0, np.maximum(needed - effective, 0.0), 0.0)
    return ArmSupport(
        decided,
        np.bincount(treatment, minlength=K1),
        np.bincount(treatment[match], minlength=K1),
        effective,
        np.ceil(np.round(missing / rate, 6)).astype(np.int64),
    )


def support_by_arm(decided: Decided, held_out: Campaign, *, needed: float = FEW) -> pd.DataFrame:
    """Where support lacks: a row a policy, budget and arm.

    `policy`, `budget`, `arm`, `decided` (users decided for the arm), `logged` (held-out users who received it),
    `matched` (both), `effective_size` (of the matched, users), `more_logged` (how many more users must be logged with
    the arm, drawn as in this log, until the effective users `needed` are expected; 0 where none are lacking),
    `needed` (30 as in `evaluate`, where all arms of a policy together must reach it). See `arm_support`.

    Raises InputError for a log without propensity and decisions that are not for its users.
    """
    import pandas as pd

    check_held_out(held_out, allow_mismatch=True)
    assert held_out.propensity is not None
    if decided.decision.shape[1] != len(held_out):
        raise InputError(
            f"the decisions are for {decided.decision.shape[1]:,} users and the log has {len(held_out):,}; decide "
            "for the users of this log: decide_all(policies, held_out, budgets)"
        )
    frames = []
    for budget in decided.budgets:
        for name in decided.names:
            decision = decided.decision[decided.cell(name, budget)]
            found = arm_support(decision, held_out.treatment, held_out.propensity, needed=needed)
            cells = {"policy": name, "budget": budget, "arm": held_out.arms, **found._asdict(), "needed": needed}
            frames.append(pd.DataFrame(cells))
    return pd.concat(frames, ignore_index=True)
