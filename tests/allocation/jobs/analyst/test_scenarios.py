"""Named plans on disk, and a plan in an address: there and back, and nothing that either could be made to do."""

from __future__ import annotations

import base64
import os
import zlib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocation.jobs.analyst import address, scenarios
from allocation.jobs.analyst.address import plan_code, plan_of_code
from allocation.jobs.analyst.run import open_run
from allocation.jobs.plan import Plan, PlanLimit, Share
from uplift.errors import InputError

LIMITS = (PlanLimit("few", max=Share(0.1), where={"segment": ("a, b",)}), PlanLimit("<b>", "cost", min=0.1))
PLAN = Plan("spring", responses="/data/responses.parquet", budget=1 / 3, currency="EUR", limits=LIMITS)


def test_what_is_saved_is_loaded(tmp_path: Path):
    folder = tmp_path / "run-scenarios"
    assert scenarios.saved_names(folder) == []
    for name in ("zürich 2", "Autumn", "b.2"):
        scenarios.save(folder, name, replace(PLAN, name=name))
    assert scenarios.saved_names(folder) == ["Autumn", "b.2", "zürich 2"]
    assert scenarios.load(folder, "zürich 2") == replace(PLAN, name="zürich 2")
    assert sorted(os.listdir(folder)) == ["Autumn.toml", "b.2.toml", "zürich 2.toml"]


def test_nothing_is_overwritten_unless_asked(tmp_path: Path):
    scenarios.save(tmp_path, "spring", PLAN)
    other = replace(PLAN, budget=5.0)
    for name in ("spring", " Spring "):  # one file to some file systems
        with pytest.raises(InputError, match="is there; overwrite it, or choose another"):
            scenarios.save(tmp_path, name, other)
    assert scenarios.load(tmp_path, "spring") == PLAN
    scenarios.save(tmp_path, "spring", other, replace=True)
    assert scenarios.load(tmp_path, "spring") == other


def test_one_beyond_those_that_are_listed_is_not_overwritten_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(scenarios, "MOST_LISTED", 1)
    scenarios.save(tmp_path, "autumn", PLAN)
    scenarios.save(tmp_path, "spring", PLAN)
    assert scenarios.saved_names(tmp_path) == ["autumn"]
    with pytest.raises(InputError, match="is there; overwrite it"):
        scenarios.save(tmp_path, "spring", PLAN)


def test_what_is_deleted_is_gone_and_so_is_an_empty_folder(tmp_path: Path):
    folder = tmp_path / "run-scenarios"
    for name in ("a", "b"):
        scenarios.save(folder, name, PLAN)
    scenarios.delete(folder, "a")
    assert scenarios.saved_names(folder) == ["b"]
    scenarios.delete(folder, "b")
    assert not folder.exists()
    for use in (scenarios.load, scenarios.delete):
        with pytest.raises(InputError, match="there is no scenario 'b'"):
            use(folder, "b")


REFUSED = {
    "": "not blank",
    "  ": "not blank",
    "../up": "holds /",
    "a/b": "holds /",
    "a\\b": r"holds \\",
    "c:d": "holds :",
    "what?": r"holds \?",
    "a*": r"holds \*",
    "<script>": "holds <",
    "a|b": r"holds \|",
    '"a"': 'holds "',
    ".hidden": "begin or end with a dot",
    "..": "begin or end with a dot",
    "end.": "begin or end with a dot",
    "CON": "a device's name",
    "lpt1.old": "a device's name",
    "a\nb": "control characters",
    "a\x00b": "control characters",
    "a\u202eb": "control characters",
    "a" * 81: "more than 80 characters",
    "語" * 81: "more than 80 characters",
}


@pytest.mark.parametrize("name", REFUSED)
def test_names_that_are_no_files_everywhere_are_refused(name: str, tmp_path: Path):
    folder = tmp_path / "run-scenarios"
    for use in (lambda: scenarios.save(folder, name, PLAN), lambda: scenarios.load(folder, name)):
        with pytest.raises(InputError, match=REFUSED[name]):
            use()
    assert list(tmp_path.iterdir()) == []


