"""Do the verified intervals cover the truth? Simulated campaigns, one a seed; prints two Markdown tables.

    python tests/benchmarks/verified_coverage.py [--seeds 100] [--first-seed 0] [--users 20000]

Each seed simulates a log, fits every policy on one half, decides for the other half at three budgets, and compares
the estimate with the true expected value (and spend) of the very same decisions, which only the simulation knows.
The interval also covers who happens to be in the held-out half, so coverage a little above its level is expected.
Differences that rest on too few users to be stated are left out of the shares. `coverage.py` fixes the rule instead.
"""

from __future__ import annotations

import argparse
import platform
import warnings
from collections import defaultdict
from functools import partial

import numpy as np

from allocation import TwoStage, evaluate
from allocation.evaluation.nuisance import fit_outcomes
from allocation.jobs.demo import fit_baselines
from tests.benchmarks.processes import side_by_side
from uplift import synthetic
from uplift.learners import SLearner

BUDGETS_PER_USER = (0.25, 0.5, 1.0)
Hit, Gain = tuple[bool, bool, bool | float], tuple[float, float, float]
Found = tuple[int, list[tuple[tuple[str, str], Hit]], list[tuple[tuple[float, str], Gain]]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--users", type=int, default=20_000)
    options = parser.parse_args()
    hits: dict[tuple[str, str], list[Hit]] = defaultdict(list)
    gains: dict[tuple[float, str], list[Gain]] = defaultdict(list)
    overspent = 0
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    for over, hits_of_one, gains_of_one in side_by_side(partial(one_campaign, options.users), seeds):
        overspent += over
        for method, what in hits_of_one:
            hits[method].append(what)
        for at, figures in gains_of_one:
            gains[at].append(figures)
    report(options, hits, gains, overspent)


def one_campaign(users: int, seed: int) -> Found:
    """One simulated campaign: overspent decisions; what covers what, by policy and estimator; gains, by budget."""
    simulation = synthetic.simulate(users, seed=seed)
    train, held_out = simulation.campaign.split(0.5, seed)
    truth, n = simulation.truth.take(held_out.user_id), len(held_out)
    two_stage = TwoStage(SLearner(seed=seed)).fit(train)
    policies = {"two-stage": two_stage, **fit_baselines(train, two_stage.learner_, seed)}
    shared = {"budgets": [b * n for b in BUDGETS_PER_USER], "outcome_model": fit_outcomes(held_out), "seed": seed}
    single = evaluate(policies, held_out, reference="best single arm", **shared)
    pair = {name: policies[name] for name in ("two-stage", "best mix of arms")}
    mix = evaluate(pair, held_out, reference="best mix of arms", **shared)
    true = {
        (name, b): true_totals(policy.decide(held_out.X, b), truth)
        for name, policy in policies.items()
        for b in shared["budgets"]
    }
    hits, gains = [], []
    for row in single.itertuples():
        value, spend = true[row.policy, row.budget]
        difference = value - true["best single arm", row.budget][0]
        differs = row.difference == row.difference
        hit = (
            row.value_low <= value <= row.value_high,
            row.spend_low <= spend <= row.spend_high,
            row.difference_low <= difference <= row.difference_high if differs else np.nan,
        )
        hits.append(((row.policy, row.estimator), hit))
    for name, frame in (("best single arm", single), ("best mix of arms", mix)):
        for row in frame[(frame.policy == "two-stage") & (frame.estimator == "dr")].itertuples():
            b = row.budget
            gain = (true["two-stage", b][0] - true[name, b][0]) / n
            gains.append(((round(b / n, 6), name), (gain, row.difference / n, float(row.difference_low > 0))))
    return int((single["promised_spend"] > single["budget"]).sum()), hits, gains


def true_totals(allocation: object, truth: object) -> tuple[float, float]:
    """Expected value and spend of the decision, summed over its users."""
    rows = np.arange(len(truth))
    return float(truth.value[rows, allocation.decision].sum()), float(truth.cost[rows, allocation.decision].sum())


def report(options: argparse.Namespace, hits: dict, gains: dict, overspent: int) -> None:
    print(
        f"{options.seeds} seeds from {options.first_seed} on x {options.users:,} users (half held out), "
        f"budgets {BUDGETS_PER_USER} EUR per user,"
    )
    print(f"1,000 bootstrap resamples; Python {platform.python_version()}, numpy {np.__version__}")
    print(f"decisions whose predicted spend exceeds the budget: {overspent}\n")
    budgets = " / ".join(f"{b:g}" for b in BUDGETS_PER_USER)
    print(f"Share of seeds whose 95% interval covers the truth, at the budgets {budgets}, and their mean:\n")
    print("| policy | estimator | value | spend | difference to best single arm |")
    print("|---|---|---|---|---|")
    width = len(BUDGETS_PER_USER)
    for (policy, estimator), cells in hits.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # no difference at all at a budget
            by_budget = np.nanmean(np.array(cells, dtype=float).reshape(-1, width, 3), axis=0)
            shown = [" / ".join(f"{share:.3g}" for share in [*cells, np.nanmean(cells)]) for cells in by_budget.T]
        if policy == "best single arm":
            shown[2] = "-"
        if policy == "nobody":
            shown[1] = "- (nothing is spent)"
        print(f"| {policy} | {estimator} | {' | '.join(shown)} |")
    print("\nTwo-stage against the baselines (dr, EUR of value per user, mean over seeds):\n")
    print("| budget per user | baseline | true difference | verified difference | seeds with interval above 0 |")
    print("|---|---|---|---|---|")
    for (budget, name), cells in sorted(gains.items()):
        true, verified, above = np.mean(cells, axis=0)
        print(f"| {budget:g} | {name} | {true:+.3f} | {verified:+.3f} | {above:.0%} |")


if __name__ == "__main__":
    main()
