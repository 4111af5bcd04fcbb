"""Disks that are full, read-only or broken: one message, the decisions before untouched, whole parts are kept."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from allocation.jobs.batch import part_file
from allocation.jobs.batch.part_file import write_part
from allocation.jobs.tables.writing import part_name
from tests.allocation.jobs.batch.small_runs import ARMS, ONE, ROWS, TWO, beside, content, mounted, table, write_run
from uplift.errors import InputError

PIECE = 25_000  # bytes, more than a part has


@pytest.fixture
def small_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file system of 128 KiB; where none may be mounted, a folder into which no more can be written."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if not mounted("-t", "tmpfs", "-o", "size=128k", "tmpfs", str(disk)):
        write = part_file.write_whole

        def write_or_refuse(path: Path, content: bytes) -> None:
            if sum(file.stat().st_size for file in disk.rglob("*")) + len(content) > 128 * 1024:
                raise OSError(errno.ENOSPC, "No space left on device")
            write(path, content)

        monkeypatch.setattr(part_file, "write_whole", write_or_refuse)
        yield disk
        return
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


def test_a_full_disk_is_told_and_once_there_is_space_a_rerun_keeps_whole_parts(small_disk: Path, tmp_path: Path):
    out = small_disk / "decisions"
    write_run(out, ONE)
    before = content(out)
    filler = small_disk / "filler"
    used = sum(file.stat().st_size for file in out.iterdir())
    filler.write_bytes(bytes(128 * 1024 - used - 2 * PIECE))
    message = (
        r"part-0000\d.parquet cannot be written into .*: No space left on device; the decisions that were published "
        "before are untouched. Free some space and run again: it keeps the parts that are whole"
    )
    with pytest.raises(InputError, match=message):
        write_run(out, TWO, parts=4)
    assert content(out) == before
    assert not list(small_disk.rglob(".part*"))
    filler.unlink()
    assert write_run(out, TWO, parts=4) == [2, 3]
    write_run(tmp_path / "elsewhere", TWO, parts=4)
    assert content(out) == content(tmp_path / "elsewhere")


def test_a_disk_that_is_full_at_the_manifest(small_disk: Path):
    """The parts fit; what is asked of the file system last does not."""
    out = small_disk / "decisions"
    write_run(out, ONE)
    before, whole = content(out), os.fsync

    def refuse(descriptor: int) -> None:
        if os.readlink(f"/proc/self/fd/{descriptor}").endswith("manifest.json"):
            raise OSError(errno.ENOSPC, "No space left on device")
        whole(descriptor)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", refuse)
        with pytest.raises(InputError, match=r"cannot be published as .*decisions: No space left on device"):
            write_run(out, TWO)
    assert content(out) == before
    assert write_run(out, TWO) == []


def test_a_switch_that_cannot_be_flushed_is_told_and_the_old_folder_stays_for_a_while(tmp_path: Path):
    out, told, whole = tmp_path / "decisions", [], os.fsync
    write_run(out, ONE)

    def refuse(descriptor: int) -> None:
        if os.readlink(f"/proc/self/fd/{descriptor}") == str(tmp_path):
            raise OSError(errno.EIO, "Input/output error")
        whole(descriptor)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", refuse)
        write_run(out, TWO, progress=told.append)
    assert "is published, but" in told[-1]
    assert len(beside(out)) == 1
    write_run(out, TWO)
    assert beside(out) == []


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    """A folder with a run in it that may not be written to, not by root either."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if mounted("-t", "tmpfs", "tmpfs", str(disk)):
        write_run(disk / "decisions", ONE)
        assert mounted("-o", "remount,ro", str(disk))
        yield disk / "decisions"
        subprocess.run(["umount", "-l", disk], check=True)
        return
    write_run(disk / "decisions", ONE)
    disk.chmod(0o555)
    with pytest.MonkeyPatch.context() as patch:
        if os.geteuid() == 0:  # to whom permissions say nothing
            patch.setattr(os, "access", lambda path, how: Path(path) != disk)
        yield disk / "decisions"
    disk.chmod(0o755)


def test_a_read_only_folder_is_told_before_any_work(read_only: Path):
    before = content(read_only)
    with pytest.raises(InputError, match="may not be written to; choose another --out"):
        write_run(read_only, TWO)
    with pytest.raises(InputError, match="may not be written to; choose another --out"):
        write_run(read_only.parent / "other" / "decisions", TWO)
    assert content(read_only) == before


@pytest.mark.parametrize(
    ("number", "mend"),
    [
        (errno.EIO, "Check the disk"),
        (errno.EDQUOT, "Free some space of the quota"),
        (errno.EROFS, "Have the file system writable"),
        (errno.EACCES, "See to it that the folder may be written to"),
        (errno.EMFILE, "Mend that and run again"),
    ],
)
def test_each_refusal_has_its_reason_and_its_mend(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, mend: str
):
    out = tmp_path / "decisions"
    write_run(out, ONE)
    before = content(out)

    def refuse(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(InputError, match=rf"{os.strerror(number)}; .* untouched. {mend}"):
        write_run(out, TWO)
    assert content(out) == before


def test_a_limit_on_the_size_of_files_is_told(tmp_path: Path):
    """The process's own limit, by which a write comes back short."""
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4_096, limit[1]))
    try:
        with pytest.raises(
            InputError, match=r"File too large; .* Raise the limit on the size of files, or lower part"
        ):
            write_part(tmp_path, 0, ONE, table(ONE, 0))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert list(tmp_path.iterdir()) == []


def test_a_staging_folder_that_was_removed_is_told(tmp_path: Path):
    with pytest.raises(InputError, match="No such file or directory"):
        write_part(tmp_path / "gone", 0, ONE, table(ONE, 0))


def test_the_clock_decides_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Parts from the future, a clock that has gone back: the same parts are kept, the same bytes come out."""
    out = tmp_path / "decisions"
    write_run(out, ONE)
    expected = content(out)
    staging = tmp_path / f".decisions.staging-{ONE[:12]}"
    staging.mkdir()
    write_part(staging, 0, ONE, table(ONE, 0))
    os.utime(staging / part_name(0), (4_000_000_000, 4_000_000_000))
    os.utime(staging, (0, 0))
    monkeypatch.setattr("time.time", lambda: -1.0)
    assert write_run(out, ONE) == [1]
    assert content(out) == expected


def test_every_part_says_its_arms_even_one_without_users(tmp_path: Path):
    for k, rows in enumerate((0, 1, ROWS)):
        part = write_part(tmp_path, k, ONE, table(ONE, 0, rows))
        assert (part.rows, len(part.users), sum(part.users)) == (rows, len(ARMS), rows)
        written = pq.read_table(tmp_path / part.file)["arm"].to_pylist()
        assert part.users == tuple(written.count(arm) for arm in ARMS)
