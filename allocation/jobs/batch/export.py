"""Decisions as one CSV file, streamed, with no cell that a spreadsheet would execute."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from allocation.jobs.batch.part_file import mend
from allocation.jobs.batch.part_reading import batches, opened_part
from allocation.jobs.batch.parts import arm_users
from allocation.jobs.batch.published import Published, read_published, state
from allocation.jobs.folder import reason, refused_as
from allocation.jobs.plan_values import shown
from uplift.errors import InputError, nearest
from uplift.files import expanded

TEXTS = ("user_id", "arm")
# Letters that a spreadsheet may read as = + - @: themselves, and those that Unicode calls forms of them.
SIGNS = r"=+\-@＝＋－＠﹦﹢﹣﹫⁼⁺⁻₌₊₋⩵⩶﬩−"
# A cell that begins so, blanks and unseen letters aside, is a formula or a command to one spreadsheet or another.
FORMULA = rf"^(?:[\s\p{{Z}}\p{{C}}]*[{SIGNS}]|[\t\r\n])"


@dataclass(frozen=True)
class Exported:
    """What was written: the file, how many decisions, and how many cells of text got an apostrophe in front."""

    file: Path
    rows: int
    escaped: int


def export_decisions(
    folder: str | Path,
    file: str | Path,
    arms: Sequence[str] = (),
    *,
    force: bool = False,
    progress: Callable[[str, int, int], None] | None = None,
) -> Exported:
    """Write the decisions of a folder, of some arms or of all, to a CSV file (RFC 4180, UTF-8), in their order.

    Text is quoted, numbers are as they are, with every digit they need. A user id or an arm that begins like a
    formula gets an apostrophe in front, which spreadsheets do not show; a program that reads the file must drop it.
    Each part's checksum is compared before its rows are used; the file appears once all are written. Memory does not
    grow with the users.

    Raises InputError for a folder that is no run of `earmark decide` or holds a part that is not the manifest's, an
    unknown arm, a file that is there (unless `force`), and when the file system refuses: the file is then as before.
    """
    before = state(folder)
    place, published = read_published(folder)
    target = _checked(file, place, force)
    for arm in arms:
        if arm not in published.arms:
            raise InputError(f"{place} decides for no arm {shown(arm)}.{nearest(arm, published.arms)}")
    hidden = target.with_name(f".{target.name}-{uuid.uuid4().hex}")
    try:
        done = _write(hidden, place, published, arms, progress or (lambda what, done, of: None))
        if state(place) != before:
            raise InputError(f"another run took the place of {place} while it was read; export it again")
        _move(hidden, target, force)
    except OSError as error:
        raise InputError(
            f"{target} cannot be written: {reason(error)}; no file is half written. {mend(error)} and export again"
        ) from None
    finally:
        with suppress(OSError):
            hidden.unlink(missing_ok=True)
    return Exported(target, *done)


def escaped(column: pa.Array | pa.ChunkedArray) -> tuple[pa.Array | pa.ChunkedArray, int]:
    """Text with an apostrophe before each cell that begins like a formula, and how many there are."""
    wrong = pc.match_substring_regex(column, FORMULA)
    count = pc.sum(wrong).as_py() or 0
    if count:
        column = pc.if_else(wrong, pc.binary_join_element_wise("'", column, ""), column)
    return column, count


def _write(
    path: Path, place: Path, published: Published, arms: Sequence[str], progress: Callable[[str, int, int], None]
) -> tuple[int, int]:
    rows = count = 0
    writer = None
    wanted = pa.array(list(arms), pa.string())
    with path.open("xb") as out:
        for k, part in enumerate(published.parts):
            progress("parts exported", k, len(published.parts))
            with opened_part(place, part, published.run) as source:
                for table in batches(source, part):
                    _check(table, published.arms, part.file)
                    if arms:
                        table = table.filter(pc.is_in(table.column("arm").cast(pa.string()), value_set=wanted))
                    table, own = _harmless(table)
                    writer = writer or _writer(out, table.schema)
                    if table.schema != writer[1]:
                        raise InputError(f"{part.file} has user_id of another type than the parts before")
                    writer[0].write_table(table)
                    rows, count = rows + table.num_rows, count + own
        if writer is None:
            out.write(b'"user_id","arm","expected_value","expected_cost","margin"\n')
        else:
            writer[0].close()
        out.flush()
        os.fsync(out.fileno())
    return rows, count


def _writer(out: object, schema: pa.Schema) -> tuple[pyarrow.csv.CSVWriter, pa.Schema]:
    return pyarrow.csv.CSVWriter(out, schema), schema


def _check(table: pa.Table, arms: Sequence[str], name: str) -> None:
    try:
        arm_users(table.column("arm"), arms)
    except InputError as error:
        raise InputError(f"{name}: {error}") from None


def _harmless(table: pa.Table) -> tuple[pa.Table, int]:
    count = 0
    for name in TEXTS:
        column = table.column(name)
        if pa.types.is_dictionary(column.type):
            column = column.cast(pa.string())
        if pa.types.is_string(column.type):
            column, own = escaped(column)
            count += own
        table = table.set_column(table.column_names.index(name), name, column)
    return table, count


def _checked(file: str | Path, place: Path, force: bool) -> Path:
    """The file that is meant; refused, before any work, where it cannot or must not be written."""
    with refused_as(lambda why: f"{shown(str(file))} cannot be a CSV file: {why}; choose another"):
        target = expanded(file).resolve()
        if target.suffix.lower() != ".csv":
            raise InputError(f"{shown(str(file))} is no name of a CSV file; one such as decisions.csv is expected")
        if not target.parent.is_dir() or not os.access(target.parent, os.W_OK | os.X_OK):
            raise InputError(f"{target.parent} is no folder that may be written to; make it, or choose another file")
        if place.resolve() in target.parents:
            raise InputError(
                f"{target} lies in the folder of the decisions, which holds nothing else; choose another"
            )
        if target.exists() and not target.is_file():
            raise InputError(f"{target} is no regular file; choose another")
        if target.exists() and not force:
            raise InputError(f"{target} is there, and would be lost; choose another file, or replace it with --force")
    return target


def _move(hidden: Path, target: Path, force: bool) -> None:
    if not force and target.exists():
        raise InputError(f"{target} has appeared meanwhile, and would be lost; choose another file, or give --force")
    hidden.replace(target)
