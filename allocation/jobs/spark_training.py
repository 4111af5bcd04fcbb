"""A net fitted by several processes on Spark's executors: the same steps as one process takes, shared out."""

from __future__ import annotations

import io
import json
import logging
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from allocation.jobs.spark_session import no_warning, one_failure, open_session, stop
from allocation.jobs.spark_tasks import other_release, packed, unpacked
from uplift.campaign import Campaign
from uplift.errors import InputError
from uplift.learners.neural import NeuralResponse
from uplift.learners.store import load, save
from uplift.learners.training import Schedule

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
        if self.path is not None:
            log = Campaign.from_parquet(self.path, **self.roles)
            return log.X, log.value, _roles(log) | {"arms": log.arms}
        arrays = unpacked(self.arrays)
        return arrays.pop("X"), arrays.pop("value"), arrays | {"arms": self.arms}


def fit_on_spark(
    learner: NeuralResponse,
    log: Campaign | str | Path,
    roles: Mapping[str, Any] | None = None,
    *,
    master: str | None = None,
    processes: int = 2,
) -> NeuralResponse:
    """The learner fitted on a log by `processes` processes on Spark's executors; the learner given is not changed.

    Each takes its users of every batch, and gradients are added up after each (`uplift.learners.shared`), so that the
    net is the one that `learner.fit` gives, up to the rounding of sums; at the end all must have the same weights, to
    the bit. Each process holds the log: the work is shared out, not the memory.

    Parameters
    ----------
    log : a campaign, which is sent to the executors, or the path of a Parquet file that all of them see, with
        `roles` as of `Campaign.from_frame`.
    master : Spark's, such as local[2]; None takes the session that runs, or Spark's own default.
    processes : as many as there are free slots for tasks, at most.

    Raises InputError for what `fit` refuses, for more processes than Spark has slots, and where Spark fails.
    """
    job = _shared_fit(learner, log, roles)
    spark, own = open_session(master)
    try:
        slots = spark.sparkContext.defaultParallelism
        if not 1 <= processes <= slots:
            raise InputError(
                f"processes is {processes}; from 1 to {slots} are expected, the slots for tasks of Spark"
            )
        with _silence(), one_failure("training"):
            from pyspark.ml.torch.distributor import TorchDistributor  # it loads torch and pandas

            run = TorchDistributor(num_processes=processes, local_mode=False, use_gpu=False).run
            found: dict[str, Any] = run(fit_share, job) or {}
    finally:
        if own:
            stop(spark)
    if found["error"]:
        raise InputError(found["error"])
    with tempfile.TemporaryDirectory(prefix="earmark-net-") as folder:
        for name, content in found["files"].items():
            (Path(folder) / name).write_bytes(content)
        fitted: NeuralResponse = load(folder)
    return fitted.set_params(progress=learner.progress)  # type: ignore[no-any-return]


def fit_share(job: SharedFit) -> dict[str, Any]:
    """What each process does; of the first one it is told what went wrong, or the files of the saved net."""
    import torch.distributed as dist

    from uplift.learners.shared import digest, share

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


def _shared_fit(learner: NeuralResponse, log: Campaign | str | Path, roles: Mapping[str, Any] | None) -> SharedFit:
    if not isinstance(learner, NeuralResponse):
        raise InputError(f"the learner is {learner!r}; only a NeuralResponse is fitted on Spark")
    parameters = learner.get_params() | {"progress": None}
    if not isinstance(learner.seed, int | np.integer):
        raise InputError(f"seed is {learner.seed!r}; a whole number is expected, which every process begins with")
    try:
        parameters = json.loads(json.dumps(parameters, default=_number))
    except TypeError as error:
        raise InputError(f"the learner's parameters cannot be sent to executors: {error}") from None
    release = version("earmark")
    if not isinstance(log, Campaign):
        return SharedFit(parameters, release, str(Path(log).absolute()), dict(roles or {}))
    arrays = {name: array for name, array in _roles(log).items() if array is not None}
    return SharedFit(parameters, release, arms=log.arms, arrays=packed({"X": log.X, "value": log.value, **arrays}))


def _roles(log: Campaign) -> dict[str, Any]:
    return {"treatment": log.treatment, "cost": log.cost, "propensity": log.propensity}


def _number(value: Any) -> Any:
    """A numpy number as JSON takes it."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{value!r} is no plain value")


def _agreed(work: Callable[[], Any]) -> tuple[Any, str]:
    """What the work returns, and the first message of all processes' InputErrors, empty where there is none."""
    result, error = None, ""
    try:
        result = work()
    except InputError as failed:
        error = str(failed) or type(failed).__name__
    return result, next(filter(None, _told(error)), "")


def _told(text: str) -> list[str]:
    """The text of every process, in their order."""
    import torch
    import torch.distributed as dist

    content = text.encode()[:LONGEST].ljust(LONGEST, b"\0")
    mine = torch.tensor(list(content), dtype=torch.uint8)
    all_ = [torch.empty_like(mine) for _ in range(dist.get_world_size())]
    dist.all_gather(all_, mine)
    return [bytes(one.tolist()).rstrip(b"\0").decode(errors="ignore") for one in all_]


def _saved(model: NeuralResponse) -> dict[str, bytes]:
    """The files of the saved model, which hold no pickle; executors need no folder that the driver sees."""
    with tempfile.TemporaryDirectory(prefix="earmark-net-") as folder:
        return {path.name: path.read_bytes() for path in save(model, Path(folder) / "net").iterdir()}


@contextmanager
def _silence() -> Iterator[None]:
    """Keep off the terminal what the distributor and its processes say on the way."""
    logging.getLogger("TorchDistributor").addHandler(logging.NullHandler())
    with no_warning(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        yield
