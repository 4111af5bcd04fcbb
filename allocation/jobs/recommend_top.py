"""The answering job of `earmark recommend`: the best items of every user of a log, and features, as Parquet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from allocation.jobs.paced import Paced
from allocation.jobs.recommend_log import LogColumns, read_histories
from uplift.recommender.features import user_features
from uplift.recommender.saved import load_recommender
from uplift.recommender.top import check_top, top_frame, top_items
from uplift.words import counted


@dataclass(frozen=True, eq=False)
class RecommendTop:
    """What came of it.

    Attributes
    ----------
    top : one row a user and place. features : one row a user, or None where nobody asked.
    users : of the log; popular : those answered by popularity, as nothing is known of them.
    unknown : events left out, because the recommender does not know their items; unknown_users : whose they are.
    """

    top: pd.DataFrame
    features: pd.DataFrame | None
    users: int
    popular: int
    unknown: int
    unknown_users: int

    @property
    def notes(self) -> list[str]:
        """What the reader must know."""
        notes = []
        if self.unknown:
            events, users = counted(self.unknown, "event"), counted(self.unknown_users, "user")
            notes.append(f"left out: {events} of {users}, with items that were not in the log of the fit")
        if self.popular:
            notes.append(f"answered by popularity: {counted(self.popular, 'user')} without any event left")
        return notes


def run_recommend_top(
    folder: str | Path,
    log: str | Path,
    columns: LogColumns,
    *,
    n: int = 10,
    seen: str = "excluded",
    features: bool = False,
    progress: Callable[[str], None] = lambda _: None,
) -> RecommendTop:
    """The n best items of every user of the log, who may be new, by all of the user's events there.

    Raises InputError for a folder without a recommender, a log that cannot be read, and n or `seen` out of range.
    """
    check_top(n, seen)
    progress = Paced(progress)
    progress(f"reading {folder}")
    saved = load_recommender(folder)
    progress(f"reading {log}")
    histories, user_id, unknown = read_histories(log, columns, saved.item_id)
    progress(f"ranking {len(saved.item_id):,} items for {len(histories):,} users")
    top = top_items(saved.recommender, histories, n=n, seen=seen, progress=progress.of("ranking"))
    frame = top_frame(top, user_id, saved.item_id)
    of_users = None
    if features:
        progress("features")
        of_users = user_features(saved.recommender, histories, user_id, progress=progress.of("features"))
    return RecommendTop(
        frame, of_users, len(histories), int(top.popular.sum()), int(unknown.sum()), int((unknown > 0).sum())
    )
