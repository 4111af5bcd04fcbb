"""`decide`, `--dry-run`, `inspect` and `frontier` on tables of odd amounts: negative, nought, tiny, huge, few."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.allocation.nightly import earmark, widest

N = 40


def table(value: np.ndarray, cost: np.ndarray) -> pd.DataFrame:
    """Users by arms as a response table."""
    arms = ["none", "mail", "gift"][: value.shape[1]]
    columns = {f"value.{arm}": value[:, j] for j, arm in enumerate(arms)}
    columns |= {f"cost.{arm}": cost[:, j] for j, arm in enumerate(arms)}
    return pd.DataFrame({"user_id": np.arange(len(value)), **columns})


def odd(name: str) -> tuple[pd.DataFrame, str]:
    """A table, and the budget of its plan as TOML."""
    rng = np.random.default_rng(0)
    value = rng.uniform(1, 9, (N, 3))
    cost = rng.uniform(1, 2, (N, 3)) * [0, 1, 2]
    nought = np.zeros((N, 3))
    tables = {
        "negative value": (table(-1000 * value, cost), "budget = 20"),
        "negative cost": (table(value, -1000 * cost), "budget = 20"),
        "both negative": (table(-value, -cost), "budget = 0"),
        "negative, no budget": (table(-value, -cost), ""),
        "all nought": (table(nought, nought), "budget = 0"),
        "no value": (table(nought, cost), "budget = 5"),
        "no cost": (table(value, nought), "budget = 5"),
        "one user": (table(-value[:1], -cost[:1]), "budget = 1"),
        "one arm": (table(-value[:, :1], cost[:, :1]), "budget = 1"),
        "one user, one arm": (table(value[:1, :1], cost[:1, :1]), "budget = 0"),
        "all arms alike": (table(np.full((N, 3), -2.5), np.full((N, 3), 0.5)), "budget = 20"),
        "small": (table(value * 1e-90, cost * 1e-90), "budget = 1e-88"),
        "large": (table(value * 1e90, -cost * 1e90), "budget = 1e90"),
    }
    return tables[name]


NAMES = [
    "negative value",
    "negative cost",
    "both negative",
    "negative, no budget",
    "all nought",
    "no value",
    "no cost",
    "one user",
    "one arm",
    "one user, one arm",
    "all arms alike",
    "small",
    "large",
]
LIMITED = [("both negative", "40%"), ("all nought", "0%"), ("one user, one arm", "100%"), ("small", "40%")]


@pytest.mark.parametrize(("name", "most"), [*((name, None) for name in NAMES), *LIMITED])
def test_every_command_says_what_it_found(
    name: str, most: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    frame, budget = odd(name)
    limit = f'[[limit]]\nname = "few"\nmax = "{most}"\narms = ["none"]\n' if most else ""
    frame.to_parquet("r.parquet")
    Path("p.toml").write_text(f'[plan]\nname = "odd"\nresponses = "r.parquet"\n{budget}\n{limit}')
    for command in (
        ["decide", "p.toml", "--out", "o"],
        ["decide", "p.toml", "--out", "o", "--dry-run"],
        ["inspect", "o", "--responses", "r.parquet"],
        ["frontier", "p.toml"],
    ):
        code, out, err = earmark(*command)
        assert code == 0, (command, err)
        assert widest(out) <= 80, command
        assert "nan" not in out, command


@pytest.mark.parametrize("name", ["negative cost", "one user, one arm"])
def test_a_frontier_of_odd_amounts_is_drawn(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    odd(name)[0].to_parquet("r.parquet")
    code, _, err = earmark("frontier", "r.parquet", "--out", "f")
    assert code == 0, err
    assert Path("f/frontier-light.png").read_bytes()[:4] == b"\x89PNG"
