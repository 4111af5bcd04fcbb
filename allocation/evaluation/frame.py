"""The tidy frame: one row a policy, budget and estimator; every amount with its standard error and interval."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from allocation.evaluation.bootstrap import interval
from allocation.evaluation.cells import Cells
from allocation.evaluation.comparison import Paired
from allocation.evaluation.verified import Totals, Verified
from uplift.errors import InputError, nearest

Array = NDArray[np.float64]
Places = NDArray[np.int64]
Columns = dict[str, Any]


def tidy(
    cells: Cells, verified: Sequence[Verified], reference: str | Sequence[str] | None, level: float, seed: int
) -> pd.DataFrame:
    """Lay out what was verified; `verified` has, at each budget, a cell for every policy and then one for control."""
    candidates = check_reference(reference, cells.names)
    return pd.concat([_of_estimator(cells, one, candidates, level, seed) for one in verified], ignore_index=True)


def check_reference(reference: str | Sequence[str] | None, names: Sequence[str]) -> list[str]:
    """The names of the candidates; raises InputError for one that is no policy."""
    several = np.iterable(reference) and not isinstance(reference, str)
    chosen = [] if reference is None else [str(name) for name in reference] if several else [str(reference)]
    for name in chosen:
        if name not in names:
            raise InputError(f"reference {name!r} is none of the policies.{nearest(str(name), names)}")
    return chosen


def _of_estimator(cells: Cells, one: Verified, candidates: list[str], level: float, seed: int) -> pd.DataFrame:
    P, B = len(cells.names), len(cells.budgets)
    place = (np.arange(B)[:, None] * (P + 1) + np.arange(P)).ravel()
    control = np.repeat(np.arange(B) * (P + 1) + P, P)
    known = np.array([not words for words in cells.lacking])
    value = _only(one.value, place, known)
    spend = _only(one.spend, place, known)
    cell = np.divmod(np.arange(P * B), P)  # budget and policy
    gain = Paired.of(one.value, place, control, cells.same[(*cell, P)])
    gain_support = _words(cells, cells.not_apart[(*cell, P)], [cells.control_lacking] * (P * B))
    gained = np.array([not words for words in gain_support])
    columns: Columns = {
        "policy": cells.policy,
        "budget": cells.budget,
        "estimator": one.estimator,
        "users": cells.users,
        "matched": cells.matched,
        "match_rate": cells.matched / cells.users,
        "effective_size": cells.effective_size,
        "matched_control": cells.matched_control,
        "support": list(cells.lacking),
        "promised_value": cells.promised_value,
        "promised_spend": cells.promised_spend,
        "price": cells.price,
    }
    columns |= _ranged("value", *value, level)
    columns["gain_support"] = gain_support
    columns |= _ranged("gain", *_where(gained, gain.point, gain.se, gain.draws), level)
    columns |= _ranged("spend", *spend, level)
    columns |= _shifted("overspend", columns, "spend", cells.budget, sign=1)
    columns |= _shifted("optimism", columns, "value", cells.promised_value, sign=-1)
    columns["bias_bound"] = np.where(known, one.value_bound[place], np.nan)
    columns["spend_bias_bound"] = np.where(known, one.spend_bound[place], np.nan)
    if candidates:
        columns |= _compared(cells, one, candidates, place, known, level, seed)
    return pd.DataFrame(columns)


def _compared(
    cells: Cells,
    one: Verified,
    candidates: list[str],
    place: Places,
    known: NDArray[np.bool_],
    level: float,
    seed: int,
) -> Columns:
    """The paired differences to the reference of each budget."""
    against = _reference_cells(candidates, cells, np.where(known, one.value.point[place], -np.inf))
    rows = np.arange(len(against))
    P = len(cells.names)
    pair = rows // P, rows % P, against % P
    same = cells.same[pair]
    difference_support = _words(cells, cells.not_apart[pair], [cells.lacking[r] for r in against])
    value = Paired.of(one.value, place, place[against], same)
    spend = Paired.of(one.spend, place, place[against], same)
    compared = np.array([not words for words in difference_support])
    family = compared & (rows != against)
    policy = np.array(cells.policy)
    columns: Columns = {
        "reference": policy[against],
        "same_decision": same,
        "difference_support": difference_support,
    }
    columns |= _ranged("difference", *_where(compared, value.point, value.se, value.draws), level)
    low, high = np.full(len(rows), np.nan), np.full(len(rows), np.nan)
    for name in cells.names:
        own = family & (policy == name)
        low[own], high[own] = (end[own] for end in value.band(own, level, seed))
    low[compared & ~family] = high[compared & ~family] = 0.0
    # A band holds the intervals of its points, also where resampling made one of them lopsided.
    columns["difference_band_low"] = np.minimum(low, columns["difference_low"])
    columns["difference_band_high"] = np.maximum(high, columns["difference_high"])
    columns |= _ranged("spend_difference", *_where(compared, spend.point, spend.se, spend.draws), level)
    bound = np.where(same, 0.0, one.value_bound[place] + one.value_bound[place[against]])
    columns["difference_bias_bound"] = np.where(compared, bound, np.nan)
    # A p-value knows of noise alone: where the difference may be biased there is none.
    tested = family & (value.se > 0) & (bound == 0)
    columns["p_value"], columns["p_adjusted"] = value.p_values(tested, seed)
    columns["comparisons"] = int(tested.sum())
    return columns


def _reference_cells(candidates: list[str], cells: Cells, value: Array) -> NDArray[np.int64]:
    """Each cell's reference cell: of the candidates at the same budget, the one of highest verified value."""
    P = len(cells.names)
    places = np.array([cells.names.index(name) for name in candidates])
    best = places[np.argmax(value.reshape(-1, P)[:, places], axis=1)]
    return np.repeat(best + P * np.arange(len(best)), P)


def _words(cells: Cells, apart: NDArray[np.object_], of_reference: list[str]) -> list[str]:
    """Why a cell cannot be compared with another: no support of either, or too few users tell the two apart."""
    return [own or other or pair for own, other, pair in zip(cells.lacking, of_reference, apart, strict=True)]


def _only(totals: Totals, place: Places, known: NDArray[np.bool_]) -> tuple[Array, Array, Array | None]:
    draws = None if totals.draws is None else totals.draws[:, place]
    return _where(known, totals.point[place], np.sqrt(np.diag(totals.covariance)[place]), draws)


def _where(
    known: NDArray[np.bool_], point: Array, se: Array, draws: Array | None
) -> tuple[Array, Array, Array | None]:
    """The estimates where there is support, NaN elsewhere."""
    masked = None if draws is None else np.where(known, draws, np.nan)
    return np.where(known, point, np.nan), np.where(known, se, np.nan), masked


def _ranged(name: str, point: Array, se: Array, draws: Array | None, level: float) -> Columns:
    """The estimate, its standard error and interval: percentiles of the draws, else point -+ z se."""
    half = NormalDist().inv_cdf(0.5 + level / 2) * se
    low, high = (point - half, point + half) if draws is None else interval(draws, level)
    return {name: point, f"{name}_se": se, f"{name}_low": low, f"{name}_high": high}


def _shifted(name: str, columns: Columns, of: str, fixed: Array, sign: int) -> Columns:
    """sign (X - fixed) with the interval of X: what is fixed has no error of its own."""
    ends = [sign * (np.asarray(columns[f"{of}{end}"]) - fixed) for end in ("", "_low", "_high")]
    return {
        name: ends[0],
        f"{name}_se": columns[f"{of}_se"],
        f"{name}_low": np.minimum(ends[1], ends[2]),
        f"{name}_high": np.maximum(ends[1], ends[2]),
    }
