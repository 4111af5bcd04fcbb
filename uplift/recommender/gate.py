"""The no-harm gate: a group is sent through its plugin only where held-out queries leave no room for harm."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import t

from uplift.errors import InputError, check_fraction, check_number, check_whole

FEWEST = 30  # queries of a group that can be judged; of fewer, equal changes would look like certainty


@dataclass(frozen=True, eq=False)
class Gate:
    """What the gate saw of each of S groups, and which it let through.

    Attributes
    ----------
    difference, standard_error : (S,) float64, mean paired change of the metric and its standard error; NaN for a
        group with too few queries to judge.
    low : (S,) float64, lower end of the interval; NaN as above.
    queries : (S,) int64.
    passed : (S,) booleans, low >= -epsilon where anything changed.
    epsilon, level : harm that is allowed, in units of the metric, and the level of the two-sided interval.
    """

    difference: NDArray[np.float64]
    standard_error: NDArray[np.float64]
    low: NDArray[np.float64]
    queries: NDArray[np.int64]
    passed: NDArray[np.bool_]
    epsilon: float
    level: float

    def __str__(self) -> str:
        lines = [f"{'group':>7}{'queries':>10}{'change':>10}{'low':>10}  passed"]
        for z in range(len(self.passed)):
            by = "yes" if self.passed[z] else "no" if np.isfinite(self.low[z]) else "too few"
            lines.append(f"{z + 1:>7}{self.queries[z]:>10,}{self.difference[z]:>+10.4f}{self.low[z]:>+10.4f}  {by}")
        rule = f"A group passes where low, of the {self.level:.0%} interval, is at least {-self.epsilon or 0:g}."
        return "\n".join([*lines, rule])

    def __repr__(self) -> str:
        return str(self)


def gate(
    before: ArrayLike,
    after: ArrayLike,
    group: ArrayLike,
    n_groups: int,
    *,
    epsilon: float = 0.0,
    level: float = 0.95,
    fewest: int = FEWEST,
) -> Gate:
    """Judge a change group by group, by a paired interval: a group that passes may be sent through it.

        d_i = after_i - before_i;   low_z = mean_z(d) - t(level, n_z - 1) sd_z(d) / sqrt(n_z)
        passed: low_z >= -epsilon, n_z >= fewest, and some d_i of the group is not 0

    Parameters
    ----------
    before, after : (q,) the metric of the same queries without and with the change; larger is better.
    group : (q,) whole numbers from 0 to n_groups - 1. epsilon : harm that is allowed, in units of the metric.
    level : of the two-sided interval, by Student's t. fewest : queries of a group that can be judged, 2 at least.

    Assumes queries that did not choose what they judge, each of another user, and enough of them for a normal mean.
    Misleads at epsilon 0: most true small gains are turned away, and of many groups whose true change is 0 the share
    (1 - level) / 2 passes all the same. A larger epsilon lets harm up to itself through.
    Raises InputError for arrays of other lengths, a change that is not finite, groups that are not there, fewer
    than 1 group, an epsilon below 0 and a level outside (0, 1).
    """
    check_gate(epsilon, level)
    check_whole(n_groups, "n_groups")
    check_whole(fewest, "fewest")
    try:
        b, a = np.asarray(before, dtype=np.float64), np.asarray(after, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError("before or after holds no numbers; the metric of each query, (q,), is expected") from None
    z = np.asarray(group)
    if b.ndim != 1 or a.shape != b.shape or z.shape != b.shape:
        raise InputError(
            f"before, after and group have shapes {b.shape}, {a.shape} and {z.shape}; the same queries, (q,), are "
            "expected in all"
        )
    d = a - b
    if not np.isfinite(d).all():
        raise InputError(
            f"the change of query {int(np.argmin(np.isfinite(d)))} is not finite; give the metric of each"
        )
    if len(z) and (z.dtype.kind not in "iu" or z.min() < 0 or z.max() >= n_groups):
        raise InputError(
            f"group runs from {z.min()} to {z.max()}; whole numbers from 0 to {n_groups - 1} are expected"
        )
    z = z.astype(np.int64)
    n = np.bincount(z, minlength=n_groups)
    some = np.maximum(n, 1)
    mean = np.bincount(z, weights=d, minlength=n_groups) / some
    squares = np.bincount(z, weights=(d - mean[z]) ** 2, minlength=n_groups)
    error = np.sqrt(squares / np.maximum(n - 1, 1) / some)
    known = n >= max(2, fewest)
    mean, error = np.where(known, mean, np.nan), np.where(known, error, np.nan)
    low = mean - t.ppf((1 + level) / 2, np.maximum(n - 1, 1)) * error
    # A plugin that is still the identity changes nothing: routed or not, the answers are the same.
    passed = known & (low >= -epsilon) & ((mean != 0) | (error != 0))
    return Gate(mean, error, low, n, passed, float(epsilon), float(level))


def check_gate(epsilon: float, level: float) -> None:
    """Raise InputError for a harm that is no number of at least 0, and a level that is not between 0 and 1."""
    check_fraction(level, "level", 0.95)
    check_number(epsilon, "epsilon", ", in units of the metric")
