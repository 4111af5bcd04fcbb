"""The policies of a demo beside each other at one budget: figures, and in words who is better, worse or neither."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from allocation.jobs.analyst.certainty import LEVEL, Z95
from allocation.jobs.analyst.compared import CURRENT, Compared
from allocation.jobs.evaluation_table import clear_side
from allocation.jobs.numbers import decimals, number, with_interval
from allocation.jobs.summary import HEADLINE, Summary

BETTER, WORSE, UNCLEAR = "better", "worse", "not distinguishable"
ALIKE, APART = "the same decisions", "cannot be compared"
VERDICTS = {1: BETTER, -1: WORSE, 0: UNCLEAR}
VERIFIED = [f"{name}{end}" for name in ("value", "gain", "spend") for end in ("", "_low", "_high")]


@dataclass(frozen=True, eq=False)
class Comparison:
    """Every policy at the evaluated budget nearest to the one asked for; totals over the held-out users.

    rows : a row a policy in the order shown: `policy`, `promised_value` (NaN of the current policy), `value`, `gain`
        and `spend`, each with `_low` and `_high`; `support`, why there are none; against the `reference`
        `difference`, `difference_low`, `difference_high`, `p_adjusted`, `same_decision`, `why` there is no difference
        (else empty) and `verdict`.
    comparisons : how many differences the p-values are adjusted for: every policy at every budget. sentences : what
        the rows say.
    """

    budget: float
    reference: str
    rows: pd.DataFrame
    comparisons: int
    sentences: tuple[str, ...]


def best_baseline(run: Summary, compared: Compared, budget: float) -> str:
    """The reference of the report at the evaluated budget nearest to this one: the best rule of thumb there."""
    frame = _at(run, compared.nearest_budget(budget))
    return str(frame["reference"].iloc[0])


def compare(run: Summary, compared: Compared, budget: float, reference: str) -> Comparison:
    """Lay out what was verified at the evaluated budget nearest to a budget, against one policy.

    Value, gain and spend are those of the report, with its intervals by bootstrap; those of the current policy, and
    all differences, have intervals in closed form. Better and worse are said only where the p-value adjusted for all
    comparisons with this reference is below 5%.
    """
    at = compared.nearest_budget(budget)
    frame = _at(run, at)
    shown = frame[["policy", "promised_value", *VERIFIED, "support"]]
    rows = pd.concat([shown, pd.DataFrame([_current(compared)])], ignore_index=True)
    differences = compared.differences(reference, LEVEL)
    own = differences[differences["budget"] == at].set_index("policy").loc[rows["policy"]].reset_index()
    columns = ["difference", "difference_low", "difference_high", "p_adjusted", "same_decision"]
    rows[columns] = own[columns]
    rows["why"] = own["support"]
    rows["verdict"] = [_verdict(r, reference) for _, r in rows.iterrows()]
    order = {name: k for k, name in enumerate((*run.policies, CURRENT))}
    rows = rows.sort_values("policy", key=lambda names: names.map(order), kind="stable").reset_index(drop=True)
    made = int(differences["comparisons"].iloc[0])
    return Comparison(at, reference, rows, made, tuple(_sentences(rows, reference, made)))


def _at(run: Summary, budget: float) -> pd.DataFrame:
    frame = run.evaluation[run.evaluation["estimator"] == HEADLINE]
    return frame[np.isclose(frame["budget"], budget, rtol=1e-9, atol=0.0)].reset_index(drop=True)


def _current(compared: Compared) -> dict[str, object]:
    """The row of the log's own policy, which promises nothing."""
    value = float(compared.value[-1]), float(np.sqrt(compared.covariance[-1, -1]))
    row: dict[str, object] = {"policy": CURRENT, "promised_value": np.nan, "support": ""}
    for name, (total, error) in (("value", value), ("gain", compared.gain), ("spend", compared.spend)):
        row |= {name: total, f"{name}_low": total - Z95 * error, f"{name}_high": total + Z95 * error}
    return row


def _verdict(r: pd.Series, reference: str) -> str:
    if r["policy"] == reference:
        return "reference"
    if r["same_decision"]:
        return ALIKE
    return APART if r["why"] else VERDICTS[clear_side(r, 1 - LEVEL)]


def _sentences(rows: pd.DataFrame, reference: str, made: int) -> list[str]:
    """Who is better, who worse, who neither, who decides alike, and what cannot be said."""
    places = decimals(float(rows["difference"].abs().max()))
    cells = {verdict: rows[rows["verdict"] == verdict] for verdict in rows["verdict"]}
    told = []
    for verdict in (BETTER, WORSE, UNCLEAR):
        if verdict in cells:
            listed = [f"{r['policy']} ({_difference(r, places)})" for _, r in cells[verdict].iterrows()]
            told.append(f"{_head(verdict, reference)}: {'; '.join(listed)}.")
    if BETTER not in cells:
        told.insert(0, f"Nothing is shown to be better than {reference}.")
    if ALIKE in cells:
        told.append(f"The same decisions as {reference}: {_listed(cells[ALIKE]['policy'].tolist())}.")
    if APART in cells:
        lacking = [f"{r['policy']} ({r['why']})" for _, r in cells[APART].iterrows()]
        told.append(f"Cannot be compared with {reference}: {'; '.join(lacking)}.")
    unclear = cells.get(UNCLEAR)
    if unclear is not None and made > 1:
        alone = unclear[(unclear["difference_low"] > 0) | (unclear["difference_high"] < 0)]
        if len(alone):
            names = _listed(alone["policy"].tolist())
            told.append(f"Clear of zero taken alone, but not among {made} comparisons: {names}.")
    return told + list(_promises(rows))


def _promises(rows: pd.DataFrame) -> list[str]:
    """Promises that lie outside the interval of what was verified, and by how much."""
    told = []
    for words, off in (
        ("more", rows[rows["promised_value"] > rows["value_high"]]),
        ("less", rows[rows["promised_value"] < rows["value_low"]]),
    ):
        listed = [
            f"{r['policy']} (by {number(abs(r['promised_value'] - r['value']), decimals(r['value']))})"
            for _, r in off.iterrows()
        ]
        if listed:
            told.append(f"Promised {words} than the interval of what was verified holds: {'; '.join(listed)}.")
    return told


def _head(verdict: str, reference: str) -> str:
    return f"{verdict.capitalize()} {'from' if verdict == UNCLEAR else 'than'} {reference}"


def _difference(r: pd.Series, places: int) -> str:
    ends = (float(r["difference"]), float(r["difference_low"]), float(r["difference_high"]))
    return str(with_interval(*ends, places, sign=True))


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
