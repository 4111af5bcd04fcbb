"""Resampled sums against counting by hand; clusters drawn whole; percentiles of known draws."""

from __future__ import annotations

import math

import numpy as np
import pytest

from allocation.evaluation.bootstrap import interval, resampled_sums
from uplift.seeds import stream


def counts(n, resamples, seed, cluster=None):
    """How often each user is in each resample: plain numpy, from the same stream."""
    rng = stream(seed, "bootstrap")
    groups = n if cluster is None else cluster.max() + 1
    drawn = [np.bincount(rng.integers(0, groups, groups), minlength=groups) for _ in range(resamples)]
    return np.array(drawn if cluster is None else [count[cluster] for count in drawn])


def case(n=300, arms=4, policies=3, budgets=5, seed=0):
    """Tables of random numbers, a third of them zero, and decisions that change for some users at each budget."""
    rng = np.random.default_rng(seed)
    tables = rng.normal(size=(3, n, arms)) * (rng.random((3, n, arms)) < 2 / 3)
    decision = rng.integers(0, arms, (budgets, policies, n)).astype(np.int8)
    keep = rng.random((policies, n)) < 0.5
    for b in range(1, budgets):
        decision[b] = np.where(keep, decision[b - 1], decision[b])
    return tables, decision.reshape(budgets * policies, n)


@pytest.mark.parametrize("cluster", [None, np.arange(300) // 7])
def test_sums_are_those_of_the_resampled_users(cluster):
    """Resample by resample, table by table and cell by cell, 70 of them in blocks of several sizes."""
    tables, decision = case()
    sums, size = resampled_sums(tables, decision, 3, 70, 5, cluster)
    drawn = counts(300, 70, 5, cluster)
    np.testing.assert_array_equal(size, drawn.sum(axis=1))
    for k, z in enumerate(decision):
        chosen = tables[:, np.arange(300), z]
        np.testing.assert_allclose(sums[:, :, k], drawn @ chosen.T, atol=1e-10)


def test_the_order_of_the_budgets_does_not_matter():
    tables, decision = case()
    there, _ = resampled_sums(tables, decision, 3, 20, 0)
    back, _ = resampled_sums(tables, decision.reshape(5, 3, 300)[::-1].reshape(15, 300), 3, 20, 0)
    np.testing.assert_allclose(back.reshape(20, 3, 5, 3)[:, :, ::-1].reshape(there.shape), there, atol=1e-10)


def test_the_number_of_resamples_only_adds_resamples():
    """The first 30 of 70 are the 30 of a shorter run, so that a longer run refines and does not replace."""
    tables, decision = case(n=20)
    short, long = (resampled_sums(tables, decision, 3, many, seed=5)[0] for many in (30, 70))
    np.testing.assert_array_equal(long[:30], short)


def test_the_mean_of_many_resamples_is_the_sum():
    """Of 2,000 resamples, within 4.5 standard errors of their mean."""
    value = np.random.default_rng(0).normal(3, 1, 50)
    sums, size = resampled_sums(value[None, :, None], np.zeros((1, 50), dtype=np.int8), 1, 2000, seed=1)
    assert (size == 50).all()
    assert abs(sums.mean() - value.sum()) < 4.5 * math.sqrt(50) * value.std() / math.sqrt(2000)


def test_one_core_gives_the_same_bytes(monkeypatch):
    tables, decision = case(n=70_000, policies=1, budgets=2)
    several = resampled_sums(tables, decision, 1, 3, 0)[0]
    monkeypatch.setenv("EARMARK_THREADS", "1")
    np.testing.assert_array_equal(resampled_sums(tables, decision, 1, 3, 0)[0], several)


def test_percentiles_of_known_draws():
    """Of 0, 1, ..., 100 the middle 90% run from 5 to 95."""
    low, high = interval(np.arange(101.0)[:, None], 0.9)
    assert (low[0], high[0]) == pytest.approx((5, 95))


def test_an_interval_needs_an_estimate_in_more_than_half_of_the_resamples():
    """Missing in 2 of 4 draws: no interval; in 1 of 4: that of the others, 1 to 3."""
    draws = np.array([[np.nan, np.nan], [np.nan, 1], [1, 2], [2, 3]])
    low, high = interval(draws, 0.999999)
    assert np.isnan(low[0])
    assert np.isnan(high[0])
    assert (low[1], high[1]) == pytest.approx((1, 3), abs=1e-5)
