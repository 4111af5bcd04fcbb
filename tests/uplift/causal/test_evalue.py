"""E-values against the formula by hand, its inverse, and the constants of the R package EValue."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uplift import InputError
from uplift.causal import Estimate, e_value, e_value_of_effect


def test_by_hand():
    """RR 2: 2 + sqrt(2). RR 4 from 3 to 6: 4 + sqrt(12), limit 3 + sqrt(6)."""
    assert e_value(2.0).point == pytest.approx(2 + math.sqrt(2), rel=1e-12)
    made = e_value(4.0, (3.0, 6.0))
    assert (made.point, made.limit) == (pytest.approx(4 + math.sqrt(12)), pytest.approx(3 + math.sqrt(6)))


@given(st.floats(1e-3, 1e3))
def test_symmetric_and_inverted(ratio):
    """Harm and benefit of equal strength need the same confounder; E (E / (2E - 1)) gives the ratio back, the bound
    of Ding and VanderWeele for two equal associations."""
    found = e_value(ratio).point
    assert found >= 1
    assert found == pytest.approx(e_value(1 / ratio).point, rel=1e-9)
    assert found**2 / (2 * found - 1) == pytest.approx(max(ratio, 1 / ratio), rel=1e-9)


def test_an_interval_that_holds_one_needs_no_confounder():
    assert e_value(1.3, (0.9, 1.9)).limit == 1.0
    assert e_value(0.5, (0.4, 0.8)).limit == e_value(0.8).point
    assert e_value(1.0).point == 1.0
    assert e_value(2.0).limit is None


def test_difference_of_means():
    """d = .5, its standard error .2: exp(.455), exp(.455 - .356), as in EValue's own tests without a shift."""
    made = e_value_of_effect(Estimate("effect", 5.0, 2.0, 100, 100.0), spread=10.0)
    point, low = math.exp(0.91 * 0.5), math.exp(0.91 * 0.5 - 1.78 * 0.2)
    assert made.point == pytest.approx(point + math.sqrt(point * (point - 1)), rel=1e-12)
    assert made.limit == pytest.approx(low + math.sqrt(low * (low - 1)), rel=1e-12)
    harm = e_value_of_effect(Estimate("effect", -5.0, 2.0, 100, 100.0), spread=10.0)
    assert harm.point == pytest.approx(made.point)
    assert harm.limit == pytest.approx(made.limit)


@pytest.mark.parametrize(
    "arguments",
    [(0.0,), (-1.0,), (2.0, (3.0, 4.0)), (math.nan,), (2.0, (0.0, 3.0)), ("2",), (2.0, (1.5,)), (2.0, ("1", "3"))],
)
def test_ratios_that_cannot_be(arguments):
    with pytest.raises(InputError, match="a ratio above 0 inside its interval is expected"):
        e_value(*arguments)


def test_a_bare_number_is_no_effect():
    with pytest.raises(InputError, match=r"effect is 1\.2; an Estimate is expected"):
        e_value_of_effect(1.2, 3.0)


def test_a_spread_in_another_unit_is_named():
    with pytest.raises(InputError, match=r"spread is 1e-10 for an effect of 5 \+- 2, so many standard deviations"):
        e_value_of_effect(Estimate("effect", 5.0, 2.0, 100, 100.0), 1e-10)


@pytest.mark.parametrize("spread", ["3", None, 0.0, -1.0, math.inf, math.nan])
def test_spreads_that_cannot_be(spread):
    with pytest.raises(InputError, match="the standard deviation of the value, above 0"):
        e_value_of_effect(Estimate("effect", 5.0, 2.0, 100, 100.0), spread)
