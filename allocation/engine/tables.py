"""Tables of users by arms: taken as they are, without a copy, and checked cell by cell in one read."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from allocation.engine import threads
from allocation.engine.limit import ProblemError

Table = NDArray[np.floating[Any]]
LARGEST = 1e100  # beyond it, sums and products of amounts may leave the range of floats
CELLS = 1 << 20  # cells a piece


class Tables(NamedTuple):
    """The users to decide for: value and cost (n, K+1), and which arms are eligible or None for all."""

    value: Table
    cost: Table
    eligible: NDArray[np.bool_] | None

    def of(self, rows: NDArray[np.int64]) -> Tables:
        """A copy of some users' rows."""

        def copy(table: NDArray[Any]) -> NDArray[Any]:
            """The rows of one table."""
            taken = np.empty((len(rows), table.shape[1]), dtype=table.dtype)

            def piece(at: tuple[int, int]) -> None:
                """A stretch of them."""
                taken[slice(*at)] = _rows_of(table, rows[slice(*at)])

            threads.run(piece, threads.pieces(len(rows), 1 << 14))
            return taken

        return Tables(copy(self.value), copy(self.cost), None if self.eligible is None else copy(self.eligible))

    def cells(self, rows: NDArray[np.int64]) -> Tables:
        """A copy of some users' rows in double precision, row by row: loops over it are compiled for one type."""
        value, cost = (
            np.ascontiguousarray(_rows_of(table, rows), dtype=np.float64) for table in (self.value, self.cost)
        )
        return Tables(
            value, cost, None if self.eligible is None else np.ascontiguousarray(_rows_of(self.eligible, rows))
        )

    def stretches(self, rows: int) -> list[tuple[int, int]]:
        """Where so many rows are cut for copies that are small, however many arms there are."""
        return threads.pieces(rows, max(1, min(1 << 13, CELLS // self.value.shape[1])))

    @property
    def read_only(self) -> Tables:
        """Views that cannot be written to; every loop is given these, as numba compiles it anew for others."""
        return Tables(
            read_only(self.value),
            read_only(self.cost),
            self.eligible if self.eligible is None else read_only(self.eligible),
        )


def _rows_of(table: NDArray[Any], rows: NDArray[np.int64]) -> NDArray[Any]:
    """A copy of some rows; `take` is the faster way, but copies all of a table that is not stored row by row."""
    return np.take(table, rows, axis=0, mode="clip") if table.flags.c_contiguous else table[rows]


def read_only(table: NDArray[Any]) -> NDArray[Any]:
    """A view of the table that cannot be written to."""
    view = table.view()
    view.flags.writeable = False
    return view


def check_table(table: Any, name: str) -> Table:
    """The table as floats (n, K+1), float32 or float64, not copied; ProblemError where a cell is no amount."""
    try:
        array = np.asarray(table)
    except ValueError:
        raise ProblemError(f"the rows of {name} differ in length; a table (users, arms) is expected") from None
    if array.ndim != 2:
        raise ProblemError(f"{name} has {array.ndim} dimensions; a table (users, arms) is expected")
    if array.dtype.kind not in "fiub":
        raise ProblemError(f"{name} holds {array.dtype} cells; numbers are expected")
    if array.dtype not in (np.float32, np.float64):
        array = array.astype(np.float64)
    if _wrong_cells(array):
        raise _diagnosis(array, name)
    return array


def check_eligible(table: Any, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """The mask (n, K+1); users without any eligible arm are given control, which is to be given nothing."""
    try:
        mask = np.asarray(table)
    except ValueError:
        raise ProblemError("the rows of eligible differ in length; a table (users, arms) is expected") from None
    if mask.shape != shape or mask.dtype != np.bool_:
        raise ProblemError(
            f"eligible has shape {mask.shape} and type {mask.dtype}; booleans of shape {shape} are expected"
        )
    nothing = ~mask.any(axis=1)
    if nothing.any():
        mask = mask.copy()
        mask[nothing, 0] = True
    return mask


def _wrong_cells(array: Table) -> int:
    flat = array.ravel(order="K") if array.flags.c_contiguous or array.flags.f_contiguous else None
    if flat is None:
        return sum(
            threads.run(lambda at: int(_count_wrong(array[at[0] : at[1]].ravel())), threads.pieces(len(array)))
        )
    return sum(threads.run(lambda at: int(_count_wrong(flat[at[0] : at[1]])), threads.pieces(len(flat), CELLS)))


@njit(nogil=True, cache=True)
def _count_wrong(cells: Any) -> int:
    wrong = 0
    for k in range(cells.size):
        wrong += not (abs(cells[k]) <= LARGEST)
    return wrong


def _diagnosis(array: Table, name: str) -> ProblemError:
    bad = ~np.isfinite(array)
    if not bad.any():
        most = float(np.abs(array).max())
        return ProblemError(
            f"{name} has amounts up to {most:.3g}; at most {LARGEST:g} can be summed without overflow: count in a "
            "larger unit"
        )
    row, column = (int(k) for k in np.argwhere(bad)[0])
    return ProblemError(
        f"{name} has {int(bad.sum()):,} missing or infinite of {array.size:,} cells, the first for user {row:,}, "
        f"arm {column} (both counted from 0); finite numbers are expected: mend the predictions or drop the users"
    )
