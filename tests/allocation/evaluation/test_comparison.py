"""Paired differences, simultaneous bands, adjusted p-values: closed forms, and their promise over repeated draws."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm

from allocation.evaluation.comparison import Paired
from allocation.evaluation.verified import Totals


def paired(point, covariance, same=None):
    """Differences of the first cells from a last one that is known for certain."""
    m = len(point)
    whole = np.zeros((m + 1, m + 1))
    whole[:m, :m] = covariance
    cells, against = np.arange(m), np.full(m, m)
    totals = Totals(np.append(point, 0.0), whole, None)
    return Paired.of(totals, cells, against, np.zeros(m, dtype=bool) if same is None else np.array(same))


def every(m):
    return np.ones(m, dtype=bool)


def test_the_variance_of_a_difference_counts_what_both_share():
    """C = [[4, 3], [3, 9]]: 4 - 6 + 9 = 7; the draws are subtracted row by row."""
    totals = Totals(np.array([5.0, 3.0]), np.array([[4.0, 3.0], [3.0, 9.0]]), np.array([[6.0, 3.0], [5.0, 1.0]]))
    found = Paired.of(totals, np.array([0]), np.array([1]), np.array([False]))
    assert (found.point[0], found.se[0]) == (2.0, math.sqrt(7))
    assert found.draws.ravel().tolist() == [3.0, 4.0]


def test_the_same_decision_differs_by_exactly_nothing():
    totals = Totals(np.array([0.3, 0.1 + 0.2]), np.array([[4.0, 4.0], [4.0, 4.0 + 1e-15]]), np.ones((3, 2)) * 0.1)
    found = Paired.of(totals, np.array([0]), np.array([1]), np.array([True]))
    assert (found.point[0], found.se[0], found.draws.any()) == (0.0, 0.0, False)


@pytest.mark.parametrize("m", [1, 5, 40])
def test_the_band_of_independent_differences_is_sidak_s(m):
    """P(max |Z| <= c) = (2 Phi(c) - 1)^m = .95."""
    low, high = paired(np.zeros(m), np.eye(m) * 4).band(every(m), 0.95, seed=0)
    c = norm.ppf(0.5 + 0.95 ** (1 / m) / 2)
    assert high == pytest.approx(np.full(m, 2 * c), rel=0.02)
    assert low == pytest.approx(-high)


def test_the_band_of_one_and_the_same_difference_is_its_interval():
    """Five budgets at which the same is decided: nothing is paid for looking five times."""
    _, high = paired(np.zeros(5), np.ones((5, 5))).band(every(5), 0.95, seed=0)
    assert high == pytest.approx(np.full(5, 1.96), rel=0.02)


def test_p_values_alone_and_adjusted():
    """|z| = 2.5 of 10 independent: p = .0124, adjusted 1 - (1 - p)^10 = .117; a sure difference stays sure."""
    point = np.zeros(10)
    point[:2] = 2.5, 40.0
    alone, adjusted = paired(point, np.eye(10)).p_values(every(10), seed=0)
    p = 2 * norm.sf(2.5)
    assert alone[0] == pytest.approx(p)
    assert adjusted[0] == pytest.approx(1 - (1 - p) ** 10, abs=0.01)
    assert adjusted[1] < 1e-4
    assert (adjusted >= alone).all()
    assert adjusted[2] == 1.0


def test_outside_the_family_and_where_nothing_varies_there_is_no_p():
    family = np.array([True, False, True])
    found = paired([1.0, 2.0, 0.0], np.eye(3), same=[False, False, True])
    alone, adjusted = found.p_values(family, seed=0)
    assert np.isnan(alone).tolist() == np.isnan(adjusted).tolist() == [False, True, True]
    low, high = found.band(family, 0.95, seed=0)
    assert np.isnan(low[1])
    assert low[2] == high[2] == 0


def test_bands_and_adjusted_p_keep_their_promise_over_repeated_draws():
    """6 correlated true zeros, 600 times: 5% of the bands miss one, 5% of the smallest adjusted p are below .05.

    Four binomial standard errors are 3.6%.
    """
    rng = np.random.default_rng(0)
    mix = rng.normal(size=(6, 4))
    covariance = mix @ mix.T + 0.2 * np.eye(6)
    points = rng.multivariate_normal(np.zeros(6), covariance, 600)
    missed = found = 0
    for point in points:
        one = paired(point, covariance)
        low, high = one.band(every(6), 0.95, seed=0)
        missed += bool(((low > 0) | (high < 0)).any())
        found += bool((one.p_values(every(6), seed=0)[1] < 0.05).any())
    assert missed / 600 == pytest.approx(0.05, abs=0.036)
    assert found / 600 == pytest.approx(0.05, abs=0.036)
