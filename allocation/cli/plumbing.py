"""What every command shares: one message on what is wrong, steps on stderr, names and pairs out of an argument."""

from __future__ import annotations

import os
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def one_message() -> Iterator[None]:
    """Turn what is wrong with the input into one message on stderr and exit code 1."""
    try:
        yield
    except Exception as error:
        message = message_of(error)
        if message is None:
            raise
        fail(message)


def message_of(error: BaseException) -> str | None:
    """What is wrong with the input; None where it is not the input that is wrong."""
    from allocation.engine.problem import ProblemError
    from uplift.errors import InputError

    if isinstance(error, (InputError, ProblemError)):
        return str(error)
    if isinstance(error, OSError):
        return f"{error.filename or 'a file'}: {error.strerror or error}"
    return None


def fail(message: str) -> None:
    """Print one message and leave with exit code 1."""
    typer.secho(f"error: {message}", err=True, fg=typer.colors.RED if sys.stderr.isatty() else None)
    raise typer.Exit(1)


@contextmanager
def printed(where: object) -> Iterator[None]:
    """Print within: a reader that leaves early, such as `head`, is no error; `where` says where the results are."""
    try:
        yield
        sys.stdout.flush()
    except (BrokenPipeError, SystemExit):  # the reader, such as `head`, has seen enough; rich turns that into an exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        fail(f"the results are in {where}, but the table cannot be printed: {error.strerror}")


def split_names(text: str | None) -> list[str] | None:
    """Names between commas; None where nothing was given."""
    return [name.strip() for name in text.split(",") if name.strip()] if text else None


def pairs_or_name(text: str | None) -> dict[str, float | str] | str | None:
    """`none=0,mail=.1` as a mapping (numbers where they are numbers), a column name as it is."""
    if text is None or "=" not in text:
        return text
    from uplift.errors import InputError

    pairs: dict[str, float | str] = {}
    for part in text.split(","):
        arm, found, amount = part.partition("=")
        if not found:
            raise InputError(f"{part!r} in {text!r} is no arm=number; write arm=number,arm=number for every arm")
        if arm.strip() in pairs:
            raise InputError(f"arm {arm.strip()!r} stands more than once in {text!r}; name each arm once")
        try:
            pairs[arm.strip()] = float(amount)
        except ValueError:
            pairs[arm.strip()] = amount.strip()
    return pairs


def number_list(text: str | None, option: str) -> tuple[float, ...] | None:
    """`0.1,0.2` as numbers; None where nothing was given."""
    if text is None:
        return None
    from uplift.errors import InputError

    numbers = []
    for part in text.split(","):
        try:
            numbers.append(float(part))
        except ValueError:
            raise InputError(
                f"--{option} has {part.strip()!r}, which is no number; write numbers with commas between, such as "
                "0.1,0.25,0.5"
            ) from None
    return tuple(numbers)


def named_files(
    texts: list[str] | None, option: str, what: str = "FILE", such: str = "decisions.parquet"
) -> dict[str, str]:
    """`NAME=FILE` (or `what`, `such` as an example) of a repeated option as {name: file}."""
    from uplift.errors import InputError

    files: dict[str, str] = {}
    for text in texts or []:
        name, _, path = (part.strip() for part in text.partition("="))
        if not name or not path:
            raise InputError(f"--{option} {text!r} is no NAME={what}; write such as --{option} ours={such}")
        if name in files:
            raise InputError(f"--{option} names {name!r} more than once; give each policy a name of its own")
        files[name] = path
    return files


class Progress:
    """Steps on stderr, each with the seconds it took; a step that fails gets a line of its own before the message."""

    def __enter__(self) -> Self:
        self.started = self.began = time.perf_counter()
        self.running = False
        return self

    def step(self, text: str) -> None:
        """Close the running step and open the next."""
        self.close()
        typer.echo(f"{text} ... ", err=True, nl=False)
        self.began, self.running = time.perf_counter(), True

    def __exit__(self, failure: type[BaseException] | None, *_: object) -> None:
        if failure is None:
            self.close()
            typer.echo(f"done in {time.perf_counter() - self.started:.1f} s", err=True)
        elif self.running:
            typer.echo("", err=True)

    def close(self) -> None:
        """Say what the running step took, if one runs."""
        if self.running:
            typer.echo(f"{time.perf_counter() - self.began:.1f} s", err=True)
            self.running = False
