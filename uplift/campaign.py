"""Campaign: a log of who got which arm and what came of it, with the roles of its columns checked once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

import narwhals.stable.v2 as nw
import numpy as np
from numpy.typing import ArrayLike, NDArray

from uplift.arms import arm_names
from uplift.cells import check_finite, single
from uplift.errors import InputError, check_fraction, check_unique
from uplift.files import read_table
from uplift.frames import arm_name, labels, numbers, open_frame, user_ids
from uplift.groups import label_codes
from uplift.propensity import Propensity, propensity_table
from uplift.seeds import stream
from uplift.seen import fingerprint


@dataclass(frozen=True, eq=False)
class Campaign:
    """A campaign log, one row a user.

    Build it with `from_frame` or `from_parquet`, which check every role. Everything downstream takes it as checked.

    Attributes
    ----------
    X : (n, d) float32, what was known of each user before the campaign.
    treatment : (n,) int64 in 0..K, the arm that each user received; 0 is control.
    value : (n,) float64, the outcome in the campaign's value unit; may be negative.
    cost : (n,) float64, money spent on each user, or None when the log has none; may be zero or negative.
    propensity : (n, K+1) float64, probability of each arm by design, rows summing to 1, or None when unknown.
    arms : names of the K+1 arms, control first.
    user_id : (n,), unique.
    features : names of the d columns of X.
    activeness : (n,) float64, how many past behaviours each user has, or None.
    source : fingerprint of the log whose rows `user_id` numbers, because it states no ids; then the same number in
        another log need not be the same person. Empty where the ids are the log's own.

    Misleads when a feature was measured after the treatment, or when the propensities are not those of the design
    (`uplift.propensity.share_mismatch` sees wrong shares, nothing sees the rest).
    """

    X: NDArray[np.float32]
    treatment: NDArray[np.int64]
    value: NDArray[np.float64]
    cost: NDArray[np.float64] | None
    propensity: NDArray[np.float64] | None
    arms: tuple[str, ...]
    user_id: NDArray[Any]
    features: tuple[str, ...]
    activeness: NDArray[np.float64] | None = None
    source: str = ""

    def __len__(self) -> int:
        return len(self.treatment)

    def __repr__(self) -> str:
        return f"Campaign({len(self):,} users, {len(self.features)} features, arms {', '.join(self.arms)})"

    @classmethod
    def from_frame(
        cls,
        frame: object,
        *,
        features: Sequence[str],
        treatment: str,
        value: str,
        cost: str | Mapping[str, float] | None = None,
        propensity: Propensity = None,
        user_id: str | None = None,
        control: str | int = "none",
        arms: Sequence[str] | None = None,
        activeness: str | None = None,
    ) -> Self:
        """A campaign from a pandas, polars or Arrow table.

        Parameters
        ----------
        features : names of the numeric columns known before the campaign.
        treatment : name of the column with the arm that each user received.
        value : name of the outcome column.
        cost : name of the column with the money spent, or `{arm: cost of a user who gets it}`, or None.
        propensity : `{arm: probability}`, `{arm: column}`, an array (n, K+1), `"arm shares"`, or None;
            see `uplift.propensity.propensity_table`.
        user_id : name of the column of unique user ids; None numbers the rows from 0.
        control : the arm that means "no treatment".
        arms : all arms, to fix their order; by default control, then the order of `propensity` or of `cost`
            where they are mappings, else the order of the names.
        activeness : name of the column that counts past behaviours, or None.

        Assumes one row a user, and features measured before the treatment.
        Raises InputError, which names the column, the count and the mend, for: an empty table, a missing column, one
        in two roles, text where numbers belong, a NaN or an infinite cell, a feature beyond single precision, a
        duplicate user id, an unknown arm, an arm never logged, one arm alone, control absent, a `cost` that lacks an
        arm, a propensity outside (0, 1] or not summing to 1.
        """
        table = open_frame(frame)
        roles = [name for name in (treatment, value, cost, user_id) if isinstance(name, str)]
        check_unique(roles, "column", "treatment, value, cost, user_id: the", "give each role a column of its own")
        if activeness is not None and activeness in roles:
            raise InputError(
                f"activeness is the column {activeness!r}, which has another role; it counts past behaviours: name a "
                "column that was known before the treatment (it may be a feature), or leave it out"
            )
        columns = _feature_names(features, roles)
        logged = labels(table, treatment, "treatment")
        names = arm_names(logged, treatment, arm_name(control), arms, propensity, cost)
        code = {arm: j for j, arm in enumerate(names)}
        t = np.fromiter((code[arm] for arm in logged), dtype=np.int64, count=len(logged))
        X = np.empty((len(t), len(columns)), dtype=np.float32)
        for j, name in enumerate(columns):
            X[:, j] = single(numbers(table, name, "feature"), name)
        return cls(
            X=X,
            treatment=t,
            value=numbers(table, value, "value"),
            cost=_cost(table, cost, names, t),
            propensity=propensity_table(propensity, table, names, t),
            arms=names,
            user_id=np.arange(len(t)) if user_id is None else user_ids(table, user_id),
            features=columns,
            activeness=None if activeness is None else numbers(table, activeness, "activeness"),
            source=fingerprint(X, t) if user_id is None else "",
        )

    @classmethod
    def from_parquet(cls, path: str | Path, **roles: Any) -> Self:
        """A campaign from a Parquet or CSV file; `roles` are the arguments of `from_frame`.

        In a CSV file arms and user ids are kept as the text that they are, so that 007 stays 007. Raises InputError
        as `from_frame` does, and for a file that is missing, empty or not what its name says.
        """
        names = [str(roles[role]) for role in ("treatment", "user_id") if roles.get(role) is not None]
        return cls.from_frame(read_table(path, names), **roles)

    def take(self, rows: NDArray[Any]) -> Self:
        """The campaign of the given rows (indices or booleans), in their order."""
        picked = {f.name: getattr(self, f.name) for f in fields(self)}
        for name, whole in picked.items():
            if isinstance(whole, np.ndarray):
                picked[name] = whole[rows]
        return type(self)(**picked)

    def split(
        self, share: float, seed: int | np.random.Generator = 0, *, cluster: ArrayLike | None = None
    ) -> tuple[Self, Self]:
        """Two campaigns, at random within each arm: the first holds `share` of the users, the second the rest.

        Of each arm it takes the share, rounded to whole users. With `cluster` (n,) labels, such as households, it
        holds that share of the clusters, whatever their arms. Raises InputError when an arm has too few users to
        stand on both sides, for a share outside (0, 1), and for labels that are missing or not one a user.
        """
        first, second = self.split_rows(share, seed, cluster=cluster)
        return self.take(first), self.take(second)

    def split_rows(
        self, share: float, seed: int | np.random.Generator = 0, *, cluster: ArrayLike | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The rows of the two campaigns of `split`, rising, together (n,); arguments and errors as there."""
        check_fraction(share, "share", 0.5)
        if cluster is None:
            first = self._by_arm(share, stream(seed, "split"))
        else:
            names, code = label_codes(cluster, len(self), "cluster")
            drawn = stream(seed, "split of clusters").permutation(len(names)) < round(share * len(names))
            first = drawn[code]
            for j, arm in enumerate(self.arms):
                if len(set(first[self.treatment == j].tolist())) < 2:
                    raise InputError(
                        f"arm {arm!r} does not stand on both sides of a split of the {len(names):,} clusters; take "
                        "more clusters, another seed, or drop the arm"
                    )
        return np.flatnonzero(first), np.flatnonzero(~first)

    def _by_arm(self, share: float, rng: np.random.Generator) -> NDArray[np.bool_]:
        """Who is drawn, (n,), the same share of every arm."""
        first = np.zeros(len(self), dtype=bool)
        for j, arm in enumerate(self.arms):
            members = rng.permutation(np.flatnonzero(self.treatment == j))
            count = round(share * len(members))
            if not 0 < count < len(members):
                raise InputError(
                    f"arm {arm!r} has {len(members):,} users, too few to split {share:g} to {1 - share:g}; "
                    "take more users or drop the arm"
                )
            first[members[:count]] = True
        return first


