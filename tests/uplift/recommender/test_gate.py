"""The no-harm gate: by hand, against scipy, and what it refuses."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import sem, t

from uplift import InputError
from uplift.recommender.gate import gate


def changed(*of_groups, **options):
    """A gate over these changes, a list a group, from 1 before."""
    group = np.repeat(np.arange(len(of_groups)), [len(d) for d in of_groups])
    d = np.concatenate(of_groups)
    return gate(np.ones(len(d)), 1 + d, group, len(of_groups), **{"fewest": 2, **options})


def test_by_hand():
    """Changes 2, 3, 4: mean 3, sd 1, error 1 / sqrt 3, low 3 - 4.302653 / 1.732051 = .515862; 2, -1: .5, error 1.5.

    4.302653 and 12.706205 are t(.975) of 2 and 1 degrees of freedom. A group of one query and a group of none are not
    known, and keep the backbone.
    """
    found = changed([2.0, 3.0, 4.0], [2.0, -1.0], [5.0], [])
    assert_allclose(found.difference, [3, 0.5, np.nan, np.nan])
    assert_allclose(found.standard_error, [1 / np.sqrt(3), 1.5, np.nan, np.nan])
    assert_allclose(found.low, [0.515862, 0.5 - 1.5 * 12.706205, np.nan, np.nan], rtol=1e-5)
    assert found.queries.tolist() == [3, 2, 1, 0]
    assert found.passed.tolist() == [True, False, False, False]


@pytest.mark.parametrize(("epsilon", "passed"), [(0, False), (1.27, False), (1.28, True)])
def test_epsilon_is_harm_allowed(epsilon, passed):
    """Changes .1 and -.1: mean 0, error .1, low -1.270620."""
    assert changed([0.1, -0.1], epsilon=epsilon).passed.tolist() == [passed]


@pytest.mark.parametrize(("level", "passed"), [(0.5, True), (0.62, True), (0.63, False)])
def test_level(level, passed):
    """Mean .15 at error .1 is above zero at 1.5 errors: at a level of 2 atan(1.5) / pi = 62.6% and below."""
    assert changed([0.25, 0.05], level=level).passed.tolist() == [passed]


@pytest.mark.parametrize("epsilon", [0.0, 0.5])
def test_a_plugin_that_changes_nothing_does_not_pass(epsilon):
    """Else a plugin nobody trained would answer; a steady gain passes, a steady harm only within epsilon."""
    found = changed([0.0] * 4, [0.25] * 4, [-0.25] * 4, epsilon=epsilon)
    assert found.passed.tolist() == [False, True, epsilon > 0]


@given(st.integers(0, 100), st.sampled_from([0.8, 0.95]), st.sampled_from([0.0, 0.1]))
@settings(max_examples=40)
def test_against_scipy(seed, level, epsilon):
    """Queries in any order; every group of two and more."""
    rng = np.random.default_rng(seed)
    group = rng.integers(0, 4, 40)
    before, after = rng.random(40), rng.random(40) + 0.3
    found = gate(before.tolist(), after, group.astype(np.int8), 4, epsilon=epsilon, level=level, fewest=2)
    for z in np.unique(group):
        d = (after - before)[group == z]
        if len(d) > 1:
            low = t.interval(level, len(d) - 1, loc=d.mean(), scale=sem(d))[0]
            assert_allclose([found.difference[z], found.standard_error[z], found.low[z]], [d.mean(), sem(d), low])
            assert found.passed[z] == (low >= -epsilon)


def test_a_true_harm_seldom_passes():
    """Of 2,000 plugins that do harm on average none but 2.5% at the most; here the change is just below zero."""
    d = np.random.default_rng(0).standard_normal((2_000, 50)) - 0.001
    assert changed(*d).passed.mean() < 0.04


def test_a_few_queries_that_agree_are_no_evidence():
    """Equal changes have no spread, so that two of them would look certain."""
    steady = changed([0.1] * 29, [0.1] * 30, fewest=30)
    assert steady.passed.tolist() == [False, True]
    assert gate([0, 0], [0.1, 0.1], [0, 0], 1).passed.tolist() == [False]


def test_order_of_queries_has_no_influence():
    rng = np.random.default_rng(1)
    before, after, group, order = rng.random(30), rng.random(30), np.arange(30) % 3, rng.permutation(30)
    one, other = (
        gate(b, a, g, 3, fewest=10)
        for b, a, g in ((before, after, group), (before[order], after[order], group[order]))
    )
    assert_allclose(one.low, other.low)
    assert_array_equal(one.passed, other.passed)


def test_prints():
    text = str(changed([2.0, 3.0, 4.0], [2.0, -1.0], [5.0], epsilon=0.01))
    lines = text.splitlines()
    assert lines[1].split() == ["1", "3", "+3.0000", "+0.5159", "yes"]
    assert lines[2].split() == ["2", "2", "+0.5000", "-18.5593", "no"]
    assert lines[3].split() == ["3", "1", "+nan", "+nan", "too", "few"]
    assert lines[4].endswith("where low, of the 95% interval, is at least -0.01.")
    assert max(map(len, lines)) <= 80
    assert str(changed([0.0, 0.0])).endswith("at least 0.")


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (([1, 2], [1, 2, 3], [0, 0], 1), {}, r"shapes \(2,\), \(3,\) and \(2,\); the same queries"),
        (([[1, 2]], [[1, 2]], [[0, 0]], 1), {}, r"shapes \(1, 2\)"),
        (([1, np.nan], [1, 2], [0, 0], 1), {}, "the change of query 1 is not finite"),
        (([1, 2], [np.inf, 2], [0, 0], 1), {}, "the change of query 0 is not finite"),
        (([1, 2], [1, 2], [0, 2], 2), {}, "group runs from 0 to 2; whole numbers from 0 to 1"),
        (([1, 2], [1, 2], [-1, 0], 2), {}, "group runs from -1 to 0"),
        (([1, 2], [1, 2], [0.0, 1.0], 2), {}, r"group runs from 0\.0 to 1\.0; whole numbers"),
        (([1, 2], [1, 2], [0, 0], 0), {}, "n_groups is 0; a whole number of at least 1"),
        (([1, 2], [1, 2], [0, 0], 1.5), {}, "n_groups is 1.5"),
        ((["a", 2], [1, 2], [0, 0], 1), {}, "before or after holds no numbers"),
        (([1, 2], [1, 2], [0, 0], 1), {"fewest": "a"}, "fewest is 'a'"),
        (([1, 2], [1, 2], [0, 0], 1), {"epsilon": -0.1}, r"epsilon is -0\.1; a number of at least 0"),
        (([1, 2], [1, 2], [0, 0], 1), {"epsilon": "0"}, "epsilon is '0'"),
        (([1, 2], [1, 2], [0, 0], 1), {"epsilon": np.nan}, "epsilon is nan"),
        (([1, 2], [1, 2], [0, 0], 1), {"level": 1.5}, r"level is 1\.5"),
        (([1, 2], [1, 2], [0, 0], 1), {"level": 95}, "level is 95"),
    ],
)
def test_refused(arguments, options, message):
    with pytest.raises(InputError, match=message):
        gate(*arguments, **options)
