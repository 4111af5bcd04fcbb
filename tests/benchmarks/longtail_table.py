"""The long-tail benchmark's tables: change of tail and head against joint training, and what of the claim holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm, t

from tests.benchmarks.longtail_store import Result
from uplift.recommender import metric

HARM = 0.005  # of the head's own value, which the claim allows
# Row: its placebo, the same with random groups.
CLAIMS = {
    "aggregation + plugins": "placebo aggregation + plugins",
    "aggregation": "placebo aggregation",
    "joint + plugins": "joint + placebo plugins",
    "joint, tuned by aggregation": "joint, tuned by placebo aggregation",
    "joint, tuned by balanced": "joint, tuned by joint",
    "joint + memory": "joint + placebo memory",
    "as shipped": "joint + placebo memory",
}

EQUAL = (
    "Differences are against joint training. Rows trained from the start have as many epochs, tuned ones as many in "
    "all; plugins of the paper setting stand on a backbone of fewer epochs in return. Seconds are those of the "
    "clock, beside other work."
)


@dataclass(frozen=True)
class Change:
    """A mean change against joint training with the ends of its 95% interval, and the joint value.

    The interval has a part for the users, who are the same under every seed (the change of each, averaged over
    seeds), and one for the seeds (t, on their means); the two widths add up as squares.
    """

    mean: float
    low: float
    high: float
    joint: float
    seeds: int

    def __str__(self) -> str:
        return f"{self.mean:+.4f} [{self.low:+.4f}, {self.high:+.4f}]"


def change(units: Sequence[Result], row: str, name: str, *, head: bool, against: str = "joint") -> Change:
    """The change of a metric by `row` `against` another, over the units of one data set and backbone (seeds)."""
    per_seed = []
    for unit in units:
        who = unit.head == head
        before, after = (metric(unit.rows[of][0], name)[who] for of in (against, row))
        per_seed.append(np.stack([before, after - before]))
    base, difference = np.stack(per_seed, axis=1)  # each (seeds, users)
    of_user, of_seed = difference.mean(axis=0), difference.mean(axis=1)
    width = norm.ppf(0.975) * of_user.std(ddof=1) / np.sqrt(len(of_user))
    seeds = len(of_seed)
    if seeds > 1:
        width = np.hypot(width, t.ppf(0.975, seeds - 1) * of_seed.std(ddof=1) / np.sqrt(seeds))
    mean = float(of_seed.mean())
    return Change(mean, mean - width, mean + width, float(base.mean()), seeds)


def tables(results: Sequence[Result]) -> str:
    """A table for each setting, the verdict on the claim in front; units without joint training are left out."""
    results = [result for result in results if "joint" in result.rows]
    parts = []
    for setting in sorted({result.setting for result in results}):
        of_setting = [result for result in results if result.setting == setting]
        cells = sorted({(r.data, r.backbone) for r in of_setting})
        blocks = {cell: [r for r in of_setting if (r.data, r.backbone) == cell] for cell in cells}
        parts.append(f"### {setting} setting\n\n{verdict(setting, blocks)}\n\n{EQUAL}\n")
        parts += [_table(cell, units) for cell, units in blocks.items()]
    return "\n".join(parts)


def verdict(setting: str, blocks: dict[tuple[str, str], list[Result]]) -> str:
    """What of the claim holds, in words: tail up with the interval above zero, head not down by more than .5%."""
    lines = []
    for row, placebo in CLAIMS.items():
        cells = [[unit for unit in units if row in unit.rows] for units in blocks.values()]
        cells = [units for units in cells if units]
        if not cells:
            continue
        up, held = (sum(holds(units, row, head=head) for units in cells) for head in (False, True))
        said = f"{row}: tail up in {up} of {len(cells)}, and the head unharmed as well in {held}"
        beside = [units for units in cells if placebo in units[0].rows]
        if beside:
            above = sum(change(units, row, "ndcg@10", head=False, against=placebo).low > 0 for units in beside)
            theirs = sum(holds(units, placebo, head=False) for units in beside)
            said += f" ({placebo}: tail up in {theirs}; above it in {above})"
        lines.append(said)
    claim = (
        f"**Does the claim hold in the {setting} setting?** NDCG@10 of the tail up with its interval above zero, the "
        "head not down by more than .5% of its own, by data set and backbone. "
    )
    return claim + "; ".join(lines) + "."


def holds(units: Sequence[Result], row: str, *, head: bool) -> bool:
    """Whether the tail is up beyond chance and, if asked, the head unharmed."""
    tail, top = (change(units, row, "ndcg@10", head=h) for h in (False, True))
    return tail.low > 0 and (not head or top.mean >= -HARM * top.joint)


def _table(cell: tuple[str, str], units: list[Result]) -> str:
    data, backbone = cell
    names = list(dict.fromkeys(name for unit in units for name in unit.rows))
    seeds = sorted(unit.seed for unit in units)
    first = change(units, "joint", "ndcg@10", head=False)
    top = change(units, "joint", "ndcg@10", head=True)
    whole = (
        f"{name} {np.mean([metric(u.rows[name][0], 'recall@5').mean() for u in have]):.4f} / "
        f"{np.mean([metric(u.rows[name][0], 'ndcg@5').mean() for u in have]):.4f}"
        for name in ("last item", "joint", "as shipped")
        if (have := [u for u in units if name in u.rows])
    )
    area = [change(units, "joint", "auc", head=h).joint for h in (False, True)]
    lines = [
        f"**{data}, {backbone}**: seeds {', '.join(map(str, seeds))}; {int((~units[0].head).sum()):,} tail and "
        f"{int(units[0].head.sum()):,} head users; joint training NDCG@10 tail {first.joint:.4f}, head "
        f"{top.joint:.4f}, AUC {area[0]:.4f}, {area[1]:.4f}. Recall@5 / NDCG@5 of all users: {', '.join(whole)}",
        "",
        "| row | tail NDCG@10 | head NDCG@10 | tail AUC | head AUC | training s | seeds |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in names:
        have = [unit for unit in units if name in unit.rows]
        cells = [change(have, name, m, head=h) for m in ("ndcg@10", "auc") for h in (False, True)]
        seconds = np.median([unit.rows[name][1] for unit in have])
        lines.append(f"| {name} | {' | '.join(map(str, cells))} | {seconds:.0f} | {len(have)} |")
    return "\n".join([*lines, ""])
