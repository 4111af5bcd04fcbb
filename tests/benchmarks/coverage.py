"""Do the intervals cover the truth? Simulated logs of three designs; prints Markdown tables.

    python tests/benchmarks/coverage.py [--logs 500] [--first-seed 0] [--users 6000] [--truth-users 2000000]

Every rule maps features to arms once and for all (`fixed_rules.py`), so that its true worth is a mean over the
population, taken from the simulation's expected values of many users. Each seed draws users, and for each design arms
and outcomes; `evaluate` then gives value, spend and the paired difference to the reference under IPW, the
self-normalised and the doubly robust estimator, with closed-form intervals (estimate -+ z se) and with bootstrap
percentiles (1,000 resamples). Coverage is the share of logs whose 95% interval holds the truth: the mean over rules
and budgets, after +- the simulation error of that mean, and behind it the single rule and budget that is furthest
from 95%. The designs of one seed share their users. The doubly robust estimator's outcome model is a linear one, for
its speed (50 fits a log); the default, boosted trees, follows on fewer logs.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
import warnings
from functools import partial
from pathlib import Path
from statistics import NormalDist

# A script's own folder comes first on the path, where this file would hide the package that bears its name.
if __name__ == "coverage":
    _HERE = Path(__file__).resolve().parent
    sys.path[:] = [entry for entry in sys.path if Path(entry).resolve() != _HERE]
    del sys.modules["coverage"]
    import coverage  # noqa: F401  # what another script in this folder, or what it loads, asked for

import numpy as np

from allocation import evaluate
from allocation.engine.problem import Problem
from allocation.engine.solve import solve
from allocation.evaluation.nuisance import fit_outcomes
from tests.benchmarks import fixed_rules
from tests.benchmarks.fixed_rules import BUDGETS_PER_USER, DESIGNS, REFERENCE, RULES, Given, Rules, Users
from tests.benchmarks.processes import side_by_side
from uplift.response import Response
from uplift.seeds import stream

ESTIMATORS = ("ipw", "sn", "dr")
NAMES = {"ipw": "IPW", "sn": "SN", "dr": "DR"}
INTERVALS = ("closed form", "bootstrap")
AMOUNTS = ("value", "spend", "difference")
RULE_SEED = 10_000  # of the log that the rules learn from; no log to verify on has it
CHUNK = 50_000
LEVEL = 0.95
Z = NormalDist().inv_cdf(0.5 + LEVEL / 2)


def chunk_of_truth(rules: Rules, number: int) -> np.ndarray:
    """Mean and mean square of the worth of `CHUNK` users, (2, amounts, rules, budgets)."""
    users = Users.draw(CHUNK, stream(number, "truth"))
    amounts = fixed_rules.worth(users, rules.decide(users.X, rules.predict(users.X)))
    return np.stack([amounts.mean(axis=-1), (amounts**2).mean(axis=-1)])


def one_log(rules: Rules, truth: np.ndarray, n: int, with_default: range, seed: int) -> dict[str, np.ndarray]:
    """Whether the intervals of this seed's logs hold the truth (1, 0, NaN without an estimate), and their widths.

    with_default : the seeds that have the default outcome model too.
    """
    warnings.filterwarnings("ignore", message=".*propensit.*")  # one log in a thousand deviates so much by chance
    users = Users.draw(n, stream(seed, "users"))
    predicted = rules.predict(users.X)
    decision = rules.decide(users.X, predicted)
    budgets = [budget * n for budget in BUDGETS_PER_USER]
    ours = fixed_rules.decided(decision, budgets)
    again = {REFERENCE: ours[REFERENCE]} | fixed_rules.solved(predicted, n)
    found: dict[str, list[np.ndarray]] = {"fixed": [], "bands": [], "solved": [], "default": []}
    for design in DESIGNS:
        log = users.log(design, stream(seed, design))
        outcomes = fit_outcomes(log, model=fixed_rules.cheap_model(), seed=seed)
        arguments = {"budgets": budgets, "reference": REFERENCE, "seed": seed, "allow_mismatch": True}
        frame = evaluate(ours, log, outcome_model=outcomes, estimators=ESTIMATORS, **arguments)
        found["fixed"].append(judged(frame, truth * n, len(RULES)))
        found["bands"].append(within_bands(frame, truth[AMOUNTS.index("difference")] * n))
        frame = evaluate(again, log, outcome_model=outcomes, intervals="influence", **arguments)
        found["solved"].append(judged(frame, true_totals(users, again, budgets), len(again)))
        if design == "uniform" and seed in with_default:
            frame = evaluate(ours, log, outcome_model=fit_outcomes(log, seed=seed), estimators=["dr"], **arguments)
            found["default"].append(judged(frame, truth * n, len(RULES)))
    return {name: np.array(of_designs) for name, of_designs in found.items() if of_designs}


def judged(frame: object, truth: np.ndarray, n_rules: int) -> np.ndarray:
    """Hits and widths, (2, estimators, intervals, amounts, rules, budgets), of a frame and totals (amounts, ...)."""
    shape = (-1, len(BUDGETS_PER_USER), n_rules)
    hits, widths = [], []
    for k, amount in enumerate(AMOUNTS):
        point, se, low, high = (
            frame[f"{amount}{end}"].to_numpy().reshape(shape).swapaxes(1, 2) for end in ("", "_se", "_low", "_high")
        )
        ends = np.stack([np.stack([point - Z * se, point + Z * se]), np.stack([low, high])])
        held = (ends[:, 0] <= truth[k]) & (truth[k] <= ends[:, 1])
        hits.append(np.where(np.isnan(ends[:, 0]), np.nan, held))
        widths.append(ends[:, 1] - ends[:, 0])
    return np.stack([hits, widths]).transpose(0, 3, 2, 1, 4, 5)


def within_bands(frame: object, truth: np.ndarray) -> np.ndarray:
    """Whether each rule's band holds its differences (rules, budgets) at all budgets, (estimators, rules but one)."""
    low, high = (
        frame[f"difference_band_{end}"]
        .to_numpy()
        .reshape(-1, len(BUDGETS_PER_USER), len(RULES))
        .swapaxes(1, 2)[:, 1:]
        for end in ("low", "high")
    )
    held = ((low <= truth[1:]) & (truth[1:] <= high)).all(axis=-1)
    return np.where(np.isnan(low).any(axis=-1), np.nan, held)


