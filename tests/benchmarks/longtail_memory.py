"""Peak memory and seconds of a recommender on a generated log of a million events: `python .../longtail_memory.py`.

One epoch, everything else as shipped: reading the Parquet file, training, gating plugins and memory, the full
ranking of 2,000 test queries, and the ten best items of 10,000 users. The peak is that of the whole process, the
libraries included.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from uplift.recommender import (
    Interactions,
    RecommenderSettings,
    fit_recommender,
    leave_last_out,
    rank_targets,
    top_items,
)


def generated(events: int, users: int, items: int) -> pd.DataFrame:
    """Users as active as a power law makes them, items as popular; times at random."""
    rng = np.random.default_rng(0)
    active, popular = (rng.permutation(1 / np.arange(1, n + 1) ** 0.7) for n in (users, items))
    return pd.DataFrame(
        {
            "user": rng.choice(users, events, p=active / active.sum()),
            "item": rng.choice(items, events, p=popular / popular.sum()),
            "at": rng.integers(0, 10**9, events),
        }
    )


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--users", type=int, default=200_000)
    parser.add_argument("--items", type=int, default=50_000)
    options = parser.parse_args()
    print("| phase | seconds | peak so far, GB |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.parquet"
        generated(options.events, options.users, options.items).to_parquet(path)
        started = time.perf_counter()

        def say(phase: str) -> None:
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
            print(f"| {phase} | {time.perf_counter() - started:.0f} | {peak:.2f} |", flush=True)

        log = Interactions.from_parquet(path, order="at")
        split = leave_last_out(log)
        say(f"read and split {len(log):,} events, {log.n_users:,} users, {log.n_items:,} items")
        s = RecommenderSettings()
        recommender = fit_recommender(split, replace(s, trainer=replace(s.trainer, epochs=1)))
        say("fit, one epoch")
        some = split.test.take(np.arange(2000))
        rank_targets(recommender.scorer_of(some), some, split.n_items)
        say("full ranking of 2,000 queries")
        top_items(recommender, log.histories.take(np.arange(10_000)), n=10)
        say("ten best items of 10,000 users")


if __name__ == "__main__":
    main()
