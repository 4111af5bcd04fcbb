"""What the README shows is what happens."""

from __future__ import annotations

import os
import re
import runpy
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from allocation.cli import app
from allocation.jobs.demo import DemoPlan, run_demo

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_python_examples_run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert len(blocks) == 7
    for block in blocks:
        exec(compile(block, "README.md", "exec"), {})
    printed = capsys.readouterr().out
    assert "difference_low" in printed
    assert re.search(r"^0 +1 +mail +5\.0 +2\.0", printed, flags=re.MULTILINE), printed
    assert "adjusted effect" in printed
    assert "End-to-end on 20,000 users: the " in printed
    assert "recommender minus last item" in printed
    assert "(400, 18)" in printed
    assert "Next experiment: two-stage against mix" in printed
    assert "Decision stability: 5 refits" in printed
    assert "Curve(qini, per-user: " in printed
    assert re.search(r"^few coupons 2000\.0 [\d.e-]+ max$", printed, flags=re.MULTILINE), printed


def test_the_demo_output_is_what_the_demo_prints():
    shown = re.search(r"<!-- demo output -->\n```text\n(.*?)```", README, flags=re.DOTALL)
    assert shown is not None
    demo_output = runpy.run_path(str(ROOT / "docs" / "refresh_readme.py"))["demo_output"]
    assert shown.group(1) == demo_output(run_demo(DemoPlan()).summary()), "run: make readme"


def test_the_command_for_an_own_log_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    command = next(b for b in re.findall(r"```sh\n(.*?)```", README, flags=re.DOTALL) if "log.parquet" in b)
    words = shlex.split(command.replace("\\\n", " "))
    rng = np.random.default_rng(0)
    arm = rng.choice(["none", "mail", "coupon"], 500, p=[0.5, 0.3, 0.2])
    frame = pd.DataFrame({name: rng.normal(size=500) for name in ("age", "visits", "recency")})
    frame = frame.assign(id=np.arange(500), arm=arm, revenue=rng.gamma(2, 5, 500), cost=1.0 * (arm == "coupon"))
    monkeypatch.chdir(tmp_path)
    frame.to_parquet("log.parquet")
    result = CliRunner().invoke(app, words[1:])
    assert words[0] == "earmark"
    assert result.exit_code == 0, result.output
    assert (tmp_path / "spring" / "report.html").is_file()


def test_the_commands_for_an_evaluation_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data_folder: Path):
    """On a sample of the first's log, and on a log and decisions made up for the second."""
    block = next(b for b in re.findall(r"```sh\n(.*?)```", README, flags=re.DOTALL) if "earmark evaluate" in b)
    first, second = (shlex.split(line) for line in block.replace("\\\n", " ").strip().split("\n"))
    rng = np.random.default_rng(0)
    arm = rng.choice(["none", "mail"], 500)
    frame = pd.DataFrame({"age": rng.normal(size=500), "visits": rng.normal(size=500), "id": np.arange(500)})
    frame = frame.assign(arm=arm, revenue=rng.gamma(2, 5, 500), cost=1.0 * (arm == "mail"))
    monkeypatch.chdir(tmp_path)
    frame.to_parquet("log.parquet")
    decisions = pd.DataFrame({"user_id": np.arange(500), "arm": rng.choice(["none", "mail"], 500)})
    decisions.to_parquet("decisions.parquet")
    decisions.assign(arm="mail").to_csv("theirs.csv", index=False)
    for words in ([*first, "--users", "2000"], [*second, "--out", "own"]):
        result = CliRunner().invoke(app, words[1:])
        assert result.exit_code == 0, result.output
    for folder in ("mails", "own"):
        assert (tmp_path / folder / "charts" / "difference.html").is_file()
        assert len(pd.read_csv(tmp_path / folder / "evaluation.csv")) >= 2


def test_every_file_and_make_target_that_it_names_exists():
    for link in re.findall(r"\]\(([^)#:]+)\)|(?:src|srcset)=\"([^\"]+)\"", README):
        assert (ROOT / "".join(link)).exists(), link
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    assert set(re.findall(r"make ([a-z]+)", README)) - {"sure"} <= targets
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def test_no_placeholder_is_left():
    assert re.findall(r"\b[A-Z]+_[A-Z_]+\b", README.replace("EARMARK_DATA", "")) == []


def test_the_commands_for_an_end_to_end_fit_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    block = next(b for b in re.findall(r"```sh\n(.*?)```", README, flags=re.DOTALL) if "earmark fit" in b)
    fit, evaluate = (shlex.split(line) for line in block.replace("\\\n", " ").strip().split("\n"))
    rng = np.random.default_rng(0)
    arm = rng.choice(["none", "mail"], 400)
    frame = pd.DataFrame({"age": rng.normal(size=400), "visits": rng.normal(size=400), "id": np.arange(400)})
    frame = frame.assign(arm=arm, revenue=rng.gamma(2, 5, 400), cost=1.0 * (arm == "mail"))
    monkeypatch.chdir(tmp_path)
    frame.to_parquet("log.parquet")
    for words in ([*fit, "--hidden", "4"], evaluate):
        result = CliRunner().invoke(app, words[1:])
        assert result.exit_code == 0, result.output
    assert (tmp_path / "spring-policy" / "policy.json").is_file()
    assert "spring" in result.output


def test_the_commands_for_recommendations_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    block = next(b for b in re.findall(r"```sh\n(.*?)```", README, flags=re.DOTALL) if "earmark recommend" in b)
    walks = [(f"c{u}", (u + step) % 20, step) for u in range(80) for step in range(2 + u % 9)]
    monkeypatch.chdir(tmp_path)
    pd.DataFrame(walks, columns=["customer", "product", "time"]).to_parquet("events.parquet")
    for line in block.strip().splitlines():
        result = CliRunner().invoke(app, shlex.split(line)[1:])
        assert result.exit_code == 0, result.output
    assert len(pd.read_parquet("top.parquet")) == 80 * 10
    assert len(pd.read_parquet("features.parquet")) == 80