def true_totals(users: Users, policies: dict, budgets: list[float]) -> np.ndarray:
    """Expected totals of the decisions taken for the log's own users, (amounts, rules, budgets)."""

    def arms(policy: Given | Response, budget: float) -> np.ndarray:
        if isinstance(policy, Given):
            return policy.by_budget[budget]
        return solve(Problem(policy.value, policy.cost, budget)).decision

    decision = np.array([[arms(policy, budget) for budget in budgets] for policy in policies.values()])
    return fixed_rules.worth(users, decision).sum(axis=-1)


def cells(found: np.ndarray, amount: int) -> np.ndarray:
    """Of (logs, ..., amounts, rules, budgets) one amount's cells, (logs, ..., cells); the reference differs by 0."""
    first = 1 if AMOUNTS[amount] == "difference" else 0
    chosen = found[..., amount, first:, :]
    return chosen.reshape(*chosen.shape[:-2], -1)


def coverage_text(hits: np.ndarray) -> str:
    """Mean coverage of (logs, cells), its simulation error by logs, and the cell furthest from the level."""
    by_log, by_cell = np.nanmean(hits, axis=1), np.nanmean(hits, axis=0)
    error = by_log.std(ddof=1) / np.sqrt(len(by_log))
    worst = by_cell[np.abs(by_cell - LEVEL).argmax()]
    missing = np.isnan(hits).mean()
    return f"{by_log.mean():.1%} ± {error:.1%} ({worst:.1%})" + (f", {missing:.1%} missing" if missing else "")


def table(found: np.ndarray, intervals: tuple[int, ...]) -> tuple[list[float], str]:
    """Mean coverages, and the lines of a table, of (logs, designs, hit or width, estimators, intervals, ...)."""
    shares, lines = [], []
    for d, design in enumerate(DESIGNS[: found.shape[1]]):
        for e, estimator in enumerate(ESTIMATORS):
            for i in intervals:
                hits, width = found[:, d, 0, e, i], found[:, d, 1, :, i]
                by_amount = [cells(hits, k) for k in range(len(AMOUNTS))]
                shares += [float(np.nanmean(one)) for one in by_amount]
                ratio = [narrower(cells(width[:, e], k), cells(width[:, 0], k)) for k in range(len(AMOUNTS))]
                shown = [coverage_text(one) for one in by_amount]
                narrow = " / ".join(f"{share:+.0%}" for share in ratio) if e else ""
                lines.append(f"| {design} | {NAMES[estimator]} | {INTERVALS[i]} | {' | '.join(shown)} | {narrow} |")
    return shares, "\n".join([*HEAD, *lines])


def narrower(width: np.ndarray, than: np.ndarray) -> float:
    """Mean over cells of the mean width against that of another estimator, less 1."""
    return float((np.nanmean(width, axis=0) / np.nanmean(than, axis=0)).mean() - 1)


