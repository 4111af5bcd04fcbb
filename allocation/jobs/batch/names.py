"""The names in a plan's limits held against the columns of its table, before any pass."""

from __future__ import annotations

from collections.abc import Sequence

from allocation.engine.limit import OWN_MEASURES
from allocation.jobs.plan import Plan, PlanLimit
from allocation.jobs.plan_values import shown
from allocation.jobs.tables.files import find_files
from allocation.jobs.tables.footers import read_footer
from allocation.jobs.tables.schema import PREFIXES, RESOURCE, USER_ID, VALUE
from uplift.errors import InputError, nearest


def check_names(plan: Plan) -> None:
    """Refuse arms, measures and columns of a plan's limits that its table does not have.

    Of the table only the end of its first file is read; that the other files agree is checked when it is opened. A
    measure that is no word of its own is the name of a resource, so a misspelt "user" is told here as what it is.

    Raises InputError, which names the limit and the nearest name, and as `find_files` and `read_footer` do.
    """
    table = plan.responses if plan.responses is not None else plan.features
    if not plan.limits or table is None:
        return
    first = find_files(table)[0]
    names = [*read_footer(first).schema.names, *(key for key, _ in first.hive)]
    arms = _arms(plan, names)
    for limit in plan.limits:
        _check(limit, names, arms, table)


def _arms(plan: Plan, names: Sequence[str]) -> tuple[str, ...]:
    if plan.responses is not None or plan.model is None:
        return tuple(name.removeprefix(VALUE) for name in names if name.startswith(VALUE))
    from allocation.jobs.tables.model import Model  # models are slow to load

    return Model(plan.model).arms


def _check(limit: PlanLimit, names: Sequence[str], arms: Sequence[str], table: str) -> None:
    for arm in limit.arms or ():
        if arms and arm not in arms:
            raise InputError(f"limit {limit.name!r} names the arm {arm!r}, which is none.{nearest(arm, arms)}")
    ends = tuple(f".{arm}" for arm in arms)
    resources = {
        name.removeprefix(RESOURCE)[: -len(end)]
        for name in names
        for end in ends
        if name.startswith(RESOURCE) and name.endswith(end)
    }
    known = (*OWN_MEASURES, *sorted(resources))
    if limit.measure not in known:
        raise InputError(
            f"limit {limit.name!r} measures {shown(limit.measure)}, which is neither {', '.join(OWN_MEASURES)} nor a "
            f"resource of {table} (columns resource.<name>.<arm>).{nearest(limit.measure, known)}"
        )
    attributes = [name for name in names if name != USER_ID and not name.startswith(PREFIXES)]
    for column in limit.where:
        if column not in names:
            raise InputError(
                f"limit {limit.name!r} asks in where for the column {shown(column)}, which {table} does not "
                f"have.{nearest(column, attributes)}"
            )
