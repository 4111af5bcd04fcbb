"""The run's folder: what stands in it, and what becomes of it when writing fails."""

from __future__ import annotations

import hashlib
import json
import resource
import subprocess
import sys
import tempfile
from fractions import Fraction
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from allocation.jobs.demo import DemoPlan, DemoResult, run_demo
from allocation.jobs.output import FILES, check_folder, write_demo
from allocation.jobs.source import load
from allocation.jobs.summary import read_run
from uplift.errors import InputError


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_the_decisions_file_alone_proves_the_budget_exactly(run_folder: Path, result: DemoResult):
    table = pq.read_table(run_folder / "decisions.parquet")
    assert table.column_names == ["user_id", "arm", "expected_value", "expected_cost", "margin"]
    spent = sum(map(Fraction, table["expected_cost"].to_pylist()))
    assert spent <= Fraction(result.budget_per_user) * len(result.held_out)
    assert float(spent) == pytest.approx(result.allocation.cost)
    assert set(table["arm"].to_pylist()) <= set(result.held_out.arms)
    assert len(set(table["user_id"].to_pylist())) == table.num_rows == len(result.held_out)


def test_the_manifest_describes_the_files_beside_it(run_folder: Path):
    manifest = json.loads((run_folder / "manifest.json").read_text())
    assert sorted(contents(run_folder)) == sorted(FILES)
    for part in manifest["parts"]:
        data = (run_folder / part["file"]).read_bytes()
        assert len(data) == part["bytes"]
        assert hashlib.sha256(data).hexdigest() == part["sha256"]
    rows = pq.read_metadata(run_folder / "decisions.parquet").num_rows
    assert manifest["parts"][0]["rows"] == manifest["held_out_users"] == sum(manifest["arm_users"].values()) == rows


def test_the_run_read_back_tells_what_the_run_told(run_folder: Path, result: DemoResult):
    told, read = result.summary(), read_run(run_folder)
    pd.testing.assert_frame_equal(told.headline(), read.headline())
    assert (told.name, told.users, told.arm_users, told.totals) == (
        read.name,
        read.users,
        read.arm_users,
        read.totals,
    )


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(run_folder: Path, tmp_path: Path):
    write_demo(run_demo(DemoPlan("simulated", users=3_000, n_bootstrap=200)), tmp_path / "again")
    write_demo(run_demo(DemoPlan("simulated", users=3_000, n_bootstrap=200, seed=1)), tmp_path / "other")
    assert contents(tmp_path / "again") == contents(run_folder)
    assert contents(tmp_path / "other")["decisions.parquet"] != contents(run_folder)["decisions.parquet"]


def test_a_folder_that_was_there_keeps_its_other_files(result: DemoResult, tmp_path: Path):
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "manifest.json").write_text('{"earmark": "0.0.1"}')
    write_demo(result, tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert read_run(tmp_path).users == len(result.held_out)
    assert not [p for p in tmp_path.parent.iterdir() if p.name.startswith(f".{tmp_path.name}-")]


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path):
    (tmp_path / "out").write_text("a file")
    for out in (tmp_path / "out", tmp_path / "out" / "deeper"):
        with pytest.raises(InputError, match=r"out is a file; the results need a folder"):
            check_folder(out)


def test_a_write_that_fails_half_way_leaves_the_old_run_whole(run_folder: Path, tmp_path: Path):
    """The operating system refuses files over 20 kB; the decisions alone take more."""
    out = tmp_path / "run"
    out.mkdir()
    for name, data in contents(run_folder).items():
        (out / name).write_bytes(data)
    done = subprocess.run(
        [sys.executable, "-m", "allocation.cli", "demo", "--data", "simulated", "--users", "1900", "--out", str(out)],
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)),
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "error: " in done.stderr
    assert contents(out) == contents(run_folder)
    assert [p.name for p in tmp_path.iterdir()] == ["run"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"input": 3}', "not json"])
def test_a_broken_manifest_is_named(tmp_path: Path, text: str):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(InputError, match=r"manifest.json is no manifest of a run"):
        read_run(tmp_path)


def test_an_empty_folder_is_no_run(tmp_path: Path):
    with pytest.raises(InputError, match=r"manifest.json does not exist; give the folder"):
        read_run(tmp_path)


@pytest.mark.parametrize("name", ["report.html", "decisions.parquet", "manifest.json"])
def test_a_folder_in_the_place_of_a_file_is_refused_before_anything_is_lost(
    run_folder: Path, result: DemoResult, tmp_path: Path, name: str
):
    out = tmp_path / "run"
    out.mkdir()
    for file, data in contents(run_folder).items():
        (out / file).write_bytes(data)
    (out / name).unlink()
    (out / name).mkdir()
    with pytest.raises(InputError, match=rf"{name} is a folder, where a file would be written"):
        write_demo(result, out)
    for file, data in contents(run_folder).items():
        assert file == name or (out / file).read_bytes() == data


@pytest.mark.parametrize("name", ["manifest.json", "report.html", "decisions.parquet"])
def test_somebody_elses_files_are_not_overwritten(result: DemoResult, tmp_path: Path, name: str):
    """The input log itself may be called decisions.parquet."""
    (tmp_path / name).write_text('["earmark"]')
    with pytest.raises(InputError, match=rf"{name} would be lost"):
        write_demo(result, tmp_path)
    assert (tmp_path / name).read_text() == '["earmark"]'


def test_a_folder_on_another_file_system_is_written(result: DemoResult, tmp_path: Path):
    """/dev/shm is a file system of its own on Linux; a link leads there."""
    shared = Path("/dev/shm")
    if not shared.is_dir() or shared.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("/dev/shm is no file system of its own on this machine")
    with tempfile.TemporaryDirectory(dir=shared) as elsewhere:
        (tmp_path / "link").symlink_to(elsewhere)
        for _ in range(2):
            write_demo(result, tmp_path / "link")
        assert sorted(contents(Path(elsewhere))) == sorted(FILES)
        assert read_run(Path(elsewhere)).users == len(result.held_out)


def test_users_are_a_random_sample_and_all_different():
    """Of 2,825, 300 users: not the first 300, none twice, the same for the same seed."""
    one, two = (load("thornton_hiv", users=300, seed=4).campaign.user_id for _ in range(2))
    assert one.tolist() == two.tolist()
    assert len(set(one.tolist())) == 300
    assert one.max() > 2_500
