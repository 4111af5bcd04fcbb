"""Cells of arrays, refused where they are missing, infinite, or more than single precision holds."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from uplift.errors import InputError

LARGEST_SINGLE = float(np.finfo(np.float32).max)


def single(values: NDArray[np.float64], name: str) -> NDArray[np.float32]:
    """A feature in single precision; what that cannot hold is refused."""
    beyond = np.abs(values) > LARGEST_SINGLE
    if beyond.any():
        raise InputError(
            f"feature column {name!r} has {int(beyond.sum()):,} of {len(values):,} cells beyond "
            f"{LARGEST_SINGLE:.3g}, the first in row {int(np.argmax(beyond)):,} (counted from 0): too large for "
            "single precision; count in a larger unit or take the logarithm"
        )
    return values.astype(np.float32)


def check_finite(values: NDArray[np.floating[Any]], what: str) -> None:
    """Refuse missing and infinite cells, with their count and the first row (counted from 0)."""
    bad = ~np.isfinite(np.atleast_1d(values))
    if bad.any():
        missing = int(np.isnan(values).sum())
        infinite = int(bad.sum()) - missing
        counts = " and ".join(
            f"{count:,} {word}" for count, word in ((missing, "missing (NaN)"), (infinite, "infinite")) if count
        )
        row = int(np.argwhere(bad)[0][0])
        raise InputError(
            f"{what} has {counts} of {values.size:,} cells, the first in row {row:,} (counted from 0); "
            "finite numbers are expected: fill these cells or drop these rows"
        )
