"""Models beside one another: ranking metrics for all, tail, head and each stratum, with paired intervals by user."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from uplift.errors import InputError, check_fraction, check_whole, nearest
from uplift.recommender.full_ranking import Ranks
from uplift.recommender.ranking_bootstrap import Intervals, means_by_group
from uplift.recommender.ranking_metrics import METRICS, metric
from uplift.recommender.strata import Strata

if TYPE_CHECKING:
    import pandas as pd

SHOWN = ("ndcg@10", "recall@10")


@dataclass(frozen=True, eq=False)
class RankingEvaluation:
    """What `evaluate_ranking` found; `frame()` has all of it, printing shows two metrics.

    Attributes
    ----------
    models, groups, metrics : the names along the three axes of `values` and `differences`.
    users : (groups,) int64, distinct users with a query in each group.
    values : the metrics, each of its fields `estimate`, `standard_error`, `low` and `high` (models, groups, metrics).
    differences : the same of each model less `against`, 0 for that one itself; None without one.
    level : of the intervals. n_bootstrap : resamples. seed : of them, None for a generator.

    What is assumed and what misleads: as `evaluate_ranking` says.
    """

    models: tuple[str, ...]
    groups: tuple[str, ...]
    metrics: tuple[str, ...]
    users: NDArray[np.int64]
    values: Intervals
    differences: Intervals | None
    against: str | None
    level: float
    n_bootstrap: int
    seed: int | None

    def frame(self) -> pd.DataFrame:
        """Tidy frame, one row a model, group and metric; the columns of differences are NaN without `against`."""
        import pandas as pd

        shape = self.values.estimate.shape
        at = np.indices(shape).reshape(3, -1)
        columns: dict[str, object] = {
            what: np.array(names, dtype=object)[place]
            for what, names, place in zip(
                ("model", "group", "metric"), (self.models, self.groups, self.metrics), at, strict=True
            )
        }
        columns |= {name: table.ravel() for name, table in self.values._asdict().items()}
        columns["users"] = self.users[at[1]]
        differences = self.differences or Intervals(*(np.full(shape, np.nan) for _ in Intervals._fields))
        for name, table in differences._asdict().items():
            columns["difference" if name == "estimate" else f"difference_{name}"] = table.ravel()
        return pd.DataFrame(columns)

    def __str__(self) -> str:
        shown = [name for name in SHOWN if name in self.metrics] or list(self.metrics[:2])
        at = [self.metrics.index(name) for name in shown]
        lines = [f"{'':<16} {'users':>9}" + "".join(f" {name:>26}" for name in shown)]
        for m, model in enumerate(self.models):
            lines.append(model)
            for g, group in enumerate(self.groups):
                lines.append(f"  {group:<14} {self.users[g]:>9,}" + _cells(self.values, m, g, at, ""))
        if self.differences is not None:
            for m, model in enumerate(self.models):
                if model != self.against:
                    lines.append(f"{model} minus {self.against}")
                    for g, group in enumerate(self.groups):
                        lines.append(f"  {group:<14} {self.users[g]:>9,}" + _cells(self.differences, m, g, at, "+"))
        lines.append(
            f"In brackets: {100 * self.level:g}% intervals, {self.n_bootstrap:,} resamples of users, paired."
        )
        return "\n".join(lines)

    def __repr__(self) -> str:
        return str(self)


def evaluate_ranking(
    ranks: Mapping[str, Ranks],
    strata: Strata,
    *,
    against: str | None = None,
    metrics: Sequence[str] = METRICS,
    n_bootstrap: int = 1000,
    level: float = 0.95,
    seed: int | np.random.Generator = 0,
) -> RankingEvaluation:
    """Mean metrics of several models on the same queries, by group of users, with paired bootstrap intervals.

        mean_g = sum_u c_u s_u / sum_u c_u n_u   over the users u of group g

    s_u is the sum of a metric over the user's n_u queries. c_u is 1 for the estimate; in a resample it is how often
    u was drawn when as many users as there are were drawn with replacement. All models share the resamples, and a
    user with several queries is drawn with all of them, so a difference has the noise of what differs alone.

    Parameters
    ----------
    ranks : for each model, from `rank_targets` on the same queries.
    strata : one entry for each user of the log, which `Ranks.user` numbers. Groups are all, tail, head, each stratum.
    against : a model, to which all are compared.
    metrics : names such as "ndcg@10"; queries where a metric is undefined (auc of one candidate) are left out of it.
    n_bootstrap : resamples, at least 2; 1000 is usual. More of them with the same seed only add resamples.
    level : of the percentile intervals. seed : of the resamples.

    Assumes that users are independent of one another. Misleads when read as covering the training: intervals hold for
    these trained models, and another training seed may differ by more; and when many groups, metrics and models are
    searched for one interval that leaves out 0, since each holds alone. Few users make percentile intervals too
    short. A group without queries is NaN, one of a single user has no standard error or interval.

    Raises InputError for models with different users or candidates, no queries, users that the strata lack, and
    unknown names. Source: percentile bootstrap, Efron and Tibshirani 1993, in the usual form; the tests compare it
    with a loop over resampled users and with the closed standard error of a mean.
    """
    if not isinstance(metrics, Iterable):
        raise InputError(f"metrics is {metrics!r}; names such as {SHOWN[0]!r} are expected")
    names = (metrics,) if isinstance(metrics, str) else tuple(metrics)
    models = tuple(str(name) for name in ranks)
    user = _same_queries(ranks, strata)
    if not names:
        raise InputError(f"metrics is empty; names such as {SHOWN[0]!r} are expected")
    check_whole(n_bootstrap, "n_bootstrap", 2, ", 1000 resamples are usual")
    if against is not None and against not in ranks:
        raise InputError(f"against={against!r} is none of the models.{nearest(str(against), models)}")
    check_fraction(level, "level", 0.95)
    values = np.stack([np.column_stack([metric(one, name) for name in names]) for one in ranks.values()])
    columns = values
    if against is not None:
        # By query, not of means: models that agree on every query then differ by exactly nothing.
        columns = np.concatenate([values, values - values[list(ranks).index(against)]])
    rows, code = np.unique(user, return_inverse=True)
    head, group = strata.head[rows], strata.group[rows]
    own = group == np.arange(len(strata.names))[:, None]
    member = np.vstack([np.ones(len(rows), dtype=bool), ~head, head, own])
    found = means_by_group(columns, code, member, int(n_bootstrap), level, seed)
    return RankingEvaluation(
        models=models,
        groups=("all", "tail", "head", *strata.names),
        metrics=names,
        users=member.sum(axis=1),
        values=Intervals(*(part[: len(models)] for part in found)),
        differences=None if against is None else Intervals(*(part[len(models) :] for part in found)),
        against=None if against is None else str(against),
        level=level,
        n_bootstrap=int(n_bootstrap),
        seed=None if isinstance(seed, np.random.Generator) else int(seed),
    )


def _same_queries(ranks: Mapping[str, Ranks], strata: Strata) -> NDArray[np.int64]:
    """The user of each query, which all models must share, as they must the numbers of candidates."""
    if not ranks:
        raise InputError("no model is given; a mapping from names to Ranks is expected, such as {'SASRec': ranks}")
    (name, first), *others = ranks.items()
    if not len(first):
        raise InputError(f"model {name!r} has no queries; at least one is expected")
    for other, one in others:
        for what in ("user", "candidates"):
            mine, theirs = getattr(first, what), getattr(one, what)
            if not np.array_equal(mine, theirs):
                where = f"{len(mine):,} and {len(theirs):,} queries"
                if len(mine) == len(theirs):
                    i = int(np.argmax(mine != theirs))
                    where = f"{mine[i]:,} and {theirs[i]:,} at query {i:,}"
                raise InputError(
                    f"models {name!r} and {other!r} differ in `{what}`: {where}; rank the same queries in the same "
                    "order, with the same `seen`"
                )
    if first.user.max() >= len(strata.group):
        raise InputError(
            f"queries belong to users up to row {first.user.max():,}, and the strata have {len(strata.group):,} "
            "users; take the strata of the log that the queries are from"
        )
    return first.user


def _cells(found: Intervals, m: int, g: int, at: Sequence[int], sign: str) -> str:
    """The estimates of one line with their intervals."""
    texts = []
    for t in at:
        estimate, _, low, high = (table[m, g, t] for table in found)
        texts.append("-" if np.isnan(estimate) else f"{estimate:{sign}.4f}")
        if not np.isnan(low):
            texts[-1] += f" [{low:{sign}.4f}, {high:{sign}.4f}]"
    return "".join(f" {text:>26}" for text in texts)
