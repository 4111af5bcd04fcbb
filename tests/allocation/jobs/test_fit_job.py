"""The fitting job in memory: who is fitted on, who stays unseen, and that it fits what was asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from allocation import EndToEnd, TwoStage, load_policy
from allocation.engine.problem import ProblemError
from allocation.jobs.fit_job import FitResult, run_fit
from allocation.jobs.fit_output import write_fit
from allocation.jobs.fit_plan import FitPlan
from tests.allocation.test_cli import log
from uplift import Campaign, InputError
from uplift.learners import NeuralResponse, SLearner

ROLES = {"treatment": "arm", "value": "spend", "cost": "cost", "features": ["age", "visits"], "user_id": "id"}


def run(folder: Path, frame: pd.DataFrame | None = None, roles: dict[str, str] | None = None, **plan: object):
    """A fit on the small log of the command's tests."""
    (log() if frame is None else frame).to_parquet(folder / "log.parquet")
    return run_fit(FitPlan(str(folder / "log.parquet"), roles=ROLES | (roles or {}), **plan))


def test_it_fits_the_two_stage_policy_of_the_library(tmp_path: Path):
    """The same decisions as a policy fitted by hand on the same rows with the same seed."""
    result = run(tmp_path, share=0.5, seed=3)
    assert isinstance(result, FitResult)
    whole = Campaign.from_frame(log(), control="none", propensity="arm shares", **ROLES)
    train, rest = whole.split(0.5, seed=3)
    by_hand = TwoStage(SLearner(seed=3)).fit(train)
    assert (result.name, result.users, result.unseen) == ("two-stage S", len(train), len(rest))
    assert_array_equal(result.policy.users_.user_id, train.user_id)
    assert_array_equal(result.policy.decide(rest.X, 30.0).decision, by_hand.decide(rest.X, 30.0).decision)
    assert result.seconds > 0
    assert result.words == ""


