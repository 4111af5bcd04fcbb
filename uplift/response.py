"""Response: the value and the cost of every arm for every user, and its Parquet form."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import narwhals.stable.v2 as nw
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from uplift.cells import check_finite
from uplift.errors import InputError, check_unique
from uplift.files import read_table
from uplift.frames import numbers, open_frame, user_ids

Table = NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class Response:
    """Value and cost of each arm for each user, predicted by a model or known from a simulation.

    Attributes
    ----------
    value : (n, K+1) floats in the campaign's value unit; column 0 is control.
    cost : (n, K+1) floats in money, expected spend on the user under the arm.
    arms : names of the K+1 arms, control first.
    user_id : (n,), or None when the rows have no names.

    What a model predicts is promised, not verified: values added up over the arms chosen by them are too high.
    Raises InputError when shapes disagree, a cell is no finite number, or an arm stands twice.
    """

    value: Table
    cost: Table
    arms: tuple[str, ...]
    user_id: NDArray[Any] | None = None

    def __post_init__(self) -> None:
        for name in ("value", "cost"):
            object.__setattr__(self, name, _table(getattr(self, name), name))
        check_unique(self.arms, "arm", "arms: the", "name each arm once")
        shape = self.value.shape
        if len(shape) != 2 or shape[1] != len(self.arms) or self.cost.shape != shape:
            raise InputError(
                f"value has shape {shape} and cost {self.cost.shape}; both must be (users, {len(self.arms)}), "
                f"a column for each of {', '.join(self.arms)}"
            )
        if self.user_id is not None:
            object.__setattr__(self, "user_id", np.asarray(self.user_id))
            if self.user_id.shape != shape[:1]:
                raise InputError(
                    f"user_id has shape {self.user_id.shape} for {shape[0]:,} users; one each is expected"
                )
        check_finite(self.value, "value")
        check_finite(self.cost, "cost")

    def __len__(self) -> int:
        return len(self.value)

    @property
    def effect(self) -> Table:
        """Effect of each treatment against control, `value[:, 1:] - value[:, :1]`, shape (n, K), value units."""
        return self.value[:, 1:] - self.value[:, :1]

    def take(self, rows: NDArray[Any]) -> Self:
        """The response of the given rows (indices or booleans), in their order."""
        ids = None if self.user_id is None else self.user_id[rows]
        return type(self)(self.value[rows], self.cost[rows], self.arms, ids)

    def write(self, path: str | Path) -> None:
        """Write a response table: `user_id` (else row numbers), `value.<arm>` and `cost.<arm>`, control included.

        Replaces a file of that name. Raises InputError where it cannot be written."""
        ids = np.arange(len(self)) if self.user_id is None else self.user_id
        try:
            columns = {"user_id": pa.array(ids)}
            for name, table in (("value", self.value), ("cost", self.cost)):
                columns |= {f"{name}.{arm}": pa.array(table[:, j]) for j, arm in enumerate(self.arms)}
            pq.write_table(pa.table(columns), path)
        except (OSError, pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise InputError(f"the response table cannot be written to {path}: {error}") from None

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Read a response table, in its precision; the arms are those of its `value.<arm>` columns, in their order.

        Raises InputError for a file that cannot be read, lacks a column, or has cells or ids that do not fit."""
        return cls.of_frame(open_frame(read_table(path, ["user_id"])), path)

    @classmethod
    def of_frame(cls, frame: nw.DataFrame[Any], path: str | Path) -> Self:
        """What `read` makes of a table once it is open; `path` names it in messages, and other columns are left."""
        arms = tuple(c.removeprefix("value.") for c in frame.columns if c.startswith("value."))
        if not arms:
            raise InputError(f"{path} has no value.<arm> column; a response table has value.<arm> and cost.<arm>")
        value, cost = (
            np.column_stack([_single_or_double(frame, f"{name}.{arm}", name) for arm in arms])
            for name in ("value", "cost")
        )
        return cls(value, cost, arms, user_ids(frame, "user_id") if "user_id" in frame.columns else None)


def _table(table: Any, name: str) -> Table:
    """Lists and whole numbers as floats; text and complex cells are refused."""
    try:
        array = np.asarray(table)
        if array.dtype.kind == "O":
            array = array.astype(np.float64)
    except (TypeError, ValueError):
        raise InputError(f"{name} holds no table of numbers; floats (users, arms) are expected") from None
    if array.dtype.kind not in "fiub":
        raise InputError(f"{name} holds {array.dtype} cells; floats are expected")
    return array if array.dtype in (np.float32, np.float64) else array.astype(np.float64)


def _single_or_double(frame: nw.DataFrame[Any], name: str, role: str) -> Table:
    """A column of numbers in the precision that it has in the file."""
    values = numbers(frame, name, role)
    return values.astype(np.float32) if frame[name].dtype == nw.Float32 else values
