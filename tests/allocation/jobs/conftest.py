"""One Spark session for all tests that need one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session")
def has_java() -> None:
    """Java that Spark can use, or a skip that says what is missing."""
    from allocation.jobs.spark_session import check_java
    from uplift.errors import InputError

    try:
        check_java()
    except InputError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def session(has_java: None) -> Iterator[object]:
    """A Spark session on two cores, which every run finds running."""
    from allocation.jobs.spark_session import open_session, stop

    spark, own = open_session("local[2]")
    yield spark
    if own:
        stop(spark)
