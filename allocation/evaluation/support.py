"""How much of a log speaks for a decision: matched users, effective sizes, and the words where that is too little."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from allocation.evaluation.draws import Draws
from allocation.evaluation.estimators import FEW, effective_size
from uplift.campaign import Campaign

Array = NDArray[np.float64]
Codes = NDArray[np.int64]


def match_weights(decision: NDArray[np.integer], campaign: Campaign) -> Array:
    """w_i = 1[t_i = z_i] / p_{i, t_i}: 0 where the log shows another arm than decided; (..., n) as the decision."""
    rows = np.arange(len(campaign))
    return np.where(decision == campaign.treatment, _inverse(campaign, rows, campaign.treatment), 0.0)


def _inverse(campaign: Campaign, rows: NDArray[np.int64], arm: NDArray[np.integer]) -> Array:
    """1 / p_{i, arm} of these users, (rows,)."""
    assert campaign.propensity is not None
    return np.asarray(1 / campaign.propensity[rows, arm])


def support(decision: NDArray[np.integer], campaign: Campaign, cluster: Codes | None = None) -> tuple[int, float]:
    """(matched users, effective size) of one decision (n,); with clusters (n,) the size counts clusters.

    The effective size is the smaller of two: that of the matched users' weights, (sum w)^2 / sum w^2, and the one
    that the design lets expect, n^2 / sum_i 1 / p_{i, z_i}. The first alone would see the users of a rare arm only
    where some of them match: without any, the others' equal weights would look like plenty.
    """
    weight = match_weights(decision, campaign)
    inverse = _inverse(campaign, np.arange(len(campaign)), decision)
    draws = Draws([decision], [inverse], campaign.treatment, cluster)
    return int((weight > 0).sum()), min(effective_size(_within(weight, cluster)), draws.expected_size())


def apart(
    one: NDArray[np.integer], other: NDArray[np.integer], campaign: Campaign, cluster: Codes | None = None
) -> tuple[int, float]:
    """(matched users, effective size) of those who tell two decisions (n,) apart, which a paired difference rests on.

    They received what one decided and not the other: both decisions may match thousands whom they treat alike, and
    differ for three. Sizes as in `support`, of the weights |w_one - w_other|.
    """
    differ = np.flatnonzero(one != other)
    if not len(differ):
        return 0, 0.0
    received, decisions = campaign.treatment[differ], [one[differ], other[differ]]
    inverses = [_inverse(campaign, differ, decision) for decision in decisions]
    # Of each user's two weights one is 0: their sum has the size of their difference.
    pairs = zip(decisions, inverses, strict=True)
    weight = np.sum([np.where(decision == received, inverse, 0.0) for decision, inverse in pairs], axis=0)
    group = None if cluster is None else np.unique(cluster[differ], return_inverse=True)[1]
    expected = Draws(decisions, inverses, received, group).expected_size()
    return int((weight > 0).sum()), min(effective_size(_within(weight, group)), expected)


def _within(weight: Array, cluster: Codes | None) -> Array:
    """Weights (n,) added up within clusters."""
    return weight if cluster is None else np.bincount(cluster, weight).astype(np.float64)


def lacking(matched: int, effective: float, users: int, unit: str = "users") -> str:
    """Why there is no estimate, in words; empty where there is one."""
    if matched == 0:
        return f"none of {users:,} users received the arm decided for them"
    if effective >= FEW:
        return ""
    size = _size(matched, effective, unit)
    return f"{matched:,} of {users:,} users match{f' and {size}' if size else ''}; {FEW} are needed"


def not_apart(matched: int, effective: float, unit: str = "users") -> str:
    """Why there is no paired difference, in words; empty where there is one."""
    if effective >= FEW:
        return ""
    if matched < 2:
        return f"{'no' if matched == 0 else '1'} matched user tells the two apart; {FEW} are needed"
    size = _size(matched, effective, unit)
    return f"{matched:,} matched users{f', who {size},' if size else ''} tell the two apart; {FEW} are needed"


def _size(matched: int, effective: float, unit: str) -> str:
    """The effective size in words where it says more than the number of matched users."""
    if unit == "users" and round(effective) >= matched:
        return ""
    return f"count as {effective:,.0f}" + ("" if unit == "users" else f" {unit}")
