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

import numpy as np

from allocation import TwoStage, evaluate
from allocation.evaluation.nuisance import fit_outcomes
from allocation.jobs.demo import fit_baselines
from uplift import synthetic
from uplift.learners import SLearner
from uplift.seeds import stream

BUDGETS_PER_USER = (0.25, 0.5, 1.0)
REFERENCES = ("best single arm", "best mix of arms", "nobody")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--users", type=int, default=20_000)
    options = parser.parse_args()
    sides = defaultdict(list)
    for seed in range(options.seeds):
        log = synthetic.simulate(options.users, seed=seed).campaign
        log = replace(log, value=stream(seed, "placebo").permutation(log.value))
        train, held_out = log.split(0.5, seed)
        two_stage = TwoStage(SLearner(seed=seed)).fit(train)
        policies = {"two-stage": two_stage, **fit_baselines(train, two_stage.learner_, seed)}
        outcomes = fit_outcomes(held_out)
        for reference in REFERENCES:
            pair = {name: policies[name] for name in ("two-stage", reference)}
            budgets = [b * len(held_out) for b in BUDGETS_PER_USER]
            table = evaluate(pair, held_out, budgets=budgets, reference=reference, seed=seed, outcome_model=outcomes)
            for row in table[(table.policy == "two-stage") & (table.estimator == "dr")].itertuples():
                sides[reference, round(row.budget / len(held_out), 6)].append(
                    (row.difference_low > 0, row.difference_high < 0, row.difference / len(held_out))
                )
    print(f"{options.seeds} seeds x {options.users:,} users (half held out), 1,000 bootstrap resamples; ", end="")
    print(f"Python {platform.python_version()}, numpy {np.__version__}\n")
    print(
        "| two-stage against | budget per user | interval above 0 | interval below 0 | mean difference (EUR a user) |"
    )
    print("|---|---|---|---|---|")
    for (reference, budget), cells in sides.items():
        above, below, mean = np.mean(cells, axis=0)
        print(f"| {reference} | {budget:g} | {above:.0%} | {below:.0%} | {mean:+.4f} |")


if __name__ == "__main__":
    main()
