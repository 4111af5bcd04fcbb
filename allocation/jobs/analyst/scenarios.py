"""Named plans beside a run, each a TOML file that `earmark decide` takes as it is."""

from __future__ import annotations

import os
import re
import threading
import unicodedata
import uuid
from contextlib import suppress
from pathlib import Path

from allocation.jobs.analyst.run import Run
from allocation.jobs.batch.part_file import mend, write_whole
from allocation.jobs.folder import reason
from allocation.jobs.plan import Plan, plan_text, read_plan
from allocation.jobs.plan_values import check_name, shown
from uplift.errors import InputError

ENDING = ".toml"
MOST_CHARACTERS = 80  # of a name, for lists and file systems
MOST_LISTED = 500  # scenarios
# What separates folders, or means something to a shell or to Windows.
_FORBIDDEN = re.compile(r'[/\\:*?"<>|\x00]')
# Names of devices, with any ending, to Windows.
_DEVICE = re.compile(r"(?i)(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?$")
_one = threading.Lock()  # sessions of one app that save under one name at once


def scenarios_folder(run: Run) -> Path:
    """Where the scenarios of a run are: `<run>-scenarios` beside it; it need not exist."""
    return run.place.with_name(f"{run.place.name}-scenarios")


def checked_name(name: str) -> str:
    """The name of a scenario, blanks around it gone; raises InputError for one that cannot be a file's everywhere."""
    name = unicodedata.normalize("NFC", name.strip())
    try:
        check_name(name)
    except ValueError as error:
        raise InputError(f"a scenario is called {shown(name)}; {error}") from None
    wrong = _FORBIDDEN.search(name)
    fault = (
        f"it holds {wrong[0]}, which separates folders or means something to a system"
        if wrong
        else "names that begin or end with a dot are the system's"
        if name.startswith(".") or name.endswith(".")
        else "this is a device's name"
        if _DEVICE.match(name)
        else f"it has more than {MOST_CHARACTERS} characters"
        if len(name) > MOST_CHARACTERS or len(name.encode()) > 240
        else ""
    )
    if fault:
        raise InputError(f"a scenario cannot be called {shown(name)}: {fault}; choose another name")
    return name


def saved_names(folder: Path) -> list[str]:
    """The names of the scenarios in a folder, in alphabetical order, the first MOST_LISTED; none without a folder."""
    return sorted(_names(folder), key=lambda name: (name.casefold(), name))[:MOST_LISTED]


def is_taken(folder: Path, name: str) -> bool:
    """Whether some file system would take a name that is there for this one; InputError as `checked_name` raises."""
    return checked_name(name).casefold() in {other.casefold() for other in _names(folder)}


def _names(folder: Path) -> list[str]:
    try:
        return [
            entry.name.removesuffix(ENDING)
            for entry in os.scandir(folder)
            if entry.name.endswith(ENDING) and not entry.name.startswith(".") and entry.is_file(follow_symlinks=False)
        ]
    except OSError:
        return []


def save(folder: Path, name: str, plan: Plan, *, replace: bool = False) -> Path:
    """Write a plan under a name, whole or not at all; the file.

    Raises InputError for a name that cannot be, for one that is taken (unless `replace`), and when the file system
    refuses.
    """
    name = checked_name(name)
    file = folder / (name + ENDING)
    hidden = folder / f".{uuid.uuid4().hex}"
    with _one:
        try:
            if not replace and is_taken(folder, name):
                raise InputError(f"a scenario {shown(name)} is there; overwrite it, or choose another name")
            folder.mkdir(parents=True, exist_ok=True)
            if file.is_symlink() or (file.exists() and not file.is_file()):
                raise InputError(f"{file} is no regular file; choose another name")
            write_whole(hidden, plan_text(plan).encode())
            hidden.replace(file)
        except OSError as error:
            raise InputError(
                f"the scenario cannot be saved in {folder}: {reason(error)}; nothing was changed. {mend(error)} and "
                "save again"
            ) from None
        finally:
            with suppress(OSError):
                hidden.unlink(missing_ok=True)
    return file


def load(folder: Path, name: str) -> Plan:
    """The plan that is saved under a name; raises InputError where there is none, and as `read_plan` does."""
    return read_plan(_file(folder, name))


def delete(folder: Path, name: str) -> None:
    """Remove a scenario, and the folder with its last one; raises InputError where there is none."""
    file = _file(folder, name)
    try:
        file.unlink()
    except OSError as error:
        raise InputError(
            f"{file} cannot be deleted: {reason(error)}; see to it that its folder may be written to"
        ) from None
    with suppress(OSError):
        folder.rmdir()  # one that holds anything else stays


def _file(folder: Path, name: str) -> Path:
    file = folder / (checked_name(name) + ENDING)
    if file.is_symlink() or not file.is_file():
        raise InputError(
            f"there is no scenario {shown(name)} in {folder}; somebody may have deleted it: reload the page"
        )
    return file
