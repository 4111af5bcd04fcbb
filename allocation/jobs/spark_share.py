"""What each process of a net's fit on Spark does: its share of the work, once all have found the input in order.

What Spark's own workers import with it is light: the net's libraries are loaded by the processes that fit.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from uplift.learners.neural import NeuralResponse

LONGEST = 2_000  # letters of a message between processes


@dataclass(frozen=True, eq=False)
class SharedFit:
    """What each process is told: the learner's parameters, the log as a path with roles or as arrays, the release."""

    parameters: dict[str, Any]
    release: str
    path: str | None = None
    roles: Mapping[str, Any] = field(default_factory=dict)
    arms: tuple[str, ...] = ()
    arrays: bytes = b""

    def log(self) -> tuple[Any, Any, dict[str, Any]]:
        """X, value and what else `fit` takes."""
        from allocation.jobs.spark_tasks import unpacked
        from allocation.policies.two_stage import roles_of
        from uplift.campaign import Campaign

        if self.path is not None:
            log = Campaign.from_parquet(self.path, **self.roles)
            return log.X, log.value, roles_of(log)
        arrays = unpacked(self.arrays)
        return arrays.pop("X"), arrays.pop("value"), arrays | {"arms": self.arms}


def fit_share(job: SharedFit) -> dict[str, Any]:
    """What each process does; of the first one it is told what went wrong, or the files of the saved net."""
    import torch.distributed as dist

    from allocation.jobs.spark_tasks import other_release
    from uplift.errors import InputError
    from uplift.learners.neural import NeuralResponse
    from uplift.learners.shared import digest, share
    from uplift.learners.training import Schedule

    dist.init_process_group("gloo")
    try:
        model = NeuralResponse(**job.parameters)

        def begin() -> Any:
            """All that may be wrong with the input, before anybody waits for anybody."""
            if version("earmark") != job.release:
                raise InputError(other_release(job.release))
            X, value, roles = job.log()
            return model.begin(X, value, **roles)

        begun, error = _agreed(begin)
        if error:
            return {"error": error, "files": {}}
        schedule = Schedule(model.epochs, model.batch_size, model.lr, model.weight_decay)
        try:
            losses = begun.fit(schedule, share)
        except InputError as failed:  # of sums that all have: all are here
            return {"error": str(failed), "files": {}}
        if len(set(_told(digest(begun.net)))) > 1:
            raise RuntimeError("the processes have come to different weights")
        return {"error": "", "files": _saved(model.finish(begun, losses)) if dist.get_rank() == 0 else {}}
    finally:
        dist.destroy_process_group()


def _agreed(work: Callable[[], Any]) -> tuple[Any, str]:
    """What the work returns, and the first message of all processes' InputErrors, empty where there is none."""
    from uplift.errors import InputError

    result, error = None, ""
    try:
        result = work()
    except InputError as failed:
        error = str(failed) or type(failed).__name__
    return result, next(filter(None, _told(error)), "")


def _told(text: str) -> list[str]:
    """The text of every process, in their order.

    As bytes, not by `all_gather_object`: that unpickles what comes in by a socket, and no pickle is loaded here.
    """
    import torch
    import torch.distributed as dist

    content = text.encode()[:LONGEST].ljust(LONGEST, b"\0")
    mine = torch.tensor(list(content), dtype=torch.uint8)
    all_ = [torch.empty_like(mine) for _ in range(dist.get_world_size())]
    dist.all_gather(all_, mine)
    return [bytes(one.tolist()).rstrip(b"\0").decode(errors="ignore") for one in all_]


def _saved(model: NeuralResponse) -> dict[str, bytes]:
    """The files of the saved model, which hold no pickle; executors need no folder that the driver sees."""
    from uplift.learners.store import save

    with tempfile.TemporaryDirectory(prefix="earmark-net-") as folder:
        return {path.name: path.read_bytes() for path in save(model, Path(folder) / "net").iterdir()}
