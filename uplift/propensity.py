"""The table of propensities, (n, K+1), from what the analyst knows of the design."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import narwhals.stable.v2 as nw
import numpy as np
from numpy.typing import ArrayLike, NDArray

from uplift.cells import check_finite
from uplift.errors import InputError
from uplift.frames import arm_name, numbers
from uplift.shares import by_cluster, chance_of_counts, counted_together, tails

if TYPE_CHECKING:
    from uplift.campaign import Campaign

ARM_SHARES = "arm shares"
Propensity = Mapping[str, float | str] | ArrayLike | str | None

# A design typed by hand (1/3 as .333) may miss 1 by the rounding of three decimals, not by more.
SUM_TOLERANCE = 1e-3
MISMATCH_BELOW = 1e-3


def propensity_table(
    given: Propensity, frame: nw.DataFrame[Any], arms: tuple[str, ...], treatment: NDArray[np.int64]
) -> NDArray[np.float64] | None:
    """Probability of every arm for every user, rows summing to 1.

    `given` is `{arm: probability}`, `{arm: column name}`, an array `(n, K+1)` in the order of `arms`, the text
    `"arm shares"` (declares the log randomised alike for everybody: the shares of the arms in the log are taken),
    or None (unknown: the log can be fitted but not evaluated).

    A mapping names all of `arms`: `uplift.arms.arm_names` has seen to it.
    Raises InputError for a value outside (0, 1], a sum that is not 1, a table of another shape or of named columns,
    and what is neither a probability nor a column.
    """
    n = len(treatment)
    if given is None:
        return None
    if isinstance(given, str):
        if given != ARM_SHARES:
            raise InputError(
                f"propensity {given!r} is not understood; give {{arm: probability}}, {{arm: column}}, an array, "
                f"or {ARM_SHARES!r} for a log randomised alike for everybody"
            )
        shares = np.bincount(treatment, minlength=len(arms)) / n
        return np.broadcast_to(shares, (n, len(arms)))
    if isinstance(given, Mapping):
        return _from_mapping({arm_name(k): v for k, v in given.items()}, frame, arms, n)
    check_unnamed(given, "put the columns into the log and give {arm: column}, or ")
    try:
        table = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(
            f"propensity is a {type(given).__name__} that holds no table of numbers; give {{arm: probability}}, "
            f"{{arm: column}}, an array (users, arms), or {ARM_SHARES!r}"
        ) from None
    if table.shape != (n, len(arms)):
        raise InputError(
            f"propensity has shape {table.shape}; (users, arms) = {(n, len(arms))} is expected, "
            f"columns in the order {', '.join(arms)}"
        )
    return check_propensity(table, arms)


def _from_mapping(
    given: dict[str, float | str], frame: nw.DataFrame[Any], arms: tuple[str, ...], n: int
) -> NDArray[np.float64]:
    cells = [given[arm] for arm in arms]
    for arm, cell in zip(arms, cells, strict=True):
        if not isinstance(cell, str | int | float | np.number):
            raise InputError(
                f"propensity has {cell!r} for arm {arm!r}; a probability or the name of a column is expected for "
                "every arm"
            )
    if any(isinstance(cell, str) for cell in cells):
        columns = [
            numbers(frame, cell, f"propensity of arm {arm!r}:") if isinstance(cell, str) else np.full(n, float(cell))
            for arm, cell in zip(arms, cells, strict=True)
        ]
        return check_propensity(np.column_stack(columns), arms)
    row = np.asarray([float(cell) for cell in cells])
    return np.broadcast_to(check_propensity(row[None, :], arms), (n, len(arms)))


def check_unnamed(given: object, instead: str = "give ") -> None:
    """Refuse a data frame: taken by position, its columns might stand for other arms than their names say."""
    if hasattr(given, "columns"):
        raise InputError(
            f"propensity is a table of named columns, which an array would mix up; {instead}an array in the order of "
            "the arms, control first: table[[...]].to_numpy()"
        )


def check_propensity(table: NDArray[np.float64], arms: tuple[str, ...]) -> NDArray[np.float64]:
    """Refuse cells outside (0, 1] and rows that do not sum to 1; rescale the rest to sum to 1 exactly."""
    rows = len(table)
    for j, arm in enumerate(arms):
        check_finite(table[:, j], f"propensity of arm {arm!r}")
        outside = (table[:, j] <= 0) | (table[:, j] > 1)
        if outside.any():
            row = int(np.argmax(outside))
            cell = f"{table[row, j]:g}"
            count = f" in {int(outside.sum()):,} of {rows:,} rows, first {cell} in row {row:,}"
            where = count if rows > 1 else f": {cell}"
            raise InputError(
                f"propensity of arm {arm!r} lies outside (0, 1]{where}; "
                "a probability above 0 is expected: drop users who could not get the arm, or the arm"
            )
    total = table.sum(axis=1)
    off = np.abs(total - 1) > SUM_TOLERANCE
    if off.any():
        row = int(np.argmax(off))
        where = f" in {int(off.sum()):,} of {rows:,} rows (row {row:,})" if rows > 1 else ""
        raise InputError(
            f"the propensities of the {len(arms)} arms sum to {total[row]:.6g}{where}; "
            "1 is expected: give the probability of every arm, control included"
        )
    return np.asarray(table / total[:, None])


class ShareTest(NamedTuple):
    """The chance of arm counts that differ as much from those expected, and what was compared.

    chance : p-value, of the test named in `test`, "chi-square" or "Poisson". groups : positions of the arms that were
    counted together. expected, logged : (groups,) users.
    """

    chance: float
    test: str
    groups: list[list[int]]
    expected: NDArray[np.float64]
    logged: NDArray[np.float64]


class Mismatch(NamedTuple):
    """Arm counts that contradict the propensities: the chance of as large a difference, and the text for the user."""

    chance: float
    text: str


def share_test(campaign: Campaign, cluster: NDArray[np.int64] | None = None) -> ShareTest | None:
    """The log's own arm counts held against the stated propensities; None without propensities or users.

    Chances that were taken from the log's own shares agree with it always. See `share_mismatch`.
    """
    p = campaign.propensity
    if p is None or not len(campaign):
        return None
    code = np.arange(len(p)) if cluster is None else cluster
    groups = counted_together(by_cluster(p, code))
    pool = np.array([[float(j in group) for group in groups] for j in range(len(campaign.arms))])  # (K+1, groups)
    alone_chance = tails([j for group in groups for j in group if len(group) > 1], campaign.treatment, p, code)
    p, got = p @ pool, pool[campaign.treatment]
    chance, test = chance_of_counts(got, p, code), "chi-square"
    if alone_chance and min(alone_chance.values()) < chance:
        j = min(alone_chance, key=lambda arm: alone_chance[arm])
        chance, test, groups = alone_chance[j], "Poisson", [[j], [k for k in range(len(campaign.arms)) if k != j]]
        pool = np.array([[float(k in group) for group in groups] for k in range(len(campaign.arms))])
        p, got = campaign.propensity @ pool, pool[campaign.treatment]
    chance = min(1.0, chance * (1 + len(alone_chance)))
    return ShareTest(chance, test, groups, p.sum(axis=0), got.sum(axis=0))


def share_mismatch(campaign: Campaign, cluster: NDArray[np.int64] | None = None) -> Mismatch | None:
    """What contradicts the stated propensities in the log's own arm counts, or None ("sample ratio mismatch").

    `cluster` (n,) are whole numbers from 0, alike for users who may have got their arm together; by default nobody
    did. With N_gj users of cluster g logged with arm j, P_gj = sum_{i in g} p_ij expected, m_g users, G clusters and
    S = sum_g (N_g - P_g), the statistic is S' V^+ S. Where no cluster has two arms,

        V = sum_g (m_g diag(P_g) - P_g P_g'),       about chi-square with r = rank V degrees of freedom,

    which for m_g = 1 is the test of users drawn one by one. Where clusters are mixed, how their users hang together
    is unknown and V = sum_g (N_g - P_g) (N_g - P_g)': S' V^+ S / G is Beta(r / 2, (G - r) / 2) for normal N_g - P_g
    (Hotelling's T^2 about a known mean; derived here). Few users of an arm make that V too small by chance, so that
    the test of users drawn one by one must agree: the larger of the two probabilities counts. Said below p = 1e-3.

    Arms are counted together, the rarest first, until each group has (sum_g P_gj)^2 / sum_g m_g P_gj >= 10, which is
    the expected number of clusters where these have one size: with fewer the tail is far from chi-square. Where no
    cluster has two arms, each arm counted together with others is also held against the Poisson distribution of its
    expected number of clusters (users, without any), whose tails are no lighter than those of the true one; the
    smallest of these probabilities is multiplied by their number (Bonferroni). It sees wrong shares, not a wrong
    assignment with the right shares, nor wrong shares of rare arms where clusters are mixed.
    """
    found = share_test(campaign, cluster)
    if found is None or not found.chance < MISMATCH_BELOW:
        return None
    chance, test, groups, expected, logged = found
    worst = int(np.argmax(np.abs(logged - expected) / np.sqrt(expected)))
    named = " or ".join(repr(campaign.arms[j]) for j in groups[worst])
    alone = ", or name the clusters where users of a group (a household) got their arm together"
    text = (
        f"the propensities contradict the log ({test} test of the arm counts, {_p(chance)}): arm {named} should "
        f"have about {expected[worst]:,.0f} of {len(campaign):,} users and has {logged[worst]:,.0f}; every verified "
        f"figure would be wrong: state the chances with which the arms were drawn{alone if cluster is None else ''}"
    )
    return Mismatch(chance, text)


def _p(chance: float) -> str:
    return f"p = {chance:.1g}" if chance > 1e-99 else "p < 1e-99"
