"""What every metric is given, checked: predictions, outcomes, arms, propensities, all one row a user."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uplift.cells import check_finite
from uplift.errors import InputError, nearest
from uplift.metrics.curve import Array
from uplift.propensity import check_propensity, check_unnamed

LARGEST = 1e100


@dataclass(frozen=True, eq=False)
class Ranked:
    """A log from the point of view of a score that ranks its users.

    `score` (n,): predicted effect or return of the user's best arm. `treated`, `control` (n,): the weight with which
    the user speaks for that arm, and for control; None for control when `value` holds scores of the effect.
    `value`, `cost` (n,): outcome, or score of the effect.
    """

    score: Array
    treated: Array
    control: Array | None
    value: Array
    cost: Array | None = None

    def centred(self) -> Ranked:
        """Outcomes less their mean, which differences of means do not feel and sums of large numbers do."""
        if self.control is None:
            return self
        cost = None if self.cost is None else self.cost - self.cost.mean()
        return replace(self, value=self.value - self.value.mean(), cost=cost)


def ranked(
    score: ArrayLike,
    value: ArrayLike | None,
    treatment: ArrayLike | None,
    propensity: ArrayLike | None,
    scores: ArrayLike | None,
    cost: ArrayLike | None = None,
) -> Ranked:
    """The log of a ranking metric; `scores` (n,) or (n, K), and with it `cost` in the same shape, replace outcomes.

    With several arms the user's arm is the one of the largest score, with equal chances where several tie.
    """
    table = columns(score, "score")
    n, K = table.shape
    best = table.max(axis=1)
    share = table == best[:, None]
    share = share / share.sum(axis=1, keepdims=True)
    if scores is not None:
        if value is not None or treatment is not None or propensity is not None:
            raise InputError("scores stand for value, treatment and propensity together; give either them or scores")
        effect = (share * like(scores, "scores", (n, K))).sum(axis=1)
        money = None if cost is None else (share * like(cost, "cost_scores", (n, K))).sum(axis=1)
        return Ranked(best, np.ones(n), None, effect, money)
    t = arms(treatment, n, K)
    p = propensities(propensity, t, K)
    rows = np.arange(n)
    chance = np.ones(n) if p is None else p[rows, t]
    if p is None and K > 1:
        chance = (np.bincount(t, minlength=K + 1) / n)[t]
    treated = np.where(t > 0, share[rows, np.maximum(t, 1) - 1], 0.0) / chance
    control = np.where(t == 0, 1.0, 0.0) / chance
    if not treated.any():
        raise InputError(
            "no user received the arm that the score ranks highest for it; such a score cannot be judged"
        )
    y = outcomes(value, "value", n)
    money = None if cost is None else outcomes(cost, "cost", n)
    return Ranked(best, treated, control, y, money)


def finite(cells: ArrayLike | None, what: str) -> Array:
    """Finite numbers as float64, of the shape that they have."""
    if cells is None:
        raise InputError(f"{what} is missing; one number a user is expected")
    for table in ("roi", "effect"):
        if hasattr(type(cells), table) or table in getattr(cells, "__dataclass_fields__", ()):
            raise InputError(f"{what} is a {type(cells).__name__}; numbers are expected: give its .{table}")
    try:
        array = np.asarray(cells)
        array = array.astype(np.float64) if array.dtype.kind in "fiubO" else array
    except (TypeError, ValueError):
        raise InputError(f"{what} holds no numbers; one number a user is expected") from None
    if array.dtype != np.float64:
        raise InputError(f"{what} holds {array.dtype} cells; numbers are expected")
    if array.size == 0:
        raise InputError(f"{what} is empty; one number a user is expected")
    check_finite(array, what)
    _check_size(array, what, 0.0)
    return array


def vector(cells: ArrayLike, what: str) -> Array:
    """A row of finite numbers of any length, shape (m,)."""
    array = finite(cells, what)
    if array.ndim != 1:
        raise InputError(f"{what} has shape {array.shape}; a row of numbers, (m,), is expected")
    return array


def _check_size(array: Array, what: str, smallest: float) -> None:
    """Refuse amounts whose squares leave the range of floats, which would end in a false certainty or in none."""
    largest = float(np.abs(array).max())
    if largest > LARGEST or 0 < largest < smallest:
        raise InputError(
            f"{what} has amounts up to {largest:.3g}, whose squares leave the range of floats; between "
            f"{1 / LARGEST:g} and {LARGEST:g} is expected: count in another unit"
        )


def columns(cells: ArrayLike, what: str) -> Array:
    """Predictions as a table (n, K); a row of n numbers is the one column of K = 1."""
    array = finite(cells, what)
    if array.ndim not in (1, 2):
        raise InputError(f"{what} has shape {array.shape}; (users,) or (users, treatments) is expected")
    return array.reshape(len(array), -1)


def outcomes(cells: ArrayLike | None, what: str, n: int) -> Array:
    """One number a user, as many as there are predictions."""
    array = finite(cells, what)
    if array.shape != (n,):
        raise InputError(
            f"{what} has shape {array.shape} for {n:,} predictions; one number a user, ({n},), is expected"
        )
    _check_size(array, what, 1 / LARGEST)
    return array


def like(cells: ArrayLike, what: str, shape: tuple[int, int]) -> Array:
    """A table of the shape of the predictions."""
    array = columns(cells, what)
    if array.shape != shape:
        raise InputError(f"{what} has shape {array.shape} for predictions of shape {shape}; the same is expected")
    return array


def arms(treatment: ArrayLike | None, n: int, K: int) -> NDArray[np.int64]:
    """The arm of each user, (n,) integers in 0..K, each of which must occur."""
    array = outcomes(treatment, "treatment", n)
    t = array.astype(np.int64)
    outside = (t != array) | (t < 0) | (t > K)
    if outside.any():
        row = int(np.argmax(outside))
        raise InputError(
            f"treatment is {array[row]:g} in row {row:,} (counted from 0); whole numbers 0 (control) to {K} are "
            f"expected, as the predictions rank {K} treatment{'s' if K > 1 else ''}: keep the rows of these arms, "
            "or give predictions (users, treatments)"
        )
    for j, users in enumerate(np.bincount(t, minlength=K + 1)):
        if users == 0:
            raise InputError(
                f"treatment has no user of arm {j}{' (control)' if j == 0 else ''} among {n:,}; an effect compares "
                "an arm with control, so users of both are expected"
            )
    return t


def propensities(propensity: ArrayLike | None, t: NDArray[np.int64], K: int) -> Array | None:
    """Probability of every arm, (n, K+1), from that table or, with one treatment, from its probability (n,)."""
    if propensity is None:
        return None
    check_unnamed(propensity)
    p = finite(propensity, "propensity")
    if p.shape == (len(t),) and K == 1:
        p = np.column_stack([1 - p, p])
    if p.shape != (len(t), K + 1):
        also = f", or ({len(t)},), the probability of the treatment," if K == 1 else ""
        raise InputError(f"propensity has shape {p.shape}; (users, arms) = {(len(t), K + 1)}{also} is expected")
    return check_propensity(p, tuple(str(j) for j in range(K + 1)))


def choice(given: str, known: tuple[str, ...], what: str) -> None:
    """Refuse a word that is none of the known."""
    if given not in known:
        raise InputError(f"{what} {given!r} is not known.{nearest(given, known)}")
