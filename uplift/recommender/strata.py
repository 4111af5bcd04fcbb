"""Strata of activeness for recommendation: whose loss counts how much, and for whom the ranking is reported."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uplift.causal.activeness import HEAD_QUANTILE, check_activeness, head
from uplift.causal.activeness import strata as quantile_groups
from uplift.errors import InputError, check_whole
from uplift.seeds import stream
from uplift.words import wrapped


@dataclass(frozen=True, eq=False)
class Strata:
    """Groups of users by activeness, and who is head.

    Attributes
    ----------
    group : (U,) int64 in 0..S-1, the group of each user.
    head : (U,) booleans, who is above the .8 quantile of activeness; the rest is the tail.
    names : of the S groups, "1 of 5" the least active.
    activeness : (U,) float64, events of each user in the training part.
    note : what ties did to the groups or to the head, empty when nothing.

    Misleads as a cause: activeness is partly the result of past recommendations, so a stratum is who users had
    become, not who they are.
    """

    group: NDArray[np.int64]
    head: NDArray[np.bool_]
    names: tuple[str, ...]
    activeness: NDArray[np.float64]
    note: str = ""

    def __len__(self) -> int:
        return len(self.group)

    @property
    def n_groups(self) -> int:
        """How many groups there are, S."""
        return len(self.names)

    @property
    def lowest(self) -> NDArray[np.float64]:
        """The smallest activeness of each group, (S,) events."""
        return self._extreme(np.minimum, np.inf)

    @property
    def highest(self) -> NDArray[np.float64]:
        """The largest activeness of each group, (S,) events."""
        return self._extreme(np.maximum, -np.inf)

    @property
    def user_share(self) -> NDArray[np.float64]:
        """The share of the users in each group, (S,): the weights of an average that counts every user once."""
        return np.bincount(self.group, minlength=self.n_groups) / len(self)

    @property
    def event_share(self) -> NDArray[np.float64]:
        """The share of the training events in each group, (S,); NaN when there is no event at all."""
        events = np.bincount(self.group, weights=self.activeness, minlength=self.n_groups)
        total = events.sum()
        return events / total if total else np.full(self.n_groups, np.nan)

    def group_of(self, activeness: ArrayLike) -> NDArray[np.int64]:
        """The group of users with this many events, (n,), who need not be of the log.

        Beyond the most or least active user of the log it is that user's group. Raises InputError for placebo groups,
        which activeness does not tell.
        """
        if (self.highest[:-1] >= self.lowest[1:]).any():
            raise InputError("these groups overlap in activeness, so it does not tell a user's group; give them")
        return np.searchsorted(self.lowest[1:], _checked(activeness), side="right").astype(np.int64)

    def merged(self, into: ArrayLike) -> Strata:
        """The strata with group z joined into group into[z] (S,), names and numbers made anew; `note` says so."""
        code = np.unique(np.asarray(into), return_inverse=True)[1]
        count = int(code.max()) + 1
        names = tuple(f"{z + 1} of {count}" for z in range(count))
        note = f"{self.note} {self.n_groups} strata were joined into {count}.".strip()
        return replace(self, group=code[self.group].astype(np.int64), names=names, note=note)

    def __str__(self) -> str:
        lines = [f"{'stratum':<16} {'activeness':>16} {'share of users':>15} {'share of events':>16}"]
        groups = zip(self.names, self.lowest, self.highest, self.user_share, self.event_share, strict=True)
        for name, low, high, users, events in groups:
            lines.append(f"{name:<16} {f'{low:g} to {high:g}':>16} {users:>15.1%} {events:>16.1%}")
        lines.append(f"Head: {int(self.head.sum()):,} of {len(self):,} users.")
        return "\n".join([*lines, wrapped(self.note)] if self.note else lines)

    def __repr__(self) -> str:
        return str(self)

    def _extreme(self, which: np.ufunc, start: float) -> NDArray[np.float64]:
        found = np.full(self.n_groups, start)
        which.at(found, self.group, self.activeness)
        return found


def activeness_strata(activeness: ArrayLike, n_strata: int = 5) -> Strata:
    """Quantile groups of equally many users, and the head, from the number of training events of each user.

    Groups and head are those of `uplift.causal.strata` and `uplift.causal.head`: equal activeness is never split,
    and groups that ties leave empty are closed up. What cannot be as asked is said in `note`:

    - all users are equally active: one group, nobody is head;
    - so many share the largest activeness that nobody is above its .8 quantile: the top stratum is the head, and
      nobody where that is everybody.

    `n_strata=1` gives one group beside the same head. `activeness` must come from the training part alone; counted
    on the whole log it tells of the future. Raises InputError for activeness that is missing, not finite or
    negative, and for fewer than 1 strata.
    """
    check_whole(n_strata, "n_strata")
    a = _checked(activeness)
    if a.min() == a.max():
        note = f"All users have activeness {a[0]:g}: one group, and nobody is head."
        return Strata(np.zeros(len(a), dtype=np.int64), np.zeros(len(a), dtype=bool), ("1 of 1",), a, note)
    group = quantile_groups(a, n_strata) if n_strata > 1 else np.zeros(len(a), dtype=np.int64)
    n_groups = int(group.max()) + 1
    notes = []
    if n_groups < n_strata:
        notes.append(f"Equal activeness is never split, which leaves {n_groups} of {n_strata} strata.")
    above, why = _head(a)
    names = tuple(f"{z + 1} of {n_groups}" for z in range(n_groups))
    return Strata(group, above, names, a, " ".join([*notes, why] if why else notes))


def random_strata(strata: Strata, seed: int | np.random.Generator) -> Strata:
    """A placebo: groups of the same sizes whose members are drawn at random; the head stays.

    What is trained by these groups can gain nothing from activeness; the head is about evaluation, so it is that of
    `strata`. Same seed, same groups.
    """
    return replace(
        strata,
        group=stream(seed, "random strata").permutation(strata.group),
        names=tuple(f"random {name}" for name in strata.names),
    )


def _head(a: NDArray[np.float64]) -> tuple[NDArray[np.bool_], str]:
    """Who is head, and what to say when ties leave nobody above the quantile."""
    try:
        return head(a), ""
    except InputError:
        group = quantile_groups(a)
    share = f"{(a == a.max()).mean():.0%} of the users share the largest activeness, {a.max():g}"
    if group.max() == 0:
        return np.zeros(len(a), dtype=bool), f"Nobody is head, because {share}."
    top = group == group.max()
    return top, f"The head is the top stratum, because nobody is above the {HEAD_QUANTILE:g} quantile: {share}."


def _checked(activeness: ArrayLike) -> NDArray[np.float64]:
    a = check_activeness(activeness).copy()  # the strata keep it
    if a.min() < 0:
        raise InputError(
            f"activeness is negative for {int((a < 0).sum()):,} of {len(a):,} users; a count of events is expected"
        )
    return a
