"""Inverse-propensity estimates of the value and spend of decisions, from a randomised log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uplift.campaign import Campaign
from uplift.errors import InputError

Array = NDArray[np.float64]
ESTIMATORS = ("ipw", "sn")


def match_weight(decision: NDArray[np.int64], campaign: Campaign) -> Array:
    """w_i = 1[t_i = z_i] / p_{i, t_i}: 0 where the log shows another arm than decided, (n,).

    Raises InputError when the campaign carries no propensity, or the decision does not fit its users and arms.
    """
    if campaign.propensity is None:
        raise InputError(
            "the log has no propensity, so nothing can be verified on it; give propensity={arm: probability}, or "
            "propensity='arm shares' if every user was randomised alike"
        )
    n = len(campaign)
    if decision.shape != (n,):
        raise InputError(f"the decision has shape {decision.shape} for {n:,} users; ({n},) is expected")
    if n and not 0 <= decision.min() <= decision.max() < len(campaign.arms):
        wrong = decision.min() if decision.min() < 0 else decision.max()
        raise InputError(f"the decision names arm {wrong}; the log has arms 0..{len(campaign.arms) - 1}")
    rows = np.arange(n)
    matched = decision == campaign.treatment
    return np.asarray(np.where(matched, 1 / campaign.propensity[rows, campaign.treatment], 0.0))


@dataclass(frozen=True, eq=False)
class Moments:
    """What one decision (a column a decision) contributes per user; every estimate is a ratio of their sums.

    weight, value, spend : (n, m): w_i, w_i y_i, w_i c_i with w of `match_weight`.
    """

    weight: Array
    value: Array
    spend: Array

    @classmethod
    def of(cls, decisions: list[NDArray[np.int64]], campaign: Campaign) -> Moments:
        """Stack the contributions of several decisions on the same users."""
        weight = np.column_stack([match_weight(z, campaign) for z in decisions])
        cost = np.full(len(campaign), np.nan) if campaign.cost is None else campaign.cost
        return cls(weight, weight * campaign.value[:, None], weight * cost[:, None])


def totals(estimator: str, n: int, weight: Any, amount: Any) -> Any:
    """Total of an amount over n users from the sums of w and of w times the amount; any shape, elementwise.

        ipw:  sum_i w_i a_i                       unbiased; noisy where few users match
        sn:   n sum_i w_i a_i / sum_i w_i         self-normalised (Hajek); a bias of order 1/n, less noise

    Returns NaN where no user matches: silence is not zero.
    Source: Horvitz & Thompson 1952; Hajek 1971; Swaminathan & Joachims 2015 for policies.
    """
    none = weight == 0
    with np.errstate(invalid="ignore", divide="ignore"):
        estimate = amount if estimator == "ipw" else n * amount / weight
    return np.where(none, np.nan, estimate)