def test_all_users_by_default_and_whole_clusters_where_there_are_some(tmp_path: Path):
    assert run(tmp_path).unseen == 0
    frame = log().assign(house=np.arange(600) // 4)
    result = run(tmp_path, frame, {"cluster": "house"}, share=0.4, seed=1)
    seen = frame["id"].isin(result.policy.users_.user_id)
    assert seen.sum() == 240
    assert frame.assign(seen=seen).groupby("house")["seen"].nunique().eq(1).all()


def test_the_layers_and_the_learner_are_those_asked_for(tmp_path: Path):
    result = run(tmp_path, learner="neural", hidden=(5,))
    assert result.name == "two-stage neural"
    assert isinstance(result.policy.learner_, NeuralResponse)
    assert result.policy.learner_.net_.trunk.hidden == [5]


def test_it_fits_the_end_to_end_policy_of_the_library(tmp_path: Path, small_nets: None):
    """With the layers, budgets and scores asked for; budgets a user become money for those fitted on."""
    stated = {"propensity": "arm shares"}
    plan = {"method": "end-to-end", "hidden": (3,), "scores": "ipw", "budgets_per_user": (0.2, 0.1, 0.2), "seed": 2}
    heard: list[str] = []
    (tmp_path / "x").mkdir()
    log().to_parquet(tmp_path / "x" / "log.parquet")
    asked = FitPlan(str(tmp_path / "x" / "log.parquet"), roles=ROLES | stated, **plan)
    result = run_fit(asked, heard.append)
    whole = Campaign.from_frame(log(), control="none", **stated, **ROLES)
    net = NeuralResponse(hidden=(3,), epochs=3, seed=2)
    by_hand = EndToEnd(net, scores="ipw", budgets=[0.1 * 600, 0.2 * 600], seed=2).fit(whole)
    assert result.name == "end-to-end"
    assert_array_equal(result.policy.decide(whole.X, 90.0).decision, by_hand.decide(whole.X, 90.0).decision)
    assert result.policy.result_.budgets == by_hand.result_.budgets
    assert result.words == str(result.policy.result_)
    assert len(heard) > 3


def test_the_gate_the_estimator_and_the_groups_reach_the_policy(tmp_path: Path):
    stated = {"propensity": "arm shares"}
    plan = {"method": "end-to-end", "hidden": (), "scores": "ipw", "gate": False, "estimator": "finite_difference"}
    policy = run(tmp_path, roles=stated, groups="visits", **plan).policy
    assert (policy.gate, policy.estimator, policy.groups) == (False, "finite_difference", "activeness")
    assert policy.result_.gain is None
    assert "No gate was asked for" in str(policy.result_)


def test_the_same_seed_gives_the_same_decisions_after_the_folder(tmp_path: Path):
    whole = Campaign.from_frame(log(), control="none", propensity="arm shares", **ROLES)
    decided = []
    for name in ("a", "b"):
        write_fit(run(tmp_path, seed=5, learner="t"), tmp_path / name)
        decided.append(load_policy(tmp_path / name).decide(whole.X, 40.0).decision)
    assert_array_equal(*decided)


BAD = {
    "method": ({"method": "endtoend"}, r"'endtoend' is not known\. Did you mean 'end-to-end'"),
    "learner": ({"learner": "forrest"}, r"'forrest' is not known\. Did you mean 'forest'"),
    "learner of end-to-end": ({"method": "end-to-end", "learner": "s"}, "--learner s: for --method two-stage only"),
    "options of end-to-end": (
        {"scores": "dr", "gate": False, "budgets_per_user": (1.0,)},
        "--scores, --budgets-per-user, --no-gate: for --method end-to-end only",
    ),
    "estimator": ({"estimator": "softmax"}, "--estimator: for --method end-to-end only"),
    "groups": ({"groups": "visits"}, "--groups: for --method end-to-end only"),
    "trees on Spark": ({"engine": "spark"}, "--engine spark: for the net of --method two-stage --learner neural"),
    "an engine of no name": ({"engine": "sparc", "learner": "neural"}, "engine 'sparc' is not known. Did you mean"),
    "a master here": ({"master": "local[2]"}, "--master is for --engine spark only; add it, or leave --master out"),
    "processes here": (
        {"learner": "neural", "processes": 2},
        "--processes is for --engine spark only; add it, or leave --processes out",
    ),
    "no process here": ({"learner": "neural", "processes": 0}, "--processes is for --engine spark only"),
    "no process on Spark": (
        {"learner": "neural", "engine": "spark", "processes": 0},
        "--processes is 0; a whole number of at least 1 is expected",
    ),
    "layers of trees": ({"hidden": (8,)}, "learner s is none; --learner neural"),
    "share of none": ({"share": 0.0}, "share is 0; a number above 0 and at most 1"),
    "share above": ({"share": 1.5}, "share is 1.5"),
    "share of nothing": ({"share": float("nan")}, "share is nan"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_plan_that_cannot_be_meant_is_refused_before_the_log_is_read(case: str):
    plan, words = BAD[case]
    with pytest.raises(InputError, match=words):
        run_fit(FitPlan("gone.parquet", **plan))


def test_budgets_and_groups_are_refused_before_the_log_is_read():
    with pytest.raises(ProblemError, match="budget is -1; budgets per user are 0 or more"):
        run_fit(FitPlan("gone.parquet", method="end-to-end", budgets_per_user=(1.0, -1.0)))
    with pytest.raises(InputError, match="--groups names a column of your own log; hillstrom counts no past"):
        run_fit(FitPlan("hillstrom", method="end-to-end", groups="history"))


def test_a_log_that_contradicts_its_propensities_is_refused_unless_allowed(tmp_path: Path):
    """200 users of each arm and propensities .41 / .3 / .29: p = 6e-4."""
    frame = log().assign(arm=np.repeat(["none", "mail", "coupon"], 200))
    stated = {"propensity": {"none": 0.41, "mail": 0.3, "coupon": 0.29}}
    with pytest.raises(InputError, match=r"contradict the log .*--allow-mismatch"):
        run(tmp_path, frame, stated)
    assert "contradict the log" in run(tmp_path, frame, stated, allow_mismatch=True).warnings[0]


def test_end_to_end_asks_how_the_arms_were_drawn_and_two_stage_does_not(tmp_path: Path):
    with pytest.raises(InputError, match="comes without propensities, so nothing can be verified"):
        run(tmp_path, method="end-to-end")
    assert run(tmp_path).users == 600
