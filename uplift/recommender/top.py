"""The best items for each user, in order, as a recommender answers them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uplift.errors import InputError, check_whole, nearest
from uplift.recommender.full_ranking import SCORES_AT_ONCE, SEEN, Counted
from uplift.recommender.histories import Histories

if TYPE_CHECKING:
    import pandas as pd

    from uplift.recommender.net_scorer import NetScorer
    from uplift.recommender.recommender import Recommender

COLUMNS = ("user_id", "rank", "item_id", "score", "from")


@dataclass(frozen=True, eq=False)
class Top:
    """The best n items for each of q histories, best first.

    Attributes
    ----------
    item : (q, n) int32 item codes; 0 where there are no further candidates.
    score : (q, n) float32, the model's own, comparable within a row alone; in rows of popularity the share of the
        training events; NaN where there is no item.
    popular : (q,) booleans, whose history is empty, so that popularity answered and not the model.
    """

    item: NDArray[np.int32]
    score: NDArray[np.float32]
    popular: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.item)

    def __repr__(self) -> str:
        return f"Top({self.item.shape[1]} items for each of {len(self):,} histories)"


def top_items(
    recommender: Recommender,
    histories: Histories,
    group: ArrayLike | None = None,
    *,
    n: int = 10,
    seen: str = "excluded",
    batch: int = 512,
    progress: Counted | None = None,
) -> Top:
    """The n items with the highest scores after each history; equal scores in order of the item codes.

    Parameters
    ----------
    histories : (q), all that is known of each user, in the item codes of the log of the fit.
    group : (q,) the stratum of each user, whose plugin and memory answer; None takes that of as many events as the
        history has, which is how the gates judged them: a validation history is the user's training events.
    n : places, cut to the number of items; fewer candidates than that leave places empty. An empty history is
        answered by popularity.
    seen : "excluded" leaves out the items of the history, "ranked" does not.
    batch : histories at once, fewer where their scores would take more than 128 MiB in single precision.
    progress : told after each batch how many histories are done, and of how many.

    Misleads when the history holds events that the model cannot have known, such as those of a test.
    Raises InputError for settings out of range, strata that are not there, item codes that the recommender lacks, and
    scores that are not finite.
    """
    check_top(n, seen)
    n = min(n, recommender.net.n_items)
    item = np.zeros((len(histories), n), dtype=np.int32)
    score = np.full((len(histories), n), np.nan, dtype=np.float32)
    popular = histories.counts == 0
    share = recommender.popularity
    known = np.argsort(-share, kind="stable")[:n]
    item[popular, : len(known)], score[popular, : len(known)] = known + 1, share[known]
    for rows, table in score_batches(recommender, histories, np.flatnonzero(~popular), group, batch, progress):
        if seen == "excluded":
            exclude(table, histories, rows)
        for row, scores in zip(rows, table, strict=True):
            best = _best(scores, n)
            item[row, : len(best)], score[row, : len(best)] = best + 1, scores[best]
    return Top(item, score, popular)


def top_frame(top: Top, user_id: ArrayLike, item_id: ArrayLike) -> pd.DataFrame:
    """One row a user and place: user_id, rank (1 is best), item_id, score, from ("model" or "popularity").

    `user_id` (q,) are those of the histories, `item_id` (V,) those of the codes 1..V. Users without any candidate
    have no row. Raises InputError for another number of users, and for codes without an id.
    """
    import pandas as pd

    users, items = np.asarray(user_id), np.asarray(item_id)
    if users.shape != (len(top),):
        raise InputError(f"user_id has shape {users.shape} for {len(top):,} histories; one id each is expected")
    if items.ndim != 1 or len(items) < top.item.max(initial=0):
        raise InputError(
            f"item_id has shape {items.shape}, and item code {top.item.max():,} is answered; the ids of all codes, "
            "(V,), are expected: `item_id` of the log of the fit"
        )
    row, place = np.nonzero(top.item)
    by = np.array(["model", "popularity"], dtype=object)[top.popular[row].astype(np.int64)]
    columns = (users[row], (place + 1).astype(np.int32), items[top.item[row, place] - 1], top.score[row, place], by)
    return pd.DataFrame(dict(zip(COLUMNS, columns, strict=True)))


def check_top(n: int, seen: str) -> None:
    """Refuse what is no number of places, and an unknown word for the items that the user has seen."""
    check_whole(n, "n", more=", such as 10")
    if seen not in SEEN:
        raise InputError(f"seen is {seen!r}; one of {', '.join(map(repr, SEEN))} is expected.{nearest(seen, SEEN)}")


def score_batches(
    recommender: Recommender,
    histories: Histories,
    rows: NDArray[np.int64],
    group: ArrayLike | None = None,
    batch: int = 512,
    progress: Counted | None = None,
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """The given rows (r,) in batches, each with its scores (b, n_items), at most 128 MiB of them."""
    n_items = recommender.net.n_items
    check_whole(batch, "batch")
    scorer = scorer_of(recommender, histories, group)
    step = int(max(1, min(batch, SCORES_AT_ONCE // n_items)))
    for start in range(0, len(rows), step):
        some = rows[start : start + step]
        table = scorer.scores(histories, some, some)
        if not (np.isfinite(table.min()) and np.isfinite(table.max())):
            raise InputError("the recommender gives scores that are not finite; fit it anew, with a smaller lr")
        yield some, table
        if progress is not None:
            progress(start + len(some), len(rows))


def scorer_of(recommender: Recommender, histories: Histories, group: ArrayLike | None) -> NetScorer:
    """The scorer for users in these groups, (q,), by default those of as many events as the histories have."""
    n_items = recommender.net.n_items
    if len(histories.items) and histories.items.max() > n_items:
        raise InputError(
            f"the histories have item code {histories.items.max():,} and the recommender knows 1 to {n_items:,}; "
            "code them with encode_histories and the item_id of the log of the fit"
        )
    if (recommender.plugins is None and recommender.memory is None) or not len(histories):
        return recommender.backbone_scorer()
    if group is None:
        return recommender.scorer(recommender.strata.group_of(histories.counts))
    z: NDArray[Any] = np.asarray(group)
    n_groups = recommender.strata.n_groups
    if z.shape != (len(histories),) or z.dtype.kind not in "iu" or z.min() < 0 or z.max() >= n_groups:
        raise InputError(
            f"group has shape {z.shape} ({z.dtype}) for {len(histories):,} histories; one whole number from 0 to "
            f"{n_groups - 1} each is expected"
        )
    return recommender.scorer(z.astype(np.int64))


def exclude(table: NDArray[np.float32], histories: Histories, rows: NDArray[np.int64]) -> None:
    """Put every item of the history of each row below all others, -inf, in place."""
    own = histories.take(rows)
    table[np.repeat(np.arange(len(rows)), own.counts), own.items - 1] = -np.inf


def _best(scores: NDArray[np.float32], n: int) -> NDArray[np.int64]:
    """The columns of the n highest scores that are candidates, best first, ties by column."""
    if n < len(scores):
        least = np.partition(scores, len(scores) - n)[len(scores) - n]
        some = np.flatnonzero(scores >= least)
    else:
        some = np.arange(len(scores))
    some = some[scores[some] > -np.inf]
    return np.asarray(some[np.argsort(-scores[some], kind="stable")[:n]])
