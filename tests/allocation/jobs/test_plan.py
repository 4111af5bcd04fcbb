"""A plan: what its keys come to, its canonical text there and back, its digest, shares as amounts."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocation.jobs.plan import Plan, PlanLimit, Share, parse_plan, plan_text, read_plan
from uplift.errors import InputError

TEXT = """
[plan]
name = "spring-coupons"
responses = "responses/"
budget = 100_000.0
currency = "EUR"

[[limit]]
name = "no more than 20% get the big coupon"
arms = ["coupon_20"]
where = { segment = "heavy", region = ["north", "south"] }
measure = "users"
max = "20%"

[[limit]]
name = "minutes"
measure = "minutes"
min = 10
max = 5e4
"""


def test_every_key_comes_to_what_it_says():
    plan = parse_plan(TEXT)
    assert plan == Plan(
        name="spring-coupons",
        responses="responses",
        budget=100_000.0,
        currency="EUR",
        part_rows=1_000_000,
        limits=(
            PlanLimit(
                "no more than 20% get the big coupon",
                "users",
                max=Share(0.2),
                arms=("coupon_20",),
                where={"segment": ("heavy",), "region": ("north", "south")},
            ),
            PlanLimit("minutes", "minutes", min=10.0, max=50_000.0),
        ),
    )
    assert plan.resources == ("minutes",)
    assert plan.attributes == ("segment", "region")


def test_what_is_left_out_takes_its_default():
    plan = parse_plan('plan = { name = "a", model = "m", features = "f", part_rows = 7 }')
    assert (plan.budget, plan.currency, plan.limits, plan.responses) == (None, "", (), None)
    assert (plan.model, plan.features, plan.part_rows) == ("m", "f", 7)
    assert (plan.resources, plan.attributes) == ((), ())


def test_the_kinds_of_values_in_where_are_kept():
    limit = '[[limit]]\nname = "l"\nmax = 1\nwhere = { a = true, b = 3, c = [3.5, 4], d = "3" }'
    where = parse_plan(f'[plan]\nname = "a"\nresponses = "r"\n{limit}').limits[0].where
    assert {column: [(type(v), v) for v in values] for column, values in where.items()} == {
        "a": [(bool, True)],
        "b": [(int, 3)],
        "c": [(float, 3.5), (int, 4)],
        "d": [(str, "3")],
    }


def test_relative_paths_are_relative_to_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "plans").mkdir()
    file = tmp_path / "plans" / "spring.toml"
    for written, meant in (
        ("../r/*.parquet", tmp_path / "plans" / ".." / "r" / "*.parquet"),
        (str(tmp_path / "there"), tmp_path / "there"),
        ("~/r", tmp_path / "home" / "r"),
        ("s3://bucket/a//b/", "s3://bucket/a//b/"),
    ):
        file.write_text(f'\ufeff[plan]\r\nname = "a"\r\nresponses = "{written}"\r\n')
        assert read_plan(file).responses == str(meant)
    monkeypatch.chdir(tmp_path)
    file.write_text('[plan]\nname = "a"\nmodel = "m"\nfeatures = "f"\n')
    plan = read_plan("plans/spring.toml")
    assert (plan.model, plan.features) == (str(tmp_path / "plans" / "m"), str(tmp_path / "plans" / "f"))


NAMES = st.text(st.characters(exclude_categories=("C", "Zl", "Zp")), min_size=1, max_size=12).filter(str.strip)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
SCALARS = (
    st.lists(st.text(max_size=8).filter(lambda t: t.isprintable() or "\x00" not in t), min_size=1, max_size=3),
    st.lists(st.one_of(st.integers(-(2**63), 2**63 - 1), NUMBERS), min_size=1, max_size=3),
    st.lists(st.booleans(), min_size=1, max_size=2),
)
ARMS = st.none() | st.lists(NAMES, min_size=1, max_size=3, unique=True).map(tuple)
WHERE = st.dictionaries(NAMES, st.one_of(*SCALARS).map(lambda v: tuple(dict.fromkeys(v))), max_size=2)
LIMIT_NAMES = st.lists(NAMES.filter(lambda t: t != "the budget"), max_size=3, unique=True)
MEASURES = st.sampled_from(["users", "cost", "value", "minutes"]) | NAMES
USERS = st.integers(0, 10**9).map(float)
PARTS = st.one_of(st.floats(0, 1), st.integers(0, 1000).map(lambda i: i / 1000)).map(Share)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Valid plans: every key there or not, all kinds of bounds and conditions."""
    budget = draw(st.none() | st.floats(0, allow_infinity=False))
    limits = []
    for name in draw(LIMIT_NAMES):
        measure = draw(MEASURES)
        sort = USERS if measure == "users" else NUMBERS
        if measure == "users" or (measure == "cost" and budget is not None):
            sort = draw(st.sampled_from([sort, PARTS]))
        ends = sorted(draw(st.lists(sort, min_size=2, max_size=2)), key=lambda b: getattr(b, "of", b))
        low, high = draw(st.sampled_from([(ends[0], None), (None, ends[0]), tuple(ends)]))
        limits.append(PlanLimit(name, measure, low, high, draw(ARMS), draw(WHERE)))
    source = draw(
        st.sampled_from([{"responses": "r"}, {"responses": "s3://b/'\"é"}, {"model": "m", "features": "f"}])
    )
    return Plan(
        draw(NAMES),
        budget=budget,
        currency=draw(NAMES | st.just("")),
        part_rows=draw(st.integers(1, 100_000_000)),
        limits=tuple(limits),
        **source,
    )


