"""Curve: a metric as a curve, the area that sums it up, and the standard error of that area."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from uplift.errors import InputError, check_fraction

Array = NDArray[np.float64]


class Difference(NamedTuple):
    """Area of one metric less the area of another on the same users, and its paired standard error `se`."""

    area: float
    se: float


@dataclass(frozen=True, eq=False)
class Curve:
    """A metric: the curve (x, y), its area, and the standard error of the area.

    Attributes
    ----------
    name : the metric, such as "qini".
    normalisation : whose convention the curve and the area follow.
    x, y : (m,), the curve. What they are and in which units, the metric's docstring says.
    area : the curve in one number.
    se : standard error of `area` over logs of other users from the same source.
    influence : (n,), how much one more user like user i would move the area, times n; centred. The closed-form
        standard errors are `sqrt(mean(influence^2) / n)`; `minus` compares two metrics on the same users by it.
    y_se : (m,), standard error of each y, or None where the metric has none.

    Assumes users that were drawn and treated independently of each other. Misleads for logs with clusters (households
    treated together): the standard error is then too small.
    """

    name: str
    normalisation: str
    x: Array
    y: Array
    area: float
    se: float
    influence: Array
    y_se: Array | None = None

    def __repr__(self) -> str:
        return f"Curve({self.name}, {self.normalisation}: {self.area:.6g} +- {self.se:.2g}, {len(self.x):,} points)"

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """The interval `area -+ z se` that holds the true area with chance `level`, by the normal approximation.

        Raises InputError for a level outside (0, 1).
        """
        check_fraction(level, "level", 0.95)
        half = NormalDist().inv_cdf(0.5 + float(level) / 2) * self.se
        return self.area - half, self.area + half

    def minus(self, other: Curve) -> Difference:
        """This area less the other's, with the paired standard error `sqrt(mean((psi - psi')^2) / n)`.

        Both must be the same metric on the same users in the same order (which only their number shows); then what
        the two share of the users' luck cancels. Raises InputError for another metric or number of users.
        """
        mine, theirs = (self.name, self.normalisation), (other.name, other.normalisation)
        if mine != theirs:
            raise InputError(
                f"{' '.join(mine)} less {' '.join(theirs)}: only areas of one metric and convention compare"
            )
        if len(self.influence) != len(other.influence):
            raise InputError(
                f"the curves hold {len(self.influence):,} and {len(other.influence):,} users; "
                "a paired difference needs both metrics on the same users"
            )
        return Difference(self.area - other.area, standard_error(self.influence - other.influence))


def standard_error(influence: NDArray[Any]) -> float:
    """`sqrt(mean(psi^2) / n)` of influence values psi (n,) with mean 0."""
    return float(np.sqrt(np.mean(influence**2) / len(influence)))
