"""Next experiment: the number of users against simulated logs of that size, a closed form, and what it refuses."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

from allocation import BestMix, TwoStage
from allocation.evaluation.decided import Decided, decide_all
from allocation.evaluation.designs import whole_users
from allocation.evaluation.experiment import next_experiment
from allocation.evaluation.nuisance import fit_outcomes
from allocation.evaluation.outcomes import Outcomes
from uplift import synthetic
from uplift.campaign import Campaign
from uplift.errors import InputError
from uplift.learners import SLearner

ARMS = ("none", "mail", "call")
# Four kinds of users, alike in number: a mean, a standard deviation for each arm, and the arms of two policies.
MU = np.array([[1.0, 1.5, 1.2], [2.0, 1.9, 2.2], [3.0, 3.3, 3.0], [0.0, 0.1, 0.5]])
SIGMA = np.array([[1.0, 1.5, 2.0], [2.0, 1.0, 1.0], [0.5, 1.0, 1.0], [1.0, 0.5, 1.5]])
FIRST, SECOND = np.array([1, 2, 1, 0]), np.array([0, 0, 1, 1])
GAIN = 0.25 * (0.5 + 0.2 + 0.0 - 0.1)
P = np.array([0.5, 0.3, 0.2])


def world(n, seed, propensity=P):
    """A log of n users of the four kinds, and their kinds; X is the kind."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, 4, n)
    t = rng.choice(3, n, p=propensity)
    log = Campaign(
        X=kind[:, None].astype(np.float32),
        treatment=t,
        value=MU[kind, t] + SIGMA[kind, t] * rng.normal(size=n),
        cost=None,
        propensity=np.tile(propensity, (n, 1)),
        arms=ARMS,
        user_id=np.arange(n),
        features=("kind",),
    )
    return log, kind


def fixed(first, second, promised=(math.nan, math.nan)):
    nothing = np.full(2, math.nan)
    return Decided(("first", "second"), (1.0,), np.stack([first, second]), np.array(promised), nothing, nothing)


def decisions(kind, promised=(math.nan, math.nan)):
    return fixed(FIRST[kind], SECOND[kind], promised)


@pytest.fixture(scope="module")
def planned():
    """Planned on 40,000 users with the true means as the outcome model."""
    log, kind = world(40_000, seed=1)
    return next_experiment(
        decisions(kind),
        log,
        policy="first",
        reference="second",
        budget=1.0,
        outcomes=Outcomes(MU[kind], None),
        predicted_gain=GAIN,
    )


def row(found, design, estimator):
    rows = found.frame[(found.frame.design == design) & (found.frame.estimator == estimator)]
    assert len(rows) == 1
    return rows.iloc[0]


def chances(found, design, kind):
    """The chances of each arm by kind under a design of the frame."""
    if design == "a/b":
        q = np.zeros((4, 3))
        for k in range(4):
            q[k, FIRST[k]] += 0.5
            q[k, SECOND[k]] += 0.5
        return q[kind]
    return np.broadcast_to(
        row(found, design, "dr")[[f"share.{arm}" for arm in ARMS]].to_numpy(float), (*kind.shape, 3)
    )


def test_designs_and_estimators(planned):
    pairs = set(planned.frame[["design", "estimator"]].itertuples(index=False, name=None))
    assert pairs == {(d, e) for d in ("same", "uniform", "best", "a/b") for e in ("dr", "sn", "ipw")} | {
        ("a/b", "means")
    }
    shares = planned.frame[[f"share.{arm}" for arm in ARMS]].to_numpy()
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    users = planned.frame[[f"users.{arm}" for arm in ARMS]].to_numpy()
    assert (users.sum(axis=1) == planned.frame.users).all()
    assert (abs(users - planned.frame.users.to_numpy()[:, None] * shares) <= 1).all()


