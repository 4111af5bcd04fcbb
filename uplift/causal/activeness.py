"""Activeness: head and tail users, and what confounding by activeness does to the effect in each stratum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uplift.campaign import Campaign, check_campaign
from uplift.causal.adjustment import Adjustment, adjust
from uplift.causal.estimate import Estimate, raw_effect
from uplift.cells import check_finite
from uplift.errors import InputError, check_fraction, check_whole
from uplift.words import counted

if TYPE_CHECKING:
    import pandas as pd

HEAD_QUANTILE = 0.8
ASSUMPTION = (
    "The adjusted effects are causal only if activeness and the features block\n"
    "every backdoor path from treatment to value. Activeness is partly the result\n"
    "of past treatment: a stratum is who users had become, not who they are."
)


def strata(activeness: ArrayLike, n_strata: int = 5) -> NDArray[np.int64]:
    """Quantile groups of equally many users, (n,) int64 from 0, the least active, to at most n_strata - 1.

    A user's stratum is the number of the cut points q_1..q_{S-1} below its activeness, q_s the smallest activeness
    that at least the share s/S of the users does not exceed. Equal activeness is never split, so ties make strata
    unequal, and a stratum that ties leave empty is closed up. With 5 strata the top one is `head`.

    `activeness` (n,) counts past behaviours, in any unit: only its order counts. Misleads as a cause: who is active
    is partly the result of past treatment. Raises InputError for activeness that is missing, not finite or constant,
    and for fewer than 2 strata.
    """
    a = _checked(activeness)
    check_whole(n_strata, "n_strata", 2)
    group = np.searchsorted(_cuts(a, n_strata), a, side="left")
    codes = np.unique(group, return_inverse=True)[1]
    return np.asarray(codes, dtype=np.int64)


def head(activeness: ArrayLike, quantile: float = HEAD_QUANTILE) -> NDArray[np.bool_]:
    """Who is above the quantile of activeness, (n,) booleans; the rest is the tail.

    The quantile is the smallest activeness that at least this share of the users does not exceed; ties stay on one
    side, so the head holds at most 1 - quantile of the users. Raises InputError for activeness as `strata` does, for
    a quantile outside (0, 1), and when the head is empty.
    """
    a = _checked(activeness)
    check_fraction(quantile, "quantile", HEAD_QUANTILE)
    above = a > np.quantile(a, quantile, method="inverted_cdf")
    if not above.any():
        share = (a == a.max()).mean()
        why = f"{share:.0%} of the users share the largest, {a.max():g}"
        if share == 1 / len(a):
            why = f"{len(a):,} users are too few"
        raise InputError(
            f"nobody is above the {quantile:g} quantile of activeness, because {why}; choose a smaller quantile"
        )
    return np.asarray(above)


@dataclass(frozen=True, eq=False)
class StratumEffect:
    """One arm in one group of users: the raw difference (confounded) beside the adjusted effect, value units a user.

    Attributes
    ----------
    stratum : name of the group: "all", "tail", "head", "1 of 5" (the least active) and so on. arm : name.
    users : of the group, whatever their arm. lowest, highest : their smallest and largest activeness.
    raw : by `raw_effect`. adjusted : by `Adjustment.effect` on all users of the group.
    """

    stratum: str
    arm: str
    users: int
    lowest: float
    highest: float
    raw: Estimate
    adjusted: Estimate


@dataclass(frozen=True, eq=False)
class ActivenessEffects:
    """Raw and adjusted effects of every arm for all users, tail, head and each stratum, under `assumption`.

    Attributes
    ----------
    rows : a `StratumEffect` a group and arm but control. assumption : the text under which they are causal.

    Misleads where groups are many: each interval holds alone, and some leave the truth out by chance.
    """

    rows: tuple[StratumEffect, ...]
    assumption: str = ASSUMPTION

    def frame(self, level: float = 0.95) -> pd.DataFrame:
        """Tidy frame, one row a stratum and arm: users, range of activeness, both effects with intervals,
        and how many of the users are outside the support (`dropped`), of whom the adjusted effect says nothing.

        Raises InputError for a level outside (0, 1).
        """
        import pandas as pd

        records = []
        for row in self.rows:
            record = {name: getattr(row, name) for name in ("stratum", "arm", "users", "lowest", "highest")}
            for name, estimate in (("raw", row.raw), ("adjusted", row.adjusted)):
                low, high = estimate.interval(level)
                record |= {
                    name: estimate.estimate,
                    f"{name}_standard_error": estimate.standard_error,
                    f"{name}_low": low,
                    f"{name}_high": high,
                }
            record["dropped"] = row.adjusted.dropped
            records.append(record)
        return pd.DataFrame(records)

    def __str__(self) -> str:
        lines = [f"{'stratum':<10} {'arm':<14} {'users':>9} {'raw effect':>20} {'adjusted effect':>20}"]
        for row in self.rows:
            cells = [f"{e.estimate:.4g} ({e.standard_error:.2g})" for e in (row.raw, row.adjusted)]
            lines.append(f"{row.stratum:<10} {row.arm[:14]:<14} {row.users:>9,} {cells[0]:>20} {cells[1]:>20}")
        return "\n".join([*lines, "Standard errors in brackets.", self.assumption])

    def __repr__(self) -> str:
        return str(self)


def activeness_effects(
    campaign: Campaign,
    adjustment: Adjustment | None = None,
    *,
    n_strata: int = 5,
    cluster: ArrayLike | None = None,
    seed: int | np.random.Generator = 0,
) -> ActivenessEffects:
    """The raw and the adjusted effect of every arm side by side: for all, tail, head, and each quantile group.

    `adjustment` is that of `adjust(campaign)`, which is fitted here when None is given; it has activeness among its
    covariates. `cluster` (n,) is for that fit; rows of a cluster count once on both sides. `n_strata` as in `strata`;
    `seed` is that of the fit. Effects on all users of the group (AIPW), in value units a user, so differences between
    strata are not differences of who was treated. Holds under `ASSUMPTION`, which the result carries.
    Raises InputError for a campaign without activeness or one that `strata` or `head` refuses, an adjustment of
    another log, a cluster beside an adjustment, and a group with under 2 users of an arm or none inside the support.
    """
    check_campaign(campaign)
    if campaign.activeness is None:
        raise InputError(
            "the campaign has no activeness; name its column: Campaign.from_frame(..., activeness='...')"
        )
    a = campaign.activeness
    group, top = strata(a, n_strata), head(a)
    if adjustment is not None and cluster is not None:
        raise InputError("cluster is given beside an adjustment; give it to that one: adjust(campaign, cluster=...)")
    fitted = adjust(campaign, cluster=cluster, seed=seed) if adjustment is None else adjustment
    fitted.check_log(campaign)
    groups = {"all": np.ones(len(a), dtype=bool), "tail": ~top, "head": top}
    groups |= {f"{z + 1} of {group.max() + 1}": group == z for z in range(group.max() + 1)}
    for name, users in groups.items():
        counts = np.bincount(campaign.treatment[users], minlength=len(campaign.arms))
        if counts.min() < 2:
            raise InputError(
                f"group {name!r} of activeness ({int(users.sum()):,} users) has "
                f"{counted(int(counts.min()), 'user')} of arm {campaign.arms[int(np.argmin(counts))]!r}; "
                "at least 2 of every arm are needed: take fewer strata"
            )
    rows = tuple(
        StratumEffect(
            stratum=name,
            arm=arm,
            users=int(users.sum()),
            lowest=float(a[users].min()),
            highest=float(a[users].max()),
            raw=raw_effect(campaign, arm, users=users, cluster=fitted.cluster),
            adjusted=fitted.effect(arm, users=users),
        )
        for name, users in groups.items()
        for arm in campaign.arms[1:]
    )
    return ActivenessEffects(rows)


def _cuts(a: NDArray[np.float64], n_strata: int) -> NDArray[np.float64]:
    """The n_strata - 1 cut points, each an activeness that occurs."""
    ordered = np.sort(a)
    # Whole numbers, because a share such as 3/5 in floats may fall on either side of its user.
    last = -(-np.arange(1, n_strata) * len(a) // n_strata) - 1
    return np.asarray(ordered[last])


def _checked(activeness: ArrayLike) -> NDArray[np.float64]:
    a = check_activeness(activeness)
    if a.min() == a.max():
        raise InputError(f"activeness is {a.max():g} for all {len(a):,} users; strata need users who differ")
    return a


def check_activeness(activeness: ArrayLike) -> NDArray[np.float64]:
    """Activeness as (n,) float64. Raises InputError for what is no number for each user, missing or not finite."""
    try:
        a = np.asarray(activeness, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(
            "activeness holds no numbers; a count of past behaviours for each user is expected"
        ) from None
    if a.ndim != 1 or not len(a):
        raise InputError(f"activeness has shape {a.shape}; one number for each user, (users,), is expected")
    check_finite(a, "activeness")
    return a
