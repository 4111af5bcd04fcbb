"""A table of features and a model as a source: prediction streams, block by block."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from allocation.jobs.tables.ahead import one_ahead
from allocation.jobs.tables.blocks import Block, join
from allocation.jobs.tables.columns import Draft
from allocation.jobs.tables.model import TOGETHER, Model
from allocation.jobs.tables.open import open_table
from allocation.jobs.tables.reading import FileSource
from allocation.jobs.tables.schema import FEATURES, Columns, TableSchema, plain, with_others
from uplift.cells import LARGEST_SINGLE
from uplift.errors import InputError, check_unique, nearest


class PredictedSource:
    """The users of a table of features, with the value and cost that a model predicts for them.

    users : the table, whose blocks hold features instead of value and cost. model : what predicts.
    What is predicted for a user depends on nothing but the model and the table: users are predicted together in
    groups of `TOGETHER` counted from the table's first user, whatever blocks are asked for.
    """

    def __init__(self, users: FileSource, model: Model) -> None:
        self.users, self.model = users, model

    @property
    def n(self) -> int:
        """How many users there are."""
        return self.users.n

    @property
    def id_type(self) -> pa.DataType | None:
        """int64, uint64 or text; None where ids are not read."""
        return self.users.id_type

    @property
    def arms(self) -> tuple[str, ...]:
        """The arms that the model was fitted on, control first."""
        return self.users.arms

    def block(self, first: int, end: int) -> Block:
        """The users [first, end); those who are predicted together with them are read too."""
        return next(self._blocks(first, end, end - first))

    def stream(self, size: int) -> Iterator[Block]:
        """The blocks of `size` users, in order, the next one read and predicted meanwhile."""
        return one_ahead(self._blocks(0, self.n, size))

    def ids(self, size: int) -> Iterator[pa.Array]:
        """The user ids alone, in order, in arrays of `size` users, the last one shorter."""
        return self.users.ids(size)

    def place(self, position: int) -> str:
        """Which row of which file the user at a position is, for messages."""
        return self.users.place(position)

    def start_fingerprint(self) -> None:
        """Begin to hash the files in threads."""
        self.users.start_fingerprint()

    def fingerprint(self) -> dict[str, Any]:
        """As of a response table, and `model`: the class of its policy and its checksum."""
        return {**self.users.fingerprint(), "model": self.model.fingerprint()}

    def _blocks(self, first: int, end: int, size: int) -> Iterator[Block]:
        """The blocks, cut out of longer ones that begin and end where users are predicted together."""
        if not 0 <= first < end <= self.n or size < 1:
            raise ValueError(f"no blocks of {size} users in [{first}, {end}) of {self.n}")
        start, stop = first // TOGETHER * TOGETHER, min(-(-end // TOGETHER) * TOGETHER, self.n)
        longer = self.users.drafts(start, stop, -(-size // TOGETHER) * TOGETHER)
        have = self._predicted(next(longer))
        for at in range(first, end, size):
            upto = min(at + size, end)
            while have.first + len(have) < upto:
                have = join(have.rows(max(at - have.first, 0), len(have)), self._predicted(next(longer)))
            yield have.rows(at - have.first, upto - have.first)
            have = have.rows(upto - have.first, len(have))

    def _predicted(self, draft: Draft) -> Block:
        return draft.block(*self.model.respond(draft.tables[FEATURES]))


def open_predicted(
    model: str | Path,
    features: str | Path,
    resources: Sequence[str] = (),
    attributes: Sequence[str] = (),
    *,
    ids: bool = True,
) -> PredictedSource:
    """The users of a table of features, with what a saved policy predicts for them, to be read block by block.

    Parameters
    ----------
    model : folder of a policy, as `earmark fit` writes it. A rule of thumb says the same of every user: each arm's
        mean in its log.
    features : path of the table as in `open_responses`: `user_id` and the features by their names in the fit, as
        numbers without missing cells; `eligible.<arm>` and resource.<name>.<arm> as in a response table.
    resources, attributes, ids : as in `open_responses`.

    Raises InputError as `open_responses` and `load_policy` do, and for a feature that is not in the table.
    """
    opened = Model(model)

    def schema_of(schema: pa.Schema, shown: str, hive: dict[str, pa.DataType]) -> TableSchema:
        """What is read of a file of features."""
        check_unique(schema.names, "column", f"{shown}: the", "rename or drop one of them")
        tables = {FEATURES: _features(schema, shown, opened.features)}
        return with_others(schema, shown, opened.arms, tables, resources, attributes, ids=ids, hive=hive)

    return PredictedSource(open_table(features, schema_of), opened)


def _features(schema: pa.Schema, shown: str, names: Sequence[str]) -> Columns:
    for name in names:
        if name not in schema.names:
            raise InputError(
                f"{shown} has no column {name}, a feature that the model was fitted on.{nearest(name, schema.names)}"
            )
        kind = plain(schema.field(name).type)
        is_number = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_decimal)
        if not any(check(kind) for check in is_number):
            raise InputError(
                f"{shown} holds {kind} cells in column {name}, a feature that the model was fitted on; numbers are "
                "expected: encode it as for the fit"
            )
    return Columns(tuple(names), "float32", LARGEST_SINGLE)
