"""Strata of activeness for the recommender: shares, what ties do, and the placebo."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from uplift import InputError
from uplift.causal import head, strata
from uplift.recommender.strata import activeness_strata, random_strata


def test_strata_by_hand():
    """Ten users, two a stratum, 1 + 2 + ... + 10 = 55 events; the head is the two above 8."""
    found = activeness_strata(np.arange(10, 0, -1))
    assert_array_equal(found.group, [4, 4, 3, 3, 2, 2, 1, 1, 0, 0])
    assert_array_equal(found.head, [True] * 2 + [False] * 8)
    assert found.names == ("1 of 5", "2 of 5", "3 of 5", "4 of 5", "5 of 5")
    assert (found.n_groups, len(found), found.note) == (5, 10, "")
    assert_array_equal(found.lowest, [1, 3, 5, 7, 9])
    assert_array_equal(found.highest, [2, 4, 6, 8, 10])
    np.testing.assert_allclose(found.user_share, [0.2] * 5, rtol=1e-15)
    np.testing.assert_allclose(found.event_share, np.array([3, 7, 11, 15, 19]) / 55, rtol=1e-15)
    assert str(found).splitlines() == [
        "stratum                activeness  share of users  share of events",
        "1 of 5                     1 to 2           20.0%             5.5%",
        "2 of 5                     3 to 4           20.0%            12.7%",
        "3 of 5                     5 to 6           20.0%            20.0%",
        "4 of 5                     7 to 8           20.0%            27.3%",
        "5 of 5                    9 to 10           20.0%            34.5%",
        "Head: 2 of 10 users.",
    ]


@given(activeness=st.lists(st.integers(0, 12), min_size=1, max_size=60), n_strata=st.integers(1, 7))
def test_groups_partition_users_and_events(activeness, n_strata):
    """Every user in one group, activeness rising from group to group, head above tail, shares summing to 1."""
    a = np.array(activeness)
    found = activeness_strata(a, n_strata)
    assert_array_equal(np.unique(found.group), np.arange(found.n_groups))
    assert found.n_groups <= n_strata
    assert (found.lowest[1:] > found.highest[:-1]).all()
    for z in range(found.n_groups):
        members = a[found.group == z]
        assert (found.lowest[z], found.highest[z]) == (members.min(), members.max())
        assert found.user_share[z] == pytest.approx(len(members) / len(a))
        if a.sum():
            assert found.event_share[z] == pytest.approx(members.sum() / a.sum())
    if found.head.any():
        assert a[found.head].min() > a[~found.head].max()
    assert bool(found.note) == (found.n_groups < n_strata or not found.head.any() or found.head.mean() > 0.2)
    if not found.note:
        assert_array_equal(found.head, head(a))
        assert n_strata == 1 or (found.group == strata(a, n_strata)).all()


def test_one_group_has_the_same_head():
    a = np.arange(1, 101)
    one = activeness_strata(a, 1)
    assert one.names == ("1 of 1",)
    assert_array_equal(one.group, np.zeros(100))
    assert_array_equal(one.head, a > 80)


def test_equal_users_are_one_group_without_a_head():
    found = activeness_strata([3, 3, 3])
    assert (found.names, found.head.any()) == (("1 of 1",), False)
    assert found.note == "All users have activeness 3: one group, and nobody is head."
    assert found.note in str(found)


def test_users_without_events_have_no_share_of_events():
    found = activeness_strata([0, 0])
    assert_array_equal(found.user_share, [1.0])
    with np.errstate(all="raise"):
        assert np.isnan(found.event_share).all()


def test_ties_at_the_top_make_the_top_stratum_the_head():
    """30 of 100 share the most, 5 events; nobody is above the .8 quantile, which is 5 itself."""
    a = np.repeat([0, 1, 5], [50, 20, 30])
    found = activeness_strata(a)
    assert_array_equal(found.head, a == 5)
    assert "leaves 3 of 5 strata" in found.note
    assert "The head is the top stratum" in found.note
    assert "30% of the users share the largest activeness, 5." in found.note


def test_nobody_is_head_where_nearly_all_share_the_largest():
    found = activeness_strata([0] + [1] * 99)
    assert not found.head.any()
    assert "Nobody is head, because 99% of the users share the largest activeness, 1." in found.note


@pytest.mark.parametrize("form", [list, np.float32, pd.Series, pl.Series, np.uint8])
def test_every_kind_of_count_is_read(form):
    assert_array_equal(activeness_strata(form([1, 2, 3, 4, 5])).group, [0, 1, 2, 3, 4])


def test_the_placebo_moves_users_and_leaves_sizes_and_head():
    found = activeness_strata(np.random.default_rng(0).poisson(6, 4_000))
    placebo = random_strata(found, 7)
    assert_array_equal(np.bincount(placebo.group), np.bincount(found.group))
    assert_array_equal(placebo.head, found.head)
    assert placebo.names[0] == f"random {found.names[0]}"
    assert abs(np.corrcoef(placebo.group, found.activeness)[0, 1]) < 0.06
    assert_array_equal(random_strata(found, 7).group, placebo.group)
    assert (random_strata(found, 8).group != placebo.group).any()


def test_a_generator_is_drawn_from():
    found = activeness_strata(np.arange(50))
    rng = np.random.default_rng(0)
    assert (random_strata(found, rng).group != random_strata(found, rng).group).any()


@pytest.mark.parametrize(
    ("activeness", "n_strata", "match"),
    [
        ([1, 2], 0, "n_strata is 0; a whole number of at least 1"),
        ([1, 2], 2.5, "n_strata is 2.5"),
        ([1, 2], True, "n_strata is True"),
        ([], 5, r"activeness has shape \(0,\)"),
        ([[1, 2]], 5, r"activeness has shape \(1, 2\)"),
        (["a"], 5, "activeness holds no numbers"),
        ([1, np.nan], 5, r"activeness has 1 missing \(NaN\) of 2 cells"),
        ([1, -1, -2], 5, "activeness is negative for 2 of 3 users"),
    ],
)
def test_what_counts_nothing_is_refused(activeness, n_strata, match):
    with pytest.raises(InputError, match=match):
        activeness_strata(activeness, n_strata)
