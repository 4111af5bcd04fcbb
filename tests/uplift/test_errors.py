"""Every table that cannot be used gets one message of one line that names the column, the count and the mend."""

import datetime

import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from tests.uplift import campaign, every_frame, log, with_cell
from uplift import InputError
from uplift.errors import nearest

NAN, INF = float("nan"), float("inf")
COSTS = {"none": 0, "mail": 1, "call": 2}


def refusal(frame, **roles):
    """The text of the refusal, which has one line and no error of a library behind it."""
    with pytest.raises(InputError) as caught:
        campaign(frame, **roles)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    text = str(caught.value)
    assert "\n" not in text
    return text


def has(text, *words):
    """Each word stands in the text."""
    for word in words:
        assert word in text


@every_frame
@pytest.mark.parametrize("cell", [NAN, None, INF, -INF])
@pytest.mark.parametrize(
    ("name", "roles"),
    [("spend", {}), ("age", {}), ("paid", {"cost": "paid"}), ("p_none", {"activeness": "p_none"})],
    ids=["value", "feature", "cost", "activeness"],
)
def test_a_cell_that_is_no_finite_number(make, name, roles, cell):
    """NaN, null and infinity, told apart, with their row."""
    kind = "1 infinite" if cell in (INF, -INF) else "1 missing"
    text = refusal(make(log(**with_cell(name, cell))), **roles)
    has(text, repr(name), kind, "of 8 cells", "row 2", "fill these cells or drop these rows")


@every_frame
def test_null_in_a_column_of_whole_numbers(make):
    """A null among integers is missing, not 0."""
    has(refusal(make(log(**with_cell("visits", None)))), "'visits'", "1 missing", "row 2")


@every_frame
def test_counts_of_several_kinds(make):
    """Two missing and one infinite are counted apart; the first row of either is named."""
    cells = [0.0, 1.0, INF, None, 2.0, None, 3.0, 4.0]
    has(refusal(make(log(spend=cells))), "2 missing", "1 infinite", "of 8 cells", "row 2")


@every_frame
def test_a_feature_beyond_single_precision(make):
    """1e39 is finite, but not in float32; -3e38 still is."""
    has(
        refusal(make(log(**with_cell("age", 1e39)))),
        "'age'",
        "single precision",
        "1 of 8 cells beyond 3.4e+38",
        "row 2",
    )
    assert campaign(make(log(**with_cell("age", -3e38)))).X[2, 0] == np.float32(-3e38)


KINDS = {
    "text": list("abcdefgh"),
    "numbers as text": list("12345678"),
    "dates": [datetime.date(2024, 1, 1)] * 8,
    "times": [datetime.datetime(2024, 1, 1, 12)] * 8,
    "durations": [datetime.timedelta(days=1)] * 8,
    "lists": [[1, 2]] * 8,
    "records": [{"a": 1}] * 8,
    "bytes": [b"1"] * 8,
    "nothing": [None] * 8,
}


@every_frame
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("name", "roles", "mend"),
    [
        ("spend", {}, "turn it into numbers"),
        ("age", {}, "0/1 column a category"),
        ("paid", {"cost": "paid"}, "turn it"),
    ],
    ids=["value", "feature", "cost"],
)
def test_a_column_that_holds_no_numbers(make, name, roles, mend, kind):
    """Text, dates, nested and empty columns are refused whole."""
    has(refusal(make(log(**{name: KINDS[kind]})), **roles), repr(name), "numbers are expected", mend)


@every_frame
@pytest.mark.parametrize(
    ("roles", "words"),
    [
        ({"features": ["age", "visit"]}, ["feature column 'visit' is not in the table", "Did you mean 'visits'?"]),
        ({"treatment": "arms"}, ["treatment column 'arms' is not in the table", "Did you mean 'arm'?"]),
        ({"value": "spent"}, ["value column 'spent' is not in the table", "Did you mean 'spend'?"]),
        ({"cost": "payed"}, ["cost column 'payed' is not in the table", "Did you mean 'paid'?"]),
        ({"user_id": "idd"}, ["user_id column 'idd' is not in the table", "Did you mean 'id'?"]),
        ({"activeness": "visit"}, ["activeness column 'visit' is not in the table", "Did you mean 'visits'?"]),
        (
            {"activeness": "spend"},
            ["'spend', which has another role", "before the treatment"],
        ),
        ({"value": "revenue"}, ["'revenue'", "There is 'id', 'arm', 'age'"]),
        ({"features": []}, ["features is []", "at least one column name"]),
        ({"features": "age"}, ["features is 'age'", "a list"]),
        ({"control": "None"}, ["'None' is absent", "'arm' has 8 rows", "Did you mean 'none'?", "control="]),
        ({"arms": ["none", "mail"]}, ["'arm' has 2 rows", "unknown arm 'call'", "arms names 'none', 'mail'", "drop"]),
        ({"arms": ["none", "Mail", "call"]}, ["'Mail' of arms", "0 of 8", "never logged", "Did you mean 'mail'?"]),
        ({"cost": COSTS | {"sms": 3}}, ["'sms' of cost", "never logged", "0 of 8", "Drop the arm"]),
        ({"cost": {"none": 0, "mail": 1}}, ["2 rows", "unknown arm 'call'", "cost names 'none', 'mail'"]),
        ({"cost": COSTS | {"mail": NAN}}, ["cost", "missing"]),
        ({"cost": COSTS | {"mail": INF}}, ["cost", "infinite"]),
    ],
)
def test_roles_that_do_not_fit(make, roles, words):
    """A misspelt name gets the nearest known one; an arm that log and roles disagree on is named with its count."""
    has(refusal(make(log()), **roles), *words)


