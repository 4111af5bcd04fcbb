"""A nightly run's folder: parts gather in a staging folder beside it, which takes its place in one step."""

from __future__ import annotations

import os
import re
import shutil
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from allocation.jobs import manifest as entries
from allocation.jobs.batch.exchange import recover, switch
from allocation.jobs.batch.lock import locked
from allocation.jobs.batch.part_file import refused, write_whole
from allocation.jobs.batch.target import COMMAND, checked_target
from allocation.jobs.folder import flush, reason, writer_of
from allocation.jobs.summary import MANIFEST
from uplift.errors import InputError

PREFIX = 12  # letters of a run id in the name of its staging folder; the parts hold all of it
GRACE = 0.2  # seconds in which a listing of the old folder that has begun comes to its end
RUN_ID = re.compile(r"[0-9a-f]{16,128}")
PART = re.compile(r"part-[0-9]{5}\.parquet")


@dataclass(frozen=True)
class Staging:
    """The staging folder of a run: `part_file.write_part` fills it, `publish` has it be `out`.

    out : the folder of the decisions. folder : where the parts gather. run_id : whose parts they are.
    """

    out: Path
    folder: Path
    run_id: str
    progress: Callable[[str], None]

    def publish(self, manifest: dict[str, Any]) -> None:
        """Write the manifest, last, and put the folder in the place of `out`, in one step.

        `manifest["parts"]` lists the parts. Whatever else lies in the staging folder goes.

        Raises InputError when a part is missing, when `out` has become something that must not be replaced, and when
        the file system refuses; the old decisions are then untouched.
        """
        try:
            self._check_parts(manifest["parts"])
            hidden = self.folder / f".{MANIFEST}"
            write_whole(hidden, entries.text(manifest).encode())
            hidden.rename(self.folder / MANIFEST)
            flush(self.folder)
            checked_target(self.out)
            if self.out.exists():
                self.folder.chmod(stat.S_IMODE(self.out.stat().st_mode))
            old = switch(self.folder, self.out, _beside(self.out, "old"))
        except OSError as error:
            raise refused(f"the decisions cannot be published as {self.out}", error) from None
        if self._settled() and old is not None:
            time.sleep(GRACE)
            _remove_run(old, self.progress)

    def _settled(self) -> bool:
        """Whether the switch is on the disk; where that cannot be said, the old folder stays until the next run."""
        try:
            flush(self.out.parent)
        except OSError as error:
            self.progress(
                f"{self.out} is published, but {self.out.parent} cannot be flushed ({reason(error)}): a power cut "
                "could bring the decisions of before back"
            )
            return False
        return True

    def _check_parts(self, parts: Sequence[dict[str, Any]]) -> None:
        sizes = {part["file"]: part["bytes"] for part in parts}
        for name, size in sizes.items():
            path = self.folder / name
            if not path.is_file() or path.stat().st_size != size:
                raise InputError(
                    f"{path} is not the file of {size:,} bytes that this run wrote; something else writes into the "
                    "staging folder: stop it and run again; the decisions that were published before are untouched"
                )
        for name in set(os.listdir(self.folder)) - sizes.keys():
            _remove(self.folder / name)


@contextmanager
def locked_target(out: str | Path) -> Iterator[Path]:
    """The folder that `out` means, which no other run writes to within; its parents are there.

    Raises InputError, before any work, for a folder that cannot be replaced (see `target.checked_target`), at once
    while another run writes to it, and when the file system refuses.
    """
    place = checked_target(out)
    missing = [parent for parent in place.parents if not parent.exists()]
    try:
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise refused(f"{place.parent} cannot be made", error) from None
        with locked(_beside(place, "lock"), str(place)):
            yield place
    except BaseException:
        for parent in missing:
            with suppress(OSError):
                parent.rmdir()  # those that stay empty
        raise


@contextmanager
def staged(place: Path, run_id: str, progress: Callable[[str], None]) -> Iterator[Staging]:
    """A staging folder for the run `run_id` (hexadecimal) that `publish` makes the folder `place`, which is locked.

    A staging folder that a killed run of the same id has left is used again; those of other ids are removed. A run
    that ends by an error leaves its whole parts there, for the next; `place` changes in `publish` alone.

    Raises InputError for what is in the way beside `place`, and when the file system refuses.
    """
    if not RUN_ID.fullmatch(run_id):
        raise ValueError(f"a run id is {run_id!r}; 16 to 128 hexadecimal digits are expected")
    try:
        staging = _opened(place, run_id, progress)
    except OSError as error:
        raise refused(f"the decisions cannot be staged beside {place}", error) from None
    try:
        yield staging
    finally:
        _drop_if_empty(staging.folder)


def _opened(place: Path, run_id: str, progress: Callable[[str], None]) -> Staging:
    aside = _beside(place, "old")
    if os.path.lexists(aside):
        if not _is_old_run(aside):
            raise InputError(f"{aside} is in the way, and is no run of earmark; move it away or choose another --out")
        if recover(place, aside):
            progress(f"putting {place} back, which a killed run had moved aside")
        else:
            _remove_run(aside, progress)
    checked_target(place)  # the run before may have changed it
    folder = _beside(place, f"staging-{run_id[:PREFIX]}")
    stale = re.compile(re.escape(f".{place.name}.staging-") + f"[0-9a-f]{{{PREFIX}}}")
    for name in os.listdir(place.parent):
        other = place.parent / name
        if stale.fullmatch(name) and other != folder and other.is_dir() and not other.is_symlink():
            progress(f"removing what a run of another plan, input or version left in {other}")
            _remove_run(other, progress)
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise InputError(f"{folder} is in the way; move it away or choose another --out")
    folder.mkdir(exist_ok=True)
    for name in os.listdir(folder):
        if not PART.fullmatch(name) or not (folder / name).is_file() or (folder / name).is_symlink():
            _remove(folder / name)
    return Staging(place, folder, run_id, progress)


def _is_old_run(folder: Path) -> bool:
    """Whether this is a run that was moved aside, or what a killed run has left of it: parts without a manifest."""
    if folder.is_symlink() or not folder.is_dir():
        return False
    return writer_of(folder / MANIFEST) == COMMAND or all(PART.fullmatch(name) for name in os.listdir(folder))


def _beside(out: Path, what: str) -> Path:
    return out.with_name(f".{out.name}.{what}")


def _remove_run(folder: Path, progress: Callable[[str], None]) -> None:
    """Remove a folder, its manifest first: what is left of it at any moment is no run."""
    with suppress(OSError):
        (folder / MANIFEST).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    if os.path.lexists(folder):
        progress(f"{folder}, which is needed no more, cannot be removed whole; the next run tries again")


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _drop_if_empty(folder: Path) -> None:
    """A staging folder without a whole part holds nothing that the next run could use."""
    with suppress(OSError):
        if not any(PART.fullmatch(name) for name in os.listdir(folder)):
            shutil.rmtree(folder)
