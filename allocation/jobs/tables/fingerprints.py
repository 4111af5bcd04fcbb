"""What was read, so that a run can be told from another: rows, and of each file its bytes and checksum."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from allocation.engine.threads import cores
from allocation.jobs.manifest import checksum
from allocation.jobs.tables.files import TableFile
from allocation.jobs.tables.footers import check_unchanged, reading

Result = TypeVar("Result")


def in_thread(work: Callable[[], Result]) -> Future[Result]:
    """The work's result, later; it is done in a thread of its own."""
    pool = ThreadPoolExecutor(1, thread_name_prefix="fingerprint")
    try:
        return pool.submit(work)
    finally:
        pool.shutdown(wait=False)  # the thread ends with its work


def fingerprint_files(
    files: Sequence[TableFile], groups: Sequence[Sequence[int]], arms: Sequence[str]
) -> dict[str, Any]:
    """Rows, arms, and of each file its name below the folder, bytes, rows and `sha256` of its content.

    A file elsewhere is not fetched a second time: in place of its content's checksum stand `version`, what its file
    system says of its state (fsspec's ukey), and `footer_sha256`, the checksum of its footer, which tells where each
    column lies and its least and greatest cells, but not every cell. Two tables with the same `version` at the same
    URL are the same; a copy elsewhere has another.
    """
    with ThreadPoolExecutor(cores(), thread_name_prefix="hash") as pool:
        found = list(pool.map(_file_fingerprint, files))
    rows = [sum(own) for own in groups]
    described = [
        {"name": file.name, "bytes": file.bytes, "rows": count, **own}
        for file, count, own in zip(files, rows, found, strict=True)
    ]
    return {"rows": sum(rows), "arms": list(arms), "files": described}


def _file_fingerprint(file: TableFile) -> dict[str, str]:
    with reading(file):
        if file.system is not None:
            check_unchanged(file)
            end = file.system.cat_file(file.path, start=file.bytes - 8, end=file.bytes)
            length = int.from_bytes(end[:4], "little") + 8
            footer = file.system.cat_file(file.path, start=max(file.bytes - length, 0), end=file.bytes)
            return {"version": str(file.system.ukey(file.path)), "footer_sha256": hashlib.sha256(footer).hexdigest()}
        digest = checksum(file.path)
        check_unchanged(file)
        return {"sha256": digest}
