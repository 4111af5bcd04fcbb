"""Resamples of a log to refit a policy on: users within their arm, or whole clusters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uplift.campaign import Campaign
from uplift.errors import InputError, nearest
from uplift.groups import label_codes
from uplift.seeds import stream

Integers = NDArray[np.int64]
RESAMPLES = ("half", "bootstrap")
ATTEMPTS = 100  # draws of clusters until every arm is among them


def resampled_rows(
    campaign: Campaign, *, resample: str = "half", cluster: Any = None, seed: int | np.random.Generator = 0
) -> Iterator[Integers]:
    """Rows of one resample after the other, without an end; the users of a resample stand in the log's order.

        "half"      : half of the units (rounded up), without replacement, so that no row repeats
        "bootstrap" : as many units as the log has, with replacement, so that rows do

    Without `cluster` (n,) the units are users, drawn within each arm: every arm keeps its number of users (or half
    of it), no arm is ever lost, and stated propensities fit the resample as they fit the log. With `cluster` the
    units are whole clusters, whose arms may be mixed, so that the numbers of the arms vary; a draw that lacks an arm
    is drawn anew.

    Both vary a mean as a new log of n users would: with n / 2 of n users without replacement its variance is
    (1 - 1/2) S^2 / (n/2) = S^2 / n (sampling from a finite population). What grows with the log, such as the leaves
    of a tree, sees only half of it.

    Raises InputError for another name of `resample`, labels that do not fit the users, fewer than two clusters, and
    an arm in so few clusters that 100 draws missed it.
    """
    if resample not in RESAMPLES:
        raise InputError(f"resample is {resample!r}.{nearest(str(resample), RESAMPLES)}")
    rng = stream(seed, "refits")
    if cluster is None:
        of_arm = [np.flatnonzero(campaign.treatment == j) for j in range(len(campaign.arms))]
        return _users(of_arm, resample, rng)
    names, code = label_codes(cluster, len(campaign), "cluster")
    if len(names) < 2:
        raise InputError(
            f"cluster holds {len(names)} label for {len(code):,} users; at least 2 clusters are expected"
        )
    return _clusters(campaign, code, len(names), resample, rng)


def _users(of_arm: list[Integers], resample: str, rng: np.random.Generator) -> Iterator[Integers]:
    while True:
        yield np.sort(np.concatenate([_draw(rows, resample, rng) for rows in of_arm]))


def _clusters(
    campaign: Campaign, code: Integers, G: int, resample: str, rng: np.random.Generator
) -> Iterator[Integers]:
    while True:
        for _ in range(ATTEMPTS):
            times = np.bincount(_draw(np.arange(G), resample, rng), minlength=G)
            rows = np.repeat(np.arange(len(code)), times[code])
            counts = np.bincount(campaign.treatment[rows], minlength=len(campaign.arms))
            if counts.all():
                break
        else:
            j = int(np.argmin(counts))
            raise InputError(
                f"arm {campaign.arms[j]!r} is in so few of the {G:,} clusters that {ATTEMPTS} resamples of clusters "
                "lacked an arm each; drop the arm, or leave cluster out"
            )
        yield rows


def _draw(units: Integers, resample: str, rng: np.random.Generator) -> Integers:
    if resample == "half":
        return rng.permutation(units)[: (len(units) + 1) // 2]
    return rng.choice(units, len(units))
