"""How much of a log speaks for a decision: matched users, effective sizes, and the words where that is too little."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from allocation.engine.threads import pieces
from allocation.evaluation.estimators import effective_size
from uplift.campaign import Campaign

FEW = 30  # effectively matched users below which there is no estimate: normal theory and resampling both fail


def match_weights(
    decision: NDArray[np.integer], campaign: Campaign, users: slice = slice(None)
) -> NDArray[np.float64]:
    """w_i = 1[t_i = z_i] / p_{i, t_i}: 0 where the log shows another arm than decided; (..., n) as the decision.

    With `users` the decision is for these of the campaign's users only.
    """
    assert campaign.propensity is not None
    received = campaign.treatment[users]
    chance = campaign.propensity[users][np.arange(len(received)), received]
    return np.where(decision == received, 1 / chance, 0.0)


def support(weight: NDArray[np.float64], cluster: NDArray[np.int64] | None = None) -> tuple[int, float]:
    """(matched users, effective size) of one decision's weights (n,); with clusters (n,) the size counts clusters."""
    total = weight if cluster is None else np.bincount(cluster, weight).astype(np.float64)
    return int((weight > 0).sum()), effective_size(total)


def lacking(matched: int, effective: float, users: int, unit: str = "users") -> str:
    """Why there is no estimate, in words; empty where there is one."""
    if matched == 0:
        return f"none of {users:,} users received the arm decided for them"
    if effective < FEW:
        counted = f"{matched:,} of {users:,} users match"
        if round(effective) < matched:
            counted += f" and count as {effective:,.0f} {unit}"
        return f"{counted}; {FEW} are needed"
    return ""


def telling_apart(decision: NDArray[np.integer], campaign: Campaign) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Users who tell two decisions apart, for each pair of `decision` (m, n): (matched, effective size), (m, m) each.

    They are those who received what one decided and not the other, which the paired difference rests on: both
    decisions may match thousands whom they treat alike, and differ for three. Users are counted one by one, also
    where they come in clusters.
    """
    m = len(decision)
    both, weight, square = np.zeros((3, m, m))
    for first, end in pieces(decision.shape[1]):
        w = match_weights(decision[:, first:end], campaign, slice(first, end))
        matched = (w > 0).astype(np.float64)
        both += matched @ matched.T
        weight += w @ matched.T
        square += w @ w.T
    apart, total, squares = (
        np.maximum(np.diag(of)[:, None] + np.diag(of)[None, :] - 2 * of, 0.0) for of in (both, weight, square)
    )
    none = apart < 0.5
    size = np.divide(total**2, squares, out=np.zeros((m, m)), where=~none & (squares > 0))
    return np.rint(apart).astype(np.int64), np.where(none, 0.0, size)


def not_apart(matched: int, effective: float) -> str:
    """Why there is no paired difference, in words; empty where there is one."""
    if effective >= FEW:
        return ""
    counted = "no matched user tells" if matched == 0 else f"{matched:,} matched users tell"
    if matched == 1:
        counted = "1 matched user tells"
    elif 0 < round(effective) < matched:
        counted = f"{matched:,} matched users, who count as {effective:,.0f}, tell"
    return f"{counted} the two apart; {FEW} are needed"