@given(plans())
@settings(max_examples=100, deadline=None)
def test_the_canonical_text_comes_back_as_the_same_plan(plan: Plan):
    text = plan_text(plan)
    again = parse_plan(text)
    assert again == plan
    assert [list(map(type, v)) for limit in again.limits for _, v in sorted(limit.where.items())] == [
        list(map(type, v)) for limit in plan.limits for _, v in sorted(limit.where.items())
    ]
    assert plan_text(again) == text


def test_the_canonical_text_is_plain_toml():
    assert tomllib.loads(plan_text(parse_plan(TEXT)))["limit"][0]["max"] == "20%"
    assert plan_text(parse_plan(TEXT)).splitlines() == [
        "[plan]",
        'name = "spring-coupons"',
        'responses = "responses"',
        "budget = 100000.0",
        "part_rows = 1000000",
        'currency = "EUR"',
        "",
        "[[limit]]",
        'name = "no more than 20% get the big coupon"',
        'measure = "users"',
        'max = "20%"',
        'arms = ["coupon_20"]',
        'where = { region = ["north", "south"], segment = ["heavy"] }',
        "",
        "[[limit]]",
        'name = "minutes"',
        'measure = "minutes"',
        "min = 10.0",
        "max = 50000.0",
    ]


def test_the_digest_sees_everything_but_paths_and_layout():
    plan = parse_plan(TEXT)
    again = parse_plan(TEXT.replace("100_000.0", "1e5 # money").replace('"responses/"', '"elsewhere"'))
    assert again.digest() == plan.digest()
    assert len(plan.digest()) == 64
    others = [
        replace(plan, name="other"),
        replace(plan, budget=None),
        replace(plan, currency="USD"),
        replace(plan, part_rows=5),
        replace(plan, limits=plan.limits[:1]),
        *(
            replace(plan, limits=(replace(plan.limits[0], **change),))
            for change in (
                {"max": Share(0.21)},
                {"max": 0.2},
                {"min": 0.0},
                {"arms": None},
                {"measure": "cost"},
                {"where": {"segment": ("heavy",)}},
                {"where": {"segment": (1,)}},
                {"where": {"segment": (True,)}},
            )
        ),
    ]
    assert len({plan.digest(), *(other.digest() for other in others)}) == len(others) + 1


@pytest.mark.parametrize("percent", ["0%", "20%", " 29 %", "0.1%", "33.333%", "100%", "100.0%", "0.05%"])
def test_a_share_is_the_nearest_float_of_its_percent(percent: str):
    plan = parse_plan(f'[plan]\nname="a"\nresponses="r"\n[[limit]]\nname="l"\nmax="{percent}"')
    assert plan.limits[0].max == Share(float(Fraction(percent.strip(" %")) / 100))


def test_shares_of_users_are_exact_and_move_inwards_to_whole_users():
    """0.29 * 100 is 28.999999999999996 in floats and 0.07 * 100 is 7.000000000000001."""
    both = PlanLimit("l", min=Share(0.29), max=Share(0.29))
    assert both.amounts(100, None) == (29.0, 29.0)
    assert PlanLimit("l", min=Share(0.07)).amounts(100, None) == (7.0, None)
    assert PlanLimit("l", min=Share(0.2), max=Share(0.2)).amounts(7, None) == (2.0, 1.0)
    assert PlanLimit("l", max=2.5).amounts(7, None) == (None, 2.5)


def test_a_floor_that_is_a_share_may_equal_its_cap():
    """In floats .07 times 100 is 7.000000000000001; a share is compared as exactly as it is taken."""
    text = '[plan]\nname = "a"\nresponses = "r"\nbudget = 100\n[[limit]]\nname = "l"\nmeasure = "cost"\n'
    plan = parse_plan(text + 'min = "7%"\nmax = 7')
    assert plan.limits[0].amounts(0, plan.budget) == (7.0, 7.0)
    with pytest.raises(InputError, match="has its floor, min = 7"):
        parse_plan(text + 'min = "7%"\nmax = 6.9')


def test_shares_of_cost_are_of_the_budget():
    limit = PlanLimit("l", "cost", min=Share(0.1), max=Share(0.3))
    assert limit.amounts(5, 1e6) == (100_000.0, 300_000.0)
    with pytest.raises(InputError, match="limit 'l' is 10% of the budget, but there is none"):
        limit.amounts(5, None)