def check_campaign(campaign: object) -> None:
    """Refuse what is no campaign, such as the data frame that one is made of."""
    if not isinstance(campaign, Campaign):
        raise InputError(
            f"the log has the type {type(campaign).__name__}; a Campaign is expected: Campaign.from_frame(frame, "
            "features=[...], treatment=..., value=...) makes one"
        )


def _feature_names(features: Sequence[str], roles: list[str]) -> tuple[str, ...]:
    """The features as a tuple; the column of another role can be no feature."""
    if not isinstance(features, list | tuple | np.ndarray) and not hasattr(features, "tolist"):
        raise InputError(f"features is {features!r}; a list of column names in a fixed order is expected")
    names = tuple(str(name) for name in features)
    if not names:
        raise InputError(f"features is {features!r}; at least one column name is expected")
    check_unique(names, "column", "features: the", "name each column once")
    for name in names:
        if name in roles:
            raise InputError(
                f"feature {name!r} is also the treatment, value, cost or user_id column; features are what was known "
                "of the users before the campaign: leave it out"
            )
    return names


def _cost(
    table: nw.DataFrame[Any], cost: str | Mapping[str, float] | None, arms: tuple[str, ...], t: NDArray[np.int64]
) -> NDArray[np.float64] | None:
    if cost is None:
        return None
    if isinstance(cost, str):
        return numbers(table, cost, "cost")
    by_name = {arm_name(arm): unit for arm, unit in cost.items()}
    try:
        unit = np.array([float(by_name[arm]) for arm in arms])
    except (TypeError, ValueError):
        raise InputError(f"cost is {dict(cost)!r}; a number for every arm is expected: {{arm: cost}}") from None
    check_finite(unit, "the mapping cost={arm: cost}")
    return unit[t]
