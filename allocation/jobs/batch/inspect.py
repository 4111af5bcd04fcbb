"""Whether a folder of decisions is what its manifest says, from the files alone: nothing is taken on trust."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import cast

import pyarrow as pa

from allocation.engine.limit import OWN_MEASURES
from allocation.engine.money import amount_text
from allocation.jobs.batch.against_plan import differences, stated_plan
from allocation.jobs.batch.against_responses import Recomputed, recompute
from allocation.jobs.batch.part_reading import batches, opened_part
from allocation.jobs.batch.parts import fraction_of
from allocation.jobs.batch.published import LimitEntry, Published, read_published, state
from allocation.jobs.batch.tally import Tally, nothing, tally_of
from allocation.jobs.plan_values import shown
from allocation.jobs.summary import MANIFEST
from allocation.jobs.tables.blocks import FiledSource
from allocation.jobs.tables.duplicates import check_unique_ids
from uplift.errors import InputError
from uplift.words import counted


@dataclass(frozen=True)
class Check:
    """One check: what the manifest says, what the files say; ok is None where the files alone cannot say."""

    name: str
    said: str
    found: str
    ok: bool | None


@dataclass(frozen=True, eq=False)
class Inspection:
    """What was checked of a folder, and what is wrong with it, nothing where all is well."""

    place: Path
    published: Published
    checks: tuple[Check, ...]
    problems: tuple[str, ...]


@dataclass
class _Findings:
    checks: list[Check] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def add(self, name: str, said: str, found: str, ok: bool | None, *problems: str) -> None:
        """Note a check; a wrong one is a problem, in the words given or in those of the check."""
        self.checks.append(Check(name, said, found, ok))
        if ok is False:
            self.problems += problems or [f"{name}: the manifest says {said}, the files say {found}"]


def inspect_decisions(
    folder: str | Path, responses: str | Path | None = None, progress: Callable[[str], None] | None = None
) -> Inspection:
    """Read every part of a folder of decisions and hold it against the manifest.

    Checked: the parts' sizes, checksums, rows, columns and run; files that the manifest does not know; users of each
    arm; totals, the budget and each limit in exact fractions; that each user stands once; and that run id, budget,
    limits, prices and gap are those of the plan that stands in the manifest, see `against_plan`. A limit on some
    users or on a resource needs `responses`, the table that was decided from: then every decision is also held
    against its user's row in it, and without limits its margin against the price. Memory does not grow with users.

    Raises InputError for a folder without a well-formed manifest, for a response table that cannot be read, and where
    a new run takes the folder's place meanwhile. What is wrong with the decisions is in `problems`.
    """
    progress = progress or (lambda text: None)
    before, findings = state(folder), _Findings()
    place, published = read_published(folder)
    progress(f"reading {counted(len(published.parts), 'part')} of {place}")
    tally = _read_parts(place, published, findings)
    recomputed = None
    if tally is not None:
        progress("looking for users that stand twice")
        _check_users(place, published, findings)
        if responses is not None:
            progress(f"reading {responses}")
            recomputed = _against(place, published, responses, findings)
    _check_manifest(published, None if recomputed is None else recomputed.about, findings)
    if tally is not None:
        _check_sums(published, tally, recomputed, findings)
    if state(place) != before:
        raise InputError(f"another run took the place of {place} while it was read; inspect it again")
    return Inspection(place, published, tuple(findings.checks), tuple(findings.problems))


def _read_parts(place: Path, published: Published, findings: _Findings) -> Tally | None:
    """The sums of all parts; None where a part is not what the manifest says."""
    known = {MANIFEST, *(part.file for part in published.parts)}
    strays = sorted(
        n for n in os.listdir(place) if n not in known and (n.endswith(".parquet") or (place / n).is_dir())
    )
    wrong = [f"{shown(name)} is there, of which the manifest knows nothing" for name in strays]
    tally, kinds = nothing(len(published.arms)), dict[pa.DataType, str]()
    for part in published.parts:
        try:
            with opened_part(place, part, published.run) as file:
                kinds.setdefault(file.schema_arrow.field("user_id").type, part.file)
                for table in batches(file, part):
                    tally += tally_of(table, published.arms)
        except InputError as error:
            named = str(error)
            wrong.append(named if named.startswith(part.file) else f"{part.file}: {named}")
    if len(kinds) > 1:
        told = ", ".join(f"{kind} in {name}" for kind, name in kinds.items())
        wrong.append(f"user_id is of several types: {told}")
    size = sum(part.bytes for part in published.parts)
    said = f"{counted(len(published.parts), 'part')}, {size / 1e6:,.1f} MB"
    findings.add("parts and checksums", said, f"{len(wrong):,} wrong" if wrong else "the same", not wrong, *wrong)
    return None if wrong else tally


def _check_manifest(published: Published, about: Sequence[int] | None, findings: _Findings) -> None:
    """What the manifest must agree with itself about: its plan above all."""
    try:
        problems = differences(published, stated_plan(published), about)
    except InputError as error:
        problems = [str(error)]
    told = published.plan.sha256[:12]
    findings.add("plan and its terms", told, "other" if problems else "the same", not problems, *problems)
    rows = [part.rows for part in published.parts]
    findings.add("users", f"{published.rows:,}", f"{sum(rows):,}", sum(rows) == published.rows)
    if rows and max(rows) > published.part_rows:  # fewer are left of a part where users were served before
        findings.add("users of a part", f"at most {published.part_rows:,}", f"{max(rows):,}", False)


def _check_users(place: Path, published: Published, findings: _Findings) -> None:
    problems = []
    try:
        check_unique_ids(cast(FiledSource, DecidedIds(place, published)))  # it asks for ids, places and n alone
    except InputError as error:
        problems = [str(error)]
    told = "some twice" if problems else "each once"
    findings.add("each user once", "each once", told, not problems, *problems)


def _check_sums(published: Published, tally: Tally, recomputed: Recomputed | None, findings: _Findings) -> None:
    """Arms, totals, budget and limits, all of them exact."""
    arms = published.arms
    for arm, users, there in zip(arms, published.arm_users.values(), tally.users, strict=True):
        findings.add(f"users of {shown(arm)}", f"{users:,}", f"{there:,}", users == there)
    everyone = range(len(arms))
    sums = {name: tally.of(name, everyone) for name in ("value", "cost")}
    for name, amount in sums.items():
        exact, near = getattr(published.exact, name), getattr(published.totals, name)
        ok = _is(exact, amount) and near == float(amount)
        findings.add(f"{name}, exactly", amount_text(near), amount_text(float(amount)), ok)
    if recomputed is not None and recomputed.control is not None:
        gain = float(sums["value"]) - float(recomputed.control)
        findings.add("gain", amount_text(published.totals.gain), amount_text(gain), gain == published.totals.gain)
    if published.budget is not None:
        ok = sums["cost"] <= Fraction(published.budget)
        found = f"spend {float(sums['cost']):,}"
        findings.add(
            "budget", f"{published.budget:,}", found, ok, f"{found} is above the budget, {published.budget:,}"
        )
    for k, limit in enumerate(published.limits):
        _check_limit(limit, _used(limit, k, published, tally, recomputed), findings)


def _used(
    limit: LimitEntry, k: int, published: Published, tally: Tally, recomputed: Recomputed | None
) -> Fraction | None:
    if recomputed is not None:
        return recomputed.used[k]
    if limit.where or limit.measure not in OWN_MEASURES:
        return None
    places = [published.arms.index(arm) for arm in dict.fromkeys(limit.arms) if arm in published.arms]
    return tally.of(limit.measure, places)


def _check_limit(limit: LimitEntry, used: Fraction | None, findings: _Findings) -> None:
    name = f"limit {shown(limit.name)}"
    bounds = " and ".join(
        f"{word} {amount_text(bound)}"
        for word, bound in (("at least", limit.min), ("at most", limit.max))
        if bound is not None
    )
    if used is None:
        findings.add(name, bounds, "needs --responses", None)
        return
    within = (limit.min is None or used >= Fraction(limit.min)) and (limit.max is None or used <= Fraction(limit.max))
    amount = amount_text(float(used))
    findings.add(name, bounds, f"used {amount}", within, f"{name} is {bounds}, the decisions use {amount}")
    if float(used) != limit.used:
        findings.add(name, f"used {amount_text(limit.used)}", f"used {amount}", False)


def _is(text: str, amount: Fraction) -> bool:
    try:
        return fraction_of(text) == amount
    except InputError:
        return False


def _against(place: Path, published: Published, responses: str | Path, findings: _Findings) -> Recomputed:
    found = recompute(place, published, responses)
    told = "the same" if found.problem is None else "other"
    findings.add("against the responses", "arm, value and cost", told, found.problem is None, str(found.problem))
    return found


@dataclass(frozen=True, eq=False)
class DecidedIds:
    """The ids of the decisions, in order, as the check for repeats asks for them."""

    folder: Path
    published: Published

    @property
    def n(self) -> int:
        """How many decisions there are."""
        return sum(part.rows for part in self.published.parts)

    def ids(self, size: int) -> Iterator[pa.Array]:
        """The ids in arrays of at most `size`."""
        for part in self.published.parts:
            with opened_part(self.folder, part, self.published.run) as file:
                for table in batches(file, part, ["user_id"]):
                    yield table.column("user_id").combine_chunks()

    def place(self, position: int) -> str:
        """Which row of which part a position is."""
        for part in self.published.parts:
            if position < part.rows:
                return f"{part.file}, row {position:,}"
            position -= part.rows
        return f"row {position:,} after the last part"
