"""What is put on top of a backbone: chosen on one half of the queries, judged on the other, dropped if it harms."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
from scipy import sparse

from tests.uplift.recommender.tiny import SETTINGS, frame, split
from uplift.recommender import Interactions, Plugins, fit_recommender, leave_last_out, metric, rank_targets
from uplift.recommender.batches import windows
from uplift.recommender.gated import best_weights, gated_memory, gated_plugins, learnable
from uplift.recommender.memory import WEIGHTS, Memory
from uplift.recommender.net_scorer import NetScorer
from uplift.recommender.ranked_validation import Validation
from uplift.recommender.strata import activeness_strata


@cache
def ring():
    """Enough users for every group to be judged."""
    cut = leave_last_out(Interactions.from_frame(frame(400), order="t"))
    return cut, fit_recommender(cut, replace(SETTINGS, plugin_trainer=None, memory=False))


def parts():
    cut, fitted = ring()
    memory = Memory.fit(cut.train, cut.n_items, fitted.strata.n_groups)
    return NetScorer(fitted.net), memory, fitted.strata.group, Validation(cut.validation)


def test_each_group_gets_the_weight_with_the_best_ndcg_of_its_own_queries():
    below, memory, group, validation = parts()
    chosen = best_weights(below, memory, group, validation).weight
    of_query = group[validation.queries.user]
    for z in range(len(memory.weight)):
        values = []
        for a in (0.0, *WEIGHTS):
            scorer = replace(below, memory=memory.weighing(np.full(len(memory.weight), a)), group=group)
            ranks = rank_targets(scorer, validation.queries, ring()[0].n_items)
            values.append(metric(ranks, "ndcg@10")[of_query == z].mean())
        assert chosen[z] == (0.0, *WEIGHTS)[int(np.argmax(values))]


def test_the_memory_of_a_ring_passes_and_a_memory_of_wrong_items_does_not():
    """On a ring every item has one successor, which the counts know and a net of one epoch does not."""
    below, memory, group, validation = parts()
    kept, judged = gated_memory(below, memory, group, validation, 0, 0.0, 0.95)
    assert judged.passed.all()
    assert (kept.weight == best_weights(below, memory, group, validation).weight).all()
    backwards = replace(memory, counts=sparse.csr_array(np.roll(memory.counts.toarray(), 7, axis=1)))
    harmful = replace(below, memory=backwards.weighing(np.full(len(memory.weight), 8.0)), group=group)
    assert validation.of_each(harmful).mean() < validation.of_each(below).mean()
    kept, judged = gated_memory(below, backwards, group, validation, 0, 0.0, 0.95)
    assert not judged.passed.any()
    assert not kept.weight.any()


def test_each_half_is_judged_under_the_weights_of_the_other():
    below, memory, group, validation = parts()
    first, second = validation.halves(3)
    _, judged = gated_memory(below, memory, group, validation, 3, 0.0, 0.95)
    changes, groups = [], []
    for choose, judge in ((first, second), (second, first)):
        above = replace(below, memory=best_weights(below, memory, group, choose), group=group)
        changes.append(judge.of_each(above) - judge.of_each(below))
        groups.append(group[judge.queries.user])
    d, z = np.concatenate(changes), np.concatenate(groups)
    np.testing.assert_allclose(judged.difference, [d[z == k].mean() for k in range(len(memory.weight))])
    assert judged.queries.tolist() == np.bincount(z).tolist()


def test_plugins_that_harm_are_not_routed_and_the_answers_are_the_backbones():
    below, _, group, validation = parts()
    fitted = ring()[1]
    harmful = Plugins(fitted.strata.n_groups, fitted.settings.width, seed=3)
    for plugin in harmful.of_group:
        plugin.up.weight.data.fill_(50.0)
    judged = gated_plugins(fitted.net, harmful, group, validation, 0.0, 0.95)
    assert not judged.passed.any()
    assert not harmful.routed.any()
    np.testing.assert_array_equal(
        validation.of_each(NetScorer(fitted.net, harmful, group)), validation.of_each(below)
    )


def test_halves_share_no_user_and_miss_none():
    validation = Validation(split().validation)
    first, second = validation.halves(5)
    assert not set(first.queries.user) & set(second.queries.user)
    assert sorted([*first.queries.user, *second.queries.user]) == sorted(validation.queries.user)
    assert abs(len(first.queries) - len(second.queries)) <= 1


def test_strata_without_two_training_events_join_the_next_one_up():
    counts = np.array([1, 1, 1, 2, 3, 4, 5, 6])
    strata = activeness_strata(counts, 4)
    train = split().train.take(np.zeros(8, dtype=np.int64))
    one = train.take(np.zeros(8, dtype=np.int64)).first(np.minimum(counts, train.counts))
    joined = learnable(strata, windows(one, 5))
    assert joined.group[0] == joined.group[3] == 0
    assert joined.n_groups == strata.n_groups - 1
    assert joined.note.endswith(f"{strata.n_groups} strata were joined into {joined.n_groups}.")
    assert joined.names[-1] == f"{joined.n_groups} of {joined.n_groups}"
