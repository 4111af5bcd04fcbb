"""Garbage in a folder of decisions: one clear message or a problem named, never a traceback."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from allocation.jobs.batch.export import export_decisions
from allocation.jobs.batch.inspect import inspect_decisions
from allocation.jobs.batch.published import read_published
from tests.allocation.jobs.batch.small_decisions import Made, make
from uplift.errors import InputError

SETTINGS = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(10**300, 10**310),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["../../x", "/etc/passwd", "part-00001.parquet", "1/0", "\0", "\ud800", "9" * 5_000 + "/1"]),
    st.lists(st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=3),
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A whole run, put back after each example."""
    return make(tmp_path_factory.mktemp("fuzz"))


def looked_at(made: Made) -> bool:
    """Inspect and export; whether the inspection found nothing wrong."""
    told, fine = "", False
    try:
        export_decisions(made.out, made.out.parent / "decisions.csv", force=True)
    except InputError as error:
        told = str(error)
    try:
        fine = not inspect_decisions(made.out).problems
    except InputError as error:
        told += str(error)
    assert len(told) < 3_000
    assert [p.name for p in made.out.parent.iterdir() if p.name.startswith(".")] == []
    return fine


def paths(tree: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a JSON tree."""
    steps = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [at, *(path for key, below in steps for path in paths(below, (*at, key)))]


def change(tree: Any, path: tuple[Any, ...], leaf: Any, *, gone: bool) -> Any:
    """The tree with something else at a place, or nothing there."""
    if not path:
        return leaf
    copy = json.loads(json.dumps(tree))
    at = copy
    for step in path[:-1]:
        at = at[step]
    if gone:
        del at[path[-1]]
    else:
        at[path[-1]] = leaf
    return copy


@SETTINGS
@given(data=st.data())
def test_a_manifest_with_anything_anywhere(made: Made, data: st.DataObject):
    path = made.out / "manifest.json"
    before = path.read_bytes()
    tree = json.loads(before)
    place = data.draw(st.sampled_from(paths(tree)))
    other = change(tree, place, data.draw(LEAVES), gone=data.draw(st.booleans()))
    try:
        path.write_text(json.dumps(other), encoding="utf-8", errors="surrogatepass")
        looked_at(made)
    finally:
        path.write_bytes(before)


@SETTINGS
@given(data=st.data())
def test_a_manifest_of_broken_bytes(made: Made, data: st.DataObject):
    path = made.out / "manifest.json"
    before = path.read_bytes()
    at = data.draw(st.integers(0, len(before)))
    try:
        path.write_bytes(before[:at] + data.draw(st.binary(max_size=6)) + before[at + data.draw(st.integers(0, 9)) :])
        looked_at(made)
    finally:
        path.write_bytes(before)


@SETTINGS
@given(data=st.data())
def test_a_part_of_broken_bytes_even_one_that_the_manifest_lists(made: Made, data: st.DataObject):
    """Where the manifest is changed with it, only the reading of the part is between it and us."""
    path, manifest = made.out / "part-00001.parquet", made.out / "manifest.json"
    before = {p: p.read_bytes() for p in (path, manifest)}
    content = before[path]
    # The footer is where sizes and places stand.
    at = data.draw(st.one_of(st.integers(0, len(content)), st.integers(max(len(content) - 900, 0), len(content))))
    content = content[:at] + data.draw(st.binary(max_size=6)) + content[at + data.draw(st.integers(0, 9)) :]
    listed = data.draw(st.booleans())
    try:
        path.write_bytes(content)
        if listed:
            tree = json.loads(before[manifest])
            tree["parts"][1] |= {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            manifest.write_text(json.dumps(tree))
        fine = looked_at(made)
        assert listed or not fine or content == before[path]
    finally:
        for p, own in before.items():
            p.write_bytes(own)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is no manifest"),
        ("[" * 100_000, "is no manifest: maximum recursion|is no manifest"),
        ("[]", "is no manifest of `earmark decide`"),
        ('{"earmark": "1", "command": "fit"}', "holds a run of `earmark fit`"),
        ('{"earmark": "1"}', "holds a run of `earmark demo`"),
        ('{"earmark": "1", "command": "decide"}', "is no manifest of `earmark decide`: run: Field required"),
        ('{"earmark": "1", "earmark": "2"}', "a key stands in it twice"),
        ("\ufeff{}", "is no manifest"),
        ("1" * 5_000, "is no manifest"),
    ],
)
def test_what_is_no_manifest_is_told(tmp_path: Path, text: str, message: str):
    (tmp_path / "manifest.json").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        read_published(tmp_path)


@pytest.mark.parametrize("name", ["../../x", "/etc/passwd", "part-00000.parquet/../x", "part-1.parquet", "\0", ""])
def test_a_part_that_is_elsewhere_is_refused_before_it_is_opened(made: Made, name: str):
    path = made.out / "manifest.json"
    before = path.read_bytes()
    try:
        path.write_text(json.dumps(change(json.loads(before), ("parts", 0, "file"), name, gone=False)))
        with pytest.raises(InputError, match=r"its part 0 is called .*, 'part-00000.parquet' is expected"):
            inspect_decisions(made.out)
        with pytest.raises(InputError, match=r"its part 0 is called"):
            export_decisions(made.out, made.out.parent / "x.csv")
    finally:
        path.write_bytes(before)


def test_folders_that_are_none(tmp_path: Path):
    for folder in (tmp_path / "none", tmp_path / "x\0", "~nobody-here/x"):
        with pytest.raises(InputError):
            inspect_decisions(folder)
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="is no folder"):
        inspect_decisions(tmp_path / "file")
    (tmp_path / ".gone.old").mkdir()
    with pytest.raises(InputError, match="a run was killed while it took the folder's place"):
        inspect_decisions(tmp_path / "gone")
    (tmp_path / "manifest.json").symlink_to("/dev/zero")
    with pytest.raises(InputError, match="cannot be read"):
        inspect_decisions(tmp_path)
