"""Labels that group users, such as strata and clusters, as whole numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uplift.errors import InputError


def label_codes(labels: ArrayLike, n: int, what: str) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """The distinct labels, sorted (S,), and the position of each user's label among them, (n,).

    `what` names the argument in errors. Raises InputError for another length, missing labels (None, NaN, NA, NaT),
    which would otherwise be one label of unrelated users, and labels of types that have no order among each other.
    """
    try:
        z = np.asarray(labels)
        if z.dtype.kind in "US" and isinstance(labels, list | tuple):
            z = np.asarray(labels, dtype=object)  # numpy has made text of a NaN or a number beside text
    except ValueError:
        raise InputError(f"{what} holds lists of several lengths; one label a user is expected") from None
    if z.shape != (n,):
        raise InputError(f"{what} has shape {z.shape} for {n:,} users; one label each is expected")
    missing = _missing(z)
    if missing:
        raise InputError(
            f"{what} has missing labels, {missing:,} of {n:,}; give them a label of their own, or drop these users"
        )
    try:
        found, code = np.unique(z, return_inverse=True)
    except TypeError:
        kinds = ", ".join(sorted({type(label).__name__ for label in z.tolist()}))
        raise InputError(
            f"{what} has labels of several types ({kinds}); turn all into text, or into numbers"
        ) from None
    return found, np.asarray(code, dtype=np.int64)


def _missing(z: NDArray[Any]) -> int:
    """How many labels are None, NaN, NA or NaT."""
    if z.dtype.kind in "fc":
        return int(np.isnan(z).sum())
    if z.dtype.kind in "mM":
        return int(np.isnat(z).sum())
    return sum(_is_missing(label) for label in z) if z.dtype.kind == "O" else 0


def _is_missing(label: Any) -> bool:
    if label is None or type(label).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(label, float | np.floating) and bool(np.isnan(label))
