"""What an outcome model predicts for the users of an evaluation log, and whether it fits that log."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uplift.campaign import Campaign
from uplift.cells import check_finite
from uplift.errors import InputError

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Outcomes:
    """Out-of-fold predictions for the users of an evaluation log: none is by a model that saw the user.

    Attributes
    ----------
    value, cost : (n, K+1), value units and money; cost is None where the log has none.
    """

    value: Array
    cost: Array | None


def check_outcomes(outcomes: Outcomes, held_out: Campaign) -> Outcomes:
    """The predictions as arrays of floats; raises InputError where their shape is not the log's, or one is amiss."""
    shape, tables = (len(held_out), len(held_out.arms)), {}
    for name in ("value", "cost"):
        given = getattr(outcomes, name)
        if given is None:
            continue
        try:
            tables[name] = np.asarray(given, dtype=np.float64)
        except (TypeError, ValueError):
            raise InputError(
                f"the outcome model's {name} is a {type(given).__name__} that holds no table of numbers; (users, "
                f"arms) = {shape} is expected"
            ) from None
        if tables[name].shape != shape:
            raise InputError(
                f"the outcome model's {name} has shape {tables[name].shape}; (users, arms) = {shape} is expected"
            )
        check_finite(tables[name], f"the outcome model's {name}")
    if "value" not in tables or (held_out.cost is not None and "cost" not in tables):
        lacking = "cost" if "value" in tables else "value"
        raise InputError(
            f"the log has {lacking} and the outcomes have none; fit them on this log: fit_outcomes(held_out)"
        )
    return Outcomes(tables["value"], tables.get("cost"))
