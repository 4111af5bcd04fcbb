"""The arguments of `fit` one by one: amounts, treatments and names of arms, propensities; refused in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uplift.cells import check_finite
from uplift.errors import InputError, check_unique, nearest
from uplift.propensity import check_propensity, check_unnamed

Array = NDArray[np.float64]
SMALLEST_SPREAD = 1e-5  # of the largest amount; single precision ends at 1e-7
LARGEST = 1e30  # learners compute in single precision inside, whose range ends at 3e38


def amounts(cells: ArrayLike, name: str, n: int) -> Array:
    """One finite number a user, (n,), of a size and a spread that single precision can hold."""
    try:
        given = np.asarray(cells)
        kind = given.dtype.kind
        if kind in "UST" or (kind == "O" and any(isinstance(cell, str) for cell in given.flat)):
            raise TypeError  # digits in text are names until somebody says otherwise
        array = given.astype(np.float64)
    except (TypeError, ValueError):
        raise InputError(f"{name} holds no numbers; one number a user, ({n},), is expected") from None
    _check_length(array, name, n)
    check_finite(array, name)
    largest = float(np.abs(array).max())
    if largest > LARGEST or 0 < largest < 1 / LARGEST:
        raise InputError(
            f"{name} has amounts up to {largest:.3g}; between {1 / LARGEST:g} and {LARGEST:g} is expected: "
            "count in another unit"
        )
    if 0 < np.ptp(array) < SMALLEST_SPREAD * largest:
        raise InputError(
            f"{name} varies by {np.ptp(array):.3g} around {float(array.mean()):.6g}, which learners in single "
            "precision cannot tell from a constant: subtract a constant from it first"
        )
    return array


def arm_codes(
    treatment: ArrayLike, arms: Sequence[str] | None, n: int, *, every_arm: bool = True
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """The arm of each user as its position 0..K, (n,), and the names of the arms.

    `treatment` holds positions, or True and False, or with `arms` their names. Without `every_arm` an arm may lack
    users.
    """
    t = np.asarray(treatment)
    _check_length(t, "treatment", n)
    if isinstance(arms, str) or not (arms is None or isinstance(arms, Iterable)):
        raise InputError(f"arms is {arms!r}; a list of names, control first, is expected")
    names = None if arms is None else tuple(str(arm) for arm in arms)
    if names is not None:
        check_unique(names, "arm", "arms: the", "name each arm once")
    if names is not None and t.dtype.kind in "OUST":
        t = _positions(t, names)
    if t.dtype.kind == "b":
        t = t.astype(np.int64)
    if not np.issubdtype(t.dtype, np.integer):
        raise InputError(
            f"treatment has type {t.dtype}; whole numbers 0..K are expected, 0 for control: give names together with "
            "arms=[control, ...], or read the log with Campaign.from_frame, which turns names into numbers"
        )
    K1 = len(names) if names is not None else min(int(t.max()) + 1, n)  # every arm has a user, so no more than n
    if t.min() < 0 or t.max() >= K1:
        raise InputError(f"treatment runs from {t.min()} to {t.max()}; 0..{K1 - 1} is expected")
    if K1 == 1:
        raise InputError(
            f"treatment is 0 in all {n:,} rows, a log of one arm; nothing can be learnt of an arm nobody received: "
            "add users who received another"
        )
    names = names or tuple(str(j) for j in range(K1))
    counts = np.bincount(t, minlength=K1)
    if every_arm and (counts == 0).any():
        j = int(np.argmin(counts))
        raise InputError(f"arm {names[j]!r} (treatment {j}) was never logged in {n:,} rows; drop it or add its users")
    return t.astype(np.int64), names


def propensity_cells(propensity: ArrayLike, n: int, names: tuple[str, ...]) -> Array:
    """The table (n, K+1) of probabilities above 0 whose rows sum to 1."""
    check_unnamed(propensity)
    try:
        p = np.asarray(propensity, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(
            f"propensity is a {type(propensity).__name__}; a table of numbers (users, arms) is expected: "
            "Campaign.from_frame turns a mapping or a text into one"
        ) from None
    if p.shape != (n, len(names)):
        raise InputError(f"propensity has shape {p.shape}; (users, arms) = {(n, len(names))} is expected")
    return check_propensity(p, names)


def _check_length(array: NDArray[np.generic], name: str, n: int) -> None:
    if array.shape != (n,):
        raise InputError(f"{name} has shape {array.shape}; X has {n:,} rows, so ({n},) is expected")


def _positions(t: NDArray[np.generic], names: tuple[str, ...]) -> NDArray[np.int64]:
    code = {name: j for j, name in enumerate(names)}
    found = [code.get(str(cell), -1) for cell in t]
    if -1 in found:
        row = found.index(-1)
        unknown = str(t[row])
        raise InputError(
            f"treatment has {found.count(-1):,} rows with an arm that arms does not name, first {unknown!r} in row "
            f"{row:,} (counted from 0).{nearest(unknown, names)}"
        )
    return np.asarray(found, dtype=np.int64)
