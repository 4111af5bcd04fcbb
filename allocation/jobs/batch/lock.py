"""One run at a time: a lock file that the kernel frees when its holder ends, however it ends."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from allocation.jobs.folder import reason
from uplift.errors import InputError

SHOWN = 4_096  # bytes that are read of what the holder wrote of itself
UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


@contextmanager
def locked(path: Path, what: str) -> Iterator[None]:
    """Hold the lock file `path` within; `what` is what a second run would write to, for its message.

    The lock is `flock`, so a killed holder holds nothing, and no clock is asked who is alive. Who holds it stands in
    the file for the message alone. The file goes with the lock; one that a killed run left is taken over.

    Raises InputError at once where another run holds it, and where the file system refuses.
    """
    descriptor = _acquire(path, what)
    try:
        _sign(descriptor)
        yield
    finally:
        with suppress(OSError):
            path.unlink()  # while it is held: whoever opens the name next makes a file of its own
        os.close(descriptor)


def _acquire(path: Path, what: str) -> int:
    while True:
        try:
            descriptor = _open(path)
        except OSError as error:
            raise InputError(
                f"the lock {path} cannot be opened: {reason(error)}; see to it that it may be written, or choose "
                "another --out"
            ) from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # A holder that ends removes the file: what was locked may have no name any more.
            if _same(descriptor, path):
                return descriptor
        except OSError as error:
            holder = _holder(descriptor)
            os.close(descriptor)
            if error.errno in UNSUPPORTED:
                raise InputError(
                    f"the file system of {path} knows no locks ({reason(error)}), so two runs at once could not be "
                    "told apart; choose an --out on a file system that has them"
                ) from None
            raise InputError(
                f"another run writes to {what}: {holder}; wait until it ends, or stop it, and run again; nothing "
                "was changed"
            ) from None
        os.close(descriptor)


def _open(path: Path) -> int:
    flags = os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        return os.open(path, flags | os.O_RDWR, 0o644)
    except PermissionError:
        # Left by another user's killed run: to lock it, reading is enough.
        return os.open(path, (flags & ~os.O_CREAT) | os.O_RDONLY)


def _same(descriptor: int, path: Path) -> bool:
    try:
        there = os.lstat(path)
    except FileNotFoundError:
        return False
    mine = os.fstat(descriptor)
    return (mine.st_dev, mine.st_ino) == (there.st_dev, there.st_ino)


def _sign(descriptor: int) -> None:
    """Who holds the lock; it holds without, on a full disk."""
    since = time.strftime("%Y-%m-%d %H:%M:%S %z")
    text = json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": since})
    with suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, text.encode(), 0)


def _holder(descriptor: int) -> str:
    try:
        said = json.loads(os.pread(descriptor, SHOWN, 0))
        return f"process {int(said['pid'])} on {str(said['host'])[:80]}, by its clock since {str(said['since'])[:40]}"
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return "a process that has not said which it is"
