"""README and guide: what they show runs, every page and link is there, and they ask no other host."""

from __future__ import annotations

import importlib
import json
import re
import runpy
import shlex
import sys
import textwrap
from collections.abc import Iterator
from fractions import Fraction
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from allocation.cli import app
from tests.serving import serving
from tests.test_make import RUN_HERE, made, make

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
README = ROOT / "README.md"
PAGES = sorted(DOCS.rglob("*.md"))
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
FENCE = re.compile(
    r"(?:^ *<!-- not run: (?P<why>[^\n]*) -->\n)?^(?P<in> *)```(?P<kind>\w*)\n(?P<text>.*?)^(?P=in)```$", re.M | re.S
)
LINK = re.compile(r"\]\(([^)\s]+)\)|(?:src|srcset)=\"([^\"]+)\"")
ROOMS = ("causal", "datasets", "learners", "metrics", "recommender", "synthetic")


class Block(NamedTuple):
    """A block of code: its language, its text, and why it is not run (None: it is)."""

    kind: str
    text: str
    why: str | None


def blocks(page: Path) -> Iterator[Block]:
    """All fenced blocks of a page, those in lists too."""
    for found in FENCE.finditer(page.read_text(encoding="utf-8")):
        yield Block(found["kind"], textwrap.dedent(found["text"]), found["why"])


def make_data(folder: Path) -> None:
    """A small log, new users, and decisions that somebody made, under the names that the pages use."""
    rng, n = np.random.default_rng(0), 900
    arm = rng.choice(["none", "mail", "coupon"], n, p=[0.5, 0.3, 0.2])
    frame = pd.DataFrame({name: rng.normal(size=n) for name in ("age", "visits", "recency")}).assign(id=np.arange(n))
    frame.drop(columns="id").assign(user_id=np.arange(n)).to_parquet(folder / "users.parquet")
    frame = frame.assign(arm=arm, revenue=rng.gamma(2, 5, n), cost=1.0 * (arm == "coupon") + 0.1 * (arm == "mail"))
    frame.to_parquet(folder / "log.parquet")
    decided = pd.DataFrame({"user_id": np.arange(n), "arm": rng.choice(["none", "mail", "coupon"], n)})
    decided.to_parquet(folder / "decisions.parquet")
    decided.assign(arm="mail").to_csv(folder / "theirs.csv", index=False)
    walks = [(f"c{u}", (u + step) % 20, step) for u in range(80) for step in range(2 + u % 9)]
    pd.DataFrame(walks, columns=["customer", "product", "time"]).to_parquet(folder / "events.parquet")


def page_name(page: Path) -> str:
    return page.relative_to(DOCS if page != README else ROOT).with_suffix("").as_posix()


def with_code() -> list[object]:
    """The pages that show code."""
    pages = [page for page in [README, *PAGES] if any(block.kind in ("python", "sh") for block in blocks(page))]
    return [pytest.param(page, id=page_name(page)) for page in pages]


def run(words: list[str], folder: Path) -> None:
    """A line of a shell; those of make have tests of their own, and an app is run until it answers."""
    if words[0] == "make":
        assert words[1] in RUN_HERE, words
    elif words[:2] == ["earmark", "app"]:
        with serving([sys.executable, "-m", "allocation.cli", *words[1:], "--port", "{port}"], cwd=folder) as (
            _,
            pid,
        ):
            assert pid > 0
    else:
        assert words[0] == "earmark", words
        result = CliRunner().invoke(app, words[1:])
        assert result.exit_code == 0, f"{shlex.join(words)}\n{result.output}"


