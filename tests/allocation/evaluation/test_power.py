"""Power: variances against whole populations counted cell by cell, shares against a search, users by hand."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from allocation.evaluation.estimators import off_policy
from allocation.evaluation.pair_variance import cluster_effect, means_variance, pair_variance
from allocation.evaluation.power import detectable_gain, least_users, users_needed
from uplift.errors import InputError

# A world of three kinds of users and three arms: y = MU[x, j] -+ SIGMA[x, j], each with chance 1/2.
KINDS = (0.5, 0.3, 0.2)
MU = np.array([[1.0, 2.0, 0.5], [0.0, 3.0, 4.0], [2.0, 1.0, 1.5]])
SIGMA = np.array([[1.0, 2.0, 1.0], [0.5, 1.0, 3.0], [2.0, 0.0, 1.0]])
WRONG = MU + np.array([[0.3, -0.2, 0.0], [1.0, 0.5, -2.0], [0.0, 0.0, 0.7]])
P = np.array([[0.5, 0.25, 0.25], [0.2, 0.4, 0.4], [0.4, 0.4, 0.2]])
A, B = np.array([1, 2, 0]), np.array([0, 1, 0])  # the arm of each kind; the third kind gets the same


def population():
    """A log of 400 users whose every mean is the population's: (kind, arm, y) as often as its chance says."""
    x, t, y = [], [], []
    for kind, arm, sign in itertools.product(range(3), range(3), (-1, 1)):
        times = round(400 * KINDS[kind] * P[kind, arm] / 2)
        assert times == pytest.approx(400 * KINDS[kind] * P[kind, arm] / 2)
        x += [kind] * times
        t += [arm] * times
        y += [MU[kind, arm] + sign * SIGMA[kind, arm]] * times
    x, t = np.array(x), np.array(t)
    return x, t, np.array(y)


def counted_variance(q, estimator, model):
    """Var_q(phi) by enumeration of all (kind, arm, sign), phi written out for each estimator."""
    worth = {z: sum(KINDS[k] * MU[k, arms[k]] for k in range(3)) for z, arms in (("a", A), ("b", B))}
    first = second = 0.0
    for k, j, sign in itertools.product(range(3), range(3), (-1, 1)):
        chance, y = KINDS[k] * q[k, j] / 2, MU[k, j] + sign * SIGMA[k, j]
        if estimator == "sn":
            phi = (j == A[k]) / q[k, j] * (y - worth["a"]) - (j == B[k]) / q[k, j] * (y - worth["b"])
        else:
            m = model if estimator == "dr" else np.zeros((3, 3))
            of_a = m[k, A[k]] + (j == A[k]) / q[k, j] * (y - m[k, j])
            of_b = m[k, B[k]] + (j == B[k]) / q[k, j] * (y - m[k, j])
            phi = of_a - of_b
        first, second = first + chance * phi, second + chance * phi**2
    return second - first**2, first


@pytest.mark.parametrize("estimator", ["dr", "sn", "ipw"])
@pytest.mark.parametrize("model", [MU, WRONG], ids=["right model", "wrong model"])
def test_the_variance_under_any_design_is_the_population_s(estimator, model):
    """From a log under P, without any approximation: also of other shares, of a table, and of P itself."""
    x, t, y = population()
    pair = pair_variance((A[x], B[x]), t, y, P[x], estimator=estimator, expected=model[x])
    for q in (P, np.tile([0.2, 0.5, 0.3], (3, 1)), np.array([[0.1, 0.8, 0.1], [0.3, 0.3, 0.4], [0.9, 0.05, 0.05]])):
        variance, difference = counted_variance(q, estimator, model)
        assert pair.under(q[x]) == pytest.approx(variance, rel=1e-12)
        expected = difference if estimator != "sn" else sum(KINDS[k] * (MU[k, A[k]] - MU[k, B[k]]) for k in range(3))
        assert pair.difference == pytest.approx(expected, rel=1e-12)
    assert pair.under(np.array([0.2, 0.5, 0.3])) == pytest.approx(
        counted_variance(np.tile([0.2, 0.5, 0.3], (3, 1)), estimator, model)[0], rel=1e-12
    )


