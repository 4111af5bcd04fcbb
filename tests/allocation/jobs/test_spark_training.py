"""A net fitted by two processes on Spark: the net of one process, and one message for what is wrong."""

from __future__ import annotations

import json
import socket
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from allocation import load_policy
from allocation.jobs import spark_training
from allocation.jobs.fit_job import run_fit
from allocation.jobs.fit_output import write_fit
from allocation.jobs.fit_plan import FitPlan
from allocation.jobs.spark_share import SharedFit, fit_share
from allocation.jobs.spark_training import _shared_fit, fit_on_spark
from allocation.policies.two_stage import fit_learner
from uplift import Campaign, synthetic
from uplift.errors import InputError
from uplift.learners import NeuralResponse, SLearner

ROLES = {"features": ["x0", "x1"], "treatment": "arm", "value": "value", "cost": "cost", "control": "0"}
NET = {"hidden": (8,), "epochs": 3, "seed": 3}


def frame() -> pd.DataFrame:
    """1,500 users of whom the two features and the arm explain the value."""
    rng = np.random.default_rng(0)
    x, arm = rng.normal(size=(1_500, 2)), rng.integers(0, 3, 1_500)
    value = 2 + x[:, 0] + arm * (1 + x[:, 1]) + rng.normal(size=1_500)
    return pd.DataFrame({"x0": x[:, 0], "x1": x[:, 1], "arm": arm.astype(str), "value": value, "cost": 0.5 * arm})


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process is the only one of its group."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for name, text in (("MASTER_ADDR", "127.0.0.1"), ("MASTER_PORT", port), ("RANK", 0), ("WORLD_SIZE", 1)):
        monkeypatch.setenv(name, str(text))


def fitted(log: Campaign) -> NeuralResponse:
    net = NeuralResponse(**NET)
    return net.fit(log.X, log.value, treatment=log.treatment, cost=log.cost, propensity=log.propensity, arms=log.arms)


@pytest.mark.parametrize("as_file", [False, True])
def test_one_process_gives_the_bits_of_fit(alone: None, tmp_path: Path, as_file: bool):
    frame().to_parquet(tmp_path / "log.parquet")
    log = Campaign.from_parquet(tmp_path / "log.parquet", **ROLES)
    job = _shared_fit(NeuralResponse(**NET), *((tmp_path / "log.parquet", ROLES) if as_file else (log, None)))
    done = fit_share(job)
    assert done["error"] == ""
    (tmp_path / "net").mkdir()
    for name, content in done["files"].items():
        (tmp_path / "net" / name).write_bytes(content)
    from uplift.learners import load

    net, own = load(tmp_path / "net"), fitted(log)
    assert net.losses_ == own.losses_
    assert net.predict(log.X).value.tobytes() == own.predict(log.X).value.tobytes()
    assert net.predict(log.X).cost.tobytes() == own.predict(log.X).cost.tobytes()


def test_what_a_process_finds_wrong_is_a_message(alone: None, tmp_path: Path):
    job = _shared_fit(NeuralResponse(**NET), tmp_path / "nowhere.parquet", ROLES)
    assert fit_share(job) == {
        "error": f"{tmp_path}/nowhere.parquet does not exist; give the path of a Parquet or CSV file",
        "files": {},
    }


def test_another_release_on_an_executor_is_refused(alone: None):
    assert "the driver has 0.0.0; install the same one everywhere" in fit_share(SharedFit({}, "0.0.0"))["error"]


@pytest.mark.parametrize(
    ("learner", "message"),
    [
        (SLearner(), r"the learner is SLearner\(\); only a NeuralResponse is fitted on Spark"),
        (NeuralResponse(seed=np.random.default_rng(0)), r"seed is Generator.*; a whole number is expected"),
        (NeuralResponse(lr={1, 2}), r"the learner's parameters cannot be sent to executors: \{1, 2\} is no plain"),
    ],
)
def test_what_cannot_be_shared_is_refused_before_spark_starts(learner, message: str):
    with pytest.raises(InputError, match=message):
        fit_on_spark(learner, synthetic.simulate(100, seed=0).campaign)


def test_the_fitting_job_takes_the_net_from_spark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Fitted here in its place: the policy is then that of a local run, also from its folder."""
    asked: list[dict[str, object]] = []

    def here(learner: NeuralResponse, log: Campaign, **further: object) -> NeuralResponse:
        asked.append(further)
        return fit_learner(learner, log)

    monkeypatch.setattr(spark_training, "fit_on_spark", here)
    frame().to_parquet(tmp_path / "log.parquet")
    plan = FitPlan(str(tmp_path / "log.parquet"), learner="neural", hidden=(4,), roles=ROLES)
    plans = [plan, *(replace(plan, engine="spark", master="local[2]", processes=n) for n in (None, 3))]
    results = [run_fit(plan) for plan in plans]
    assert asked == [{"master": "local[2]", "processes": 2}, {"master": "local[2]", "processes": 3}]
    X = results[0].source.campaign.X
    for k, result in enumerate(results):
        write_fit(result, tmp_path / str(k))
        assert isinstance(result.policy.learner, NeuralResponse)
    tables = [load_policy(tmp_path / str(k)).predict(X).value for k in range(3)]
    np.testing.assert_array_equal(tables[0], tables[1])
    np.testing.assert_array_equal(tables[0], tables[2])
    told = [json.loads((tmp_path / str(k) / "manifest.json").read_text())["plan"] for k in range(3)]
    assert [(one["engine"], one["processes"]) for one in told] == [("local", 1), ("spark", 2), ("spark", 3)]


def test_two_processes_on_spark_give_the_net_of_one(
    session: object, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    """The same steps up to the rounding of sums, so the same error; and nothing is said on the terminal."""
    frame().to_parquet(tmp_path / "log.parquet")
    log = Campaign.from_parquet(tmp_path / "log.parquet", **ROLES)
    capfd.readouterr()
    net = NeuralResponse(**NET)
    two = fit_on_spark(net, tmp_path / "log.parquet", ROLES)
    assert two.get_params() == net.get_params()
    with pytest.raises(InputError, match="processes is 3; from 1 to 2 are expected, the slots for tasks of Spark"):
        fit_on_spark(NeuralResponse(**NET), log, processes=3)
    assert capfd.readouterr() == ("", "")
    one = fitted(log)
    np.testing.assert_allclose(two.losses_, one.losses_, rtol=1e-5)
    np.testing.assert_allclose(two.predict(log.X).value, one.predict(log.X).value, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(two.predict(log.X).cost, one.predict(log.X).cost, rtol=1e-3, atol=1e-3)
    scores = [net.score(log.X, log.value, treatment=log.treatment) for net in (one, two)]
    assert scores[1] == pytest.approx(scores[0], abs=1e-4)
