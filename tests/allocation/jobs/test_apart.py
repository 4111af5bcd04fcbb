"""Results never lie in, around or in the way of what they are made of."""

from __future__ import annotations

from pathlib import Path

import pytest

from allocation.jobs.apart import check_apart
from uplift.errors import InputError


@pytest.mark.parametrize(
    ("out", "given", "how"),
    [
        ("r", "r", "is the"),
        ("r/", "./r/../r", "is the"),
        ("r/out", "r", "lies under the"),
        ("r/a/out", "r", "lies under the"),
        ("link/out", "r", "lies under the"),
        ("r", "link", "is the"),
        (".", "r", "holds the"),
        (".", "r/one.parquet", "holds the"),
        ("r", "r/one.parquet", "holds the"),
        ("r", "r/*.parquet", "holds the"),
        (".", "r/*.parquet", "holds the"),
        ("r/out", "r/*", "would be found by the"),
        ("r/out", "r/**/*.parquet", "would be found by the"),
        ("r/deep/out", "r/*/*/*.parquet", "would be found by the"),
        ("r", "file://{}/r", "is the"),
        ("r", "local://{}/r", "is the"),
    ],
)
def test_what_meets_an_input_is_refused_with_both_names(
    out: str, given: str, how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    home(tmp_path, monkeypatch)
    with pytest.raises(InputError, match=f"written to {(tmp_path / out).resolve()}, which {how} features, .*r|link"):
        check_apart(out, {"responses": None, "features": given.format(tmp_path)})


@pytest.mark.parametrize(
    ("out", "given"),
    [
        ("out", "r"),
        ("r2", "r"),
        ("r/out", "r/one.parquet"),
        ("r/out", "r/*.parquet"),
        ("r/out", "r/o*.parquet"),
        ("out", "nowhere"),
        ("r", "s3://bucket/r"),
        ("r", "memory://r"),
        ("out", "~/r"),
    ],
)
def test_what_lies_apart_is_not(out: str, given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    home(tmp_path, monkeypatch)
    check_apart(out, {"responses": given, "model": None})


def home(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of responses, and a link to it."""
    monkeypatch.chdir(folder)
    (folder / "r").mkdir()
    (folder / "r" / "one.parquet").touch()
    (folder / "link").symlink_to(folder / "r")
