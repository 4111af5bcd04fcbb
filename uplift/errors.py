"""The one error that means "your input is wrong": what was got, where, what is expected, what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

import numpy as np


class InputError(ValueError):
    """A log, a file or an argument that cannot be used as it is; the message names what was got and the mend.

    It is a ValueError. Estimators raise scikit-learn's own errors beside it, by its rules: NotFittedError before
    `fit`, ValueError for features of another number or name.
    """


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint for a misspelt name: `" Did you mean 'spend'?"`, or the first few known names."""
    names = [str(k) for k in known]
    close = difflib.get_close_matches(str(name), names, n=1)
    if close:
        return f" Did you mean {close[0]!r}?"
    shown = ", ".join(repr(k) for k in names[:12])
    more = f" and {len(names) - 12:,} more" if len(names) > 12 else ""
    return f" There is {shown}{more}." if names else " There is none at all."


def check_unique(names: Iterable[str], what: str, where: str, mend: str) -> None:
    """Refuse a name that stands more than once."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise InputError(f"{where} {what} {name!r} stands more than once; {mend}")
        seen.add(name)


def check_fraction(value: float, what: str, example: float) -> None:
    """Refuse what is no number strictly between 0 and 1."""
    if not (isinstance(value, int | float | np.number) and 0 < value < 1):
        raise InputError(f"{what} is {value!r}; a number between 0 and 1 is expected, such as {example}")


def check_whole(value: Any, what: str, least: int = 1, more: str = "") -> None:
    """Refuse what is no whole number of at least `least`; `more` ends the sentence on what is expected."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | np.integer) or value < least:
        raise InputError(f"{what} is {value!r}; a whole number of at least {least} is expected{more}")


def check_number(value: Any, what: str, more: str = "", *, positive: bool = False) -> None:
    """Refuse what is no finite number of at least 0, or above 0 where `positive`; `more` ends the sentence."""
    known = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not known or not np.isfinite(value) or value < 0 or (positive and value == 0):
        least = "above 0" if positive else "of at least 0"
        raise InputError(f"{what} is {value!r}; a number {least} is expected{more}")
