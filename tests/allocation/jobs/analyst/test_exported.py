"""What is taken away: byte for byte what the command line writes on the exported plan, and nothing left behind."""

from __future__ import annotations

import io
import shlex
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from allocation.engine.problem import ProblemError
from allocation.jobs.analyst.exported import COMMAND, CSV, PARQUET, build, file_name, plan_for
from allocation.jobs.analyst.limited import decide_run
from allocation.jobs.analyst.run import open_run
from allocation.jobs.plan import Plan, PlanLimit, Share, plan_text, read_plan
from tests.allocation.nightly import nightly
from uplift.errors import InputError

LIMITS = (PlanLimit("few", max=Share(0.1), where={"segment": ("head",)}),)


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go, and nothing else."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def plan_here(folder: Path, part_rows: int = 1_000) -> Plan:
    """A plan for a table in the folder, read as a run."""
    folder.mkdir(parents=True, exist_ok=True)
    nightly(folder)
    run = open_run(folder / "responses")
    plan = plan_for(run, 300.5, LIMITS)
    return Plan(**{**plan.__dict__, "part_rows": part_rows})


def decided_by_command(plan: Plan, folder: Path) -> Path:
    """The exported command, run on the exported plan in a folder of its own by a process of its own."""
    folder.mkdir()
    (folder / "plan.toml").write_text(plan_text(plan))
    words = shlex.split(COMMAND)
    assert words[0] == "earmark"
    done = subprocess.run(
        [sys.executable, "-m", "allocation.cli", *words[1:]], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return folder / "tonight"


def test_the_parquet_file_is_the_part_that_the_command_writes(tmp_path: Path, scratch: Path):
    plan = plan_here(tmp_path / "campaign")
    built = build(plan, PARQUET)
    out = decided_by_command(plan, tmp_path / "elsewhere")
    assert built.content == (out / "part-00000.parquet").read_bytes()
    assert built.name == "responses-decisions.parquet"
    assert list(scratch.iterdir()) == []


def test_several_parts_are_an_archive_with_the_manifest(tmp_path: Path, scratch: Path):
    plan = plan_here(tmp_path / "campaign", part_rows=250)
    built = build(plan, PARQUET)
    out = decided_by_command(plan, tmp_path / "elsewhere")
    with zipfile.ZipFile(io.BytesIO(built.content)) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {
            file.name: file.read_bytes() for file in out.iterdir()
        }
    assert built.name == "responses-decisions.zip"
    assert built.content == build(plan, PARQUET).content
    assert list(scratch.iterdir()) == []


def test_the_csv_file_is_that_of_earmark_export(tmp_path: Path, scratch: Path):
    plan = plan_here(tmp_path / "campaign", part_rows=250)
    built = build(plan, CSV)
    out = decided_by_command(plan, tmp_path / "elsewhere")
    subprocess.run(
        [sys.executable, "-m", "allocation.cli", "export", str(out), str(tmp_path / "d.csv")],
        check=True,
        capture_output=True,
    )
    assert built.content == (tmp_path / "d.csv").read_bytes()
    assert built.content.count(b"\n") == 701
    assert list(scratch.iterdir()) == []


def test_an_upload_is_decided_from_what_is_held_of_it(tmp_path: Path, scratch: Path):
    plan = plan_here(tmp_path / "campaign")
    run = open_run(tmp_path / "campaign" / "responses")
    sent = replace(run, place=Path("mine.csv"), plan=replace(run.plan, name="mine", responses="mine.csv"))
    named = plan_for(sent, 300.5, LIMITS)
    assert named.responses == "mine.csv"
    built, filed = (pq.read_table(io.BytesIO(b.content)) for b in (build(named, PARQUET, sent), build(plan, PARQUET)))
    assert built.equals(filed)
    assert [run.arms[j] for j in decide_run(sent, named).decision] == built["arm"].to_pylist()
    assert list(scratch.iterdir()) == []


def test_a_limit_on_a_column_that_an_upload_has_not_is_told(tmp_path: Path):
    plan_here(tmp_path / "campaign")
    run = open_run(tmp_path / "campaign" / "responses")
    sent = replace(run, place=Path("mine.csv"), plan=replace(run.plan, responses="mine.csv"))
    with pytest.raises(InputError, match=r"column 'segmnt', which is not there\. Did you mean 'segment'"):
        decide_run(sent, plan_for(sent, 300.5, (PlanLimit("few", max=3.0, where={"segmnt": ("head",)}),)))


def test_the_exported_plan_is_the_plan_from_wherever_it_lies(tmp_path: Path):
    plan = plan_here(tmp_path / "campaign")
    assert Path(plan.responses or "").is_absolute()
    other = tmp_path / "a" / "b"
    other.mkdir(parents=True)
    (other / "plan.toml").write_text(plan_text(plan))
    again = read_plan(other / "plan.toml")
    assert again == plan
    assert again.digest() == plan.digest()


@pytest.mark.parametrize("kind", [PARQUET, CSV])
def test_nothing_is_left_of_a_plan_that_cannot_be_decided(kind: str, tmp_path: Path, scratch: Path):
    plan = plan_here(tmp_path / "campaign")
    clash = (PlanLimit("a", min=600.0), PlanLimit("b", max=500.0))
    with pytest.raises(ProblemError, match="limit 'a'"):
        build(Plan(**{**plan.__dict__, "limits": clash}), kind)
    assert list(scratch.iterdir()) == []


def test_a_disk_without_room_is_one_message(tmp_path: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch):
    plan = plan_here(tmp_path / "campaign")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryDirectory", full)
    with pytest.raises(InputError, match=r"cannot be built in .*: No space left on device. Free some space, or run"):
        build(plan, PARQUET)


def test_a_budget_below_zero_is_no_plan(tmp_path: Path):
    folder = tmp_path / "campaign"
    plan_here(folder)
    with pytest.raises(InputError, match="a number of at least 0 is expected"):
        plan_for(open_run(folder / "responses"), -1.0, ())


NAMES = {
    "spring": "spring-decisions.csv",
    "../../etc/passwd": "etc-passwd-decisions.csv",
    "Ünï <b>": "n-b-decisions.csv",
    "=1+1": "1-1-decisions.csv",
    "…": "plan-decisions.csv",
    "a" * 200: "a" * 60 + "-decisions.csv",
}


@pytest.mark.parametrize("name", NAMES)
def test_file_names_are_harmless(name: str):
    assert file_name(Plan(name), "csv") == NAMES[name]
