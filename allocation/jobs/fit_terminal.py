"""A fit on the terminal: what was fitted on whom, what it says of itself, and how to verify it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.text import Text

from allocation.jobs.fit_job import FitResult

SHOWN = 12  # names of arms and of features


def print_fit(result: FitResult, folder: Path, console: Console | None = None) -> None:
    """Print what was fitted and where it lies, to stdout unless another console is given.

    Names come from the user's log, so they are printed as they are, never read as markup.
    """
    console = console or Console(highlight=False, markup=False)
    log = result.source.campaign
    console.print()
    whom = f"{result.users:,} of {len(log):,} users" if result.unseen else f"{result.users:,} users"
    head = f": {result.name} fitted on {whom}, {len(log.arms)} arms, in {result.seconds:.1f} s\n"
    console.print(Text(result.source.name, style="bold").append(head, style="not bold"))
    for warning in result.warnings:
        console.print(Text(f"! {warning}\n"))
    received = np.bincount(log.treatment, minlength=len(log.arms)).tolist()
    arms = [f"{arm} ({count:,})" for arm, count in zip(log.arms, received, strict=True)]
    console.print(Text(f"- Arms, with the users of the log who received them: {_first(arms)}."))
    console.print(Text(f"- Features: {_first(log.features)}."))
    for sentence in _next(result):
        console.print(Text(f"- {sentence}"))
    if result.words:
        console.print(Text(f"\n{result.words}\n"))
    console.print(Text(f"Policy: {folder}"), soft_wrap=True)


def _first(names: Sequence[str]) -> str:
    """So many names as can be read."""
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more:,} more" if more > 0 else "")


def _next(result: FitResult) -> list[str]:
    """What to do to know what the policy is worth."""
    if result.unseen:
        return [
            f"What it promises is not verified. {result.unseen:,} users were kept unseen: `earmark evaluate --policy "
            "NAME=FOLDER --unseen`, with the same log, --users and --seed, verifies it on them."
        ]
    return [
        "What it promises is not verified. It has seen every user of this log: verify it on another, `earmark "
        "evaluate --policy NAME=FOLDER`, or fit it with --share 0.5, which keeps half for that."
    ]
