"""How good a ranking is, query by query: Recall, NDCG, MRR and AUC with one relevant item, ties by expectation."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uplift.errors import InputError, check_whole, nearest
from uplift.recommender.full_ranking import Ranks

Array = NDArray[np.float64]
METRICS = (*(f"{name}@{k}" for name in ("recall", "ndcg", "mrr") for k in (5, 10, 20)), "auc")
"""Names that `evaluate_ranking` reports by default; `metric` says what they are."""


def recall(ranks: Ranks, k: int) -> Array:
    """The chance that the target is among the first k, (q,), in 0..1; with one relevant item also the hit rate.

        recall@k = P(rank <= k) = min(max(k - above, 0), tied + 1) / (tied + 1)

    Ties are in a uniformly random order. Raises InputError unless k is a whole number of at least 1.
    """
    return np.asarray(np.clip(_checked(k) - ranks.above, 0, ranks.tied + 1) / (ranks.tied + 1))


def ndcg(ranks: Ranks, k: int) -> Array:
    """Normalised discounted cumulative gain of the first k, (q,), in 0..1.

        ndcg@k = E[1{rank <= k} / log2(1 + rank)];   the ideal, the only relevant item first, is 1

    Ties are in a uniformly random order. Raises InputError unless k is a whole number of at least 1.
    Source: Järvelin and Kekäläinen 2002 (TOIS) for the discount, McSherry and Najork 2008 (ECIR) for the mean over
    ties; both as scikit-learn's `ndcg_score` has them, with which the tests compare, not checked in the papers.
    """
    return _expected(ranks, _checked(k), lambda rank: 1 / np.log2(1 + rank))


def mrr(ranks: Ranks, k: int) -> Array:
    """The reciprocal rank, 0 beyond the first k, (q,), in 0..1: mrr@k = E[1{rank <= k} / rank].

    Ties are in a uniformly random order. Raises InputError unless k is a whole number of at least 1.
    """
    return _expected(ranks, _checked(k), lambda rank: 1 / rank)


def auc(ranks: Ranks) -> Array:
    """The share of the other candidates that stand below the target, half for a tie, (q,), in 0..1.

        auc = 1 - (above + tied / 2) / (candidates - 1)

    It is the chance that the target beats another candidate drawn at random. NaN where the target is the only
    candidate. Misleads where few items are shown: most of it is about the order of items that nobody sees.
    """
    with np.errstate(invalid="ignore"):
        return np.asarray(1 - (ranks.above + ranks.tied / 2) / (ranks.candidates - 1))


def metric(ranks: Ranks, name: str) -> Array:
    """The metric of a name such as "ndcg@10" or "auc" for each query of `ranks`, (q,) in 0..1, larger is better.

        recall@k = P(r <= k);   ndcg@k = E[1{r <= k} / log2(1 + r)];   mrr@k = E[1{r <= k} / r]
        auc = 1 - (above + tied / 2) / (candidates - 1)

    r is the rank of the target among the candidates, 1 the first, ties in a uniformly random order; the target is
    the only relevant item, so recall is the hit rate too. Any k of at least 1 will do. auc is NaN where the target is
    the only candidate; it misleads where few items are shown, since most of it is about the order of those that
    nobody sees. Raises InputError for another name and a k of 0.
    """
    known = {"recall": recall, "ndcg": ndcg, "mrr": mrr}
    parts = re.fullmatch(r"([a-z]+)@([0-9]+)", name) if isinstance(name, str) else None
    if parts and parts[1] in known:
        return known[parts[1]](ranks, int(parts[2]))
    if name == "auc":
        return auc(ranks)
    raise InputError(f"metric {name!r} is not known; auc, or recall, ndcg or mrr @k.{nearest(str(name), METRICS)}")


def _expected(ranks: Ranks, k: int, gain: Callable[[Any], Any]) -> Array:
    """The mean gain over ranks above + 1..above + tied + 1, where ranks beyond k gain nothing.

    A difference of running sums, in extended precision because for large k it is far smaller than they are.
    """
    last = min(k, int(ranks.candidates.max(initial=1)))
    running = np.concatenate([[0], np.cumsum(gain(np.arange(1, last + 1, dtype=np.longdouble)))])
    first, end = np.minimum(ranks.above, last), np.minimum(ranks.above + ranks.tied + 1, last)
    return np.asarray((running[end] - running[first]) / (ranks.tied + 1), dtype=np.float64)


def _checked(k: int) -> int:
    check_whole(k, "k")
    return int(k)
