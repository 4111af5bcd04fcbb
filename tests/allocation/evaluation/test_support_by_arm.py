"""Support by arm: counts in a loop, and logs of the size that it asks for."""

from __future__ import annotations

import math

import numpy as np
import pytest

from allocation.evaluation.decided import Decided
from allocation.evaluation.support_by_arm import arm_support, support_by_arm
from uplift.campaign import Campaign
from uplift.errors import InputError

ARMS = ("none", "mail", "call")


def log(n, seed=0, p=None):
    rng = np.random.default_rng(seed)
    p = rng.dirichlet([4, 3, 2], n) if p is None else np.tile(p, (n, 1))
    t = (rng.random(n)[:, None] > np.cumsum(p, axis=1)[:, :-1]).sum(axis=1)
    return Campaign(np.zeros((n, 1), np.float32), t, np.zeros(n), None, p, ARMS, np.arange(n), ("x",))


def decided(*decisions, names=("one", "two"), budgets=(5.0, 9.0)):
    return Decided(names, budgets, np.stack(decisions).astype(np.int8), *[np.full(len(decisions), math.nan)] * 3)


def test_counts_are_those_of_a_loop():
    held_out = log(300)
    rng = np.random.default_rng(1)
    decisions = [rng.integers(0, 3, 300), np.zeros(300, int), np.full(300, 2), rng.integers(0, 2, 300)]
    table = support_by_arm(decided(*decisions), held_out)
    assert list(table.columns) == [
        "policy", "budget", "arm", "decided", "logged", "matched", "effective_size", "more_logged", "needed",
    ]  # fmt: skip
    assert len(table) == 12
    cells = [("one", 5.0), ("two", 5.0), ("one", 9.0), ("two", 9.0)]
    for (policy, budget), z in zip(cells, decisions, strict=True):
        for j, arm in enumerate(ARMS):
            found = table[(table.policy == policy) & (table.budget == budget) & (table.arm == arm)].iloc[0]
            w = [1 / held_out.propensity[i, j] for i in range(300) if z[i] == j == held_out.treatment[i]]
            assert found.decided == sum(k == j for k in z)
            assert found.logged == sum(k == j for k in held_out.treatment)
            assert found.matched == len(w)
            assert found.effective_size == pytest.approx(sum(w) ** 2 / sum(v * v for v in w) if w else 0.0)
            assert found.needed == 30


def test_more_logged_users_by_hand():
    """100 users with the same chances, 10 decided for arm 1, 20 logged with it of whom 3 match: a logged user in ten
    matches, so 27 more effective users take 270 more logged ones. Arm 2 is decided for nobody and needs none."""
    decision = np.repeat([1, 0], [10, 90])
    treatment = np.zeros(100, dtype=int)
    treatment[[0, 1, 2, *range(20, 37)]] = 1
    found = arm_support(decision, treatment, np.tile([0.7, 0.2, 0.1], (100, 1)))
    assert list(found.decided) == [90, 10, 0]
    assert list(found.logged) == [80, 20, 0]
    assert list(found.matched) == [73, 3, 0]
    assert list(found.more_logged) == [0, 270, 0]
    assert arm_support(decision, treatment, np.tile([0.7, 0.2, 0.1], (100, 1)), needed=5).more_logged[1] == 20


def test_an_arm_that_nobody_matched_is_told_its_number_from_the_chances_alone():
    """One of 50 users is decided for arm 2 and logged otherwise: 30 x 50 = 1,500 logged users of that arm."""
    decision = np.array([2] + [0] * 49)
    found = arm_support(decision, np.zeros(50, dtype=int), np.full((50, 3), 1 / 3))
    assert found.more_logged[2] == 1500
    assert found.effective_size[2] == 0


def test_logs_of_the_size_asked_for_reach_the_support():
    """Chances that differ between users: over 400 new logs with that many users of the arm the effective size is 30.

    Users are drawn anew from the same population with r_j = expected effective users a logged user of the arm.
    """
    p = np.random.default_rng(3).dirichlet([20, 15, 12], 2_000)
    decision = (np.arange(2_000) % 7 == 0).astype(int) * 2
    logged = arm_support(decision, np.zeros(2_000, dtype=int), p).more_logged[2]
    rng, p = np.random.default_rng(4), p[:, 2]
    sizes = []
    for _ in range(400):
        users = rng.choice(2_000, logged, p=p / p.sum())  # who is logged with arm 2
        w = 1 / p[users[decision[users] == 2]]
        sizes.append(w.sum() ** 2 / (w**2).sum())
    assert np.mean(sizes) == pytest.approx(30, rel=0.05)


