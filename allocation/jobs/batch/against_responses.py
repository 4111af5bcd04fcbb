"""Decisions held against the response table that they were made from, block by block."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from allocation.engine.limit import OWN_MEASURES
from allocation.engine.money import exact_sum
from allocation.engine.price import margins_at
from allocation.engine.tables import Tables, check_eligible
from allocation.jobs.batch.part_reading import batches, opened_part
from allocation.jobs.batch.parts import arm_codes, finite_column
from allocation.jobs.batch.published import LimitEntry, Published
from allocation.jobs.plan_values import shown
from allocation.jobs.tables.blocks import Block
from allocation.jobs.tables.open import open_responses
from allocation.jobs.where import mask_of
from uplift.errors import InputError

BLOCK = 1 << 17


@dataclass(frozen=True)
class Recomputed:
    """What the response table says of the decisions.

    used : (m,) what they use of each limit, in its unit, exactly; None where they are of other users. control : the
    exact value of the decided users under control. problem : the first decision that is not its user's row, or None.
    about : (m,) how many of the decided users each limit is about, None where they are of other users.
    """

    used: tuple[Fraction | None, ...]
    control: Fraction | None
    problem: str | None
    about: tuple[int, ...] | None = None


def recompute(place: Path, published: Published, responses: str | Path) -> Recomputed:
    """Find each decided user in the response table, in its order, and compare arm, value and cost.

    Users of the table without a decision are left out, as those of earlier waves are. Raises InputError where the
    table cannot be read, or has other arms or columns than the limits need.
    """
    limits = published.limits
    resources = list(dict.fromkeys(limit.measure for limit in limits if limit.measure not in OWN_MEASURES))
    attributes = list(dict.fromkeys(column for limit in limits for column in limit.where))
    source = open_responses(responses, resources, attributes)
    if source.arms != published.arms:
        raise InputError(
            f"{responses} has the arms {_named(source.arms)}, the decisions have {_named(published.arms)}; give the "
            "response table that was decided from"
        )
    used, control, about = [Fraction(0) for _ in limits], Fraction(0), [0] * len(limits)
    decided = _Decided(place, published)
    for block in source.stream(BLOCK):
        own, table = decided.take(block)
        codes = arm_codes(table.column("arm"), published.arms)
        held = Tables(own.value, own.cost, _eligible(own))
        problem = _difference(own, held, table, codes, published.arms) or _margins(own, held, table, codes, published)
        if problem is not None:
            return Recomputed((None,) * len(limits), None, problem)
        control += exact_sum(own.value[:, 0].astype(np.float64))
        for k, limit in enumerate(limits):
            inside = _inside(limit, own)
            about[k] += int(inside.sum())
            used[k] += _use(limit, own, inside, codes, published.arms)
        if decided.stuck:
            break
    left = decided.left()
    if left is not None:
        problem = (
            f"user_id {shown(left)} is decided for, but does not stand there in {responses} in the table's order"
        )
        return Recomputed((None,) * len(limits), None, problem)
    return Recomputed(tuple(used), control, None, tuple(about))


class _Decided:
    """The decisions in order, taken block by block of the response table."""

    def __init__(self, place: Path, published: Published) -> None:
        self.tables = _tables(place, published)
        self.ready = next(self.tables, None)
        self.stuck = False  # at a user who does not come next in the table

    def take(self, block: Block) -> tuple[Block, pa.Table]:
        """The users of a block who are decided for next, and their decisions."""
        while self.ready is not None and self.ready.num_rows < len(block):
            further = next(self.tables, None)
            if further is None:
                break
            self.ready = pa.concat_tables([self.ready, further])
        if self.ready is None:
            return block.keep(np.zeros(len(block), dtype=np.bool_)), _empty()
        ids = self.ready.column("user_id").slice(0, len(block)).combine_chunks()
        try:
            ids = ids.cast(block.user_id.type)
        except pa.ArrowException:
            raise InputError(
                f"user_id is {block.user_id.type} in the response table and {ids.type} in the decisions; give the "
                "response table that was decided from"
            ) from None
        if not ids.equals(block.user_id):
            block = block.keep(pc.is_in(block.user_id, value_set=ids).to_numpy(zero_copy_only=False))
        # Users in another order than the table's would be held against the rows of others.
        same = pc.equal(ids.slice(0, len(block)), block.user_id).to_numpy(zero_copy_only=False)
        count = len(same) if same.all() else int(same.argmin())
        self.stuck = count < len(same)
        table, self.ready = self.ready.slice(0, count), self.ready.slice(count)
        return block.keep(np.arange(len(block)) < count) if self.stuck else block, table

    def left(self) -> Any | None:
        """The id of the first decision that was not taken, None where all were."""
        while self.ready is not None and self.ready.num_rows == 0:
            self.ready = next(self.tables, None)
        return None if self.ready is None else self.ready.column("user_id")[0].as_py()


def _tables(place: Path, published: Published) -> Iterator[pa.Table]:
    for part in published.parts:
        with opened_part(place, part, published.run) as file:
            yield from batches(file, part)


def _empty() -> pa.Table:
    amounts = {name: pa.array([], pa.float64()) for name in ("expected_value", "expected_cost")}
    return pa.table({"arm": pa.array([], pa.string()), **amounts})


def _eligible(block: Block) -> NDArray[np.bool_] | None:
    """Who may get what, (r, K+1); who may have nothing is on control."""
    return None if block.eligible is None else check_eligible(block.eligible, block.value.shape)


def _difference(
    block: Block, held: Tables, table: pa.Table, codes: NDArray[np.int32], arms: Sequence[str]
) -> str | None:
    """The first decision that is not what its user's row says of its arm."""
    rows = np.arange(len(block))
    if held.eligible is not None:
        barred = np.flatnonzero(~held.eligible[rows, codes])
        if len(barred):
            return f"{_who(block, barred[0])} gets {shown(arms[codes[barred[0]]])}, for which it is not eligible"
    for name, amounts in (("expected_value", block.value), ("expected_cost", block.cost)):
        written, said = finite_column(table, name), amounts[rows, codes].astype(np.float64)
        other = np.flatnonzero(written != said)
        if len(other):
            row = int(other[0])
            return (
                f"{_who(block, row)} gets {shown(arms[codes[row]])} with {name} {written[row]:,}, the response table "
                f"says {said[row]:,}"
            )
    return None


