"""Decisions as a table, and what a part of them adds up to: exact sums that merge in any order."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from allocation.engine.money import exact_sum
from allocation.engine.tables import LARGEST
from uplift.errors import InputError

COLUMNS = ("user_id", "arm", "expected_value", "expected_cost", "margin")
MOST = LARGEST * 2.0**53  # no sum of amounts is beyond, nor beyond what a float holds
# The smallest float is 2^-1074 and the largest below 2^1024: no sum of floats needs more digits than this.
FRACTION = re.compile(r"-?[0-9]{1,700}/[1-9][0-9]{0,400}")


@dataclass(frozen=True)
class PartSummary:
    """What one part of the decisions holds.

    Attributes
    ----------
    file : its name in the folder. rows : users in it. users : users of each arm, control first.
    value, cost : exact sums of expected_value (value units) and expected_cost (money).
    bytes, sha256 : size and checksum of the file.
    """

    file: str
    rows: int
    users: tuple[int, ...]
    value: Fraction
    cost: Fraction
    bytes: int
    sha256: str

    def entry(self) -> dict[str, Any]:
        """The part in a manifest."""
        return {"file": self.file, "rows": self.rows, "bytes": self.bytes, "sha256": self.sha256}

    def record(self) -> dict[str, Any]:
        """Everything as JSON values, as an executor sends it to the driver; `of_record` reads it."""
        sums = {"users": list(self.users), "value": fraction_text(self.value), "cost": fraction_text(self.cost)}
        return self.entry() | sums


@dataclass(frozen=True)
class Totals:
    """Sums over parts: rows, users of each arm, exact value (value units) and exact cost (money)."""

    rows: int
    users: tuple[int, ...]
    value: Fraction
    cost: Fraction


def decisions_table(
    user_id: pa.Array | pa.ChunkedArray | NDArray[Any],
    arms: Sequence[str],
    decision: NDArray[np.integer[Any]],
    expected_value: NDArray[np.floating[Any]],
    expected_cost: NDArray[np.floating[Any]],
    margin: NDArray[np.floating[Any]],
) -> pa.Table:
    """`user_id, arm, expected_value, expected_cost, margin` of (r,) users; `decision` (r,) counts into `arms`.

    Amounts become doubles, exactly. Ids keep their type, but for kinds of text, which become one.
    """
    code = np.int8 if len(arms) <= 127 else np.int32
    names = pa.array(list(arms), type=pa.string())
    columns = [
        _plain(user_id),
        pa.DictionaryArray.from_arrays(pa.array(np.ascontiguousarray(decision, dtype=code)), names),
        *(pa.array(np.ascontiguousarray(a, dtype=np.float64)) for a in (expected_value, expected_cost, margin)),
    ]
    return pa.table(columns, names=list(COLUMNS))


def _plain(user_id: Any) -> pa.Array:
    """Ids as one array of numbers or text, however the source kept them."""
    if not isinstance(user_id, (pa.Array, pa.ChunkedArray)):
        user_id = pa.array(user_id)
    if isinstance(user_id, pa.ChunkedArray):
        user_id = user_id.combine_chunks()
    if pa.types.is_dictionary(user_id.type):
        user_id = user_id.cast(user_id.type.value_type)
    if pa.types.is_large_string(user_id.type) or pa.types.is_string_view(user_id.type):
        user_id = user_id.cast(pa.string())
    return user_id


def summary_of(table: pa.Table, arms: Sequence[str], file: str, size: int, sha256: str) -> PartSummary:
    """The summary of a part from its table; InputError for an unknown arm, a null and what is no finite number."""
    users = arm_users(table.column("arm"), arms)
    sums = [column_sum(table, name) for name in ("expected_value", "expected_cost")]
    return PartSummary(file, table.num_rows, users, sums[0], sums[1], size, sha256)


def arm_users(arm: pa.ChunkedArray, arms: Sequence[str]) -> tuple[int, ...]:
    """Users of each arm of `arms` (K+1,); raises InputError as `arm_codes`."""
    return tuple(np.bincount(arm_codes(arm, arms), minlength=len(arms)).tolist())


def arm_codes(arm: pa.ChunkedArray, arms: Sequence[str]) -> NDArray[np.int32]:
    """Each user's arm as a place in `arms`, (r,); raises InputError for an arm that is none of them, and a null."""
    codes = [np.empty(0, dtype=np.int32)]
    for chunk in arm.chunks:
        encoded = chunk if pa.types.is_dictionary(chunk.type) else chunk.dictionary_encode()
        names, cells = encoded.dictionary, encoded.indices
        if cells.null_count:
            raise InputError("column 'arm' has empty cells")
        found = pc.index_in(names, value_set=pa.array(list(arms), type=pa.string()))
        places = found.fill_null(-1).to_numpy().astype(np.int32)
        own = places[cells.to_numpy()]
        if len(own) and own.min() < 0:
            unknown = names[int(cells[int(own.argmin())].as_py())].as_py()
            raise InputError(f"column 'arm' holds {str(unknown)[:80]!r}, which is no arm of the run")
        codes.append(own)
    return np.concatenate(codes)


def column_sum(table: pa.Table, name: str) -> Fraction:
    """The exact sum of a column of doubles; raises InputError as `finite_column`."""
    return exact_sum(finite_column(table, name))


def finite_column(table: pa.Table, name: str) -> NDArray[np.float64]:
    """A column of doubles, (r,); raises InputError for an empty cell and what is no amount within LARGEST."""
    column = table.column(name)
    amounts: NDArray[np.float64] = column.to_numpy()
    if column.null_count or not (np.abs(amounts) <= LARGEST).all():
        raise InputError(f"column {name!r} has cells that are no finite numbers within {LARGEST:g}")
    return amounts


def of_record(record: dict[str, Any]) -> PartSummary:
    """The summary that `PartSummary.record` wrote."""
    sums = {name: fraction_of(record[name]) for name in ("value", "cost")}
    return PartSummary(**(record | {"users": tuple(record["users"])} | sums))


def total(parts: Iterable[PartSummary], arms: int) -> Totals:
    """The sums over parts, of `arms` arms, control among them."""
    rows, users, value, cost = 0, np.zeros(arms, dtype=np.int64), Fraction(0), Fraction(0)
    for part in parts:
        rows, users, value, cost = rows + part.rows, users + part.users, value + part.value, cost + part.cost
    return Totals(rows, tuple(users.tolist()), value, cost)


def fraction_text(amount: Fraction) -> str:
    """An exact amount as `numerator/denominator`."""
    return f"{amount.numerator}/{amount.denominator}"


def fraction_of(text: Any) -> Fraction:
    """The amount that `fraction_text` wrote; raises InputError for any other text."""
    if not isinstance(text, str) or not FRACTION.fullmatch(text):
        raise InputError(f"{str(text)[:80]!r} is no exact amount; numerator/denominator is expected")
    numerator, denominator = text.split("/")
    amount = Fraction(int(numerator), int(denominator))
    if abs(amount) > MOST:
        raise InputError(f"{text[:80]!r}... is no exact amount; one within {MOST:.0e} is expected")
    return amount
