"""Run benchmark scripts and keep what each prints as a page of `docs/tables/`, with machine, versions and seeds.

    python -m tests.benchmarks.tables                      # every table
    python -m tests.benchmarks.tables coverage placebo     # these
    python -m tests.benchmarks.tables --whole longtail     # with every log, seed, size and method: days
    python -m tests.benchmarks.tables --list               # which there are, and the minutes each took

A page holds the script's own words on what it measures, what it printed, and what it ran on. A script that fails
leaves its old page as it was. Nothing else should run on the machine meanwhile: the page says how busy it was at the
start. Three comparisons take hours or days when they are run whole; without `--whole` a part of them is run, and
their pages say which.
"""

from __future__ import annotations

import argparse
import ast
import os
import platform
import re
import shlex
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = ROOT / "docs" / "tables"
PEERS = ("highspy", "playwright", "pyspark")  # beside the declared peers, which are of the tests too

E2E_SHORT = "--results build/end_to_end_short.jsonl"
E2E_METHODS = (
    '"best mix" "two-stage net" "two-stage large net" "two-stage LightGBM" "warm start alone" "end-to-end" '
    '"end-to-end without gate" "end-to-end IPW" "end-to-end placebo"'
)
LONGTAIL_SHORT = "--results build/longtail_short"


@dataclass(frozen=True)
class Table:
    """A page: the script's name, what heads it, the seeds it uses, and the runs whose last prints the table.

    whole : the runs of a comparison that `takes` hours or days in full, where `runs` are a part of it.
    """

    script: str
    title: str
    seeds: str
    runs: tuple[str, ...] = ("",)
    whole: tuple[str, ...] = ()
    takes: str = "days"

    @property
    def page(self) -> Path:
        return PAGES / f"{self.script.replace('_', '-')}.md"


TABLES = (
    Table("certificates", "Are the certificates true?", "0"),
    Table("solve_exactness", "How exact is one budget?", "0"),
    Table("knapsack", "Published multiple-choice knapsacks", "none: the problems are given"),
    Table("allocation", "How fast is the allocator?", "0"),
    Table("evaluation_speed", "How fast is an evaluation?", "0"),
    Table("coverage", "Do the intervals cover?", "0 to 499, a log each; the rules' own log 10,000"),
    Table("verified_coverage", "Does two-stage pay, and do its intervals cover?", "0 to 99, a campaign each"),
    Table("placebo", "Does it win where nothing can be won?", "0 to 99, a campaign each"),
    Table("hillstrom", "Policies in Hillstrom's e-mail test", "0, five splits"),
    Table("open_bandit", "Two policies that ran side by side", "0"),
    Table("adjustment", "Does adjustment find the known effect?", "0 to 4; coverage: 0 to 99, a log each"),
    Table("metrics_peers", "Metrics beside their packages", "0 to 299, a log each"),
    Table(
        "learners",
        "Learners compared",
        "0 (log and split), 1 (fresh users)",
        ('--data "hillstrom visit" simulated "simulated confounded" --users 50000',),
        ("",),
        "hours",
    ),
    Table("neural", "The net beside EconML", "0 to 4"),
    Table("app", "The app in a browser", "0"),
    Table("batch", "The nightly job beside bare reading and writing", "0"),
    Table("billion", "A billion users", "none: users are hashes of their place", ("--check",)),
    Table("killed", "Killed at random moments and run again", "0"),
    Table("longtail_memory", "A recommender of a million events", "0"),
    Table("end_to_end_speed", "What end-to-end training costs", "0 to 2"),
    Table("end_to_end_real", "End-to-end on two real experiments", "0, ten splits"),
    Table(
        "end_to_end",
        "End-to-end in simulated worlds",
        "in the table",
        (
            f"run {E2E_SHORT} --regimes small_student --rows 200000 600000 --seeds 0-2 --methods {E2E_METHODS}",
            f"run {E2E_SHORT} --regimes well_specified scarce null --seeds 0-2 --methods {E2E_METHODS}",
            f"run {E2E_SHORT} --regimes heavy_tail --rows 600000 --seeds 0 --methods {E2E_METHODS}",
            f"run {E2E_SHORT} --regimes confounded_plus_rct --seeds 0-1",
            f"table {E2E_SHORT}",
        ),
        ("run", "chart --out docs/end-to-end.png", "table"),
    ),
    Table(
        "longtail",
        "The long tail on real logs",
        "in the table",
        (
            f"run {LONGTAIL_SHORT} --settings paper strong --data beauty --backbones sasrec --seeds 0",
            f"table {LONGTAIL_SHORT}",
        ),
        ("run", "chart --settings paper --out docs/long-tail.png", "table"),
    ),
)


def about(script: str) -> str:
    """The script's own words on what it measures."""
    text = (ROOT / "tests" / "benchmarks" / f"{script}.py").read_text(encoding="utf-8")
    return ast.get_docstring(ast.parse(text)) or ""


