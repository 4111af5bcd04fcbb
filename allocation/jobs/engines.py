"""Where a job runs: on this machine, or on Spark with options of its own."""

from __future__ import annotations

from collections.abc import Mapping

from uplift.errors import InputError, nearest

LOCAL, SPARK = "local", "spark"
ENGINES = (LOCAL, SPARK)
PROCESSES = 2  # that fit a net on Spark, unless another number is asked for


def check_engine(engine: str, of_spark: Mapping[str, object]) -> None:
    """Refuse an engine that is not known, and options of Spark beside the local one.

    `of_spark` are those options by the name that a user gives them, None where one is left out. Raises InputError.
    """
    if engine not in ENGINES:
        raise InputError(f"engine {engine!r} is not known.{nearest(engine, ENGINES)}")
    if engine == LOCAL:
        for name, given in of_spark.items():
            if given is not None:
                raise InputError(f"{name} is for --engine spark only; add it, or leave {name} out")
