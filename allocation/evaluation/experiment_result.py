"""What `next_experiment` answers: the frame of users by design, and the facts around it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from allocation.evaluation.designs import whole_users
from allocation.evaluation.experiment_text import experiment_text
from allocation.evaluation.power import MOST, detectable_gain, users_needed

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]
COLUMNS = ("design", "estimator", "users", "sd", "design_effect", "detectable")


@dataclass(frozen=True, eq=False)
class NextExperiment:
    """How large the next randomised log must be to confirm that `policy` beats `reference`.

    Attributes
    ----------
    policy, reference : names. budget : money for the held-out users together; the new users get as much each.
    users : held-out users, of whom `differing` are given another arm by the two policies.
    predicted_gain : the gain to be found, value units a user. promised : whether it is the policies' own promise.
    verified, verified_se : this log's doubly robust difference and its standard error, value units a user; NaN where
        it was not computed.
    power, level : of the experiment. note : why there are no numbers, or "". caveats : what makes them unsure.
    frame : a row a design and estimator; empty where `note` says why. Columns `policy`, `reference`, `budget`,
        `predicted_gain`, `power`, `level`, `design`, `estimator`, `users` (needed in total, and enough that 30
        effective users of those who are treated differently match either policy), `sd` (of one user's
        share in the difference, value units: the standard error of n users is sd / sqrt(n)), `design_effect` (of
        clusters, contained in `users`), `detectable` (the gain a user that a log of this size and design finds with
        that power), `users.<arm>`, `share.<arm>`.
    """

    policy: str
    reference: str
    budget: float
    users: int
    differing: int
    predicted_gain: float
    promised: bool
    power: float
    level: float
    frame: pd.DataFrame = field(repr=False)
    note: str = ""
    caveats: tuple[str, ...] = ()
    verified: float = math.nan
    verified_se: float = math.nan

    def __str__(self) -> str:
        return experiment_text(self)


@dataclass(frozen=True, eq=False)
class Row:
    """One row of the frame: sigma^2, the design effect of clusters, the least users, and the arms' shares (K+1,)."""

    design: str
    estimator: str
    variance: float
    effect: float
    least: int
    shares: Array


def experiment_frame(facts: dict[str, Any], rows: list[Row], n: int, arms: tuple[str, ...]) -> pd.DataFrame:
    """The frame of a `NextExperiment`; `facts` are the columns that every row shares.

    Where the log shows no noise, or the gain is out of reach of any number of people, users are NaN.
    """
    import pandas as pd

    gain, aim = facts["predicted_gain"], {"power": facts["power"], "level": facts["level"]}
    named = [f"{what}.{arm}" for what in ("users", "share") for arm in arms]
    table = []
    for row in rows:
        clustered = row.variance * row.effect
        cells: list[Any] = [math.nan, math.nan, row.effect, math.nan, *[math.nan] * len(arms)]
        if clustered > 0:
            cells[1:4] = math.sqrt(row.variance), row.effect, detectable_gain(clustered, n, **aim)
        if clustered > 0 and detectable_gain(clustered, MOST, **aim) < gain:
            cells[0] = max(row.least, users_needed(clustered, gain, **aim))
            cells[4:] = whole_users(cells[0], row.shares)
        table.append([*facts.values(), row.design, row.estimator, *cells, *row.shares])
    return pd.DataFrame(table, columns=[*facts, *COLUMNS, *named])
