"""The command killed at random moments and run again, in small: the benchmark `killed.py` has fifty on a million."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.benchmarks.killed import Moment, content, killed_runs, prepare


def test_three_kills_and_reruns_over_earlier_decisions(tmp_path: Path):
    """One anywhere, two once some parts are written; the folder is whole whenever it is read."""
    plan, old, seconds = prepare(tmp_path, 20_000, 1_000)
    moments = [Moment(float(np.random.default_rng(0).uniform(0, seconds))), Moment(0.0, 2), Moment(0.003, 11)]
    found = killed_runs(tmp_path, plan, old, moments, pause=0.01)
    assert found.same == 3
    assert found.seen.broken == []
    assert found.seen.absent == 0
    assert found.seen.readings > 10
    assert found.killed >= 1
    assert content(tmp_path / "out") == content(tmp_path / "undisturbed") != content(old)
