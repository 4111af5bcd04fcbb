"""Designs of a new randomised log: with which chances every user gets each arm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uplift.errors import InputError, nearest

Array = NDArray[np.float64]
Integers = NDArray[np.int64]
SAME, UNIFORM, BEST, AB, GIVEN = "same", "uniform", "best", "a/b", "given"
DESIGNS = (SAME, UNIFORM, BEST, AB)
SUM_TOLERANCE = 1e-3  # shares typed by hand, 1/3 as .333


def check_design(design: Any, arms: tuple[str, ...], decisions: tuple[Integers, Integers]) -> dict[str, Array | None]:
    """The designs asked for, by name: shares (K+1,) where they are known beforehand, else None.

    Raises InputError for an unknown name, shares that name an arm the log does not have, are negative or do not sum
    to 1, and a share of 0 for an arm that one of the two decisions uses.
    """
    uniform = np.full(len(arms), 1 / len(arms))
    named: dict[str, Array | None] = {name: uniform if name == UNIFORM else None for name in DESIGNS}
    if design is None:
        return named
    if isinstance(design, str):
        if design not in named:
            raise InputError(f"design {design!r} is unknown.{nearest(design, DESIGNS)}")
        return {design: named[design]}
    if not isinstance(design, Mapping):
        raise InputError(f"design is {design!r}; one of {', '.join(DESIGNS)}, or {{arm: share}} is expected")
    shares = np.zeros(len(arms))
    for arm, share in design.items():
        if arm not in arms:
            raise InputError(f"design gives a share to {arm!r}, which is no arm of the log.{nearest(str(arm), arms)}")
        if isinstance(share, bool) or not isinstance(share, int | float | np.number) or not 0 <= share <= 1:
            raise InputError(f"design gives arm {arm!r} the share {share!r}; a number from 0 to 1 is expected")
        shares[arms.index(arm)] = share
    if abs(shares.sum() - 1) > SUM_TOLERANCE:
        raise InputError(f"the shares of the design sum to {shares.sum():.6g}; 1 is expected")
    used = np.unique(np.concatenate(decisions))
    without = used[shares[used] == 0]
    if len(without):
        raise InputError(
            f"design gives arm {arms[without[0]]!r} no share, and one of the policies uses it; give it one above 0"
        )
    return {GIVEN: shares / shares.sum()}


def between_policies(decisions: tuple[Integers, Integers], n_arms: int) -> Array:
    """The chances (n, K+1) of a test of two policies: half for the arm of each, 1 where they agree."""
    a, b = decisions
    chance = np.zeros((len(a), n_arms))
    for decision in (a, b):
        chance[np.arange(len(a)), decision] += 0.5
    return chance


def whole_users(users: int, shares: Array) -> Integers:
    """Whole users of each arm that sum to `users`, as near to the shares (K+1,) as can be (largest remainders)."""
    exact = users * shares
    count = np.floor(exact + 1e-9).astype(np.int64)
    largest = np.argsort(count - exact, kind="stable")
    count[largest[: users - count.sum()]] += 1
    return count
