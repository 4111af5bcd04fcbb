"""The table of propensities, (n, K+1), from what the analyst knows of the design."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import narwhals.stable.v2 as nw
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import chi2

from uplift.errors import InputError, nearest
from uplift.frames import arm_name, check_finite, numbers

if TYPE_CHECKING:
    from uplift.campaign import Campaign

ARM_SHARES = "arm shares"
Propensity = Mapping[str, float | str] | ArrayLike | str | None

# A design typed by hand (1/3 as .333) may miss 1 by the rounding of three decimals, not by more.
SUM_TOLERANCE = 1e-3
MISMATCH_BELOW = 1e-3


def propensity_table(
    given: Propensity, frame: nw.DataFrame[Any], arms: tuple[str, ...], treatment: NDArray[np.int64]
) -> NDArray[np.float64] | None:
    """Probability of every arm for every user, rows summing to 1.

    `given` is `{arm: probability}`, `{arm: column name}`, an array `(n, K+1)` in the order of `arms`, the text
    `"arm shares"` (declares the log randomised alike for everybody: the shares of the arms in the log are taken),
    or None (unknown: the log can be fitted but not evaluated).

    Raises InputError for a value outside (0, 1], a sum that is not 1, or an arm that is missing or unknown.
    """
    n = len(treatment)
    if given is None:
        return None
    if isinstance(given, str):
        if given != ARM_SHARES:
            raise InputError(
                f"propensity {given!r} is not understood; give {{arm: probability}}, {{arm: column}}, an array, "
                f"or {ARM_SHARES!r} for a log randomised alike for everybody"
            )
        shares = np.bincount(treatment, minlength=len(arms)) / n
        return np.broadcast_to(shares, (n, len(arms)))
    if isinstance(given, Mapping):
        return _from_mapping({arm_name(k): v for k, v in given.items()}, frame, arms, n)
    if hasattr(given, "columns"):
        raise InputError(
            "propensity is a table of named columns, which an array would mix up; put the columns into the log and "
            "give {arm: column}, or an array in the order of the arms"
        )
    try:
        table = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(
            f"propensity is a {type(given).__name__} that holds no table of numbers; give {{arm: probability}}, "
            f"{{arm: column}}, an array (users, arms), or {ARM_SHARES!r}"
        ) from None
    if table.shape != (n, len(arms)):
        raise InputError(
            f"propensity has shape {table.shape}; (users, arms) = {(n, len(arms))} is expected, "
            f"columns in the order {', '.join(arms)}"
        )
    return check_propensity(table, arms)


def _from_mapping(
    given: dict[str, float | str], frame: nw.DataFrame[Any], arms: tuple[str, ...], n: int
) -> NDArray[np.float64]:
    lacking = [arm for arm in arms if arm not in given]
    if lacking:
        raise InputError(f"propensity names no probability for arm {lacking[0]!r}.{nearest(lacking[0], given)}")
    cells = [given[arm] for arm in arms]
    wrong = [cell for cell in cells if not isinstance(cell, str | int | float | np.number)]
    if wrong:
        raise InputError(
            f"propensity has {wrong[0]!r} for an arm; a probability or the name of a column is expected for every arm"
        )
    if any(isinstance(cell, str) for cell in cells):
        columns = [
            numbers(frame, cell, f"propensity of arm {arm!r}:") if isinstance(cell, str) else np.full(n, float(cell))
            for arm, cell in zip(arms, cells, strict=True)
        ]
        return check_propensity(np.column_stack(columns), arms)
    row = np.asarray([float(cell) for cell in cells])
    return np.broadcast_to(check_propensity(row[None, :], arms), (n, len(arms)))


def check_propensity(table: NDArray[np.float64], arms: tuple[str, ...]) -> NDArray[np.float64]:
    """Refuse cells outside (0, 1] and rows that do not sum to 1; rescale the rest to sum to 1 exactly."""
    rows = len(table)
    for j, arm in enumerate(arms):
        check_finite(table[:, j], f"propensity of arm {arm!r}")
        outside = (table[:, j] <= 0) | (table[:, j] > 1)
        if outside.any():
            row = int(np.argmax(outside))
            cell = f"{table[row, j]:g}"
            count = f" in {int(outside.sum()):,} of {rows:,} rows, first {cell} in row {row:,}"
            where = count if rows > 1 else f": {cell}"
            raise InputError(
                f"propensity of arm {arm!r} lies outside (0, 1]{where}; "
                "a probability above 0 is expected: drop users who could not get the arm, or the arm"
            )
    total = table.sum(axis=1)
    off = np.abs(total - 1) > SUM_TOLERANCE
    if off.any():
        row = int(np.argmax(off))
        where = f" in {int(off.sum()):,} of {rows:,} rows (row {row:,})" if rows > 1 else ""
        raise InputError(
            f"the propensities of the {len(arms)} arms sum to {total[row]:.6g}{where}; "
            "1 is expected: give the probability of every arm, control included"
        )
    return np.asarray(table / total[:, None])


class Mismatch(NamedTuple):
    """Arm counts that contradict the propensities: the chance of as large a difference, and the text for the user."""

    chance: float
    text: str


def share_mismatch(campaign: Campaign, cluster: NDArray[np.int64] | None = None) -> Mismatch | None:
    """What contradicts the stated propensities in the log's own arm counts, or None ("sample ratio mismatch").

    With O_j = #{t_i = j}, E_j = sum_i p_ij and V = sum_i (diag(p_i) - p_i p_i^T), the statistic (O - E)' V^+ (O - E)
    is about chi-square with K degrees of freedom when every user's arm was drawn with the stated chances. Said below
    p = 1e-3. With `cluster` (n,) codes from 0, users of one got their arm together: then V is the sum over clusters
    of their own (O - E) (O - E)'. It sees wrong shares, not a wrong assignment with the right shares.
    """
    p = campaign.propensity
    if p is None or not len(campaign):
        return None
    expected = p.sum(axis=0)
    logged = np.bincount(campaign.treatment, minlength=len(campaign.arms))
    off = logged - expected
    if cluster is None:
        spread = np.diag(expected) - p.T @ p
    else:
        by_user = np.eye(len(campaign.arms))[campaign.treatment] - p
        by_cluster = np.stack([np.bincount(cluster, column).astype(np.float64) for column in by_user.T])
        spread = by_cluster @ by_cluster.T
    statistic = float(off @ np.linalg.pinv(spread) @ off)
    chance = float(chi2.sf(statistic, len(campaign.arms) - 1))
    if chance >= MISMATCH_BELOW:
        return None
    j = int(np.argmax(np.abs(off) / np.sqrt(expected)))
    text = (
        f"the propensities contradict the log (chi-square test of the arm counts, {_p(chance)}): arm "
        f"{campaign.arms[j]!r} should have about {expected[j]:,.0f} of {len(campaign):,} users and has "
        f"{logged[j]:,}; every verified figure would be wrong: state the chances with which the arms were drawn"
    )
    return Mismatch(chance, text)


def _p(chance: float) -> str:
    return f"p = {chance:.1g}" if chance > 1e-99 else "p < 1e-99"
