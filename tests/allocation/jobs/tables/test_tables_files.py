"""Which files stand behind a path."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import fsspec
import numpy as np
import pyarrow.parquet as pq
import pytest
from response_tables import responses, write

from allocation.jobs.tables.files import find_files
from allocation.jobs.tables.open import open_responses
from uplift.errors import InputError


def names(path: object) -> list[str]:
    return [file.name for file in find_files(str(path))]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four parts at three depths among names that do not belong."""
    root = tmp_path / "t"
    for k, name in enumerate(("b.parquet", "sub/c.PARQUET", "a.pq", "sub/deep/x.parq")):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(responses(5, 5 * k), root / name)
    for name in (
        "_SUCCESS",
        ".b.parquet.crc",
        "_temporary/d.parquet",
        "sub/.hidden/e.parquet",
        "manifest.json",
        "_d.pq",
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("{}")
    return root


def test_a_folder_is_searched_at_any_depth_in_the_order_of_paths(folder):
    assert names(folder) == ["a.pq", "b.parquet", "sub/c.PARQUET", "sub/deep/x.parq"]
    order = [10, 11, 12, 13, 14, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 16, 17, 18, 19]
    assert open_responses(folder).block(0, 20).user_id.to_pylist() == order


def test_globs_find_files_and_folders(folder):
    assert names(folder / "*.parquet") == ["b.parquet"]
    assert names(folder / "s*") == ["sub/c.PARQUET", "sub/deep/x.parq"]
    assert names(folder / "**" / "*.par*") == ["b.parquet", "sub/deep/x.parq"]


def test_a_file_may_have_any_name(tmp_path):
    for name in ("part[1]", "_x", ".y", "responses.data"):
        pq.write_table(responses(3), tmp_path / name)
        assert names(tmp_path / name) == [name]


def test_links_are_followed_once(folder, tmp_path):
    os.symlink(folder / "sub", folder / "z")
    os.symlink(folder, folder / "sub" / "loop")
    (tmp_path / "other").mkdir()
    os.symlink(folder / "b.parquet", tmp_path / "other" / "link.parquet")
    assert len(names(folder)) == 4
    assert names(tmp_path / "other") == ["link.parquet"]


def test_urls_find_what_paths_find(folder):
    memory = fsspec.filesystem("memory")
    memory.put(str(folder), "/files-test", recursive=True)
    try:
        there = open_responses("memory://files-test")
        here = open_responses(folder)
        assert [f.name for f in there.files] == [f.name for f in here.files]
        assert [b.value.tolist() for b in there.stream(7)] == [b.value.tolist() for b in here.stream(7)]
        assert names("memory://files-test/*.parquet") == ["b.parquet"]
        assert names("memory://files-test/s*") == ["sub/c.PARQUET", "sub/deep/x.parq"]
        assert len(open_responses("memory://files-test/b.parquet").block(0, 5)) == 5
        assert open_responses(f"file://{folder}").n == 20
    finally:
        memory.rm("/files-test", recursive=True)


@pytest.mark.parametrize("scheme", ["file", "local"])
def test_files_of_this_machine_are_watched_alike_by_path_and_by_url(folder, scheme, monkeypatch):
    """A file that is replaced by another of the same size and time is noticed."""
    url = f"{scheme}://{folder}"
    assert find_files(url) == find_files(folder)
    monkeypatch.chdir(folder)
    assert find_files(f"{scheme}://sub/*.*")[0].path == str(folder / "sub" / "c.PARQUET")
    source, part = open_responses(url), folder / "b.parquet"
    assert "sha256" in source.fingerprint()["files"][0]
    stamp, content = part.stat(), part.read_bytes()
    part.unlink()
    part.write_bytes(content)
    os.utime(part, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    with pytest.raises(InputError, match=r"b.parquet has changed since the table was opened"):
        source.block(0, 20)


def test_a_file_in_an_archive_is_read_where_it_is(tmp_path):
    pq.write_table(responses(9), tmp_path / "x.parquet")
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.write(tmp_path / "x.parquet", "inner/x.parquet")
    source = open_responses(f"zip://inner/x.parquet::{tmp_path / 'x.zip'}")
    assert source.block(2, 9).user_id.to_pylist() == list(range(2, 9))


def test_folder_names_become_attributes(tmp_path):
    for day, segment, first in ((1, "heavy", 0), (2, "light user", 3), (2, None, 6)):
        name = "__HIVE_DEFAULT_PARTITION__" if segment is None else segment.replace(" ", "%20")
        write(tmp_path / f"day={day}" / f"segment={name}", responses(3, first))
    source = open_responses(tmp_path, attributes=["segment", "day"])
    block = source.block(0, 9)
    by_user = dict(zip(block.user_id.to_pylist(), block.attributes["segment"].to_pylist(), strict=True))
    assert by_user == dict.fromkeys(range(3), "heavy") | dict.fromkeys(range(3, 6), "light user") | dict.fromkeys(
        range(6, 9)
    )
    assert sorted(block.attributes["day"].to_pylist()) == [1, 1, 1, 2, 2, 2, 2, 2, 2]
    alone = open_responses(tmp_path / "day=*" / "*" / "a.parquet", attributes=["day"])
    assert alone.block(0, 9).attributes["day"].to_pylist() == [1, 1, 1, 2, 2, 2, 2, 2, 2]


def test_007_in_a_folder_name_is_a_name(tmp_path):
    write(tmp_path / "zone=007", responses(3))
    write(tmp_path / "zone=8", responses(3, 3))
    column = open_responses(tmp_path, attributes=["zone"]).block(0, 6).attributes["zone"]
    assert column.to_pylist() == ["007"] * 3 + ["8"] * 3


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("", "is no path"),
        ("nowhere", "nowhere does not exist; give the path"),
        ("nowhere/*.parquet", "holds no Parquet file"),
        ("memory://nowhere-at-all", "does not exist; give the URL"),
        ("nosuch://x/y", "cannot be opened: Protocol not known"),
        ("gs://x/y", "cannot be opened: .*gcsfs"),
    ],
)
def test_paths_to_nothing_are_refused(path, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        find_files(path)


def test_a_folder_without_parquet_says_what_is_there(tmp_path):
    (tmp_path / "x.csv").write_text("a")
    with pytest.raises(InputError, match=r"holds no Parquet file; there is x.csv and no name that ends in .parquet"):
        find_files(tmp_path)


def test_a_half_copied_file_is_not_left_out(tmp_path):
    write(tmp_path, responses(3))
    (tmp_path / "b.parquet.tmp").write_bytes(b"")
    with pytest.raises(
        InputError, match=r"holds b.parquet.tmp, which looks like a Parquet file that is not yet whole"
    ):
        find_files(tmp_path)


def test_files_under_other_folder_names_are_refused(tmp_path):
    write(tmp_path / "day=1", responses(3))
    write(tmp_path / "week=1", responses(3, 3))
    with pytest.raises(InputError, match=r"stands under folders that name week, .*day=1.* under day"):
        open_responses(tmp_path)


def test_a_folder_that_may_not_be_listed_is_refused(tmp_path, monkeypatch):
    write(tmp_path / "locked", responses(3))
    scan = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(InputError, match="locked cannot be read: Permission denied"):
        find_files(tmp_path)


def test_a_column_that_a_folder_names_too_is_refused(tmp_path):
    table = responses(3).append_column("day", [np.arange(3)])
    write(tmp_path / "day=1", table)
    assert open_responses(tmp_path).n == 3
    with pytest.raises(InputError, match=r"day is a column of .* and a folder's name above it"):
        open_responses(tmp_path, attributes=["day"])
