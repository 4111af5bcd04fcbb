"""An outcome as a net sees it: which likelihood, counted in which unit, so that the unit of money changes nothing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from uplift.errors import InputError, nearest
from uplift.learners.likelihoods import LIKELIHOODS

Array = NDArray[np.float64]
MOST_COUNTS = 20  # different amounts of a value that is taken for a count
FAR_FROM_ZERO = 2.0  # standard deviations of the smallest amount that is no count


@dataclass(frozen=True, eq=False)
class Outcome:
    """The likelihood of an outcome and its unit for each arm: `outcome = offset + unit * outcome of the net`.

    Attributes
    ----------
    likelihood : a name in `LIKELIHOODS`. offset, unit : (K+1,), in the outcome's unit. monotone : whether the
    mean may not fall from an arm to the next. largest : the largest logged outcome, in the unit of the net.
    """

    likelihood: str
    offset: Array
    unit: Array
    monotone: bool = False
    largest: float = math.inf

    @classmethod
    def of(
        cls,
        name: str,
        likelihood: str,
        y: Array,
        treatment: NDArray[np.int64],
        arm_range: tuple[Array, Array],
        monotone: bool = False,
    ) -> Self:
        """The outcome `name` ("value" or "cost") of the log y (n,), whose arms range from low to high, each (K+1,).

        "auto" takes the first that fits: bernoulli where everybody is at the lower or the upper end of the arm's
        range (a visit, or a cost paid only on redemption); gaussian where something is negative, or where the
        smallest amount is above twice the standard deviation (a Poisson count never stays so far from 0); poisson
        for a cost, so that no incentive is predicted to be free, and for a value of at most 20 different amounts (a
        count); zero-inflated lognormal where more than half of the users are at 0; else gaussian. No rule depends on
        the unit of money. Raises InputError for an unknown name and for an outcome outside the support of the
        likelihood asked for.
        """
        if not isinstance(likelihood, str) or likelihood not in ("auto", *LIKELIHOODS):
            raise InputError(
                f"{name}_likelihood is {likelihood!r}; 'auto' or the name of a likelihood is expected."
                f"{nearest(str(likelihood), LIKELIHOODS)}"
            )
        low, high = arm_range
        ordered = bool((np.diff(low) >= 0).all() and (np.diff(high) >= 0).all())
        two = bool(((y == low[treatment]) | (y == high[treatment])).all()) and (ordered or not monotone)
        if likelihood == "auto":
            likelihood = _fitting(name, y, two)
        if likelihood == "bernoulli" and not two:
            where = "the same two amounts in all arms" if name == "value" else "two amounts in each arm"
            raise InputError(
                f"{name}_likelihood is 'bernoulli', but {name} is not one of {where}"
                f"{', both rising from arm to arm as monotone asks for' if monotone else ''}; "
                "take 'poisson' or 'gaussian'"
            )
        if likelihood in ("poisson", "zero_inflated_lognormal") and low.min() < 0:
            raise InputError(
                f"{name}_likelihood is {likelihood!r}, but {name} runs down to {low.min():g} and that likelihood "
                "knows no negative amounts; take 'gaussian'"
            )
        ones = np.ones(len(low))
        if likelihood == "bernoulli":
            return cls(likelihood, low, np.where(high > low, high - low, 1.0), monotone)
        if likelihood == "poisson":
            return cls(likelihood, 0 * ones, ones * (y.mean() or 1.0), monotone)
        if likelihood == "zero_inflated_lognormal":
            bought = y[y > 0]
            unit = float(np.exp(np.log(bought).mean())) if bought.size else 1.0
            return cls(likelihood, 0 * ones, unit * ones, monotone, float(high.max()) / unit)
        return cls(likelihood, ones * y.mean(), ones * (y.std() or 1.0), monotone)

    def of_net(self, y: Array, treatment: NDArray[np.int64]) -> NDArray[np.float32]:
        """Logged amounts y (n,) in the unit of the net, (n,)."""
        return ((y - self.offset[treatment]) / self.unit[treatment]).astype(np.float32)


def _fitting(name: str, y: Array, two: bool) -> str:
    """The likelihood that "auto" stands for."""
    if two:
        return "bernoulli"
    if y.min() < 0 or y.min() > FAR_FROM_ZERO * y.std():
        return "gaussian"
    if name == "cost" or len(np.unique(y)) <= MOST_COUNTS:
        return "poisson"
    return "zero_inflated_lognormal" if np.mean(y == 0) > 0.5 else "gaussian"


def monotone_range(low: Array, high: Array) -> tuple[Array, Array]:
    """Bounds (K+1,) for means that may not fall from arm to arm: wide enough for every arm, non-decreasing.

    Where an arm's amount is a known constant, the arms before it stay at or below, those after it at or above.
    Raises InputError where known constants themselves fall.
    """
    known = low == high
    if (np.diff(low[known]) < 0).any():
        raise InputError(
            f"the outcome was asked to be monotone, but its known constants are {low[known].tolist()} in the order "
            "of the arms; order the arms by rising cost or leave monotone out"
        )
    floor = np.maximum.accumulate(np.where(known, low, -np.inf))
    ceiling = np.minimum.accumulate(np.where(known, low, np.inf)[::-1])[::-1]
    lowest = np.minimum.accumulate(low[::-1])[::-1]
    return np.maximum(lowest, floor), np.minimum(np.maximum.accumulate(high), ceiling)
