"""Where a run may write its decisions: refused, before any work, what cannot be replaced as a whole."""

from __future__ import annotations

import os
from pathlib import Path

from allocation.jobs.folder import check_place, listed, refused_as, writer_of
from allocation.jobs.summary import MANIFEST
from uplift.errors import InputError
from uplift.files import expanded

COMMAND = "decide"
SHOWN = 3  # names of files in a message
MOUNTS = Path("/proc/self/mountinfo")


def checked_target(out: str | Path) -> Path:
    """The folder that `out` means, one that can be replaced as a whole when the new decisions are there.

    Raises InputError for a link, a file, a mount point, the working folder, a folder that may not be written to or
    whose parent may not, a folder that holds anything but a run of `earmark decide`.
    """
    with refused_as(lambda why: f"{str(out)[:200]!r} cannot be a folder for decisions: {why}; choose another --out"):
        named = expanded(out)
        if named.is_symlink():
            raise InputError(
                f"{named} is a link to {named.resolve()}; the folder is replaced as a whole, and a link cannot be: "
                "give the folder itself as --out"
            )
        place = named.resolve()
        _check_place(place)
        _check_content(place)
    return place


def _check_place(place: Path) -> None:
    check_place(place)
    check_place(place.parent)
    if place == place.parent or (place.exists() and _is_mount(place)):
        raise InputError(
            f"{place} is a file system of its own; the folder is replaced as a whole, and a mount point cannot be: "
            f"choose a folder in it, such as {place / 'decisions'}"
        )
    here = Path.cwd()
    if place == here or place in here.parents:
        raise InputError(
            f"{place} is the folder that this command runs in; the folder is replaced as a whole: run from another, "
            f"or choose a folder in it, such as {place / 'decisions'}"
        )


def _check_content(place: Path) -> None:
    there = sorted(os.listdir(place)) if place.exists() else []
    if not there:
        return
    writer = writer_of(place / MANIFEST)
    if writer is None:
        raise InputError(
            f"{place} holds {_named(there)}, which would be lost, and no manifest says that earmark wrote it; move "
            "it away or choose another --out"
        )
    if writer != COMMAND:
        raise InputError(f"{place} holds a run of `earmark {writer}`, which would be lost; choose another --out")
    foreign = [name for name in there if name not in listed(place / MANIFEST)]
    if foreign:
        raise InputError(
            f"{place} holds {_named(foreign)} beside the decisions, which would be lost; move it away or choose "
            "another --out"
        )


def _named(names: list[str]) -> str:
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more:,} more" if more > 0 else "")


def _is_mount(place: Path) -> bool:
    """Whether something is mounted here; a bind mount of the same file system shows in the kernel's list alone."""
    if place.is_mount():
        return True
    try:
        lines = MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return False
    return str(place) in {_unescaped(line.split()[4]) for line in lines if len(line.split()) > 4}


def _unescaped(name: str) -> str:
    r"""The kernel writes space, tab, newline and backslash as octal: \040."""
    for code, letter in (("040", " "), ("011", "\t"), ("012", "\n"), ("134", "\\")):
        name = name.replace(f"\\{code}", letter)
    return name
