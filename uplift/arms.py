"""Which arms a log has, in which order, and whether everything that names arms names the same ones."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from uplift.errors import InputError, check_unique, nearest
from uplift.frames import arm_name
from uplift.propensity import Propensity


def arm_names(
    logged: NDArray[np.object_],
    column: str,
    control: str,
    arms: Sequence[str] | None,
    propensity: Propensity,
    cost: str | Mapping[str, float] | None,
) -> tuple[str, ...]:
    """Names of all arms, control first; every arm that anybody names must be in the log, and the reverse.

    The order is that of `arms`, else of a mapping `propensity`, else of a mapping `cost`, else of the names (by
    number where all are numbers). `column` names the treatment column in messages.
    """
    found = sorted(set(logged), key=_natural)
    if control not in found:
        raise InputError(
            f"control arm {control!r} is absent: treatment column {column!r} has {len(logged):,} rows and none of "
            f"them is {control!r}.{nearest(control, found)} Name it with control=..., or log users without treatment"
        )
    order: list[str] = []
    for source, claim in (("arms", arms), ("propensity", propensity), ("cost", cost)):
        named = _claimed(source, claim)
        if named is None:
            continue
        never = [arm for arm in named if arm not in found]
        if never:
            raise InputError(
                f"arm {never[0]!r} of {source} was never logged: 0 of {len(logged):,} rows of treatment column "
                f"{column!r} have it.{nearest(never[0], found)} Drop the arm, or add users who received it"
            )
        unknown = [arm for arm in found if arm not in named]
        if unknown:
            count = int((logged == unknown[0]).sum())
            raise InputError(
                f"treatment column {column!r} has {count:,} rows with the unknown arm {unknown[0]!r}; "
                f"{source} names {', '.join(map(repr, named))}: add the arm there, or drop these rows"
            )
        order = order or named
    if len(found) == 1:
        raise InputError(
            f"treatment column {column!r} has only one arm, {control!r}, in {len(logged):,} rows; "
            "nothing can be learnt without users who received something else"
        )
    by_position = not (propensity is None or isinstance(propensity, str | Mapping))
    if arms is not None and by_position and order[0] != control:
        raise InputError(
            f"arms starts with {order[0]!r}, but control, {control!r}, always comes first, and the columns of the "
            "propensity array would change places: put control first in both"
        )
    return (control, *(arm for arm in order or found if arm != control))


def _claimed(source: str, claim: object) -> list[str] | None:
    """The arms that an argument names, or None where it names none."""
    if claim is None:
        return None
    if source == "arms":
        if not isinstance(claim, list | tuple) and not hasattr(claim, "tolist"):
            raise InputError(f"arms is {claim!r}; a list of arm names in a fixed order is expected")
    elif not isinstance(claim, Mapping):
        if source == "cost" and not isinstance(claim, str):
            raise InputError(
                f"cost is a {type(claim).__name__}; the name of a column, {{arm: cost}} or None is expected"
            )
        return None
    named = [arm_name(arm) for arm in claim]  # type: ignore[attr-defined]
    check_unique(named, "arm", f"{source}: the", "name each arm once")
    return named


def _natural(name: str) -> tuple[int, float, str]:
    """Numbers by size and before text: 2 before 10."""
    try:
        number = float(name)
    except ValueError:
        number = math.nan
    return (0, number, name) if math.isfinite(number) else (1, 0.0, name)  # "nan" and "inf" are names too
