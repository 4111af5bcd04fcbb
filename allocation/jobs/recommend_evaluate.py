"""The evaluating job of `earmark recommend`: a recommender on the test events of its own log, beside simpler ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from allocation.jobs import manifest as entries
from allocation.jobs.paced import Paced
from allocation.jobs.recommend_log import LogColumns
from uplift.errors import InputError
from uplift.recommender.baselines import LastItem, Popularity
from uplift.recommender.full_ranking import Ranks, Scorer, rank_targets
from uplift.recommender.ranking_table import RankingEvaluation, evaluate_ranking
from uplift.recommender.saved import load_recommender

MAIN, BACKBONE, LAST, POPULARITY = "recommender", "backbone alone", "last item", "popularity"
JUDGED_BY = "ndcg@10"
OF_VALUE = ["model", "group", "users", "metric", "estimate", "standard_error", "low", "high"]
OF_DIFFERENCE = ["difference", "difference_standard_error", "difference_low", "difference_high"]


@dataclass(frozen=True, eq=False)
class RecommendEvaluation:
    """What came of it.

    Attributes
    ----------
    name : the log's file name. queries, items : how many of them.
    tables : by the name of a simpler model, the recommender beside it and minus it; all share the resamples.
    """

    name: str
    queries: int
    items: int
    tables: Mapping[str, RankingEvaluation]

    def values(self) -> pd.DataFrame:
        """One row a model, group and metric."""
        frames = [table.frame() for table in self.tables.values()]
        own = frames[0][frames[0]["model"] == MAIN]
        return pd.concat([own, *(frame[frame["model"] != MAIN] for frame in frames)], ignore_index=True)[OF_VALUE]

    def differences(self) -> pd.DataFrame:
        """One row a simpler model (`against`), group and metric: the recommender minus that model."""
        frames = []
        for against, table in self.tables.items():
            frame = table.frame()
            frames.append(frame[frame["model"] == MAIN].assign(against=against))
        return pd.concat(frames, ignore_index=True)[["against", "group", "users", "metric", *OF_DIFFERENCE]]

    def verdicts(self) -> list[str]:
        """Whether the recommender can be told from the last item and from its backbone alone, for tail and head."""
        return [self._verdict(against) for against in (LAST, BACKBONE)]

    def _verdict(self, against: str) -> str:
        """One sentence, by the paired intervals of `JUDGED_BY`."""
        table = self.tables[against]
        frame = table.frame()
        own = frame[(frame["model"] == MAIN) & (frame["metric"] == JUDGED_BY)].set_index("group")
        rows = own[["difference_low", "difference_high"]].to_dict("index")
        groups: dict[str, list[str]] = {}
        for group in ("tail", "head"):
            groups.setdefault(_found(*rows[group].values()), []).append(group)
        said = ", ".join(f"{found} for {' and '.join(names)} users" for found, names in groups.items())
        return f"{MAIN} against {against}: {said} ({JUDGED_BY}, paired {100 * table.level:g}% intervals)."

    def as_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        table = next(iter(self.tables.values()))
        return {
            "log": self.name,
            "queries": self.queries,
            "items": self.items,
            "level": table.level,
            "n_bootstrap": table.n_bootstrap,
            "verdicts": self.verdicts(),
            "values": entries.records(self.values()),
            "differences": entries.records(self.differences()),
        }


def run_recommend_evaluate(
    folder: str | Path, log: str | Path, columns: LogColumns, progress: Callable[[str], None] = lambda _: None
) -> RecommendEvaluation:
    """Rank the test events of the log of the fit among all items; items of the history are no candidates.

    Raises InputError for a folder without a recommender, another log, and a log without a test query.
    """
    progress = Paced(progress)
    progress(f"reading {folder}")
    saved = load_recommender(folder)
    progress(f"reading {log}")
    read = columns.read(log)
    saved.check_log(read)
    split, recommender = saved.split.split(read), saved.recommender
    if not len(split.test):
        raise InputError(f"{log} has no test query: {' '.join(split.notes)} Fit and evaluate on a longer log")
    scorers: dict[str, Scorer] = {
        MAIN: recommender.scorer_of(split.test),
        BACKBONE: recommender.backbone_scorer(),
        LAST: LastItem.fit(split.train, split.n_items),
        POPULARITY: Popularity.fit(split.train, split.n_items),
    }
    ranks: dict[str, Ranks] = {}
    for name, scorer in scorers.items():
        progress(f"ranking {split.n_items:,} items for {len(split.test):,} queries: {name}")
        ranks[name] = rank_targets(scorer, split.test, split.n_items, progress=progress.of(name))
    tables: dict[str, RankingEvaluation] = {}
    for name in (BACKBONE, LAST, POPULARITY):
        progress(f"intervals beside {name}")
        of_both = {MAIN: ranks[MAIN], name: ranks[name]}
        tables[name] = evaluate_ranking(of_both, recommender.strata, against=name)
    return RecommendEvaluation(Path(log).name, len(split.test), split.n_items, tables)


def _found(low: float, high: float) -> str:
    """What the interval of a difference says in words."""
    if math.isnan(low):
        return "too few users to tell"
    if low == high == 0:
        return "no difference at all"
    return "better" if low > 0 else "worse" if high < 0 else "not distinguishable"
