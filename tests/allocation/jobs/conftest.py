"""One Spark session for all tests that need one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session")
def session() -> Iterator[object]:
    """A Spark session on two cores, which every run finds running."""
    from allocation.jobs.spark_session import open_session, stop

    spark, own = open_session("local[2]")
    yield spark
    if own:
        stop(spark)
