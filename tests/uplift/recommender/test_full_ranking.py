"""Ranks of targets among all items: against sorted lists, by hand, in batches, and what is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from sklearn.metrics import ndcg_score, roc_auc_score

from tests import oracles
from uplift import InputError
from uplift.recommender import full_ranking
from uplift.recommender.full_ranking import Ranks, rank_targets
from uplift.recommender.histories import Histories
from uplift.recommender.ranking_metrics import auc, metric
from uplift.recommender.splitting import Queries


class Table:
    """A scorer that has one row of scores a query, and notes what it was asked."""

    def __init__(self, scores):
        self.table, self.asked = np.asarray(scores), []

    def scores(self, histories, rows, users=None):
        self.asked.append((np.array(rows), np.array(users)))
        return self.table[rows]


def queries(histories, targets, user=None):
    offsets = np.cumsum([0, *(len(h) for h in histories)]).astype(np.int64)
    items = np.array([v for h in histories for v in h], dtype=np.int32)
    user = np.arange(len(targets)) if user is None else np.array(user)
    return Queries(user, Histories(items, offsets), np.array(targets, dtype=np.int32))


def rank(scores, history, target, **options):
    found = rank_targets(Table([scores]), queries([history], [target]), len(scores), **options)
    return found.above[0], found.tied[0], found.candidates[0]


def random_rankings(count, seed, n_items=30, levels=6):
    """Scores on few levels, hence many ties; histories of 0 to 12 items with repeats, some hold the target."""
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, levels, (count, n_items)).astype(np.float32) / 4 - 1
    histories = [rng.integers(1, n_items + 1, rng.integers(0, 13)).tolist() for _ in range(count)]
    return scores, histories, rng.integers(1, n_items + 1, count).tolist()


@pytest.mark.parametrize("seen", ["excluded", "ranked"])
def test_thousand_random_rankings_equal_a_sorted_list(seen):
    scores, histories, targets = random_rankings(1_000, seed=0)
    assert sum(t in h for t, h in zip(targets, histories, strict=True)) > 50
    ranks = rank_targets(Table(scores), queries(histories, targets), 30, seen=seen, batch=64)
    assert np.mean(ranks.tied > 0) > 0.9
    for k in (1, 3, 5, 10, 29, 100):
        expected = [
            oracles.ranking_over_places(s, t, set(h) if seen == "excluded" else set(), k)
            for s, h, t in zip(scores.tolist(), histories, targets, strict=True)
        ]
        for name in ("recall", "ndcg", "mrr"):
            np.testing.assert_allclose(
                metric(ranks, f"{name}@{k}"), [one[name] for one in expected], rtol=0, atol=1e-12
            )
        np.testing.assert_allclose(auc(ranks), [one["auc"] for one in expected], rtol=0, atol=1e-12)


def test_ties_as_scikit_learn_has_them():
    scores, histories, targets = random_rankings(300, seed=6)
    ranks = rank_targets(Table(scores), queries(histories, targets), 30, seen="ranked")
    relevant = np.eye(30)[np.array(targets) - 1]
    for k in (1, 4, 10, 30):
        expected = [ndcg_score([y], [s], k=k) for y, s in zip(relevant, scores, strict=True)]
        np.testing.assert_allclose(metric(ranks, f"ndcg@{k}"), expected, rtol=0, atol=1e-12)
    expected = [roc_auc_score(y, s) for y, s in zip(relevant, scores, strict=True)]
    np.testing.assert_allclose(auc(ranks), expected, rtol=0, atol=1e-12)


@given(
    scores=st.lists(st.integers(-1, 1), min_size=1, max_size=6),
    history=st.lists(st.integers(1, 6), max_size=4),
    target=st.integers(1, 6),
    k=st.integers(1, 7),
)
def test_expectation_equals_every_order_of_the_ties(scores, history, target, k):
    n_items = len(scores)
    history, target = [v for v in history if v <= n_items], min(target, n_items)
    ranks = rank_targets(Table([scores]), queries([history], [target]), n_items)
    expected = oracles.ranking_over_orders(scores, target, set(history), k)
    for name in ("recall", "ndcg", "mrr"):
        np.testing.assert_allclose(metric(ranks, f"{name}@{k}"), expected[name], rtol=0, atol=1e-12)
    np.testing.assert_allclose(auc(ranks), expected["auc"], rtol=0, atol=1e-12)


def test_ranks_by_hand():
    """Target 3 scores 5: item 1 above; 2 and 4 beside; 5 below. Items 1 and 2 are in the history, 2 of them twice."""
    scores = [9.0, 5.0, 5.0, 5.0, 1.0]
    assert rank(scores, [2, 1, 2], 3) == (0, 1, 3)
    assert rank(scores, [2, 1, 2], 3, seen="ranked") == (1, 2, 5)
    assert rank(scores, [], 3) == (1, 2, 5)


def test_a_target_in_its_own_history_stays_a_candidate():
    assert rank([1.0, 2.0, 3.0], [3, 1, 3], 3) == (0, 0, 2)
    assert rank([1.0, 2.0, 3.0], [1, 2, 3], 1) == (0, 0, 1)  # the only candidate: nobody is above it


def test_equal_scores_tie_and_the_next_float_does_not():
    one = np.float32(1)
    assert rank(np.array([one, one, np.nextafter(one, np.float32(2)), 0], dtype=np.float32), [], 1) == (1, 1, 4)
    # In double precision as given: these two would be equal in single precision.
    assert rank(np.array([1.0, 1.0 + 1e-12]), [], 1) == (1, 0, 2)


def test_one_item_and_the_largest_scores():
    assert rank([0.0], [1], 1) == (0, 0, 1)
    top = np.finfo(np.float32).max
    assert rank(np.array([top, -top, top], dtype=np.float32), [3], 2) == (1, 0, 2)


def test_whole_numbers_and_lists_are_scores():
    class Lists:
        def scores(self, histories, rows, users=None):
            return [[3, 1, 2]] * len(rows)

    found = rank_targets(Lists(), queries([[], []], [1, 3]), 3)
    assert_array_equal(found.above, [0, 1])


@pytest.mark.parametrize("batch", [1, 7, 100, 10_000])
def test_batches_change_nothing_and_users_are_handed_on(batch, monkeypatch):
    scores, histories, targets = random_rankings(100, seed=1)
    user = np.arange(100) * 3 + 5
    scorer, asked = Table(scores), queries(histories, targets, user)
    whole = rank_targets(Table(scores), asked, 30, batch=100)
    told = []
    found = rank_targets(scorer, asked, 30, batch=batch, progress=lambda *count: told.append(count))
    assert told == [(min(done, 100), 100) for done in range(batch, 100 + batch, batch)]
    for name in ("above", "tied", "candidates", "user"):
        assert_array_equal(getattr(found, name), getattr(whole, name))
    assert_array_equal(found.user, user)
    assert_array_equal(np.concatenate([rows for rows, _ in scorer.asked]), np.arange(100))
    assert_array_equal(np.concatenate([users for _, users in scorer.asked]), user)
    monkeypatch.setattr(full_ranking, "SCORES_AT_ONCE", 95)
    narrow = Table(scores)
    assert_array_equal(rank_targets(narrow, asked, 30, batch=batch).above, whole.above)
    assert max(len(rows) for rows, _ in narrow.asked) == min(batch, 3)  # 3 x 30 scores, not 4 x 30


def test_scores_are_left_as_they_are():
    scores, histories, targets = random_rankings(20, seed=2)

    class Whole:
        def scores(self, histories, rows, users=None):
            return scores

    before = scores.copy()
    rank_targets(Whole(), queries(histories, targets), 30)
    assert_array_equal(scores, before)


def test_order_of_queries_and_names_of_items_do_not_matter():
    scores, histories, targets = random_rankings(200, seed=3)
    ranks = rank_targets(Table(scores), queries(histories, targets), 30)
    rng = np.random.default_rng(4)
    order, code = rng.permutation(200), rng.permutation(30)
    renamed = np.empty_like(scores)
    renamed[:, code] = scores
    again = rank_targets(
        Table(renamed[order]),
        queries([[code[v - 1] + 1 for v in histories[i]] for i in order], [code[targets[i] - 1] + 1 for i in order]),
        30,
    )
    for name in ("above", "tied", "candidates"):
        assert_array_equal(getattr(again, name), getattr(ranks, name)[order])


def test_no_queries_give_no_ranks():
    assert len(rank_targets(Table(np.zeros((0, 3))), queries([], []), 3)) == 0


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_scores_that_are_not_finite_are_refused(bad):
    scores = np.zeros((3, 4), dtype=np.float32)
    scores[1, 2] = bad
    with pytest.raises(InputError, match=r"1 scores that are not finite.*query 1, item code 3: -?(nan|inf)"):
        rank_targets(Table(scores), queries([[]] * 3, [1] * 3), 4)


def test_other_bad_input_is_refused():
    good = queries([[1], [2]], [2, 1])
    with pytest.raises(InputError, match=r"scores of shape \(2, 3\).*\(2, 4\) are expected"):
        rank_targets(Table(np.zeros((2, 3))), good, 4)
    with pytest.raises(InputError, match=r"seen is 'exclude'.*Did you mean 'excluded'"):
        rank_targets(Table(np.zeros((2, 2))), good, 2, seen="exclude")
    with pytest.raises(InputError, match="target items have codes 1 to 2; codes 1 to n_items=1"):
        rank_targets(Table(np.zeros((2, 1))), good, 1)
    with pytest.raises(InputError, match="history items have codes 1 to 3"):
        rank_targets(Table(np.zeros((2, 2))), queries([[1], [3]], [2, 1]), 2)
    for name, bad in (("batch", 0), ("batch", 2.5), ("n_items", 0), ("n_items", True)):
        with pytest.raises(InputError, match=rf"{name} is {bad!r}; a whole number of at least 1"):
            rank_targets(Table(np.zeros((2, 2))), good, **{"n_items": 2, name: bad})


def test_ranks_that_cannot_be_are_refused():
    with pytest.raises(InputError, match="query 1 has 2 items above and 1 beside its target, which is one of 3"):
        Ranks([0, 2], [0, 1], [3, 3], [0, 1])
    with pytest.raises(InputError, match="tied has 1 entries for 2 queries"):
        Ranks([0, 2], [0], [3, 3], [0, 1])
    with pytest.raises(InputError, match="above has -1 at query 1"):
        Ranks([0, -1], [0, 0], [3, 3], [0, 1])
    with pytest.raises(InputError, match=r"above has shape \(1,\) of float64"):
        Ranks([0.5], [0], [3], [0])
