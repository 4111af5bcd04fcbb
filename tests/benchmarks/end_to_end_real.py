"""End-to-end against two-stage on two real experiments: repeated splits, paired intervals; one Markdown table.

    python tests/benchmarks/end_to_end_real.py [--data hillstrom thornton_hiv] [--splits 10]

Hillstrom's e-mail test (spend in USD; a mail costs .10 USD, an assumption of ours) and Thornton's cash for collecting
a test result, at the budgets of `earmark demo`. Each split fits every policy on one half and verifies it on the other
by the doubly robust estimator. Intervals are closed-form with variances averaged over the splits and not divided by
their number, as the splits share users: more splits steady the figure and bring little more evidence. Policies hold
a budget by their own predictions; what each truly spends is beside its value.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd

from allocation import TwoStage
from allocation.evaluation.repeated import evaluate_splits
from allocation.jobs.demo import budget_grid
from allocation.policies.base import Policy
from allocation.policies.baselines import BestMix
from allocation.policies.end_to_end import EndToEnd
from tests.benchmarks.end_to_end_policies import FEW, FEW_ROWS, USUAL
from uplift import datasets
from uplift.campaign import Campaign
from uplift.learners import DRLearner, NeuralResponse, SLearner

LOGS: dict[str, tuple[Callable[[], Campaign], float, str]] = {  # log, budget a user, unit of value
    "hillstrom": (lambda: datasets.hillstrom(value="spend"), 0.05, "USD per user"),
    "thornton_hiv": (datasets.thornton_hiv, 1.0, "results collected per user"),
}
NEW = "end-to-end"
TWO_STAGES = ("two-stage net", "two-stage S", "two-stage DR")
COLUMNS = ("data", "budget", "policy", "value", f"{NEW} minus it", "p, adjusted", "spend", "promised value")


def policies(train: Campaign, seed: int, grid: Sequence[float], told: list[dict[str, Any]]) -> dict[str, Policy]:
    """All of them fitted on one half; `told` gets what the end-to-end fit says and the seconds of both nets."""
    net = NeuralResponse(hidden=USUAL if len(train) >= FEW_ROWS else FEW, seed=seed)
    learners = dict(zip(TWO_STAGES, (net, SLearner(seed=seed), DRLearner(seed=seed)), strict=True))
    fitted: dict[str, Policy] = {"best mix of arms": BestMix(seed).fit(train)}
    for name, learner in learners.items():
        start = time.perf_counter()
        fitted[name] = TwoStage(learner).fit(train)
        taken = time.perf_counter() - start
        if name == TWO_STAGES[0]:
            told.append({"net": taken})
    start = time.perf_counter()
    tuned = EndToEnd(net, budgets=[budget * len(train) for budget in grid], seed=seed).fit(train)
    told[-1] |= {
        NEW: time.perf_counter() - start,
        "passed": tuned.result_.passed,
        "none": tuned.result_.nothing_to_gain,
    }
    return fitted | {NEW: tuned}


def evaluated(name: str, splits: int, seed: int) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """The frame of `evaluate_splits` with end-to-end as the reference, and what each split told."""
    build, budget, _ = LOGS[name]
    told: list[dict[str, Any]] = []
    grid = budget_grid(0.0, budget)
    frame = evaluate_splits(
        lambda train, number: policies(train, number, grid, told),
        build(),
        budgets_per_user=grid,
        splits=splits,
        reference=NEW,
        estimators=("dr",),
        seed=seed,
        progress=lambda text: print(f"{name}: {text}", file=sys.stderr),
    )
    money = ("budget", "spend", "promised_value", *(f"value{end}" for end in ("", "_low", "_high")))
    money += tuple(f"difference{end}" for end in ("", "_low", "_high"))
    return frame.assign(**{column: frame[column] / frame["users"] for column in money}), told


def row(name: str, r: pd.Series) -> str:
    """A line of the table; the difference is turned round: what end-to-end is worth more."""
    value = span(*(r[f"value{end}"] for end in ("", "_low", "_high")))
    against, p = "–", "–"
    if r["policy"] != NEW:
        if r["same_decision"] or r["difference_support"]:
            against = "same decision" if r["same_decision"] else r["difference_support"]
        else:
            against = span(*(-r[f"difference{end}"] for end in ("", "_high", "_low")), sign="+")
            p = "–" if pd.isna(r["p_adjusted"]) else f"{r['p_adjusted']:.2g}"
    cells = [name, f"{r['budget']:.4g}", r["policy"], value, against, p]
    cells += [f"{r['spend']:.3g}", f"{r['promised_value']:.3g}"]
    return f"| {' | '.join(cells)} |"


def span(point: float, low: float, high: float, sign: str = "") -> str:
    """An amount and its interval."""
    return f"{point:{sign}.3g} [{low:{sign}.3g}, {high:{sign}.3g}]"


def sentence(name: str, frame: pd.DataFrame, told: list[dict[str, Any]]) -> str:
    """What it comes to, said whatever it is."""
    passed, none = (sum(t[what] for t in told) for what in ("passed", "none"))
    seconds = [statistics.median(t[what] for t in told) for what in (NEW, "net")]
    gate = f"The gate let the end-to-end net through in {passed} of {len(told)} splits"
    if not passed:
        gate += ": end-to-end is the two-stage net here, and any difference to the others is that net's"
    return (
        f"{name}: end-to-end {'; '.join(compared(frame, rival) for rival in TWO_STAGES)}. {gate}. In {none} "
        "splits the fit itself said that nothing can be told from treating nobody. Training took "
        f"{seconds[0]:.1f} s, the two-stage net {seconds[1]:.1f} s (medians)."
    )


def compared(frame: pd.DataFrame, rival: str) -> str:
    """At how many budgets the two can be told apart, at the level of each interval."""
    own = frame[frame["policy"] == rival]
    if own["same_decision"].all():
        return f"takes the decisions of {rival}"
    more, less = int((own["difference_high"] < 0).sum()), int((own["difference_low"] > 0).sum())
    if not (more or less):
        return f"cannot be told from {rival} at any of {len(own)} budgets"
    return f"is worth more than {rival} at {more} and less at {less} of {len(own)} budgets"


def main() -> None:
    """Evaluate and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", default=list(LOGS), choices=list(LOGS))
    parser.add_argument("--splits", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    units = "; ".join(f"{name}: {LOGS[name][2]}" for name in options.data)
    print(f"Value [95% interval], {units}. Budget and spend in USD a user; {options.splits} splits.\n")
    print(f"| {' | '.join(COLUMNS)} |")
    print("|" + "---|" * len(COLUMNS), flush=True)
    said = []
    for name in options.data:
        frame, told = evaluated(name, options.splits, options.seed)
        for _, r in frame.iterrows():
            print(row(name, r), flush=True)
        said.append(sentence(name, frame, told))
    print("\n" + "\n\n".join(said))


if __name__ == "__main__":
    main()
