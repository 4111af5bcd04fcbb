"""What the long-tail benchmark runs: data sets, settings and rows, fixed before the final seeds."""

from __future__ import annotations

from dataclasses import dataclass

from uplift import datasets
from uplift.recommender import GroupedTrainer, Interactions, Loss, RecommenderSettings, Split, leave_last_out

LOGS = {"beauty": datasets.amazon_beauty, "video games": datasets.amazon_video_games}
BACKBONES = ("sasrec", "gru4rec", "din")

# Row: rule, weights, and whose groups ("activeness", "random"). Everything but joint training leaves item vectors out
# of the surgery, as the method does: their gradients are added up by the weights.
RULES = {
    "joint": ("erm", "samples", "activeness"),
    "balanced": ("balanced", "users", "activeness"),
    "aggregation": ("gradient_aggregation", "users", "activeness"),
    "placebo aggregation": ("gradient_aggregation", "users", "random"),
}
FURTHER_RULES = {"aggregation by events": ("gradient_aggregation", "samples", "activeness")} | {
    name: (name, "users", "activeness") for name in ("pcgrad", "agr_sum", "agr_rand", "upgrad", "mgda", "aligned_mtl")
}


@dataclass(frozen=True)
class Setting:
    """A way to train.

    settings : of the recommender; its trainer has the epochs that every row without a further phase gets.
    base_epochs : of the backbone under a further phase, whose cost is then that of the epochs left.
    plugins_at_the_end : whether plugins stand on the backbone of all epochs instead, because one that has not come to
        rest would be a straw man; their training is then compute that joint training does not get.
    rules : rows of backbones trained from the start.
    test_queries : most users that are ranked at the end, the same for all rows and seeds.
    """

    settings: RecommenderSettings
    base_epochs: int
    rules: dict[str, tuple[str, str, str]]
    plugins_at_the_end: bool = False
    test_queries: int | None = None


def split_of(data: str) -> Split:
    """The data set, each user's last event for the test and the one before for the validation."""
    return leave_last_out(Interactions.from_log(LOGS[data]()))


def setting(name: str, net: str, *, further: bool = False) -> Setting:
    """The paper's setting (pointwise loss, 4 negatives, d = 32) or the strong one (softmax)."""
    rules = RULES | (FURTHER_RULES if further else {})
    slow = net == "din"
    if name == "strong":
        return Setting(
            RecommenderSettings(backbone=net),
            base_epochs=12,
            rules={"joint": RULES["joint"]} if not further else rules,
            plugins_at_the_end=True,
        )
    return Setting(
        RecommenderSettings(
            backbone=net,
            width=32,
            dropout=0.2,
            length=20,
            loss=Loss("pointwise", 4),
            trainer=GroupedTrainer(epochs=8 if slow else 15, lr=5e-3, look=2 if slow else 3),
            plugin_trainer=GroupedTrainer(epochs=4 if slow else 8, batch_size=1024, lr=2e-3, look=2),
            validation_queries=600 if slow else 3000,
        ),
        base_epochs=6 if slow else 12,
        rules={k: v for k, v in rules.items() if not (slow and k == "balanced")},
        test_queries=3000 if slow else None,
    )