def test_with_the_right_model_it_is_the_usual_formula():
    """Var(mu_a - mu_b) + E[1[a != b] (s2_a / q_a + s2_b / q_b)], by hand.

    Differences by kind: 1, 1, 0, so Var = .8 - .64 = .16; noise .5 (4 / .5 + 1 / .2) + .3 (9 / .3 + 1 / .5) = 16.1.
    """
    x, t, y = population()
    pair = pair_variance((A[x], B[x]), t, y, P[x], expected=MU[x])
    assert pair.under(np.array([0.2, 0.5, 0.3])) == pytest.approx(0.16 + 16.1, rel=1e-12)


@pytest.mark.parametrize("estimator", ["dr", "sn", "ipw"])
def test_under_the_log_s_own_design_it_is_the_influence_of_the_two_estimates(estimator):
    """For any log, noise and model: the same as subtracting two single-policy estimates user by user."""
    rng = np.random.default_rng(3)
    n = 500
    p = rng.dirichlet([3, 3, 3], n)
    t = np.array([rng.choice(3, p=row) for row in p])
    y, m = rng.normal(size=n) * 5 + t, rng.normal(size=(n, 3))
    a, b = rng.integers(0, 3, (2, n))
    rows = np.arange(n)
    singles = [
        off_policy(y, (t == z) / p[rows, t], estimator=estimator, expected=m[rows, z], fitted=m[rows, t])
        for z in (a, b)
    ]
    pair = pair_variance((a, b), t, y, p, estimator=estimator, expected=m)
    difference = singles[0].influence - singles[1].influence
    if estimator == "sn":  # off_policy divides by the logged mean weight, here that is taken as 1
        difference = sum(
            sign * one.influence * np.mean((t == z) / p[rows, t])
            for sign, one, z in zip((1, -1), singles, (a, b), strict=True)
        )
    assert pair.difference == pytest.approx(singles[0].mean - singles[1].mean, rel=1e-9)
    np.testing.assert_allclose(pair.influence, difference, atol=1e-9)
    assert pair.under(p) == pytest.approx(np.mean(difference**2), rel=1e-9)


def test_a_design_without_an_arm_that_matters_has_no_finite_variance():
    x, t, y = population()
    pair = pair_variance((A[x], B[x]), t, y, P[x], expected=MU[x])
    assert pair.under(np.array([0.5, 0.0, 0.5])) == math.inf


@pytest.mark.parametrize("estimator", ["dr", "sn", "ipw"])
def test_best_shares_are_those_of_a_search(estimator):
    x, t, y = population()
    pair = pair_variance((A[x], B[x]), t, y, P[x], estimator=estimator, expected=WRONG[x])
    found = pair.best_shares(np.ones(3, dtype=bool))
    searched = minimize(
        lambda z: pair.under(np.exp(z) / np.exp(z).sum()), np.zeros(3), method="Nelder-Mead", options={"xatol": 1e-9}
    )
    assert pair.under(found) == pytest.approx(searched.fun, rel=1e-8)
    assert found.sum() == pytest.approx(1)


@settings(max_examples=100, deadline=None)
@given(
    noise=st.lists(st.sampled_from([0.0, 1e-9, 0.1, 1.0, 3.0, 50.0]), min_size=5, max_size=5),
    used=st.lists(st.booleans(), min_size=5, max_size=5).filter(any),
)
def test_best_shares_give_nothing_to_arms_unused_and_cost_at_most_a_ninth(noise, used):
    """The floor holds, the shares sum to 1, and the variance is at most 1 / .9 of (sum sqrt A)^2, the least."""
    t = np.repeat(np.arange(5), 20)
    used = np.array(used)
    y = np.tile([-1.0, 1.0], 50) * np.array(noise)[t] * used[t]
    a, b = np.full(100, np.flatnonzero(used)[0]), np.resize(np.flatnonzero(used), 100)
    pair = pair_variance((a, b), t, y, np.full((100, 5), 0.2), estimator="ipw")
    q = pair.best_shares(used)
    assert q.sum() == pytest.approx(1)
    assert (q[~used] == 0).all()
    assert (q[used] >= 0.1 / used.sum() - 1e-12).all()
    A_ = np.bincount(t, pair.energy, minlength=5) / 100
    assert pair.under(q) - pair.constant <= np.sqrt(A_).sum() ** 2 / 0.9 + 1e-12


