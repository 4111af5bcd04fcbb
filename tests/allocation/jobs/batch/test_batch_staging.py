"""The staging folder: what it keeps for the next run, what it removes, what it refuses, and one step into place."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from allocation.jobs.batch import exchange, staging
from allocation.jobs.batch.part_file import write_part
from allocation.jobs.tables.writing import part_name
from tests.allocation.jobs.batch.small_runs import (
    ONE,
    PARTS,
    TWO,
    beside,
    content,
    mounted,
    number,
    output_folder,
    refuse_exchange,
    table,
    write_run,
)
from uplift.errors import InputError


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A folder with a run in it."""
    folder = tmp_path / "deep" / "decisions"
    write_run(folder, ONE)
    return folder


def test_a_run_appears_whole_and_a_later_one_takes_its_place(tmp_path: Path):
    out = tmp_path / "a" / "b" / "decisions"
    write_run(out, ONE)
    first = content(out)
    assert sorted(first) == ["manifest.json", *map(part_name, range(PARTS))]
    assert pq.read_table(out / part_name(1)).equals(table(ONE, 1).cast(pq.read_schema(out / part_name(1))))
    write_run(out, TWO)
    assert json.loads((out / "manifest.json").read_text())["run"] == TWO
    write_run(out, ONE)
    assert content(out) == first
    assert beside(out) == []


def test_the_folder_keeps_its_permissions_and_has_the_usual_ones_at_first(tmp_path: Path):
    (tmp_path / "usual").mkdir()
    write_run(tmp_path / "decisions", ONE)
    assert (tmp_path / "decisions").stat().st_mode == (tmp_path / "usual").stat().st_mode
    (tmp_path / "decisions").chmod(0o750)
    write_run(tmp_path / "decisions", TWO)
    assert (tmp_path / "decisions").stat().st_mode & 0o7777 == 0o750


def test_whole_parts_are_kept_for_a_rerun_and_all_else_is_not(out: Path):
    with output_folder(out, TWO, str) as opened:
        write_part(opened.folder, 0, TWO, table(TWO, 0))
        write_part(opened.folder, 1, TWO, table(TWO, 1))
        (opened.folder / ".part-00002.parquet-1").write_text("half")
        (opened.folder / "manifest.json").write_text("{}")
        (opened.folder / "odd").mkdir()
    folder = out.parent / f".decisions.staging-{TWO[:12]}"
    assert beside(out) == [folder.name]
    with output_folder(out, TWO, str) as opened:
        assert sorted(content(folder)) == [part_name(0), part_name(1)]
        inode = number(folder / part_name(1))
        write_part(opened.folder, 1, TWO, table(TWO, 1))
        assert number(folder / part_name(1)) == inode