def test_doubly_robust_users_by_hand(planned):
    """Differences by kind .5, .2, 0, -.1 (mean .15, variance .0525); kinds 0, 1 and 3 differ.

    Uniform: noise 3/4 (1.5^2 + 1 + 1 + 2^2 + 1 + .5^2) = 7.125, so (7.1775) (1.95996 + .84162)^2 / .15^2 = 2503.8.
    a/b: 2/4 (9.5) = 4.75, so 4.8025 2.80158^2 / .0225 = 1675.3. As estimated from 40,000 users, within 3%.
    """
    assert row(planned, "uniform", "dr").users == pytest.approx(2504, rel=0.03)
    assert row(planned, "a/b", "dr").users == pytest.approx(1676, rel=0.03)
    assert row(planned, "a/b", "dr").sd == pytest.approx(math.sqrt(4.8025), rel=0.02)
    noise = {"none": 1 + 4 + 1, "mail": 1.5**2 + 0.5**2, "call": 1.0}
    roots = np.sqrt([noise[arm] for arm in ARMS])
    np.testing.assert_allclose(
        row(planned, "best", "dr")[[f"share.{arm}" for arm in ARMS]].to_numpy(float), roots / roots.sum(), rtol=0.03
    )


@pytest.mark.parametrize("design", ["same", "uniform", "best", "a/b"])
@pytest.mark.parametrize("estimator", ["dr", "sn", "ipw"])
def test_simulated_logs_of_that_size_find_the_gain_four_times_in_five(planned, design, estimator):
    """1,000 logs of the users that the plan asks for; the textbook estimate's interval lies above 0 in 80 -+ 3.8%."""
    found = row(planned, design, estimator)
    runs, n = 1000, int(found.users)
    rng = np.random.default_rng(7)
    if estimator != "dr" and design == "best":  # shares are those of the estimator
        q = np.broadcast_to(found[[f"share.{arm}" for arm in ARMS]].to_numpy(float), (4, 3))
    else:
        q = chances(planned, design, np.arange(4))
    power = 0
    for _ in range(runs):
        kind = rng.integers(0, 4, n)
        t = (rng.random(n)[:, None] > np.cumsum(q, axis=1)[kind][:, :-1]).sum(axis=1)
        y = MU[kind, t] + SIGMA[kind, t] * rng.normal(size=n)
        p = q[kind, t]
        w = [(t == z[kind]) / p for z in (FIRST, SECOND)]
        if estimator == "sn":
            worth = [(v * y).mean() / v.mean() for v in w]
            mean = worth[0] - worth[1]
            phi = mean + w[0] * (y - worth[0]) / w[0].mean() - w[1] * (y - worth[1]) / w[1].mean()
        else:
            m = MU if estimator == "dr" else np.zeros((4, 3))
            phi = m[kind, FIRST[kind]] - m[kind, SECOND[kind]] + (w[0] - w[1]) * (y - m[kind, t])
            mean = phi.mean()
        power += mean > 1.96 * phi.std() / math.sqrt(n)
    assert power / runs == pytest.approx(0.8, abs=3 * math.sqrt(0.8 * 0.2 / runs))


def test_the_plain_test_finds_it_four_times_in_five_too(planned):
    """Users dealt to the policies by a coin, the two means compared by Welch's interval."""
    runs, n = 1000, int(row(planned, "a/b", "means").users)
    rng = np.random.default_rng(8)
    power = 0
    for _ in range(runs):
        kind, coin = rng.integers(0, 4, n), rng.random(n) < 0.5
        t = np.where(coin, FIRST[kind], SECOND[kind])
        y = MU[kind, t] + SIGMA[kind, t] * rng.normal(size=n)
        of_a, of_b = y[coin], y[~coin]
        se = math.sqrt(of_a.var() / len(of_a) + of_b.var() / len(of_b))
        power += of_a.mean() - of_b.mean() > 1.96 * se
    assert power / runs == pytest.approx(0.8, abs=3 * math.sqrt(0.8 * 0.2 / runs))


