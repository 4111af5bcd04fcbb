"""Repeated splits: the mean over single splits, wide enough, clusters never torn apart."""

from __future__ import annotations

import numpy as np
import pytest

from allocation import BestMix, Nobody, ProblemError, RandomArm, evaluate
from allocation.evaluation.repeated import evaluate_splits
from uplift import InputError, synthetic

LOG = synthetic.simulate(2_000, seed=0).campaign


def build(train, seed):
    return {"mix": BestMix(seed).fit(train), "random": RandomArm(seed).fit(train), "nobody": Nobody().fit(train)}


def test_it_is_the_mean_over_splits_with_the_mean_variance():
    """Split s uses seed + s; standard errors are roots of the mean variance: more splits do not shrink them."""
    found = evaluate_splits(build, LOG, budgets_per_user=[0.25, 1.0], splits=3, reference="mix", estimators=["sn"])
    singles = []
    for seed in range(3):
        train, held_out = LOG.split(0.5, seed)
        singles.append(
            evaluate(
                build(train, seed),
                held_out,
                budgets=[250.0, 1000.0],
                reference="mix",
                estimators=["sn"],
                intervals="influence",
            )
        )
    for column in ("value", "gain", "spend", "difference", "promised_value", "matched", "optimism"):
        assert found[column].to_numpy() == pytest.approx(np.mean([one[column] for one in singles], axis=0))
    for column in ("value_se", "difference_se", "spend_difference_se"):
        expected = np.sqrt(np.mean([one[column] ** 2 for one in singles], axis=0))
        assert found[column].to_numpy() == pytest.approx(expected)
    assert (found.splits == 3).all()
    assert found.policy.tolist() == ["mix", "random", "nobody"] * 2
    assert (found.value_high - found.value).to_numpy() == pytest.approx(1.959964 * found.value_se.to_numpy())


def test_whole_clusters_train_or_are_held_out():
    cluster, told = np.arange(2_000) // 8, []

    def _build(train, seed):
        told.append(set(np.flatnonzero(np.isin(LOG.user_id, train.user_id)) // 8))
        assert all((np.isin(LOG.user_id[cluster == c], train.user_id)).all() for c in told[-1])
        return build(train, seed)

    found = evaluate_splits(
        _build, LOG, budgets_per_user=[0.5], splits=2, cluster=cluster, estimators=["ipw"], progress=lambda _: None
    )
    assert [len(clusters) for clusters in told] == [125, 125]
    assert found.value.notna().all()


def test_progress_and_seed():
    steps = []
    one, again, other = (
        evaluate_splits(
            build, LOG, budgets_per_user=[0.5], splits=2, estimators=["ipw"], seed=s, progress=steps.append
        )
        for s in (4, 4, 5)
    )
    assert steps[:2] == ["split 1 of 2", "split 2 of 2"]
    assert one.equals(again)
    assert not one.equals(other)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"splits": 1}, InputError, r"splits is 1; a whole number of at least 2 .* `evaluate`"),
        ({"budgets_per_user": 0.5}, ProblemError, r"budgets_per_user is 0\.5; a list"),
        ({"share": 1.5}, InputError, r"share is 1\.5"),
        ({"reference": "x"}, InputError, r"reference 'x' is none of the policies"),
    ],
)
def test_refused_with_the_mend(options, error, message):
    with pytest.raises(error, match=message):
        evaluate_splits(build, LOG, **({"budgets_per_user": [0.5], "splits": 2, "estimators": ["sn"]} | options))


def test_the_names_must_stay():
    def _fickle(train, seed):
        return {f"mix {seed}": BestMix(seed).fit(train)}

    with pytest.raises(InputError, match=r"split 2 has the policies mix 1 and the first mix 0"):
        evaluate_splits(_fickle, LOG, budgets_per_user=[0.5], splits=2, estimators=["sn"])


def test_clusters_of_unequal_size_are_scaled_to_the_first_split():
    """One cluster of 800 among 600 of 2: halves differ in users, and rates stay rates."""
    cluster = np.r_[np.zeros(800, dtype=int), 1 + np.arange(1_200) // 2]

    def _everybody(train, seed):
        return {"all": RandomArm(seed).fit(train)}

    options = {"budgets_per_user": [1e6], "cluster": cluster, "estimators": ["sn"], "splits": 4}
    sizes, found = set(), []
    for seed in (0, 1, 2, 3):
        frame = evaluate_splits(_everybody, LOG, seed=seed, **options).iloc[0]
        sizes.add(frame.users)
        found.append((frame.match_rate, frame.promised_value / frame.users, frame.budget / frame.users))
    assert len(sizes) > 1
    rates, promises, budgets = np.array(found).T
    assert ((rates > 0.15) & (rates < 0.25)).all()  # five arms alike
    assert np.ptp(promises) < 0.1 * promises.mean()
    assert budgets == pytest.approx(1e6)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"reference": "zzz"}, InputError, "reference 'zzz' is none of the policies"),
        ({"build": {"mix": 1}}, InputError, "build is a dict; a function of a training campaign and a seed"),
        ({"budgets_per_user": [-1.0]}, ProblemError, "budget is -1"),
        ({"budgets_per_user": [None]}, ProblemError, "budgets must be finite numbers"),
        ({"largest_weight": "x"}, InputError, "largest_weight is 'x'"),
        ({"seed": np.random.default_rng(0)}, InputError, "seed is Generator.*a whole number"),
    ],
)
def test_mistakes_are_told_before_much_is_fitted(options, error, message):
    fitted = []

    def _slow(train, seed):
        fitted.append(seed)
        return {"mix": BestMix(seed).fit(train)}

    arguments = {"build": _slow, "budgets_per_user": [0.5], "estimators": ["sn"]} | options
    with pytest.raises(error, match=message):
        evaluate_splits(campaign=LOG, **arguments)
    assert len(fitted) <= (1 if "reference" in options else 0)
