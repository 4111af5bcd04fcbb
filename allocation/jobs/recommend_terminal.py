"""The `earmark recommend` commands on the terminal, within 80 columns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from rich.console import Console
from rich.text import Text

from allocation.jobs.recommend_evaluate import MAIN, RecommendEvaluation
from allocation.jobs.recommend_fit import RecommendFit
from uplift.words import wrapped

SHOWN = ("ndcg@10", "recall@10")
COMPARED = ("all", "tail", "head")


def print_recommend_fit(result: RecommendFit, folder: Path, console: Console | None = None) -> None:
    """Print what was fitted, what the gates said, and how to verify it."""
    console = console or Console(highlight=False, markup=False)
    console.print()
    head = f": {result.plan.settings.backbone} fitted in {result.seconds:.1f} s, {result.plan.split}\n"
    console.print(Text(result.name, style="bold").append(head, style="not bold"))
    console.print(Text(str(result.split)))
    if result.log.dropped:
        console.print(Text(f"{result.log.dropped:,} repeated rows were dropped."))
    console.print(Text(f"\n{result.recommender}\n"))
    if len(result.split.test):
        told = f"What it is worth on the test events: earmark recommend evaluate {folder} {result.plan.log}"
    else:
        told = "There is no test event, so nothing verifies what it is worth."
    console.print(Text(f"- {told}"), soft_wrap=True)
    top = f"earmark recommend top {folder} {result.plan.log} --out top.parquet"
    console.print(Text(f"- The best items of each user: {top}"), soft_wrap=True)
    console.print(Text(f"\nRecommender: {folder}"), soft_wrap=True)


def evaluation_text(result: RecommendEvaluation) -> str:
    """Two metrics of all models by group, and the recommender minus each simpler one, with intervals."""
    values, differences = result.values(), result.differences()
    names = list(dict.fromkeys(values["model"]))
    groups = list(dict.fromkeys(values["group"]))
    cell = values.set_index(["metric", "group", "model"])["estimate"]
    users = values.drop_duplicates("group").set_index("group")["users"]
    lines = [
        wrapped(
            f"{result.name}: {result.queries:,} test queries, ranked among all {result.items:,} items but those of "
            "the history. The head are the most active users, at most a fifth of them, by training events; the tail "
            "are all others; of the strata, the first is the least active."
        ),
        *(wrapped(f"- {verdict}") for verdict in result.verdicts()),
    ]
    for metric in SHOWN:
        lines += ["", f"{metric:<10}{'users':>9}" + "".join(f" {name:>14}" for name in names)]
        for group in groups:
            cells = [cell.loc[metric, group, name] for name in names]
            texts = ["-" if np.isnan(one) else f"{one:.4f}" for one in cells]
            lines.append(f"{group:<10}{users[group]:>9,}" + "".join(f" {text:>14}" for text in texts))
    lines += ["", f"{MAIN + ' minus':<24}" + "".join(f" {metric:>27}" for metric in SHOWN)]
    columns = ["difference", "difference_low", "difference_high"]
    of = differences.set_index(["against", "group", "metric"])[columns].to_dict("index")
    for against in result.tables:
        for group in COMPARED:
            texts = []
            for metric in SHOWN:
                mean, low, high = of[against, group, metric].values()
                text = "-" if np.isnan(mean) else f"{mean:+.4f}"
                texts.append(text if np.isnan(low) else f"{text} [{low:+.4f}, {high:+.4f}]")
            lines.append(f"{f'{against}, {group}':<24}" + "".join(f" {text:>27}" for text in texts))
    table = next(iter(result.tables.values()))
    lines += [f"In brackets: {100 * table.level:g}% intervals, {table.n_bootstrap:,} resamples of users, paired."]
    return "\n".join(lines)
