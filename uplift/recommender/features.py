"""What a recommender knows of a user as features of a campaign: a vector, and the engagement it predicts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw
import numpy as np
from numpy.typing import ArrayLike

from uplift.errors import InputError
from uplift.frames import open_frame
from uplift.recommender.columns import codes_of
from uplift.recommender.engagement import ENGAGEMENT_ITEMS, raw_engagement
from uplift.recommender.full_ranking import Counted
from uplift.recommender.histories import Histories
from uplift.recommender.top import score_batches, scorer_of
from uplift.seen import alike

if TYPE_CHECKING:
    import pandas as pd

    from uplift.recommender.recommender import Recommender

ENGAGEMENT, KNOWN = "engagement", "known"


def user_features(
    recommender: Recommender,
    histories: Histories,
    user_id: ArrayLike,
    *,
    batch: int = 512,
    progress: Counted | None = None,
) -> pd.DataFrame:
    """One row a user: user_id, vector_0 .. vector_{d-1} (float32), engagement (float32), known (boolean).

    The vector is what stands for the user in the net, through the plugin of the stratum where one is in use; which
    plugin that is goes by the number of events, as in `top_items`. Engagement is the probability that the user's
    next item is one of the 10 best that the history lacks, in 0..1:

        engagement = sigma(intercept + slope logit(raw)),   raw by `raw_engagement` of the scores as shipped

    with the `Calibration` of the fit, on validation queries. It assumes that the next period is like that of the
    validation, whose users all had a next event, two of them where the split is leave last out: of users who do
    not come back it says too much. It is slightly optimistic, since validation queries also chose the epoch of
    the backbone, what the gates let in and the weights of the memory. On Amazon Beauty (4 epochs; 22,363 test
    queries) it is .089 on average where 7.2% hit, raw .60; by tenths of the users it rises from .030 to .34, the
    hits from 2.9% to 27%, and it says too much in the middle (.047 where 2.6% hit). Without a validation query
    there is no calibration, and engagement is the raw one: it orders users and is no probability.

    An empty history has a vector of zeros, `known` False and `empty_engagement`. Misleads when a history holds
    events of during or after the campaign: features are what was known before it. Vectors of two fits do not compare.
    `progress` is told after each batch how many histories are done, and of how many.

    Raises InputError for another number of ids than histories, and as `top_items` does.
    """
    import pandas as pd

    users = np.asarray(user_id)
    if users.shape != (len(histories),):
        raise InputError(f"user_id has shape {users.shape} for {len(histories):,} histories; one id each is expected")
    known = histories.counts > 0
    vector = np.zeros((len(histories), recommender.net.width), dtype=np.float32)
    engagement = np.full(len(histories), empty_engagement(recommender), dtype=np.float32)
    scorer = scorer_of(recommender, histories, None)
    calibration = recommender.calibration
    for rows, table in score_batches(recommender, histories, np.flatnonzero(known), None, batch, progress):
        vector[rows] = scorer.vectors(histories, rows, rows)
        raw = raw_engagement(table, histories, rows, recommender.settings.loss.name)
        engagement[rows] = raw if calibration is None else calibration.probability(raw)
    columns: dict[str, Any] = {"user_id": users}
    columns |= {f"vector_{k}": vector[:, k] for k in range(vector.shape[1])}
    return pd.DataFrame(columns | {ENGAGEMENT: engagement, KNOWN: known})


def empty_engagement(recommender: Recommender) -> float:
    """The engagement of a user of whom nothing is known: the share of the training events that the 10 top items have.

    It is how often an event of anybody is one of these items, whatever the loss, so it needs no calibration. Misleads
    where users without a history are of another kind than those of the log.
    """
    return float(np.sort(recommender.popularity)[::-1][:ENGAGEMENT_ITEMS].sum())


def add_features(
    frame: object, features: pd.DataFrame, *, user_id: str = "user_id", engagement: float | None = None
) -> Any:
    """The frame (pandas, polars or Arrow), one row a user, with the columns of `user_features` joined by user id.

    Users who are not in `features` get a vector of zeros, `known` False, and `engagement`, usually
    `empty_engagement(recommender)`; without it they are an error, since a missing feature is none. Ids that are
    whole numbers on one side and text on the other match where they read the same. The names of the new columns,
    for `Campaign.from_frame(features=...)`, are `feature_names(features)`.

    Raises InputError for columns that the frame has already, missing ids, and repeated ids in `features`.
    """
    import pandas as pd

    table = open_frame(frame)
    names = feature_names(features)
    clash = [name for name in names if name in table.columns]
    if clash:
        raise InputError(f"the frame has a column {clash[0]!r} already; rename it or leave it out")
    code, ids = codes_of(table, user_id, "user_id")
    mine, theirs = alike(np.asarray(features["user_id"]), ids)
    index = pd.Index(mine)
    if index.has_duplicates:
        again = index[index.duplicated()][0]
        raise InputError(f"features have user {again!r} more than once; one row a user is expected")
    place = index.get_indexer(pd.Index(theirs))[code]
    missing = place < 0
    if missing.any() and engagement is None:
        raise InputError(
            f"{int(missing.sum()):,} of {len(place):,} users have no features, the first in row "
            f"{int(np.argmax(missing)):,} (counted from 0); say what engagement such users get, "
            "engagement=empty_engagement(recommender), or drop these rows"
        )
    known = isinstance(engagement, int | float | np.number | None)
    if not known or (engagement is not None and not 0 <= engagement <= 1):
        raise InputError(f"engagement is {engagement!r}; a probability is expected: empty_engagement(recommender)")
    columns = []
    for name in names:
        cells = np.asarray(features[name])[place] if len(features) else np.zeros(len(place), dtype=np.float32)
        cells = cells.astype(np.bool_) if name == KNOWN else cells
        cells[missing] = engagement if name == ENGAGEMENT else 0
        columns.append(nw.new_series(name, cells, backend=table.implementation))
    return table.with_columns(*columns).to_native()


def feature_names(features: pd.DataFrame) -> Sequence[str]:
    """The columns of `user_features` that are features: all but user_id. Raises InputError for another frame."""
    names = [str(name) for name in features.columns if name != "user_id"]
    if "user_id" not in features.columns or not {ENGAGEMENT, KNOWN} <= set(names):
        raise InputError(
            f"features have the columns {', '.join(map(str, list(features.columns)[:5]))}, ...; those of "
            "user_features are expected: user_id, vector_0, ..., engagement, known"
        )
    return names