def test_clusters_are_counted_in_a_loop():
    """300 users in 80 clusters of several sizes: weights are summed in each cluster first, matches are of users."""
    held_out, rng = log(300), np.random.default_rng(5)
    z, labels = rng.integers(0, 3, 300), rng.integers(0, 80, 300)
    table = support_by_arm(decided(z, names=("one",), budgets=(5.0,)), held_out, cluster=[f"h{g}" for g in labels])
    for j in range(3):
        sums = {}
        for i in range(300):
            if z[i] == j == held_out.treatment[i]:
                sums[labels[i]] = sums.get(labels[i], 0) + 1 / held_out.propensity[i, j]
        effective = sum(sums.values()) ** 2 / sum(v * v for v in sums.values())
        assert table.effective_size[j] == pytest.approx(effective)
        assert table.matched[j] == np.sum((z == j) & (held_out.treatment == j)) > effective


def test_one_user_a_cluster_changes_nothing():
    held_out, z = log(100), np.arange(100) % 3
    one = decided(z, names=("one",), budgets=(5.0,))
    alone, each = support_by_arm(one, held_out), support_by_arm(one, held_out, cluster=np.arange(100)[::-1])
    np.testing.assert_allclose(each.effective_size, alone.effective_size, rtol=1e-12)
    assert (each.drop(columns="effective_size") == alone.drop(columns="effective_size")).all(axis=None)


def test_more_logged_users_of_clusters_by_hand():
    """25 households of 4 with the same chances. 5 households are decided for arm 1, one of them got it: 1 effective
    cluster, 29 are lacking. One in five households of the arm matches, so that 29 x 5 households of 4 are needed."""
    cluster = np.repeat(np.arange(25), 4)
    decision, treatment = (cluster < 5).astype(int), ((cluster == 0) | (cluster > 20)).astype(int)
    found = arm_support(decision, treatment, np.full((100, 2), 0.5), cluster=cluster)
    assert found.matched[1] == 4
    assert found.effective_size[1] == pytest.approx(1)
    assert found.more_logged[1] == 29 * 5 * 4


def test_a_log_drawn_by_household_is_no_contradiction():
    """10 households of 100, 8 of them in arm 1: impossible user by user, and nothing unusual of 10 households."""
    cluster = np.repeat(np.arange(10), 100)
    treatment = (cluster < 8).astype(int)
    held_out = Campaign(
        np.zeros((1000, 1), np.float32), treatment, np.zeros(1000), None, np.full((1000, 2), 0.5), ARMS[:2],
        np.arange(1000), ("x",),
    )  # fmt: skip
    everybody = decided(np.ones(1000, int), names=("one",), budgets=(1.0,))
    with pytest.warns(UserWarning, match="contradict the log.*or name the clusters"):
        support_by_arm(everybody, held_out)
    assert support_by_arm(everybody, held_out, cluster=cluster).effective_size[1] == pytest.approx(8)
    with pytest.raises(InputError, match=r"cluster has shape \(3,\) for 1,000 users"):
        support_by_arm(everybody, held_out, cluster=[1, 2, 3])


def test_refusals():
    held_out = log(50, p=np.full(3, 1 / 3))
    with pytest.raises(InputError, match="the decisions are for 40 users and the log has 50; decide for the users"):
        support_by_arm(decided(np.zeros(40, int), names=("one",), budgets=(1.0,)), held_out)
    for needed in (np.nan, "30", -1.0):
        with pytest.raises(InputError, match=r"needed is .*; a number above 0 is expected"):
            support_by_arm(decided(np.zeros(50, int), names=("one",), budgets=(1.0,)), held_out, needed=needed)
    blind = Campaign(held_out.X, held_out.treatment, held_out.value, None, None, ARMS, held_out.user_id, ("x",))
    with pytest.raises(InputError, match="the log has no propensity"):
        support_by_arm(decided(np.zeros(50, int), names=("one",), budgets=(1.0,)), blind)
