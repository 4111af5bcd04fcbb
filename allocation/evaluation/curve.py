"""The cost curve of each policy in one number: its mean gain over the budgets, and the area of gain against spend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from allocation.engine.problem import ProblemError
from allocation.evaluation.bootstrap import interval
from allocation.evaluation.cells import Cells
from allocation.evaluation.checks import check_held_out
from allocation.evaluation.decided import Decider, check_budgets, check_names, decide_all
from allocation.evaluation.estimators import TRIMMED, check_estimators
from allocation.evaluation.evaluate import check_resamples, verify_decided, warn_of_few
from allocation.evaluation.frame import check_reference
from uplift.campaign import Campaign
from uplift.errors import InputError, check_fraction

Array = NDArray[np.float64]


def curve_area(
    policies: Mapping[str, Decider],
    held_out: Campaign,
    *,
    budgets: Sequence[float],
    reference: str | None = None,
    estimator: str = "dr",
    n_bootstrap: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    cluster: ArrayLike | None = None,
    train: Campaign | None = None,
    outcome_model: Any = None,
    allow_mismatch: bool = False,
) -> pd.DataFrame:
    """Sum up each policy's verified cost curve over a range of budgets, with intervals.

    With G(b) the verified gain above everybody on control and C(b) the verified spend above theirs at budget b:

        area = integral of G(b) db / (b_last - b_first)                      mean gain over the budgets, value units
        aucc = integral of G dC from (0, 0) to the last point / (C G at the last budget)    0.5 for a random order

    both by trapezoids through the budgets. With several arms compare policies by `area`: their budgets are the same.
    `aucc` divides each curve by its own end, as the metric of that name does, so that it compares orders of the same
    users under one arm (binary), up to a budget that treats them all; `uplift.metrics.aucc` is that for a ranking.

    Parameters
    ----------
    policies, held_out, n_bootstrap, level, seed, cluster, train, outcome_model, allow_mismatch : as in `evaluate`.
    budgets : money for all held-out users together; at least 2, some dozen for a smooth curve.
    reference : one policy that the others' areas are compared with; None leaves the differences out.
    estimator : one of "dr", "sn", "ipw"; a trimmed one may be biased, and an area has no bound of that.

    Returns a frame, one row a policy: `policy`, `estimator`, `budgets` (how many), `support` (empty, or why there is
    no estimate), `area`, `aucc`, each with `_low` and `_high` by bootstrap, all policies and both ends of a ratio
    resampled together, and with a reference `difference` (of the areas) and `difference_support` likewise.

    Misleads where the last gain or spend is hardly above 0: the ratio `aucc` is then anything; where spend falls with
    the budget its part is counted backwards. `aucc` is NaN for a log without cost, and for a policy that treats
    nobody. Warns as `evaluate` does. Raises InputError as it does, also for a trimmed estimator and for several
    references, and ProblemError for fewer than 2 different budgets.
    """
    (name,) = check_estimators([estimator])
    if name in TRIMMED:
        raise InputError(f"estimator {name!r} may be biased, and an area has no bound of that; take dr, sn or ipw")
    check_fraction(level, "level", 0.95)
    check_held_out(held_out, allow_mismatch=allow_mismatch, train=train, cluster=cluster)
    amounts = sorted(check_budgets(budgets))
    if len(amounts) < 2:
        raise ProblemError(f"budgets is {list(budgets)!r}; at least 2 different ones are expected for a curve")
    names = check_names(policies)
    if reference is not None and not isinstance(reference, str):
        raise InputError(f"reference is {reference!r}; the name of one policy is expected")
    check_reference(reference, names)
    check_resamples(n_bootstrap)
    warn_of_few(n_bootstrap, level)
    decided = decide_all(policies, held_out, amounts)
    cells, (one,) = verify_decided(decided, held_out, [name], n_bootstrap, seed, cluster, outcome_model, None)
    P = len(cells.names)
    gain, gains = _above_control(one.value.point, P), _above_control(one.value.draws, P)
    spend, spends = _above_control(one.spend.point, P), _above_control(one.spend.draws, P)
    area, areas = _mean_over(np.array(amounts), gain), _mean_over(np.array(amounts), gains)
    columns: dict[str, Any] = {
        "policy": list(cells.names),
        "estimator": name,
        "budgets": len(amounts),
        "support": _support(cells),
    }
    known = np.array([not words for words in columns["support"]])
    columns |= _with_interval("area", area, areas, known, level)
    columns |= _with_interval("aucc", _aucc(spend, gain), _aucc(spends, gains), known, level)
    if reference is not None:
        k = cells.names.index(reference)
        columns["reference"] = reference
        columns["difference_support"] = [
            words or columns["support"][k] or _apart(cells, p, k) for p, words in enumerate(columns["support"])
        ]
        compared = np.array([not words for words in columns["difference_support"]])
        columns |= _with_interval("difference", area - area[k], areas - areas[:, [k]], compared, level)
    return pd.DataFrame(columns)


def _above_control(totals: Array | None, n_policies: int) -> Array:
    """Totals (..., budgets x (policies + 1)), control last at each budget, as (..., budgets, policies) above it."""
    if totals is None:
        return np.full((1, 1, n_policies), np.nan)
    by_budget = totals.reshape(*totals.shape[:-1], -1, n_policies + 1)
    return by_budget[..., :-1] - by_budget[..., -1:]


def _mean_over(budgets: Array, gain: Array) -> Array:
    """integral of G(b) db / (b_last - b_first) of gains (..., budgets, policies)."""
    width = np.diff(budgets)[:, None]
    return np.asarray(((gain[..., 1:, :] + gain[..., :-1, :]) / 2 * width).sum(axis=-2) / width.sum())


def _aucc(spend: Array, gain: Array) -> Array:
    """Area of (0, 0), (C_1, G_1), ... over the rectangle of its end; (..., budgets, policies) to (..., policies)."""
    origin = [(0, 0)] * (spend.ndim - 2) + [(1, 0), (0, 0)]
    C, G = np.pad(spend, origin), np.pad(gain, origin)
    under = ((G[..., 1:, :] + G[..., :-1, :]) / 2 * np.diff(C, axis=-2)).sum(axis=-2)
    end = C[..., -1, :] * G[..., -1, :]
    return np.asarray(np.divide(under, end, out=np.full(end.shape, np.nan), where=end != 0))


def _support(cells: Cells) -> list[str]:
    """Why a policy's curve cannot be estimated: a budget that lacks support, or a gain that hardly anybody shows."""
    P = len(cells.names)
    words = np.array(cells.lacking, dtype=object).reshape(len(cells.budgets), P)
    return [
        cells.control_lacking
        or next((f"at a budget of {b:,.6g}: {text}" for b, text in zip(cells.budgets, own, strict=True) if text), "")
        or _apart(cells, p, P)
        for p, own in enumerate(words.T)
    ]


def _apart(cells: Cells, p: int, q: int) -> str:
    """Why two curves cannot be compared: at no budget do enough users tell the policies apart; "" where they do.

    Budgets at which few do carry little of the area. Policies that decide alike at every budget need nobody.
    """
    told = [text for text, same in zip(cells.not_apart[:, p, q], cells.same[:, p, q], strict=True) if not same]
    return f"at the largest budget where they differ: {told[-1]}" if told and all(told) else ""


def _with_interval(name: str, point: Array, draws: Array, known: NDArray[np.bool_], level: float) -> dict[str, Array]:
    low, high = interval(np.where(known, draws, np.nan), level)
    return {name: np.where(known, point, np.nan), f"{name}_low": low, f"{name}_high": high}
