"""Interaction logs from any table: codes, time order, duplicates, and what is refused."""

import datetime as dt
import uuid

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from uplift import InputError
from uplift.datasets import amazon_beauty
from uplift.datasets.logs import BehaviourLog
from uplift.recommender.interactions import Interactions

events = st.lists(st.tuples(st.integers(0, 4), st.sampled_from("abcd"), st.integers(-2, 2)), min_size=1, max_size=40)


def told(log):
    """Each user's items in time order, by their own ids."""
    return {
        user: [log.item_id[code - 1] for code in log.items[log.offsets[u] : log.offsets[u + 1]]]
        for u, user in enumerate(log.user_id)
    }


@given(rows=events, duplicates=st.sampled_from(["keep", "drop"]), timed=st.booleans())
def test_each_user_has_its_items_in_time_order(rows, duplicates, timed):
    """A dictionary of lists, filled in the order of a stable sort; a repeat is left out when it is to be dropped."""
    seen, expected, values, dropped = set(), {}, {}, 0
    for n, (user, item, when) in enumerate(rows):
        key = (user, item, when) if timed else (user, item)
        if duplicates == "drop" and key in seen:
            dropped += 1
            continue
        seen.add(key)
        expected.setdefault(user, []).append((when if timed else 0, n, item))
    expected = {user: sorted(done) for user, done in sorted(expected.items())}
    values = [float(n) for done in expected.values() for _, n, _ in done]
    frame = pd.DataFrame(rows, columns=["user", "item", "when"])
    frame["worth"] = np.arange(len(rows))
    log = Interactions.from_frame(frame, order="when" if timed else None, value="worth", duplicates=duplicates)
    assert told(log) == {user: [item for _, _, item in done] for user, done in expected.items()}
    assert list(told(log)) == sorted(expected)
    assert log.value.tolist() == values
    assert log.dropped == dropped
    assert log.item_id.tolist() == sorted({item for _, item, _ in rows})
    assert log.counts.tolist() == [len(done) for done in expected.values()]
    assert (len(log), log.n_users, log.n_items) == (len(rows) - dropped, len(expected), len(log.item_id))
    assert log.items.dtype == np.int32
    if timed:
        assert log.order.tolist() == [when for done in expected.values() for when, _, _ in done]
    else:
        assert log.order is None


