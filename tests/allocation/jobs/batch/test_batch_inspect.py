"""An inspection finds whatever is changed in a folder of decisions, and nothing in one that is whole."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from allocation import Problem
from allocation.jobs.batch import export as exporting
from allocation.jobs.batch import inspect as inspecting
from allocation.jobs.batch.against_responses import recompute
from allocation.jobs.batch.changes import read_previous
from allocation.jobs.batch.export import export_decisions
from allocation.jobs.batch.inspect import inspect_decisions
from allocation.jobs.batch.inspect_terminal import inspection_json, print_inspection, problem_text
from allocation.jobs.batch.published import Published, read_published
from tests.allocation.jobs.batch.decide_runs import decide, decisions, plan_of, response_table, write_responses
from tests.allocation.jobs.batch.small_decisions import Made, N, change_manifest, change_part, exact, make
from uplift.errors import InputError


@pytest.fixture
def made(tmp_path: Path) -> Made:
    """A whole run."""
    return make(tmp_path)


def changed(column: str, change: Callable[[np.ndarray], Any], kind: pa.DataType | None = None):
    """A change of one column of a part."""

    def apply(table: pa.Table) -> pa.Table:
        cells = change(table.column(column).to_numpy().copy())
        return table.set_column(table.column_names.index(column), column, pa.array(cells, kind))

    return apply


def first(cell: Any) -> Callable[[np.ndarray], np.ndarray]:
    """Put something into the first cell."""

    def put(cells: np.ndarray) -> np.ndarray:
        cells[0] = cell
        return cells

    return put


def test_a_whole_run_has_no_problem_and_limits_that_need_more_are_said(made: Made):
    found = inspect_decisions(made.out)
    assert found.problems == ()
    open_ = [check.name for check in found.checks if check.ok is None]
    assert open_ == ['limit "heavy users\' cost"', "limit 'minutes'"]
    said = {check.name: check.found for check in found.checks}
    assert said["value, exactly"] == f"{float(exact(made.frame['expected_value'])):,}"
    assert said["users of 'mail'"] == f"{(made.frame['arm'] == 'mail').sum():,}"


def test_with_the_responses_every_limit_and_the_gain_are_checked(made: Made):
    found = inspect_decisions(made.out, made.responses)
    assert found.problems == ()
    assert all(check.ok for check in found.checks)
    said = {check.name: check.found for check in found.checks}
    assert said["limit 'minutes'"] == f"used {float(exact(made.frame['minutes'][made.frame['arm'] != 'none'])):,}"
    assert "gain" in said


@pytest.mark.parametrize("ids", [lambda k: k, lambda k: f"user {699 - k}", lambda k: (k * 7919) % N])
def test_ids_of_any_kind_and_order(tmp_path: Path, ids: Callable[[int], Any]):
    made = make(tmp_path, ids=ids)
    assert inspect_decisions(made.out, made.responses).problems == ()


def test_users_of_the_table_who_are_not_decided_for_are_left_out(made: Made):
    """As in a later wave: the table still has those who were served."""
    table = pq.read_table(made.responses)
    more = table.slice(0, 50).set_column(0, "user_id", pa.array(np.arange(5_000, 5_050)))
    pq.write_table(
        pa.concat_tables(
            [
                more,
                table.slice(0, 123),
                more.set_column(0, "user_id", pa.array(np.arange(6_000, 6_050))),
                table.slice(123),
            ]
        ),
        made.responses,
    )
    assert inspect_decisions(made.out, made.responses).problems == ()


def spent(exact: str, used: str) -> dict[str, Any]:
    """What the manifest says of users served before."""
    limits = [{"users": 0, "used": used}] * 4
    return {"users": 0, "cost": 0.0, "exact": exact, "limits": limits, "sha256": "0" * 64}


MANIFEST_CHANGES: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "rows": (lambda m: m.update(rows=N + 1), "users: the manifest says 701, the files say 700"),
    "arm users": (lambda m: m["arm_users"].update(mail=1), "users of 'mail': the manifest says 1, the files say"),
    "value": (lambda m: m["totals"].update(value=1.0), r"value, exactly: the manifest says 1, the"),
    "cost": (lambda m: m["totals"].update(cost=np.nextafter(m["totals"]["cost"], 9e9)), "cost, exactly"),
    "exact": (lambda m: m["exact"].update(value=m["exact"]["value"].replace("/", "1/")), "value, exactly"),
    "exact, too much": (lambda m: m["exact"].update(cost="9" * 600 + "/1"), "cost, exactly"),
    "spent": (lambda m: m.update(spent=spent("9" * 600 + "/1", "0/1")), "999'... is no exact amount; one within"),
    "used before": (lambda m: m.update(spent=spent("0/1", "-" + "9" * 400 + "/7")), "999'... is no exact amount"),
    "exact text": (lambda m: m["exact"].update(cost="1e9"), "cost, exactly"),
    "budget": (lambda m: m.update(budget=m["totals"]["cost"] - 1), r"spend .* is above the budget"),
    "cap": (lambda m: m["limits"][0].update(max=3), "limit 'few coupons' is at most 3, the decisions use 2"),
    "floor": (lambda m: m["limits"][3].update(min=1e6), "limit 'value of mail' is at least 1,000,000,"),
    "used": (lambda m: m["limits"][0].update(used=3.0), "limit 'few coupons': the manifest says used 3,"),
    "plan": (lambda m: m["plan"].update(text=m["plan"]["text"] + "#"), "plan: the manifest says"),
    "run": (lambda m: m.update(run="6" * 64), "part-00000.parquet is of another run"),
    "part rows": (lambda m: m.update(part_rows=200), "users of a part: the manifest says at most 200"),
    "part gone": (lambda m: m["parts"].pop(), "'part-00002.parquet' is there, of which the manifest knows nothing"),
    "checksum": (lambda m: m["parts"][1].update(sha256="0" * 64), "part-00001.parquet has another checksum"),
    "bytes": (lambda m: m["parts"][1].update(bytes=3), "part-00001.parquet has .* bytes, the manifest says 3"),
}


@pytest.mark.parametrize("name", MANIFEST_CHANGES)
def test_every_figure_of_the_manifest_is_held_against_the_files(made: Made, name: str):
    change, message = MANIFEST_CHANGES[name]
    change_manifest(made.out, change)
    found = inspect_decisions(made.out)
    with pytest.raises(InputError, match=message):
        raise InputError(problem_text(found))


PART_CHANGES: dict[str, tuple[Callable[[pa.Table], pa.Table], str]] = {
    "value": (changed("expected_value", first(1e3)), "value, exactly"),
    "the last bit": (changed("expected_cost", lambda c: np.nextafter(c, 9.0)), "cost, exactly"),
    "not finite": (changed("expected_value", first(np.nan)), "part-00001.parquet: .*no finite numbers"),
    "too much": (changed("expected_value", lambda c: np.full(len(c), 1.7e308)), "finite numbers within 1e"),
    "an arm": (changed("arm", first("post")), "part-00001.parquet: column 'arm' holds 'post'"),
    "no arm": (changed("arm", first(None)), "part-00001.parquet: column 'arm' has empty cells"),
    "twice within": (changed("user_id", first(305)), r"user_id 305 stands more than once: .*row 0, and .*row 5 "),
    "twice across": (changed("user_id", first(7)), r"user_id 7 stands more than once: part-00000.parquet, row 7"),
    "nobody": (changed("user_id", lambda c: [None, *c[1:].tolist()], pa.int64()), "empty cells in user_id"),
    "ids as text": (changed("user_id", lambda c: c.astype(str).tolist()), "user_id is of several types"),
    "narrow ids": (changed("user_id", lambda c: c, pa.int16()), "user_id of type int16; int64, uint64 or text"),
    "ids as floats": (changed("user_id", lambda c: c.astype(float)), "user_id of type double"),
    "margins as text": (changed("margin", lambda c: c.astype(str).tolist()), "has margin of type"),
    "a row less": (lambda t: t.slice(1), "users: the manifest says 700, the files say 699"),
    "a column less": (lambda t: t.drop_columns(["margin"]), "part-00001.parquet has the columns"),
}


@pytest.mark.parametrize("name", PART_CHANGES)
def test_every_cell_is_held_against_the_manifest(made: Made, name: str):
    """The manifest lists the changed file as its own: sizes and checksums agree."""
    change, message = PART_CHANGES[name]
    change_part(made.out, 1, change)
    with pytest.raises(InputError, match=message):
        raise InputError(problem_text(inspect_decisions(made.out)))
    assert inspect_decisions(made.out, made.responses).problems


@pytest.mark.parametrize("name", ["nobody", "narrow ids"])
def test_ids_that_no_run_writes_are_one_message_wherever_parts_are_read(made: Made, name: str, tmp_path: Path):
    change, message = PART_CHANGES[name]
    change_part(made.out, 1, change)
    published = read_published(made.out)[1]
    with pytest.raises(InputError, match=message):
        recompute(made.out, published, made.responses)
    with pytest.raises(InputError, match=message):
        export_decisions(made.out, tmp_path / "out.csv")
    with pytest.raises(InputError, match=message):
        read_previous(made.out, pa.int64())


def test_text_that_is_none_is_told(tmp_path: Path):
    made = make(tmp_path, ids=str)

    def broken(table: pa.Table) -> pa.Table:
        cells = pa.array([b"\xff", *table.column("user_id").cast(pa.binary()).to_pylist()[1:]])
        offsets, data = cells.buffers()[1:]
        text = pa.StringArray.from_buffers(len(cells), offsets, data)
        return table.set_column(0, "user_id", text)

    change_part(made.out, 1, broken)
    with pytest.raises(InputError, match=r"part-00001.parquet cannot be read: .*UTF8"):
        raise InputError(problem_text(inspect_decisions(made.out, made.responses)))


RESPONSE_CHANGES: dict[str, tuple[Callable[[pa.Table], pa.Table], str]] = {
    "value": (
        changed("value.mail", lambda c: c + np.float32(1)),
        r"gets 'mail' with expected_value .*, the response",
    ),
    "cost": (changed("cost.=coupon", lambda c: c + np.float32(1)), "gets '=coupon' with expected_cost"),
    "control": (changed("value.none", lambda c: np.where(c == c[0], c + 1, c)), "gain|expected_value"),
    "order": (
        lambda t: pa.concat_tables([t.slice(1), t.slice(0, 1)]),
        "user_id [01] is decided for, but does not stand there",
    ),
    "a user less": (lambda t: pa.concat_tables([t.slice(0, 9), t.slice(10)]), "user_id 9 is decided for"),
    "minutes": (changed("resource.minutes.mail", lambda c: c * 50), "limit 'minutes' is at most 1,000"),
    "segment": (changed("segment", lambda c: np.full(len(c), "heavy")), 'limit "heavy users\' cost"'),
    "eligible": (
        lambda t: (
            t.append_column("eligible.none", pa.array(np.ones(N, bool)))
            .append_column("eligible.mail", pa.array(np.zeros(N, bool)))
            .append_column("eligible.=coupon", pa.array(np.ones(N, bool)))
        ),
        "gets 'mail', for which it is not eligible",
    ),
}


@pytest.mark.parametrize("name", RESPONSE_CHANGES)
def test_every_decision_is_held_against_its_row_of_the_responses(made: Made, name: str):
    change, message = RESPONSE_CHANGES[name]
    pq.write_table(change(pq.read_table(made.responses)), made.responses)
    with pytest.raises(InputError, match=message):
        raise InputError(problem_text(inspect_decisions(made.out, made.responses)))


def test_a_user_who_may_have_no_arm_is_on_control_by_rule(tmp_path: Path):
    """As the engine decides: control is given to whoever is eligible for nothing, and nothing else is."""
    rng = np.random.default_rng(0)
    n = 60
    eligible = rng.random((n, 3)) < 0.5
    eligible[:9] = False
    table = response_table(Problem(rng.random((n, 3)), rng.random((n, 3)) * [0, 1, 1], 40.0, eligible))
    folder = write_responses(tmp_path / "r", table)
    decide(plan_of(folder, 40.0), tmp_path / "out")
    assert decisions(tmp_path / "out")["arm"].to_pylist()[:9] == ["none"] * 9
    assert inspect_decisions(tmp_path / "out", folder).problems == ()
    everywhere = table.set_column(table.column_names.index("eligible.none"), "eligible.none", pa.array([False] * n))
    pq.write_table(everywhere, folder / "r000.parquet")
    assert "gets 'none', for which it is not eligible" in problem_text(inspect_decisions(tmp_path / "out", folder))


def test_responses_with_other_arms_or_ids_are_refused(made: Made):
    table = pq.read_table(made.responses)
    pq.write_table(table.set_column(0, "user_id", pc.cast(table["user_id"], pa.string())), made.responses)
    assert inspect_decisions(made.out, made.responses).problems == ()  # 7 is '7': the same names
    names = [name.replace("mail", "post") for name in table.column_names]
    pq.write_table(table.rename_columns(names), made.responses)
    with pytest.raises(InputError, match="has the arms none, post, =coupon, the decisions have none, mail, =coupon"):
        inspect_decisions(made.out, made.responses)


def test_files_that_do_not_belong_there_are_told(made: Made):
    (made.out / "part-00009.parquet").write_bytes(b"x")
    (made.out / "segment=heavy").mkdir()
    found = inspect_decisions(made.out)
    assert found.problems == (
        "'part-00009.parquet' is there, of which the manifest knows nothing",
        "'segment=heavy' is there, of which the manifest knows nothing",
    )


@pytest.mark.parametrize("kind", ["missing", "link", "pipe", "folder"])
def test_a_part_that_is_no_file_is_told_and_never_waited_for(made: Made, kind: str, tmp_path: Path):
    path = made.out / "part-00001.parquet"
    path.rename(tmp_path / "moved")
    if kind == "link":
        path.symlink_to(tmp_path / "moved")
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    assert problem_text(inspect_decisions(made.out)).count("part-00001.parquet") >= 1


def test_a_run_that_is_replaced_while_it_is_read_is_no_wrong_run(made: Made, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(
        inspecting, "_check_users", lambda *_: change_manifest(made.out, lambda m: m.update(name="x"))
    )
    with pytest.raises(InputError, match="another run took the place of"):
        inspect_decisions(made.out)


@pytest.mark.parametrize("act", ["inspect", "export"])
def test_a_run_that_comes_right_after_the_manifest_is_read_is_noticed(
    made: Made, act: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    module = {"inspect": inspecting, "export": exporting}[act]

    def read(folder: Path) -> tuple[Path, Published]:
        found = read_published(folder)
        change_manifest(made.out, lambda m: m.update(name="x"))
        return found

    monkeypatch.setattr(module, "read_published", read)
    with pytest.raises(InputError, match="another run took the place of"):
        inspect_decisions(made.out) if act == "inspect" else export_decisions(made.out, tmp_path / "out.csv")


def test_the_table_fits_80_columns_and_the_json_says_the_same(made: Made):
    found = inspect_decisions(made.out)
    console = Console(width=80, record=True, file=open(os.devnull, "w"), highlight=False, markup=False)  # noqa: SIM115
    print_inspection(found, console)
    text = console.export_text()
    assert max(map(len, text.splitlines())) <= 80
    assert "few coupons" in text
    assert "not checked" in text
    told = json.loads(json.dumps(inspection_json(found), allow_nan=False))
    assert told["ok"] is True
    assert told["users"] == N
    assert [check["ok"] for check in told["checks"]].count(None) == 2
