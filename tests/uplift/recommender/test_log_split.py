"""How a log was split, and that a log is known again by what is in it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from tests.uplift.recommender import tiny
from uplift.errors import InputError
from uplift.recommender import Interactions, leave_last_out, split_by_time
from uplift.recommender.log_split import SplitBy, log_fingerprint
from uplift.recommender.saved import load_recommender, save_recommender


def test_a_split_by_name_is_that_split():
    log = tiny.log()
    for by, own in ((SplitBy(), leave_last_out(log)), (SplitBy(4, 7), split_by_time(log, 4, 7))):
        again = by.split(log)
        assert_array_equal(again.train.items, own.train.items)
        assert_array_equal(again.test.target, own.test.target)
        assert_array_equal(again.validation.user, own.validation.user)
    assert str(SplitBy()) == "leave last out"
    assert str(SplitBy(4, 7)) == "by time, validation from 4, test from 7"


@pytest.mark.parametrize("bounds", [(4, None), (None, "2024-01-01")])
def test_one_bound_alone_is_refused(bounds: tuple[object, object]):
    with pytest.raises(InputError, match="give both to split by time"):
        SplitBy(*bounds)


def test_a_bound_of_another_kind_is_refused():
    with pytest.raises(InputError, match="validation_from is True; a number, or a date as text"):
        SplitBy(True, 3)


def test_the_split_comes_back_with_the_recommender(tmp_path: Path):
    by = SplitBy("2024-03-01", "2024-04-01")
    folder = save_recommender(tiny.recommender(), tiny.log(), tmp_path / "r", split=by)
    assert load_recommender(folder).split == by


def test_the_same_events_have_the_same_fingerprint_whatever_the_columns_width(tmp_path: Path):
    frame = tiny.frame().assign(user=lambda f: f["user"].str[1:].astype(int))
    frame.to_parquet(tmp_path / "log.parquet")
    narrow = frame.assign(user=frame["user"].astype("uint8"), t=frame["t"].astype("int16"))
    prints = {
        log_fingerprint(log)
        for log in (
            Interactions.from_frame(frame, order="t"),
            Interactions.from_frame(narrow, order="t"),
            Interactions.from_parquet(tmp_path / "log.parquet", order="t"),
        )
    }
    assert len(prints) == 1


def test_dates_count_by_the_moment_and_not_by_their_unit():
    dated = tiny.frame().assign(t=lambda f: pd.Timestamp("2024-01-01") + pd.to_timedelta(f["t"], unit="D"))
    seconds = dated.assign(t=dated["t"].astype("datetime64[s]"))
    prints = [log_fingerprint(Interactions.from_frame(one, order="t")) for one in (dated, seconds)]
    assert prints[0] == prints[1]


def _swapped(frame: pd.DataFrame) -> pd.DataFrame:
    rows = np.flatnonzero(frame["user"] == frame["user"].value_counts().index[0])[:2]
    order = np.arange(len(frame))
    order[rows] = order[rows[::-1]]
    return frame.assign(item=frame["item"].to_numpy()[order])


OTHER = {
    "an event less": lambda frame: frame.iloc[:-1],
    "two events swapped": _swapped,
    "another user": lambda frame: frame.assign(user=frame["user"].replace("u3", "u3b")),
    "another item": lambda frame: frame.assign(item=frame["item"].replace("i3", "i3b")),
    "another time": lambda frame: frame.assign(t=frame["t"] * 2),
}


@pytest.mark.parametrize("case", OTHER)
def test_any_other_log_is_refused(case: str, tmp_path: Path):
    saved = load_recommender(save_recommender(tiny.recommender(), tiny.log(), tmp_path / "r"))
    saved.check_log(Interactions.from_frame(tiny.frame(), order="t"))
    with pytest.raises(InputError, match="is not the one that the recommender was fitted on"):
        saved.check_log(Interactions.from_frame(OTHER[case](tiny.frame()), order="t"))
