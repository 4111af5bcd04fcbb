"""Conditions on users as a line of text, `segment = heavy, light; region = north`, and back."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence

import pyarrow as pa

from allocation.jobs.plan_values import Scalar, Sentence, check_where, shown
from uplift.errors import InputError

HOW = 'write column = value, such as segment = heavy; more values with commas, more columns with ";" between'
_TOKEN = re.compile(r'\s*(?:("(?:[^"\\]|\\.)*")|([^,;="]+))\s*')
_TRUTH = {"true": True, "false": False}


def where_of(text: str, columns: Mapping[str, pa.DataType]) -> dict[str, tuple[Scalar, ...]]:
    """The columns and the values of which a user must have one, in all columns; empty for no text.

    A name or value that holds , ; = or a quote stands in quotes. A value is read as what the column holds; of a
    column that is not in `columns`, what looks like a number, true or false is one unless it is quoted.

    Raises InputError for text of another form, a column twice, and a value that the column cannot hold.
    """
    text, at = text.strip(), 0
    found: dict[str, tuple[Scalar, ...]] = {}
    while at < len(text):
        column, _, at = _token(text, at)
        if not text.startswith("=", at):
            raise _form(text)
        values: list[Scalar] = []
        while text.startswith("=" if not values else ",", at):
            cell, quoted, at = _token(text, at + 1)
            values.append(_value(cell, quoted, column, columns))
        if column in found:
            raise InputError(f"asks twice for {shown(column)}; put its values behind one =, with commas between")
        found[column] = tuple(values)
        if at < len(text) and not text.startswith(";", at):
            raise _form(text)
        at += 1
    try:
        return check_where({column: list(values) for column, values in found.items()})
    except Sentence as error:
        raise InputError(str(error)) from None


def where_text(where: Mapping[str, Sequence[Scalar]]) -> str:
    """The line that `where_of` reads as this."""
    return "; ".join(
        f"{_word(column)} = {', '.join(_written(value) for value in values)}" for column, values in where.items()
    )


def _token(text: str, at: int) -> tuple[str, bool, int]:
    """A name or value from a place on, whether it is quoted, and where it ends."""
    found = _TOKEN.match(text, at)
    if found is None or (found[2] is not None and not found[2].strip()):
        raise _form(text)
    if found[1] is None:
        return found[2].strip(), False, found.end()
    try:
        return str(json.loads(found[1])), True, found.end()
    except ValueError:
        raise _form(text) from None


def _form(text: str) -> InputError:
    return InputError(f"has the condition {shown(text)}; {HOW}")


def _value(cell: str, quoted: bool, column: str, columns: Mapping[str, pa.DataType]) -> Scalar:
    kind = columns.get(column)
    if kind is not None and pa.types.is_dictionary(kind):
        kind = kind.value_type
    if kind is None or pa.types.is_null(kind):
        return cell if quoted else _guess(cell)
    if pa.types.is_boolean(kind):
        if cell.lower() in _TRUTH:
            return _TRUTH[cell.lower()]
        raise InputError(f"asks for {shown(column)} = {shown(cell)}, and the column holds true and false: write one")
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        number = _number(cell)
        if number is None:
            raise InputError(f"asks for {shown(column)} = {shown(cell)}, and the column holds numbers: write one")
        return number
    return cell


def _guess(cell: str) -> Scalar:
    number = _number(cell)
    return _TRUTH.get(cell, cell) if number is None else number


def _number(cell: str) -> int | float | None:
    try:
        return int(cell)
    except ValueError:
        pass
    try:
        number = float(cell)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _written(value: Scalar) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _word(value, guarded=_guess(value) != value)
    return repr(value)


def _word(text: str, guarded: bool = False) -> str:
    """A name as it is, in quotes where it would be read as something else."""
    plain = _TOKEN.fullmatch(text)
    bare = plain is not None and plain[2] is not None and plain[2].strip() == text
    return text if bare and not guarded else json.dumps(text, ensure_ascii=False)
