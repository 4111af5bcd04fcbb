"""A first pass for a plan with limits: how large it is, and some of its users for first prices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from allocation.engine.dual import KNOWN
from allocation.engine.problem import Problem, ProblemError
from allocation.engine.rows import Floats, Ints
from allocation.engine.scores import Scores
from allocation.engine.stream.chunks import Arrays, Chunk, Chunks
from allocation.engine.stream.look import packed
from allocation.engine.stream.terms import Terms

SAMPLING = "a sample for first prices"


@dataclass(frozen=True, eq=False)
class Pick:
    """The rows of a chunk's users whose places are picked, and what of a chunk must be known besides.

    `worst` is the value of the worst decision, `size` the sum of absolute values, `of_row` how many users each row
    is about, `users` how many there are.
    """

    terms: Terms
    picked: NDArray[np.int64]  # places, rising

    def __call__(self, chunk: Chunk) -> Arrays:
        place = chunk.places()
        at = np.searchsorted(self.picked, place)
        rows = np.flatnonzero(self.picked[np.minimum(at, len(self.picked) - 1)] == place)
        value = chunk.value if chunk.eligible is None else np.where(chunk.eligible, chunk.value, np.inf)
        return {
            "users": np.array([len(chunk)]),
            "worst": np.array([value.min(axis=1).sum(dtype=np.float64)]),
            "size": np.array([np.abs(chunk.value).sum(dtype=np.float64)]),
            "of_row": self.terms.scores(chunk).sizes(),
        } | packed_chunk(chunk, rows)


def packed_chunk(chunk: Chunk, rows: NDArray[np.int64]) -> Arrays:
    """Some users' rows of all tables and masks on their way home."""
    found = packed(chunk.tables.of(rows), chunk.places(rows))
    for name, table in chunk.resources.items():
        found[f"resource {name}"] = table[rows]
    for k, mask in enumerate(chunk.masks):
        if mask is not None:
            found[f"mask {k}"] = mask[rows]
    return found


def unpacked(parts: list[Arrays], terms: Terms) -> Chunk:
    """The users of all chunks as one chunk, in order."""

    def joined(name: str) -> Any:
        """One array of all chunks, None where they have none."""
        return np.concatenate([part[name] for part in parts]) if name in parts[0] else None

    return Chunk(
        0,
        joined("value"),
        joined("cost"),
        joined("eligible"),
        {name: joined(f"resource {name}") for name in terms.resources},
        tuple(joined(f"mask {k}") for k in range(len(terms.limits))),
        joined("place"),
    )


@dataclass(frozen=True, eq=False)
class Sample:
    """Some users, and of all: n, the least value a decision can have, and how many users each row is about (m,)."""

    chunk: Chunk
    n: int
    worst: float
    of_row: Ints


def places_of(places: int, size: int) -> NDArray[np.int64]:
    """One place at random of each of `size` stretches, or all where there are no more."""
    if places <= size:
        return np.arange(places)
    edges = np.linspace(0, places, size + 1)
    return (edges[:-1] + np.random.default_rng(0).random(size) * np.diff(edges)).astype(np.int64)


def draw(chunks: Chunks, terms: Terms, places: int, size: int) -> Sample:
    """Some users, one at random of each of `size` stretches of places, or everybody; one pass."""
    parts = chunks.each(Pick(terms, places_of(places, size)), SAMPLING)
    if not parts:
        raise ProblemError("there is nobody to decide for; the limits are about nobody")
    worst, size_of = (math.fsum(float(part[name][0]) for part in parts) for name in ("worst", "size"))
    n, of_row = (np.sum([part[name] for part in parts], axis=0) for name in ("users", "of_row"))
    return Sample(unpacked(parts, terms), int(n[0]), worst - 1e-12 * size_of, of_row)


def problem_of(chunk: Chunk, terms: Terms, kept: Sequence[bool]) -> Problem:
    """The plan's own problem, where the chunk holds everybody, with those limits (m,) that are kept."""
    each = zip(terms.limits, chunk.masks, kept, strict=True)
    limits = [replace(limit, users=mask) for limit, mask, stays in each if stays]
    return Problem(chunk.value, chunk.cost, terms.budget, chunk.eligible, limits, dict(chunk.resources))


def scaled(sample: Sample, terms: Terms) -> tuple[Scores, bool]:
    """The sample's scores with bounds for as many of each row's users as are in it, and whether all rows are known.

    A row of which the sample has hardly a user is left out.
    """
    scores = terms.scores(sample.chunk)
    of_some = scores.sizes()
    known = of_some >= KNOWN
    share = np.where(known, of_some / np.maximum(sample.of_row, 1), 1.0)
    low: Floats = np.where(known, scores.low * share, -np.inf)
    high: Floats = np.where(known, scores.high * share, np.inf)
    return replace(scores, low=low, high=high), bool(known.all())
