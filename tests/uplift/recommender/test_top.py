"""The best items: a sort by hand with many ties, empty histories, routing by activeness, and the long table."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from tests.uplift.recommender import tiny
from uplift.errors import InputError
from uplift.recommender.histories import Histories
from uplift.recommender.top import Top, top_frame, top_items


@dataclass(frozen=True)
class Table:
    """Scores that are written down, a row a history."""

    scored: np.ndarray

    def scores(self, histories, rows, users=None):
        return self.scored[rows].astype(np.float32)


def written(scored: np.ndarray, popularity: np.ndarray) -> SimpleNamespace:
    """What `top_items` asks of a recommender, with scores that are written down."""
    net = SimpleNamespace(n_items=scored.shape[1], width=2)
    return SimpleNamespace(
        net=net, plugins=None, memory=None, popularity=popularity, backbone_scorer=lambda: Table(scored)
    )


def histories(lists: list[list[int]]) -> Histories:
    offsets = np.cumsum([0, *map(len, lists)], dtype=np.int64)
    return Histories(np.array([code for one in lists for code in one], dtype=np.int32), offsets)


def by_hand(scores: np.ndarray, history: list[int], popularity: np.ndarray, n: int, seen: str) -> list[int]:
    """Item codes from the highest score to the lowest, equal scores by code, with Python's sort."""
    of = list(scores) if history else list(popularity)
    out = set(history) if seen == "excluded" else set()
    ranked = sorted(
        (code for code in range(1, len(of) + 1) if code not in out), key=lambda code: (-of[code - 1], code)
    )
    return (ranked + [0] * n)[: min(n, len(of))]


@pytest.mark.parametrize("seen", ["excluded", "ranked"])
@pytest.mark.parametrize("seed", range(20))
def test_it_is_a_sort_with_ties_by_item_code(seed: int, seen: str):
    """Scores of four values for up to 12 items, histories of 0 to 15 events that repeat items, n up to 14."""
    rng = np.random.default_rng(seed)
    n_items, n = int(rng.integers(1, 13)), int(rng.integers(1, 15))
    lists = [rng.integers(1, n_items + 1, rng.integers(0, 16)).tolist() for _ in range(30)]
    scored, popularity = rng.integers(-2, 2, (30, n_items)), rng.integers(0, 3, n_items) / 7
    found = top_items(written(scored, popularity), histories(lists), n=n, seen=seen)
    expected = [by_hand(row, own, popularity, n, seen) for row, own in zip(scored, lists, strict=True)]
    assert found.item.tolist() == expected
    assert_array_equal(found.popular, [not own for own in lists])
    for row, codes in enumerate(expected):
        of = scored[row] if lists[row] else popularity
        scores = [np.float32(of[code - 1]) if code else np.nan for code in codes]
        assert_array_equal(found.score[row], np.array(scores, dtype=np.float32))


def test_the_size_of_the_batches_changes_nothing():
    log, own = tiny.log(), tiny.recommender()
    whole, single = (top_items(own, log.histories, n=4, batch=batch) for batch in (512, 1))
    assert_array_equal(whole.item, single.item)
    np.testing.assert_allclose(whole.score, single.score, atol=1e-5)


def test_a_user_goes_through_the_plugin_of_as_many_events_as_the_history_has():
    """Strata were cut by training events; a history longer by the two held-out ones may be a stratum higher."""
    log, own = tiny.log(), tiny.recommender()
    z = np.array([own.strata.group_of([count])[0] for count in log.counts])
    assert (z != own.strata.group).any()
    found = top_items(own, log.histories, n=3)
    assert_array_equal(found.score, top_items(own, log.histories, z, n=3).score)
    assert not np.array_equal(found.score, top_items(own, log.histories, own.strata.group, n=3).score)


def test_a_loaded_log_without_any_user_has_an_empty_answer():
    assert top_items(tiny.recommender(), histories([]), n=3).item.shape == (0, 3)


def test_the_long_table_has_a_row_an_item_and_says_who_answered():
    """Two users of three items: b had two of them, c nothing."""
    scored, popularity = np.array([[3.0, 1.0, 2.0]] * 2), np.array([0.2, 0.5, 0.3])
    found = top_items(written(scored, popularity), histories([[1, 3], []]), n=2)
    frame = top_frame(found, ["b", "c"], np.array(["x", "y", "z"], dtype=object))
    assert list(frame.columns) == ["user_id", "rank", "item_id", "score", "from"]
    expected = [("b", 1, "y", 1.0, "model"), ("c", 1, "y", 0.5, "popularity"), ("c", 2, "z", 0.3, "popularity")]
    rows = [(u, r, i, pytest.approx(s), f) for u, r, i, s, f in expected]
    assert list(frame.itertuples(index=False, name=None)) == rows


BAD = {
    "n": ({"n": 0}, "n is 0; a whole number of at least 1"),
    "seen": ({"seen": "exclude"}, "seen is 'exclude'.*Did you mean 'excluded'"),
    "batch": ({"batch": 0}, "batch is 0"),
    "groups too many": ({"group": np.full(60, 3)}, "whole number from 0 to 2 each"),
    "groups too few": ({"group": np.zeros(5, dtype=int)}, r"group has shape \(5,\).*for 60 histories"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_out_of_range_is_refused(case: str):
    given, words = BAD[case]
    with pytest.raises(InputError, match=words):
        top_items(tiny.recommender(), tiny.log().histories, **given)


def test_items_that_the_recommender_lacks_and_scores_that_are_not_finite_are_refused():
    with pytest.raises(InputError, match="item code 21 and the recommender knows 1 to 20"):
        top_items(tiny.recommender(), histories([[21]]))
    broken = written(np.array([[1.0, np.nan]]), np.array([0.5, 0.5]))
    with pytest.raises(InputError, match="scores that are not finite"):
        top_items(broken, histories([[1]]))


def test_ids_of_another_number_than_histories_are_refused():
    empty = Top(np.zeros((2, 1), np.int32), np.zeros((2, 1), np.float32), np.zeros(2, bool))
    with pytest.raises(InputError, match=r"user_id has shape \(1,\) for 2 histories"):
        top_frame(empty, ["a"], ["x"])
    answered = replace(empty, item=np.array([[1], [2]], np.int32))
    with pytest.raises(InputError, match=r"item_id has shape \(1,\), and item code 2 is answered"):
        top_frame(answered, ["a", "b"], ["x"])
