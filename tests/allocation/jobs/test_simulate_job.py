"""Simulated users in files: the truth of `uplift.synthetic`, the same users however many, whole or not at all."""

from __future__ import annotations

import hashlib
import json
import re
import tracemalloc
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from allocation.jobs.plan import parse_plan
from allocation.jobs.simulate_job import SimulatePlan, check_plan, run_simulation
from allocation.jobs.simulated_tables import REGIMES, Simulated, simulated_tables
from allocation.jobs.where import mask_of
from tests.allocation.nightly import earmark
from uplift import Campaign, Response
from uplift.errors import InputError
from uplift.synthetic.student import expected


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch):
    """Blocks of 500 users, so that a few thousand are many blocks."""
    monkeypatch.setattr("allocation.jobs.simulated_tables.BLOCK", 500)


def table(what: str, users: int, **asked: object) -> pa.Table:
    return pa.concat_tables(simulated_tables(Simulated(what, users, **asked)))  # type: ignore[arg-type]


def matrix(columns: pa.Table, prefix: str) -> np.ndarray:
    return np.column_stack([columns[name].to_numpy() for name in columns.column_names if name.startswith(prefix)])


def test_the_responses_are_the_truth_of_the_features():
    features, responses = (
        table("features", 1_200, regime="small_student"),
        table("responses", 1_200, regime="small_student"),
    )
    value, cost, _ = expected(matrix(features, "x").astype(np.float64))
    assert_allclose(matrix(responses, "value."), value)
    assert_allclose(matrix(responses, "cost."), cost)
    assert_array_equal(responses["user_id"], np.arange(1_200))
    assert responses.column_names[1] == "value.none"
    minutes = matrix(responses, "resource.minutes.")
    assert_array_equal(minutes[:, 0], 0)
    assert_allclose(minutes[:, 2:] / minutes[:, 1:2], np.tile(np.array([4, 5, 6]) / 3, (1_200, 1)))
    assert 4.2 < minutes[:, 1].mean() < 4.8


def test_a_response_table_is_read_as_one(tmp_path: Path):
    run_simulation(SimulatePlan(Simulated("responses", 700)), tmp_path / "r")
    response = Response.read(tmp_path / "r" / "part-00000.parquet")
    assert response.arms == ("none", "1 EUR", "2 EUR", "4 EUR", "8 EUR")
    assert response.value.shape == (700, 5)


def test_the_log_is_one_of_a_randomised_campaign_of_the_same_users(tmp_path: Path):
    plan = SimulatePlan(Simulated("log", 4_000))
    run_simulation(plan, tmp_path / "log")
    campaign = Campaign.from_parquet(
        tmp_path / "log" / "part-00000.parquet",
        features=[f"x{j}" for j in range(20)],
        treatment="arm",
        value="value",
        cost="cost",
        user_id="user_id",
        propensity={arm: f"propensity.{arm}" for arm in ("none", "1 EUR", "2 EUR", "4 EUR", "8 EUR")},
    )
    assert_array_equal(campaign.X, matrix(table("features", 4_000), "x"))
    assert_allclose(campaign.propensity, 0.2)
    truth = table("responses", 4_000)
    value = matrix(truth, "value.")[np.arange(4_000), campaign.treatment]
    cost = matrix(truth, "cost.")[np.arange(4_000), campaign.treatment]
    assert abs(np.mean(campaign.value / value) - 1) < 4 / 3 / np.sqrt(4_000)  # gamma noise: a third of the mean
    assert abs(np.mean(campaign.cost - cost)) < 4 * campaign.cost.std() / np.sqrt(4_000)


@pytest.mark.parametrize("what", ["log", "responses", "features"])
def test_a_longer_simulation_begins_with_the_same_users(what: str):
    long = table(what, 1_300)
    for users in (1, 499, 500, 1_001):
        assert table(what, users).equals(long.slice(0, users))
    assert len(long) == 1_300
    assert not table(what, 1_300, seed=1).equals(long)
    blocks = [long.slice(first, 500).drop_columns(["user_id"]) for first in (0, 500)]
    assert not blocks[0].equals(blocks[1])