def test_the_log_s_own_estimate_stands_beside(planned):
    assert planned.verified == pytest.approx(GAIN, abs=4 * planned.verified_se)
    assert planned.verified_se == pytest.approx(row(planned, "same", "dr").sd / math.sqrt(40_000), rel=1e-3)
    assert row(planned, "same", "dr").detectable == pytest.approx(2.8016 * planned.verified_se, rel=1e-3)
    assert planned.differing == pytest.approx(30_000, rel=0.02)


def test_a_gain_of_half_the_size_needs_four_times_the_users(planned):
    log, kind = world(40_000, seed=1)
    half = next_experiment(
        decisions(kind, promised=(0.5 * GAIN * 40_000 + 7, 7.0)),
        log,
        policy="first",
        reference="second",
        budget=1.0,
        outcomes=Outcomes(MU[kind], None),
        design={"none": 0.2, "mail": 0.5, "call": 0.3},
    )
    assert half.promised
    assert half.predicted_gain == pytest.approx(0.5 * GAIN)
    assert list(half.frame.design.unique()) == ["given"]
    found = row(half, "given", "dr")
    # noise by hand: (6 / .2 + 2.5 / .5 + 1 / .3) / 4 and the variance of the differences, .0525
    variance = (30 + 5 + 10 / 3) / 4 + 0.0525
    assert found.users == pytest.approx(variance * 2.80158**2 / (0.5 * GAIN) ** 2, rel=0.03)
    uniform = next_experiment(
        decisions(kind), log, policy="first", reference="second", budget=1.0, outcomes=Outcomes(MU[kind], None),
        predicted_gain=0.5 * GAIN, design="uniform",
    )  # fmt: skip
    assert row(uniform, "uniform", "dr").users == pytest.approx(4 * row(planned, "uniform", "dr").users, abs=4)


def test_an_arm_that_neither_policy_uses_gets_nobody_in_the_best_design():
    log, _ = world(4_000, seed=2)
    everybody = fixed(np.ones(4_000, int), np.zeros(4_000, int), promised=(900.0, 0.0))
    found = next_experiment(everybody, log, policy="first", reference="second", budget=1.0, design="best")
    assert (found.frame["share.call"] == 0).all()
    assert (found.frame["users.call"] == 0).all()
    assert (found.frame["users.mail"] > 0).all()


def test_a_huge_gain_still_asks_for_thirty_effective_users_of_each_policy():
    """3 arms alike and 3 of 4 users differ: 30 x 3 / (3/4) = 120; in the test of the two policies 30 x 2 x 4/3."""
    log, kind = world(8_000, seed=3)
    found = next_experiment(
        decisions(kind), log, policy="first", reference="second", budget=1.0, predicted_gain=1e6,
        outcomes=Outcomes(MU[kind], None),
    )  # fmt: skip
    assert row(found, "uniform", "dr").users == pytest.approx(120, abs=2)
    assert row(found, "a/b", "means").users == pytest.approx(80, abs=2)


def test_copies_of_users_in_clusters_triple_the_users():
    log, kind = world(3_000, seed=4)
    rows = np.repeat(np.arange(3_000), 3)
    tripled = log.take(rows)
    found = [
        next_experiment(
            decisions(k), given, policy="first", reference="second", budget=1.0, predicted_gain=GAIN,
            outcomes=Outcomes(MU[k], None), cluster=cluster, allow_mismatch=True,
        )
        for given, k, cluster in ((log, kind, None), (tripled, kind[rows], rows))
    ]  # fmt: skip
    pair = found[1].frame.users / found[0].frame.users
    np.testing.assert_allclose(pair, 3 * 3000 / 2999, rtol=0.01)
    np.testing.assert_allclose(found[1].frame.design_effect, 3 * 3000 / 2999, rtol=1e-9)
    assert found[1].verified_se == pytest.approx(found[0].verified_se, rel=1e-6)
    assert "multiplies the numbers by 3" in str(found[1])


