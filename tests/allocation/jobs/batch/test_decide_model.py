"""A model instead of responses: the decisions of predicting first, nothing left behind, foreign folders refused."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.tree import DecisionTreeRegressor

from allocation import Problem, solve
from allocation.jobs.batch.decide_job import Watch, run_decide
from allocation.jobs.batch.decide_plan import DecideTask
from allocation.jobs.plan import parse_plan
from allocation.jobs.predict_job import PredictPlan, run_predict
from allocation.policies.baselines import BestMix
from allocation.policies.two_stage import TwoStage
from tests.allocation.jobs.batch.decide_runs import (
    arms_of,
    assert_manifest,
    content,
    decide,
    decisions,
    manifest,
    plan_of,
)
from tests.allocation.nightly import earmark
from uplift import synthetic
from uplift.campaign import Campaign
from uplift.errors import InputError
from uplift.learners import SLearner

N, BUDGET = 800, 300.0
LIMIT = '[[limit]]\nname = "few"\nwhere = { segment = "b" }\nmax = "25%"\n'


@pytest.fixture(scope="module")
def campaign() -> Campaign:
    """A log."""
    return synthetic.simulate(2_000, seed=1).campaign


@pytest.fixture(scope="module")
def features(campaign: Campaign, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Users with a segment, in two files."""
    columns = dict(zip(campaign.features, campaign.X[:N].T, strict=True))
    table = pa.table({"user_id": np.arange(N) * 3, **columns, "segment": np.arange(N) % 4 == 0})
    table = table.set_column(
        len(columns) + 1, "segment", pa.array(["b" if b else "a" for b in table["segment"].to_pylist()])
    )
    folder = tmp_path_factory.mktemp("features")
    pq.write_table(table.slice(0, 300), folder / "a.parquet")
    pq.write_table(table.slice(300), folder / "b.parquet")
    return folder