@every_frame
@pytest.mark.parametrize(
    ("arms", "control"),
    [
        ([0.0, None, 1.0, 0.0, None, 1.0, 0.0, 1.0], 0),
        ([0.0, NAN, 1.0, 0.0, NAN, 1.0, 0.0, 1.0], 0),
        ([0, None, 1, 0, None, 1, 0, 1], 0),
        (["none", None, "mail", "none", None, "mail", "none", "mail"], "none"),
    ],
    ids=["null", "NaN", "whole numbers", "text"],
)
def test_user_without_arm(make, arms, control):
    """A missing arm is no arm of its own."""
    text = refusal(make(log(arm=arms)), control=control)
    has(text, "treatment column 'arm'", "2 missing of 8 cells", "fill these cells or drop these rows")


@every_frame
@pytest.mark.parametrize(
    "ids", [[1, None, 3, 4, 5, 6, 7, 8], ["a", None, *"cdefgh"], [1.0, NAN, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]]
)
def test_user_without_id(make, ids):
    """A missing id is counted, whatever the type of the others."""
    has(refusal(make(log(id=ids)), user_id="id"), "user_id column 'id'", "1 missing of 8 cells")


@every_frame
@pytest.mark.parametrize(("ids", "sample"), [([1, 2, 3, 2, 5, 6, 7, 2], "2"), ([*"abcb", *"efgb"], "'b'")])
def test_users_that_share_an_id(make, ids, sample):
    """Three rows with one id are three rows too many for one user a row."""
    text = refusal(make(log(id=ids)), user_id="id")
    has(text, "user_id column 'id'", "3 of 8 rows", f"such as {sample}", "aggregate or drop")


@every_frame
def test_one_arm_only(make):
    """A log in which everybody got the same teaches nothing."""
    has(refusal(make(log(arm=["none"] * 8))), "'arm'", "only one arm, 'none'", "8 rows")


@pytest.mark.parametrize(
    "frame",
    [pd.DataFrame(log()).iloc[:0], pl.DataFrame(log()).head(0), pa.table(log()).slice(0, 0), pd.DataFrame()],
)
def test_no_rows(frame):
    """An empty table says so."""
    has(refusal(frame), "0 rows", "at least one user of every arm")


@pytest.mark.parametrize("thing", [log(), [log()], None, "log.parquet", np.ones((3, 2)), pl.LazyFrame(log()), 3])
def test_no_frame(thing):
    """The message names what was got and what is read."""
    has(refusal(thing), type(thing).__name__, "pandas DataFrame", "polars DataFrame", "pyarrow Table", ".collect()")


def test_nearest():
    """A close name is suggested; else the first twelve known names, and how many more there are."""
    assert nearest("spned", ["spend", "visit"]) == " Did you mean 'spend'?"
    assert nearest("zzz", ["a", "b"]) == " There is 'a', 'b'."
    assert nearest("zzz", [f"c{j}" for j in range(1_012)]).endswith("'c11' and 1,000 more.")
    assert nearest("zzz", []) == " There is none at all."


def _twice(frame):
    return pd.concat([frame, frame[["age"]]], axis=1)


@pytest.mark.parametrize(
    "frame",
    [_twice(pd.DataFrame(log())), pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["age", "age"])],
    ids=["pandas", "arrow"],
)
def test_a_column_that_stands_twice(frame):
    """Nobody can say which of the two is meant."""
    has(refusal(frame), "'age'", "more than once", "rename or drop")


@every_frame
@pytest.mark.parametrize("cells", [[[1], [2]] * 4, [{"a": 1}, {"a": 2}] * 4], ids=["lists", "records"])
@pytest.mark.parametrize("name", ["arm", "id"])
def test_names_in_a_nested_column(make, name, cells):
    """A list is the name of no arm and of no user."""
    has(refusal(make(log(**{name: cells})), user_id="id"), repr(name))


@pytest.mark.parametrize("cost", [2.0, np.zeros(8), [0.0] * 8, COSTS | {"mail": None}, COSTS | {"mail": "paid"}])
def test_cost_that_is_neither_column_nor_mapping(cost):
    """A number, an array and a mapping to no number are refused as cost, not as arms."""
    text = refusal(pd.DataFrame(log()), cost=cost)
    has(text, "cost", "expected")
    assert "never logged" not in text


def test_arm_named_twice():
    """The same arm twice would make an arm that nobody received."""
    has(refusal(pd.DataFrame(log()), arms=["none", "mail", "call", "mail"]), "arms", "'mail'")


def test_ids_that_read_the_same():
    """1 and "1" become one id."""
    frame = pd.DataFrame(log(id=pd.Series([1, "1", *"cdefgh"], dtype=object)))
    has(refusal(frame, user_id="id"), "'id'", "2 of 8 rows")


@pytest.mark.parametrize(
    "roles", [{"features": 5}, {"features": (c for c in ["age"])}, {"arms": 5}, {"arms": "none"}]
)
def test_roles_of_the_wrong_type(roles):
    """A number or a generator is no list of names."""
    has(refusal(pd.DataFrame(log()), **roles), next(iter(roles)), "expected")


def test_lazy_frame_of_narwhals():
    """A lazy frame wrapped by narwhals is as lazy as one that is not."""
    has(refusal(nw.from_native(pl.LazyFrame(log()))), "LazyFrame", ".collect()")
