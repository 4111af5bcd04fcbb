"""What the manifest of a folder of decisions says, each entry checked before anything is done with it."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from allocation.jobs.batch.parts import FRACTION
from allocation.jobs.batch.target import COMMAND
from allocation.jobs.folder import reason, refused_as
from allocation.jobs.plan_values import shown
from allocation.jobs.summary import MANIFEST
from allocation.jobs.tables.writing import PARTS, part_name
from uplift.errors import InputError
from uplift.files import expanded

LARGEST = 64 << 20  # bytes of a manifest; one of 100,000 parts has 15 million
COUNT = Annotated[int, Field(ge=0, le=1 << 53)]
NAME = Annotated[str, Field(min_length=1, max_length=10_000)]
FRACTION_TEXT = Annotated[str, Field(pattern=f"^{FRACTION.pattern}$")]
Scalar = str | int | float | bool


class _Entry(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="ignore", hide_input_in_errors=True)


class PartEntry(_Entry):
    """One part: name in the folder, users, size and checksum."""

    file: str
    rows: COUNT
    bytes: COUNT
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class LimitEntry(_Entry):
    """One limit: whom it is about, its bounds as numbers, what the decisions use of it, all in the measure's unit."""

    name: NAME
    measure: NAME
    arms: list[NAME]
    where: dict[str, list[Scalar]]
    used: FiniteFloat
    min: FiniteFloat | None
    max: FiniteFloat | None
    price: FiniteFloat | None
    binding: Literal["min", "max"] | None


class UsedEntry(_Entry):
    """How many of the users served before a limit is about, and what they used of it, as numerator/denominator."""

    users: COUNT
    used: FRACTION_TEXT


class SpentEntry(_Entry):
    """Who was served before: how many, what they cost (money; `exact` as a fraction), and what of each limit."""

    users: COUNT
    cost: FiniteFloat
    exact: FRACTION_TEXT
    limits: list[UsedEntry]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class PlanEntry(_Entry):
    """The plan as TOML without its paths, and its checksum."""

    text: str
    sha256: str


class TotalsEntry(_Entry):
    """Value, gain (value units) and cost (money) of all users, to the nearest float."""

    value: FiniteFloat
    gain: FiniteFloat
    cost: FiniteFloat


class ExactEntry(_Entry):
    """Value and cost of all users as numerator/denominator."""

    value: str
    cost: str


class Published(_Entry):
    """The manifest of a run of `earmark decide`, as far as it can be checked against the files."""

    earmark: str
    command: Literal["decide"]
    run: Annotated[str, Field(pattern="^[0-9a-f]{16,128}$")]
    versions: dict[str, str]
    name: str
    plan: PlanEntry
    input: dict[str, Any]
    rows: COUNT
    part_rows: Annotated[int, Field(ge=1, le=1 << 53)]
    arm_users: Annotated[dict[NAME, COUNT], Field(min_length=1, max_length=100_000)]
    currency: str
    budget: FiniteFloat | None
    price: FiniteFloat | None
    totals: TotalsEntry
    exact: ExactEntry
    bound: FiniteFloat | None
    gap: FiniteFloat | None
    limits: list[LimitEntry]
    spent: SpentEntry | None = None
    parts: Annotated[list[PartEntry], Field(max_length=PARTS)]

    @property
    def arms(self) -> tuple[str, ...]:
        """The arms, control first."""
        return tuple(self.arm_users)


def read_published(folder: str | Path) -> tuple[Path, Published]:
    """The folder that is meant and what its manifest says.

    Raises InputError where there is no manifest, where it is no JSON, not of `earmark decide`, lacks an entry or
    holds one of a wrong type, and where it names a file that is no part of a run, such as one in another folder.
    """
    place = expanded(folder)
    path = place / MANIFEST
    content = _content(place, path)
    try:
        tree = json.loads(content, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is no manifest: {reason(error)}; run `earmark decide` again") from None
    if isinstance(tree, dict) and "earmark" in tree and tree.get("command", "demo") != COMMAND:
        raise InputError(
            f"{place} holds a run of `earmark {str(tree.get('command', 'demo'))[:40]}`; give a folder that `earmark "
            "decide --out FOLDER` wrote"
        )
    try:
        published = Published.model_validate(tree)
    except (ValidationError, RecursionError) as error:
        raise InputError(f"{path} is no manifest of `earmark decide`: {_told(error)}; run it again") from None
    for k, part in enumerate(published.parts):
        if part.file != part_name(k):
            raise InputError(
                f"{path} is no manifest of `earmark decide`: its part {k} is called {shown(part.file)}, "
                f"{part_name(k)!r} is expected; run it again"
            )
    return place, published


def state(folder: str | Path) -> str:
    """What tells one run in a folder from another: the checksum of its manifest, empty where there is none.

    Ask before the manifest is read, or a run that takes its place in between is not noticed.
    """
    try:
        with open(open_plain(expanded(folder) / MANIFEST), "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError):
        return ""


def open_plain(path: Path) -> int:
    """A descriptor to read a file that is one: no link, no pipe, no device; raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(0, "it is no regular file")
    return descriptor


def _content(place: Path, path: Path) -> bytes:
    wanted = "give the folder that `earmark decide --out FOLDER` wrote"
    with refused_as(lambda why: f"{shown(str(path))} cannot be read: {why}; {wanted}"):
        if not place.exists():
            aside = place.with_name(f".{place.name}.old")
            if aside.is_dir():
                raise InputError(
                    f"{place} does not exist, but {aside} does: a run was killed while it took the folder's place; "
                    "the next `earmark decide` to that folder puts it back"
                )
            raise InputError(f"{shown(str(place))} does not exist; {wanted}")
        if not place.is_dir():
            raise InputError(f"{place} is no folder; {wanted}")
        with open(open_plain(path), "rb") as file:
            content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise InputError(f"{path} has more than {LARGEST:,} bytes, and is no manifest; run `earmark decide` again")
    return content


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object, each key in it once: what stands twice would be read as whichever one likes."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands in it twice")
    return found


def _told(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return "it is nested too deep"
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(shown(str(step))[1:-1] for step in first["loc"]) or "it"
    return f"{where}: {first['msg'][:200]}"
