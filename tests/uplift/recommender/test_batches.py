"""Windows and epochs: every event but the first is a target once, and every group has its share of every step."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from uplift.recommender.batches import Examples, epoch, examples, windows
from uplift.recommender.histories import Histories


def train(sizes):
    """Histories of these sizes; every event has a code of its own, so that none can stand for another."""
    offsets = np.cumsum([0, *sizes]).astype(np.int64)
    return Histories(np.arange(1, offsets[-1] + 1, dtype=np.int32), offsets)


def test_windows_by_hand():
    """Six events in windows of two targets: the last event of one window is the first input of the next."""
    cut = windows(train([6, 1, 0, 2]), 2)
    assert_array_equal(cut.histories.padded(range(4), 3), [[1, 2, 3], [3, 4, 5], [5, 6, 0], [8, 9, 0]])
    assert cut.user.tolist() == [0, 0, 0, 3]
    assert cut.targets.tolist() == [2, 2, 1, 1]


@given(st.lists(st.integers(0, 12), max_size=6), st.integers(1, 5))
def test_every_event_but_the_first_is_a_target_once(sizes, length):
    """And the event before a target in its window is the event before it in the history of the window's user."""
    log = train(sizes)
    cut = windows(log, length)
    assert len(cut) == len(cut.targets) == len(cut.histories)
    pairs = []
    for w, user in enumerate(cut.user):
        events = cut.histories.padded([w], length + 1)[0][: cut.histories.counts[w]].tolist()
        assert 1 <= cut.targets[w] == len(events) - 1 <= length
        pairs += [(user, *pair) for pair in itertools.pairwise(events)]
    expected = [
        (user, code, code + 1)
        for user, start in enumerate(log.offsets[:-1])
        for code in range(start + 1, start + log.counts[user])
    ]
    assert sorted(pairs) == expected


def test_examples_of_groups():
    """Windows take the group of their user; users without a window still count as users."""
    data = examples(windows(train([6, 1, 0, 2]), 2), np.array([1, 1, 0, 0]))
    assert data.group.tolist() == [1, 1, 1, 0]
    assert data.targets.tolist() == [2, 2, 1, 1]
    assert data.users.tolist() == [2, 2]
    assert len(data) == 4


def of_groups(sizes, seed=0):
    group = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    return Examples(group, np.ones(len(group), np.int64), np.array(sizes))


@given(st.lists(st.integers(0, 15), min_size=1, max_size=5).filter(any), st.integers(1, 40), st.integers(0, 5))
def test_an_epoch_sees_everything_once_in_equal_shares(sizes, batch_size, seed):
    """Every example once, in the list of its group; a group's shares differ by one at most; no step is empty."""
    data = of_groups(sizes, seed)
    steps = list(epoch(data, batch_size, np.random.default_rng(seed)))
    assert len(steps) == min(-(-len(data) // batch_size), max(sizes))
    for z, size in enumerate(sizes):
        shares = [step[z] for step in steps]
        assert sorted(np.concatenate(shares)) == np.flatnonzero(data.group == z).tolist()
        assert {len(share) for share in shares} <= {size // len(steps), -(-size // len(steps))}
    assert min(sum(map(len, step)) for step in steps) > 0


def test_small_groups_do_not_sit_out_the_same_steps():
    """Three groups of 5 in 10 steps: by chance a step has none, one, two or three of them."""
    data = of_groups([100, 5, 5, 5])
    steps = list(epoch(data, 12, np.random.default_rng(0)))
    present = np.array([[len(share) for share in step[1:]] for step in steps])
    assert len(steps) == 10
    assert present.sum(axis=0).tolist() == [5, 5, 5]
    assert len(set(present.sum(axis=1))) > 2


@pytest.mark.parametrize("other", [0, 1])
def test_order_is_that_of_the_seed(other):
    """The same seed, the same order; a generator goes on to another order in the next epoch."""
    data = of_groups([30, 20])

    def _order(rng):
        return np.concatenate([np.concatenate(step) for step in epoch(data, 8, rng)]).tolist()

    rng = np.random.default_rng(0)
    first = _order(rng)
    assert (first == _order(np.random.default_rng(other))) == (other == 0)
    assert first != _order(rng)