FORMS = {
    "pandas": lambda columns: pd.DataFrame(columns),
    "pandas, nullable": lambda columns: pd.DataFrame(columns).convert_dtypes(),
    "pandas, categories": lambda columns: pd.DataFrame(columns).astype({"user": "category", "item": "category"}),
    "pandas, objects": lambda columns: pd.DataFrame(columns, dtype=object),
    "polars": pl.DataFrame,
    "polars, categories": lambda columns: pl.DataFrame(columns).with_columns(pl.col("item").cast(pl.Categorical)),
    "Arrow": pa.table,
    "Arrow, views": lambda columns: pa.table(columns).set_column(
        1, "item", pa.array(columns["item"], type=pa.string_view())
    ),
    "Arrow, chunks": lambda columns: pa.concat_tables([pa.table(columns).slice(0, 2), pa.table(columns).slice(2)]),
    "Arrow, dictionary": lambda columns: pa.table(columns).set_column(
        1, "item", pa.array(columns["item"]).dictionary_encode()
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_kind_of_table_is_the_same_log(form):
    frame = FORMS[form]({"user": [9, 2, 9, 2], "item": ["z", "007", "a", "z"], "day": [3, 1, 1, 0]})
    log = Interactions.from_frame(frame, order="day")
    assert told(log) == {2: ["z", "007"], 9: ["a", "z"]}
    assert log.items.tolist() == [3, 1, 2, 3]
    assert np.issubdtype(log.user_id.dtype, np.integer)
    assert log.item_id.tolist() == ["007", "a", "z"]


@pytest.mark.parametrize(
    ("ids", "kind"),
    [
        (np.array([2**63 + 5, 7, 7], dtype=np.uint64), "u"),
        (np.array([-5, 0, 0], dtype=np.int8), "i"),
        (np.array([1.5, 1e300, 1e300]), "f"),
        (np.array([2, 1, 1], dtype=np.float16), "f"),
        (np.array(["b", "a", "a"]), "O"),
        (np.array(["2024-01-02", "2024-01-01", "2024-01-01"], dtype="datetime64[s]"), "M"),
        (np.array([True, False, False]), "b"),
    ],
)
def test_ids_keep_their_type(ids, kind):
    log = Interactions.from_frame(pd.DataFrame({"user": ids, "item": ids}))
    assert log.user_id.tolist() == sorted(set(ids.tolist()))
    assert log.user_id.dtype.kind == kind
    assert log.counts[list(log.user_id.tolist()).index(ids.tolist()[1])] == 2


def moments(zone=None):
    return pd.DataFrame(
        {
            "user": [1, 1, 1],
            "item": ["c", "a", "b"],
            "when": pd.to_datetime(["2024-03-31 03:30", "2024-03-31 00:30", "2024-03-31 01:30"]).tz_localize(zone),
        }
    )


@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Berlin"])
@pytest.mark.parametrize("form", [lambda f: f, pl.from_pandas, pa.Table.from_pandas])
def test_dates_order_events_in_utc(zone, form):
    """Berlin's clock jumps from 2 to 3 on that morning: 03:30 is 01:30 UTC, 01:30 is 00:30, 00:30 is 23:30."""
    log = Interactions.from_frame(form(moments(zone)), order="when")
    assert told(log) == {1: ["a", "b", "c"]}
    utc = {"Europe/Berlin": ["2024-03-30T23:30", "2024-03-31T00:30", "2024-03-31T01:30"]}
    expected = utc.get(zone, ["2024-03-31T00:30", "2024-03-31T01:30", "2024-03-31T03:30"])
    assert_array_equal(log.order, np.array(expected, dtype="datetime64[s]"))


def test_days_and_large_whole_numbers_keep_their_order():
    """Two moments in nanoseconds that are one and the same double."""
    days = pl.DataFrame({"user": [1, 1], "item": ["b", "a"], "when": [dt.date(2024, 2, 1), dt.date(2024, 1, 31)]})
    assert told(Interactions.from_frame(days, order="when")) == {1: ["a", "b"]}
    late = 1_700_000_000_000_000_000
    assert float(late) == float(late + 1)
    nanoseconds = pd.DataFrame({"user": [1, 1], "item": ["b", "a"], "when": [late + 1, late]})
    assert told(Interactions.from_frame(nanoseconds, order="when")) == {1: ["a", "b"]}


def test_one_user_one_item_one_event():
    log = Interactions.from_frame(pd.DataFrame({"user": [3], "item": [8]}))
    assert (len(log), log.n_users, log.n_items, log.items.tolist(), log.offsets.tolist()) == (1, 1, 1, [1], [0, 1])
    assert repr(log) == "Interactions(1 users, 1 items, 1 events)"


def test_duplicates_are_refused_with_their_number_and_first_row():
    frame = pd.DataFrame({"user": [1, 2, 1, 1], "item": [5, 5, 5, 5], "when": [1, 1, 2, 1]})
    with pytest.raises(InputError, match=r"1 of 4 rows repeat the user, item and order .* first in row 3"):
        Interactions.from_frame(frame, order="when", duplicates="refuse")
    with pytest.raises(InputError, match=r"2 of 4 rows repeat the user and item .* first in row 2"):
        Interactions.from_frame(frame, duplicates="refuse")
    assert len(Interactions.from_frame(frame[:3], order="when", duplicates="refuse")) == 3
    with pytest.raises(InputError, match="duplicates is 'first'; one of keep, drop, refuse"):
        Interactions.from_frame(frame, duplicates="first")


def log_with(**columns):
    return pd.DataFrame({"user": [1, 1, 2], "item": ["a", "b", "a"], "when": [1.0, 2.0, 3.0]} | columns)


@pytest.mark.parametrize(
    ("frame", "match"),
    [
        (log_with(user=[1, None, None]), r"user column 'user' has 2 missing of 3 cells, the first in row 1"),
        (log_with(user=pd.array([1, 2, None], dtype="Int64")), "user column 'user' has 1 missing of 3"),
        (log_with(user=[1.0, np.inf, 2.0]), "user column 'user' has 1 missing of 3 cells, the first in row 1"),
        (log_with(item=["a", "", None]), "item column 'item' has 2 missing of 3 cells, the first in row 1"),
        (log_with(item=[None, None, None]), "item column 'item' has 3 missing of 3"),
        (pl.DataFrame({"user": [1.0, float("nan")], "item": [1, 2]}), "user column 'user' has 1 missing of 2"),
        (log_with(when=[1.0, np.nan, np.nan]), "order column 'when' has 2 missing of 3 cells, the first in row 1"),
        (log_with(when=[1.0, -np.inf, 3.0]), "order column 'when' has 1 missing of 3"),
        (log_with(when=pd.to_datetime(["2024-01-01", None, "2024-01-02"])), "order column 'when' has 1 missing of 3"),
        (log_with(when=["2024", "2023", "2022"]), "turn text into datetimes"),
        (log_with(item=[1, "a", 2]), "holds cells of int, str, which make no one column"),
        (log_with(item=[uuid.UUID(int=n) for n in range(3)]), "uuid.* cells; text or whole numbers are expected"),
        (log_with(user=[2**70, 1, 1]), "holds cells of int, which make no one column"),
        (log_with(item=[[1], [2], [1]]), "holds list.* cells; text or whole numbers are expected"),
        (
            log_with().rename(columns={"item": "items"}),
            "item column 'item' is not in the table. Did you mean 'items'",
        ),
        (log_with()[:0], "the log is empty: 0 rows; one row an event is expected"),
        ([(1, 2)], "is no table that earmark reads"),
    ],
)
def test_what_cannot_be_used_is_refused(frame, match):
    with pytest.raises(InputError, match=match):
        Interactions.from_frame(frame, order="when")


def test_a_value_that_is_no_number_and_a_column_with_two_roles_are_refused():
    with pytest.raises(InputError, match=r"value column 'worth' has 1 missing \(NaN\) of 3 cells"):
        Interactions.from_frame(log_with(worth=[1.0, np.nan, 2.0]), value="worth")
    with pytest.raises(InputError, match="'item' stands more than once; give each role a column of its own"):
        Interactions.from_frame(log_with(), user="item")


def test_files_are_read_and_csv_ids_stay_text(tmp_path):
    frame = pd.DataFrame({"who": ["007", "8", "007"], "what": ["1", "01", "1.0"], "when": [2, 1, 1]})
    frame.to_parquet(tmp_path / "log.parquet")
    frame.to_csv(tmp_path / "log.csv", index=False)
    for name in ("log.parquet", "log.csv"):
        log = Interactions.from_parquet(tmp_path / name, user="who", item="what", order="when")
        assert told(log) == {"007": ["1.0", "1"], "8": ["01"]}
    with pytest.raises(InputError, match="does not exist"):
        Interactions.from_parquet(tmp_path / "nothing.parquet")


def test_a_named_data_set(data_folder, monkeypatch):
    """The log's items are 1 to 12,101 already, so they are their own codes."""
    monkeypatch.setenv("EARMARK_DATA", str(data_folder))
    behaviour = amazon_beauty()
    log = Interactions.from_log(behaviour)
    assert repr(log) == "Interactions(22,363 users, 12,101 items, 198,502 events)"
    assert_array_equal(log.items, behaviour.item)
    assert_array_equal(log.user_id, np.arange(1, 22_364))


def test_a_log_by_hand_is_put_in_order():
    behaviour = BehaviourLog(
        user=np.array([4, 2, 4, 2]),
        item=np.array([9, 9, 5, 7]),
        position=np.array([1, 1, 0, 0]),
        n_users=2,
        n_items=3,
    )
    assert told(Interactions.from_log(behaviour)) == {2: [7, 9], 4: [5, 9]}