HEAD = (
    "| design | estimator | interval | value | spend | difference | width to IPW's: value / spend / difference |",
    "|---|---|---|---|---|---|---|",
)


def main() -> None:
    """Draw the logs, verify, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--logs", type=int, default=500)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--users", type=int, default=6_000)
    parser.add_argument("--truth-users", type=int, default=2_000_000)
    parser.add_argument("--default-logs", type=int, default=20, help="logs with the default outcome model")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    start = time.perf_counter()
    rules = Rules.learn(RULE_SEED)
    chunks = range(options.truth_users // CHUNK)
    moments = list(side_by_side(partial(chunk_of_truth, rules), chunks, options.processes))
    truth, square = np.mean(moments, axis=0)
    error = np.sqrt((square - truth**2) / (len(moments) * CHUNK))
    print(f"truth: {time.perf_counter() - start:.0f} s", file=sys.stderr)
    first = options.first_seed
    work = partial(one_log, rules, truth, options.users, range(first, first + options.default_logs))
    results = list(side_by_side(work, range(first, first + options.logs), options.processes))
    report(options, results, truth, error)
    print(f"\n{(time.perf_counter() - start) / 60:.1f} minutes in {options.processes} processes")


def report(options: argparse.Namespace, results: list[dict], truth: np.ndarray, error: np.ndarray) -> None:
    """Print every table."""
    fixed, solved = (np.array([one[name] for one in results]) for name in ("fixed", "solved"))
    half = np.array([[np.nanmean(cells(fixed[:, :, 1, e, 0], k)) / 2 for e in range(3)] for k in range(3)])
    largest = [float(cells(error, k).max()) * options.users for k in range(3)]
    print(
        f"{options.logs} logs of {options.users:,} users and each design, seeds from {options.first_seed}; rules: "
        f"{', '.join(RULES)} (reference: {REFERENCE}); budgets {BUDGETS_PER_USER} EUR a user; Python "
        f"{platform.python_version()}, numpy {np.__version__}.\n"
    )
    print(
        f"True worth from {options.truth_users:,} users; its own standard error is at most "
        + ", ".join(f"{e / h.min():.1%} ({a})" for e, h, a in zip(largest, half, AMOUNTS, strict=True))
        + " of the shortest half interval on average.\n"
    )
    shares, text = table(fixed, (0, 1))
    within = [0.93 <= share <= 0.97 for share in shares]
    print(text)
    print(
        f"\n{sum(within)} of {len(within)} coverages within 93 to 97%; the lowest {min(shares):.1%}, the highest "
        f"{max(shares):.1%}.\n"
    )
    value = [narrower(*(cells(fixed[:, d, 1, e, 0], 0) for e in (2, 0))) for d in range(len(DESIGNS))]
    print(
        "DR's interval of the value against IPW's: "
        + ", ".join(f"{design} {share:+.0%}" for design, share in zip(DESIGNS, value, strict=True))
        + " (asked: -25% or less).\n"
    )
    bands = np.array([one["bands"] for one in results])
    print("Bands that shall hold a rule's differences at all budgets at once (the worst single rule in brackets):\n")
    print(f"| design | {' | '.join(NAMES.values())} |\n|---|---|---|---|")
    for d, design in enumerate(DESIGNS):
        print(f"| {design} | {' | '.join(coverage_text(bands[:, d, e]) for e in range(len(ESTIMATORS)))} |")
    print()
    report_default(results, fixed)
    print(
        "The same two-stage rules with the budget solved for each log's own users, against the truth of those very\n"
        "decisions. The interval also covers who happens to be in the log, and that truth does not vary with it:\n"
        "coverage above 95% is expected, most for DR, which leaves little else to vary.\n"
    )
    print(table(solved, (0,))[1])


def report_default(results: list[dict], fixed: np.ndarray) -> None:
    """Print what the default outcome model gives on the logs that have it."""
    default = np.array([one["default"] for one in results if "default" in one])
    if len(default) < 2:
        return
    same = fixed[: len(default)]
    of_amounts = [coverage_text(cells(default[:, 0, 0, 0, 0], k)) for k in range(len(AMOUNTS))]
    widths = [
        "/".join(f"{narrower(cells(default[:, 0, 1, 0, 0], k), cells(same[:, 0, 1, e, 0], k)):+.0%}" for e in (0, 2))
        for k in range(len(AMOUNTS))
    ]
    print(
        f"DR with the default outcome model on the first {len(default)} uniform logs, closed form: value "
        f"{of_amounts[0]}, spend {of_amounts[1]}, difference {of_amounts[2]}; width against IPW / DR with the linear "
        f"model: value {widths[0]}, spend {widths[1]}, difference {widths[2]}.\n"
    )


if __name__ == "__main__":
    main()
