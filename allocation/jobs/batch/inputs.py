"""What a batch run reads: a response table as it is, or a model's predictions, kept for as long as the run lasts."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from allocation.jobs.batch.part_file import check_parts, refused
from allocation.jobs.plan import Plan
from allocation.jobs.tables.blocks import FiledSource
from allocation.jobs.tables.open import open_responses
from uplift.errors import InputError


@dataclass(frozen=True, eq=False)
class Inputs:
    """The plan's users, opened, and the fingerprint of all that their responses come from.

    users : the response table, or the features with a model that predicts each block anew.
    """

    plan: Plan
    users: FiledSource
    fingerprint: dict[str, Any]

    @contextmanager
    def responses(self, beside: Path | None, step: Callable[[str], None]) -> Iterator[FiledSource]:
        """The users with their responses, to be read as often as it takes.

        What a model predicts is written once, into a folder that goes when the run ends: beside the folder of the
        decisions, which is locked, or where temporary files are (None).
        """
        if self.plan.responses is not None:
            yield self.users
            return
        from allocation.jobs.predict_job import write_parts  # models are slow to load

        plan, prefix = self.plan, f".{beside.name if beside else 'earmark'}.predicted-"
        for left in () if beside is None else _left_of(beside.parent, prefix):
            shutil.rmtree(left, ignore_errors=True)  # of a run that was killed: this one holds the lock
        with tempfile.TemporaryDirectory(prefix=prefix, dir=None if beside is None else beside.parent) as folder:
            try:
                write_parts(self.users, plan.part_rows, Path(folder), step)
            except OSError as error:
                raise refused(f"what {plan.model} predicts cannot be written into {folder}", error) from None
            yield open_responses(folder, plan.resources, plan.attributes)


def open_inputs(plan: Plan, step: Callable[[str], None]) -> Inputs:
    """Open what the plan names, and hash it.

    Raises InputError for more parts of decisions than have names, and as `open_users` does.
    """
    users = open_users(plan, step, plan.resources, plan.attributes)
    check_parts(users.n, plan.part_rows)
    return Inputs(plan, users, users.fingerprint())


def open_users(
    plan: Plan,
    step: Callable[[str], None],
    resources: Sequence[str] = (),
    attributes: Sequence[str] = (),
    *,
    ids: bool = True,
) -> FiledSource:
    """The users that a plan names, with some of their resources and attributes.

    Raises InputError for a plan that names neither responses nor a model with features, and as opening does.
    """
    if plan.responses is not None:
        step(f"opening {plan.responses}")
        return open_responses(plan.responses, resources, attributes, ids=ids)
    if plan.model is None or plan.features is None:
        raise InputError("the plan names neither responses nor a model and features; name one of them")
    from allocation.jobs.tables.predicted import open_predicted  # models are slow to load

    step(f"opening {plan.model} and {plan.features}")
    return open_predicted(plan.model, plan.features, resources, attributes, ids=ids)


def _left_of(folder: Path, prefix: str) -> list[Path]:
    """Folders that `tempfile` has named so: a folder beside that goes on otherwise is somebody else's."""
    made = re.compile(re.escape(prefix) + "[a-z0-9_]{8}")
    return [path for path in folder.iterdir() if made.fullmatch(path.name)] if folder.is_dir() else []
