"""Stratified adjustment: the effect within each stratum, averaged over the strata of the target population."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uplift.campaign import Campaign, check_campaign
from uplift.causal.estimate import Array, Estimate, check_target, treated_position
from uplift.errors import InputError
from uplift.groups import label_codes
from uplift.words import counted, wrapped

if TYPE_CHECKING:
    import pandas as pd

LACKING = ("refuse", "drop")


@dataclass(frozen=True, eq=False)
class Stratified:
    """Mean value of every arm in every stratum, and the averages over strata.

    Attributes
    ----------
    strata : (S,) labels, sorted. arms : names of the K+1 arms.
    count : (S, K+1) users. mean, variance : (S, K+1) mean and sample variance of their value.
    dropped : labels left out because an arm had fewer than 2 users there. dropped_count : (K+1,) their users by arm.
    """

    strata: NDArray[Any]
    arms: tuple[str, ...]
    count: NDArray[np.int64]
    mean: Array
    variance: Array
    dropped: tuple[Any, ...]
    dropped_count: NDArray[np.int64]

    def weights(self, target: str = "all", arm: str | int = 1) -> Array:
        """P(z) of the target population, (S,), summing to 1: shares of all users, of those who received `arm`
        ("treated"), or of those who received control ("untreated"). Raises InputError for another target or arm."""
        users = _of_target(self.count, target, treated_position(arm, self.arms))
        return np.asarray(users / users.sum())

    def effect(self, arm: str | int = 1, target: str = "all") -> Estimate:
        """Average effect of `arm` (name or position) against control, in value units a user.

            tau = sum_z P(z) tau_z,  tau_z = mean_zj - mean_z0
            standard_error^2 = sum_z P(z)^2 (s_zj^2 / n_zj + s_z0^2 / n_z0) + sum_z P(z) (tau_z - tau)^2 / n

        n: users of the target. The second term is there because the strata's shares are themselves a sample.
        Raises InputError for an unknown arm, control as the arm, and an unknown target.
        """
        j = treated_position(arm, self.arms)
        w = self.weights(target, j)
        tau = self.mean[:, j] - self.mean[:, 0]
        within = (self.variance[:, [0, j]] / self.count[:, [0, j]]).sum(axis=1)
        average = float(w @ tau)
        n = int(_of_target(self.count, target, j).sum())
        dropped = int(_of_target(self.dropped_count[None], target, j).sum())
        error = float(np.sqrt(w**2 @ within + w @ (tau - average) ** 2 / n))
        # A user of arm j in stratum z carries P(z) / n_zj; Kish's size of these weights is 1 / sum_z P(z)^2 / n_zj.
        size = 1 / float((w[:, None] ** 2 / self.count[:, [0, j]]).sum(axis=0).max())
        quantity = f"stratified effect of {self.arms[j]}"
        return Estimate(quantity, average, error, n, size, dropped)

    def __str__(self) -> str:
        arms = ", ".join(f"{arm} ({count:,})" for arm, count in zip(self.arms, self.count.sum(axis=0), strict=True))
        lines = [wrapped(f"Stratified adjustment in {_strata(len(self.strata))}, users of the arms {arms}")]
        lines += [wrapped(str(self.effect(j)), "  ") for j in range(1, len(self.arms))]
        if self.dropped:
            out = counted(int(self.dropped_count.sum()), "user")
            lines.append(wrapped(f"- left out, because an arm is lacking: {_strata(len(self.dropped))} with {out}"))
        return "\n".join(lines)

    def __repr__(self) -> str:
        return str(self)

    def frame(self, target: str = "all") -> pd.DataFrame:
        """Tidy frame, one row a stratum and arm but control: users of both, weight P(z), effect and standard error.

        The last two are of the stratum alone, in value units a user; weights and errors as in `weights`.
        """
        import pandas as pd

        rows = []
        for j in range(1, len(self.arms)):
            w = self.weights(target, j)
            for z, stratum in enumerate(self.strata):
                error = np.sqrt((self.variance[z, [0, j]] / self.count[z, [0, j]]).sum())
                rows.append(
                    {
                        "stratum": stratum,
                        "arm": self.arms[j],
                        "users": int(self.count[z, j]),
                        "control_users": int(self.count[z, 0]),
                        "weight": float(w[z]),
                        "effect": float(self.mean[z, j] - self.mean[z, 0]),
                        "standard_error": float(error),
                    }
                )
        return pd.DataFrame(rows)


def stratified(campaign: Campaign, stratum: ArrayLike, *, lacking: str = "refuse") -> Stratified:
    """Backdoor adjustment over discrete strata, without models: effects within each stratum, averaged over strata.

        effect of arm j = sum_z P(z) (E[value | arm j, z] - E[value | control, z])

    Parameters
    ----------
    stratum : (n,) labels (text, whole numbers), what all common causes of treatment and value are reduced to.
    lacking : where an arm has fewer than 2 users in a stratum: "refuse" raises, "drop" leaves the stratum out, says
        so in `dropped`, and changes whom the answer is about.

    Returns a `Stratified`: counts, means and variances of the value by stratum and arm, whose `effect` and
    `weights` choose the target population. Propensities of the campaign are not used, nor its features.

    Assumes that within a stratum treatment was as good as random, and that users are independent. Misleads when
    strata are so coarse that it was not random in them, or so fine that "drop" leaves few users.
    Source: Pearl 1995, Biometrika 82(4), the backdoor adjustment; the formula is the standard one, its number in the
    paper was not checked. Raises InputError for labels of another length, missing or of several types, another word
    for `lacking`, or (with "refuse", and always when no stratum is left) for strata that lack an arm.
    """
    check_campaign(campaign)
    labels, code = label_codes(stratum, len(campaign), "stratum")
    if lacking not in LACKING:
        raise InputError(f"lacking is {lacking!r}; one of {', '.join(LACKING)} is expected")
    S, K1 = len(labels), len(campaign.arms)
    cell = code * K1 + campaign.treatment
    count = np.bincount(cell, minlength=S * K1)
    mean = np.bincount(cell, weights=campaign.value, minlength=S * K1) / np.maximum(count, 1)
    squares = np.bincount(cell, weights=(campaign.value - mean[cell]) ** 2, minlength=S * K1)
    variance = squares / np.maximum(count - 1, 1)
    count, mean, variance = count.reshape(S, K1), mean.reshape(S, K1), variance.reshape(S, K1)
    full = (count >= 2).all(axis=1)
    if not full.all() and (lacking == "refuse" or not full.any()):
        s, j = (int(k) for k in np.argwhere(count < 2)[0])
        raise InputError(
            f"stratum {labels[s]!s} has {counted(int(count[s, j]), 'user')} of arm {campaign.arms[j]!r}, one of "
            f"{int((~full).sum()):,} of {S:,} strata that lack an arm; 2 users of every arm are needed in each: "
            "take coarser strata" + (", or lacking='drop' to leave these out" if full.any() else "")
        )
    return Stratified(
        labels[full],
        campaign.arms,
        count[full],
        mean[full],
        variance[full],
        tuple(labels[~full].tolist()),
        count[~full].sum(axis=0),
    )


def _strata(count: int) -> str:
    return f"{count:,} {'stratum' if count == 1 else 'strata'}"


def _of_target(count: NDArray[np.int64], target: str, arm: int) -> NDArray[np.int64]:
    """Users of the target population in each stratum, (S,), of a table (S, K+1)."""
    check_target(target)
    return np.asarray(count.sum(axis=1) if target == "all" else count[:, arm if target == "treated" else 0])
