"""The pass of one budget: who is settled between two prices, exactly, and the steps or the rows of the others."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from allocation.engine import threads
from allocation.engine.bracket import settle_users, steps_of
from allocation.engine.kernels import TOP
from allocation.engine.money import carried, register_of, register_total
from allocation.engine.stream.chunks import Arrays, Chunk
from allocation.engine.stream.rule import last_arms
from allocation.engine.tables import Table, Tables

BINS = 12  # binary digits of a bin's number
SPARE = 16_384  # users, of all, who come home at once in case a little money is left
EVERYWHERE = 1 << 62  # a place beyond all


@dataclass(frozen=True, eq=False)
class Look:
    """What a chunk costs at two prices, and where its steps between them lie.

    `least` is what the users cost who take only steps above `high`, `most` with all steps of a return of at least
    `low` (registers). `cost` and `steps` tell money and number of the steps between, in bins of the slope's leading
    digits counted from `low`; `places` the first place of the chunk and the one after its last.
    """

    low: float
    high: float

    def __call__(self, chunk: Chunk) -> Arrays:
        users = chunk.tables
        settled = settle_users(users, self.low, self.high)
        steps = steps_of(users, settled.rows, self.low, self.high)
        everybody = np.ones(len(settled.rows), dtype=np.bool_)
        ends = [_chosen(users.cost, settled.rows, last_arms(steps, taken)) for taken in (~everybody, everybody)]
        least, most = (settled.sums[1] + register_of(end) for end in ends)
        bins = ((bits(steps.amount[:, 2]) - bits(self.low)) >> shift(self.low, self.high)).astype(np.int64)
        room = int((bits(self.high) - bits(self.low)) >> shift(self.low, self.high)) + 1
        place = chunk.places()
        return {
            "least": least,
            "most": most,
            "cost": np.bincount(bins, steps.amount[:, 0], minlength=room),
            "steps": np.bincount(bins, minlength=room),
            "places": np.array([place[0], place[-1] + 1] if len(place) else [0, 0]),
        }


@dataclass(frozen=True, eq=False)
class Keep:
    """The exact sums of the settled users of a chunk, and the rows of those who are open between two prices.

    Open are those whose arm differs between the prices and whose place is in [first, last). Of the others those
    before `first` take every step of at least `low`, those from `last` on only steps above `high`. `sums` (3, words)
    are registers of value, cost and control value of all who are not open. `spare` are rows of those of them to whom
    a more valuable arm costs least extra, with their arms, a `share` of the chunk at most; `reach` is what it costs
    the next one.
    """

    low: float
    high: float
    first: int = 0
    last: int = EVERYWHERE
    share: float = 1.0

    def __call__(self, chunk: Chunk) -> Arrays:
        users = chunk.tables
        settled = settle_users(users, self.low, self.high)
        place = chunk.places(settled.rows)
        open_ = (place >= self.first) & (place < self.last)
        rows, sums = settled.rows[~open_], settled.sums
        if len(rows):
            own = last_arms(steps_of(users, rows, self.low, self.high), place[~open_] < self.first)
            settled.decision[rows] = own
            for k, (table, arm) in enumerate(((users.value, own), (users.cost, own), (users.value, 0 * own))):
                sums[k] += register_of(_chosen(table, rows, arm))
        extra = least_extra(users, settled.decision)
        extra[settled.rows[open_]] = np.inf
        spare, reach = _smallest(extra, int(self.share * len(chunk)))
        sums = np.array([carried(register) for register in sums])
        found = {"sums": sums, "users": np.array([len(chunk)]), "reach": np.array([reach])}
        at_home = {f"spare {name}": part for name, part in packed(users.of(spare), chunk.places(spare)).items()}
        found |= at_home | {"spare arm": settled.decision[spare]}
        return found | packed(users.of(settled.rows[open_]), place[open_])


def packed(users: Tables, place: NDArray[np.int64]) -> Arrays:
    """Some users' rows on their way home."""
    rows: Arrays = {"place": place, "value": users.value, "cost": users.cost}
    return rows if users.eligible is None else rows | {"eligible": users.eligible}


@dataclass(frozen=True, eq=False)
class Pool:
    """Users who have come home from their chunks: their places (r,), rising, and rows."""

    place: NDArray[np.int64]
    users: Tables


