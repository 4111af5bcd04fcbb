"""The memory against counting pairs one by one."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uplift.errors import InputError
from uplift.recommender import Histories
from uplift.recommender.memory import Memory

logs = st.lists(st.lists(st.integers(1, 6), max_size=8), min_size=1, max_size=6)


def histories(rows):
    return Histories(
        np.array([v for row in rows for v in row], dtype=np.int32),
        np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64),
    )


@given(logs, logs, st.lists(st.sampled_from([0.0, 0.5, 2.0]), min_size=2, max_size=2))
def test_the_memory_adds_the_weighted_logarithm_of_one_and_the_count(train, asked, weight):
    memory = Memory.fit(histories(train), 6, 2).weighing(weight)
    h, group = histories(asked), np.arange(len(asked)) % 2
    scores = np.random.default_rng(0).normal(size=(len(asked), 6)).astype(np.float32)
    got = memory.add(scores, h, np.arange(len(asked)), group)
    for i, row in enumerate(asked):
        for v in range(1, 7):
            pairs = sum((a, b) == (row[-1], v) for of_user in train for a, b in pairwise(of_user)) if row else 0
            assert got[i, v - 1] == pytest.approx(scores[i, v - 1] + weight[group[i]] * np.log1p(pairs), abs=1e-5)


def test_the_last_item_of_a_user_is_not_followed_by_the_first_of_the_next():
    memory = Memory.fit(histories([[1, 2], [], [3, 4]]), 4, 1)
    assert memory.counts.toarray()[2].sum() == 0
    assert memory.counts.toarray()[[1, 3], [1, 3]].tolist() == [1, 1]


def test_weight_zero_leaves_the_scores_as_they_were_to_the_bit():
    memory = Memory.fit(histories([[1, 2, 1, 2]]), 3, 2)
    scores = np.random.default_rng(1).normal(size=(2, 3)).astype(np.float32)
    h = histories([[1], [2]])
    np.testing.assert_array_equal(memory.add(scores, h, np.arange(2), np.array([0, 1])), scores)
    one = memory.weighing([0, 3.0]).add(scores, h, np.arange(2), np.array([0, 1]))
    np.testing.assert_array_equal(one[0], scores[0])
    assert one[1, 0] > scores[1, 0]


def test_the_scores_given_are_not_written_into():
    memory = Memory.fit(histories([[1, 2]]), 2, 1).weighing([1.0])
    scores = np.zeros((1, 2), dtype=np.float32)
    memory.add(scores, histories([[1]]), np.arange(1), np.zeros(1, dtype=np.int64))
    assert not scores.any()


@pytest.mark.parametrize("weight", [[1.0], [1.0, np.nan], 2.0])
def test_weights_of_another_number_or_not_finite_are_refused(weight):
    with pytest.raises(InputError, match="2 finite numbers are expected"):
        Memory.fit(histories([[1, 2]]), 2, 2).weighing(weight)


def test_items_and_groups_that_are_not_there_are_refused():
    with pytest.raises(InputError, match="item code 3; codes 1 to n_items=2 are expected"):
        Memory.fit(histories([[1, 3]]), 2, 1)
    with pytest.raises(InputError, match="n_groups is 0; a whole number of at least 1"):
        Memory.fit(histories([[1, 2]]), 2, 0)
