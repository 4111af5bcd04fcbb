"""Ranking: what a ranker gives, a return for every user and treatment, and no table of value or cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from uplift.cells import check_finite
from uplift.errors import InputError, check_unique


@dataclass(frozen=True, eq=False)
class Ranking:
    """The return of each treatment for each user, as a ranker scores it.

    Attributes
    ----------
    roi : (n, K) floats, treatment j + 1 in column j. DRP: extra value per extra unit of money. DCL: extra value
        less `price` times extra cost, in value units. DirectRank: a score within (-1, 1), whose order alone counts.
    arms : names of the K+1 arms, control first.
    price : value per unit of money at which `roi` is a net gain (DCL), or None.

    Misleads when users are treated down the list of a return that several treatments share: which treatment a user
    gets is no question of the return alone, and the budget that a list uses up is not in it.
    Raises InputError when shapes disagree, a cell is not finite or an arm stands twice; reading `value`, `cost` or
    `effect` raises it too, and says which learners give tables.
    """

    roi: NDArray[np.floating[Any]]
    arms: tuple[str, ...]
    price: float | None = None

    def __post_init__(self) -> None:
        roi = np.asarray(self.roi)
        object.__setattr__(self, "roi", roi)
        if roi.dtype.kind != "f" or roi.ndim != 2 or roi.shape[1] != len(self.arms) - 1:
            raise InputError(
                f"roi has shape {roi.shape} and holds {roi.dtype} cells; floats (users, {len(self.arms) - 1}) are "
                f"expected, a column for each of {', '.join(self.arms[1:])}"
            )
        check_unique(self.arms, "arm", "arms: the", "name each arm once")
        check_finite(roi, "roi")

    def __len__(self) -> int:
        return len(self.roi)

    @property
    def value(self) -> NoReturn:
        """Raises InputError: a ranker knows no value."""
        raise _no_table("value")

    @property
    def cost(self) -> NoReturn:
        """Raises InputError: a ranker knows no cost."""
        raise _no_table("cost")

    @property
    def effect(self) -> NoReturn:
        """Raises InputError: a ranker knows no effect."""
        raise _no_table("effect")


def _no_table(name: str) -> InputError:
    return InputError(
        f"a ranker gives the return of each treatment, .roi, and no {name}; for tables of value and cost take a "
        "response learner: SLearner, TLearner, XLearner, DRLearner, CausalForest or NeuralResponse"
    )
