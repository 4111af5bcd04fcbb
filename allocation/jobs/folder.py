"""A run's folder: staged, then moved in, the manifest last; a failure to write leaves the old run alone."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from allocation.jobs.summary import MANIFEST
from uplift.errors import InputError
from uplift.files import expanded

STAGED = ".earmark-"  # how the name of a staging folder begins


def checked_folder(out: str | Path, files: Sequence[str], command: str) -> Path:
    """The folder that `out` means, links and `~` followed; refuses, before any work, what cannot be written to.

    `files` are the files of a run of `earmark <command>`, relative to the folder, the manifest among them.
    Raises InputError for a path that is no folder, a folder that may not be written to, files that would be lost,
    and another command's run.
    """
    out = expanded(out).resolve()
    check_place(out)
    for name in files:
        if (out / name).is_dir():
            raise InputError(f"{out / name} is a folder, where a file would be written; choose another --out")
        inner = (out / name).parent
        if inner != out and inner.exists() and not inner.is_dir():
            raise InputError(f"{inner} is a file, where a folder would be written; choose another --out")
    writer = writer_of(out / MANIFEST)
    for name in files:
        if (out / name).exists() and writer is None:
            raise InputError(
                f"{out / name} would be lost, and no manifest says that earmark wrote it; move it away or choose "
                "another --out"
            )
    if writer not in (None, command):
        raise InputError(f"{out} holds a run of `earmark {writer}`, which would be lost; choose another --out")
    return out


def check_place(folder: Path) -> None:
    """Refuse a folder that is a file, lies under one, or may not be written to (or made); raises InputError."""
    for place in (folder, *folder.parents):
        if place.exists():
            if not place.is_dir():
                raise InputError(f"{place} is a file; the results need a folder: choose another --out")
            if not os.access(place, os.W_OK | os.X_OK):
                raise InputError(f"the folder {place} may not be written to; choose another --out")
            break


def write_folder(out: Path, files: Sequence[str], fill: Callable[[Path], None]) -> None:
    """Have `fill` write its files into a staging folder, then move those named in `files` into `out`.

    The files are written and flushed in a staging folder first; until that is done, an error leaves everything as it
    was. A folder that was not there then appears whole; into one that was, the files move one by one, its old
    manifest gone first and the new one last, so that a manifest never stands beside files that it does not describe;
    a file of `files` that this run has not written goes.

    Raises InputError, which says what was kept, when the file system refuses.
    """
    # A folder that is there may be a file system of its own, into which nothing can be moved from outside.
    home = out if out.exists() else out.parent
    missing = [parent for parent in (home, *home.parents) if not parent.exists()]
    staging = None
    try:
        home.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=STAGED, dir=home))
        fill(staging)
        for name in files:
            if (staging / name).exists():
                flush(staging / name)
    except BaseException as error:
        _discard(staging, missing)
        if isinstance(error, OSError):
            raise InputError(
                f"the results cannot be written to {out}: {reason(error)}; nothing was changed"
            ) from None
        raise
    try:
        _move_in(staging, out, files)
    except OSError as error:
        raise InputError(
            f"the results cannot be moved into {out}: {reason(error)}; if there is no {MANIFEST} in it now, its "
            "files are not whole: run again"
        ) from None
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def writer_of(path: Path) -> str | None:
    """The command whose run the manifest describes, None where it is no manifest of ours."""
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, TypeError, OSError, RecursionError):
        return None
    if not isinstance(manifest, dict) or "earmark" not in manifest:
        return None
    return str(manifest.get("command", "demo"))


def listed(manifest: Path) -> set[str]:
    """The files of the run that the manifest describes, itself among them."""
    names = {MANIFEST}
    with suppress(OSError, ValueError, TypeError, KeyError, RecursionError):
        parts: list[Any] = json.loads(manifest.read_text(encoding="utf-8"))["parts"]
        names |= {part["file"] for part in parts if isinstance(part["file"], str)}
    return names


def earlier_parts(folder: Path, what: str) -> list[str]:
    """The parts of an earlier run in the folder, which this one replaces; none where it is not there.

    Raises InputError for any other file, which would be lost, or read as users: `what` is what the run makes.
    """
    there = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    known = listed(folder / MANIFEST)
    # A staging folder is what a run that was killed has left behind.
    other = [name for name in there if name not in known and not name.startswith(STAGED)]
    if other:
        raise InputError(f"{folder} holds {other[0]!r}, which is no part of a {what}; choose another --out")
    return [name for name in there if name in known - {MANIFEST}]


def _discard(staging: Path | None, parents: Sequence[Path]) -> None:
    if staging is not None:
        shutil.rmtree(staging, ignore_errors=True)
    for parent in parents:
        with suppress(OSError):
            parent.rmdir()


def reason(error: Exception) -> str:
    """What the system, or a library, says, on one line; the name of the error where it says nothing."""
    said = (isinstance(error, OSError) and error.strerror) or str(error).strip()
    return said.splitlines()[0][:200] if said else type(error).__name__


@contextmanager
def refused_as(message: Callable[[str], str], *others: type[Exception]) -> Iterator[None]:
    """Turn an error of the file system, of a path that is none, and of `others` into the message for its reason."""
    caught: tuple[type[Exception], ...] = (OSError, ValueError, RuntimeError, *others)
    try:
        yield
    except InputError:
        raise
    except caught as error:
        raise InputError(message(reason(error))) from None


def flush(path: Path) -> None:
    """Have a file or a folder on the disk before going on."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _move_in(staging: Path, out: Path, files: Sequence[str]) -> None:
    if not out.exists():
        mask = os.umask(0)
        os.umask(mask)
        staging.chmod(0o777 & ~mask)  # a staging folder is private; the result is what the user's folders are
        staging.rename(out)
    else:
        (out / MANIFEST).unlink(missing_ok=True)
        for name in sorted(files, key=lambda name: name == MANIFEST):
            if (staging / name).exists():
                (out / name).parent.mkdir(exist_ok=True)
                (staging / name).replace(out / name)
            else:
                (out / name).unlink(missing_ok=True)
    flush(out)
