"""Attributes of users from their features: a few groups of each, by which limits and segments speak of them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from allocation.jobs.numbers import decimals, distinct_places, number
from allocation.jobs.tables.schema import PREFIXES
from uplift.causal.activeness import head
from uplift.errors import InputError

ACTIVENESS = "activeness"
MOST_DISTINCT = 8  # values of a feature that are groups as they are; of more a quarter of the users makes one
CUTS = (0.25, 0.5, 0.75)
MOST_FEATURES = 24  # of more the first ones


def attributes_of(X: NDArray[np.floating], features: Sequence[str], taken: Sequence[str]) -> dict[str, pa.Array]:
    """Each feature as a column of text, (n,): its value where there are few, else the quarter it lies in.

    Left out are features of a single value, for they tell nobody apart, of a name that is `taken` by another column
    of the table, and of one that begins as a column of responses does, such as value.last.
    """
    found = {}
    for j, name in enumerate(features[:MOST_FEATURES]):
        labels = _labels(X[:, j].astype(np.float64))
        if labels is not None and name not in taken and not name.startswith(PREFIXES):
            found[name] = labels
    return found


def head_and_tail(activeness: NDArray[np.float64]) -> dict[str, pa.Array]:
    """A column of "head" and "tail", (n,); none where so many are equally active that there is no head."""
    try:
        top = head(activeness)
    except InputError:
        return {}
    return {ACTIVENESS: pa.array(["tail", "head"]).take(pa.array(top.astype(np.int64)))}


def _labels(x: NDArray[np.float64]) -> pa.Array | None:
    values, code = np.unique(x, return_inverse=True)
    if len(values) < 2:
        return None
    if len(values) <= MOST_DISTINCT:
        return pa.array(_told(values)).take(pa.array(code))
    cuts = np.unique(np.quantile(x, CUTS, method="inverted_cdf"))
    told = _told(cuts)
    names = [f"up to {told[0]}", *(f"above {a} to {b}" for a, b in pairwise(told)), f"above {told[-1]}"]
    return pa.array(names).take(pa.array(np.searchsorted(cuts, x)))  # a cut belongs to the group below it


def _told(amounts: NDArray[np.float64]) -> list[str]:
    """Numbers as text, no two alike: whole ones as such, others with three digits where these tell them apart."""
    whole = bool(np.equal(np.mod(amounts, 1), 0).all())
    places = 0 if whole else min(distinct_places(amounts.tolist()), max(map(decimals, amounts.tolist())))
    found = [number(x, 0 if float(x).is_integer() else places) for x in amounts.tolist()]
    return found if len(set(found)) == len(found) else [repr(x) for x in amounts.tolist()]
