"""A net fitted by several processes on Spark's executors: the same steps as one process takes, shared out."""

from __future__ import annotations

import io
import json
import logging
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from allocation.jobs.engines import PROCESSES
from allocation.jobs.spark_session import no_warning, one_failure, open_session, stop
from allocation.jobs.spark_share import SharedFit, fit_share
from allocation.jobs.spark_tasks import packed
from allocation.policies.two_stage import roles_of
from uplift.campaign import Campaign
from uplift.errors import InputError
from uplift.learners.neural import NeuralResponse
from uplift.learners.store import load


def fit_on_spark(
    learner: NeuralResponse,
    log: Campaign | str | Path,
    roles: Mapping[str, Any] | None = None,
    *,
    master: str | None = None,
    processes: int = PROCESSES,
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
            found: Any = run(fit_share, job)
    finally:
        if own:
            stop(spark)
    if found["error"]:
        raise InputError(found["error"])
    with tempfile.TemporaryDirectory(prefix="earmark-net-") as folder:
        for name, content in found["files"].items():
            (Path(folder) / name).write_bytes(content)
        fitted: NeuralResponse = load(folder)
    return fitted.set_params(**learner.get_params())  # type: ignore[no-any-return]


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
    told: dict[str, Any] = {"X": log.X, "value": log.value} | roles_of(log)
    arrays = {name: array for name, array in told.items() if name != "arms" and array is not None}
    return SharedFit(parameters, release, arms=log.arms, arrays=packed(arrays))


def _number(value: Any) -> Any:
    """A numpy number as JSON takes it."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{value!r} is no plain value")


@contextmanager
def _silence() -> Iterator[None]:
    """Keep off the terminal what the distributor and its processes say on the way."""
    logging.getLogger("TorchDistributor").addHandler(logging.NullHandler())
    with no_warning(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        yield
