"""Results lie apart from what they are made of: neither in a folder of inputs, nor around it."""

from __future__ import annotations

import fnmatch
import glob
from collections.abc import Mapping, Sequence
from pathlib import Path

from allocation.jobs.tables.files import local_path
from uplift.errors import InputError
from uplift.files import expanded

RESULT = "part-00000.parquet"  # a file as it would lie in the folder of results


def check_apart(out: str | Path, inputs: Mapping[str, str | None]) -> None:
    """Refuse a folder for results that is one of the inputs, lies in one, would be found by its glob, or holds one.

    `inputs` are paths by what they are called; files, folders and globs of this machine are looked at, links
    followed. A file beside the folder is no matter. Raises InputError, which names both.
    """
    place = expanded(out).resolve()
    for called, path in inputs.items():
        if path is None:
            continue
        text = local_path(path)
        if text is None or not text.strip() or "\0" in text:
            continue
        how = _clash(place, expanded(text))
        if how is not None:
            raise InputError(
                f"the results would be written to {place}, which {how} the {called}, {path}; what is read and what "
                "is written must lie apart: choose another --out"
            )


def _clash(place: Path, given: Path) -> str | None:
    """How a folder for results meets an input, None where they are apart."""
    if not glob.has_magic(str(given)) or given.exists():
        given = given.resolve()
        if place == given:
            return "is"
        return "lies under" if given in place.parents else "holds" if place in given.parents else None
    pattern = given.absolute().parts
    first = next(k for k, part in enumerate(pattern) if glob.has_magic(part))
    base = Path(*pattern[:first]).resolve()
    if place == base or place in base.parents:
        return "holds"
    if base in place.parents and _found(pattern[first:], (*place.relative_to(base).parts, RESULT)):
        return "would be found by"
    return None


def _found(pattern: Sequence[str], parts: Sequence[str]) -> bool:
    """Whether a glob finds a path, or a folder above it, in which everything is read."""
    if not pattern:
        return True
    if pattern[0] == "**":
        return _found(pattern[1:], parts) or (len(parts) > 0 and _found(pattern, parts[1:]))
    return len(parts) > 0 and fnmatch.fnmatchcase(parts[0], pattern[0]) and _found(pattern[1:], parts[1:])
