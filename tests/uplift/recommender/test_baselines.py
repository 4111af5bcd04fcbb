"""Popularity and last item: against counts in plain Python, by hand, and where counts outgrow single precision."""

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from uplift import InputError
from uplift.recommender.baselines import LastItem, Popularity
from uplift.recommender.full_ranking import rank_targets
from uplift.recommender.histories import Histories
from uplift.recommender.splitting import Queries


def histories(lists):
    offsets = np.cumsum([0, *(len(h) for h in lists)]).astype(np.int64)
    return Histories(np.array([v for h in lists for v in h], dtype=np.int32), offsets)


def scores(model, lists):
    return model.scores(histories(lists), np.arange(len(lists)))


def order_of(row):
    """Every pair's order, ties included: what a ranking sees of scores."""
    return np.sign(np.subtract.outer(row, row))


LOGS = st.lists(st.lists(st.integers(1, 6), max_size=8), min_size=1, max_size=8).filter(any)


@given(train=LOGS, asked=st.lists(st.lists(st.integers(1, 6), max_size=3), min_size=1, max_size=5))
def test_order_is_by_transitions_then_popularity(train, asked):
    popularity = Counter(v for h in train for v in h)
    follow = Counter((a, b) for h in train for a, b in itertools.pairwise(h))
    assert_array_equal(
        scores(Popularity.fit(histories(train), 6), asked), [[popularity[v] for v in range(1, 7)]] * len(asked)
    )
    found = scores(LastItem.fit(histories(train), 6), asked)
    assert found.dtype == np.float32
    for row, history in zip(found, asked, strict=True):
        # 1000 outweighs any popularity here.
        key = [1000 * (follow[history[-1], v] if history else 0) + popularity[v] for v in range(1, 7)]
        assert_array_equal(order_of(row), order_of(np.array(key)))


def test_by_hand():
    """1 1 2 / 1 3 / 4: popularity 3 1 1 1; after 1 came 1, 2 and 3 once each, so 1 first and 2 and 3 tie above 4."""
    train = histories([[1, 1, 2], [1, 3], [], [4]])
    assert_array_equal(scores(Popularity.fit(train, 5), [[], [2]]), [[3, 1, 1, 1, 0]] * 2)
    after_1, after_2, of_nobody = scores(LastItem.fit(train, 5), [[3, 1], [2], []])
    assert after_1[0] > after_1[1] == after_1[2] > after_1[3] > after_1[4]
    # Nothing ever came after 2, which ended its history: the next user's first event is no transition.
    for row in (after_2, of_nobody):
        assert row[0] > row[1] == row[2] == row[3] > row[4]


def test_a_follower_is_above_the_most_popular_item():
    train = histories([[1]] * 50 + [[2, 3]])
    assert scores(LastItem.fit(train, 3), [[2]])[0].argmax() == 2


def test_the_rows_asked_for_are_answered_and_users_do_not_matter():
    train = histories([[1, 2], [2, 3], [3, 1]])
    model = LastItem.fit(train, 3)
    found = model.scores(train, np.array([2, 0, 2]), np.array([5, 6, 7]))
    # The last items of rows 2, 0, 2 are 1, 2, 1, which 2, 3, 2 followed.
    assert_array_equal(found.argmax(axis=1), [1, 2, 1])
    assert Popularity.fit(train, 3).scores(train, np.array([1, 1]), None).shape == (2, 3)


def test_order_survives_where_counts_plus_a_share_would_lose_it():
    """After 1 come 2 and 3 equally often, 3,000 times; 3 is more popular by one of 12,001 events."""
    items = np.array([1, 2, 1, 3] * 3_000 + [3], dtype=np.int32)
    assert np.float32(3_000 + 3_001 / 12_001) == np.float32(3_000 + 3_000 / 12_001)
    row = scores(LastItem.fit(Histories(items, np.array([0, len(items)])), 4), [[1]])[0]
    assert row[2] > row[1] > row[0] > row[3]


def test_no_transition_at_all_is_popularity():
    train = histories([[1], [2], [2], [4]])
    found = scores(LastItem.fit(train, 4), [[1], [3], []])
    for row in found:
        assert_array_equal(order_of(row), order_of(np.array([1, 2, 0, 1])))


def test_both_rank_targets():
    train = histories([[1, 2, 3], [2, 3], [3, 2], [1, 2]])
    asked = Queries(np.array([0, 1]), histories([[1], [2]]), np.array([2, 3], dtype=np.int32))
    # Counts 2 4 3: item 2 leads for the first user, 3 for the second, who has had 2.
    assert_array_equal(rank_targets(Popularity.fit(train, 3), asked, 3).above, [0, 0])
    assert_array_equal(rank_targets(Popularity.fit(train, 3), asked, 3, seen="ranked").above, [0, 1])
    assert_array_equal(rank_targets(LastItem.fit(train, 3), asked, 3, seen="ranked").above, [0, 0])


@pytest.mark.parametrize("model", [Popularity, LastItem])
def test_bad_input_is_refused(model):
    with pytest.raises(InputError, match="no events of 2 users; at least one is expected"):
        model.fit(histories([[], []]), 3)
    with pytest.raises(InputError, match="item code 4; codes 1 to n_items=3 are expected"):
        model.fit(histories([[4]]), 3)
    with pytest.raises(InputError, match="n_items is 0; a whole number"):
        model.fit(histories([[1]]), 0)
