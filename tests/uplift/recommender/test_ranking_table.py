"""The table of models: against an explicit loop of resampled users and the closed standard error, and its laws."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from uplift import InputError
from uplift.recommender import ranking_bootstrap
from uplift.recommender.full_ranking import Ranks
from uplift.recommender.ranking_metrics import METRICS, metric
from uplift.recommender.ranking_table import evaluate_ranking
from uplift.recommender.strata import activeness_strata

KEYS = ["model", "group", "metric"]


def random_ranks(rng, user, n_items=40, skill=1.0):
    above = np.minimum(rng.geometric(0.05 * skill, len(user)) - 1, n_items - 5)
    return Ranks(above, rng.integers(0, 4, len(user)), np.full(len(user), n_items), user)


def world(users=200, several=False, seed=0):
    """Users with activeness 1 to 50, of whom each has one query, or up to three."""
    rng = np.random.default_rng(seed)
    strata = activeness_strata(rng.integers(1, 51, users))
    user = np.repeat(np.arange(users), rng.integers(0, 4, users)) if several else np.arange(users)
    return {"weak": random_ranks(rng, user), "strong": random_ranks(rng, user, skill=3)}, strata


def four_users(**above):
    """One query for each of four users, 10 candidates, no ties."""
    return {name: Ranks(places, [0] * 4, [10] * 4, [0, 1, 2, 3]) for name, places in above.items()}


def groups_of(strata):
    groups = {"all": np.ones(len(strata.group), dtype=bool), "tail": ~strata.head, "head": strata.head}
    return groups | {name: strata.group == g for g, name in enumerate(strata.names)}


def test_four_users_by_hand():
    """mrr of ranks 1, 2, 4, 4: (1 + 1/2 + 1/4 + 1/4) / 4 = 1/2. Nobody is above the .8 quantile of activeness 1 2 5
    5, so the head is the top stratum, the last two: 1/4 beside the tail's 3/4. The other has rank 2 throughout."""
    strata = activeness_strata([1, 2, 5, 5], n_strata=2)
    assert_array_equal(strata.head, [False, False, True, True])
    ranks = four_users(a=[0, 1, 3, 3], b=[1, 1, 1, 1])
    found = evaluate_ranking(ranks, strata, against="b", metrics=["mrr@5"], n_bootstrap=50)
    assert found.groups == ("all", "tail", "head", "1 of 2", "2 of 2")
    assert_array_equal(found.users, [4, 2, 2, 2, 2])
    assert_allclose(found.values.estimate[:, :, 0], [[0.5, 0.75, 0.25, 0.75, 0.25], [0.5] * 5], atol=1e-15)
    assert_allclose(found.differences.estimate[:, :, 0], [[0, 0.25, -0.25, 0.25, -0.25], [0] * 5], atol=1e-15)
    # The same for every user, hence no noise.
    assert_allclose(found.values.standard_error[1], 0, atol=1e-15)
    assert_allclose(found.differences.standard_error[0, 2], 0, atol=1e-15)


@pytest.mark.parametrize("several", [False, True])
def test_equals_a_loop_of_resampled_users(several):
    ranks, strata = world(60, several)
    found = evaluate_ranking(
        ranks, strata, against="weak", n_bootstrap=80, level=0.9, seed=np.random.default_rng(7)
    ).frame()
    user = ranks["weak"].user
    people = np.unique(user)
    rng = np.random.default_rng(7)
    resamples = [people[rng.integers(0, len(people), len(people))] for _ in range(80)]

    def means(name, model, inside):
        value = metric(ranks[model], name)
        of = {u: [float(x) for x, owner in zip(value, user, strict=True) if owner == u] for u in people}
        drawn = [[x for u in who if inside[u] for x in of[u]] for who in [people, *resamples]]
        return [sum(one) / len(one) if one else np.nan for one in drawn]

    for group, inside in groups_of(strata).items():
        for name in ("ndcg@10", "auc"):
            weak, strong = (np.array(means(name, model, inside)) for model in ("weak", "strong"))
            row = found[(found.model == "strong") & (found.group == group) & (found.metric == name)].iloc[0]
            assert row["users"] == sum(inside[u] for u in people)
            for prefix, series in (("", strong), ("difference", strong - weak)):
                draws = series[1:][~np.isnan(series[1:])]
                expected = [series[0], np.std(draws, ddof=1), *np.quantile(draws, [0.05, 0.95])]
                told = [f"{prefix}_{what}".strip("_") for what in ("standard_error", "low", "high")]
                assert_allclose(row[[prefix or "estimate", *told]].astype(float), expected, atol=1e-12)


