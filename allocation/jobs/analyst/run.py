"""A run to be looked at: the response table, what the log tells of the same users, and what was found before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from allocation.jobs.analyst.compared import Compared, read_compared
from allocation.jobs.analyst.evidence import Checks
from allocation.jobs.analyst.evidence_file import read_checks
from allocation.jobs.analyst.in_pieces import read_log, read_users
from allocation.jobs.output import CHECKS, COMPARISON, EVIDENCE, PLAN, REPORT, RESPONSES
from allocation.jobs.plan import Plan, read_plan
from allocation.jobs.summary import Summary, read_run
from allocation.jobs.tables.files import ENDINGS, find_files
from allocation.jobs.tables.footers import read_footer
from allocation.jobs.tables.open import open_responses
from allocation.jobs.tables.schema import PREFIXES, RESOURCE, USER_ID
from uplift.errors import InputError
from uplift.files import expanded

Table = NDArray[np.floating[Any]]
MOST_USERS = 20_000_000  # that are held in memory to be looked at


@dataclass(frozen=True, eq=False)
class Evidence:
    """What a randomised log tells of the users of a response table, in their order.

    treatment : (n,) arm received. propensity : (n, K+1) chances of each. value_score, spend_score : (n, K+1) doubly
    robust scores, value units and money, see `evaluation.scores`. value : (n,) as logged; None where an earlier
    version wrote the run.
    """

    treatment: NDArray[np.int64]
    propensity: Table
    value_score: Table
    spend_score: Table
    value: NDArray[np.float64] | None = None


@dataclass(frozen=True, eq=False)
class Run:
    """Users, what is predicted of them, and what is known beside.

    Attributes
    ----------
    place : the folder or table. plan : the plan that it was decided by; its budget may be None.
    arms : K+1 names, control first. user_id : (n,). value, cost : (n, K+1), value units and money. eligible :
        (n, K+1) or None. resources : consumption by name, (n, K+1) each. attributes : by name, (n,) each.
    evidence : None where there is no log of these users. summary : of a demo, else None. compared : its policies.
    checks : why its figures can be believed, or not; None where an earlier version wrote the run.
    """

    place: Path
    plan: Plan
    arms: tuple[str, ...]
    user_id: pa.Array
    value: Table
    cost: Table
    eligible: NDArray[np.bool_] | None = None
    resources: Mapping[str, Table] = field(default_factory=dict)
    attributes: Mapping[str, pa.Array] = field(default_factory=dict)
    evidence: Evidence | None = None
    summary: Summary | None = None
    compared: Compared | None = None
    checks: Checks | None = None

    def __len__(self) -> int:
        return len(self.value)

    @property
    def value_name(self) -> str:
        """What a unit of value is."""
        return "value" if self.summary is None else self.summary.value_name

    @property
    def currency(self) -> str:
        """What money is in, may be empty."""
        return self.plan.currency


def open_run(place: str | Path) -> Run:
    """The run in a folder that `earmark demo` wrote, or a response table: a Parquet file, or a folder of them.

    Everything is read into memory: some 16 bytes a user and arm, and 24 more with evidence. Raises InputError for a
    place that holds neither, for a damaged file, for evidence of other users, and for more than MOST_USERS users.
    """
    path = check_place(place)
    if not (path / RESPONSES).is_file():
        return _read(path, Plan(name=path.stem, responses=str(path)), path, None)
    run = _read(path, read_plan(path / PLAN), path / RESPONSES, read_run(path))
    checks = read_checks(path / CHECKS, run.arms, len(run))
    logged, compared = read_log(path / EVIDENCE, run.arms, run.user_id), path / COMPARISON
    pa.default_memory_pool().release_unused()  # what reading took, which the pool would keep
    run = replace(run, evidence=Evidence(**logged), checks=checks)
    return replace(run, compared=read_compared(compared, len(run))) if compared.is_file() else run


def check_place(place: str | Path) -> Path:
    """The place as an absolute path; raises InputError where there is neither a run nor a table. Nothing is read."""
    path = expanded(place).resolve()
    if (path / RESPONSES).is_file():
        return path
    if (path / REPORT).is_file():
        raise InputError(f"{path} was written by an earlier earmark, without {RESPONSES}; run `earmark demo` again")
    empty = path.is_dir() and not any(file.name.lower().endswith(ENDINGS) for file in path.rglob("*"))
    if not path.exists() or empty:
        raise InputError(
            f"{path} holds no run; give the folder that `earmark demo --out FOLDER` wrote, or a response table, "
            "which `earmark predict` writes"
        )
    return path


def _read(place: Path, plan: Plan, table: Path, summary: Summary | None) -> Run:
    first = open_responses(table, ids=False)
    if first.n > MOST_USERS:
        raise InputError(
            f"{table} has {first.n:,} users; up to {MOST_USERS:,} can be looked at: give one of its parts, and let "
            "`earmark decide` decide for all"
        )
    names = _columns(table)
    resources = list(dict.fromkeys(_resource(table, name, first.arms) for name in names if name.startswith(RESOURCE)))
    attributes = [name for name in names if name != USER_ID and not name.startswith(PREFIXES)]
    held = read_users(open_responses(table, resources, attributes))
    return Run(
        place,
        plan,
        first.arms,
        held.user_id,
        held.value,
        held.cost,
        held.eligible,
        held.resources,
        held.attributes,
        summary=summary,
    )


def _columns(table: Path) -> list[str]:
    """The columns of the table's first file that can be attributes or more: whole numbers, text, truth."""
    schema = read_footer(find_files(table)[0]).schema
    kinds = (pa.types.is_integer, pa.types.is_string, pa.types.is_large_string, pa.types.is_boolean)

    def told(kind: pa.DataType) -> bool:
        """Whether limits can ask for such a column."""
        plain = kind.value_type if pa.types.is_dictionary(kind) else kind
        return any(check(plain) for check in kinds)

    return [f.name for f in schema if f.name.startswith(PREFIXES) or told(f.type)]


def _resource(table: Path, column: str, arms: tuple[str, ...]) -> str:
    """The name within resource.<name>.<arm>."""
    arm = next((arm for arm in sorted(arms, key=len, reverse=True) if column.endswith(f".{arm}")), None)
    if arm is None:
        raise InputError(
            f"{table} has the column {column}, which ends in none of the arms {', '.join(arms)}; call it "
            f"{RESOURCE}NAME.ARM, or leave it out"
        )
    return column.removeprefix(RESOURCE).removesuffix(f".{arm}")
