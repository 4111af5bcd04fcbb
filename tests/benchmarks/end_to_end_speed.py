"""What end-to-end training costs beside two-stage with the same net: medians of one run, one Markdown table.

    python tests/benchmarks/end_to_end_speed.py [--rows 1000000] [--hidden 64,64] [--repeats 3] [--gpu-rows 0]

The log is `synthetic.simulate`: 20 features, 5 arms. The forms alternate within each repeat, so that a busy
machine is busy for all of them. *Before* the decision phase come outcome models and warm start, or the two-stage net;
what a gated form takes besides is the two-stage net that it compares with, and validation. On CUDA
`--gpu-rows 10000000` adds the seconds of an epoch.
"""

from __future__ import annotations

import argparse
import time
import warnings
from statistics import median

import torch

from allocation import EndToEnd, TwoStage
from allocation.policies.end_to_end_settings import DECISION
from uplift import synthetic
from uplift.campaign import Campaign
from uplift.learners import NeuralResponse

PAPER = {"scores": "ipw", "warm_start": "levels"}
FORMS = {
    "end-to-end, inverse propensity, no gate": PAPER | {"gate": False},
    "end-to-end, inverse propensity": PAPER,
    "end-to-end, doubly robust, no gate": {"gate": False},
    "end-to-end, doubly robust": {},
}
STARTS = ("outcome models", "warm start")


def seconds_of(log: Campaign, hidden: tuple[int, ...], seed: int) -> dict[str, dict[str, float]]:
    """Total and phases of each form in one repeat."""
    found = {}
    start = time.perf_counter()
    TwoStage(NeuralResponse(hidden=hidden, seed=seed)).fit(log)
    found["two-stage"] = {"total": time.perf_counter() - start}
    for name, options in FORMS.items():
        start = time.perf_counter()
        policy = EndToEnd(NeuralResponse(hidden=hidden, seed=seed), seed=seed, **options).fit(log)
        phases = policy.result_.seconds
        begun = ("two-stage net",) if options.get("warm_start") == "levels" else STARTS
        found[name] = {
            "total": time.perf_counter() - start,
            "before": sum(phases[phase] for phase in begun),
            "decision": phases["decision phase"],
        }
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--hidden", type=lambda text: tuple(int(w) for w in text.split(",")), default=(64, 64))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--gpu-rows", type=int, default=0)
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    seconds_of(synthetic.simulate(2_000, seed=99).campaign, (2,), 0)  # imports and compiled code, on nobody's clock
    log = synthetic.simulate(options.rows, seed=0).campaign
    repeats = [seconds_of(log, options.hidden, seed) for seed in range(options.repeats)]
    print(f"{options.rows:,} users, 20 features, 5 arms, hidden {options.hidden}, median of {options.repeats}")
    print("| form | seconds | of two-stage | before the decision phase | decision phase | of what is before |")
    print("|---|---|---|---|---|---|")
    base = [repeat["two-stage"]["total"] for repeat in repeats]
    print(f"| two-stage | {median(base):.1f} | 1 | – | – | – |")
    for name in FORMS:
        each = [repeat[name] for repeat in repeats]
        total, before, decision = (median(one[key] for one in each) for key in ("total", "before", "decision"))
        ratio = median(one["total"] / b for one, b in zip(each, base, strict=True))
        of_before = median(one["decision"] / one["before"] for one in each)
        print(f"| {name} | {total:.1f} | {ratio:.2f} | {before:.1f} | {decision:.1f} | {of_before:.2f} |", flush=True)
    if options.gpu_rows and torch.cuda.is_available():
        log = synthetic.simulate(options.gpu_rows, seed=0).campaign
        phases = EndToEnd(NeuralResponse(hidden=options.hidden, device="cuda"), gate=False).fit(log).result_.seconds
        epoch = phases["decision phase"] / DECISION.epochs
        print(f"{options.gpu_rows:,} users on CUDA: {epoch:.1f} s an epoch of the decision phase; phases {phases}")


if __name__ == "__main__":
    main()
