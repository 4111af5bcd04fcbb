"""What is wrong with a plan file, in one message: the file, the table, the key, what was got and what is expected."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ValidationError

from allocation.jobs.plan_schema import Document, LimitTable, PlanTable
from allocation.jobs.plan_values import LONGEST, Sentence, shown
from uplift.errors import InputError, nearest

Location = tuple[int | str, ...]


def checked(tree: dict[str, Any], where: str) -> Document:
    """The file's tables, every key, type and combination checked; raises InputError for the first that is wrong.

    `where` names the file. Unknown keys are told first: a misspelt key is often why another one is missing.
    """
    try:
        return Document.model_validate(tree)
    except ValidationError as error:
        found = error.errors(include_url=False)
    unknown = [each for each in found if each["type"] == "extra_forbidden"]
    first: Any = (unknown or found)[0]
    raise InputError(f"{where}: {_told(first, first['loc'], tree)}")


def _told(error: dict[str, Any], loc: Location, tree: dict[str, Any]) -> str:
    cause = error.get("ctx", {}).get("error")
    if isinstance(cause, Sentence):
        return f"{_table(loc, tree)} {cause}".strip()
    if loc[0] == "plan" and len(loc) > 1:
        return _of_key(error, loc[1:], PlanTable, "[plan]")
    if loc[0] == "limit" and len(loc) > 2:
        return _of_key(error, loc[2:], LimitTable, _table(loc, tree))
    return _of_key(error, loc, Document, "the file")


def _of_key(error: dict[str, Any], loc: Location, model: type[BaseModel], table: str) -> str:
    key = str(loc[0])
    if error["type"] == "extra_forbidden":
        return f"{table} has the unknown key {shown(key)}.{_home(key, model)}"
    expected = str(error.get("ctx", {}).get("error", "")) or str(model.model_fields[key].description)
    if error["type"] == "missing":
        return f"{table} has no {key}; {expected}"
    item = f", item {loc[1] + 1}," if len(loc) > 1 and isinstance(loc[1], int) else ""
    return f"{table} has {key}{item} = {shown(error['input'])}; {expected}"


def _table(loc: Location, tree: dict[str, Any]) -> str:
    """The table that an error is in, as the reader finds it; empty for the file as a whole."""
    if not loc:
        return ""
    if loc[0] != "limit" or not isinstance(loc[1], int):
        return "[plan]"
    name = tree["limit"][loc[1]].get("name")
    return f"[[limit]] number {loc[1] + 1}" + (f", {shown(name)}," if isinstance(name, str) else "")


def _home(key: str, model: type[BaseModel]) -> str:
    """Where an unknown key belongs: under another header, or spelt otherwise."""
    for other, header in ((PlanTable, "[plan]"), (LimitTable, "[[limit]]")):
        if key in other.model_fields and key not in model.model_fields:
            return f" It belongs under {header}."
    if key in Document.model_fields and model is not Document:
        return f" It is a table of its own; {Document.model_fields[key].description}."
    return nearest(key[:LONGEST], model.model_fields)
