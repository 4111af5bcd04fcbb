"""A saved policy decides the same, still knows whom it was fitted on, and nothing damaged or foreign comes in."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression

from allocation import (
    BestMix,
    BestSingleArm,
    EndToEnd,
    Nobody,
    OutcomeTargeting,
    RandomArm,
    TwoStage,
    evaluate,
    load_policy,
)
from uplift import InputError, synthetic
from uplift.learners import NeuralResponse, SLearner, TLearner
from uplift.learners.base import ResponseLearner
from uplift.learners.bases import default_base

LOG = synthetic.simulate(1_200, seed=4).campaign
TRAIN, NEW = LOG.split(0.5, seed=1)
TREES = default_base(0).set_params(n_estimators=5, n_jobs=1)
POLICIES = {
    "nobody": Nobody(),
    "random": RandomArm(seed=3),
    "single": BestSingleArm(seed=2),
    "mix": BestMix(seed=5),
    "outcome": OutcomeTargeting(SLearner(TREES)),
    "two-stage": TwoStage(TLearner(TREES, seed=2)),
    "two-stage, linear": TwoStage(SLearner(LinearRegression())),
    "two-stage, net": TwoStage(NeuralResponse(hidden=(4,), epochs=1)),
    "end-to-end": EndToEnd(NeuralResponse(hidden=(4,), epochs=1), scores="ipw", budgets=[100.0, 300.0]),
    "end-to-end, no gate": EndToEnd(NeuralResponse(hidden=(), epochs=1), gate=False, groups=None, gamma=2),
}


def ids(kind: str) -> Any:
    """Ids of every kind that a log may have."""
    n = len(TRAIN)
    return {
        "numbers": np.arange(n) * 7 + 5_000_000_000,
        "small unsigned": np.arange(n, dtype=np.uint16),
        "fixed text": np.array([f"u{k}" for k in range(n)]),
        "text": np.array(["", "ü ", "\U0001f600", *(f"user {k}\n" for k in range(n - 3))], dtype=object),
    }[kind]


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
def test_a_loaded_policy_decides_the_same_to_the_byte(policy: Any, tmp_path: Path):
    """Decisions and totals at a tight, a middle and no budget; and once more after saving what was loaded."""
    policy = policy.fit(TRAIN)
    once = load_policy(policy.save(tmp_path / "once"))
    twice = load_policy(once.save(tmp_path / "twice"))
    for got in (once, twice):
        assert type(got) is type(policy)
        assert got.arms_ == LOG.arms
        assert_array_equal(got.users_.user_id, TRAIN.user_id)
        assert vars(got).keys() == vars(policy).keys()
        for budget in (50.0, 400.0, None):
            want, have = policy.decide(NEW.X, budget), got.decide(NEW.X, budget)
            assert_array_equal(have.decision, want.decision)
            assert_array_equal([have.value, have.cost, have.price], [want.value, want.cost, want.price])
        if hasattr(policy, "predict"):
            assert_array_equal(got.predict(NEW.X).value, policy.predict(NEW.X).value)


def test_arguments_come_back_as_they_were_given(tmp_path: Path):
    """A learner that decides fitted is kept unfitted among the arguments, one that is frozen stays frozen."""
    assert load_policy(RandomArm(seed=11).fit(TRAIN).save(tmp_path / "rule")).seed == 11
    given = TwoStage(TLearner(TREES, seed=9)).fit(TRAIN)
    got = load_policy(given.save(tmp_path / "model"))
    assert str(got.learner.get_params()) == str(given.learner.get_params())
    assert not hasattr(got.learner, "arms_")
    assert got.features_ == LOG.features
    frozen = OutcomeTargeting(FrozenEstimator(given.learner_)).fit(TRAIN)
    got = load_policy(frozen.save(tmp_path / "frozen"))
    assert isinstance(got.learner_, FrozenEstimator)
    assert_array_equal(got.decide(NEW.X, 300.0).decision, frozen.decide(NEW.X, 300.0).decision)


def test_what_an_end_to_end_fit_says_of_itself_survives(tmp_path: Path):
    """The result with its differences and seconds, equal and in the same words; who watched it is not kept."""
    heard: list[str] = []
    policy = EndToEnd(NeuralResponse(hidden=(4,), epochs=1), scores="ipw", progress=heard.append).fit(TRAIN)
    got = load_policy(policy.save(tmp_path / "p"))
    assert heard
    assert got.progress is None
    assert got.result_ == policy.result_
    assert type(got.result_.gain) is type(policy.result_.gain)
    assert str(got.result_) == str(policy.result_)


def test_the_model_of_a_second_log_is_kept_too(tmp_path: Path):
    """Without it the net that decides would lack the features which that model predicts."""
    net = NeuralResponse(hidden=(4,), epochs=1)
    policy = EndToEnd(net, scores="ipw", gate=False).fit(TRAIN, observed=synthetic.simulate(500, seed=9).campaign)
    got = load_policy(policy.save(tmp_path / "p"))
    assert_array_equal(got.predict(NEW.X).value, policy.predict(NEW.X).value)
    assert_array_equal(got.decide(NEW.X, 200.0).decision, policy.decide(NEW.X, 200.0).decision)


def test_it_can_be_fitted_again(tmp_path: Path):
    """What was loaded learns from another log as a new policy with the same arguments does."""
    again = load_policy(TwoStage(SLearner(TREES)).fit(TRAIN).save(tmp_path / "p")).fit(NEW)
    assert_array_equal(
        again.decide(TRAIN.X, 90.0).decision, TwoStage(SLearner(TREES)).fit(NEW).decide(TRAIN.X, 90.0).decision
    )


@pytest.mark.parametrize("kind", ["numbers", "small unsigned", "fixed text", "text"])
def test_whom_it_was_fitted_on_survives_whatever_the_ids_are(kind: str, tmp_path: Path):
    train = replace(TRAIN, user_id=ids(kind), source="")
    got = load_policy(Nobody().fit(train).save(tmp_path / "p"))
    assert got.users_.among(train).all()
    others = replace(train, user_id=np.array([f"other {k}" for k in range(len(train))], dtype=object))
    assert not got.users_.among(others).any()
    assert got.users_.user_id.tolist() == train.user_id.tolist()


def test_evaluate_still_refuses_users_whom_it_has_seen(tmp_path: Path):
    """Row numbers too, as long as they number the same log."""
    got = load_policy(BestMix().fit(TRAIN).save(tmp_path / "p"))
    assert TRAIN.source
    assert got.users_.source == TRAIN.source
    with pytest.raises(InputError, match=r"599 of 599 users in the evaluation set trained policy 'mix'"):
        evaluate({"mix": got}, TRAIN, budgets=[100.0], n_bootstrap=20)
    assert len(evaluate({"mix": got}, NEW, budgets=[100.0], n_bootstrap=20))


class Own(TwoStage):
    """A policy of somebody else's."""


