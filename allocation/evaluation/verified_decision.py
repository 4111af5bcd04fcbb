"""What one decision is really worth, and how it differs from another, from the scores of a randomised log."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from allocation.evaluation.estimators import FEW, effective_size
from allocation.evaluation.influence import small_sample
from allocation.evaluation.verified_path import Estimated
from uplift.errors import InputError, check_fraction

Table = NDArray[np.floating[Any]]
Decision = NDArray[np.integer[Any]]


def verified_total(score: Table, decision: Decision, other: Decision | None = None, level: float = 0.95) -> Estimated:
    """The total of a decision above another one's, with its interval, in the scores' unit.

        sum_i d_i  -+  z sqrt(n / (n - 1) sum_i (d_i - mean d)^2),      d_i = phi_{i, z_i} - phi_{i, z'_i}

    Parameters
    ----------
    score : (n, K+1) of `evaluation.scores`, of value or of spend. decision : (n,) arms z. other : (n,) arms z', None
        for everybody on control.

    The decisions are taken as given, and users as independent. It misleads where few users received what is decided:
    ask `supported`. Raises InputError for a decision of other users.
    """
    n = len(score)
    for arms in (decision, other):
        if arms is not None and np.shape(arms) != (n,):
            raise InputError(
                f"the decision has the shape {np.shape(arms)}; ({n},) is expected, one arm a scored user"
            )
    rows = np.arange(n)
    base = score[:, 0] if other is None else score[rows, other]
    return total_of(score[rows, decision].astype(np.float64) - base, level)


def total_of(each: NDArray[np.float64], level: float = 0.95) -> Estimated:
    """The total of independent users' amounts (n,), with the interval that `verified_total` gives it."""
    check_fraction(level, "level", 0.95)
    n, total = len(each), float(each.sum())
    error = float(ndtri(0.5 + level / 2)) * math.sqrt(small_sample(n) * float(((each - total / n) ** 2).sum()))
    return Estimated(total, total - error, total + error)


def supported(treatment: Decision, propensity: Table, decision: Decision) -> bool:
    """Whether so many users received what is decided for them that there is an estimate; sizes as in `support`.

    treatment : (n,) arms received. propensity : (n, K+1) chances of each. decision : (n,) arms.
    """
    rows = np.arange(len(decision))
    inverse = 1 / propensity[rows, decision].astype(np.float64)
    matched = effective_size(np.where(treatment == decision, inverse, 0.0))
    return min(matched, len(decision) ** 2 / float(inverse.sum())) >= FEW
