"""Gradient estimators by name, and the checks that all of them share."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import wraps
from typing import Any, Protocol, cast

import numpy as np
import torch
from torch import Tensor

from uplift.errors import InputError, nearest


class Estimator(Protocol):
    """A gradient of the smoothed goal: estimate(score, worth, width, generator) -> (n, K+1).

    Parameters
    ----------
    score : (n, K+1), what decides: each user gets the arm of the best score, the first one on ties.
    worth : (n, K+1), what deciding an arm for a user is worth by the log.
    width : above 0, how far the goal is smoothed, in the unit of the scores. Each estimator says what it means there.
    generator : for estimators that draw; others ignore it. None draws what seed 0 gives, every time anew: give one
        generator to all steps of a training, or each step sees the same draws.

    Returns
    -------
    The change of the mean worth of the smoothed decisions by unit of each score, (n, K+1), detached, with the 1/n of
    the mean, in worth a unit of score, in the dtype and on the device of the scores. Rows sum to 0: a change of all
    scores of a user by the same amount moves no decision.

    Raises InputError for tables that are no float32 or float64 tensors (n, K+1) of one shape, dtype and device, for
    NaN or infinite cells, and for a width that is not above 0.
    """

    gap_noise: float

    def __call__(
        self, score: Tensor, worth: Tensor, width: float, generator: torch.Generator | None, **options: Any
    ) -> Tensor:
        """The gradient."""
        ...


ESTIMATORS: dict[str, Estimator] = {}


def register(name: str, *, gap_noise: float) -> Callable[[Callable[..., Tensor]], Estimator]:
    """A decorator that checks a function's input and files it under `name`, so that the tests of all try it too.

    `gap_noise` is the standard deviation, in widths, of the noise that the smoothing puts on the difference of two
    scores: with widths in inverse proportion to it estimators smooth alike.

    The function gets (score, worth, width, generator, **options), checked and detached. Raises InputError for a name
    that is taken.
    """
    if name in ESTIMATORS:
        raise InputError(f"there is a gradient estimator {name!r} already; take another name")

    def _register(function: Callable[..., Tensor]) -> Estimator:
        @wraps(function)
        def _checked(
            score: Tensor, worth: Tensor, width: float, generator: torch.Generator | None, **options: Any
        ) -> Tensor:
            check_tables(score=score, worth=worth)
            return function(score.detach(), worth.detach(), _checked_width(width, score.dtype), generator, **options)

        found = cast(Estimator, _checked)
        found.gap_noise = gap_noise
        ESTIMATORS[name] = found
        return found

    return _register


def find(name: str) -> Estimator:
    """The estimator of this name; raises InputError for an unknown one."""
    if not isinstance(name, str) or name not in ESTIMATORS:
        raise InputError(f"there is no gradient estimator {name!r}.{nearest(name, ESTIMATORS)}")
    return ESTIMATORS[name]


def check_tables(**tables: Tensor) -> None:
    """Refuse tables, by name, that are not of one shape (n, K+1), dtype and device, or not finite."""
    first = next(iter(tables))
    for name, table in tables.items():
        if not isinstance(table, Tensor) or table.dtype not in (torch.float32, torch.float64):
            kind = f"of {table.dtype}" if isinstance(table, Tensor) else f"a {type(table).__name__}"
            raise InputError(
                f"{name} is {kind}; a torch tensor of float32 or float64 is expected: "
                "torch.as_tensor(..., dtype=torch.float64) makes one"
            )
        if table.ndim != 2 or not table.numel():
            raise InputError(
                f"{name} has shape {tuple(table.shape)}; (users, arms) is expected, at least one of each"
            )
        for what in ("shape", "dtype", "device"):
            here, there = getattr(table, what), getattr(tables[first], what)
            if here != there:
                shown = [tuple(x) if what == "shape" else x for x in (here, there)]
                raise InputError(f"{name} has {what} {shown[0]} and {first} {shown[1]}; the same is expected")
        low, high = torch.aminmax(table.detach())  # NaN in any cell makes both NaN
        if not (math.isfinite(low) and math.isfinite(high)):
            bad = (~torch.isfinite(table.detach())).nonzero()
            row, arm = bad[0].tolist()
            raise InputError(
                f"{name} is {float(table[row, arm])} for user {row:,} and arm {arm} (counted from 0), one of "
                f"{len(bad):,} such cells; finite numbers are expected"
            )


def _checked_width(width: float, dtype: torch.dtype) -> float:
    is_number = isinstance(width, int | float | np.number) and not isinstance(width, bool)
    if not is_number or not width > 0 or not math.isfinite(width):
        raise InputError(f"width is {width!r}; a number above 0 is expected, in the unit of the scores, such as 0.1")
    span = torch.finfo(dtype)
    if not span.tiny <= width <= span.max:
        raise InputError(f"width is {width:g}, beyond the numbers of {dtype}; count the scores in another unit")
    return float(width)
