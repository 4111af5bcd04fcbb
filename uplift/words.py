"""Answers in words: lines of at most 80 columns, counts with their noun."""

from __future__ import annotations

import textwrap

WIDTH = 80


def wrapped(text: str, indent: str = "") -> str:
    """The text in lines of at most 80 columns, the first after `indent`, the others two columns further."""
    return textwrap.fill(" ".join(text.split()), WIDTH, initial_indent=indent, subsequent_indent=f"{indent}  ")


def counted(count: int, noun: str) -> str:
    """The count with its noun: 1 user, 2,000 users."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
