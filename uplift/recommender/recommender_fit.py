"""Fitting a recommender: the backbone on everybody, then what may stand on top of it, judged on held-out queries."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from uplift.errors import InputError, check_whole
from uplift.recommender.backbones import backbone
from uplift.recommender.batches import Windows, examples, windows
from uplift.recommender.engagement import calibrate
from uplift.recommender.full_ranking import Counted
from uplift.recommender.gate import Gate, check_gate
from uplift.recommender.gated import gated_memory, gated_plugins, learnable
from uplift.recommender.grouped_trainer import GroupedTrainer, Training
from uplift.recommender.losses import Loss
from uplift.recommender.memory import Memory
from uplift.recommender.net_scorer import NetScorer
from uplift.recommender.plugin_phase import fit_plugins
from uplift.recommender.plugins import Plugins
from uplift.recommender.ranked_validation import Validation
from uplift.recommender.recommender import Progress, Recommender, RecommenderSettings, Step
from uplift.recommender.splitting import Split
from uplift.recommender.strata import activeness_strata


def fit_recommender(
    split: Split,
    settings: RecommenderSettings | None = None,
    progress: Progress | None = None,
    step: Step | None = None,
) -> Recommender:
    """Fit the backbone on the training part, choose its epoch on the validation, and gate plugins and memory on top.

    Parameters
    ----------
    split : from `leave_last_out` or `split_by_time`. settings : None takes the defaults, those that are shipped.
    progress : told of every epoch: what is trained, epoch, epochs, mean loss, NDCG@10 of the validation or None.
    step : told of every batch within one and of every batch of a ranking: what, how many are done, and of how many.

    The validation queries are cut in two by user: one half chooses each plugin's epoch, the other judges it. The
    weights of the memory are cross-fitted over the halves, and the judging half calibrates the engagement.
    Test queries are not looked at. Without a validation query (a log in which nobody has three events, say) the last
    epoch is kept, no plugin is trained, no memory weighed and nothing calibrated. Assumes that what comes next is
    like the validation. Misleads where it is quoted for itself: the best of several looks at NDCG@10 is too good, so
    report test queries.
    Raises InputError for settings out of range, before anything is trained, for a log of one item, and for a training
    part without two events of any user.
    """
    s = RecommenderSettings() if settings is None else settings
    if not isinstance(split, Split):
        raise InputError(
            f"split is of {type(split).__name__}; what leave_last_out(log) or split_by_time(log, ...) gives is "
            "expected"
        )
    check_settings(s)
    if split.n_items < 2:
        raise InputError("the log has a single item, so there is nothing to rank; give a log with at least two")
    cut = windows(split.train, s.length)
    if not len(cut):
        raise InputError(
            f"no user has two training events, of {len(split.train):,} users and {len(split.train.items):,} events; "
            "there is nothing to learn an order from: give a longer log"
        )
    strata = learnable(activeness_strata(split.activeness, s.n_strata), cut)
    group = strata.group
    net = backbone(s.backbone, split.n_items, width=s.width, length=s.length, dropout=s.dropout, seed=s.seed)
    validation = Validation(split.validation) if len(split.validation) else None
    plugins, memory, phase, calibration = None, None, None, None
    if s.plugin_trainer is not None and validation is not None:
        plugins = Plugins(strata.n_groups, s.width, s.bottleneck, s.seed)
    training = fit_backbone(net, cut, group, s, validation, progress, step)
    gates: dict[str, Gate] = {}
    if validation is not None:
        few = validation.sample(s.gate_queries, s.seed)
        choose, judge = few.halves(s.seed)
        if plugins is not None and s.plugin_trainer is not None:
            trainer = _seeded(s.plugin_trainer, s.seed, "plugins", progress)
            looks = _watched(choose, "validation of the plugins", step)
            told = _counted("plugins: events of the epoch", step)
            phase = fit_plugins(net, plugins, cut, group, s.loss, trainer, looks, told)
            judging = _watched(judge, "gate of the plugins", step)
            gates["plugin"] = gated_plugins(net, plugins, group, judging, s.epsilon, s.level)
        if s.memory:
            below = NetScorer(net, plugins, group)
            every = _watched(few, "weights of the memory", step)
            counted = Memory.fit(split.train, split.n_items, strata.n_groups)
            memory, gates["memory"] = gated_memory(below, counted, group, every, s.seed, s.epsilon, s.level)
        shipped = NetScorer(net, plugins, group, memory)
        told = _counted("calibration of engagement", step)
        queries = judge.sample(s.validation_queries, s.seed).queries
        calibration = calibrate(shipped, queries, split.n_items, s.loss.name, told)
    popularity = np.bincount(split.train.items, minlength=split.n_items + 1)[1:].astype(np.float64)
    return Recommender(
        settings=s,
        net=net,
        strata=strata,
        plugins=plugins,
        memory=memory,
        gates=gates,
        popularity=popularity / popularity.sum(),
        calibration=calibration,
        training=training,
        plugin_training=phase,
    )


def check_settings(settings: RecommenderSettings) -> None:
    """Raise InputError for settings that would be refused only after the backbone has been trained."""
    s = settings
    if not isinstance(s, RecommenderSettings):
        raise InputError(f"settings is {s!r:.60}; RecommenderSettings(...) is expected")
    if not isinstance(s.loss, Loss):
        raise InputError(f"loss is {s.loss!r:.60}; a Loss is expected, such as Loss('softmax')")
    for name, trainer in (("trainer", s.trainer), ("plugin_trainer", s.plugin_trainer)):
        if not isinstance(trainer, GroupedTrainer) and not (name == "plugin_trainer" and trainer is None):
            raise InputError(f"{name} is {trainer!r:.60}; a GroupedTrainer is expected, such as GroupedTrainer()")
    backbone(s.backbone, 2, width=s.width, length=s.length, dropout=s.dropout, seed=s.seed)
    activeness_strata([1, 2], s.n_strata)
    check_gate(s.epsilon, s.level)
    s.trainer.check()
    if s.plugin_trainer is not None:
        s.plugin_trainer.check()
    if not isinstance(s.memory, bool):
        raise InputError(f"memory is {s.memory!r}; True or False is expected")
    for name in ("validation_queries", "gate_queries"):
        if getattr(s, name) is not None:
            check_whole(getattr(s, name), name, more=", or None for all")


def fit_backbone(
    net: Any,
    cut: Windows,
    group: NDArray[np.int64],
    settings: RecommenderSettings,
    validation: Validation | None,
    progress: Progress | None = None,
    step: Step | None = None,
) -> Training:
    """Train a backbone in place over groups (U,); at most `validation_queries` of the queries choose its epoch."""
    few = None if validation is None else validation.sample(settings.validation_queries, settings.seed)
    few = None if few is None else _watched(few, "validation of the backbone", step)
    longest = int(cut.histories.counts.max(initial=1))
    told, done = _counted("backbone: windows of the epoch", step), 0

    def _loss(rows: NDArray[np.int64], _z: int, generator: torch.Generator) -> Tensor:
        nonlocal done
        done = done % len(cut) + len(rows)
        if told is not None:
            told(done, len(cut))
        return settings.loss(net, torch.from_numpy(cut.histories.padded(rows, longest)), generator)

    trainer = _seeded(settings.trainer, settings.seed, "backbone", progress)
    return trainer.fit(net, _loss, examples(cut, group), None if few is None else lambda: few.of(net))


def _seeded(trainer: GroupedTrainer, seed: int, what: str, progress: Progress | None) -> GroupedTrainer:
    """The trainer with the recommender's seed, and its progress under a name."""
    told = None if progress is None else (lambda *of_epoch: progress(what, *of_epoch))
    return replace(trainer, seed=seed, progress=told)


def _watched(validation: Validation, what: str, step: Step | None) -> Validation:
    """The validation, with its progress under a name."""
    return replace(validation, progress=_counted(what, step))


def _counted(what: str, step: Step | None) -> Counted | None:
    return None if step is None else (lambda done, of: step(what, done, of))
