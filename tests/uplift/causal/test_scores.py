"""Scores against a loop over users and arms, and against the expectation that makes them unbiased."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uplift.causal.scores import score_table


def drawn(seed, n=7, arms=3):
    """Predictions, amounts, arms received and propensities of n users."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, arms)), rng.normal(size=n), rng.integers(arms, size=n), rng.dirichlet(np.ones(arms), n)


@given(st.integers(0, 10_000), st.booleans())
def test_every_cell_is_the_formula(seed, with_models):
    m, a, t, p = drawn(seed)
    got = score_table(m if with_models else None, a, t, p)
    for i in range(len(a)):
        for j in range(3):
            expected = m[i, j] if with_models else 0.0
            if t[i] == j:
                expected = expected + (a[i] - expected) / p[i, j]
            assert got[i, j] == pytest.approx(expected, rel=1e-12, abs=1e-12)


@given(st.integers(0, 10_000), st.booleans())
def test_over_the_draw_of_the_arm_the_scores_mean_the_amount_under_each_arm(seed, with_models):
    """sum_t p_it Gamma_ij(t) = a_ij, however wrong the models are: the arm is drawn, the amounts are not."""
    m, _, _, p = drawn(seed)
    amounts = np.random.default_rng(seed + 1).normal(size=p.shape)
    mean = np.zeros(p.shape)
    for arm in range(3):
        t = np.full(len(p), arm)
        mean += p[:, [arm]] * score_table(m if with_models else None, amounts[:, arm], t, p)
    np.testing.assert_allclose(mean, amounts, atol=1e-9)


def test_models_that_are_right_leave_no_noise_and_survive_wrong_propensities():
    m, _, t, p = drawn(3)
    received = m[np.arange(len(t)), t]
    np.testing.assert_array_equal(score_table(m, received, t, p), m)
    np.testing.assert_array_equal(score_table(m, received, t, p / 2), m)


def test_single_precision_models_give_double_scores_and_stay_as_they_are():
    m, a, t, p = drawn(4)
    single = m.astype(np.float32)
    before = single.copy()
    got = score_table(single, a, t, p)
    assert got.dtype == np.float64
    np.testing.assert_array_equal(single, before)
    np.testing.assert_array_equal(got, score_table(single.astype(np.float64), a, t, p))


def test_a_user_who_was_sure_to_get_the_arm_scores_what_came_of_it():
    got = score_table(np.array([[5.0, 9.0]]), np.array([2.0]), np.array([1]), np.array([[0.0, 1.0]]))
    np.testing.assert_array_equal(got, [[5.0, 2.0]])
