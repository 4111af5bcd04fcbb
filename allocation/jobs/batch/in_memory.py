"""The same plan decided for a table in memory: a notebook's way to what the nightly job does."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from allocation.engine.stream.solved import Solved
from allocation.jobs.batch.decide_job import Watch, solve_plan
from allocation.jobs.batch.passes import Cut, LocalPasses
from allocation.jobs.batch.work import Decide
from allocation.jobs.plan import Plan, parse_plan, read_plan
from allocation.jobs.tables.open import open_responses
from uplift.errors import InputError
from uplift.frames import open_frame
from uplift.response import Response


@dataclass(frozen=True, eq=False)
class Decided:
    """What a plan decides for a table in memory.

    Attributes
    ----------
    table : pyarrow table `user_id, arm, expected_value, expected_cost, margin`, one row a user, in the order given;
        `.to_pandas()` makes a data frame of it.
    solved : totals, price, certificate and limits.
    """

    table: pa.Table
    solved: Solved


def decide(plan: Plan | str | Path, responses: Any) -> Decided:
    """Decide a plan for users in memory: row for row what `earmark decide` writes for the same users and plan.

    Parameters
    ----------
    plan : a `Plan`, the path of a plan file, or the text of one; where it reads its users from is not looked at.
    responses : a response table as a pandas or polars data frame or an Arrow table (columns as in a file, see
        `earmark decide --help`), or a `Response`; one without `user_id` gets 0, 1, ...

    Returns `Decided`: `table`, a row a user in the order given (amounts in value units and money), and `solved`,
    totals and certificate as in `Allocation`.

    The table is held twice. Misleads as every promise does: `evaluate` tells what decisions are worth. Raises
    InputError for a plan or a table that cannot be read, ids that repeat, and limits about nobody, ProblemError where
    no decision is within budget and limits.

    Examples
    --------
    >>> import pandas as pd
    >>> users = pd.DataFrame({"user_id": [1, 2], "value.none": 0.0, "value.mail": [5.0, 2.0],
    ...                       "cost.none": 0.0, "cost.mail": [2.0, 1.0]})
    >>> decide('[plan]\\nname = "spring"\\nresponses = "-"\\nbudget = 2.0', users).table["arm"].to_pylist()
    ['mail', 'none']
    """
    plan = _plan(plan)
    with _kept(_table(responses)) as url:
        source = open_responses(url, plan.resources, plan.attributes)
        passes = LocalPasses(source, Cut(plan.limits, plan.part_rows), Watch())
        solved = solve_plan(plan, passes, source)[1]
        work = Decide(solved.rule, source.arms)
        blocks = source.stream(plan.part_rows)
        parts = [work(block, passes.cut.chunk(block)) for block in blocks]
    return Decided(pa.concat_tables(parts).unify_dictionaries(), solved)


def _plan(plan: Plan | str | Path) -> Plan:
    if isinstance(plan, Plan):
        return plan
    if isinstance(plan, str) and "[plan]" in plan:
        return parse_plan(plan)
    return read_plan(plan)


def _table(responses: Any) -> pa.Table:
    if isinstance(responses, Response):
        ids = np.arange(len(responses)) if responses.user_id is None else responses.user_id
        columns = {"user_id": pa.array(ids)}
        for name, cells in (("value", responses.value), ("cost", responses.cost)):
            columns |= {f"{name}.{arm}": pa.array(cells[:, j]) for j, arm in enumerate(responses.arms)}
        return pa.table(columns)
    if isinstance(responses, (str, Path)):
        raise InputError(f"responses is the path {str(responses)!r}; give a data frame, or run `earmark decide`")
    table: pa.Table = open_frame(responses).to_arrow()
    return table


@contextmanager
def _kept(table: pa.Table) -> Iterator[str]:
    """The table as a file in memory, so that it is read and checked as any other, for as long as it is needed."""
    url = f"memory://earmark-{uuid.uuid4().hex}.parquet"
    system, path = fsspec.core.url_to_fs(url)
    with system.open(path, "wb") as file:
        pq.write_table(table, file, compression="none")
    try:
        yield url
    except InputError as error:
        raise InputError(str(error).replace(url, "the table in memory")) from None
    finally:
        system.rm(path)
