"""The recommender as it is shipped: a backbone trained on everybody, and on top what was shown to do no harm."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uplift.recommender.engagement import Calibration
from uplift.recommender.gate import Gate
from uplift.recommender.grouped_trainer import GroupedTrainer, Training
from uplift.recommender.losses import Loss
from uplift.recommender.memory import Memory
from uplift.recommender.net_scorer import NetScorer
from uplift.recommender.plugin_phase import PluginTraining
from uplift.recommender.plugins import Plugins
from uplift.recommender.recommender_text import in_words
from uplift.recommender.splitting import Queries
from uplift.recommender.strata import Strata

# What is done, epoch, epochs, mean loss, NDCG@10 of the validation or None.
Progress = Callable[[str, int, int, float, "float | None"], None]
# Within an epoch and after the last: what is done, how many windows or queries of it, and of how many.
Step = Callable[[str, int, int], None]


@dataclass(frozen=True)
class RecommenderSettings:
    """How a recommender is built; the defaults are those that the benchmark reports as shipped.

    Attributes
    ----------
    backbone, width, length, dropout : the net; see `backbone`. "din" costs about a hundred times as much as the
        others where all items are scored.
    loss : what it is trained on.
    trainer : how; its rule and weights are those of `GroupedTrainer`, "erm" over "samples" is joint training. One of
        your own has the defaults of `GroupedTrainer`, not those below; `seed` and `progress` are set by the fit.
    plugin_trainer : how the plugins are trained on the frozen backbone; None is none at all.
    bottleneck : hidden cells of a plugin, at least 1; None is half the width.
    memory : whether transitions are weighed in on top; see `Memory`.
    n_strata : groups of activeness.
    epsilon, level : of the no-harm gate: harm that is allowed, at least 0, in NDCG@10, and the level of its interval.
    validation_queries : most queries that choose the epoch of the backbone, and most that calibrate engagement; None
        takes all, which is slower.
    gate_queries : most queries that choose and judge what stands on top; None takes all.
    seed : of everything that is drawn.
    """

    backbone: str = "sasrec"
    width: int = 64
    length: int = 50
    dropout: float = 0.4
    loss: Loss = field(default_factory=lambda: Loss("sampled_softmax", 1024))
    trainer: GroupedTrainer = field(
        default_factory=lambda: GroupedTrainer(epochs=16, lr=3e-3, schedule="decay", look=2)
    )
    plugin_trainer: GroupedTrainer | None = field(
        default_factory=lambda: GroupedTrainer(epochs=6, batch_size=1024, look=2)
    )
    bottleneck: int | None = None
    memory: bool = True
    n_strata: int = 5
    epsilon: float = 0.0
    level: float = 0.95
    validation_queries: int | None = 5000
    gate_queries: int | None = 50_000
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Recommender:
    """A fitted recommender.

    Attributes
    ----------
    settings : what it was fitted with.
    net : the backbone.
    strata : groups of activeness of the training log.
    plugins : one a stratum, routed as the gate said; None where none were trained.
    memory : transitions, weighed as the gate said; None where none was tried.
    gates : what the gate saw of "plugin" and "memory", each on top of what passed before it.
    popularity : (n_items,) float64, share of the training events: what an empty history is answered with.
    calibration : of engagement, see `user_features`; None without a validation query.
    training, plugin_training : how it went; None in a recommender that was loaded.
    """

    settings: RecommenderSettings
    net: Any
    strata: Strata
    plugins: Plugins | None
    memory: Memory | None
    gates: Mapping[str, Gate]
    popularity: NDArray[np.float64]
    calibration: Calibration | None = None
    training: Training | None = None
    plugin_training: PluginTraining | None = None

    def scorer(self, group: NDArray[np.int64] | None = None) -> NetScorer:
        """Scores of all items, each user of the log in the stratum of the *training* events; or in `group` (U,).

        Misleads as a measure of what is shipped: whoever has more events by then is answered in another stratum.
        Of queries take `scorer_of`.
        """
        return NetScorer(self.net, self.plugins, self.strata.group if group is None else group, self.memory)

    def scorer_of(self, queries: Queries) -> NetScorer:
        """Scores as shipped for queries: each user in the stratum of as many events as the query's history has.

        That is how `top_items` answers, and how the gates judged: a validation history is the training events.
        """
        group = self.strata.group.copy()
        group[queries.user] = self.strata.group_of(queries.histories.counts)
        return self.scorer(group)

    def backbone_scorer(self) -> NetScorer:
        """Scores of the backbone alone."""
        return NetScorer(self.net)

    def __str__(self) -> str:
        return in_words(self)

    def __repr__(self) -> str:
        return str(self)
