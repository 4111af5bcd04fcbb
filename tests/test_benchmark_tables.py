"""The pages of benchmark tables: written by a run, kept where a script fails, listed whole."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from tests.benchmarks import tables
from tests.benchmarks.end_to_end_methods import chosen
from tests.benchmarks.tables import TABLES, Table

SMALL = Table("certificates", "Are the certificates true?", "0", ("--problems 4 --users 8",))


@pytest.fixture
def pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of their own."""
    monkeypatch.setattr(tables, "PAGES", tmp_path)
    return tmp_path


def test_a_run_becomes_a_page_and_a_failure_leaves_it(pages: Path, capsys: pytest.CaptureFixture[str]):
    assert tables.written(SMALL)
    text = SMALL.page.read_text(encoding="utf-8")
    assert text.startswith("# Are the certificates true?\n\n|")
    assert capsys.readouterr().out.split("\n", 1)[1].strip() in text  # what the script printed
    for said in ("- seeds: 0", "cores", "GiB of memory", "Python 3.", "scipy ", "make bench TABLES=certificates"):
        assert said in text
    failing = Table("certificates", "Are the certificates true?", "0", ("--problems none",))
    assert not tables.written(failing)
    assert SMALL.page.read_text(encoding="utf-8") == text


def test_a_part_does_not_take_the_page_of_a_whole_run(pages: Path):
    both = Table("certificates", "Are the certificates true?", "0", SMALL.runs, ("--problems 6 --users 8",))
    assert tables.written(both, whole=True)
    text = both.page.read_text(encoding="utf-8")
    assert tables.written(both)
    assert both.page.read_text(encoding="utf-8") == text
    both.page.unlink()
    assert tables.written(both)
    assert "a part of the comparison" in both.page.read_text(encoding="utf-8")
    assert tables.written(both, whole=True)  # a whole run takes the page of a part
    assert "a part of the comparison" not in both.page.read_text(encoding="utf-8")


def test_the_index_links_to_the_pages_that_there_are(pages: Path):
    TABLES[0].page.write_text("# It\n\n- command: `x`, 2.5 minutes, on a day\n", encoding="utf-8")
    tables.write_index()
    text = (pages / "index.md").read_text(encoding="utf-8")
    assert re.findall(r"\]\(([\w-]+\.md)\)", text) == [TABLES[0].page.name]
    assert all(table.title in text for table in TABLES)
    assert re.findall(r"\| ([\d.]*) ?\|$", text, re.M) == ["2.5", *[""] * (len(TABLES) - 1)]


def test_the_short_run_names_methods_that_there_are():
    names = shlex.split(tables.E2E_METHODS)
    assert {method.name for method in chosen(names)} == set(names)


def test_every_script_that_prints_a_table_has_a_page_to_be():
    folder = Path(tables.__file__).parent
    scripts = {p.stem for p in folder.glob("*.py") if "__main__" in p.read_text(encoding="utf-8")}
    assert scripts - {"tables", "memory", "peers"} == {table.script for table in TABLES}  # the two: run by allocation


def test_the_index_in_the_guide_is_the_one_of_its_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    listed = (tables.PAGES / "index.md").read_text(encoding="utf-8")
    shutil.copytree(tables.PAGES, tmp_path / "tables")
    with monkeypatch.context() as context:
        context.setattr(tables, "PAGES", tmp_path / "tables")
        tables.write_index()
    assert (tmp_path / "tables" / "index.md").read_text(encoding="utf-8") == listed
    there = {table.page.name for table in TABLES if table.page.exists()}
    assert (
        set(re.findall(r"\]\(([\w-]+\.md)\)", listed))
        == there
        == {p.name for p in tables.PAGES.glob("*.md")} - {"index.md"}
    )
