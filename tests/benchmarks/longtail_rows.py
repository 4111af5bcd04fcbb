"""One unit of the long-tail benchmark: every row of one data set, setting, backbone and seed."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from tests.benchmarks.longtail_cases import FURTHER_RULES, RULES, Setting
from uplift.recommender import (
    LastItem,
    Popularity,
    Ranks,
    Split,
    Strata,
    activeness_strata,
    backbone,
    random_strata,
    rank_targets,
)
from uplift.recommender.batches import Windows, examples, windows
from uplift.recommender.gated import best_weights, gated_memory, gated_plugins
from uplift.recommender.memory import Memory
from uplift.recommender.net_scorer import NetScorer
from uplift.recommender.plugin_phase import fit_plugins
from uplift.recommender.plugins import Plugins
from uplift.recommender.ranked_validation import Validation

LAST_TUNED = 1  # seed of the strong setting with all rows; later ones have those on top of joint training


@dataclass
class Unit:
    """What a unit works with; `rows` collects (ranks, seconds of training, note) by name."""

    split: Split
    case: Setting
    seed: int
    verbose: bool = True

    def __post_init__(self) -> None:
        self.settings = replace(self.case.settings, seed=self.seed)
        self.strata = activeness_strata(self.split.activeness, self.settings.n_strata)
        self.random = random_strata(self.strata, self.seed)
        self.cut = windows(self.split.train, self.settings.length)
        self.validation = Validation(self.split.validation)
        # The slow backbone is judged on as few as it is chosen on.
        if self.case.test_queries is not None:
            self.validation = self.validation.sample(self.case.test_queries, 0)
        self.choose, self.judge = self.validation.halves(self.seed)
        self.test = Validation(self.split.test).sample(self.case.test_queries, 0).queries
        self.rows: dict[str, tuple[Ranks, float, str]] = {}

    def add(self, name: str, scorer: Any, seconds: float, note: str = "") -> None:
        """Rank the test queries; this is the only use of them."""
        self.rows[name] = (rank_targets(scorer, self.test, self.split.n_items), seconds, note)
        if self.verbose:
            print(f"    {name}: {seconds:.0f} s {note}", flush=True)

    def groups(self, of: str) -> Strata:
        return self.strata if of == "activeness" else self.random


def run_unit(split: Split, case: Setting, seed: int, *, tuning: bool = False, rules: list[str] | None = None) -> Unit:
    """All rows. `tuning` adds fine-tuning phases of the joint backbone; `rules` are those to train from scratch."""
    unit = Unit(split, case, seed)
    if seed == 0:
        unit.add("popularity", Popularity.fit(split.train, split.n_items), 0)
        unit.add("last item", LastItem.fit(split.train, split.n_items), 0)
    for name in case.rules if rules is None else rules:
        rule, weights, of = case.rules[name]
        groups = unit.groups(of)
        net, base, seconds, note = train(unit, unit.cut, groups, rule, weights)
        unit.add(name, NetScorer(net), seconds, note)
        memory_row(unit, f"{name} + memory", net, groups, seconds)
        if name == "joint":
            memory_row(unit, "joint + placebo memory", net, unit.random, seconds)
            shipped(unit, net, seconds)
        if not case.plugins_at_the_end:
            net.load_state_dict(base)
        plugin_row(unit, f"{name} + plugins", net, groups, seconds)
        if name == "joint":
            plugin_row(unit, "joint + placebo plugins", net, unit.random, seconds)
            if tuning and seed <= LAST_TUNED:
                tune(unit, net, base)
    if tuning and seed > LAST_TUNED:
        return unit
    tail = Windows(*_of_users(unit.cut, ~unit.strata.head))
    one = activeness_strata(split.activeness, 1)
    net, _, seconds, note = train(unit, tail, one, "erm", "samples")
    unit.add("tail only", NetScorer(net), seconds, note)
    return unit


def train(
    unit: Unit, cut: Windows, groups: Strata, rule: str, weights: str, net: Any = None, **changed: Any
) -> tuple[Any, dict[str, Any], float, str]:
    """A backbone, its parameters as they were best up to `base_epochs`, seconds and what the groups did."""
    s = unit.settings
    if net is None:
        net = backbone(
            s.backbone, unit.split.n_items, width=s.width, length=s.length, dropout=s.dropout, seed=unit.seed
        )
    items = None if rule == "erm" else "balanced"
    trainer = replace(s.trainer, rule=rule, weights=weights, embedding_rule=items, seed=unit.seed, **changed)
    few = unit.validation.sample(s.validation_queries, unit.seed)
    kept: dict[str, Any] = {"best": -1.0, "looks": 0}
    longest = int(cut.histories.counts.max())

    def loss(rows: Any, _z: int, generator: torch.Generator) -> Any:
        return s.loss(net, torch.from_numpy(cut.histories.padded(rows, longest)), generator)

    def validate() -> float:
        value = few.of(net)
        if kept["looks"] * trainer.look <= unit.case.base_epochs and value > kept["best"]:
            kept.update(best=value, state=copy.deepcopy(net.state_dict()))
        kept["looks"] += 1
        return value

    training = trainer.fit(net, loss, examples(cut, groups.group), validate)
    left_out = "/".join(f"{share:.0%}" for share in training.diagnostics.filtered)
    note = f"epoch {training.best} of {len(training.losses)}, validation {np.nanmax(training.validation):.4f}"
    return net, kept["state"], training.seconds, note + (f", left out {left_out}" if rule not in ("erm",) else "")


def plugin_row(unit: Unit, name: str, net: Any, groups: Strata, seconds: float) -> None:
    """Plugins on a frozen backbone whose training they follow, by the groups of the row."""
    plugins, took, best = plugged(unit, net, groups)
    note = f"plugin epochs {'/'.join(map(str, best))}, {plugins.share(net):.2%} of the parameters"
    unit.add(name, NetScorer(net, plugins, groups.group), seconds + took, note)


def plugged(unit: Unit, net: Any, groups: Strata) -> tuple[Plugins, float, Any]:
    """Trained plugins, seconds, and the epoch of each group."""
    s = unit.settings
    plugins = Plugins(groups.n_groups, s.width, s.bottleneck, unit.seed)
    trainer = replace(s.plugin_trainer, seed=unit.seed)
    done = fit_plugins(net, plugins, unit.cut, groups.group, s.loss, trainer, unit.choose)
    return plugins, done.training.seconds, done.best


def memory_row(unit: Unit, name: str, net: Any, groups: Strata, seconds: float) -> None:
    """The memory beside a backbone: no training, a weight a group."""
    memory = Memory.fit(unit.split.train, unit.split.n_items, groups.n_groups)
    chosen = best_weights(NetScorer(net), memory, groups.group, unit.choose)
    note = "weights " + "/".join(f"{w:g}" for w in chosen.weight)
    unit.add(name, NetScorer(net, None, groups.group, chosen), seconds, note)


def shipped(unit: Unit, net: Any, seconds: float) -> None:
    """The joint backbone as it is after all epochs, and on top what passed the gate."""
    s, groups = unit.settings, unit.strata
    plugins, took, _ = plugged(unit, net, groups)
    first = gated_plugins(net, plugins, groups.group, unit.judge, s.epsilon, s.level)
    below = NetScorer(net, plugins, groups.group)
    memory = Memory.fit(unit.split.train, unit.split.n_items, groups.n_groups)
    memory, second = gated_memory(below, memory, groups.group, unit.validation, unit.seed, s.epsilon, s.level)
    note = f"plugins passed {int(first.passed.sum())}, memory {int(second.passed.sum())} of {groups.n_groups}"
    unit.add("as shipped", NetScorer(net, plugins, groups.group, memory), seconds + took, note)


def tune(unit: Unit, net: Any, base: dict[str, Any]) -> None:
    """The last epochs of joint training, those in which the step size falls to 0, by another rule.

    By the joint rule they are the control. What the optimiser knew of the earlier steps is lost to all alike.
    """
    epochs = unit.settings.trainer.epochs - unit.case.base_epochs
    last = {"epochs": epochs, "look": 1, "schedule": "falling"}
    for name, (rule, weights, of) in {
        **RULES,
        "aggregation by events": FURTHER_RULES["aggregation by events"],
    }.items():
        net.load_state_dict(base)
        tuned, _, took, note = train(unit, unit.cut, unit.groups(of), rule, weights, net, **last)
        unit.add(f"joint, tuned by {name}", NetScorer(tuned), took, note)
    net.load_state_dict(base)


def _of_users(cut: Windows, users: Any) -> tuple[Any, Any]:
    rows = np.flatnonzero(users[cut.user])
    return cut.histories.take(rows), cut.user[rows]
