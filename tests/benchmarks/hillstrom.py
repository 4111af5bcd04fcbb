"""What targeting is worth in Hillstrom's e-mail test: policies at five budgets, five splits; Markdown and sentences.

    python tests/benchmarks/hillstrom.py [--value visit spend] [--splits 5]

64,000 customers, no mail, men's or women's mail at random; a mail costs .10 USD (an assumption of ours). Each split
fits every policy on one half and verifies it on the other by the doubly robust estimator; the table has the means
over the splits, per held-out user. Intervals are closed-form with variances averaged over the splits and not divided
by their number, as the splits share users. Every policy is compared with the best single mail, pair by pair on the
same users; p-values are adjusted for all comparisons of the table (max-t). The sentences are those that
`earmark evaluate` prints.
"""

from __future__ import annotations

import argparse
import sys
import time

import pandas as pd

from allocation.evaluation.repeated import evaluate_splits
from allocation.jobs.evaluation_job import EvaluationResult
from allocation.jobs.evaluation_plan import EvaluationPlan
from allocation.jobs.evaluation_text import findings, how_sure
from allocation.jobs.policies_named import NAMES, fit_named
from allocation.jobs.source import Source
from uplift import datasets
from uplift.campaign import Campaign

POLICIES = ("nobody", "single", "random", "outcome", "s", "t", "dr")
REFERENCE = "single"
BUDGETS_PER_USER = (0.01, 0.02, 0.04, 0.06, 0.1)  # USD: mail for a tenth of the users to mail for all
SHARE = 0.5
VALUES = {"visit": ("visits", 1_000), "conversion": ("conversions", 1_000), "spend": ("USD", 1)}


def evaluated(value: str, splits: int, seed: int) -> EvaluationResult:
    """The repeated evaluation of one outcome."""
    log = datasets.hillstrom(value=value)

    def build(train: Campaign, number: int) -> dict:
        return fit_named(POLICIES, train, number)

    frame = evaluate_splits(
        build,
        log,
        budgets_per_user=BUDGETS_PER_USER,
        splits=splits,
        share=SHARE,
        reference=NAMES[REFERENCE],
        estimators=("dr",),
        seed=seed,
        progress=lambda text: print(f"{value}: {text}", file=sys.stderr),
    )
    held_out = int(frame["users"].iloc[0])
    return EvaluationResult(
        plan=EvaluationPlan(
            "hillstrom", policies=POLICIES, budgets_per_user=BUDGETS_PER_USER, splits=splits, reference=REFERENCE
        ),
        source=Source("hillstrom", log, VALUES[value][0], "USD", None, ""),
        budgets_per_user=BUDGETS_PER_USER,
        users=held_out,
        train_users=len(log) - held_out,
        warnings=(),
        frame=frame,
    )


def row(r: pd.Series, unit: int) -> str:
    """A line of the table."""

    def span(name: str, sign: str = "") -> str:
        point, low, high = (unit * r[f"{name}{end}"] for end in ("", "_low", "_high"))
        return f"{point:{sign}.3g} [{low:{sign}.3g}, {high:{sign}.3g}]"

    if r["policy"] == r["reference"]:
        compared = ["reference", "–", "–"]
    elif pd.isna(r["difference"]) or r["same_decision"]:
        compared = ["same decision" if r["same_decision"] else r["difference_support"], "–", "–"]
    else:
        low, high = (unit * r[f"difference_band_{end}"] for end in ("low", "high"))
        p = f"{r['p_value']:.2g}, {r['p_adjusted']:.2g}"
        compared = [span("difference", "+"), f"[{low:+.3g}, {high:+.3g}]", p]
    cells = [
        f"{r['budget']:g}",
        r["policy"],
        span("value"),
        *compared,
        f"{r['spend']:.3g}",
        f"{unit * r['promised_value']:.3g}",
        f"{r['effective_size']:,.0f}",
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Evaluate and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--value", nargs="+", default=["visit", "spend"], choices=list(VALUES))
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    for value in options.value:
        start = time.perf_counter()
        result = evaluated(value, options.splits, options.seed)
        name, unit = VALUES[value]
        many = f"{unit:,} held-out users" if unit > 1 else "held-out user"
        print(f"## {value}\n\n{name} per {many} [95% interval]; money in USD per user.\n")
        print(
            "| budget | policy | value | difference to the best single mail | band over the budgets | p, adjusted "
            "| spend | promised value | effective size |"
        )
        print("|---|---|---|---|---|---|---|---|---|")
        for _, r in result.headline().iterrows():
            print(row(r, unit))
        sentences = [*findings(result), *how_sure(result)]
        print(f"\nIn words ({name} per user):\n\n" + "\n\n".join(sentences))
        print(f"\n({time.perf_counter() - start:.0f} s)\n", flush=True)


if __name__ == "__main__":
    main()
