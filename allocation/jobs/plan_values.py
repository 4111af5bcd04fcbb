"""What may stand behind a key of a plan: names, paths, amounts, bounds and conditions, each checked by itself."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

Scalar = str | int | float | bool

LONGEST = 200  # characters of a name: more would spoil every message, table and manifest that shows it
PART_ROWS, MOST_PART_ROWS = 1_000_000, 100_000_000  # users of a file, where a job writes parts
_PERCENT = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*%\s*")
_UNSEEN = ("Cc", "Cs", "Zl", "Zp")  # categories of characters: control, half of a pair, line and paragraph ends
_TURNING = frozenset(
    "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)  # turn the direction of the text around


@dataclass(frozen=True)
class Share:
    """A bound that is a share, `of` from 0 to 1: of the users that the limit is about, or of the budget."""

    of: float

    def part_of(self, whole: float) -> Fraction:
        """The share of an amount, exactly."""
        return Fraction(Decimal(repr(self.of))) * Fraction(whole)

    def __str__(self) -> str:
        return f"{Decimal(repr(self.of)).scaleb(2):f}%"  # exact: "20%" is 0.2, and back


class Sentence(ValueError):
    """What is wrong as a sentence of its own, where `key = this; that is expected` does not fit."""


def shown(item: object) -> str:
    """What stands in the file, in a few words and on one line."""
    if isinstance(item, bool):
        return "true" if item else "false"
    if isinstance(item, int):
        return str(item) if item.bit_length() <= 80 else f"a whole number of {item.bit_length():,} bits"
    if isinstance(item, float):
        return repr(item)
    if isinstance(item, str):
        return repr(item if len(item) <= 60 else item[:57] + "...")
    if isinstance(item, Mapping):
        return "a table"
    return f"a {type(item).__name__}"  # a list, a date, a time


def check_name(text: str) -> str:
    """A name as it stands; ValueError for blank, long and unseen ones, which would spoil messages and tables."""
    wrong = next((c for c in text if unicodedata.category(c) in _UNSEEN or c in _TURNING), None)
    if wrong is not None:
        raise ValueError(f"a name without control characters is expected (it holds U+{ord(wrong):04X})")
    if len(text) > LONGEST:
        raise ValueError(f"a name of at most {LONGEST} characters is expected (it has {len(text):,})")
    if not text.strip():
        raise ValueError("a name is expected that is not blank")
    return text


def check_path(text: str) -> str:
    """A path as it stands; ValueError for a blank one and for characters that no path should have."""
    if any(unicodedata.category(c) in _UNSEEN for c in text):
        raise ValueError("a path without control characters is expected")
    if not text.strip():
        raise ValueError("a path is expected")
    return text


def check_number(item: object) -> float:
    """A finite number as a float; an empty ValueError for another type leaves the words to the key's description."""
    if isinstance(item, bool) or not isinstance(item, int | float):
        raise ValueError
    try:
        number = float(item)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError("a finite number is expected; leave the key out where there is no bound")
    return number + 0.0  # -0.0 is 0.0


def check_budget(item: object) -> float:
    """A finite number of at least 0."""
    number = check_number(item)
    if number < 0:
        raise ValueError("a number of at least 0 is expected")
    return number


def check_bound(item: object) -> float | Share:
    """A finite number, or a text such as "20%" as a share."""
    if not isinstance(item, str):
        return check_number(item)
    found = _PERCENT.fullmatch(item)
    if found is None:
        raise ValueError('a number without quotes is expected, or a share from "0%" to "100%"')
    share = float(f"{found[1]}e-2")
    if share > 1:
        raise ValueError('a share from "0%" to "100%" is expected; an amount is written without quotes')
    return Share(share)


def check_rows(item: object) -> int:
    """A whole number of rows that a part of the decisions can have."""
    if isinstance(item, bool) or not isinstance(item, int) or not 1 <= item <= MOST_PART_ROWS:
        raise ValueError
    return item


def check_arms(names: list[str]) -> list[str]:
    """Names of arms, at least one, each once."""
    if not names:
        raise Sentence("has an empty list of arms; name at least one, or leave arms out for every arm but control")
    _once(names, "names the arm")
    return names


def check_where(table: object) -> dict[str, tuple[Scalar, ...]]:
    """Conditions by column: each the values of which one is met; several columns must all be met."""
    if not isinstance(table, dict):
        raise ValueError
    return {_column(column): _values(column, item) for column, item in table.items()}


def _column(column: str) -> str:
    try:
        return check_name(column)
    except ValueError as error:
        raise Sentence(f"asks in where for the column {shown(column)}; {error}") from None


def _values(column: str, item: object) -> tuple[Scalar, ...]:
    asked = f"asks in where for {shown(column)} ="
    if isinstance(item, dict):
        raise Sentence(
            f"{asked} a table; text, a number, true, false or a list of them is expected. Quote the name of a column "
            'that holds a dot, as in where = { "a.b" = 1 }'
        )
    if item == []:
        raise Sentence(f"{asked} an empty list, which nobody matches; name at least one value, or drop the column")
    values: list[Scalar] = []
    for value in item if isinstance(item, list) else [item]:
        if not isinstance(value, Scalar):
            raise Sentence(f"{asked} {shown(value)}; text, a number, true, false or a list of them is expected")
        if isinstance(value, float) and not math.isfinite(value):
            raise Sentence(f"{asked} {shown(value)}; a finite number is expected")
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise Sentence(f"{asked} {shown(value)}; a whole number of 64 bits is expected")
        values.append(value)
    if len({kind_of(value) for value in values}) > 1:
        raise Sentence(f"{asked} a list that mixes kinds; only text, only numbers or only true and false is expected")
    _once(values, asked)
    return tuple(values)


def kind_of(value: Scalar) -> str:
    """Text, number, or true or false: values of one kind can be equal, those of two never are."""
    return "text" if isinstance(value, str) else "true or false" if isinstance(value, bool) else "a number"


def _once(items: Iterable[Scalar], what: str) -> None:
    seen: set[Scalar] = set()
    for item in items:
        if item in seen:
            raise Sentence(f"{what} {shown(item)} more than once; name it once")
        seen.add(item)
