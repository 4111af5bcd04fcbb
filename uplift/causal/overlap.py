"""Overlap: could every user have received every arm, and are the arms alike after weighting?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from uplift.campaign import Campaign, check_campaign
from uplift.causal.adjustment import Adjustment, rare_arms
from uplift.causal.assignment import covariates
from uplift.causal.estimate import Array, check_target, effective_size, treated_position
from uplift.errors import InputError
from uplift.words import counted, wrapped

if TYPE_CHECKING:
    import pandas as pd

UNBALANCED = 0.1  # standardised difference from which the text speaks of imbalance
FEW_LEFT = 0.25  # share of an arm's users that its effective size should not fall below
SMALL_PROPENSITY = 0.01  # below which a single user weighs as a hundred
SHOWN = 10  # features in the print
MANY_OUTSIDE = 0.1  # share of the target outside the support from which the overlap is called poor


@dataclass(frozen=True, eq=False)
class OverlapReport:
    """How far the arms of a log can be compared, for one target population.

    Attributes
    ----------
    arms, features : names. target : "all", "treated" or "untreated"; compared : positions of the arms compared.
    users : (K+1,) users of each arm. smallest : (K+1,) smallest propensity of each arm over the users of the target.
    effective : (K+1,) effective sample size of each arm under the target's weights, (sum o)^2 / sum o^2; 0 for an
        arm that is not compared.
    before, after : (K+1, d) standardised mean difference of each feature between the arm and control, without and
        with the weights; 0 for control and for arms that are not compared. (mean_j - mean_0) / sqrt((s_j^2 + s_0^2) /
        2) with the unweighted variances both times; infinite where both are constant and differ.
    outside : (n,) who is outside the support: weights above 1 / trim would be needed (`Adjustment.supported`).
    members : (n,) who is in the target. trim : as in `adjust`. described : what sets apart who is outside, in words.
    rare : of arms so rare that the trim drops users for it, in words (`Adjustment.warnings`).
    warnings : what speaks against the comparison, in words; verdict : in one line.

    Balance of means does not show that the distributions agree, and says nothing of what was not measured.
    Source of the standardised difference: Austin 2009, Statistics in Medicine 28(25); the formula is the usual one,
    its number there was not checked. The thresholds of the warnings (constants of this module) are conventions.
    """

    arms: tuple[str, ...]
    features: tuple[str, ...]
    target: str
    compared: tuple[int, ...]
    users: NDArray[np.int64]
    smallest: Array
    effective: Array
    before: Array
    after: Array
    outside: NDArray[np.bool_]
    members: NDArray[np.bool_]
    trim: float
    described: str
    rare: tuple[str, ...]

    @property
    def _own(self) -> int | None:
        """The arm that the users of the target received, whose weights are 1; None for "all"."""
        return {"all": None, "untreated": 0, "treated": self.compared[-1]}[self.target]

    @property
    def warnings(self) -> tuple[str, ...]:
        """Each concern in one sentence; empty when there is none."""
        found = []
        out = int((self.outside & self.members).sum())
        if out:
            share = out / int(self.members.sum())
            found.append(
                f"{counted(out, 'user')} of the target ({share:.1%}) {'is' if out == 1 else 'are'} outside the "
                f"support and can only be extrapolated{self.described}."
            )
        found += self.rare
        found += [
            f"Weighting leaves {self.effective[j]:,.0f} effective of {counted(int(self.users[j]), 'user')} of arm "
            f"{self.arms[j]!r}: few of them resemble the target."
            for j in self.compared
            if self.effective[j] < FEW_LEFT * self.users[j]
        ]
        found += [
            f"The propensity of arm {self.arms[j]!r} falls to {self.smallest[j]:.2g} in the target."
            for j in self.compared
            if self.smallest[j] < SMALL_PROPENSITY and j != self._own
        ]
        left = np.abs(self.after)
        if left.max() > UNBALANCED:
            j, k = divmod(int(np.argmax(left)), left.shape[1])
            found.append(
                f"{int((left > UNBALANCED).any(axis=0).sum())} of {len(self.features)} features stay unbalanced by "
                f"more than {UNBALANCED:g} standard deviations, most {self.features[k]!r} ({self.after[j, k]:+.2f}, "
                f"arm {self.arms[j]!r})."
            )
        return tuple(found)

    @property
    def verdict(self) -> str:
        """ "good" (no warning), "limited" or "poor", with the count of warnings.

        Poor: more than 10% of the target outside the support, or a feature off by more than .25 after weighting.
        """
        count = len(self.warnings)
        if not count:
            return "good: every arm compared reaches the whole target, and weighting balances the features"
        share = (self.outside & self.members).sum() / self.members.sum()
        worst = np.abs(self.after).max()
        word = "poor" if share > MANY_OUTSIDE or worst > 2.5 * UNBALANCED else "limited"
        return f"{word}: {count} warning{'s' if count > 1 else ''}"

    def frame(self) -> pd.DataFrame:
        """Tidy frame of the balance, one row an arm but control and feature: `before` and `after` weighting."""
        import pandas as pd

        shown = [j for j in self.compared if j]
        return pd.DataFrame(
            {
                "arm": np.repeat([self.arms[j] for j in shown], len(self.features)),
                "feature": list(self.features) * len(shown),
                "before": self.before[shown].ravel(),
                "after": self.after[shown].ravel(),
            }
        )

    def support_frame(self) -> pd.DataFrame:
        """Tidy frame of the support, one row an arm compared: users, smallest propensity, effective size."""
        import pandas as pd

        j = list(self.compared)
        return pd.DataFrame(
            {
                "arm": [self.arms[k] for k in j],
                "users": self.users[j],
                "smallest_propensity": self.smallest[j],
                "effective_users": self.effective[j],
            }
        )

    def __str__(self) -> str:
        lines = [f"Overlap for the effect on {'all' if self.target == 'all' else 'the ' + self.target}"]
        lines.append(f"{'arm':<24}{'users':>12}{'effective':>12}{'smallest p':>14}{'worst |smd| after':>18}")
        for j in self.compared:
            worst = f"{np.abs(self.after[j]).max():.3f}" if j else "-"
            lines.append(
                f"{self.arms[j][:23]:<24}{self.users[j]:>12,}{self.effective[j]:>12,.0f}"
                f"{self.smallest[j]:>14.2g}{worst:>18}"
            )
        treated = [j for j in self.compared if j]
        left = np.abs(self.after[treated])
        lines.append(
            f"{'feature (most unbalanced after first)':<40}{'worst in arm':<16}{'smd before':>12}{'after':>12}"
        )
        for k in np.argsort(-left.max(axis=0), kind="stable")[:SHOWN]:
            j = treated[int(np.argmax(left[:, k]))]
            names = f"{self.features[k][:39]:<40}{self.arms[j][:15]:<16}"
            lines.append(f"{names}{self.before[j, k]:>+12.3f}{self.after[j, k]:>+12.3f}")
        lines.append(wrapped(f"Verdict: {self.verdict}"))
        lines += [wrapped(f"- {text}") for text in self.warnings]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return str(self)


def overlap(
    campaign: Campaign, adjustment: Adjustment, target: str = "all", arm: str | int | None = None
) -> OverlapReport:
    """Who can be compared at all, and how alike the arms are under the weights of `adjustment.effect(arm, target)`.

        o_ij = w_g(x_i) 1[t_i = j] / p_j(x_i) inside the support, else 0      (w_g as in `Adjustment`)

    Parameters
    ----------
    campaign : the log. Its `covariates`, features and activeness, are what balance is asked of.
    adjustment : `adjust(campaign)` of the same log, whose propensities and trim are used.
    target : "all", "treated" or "untreated": whom the effect is about.
    arm : the one compared with control; None is every arm for "all", and the first for "treated" and "untreated".
        For "all" the support is that of every arm all the same, as in `Adjustment.supported`.

    Effective sizes and the balance `after` are those of the users inside the support. Shows whether every user of
    the target could have got each arm (positivity), and whether the propensities undo the assignment as far as means
    of measured features tell; says nothing of a cause that was not measured, so it misleads where few features
    were logged.
    Raises InputError when the adjustment is of another log, the target is unknown, the arm is unknown or control, or
    no user of an arm compared is inside the support.
    """
    check_campaign(campaign)
    check_target(target)
    if not isinstance(adjustment, Adjustment):
        raise InputError(
            f"adjustment has the type {type(adjustment).__name__}; what adjust(campaign) gives is expected"
        )
    adjustment.check_log(campaign)
    chosen = treated_position(1 if arm is None else arm, campaign.arms)
    inside = adjustment.supported(target, chosen)
    weight, member = adjustment.target_weights(target, chosen)
    X = covariates(campaign).astype(np.float64)
    names = campaign.features + (("activeness",) if X.shape[1] > len(campaign.features) else ())
    p, t, K1 = adjustment.propensity, campaign.treatment, len(campaign.arms)
    compared = tuple(range(K1)) if target == "all" and arm is None else (0, chosen)
    before, after = np.zeros((K1, X.shape[1])), np.zeros((K1, X.shape[1]))
    effective = np.zeros(K1)
    odds = {j: np.divide(weight, p[:, j], out=np.zeros(len(t)), where=(t == j) & inside) for j in compared}
    for j in compared:
        if odds[j].sum() <= 0:
            raise InputError(
                f"no user of arm {campaign.arms[j]!r} is inside the support at trim={adjustment.trim:g}; the arms do "
                "not overlap: nothing can be compared"
            )
        effective[j] = effective_size(odds[j])
        before[j] = _difference(X[t == j].mean(axis=0), X[t == 0].mean(axis=0), X[t == j], X[t == 0])
        weighted, weighted0 = odds[j] @ X / odds[j].sum(), odds[0] @ X / odds[0].sum()
        after[j] = _difference(weighted, weighted0, X[t == j], X[t == 0])
    members = member > 0
    return OverlapReport(
        arms=campaign.arms,
        features=names,
        target=target,
        compared=compared,
        users=np.bincount(t, minlength=K1),
        smallest=p[members].min(axis=0),
        effective=effective,
        before=before,
        after=after,
        outside=~inside,
        members=members,
        trim=adjustment.trim,
        described=_describe(X[members], ~inside[members], names),
        rare=rare_arms(adjustment, target, chosen),
    )


def _difference(mean: Array, mean0: Array, group: Array, control: Array) -> Array:
    """Standardised difference of each feature, (d,)."""
    difference = mean - mean0
    spread = np.sqrt((group.var(axis=0) + control.var(axis=0)) / 2)
    # Weighted means of a constant differ by rounding alone.
    difference = np.where(np.abs(difference) <= 1e-9 * np.maximum(np.abs(mean), np.abs(mean0)), 0.0, difference)
    wide = spread > 0
    apart = np.where(difference == 0, 0.0, np.copysign(np.inf, difference))
    return np.asarray(np.where(wide, difference / np.where(wide, spread, 1), apart))


def _describe(X: Array, outside: NDArray[np.bool_], names: tuple[str, ...]) -> str:
    """The feature that sets the users outside apart most, in words; empty when nobody or everybody is outside."""
    if not outside.any() or outside.all():
        return ""
    there, here = X[outside].mean(axis=0), X[~outside].mean(axis=0)
    spread = X.std(axis=0)
    apart = np.abs(there - here) / np.where(spread > 0, spread, np.inf)
    k = int(np.argmax(apart))
    return f"; they differ most in {names[k]!r}, mean {there[k]:.4g} against {here[k]:.4g} inside"
