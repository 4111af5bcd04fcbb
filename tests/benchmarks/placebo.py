"""Does two-stage win where nothing can be won? A placebo on simulated campaigns; prints one Markdown table.

    python tests/benchmarks/placebo.py [--seeds 100] [--users 20000]

The logged values are dealt out anew among all users, so that neither features nor arms have anything to do with
them; costs stay. No policy can then be worth more than another, and a 95% interval of the difference should lie
wholly above zero in about 2.5% of the campaigns and wholly below in as many.
"""

from __future__ import annotations

import argparse
import platform
from collections import defaultdict
from dataclasses import replace
from functools import partial

import numpy as np

from allocation import TwoStage, evaluate
from allocation.evaluation.nuisance import fit_outcomes
from allocation.jobs.demo import fit_baselines
from tests.benchmarks.processes import side_by_side
from uplift import synthetic
from uplift.learners import SLearner
from uplift.seeds import stream

BUDGETS_PER_USER = (0.25, 0.5, 1.0)
REFERENCES = ("best single arm", "best mix of arms", "nobody")
Key, Cell = tuple[str, float], tuple[bool, bool, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--users", type=int, default=20_000)
    options = parser.parse_args()
    sides: dict[Key, list[Cell]] = defaultdict(list)
    for found in side_by_side(partial(one_campaign, options.users), range(options.seeds)):
        for key, cell in found.items():
            sides[key].append(cell)
    print(f"{options.seeds} seeds x {options.users:,} users (half held out), 1,000 bootstrap resamples; ", end="")
    print(f"Python {platform.python_version()}, numpy {np.__version__}\n")
    print(
        "| two-stage against | budget per user | interval above 0 | interval below 0 | mean difference (EUR a user) |"
    )
    print("|---|---|---|---|---|")
    for (reference, budget), cells in sides.items():
        above, below, mean = np.mean(cells, axis=0)
        print(f"| {reference} | {budget:g} | {above:.0%} | {below:.0%} | {mean:+.4f} |")


def one_campaign(users: int, seed: int) -> dict[Key, Cell]:
    """By reference and budget per user: interval above 0, interval below 0, difference per user."""
    log = synthetic.simulate(users, seed=seed).campaign
    log = replace(log, value=stream(seed, "placebo").permutation(log.value))
    train, held_out = log.split(0.5, seed)
    two_stage = TwoStage(SLearner(seed=seed)).fit(train)
    policies = {"two-stage": two_stage, **fit_baselines(train, two_stage.learner_, seed)}
    outcomes = fit_outcomes(held_out)
    budgets = [b * len(held_out) for b in BUDGETS_PER_USER]
    found = {}
    for reference in REFERENCES:
        pair = {name: policies[name] for name in ("two-stage", reference)}
        table = evaluate(pair, held_out, budgets=budgets, reference=reference, seed=seed, outcome_model=outcomes)
        for row in table[(table.policy == "two-stage") & (table.estimator == "dr")].itertuples():
            at = reference, round(row.budget / len(held_out), 6)
            found[at] = row.difference_low > 0, row.difference_high < 0, row.difference / len(held_out)
    return found


if __name__ == "__main__":
    main()
