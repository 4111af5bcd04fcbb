"""Recall, NDCG, MRR and AUC of one relevant item: by hand, their laws, and names."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uplift import InputError
from uplift.recommender.full_ranking import Ranks
from uplift.recommender.ranking_metrics import METRICS, auc, metric, mrr, ndcg, recall


def one(above, tied=0, candidates=100):
    return Ranks([above], [tied], [candidates], [0])


def test_a_target_at_place_3_by_hand():
    """Rank 3: 1 / log2(4) = 1/2, 1 / 3; of the 99 others 97 are below. Beyond k all are 0."""
    assert ndcg(one(2), 5)[0] == pytest.approx(0.5, abs=1e-15)
    assert mrr(one(2), 5)[0] == pytest.approx(1 / 3, abs=1e-15)
    assert recall(one(2), 5)[0] == 1
    assert auc(one(2))[0] == pytest.approx(97 / 99, abs=1e-15)
    assert [f(one(2), 2)[0] for f in (recall, ndcg, mrr)] == [0, 0, 0]
    assert [f(one(0), 1)[0] for f in (recall, ndcg, mrr)] == [1, 1, 1]


def test_a_tie_over_places_2_to_4_by_hand():
    """Places 2, 3, 4, each a third; with k = 3 only 2 and 3 gain: (1/log2 3 + 1/2) / 3 and (1/2 + 1/3) / 3."""
    ranks = one(1, tied=2, candidates=5)
    assert recall(ranks, 3)[0] == pytest.approx(2 / 3, abs=1e-15)
    assert ndcg(ranks, 3)[0] == pytest.approx((1 / math.log2(3) + 0.5) / 3, abs=1e-15)
    assert mrr(ranks, 3)[0] == pytest.approx(5 / 18, abs=1e-15)
    assert auc(ranks)[0] == pytest.approx(0.5, abs=1e-15)  # 1 above, 1 below, 2 beside


def test_a_scorer_without_an_opinion_is_a_coin():
    """All 50 items tie: recall@5 is 5/50, auc 1/2, and not the perfect score of a sort that leaves them in place."""
    ranks = one(0, tied=49, candidates=50)
    assert recall(ranks, 5)[0] == pytest.approx(0.1, abs=1e-15)
    assert auc(ranks)[0] == 0.5


def test_auc_of_the_only_candidate_is_nan():
    ranks = Ranks([0, 0], [0, 0], [1, 2], [0, 1])
    np.testing.assert_array_equal(auc(ranks), [np.nan, 1.0])
    assert recall(ranks, 5).tolist() == [1, 1]


def test_large_k_keeps_twelve_digits():
    """Place 900,001 of a million, everything counted: 1 / log2(900,002), however large the running sum."""
    ranks = one(900_000, candidates=1_000_000)
    assert ndcg(ranks, 10**12)[0] == pytest.approx(1 / math.log2(900_002), abs=1e-13)
    assert mrr(ranks, 10**12)[0] == pytest.approx(1 / 900_001, abs=1e-15)


@given(above=st.integers(0, 40), tied=st.integers(0, 40), below=st.integers(0, 40), k=st.integers(1, 130))
def test_laws(above, tied, below, k):
    """mrr <= ndcg <= recall <= 1 as 1/r <= 1/log2(1+r) <= 1; more places gain more; a worse place never gains."""
    ranks = one(above, tied, above + tied + below + 1)
    found = [f(ranks, k)[0] for f in (mrr, ndcg, recall)]
    assert 0 <= found[0] <= found[1] + 1e-15 <= found[2] + 2e-15 <= 1 + 3e-15
    worse = one(above + 1, tied, above + tied + below + 2)
    for f, now in zip((mrr, ndcg, recall), found, strict=True):
        assert f(ranks, k + 1)[0] >= now - 1e-15
        assert f(worse, k)[0] <= now + 1e-15
    if tied:
        split = [f(Ranks([above, above + 1], [0, tied - 1], [200, 200], [0, 1]), k) for f in (mrr, ndcg, recall)]
        for now, (first, rest) in zip(found, split, strict=True):
            assert now == pytest.approx((first + tied * rest) / (tied + 1), abs=1e-14)


def test_names_reach_their_functions():
    ranks = Ranks([0, 3, 12], [2, 0, 4], [50, 50, 50], [0, 1, 2])
    assert " ".join(METRICS) == "recall@5 recall@10 recall@20 ndcg@5 ndcg@10 ndcg@20 mrr@5 mrr@10 mrr@20 auc"
    for name, function in (("recall", recall), ("ndcg", ndcg), ("mrr", mrr)):
        for k in (1, 5, 14):
            np.testing.assert_array_equal(metric(ranks, f"{name}@{k}"), function(ranks, k))
    np.testing.assert_array_equal(metric(ranks, "auc"), auc(ranks))


def test_no_queries_give_no_values():
    none = Ranks([], [], [], [])
    assert [metric(none, name).shape for name in METRICS] == [(0,)] * len(METRICS)


@pytest.mark.parametrize("name", ["ndgc@10", "ndcg", "auc@5", "ndcg@", "ndcg@-1", "NDCG@10 ", "", None, 5])
def test_unknown_names_are_refused(name):
    with pytest.raises(InputError, match=r"metric .* is not known; auc, or recall, ndcg or mrr @k"):
        metric(one(0), name)


@pytest.mark.parametrize("k", [0, -1, 2.0, True, None, "5"])
def test_k_is_a_whole_number_of_at_least_one(k):
    for function in (recall, ndcg, mrr):
        with pytest.raises(InputError, match=r"k is .*; a whole number of at least 1"):
            function(one(0), k)
    with pytest.raises(InputError, match="k is 0"):
        metric(one(0), "ndcg@0")