def test_standard_error_is_that_of_the_mean():
    """One query a user: sqrt(variance / n) of the values, and of the paired differences; 4,000 resamples give it
    within 1.1% each, so within 5%."""
    ranks, strata = world(400, seed=3)
    found = evaluate_ranking(ranks, strata, against="weak", n_bootstrap=4_000)
    for t, name in enumerate(METRICS):
        weak, strong = (metric(ranks[model], name) for model in ("weak", "strong"))
        for table, value in ((found.values, strong), (found.differences, strong - weak)):
            closed = np.std(value) / np.sqrt(400)
            assert table.estimate[1, 0, t] == pytest.approx(value.mean(), abs=1e-14)
            assert table.standard_error[1, 0, t] == pytest.approx(closed, rel=0.05)
            assert table.low[1, 0, t] == pytest.approx(value.mean() - 1.96 * closed, abs=0.25 * closed)
            assert table.high[1, 0, t] == pytest.approx(value.mean() + 1.96 * closed, abs=0.25 * closed)


def test_a_user_counts_once_however_often_the_same_query_is_asked():
    """Ten copies of every query: the same intervals, not narrower by the root of ten."""
    ranks, strata = world(150)
    ten = {
        name: Ranks(*(np.tile(getattr(one, part), 10) for part in ("above", "tied", "candidates", "user")))
        for name, one in ranks.items()
    }
    once, often = (evaluate_ranking(r, strata, against="weak", n_bootstrap=60).frame() for r in (ranks, ten))
    assert_allclose(
        often.drop(columns=KEYS).to_numpy(float), once.drop(columns=KEYS).to_numpy(float), atol=1e-12, rtol=1e-12
    )


def test_models_that_rank_alike_differ_by_exactly_nothing():
    ranks, strata = world(333)
    ranks["strong again"] = ranks["strong"]
    found = evaluate_ranking(ranks, strata, against="strong", n_bootstrap=100).differences
    for part in found:
        assert_array_equal(part[[1, 2]], 0.0)
    assert (found.standard_error[0] > 0).all()


def test_same_seed_same_bytes_and_blocks_change_nothing(monkeypatch):
    ranks, strata = world()
    first, again, other = (evaluate_ranking(ranks, strata, n_bootstrap=50, seed=s).frame() for s in (1, 1, 2))
    assert first.equals(again)
    assert not np.allclose(first["standard_error"], other["standard_error"])
    monkeypatch.setattr(ranking_bootstrap, "COUNTS_AT_ONCE", 7 * 200)
    in_blocks = evaluate_ranking(ranks, strata, n_bootstrap=50, seed=1).frame()
    assert_allclose(
        in_blocks.drop(columns=KEYS).to_numpy(float), first.drop(columns=KEYS).to_numpy(float), atol=1e-12
    )


def test_other_models_change_nothing():
    ranks, strata = world()
    whole = evaluate_ranking(ranks, strata, n_bootstrap=50)
    alone = evaluate_ranking({"strong": ranks["strong"]}, strata, n_bootstrap=50)
    for many, single in zip(whole.values, alone.values, strict=True):
        assert_allclose(many[1], single[0], atol=1e-14)


def test_order_of_queries_does_not_matter():
    ranks, strata = world(several=True)
    order = np.random.default_rng(0).permutation(len(ranks["weak"]))
    shuffled = {
        name: Ranks(one.above[order], one.tied[order], one.candidates[order], one.user[order])
        for name, one in ranks.items()
    }
    for mine, theirs in zip(
        evaluate_ranking(ranks, strata, n_bootstrap=30).values,
        evaluate_ranking(shuffled, strata, n_bootstrap=30).values,
        strict=True,
    ):
        assert_allclose(mine, theirs, atol=1e-12)


def test_the_frame_is_tidy():
    ranks, strata = world()
    frame = evaluate_ranking(ranks, strata, n_bootstrap=20).frame()
    parts = ["standard_error", "low", "high"]
    assert list(frame) == [*KEYS, "estimate", *parts, "users", "difference", *(f"difference_{p}" for p in parts)]
    assert len(frame) == 2 * 8 * len(METRICS)
    assert not frame.duplicated(KEYS).any()
    assert frame["difference"].isna().all()
    assert frame["difference_high"].isna().all()
    assert (frame["low"] <= frame["high"]).all()


