"""The plan of a job: from what to decide, for how much money and under which limits, read from TOML and written."""

from __future__ import annotations

import hashlib
import math
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from allocation.engine.limit import OWN_MEASURES
from allocation.jobs.plan_errors import checked
from allocation.jobs.plan_schema import LimitTable
from allocation.jobs.plan_values import PART_ROWS, Scalar, Share, shown
from allocation.jobs.toml_text import toml_key, toml_value
from uplift.errors import InputError
from uplift.files import expanded

__all__ = ["Plan", "PlanLimit", "Scalar", "Share", "parse_plan", "plan_text", "read_plan"]

Whole = Callable[[Fraction], int]

LARGEST = 1 << 20  # bytes of a plan file
PLACES = ("responses", "model", "features")
# The standard parser takes time in the square of the number of a key's parts; this finds a key of more than 16.
_CHAIN = re.compile(r"""(?<![\w\\-])(?:(?:[A-Za-z0-9_-]++|"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){16}""")
_LINE = re.compile(r"\s*\(at (?:line (\d+), column \d+|end of document)\)$")


@dataclass(frozen=True)
class PlanLimit:
    """A floor and a cap on what some arms use among some users, as the plan states it.

    Attributes
    ----------
    name : what messages and reports call it; unique in a plan.
    measure : "users" (how many), "cost" (money), "value" (value units), or the name of a resource.
    min, max : floor and cap in the measure's unit, or a `Share` of the users in `where` (users) or of the budget
        (cost); None for none.
    arms : names of the arms that count; None for every arm but control.
    where : column of an attribute -> the values of which a user has one; empty for everybody, several columns must
        all be met.
    """

    name: str
    measure: str = "users"
    min: float | Share | None = None
    max: float | Share | None = None
    arms: tuple[str, ...] | None = None
    where: Mapping[str, tuple[Scalar, ...]] = field(default_factory=dict, hash=False)

    def amounts(self, users: int, budget: float | None) -> tuple[float | None, float | None]:
        """Floor and cap as numbers in the measure's unit, shares taken of the `users` in `where` or of the budget.

        A share of users is taken exactly and moved inwards to whole users: 29% of 100 is 29, "at most 20%" of 7 is
        at most 1, "at least 20%" of 7 at least 2. A share of money is the nearest float.
        Raises InputError for a share of a budget that is None.
        """
        return self._amount(self.min, users, budget, math.ceil), self._amount(self.max, users, budget, math.floor)

    def _amount(self, bound: float | Share | None, users: int, budget: float | None, whole: Whole) -> float | None:
        if not isinstance(bound, Share):
            return bound
        if self.measure == "users":
            return float(whole(bound.part_of(users)))
        if budget is None:
            raise InputError(f"limit {self.name!r} is {bound} of the budget, but there is none; give a budget")
        return float(bound.part_of(budget))


@dataclass(frozen=True)
class Plan:
    """What to decide from, for how much money and under which limits.

    Attributes
    ----------
    name : what the run is called.
    responses : path of the response table (file, folder, glob or URL), or None where a model predicts.
    model, features : folder of a saved policy and path of the features to predict from, or None.
    budget : money that may be spent on all users together; None: only the limits bind.
    currency : what money is in, may be empty. part_rows : users in each part of the decisions.
    """

    name: str
    responses: str | None = None
    model: str | None = None
    features: str | None = None
    budget: float | None = None
    currency: str = ""
    part_rows: int = PART_ROWS
    limits: tuple[PlanLimit, ...] = ()

    @property
    def resources(self) -> tuple[str, ...]:
        """Names of the resources that limits measure, each once, in the order of the limits."""
        return tuple(dict.fromkeys(limit.measure for limit in self.limits if limit.measure not in OWN_MEASURES))

    @property
    def attributes(self) -> tuple[str, ...]:
        """Names of the columns that limits ask for in `where`, each once, in the order of the limits."""
        return tuple(dict.fromkeys(column for limit in self.limits for column in limit.where))

    @property
    def places(self) -> dict[str, str | None]:
        """What the plan reads, by what it is called; None where it does not name one."""
        return {place: getattr(self, place) for place in PLACES}

    def digest(self) -> str:
        """SHA-256 of the canonical text without the paths: what is read there has a fingerprint of its own."""
        return hashlib.sha256("\n".join(_lines(self, ())).encode()).hexdigest()


