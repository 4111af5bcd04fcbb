"""Full ranking: where the item that really came next stands among all items, none of them sampled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from uplift.errors import InputError, check_whole, nearest

if TYPE_CHECKING:
    from uplift.recommender.histories import Histories
    from uplift.recommender.splitting import Queries

SEEN = ("excluded", "ranked")
SCORES_AT_ONCE = 1 << 25  # scores held at once: 128 MiB in single precision

Counted = Callable[[int, int], None]  # how many are done, and of how many


class Scorer(Protocol):
    """Anything that gives every item a score after a history; a higher score ranks first."""

    def scores(
        self, histories: Histories, rows: NDArray[np.int64], users: NDArray[np.int64] | None = None
    ) -> NDArray[np.float32]:
        """Scores (b, n_items) after the histories numbered `rows` (b,); column v - 1 is that of item code v.

        `users` (b,) are the rows of the log that the histories belong to, for a scorer that treats users
        differently, or None where they are not known.
        """
        ...


@dataclass(frozen=True, eq=False)
class Ranks:
    """Where the targets of q queries stand among their candidates.

    The rank of a target is above + 1 to above + tied + 1, each equally likely where an order of ties is drawn.

    Attributes
    ----------
    above : (q,) int64, candidates scored strictly above the target.
    tied : (q,) int64, other candidates with exactly the target's score.
    candidates : (q,) int64, items that are ranked, the target included.
    user : (q,) int64, row of the log that the query belongs to; several queries may belong to one user.

    Raises InputError for other shapes, for what are no whole numbers of at least 0, and where more items stand above
    or beside a target than there are other candidates.
    """

    above: NDArray[np.int64]
    tied: NDArray[np.int64]
    candidates: NDArray[np.int64]
    user: NDArray[np.int64]

    def __post_init__(self) -> None:
        for name in ("above", "tied", "candidates", "user"):
            given = np.asarray(getattr(self, name))
            if given.ndim != 1 or (len(given) and given.dtype.kind not in "iu"):
                raise InputError(
                    f"{name} has shape {given.shape} of {given.dtype}; one whole number a query, (q,), is expected"
                )
            if len(given) != len(np.asarray(self.above)):
                raise InputError(f"{name} has {len(given):,} entries for {len(self.above):,} queries; one each")
            if len(given) and given.min() < 0:
                raise InputError(f"{name} has {given.min()} at query {int(given.argmin()):,}; at least 0 is expected")
            object.__setattr__(self, name, given.astype(np.int64))
        beyond = self.above + self.tied >= self.candidates
        if beyond.any():
            i = int(np.argmax(beyond))
            raise InputError(
                f"query {i:,} has {self.above[i]:,} items above and {self.tied[i]:,} beside its target, which is one "
                f"of {self.candidates[i]:,} candidates; fewer than the candidates are expected"
            )

    def __len__(self) -> int:
        return len(self.above)

    def __repr__(self) -> str:
        return f"Ranks({len(self):,} queries)"


def rank_targets(
    scorer: Scorer,
    queries: Queries,
    n_items: int,
    *,
    seen: str = "excluded",
    batch: int = 512,
    progress: Counted | None = None,
) -> Ranks:
    """Rank the target of every query among all items, none of them sampled.

        above_i = #{v in C_i : s_iv > s_it},   tied_i = #{v in C_i, v != t : s_iv = s_it},   C_i the candidates

    Parameters
    ----------
    scorer : asked for (b, n_items) scores at a time.
    queries : histories, and the item that really came next.
    n_items : items are coded 1..n_items.
    seen : "excluded" takes the items of the history out of the candidates, except the target, which always is one;
        "ranked" leaves them in. Where people often come back to an item, "excluded" flatters every model.
    batch : queries at once, fewer where their scores would take more than 128 MiB in single precision.
    progress : told after each batch how many queries are done, and of how many.

    Scores are compared exactly as the scorer gives them, in its own precision; equal scores are ties, counted, and
    not settled by the position of the item. That is why a scorer that gives every item the same score gets the
    expectation of a random order, and not the first rank.

    Misleads when a good recommendation was never shown: an item that the user did not meet counts as wrong.

    Raises InputError for item codes beyond n_items, scores of another shape, and scores that are not finite.
    Source: for ranking among all items, Krichene and Rendle, Communications of the ACM 65(7), 2022, abstract: metrics
    over sampled items need not order two models as the exact ones do, not even in expectation.
    """
    if seen not in SEEN:
        raise InputError(f"seen is {seen!r}; one of {', '.join(map(repr, SEEN))} is expected.{nearest(seen, SEEN)}")
    for name, number in (("n_items", n_items), ("batch", batch)):
        check_whole(number, name)
    q, target = len(queries), np.asarray(queries.target, dtype=np.int64)
    for what, codes in (("target", target), ("history", queries.histories.items)):
        if len(codes) and (codes.min() < 1 or codes.max() > n_items):
            raise InputError(
                f"{what} items have codes {codes.min():,} to {codes.max():,}; codes 1 to n_items={n_items:,} are "
                "expected: take n_items from the log that coded these items"
            )
    owner, item = _others_seen(queries.histories, target, n_items) if seen == "excluded" else (target[:0], target[:0])
    above, tied = np.empty(q, dtype=np.int64), np.empty(q, dtype=np.int64)
    step = int(max(1, min(batch, SCORES_AT_ONCE // n_items)))
    for start in range(0, q, step):
        rows = np.arange(start, min(start + step, q))
        table = _checked(scorer.scores(queries.histories, rows, queries.user[rows]), rows, n_items)
        own = table[np.arange(len(rows)), target[rows] - 1]
        # Row by row, because a row of scores stays in the cache for both counts.
        for i, score, row in zip(rows, own, table, strict=True):
            above[i] = np.count_nonzero(row > score)
            tied[i] = np.count_nonzero(row == score) - 1
        first, end = np.searchsorted(owner, [start, start + len(rows)])
        of = owner[first:end] - start
        out, score = table[of, item[first:end] - 1], own[of]
        above[rows] -= np.bincount(of[out > score], minlength=len(rows))
        tied[rows] -= np.bincount(of[out == score], minlength=len(rows))
        if progress is not None:
            progress(start + len(rows), q)
    return Ranks(above, tied, n_items - np.bincount(owner, minlength=q), np.asarray(queries.user))


def _others_seen(
    histories: Histories, target: NDArray[np.int64], n_items: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Query and item code of every item that is in the query's history and not its target, once each, by query."""
    owner = np.repeat(np.arange(len(target)), histories.counts)
    pair = np.unique(owner * (n_items + 1) + histories.items)
    owner, item = np.divmod(pair, n_items + 1)
    others = item != target[owner]
    return owner[others], item[others]


def _checked(scores: Any, rows: NDArray[np.int64], n_items: int) -> NDArray[Any]:
    table = np.asarray(scores)
    if table.shape != (len(rows), n_items) or table.dtype.kind not in "fiu":
        raise InputError(
            f"the scorer gave scores of shape {table.shape} ({table.dtype}) for {len(rows):,} queries; numbers of "
            f"shape (queries, n_items) = ({len(rows)}, {n_items}) are expected"
        )
    # Extremes instead of every cell: a NaN is its row's minimum.
    if not (np.isfinite(table.min()) and np.isfinite(table.max())):
        bad = ~np.isfinite(table)
        i, v = (int(place) for place in np.argwhere(bad)[0])
        raise InputError(
            f"the scorer gave {int(bad.sum()):,} scores that are not finite among queries {rows[0]:,} to "
            f"{rows[-1]:,}, the first for query {rows[i]:,}, item code {v + 1}: {table[i, v]}; finite scores are "
            "expected, and items of the history are left out here, not by the scorer"
        )
    return table
