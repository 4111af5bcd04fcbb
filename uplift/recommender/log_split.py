"""How a log was split and which log it was, so that whoever loads a recommender can cut the same log the same way."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uplift.errors import InputError
from uplift.recommender.interactions import Interactions
from uplift.recommender.splitting import Split, leave_last_out, split_by_time


@dataclass(frozen=True)
class SplitBy:
    """A split by name: without bounds `leave_last_out`, with both of them `split_by_time`.

    validation_from, test_from : a number, or the text of a date such as "2024-03-01", in the kind of the log's order.

    Raises InputError for one bound without the other, and for bounds of another kind.
    """

    validation_from: float | str | None = None
    test_from: float | str | None = None

    def __post_init__(self) -> None:
        for name, bound in (("validation_from", self.validation_from), ("test_from", self.test_from)):
            if isinstance(bound, bool) or not isinstance(bound, int | float | np.number | str | None):
                raise InputError(
                    f"{name} is {bound!r}; a number, or a date as text such as '2024-03-01', is expected"
                )
        if (self.validation_from is None) != (self.test_from is None):
            raise InputError(
                f"validation_from is {self.validation_from!r} and test_from is {self.test_from!r}; give both to "
                "split by time, or neither to leave each user's last events out"
            )

    def split(self, log: Interactions) -> Split:
        """The log, split this way. Raises InputError as `split_by_time` does."""
        if self.validation_from is None:
            return leave_last_out(log)
        return split_by_time(log, self.validation_from, self.test_from)

    def __str__(self) -> str:
        if self.validation_from is None:
            return "leave last out"
        return f"by time, validation from {self.validation_from}, test from {self.test_from}"


def log_fingerprint(log: Interactions) -> str:
    """A hash of who did what in which order, and when; the width of its columns does not matter.

    Whole numbers and text are different ids: 7 is not "7", so a CSV file, whose ids are read as text, is another log
    than the Parquet file with the same ids as numbers.
    """
    digest = hashlib.blake2b(digest_size=16)
    order = None if log.order is None else _plain(log.order)
    for array in (log.items.astype(np.int64), log.offsets.astype(np.int64), order, log.user_id, log.item_id):
        digest.update(_bytes(array))
    return digest.hexdigest()


def _plain(order: NDArray[Any]) -> NDArray[Any]:
    """Datetimes as whole microseconds."""
    return order.astype("datetime64[us]").astype(np.int64) if order.dtype.kind == "M" else order


def _bytes(array: NDArray[Any] | None) -> bytes:
    """What is in the array, its kind and length first, so that no two of them read alike."""
    if array is None:
        return b"none;"
    if array.dtype.kind == "u" and array.max(initial=0) <= np.iinfo(np.int64).max:
        array = array.astype(np.int64)
    wide = {"i": np.int64, "u": np.uint64, "f": np.float64, "b": np.int64}.get(array.dtype.kind)
    if wide is not None:
        wider = np.ascontiguousarray(array.astype(wide))
        return f"{wider.dtype.kind}{len(array)};".encode() + wider.tobytes()
    text = [str(cell).encode("utf-8", "surrogatepass") for cell in array.tolist()]
    ends = np.cumsum([len(cell) for cell in text], dtype=np.int64)
    return f"text{len(array)};".encode() + ends.tobytes() + b"".join(text)