def read_plan(path: str | Path) -> Plan:
    """The plan in a TOML file; relative paths in it are relative to the file's folder, and come out absolute.

    Raises InputError, which names the file, table and key, for a file that is missing, no file, above 1 MiB or no
    UTF-8, and for everything that `parse_plan` refuses.
    """
    file = expanded(path)
    try:
        if not file.exists():
            raise InputError(f"{_named(path)} does not exist; give the path of a plan, a TOML file")
        if not file.is_file():
            what = "a folder" if file.is_dir() else "no regular file"
            raise InputError(f"{_named(path)} is {what}; give the path of a plan, a TOML file")
        with file.open("rb") as opened:
            content = opened.read(LARGEST + 1)
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"{_named(path)} cannot be read: {reason}; give the path of a plan") from None
    if len(content) > LARGEST:
        raise InputError(f"{_named(path)} has more than {LARGEST:,} bytes; a plan is a short TOML file")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(f"{_named(path)}, line {line}: this is no UTF-8 text; save the plan as UTF-8") from None
    return parse_plan(text, _named(path), file.absolute().parent)


def parse_plan(text: str, where: str = "the plan", folder: Path | None = None) -> Plan:
    """The plan that a TOML text states; `where` names it in messages, relative paths are relative to `folder`.

    Raises InputError for text that is no TOML (with the line), an unknown key (with the nearest known one), a wrong
    type or amount, a limit without min and max or with its floor above its cap, a share of anything but users and
    the budget, and for neither or both of `responses` and `model` (with `features`).
    """
    document = checked(_tree(text, where), where)
    plan = document.plan
    places = {place: _resolved(getattr(plan, place), place, where, folder) for place in PLACES}
    return Plan(
        name=plan.name,
        budget=plan.budget,
        currency=plan.currency,
        part_rows=plan.part_rows,
        limits=tuple(map(_limit, document.limit)),
        **places,
    )


def plan_text(plan: Plan) -> str:
    """The plan as canonical TOML: `parse_plan(plan_text(plan)) == plan` for a plan that was parsed."""
    return "\n".join(_lines(plan, PLACES)) + "\n"


def _lines(plan: Plan, places: tuple[str, ...]) -> Iterator[str]:
    yield "[plan]"
    yield from _pairs({name: getattr(plan, name) for name in ("name", *places, "budget", "part_rows")})
    if plan.currency:
        yield from _pairs({"currency": plan.currency})
    for limit in plan.limits:
        yield from ("", "[[limit]]")
        yield from _pairs({name: getattr(limit, name) for name in ("name", "measure", "min", "max", "arms")})
        if limit.where:
            yield from _pairs({"where": limit.where})


def _pairs(table: Mapping[str, object]) -> Iterator[str]:
    for key, value in table.items():
        if value is not None:
            yield f"{toml_key(key)} = {toml_value(str(value) if isinstance(value, Share) else value)}"


def _tree(text: str, where: str) -> dict[str, object]:
    """The tables of a TOML text."""
    text = text.removeprefix("\ufeff")  # some editors begin UTF-8 with this mark
    if len(text) > LARGEST:
        raise InputError(f"{where} has {len(text):,} characters; a plan has at most {LARGEST:,}")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise InputError(f"{where}: half of a surrogate pair stands in the text; save the plan as UTF-8")
    chain = _CHAIN.search(text)
    if chain is not None:
        line = text.count("\n", 0, chain.start()) + 1
        raise InputError(f"{where}, line {line}: a name of more than 16 parts with dots between; no key has as many")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        reason = str(error)
        found = _LINE.search(reason)
        at = int(found[1]) if found and found[1] else text.rstrip().count("\n") + 1
        raise InputError(f"{where}, line {at}: no TOML, {_LINE.sub('', reason)}; mend the text there") from None
    except RecursionError:
        raise InputError(f"{where}: lists or tables that are nested too deep; a plan needs three levels") from None
    except ValueError:  # of Python's own limit on the digits of a whole number
        raise InputError(f"{where}: a whole number with thousands of digits; write a smaller one") from None


def _resolved(place: str | None, key: str, where: str, folder: Path | None) -> str | None:
    if place is None or "://" in place:
        return place
    try:
        path = expanded(place)
    except InputError as error:
        raise InputError(f"{where}: [plan] has {key} = {shown(place)}: {error}") from None
    return str(path if folder is None else folder / path)


def _limit(table: LimitTable) -> PlanLimit:
    arms = None if table.arms is None else tuple(table.arms)
    return PlanLimit(table.name, table.measure, table.min, table.max, arms, dict(table.where))


def _named(path: str | Path) -> str:
    """A path for a message, without what would break its line."""
    return str(path) if str(path).isprintable() else shown(str(path))