def test_the_plain_test_of_two_policies_has_twice_the_two_variances():
    """By hand: Y under a is 2-+2, 4-+3, 2-+2 with .5, .3, .2 (mean 2.6, square 4+4, 16+9, 4+4); under b 1-+1, 3-+1,
    2-+2 (mean 1.8, square 2, 10, 8)."""
    x, t, y = population()
    found = means_variance((A[x], B[x]), t, y, P[x])
    of_a = 0.5 * 8 + 0.3 * 25 + 0.2 * 8 - 2.6**2
    of_b = 0.5 * 2 + 0.3 * 10 + 0.2 * 8 - 1.8**2
    assert found.variance == pytest.approx(2 * (of_a + of_b), rel=1e-12)


def test_users_by_hand():
    """sd 10, gain 1: (1.95996 + .84162)^2 100 = 784.9, so 785; at power .9 and level .9 (1.64485 + 1.28155)^2 100."""
    assert users_needed(100.0, 1.0) == 785
    assert users_needed(100.0, 1.0, power=0.9, level=0.9) == 857
    assert users_needed(100.0, 0.5) == 3140
    assert users_needed(1e-9, 1.0) == 2
    assert detectable_gain(100.0, 785) == pytest.approx(1.0, rel=1e-3)


def test_scaling_the_unit_of_value_changes_no_number():
    x, t, y = population()
    for unit in (1e-6, 1e9):
        pair = pair_variance((A[x], B[x]), t, y * unit, P[x], expected=WRONG[x] * unit)
        base = pair_variance((A[x], B[x]), t, y, P[x], expected=WRONG[x])
        used = np.ones(3, dtype=bool)
        np.testing.assert_allclose(pair.best_shares(used), base.best_shares(used))
        assert users_needed(pair.under(P[x]), 0.8 * unit) == users_needed(base.under(P[x]), 0.8)


def test_clusters_of_copies_multiply_the_variance_by_their_size():
    """Every user thrice: the cluster sums are 3 phi, G / (G - 1) = 100 / 99, so 3 x 100 / 99."""
    phi = np.random.default_rng(0).normal(size=100)
    phi -= phi.mean()
    assert cluster_effect([np.repeat(phi, 3)], np.repeat(np.arange(100), 3)) == pytest.approx(300 / 99)
    opposite = np.concatenate([phi, -phi])
    assert cluster_effect([opposite], np.tile(np.arange(100), 2)) == 1.0


def test_least_users_by_hand():
    """Of 10 users 5 differ, with chances .5 and .1 for a, .5 for b: 30 (3 x 2 + 2 x 10) / 5 x 10 / 5 = 312."""
    a, b = np.array([1] * 5 + [0] * 5), np.zeros(10, dtype=int)
    q = np.tile([0.5, 0.5], (10, 1))
    q[:2, 1] = 0.1
    assert least_users((a, b), q, 30) == 312
    assert least_users((a, b), np.array([0.5, 0.5]), 30) == 120


def test_refusals():
    x, t, y = population()
    with pytest.raises(InputError, match="estimator is 'dm'; 'dr', 'sn' or 'ipw' is expected"):
        pair_variance((A[x], B[x]), t, y, P[x], estimator="dm")
    with pytest.raises(InputError, match="needs expected, the modelled values"):
        pair_variance((A[x], B[x]), t, y, P[x])
    with pytest.raises(InputError, match="gain is 0; a finite number above 0 is expected"):
        users_needed(1.0, 0)
    with pytest.raises(InputError, match="takes more than 10,000,000,000 users: no experiment can find it"):
        users_needed(1.0, 1e-200)
    with pytest.raises(InputError, match="variance is nan; a finite number above 0"):
        users_needed(math.nan, 1.0)
    with pytest.raises(InputError, match=r"power is 1\.5; a number between 0 and 1"):
        users_needed(1.0, 1.0, power=1.5)
    with pytest.raises(InputError, match=r"power is 0\.01, which chance alone gives at the level 0\.95"):
        users_needed(1.0, 1.0, power=0.01)
    with pytest.raises(InputError, match="cluster holds 1 label; the spread between clusters needs at least 2"):
        cluster_effect([np.ones(4)], np.zeros(4))
