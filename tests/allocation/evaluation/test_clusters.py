"""Users who come in clusters: both intervals know it, and both cover; alone they would claim too much."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from allocation import evaluate
from tests.allocation.evaluation.logs import log_of
from uplift.propensity import share_mismatch

SIZE, HOUSEHOLDS = 4, 150
TRUTH = 1.0 * SIZE * HOUSEHOLDS  # everybody on arm 1 is worth 1 a user


def household_log(seed):
    """150 households of 4 treated together; value 1 under the arm plus what the household shares."""
    rng = np.random.default_rng([3, seed])
    treatment = np.repeat(rng.integers(0, 2, HOUSEHOLDS), SIZE)
    shared = np.repeat(rng.normal(size=HOUSEHOLDS), SIZE)
    value = treatment + shared + 0.3 * rng.normal(size=SIZE * HOUSEHOLDS)
    log = log_of(treatment, value, np.full((SIZE * HOUSEHOLDS, 2), 0.5), np.ones(SIZE * HOUSEHOLDS))
    return log, np.repeat(rng.permutation(HOUSEHOLDS), SIZE)


@pytest.mark.filterwarnings("ignore:the propensities contradict")  # taken user by user they seem to
@pytest.mark.parametrize("intervals", ["bootstrap", "influence"])
def test_intervals_by_cluster_cover_and_those_by_user_do_not(intervals):
    """200 logs: 95% of the intervals by household hold the truth (3 standard errors: 4.6%), far fewer by user."""
    decision = np.ones(SIZE * HOUSEHOLDS, dtype=int)
    options = {"budgets": [1e9], "estimators": ["sn"], "intervals": intervals, "n_bootstrap": 200}
    covered = np.zeros(2)
    for seed in range(200):
        log, household = household_log(seed)
        for k, cluster in enumerate((household, None)):
            row = evaluate(
                {"all": decision}, log, cluster=cluster, seed=seed, allow_mismatch=cluster is None, **options
            ).iloc[0]
            covered[k] += row.value_low <= TRUTH <= row.value_high
    assert 0.90 <= covered[0] / 200 <= 0.99
    assert covered[1] / 200 < 0.8


def test_one_user_a_cluster_changes_nothing():
    log, _ = household_log(0)
    decision = {"all": np.ones(len(log), dtype=int)}
    options = {"budgets": [1e9], "reference": "all", "n_bootstrap": 50, "estimators": ["ipw", "sn"]}
    alone = evaluate(decision, log, **options)
    each = evaluate(decision, log, cluster=np.arange(len(log)), **options)
    numbers = alone.select_dtypes("number").columns
    np.testing.assert_allclose(each[numbers], alone[numbers], rtol=1e-9)


def test_shares_are_tested_by_cluster():
    """Under the right design about 1 of 1,000 logs is refused, whatever the clusters; under a wrong one most are."""
    refused = np.zeros(3, dtype=int)
    for seed in range(300):
        log, household = household_log(seed)
        wrong = replace(log, propensity=np.tile([0.3, 0.7], (len(log), 1)))
        cases = (log, household), (log, None), (wrong, household)
        refused += [share_mismatch(one, cluster) is not None for one, cluster in cases]
    assert refused[0] <= 3
    assert refused[1] > 20
    assert refused[2] > 270


def test_support_is_counted_in_clusters():
    """20 clusters of 30 users: 300 match, and know as much as about 10."""
    n = 600
    cluster = np.repeat(np.arange(20), 30)
    log = log_of(np.repeat(np.arange(20) % 2, 30), np.ones(n), np.full((n, 2), 0.5), np.ones(n))
    table = evaluate(
        {"all": np.ones(n, dtype=int)}, log, budgets=[1.0], cluster=cluster, estimators=["sn"], n_bootstrap=10
    )
    assert table.support.tolist() == ["300 of 600 users match and count as 10 clusters; 30 are needed"]
    assert table.value.isna().all()


def test_a_difference_in_few_clusters_is_none():
    """Two policies differ in 2 of 200 clusters of 20 users: 40 users, and 2 clusters, who know next to nothing."""
    n, cluster = 4_000, np.repeat(np.arange(200), 20)
    treatment = np.random.default_rng(0).integers(0, 2, 200)[cluster]
    log = log_of(treatment, np.arange(n) % 7, np.full((n, 2), 0.5), np.ones(n))
    one = np.ones(n, dtype=int)
    other = np.where(cluster < 2, 0, one)
    options = {"budgets": [1.0], "reference": "one", "estimators": ["sn"], "n_bootstrap": 10}
    row = evaluate({"one": one, "other": other}, log, cluster=cluster, **options).iloc[1]
    assert row.difference_support == "40 matched users, who count as 2 clusters, tell the two apart; 30 are needed"
    assert np.isnan(row.difference)
    assert row.value > 0