class OwnLearner(BaseEstimator):
    """A learner of somebody else's: the mean of the log for every arm."""

    def fit(self, X, value, *, treatment, cost=None, propensity=None, arms=None):
        self.fitted_ = SLearner(LinearRegression()).fit(X, value, treatment=treatment, cost=cost, arms=arms)
        return self

    def predict(self, X):
        return self.fitted_.predict(X)


def test_what_cannot_be_saved_says_so(tmp_path: Path):
    with pytest.raises(InputError, match=r"this TwoStage is not fitted; call \.fit\(campaign\)"):
        TwoStage(SLearner()).save(tmp_path / "p")
    with pytest.raises(InputError, match="a Own cannot be saved: it is no policy of this package"):
        Own(SLearner(LinearRegression())).fit(TRAIN).save(tmp_path / "p")
    own: ResponseLearner = OwnLearner()
    policy = TwoStage(own).fit(TRAIN)
    policy.learner_.rule_ = lambda: None
    with pytest.raises(InputError, match="could not be loaded again"):
        policy.save(tmp_path / "p")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_anything_else_in_it_is_left_alone(tmp_path: Path):
    (tmp_path / "policy.json").write_text('{"policy": "of an insurance"}')
    (tmp_path / "data.csv").write_text("precious")
    with pytest.raises(InputError, match="exists and is not a saved policy alone; give a new or empty folder"):
        Nobody().fit(TRAIN).save(tmp_path)
    assert (tmp_path / "policy.json").read_text() == '{"policy": "of an insurance"}'
    folder = Nobody().fit(TRAIN).save(tmp_path / "p")
    (folder / "notes.txt").write_text("precious")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(InputError, match="not a saved policy alone"):
        BestMix().fit(TRAIN).save(folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_new_policy_replaces_the_old_one_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Two-stage over a rule leaves no file of the rule; a disk that fills up keeps what stood there."""
    folder = Nobody().fit(TRAIN).save(tmp_path / "p")
    TwoStage(SLearner(TREES)).fit(TRAIN).save(folder)
    named = {"policy.json", *json.loads((folder / "policy.json").read_text())["files"]}
    assert {path.name for path in folder.iterdir()} == named
    rename = Path.rename

    def failing(self: Path, target: Path) -> Path:
        if self.name.endswith("-new"):
            raise OSError(28, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(InputError, match="cannot be written: No space left on device; what stood there is kept"):
        BestMix().fit(TRAIN).save(folder)
    assert isinstance(load_policy(folder), TwoStage)
    assert [path.name for path in tmp_path.iterdir()] == ["p"]


def saved(folder: Path) -> tuple[Path, dict[str, Any]]:
    """A small policy in a folder, and what its index says."""
    TwoStage(SLearner(TREES)).fit(TRAIN).save(folder)
    return folder, json.loads((folder / "policy.json").read_text())


def test_a_damaged_folder_is_refused(tmp_path: Path):
    """A file cut short, one changed by a bit, one gone, an index cut short, a wrong checksum, a learner's folder."""
    folder, index = saved(tmp_path / "p")
    arrays, text = folder / "arrays.safetensors", (folder / "policy.json").read_text()
    whole = arrays.read_bytes()
    changed = bytearray(whole)
    changed[-1] ^= 1
    for content in (whole[:-8], bytes(changed)):
        arrays.write_bytes(content)
        with pytest.raises(InputError, match=r"arrays\.safetensors is not the file that was saved"):
            load_policy(folder)
    arrays.unlink()
    with pytest.raises(InputError, match=r"lacks the file 'arrays\.safetensors' of its policy; copy the whole"):
        load_policy(folder)
    arrays.write_bytes(whole)
    (folder / "policy.json").write_text(text[: len(text) // 2])
    with pytest.raises(InputError, match=r"policy\.json is damaged or of another program; save the policy anew"):
        load_policy(folder)
    index["files"]["arrays.safetensors"] = "0" * 64
    (folder / "policy.json").write_text(json.dumps(index))
    with pytest.raises(InputError, match="its checksum differs"):
        load_policy(folder)
    (folder / "policy.json").write_text(text)
    assert isinstance(load_policy(folder), TwoStage)
    from uplift.learners import save

    with pytest.raises(InputError, match=r"holds no saved policy \(no policy\.json\)"):
        load_policy(save(SLearner(TREES).fit(LOG.X, LOG.value, treatment=LOG.treatment), tmp_path / "model"))
    with pytest.raises(InputError, match="holds no saved policy"):
        load_policy(tmp_path / "gone")


def put(path: str, item: Any):
    """A change to one place of an index, such as `policy.class`."""

    def change(index: dict[str, Any]) -> None:
        *steps, last = path.split(".")
        for step in steps:
            index = index[step]
        index[last] = item

    return change


TAMPERED = {
    "another program's": (lambda index: index.clear(), "of another program"),
    "a list": (put("policy", [1, 2]), "damaged|holds no policy"),
    "a learner": (lambda index: index.update(policy=index["policy"]["state"]["learner_"]), "holds no policy"),
    "a later format": (put("format", 9), "is of format 9; this version reads 1"),
    "an unknown class": (put("policy.class", "TwoStages"), "'TwoStages', which is none .* Did you mean 'TwoStage'"),
    "a class of another module": (put("policy.class", "os.system"), "is none of this version"),
    "an unknown argument": (put("policy.params.command", "x"), "is damaged: its parts do not make a policy"),
    "a method as state": (put("policy.state.decide", 1), "lacks a part of its fit, or has one too many"),
    "no learner": (put("policy.state.learner_", 3), "is damaged: .* learner_ is a int"),
    "no users": (put("policy.state.users_", None), "is damaged: .* users_ is a NoneType"),
    "an array that is not there": (put("policy.state.users_.ids", {"numbers": "array-99"}), "is damaged"),
}


@pytest.mark.parametrize("case", TAMPERED)
def test_an_index_that_was_tampered_with_is_refused(case: str, tmp_path: Path):
    change, words = TAMPERED[case]
    folder, index = saved(tmp_path / "p")
    change(index)
    (folder / "policy.json").write_text(json.dumps(index))
    with pytest.raises(InputError, match=words):
        load_policy(folder)


def test_means_of_other_arms_are_refused(tmp_path: Path):
    folder = BestMix().fit(TRAIN).save(tmp_path / "p")
    index = json.loads((folder / "policy.json").read_text())
    index["policy"]["state"]["arms_"]["items"].pop()
    (folder / "policy.json").write_text(json.dumps(index))
    with pytest.raises(InputError, match="5 means for 4 arms"):
        load_policy(folder)


def test_a_file_beside_the_policy_is_checked_with_it(tmp_path: Path):
    from allocation.policies.saved import save_policy

    folder = save_policy(Nobody().fit(TRAIN), tmp_path / "p", beside={"manifest.json": b"{}\n"})
    assert (folder / "manifest.json").read_bytes() == b"{}\n"
    assert isinstance(load_policy(folder), Nobody)
    (folder / "manifest.json").write_bytes(b"{ }\n")
    with pytest.raises(InputError, match=r"manifest\.json is not the file that was saved"):
        load_policy(folder)