@pytest.mark.parametrize("regime", REGIMES)
def test_every_regime_is_written_in_both_precisions(regime: str):
    for what in ("log", "responses"):
        double, single = table(what, 600, regime=regime), table(what, 600, regime=regime, float32=True)
        assert double.column_names == single.column_names
        for name in double.column_names:
            if name.startswith(("value", "cost", "resource.")):
                assert (double[name].type, single[name].type) == (pa.float64(), pa.float32())
                assert_array_equal(single[name].to_numpy(), double[name].to_numpy().astype(np.float32))


def test_attributes_can_be_asked_for_in_a_plan():
    responses, features = table("responses", 5_000), table("features", 5_000)
    plan = parse_plan(
        '[plan]\nname = "a"\nresponses = "r"\n[[limit]]\nname = "l"\nmax = 1\n'
        'where = { segment = "head", region = ["east", "west"] }'
    )
    columns = {name: responses[name].combine_chunks() for name in plan.attributes}
    mask = mask_of(plan.limits[0].where, columns, 5_000, "limit 'l'")
    assert mask is not None
    region = np.array(features["region"].to_pylist())
    assert_array_equal(mask, (features["x0"].to_numpy() > 0.8416) & np.isin(region, ["east", "west"]))
    assert abs(mask.mean() - 0.2 * 0.3) < 0.02
    assert responses.select(["segment", "region"]).equals(features.select(["segment", "region"]))


def test_parts_are_consecutive_users_and_the_manifest_tells_them(tmp_path: Path):
    told: list[str] = []
    manifest = run_simulation(SimulatePlan(Simulated("responses", 1_700), part_rows=600), tmp_path / "r", told.append)
    parts = sorted((tmp_path / "r").glob("*.parquet"))
    assert [path.name for path in parts] == ["part-00000.parquet", "part-00001.parquet", "part-00002.parquet"]
    assert [part["rows"] for part in manifest["parts"]] == [600, 600, 500]
    assert pa.concat_tables([pq.read_table(path) for path in parts]).equals(table("responses", 1_700))
    for path, part in zip(parts, manifest["parts"], strict=True):
        assert part["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert json.loads((tmp_path / "r" / "manifest.json").read_text()) == manifest
    run_simulation(SimulatePlan(Simulated("responses", 1_700), part_rows=600), tmp_path / "again")
    for path in (tmp_path / "r").iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again", "r"]


def test_an_earlier_simulation_is_replaced_and_nothing_else(tmp_path: Path):
    run_simulation(SimulatePlan(Simulated("log", 900), part_rows=300), tmp_path)
    run_simulation(SimulatePlan(Simulated("features", 400), part_rows=300), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "manifest.json",
        "part-00000.parquet",
        "part-00001.parquet",
    ]
    (tmp_path / "notes.txt").write_text("mine")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(
        InputError, match=r"holds 'notes.txt', which is no part of a simulation; choose another --out"
    ):
        run_simulation(SimulatePlan(Simulated("log", 10)), tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_parts_of_somebody_else_are_not_lost(tmp_path: Path):
    plan = SimulatePlan(Simulated("log", 10))
    mine = tmp_path / "part-00000.parquet"
    mine.write_text("mine")
    with pytest.raises(InputError, match=r"part-00000.parquet would be lost, and no manifest says"):
        run_simulation(plan, tmp_path)
    mine.rename(tmp_path / "part-00007.parquet")
    with pytest.raises(InputError, match=r"holds 'part-00007.parquet', which is no part of a simulation"):
        run_simulation(plan, tmp_path)
    (tmp_path / "manifest.json").write_text('{"earmark": "0", "command": "decide"}')
    with pytest.raises(InputError, match="holds a run of `earmark decide`, which would be lost"):
        run_simulation(plan, tmp_path)
    assert (tmp_path / "part-00007.parquet").read_text() == "mine"


def test_a_part_that_an_earlier_simulation_did_not_write_stays(tmp_path: Path):
    run_simulation(SimulatePlan(Simulated("log", 900), part_rows=300), tmp_path)
    (tmp_path / "part-00003.parquet").write_text("mine")
    with pytest.raises(InputError, match=r"holds 'part-00003.parquet', which is no part of a simulation"):
        run_simulation(SimulatePlan(Simulated("log", 1_200), part_rows=300), tmp_path)
    assert (tmp_path / "part-00003.parquet").read_text() == "mine"


def test_a_failure_leaves_the_earlier_simulation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    run_simulation(SimulatePlan(Simulated("log", 900), part_rows=300), tmp_path / "s")
    before = {path: path.read_bytes() for path in (tmp_path / "s").iterdir()}

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq.ParquetWriter, "write_table", full)
    for out, whole in ((tmp_path / "s", before), (tmp_path / "new", None)):
        with pytest.raises(
            InputError, match=r"cannot be written to .*: No space left on device; nothing was changed"
        ):
            run_simulation(SimulatePlan(Simulated("log", 10)), out)
        assert whole is None or {path: path.read_bytes() for path in out.iterdir()} == whole
    assert [path.name for path in tmp_path.iterdir()] == ["s"]


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        (SimulatePlan(Simulated("logs")), "what is 'logs'; one of 3 names is expected. Did you mean 'log'?"),
        (SimulatePlan(Simulated("null")), "what is 'null'; one of 3 names is expected."),
        (SimulatePlan(Simulated("confounded_plus_rct")), "one of 3 names is expected."),
        (SimulatePlan(Simulated(regime="smal_student")), "Did you mean 'small_student'?"),
        (
            SimulatePlan(Simulated(regime="confounded_plus_rct")),
            "It is two logs of different users, and one is written.",
        ),
        (SimulatePlan(Simulated(users=0)), "users is 0; a number from 1 to 10,000,000,000 is expected"),
        (SimulatePlan(Simulated(seed=-1)), "seed is -1; a whole number of at least 0 is expected"),
        (SimulatePlan(part_rows=0), "part_rows is 0; a whole number of at least 1 is expected"),
        (SimulatePlan(Simulated(users=10**6), 9), "1,000,000 users in parts of 9 are more than 100,000 parts"),
    ],
)
def test_what_cannot_be_simulated_is_refused(plan: SimulatePlan, message: str):
    with pytest.raises(InputError, match=re.escape(message)) as told:
        check_plan(plan)
    assert ("two logs" in str(told.value)) == (plan.simulated.regime == "confounded_plus_rct")


