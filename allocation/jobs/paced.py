"""Steps of a long piece of work for the reader, told as they pass but no more often than can be read."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

SECONDS = 1.5  # between two lines at least


class Paced:
    """A `progress` that can also be told of many small steps, of which it passes on one every `SECONDS`.

    It is called with a line, which it passes on at once, as what it was made of would.
    """

    def __init__(self, progress: Callable[[str], None]) -> None:
        self.progress, self.told = progress, time.monotonic()

    def __call__(self, text: str) -> None:
        self.progress(text)
        self.told = time.monotonic()

    def step(self, what: str, done: int, of: int) -> None:
        """So many are done; the last of them goes without a line, since what follows has its own."""
        if done < of and time.monotonic() - self.told >= SECONDS:
            self(f"{what}: {done:,} of {of:,}")

    def of(self, what: str) -> Callable[[int, int], None]:
        """The steps of one thing, by how many are done and of how many."""
        return partial(self.step, what)
