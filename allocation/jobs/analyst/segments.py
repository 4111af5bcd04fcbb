"""Groups of users under one decision: who is treated there, what it costs, and what it is really worth."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from allocation.evaluation.estimators import FEW
from allocation.evaluation.influence import small_sample
from allocation.evaluation.verified_path import Estimated, ratio
from allocation.jobs.analyst.attributes import ACTIVENESS
from allocation.jobs.analyst.certainty import NO_LOG, UNVERIFIED, Z95
from allocation.jobs.analyst.run import Evidence, Run

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
EVERYBODY, OTHERS, MISSING = "everybody", "all others", "(missing)"
MOST_VALUES = 1_000  # of an attribute that makes groups; more are as good as names
MOST_GROUPS = 12  # that are told apart; the smaller ones stand together
_RANGE = re.compile(r"^(up to |above )?(-?[\d,]*\.?\d+(?:e[+-]?\d+)?)")


@dataclass(frozen=True, eq=False)
class Grouping:
    """A group for every user: `code` (n,) in 0..G-1, `names` of the G groups in the order to be shown."""

    code: Codes
    names: tuple[str, ...]


def grouping(run: Run, attribute: str, most: int = MOST_GROUPS) -> Grouping:
    """The users by their value of an attribute; numbers and quarters rising, other text by its letters.

    Of more than `most` values the rarest stand together as OTHERS, last. A missing value is a group of its own.
    """
    column = run.attributes[attribute]
    column = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    values = [*(MISSING if value is None else str(value) for value in column.dictionary.to_pylist()), MISSING]
    place = {name: k for k, name in enumerate(dict.fromkeys(values))}
    names, index = list(place), np.array([place[name] for name in values])
    code = index[column.indices.fill_null(len(values) - 1).to_numpy(zero_copy_only=False)]
    users = np.bincount(code, minlength=len(names))
    kept = [int(k) for k in np.argsort(-users, kind="stable") if users[k]]
    rare = kept[most - 1 :] if len(kept) > most else []
    shown = sorted(set(kept) - set(rare), key=lambda k: _order(names[k]))
    moved = np.full(len(names), len(shown))
    moved[shown] = np.arange(len(shown))
    last = [f"{OTHERS} ({len(rare):,} values)"] if rare else []
    return Grouping(moved[code], (*(names[k] for k in shown), *last))


def attributes(run: Run) -> list[str]:
    """The attributes that make groups, head and tail first: those of at most MOST_VALUES different values."""
    few = [name for name, column in run.attributes.items() if len(column.dictionary) <= MOST_VALUES]
    return sorted(few, key=lambda name: name != ACTIVENESS)


def segments(run: Run, decision: NDArray[np.integer], groups: Grouping) -> pd.DataFrame:
    """Every group's users, share treated, spend, lift and return under a decision (n,), and everybody's, first.

    With d_i = phi_i,z - phi_i0 the difference of the scores of the arm decided and of control, for value and c_i for
    spend, and n_g users in group g:

        lift = sum d_i / n_g     spend = sum c_i     return = sum d_i / sum c_i

    `users`; `treated`, the share that does not get control; `spend` (money above control, of the whole group), `lift`
    (value units a user), `return` (value per money), each with `_low`, `_high` (95%, one at a time; the return's
    by Fieller, infinite where the spend may be 0) and `promised_` beside; `effective`, how many users of equal weight
    tell the decision from control; `lacking`, why there is no verified figure, else "".

    NaN without evidence and below FEW effective users. Misleads: with many groups one in twenty intervals misses.
    """
    z = np.asarray(decision)
    rows, G, e = np.arange(len(z)), len(groups.names), run.evidence
    gain = run.value[rows, z].astype(np.float64) - run.value[:, 0]
    money = run.cost[rows, z].astype(np.float64) - run.cost[:, 0]
    told = pd.DataFrame(
        {
            "segment": [EVERYBODY, *groups.names],
            "users": _sums(groups, np.ones(len(z))).astype(np.int64),
            "treated": _sums(groups, (z != 0).astype(np.float64)),
            "promised_lift": _sums(groups, gain),
            "promised_spend": _sums(groups, money),
        }
    )
    told["promised_return"] = _divided(told["promised_lift"].to_numpy(), told["promised_spend"].to_numpy())
    any_treated = told["treated"].to_numpy() > 0
    told[["treated", "promised_lift"]] = told[["treated", "promised_lift"]].div(told["users"], axis=0)
    if e is None:
        return told.assign(lacking=NO_LOG)
    d = e.value_score[rows, z].astype(np.float64) - e.value_score[:, 0]
    c = e.spend_score[rows, z].astype(np.float64) - e.spend_score[:, 0]
    effective, matched = _support(e, z, groups)
    words = [
        ""
        if size >= FEW or not some
        else f"too small: {seen:,.0f} users tell it from {run.arms[0]}; {FEW} are needed"
        for size, seen, some in zip(effective, matched, any_treated, strict=True)
    ]
    moments = np.column_stack([_sums(groups, x) for x in (d, c, d * d, c * c, d * c)])
    figures = [
        _figures(int(n), *sums) if not text else (*UNVERIFIED, *UNVERIFIED, *UNVERIFIED)
        for n, sums, text in zip(told["users"], moments, words, strict=True)
    ]
    names = [name + end for name in ("lift", "spend", "return") for end in ("", "_low", "_high")]
    told[names] = np.array(figures).reshape(G + 1, len(names))
    return told.assign(effective=effective, lacking=words)


def effects(run: Run, groups: Grouping) -> pd.DataFrame:
    """What treatment seems to do in each group beside what it does, value units a user; rows as in `segments`.

        raw      = mean value of the treated - mean value of those on control
        adjusted = sum_j s_gj sum_{i in g} (phi_ij - phi_i0) / n_g,   s_gj the arms' shares of the treated in g

    Both are of the mix of arms that was logged. Where the chances depend on who the users are, the raw difference is
    confounded; where everybody had the same, both tell the same, and the adjusted is the less noisy. `raw`,
    `adjusted`, each with `_low` and `_high`; `lacking`, why there are none. Empty without evidence or logged value.
    """
    e = run.evidence
    if e is None or e.value is None:
        return pd.DataFrame()
    told = []
    members = [np.arange(len(run)), *(np.flatnonzero(groups.code == g) for g in range(len(groups.names)))]
    for name, rows in zip([EVERYBODY, *groups.names], members, strict=True):
        t, y = e.treatment[rows], e.value[rows]
        counts = np.bincount(t, minlength=len(run.arms))
        on, off = int(counts[1:].sum()), int(counts[0])
        record: dict[str, object] = {"segment": name, "users": len(rows), "lacking": ""}
        if min(on, off) < FEW:
            record["lacking"] = f"too small: {on:,} treated, {off:,} on {run.arms[0]}; {FEW} of each are needed"
        else:
            treated, control = y[t > 0], y[t == 0]
            raw = float(treated.mean() - control.mean())
            error = Z95 * float(np.sqrt(treated.var(ddof=1) / on + control.var(ddof=1) / off))
            score = e.value_score[rows, 1:].astype(np.float64) @ (counts[1:] / on) - e.value_score[rows, 0]
            mean, own = float(score.mean()), Z95 * float(score.std(ddof=1) / np.sqrt(len(rows)))
            record |= {"raw": raw, "raw_low": raw - error, "raw_high": raw + error}
            record |= {"adjusted": mean, "adjusted_low": mean - own, "adjusted_high": mean + own}
        told.append(record)
    columns = [name + end for name in ("raw", "adjusted") for end in ("", "_low", "_high")]
    return pd.DataFrame(told, columns=["segment", "users", *columns, "lacking"])


def _figures(n: int, d: float, c: float, dd: float, cc: float, dc: float) -> tuple[float, ...]:
    """Lift, spend and return with their ends, from sums over n users and sums of products."""
    size = small_sample(n)
    vd, vc, cov = (size * (product - a * b / n) for product, a, b in ((dd, d, d), (cc, c, c), (dc, d, c)))
    gained, spent = (Z95 * float(np.sqrt(max(v, 0.0))) for v in (vd, vc))
    returned: Estimated = ratio(d, c, vd, vc, cov, Z95)
    return (d / n, (d - gained) / n, (d + gained) / n, c, c - spent, c + spent, *returned)


def _support(e: Evidence, z: NDArray[np.integer], groups: Grouping) -> tuple[Array, Array]:
    """Effective and actual numbers of users who tell the decision from control; as `evaluation.support.apart`.

    Of users who are treated, those count who received the arm decided or control: w = 1 / p of what they received.
    The smaller of (sum w)^2 / sum w^2 and of what the design lets expect, (2 m)^2 / sum (1 / p_z + 1 / p_0).
    """
    rows, on = np.arange(len(z)), z != 0
    decided, control = (1 / e.propensity[rows, arm].astype(np.float64) for arm in (z, np.zeros_like(z)))
    w = np.where(e.treatment == z, decided, np.where(e.treatment == 0, control, 0.0)) * on
    total, squares, matched = (_sums(groups, x) for x in (w, w * w, (w > 0).astype(np.float64)))
    users, inverse = _sums(groups, on.astype(np.float64)), _sums(groups, (decided + control) * on)
    return np.minimum(_divided(total**2, squares, 0.0), _divided((2 * users) ** 2, inverse, 0.0)), matched


def _sums(groups: Grouping, x: Array) -> Array:
    """Of everybody, and of each group: (G + 1,)."""
    return np.append(x.sum(), np.bincount(groups.code, x, minlength=len(groups.names)))


def _divided(above: Array, below: Array, otherwise: float = np.nan) -> Array:
    return np.asarray(np.divide(above, below, out=np.full(len(below), otherwise), where=below != 0))


def _order(name: str) -> tuple[int, float, str]:
    """Numbers first, rising, up to 3 before above 3; then text, then what is missing."""
    found = _RANGE.match(name)
    if name == MISSING:
        return (2, 0.0, "")
    if found is None:
        return (1, 0.0, name)
    number = float(found[2].replace(",", ""))
    return (0, -np.inf if found[1] == "up to " else number, name)