def test_policies_themselves_on_a_simulated_campaign():
    """Fitted policies, promises and cross-fitted outcomes; the doubly robust log needs fewer users than IPW's."""
    train, held_out = synthetic.simulate(3_000, seed=0).campaign.split(0.5)
    policies = {"model": TwoStage(SLearner()).fit(train), "mix": BestMix().fit(train)}
    found = next_experiment(policies, held_out, policy="model", reference="mix", budget=1000.0)
    decided = decide_all(policies, held_out, [1000.0])
    assert found.promised
    assert found.predicted_gain == (decided.promised_value[0] - decided.promised_value[1]) / len(held_out)
    for design in ("same", "uniform", "best", "a/b"):
        assert row(found, design, "dr").users < row(found, design, "ipw").users
    assert row(found, "best", "dr").users <= row(found, "uniform", "dr").users
    assert row(found, "a/b", "dr").users < row(found, "best", "dr").users
    outcomes = fit_outcomes(held_out, seed=0)
    again = next_experiment(decided, held_out, policy="model", reference="mix", budget=1000.0, outcomes=outcomes)
    assert again.frame.equals(found.frame)
    lines = str(found).splitlines()
    assert max(map(len, lines)) <= 80
    assert "Users needed for power 80% at the two-sided 95% level" in str(found)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"policy": "first", "reference": "first"}, "decide alike for every user: no experiment can tell them apart"),
        ({"predicted_gain": 0.0}, r"not predicted to be worth more than second \(0 a user\)"),
        ({"predicted_gain": -0.3}, r"not predicted to be worth more than second \(-0.3 a user\)"),
    ],
)
def test_where_there_is_nothing_to_find_it_says_so_and_gives_no_number(change, words):
    log, kind = world(500, seed=5)
    found = next_experiment(
        decisions(kind),
        log,
        **({"policy": "first", "reference": "second", "budget": 1.0, "predicted_gain": 1.0} | change),
    )
    assert found.frame.empty
    assert "users" in found.frame
    assert re.search(words, found.note)
    assert "No number:" in str(found)


def test_too_few_matched_users_give_no_number_but_say_how_many_would_do():
    """About 45 of 60 users differ; of these every fifth to second is matched, under 30 for either policy.

    First: 1 / p is 10/3, 5, 2 for kinds 0, 1, 3, second: 2, 2, 10/3; so first needs 30 (31/9) / (3/4) = 138 or more.
    """
    log, kind = world(60, seed=6)
    found = next_experiment(decisions(kind), log, policy="first", reference="second", budget=1.0, predicted_gain=1.0)
    assert found.frame.empty
    assert "too few received what first decides" in found.note
    assert "30 are needed" in found.note
    said = int(found.note.split("about ")[1].split(" users")[0].replace(",", ""))
    assert 100 < said < 400


def test_an_arm_known_from_a_few_users_is_named():
    """Mail for everybody, but a call for the first 60: about 12 of these match."""
    log, kind = world(1_000, seed=7)
    rare = np.where(np.arange(1_000) < 60, 2, 1)
    found = next_experiment(
        fixed(rare, np.zeros(1_000, int)), log, policy="first", reference="second", budget=1.0, predicted_gain=0.1,
        outcomes=Outcomes(MU[kind], None),
    )  # fmt: skip
    matched = int((log.treatment[:60] == 2).sum())
    assert 0 < matched < 30
    assert found.caveats == (f"the noise of arm 'call' under first is known from {matched} of 60 users only",)
    assert "Unsure: the noise of arm 'call' under first" in str(found)


