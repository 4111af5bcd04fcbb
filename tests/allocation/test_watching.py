"""What a run tells on stderr: which passes get a line, how a terminal's line is updated, what the events hold."""

from __future__ import annotations

import json
import warnings

import pytest
import typer

from allocation.cli import watching
from allocation.cli.watching import Log, watched


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.now = 100.0

    def perf_counter(self) -> float:
        """The time."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(watching.time, "perf_counter", clock.perf_counter)
    return clock


def go_through(seen: watching.Seen, clock: Clock) -> None:
    """A step of a second, a pass of a second, and one of eight that is told of every second."""
    seen.step("opening it")
    clock.now += 1.0
    seen.users("quick", 0, 4_000_000)
    clock.now += 0.9
    seen.users("quick", 4_000_000, 4_000_000)
    seen.users("slow", 0, 4_000_000)
    for k in range(1, 9):
        clock.now += 1.0
        seen.users("slow", k * 500_000, 4_000_000)


def test_a_line_each_two_seconds_of_a_long_pass_and_none_of_a_short_one(
    clock: Clock, capsys: pytest.CaptureFixture[str]
):
    with watched(Log.text) as seen:
        go_through(seen, clock)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "opening it ... 1.0 s"
    assert lines[1] == "pass 2, slow: 500,000 of 4,000,000 users, 500,000 a second"
    assert lines[-2] == "pass 2, slow: 4,000,000 users in 8.0 s, 500,000 a second"
    assert lines[-1] == "done in 9.9 s"
    assert len(lines) == 7
    assert not any("quick" in line for line in lines)


def test_a_terminal_has_one_line_for_all_that_goes_on(
    clock: Clock, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(watching.sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "40")
    with watched(Log.text) as seen:
        go_through(seen, clock)
    lines = capsys.readouterr().err.split("\n")
    assert len(lines) == 4
    updates = lines[1].split(watching.CLEAR)
    assert updates[1] == "pass 1, quick"
    assert all(len(update) < 40 for update in updates)
    assert updates[-1].startswith("pass 2, slow: 4,000,000 users in 8.0 s")


def test_events_of_a_pass_are_a_second_apart_but_for_the_first_and_the_last(
    clock: Clock, capsys: pytest.CaptureFixture[str]
):
    with watched(Log.json) as seen:
        seen.run("ab12")
        for done in (0, 1, 2, 3):
            seen.users("frontier", done, 3)
            clock.now += 0.4
        warnings.warn("odd", RuntimeWarning, stacklevel=1)
        seen.done({"cost": 1.5})
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["event"] for line in lines] == ["run", "pass", "pass", "warning", "done"]
    assert [line["done"] for line in lines[1:3]] == [0, 3]
    assert {line["run"] for line in lines} == {"ab12"}
    assert (lines[3]["level"], lines[3]["message"]) == ("warning", "odd")
    assert (lines[4]["totals"], lines[4]["seconds"]) == ({"cost": 1.5}, 1.6)


@pytest.mark.parametrize(
    ("error", "code", "level", "message"),
    [
        (KeyError("x"), 1, "critical", "KeyError: 'x'"),
        (OSError(28, "No space left on device", "part"), 1, "error", "part: No space left on device"),
        (KeyboardInterrupt(), 130, "error", "interrupted"),
    ],
)
def test_whatever_ends_a_run_is_the_last_event(
    error: BaseException, code: int, level: str, message: str, capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(typer.Exit) as left, watched(Log.json):
        raise error
    (line,) = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert (left.value.exit_code, line["event"], line["level"], line["message"]) == (code, "error", level, message)
    assert ("traceback" in line) == (level == "critical")
