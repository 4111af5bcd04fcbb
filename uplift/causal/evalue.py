"""E-values: how strong a confounder that was not measured would have to be to explain an effect away."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from uplift.causal.estimate import Estimate
from uplift.errors import InputError

PER_SPREAD = 0.91  # log risk ratio per standard deviation of the outcome
HALF_WIDTH = 1.78  # the same, times the normal quantile of a 95% interval
LARGEST_LOG = 700.0  # floats end at e^709


@dataclass(frozen=True)
class EValue:
    """`point` for the estimate, `limit` for the end of its interval that is nearer to no effect (1 where it is in).

    `limit` is None where no interval was given; both are risk ratios, without a unit. A risk ratio of this size, of
    the confounder with the treatment and with the outcome both, above what is adjusted for, could explain the effect
    away; weaker confounding could not. At least 1; 1 means that none is needed.
    """

    point: float
    limit: float | None


def e_value(risk_ratio: float, interval: tuple[float, float] | None = None) -> EValue:
    """E-value of a risk ratio: E = RR + sqrt(RR (RR - 1)), with 1 / RR in place of RR below 1.

    `interval` is the confidence interval of the ratio. Assumes a risk ratio; an odds ratio of a frequent outcome
    gives too large an E. Says nothing of how likely such a confounder is. Source: VanderWeele and Ding 2017, Annals
    of Internal Medicine 167(4), as stated in the documentation of the authors' R package EValue.

    Raises InputError for ratios that are not above 0 or an interval that does not hold the estimate.
    """
    try:
        low, high = (risk_ratio, risk_ratio) if interval is None else interval
        fits = bool(0 < low <= risk_ratio <= high < np.inf)
    except (TypeError, ValueError):
        fits = False
    if not fits:
        raise InputError(
            f"the risk ratio is {risk_ratio!r} with the interval {interval}; a ratio above 0 inside its interval is "
            "expected"
        )
    if interval is None:
        return EValue(_strength(risk_ratio), None)
    within = low <= 1 <= high
    return EValue(_strength(risk_ratio), 1.0 if within else _strength(low if risk_ratio > 1 else high))


def e_value_of_effect(effect: Estimate, spread: float) -> EValue:
    """E-value of a difference of means, through the approximate risk ratio exp(.91 d), d = estimate / spread.

    `spread` is the standard deviation of the value in the units of the effect (of the logged users, say). The limits
    are exp(.91 d -+ 1.78 s), s the standard error of d. The conversion supposes an outcome that is about normal and
    is rough for counts and money with many zeros. Source: as for `e_value`; constants .91 and 1.78 as in EValue.

    Raises InputError for what is no `Estimate` and a spread that is not a positive number.
    """
    if not isinstance(effect, Estimate):
        raise InputError(
            f"effect is {effect!r:.60}; an Estimate is expected, such as adjust(campaign).effect(); of a bare risk "
            "ratio e_value(ratio, (low, high)) tells it"
        )
    if not isinstance(spread, int | float | np.number) or not 0 < spread < np.inf:
        raise InputError(f"spread is {spread!r}; the standard deviation of the value, above 0, is expected")
    middle = PER_SPREAD * effect.estimate / spread
    reach = HALF_WIDTH * effect.standard_error / spread
    if abs(middle) + reach > LARGEST_LOG:
        raise InputError(
            f"spread is {spread!r} for an effect of {effect.estimate:.3g} +- {effect.standard_error:.3g}, so many "
            "standard deviations that no risk ratio tells it; the standard deviation of the value, in the units of "
            "the effect, is expected"
        )
    return e_value(float(np.exp(middle)), (float(np.exp(middle - reach)), float(np.exp(middle + reach))))


def _strength(ratio: float) -> float:
    above = max(ratio, 1 / ratio)
    return float(above + np.sqrt(above * (above - 1)))
