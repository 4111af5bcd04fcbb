"""Why one user gets the arm that was decided: every arm's score at the price, and by how much the first wins."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from allocation.engine.price import margins_at
from allocation.engine.problem import Allocation
from allocation.engine.tables import Tables
from allocation.jobs.analyst.figures import figure
from allocation.jobs.analyst.run import Run
from uplift.errors import InputError


@dataclass(frozen=True, eq=False)
class Why:
    """One user's decision.

    table : `arm`, `value`, `cost`, `score`, `eligible`, `decided`, a row an arm. words : the same in a sentence.
    """

    table: pd.DataFrame
    words: str


def user_row(run: Run, user: str) -> int:
    """The row of the user with this id; raises InputError where there is none."""
    ids, text = run.user_id, user.strip()
    example = str(ids[0].as_py())
    try:
        wanted = pa.scalar(int(text) if pa.types.is_integer(ids.type) else text, ids.type)
    except (ValueError, OverflowError, pa.ArrowInvalid):
        raise InputError(f"user {text[:40]!r} is no user id; the ids are whole numbers, such as {example}") from None
    row = pc.index(ids, wanted).as_py()
    if row < 0:
        raise InputError(
            f"user {text[:40]!r} is not among the {len(run):,} users; an id is expected, such as {example}"
        )
    return int(row)


def why(run: Run, decided: Allocation, row: int) -> Why:
    """The scores of one user's arms, score = value - price cost, at the price of the budget, value units."""
    part, arm = slice(row, row + 1), int(decided.decision[row])
    eligible = np.ones(len(run.arms), dtype=bool) if run.eligible is None else run.eligible[row]
    users = Tables(run.value[part], run.cost[part], None if run.eligible is None else run.eligible[part])
    margin = float(margins_at(users, decided.decision[part], decided.price)[0])
    value, cost = run.value[row].astype(np.float64), run.cost[row].astype(np.float64)
    score = value - decided.price * cost
    table = pd.DataFrame(
        {
            "arm": list(run.arms),
            "value": value,
            "cost": cost,
            "score": score,
            "eligible": eligible,
            "decided": np.arange(len(run.arms)) == arm,
        }
    )
    user, name = str(run.user_id[row].as_py()), run.arms[arm]
    others = [run.arms[j] for j in np.argsort(-score, kind="stable") if eligible[j] and j != arm]
    at = f"at the price of {figure(decided.price)} (value per {run.currency or 'unit of money'})"
    return Why(table, _words(f"User {user} gets {name}", others, margin, at))


def _words(gets: str, others: list[str], margin: float, at: str) -> str:
    """Why, at the price, from the other arms by falling score and the margin over the first of them."""
    if not others or math.isinf(margin):
        return f"{gets}: no other arm may be given."
    rival, by = others[0], figure(abs(margin))
    if margin < 0:  # at the edge of the budget only
        return (
            f"{gets}, though {rival} has the higher score {at}, by {by}: the user stands at the edge "
            "of the budget, and the money for the dearer arm ran out."
        )
    if margin == 0:
        return f"{gets}: {at} it scores the same as {rival}, so this user is the last one affordable."
    return f"{gets}: {at} its score beats that of the runner-up, {rival}, by {by}."
