"""Parts are written by a thread of their own while the next is computed."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Self

import pyarrow as pa

from allocation.jobs.batch.parts import PartSummary
from allocation.jobs.batch.staging import Staging


class Writer:
    """Writes one part at a time in the background; an error in it is raised by the next call, or at the end.

    Holds one table at most besides the one that the caller makes. Use as a context; `written` is complete after it.

    Attributes
    ----------
    written : the summaries of the parts, in the order of the calls.
    """

    def __init__(self, staging: Staging) -> None:
        self.staging = staging
        self.written: list[PartSummary] = []
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="earmark-writer")
        self._pending: Future[PartSummary] | None = None

    def __enter__(self) -> Self:
        return self

    def put(self, k: int, table: pa.Table) -> None:
        """Have part k written, once the part before is on the disk; raises what went wrong with that one."""
        self.finish()
        self._pending = self._pool.submit(self.staging.write_part, k, table)

    def keep(self, part: PartSummary) -> None:
        """Count a part that a killed run has left whole, in its place in the order."""
        self.finish()
        self.written.append(part)

    def finish(self) -> None:
        """Wait for the part that is being written; raises what went wrong with it."""
        pending, self._pending = self._pending, None
        if pending is not None:
            self.written.append(pending.result())

    def __exit__(self, failure: type[BaseException] | None, *_: object) -> None:
        try:
            if failure is None:
                self.finish()
        finally:
            self._pool.shutdown(wait=True)