def pooled(parts: list[Arrays], arms: int, prefix: str = "") -> Pool:
    """The users of all chunks, in order; `prefix` is that of the names of their arrays."""
    if not parts:
        none = np.empty((0, arms))
        return Pool(np.empty(0, dtype=np.int64), Tables(none, none, None))
    parts = [
        {name.removeprefix(prefix): rows for name, rows in part.items() if name.startswith(prefix)} for part in parts
    ]
    joined = {name: np.concatenate([part[name] for part in parts]) for name in ("place", "value", "cost")}
    eligible = [part.get("eligible", np.ones(part["value"].shape, dtype=np.bool_)) for part in parts]
    some = any("eligible" in part for part in parts)
    return Pool(joined["place"], Tables(joined["value"], joined["cost"], np.concatenate(eligible) if some else None))


@dataclass(frozen=True, eq=False)
class Looked:
    """What all chunks cost at two prices; `of_chunk` has each one's exact extra cost and places, in order."""

    low: float
    high: float
    least: Fraction
    most: Fraction
    cost: NDArray[np.float64]
    steps: NDArray[np.int64]
    of_chunk: list[tuple[Fraction, int, int]] = field(repr=False)

    def edges(self, first: int, last: int) -> tuple[float, float]:
        """The prices between which the bins first, ..., last lie."""
        width = shift(self.low, self.high)
        low = bits(self.low) + (first << width)
        high = bits(self.low) + ((last + 1) << width) - 1
        return max(floats(int(low)), self.low), min(floats(int(high)), self.high)


def looked(parts: list[Arrays], low: float, high: float) -> Looked:
    """The chunks' looks together; money is exact, bins are summed in the order of the chunks."""
    of_chunk = [
        (register_total(part["most"]) - register_total(part["least"]), *part["places"].tolist()) for part in parts
    ]
    return Looked(
        low,
        high,
        sum((register_total(part["least"]) for part in parts), Fraction(0)),
        sum((register_total(part["most"]) for part in parts), Fraction(0)),
        np.sum([part["cost"] for part in parts], axis=0),
        np.sum([part["steps"] for part in parts], axis=0),
        of_chunk,
    )


def least_extra(users: Tables, decision: NDArray[np.int64]) -> NDArray[np.float64]:
    """What the cheapest more valuable arm costs each user extra, (n,), money; infinite where there is none."""
    users = users.read_only
    extra = np.empty(len(decision))

    def piece(at: tuple[int, int]) -> None:
        """Those of one piece of the users."""
        part = slice(*at)
        eligible = None if users.eligible is None else users.eligible[part]
        _least_extra(users.value[part], users.cost[part], eligible, decision[part], extra[part])

    threads.run(piece, threads.pieces(len(decision)))
    return extra


def _smallest(extra: NDArray[np.float64], most: int) -> tuple[NDArray[np.int64], float]:
    """The users, rising, with the smallest finite amounts, `most` at most, and the smallest amount left out."""
    if len(extra) <= most:
        return np.flatnonzero(extra < np.inf), np.inf
    reach = float(np.partition(extra, most)[most])
    return np.flatnonzero(extra < reach), reach


@njit(nogil=True, cache=True)
def _least_extra(value: Any, cost: Any, eligible: Any, decision: Any, extra: Any) -> None:
    for i in range(len(decision)):
        own_cost, own_value = np.float64(cost[i, decision[i]]), value[i, decision[i]]
        least = np.inf
        for j in range(value.shape[1]):
            more = np.float64(cost[i, j]) - own_cost
            better = (more > 0) & (value[i, j] > own_value) & (more < least)
            if eligible is not None:
                better &= eligible[i, j]
            least = more if better else least
        extra[i] = least


def shift(low: float, high: float) -> int:
    """How many of the slopes' last digits a bin leaves out."""
    return max(0, int(bits(high) - bits(low)).bit_length() - BINS)


def bits(slope: float | NDArray[np.float64]) -> NDArray[np.int64]:
    """A slope's digits as a whole number, which grows with the slope."""
    return np.asarray(slope, dtype=np.float64).view(np.int64)


def floats(digits: int) -> float:
    """The slope of such digits."""
    return min(float(np.int64(digits).view(np.float64)), TOP)


def _chosen(table: Table, rows: NDArray[np.int64], arm: NDArray[np.int64]) -> NDArray[np.float64]:
    return table[rows, arm].astype(np.float64)