def test_no_noise_gives_no_number():
    """Every user of an arm has the same value and the model knows it: nothing varies, so nothing can be planned."""
    log, _ = world(1_000, seed=8)
    alike = np.array([0.0, 1.0, 1.0])
    flat = Campaign(log.X, log.treatment, alike[log.treatment], None, log.propensity, ARMS, log.user_id, log.features)
    known = {"outcomes": Outcomes(np.tile(alike, (1_000, 1)), None)}
    everybody = fixed(np.ones(1_000, int), np.zeros(1_000, int))
    names = {"policy": "first", "reference": "second", "budget": 1.0}
    found = next_experiment(everybody, flat, **names, predicted_gain=1.0, **known)
    assert math.isnan(row(found, "uniform", "dr").users)
    assert row(found, "uniform", "ipw").users > 0
    assert "Where a number is missing the log shows no noise" in " ".join(str(found).split())
    assert "nan" not in str(found)


@pytest.mark.parametrize("gain", [1e-9, 1e-300])
def test_a_gain_out_of_reach_gives_no_number(gain):
    log, kind = world(1_000, seed=8)
    found = next_experiment(
        decisions(kind), log, policy="first", reference="second", budget=1.0, predicted_gain=gain,
        outcomes=Outcomes(MU[kind], None),
    )  # fmt: skip
    assert found.frame.users.isna().all()
    assert found.frame.detectable.notna().all()
    assert "so small that no experiment of people can find it" in " ".join(str(found).split())


def test_whole_users_sum_up():
    assert list(whole_users(10, np.array([1 / 3, 1 / 3, 1 / 3]))) == [4, 3, 3]
    assert list(whole_users(7, np.array([0.5, 0.0, 0.5]))) == [4, 0, 3]
    assert list(whole_users(100, np.array([0.29, 0.71]))) == [29, 71]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"policy": "frist"}, "policy 'frist' is none of those decided. Did you mean 'first'"),
        ({"budget": 11.0}, r"budget 11\.0 is none of those decided at: 1"),
        ({"power": 80}, "power is 80; a number between 0 and 1 is expected"),
        ({"level": 1.0}, r"level is 1\.0; a number between 0 and 1 is expected"),
        ({"predicted_gain": math.nan}, "predicted_gain is nan; a finite number"),
        ({"predicted_gain": "much"}, "predicted_gain is 'much'; a finite number"),
        (
            {"predicted_gain": None},
            "do not both promise a value, so there is no predicted gain; give predicted_gain=",
        ),
        ({"design": "unifrom"}, "design 'unifrom' is unknown. Did you mean 'uniform'"),
        ({"design": 3}, "design is 3; one of same, uniform, best, a/b, or"),
        ({"design": {"none": 0.5, "post": 0.5}}, "design gives a share to 'post', which is no arm of the log"),
        ({"design": {"none": 0.5, "mail": 0.4}}, r"the shares of the design sum to 0\.9; 1 is expected"),
        ({"design": {"none": 0.5, "mail": 1.5}}, "gives arm 'mail' the share 1.5; a number from 0 to 1"),
        ({"design": {"none": 0.5, "mail": 0.5}}, "design gives arm 'call' no share, and one of the policies uses it"),
    ],
)
def test_refusals(change, words):
    log, kind = world(500, seed=9)
    given = {"policy": "first", "reference": "second", "budget": 1.0, "predicted_gain": 1.0} | change
    with pytest.raises(InputError, match=words):
        next_experiment(decisions(kind), log, **given)


def test_decisions_for_other_users_and_logs_without_propensity_are_refused():
    log, kind = world(500, seed=9)
    names = {"policy": "first", "reference": "second", "budget": 1.0, "predicted_gain": 1.0}
    with pytest.raises(InputError, match="the decisions are for 499 users and held_out has 500"):
        next_experiment(decisions(kind[:-1]), log, **names)
    blind = Campaign(log.X, log.treatment, log.value, None, None, ARMS, log.user_id, log.features)
    with pytest.raises(InputError, match="the log has no propensity"):
        next_experiment(decisions(kind), blind, **names)
