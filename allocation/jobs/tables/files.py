"""Which Parquet files stand behind a path: a file, a folder, a glob, hive partitions, any fsspec URL."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import fsspec

from uplift.errors import InputError
from uplift.files import expanded

ENDINGS = (".parquet", ".parq", ".pq")
READERS = 8  # files asked for at a time
NULL = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True)
class TableFile:
    """One file of a table.

    path : as the file system knows it. name : relative to the folder that was asked for. shown : what messages call
    it. bytes, stamp : its size and when it was last changed, None where that is not told. hive : what the folders
    above it say, `segment=heavy` as ("segment", "heavy"). system : the fsspec file system, None for this machine's.
    """

    path: str
    name: str
    shown: str
    bytes: int
    stamp: str | None
    hive: tuple[tuple[str, str | None], ...] = ()
    system: Any = None


def find_files(path: str | Path) -> tuple[TableFile, ...]:
    """The Parquet files behind the path, sorted by path.

    A folder is searched through and through; in it, and among what a glob finds, names that start with `.` or `_`
    are left out, and of the others those that end in .parquet, .parq or .pq are taken. One file named as such may
    have any name. Raises InputError for a path behind which there is no such file, and for a folder with a half
    copied one (`part.parquet.tmp`).
    """
    text = os.fspath(path)
    if not text.strip() or "\0" in text:
        raise InputError(f"{text[:80]!r} is no path; give the path of a Parquet file or of a folder of them")
    local = local_path(text)
    return _remote_files(text) if local is None else _local_files(local)


def local_path(text: str) -> str | None:
    """The path of this machine that is meant, by `file://` or `local://` too; None for one that is elsewhere."""
    bare = re.sub("^(?:file|local)://", "", text)
    return None if "://" in bare or "::" in bare else bare


def _local_files(text: str) -> tuple[TableFile, ...]:
    root = expanded(text)
    try:
        if root.is_file():
            return (_local_file(root, Path(root.name), str(text), ()),)
        if root.is_dir():
            found = {root / name: name for name in _walk(root)}
            return _kept(found, root, text)
        if not glob.has_magic(str(root)):
            raise InputError(f"{text} does not exist; give the path of a Parquet file or of a folder of them")
        base = _fixed_part(root)
        found = {}
        for hit in sorted(glob.glob(str(root), recursive=True)):
            inner = [Path(hit) / name for name in _walk(Path(hit))] if os.path.isdir(hit) else [Path(hit)]
            found |= {file: file.relative_to(base) for file in inner}
        return _kept(found, base, text)
    except OSError as error:
        raise InputError(f"{error.filename or text} cannot be read: {error.strerror or error}") from None


def _fixed_part(pattern: Path) -> Path:
    """The folder above the first part of a pattern that has a wildcard."""
    for folder in pattern.parents:
        if not glob.has_magic(str(folder)):
            return folder
    return Path()


def _walk(root: Path) -> Iterator[Path]:
    """Every file below a folder, relative to it, links followed; what cannot be listed is an error."""
    been: set[str] = set()

    def refuse(error: OSError) -> None:
        """Stop: a folder that is left out would lose its users."""
        raise error

    for folder, folders, names in os.walk(root, followlinks=True, onerror=refuse):
        real = os.path.realpath(folder)
        if real in been:
            folders.clear()  # a link back to where we have been
            continue
        been.add(real)
        folders[:] = [name for name in folders if not name.startswith((".", "_"))]
        yield from (Path(folder, name).relative_to(root) for name in names)


def _kept(found: dict[Path, Path], root: Path, text: str) -> tuple[TableFile, ...]:
    wanted = _parquet_names({name.as_posix(): path for path, name in found.items()}, text)
    return tuple(_local_file(path, Path(name), str(path), _hive(name)) for name, path in wanted)


def _local_file(path: Path, name: Path, shown: str, hive: tuple[tuple[str, str | None], ...]) -> TableFile:
    size, stamp = _local_state(str(path))
    return TableFile(os.path.abspath(path), name.as_posix(), shown, size, stamp, hive)


def _local_state(path: str) -> tuple[int, str]:
    stat = os.stat(path)
    # The time of writing can be set, that of the last change of anything cannot.
    return stat.st_size, f"{stat.st_mtime_ns} {stat.st_ctime_ns} {stat.st_ino}"


def _remote_files(text: str) -> tuple[TableFile, ...]:
    try:
        system, root = fsspec.url_to_fs(text)
        infos = _remote_infos(system, root)
    except (ImportError, ValueError) as error:
        raise InputError(f"{text} cannot be opened: {error}") from None
    except (OSError, RuntimeError) as error:
        raise InputError(f"{text} cannot be listed: {str(error) or type(error).__name__}") from None
    if not infos:
        raise InputError(f"{text} does not exist; give the URL of a Parquet file or of a folder of them")
    base = root.rstrip("/")
    while glob.has_magic(base):
        base = base.rpartition("/")[0]
    alone = len(infos) == 1 and next(iter(infos)).rstrip("/") == base
    if alone:
        wanted = [(base.rpartition("/")[2], base)]
    else:
        wanted = _parquet_names({path[len(base) :].lstrip("/"): path for path in infos}, text)
    with ThreadPoolExecutor(READERS, thread_name_prefix="files") as pool:
        return tuple(pool.map(lambda found: _remote_file(system, found[1], found[0], text, alone), wanted))


def _remote_infos(system: Any, root: str) -> dict[str, dict[str, Any]]:
    """What the file system tells of each file at, below or matching the path."""
    if not glob.has_magic(root):
        found: dict[str, dict[str, Any]] = system.find(root, detail=True)
        return found
    found = {}
    for path, info in system.glob(root, detail=True).items():
        found |= system.find(path, detail=True) if info["type"] == "directory" else {path: info}
    return found


def _remote_file(system: Any, path: str, name: str, text: str, alone: bool) -> TableFile:
    shown = text if alone else str(system.unstrip_protocol(path))
    try:
        size, stamp = _remote_state(system, path)
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError(f"{shown} cannot be read: {str(error) or type(error).__name__}") from None
    if not isinstance(size, int):
        raise InputError(f"{shown} has no known size, so it cannot be read from its end; copy it to a disk first")
    return TableFile(path, name, shown, size, stamp, () if alone else _hive(name), system)


def _remote_state(system: Any, path: str) -> tuple[Any, str | None]:
    """Size, and when the file was last changed, or its version, in whatever words the file system has for it.

    It is always asked for the one file: what a listing says of it may be worded otherwise.
    """
    system.invalidate_cache(path)
    info = system.info(path)
    for key in ("ETag", "etag", "md5Hash", "generation", "mtime", "LastModified", "last_modified", "created"):
        if info.get(key) is not None:
            return info.get("size"), str(info[key])
    return info.get("size"), None


def current_state(file: TableFile) -> tuple[int, str | None]:
    """Size and stamp of the file now; raises OSError where it is gone."""
    if file.system is None:
        return _local_state(file.path)
    return _remote_state(file.system, file.path)


def _parquet_names(found: dict[str, Any], text: str) -> list[tuple[str, Any]]:
    """Those of the found names (relative) that belong to a table, sorted."""
    seen = {name: path for name, path in found.items() if not re.search(r"(^|/)[._]", name)}
    kept = sorted((name, path) for name, path in seen.items() if name.lower().endswith(ENDINGS))
    half = sorted(name for name in seen if ".parquet." in name.lower() and not name.lower().endswith(ENDINGS))
    if half:
        raise InputError(
            f"{text} holds {half[0]}, which looks like a Parquet file that is not yet whole; finish the copy, or "
            "remove it if it does not belong to the table"
        )
    if not kept:
        other = f"; there is {sorted(seen)[0]} and no name that ends in .parquet" if seen else ""
        raise InputError(f"{text} holds no Parquet file{other}; give a Parquet file or a folder of them")
    return kept


def _hive(name: str) -> tuple[tuple[str, str | None], ...]:
    """What the folders of a relative path say: `segment=heavy/part.parquet` is (("segment", "heavy"),)."""
    parts = [part.partition("=") for part in name.split("/")[:-1] if "=" in part]
    return tuple((unquote(key), None if value == NULL else unquote(value)) for key, _, value in parts)
