"""Published multiple-choice knapsacks as problems: groups are users, items arms, weights resources."""

from __future__ import annotations

import csv
import gzip
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from allocation import Problem
from allocation.engine.limit import Limit

SMALL = ("TestSet1.5GP10IT5KP", "TestSet2.10GP10IT5KP", "TestSet5.10GP10IT10KP")
LARGE = ("TestSet.30GP10IT10KP", "TestSet.100GP10IT10KP", "TestSet.400GP10IT10KP")

# Best value known and bound on the optimum, as published; equal where the optimum is proved.
KHAN = {
    "I01": (173.0, 173.0),
    "I02": (364.0, 364.0),
    "I03": (1602.0, 1602.0),
    "I04": (3597.0, 3597.0),
    "I05": (3905.7, 3905.7),
    "I06": (4799.3, 4799.3),
    "I07": (24592.0, 24608.0),
    "I09": (49181.0, 49193.9),
    "I13": (98441.0, 98448.6),
}


class Knapsack(NamedTuple):
    """A problem, what it is called, and between what its optimum is known to lie."""

    name: str
    problem: Problem
    known: float
    bound: float


def knapsack_folder() -> Path:
    """Where the files are sought: `knapsack` in $EARMARK_DATA, else in the data beside the checkout."""
    named = os.environ.get("EARMARK_DATA")
    return (Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "data") / "knapsack"


def khan(name: str, folder: Path) -> Knapsack:
    """One of the KHAN problems; a file holds one, and below it the solutions that somebody found."""
    lines = _numbers((folder / "mmkp_khan" / f"{name}.txt").read_text())
    return Knapsack(name, _problem(lines), *KHAN[name])


def hiremath_hill(name: str, folder: Path) -> list[Knapsack]:
    """All problems of one of the sets SMALL and LARGE, an empty line between two, with the optima of `optima.csv`."""
    home = folder / "mmkp_hiremath_hill"
    packed = home / f"{name}.txt.gz"
    text = gzip.decompress(packed.read_bytes()).decode() if packed.is_file() else (home / f"{name}.txt").read_text()
    with (home / "optima.csv").open(newline="") as file:
        optima = {int(row["problem"]): float(row["optimum"]) for row in csv.DictReader(file) if row["file"] == name}
    found = []
    lines: list[str] = []
    for line in [*text.splitlines(), ""]:
        if line.strip():
            lines.append(line)
        elif lines:
            (number, *sizes), *rest = _numbers("\n".join(lines))
            optimum = optima[int(number)]
            found.append(Knapsack(f"{name} {number:g}", _problem([sizes, *rest]), optimum, optimum))
            lines = []
    return found


def _numbers(text: str) -> list[list[float]]:
    """The lines that hold anything, as numbers, up to the first that holds words."""
    found = []
    for words in map(str.split, text.splitlines()):
        try:
            numbers = [float(word) for word in words]
        except ValueError:
            break
        if numbers:
            found.append(numbers)
    return found


def _problem(lines: list[list[float]]) -> Problem:
    """Sizes; capacities; then each group's number, alone on its line, and its items: value and weights.

    A group may have fewer items than another: it is filled up with cells that are not eligible, and so is control,
    for one item of each group must be taken.
    """
    (n, _, m), capacities, *rest = lines
    groups: list[list[list[float]]] = []
    for numbers in rest:
        if len(numbers) == 1:
            groups.append([])
        elif len(numbers) == 1 + m:
            groups[-1].append(numbers)
        else:
            raise ValueError(f"a line holds {len(numbers)} numbers; a group's number or {1 + m:g} are expected")
    if len(groups) != n or len(capacities) != m:
        raise ValueError(f"{len(groups)} groups and {len(capacities)} capacities; {n:g} and {m:g} are expected")
    shape = (len(groups), 1 + max(map(len, groups)))
    eligible = np.zeros(shape, dtype=bool)
    tables = np.zeros((1 + len(capacities), *shape))
    for i, items in enumerate(groups):
        eligible[i, 1 : 1 + len(items)] = True
        tables[:, i, 1 : 1 + len(items)] = np.transpose(items)
    return Problem(
        tables[0],
        np.zeros(shape),
        eligible=eligible,
        resources={f"r{k}": table for k, table in enumerate(tables[1:])},
        limits=[Limit(f"r{k}", measure=f"r{k}", max=capacity) for k, capacity in enumerate(capacities)],
    )
