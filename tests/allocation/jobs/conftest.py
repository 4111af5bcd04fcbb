"""What the jobs' tests share: one Spark session, and nets that are small."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from allocation.jobs import policies_named
from uplift.learners import ResponseLearner


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


@pytest.fixture
def small_nets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nets that learn in seconds, where a test asks what becomes of a fit and not how good it is."""
    own = policies_named.make_learner

    def small(name: str, seed: int, **arguments: Any) -> ResponseLearner:
        """The learner of a name, a net with a few units that sees every user three times."""
        return own(name, seed, **({"hidden": (4,), "epochs": 3} if name == "neural" else {}) | arguments)

    monkeypatch.setattr(policies_named, "make_learner", small)
