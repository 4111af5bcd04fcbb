"""The rows of an editable table of limits, as an analyst types them, to the limits of a plan and back."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
from pydantic import ValidationError

from allocation.engine.limit import OWN_MEASURES
from allocation.jobs.analyst.conditions import where_of, where_text
from allocation.jobs.analyst.run import Run
from allocation.jobs.plan import PlanLimit
from allocation.jobs.plan_schema import LimitTable
from allocation.jobs.plan_values import Sentence, Share, check_bound, check_name, shown
from uplift.errors import InputError, nearest

CAP, FLOOR, LOCK, BOTH = "cap", "floor", "lock", "floor and cap"
KINDS = (CAP, FLOOR, LOCK, BOTH)
COLUMNS = ("name", "kind", "amount", "measure", "arms", "where")
# Digits with commas at thousands only: 1,5 is no number here, for it means one and a half to some and 15 to none.
_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,3}(?:[,_ \u00a0\u202f'][0-9]{3})+|[0-9]+)?(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?")
_APART = re.compile(r"[,_ \u00a0\u202f']")


@dataclass(frozen=True)
class Row:
    """A line of the table: a limit in words. Empty cells are empty texts; arms: none for every arm but control."""

    name: str = ""
    kind: str = CAP
    amount: str = ""
    measure: str = "users"
    arms: tuple[str, ...] = ()
    where: str = ""

    @property
    def blank(self) -> bool:
        """Whether nothing was typed: kind and measure stand there from the start."""
        return not (self.name.strip() or self.amount.strip() or self.arms or self.where.strip())


@dataclass(frozen=True)
class Typed:
    """What was made of the rows: `limits` where nothing is `wrong`, which holds a message a row that is."""

    limits: tuple[PlanLimit, ...] = ()
    wrong: tuple[str, ...] = ()


@dataclass(frozen=True)
class Names:
    """The names that limits of a run can use: `arms`, `measures`, and `columns` with the type of their cells."""

    arms: tuple[str, ...]
    measures: tuple[str, ...]
    columns: Mapping[str, pa.DataType] = field(default_factory=dict)

    @classmethod
    def of(cls, run: Run) -> Names:
        """Those of a run."""
        kinds = {name: column.type for name, column in run.attributes.items()}
        return cls(run.arms, (*OWN_MEASURES, *run.resources), kinds)


def rows_of(limits: Sequence[PlanLimit]) -> tuple[Row, ...]:
    """The limits as rows; `limits_of` makes the same limits of them."""
    return tuple(
        Row(limit.name, *_bounds_text(limit), limit.measure, limit.arms or (), where_text(limit.where))
        for limit in limits
    )


def limits_of(rows: Sequence[Row], names: Names) -> Typed:
    """The rows as limits; blank rows are left out.

    A row is wrong without a name or an amount, where its name stands twice, for an amount that is neither a number
    nor a share, for arms and measures that the run does not have, and for what no plan may hold.
    """
    found: dict[str, PlanLimit] = {}
    wrong: list[str] = []
    for k, row in enumerate(rows, start=1):
        if row.blank:
            continue
        try:
            limit = _limit(row, names)
            if limit.name in found:
                raise InputError("has the name of a row above; give each limit a name of its own")
            found[limit.name] = limit
        except InputError as error:
            called = f", {shown(row.name.strip())}," if row.name.strip() else ""
            wrong.append(f"Row {k}{called} {error}")
    return Typed((), tuple(wrong)) if wrong else Typed(tuple(found.values()))


def _limit(row: Row, names: Names) -> PlanLimit:
    name, measure = row.name, row.measure.strip()
    if not name.strip():
        raise InputError("has no name; messages and reports call a limit by it: give one")
    if measure not in names.measures:
        raise InputError(
            f"measures {shown(measure)}, which is none of {', '.join(names.measures)}."
            f"{nearest(measure, names.measures)}"
        )
    for arm in row.arms:
        if arm not in names.arms:
            raise InputError(
                f"names the arm {shown(arm)}, which is none of {', '.join(names.arms)}.{nearest(arm, names.arms)}"
            )
    low, high = _bounds(row)
    arms, where = row.arms or None, where_of(row.where, names.columns)
    told = {"min": None if low is None else _plain(low), "max": None if high is None else _plain(high)}
    try:
        check_name(name)
        LimitTable.model_validate({"name": name, "measure": measure, **told, "arms": arms and list(arms)})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        cause = first.get("ctx", {}).get("error")
        raise InputError(
            str(cause) if isinstance(cause, Sentence) else f"is wrong: {cause or first['msg']}"
        ) from None
    except ValueError as error:
        raise InputError(f"has a name that cannot be shown; {error}") from None
    return PlanLimit(name, measure, low, high, arms, where)


def _bounds(row: Row) -> tuple[float | Share | None, float | Share | None]:
    """Floor and cap."""
    if row.kind not in KINDS:
        raise InputError(f"is of the kind {shown(row.kind)}; {', '.join(KINDS)} are there to choose from")
    if not row.amount.strip():
        raise InputError('has no amount; give a number, such as 5,000, or a share, such as "20%"')
    if row.kind == BOTH:
        ends = re.split(r"\s+to\s+|\s*(?:\.\.\.?|…|–)\s*", row.amount.strip())
        if len(ends) != 2:
            raise InputError(
                f'has the amount {shown(row.amount)}; "{BOTH}" takes two, such as 10 to 20, or 5% to 10%'
            )
        return _bound(ends[0]), _bound(ends[1])
    bound = _bound(row.amount)
    return (None if row.kind == CAP else bound), (None if row.kind == FLOOR else bound)


def _bound(text: str) -> float | Share:
    text = text.strip()
    mend = 'a number is expected, such as 5,000 or 0.5, or a share from "0%" to "100%"'
    try:
        if text.endswith("%"):
            return check_bound(text)
        if not _NUMBER.fullmatch(text) or not any(c.isdigit() for c in text):
            raise ValueError
        return check_bound(float(_APART.sub("", text)))
    except ValueError:
        raise InputError(f"has the amount {shown(text)}; {mend}") from None


def _plain(bound: float | Share) -> float | str:
    return str(bound) if isinstance(bound, Share) else bound


def _bounds_text(limit: PlanLimit) -> tuple[str, str]:
    """Kind and amount."""
    low, high = limit.min, limit.max
    if low is None or high is None:
        return (CAP, _bound_text(high)) if low is None else (FLOOR, _bound_text(low))
    if low == high:
        return LOCK, _bound_text(low)
    return BOTH, f"{_bound_text(low)} to {_bound_text(high)}"


def _bound_text(bound: float | Share | None) -> str:
    """Whole numbers with thousands apart, others with every digit they need."""
    if isinstance(bound, Share) or bound is None:
        return str(bound or "")
    return f"{bound:,.0f}" if bound.is_integer() and abs(bound) < 1e15 else repr(bound)
