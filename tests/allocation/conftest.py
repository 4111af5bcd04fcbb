"""The small plan that tests of the commands on a plan begin with."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.allocation.nightly import nightly


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A plan without limits, in the working folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    return nightly(tmp_path)
