"""The users of a run in memory, as a source for the passes of the nightly job."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from numpy.typing import NDArray

from allocation.jobs.analyst.run import Run
from allocation.jobs.plan import Plan
from allocation.jobs.tables.blocks import Block
from allocation.jobs.tables.open import open_responses
from allocation.jobs.tables.schema import COST, ELIGIBLE, RESOURCE, USER_ID, VALUE


@dataclass(frozen=True, eq=False)
class HeldSource:
    """Blocks cut from one that holds everybody; without copies."""

    whole: Block
    arms: tuple[str, ...]

    @property
    def n(self) -> int:
        """How many users there are."""
        return len(self.whole)

    @property
    def id_type(self) -> pa.DataType | None:
        """int64, uint64 or text."""
        return self.whole.user_id.type

    def block(self, first: int, end: int) -> Block:
        """The users [first, end)."""
        return self.whole.rows(first, end)

    def stream(self, size: int) -> Iterator[Block]:
        """The blocks of `size` users, in order, the last one shorter."""
        return (self.block(first, min(first + size, self.n)) for first in range(0, self.n, size))

    def ids(self, size: int) -> Iterator[pa.Array]:
        """The user ids alone, in order, in arrays of `size` users, the last one shorter."""
        return (self.whole.user_id[first : first + size] for first in range(0, self.n, size))

    def place(self, position: int) -> str:
        """Which row the user at a position is, for messages."""
        return f"row {position:,}"

    def fingerprint(self) -> dict[str, Any]:
        """Nothing: what is held was read before."""
        return {}

    def start_fingerprint(self) -> object:
        """See `fingerprint`."""
        return None


def is_filed(run: Run) -> bool:
    """Whether the run's table lies in a file; that of an upload was there only while it was read."""
    return run.place.is_absolute()


def held_table(run: Run) -> pa.Table:
    """The run's users as a response table, with all that is held of them."""
    columns: dict[str, Any] = {USER_ID: run.user_id}
    tables: dict[str, NDArray[Any]] = {
        VALUE: run.value,
        COST: run.cost,
        **{f"{RESOURCE}{name}.": t for name, t in run.resources.items()},
    }
    if run.eligible is not None:
        tables[ELIGIBLE] = run.eligible
    for prefix, table in tables.items():
        columns |= {prefix + arm: pa.array(table[:, j]) for j, arm in enumerate(run.arms)}
    return pa.table(columns | dict(run.attributes))


def held_source(run: Run, plan: Plan) -> HeldSource:
    """The run's users with all that the plan's limits ask for.

    Attributes that the run does not hold, such as floats and names of folders, are read from the plan's table.
    Raises InputError as reading does, for a column that is not there with the nearest name.
    """
    attributes = dict(run.attributes)
    lacking = [name for name in plan.attributes if name not in attributes]
    if lacking and plan.responses is not None and is_filed(run):
        source = open_responses(plan.responses, attributes=lacking, ids=False)
        attributes |= source.block(0, source.n).attributes
    whole = Block(0, run.user_id, run.value, run.cost, run.eligible, run.resources, attributes)
    return HeldSource(whole, run.arms)
