"""Where a log lacks support: arm by arm, who matches a decision and how many more logged users are needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from allocation.evaluation.checks import check_held_out
from allocation.evaluation.decided import Decided
from allocation.evaluation.estimators import FEW
from uplift.campaign import Campaign
from uplift.errors import InputError, check_number
from uplift.groups import label_codes

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]
Integers = NDArray[np.int64]


class ArmSupport(NamedTuple):
    """How much of a log speaks for the arms of one decision, (K+1,) each.

    decided : users decided for the arm. logged : users who received it. matched : both. effective_size :
    (sum w)^2 / sum w^2 over the matched, w = 1 / p, or over the sums of w in each cluster. more_logged : further
    logged users of the arm that are needed.
    """

    decided: Integers
    logged: Integers
    matched: Integers
    effective_size: Array
    more_logged: Integers


def arm_support(
    decision: NDArray[np.integer],
    treatment: Integers,
    propensity: Array,
    *,
    needed: float = FEW,
    cluster: Integers | None = None,
) -> ArmSupport:
    """The support of a decision (n,), arm by arm, in a log with propensities (n, K+1).

    Of the users who will be logged with arm j, the share that adds to its effective size is expected to be

        r_j = N_j^2 / (sum_{i: z_i = j} c_i / p_ij  *  sum_i p_ij),      N_j = #{i: z_i = j},

    with c_i users in i's cluster who are decided alike (1 without clusters), which is N_j / n where everybody has the
    same chances and is alone, so that (needed - effective size) / r_j more are needed, rounded up; none for an arm of
    nobody. `cluster` (n,) are whole numbers from 0, alike for users who got their arm together. Derived here from
    E sum w = N_j and E sum w^2 = sum c / p, w summed in each cluster, as the ratio of expectations: about half of the
    new logs of that size fall short, fewer where the chances differ strongly.
    """
    n, K1 = propensity.shape
    rows, match = np.arange(n), decision == treatment
    group = rows if cluster is None else cluster
    w = 1 / propensity[rows, treatment]
    decided = np.bincount(decision, minlength=K1)
    cells = (int(group.max(initial=-1)) + 1) * K1  # one a cluster and arm
    summed = np.bincount((group * K1 + treatment)[match], w[match], minlength=cells).reshape(-1, K1)
    first, second = summed.sum(axis=0), (summed**2).sum(axis=0)
    effective = np.divide(first**2, second, where=second > 0, out=np.zeros(K1))
    own = group * K1 + decision
    alike = np.bincount(own, minlength=cells)[own]
    spread = np.bincount(decision, alike / propensity[rows, decision], minlength=K1) * propensity.sum(axis=0)
    rate = np.divide(decided.astype(np.float64) ** 2, spread, where=decided > 0, out=np.ones(K1))
    missing = np.where(decided > 0, np.maximum(needed - effective, 0.0), 0.0)
    return ArmSupport(
        decided,
        np.bincount(treatment, minlength=K1),
        np.bincount(treatment[match], minlength=K1),
        effective,
        np.ceil(np.round(missing / rate, 6)).astype(np.int64),
    )


def support_by_arm(
    decided: Decided, held_out: Campaign, *, needed: float = FEW, cluster: ArrayLike | None = None
) -> pd.DataFrame:
    """Where support lacks, arm by arm, and how many more logged users would mend it.

    Parameters
    ----------
    decided : what `decide_all` gave for the users of `held_out`, a log with propensities.
    needed : effective users that each arm is to have; 30 is what `evaluate` wants of all arms of a policy together.
    cluster : (users of `held_out`,) labels of users who got their arm together, such as households; sizes and what is
        `needed` are then clusters, `more_logged` remains users.

    Returns a frame, a row a policy, budget and arm: `policy`, `budget`, `arm`, `decided` (users decided for the arm),
    `logged` (held-out users who received it), `matched` (both), `effective_size` (of the matched: (sum w)^2 / sum w^2
    with w = 1 / propensity), `more_logged` (how many more users must be logged with the arm, drawn as in this log,
    until `needed` effective ones are expected; 0 where none are lacking), `needed`. See `arm_support`.

    Misleads as a guarantee: `more_logged` is an expectation, of which about half of the new logs fall short.
    Warns where the arms' shares contradict the propensities.
    Raises InputError for a log without propensity, decisions that are not for its users, and labels that do not fit.
    """
    import pandas as pd

    check_number(needed, "needed", positive=True)
    check_held_out(held_out, allow_mismatch=True, cluster=cluster)
    assert held_out.propensity is not None
    if decided.decision.shape[1] != len(held_out):
        raise InputError(
            f"the decisions are for {decided.decision.shape[1]:,} users and the log has {len(held_out):,}; decide "
            "for the users of this log: decide_all(policies, held_out, budgets)"
        )
    code = None if cluster is None else label_codes(cluster, len(held_out), "cluster")[1]
    frames = []
    for budget in decided.budgets:
        for name in decided.names:
            decision = decided.decision[decided.cell(name, budget)]
            found = arm_support(decision, held_out.treatment, held_out.propensity, needed=needed, cluster=code)
            cells = {"policy": name, "budget": budget, "arm": held_out.arms, **found._asdict(), "needed": needed}
            frames.append(pd.DataFrame(cells))
    return pd.concat(frames, ignore_index=True)
