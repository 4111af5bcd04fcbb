"""Every pair of policies compared, the log's own among them, from a demo's totals and how they vary together."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri

from allocation.evaluation.cells import Cells
from allocation.evaluation.comparison import Paired
from allocation.evaluation.decided import Decided
from allocation.evaluation.influence import small_sample
from allocation.evaluation.verified import Totals, Verified
from uplift.errors import InputError, nearest

Array = NDArray[np.float64]
CURRENT = "current policy"  # what the log itself did: every user's arm drawn with its chances


@dataclass(frozen=True, eq=False)
class Compared:
    """Verified totals of P policies at B budgets and of the current policy, and how all of them vary together.

    Attributes
    ----------
    policies : P names. budgets : B amounts of money for all users, rising. users : held out.
    value : (B P + 1,) verified totals, value units: cells by budget, policies within, the current policy last.
    covariance : (B P + 1, B P + 1) of them, by influence functions.
    gain, spend : of the current policy: (total, standard error), gain above everybody on control, spend in money.
    lacking : (B P,) why a policy cannot be verified, else "". same : (B, P, P) whether two policies decide alike for
        everybody. apart : (B, P, P) why two cannot be compared, else "".

    The current policy gives user i arm j with the chance p_ij that the log states: its score is sum_j p_ij phi_ij,
    and costs what it costs, whatever the budget.
    """

    policies: tuple[str, ...]
    budgets: tuple[float, ...]
    users: int
    value: Array
    covariance: Array
    gain: tuple[float, float]
    spend: tuple[float, float]
    lacking: tuple[str, ...]
    same: NDArray[np.bool_]
    apart: NDArray[np.object_]

    @property
    def names(self) -> tuple[str, ...]:
        """The policies, the current one last."""
        return (*self.policies, CURRENT)

    def nearest_budget(self, budget: float) -> float:
        """Of the budgets that were evaluated the one nearest to a budget, money."""
        return min(self.budgets, key=lambda evaluated: abs(evaluated - budget))

    def differences(self, reference: str, level: float = 0.95, seed: int = 0) -> pd.DataFrame:
        """Paired differences in value to one policy, a row a policy and budget; totals, value units.

        `policy`, `budget`, `difference` with `difference_low`, `difference_high` in closed form, `same_decision`,
        `support` (empty, or why there is no difference), `p_value` alone and `p_adjusted` for all `comparisons` of
        this table (max-t, see `comparison.Paired.p_values`). Misleads where the reference was chosen for being the
        best on these users. Raises InputError for a reference that was not evaluated.
        """
        if reference not in self.names:
            raise InputError(f"reference {reference!r} is none of the policies.{nearest(reference, self.names)}")
        P, B, own = len(self.policies), len(self.budgets), self.names.index(reference)
        budget, policy = (index.ravel() for index in np.indices((B, P + 1)))
        cells, against = self._cell(budget, policy), self._cell(budget, np.full_like(policy, own))
        pairs = list(zip(budget.tolist(), policy.tolist(), strict=True))
        same = np.array([self._same(b, p, own) for b, p in pairs])
        words = [self._support(b, p, own) for b, p in pairs]
        known = np.array([not text for text in words])
        value = np.nan_to_num(self.value)  # of a policy that nobody matches: hidden below by its words
        paired = Paired.of(Totals(value, np.nan_to_num(self.covariance), None), cells, against, same)
        tested = known & (policy != own) & ~same & (paired.se > 0)
        alone, adjusted = paired.p_values(tested, seed)
        point, half = np.where(known, paired.point, np.nan), ndtri(0.5 + level / 2) * paired.se
        return pd.DataFrame(
            {
                "policy": np.array(self.names, dtype=object)[policy],
                "budget": np.array(self.budgets)[budget],
                "reference": reference,
                "difference": point,
                "difference_se": np.where(known, paired.se, np.nan),
                "difference_low": point - half,
                "difference_high": point + half,
                "same_decision": same,
                "support": words,
                "p_value": alone,
                "p_adjusted": adjusted,
                "comparisons": int(tested.sum()),
            }
        )

    def _cell(self, budget: NDArray[np.int64], policy: NDArray[np.int64]) -> NDArray[np.int64]:
        P = len(self.policies)
        return np.where(policy == P, len(self.value) - 1, budget * P + policy)

    def _same(self, b: int, p: int, q: int) -> bool:
        if p == q:
            return True
        return max(p, q) < len(self.policies) and bool(self.same[b, p, q])

    def _support(self, b: int, p: int, q: int) -> str:
        """Why two policies cannot be compared; the current one is verified by every user of the log."""
        P = len(self.policies)
        own = [self.lacking[b * P + k] for k in (p, q) if k < P]
        pair = str(self.apart[b, p, q]) if max(p, q) < P else ""
        return next((text for text in (*own, pair) if text), "")


def compared_of(
    decided: Decided, cells: Cells, one: Verified, value_score: Array, spend_score: Array, propensity: Array
) -> Compared:
    """What is kept of an evaluation: `one` verified the cells of `decided` and, at each budget, control after them.

    value_score, spend_score, propensity : (n, K+1) of the same estimator and users.
    """
    P, B, n = len(decided.names), len(decided.budgets), len(value_score)
    place = (np.arange(B)[:, None] * (P + 1) + np.arange(P)).ravel()
    rows, size = np.arange(n), small_sample(n)
    current = (propensity * value_score).sum(axis=1)
    centred = current - current.mean()
    cross = size * np.array([centred @ value_score[rows, z] for z in decided.decision])
    covariance = np.empty((len(place) + 1, len(place) + 1))
    covariance[:-1, :-1] = one.value.covariance[np.ix_(place, place)]
    covariance[-1, :-1] = covariance[:-1, -1] = cross
    covariance[-1, -1] = size * (centred @ centred)
    return Compared(
        policies=decided.names,
        budgets=decided.budgets,
        users=n,
        value=np.append(one.value.point[place], current.sum()),
        covariance=covariance,
        gain=_total(current - value_score[:, 0]),
        spend=_total((propensity * spend_score).sum(axis=1)),
        lacking=cells.lacking,
        same=cells.same[:, :P, :P],
        apart=cells.not_apart[:, :P, :P],
    )


def write_compared(compared: Compared, path: Path) -> None:
    """As JSON, exact to the last digit; what is not known is null."""
    told: dict[str, Any] = {
        name: part.tolist() if isinstance(part, np.ndarray) else part for name, part in asdict(compared).items()
    }
    for name, part in (("value", compared.value), ("covariance", compared.covariance)):
        cells = part.astype(object)
        cells[~np.isfinite(part)] = None
        told[name] = cells.tolist()
    path.write_text(json.dumps(told, allow_nan=False) + "\n", encoding="utf-8")


def read_compared(path: Path, users: int) -> Compared:
    """What `write_compared` wrote; raises InputError where the file is something else, or of other users."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        found = Compared(
            policies=tuple(told["policies"]),
            budgets=tuple(told["budgets"]),
            users=told["users"],
            value=np.array(told["value"], dtype=np.float64),
            covariance=np.array(told["covariance"], dtype=np.float64),
            gain=tuple(told["gain"]),
            spend=tuple(told["spend"]),
            lacking=tuple(told["lacking"]),
            same=np.array(told["same"], dtype=bool),
            apart=np.array(told["apart"], dtype=object),
        )
        cells, pairs = len(found.budgets) * len(found.policies), (len(found.policies), len(found.policies))
        for name, shape in (
            ("value", (cells + 1,)),
            ("covariance", (cells + 1, cells + 1)),
            ("lacking", (cells,)),
            ("same", (len(found.budgets), *pairs)),
            ("apart", (len(found.budgets), *pairs)),
        ):
            if np.shape(getattr(found, name)) != shape:
                raise ValueError(f"{name} has the shape {np.shape(getattr(found, name))}, not {shape}")
        if found.users != users:
            raise ValueError(f"it is of {found.users:,} users, the run of {users:,}")
        return found
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is no comparison of a run ({error}); run `earmark demo` again") from None


def _total(score: Array) -> tuple[float, float]:
    """The sum of scores (n,) and its standard error."""
    return float(score.sum()), float(score.std(ddof=1) * np.sqrt(len(score)))
