"""Checks of a log alone, against closed forms, hand calculations and logs whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from allocation.jobs.analyst.evidence_log import balance_of, shares_of, support_of
from uplift.campaign import Campaign


def log(n: int = 600, seed: int = 0, p: object = (0.5, 0.3, 0.2), shift: float = 0.0, features: int = 3) -> Campaign:
    """Three arms drawn with p, (3,) or (n, 3); the first feature of arm 2 is moved by `shift`."""
    rng = np.random.default_rng(seed)
    table = np.broadcast_to(np.asarray(p, dtype=float), (n, 3))
    treatment = (rng.random(n)[:, None] > table.cumsum(axis=1)[:, :-1]).sum(axis=1)
    X = rng.standard_normal((n, features)).astype(np.float32)
    X[treatment == 2, 0] += shift
    return Campaign(
        X=X,
        treatment=treatment,
        value=rng.standard_normal(n),
        cost=np.zeros(n),
        propensity=table,
        arms=("none", "mail", "call"),
        user_id=np.arange(n),
        features=tuple(f"x{k}" for k in range(features)),
    )


def test_the_chance_of_the_counts_is_pearsons():
    found = shares_of(log(p=(0.5, 0.25, 0.25)))
    assert found is not None
    counts = np.array(found.logged) * 600
    assert found.chance == pytest.approx(stats.chisquare(counts, 600 * np.array([0.5, 0.25, 0.25])).pvalue)
    assert found.error == pytest.approx(np.sqrt(np.array([0.25, 0.1875, 0.1875]) / 600))
    assert not found.own


def test_chances_taken_from_the_log_are_known_as_such():
    drawn = log()
    shares = np.bincount(drawn.treatment) / len(drawn)
    found = shares_of(Campaign(**{**vars(drawn), "propensity": np.broadcast_to(shares, (600, 3))}))
    assert found is not None
    assert found.own
    assert found.chance == pytest.approx(1)


def test_a_log_without_chances_has_no_shares():
    assert shares_of(Campaign(**{**vars(log()), "propensity": None})) is None


def test_with_equal_chances_a_balance_is_welchs_test():
    """z = (mean - mean of control) / sqrt(v/n + v0/n0), v without the n - 1 of Welch's."""
    drawn = log(shift=0.4)
    balance = balance_of(drawn, np.zeros((600, 3)))
    X, t = drawn.X.astype(float), drawn.treatment
    for j in (1, 2):
        for k in range(3):
            one, control = X[t == j, k], X[t == 0, k]
            spread = np.sqrt((one.var() + control.var()) / 2)
            assert balance.difference[j - 1][k] == pytest.approx((one.mean() - control.mean()) / spread)
            error = np.sqrt(one.var() / len(one) + control.var() / len(control)) / spread
            assert balance.error[j - 1][k] == pytest.approx(error)
    assert balance.compared == 6
    assert balance.largest()[0] == (1, 0)
    z = max(abs(np.array(balance.difference) / balance.error).ravel())
    assert balance.chance == pytest.approx(min(1, 6 * 2 * stats.norm.sf(z)))


def test_weights_undo_chances_that_follow_a_feature():
    """Users of a high feature get the call more often, as stated: raw means differ by a lot, weighted ones do not."""
    rng = np.random.default_rng(3)
    x = rng.standard_normal(4000)
    call = 0.1 + 0.6 / (1 + np.exp(-2 * x))
    p = np.column_stack([(1 - call) / 2, (1 - call) / 2, call])
    drawn = log(4000, p=p)
    drawn.X[:, 0] = x
    balance = balance_of(drawn, np.zeros((4000, 3)))
    assert x[drawn.treatment == 2].mean() - x[drawn.treatment == 0].mean() > 0.5
    assert abs(balance.difference[1][0]) < 3 * balance.error[1][0]
    assert balance.chance > 0.01
    wrong = Campaign(**{**vars(drawn), "propensity": np.broadcast_to(p.mean(axis=0), p.shape)})
    assert balance_of(wrong, np.zeros((4000, 3))).chance < 1e-6


def test_sound_logs_are_suspected_as_rarely_as_said():
    """Bonferroni of 2 x 3 differences that share control: at most 5% below .05, and not far from it."""
    chances = [balance_of(log(400, seed), np.zeros((400, 3))).chance for seed in range(1_000, 1_600)]
    below = np.mean(np.array(chances) < 0.05)
    assert 0.03 <= below <= 0.08


def test_a_feature_that_never_varies_is_compared_with_nothing():
    drawn = log()
    drawn.X[:, 1] = 7
    balance = balance_of(drawn, np.zeros((600, 3)))
    assert balance.compared == 4
    assert [row[1] for row in balance.difference] == [0, 0]
    drawn.X[drawn.treatment == 2, 1] = 8
    balance = balance_of(drawn, np.zeros((600, 3)))
    assert balance.chance == 0
    assert balance.largest()[0] == (1, 1)


def test_the_support_counts_who_received_what_is_decided():
    drawn = log()
    decision = np.repeat([0, 2], [400, 200])
    found = support_of(drawn, decision)
    match = decision == drawn.treatment
    assert found.decided == (400, 0, 200)
    matched = [int((match & (decision == j)).sum()) for j in range(3)]
    assert found.effective == pytest.approx(matched)  # of equal weights
    weight = match / drawn.propensity[np.arange(600), drawn.treatment]
    design = 600**2 / (400 / 0.5 + 200 / 0.2)  # n^2 / sum of 1 / p of the arms decided
    assert found.together == pytest.approx(min(weight.sum() ** 2 / (weight**2).sum(), design))
    assert found.more == tuple(0 if found.decided[j] == 0 or matched[j] >= 30 else found.more[j] for j in range(3))
    few = support_of(drawn, np.repeat([0, 2], [590, 10]))
    assert few.effective[2] < 30
    assert few.more[2] > 0
