"""The recommender as it is shipped: what its fit promises, on small logs and odd ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tests.uplift.recommender.tiny import SETTINGS, frame, recommender, split
from uplift.errors import InputError
from uplift.recommender import (
    Interactions,
    fit_recommender,
    leave_last_out,
    metric,
    rank_targets,
    top_items,
)
from uplift.recommender.engagement import calibrate
from uplift.recommender.ranked_validation import Validation


def fitted(log, **changed):
    return fit_recommender(leave_last_out(log), replace(SETTINGS, **changed))


def test_same_seed_same_scores_and_another_seed_others():
    queries = split().test
    first, again, other = (fit_recommender(split(), replace(SETTINGS, seed=seed)) for seed in (0, 0, 1))
    scores = [r.scorer().scores(queries.histories, np.arange(5), queries.user[:5]) for r in (first, again, other)]
    np.testing.assert_array_equal(scores[0], scores[1])
    assert (scores[0] != scores[2]).any()


def test_the_order_that_there_is_to_learn_is_learned_and_the_test_is_not_looked_at():
    longer = replace(SETTINGS, trainer=replace(SETTINGS.trainer, epochs=30, lr=0.02))
    r = fit_recommender(split(), longer)
    ranks = rank_targets(r.backbone_scorer(), split().test, split().n_items)
    first = rank_targets(fit_recommender(split(), SETTINGS).backbone_scorer(), split().test, split().n_items)
    assert metric(ranks, "ndcg@5").mean() > 2 * metric(first, "ndcg@5").mean()
    backwards = replace(split().test, target=split().test.target[::-1].copy())
    moved = replace(split(), test=backwards)
    other = fit_recommender(moved, longer)
    np.testing.assert_array_equal(other.popularity, r.popularity)
    np.testing.assert_array_equal(other.memory.weight, r.memory.weight)
    assert (str(other.gates), other.calibration) == (str(r.gates), r.calibration)
    for mine, theirs in zip(r.plugins.state_dict().values(), other.plugins.state_dict().values(), strict=True):
        assert mine.equal(theirs)
    for mine, theirs in zip(r.net.state_dict().values(), other.net.state_dict().values(), strict=True):
        assert mine.equal(theirs)


def test_what_is_shipped_is_the_backbone_where_no_gate_opened():
    """A ring of 60 users leaves every group with too few queries, so neither plugins nor memory answer."""
    r = fit_recommender(split(), SETTINGS)
    assert set(r.gates) == {"plugin", "memory"}
    assert not any(judged.passed.any() for judged in r.gates.values())
    everybody = np.arange(len(split().test))
    np.testing.assert_array_equal(
        *(s.scores(split().test.histories, everybody, split().test.user) for s in (r.scorer(), r.backbone_scorer()))
    )


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"validation_queries": -1}, "validation_queries is -1"),
        ({"gate_queries": 2.5}, r"gate_queries is 2\.5"),
        ({"memory": "x"}, "memory is 'x'"),
        ({"epsilon": -1}, "epsilon is -1"),
        ({"level": 2}, "level is 2"),
        ({"bottleneck": 0}, "bottleneck is 0"),
        ({"backbone": "bert"}, "no backbone 'bert'"),
        ({"n_strata": 0}, "n_strata is 0"),
        ({"width": -1}, "width is -1"),
        ({"trainer": replace(SETTINGS.trainer, rule="gradagg")}, "no rule 'gradagg'"),
        ({"plugin_trainer": replace(SETTINGS.trainer, lr=0)}, "lr is 0"),
        ({"loss": "softmax"}, r"loss is 'softmax'; a Loss is expected, such as Loss\('softmax'\)"),
        ({"trainer": "a"}, "trainer is 'a'; a GroupedTrainer is expected"),
        ({"trainer": None}, "trainer is None; a GroupedTrainer is expected"),
        ({"plugin_trainer": 3}, "plugin_trainer is 3; a GroupedTrainer is expected"),
        ({"backbone": ["sasrec"]}, r"no backbone \['sasrec'\]"),
        ({"trainer": replace(SETTINGS.trainer, schedule=["a"])}, r"schedule is \['a'\]; one of"),
    ],
)
def test_settings_are_refused_before_anything_is_trained(changed, message):
    told = []
    with pytest.raises(InputError, match=message):
        fit_recommender(split(), replace(SETTINGS, **changed), lambda *of: told.append(of))
    assert told == []


def test_one_group_duplicates_and_one_interaction_users_are_handled():
    doubled = pd.concat([frame(), frame(), pd.DataFrame({"user": ["once"], "item": ["i3"], "t": [0]})])
    log = Interactions.from_frame(doubled, order="t")
    r = fitted(log, n_strata=1)
    assert r.strata.n_groups == 1
    assert len(r.strata) == log.n_users


@pytest.mark.parametrize("backbone", ["sasrec", "gru4rec", "din"])
@pytest.mark.parametrize("rule", ["erm", "gradient_aggregation"])
def test_every_backbone_trains_under_a_linear_rule_and_one_of_conflict(backbone, rule):
    s = replace(SETTINGS, backbone=backbone, trainer=replace(SETTINGS.trainer, rule=rule, weights="users"))
    r = fit_recommender(split(), s)
    assert np.isfinite(r.training.losses).all()
    assert r.training.losses.shape == (1, r.strata.n_groups)


def test_a_log_without_a_query_keeps_the_last_epoch_and_has_nothing_on_top():
    pairs = pd.DataFrame({"user": np.repeat(np.arange(30), 2), "item": np.tile([1, 2], 30)})
    r = fitted(Interactions.from_frame(pairs))
    assert r.training.best == SETTINGS.trainer.epochs
    assert r.plugins is None
    assert r.memory is None
    assert r.calibration is None


def test_a_log_of_one_event_each_is_refused():
    once = pd.DataFrame({"user": np.arange(9), "item": np.arange(9)})
    with pytest.raises(InputError, match="no user has two training events, of 9 users and 9 events"):
        fitted(Interactions.from_frame(once))


def test_a_log_instead_of_its_split_and_a_single_item_are_refused():
    with pytest.raises(InputError, match=r"split is of Interactions; what leave_last_out\(log\)"):
        fit_recommender(Interactions.from_frame(frame()))
    same = pd.DataFrame({"user": np.repeat(np.arange(9), 4), "item": 1})
    with pytest.raises(InputError, match="a single item"):
        fitted(Interactions.from_frame(same))


def test_progress_names_the_phase():
    told = []
    fit_recommender(split(), SETTINGS, lambda *of: told.append(of[:3]))
    assert told == [("backbone", 1, 1), ("plugins", 1, 1)]


def test_steps_name_all_that_takes_time_and_count_to_its_end():
    told: dict[str, list[tuple[int, int]]] = {}
    fit_recommender(split(), SETTINGS, step=lambda what, *count: told.setdefault(what, []).append(count))
    assert list(told) == [
        "validation of the backbone",
        "backbone: windows of the epoch",
        "validation of the plugins",
        "plugins: events of the epoch",
        "gate of the plugins",
        "weights of the memory",
        "calibration of engagement",
    ]
    for counts in told.values():
        assert counts[-1][0] == counts[-1][1] == max(done for done, _ in counts)
    assert told["calibration of engagement"][-1][1] == len(split().validation) // 2


def test_calibration_is_of_what_is_shipped_on_the_half_that_judged():
    """By hand, from the pieces: the same half, at most three of it, and the scores with all that passed."""
    r = fit_recommender(split(), replace(SETTINGS, validation_queries=3))
    _, judge = Validation(split().validation).halves(SETTINGS.seed)
    few = judge.sample(3, SETTINGS.seed).queries
    assert len(few) == 3
    assert r.calibration == calibrate(r.scorer(), few, split().n_items, "sampled_softmax")


def test_what_is_judged_is_what_top_answers():
    """By the number of events in the history, where plugins and weights of the memory differ by stratum."""
    r, queries = recommender(), split().test
    assert (r.strata.group_of(queries.histories.counts) != r.strata.group[queries.user]).any()
    judged = r.scorer_of(queries).scores(queries.histories, np.arange(len(queries)), queries.user)
    top = top_items(r, queries.histories, n=split().n_items, seen="ranked")
    np.testing.assert_allclose(np.take_along_axis(judged, top.item - 1, axis=1), top.score, atol=1e-5)
    trained = r.scorer().scores(queries.histories, np.arange(len(queries)), queries.user)
    assert np.abs(trained - judged).max() > 0.01
