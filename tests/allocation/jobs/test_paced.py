"""Paced progress: lines at once, small steps one at a time and not the last, by a clock that is written down."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from allocation.jobs import paced


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    own = SimpleNamespace(now=100.0)
    monkeypatch.setattr(paced, "time", SimpleNamespace(monotonic=lambda: own.now))
    return own


def test_steps_are_told_after_a_while_from_the_last_line_on(clock: SimpleNamespace):
    told: list[str] = []
    progress = paced.Paced(told.append)
    for seconds, done in ((1.4, 1), (0.2, 2), (1.4, 3), (0.2, 4_000)):
        clock.now += seconds
        progress.step("ranking", done, 5_000)
    assert told == ["ranking: 2 of 5,000", "ranking: 4,000 of 5,000"]
    clock.now += 1
    progress("intervals")
    clock.now += 1
    progress.step("ranking", 9, 10)
    assert told[2:] == ["intervals"]


def test_the_last_step_has_no_line_and_a_name_can_be_given_first(clock: SimpleNamespace):
    told: list[str] = []
    of_ranking = paced.Paced(told.append).of("ranking")
    clock.now += 9
    of_ranking(10, 10)
    assert told == []
    of_ranking(9, 10)
    assert told == ["ranking: 9 of 10"]
