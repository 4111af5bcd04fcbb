"""Ragged histories against plain lists; a new log in the item codes of an old one."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from uplift import InputError
from uplift.recommender.histories import Histories, encode_histories

lists = st.lists(st.lists(st.integers(1, 9), max_size=6), max_size=8)


def ragged(rows):
    flat = np.array([item for row in rows for item in row], dtype=np.int32)
    return Histories(flat, np.cumsum([0, *map(len, rows)]))


def plain(histories):
    ends = zip(histories.offsets[:-1], histories.offsets[1:], strict=True)
    return [histories.items[a:b].tolist() for a, b in ends]


@given(rows=lists, length=st.integers(1, 7), data=st.data())
def test_padded_take_and_first_are_those_of_lists(rows, length, data):
    """The same on lists of lists: slices, and zeros up to the longest."""
    histories = ragged(rows)
    picked = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=9)) if rows else []
    cut = [rows[i][-length:] for i in picked]
    widest = max([1, *map(len, cut)])
    table = histories.padded(picked, length)
    assert table.dtype == np.int64
    assert table.shape == (len(picked), widest)
    assert table.tolist() == [row + [0] * (widest - len(row)) for row in cut]
    assert len(histories) == len(rows)
    assert_array_equal(histories.counts, np.array([len(row) for row in rows], dtype=int))
    taken = histories.take(picked)
    assert plain(taken) == [rows[i] for i in picked]
    assert taken.items.dtype == np.int32
    counts = np.array([data.draw(st.integers(0, len(row))) for row in rows], dtype=int)
    assert plain(histories.first(counts)) == [row[:c] for row, c in zip(rows, counts, strict=True)]


def test_booleans_pick_rows():
    histories = ragged([[1, 2], [], [3]])
    mask = np.array([True, False, True])
    assert plain(histories.take(mask)) == [[1, 2], [3]]
    assert histories.padded(mask, 9).tolist() == [[1, 2], [3, 0]]


def test_only_empty_histories_are_one_column_of_padding():
    assert ragged([[], []]).padded([0, 1], 50).tolist() == [[0], [0]]


@pytest.mark.parametrize(
    ("rows", "match"),
    [
        ([-1], "rows -1 to -1 are asked for; there are rows 0 to 1"),
        ([0, 2], "rows 0 to 2 are asked for"),
        ([0.0], "a list of row numbers is expected"),
        ([[0]], "a list of row numbers is expected"),
        ([True], "a boolean for each of the 2 histories"),
    ],
)
def test_rows_that_are_not_there_are_refused(rows, match):
    for ask in (lambda h: h.take(rows), lambda h: h.padded(rows, 5)):
        with pytest.raises(InputError, match=match):
            ask(ragged([[1], [2]]))


@pytest.mark.parametrize("length", [0, -1, 2.5, None])
def test_a_length_that_holds_nothing_is_refused(length):
    with pytest.raises(InputError, match="a whole number of at least 1"):
        ragged([[1]]).padded([0], length)


@pytest.mark.parametrize(
    ("counts", "match"),
    [
        ([2, 0], r"counts\[0\] is 2; history 0 has 1 events"),
        ([0, -1], r"counts\[1\] is -1"),
        ([0], "for 2 histories"),
    ],
)
def test_first_refuses_counts_that_are_not_there(counts, match):
    with pytest.raises(InputError, match=match):
        ragged([[1], [2]]).first(counts)


@pytest.mark.parametrize(
    ("items", "offsets", "match"),
    [
        ([1, 2], [0, 1], "do not rise from 0 to the 2 items"),
        ([1, 2], [1, 2], "do not rise"),
        ([1, 2], [0, 2, 1, 2], "do not rise"),
        ([], [], "do not rise"),
        ([1, 0], [0, 2], "item code 0 is below 1"),
    ],
)
def test_broken_histories_are_refused(items, offsets, match):
    with pytest.raises(InputError, match=match):
        Histories(np.array(items, dtype=np.int32), np.array(offsets, dtype=np.int64))


def test_a_new_log_in_old_codes_by_hand():
    """Known items are b, d, f = 1, 2, 3. Ann did f, x, b; Bob only x, x; Cid d, d."""
    frame = pd.DataFrame(
        {
            "user": ["cid", "bob", "ann", "ann", "bob", "cid", "ann"],
            "item": ["d", "x", "b", "f", "x", "d", "y"],
            "when": [1, 2, 9, 1, 3, 4, 5],
        }
    )
    known = np.array(["b", "d", "f"], dtype=object)
    histories, user_id, unknown = encode_histories(frame, known, user="user", item="item", order="when")
    assert user_id.tolist() == ["ann", "bob", "cid"]
    assert plain(histories) == [[3, 1], [], [2, 2]]
    assert unknown.tolist() == [1, 2, 0]


def test_without_order_the_rows_are_the_order_and_known_items_need_no_order():
    frame = pl.DataFrame({"user": [7, 5, 7, 7], "item": [30, 10, 10, 99]})
    histories, user_id, unknown = encode_histories(frame, np.array([30, 10], dtype=np.int32))
    assert user_id.tolist() == [5, 7]
    assert plain(histories) == [[2], [1, 2]]
    assert unknown.tolist() == [0, 1]


def test_ids_that_cannot_match_are_refused():
    frame = pd.DataFrame({"user": [1], "item": [7]})
    with pytest.raises(InputError, match=r"item column 'item' holds ids such as 7, .* known are such as '007'"):
        encode_histories(frame, np.array(["007"], dtype=object))


def test_a_new_log_without_rows_is_refused():
    with pytest.raises(InputError, match="the log is empty: 0 rows; one row an event"):
        encode_histories(pd.DataFrame({"user": [], "item": []}), np.array([1]))


def test_ids_in_floats_beyond_2_to_53_do_not_match_whole_numbers_by_rounding():
    frame = pd.DataFrame({"user": [1, 1], "item": [2.0**53, 3.0]})
    with pytest.raises(InputError, match=r"beyond 2\^53, where floats stand for several whole numbers"):
        encode_histories(frame, np.array([3, 2**53 + 1]))
    histories, _, unknown = encode_histories(frame.iloc[1:], np.array([3, 7]))
    assert histories.items.tolist() == [1]
    assert unknown.tolist() == [0]
