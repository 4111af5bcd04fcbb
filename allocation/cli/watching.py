"""A run over all users on stderr: a line that follows each pass, or one JSON object a line."""

from __future__ import annotations

import json
import shutil
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Protocol

import typer

from allocation.cli.plumbing import Progress, message_of, one_message

LONG = 2.0  # seconds from which on a pass is told of
OFTEN, SELDOM = 0.1, 1.0  # seconds between two updates of a line, and between two events of a pass
CLEAR = "\r\x1b[K"


class Log(StrEnum):
    """What stands on stderr."""

    text = "text"
    json = "json"


class Seen(Protocol):
    """Hears of a run as it goes."""

    def run(self, run_id: str) -> None:
        """What the run is called."""
        ...

    def step(self, text: str) -> None:
        """Something begins."""
        ...

    def users(self, what: str, done: int, of: int) -> None:
        """A pass has seen so many users; 0 as it begins."""
        ...

    def done(self, totals: dict[str, Any]) -> None:
        """All is done."""
        ...


@contextmanager
def watched(log: Log) -> Iterator[Seen]:
    """What hears of the run within, in text or JSON; wrong input becomes one message and exit code 1."""
    if log == Log.json:
        with _logged() as seen:
            yield seen
        return
    with one_message(), Lines() as lines:
        yield lines


class Lines:
    """Steps as `Progress` tells them; a pass on one line that is updated on a terminal, else on a line now and then.

    A pass that ends within `LONG` seconds leaves no line.
    """

    def __enter__(self) -> Lines:
        self.progress = Progress().__enter__()
        self.terminal, self.open, self.passes = sys.stderr.isatty(), False, 0
        self.began = self.told = time.perf_counter()
        return self

    def __exit__(self, failure: type[BaseException] | None, *rest: object) -> None:
        self._clear()
        self.progress.__exit__(failure, *rest)

    def run(self, run_id: str) -> None:
        """Nothing is said of it before the end."""

    def step(self, text: str) -> None:
        """Close what runs and open the step."""
        self._clear()
        self.progress.step(text)
        self.told = time.perf_counter()

    def users(self, what: str, done: int, of: int) -> None:
        """Follow the pass, with the users it sees a second."""
        now = time.perf_counter()
        if done == 0:
            self._clear()
            self.progress.close()
            self.began, self.passes = now, self.passes + 1
        what = f"pass {self.passes}, {what}"
        took = now - self.began
        if done and done >= of:
            if took >= LONG:
                self._line(f"{what}: {of:,} users in {took:.1f} s, {_rate(done, took)}", stays=True)
        elif now - self.told >= (OFTEN if self.terminal else LONG):
            told = f"{what}: {done:,} of {of:,} users, {_rate(done, took)}" if done else what
            self._line(told, stays=not self.terminal)

    def done(self, totals: dict[str, Any]) -> None:
        """The totals are printed elsewhere."""

    def _line(self, text: str, *, stays: bool) -> None:
        self.told = time.perf_counter()
        if self.terminal:
            text = CLEAR + text[: max(shutil.get_terminal_size().columns - 1, 20)]
        typer.echo(text, err=True, nl=stays)
        self.open = not stays

    def _clear(self) -> None:
        if self.open:
            typer.echo(CLEAR, err=True, nl=False)
            self.open = False


def _rate(users: int, seconds: float) -> str:
    """Users a second in words."""
    rate = users / max(seconds, 1e-9)
    return f"{rate / 1e6:,.1f} million a second" if rate >= 1e6 else f"{rate:,.0f} a second"


class Events:
    """A line a thing that happens: time, level, event, run, what, done, of, seconds since the command began.

    time is UTC. run is null until it is known, what, done and of where there is nothing to say. The last event is
    "done", with the totals, or "error", with the message.
    """

    def __init__(self) -> None:
        self.began = self.told = time.perf_counter()
        self.run_id: str | None = None

    def run(self, run_id: str) -> None:
        """The run has its name."""
        self.run_id = run_id
        self.tell("run")

    def step(self, text: str) -> None:
        """Something begins."""
        self.tell("step", text)

    def users(self, what: str, done: int, of: int) -> None:
        """A pass begins, goes on (an event a second at most), or ends."""
        if done in (0, of) or time.perf_counter() - self.told >= SELDOM:
            self.told = time.perf_counter()
            self.tell("pass", what, done, of)

    def done(self, totals: dict[str, Any]) -> None:
        """The last event of a run that came to its end."""
        self.tell("done", totals=totals)

    def tell(
        self,
        event: str,
        what: str | None = None,
        done: int | None = None,
        of: int | None = None,
        level: str = "info",
        **further: Any,
    ) -> None:
        """Write the line."""
        line = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": level,
            "event": event,
            "run": self.run_id,
            "what": what,
            "done": done,
            "of": of,
            "seconds": round(time.perf_counter() - self.began, 3),
        }
        typer.echo(json.dumps(line | further, ensure_ascii=False), err=True)


@contextmanager
def _logged() -> Iterator[Events]:
    """Everything on stderr is an event, warnings and errors too; a defect's traceback stands in its event."""
    events = Events()
    with _warnings_to(lambda text: events.tell("warning", level="warning", message=text)):
        try:
            yield events
        except BaseException as error:
            if isinstance(error, typer.Exit):
                raise
            message = "interrupted" if isinstance(error, KeyboardInterrupt) else message_of(error)
            if message is None:
                named = f"{type(error).__name__}: {error}".rstrip(": ")
                trace = "".join(traceback.format_exception(error))
                events.tell("error", level="critical", message=named, traceback=trace)
            else:
                events.tell("error", level="error", message=message)
            raise typer.Exit(130 if isinstance(error, KeyboardInterrupt) else 1) from None


@contextmanager
def _warnings_to(tell: Callable[[str], None]) -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: tell(str(message))
        yield