def machine() -> str:
    """Processor, cores, memory and system, in words."""
    processor = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        named = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        processor = named[0] if named else processor
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{processor}, {os.cpu_count()} cores, {memory:.0f} GiB of memory, {platform.system()} {platform.machine()}"
    )


def versions() -> Iterator[str]:
    """Python, and each declared dependency that is installed."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = declared["optional-dependencies"]
    yield f"Python {platform.python_version()}"
    for asked in sorted([*declared["dependencies"], *extras["bench"], *PEERS], key=str.lower):
        name = re.split(r"[^\w.-]", asked)[0]
        try:
            yield f"{name} {metadata.version(name)}"
        except metadata.PackageNotFoundError:
            yield f"{name} not installed"


def commit() -> str:
    """The commit that ran, and whether files differed from it."""

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True).stdout.strip()

    return git("rev-parse", "--short", "HEAD") + (" and changes" if git("status", "--porcelain", "*.py") else "")


def written(table: Table, whole: bool = False) -> bool:
    """Run the script and write its page; whether it ran to its end."""
    load, printed, start = os.getloadavg()[0], "", time.perf_counter()
    whole = whole and table.whole != ()
    if table.whole and not whole and is_whole(table.page):
        print(f"{table.script}: the page of a whole run is kept; remove {table.page} to write one of a part")
        return True
    runs = table.whole if whole else table.runs
    for run in runs:
        print(f"== {table.script} {run}".rstrip(), flush=True)
        command = [sys.executable, "-m", f"tests.benchmarks.{table.script}", *shlex.split(run)]
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        if done.returncode != 0:
            print(f"{done.stdout}\n{table.script} failed (exit code {done.returncode}); its page is as it was")
            return False
        printed = done.stdout.strip()
    print(printed, flush=True)
    took = (time.perf_counter() - start) / 60
    ran = [
        f"- command: `make bench TABLES={table.script}{' WHOLE=1' * whole}`, {took:.1f} minutes, "
        f"on {date.today().isoformat()}",
        f"- commit: {commit()}",
        f"- seeds: {table.seeds}",
        f"- machine: {machine()}; load average at the start {load:.1f}",
        f"- versions: {', '.join(versions())}",
    ]
    if len(runs) > 1:
        ran.append("- rows that an earlier run had left in `build/` were taken over, not run again")
    if table.whole and not whole:
        part = "; ".join(f"`{run}`" for run in runs[:-1] or runs)
        ran.append(
            f"- a part of the comparison: {part}; for all, {table.takes}: `make bench TABLES={table.script} WHOLE=1`"
        )
    PAGES.mkdir(exist_ok=True)
    parts = [f"# {table.title}", printed, "## What is measured", about(table.script)]
    parts += ["## How it was run", "\n".join(ran)]
    table.page.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    return True


def is_whole(page: Path) -> bool:
    """Whether the page is there and of a whole run."""
    return page.exists() and " WHOLE=1`, " in page.read_text(encoding="utf-8")


def minutes(table: Table) -> str:
    """How long the page's run took, "" where there is none."""
    found = table.page.exists() and re.search(
        r"^- command: .*, ([\d.]+) minutes", table.page.read_text(encoding="utf-8"), re.M
    )
    return found[1] if found else ""


def write_index() -> None:
    """List the pages that there are, and the scripts that have none yet."""
    lines = ["# Tables, as printed", "", "What `make bench` wrote. Summed up: [Benchmarks](../benchmarks.md).", ""]
    lines += ["| table | question, in the script's words | minutes |", "|---|---|---|"]
    for table in TABLES:
        first = about(table.script).splitlines()[0].replace("|", "\\|")
        link = f"[{table.title}]({table.page.name})" if table.page.exists() else f"{table.title} (not kept)"
        lines.append(f"| {link} | {first} | {minutes(table)} |")
    lines += [
        "",
        "Minutes are those of the run that wrote the page; rows that an earlier run had left are not in them.",
    ]
    missing = [table.script for table in TABLES if not table.page.exists()]
    if missing:
        words = "Not kept: tables that were not run since there are pages; figures of theirs in Benchmarks are older."
        lines += ["", f'{words} `make bench TABLES="..."` writes them.']
    (PAGES / "index.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> None:
    names = {table.script: table for table in TABLES}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="*", metavar="TABLE", help="scripts to run (default: all)")
    parser.add_argument("--whole", action="store_true", help="leave nothing out of the three of which a part is run")
    parser.add_argument("--list", action="store_true", help="say which there are and how long each took; run none")
    chosen = parser.parse_args()
    unknown = [name for name in chosen.tables if name not in names]
    if unknown:
        parser.error(f"no table is called {', '.join(unknown)}; there are: {', '.join(names)}")
    if chosen.list:
        print("\n".join(f"{table.script:<18} {minutes(table) or '?':>5} min  {table.title}" for table in TABLES))
        return
    failed = [name for name in chosen.tables or names if not written(names[name], chosen.whole)]
    write_index()
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