@pytest.mark.parametrize("page", with_code())
def test_every_command_and_python_block_runs(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """In the page's order, in one folder and, for Python, one namespace; a file is one whose first line names it."""
    monkeypatch.chdir(tmp_path)
    make_data(tmp_path)
    names: dict[str, object] = {}
    for block in blocks(page):
        if block.why is not None:
            assert len(block.why.split()) >= 3, f"say why it is not run: {block}"
        elif block.kind == "python":
            exec(compile(block.text, page.name, "exec"), names)
        elif block.kind in ("toml", "csv"):
            first, rest = block.text.split("\n", 1)
            assert re.fullmatch(r"# [\w.-]+", first), f"the first line names the file: {block}"
            Path(first[2:]).write_text(rest, encoding="utf-8")
        elif block.kind == "sh":
            for line in block.text.replace("\\\n", " ").strip().splitlines():
                run(shlex.split(line, comments=True), tmp_path)
        else:
            pytest.fail(f"a block of {block.kind} that no test runs; mark it <!-- not run: why -->: {block}")
    CHECKED.get(page.stem, lambda names: None)(names)
    printed = capsys.readouterr().out
    assert [wanted for wanted in PRINTED.get(page.stem, ()) if not re.search(wanted, printed, re.M)] == [], printed


def same_on_spark(names: dict[str, Any]) -> None:
    assert names["local"].equals(names["spark"])


def a_wave_keeps_the_budget(names: dict[str, Any]) -> None:
    rest = pq.read_table("rest/part-00000.parquet").to_pandas()
    assert len(rest) == 20_000 - 3
    assert 3_990 < sum(map(Fraction, rest["expected_cost"].tolist()), Fraction(3)) <= 4_000


def vectors_join_the_campaign(names: dict[str, Any]) -> None:
    assert names["campaign"].X.shape == (400, 18)
    assert len(pd.read_parquet("features.parquet")) == 80 == len(pd.read_parquet("top.parquet")) / 10


def folders_are_whole(names: dict[str, Any]) -> None:
    for folder in ("verified", "compared"):
        assert Path(folder, "charts", "difference.html").is_file()
        assert Path(folder, "report.html").is_file()
        assert {"difference_low", "difference_high"} <= set(pd.read_csv(Path(folder, "evaluation.csv")).columns)
    assert {"area", "aucc"} <= set(names["area"].columns)


def what_decides_is_said(names: dict[str, Any]) -> None:
    assert "End-to-end on 1,000 users: the " in str(names["policy"].result_)
    assert Path("spring-policy", "policy.json").is_file()
    assert Path("policy", "policy.json").is_file()


def limits_bind(names: dict[str, Any]) -> None:
    assert [row.name for row in names["plan"].limits][1:] == ["team A spends its share", "call minutes"]
    assert names["plan"].cost <= 2_500
    assert any(row.binding for row in names["plan"].limits)


def the_whole_way(names: dict[str, Any]) -> None:
    assert Path("spring", "report.html").is_file()
    assert names["new"].cost <= 125
    assert len(names["table"].query("estimator == 'dr'")) == 4
    assert sum(map(Fraction, pq.read_table("tonight/part-00000.parquet")["expected_cost"].to_pylist())) <= 10_000


# What a page's blocks leave behind, by the name of the page.
CHECKED = {
    "README": the_whole_way,
    "decide": limits_bind,
    "end-to-end": what_decides_is_said,
    "nightly": a_wave_keeps_the_budget,
    "recommend": vectors_join_the_campaign,
    "spark": same_on_spark,
    "verify": folders_are_whole,
}


# What a page's blocks print among other things.
PRINTED = {
    "README": ("difference_low",),
    "decide": (
        r"^few large coupons \d+\.0 \S+ \S+$",
        r"no decision keeps limit '.*' \(m\w+ [\d,]+\) and limit",
        r"^0 +1 +mail +5\.0 +2\.0",
    ),
    "end-to-end": ("End-to-end on 1,000 users: the ",),
    "estimate": ("adjusted effect", r"^S-learner Curve\(qini, per-user: "),
    "recommend": ("recommender minus last item", r"\(400, 18\)"),
    "verify": ("difference_low", "Next experiment: two-stage against mix", "Decision stability: 3 refits"),
}


def test_every_check_has_its_page():
    assert set(CHECKED) | set(PRINTED) <= {page.stem for page in [README, *PAGES]}


def words(page: Path) -> str:
    """A page's Markdown; of a notebook, that of its cells."""
    text = page.read_text(encoding="utf-8")
    if page.suffix != ".ipynb":
        return text
    return "\n\n".join(
        "".join(cell["source"]) for cell in json.loads(text)["cells"] if cell["cell_type"] == "markdown"
    )


def local_links(page: Path) -> Iterator[tuple[Path, str]]:
    """The files and anchors that a page links to."""
    text = re.sub(r"```.*?```|`[^`\n]*`(?!\])", "", words(page), flags=re.S)
    for found in LINK.finditer(text):
        target = found[1] or found[2]
        if not re.match(r"[a-z]+:", target):
            path, _, anchor = target.partition("#")
            yield (page.parent / path).resolve() if path else page, anchor


def anchors(page: Path) -> set[str]:
    """The anchors of a Markdown page: its headings, and the names that the reference makes of docstrings."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    heads = re.findall(r"^#+ (.+)$", text, flags=re.M)
    made = {re.sub(r"[^\w\- ]", "", head.lower()).strip().replace(" ", "-") for head in heads}
    for name in re.findall(r"^::: ([\w.]+)$", text, flags=re.M):
        room = importlib.import_module(name) if name.removeprefix("uplift.") in ROOMS else None
        made |= {name} | {f"{name}.{member}" for member in getattr(room, "__all__", [])}
    return made


def test_every_link_and_anchor_is_there():
    broken = [
        f"{page.relative_to(ROOT)}: {path.name}#{anchor}"
        for page in [README, *PAGES, *NOTEBOOKS]
        for path, anchor in local_links(page)
        if not path.exists() or (anchor and path.suffix == ".md" and anchor not in anchors(path))
    ]
    assert broken == []


def test_every_page_is_two_clicks_from_the_readme():
    first = {path for path, _ in local_links(README)}
    second = {path for page in first if page.suffix == ".md" for path, _ in local_links(page)}
    assert set(PAGES) - first - second == set()
    linked = {path for path, _ in local_links(DOCS / "index.md")}
    assert set(PAGES) - linked - {DOCS / "index.md"} == {p for p in PAGES if p.parent.name == "tables"} - linked


def built(folder: Path) -> Path:
    """The built guide; a link or an anchor that leads nowhere fails the build."""
    made(make("docs", BUILD=folder))
    return folder / "site"


class Resources(HTMLParser):
    """What a page loads (`loaded`), what it links to, and the ids it has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.ids: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """See `HTMLParser`."""
        found = {name: value or "" for name, value in attrs}
        self.ids |= {found[name] for name in ("id", "name") if name in found}
        asked = ("src", "srcset", "data") if tag != "link" else ("href",)
        self.loaded += [found[name] for name in asked if name in found]


def test_it_builds_asks_no_other_host_and_has_every_public_name(tmp_path: Path):
    site = built(tmp_path)
    own = {page.relative_to(site): Resources(page.read_text(encoding="utf-8")) for page in site.rglob("*.html")}
    assert {page_name(page) for page in PAGES} <= {page.with_suffix("").as_posix() for page in own}
    assert own[Path("404.html")].loaded  # the parser sees what pages load
    assert elsewhere(site, own) == []
    loaded = [(page, url) for page, parsed in own.items() if page.name != "404.html" for url in parsed.loaded]
    assert [at for at in loaded if not (site / at[0].parent / re.split(r"[?#]", at[1])[0]).exists()] == []
    packages = ("allocation", "uplift", *(f"uplift.{room}" for room in ROOMS))
    assert {package: unlisted(package, own) for package in packages} == {package: [] for package in packages}


def elsewhere(site: Path, own: dict[Path, Resources]) -> list[tuple[str, str]]:
    """What pages and style sheets ask other hosts for."""
    found = [(str(page), url) for page, parsed in own.items() for url in parsed.loaded if re.match(r"\w+:|//", url)]
    for sheet in site.rglob("*.css"):
        urls = re.findall(
            r"(?:url\(|@import)\s*[\"']?(https?:[^)\"']*|//[^)\"']*)", sheet.read_text(encoding="utf-8")
        )
        found += [(sheet.name, url) for url in urls]
    return found


def unlisted(package: str, own: dict[Path, Resources]) -> list[str]:
    """The public functions and classes of a package that its page of the reference lacks."""
    ids = own[Path("reference") / f"{package.removeprefix('uplift.')}.html"].ids
    module = importlib.import_module(package)
    names = [
        name for name in module.__all__ if callable(getattr(module, name)) and name != "Loss"
    ]  # an alias of types
    # Where a function and its file have one name, the page gives the longer one.
    return [name for name in names if not {f"{package}.{name}", f"{package}.{name}.{name}"} & ids]


def test_docstrings_become_markdown():
    as_markdown = runpy.run_path(str(DOCS / "docstring_pages.py"))["as_markdown"]
    given = "Parameters\n----------\na : one.\n    More. b : two."
    text = f"Adds.\n\n    a + b\n\n{given}\n\nRaises nothing.\n\n>>> 1 + 1\n2"
    listed = "- `a`: one. More.\n- `b`: two."
    shown = f"Adds.\n\n    a + b\n\n**Parameters**\n\n{listed}\n\nRaises nothing.\n\n```pycon\n>>> 1 + 1\n2\n```"
    assert as_markdown(text) == shown
