"""How many users a test needs: the textbook formula, and the fewest that give an estimate at all."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from uplift.errors import InputError, check_fraction

Array = NDArray[np.float64]
Integers = NDArray[np.int64]
MOST = 10**10  # users; an experiment that takes more than there are people is none


def factor(power: float, level: float) -> float:
    """z_{1 - alpha/2} + z_power, alpha = 1 - level: how many standard errors a gain must be to be found that often.

    Raises InputError for a power or a level that is no number between 0 and 1, or a power no larger than alpha / 2,
    which needs no users.
    """
    check_fraction(power, "power", 0.8)
    check_fraction(level, "level", 0.95)
    if power <= (1 - level) / 2:
        raise InputError(f"power is {power:g}, which chance alone gives at the level {level:g}; 0.8 is usual")
    return float(ndtri((1 + level) / 2) + ndtri(power))


def users_needed(variance: float, gain: float, *, power: float = 0.8, level: float = 0.95) -> int:
    """n = sigma^2 (z_{1 - alpha/2} + z_power)^2 / gain^2, rounded up: users in total, at least 2.

    `variance` is sigma^2 of one user and `gain` the difference to be found, a user, both in value units. At this n a
    two-sided interval of `level` lies above 0 with probability `power` if the gain is as said. The normal law is
    assumed, which needs some tens of users in every arm; the chance to lie *below* 0 is not counted (under 1 in
    10,000 at the 95% level from a power of .5 on). Raises InputError for a gain or a variance that is not above 0,
    and where more than 10^10 users would be needed. Source: the textbook formula for a normal mean.
    """
    for name, number in (("gain", gain), ("variance", variance)):
        if not (isinstance(number, int | float | np.number) and 0 < number < math.inf):
            raise InputError(f"{name} is {number!r}; a finite number above 0 is expected")
    standard_errors = factor(power, level) * math.sqrt(variance) / gain
    if standard_errors > math.sqrt(MOST):
        raise InputError(
            f"a gain of {gain:.3g} a user beside a standard deviation of {math.sqrt(variance):.3g} takes more than "
            f"{MOST:,} users: no experiment can find it"
        )
    return max(2, math.ceil(standard_errors**2))


def least_users(decisions: tuple[Integers, Integers], design: Array, needed: float) -> int:
    """Users of a new log with the chances (n, K+1) or (K+1,) in which either decision is matched often enough.

    For a decision z the effective size of N users is expected to be N D / mean_{i: differ} 1 / q_{i, z_i}, counted on
    the users for whom the two differ, a share D: `needed` of them take N = needed mean(1 / q) / D, rounded up. The
    larger of the two is returned. Derived from E w = 1 and E w^2 = 1 / q.
    """
    rows = np.flatnonzero(decisions[0] != decisions[1])
    q = np.broadcast_to(design, (len(decisions[0]), np.shape(design)[-1]))
    spread = max(float(np.mean(1 / q[rows, z[rows]])) for z in decisions)
    return math.ceil(round(needed * spread * len(decisions[0]) / len(rows), 6))


def detectable_gain(variance: float, users: int, *, power: float = 0.8, level: float = 0.95) -> float:
    """The gain a user that `users` users find with that power: (z_{1 - alpha/2} + z_power) sigma / sqrt(users)."""
    return factor(power, level) * math.sqrt(variance / users)