@pytest.mark.parametrize(
    "harm", ["cut", "zeros", "bit", "other run", "other decisions", "empty", "text", "link", "folder"]
)
def test_a_part_that_is_not_whole_or_not_of_this_run_is_written_anew(tmp_path: Path, harm: str):
    """What a power cut or a disk makes of a file, what another run writes, and what is no file of its own."""
    path = tmp_path / part_name(0)
    expected = write_part(tmp_path, 0, ONE, table(ONE, 0))
    good = path.read_bytes()
    if harm.startswith("other"):
        write_part(tmp_path, 0, *((TWO, table(ONE, 0)) if harm == "other run" else (ONE, table(ONE, 1))))
    whole = path.read_bytes()
    middle = len(whole) // 3
    if harm == "cut":
        path.write_bytes(whole[: len(whole) // 2])
    elif harm == "zeros":
        path.write_bytes(whole[:middle] + bytes(200) + whole[middle + 200 :])
    elif harm == "bit":
        path.write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
    elif harm == "empty":
        path.write_bytes(b"")
    elif harm == "text":
        path.write_text("user_id,arm\n")
    elif harm == "link":
        path.rename(tmp_path / "elsewhere")
        path.symlink_to(tmp_path / "elsewhere")
    elif harm == "folder":
        path.unlink()
        path.mkdir()
        with pytest.raises(InputError, match="cannot be written into"):
            write_part(tmp_path, 0, ONE, table(ONE, 0))
        return
    assert write_part(tmp_path, 0, ONE, table(ONE, 0)) == expected
    assert path.read_bytes() == good
    assert not path.is_symlink()


def test_what_other_runs_left_is_removed_and_nothing_else(out: Path):
    parent = out.parent
    for name in (
        ".decisions.staging-0123456789ab",
        ".decisions.staging-notahexadec",
        ".decisionsx.staging-0123456789ab",
    ):
        (parent / name).mkdir()
    (parent / ".decisions.staging-0123456789ab" / part_name(0)).write_text("x")
    told: list[str] = []
    write_run(out, TWO, progress=told.append)
    assert beside(out) == [".decisions.staging-notahexadec", ".decisionsx.staging-0123456789ab"]
    assert [line for line in told if "another plan" in line]


def test_a_reader_sees_the_one_run_or_the_other_whole(out: Path):
    """Polled while runs of two and of three parts take each other's place."""
    names = {parts: {"manifest.json", *map(part_name, range(parts))} for parts in (2, 3)}
    seen, wrong, ended = set(), [], threading.Event()

    def poll() -> None:
        while not ended.is_set():
            listing = frozenset(os.listdir(out))
            seen.add(len(listing) - 1)
            if listing not in names.values():
                wrong.append(listing)

    reader = threading.Thread(target=poll)
    reader.start()
    try:
        for k in range(6):
            write_run(out, (TWO, ONE)[k % 2], parts=2 + (k + 1) % 2)
    finally:
        ended.set()
        reader.join()
    assert wrong == []
    assert seen == {2, 3}


def test_without_exchange_the_old_folder_steps_aside(out: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(exchange, "exchange", refuse_exchange)
    write_run(out, TWO)
    assert json.loads((out / "manifest.json").read_text())["run"] == TWO
    assert beside(out) == []


def test_without_exchange_a_switch_that_fails_puts_the_old_folder_back(out: Path, monkeypatch: pytest.MonkeyPatch):
    before = content(out)
    monkeypatch.setattr(exchange, "exchange", refuse_exchange)
    rename = Path.rename

    def refuse(self: Path, target: Path) -> Path:
        if ".staging-" in self.name and Path(target) == out:
            raise OSError(5, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(InputError, match=r"cannot be published as .*Input/output error.*untouched. Check the disk"):
        write_run(out, TWO)
    assert content(out) == before


def test_a_run_that_was_moved_aside_is_put_back(out: Path):
    before = content(out)
    out.rename(out.with_name(".decisions.old"))
    told: list[str] = []
    with output_folder(out, TWO, told.append):
        assert content(out) == before
    assert [line for line in told if "putting" in line]
    assert beside(out) == []


@pytest.mark.parametrize("name", [".decisions.old", f".decisions.staging-{TWO[:12]}"])
def test_a_file_in_the_way_of_what_a_run_needs_is_told(out: Path, name: str):
    (out.parent / name).write_text("mine")
    with pytest.raises(InputError, match="is in the way"):
        write_run(out, TWO)
    assert (out.parent / name).read_text() == "mine"


def test_a_part_that_vanished_is_told_before_the_switch(out: Path):
    before = content(out)
    with output_folder(out, TWO, str) as opened:
        part = write_part(opened.folder, 0, TWO, table(TWO, 0))
        (opened.folder / part.file).unlink()
        with pytest.raises(InputError, match=r"is not the file of .* bytes that this run wrote"):
            opened.publish({"parts": [part.entry()]})
    assert content(out) == before


def test_files_that_came_into_the_folder_meanwhile_are_not_lost(out: Path):
    with output_folder(out, TWO, str) as opened:
        part = write_part(opened.folder, 0, TWO, table(TWO, 0))
        (out / "notes.txt").write_text("mine")
        with pytest.raises(InputError, match=r"notes.txt beside the decisions"):
            opened.publish({"parts": [part.entry()]})
    assert (out / "notes.txt").read_text() == "mine"


def test_run_ids_that_are_no_hexadecimal_number_are_a_defect_of_ours(tmp_path: Path):
    with pytest.raises(ValueError, match="hexadecimal"), output_folder(tmp_path / "x", "../../escape", str):
        pass


def test_an_early_failure_leaves_no_folder(tmp_path: Path):
    with pytest.raises(KeyError), output_folder(tmp_path / "a" / "b" / "c", ONE, str):
        raise KeyError
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_folder_for_decisions_is_refused_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "file").write_text("x")
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "thesis.tex").write_text("x")
    (tmp_path / "fit").mkdir()
    (tmp_path / "fit" / "manifest.json").write_text('{"earmark": "0", "command": "fit"}')
    (tmp_path / "link").symlink_to(tmp_path / "foreign")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "manifest.json").write_text("[" * 100_000)
    monkeypatch.chdir(tmp_path)
    cases = {
        "file": "is a file",
        "file/below": "is a file",
        "foreign": "thesis.tex, which would be lost, and no manifest",
        "fit": "holds a run of `earmark fit`",
        "link": "is a link to .*foreign",
        "loop": "is a link|cannot be a folder",
        "broken": "no manifest says",
        ".": "this command runs in",
        "..": "this command runs in",
        "/": "file system of its own|may not be written",
        "/proc": "file system of its own",
        "/proc/decisions": "cannot be|may not be",
        "x" * 300: "cannot be a folder",
        "nul\0": "cannot be a folder",
    }
    for name, message in cases.items():
        with pytest.raises(InputError, match=message), output_folder(name, ONE, str):
            pass
    assert len(list(tmp_path.iterdir())) == 6


def test_a_mount_point_is_refused(tmp_path: Path):
    """A bind mount within one file system shows in the kernel's list alone."""
    inner = tmp_path / "with space"
    inner.mkdir()
    if not mounted("--bind", str(inner), str(inner)):
        with pytest.raises(InputError, match="file system of its own"), output_folder("/proc", ONE, str):
            pass
        return
    try:
        with (
            pytest.raises(InputError, match=r"file system of its own.*with space/decisions"),
            output_folder(inner, ONE, str),
        ):
            pass
    finally:
        subprocess.run(["umount", "-l", inner], check=True)


def test_an_old_folder_that_cannot_be_removed_is_told_and_is_no_error(out: Path, monkeypatch: pytest.MonkeyPatch):
    told: list[str] = []
    monkeypatch.setattr(staging.shutil, "rmtree", lambda *a, **k: None)
    write_run(out, TWO, progress=told.append)
    assert "cannot be removed whole" in told[-1]
    monkeypatch.undo()
    write_run(out, ONE)
    assert beside(out) == []