def _margins(
    block: Block, held: Tables, table: pa.Table, codes: NDArray[np.int32], published: Published
) -> str | None:
    """The first margin that is not that of the manifest's price; prices of limits are in margins, too."""
    if published.limits or published.price is None or not len(block):
        return None
    said = margins_at(held, codes.astype(np.int64), published.price)
    written = table.column("margin").to_numpy()
    other = np.flatnonzero((written != said) & ~(np.isnan(written) & np.isnan(said)))
    if not len(other):
        return None
    row = int(other[0])
    return f"{_who(block, row)} has the margin {written[row]:,}, at the price {published.price:,} it is {said[row]:,}"


def _inside(limit: LimitEntry, block: Block) -> NDArray[np.bool_]:
    """Whom of a block a limit is about, (r,)."""
    mask = mask_of(
        {column: tuple(values) for column, values in limit.where.items()},
        block.attributes,
        len(block),
        f"limit {shown(limit.name)}",
    )
    return np.ones(len(block), dtype=np.bool_) if mask is None else mask


def _use(
    limit: LimitEntry, block: Block, inside: NDArray[np.bool_], codes: NDArray[np.int32], arms: Sequence[str]
) -> Fraction:
    """What the decisions of a block use of a limit, exactly."""
    counts = np.isin(codes, [k for k, arm in enumerate(arms) if arm in limit.arms])
    rows = np.flatnonzero(counts & inside)
    if limit.measure == "users":
        return Fraction(len(rows))
    own: dict[str, NDArray[Any]] = {"value": block.value, "cost": block.cost}
    table = own[limit.measure] if limit.measure in own else block.resources[limit.measure]
    return exact_sum(table[rows, codes[rows]].astype(np.float64))


def _who(block: Block, row: int) -> str:
    return f"user_id {shown(block.user_id[int(row)].as_py())}"


def _named(arms: Sequence[str]) -> str:
    return ", ".join(arms)[:200]
