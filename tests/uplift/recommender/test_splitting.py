"""Splits against plain lists: no event of the future in a history, none twice, and who has no query."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uplift import InputError
from uplift.recommender.interactions import Interactions
from uplift.recommender.splitting import leave_last_out, split_by_time

events = st.lists(st.tuples(st.integers(0, 5), st.integers(1, 6), st.integers(0, 9)), min_size=1, max_size=40)


def log_of(rows):
    return Interactions.from_frame(pd.DataFrame(rows, columns=["user", "item", "when"]), order="when")


def lists_of(rows):
    """The (time, code) events of each user in time order, both numbered as their ids ascend."""
    code = {item: n + 1 for n, item in enumerate(sorted({item for _, item, _ in rows}))}
    users = sorted({user for user, _, _ in rows})
    return [sorted(((when, code[i]) for u, i, when in rows if u == user), key=lambda e: e[0]) for user in users]


def codes(histories):
    ends = zip(histories.offsets[:-1], histories.offsets[1:], strict=True)
    return [histories.items[a:b].tolist() for a, b in ends]


def queries(part):
    return list(zip(part.user.tolist(), codes(part.histories), part.target.tolist(), strict=True))


@given(rows=events)
def test_leave_last_out_is_that_of_lists(rows):
    split = leave_last_out(log_of(rows))
    done = [[item for _, item in one] for one in lists_of(rows)]
    assert codes(split.train) == [one[:-2] if len(one) >= 3 else one for one in done]
    assert queries(split.test) == [(u, one[:-1], one[-1]) for u, one in enumerate(done) if len(one) >= 3]
    assert queries(split.validation) == [(u, one[:-2], one[-2]) for u, one in enumerate(done) if len(one) >= 3]
    assert split.activeness.tolist() == [len(one) - 2 if len(one) >= 3 else len(one) for one in done]
    assert split.n_items == max(item for one in done for item in one)


@given(rows=events, first=st.integers(0, 9), width=st.integers(1, 9), data=st.data())
def test_split_by_time_is_that_of_lists(rows, first, width, data):
    second = first + width
    times = [when for _, _, when in rows]
    periods = [
        [t for t in times if t < first],
        [t for t in times if first <= t < second],
        [t for t in times if t >= second],
    ]
    if not all(periods):
        with pytest.raises(InputError, match="no event is"):
            split_by_time(log_of(rows), first, second)
        return
    split = split_by_time(log_of(rows), first, data.draw(st.sampled_from([second, float(second), second - 0.5])))
    expected = {"train": [], "validation": [], "test": []}
    for user, one in enumerate(lists_of(rows)):
        expected["train"].append([item for t, item in one if t < first])
        for name, start, end in (("validation", first, second), ("test", second, np.inf)):
            before = [item for t, item in one if t < start]
            within = [item for t, item in one if start <= t < end]
            if before and within:
                expected[name].append((user, before, within[0]))
    assert codes(split.train) == expected["train"]
    assert queries(split.validation) == expected["validation"]
    assert queries(split.test) == expected["test"]


def test_who_has_no_query_is_said():
    """User 0 is known before both periods, 1 comes new in the validation period, 2 in the test period."""
    rows = [(0, 1, 0), (0, 2, 5), (0, 3, 8), (1, 1, 5), (1, 2, 6), (2, 1, 8), (2, 4, 9)]
    split = split_by_time(log_of(rows), 4, 7)
    assert queries(split.validation) == [(0, [1], 2)]
    assert queries(split.test) == [(0, [1, 2], 3)]
    assert split.notes == (
        "Without a validation query: 1 user without an event in the period, 1 user without an event before it.",
        "Without a test query: 1 user without an event in the period, 1 user without an event before it.",
    )
    assert str(leave_last_out(log_of(rows))).splitlines() == [
        "3 users, 4 items",
        "training events               5 of 3 items",
        "validation queries            1",
        "test queries                  1",
        "Without a query: 2 users with fewer than 3 events, all of them in training.",
    ]
    assert max(map(len, str(split).splitlines())) <= 80


def test_where_nobody_is_without_a_query_nothing_is_said():
    """By time user 1 alone comes new, in the validation period; the reason that nobody has is left out."""
    known = [(0, 1, 0), (0, 2, 5), (0, 3, 8)]
    assert leave_last_out(log_of(known)).notes == ()
    assert split_by_time(log_of(known), 4, 7).notes == ()
    notes = split_by_time(log_of([*known, (1, 1, 5), (1, 2, 8)]), 4, 7).notes
    assert notes == ("Without a validation query: 1 user without an event before it.",)


def test_one_event_a_user_leaves_no_query():
    split = leave_last_out(log_of([(0, 1, 0), (1, 1, 0), (2, 3, 0)]))
    assert (len(split.validation), len(split.test)) == (0, 0)
    assert split.validation.histories.padded([], 5).shape == (0, 1)
    assert split.activeness.tolist() == [1, 1, 1]
    assert len(split.test.take([])) == 0


def test_take_keeps_user_history_and_target_together():
    part = leave_last_out(log_of([(u, 1 + (u + n) % 7, n) for u in range(6) for n in range(3 + u)])).test
    whole = queries(part)
    assert queries(part.take([4, 0, 4])) == [whole[4], whole[0], whole[4]]
    assert queries(part.take(np.arange(6) % 2 == 1)) == whole[1::2]


@pytest.mark.parametrize("zone", [None, "America/New_York"])
@pytest.mark.parametrize(
    "bounds",
    [
        ("2024-02-01", "2024-03-01"),
        (dt.date(2024, 2, 1), dt.datetime(2024, 3, 1)),
        (np.datetime64("2024-02-01"), pd.Timestamp("2024-03-01 09:00", tz="Asia/Tokyo")),
    ],
)
def test_bounds_are_dates_in_utc(zone, bounds):
    """Midnight in UTC, 19:00 of the day before in New York, is the bound; an event of that moment is within."""
    when = (
        pd.to_datetime(["2024-01-31 23:59", "2024-02-01 00:00", "2024-03-01 00:00"])
        .tz_localize("UTC")
        .tz_convert(zone)
    )
    frame = pd.DataFrame({"user": [1, 1, 1], "item": [1, 2, 3], "when": when})
    split = split_by_time(Interactions.from_frame(frame, order="when"), *bounds)
    assert codes(split.train) == [[1]]
    assert queries(split.validation) == [(0, [1], 2)]
    assert queries(split.test) == [(0, [1, 2], 3)]


NUMBERS = log_of([(0, 1, 0), (0, 2, 5), (0, 3, 8)])
DATES = Interactions.from_frame(
    pd.DataFrame(
        {"user": [1, 1, 1], "item": [1, 2, 3], "t": pd.to_datetime(["2024-01-01", "2024-02-01", "2024-03-01"])}
    ),
    order="t",
)


@pytest.mark.parametrize(
    ("log", "first", "second", "match"),
    [
        (Interactions.from_frame(pd.DataFrame({"user": [1], "item": [1]})), 1, 2, "the log has no order"),
        (NUMBERS, 7, 4, "validation_from, 7, is not before test_from, 4"),
        (NUMBERS, 4, 4, "validation_from, 4, is not before test_from, 4"),
        (NUMBERS, 0, 4, "no event is before validation_from, 0; the log runs from 0 to 8"),
        (NUMBERS, 1, 5, "no event is from validation_from, 1, to test_from, 5"),
        (NUMBERS, 1, 9, "no event is from test_from, 9, on"),
        (NUMBERS, "2024-02-01", 9, "validation_from is '2024-02-01'; a number below 2\\^63 is expected"),
        (NUMBERS, 1, float("nan"), "test_from is nan; a number below 2\\^63 is expected"),
        (NUMBERS, True, 5, "validation_from is True; a number below 2\\^63 is expected"),
        (DATES, 5, "2024-03-01", "validation_from is 5; a date is expected"),
        (DATES, "2024-02-01", "spring", "test_from is 'spring'; a date is expected"),
        (DATES, "2024-02-01", np.datetime64("NaT"), "test_from is .*NaT.*; a date is expected"),
        (DATES, "2024-02-01", "2025", "no event is from test_from, 2025-01-01"),
    ],
)
def test_bounds_that_cannot_split_are_refused(log, first, second, match):
    with pytest.raises(InputError, match=match):
        split_by_time(log, first, second)


@pytest.mark.parametrize("split", [leave_last_out, lambda log: split_by_time(log, 1, 2)])
def test_a_table_is_no_log(split):
    with pytest.raises(InputError, match=r"log is a DataFrame; .*frame\(frame, user=\.\.\., item=\.\.\., order="):
        split(pd.DataFrame({"user": [1], "item": [1]}))
    named = pd.DataFrame({"who": [1], "what": [1], "when": [1]})
    assert len(Interactions.from_frame(named, user="who", item="what", order="when")) == 1  # the mend is one