def test_links_and_hidden_files_are_no_scenarios(tmp_path: Path):
    folder, outside = tmp_path / "s", tmp_path / "outside.toml"
    scenarios.save(folder, "real", PLAN)
    outside.write_text("secret")
    (folder / "link.toml").symlink_to(outside)
    (folder / ".hidden.toml").write_text("")
    (folder / "folder.toml").mkdir()
    assert scenarios.saved_names(folder) == ["real"]
    for name in ("link", "folder"):
        with pytest.raises(InputError, match="there is no scenario"):
            scenarios.load(folder, name)
        with pytest.raises(InputError, match="is no regular file"):
            scenarios.save(folder, name, PLAN)
    assert outside.read_text() == "secret"


def test_a_folder_that_cannot_be_is_one_message(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot be saved in .*nothing was changed"):
        scenarios.save(tmp_path / "file", "a", PLAN)


def test_scenarios_lie_beside_their_run(run_folder: Path):
    assert scenarios.scenarios_folder(open_run(run_folder)) == run_folder.resolve().parent / "spring-scenarios"
    table = open_run(run_folder / "responses.parquet")
    assert scenarios.scenarios_folder(table).name == "responses.parquet-scenarios"


def test_an_address_opens_the_same_plan():
    code = plan_code(PLAN)
    assert code is not None
    assert code.replace("-", "").replace("_", "").isalnum()
    again = plan_of_code(code)
    assert replace(again, responses=PLAN.responses) == PLAN
    assert again.digest() == PLAN.digest()
    assert again.responses == "responses.parquet"  # no folder of this machine is passed on


@given(st.floats(0, 1e12), st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp", "Cf")), min_size=1))
def test_every_plan_survives_its_address(budget: float, name: str):
    plan = replace(
        PLAN, budget=budget + 0.0, limits=(PlanLimit(f"a{name[:100]}", max=1.0, arms=(f"b{name[:100]}",)),)
    )
    code = plan_code(plan)
    assert code is not None
    assert plan_of_code(code).limits == plan.limits
    assert plan_of_code(code).budget == plan.budget


def coded(text: bytes) -> str:
    return base64.urlsafe_b64encode(zlib.compress(text, 9)).decode().rstrip("=")


BROKEN = {
    "no code": ("%%%", "letters of it are lost or changed"),
    "empty": ("", "cut short"),
    "letters beyond ASCII": ("ü" * 8, "letters of it are lost"),
    "noise": ("abcdefgh", "letters of it are lost"),
    "cut short": ((plan_code(PLAN) or "")[:-12], "is cut short|lost or changed"),
    "changed": ((plan_code(PLAN) or "")[:40] + "AAAA" + (plan_code(PLAN) or "")[44:], "lost or changed|cut short"),
    "too long": ("A" * (address.MOST_LETTERS + 1), "12,001 letters; at most 12,000"),
    "a bomb": (coded(b" " * (address.MOST_TEXT + 1)), "unpacks to more than 262,144 bytes"),
    "no UTF-8": (coded(b"\xff\xfe"), "letters of it are lost"),
    "no plan": (coded(b"hello"), "the plan in the address, line 1: no TOML"),
    "unknown key": (coded(b'[plan]\nname = "a"\nresponses = "r"\nbugdet = 3'), "unknown key 'bugdet'"),
    "more behind it": (coded(b"") + "AAAA", "cut short, or something hangs on to it|lost or changed"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_address_is_one_message(case: str):
    code, message = BROKEN[case]
    with pytest.raises(InputError, match=message):
        plan_of_code(code)


def test_a_plan_too_long_for_an_address_has_none():
    limits = tuple(PlanLimit(f"{k} {os.urandom(60).hex()}", max=1.0) for k in range(200))
    assert plan_code(replace(PLAN, limits=limits)) is None
