"""What cannot be verified is refused: propensities, training users, arms that the log never gave."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from allocation import BestMix, TwoStage, evaluate
from allocation.evaluation.curve import curve_area
from allocation.evaluation.repeated import evaluate_splits
from uplift import Campaign, InputError, Response, synthetic
from uplift.learners import SLearner
from uplift.seen import Seen

LOG = synthetic.simulate(2_000, seed=0).campaign
TRAIN, HELD_OUT = LOG.split(0.5, seed=0)
MIX = BestMix().fit(TRAIN)
QUICK = {"budgets": [400.0, 800.0], "n_bootstrap": 10, "estimators": ["sn"]}


def named(campaign, ids):
    """The campaign with ids that its source states."""
    return replace(campaign, user_id=np.asarray(ids), source="")


def test_propensities_that_contradict_the_shares_are_refused_with_the_test_and_its_p():
    """Control has half of its share; on demand it is a warning. Splits and curves refuse alike."""
    keep = (HELD_OUT.treatment > 0) | (np.arange(len(HELD_OUT)) % 2 == 0)
    log = HELD_OUT.take(keep)
    message = r"contradict the log \(chi-square test of the arm counts, p = .e-.*'none' should have about"
    with pytest.raises(InputError, match=message + ".* allow_mismatch=True"):
        evaluate({"mix": MIX}, log, **QUICK)
    with pytest.raises(InputError, match=message):
        curve_area({"mix": MIX}, log, budgets=[1.0, 2.0])
    with pytest.raises(InputError, match=message):
        evaluate_splits(lambda train, seed: {"mix": BestMix(seed).fit(train)}, log, budgets_per_user=[0.5])
    with pytest.warns(UserWarning, match=message):
        table = evaluate({"mix": MIX}, log, allow_mismatch=True, **QUICK)
    assert table["value"].notna().all()


def test_a_log_that_is_not_declared_randomised_is_refused():
    unknown = replace(HELD_OUT, propensity=None)
    with pytest.raises(InputError, match=r"no propensity.*declare .* propensity='arm shares'"):
        evaluate({"mix": MIX}, unknown, **QUICK)
    with pytest.raises(InputError, match=r"is a Response; a Campaign is expected"):
        evaluate({"mix": MIX}, synthetic.simulate(10).truth, **QUICK)
    with pytest.raises(InputError, match=r"the held-out log has no users"):
        evaluate({"mix": MIX}, HELD_OUT.take(np.empty(0, dtype=int)), **QUICK)


@pytest.mark.parametrize(
    "overlap",
    [
        lambda: (TRAIN, LOG),
        lambda: (named(TRAIN, np.arange(1000) + 7), named(HELD_OUT, np.arange(1000) + 1006)),
        lambda: (named(TRAIN, [f"a{i}" for i in range(1000)]), named(HELD_OUT, [f"a{i + 999}" for i in range(1000)])),
        lambda: (named(TRAIN, np.arange(1000)), named(HELD_OUT, [str(i + 999) for i in range(1000)])),
    ],
    ids=["rows of one log", "numbers", "names", "numbers as text"],
)
def test_training_users_are_refused_by_their_id(overlap):
    """One user in both (half of them in the first case); also by `train=` for a policy that does not remember."""
    train, held_out = overlap()
    count = {2000: "1,000 of 2,000", 1000: "1 of 1,000"}[len(held_out)]
    for policy in (BestMix(), TwoStage(SLearner())):
        with pytest.raises(InputError, match=rf"{count} users in the evaluation set trained policy 'mine' \(user_id"):
            evaluate({"mine": policy.fit(train)}, held_out, **QUICK)
    with pytest.raises(InputError, match=rf"{count} users in the evaluation set trained the policies"):
        evaluate({"decided": np.zeros(len(held_out), dtype=int)}, held_out, train=train, **QUICK)


def test_row_numbers_are_no_ids():
    """Logs that state no ids both count from 0; the same number is the same user only in parts of one log."""
    other = synthetic.simulate(2_000, seed=1).campaign
    stated = named(other, np.arange(2_000))
    assert Seen.of(LOG).among(HELD_OUT).all()
    assert Seen.of(LOG).among(replace(HELD_OUT, value=HELD_OUT.value + 1)).all()  # another outcome, the same users
    for train, held_out in ((LOG, other), (TRAIN, HELD_OUT), (stated, HELD_OUT), (LOG, stated)):
        assert_array_equal(Seen.of(train).among(held_out), np.zeros(len(held_out), dtype=bool))
    evaluate({"mix": BestMix().fit(other)}, HELD_OUT, **QUICK)


def test_coarse_features_do_not_make_strangers_one_user():
    """Two logs without ids, of 500 users each, one feature of two values: rows agree by chance, users do not."""
    rng = np.random.default_rng(0)
    frames = [
        {"x": rng.integers(0, 2, 500), "arm": rng.choice(["none", "mail"], 500), "y": rng.integers(0, 2, 500)}
        for _ in range(2)
    ]
    roles = {"features": ["x"], "treatment": "arm", "value": "y", "propensity": "arm shares"}
    train, held_out = (Campaign.from_frame(pd.DataFrame(frame), **roles) for frame in frames)
    assert not Seen.of(train).among(held_out).any()
    assert Seen.of(train).among(Campaign.from_frame(pd.DataFrame(frames[0]), **roles)).all()


def test_a_frame_without_ids_has_a_source_and_one_with_ids_has_none():
    frame = pd.DataFrame({"x": [1.0, 2.0], "arm": ["none", "mail"], "y": [0.0, 1.0], "id": [5, 6]})
    roles = {"features": ["x"], "treatment": "arm", "value": "y"}
    numbered, stated = Campaign.from_frame(frame, **roles), Campaign.from_frame(frame, user_id="id", **roles)
    assert numbered.take([1]).source == numbered.source != ""
    assert Campaign.from_frame(frame.assign(x=[1.0, -2.0]), **roles).source != numbered.source
    assert Campaign.from_frame(frame.assign(x=[1.0, 0.0]), **roles).source == (
        Campaign.from_frame(frame.assign(x=[1.0, -0.0]), **roles).source
    )
    assert stated.source == ""
    assert stated.take([1]).user_id.tolist() == [6]


def test_an_arm_that_the_log_never_gave_is_refused():
    """By what the policy decides, and by what it was fitted on."""
    without = HELD_OUT.take(HELD_OUT.treatment != 4)
    without = replace(without, propensity=np.tile([0.25, 0.25, 0.25, 0.2499, 0.0001], (len(without), 1)))
    dear = np.full(len(without), 4)
    dear[:10] = 0
    with pytest.raises(InputError, match=rf"gives arm '8 EUR' to {len(dear) - 10} users at a budget of 400, and the"):
        evaluate({"dear": dear}, without, **QUICK)
    fewer = replace(without, arms=without.arms[:4], propensity=np.full((len(without), 4), 0.25))
    with pytest.raises(InputError, match=r"policy 'mix' may give arm '8 EUR', which the log never gave"):
        evaluate({"mix": MIX}, fewer, **QUICK)
    with pytest.raises(InputError, match=r"same arms in the same order"):
        evaluate({"mix": MIX}, replace(HELD_OUT, arms=HELD_OUT.arms[::-1]), **QUICK)


@pytest.mark.parametrize(
    ("decision", "message"),
    [
        (np.zeros(3, dtype=int), r"'mine': the decision has shape \(3,\) for 1,000 users; \(1000,\) is expected"),
        (np.zeros((1000, 1), dtype=int), r"has shape \(1000, 1\)"),
        (np.full(1000, 5), r"names arm 5; the log has arms 0\.\.4"),
        (np.full(1000, -1), r"names arm -1; the log has arms 0\.\.4"),
        (np.zeros(1000), r"decided for float64 cells; whole numbers are expected"),
    ],
)
def test_a_decision_that_does_not_fit_is_refused(decision, message):
    with pytest.raises(InputError, match=message):
        evaluate({"mine": decision}, HELD_OUT, **QUICK)


def test_predictions_must_be_of_these_users():
    response = TwoStage(SLearner()).fit(TRAIN).predict(HELD_OUT)
    as_table, as_policy = (
        evaluate({"p": policy}, HELD_OUT, **QUICK) for policy in (response, TwoStage(SLearner()).fit(TRAIN))
    )
    assert as_table.equals(as_policy)
    order = np.arange(len(HELD_OUT))[::-1]
    mixed = Response(response.value[order], response.cost[order], response.arms, response.user_id[order])
    with pytest.raises(InputError, match=r"predictions 'p' are not for the users of the held-out log in their order"):
        evaluate({"p": mixed}, HELD_OUT, **QUICK)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"estimators": ["dr", "ippw"]}, r"estimator 'ippw' is unknown\. Did you mean 'ipw'"),
        ({"estimators": []}, "estimators is empty"),
        ({"intervals": "boot"}, r"intervals is 'boot'\. Did you mean 'bootstrap'"),
        ({"cluster": [1, 2]}, r"cluster has shape \(2,\) for 1,000 users"),
        ({"largest_weight": -1}, "largest_weight is -1"),
        ({"estimators": ["dr"], "outcome_model": "ridge"}, "model is 'ridge'; a scikit-learn regressor"),
    ],
)
def test_options_are_refused_with_the_mend(options, message):
    with pytest.raises(InputError, match=message):
        evaluate({"mix": MIX}, HELD_OUT, **(QUICK | options))


def test_few_resamples_are_warned_of():
    with pytest.warns(UserWarning, match=r"10 resamples are few for 95% intervals.* intervals='influence'"):
        evaluate({"mix": MIX}, HELD_OUT, **QUICK)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        evaluate({"mix": MIX}, HELD_OUT, **(QUICK | {"n_bootstrap": 100}))
        evaluate({"mix": MIX}, HELD_OUT, intervals="influence", **QUICK)
