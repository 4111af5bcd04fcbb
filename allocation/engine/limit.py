"""A further constraint beside the budget (Limit), and what a decision made of it (LimitUse)."""

from __future__ import annotations

import difflib
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

OWN_MEASURES = ("users", "cost", "value")
BUDGET = "the budget"  # how messages call it


class ProblemError(ValueError):
    """A problem that cannot be solved as it is stated, a `ValueError`; the message names the mend.

    It says what was got, where (table, limit, user, arm), what is expected and what to do. Where limits clash it
    names the smallest set found that no decision keeps together, and how far each of them alone must move, in the
    unit of its measure: at the least, for it is computed for users who may be shared out among arms.
    """


@dataclass(frozen=True, eq=False)
class Limit:
    """A floor, a cap or both on what some arms use among some users, in exact arithmetic on the predictions.

        min <= sum_{i in users} sum_{j in arms} z_ij a_ij <= max,    a = 1, cost, value, or a resource

    Attributes
    ----------
    name : what messages and reports call it; unique in a problem, and not "the budget".
    measure : "users" (how many), "cost" (money), "value" (value units), or the name of a resource of the problem.
    min, max : floor and cap in the measure's unit, may be negative; None for none, at least one of them is given.
    users : (n,) booleans, or the name of one of the problem's segments; None for everybody.
    arms : positions (0 is control) or names of the arms that count; None for every arm but control.

    A floor makes the decision spend where it would not: its `price` is what that costs. Nothing is checked before a
    `Problem` takes the limit: then ProblemError for a name, measure, bound, mask or arm that does not fit, a floor
    above its cap, and "users" between whose bounds no whole number lies.
    """

    name: str
    measure: str = "users"
    min: float | None = None
    max: float | None = None
    users: NDArray[np.bool_] | str | None = None
    arms: Sequence[int | str] | None = None

    @property
    def low(self) -> float:
        """The floor; minus infinity where there is none."""
        return -math.inf if self.min is None else self.min

    @property
    def high(self) -> float:
        """The cap; infinity where there is none."""
        return math.inf if self.max is None else self.max


@dataclass(frozen=True)
class LimitUse:
    """What a decision made of one limit; `pandas.DataFrame(allocation.limits)` shows them as a table.

    Attributes
    ----------
    used : the amount that the decision uses, in the measure's unit; min, max : the limit's own (None for none).
    price : extra value per extra unit of the bound (value units per unit of the measure): at least 0 for a cap, at
        most 0 for a floor, 0 where the limit does not bind.
    binding : "max" or "min", the side that costs value; None where the limit takes nothing away.
    """

    name: str
    measure: str
    used: float
    min: float | None
    max: float | None
    price: float
    binding: Literal["min", "max"] | None


def resolve(
    limit: Limit,
    n: int,
    arms: int,
    arm_names: Sequence[str] | None,
    segments: Mapping[str, NDArray[np.bool_]],
    resources: Collection[str],
) -> Limit:
    """The limit with numbers for bounds, positions for arms and a mask (or None) for users; ProblemError if wrong."""
    if not isinstance(limit, Limit):
        raise ProblemError(f"limits holds {limit!r}; Limit(...) is expected")
    if not isinstance(limit.name, str) or not limit.name:
        raise ProblemError(f"a limit is called {limit.name!r}; a name is expected")
    if limit.name == BUDGET:
        raise ProblemError(f"a limit is called {BUDGET!r}, as messages call the problem's own; give it another name")
    measures = (*OWN_MEASURES, *resources)
    if limit.measure not in measures:
        raise _unknown(limit, "measure", limit.measure, measures, "give its table to Problem(resources={...})")
    low, high = _bound(limit, "min"), _bound(limit, "max")
    if low is None and high is None:
        raise ProblemError(f"limit {limit.name!r} has neither min nor max; give at least one")
    if low is not None and high is not None and low > high:
        raise ProblemError(f"limit {limit.name!r} has its floor {low:,} above its cap {high:,}; swap or mend them")
    both = limit.measure == "users" and low is not None and high is not None
    if both and math.ceil(low or 0.0) > math.floor(high or 0.0):
        raise ProblemError(f"limit {limit.name!r} counts users; no whole number lies between {low:,} and {high:,}")
    users = _mask(limit, n, segments)
    return replace(limit, min=low, max=high, users=users, arms=_positions(limit, arms, arm_names))


