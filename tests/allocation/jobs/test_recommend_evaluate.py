"""What the evaluation of a recommender says in words, from ranks that are written down."""

from __future__ import annotations

import numpy as np
import pytest

from allocation.jobs.recommend_evaluate import BACKBONE, LAST, MAIN, RecommendEvaluation
from allocation.jobs.recommend_terminal import evaluation_text
from uplift.recommender import Ranks, activeness_strata, evaluate_ranking

STRATA = activeness_strata(np.arange(1, 101), 5)  # one user each of 1..100 events: the tail are the first 80


def evaluation(above: dict[str, np.ndarray], users: np.ndarray) -> RecommendEvaluation:
    """Of these models, by how many items stand above the target of each user."""
    zero = np.zeros(len(users), dtype=np.int64)
    ranks = {name: Ranks(rank[users], zero, zero + 100, users) for name, rank in above.items()}
    tables = {
        name: evaluate_ranking({MAIN: ranks[MAIN], name: ranks[name]}, STRATA, against=name, n_bootstrap=200)
        for name in (LAST, BACKBONE)
    }
    return RecommendEvaluation("log", len(users), 100, tables)


def models() -> dict[str, np.ndarray]:
    """Beside the last item everybody's target is nearer to the top for the tail, further for the head.

    The backbone is the same for the tail, and for the head better and worse in turn.
    """
    main = np.full(100, 3)
    last = np.where(STRATA.head, 1, 8)
    backbone = np.where(STRATA.head, np.where(np.arange(100) % 2, 4, 2), 3)
    return {MAIN: main, LAST: last, BACKBONE: backbone}


def test_each_simpler_model_gets_a_sentence_for_tail_and_head():
    found = evaluation(models(), np.arange(100))
    expected = [
        "recommender against last item: better for tail users, worse for head users (ndcg@10, paired 95% intervals).",
        "recommender against backbone alone: no difference at all for tail users, not distinguishable for head users "
        "(ndcg@10, paired 95% intervals).",
    ]
    assert found.verdicts() == expected
    assert found.as_json()["verdicts"] == expected
    text = evaluation_text(found)
    assert " ".join(f"- {one}" for one in expected) in " ".join(text.split())
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize(("head", "words"), [([], "too few"), ([99], "too few"), ([97, 98], "worse")])
def test_a_group_of_one_user_or_none_is_too_small_to_tell(head: list[int], words: str):
    users = np.array([*range(80), *head])
    assert f"better for tail users, {words}" in evaluation(models(), users).verdicts()[0]


def test_tail_and_head_that_agree_share_a_verdict():
    above = models()
    above[LAST] = np.full(100, 9)
    assert "last item: better for tail and head users (" in evaluation(above, np.arange(100)).verdicts()[0]
