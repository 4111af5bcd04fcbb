"""Rows of an editable table and the limits of a plan: there and back, and what is wrong row by row."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocation.jobs.analyst.limits_table import BOTH, CAP, FLOOR, LOCK, Names, Row, limits_of, rows_of
from allocation.jobs.plan import Plan, PlanLimit, Share, parse_plan, plan_text

ARMS = ("none", "mail", "call, night", 'quoted "arm"')
NAMES = Names(
    ARMS,
    ("users", "cost", "value", "minutes"),
    {"segment": pa.string(), "age": pa.dictionary(pa.int32(), pa.int64()), "new": pa.bool_()},
)


def one(**cells: object) -> PlanLimit:
    """The limit of one good row."""
    typed = limits_of([Row(**{"name": "few", "amount": "10", **cells})], NAMES)
    assert typed.wrong == ()
    return typed.limits[0]


AMOUNTS = {
    "5": 5.0,
    " 5,000 ": 5_000.0,
    "1,234,567.5": 1_234_567.5,
    "5 000": 5_000.0,
    "5_000": 5_000.0,
    "1e6": 1e6,
    ".5": 0.5,
    "20%": Share(0.2),
    "12.5 %": Share(0.125),
    "0": 0.0,
}


@pytest.mark.parametrize("text", AMOUNTS)
def test_amounts_are_numbers_or_shares(text: str):
    assert one(amount=text).max == AMOUNTS[text]


def test_kinds_are_sides():
    assert one(kind=CAP) == PlanLimit("few", max=10.0)
    assert one(kind=FLOOR) == PlanLimit("few", min=10.0)
    assert one(kind=LOCK) == PlanLimit("few", min=10.0, max=10.0)
    for text in ("5 to 10", "5 ... 10", "5..10", "5 – 10"):
        assert one(kind=BOTH, amount=text) == PlanLimit("few", min=5.0, max=10.0)


def test_every_other_cell_is_taken_over():
    assert one(measure="minutes", arms=("mail",)) == PlanLimit("few", "minutes", max=10.0, arms=("mail",))
    assert dict(one(where="segment = heavy").where) == {"segment": ("heavy",)}


WHERE = {
    "segment = heavy": {"segment": ("heavy",)},
    " segment=heavy , light ; age = 3,4": {"segment": ("heavy", "light"), "age": (3, 4)},
    'segment = "a, b", "c;d=e"': {"segment": ("a, b", "c;d=e")},
    "segment = 12": {"segment": ("12",)},
    "new = True": {"new": (True,)},
    "other = 12, 13": {"other": (12, 13)},
    'other = "12"': {"other": ("12",)},
    "other = 0.5": {"other": (0.5,)},
    "other = false": {"other": (False,)},
    '"a = b" = x': {"a = b": ("x",)},
    "segment = two words": {"segment": ("two words",)},
    "segment = heavy;": {"segment": ("heavy",)},
    "": {},
}


@pytest.mark.parametrize("text", WHERE)
def test_conditions_are_read_as_what_the_column_holds(text: str):
    found = dict(one(where=text).where)
    assert found == WHERE[text]
    assert [[type(v) for v in values] for values in found.values()] == [
        [type(v) for v in values] for values in WHERE[text].values()
    ]


WRONG = {
    "no name": (Row(amount="5"), "Row 1 has no name"),
    "blank name": (Row(name="  ", amount="5"), "Row 1 has no name"),
    "no amount": (Row("few"), r"Row 1, 'few', has no amount; give a number, such as 5,000"),
    "words": (Row("few", amount="many"), r"has the amount 'many'; a number is expected"),
    "a comma that may mean two things": (Row("few", amount="1,5"), r"has the amount '1,5'; a number"),
    "nothing but a sign": (Row("few", amount="-"), r"has the amount '-'"),
    "no number": (Row("few", amount="nan"), r"has the amount 'nan'"),
    "infinite": (Row("few", amount="1e999"), r"has the amount '1e999'"),
    "more than all": (Row("few", amount="120%"), r"has the amount '120%'"),
    "fewer than none": (Row("few", amount="-3"), r"max = -3.0 users; a number of at least 0"),
    "share of value": (Row("few", amount="5%", measure="value"), r"only of users and of the budget"),
    "one end": (Row("few", BOTH, "5"), r"'floor and cap' takes two|\"floor and cap\" takes two"),
    "ends swapped": (Row("few", BOTH, "9 to 5"), r"has its floor, min = 9.0, above its cap"),
    "between whole users": (Row("few", BOTH, "1.2 to 1.8"), r"no whole number lies between"),
    "unknown kind": (Row("few", "most", "5"), r"is of the kind 'most'"),
    "unknown measure": (Row("few", amount="5", measure="user"), r"measures 'user', .* Did you mean 'users'"),
    "unknown arm": (Row("few", amount="5", arms=("mial",)), r"'mial', which is none of none, mail, .* mean 'mail'"),
    "the budget's name": (Row("the budget", amount="5"), r"is called 'the budget'"),
    "a name that turns text": (Row("a\u202eb", amount="5"), r"without control characters"),
    "no condition": (Row("few", amount="5", where="heavy"), r"has the condition 'heavy'; write column = value"),
    "no value": (Row("few", amount="5", where="segment = "), r"has the condition 'segment ='"),
    "two signs": (Row("few", amount="5", where="segment = a = b"), r"has the condition"),
    "a quote that is open": (Row("few", amount="5", where='segment = "a'), r"has the condition"),
    "a column twice": (Row("few", amount="5", where="segment = a; segment = b"), r"asks twice for 'segment'"),
    "a value twice": (Row("few", amount="5", where="segment = a, a"), r"'a' more than once"),
    "text among numbers": (Row("few", amount="5", where="age = old"), r"'age' = 'old', and the column holds numbers"),
    "a number for truth": (Row("few", amount="5", where="new = 1"), r"'new' = '1', and the column holds true"),
    "mixed": (Row("few", amount="5", where="other = 1, x"), r"mixes kinds"),
    "too many digits": (Row("few", amount="5", where="age = 99999999999999999999"), r"64 bits"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_said_of_its_row(case: str):
    row, message = WRONG[case]
    typed = limits_of([row], NAMES)
    assert typed.limits == ()
    assert len(typed.wrong) == 1
    with pytest.raises(ValueError, match=message):
        raise ValueError(typed.wrong[0])


def test_every_wrong_row_is_told_and_blank_ones_are_left_out():
    rows = [Row(), Row("a", amount="5"), Row("b"), Row("a", amount="6"), Row(kind=LOCK)]
    typed = limits_of(rows, NAMES)
    assert [message.split(",")[0] for message in typed.wrong] == ["Row 3", "Row 4"]
    assert "has the name of a row above" in typed.wrong[1]
    assert limits_of([Row(), Row(kind=FLOOR, measure="cost")], NAMES).limits == ()


amounts = st.one_of(st.integers(0, 10**9).map(float), st.floats(0, 1e12, allow_nan=False).map(lambda x: x + 0.0))
shares = st.integers(0, 10_000).map(lambda k: Share(float(f"{k}e-4")))
texts = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp", "Cf")), min_size=1, max_size=12)
names = texts.filter(lambda name: name.strip() and name != "the budget")
scalars = st.one_of(
    st.lists(texts, min_size=1, max_size=3, unique=True),
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=3, unique=True),
    st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=3, unique=True),
    st.lists(st.booleans(), min_size=1, max_size=2, unique=True),
)


@st.composite
def limits(draw: st.DrawFn) -> PlanLimit:
    bound = draw(st.sampled_from([amounts, shares]))
    ends = sorted(draw(st.lists(bound, min_size=1, max_size=2)), key=lambda b: b.of if isinstance(b, Share) else b)
    low, high = (ends[0], ends[-1]) if len(ends) == 2 or draw(st.booleans()) else (None, ends[0])
    measure = "cost" if isinstance(ends[0], Share) else draw(st.sampled_from(["cost", "value", "minutes"]))
    arms = draw(st.one_of(st.none(), st.lists(st.sampled_from(ARMS), min_size=1, unique=True).map(tuple)))
    where = draw(st.dictionaries(names, scalars.map(tuple), max_size=2))
    return PlanLimit(draw(names), measure, low, high, arms, where)


@given(limits())
def test_limits_survive_the_table(limit: PlanLimit):
    typed = limits_of(rows_of([limit]), Names(ARMS, NAMES.measures))
    assert typed.wrong == ()
    assert typed.limits == (limit,)
    assert {c: [type(v) for v in vs] for c, vs in typed.limits[0].where.items()} == {
        c: [type(v) for v in vs] for c, vs in limit.where.items()
    }


def test_the_rows_of_a_plan_are_its_limits():
    rows = [
        Row("few", CAP, "10%", "users", ("mail",), "segment = heavy; age = 3"),
        Row("spend", LOCK, "50.5", "cost"),
        Row("calls", BOTH, "5 to 10", "minutes", where="new = true"),
    ]
    found = limits_of(rows, NAMES).limits
    plan = Plan("spring", responses="r", budget=100.0, limits=found)
    assert parse_plan(plan_text(plan)) == plan
    assert rows_of(found) == tuple(rows)
