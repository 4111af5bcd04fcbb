"""Refutations: changes of the log under which a sound estimate must vanish, or must not move."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri

from uplift.campaign import Campaign
from uplift.causal.estimate import Estimate, estimates_frame
from uplift.causal.refuted import Estimator, check_no_covariate, estimator_of
from uplift.cells import check_finite
from uplift.errors import InputError
from uplift.seeds import stream
from uplift.words import counted, wrapped

if TYPE_CHECKING:
    import pandas as pd

LEVEL = 0.95
COLUMNS = (
    "refutation", "passed", "original", "refuted", "standard_error", "low", "high", "expected", "tolerance", "n",
    "effective_n", "dropped", "original_dropped", "quantity", "verdict",
)  # fmt: skip
MANY_DROPPED = 0.1  # share of the target left out from which the verdict points to another target


@dataclass(frozen=True)
class Refutation:
    """One refutation: the original estimate, the refuted one, and the difference that decides.

    Attributes
    ----------
    name : which refutation. original, refuted : estimates. expected : what `refuted` should be near, 0 or the
        original. tolerance : the largest distance that passes: what chance explains at the 95% level, or for the
        random common cause one standard error, by convention. passed : whether the distance is within it.
    verdict : the same in words, with how many users the estimates left out for want of support. A pass is the
        absence of one kind of evidence against the estimate, no proof of it.
    """

    name: str
    original: Estimate
    refuted: Estimate
    expected: float
    tolerance: float

    @property
    def passed(self) -> bool:
        """Whether the refuted estimate is within `tolerance` of what is expected."""
        return abs(self.refuted.estimate - self.expected) <= self.tolerance

    @property
    def verdict(self) -> str:
        """The outcome in one sentence."""
        where = "0" if self.expected == 0 else f"{self.expected:,.4g}"
        how = "as it should be" if self.passed else "which speaks against the estimate"
        return (
            f"{self.name}: {self.refuted.estimate:,.4g} is {'within' if self.passed else 'beyond'} "
            f"{self.tolerance:,.4g} of {where}, {how}{self._left_out}"
        )

    @property
    def _left_out(self) -> str:
        """How many users the estimates say nothing of, in words; empty where both speak for all."""
        most = max((self.original, self.refuted), key=lambda one: one.dropped / (one.n + one.dropped or 1))
        if not most.dropped:
            return ""
        counts = (
            f"; outside the support were {counted(self.original.dropped, 'user')} of the original, "
            f"{self.refuted.dropped:,} of the refuted"
        )
        if most.dropped < MANY_DROPPED * (most.n + most.dropped) or most.quantity.endswith("on the treated"):
            return counts
        return f'{counts}: they do not speak for the same users; where an arm is rare, take target="treated"'

    def __str__(self) -> str:
        return "\n".join(
            [
                wrapped(self.verdict),
                wrapped(f"original {self.original}", "  "),
                wrapped(f"refuted {self.refuted}", "  "),
            ]
        )

    def __repr__(self) -> str:
        return str(self)


def placebo_treatment(
    campaign: Campaign,
    estimate: Estimator | None = None,
    *,
    arm: str | int = 1,
    target: str = "all",
    seed: int | np.random.Generator = 0,
) -> Refutation:
    """Deal the logged arms out anew among the users: no arm can then have an effect, so 0 is expected.

    Passed is what lies within 1.96 standard errors of the refuted estimate.

    Parameters
    ----------
    estimate : function of a campaign that gives an `Estimate`, called for the log as it is and as it was changed;
        None is `adjust(campaign).effect(arm, target)`, and any other is written in the same way:
        `lambda c: adjust(c, trim=0.001).effect("8 EUR", "treated")`.
    arm, target : of the effect where `estimate` is None, as in `Adjustment.effect`. seed : of the deal.

    Propensities stated by the campaign are replaced by the arm shares, which the permuted log obeys; where they are
    unknown, `estimate` estimates them as it did. Shows a leak from value into the adjustment, or standard errors that
    are too small. One draw: a sound estimator fails in 5% of seeds. Raises InputError for what is no campaign, an
    `estimate` that is no function or gives no `Estimate`, an arm or target beside an `estimate`, and what `adjust`
    refuses.
    """
    estimate = estimator_of(campaign, estimate, arm, target)
    dealt = stream(seed, "placebo treatment").permutation(campaign.treatment)
    p = campaign.propensity
    if p is not None:
        shares = np.bincount(dealt, minlength=len(campaign.arms)) / len(dealt)
        p = np.broadcast_to(shares, p.shape)
    refuted = estimate(replace(campaign, treatment=dealt, propensity=p))
    return _against_zero("placebo treatment", estimate(campaign), refuted)


def random_common_cause(
    campaign: Campaign,
    estimate: Estimator | None = None,
    *,
    arm: str | int = 1,
    target: str = "all",
    seed: int | np.random.Generator = 0,
) -> Refutation:
    """Add a feature of pure noise: the estimate must not move by more than its own standard error.

    Shows an adjustment so flexible that one more column of noise changes the answer. The limit of one standard error
    is a convention: the two estimates share their data, so their difference has no simple distribution.
    `estimate`, `arm`, `target` and what is raised: as for `placebo_treatment`; InputError also for a campaign with a
    feature named `random_common_cause`.
    """
    estimate = estimator_of(campaign, estimate, arm, target)
    noise = stream(seed, "random common cause").standard_normal(len(campaign)).astype(np.float32)
    name = "random_common_cause"
    if name in campaign.features:
        raise InputError(f"the campaign has a feature {name!r} already; rename it")
    original = estimate(campaign)
    wider = replace(campaign, X=np.column_stack([campaign.X, noise]), features=(*campaign.features, name))
    return Refutation("random common cause", original, estimate(wider), original.estimate, original.standard_error)


def negative_control(
    campaign: Campaign,
    outcome: ArrayLike,
    estimate: Estimator | None = None,
    *,
    leave_out: str | tuple[str, ...] = (),
    arm: str | int = 1,
    target: str = "all",
) -> Refutation:
    """Put an outcome in place of the value that the treatment cannot have changed, so 0 is expected.

    Passed is what lies within 1.96 standard errors of the refuted estimate.

    Parameters
    ----------
    outcome : (n,) such as the value of the period before the campaign; it should share the common causes of the
        value, else a pass says nothing.
    leave_out : features dropped for the run (a text is one name), above all the outcome itself where it is one:
        adjusted for itself it would always give 0, so that is refused. "activeness" drops the campaign's activeness
        too, which is a covariate also where it is no feature.
    estimate, arm, target : as for `placebo_treatment`.

    A failure shows that the adjustment leaves confounding (or that leaving out the features made it so). Source:
    Lipsitch, Tchetgen Tchetgen and Cohen 2010, Epidemiology. Raises InputError for an outcome of another
    length, one that is not finite or is a covariate, unknown features, and as `placebo_treatment` does.
    """
    estimate = estimator_of(campaign, estimate, arm, target)
    try:
        leave_out = (leave_out,) if isinstance(leave_out, str) else tuple(leave_out)
    except TypeError:
        raise InputError(f"leave_out is {leave_out!r}; names of features are expected, () for none") from None
    try:
        y = np.asarray(outcome, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"outcome holds no numbers; one for each of {len(campaign):,} users is expected") from None
    if y.shape != (len(campaign),):
        raise InputError(f"outcome has shape {y.shape} for {len(campaign):,} users; one number each is expected")
    check_finite(y, "outcome")
    known = campaign.features if campaign.activeness is None else (*campaign.features, "activeness")
    unknown = [name for name in leave_out if name not in known]
    if unknown:
        raise InputError(f"leave_out names {unknown[0]!r}, which is no feature of {', '.join(known)}")
    kept = [j for j, name in enumerate(campaign.features) if name not in leave_out]
    if not kept:
        raise InputError("leave_out names every feature; at least one must stay")
    check_no_covariate(campaign, y, leave_out)
    other = replace(
        campaign,
        value=y,
        X=campaign.X[:, kept],
        features=tuple(campaign.features[j] for j in kept),
        activeness=None if "activeness" in leave_out else campaign.activeness,
    )
    return _against_zero("negative-control outcome", estimate(campaign), estimate(other))


def subset(
    campaign: Campaign,
    estimate: Estimator | None = None,
    *,
    arm: str | int = 1,
    target: str = "all",
    share: float = 0.8,
    seed: int | np.random.Generator = 0,
) -> Refutation:
    """Estimate on a random share of the users of each arm: the estimate must stay, within what the lost
    users explain.

    The mean of a random share a of n rows and the mean of all differ with the variance s^2 (1/(a n) - 1/n), so the
    tolerance is 1.96 se sqrt((1 - a) / a), se the standard error of the original: exact for a mean whose nuisances
    are given, about so where they are fitted again. Shows that a few users carry the estimate. One draw: a sound
    estimator fails in about 5% of seeds. `share` is that of the users kept.
    `estimate`, `arm`, `target` and what is raised: as for `placebo_treatment`; for a share, as `Campaign.split`.
    """
    estimate = estimator_of(campaign, estimate, arm, target)
    kept, _ = campaign.split(share, stream(seed, "subset"))  # refused before anything is fitted
    original, refuted = estimate(campaign), estimate(kept)
    spread = original.standard_error * np.sqrt((1 - share) / share)
    return Refutation("subset", original, refuted, original.estimate, float(ndtri((1 + LEVEL) / 2) * spread))


def refutations_frame(refutations: Refutation | Iterable[Refutation]) -> pd.DataFrame:
    """Tidy frame, one row a refutation: whether it passed, the original and the refuted estimate with its interval,
    what was expected within which tolerance, the users, and at the end the quantity and the verdict in words.

    A single refutation is a list of one. Raises InputError for anything but refutations.
    """
    try:
        found = [refutations] if isinstance(refutations, Refutation) else list(refutations)
    except TypeError:
        found = []
    if not found or not all(isinstance(r, Refutation) for r in found):
        raise InputError(f"refutations is {refutations!r:.60}; a Refutation, or a list of at least one, is expected")
    frame = estimates_frame([r.refuted for r in found]).rename(columns={"estimate": "refuted"})
    frame = frame.assign(
        refutation=[r.name for r in found],
        passed=[r.passed for r in found],
        original=[r.original.estimate for r in found],
        expected=[r.expected for r in found],
        tolerance=[r.tolerance for r in found],
        original_dropped=[r.original.dropped for r in found],
        verdict=[r.verdict for r in found],
    )
    return frame[list(COLUMNS)]


def _against_zero(name: str, original: Estimate, refuted: Estimate) -> Refutation:
    reach = float(ndtri((1 + LEVEL) / 2)) * refuted.standard_error
    return Refutation(name, original, refuted, 0.0, reach)