def test_groups_without_users_and_with_one():
    """Equal activeness: nobody is head. Of two strata the second has one user with a query."""
    same = activeness_strata(np.full(4, 3))
    ranks = four_users(a=[0, 1, 2, 3])
    found = evaluate_ranking(ranks, same, n_bootstrap=20)
    assert_array_equal(found.users, [4, 4, 0, 4])
    assert np.isnan(found.values.estimate[0, 2]).all()
    assert "head                   0                          -" in str(found)
    lonely = evaluate_ranking(ranks, activeness_strata([1, 1, 1, 2], n_strata=2), metrics=["mrr@5"], n_bootstrap=20)
    assert_array_equal(lonely.users[-2:], [3, 1])
    assert lonely.values.estimate[0, -1, 0] == 0.25
    assert np.isnan([part[0, -1, 0] for part in lonely.values[1:]]).all()
    assert "0.2500\n" in str(lonely)


def test_queries_without_auc_are_left_out_of_auc_alone():
    strata = activeness_strata([1, 2, 3])
    ranks = {"a": Ranks([0, 0, 1], [0, 0, 0], [1, 3, 3], [0, 1, 2])}
    found = evaluate_ranking(ranks, strata, metrics=["auc", "recall@1"], n_bootstrap=20)
    assert_allclose(found.values.estimate[0, 0], [0.75, 2 / 3], atol=1e-15)  # auc of the two: 1 and 1/2


def test_text_fits_eighty_columns_and_names_what_it_shows():
    ranks, strata = world(several=True)
    text = str(evaluate_ranking(ranks, strata, against="weak", n_bootstrap=1_000))
    lines = text.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].split() == ["users", "ndcg@10", "recall@10"]
    assert [line for line in lines if not line.startswith(" ")][:3] == ["weak", "strong", "strong minus weak"]
    assert lines[-1] == "In brackets: 95% intervals, 1,000 resamples of users, paired."
    assert lines[-9].startswith("  all ")
    assert lines[-9].count("+") == 6  # estimate and both ends, twice


def test_bad_input_is_refused():
    ranks, strata = world(50)
    one = ranks["weak"]
    with pytest.raises(InputError, match="no model is given"):
        evaluate_ranking({}, strata)
    with pytest.raises(InputError, match="model 'none' has no queries"):
        evaluate_ranking({"none": Ranks([], [], [], [])}, strata)
    with pytest.raises(InputError, match=r"against='week' is none of the models\. Did you mean 'weak'"):
        evaluate_ranking(ranks, strata, against="week")
    moved = Ranks(one.above, one.tied, one.candidates, one.user[::-1])
    with pytest.raises(InputError, match="'weak' and 'moved' differ in `user`: 0 and 49 at query 0"):
        evaluate_ranking({"weak": one, "moved": moved}, strata)
    fewer = Ranks(*(getattr(one, name)[:40] for name in ("above", "tied", "candidates", "user")))
    with pytest.raises(InputError, match="differ in `user`: 50 and 40 queries"):
        evaluate_ranking({"weak": one, "fewer": fewer}, strata)
    unseen = Ranks(one.above, one.tied, one.candidates + 1, one.user)
    with pytest.raises(InputError, match=r"differ in `candidates`: 40 and 41 at query 0.*same `seen`"):
        evaluate_ranking({"weak": one, "unseen": unseen}, strata)
    with pytest.raises(InputError, match="users up to row 49, and the strata have 30 users"):
        evaluate_ranking(ranks, activeness_strata(np.arange(30)))
    with pytest.raises(InputError, match="metric 'ndgc@10' is not known"):
        evaluate_ranking(ranks, strata, metrics=["ndgc@10"])
    with pytest.raises(InputError, match="metrics is empty"):
        evaluate_ranking(ranks, strata, metrics=[])
    with pytest.raises(InputError, match="n_bootstrap is 1; a whole number of at least 2"):
        evaluate_ranking(ranks, strata, n_bootstrap=1)
    with pytest.raises(InputError, match="level is 95; a number between 0 and 1"):
        evaluate_ranking(ranks, strata, level=95)
    with pytest.raises(InputError, match="seed is -1"):
        evaluate_ranking(ranks, strata, seed=-1)