def check_segments(segments: Mapping[str, Any] | None, n: int) -> dict[str, NDArray[np.bool_]]:
    """Named sets of users as masks (n,); raises ProblemError for another shape or type."""
    checked = {}
    if segments is not None and not isinstance(segments, Mapping):
        raise ProblemError(f"segments is {type(segments).__name__}; masks by name are expected, {{'heavy': mask}}")
    for name, mask in (segments or {}).items():
        array = _array(mask, f"segment {name!r}")
        if array.shape != (n,) or array.dtype != np.bool_:
            raise ProblemError(
                f"segment {name!r} has shape {array.shape} and type {array.dtype}; booleans of shape ({n:,},) are "
                "expected, one a user"
            )
        checked[name] = array
    return checked


def _array(mask: Any, called: str) -> NDArray[Any]:
    try:
        return np.asarray(mask)
    except ValueError:
        raise ProblemError(f"{called}: rows that differ in length; one boolean a user is expected") from None


def _bound(limit: Limit, side: str) -> float | None:
    amount = getattr(limit, side)
    if amount is None:
        return None
    wrong = ProblemError(f"limit {limit.name!r} has {side} {amount!r}; a number is expected, or None for none")
    if isinstance(amount, (str, bytes, bool)) or not np.isscalar(amount):
        raise wrong
    try:
        number = float(amount)  # type: ignore[arg-type]
    except OverflowError:
        raise ProblemError(f"limit {limit.name!r} has a {side} larger than any float; None means none") from None
    except (TypeError, ValueError):
        raise wrong from None
    if math.isnan(number):
        raise ProblemError(f"limit {limit.name!r} has {side} nan; a number is expected, or None for none")
    if math.isinf(number):
        if (number > 0) == (side == "max"):
            return None
        raise ProblemError(
            f"limit {limit.name!r} has {side} {number:g}, which nothing can meet; a number is expected"
        )
    return number


def _mask(limit: Limit, n: int, segments: Mapping[str, NDArray[np.bool_]]) -> NDArray[np.bool_] | None:
    if limit.users is None:
        return None
    if isinstance(limit.users, str):
        if limit.users not in segments:
            raise _unknown(limit, "segment", limit.users, tuple(segments), "give it to Problem(segments={...})")
        mask = segments[limit.users]
        called = f"segment {limit.users!r} of limit {limit.name!r}"
    else:
        mask = _array(limit.users, f"the users of limit {limit.name!r}")
        called = f"the users of limit {limit.name!r}"
        if mask.shape != (n,) or mask.dtype != np.bool_:
            raise ProblemError(
                f"{called} have shape {mask.shape} and type {mask.dtype}; booleans of shape ({n:,},) are expected, "
                "or the name of a segment"
            )
    if n and not mask.any():
        raise ProblemError(f"{called}: nobody, the mask is False for all {n:,} users; mend it or drop the limit")
    return mask


def _positions(limit: Limit, arms: int, names: Sequence[str] | None) -> tuple[int, ...]:
    if limit.arms is None:
        return tuple(range(1, arms))
    if isinstance(limit.arms, str) or not isinstance(limit.arms, Iterable):
        raise ProblemError(f"limit {limit.name!r} has arms {limit.arms!r}; a list is expected, [{limit.arms!r}]")
    found = []
    for arm in limit.arms:
        if isinstance(arm, str):
            if names is None:
                raise ProblemError(
                    f"limit {limit.name!r} names the arm {arm!r}, but the problem has no names of arms; give "
                    "Problem(arms=(...)), or the arm's position"
                )
            if arm not in names:
                raise _unknown(limit, "arm", arm, names, "name one of them")
            found.append(list(names).index(arm))
        elif isinstance(arm, (int, np.integer)) and not isinstance(arm, bool) and 0 <= arm < arms:
            found.append(int(arm))
        else:
            raise ProblemError(
                f"limit {limit.name!r} has the arm {arm!r}; positions from 0 to {arms - 1} are expected"
            )
    if not found and arms > 1:  # beside control there may be none
        raise ProblemError(f"limit {limit.name!r} counts no arm; name at least one, or None for all but control")
    return tuple(sorted(set(found)))


def _unknown(limit: Limit, what: str, got: str, known: Sequence[str], mend: str) -> ProblemError:
    near = difflib.get_close_matches(str(got), list(known), n=1)
    hint = f"did you mean {near[0]!r}?" if near else mend
    listed = ", ".join(map(repr, list(known)[:12])) or "none"
    return ProblemError(f"limit {limit.name!r} has the {what} {got!r}; known are {listed}: {hint}")