def test_the_command_says_what_was_written_and_the_next_step(tmp_path: Path):
    code, out, err = earmark("simulate", "--users", "300", "--out", str(tmp_path / "log"))
    assert code == 0, err
    told = " ".join(out.split())
    assert "The log of 300 users of the world simulate, seed 0: 1 part" in told
    assert "Columns: user_id, x0..x19, arm, value, cost, propensity.<arm>." in told
    assert f"earmark fit --data {tmp_path / 'log' / 'part-00000.parquet'} --treatment arm" in out
    code, out, _ = earmark("simulate", "--what", "responses", "--users", "300", "--out", str(tmp_path / "r"))
    assert code == 0
    text = next(line for line in out.splitlines() if "responses =" in line).removeprefix("- In a plan: ")
    assert parse_plan(f'[plan]\nname = "a"\n{text}').responses == str(tmp_path / "r")
    code, out, _ = earmark("simulate", "--what", "features", "--users", "300", "--json", "--out", str(tmp_path / "f"))
    assert code == 0
    assert out == (tmp_path / "f" / "manifest.json").read_text()


def test_the_command_refuses_with_one_message_and_writes_nothing(tmp_path: Path):
    code, out, err = earmark("simulate", "--what", "response", "--out", str(tmp_path / "o"))
    assert (code, out) == (1, "")
    assert "error: what is 'response'; one of 3 names is expected. Did you mean 'responses'?" in err
    assert not (tmp_path / "o").exists()
    (tmp_path / "file").write_text("")
    assert earmark("simulate", "--out", str(tmp_path / "file"))[0] == 1


def test_the_help_names_every_regime():
    code, out, _ = earmark("simulate", "--help")
    assert code == 0
    assert set(REGIMES) <= set(re.findall(r"\w+", out))


def test_memory_does_not_grow_with_the_users(tmp_path: Path):
    """What Python and numpy hold at most; all columns of 40,000 users would be 5 MB."""
    peaks = []
    for users in (2_000, 40_000):
        tracemalloc.start()
        run_simulation(SimulatePlan(Simulated("responses", users)), tmp_path / str(users))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0] < 3e6
