"""A folder takes another's place in one step, as far as the file system can."""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path

AT_FDCWD, RENAME_EXCHANGE = -100, 2
UNSUPPORTED = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)


def exchange(one: Path, other: Path) -> None:
    """Swap two names in one atomic step: Linux's renameat2 with RENAME_EXCHANGE; raises OSError where it cannot."""
    library = ctypes.CDLL(None, use_errno=True)
    if not hasattr(library, "renameat2"):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    if library.renameat2(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(one), None, str(other))


def switch(new: Path, out: Path, aside: Path) -> Path | None:
    """Have the folder `new` be `out`; returns where the old one lies now, None where there was none.

    One atomic step, unless `out` is there and the file system cannot exchange (some network file systems): then the
    old folder goes to `aside` first, and for the time between two renames there is no `out`. A run killed within it
    is mended by `recover`.
    """
    if not os.path.lexists(out):
        new.rename(out)
        return None
    try:
        exchange(new, out)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
    else:
        return new
    out.rename(aside)
    try:
        new.rename(out)
    except BaseException:
        aside.rename(out)
        raise
    return aside


def recover(out: Path, aside: Path) -> bool:
    """Put the old folder back where a run was killed between the two renames of `switch`; True where it was so."""
    if os.path.lexists(out) or not os.path.lexists(aside):
        return False
    aside.rename(out)
    return True
