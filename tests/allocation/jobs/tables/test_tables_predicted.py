"""Prediction streams: the same as the policy itself, whatever the blocks; and `earmark predict` writes it."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.linear_model import LinearRegression
from typer import Typer
from typer.testing import CliRunner

from allocation.cli.predict_command import predict
from allocation.jobs.predict_job import PredictPlan, run_predict
from allocation.jobs.tables import model as model_module
from allocation.jobs.tables import predicted as predicted_module
from allocation.jobs.tables import writing
from allocation.jobs.tables.blocks import Block
from allocation.jobs.tables.open import open_responses
from allocation.jobs.tables.predicted import open_predicted
from allocation.policies.baselines import BestMix
from allocation.policies.two_stage import TwoStage
from uplift import synthetic
from uplift.campaign import Campaign
from uplift.errors import InputError
from uplift.learners import NeuralResponse, SLearner

N = 900


@pytest.fixture(scope="module")
def campaign() -> Campaign:
    return synthetic.simulate(2_000, seed=0).campaign


@pytest.fixture(scope="module")
def features(campaign: Campaign, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first 900 users of the log, their features as doubles and in another order, in two files."""
    names = dict(zip(campaign.features, campaign.X[:N].T.astype(np.float64), strict=True))
    table = pa.table(
        {"segment": ["a", "b"] * (N // 2), **dict(reversed(names.items())), "user_id": np.arange(N) + 10}
    )
    for arm in campaign.arms:
        table = table.append_column(f"eligible.{arm}", [np.arange(N) % 2 == 0])
        table = table.append_column(f"resource.calls.{arm}", [np.arange(N)])
    folder = tmp_path_factory.mktemp("features")
    pq.write_table(table.slice(0, 401), folder / "a.parquet", row_group_size=100)
    pq.write_table(table.slice(401), folder / "b.parquet")
    return folder


@pytest.fixture(scope="module")
def policies(campaign: Campaign, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[object, Path]]:
    kinds = {
        "net": TwoStage(NeuralResponse(hidden=(16,), epochs=1)),
        "line": TwoStage(SLearner(LinearRegression())),
        "rule": BestMix(),
    }
    fitted = {name: policy.fit(campaign) for name, policy in kinds.items()}
    return {name: (own, own.save(tmp_path_factory.mktemp(name) / "p")) for name, own in fitted.items()}


@pytest.fixture(autouse=True)
def few_together(monkeypatch):
    """Users are predicted in groups of 64, so that 900 are many groups."""
    monkeypatch.setattr(model_module, "TOGETHER", 64)
    monkeypatch.setattr(predicted_module, "TOGETHER", 64)


@pytest.mark.parametrize("name", ["net", "line", "rule"])
def test_what_is_predicted_never_depends_on_the_blocks(name, policies, features, campaign):
    policy, folder = policies[name]
    source = open_predicted(folder, features, ["calls"], ["segment"])
    whole = source.block(0, N)
    if name == "rule":
        value, cost = (np.tile(m, (N, 1)) for m in (policy.means_.value, policy.means_.cost))
    else:
        value, cost = (getattr(policy.predict(campaign.X[:N]), kind) for kind in ("value", "cost"))
    np.testing.assert_allclose(whole.value, value, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(whole.cost, cost, rtol=1e-5, atol=1e-6)
    assert (source.n, source.arms) == (N, campaign.arms)
    for size in (1, 63, 64, 128, 300, 899, 5_000):
        stop = 70 if size == 1 else N
        blocks = [b for b, _ in zip(source.stream(size), range(-(-stop // size)), strict=False)]
        assert [b.first for b in blocks] == list(range(0, stop, size))
        for kind in ("value", "cost", "eligible"):
            np.testing.assert_array_equal(
                np.concatenate([getattr(b, kind) for b in blocks]), getattr(whole, kind)[:stop]
            )
        assert [u for b in blocks for u in b.user_id.to_pylist()] == list(range(10, stop + 10))
        assert [s for b in blocks for s in b.attributes["segment"].to_pylist()] == (["a", "b"] * N)[:stop]
        assert [c for b in blocks for c in b.resources["calls"][:, 0]] == list(range(stop))
    for first, end in ((0, 1), (63, 65), (100, 101), (899, 900), (64, 128)):
        block = source.block(first, end)
        np.testing.assert_array_equal(block.value, whole.value[first:end])
        np.testing.assert_array_equal(block.places, np.arange(first, end))


def test_a_source_travels_without_its_policy(policies, features):
    source = open_predicted(policies["net"][1], features)
    content = pickle.dumps(source)
    assert len(content) < 20_000
    there = pickle.loads(content)  # noqa: S301  # as Spark does
    np.testing.assert_array_equal(there.block(5, 80).value, source.block(5, 80).value)
    assert [len(ids) for ids in there.ids(500)] == [500, 400]
    assert there.place(401).endswith("b.parquet, row 0")


def test_the_fingerprint_names_the_model(policies, features):
    told = open_predicted(policies["net"][1], features).fingerprint()
    assert told["model"]["class"] == "TwoStage"
    assert told["rows"] == N
    other = open_predicted(policies["line"][1], features).fingerprint()
    assert other["model"]["sha256"] != told["model"]["sha256"]
    assert other["files"] == told["files"]


def test_another_model_in_the_folder_is_refused(policies, features, tmp_path):
    policies["line"][0].save(tmp_path / "p")
    source = pickle.loads(pickle.dumps(open_predicted(tmp_path / "p", features)))  # noqa: S301  # as Spark does
    policies["net"][0].save(tmp_path / "p")
    with pytest.raises(InputError, match="has changed since it was opened; run again with one and the same model"):
        source.block(0, 10)


def test_what_is_no_model_and_what_are_no_features(policies, features, tmp_path):
    with pytest.raises(InputError, match=r"policy.json cannot be read: .*give the folder of a policy"):
        open_predicted(tmp_path, features)
    table, folder = pq.read_table(features / "b.parquet"), policies["line"][1]
    for name, cells, message in (
        ("x3", None, "has no column x3, a feature that the model was fitted on"),
        ("x3", pa.array(["a"] * len(table)), "holds string cells in column x3, a feature that the model was fitted"),
        ("user_id", None, "has no column user_id"),
        ("eligible.none", None, "no column eligible.none; write eligible"),
    ):
        place = table.column_names.index(name)
        changed = table.remove_column(place) if cells is None else table.set_column(place, name, cells)
        pq.write_table(changed, tmp_path / "f.parquet")
        with pytest.raises(InputError, match=message):
            open_predicted(folder, tmp_path / "f.parquet")
    for cell, message in ((float("nan"), "missing"), (1e39, "1e\\+39 in row 0 .* within 3.4")):
        cells = pa.array([cell] + [0.0] * (len(table) - 1))
        pq.write_table(table.set_column(table.column_names.index("x3"), "x3", cells), tmp_path / "f.parquet")
        with pytest.raises(InputError, match=f"column x3 is {message}"):
            open_predicted(folder, tmp_path / "f.parquet").block(0, 10)


def test_the_written_table_is_what_streams(policies, features, tmp_path):
    plan = PredictPlan(str(policies["net"][1]), str(features), ("calls",), ("segment",), part_rows=300)
    result = run_predict(plan, tmp_path / "out")
    assert (result.users, result.parts) == (N, 3)
    whole = open_predicted(policies["net"][1], features, ["calls"], ["segment"]).block(0, N)
    back = open_responses(tmp_path / "out", ["calls"], ["segment"]).block(0, N)
    for kind in ("value", "cost", "eligible"):
        np.testing.assert_array_equal(getattr(back, kind), getattr(whole, kind))
        assert getattr(back, kind).dtype == getattr(whole, kind).dtype
    assert back.user_id.equals(whole.user_id)
    assert back.attributes["segment"].equals(whole.attributes["segment"])
    np.testing.assert_array_equal(back.resources["calls"], whole.resources["calls"])
    told = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert [part["rows"] for part in told["parts"]] == [300, 300, 300]
    assert told["input"]["rows"] == told["users"] == N
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    run_predict(plan, tmp_path / "out")
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    run_predict(PredictPlan(plan.model, plan.features), tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["manifest.json", "part-00000.parquet"]


def test_a_folder_that_holds_anything_else_is_refused_and_left_as_it_was(policies, features, tmp_path):
    """A part that no manifest lists is somebody's, whatever it is called; what a killed run left is not."""
    plan = PredictPlan(str(policies["rule"][1]), str(features), part_rows=300)
    run_predict(plan, tmp_path / "out")
    for stray in ("part-00007.parquet", "part-mine.parquet", "more.parquet", "notes.txt"):
        (tmp_path / "out" / stray).write_bytes(b"mine")
        before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
        with pytest.raises(InputError, match=f"holds '{stray}', which is no part of a prediction; choose another"):
            run_predict(plan, tmp_path / "out")
        assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
        (tmp_path / "out" / stray).unlink()
    (tmp_path / "out" / ".earmark-killed").mkdir()
    run_predict(plan, tmp_path / "out")


def test_a_prediction_that_fails_leaves_the_one_before(policies, features, tmp_path):
    plan = PredictPlan(str(policies["line"][1]), str(tmp_path / "f"), part_rows=300)
    (tmp_path / "f").mkdir()
    tables = [pq.read_table(features / name) for name in ("a.parquet", "b.parquet")]
    for name, table in zip("ab", tables, strict=True):
        pq.write_table(table, tmp_path / "f" / f"{name}.parquet")
    run_predict(plan, tmp_path / "out")
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    last = pa.array([0.0] * (len(tables[1]) - 1) + [None])
    damaged = tables[1].set_column(tables[1].column_names.index("x3"), "x3", last)
    pq.write_table(damaged, tmp_path / "f" / "b.parquet")
    with pytest.raises(InputError, match=r"column x3 is missing \(null\) in row 498"):
        run_predict(plan, tmp_path / "out")
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    with pytest.raises(InputError, match="the attribute user_id has the name of a column of response tables"):
        run_predict(PredictPlan(plan.model, str(features), attributes=("user_id",)), tmp_path / "other")
    assert not (tmp_path / "other").exists()
    ids, table = pa.array([1, 2]), np.ones((2, 1))
    with pytest.raises(InputError, match=r"the attribute value\.extra has the name of a column of response tables"):
        writing.table_of(Block(0, ids, table, table, attributes={"value.extra": ids}), ("none",))


def test_more_files_than_names_and_results_among_the_inputs_are_refused(policies, features, tmp_path, monkeypatch):
    """Before anything is predicted; the limit on names is lowered for it."""
    monkeypatch.setattr(writing, "PARTS", 3)
    model = str(policies["line"][1])
    with pytest.raises(InputError, match="more than 3 parts, the most that have names; raise part_rows"):
        run_predict(PredictPlan(model, str(features), part_rows=10), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
    app = Typer()
    app.command()(predict)
    for out in (Path(model) / "x", features if features.is_dir() else features.parent):
        done = CliRunner().invoke(app, ["--model", model, "--data", str(features), "--out", str(out)])
        assert done.exit_code == 1
        assert "what is read and what is written must lie apart" in " ".join(done.output.split())


def test_the_command_says_what_it_wrote_or_what_is_wrong(policies, features, tmp_path):
    app = Typer()
    app.command()(predict)
    given = ["--model", str(policies["rule"][1]), "--data", str(features), "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(app, [*given, "--attributes", "segment"])
    assert (done.exit_code, "900 users x 5 arms in 1 file" in done.stdout) == (0, True), done.output
    told = CliRunner().invoke(app, [*given, "--json"])
    assert json.loads(told.stdout)["command"] == "predict"
    wrong = CliRunner().invoke(app, [*given, "--attributes", "segmnet"])
    assert wrong.exit_code == 1
    assert "has no column segmnet. Did you mean 'segment'?" in wrong.stderr