@pytest.fixture(scope="module", params=["line", "rule"])
def model(request: pytest.FixtureRequest, campaign: Campaign, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved policy that predicts, and one that says the same of everybody."""
    policy = {"line": TwoStage(SLearner(LinearRegression())), "rule": BestMix()}[request.param]
    return Path(policy.fit(campaign).save(tmp_path_factory.mktemp(request.param) / "policy"))


def model_plan(model: Path, features: Path, part_rows: int = 170, limits: str = "") -> str:
    """A plan with a model and features."""
    return (
        f'[plan]\nname = "test"\nmodel = {json.dumps(str(model))}\nfeatures = {json.dumps(str(features))}\n'
        f"budget = {BUDGET}\npart_rows = {part_rows}\n{limits}"
    )


@pytest.mark.parametrize("limits", ["", LIMIT])
@pytest.mark.parametrize("part_rows", [170, 5_000])
def test_decisions_are_those_of_predicting_first(
    model: Path, features: Path, part_rows: int, limits: str, tmp_path: Path
):
    attributes = ("segment",) if limits else ()
    run_predict(PredictPlan(str(model), str(features), attributes=attributes), tmp_path / "predicted")
    decide(plan_of(tmp_path / "predicted", BUDGET, part_rows, limits), tmp_path / "first")
    plan = model_plan(model, features, part_rows, limits)
    dry = decide(plan, tmp_path / "out", dry_run=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["first", "predicted"]
    decide(plan, tmp_path / "out")
    assert decisions(tmp_path / "out").equals(decisions(tmp_path / "first"))
    assert_manifest(tmp_path / "out", BUDGET)
    assert sorted(os.listdir(tmp_path)) == ["first", "out", "predicted"]
    assert dry.run_id == manifest(tmp_path / "out")["run"] != manifest(tmp_path / "first")["run"]
    assert dry.manifest["totals"] == manifest(tmp_path / "out")["totals"]
    decide(plan, tmp_path / "again")
    assert content(tmp_path / "again") == content(tmp_path / "out")


def test_decisions_are_those_of_the_policy_in_memory(campaign: Campaign, features: Path, tmp_path: Path):
    """Straight from the policy's own prediction."""
    policy = TwoStage(SLearner(LinearRegression())).fit(campaign)
    decide(model_plan(policy.save(tmp_path / "m"), features), tmp_path / "out")
    response = policy.predict(campaign.X[:N])
    held = solve(Problem(response.value, response.cost, BUDGET))
    np.testing.assert_array_equal(arms_of(decisions(tmp_path / "out"), campaign.arms), held.decision)


def test_another_model_or_feature_is_another_run(campaign: Campaign, model: Path, features: Path, tmp_path: Path):
    decide(model_plan(model, features), tmp_path / "out")
    other = BestMix().fit(campaign.split(0.5, seed=0)[0]).save(tmp_path / "other")
    decide(model_plan(other, features), tmp_path / "second")
    shutil.copytree(features, tmp_path / "features")
    table = pq.read_table(features / "a.parquet")
    cells = table[1].to_pylist()
    cells[3] += 1
    changed = table.set_column(1, table.column_names[1], pa.array(cells, type=table[1].type))
    pq.write_table(changed, tmp_path / "features" / "a.parquet")
    decide(model_plan(model, tmp_path / "features"), tmp_path / "third")
    assert len({manifest(tmp_path / at)["run"] for at in ("out", "second", "third")}) == 3


def test_a_model_or_features_changed_on_the_way_never_decide_under_the_fingerprint_of_others(
    campaign: Campaign, features: Path, tmp_path: Path
):
    """The model that was hashed is the one that predicts, wherever its folder has gone; features are refused."""
    model = Path(TwoStage(SLearner(LinearRegression())).fit(campaign).save(tmp_path / "model"))
    own = Path(shutil.copytree(features, tmp_path / "features"))
    plan = model_plan(model, own)
    decide(plan, tmp_path / "undisturbed")
    other = Path(BestMix().fit(campaign).save(tmp_path / "other"))

    def another_model(run: str) -> None:
        model.rename(tmp_path / "gone")
        other.rename(model)

    run_decide(DecideTask(parse_plan(plan), tmp_path / "out"), Watch(run=another_model))
    assert content(tmp_path / "out") == content(tmp_path / "undisturbed")

    def other_features(run: str) -> None:
        (own / "a.parquet").write_bytes((own / "b.parquet").read_bytes())

    with pytest.raises(InputError, match="has changed since the table was opened"):
        run_decide(DecideTask(parse_plan(plan), tmp_path / "out"), Watch(run=other_features))
    assert content(tmp_path / "out") == content(tmp_path / "undisturbed")


class Evil:
    """What pickle would run."""

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, (f"touch {os.environ['EARMARK_EVIL']}",)


def a_file_more(folder: Path) -> None:
    """A pickle beside the model, as joblib would name it."""
    (folder / "learner.pkl").write_bytes(pickle.dumps(Evil()))


def a_pickle_for_a_part(folder: Path) -> None:
    """A part replaced by a pickle."""
    part = next(p for p in folder.iterdir() if p.name != "policy.json")
    part.write_bytes(pickle.dumps(Evil()))


def another_class(folder: Path) -> None:
    """The index names a class of another module."""
    text = (folder / "policy.json").read_text()
    for name in ("TwoStage", "BestMix"):
        text = text.replace(f'"{name}"', '"os.system"')
    (folder / "policy.json").write_text(text)


def a_link_outside(folder: Path) -> None:
    """A part that is a link to another file."""
    part = next(p for p in folder.iterdir() if p.name != "policy.json")
    part.unlink()
    part.symlink_to("/etc/hostname")


def no_index(folder: Path) -> None:
    """The main file is a pickle."""
    (folder / "policy.json").write_bytes(pickle.dumps(Evil()))


DAMAGES = (a_file_more, a_pickle_for_a_part, another_class, a_link_outside, no_index)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_model_folder_with_anything_unexpected_is_refused_by_the_command(
    damage, campaign: Campaign, features: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Exit code 1, one message, nothing run, the old decisions as they were."""
    monkeypatch.setenv("EARMARK_EVIL", str(tmp_path / "owned"))
    model = Path(TwoStage(SLearner(LinearRegression())).fit(campaign).save(tmp_path / "model"))
    (tmp_path / "plan.toml").write_text(model_plan(model, features))
    assert earmark("decide", tmp_path / "plan.toml", "--out", tmp_path / "out")[0] == 0
    before = content(tmp_path / "out")
    damage(model)
    code, stdout, stderr = earmark("decide", tmp_path / "plan.toml", "--out", tmp_path / "out")
    assert code == 1, stdout
    assert "Traceback" not in stderr
    assert str(model) in "".join(stderr.split("\n")) or "policy" in stderr
    assert not (tmp_path / "owned").exists()
    assert content(tmp_path / "out") == before
    assert sorted(p.name for p in tmp_path.iterdir() if p.name.startswith(".")) == []


@pytest.mark.parametrize("limits", ["", LIMIT], ids=["budget", "limits"])
def test_types_that_nobody_trusted_are_refused(limits: str, features: Path, campaign: Campaign, tmp_path: Path):
    """A compiled tree, and a learner of another package, which is none; the decisions before stay."""
    model = Path(TwoStage(SLearner(DecisionTreeRegressor(max_depth=2))).fit(campaign).save(tmp_path / "model"))
    plan, tree = model_plan(model, features, limits=limits), "sklearn.tree._tree.Tree"
    decide(model_plan(features=features, model=BestMix().fit(campaign).save(tmp_path / "rule")), tmp_path / "out")
    before = content(tmp_path / "out")
    with pytest.raises(InputError, match=f"not known to be harmless: {tree}"):
        decide(plan, tmp_path / "out")
    file = next(model.glob("*.skops"))
    file.write_bytes(file.read_bytes().replace(b"sklearn.tree", b"evil123.tree"))
    with pytest.raises(InputError):
        decide(plan, tmp_path / "out")
    assert content(tmp_path / "out") == before


@pytest.mark.parametrize("model", ["rule"], indirect=True)
def test_a_rule_of_thumb_reads_no_feature(model: Path, features: Path, tmp_path: Path):
    decide(model_plan(model, features), tmp_path / "all")
    ids = pq.read_table(features, columns=["user_id"])
    pq.write_table(ids, tmp_path / "ids.parquet")
    decide(model_plan(model, tmp_path / "ids.parquet"), tmp_path / "out")
    assert decisions(tmp_path / "out").equals(decisions(tmp_path / "all"))


@pytest.mark.parametrize("model", ["line"], indirect=True)
def test_features_that_lack_a_column_or_have_an_empty_cell_are_one_message(
    model: Path, features: Path, campaign: Campaign, tmp_path: Path
):
    table = pq.read_table(features / "a.parquet")
    name = campaign.features[1]
    cells = [None, *table[name].to_pylist()[1:]]
    holes = table.set_column(table.column_names.index(name), name, pa.array(cells, type=table[name].type))
    for wrong, match in ((table.drop([name]), f"has no column {name}, a"), (holes, f"column {name} is missing")):
        pq.write_table(wrong, tmp_path / "f.parquet")
        with pytest.raises(InputError, match=match):
            decide(model_plan(model, tmp_path / "f.parquet"), tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["f.parquet"]


def test_predictions_that_a_killed_run_left_go_with_the_next(model: Path, features: Path, tmp_path: Path):
    """Those of other folders stay, and so do those of a run that holds the lock."""
    others = [
        ".o.predicted-a1b2c3d_",
        ".out.predicted-1",
        ".out.predicted-a1b2c3d_.lock",
        ".outer.predicted-a1b2c3d_",
    ]
    for name in (".out.predicted-a1b2c3d_", *others):
        (tmp_path / name).mkdir()
        (tmp_path / name / "part-00000.parquet").write_bytes(b"half")
    seen = []

    def second(text: str) -> None:
        if text.startswith("publishing"):
            seen.append(sorted(p.name for p in tmp_path.glob(".out.predicted-????????")))
            for dry_run in (False, True):
                task = DecideTask(parse_plan(model_plan(model, features)), tmp_path / "out", dry_run=dry_run)
                with nullcontext() if dry_run else pytest.raises(InputError, match="another run writes to"):
                    run_decide(task)
            seen.append(sorted(p.name for p in tmp_path.glob(".out.predicted-????????")))

    run_decide(DecideTask(parse_plan(model_plan(model, features)), tmp_path / "out"), Watch(step=second))
    assert seen[0] == seen[1]
    assert len(seen[0]) == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == [*others, "out"]
