"""Features of users: calibrated engagement, vectors, and their way into a campaign and a learner."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from tests.uplift.recommender import tiny
from tests.uplift.recommender.test_top import Table, histories
from uplift.campaign import Campaign
from uplift.errors import InputError
from uplift.learners import SLearner
from uplift.recommender import Loss
from uplift.recommender.engagement import Calibration
from uplift.recommender.features import add_features, empty_engagement, feature_names, user_features
from uplift.recommender.histories import Histories


class Written(Table):
    """Scores and vectors that are written down."""

    def vectors(self, histories, rows, users=None):
        return self.scored[rows, :2].astype(np.float32)


def written(
    scored: np.ndarray, popularity: list[float], loss: str, calibration: Calibration | None = None
) -> SimpleNamespace:
    """A recommender with scores that are written down."""
    return SimpleNamespace(
        net=SimpleNamespace(n_items=scored.shape[1], width=2),
        settings=SimpleNamespace(loss=Loss(loss, 4)),
        plugins=None,
        memory=None,
        popularity=np.array(popularity),
        calibration=calibration,
        backbone_scorer=lambda: Written(scored),
    )


FALLING = np.log(np.arange(13.0, 0, -1))  # e^s of items 1..13 is 13, 12, .. 1
SCORED = np.stack([FALLING, FALLING, FALLING, np.zeros(13)])
HISTORIES = [[1], [13, 13, 1], [], list(range(1, 14))]
POPULARITY = [0.02, 0.01, 0.07, *[0.09] * 10]
RAW = {
    # 12 + .. + 3 = 75 of all that is left, 78 and 77; the last had every item
    "softmax": [75 / 78, 75 / 77],
    "pointwise": [np.mean([a / (1 + a) for a in range(3, 13)])] * 2,
}


@pytest.mark.parametrize("loss", RAW)
def test_engagement_is_the_raw_one_calibrated(loss: str):
    """sigma(-1 + .5 logit r), in odds e^-1 sqrt(r / (1 - r)). Nothing known: ten items have .9. Nothing left: 0."""
    frame = user_features(
        written(SCORED, POPULARITY, loss, Calibration(-1.0, 0.5)), histories(HISTORIES), list("abcd")
    )
    odds = [np.exp(-1) * np.sqrt(r / (1 - r)) for r in RAW[loss]]
    assert_allclose(frame["engagement"], [*(o / (1 + o) for o in odds), 0.9, 0], rtol=1e-5)


@pytest.mark.parametrize("loss", RAW)
def test_without_a_calibration_engagement_is_the_raw_one(loss: str):
    frame = user_features(written(SCORED, POPULARITY, loss), histories(HISTORIES), list("abcd"))
    assert_allclose(frame["engagement"], [*RAW[loss], 0.9, 0], rtol=1e-5)


def test_of_fewer_items_than_ten_the_share_is_all():
    assert empty_engagement(written(np.zeros((1, 3)), [0.5, 0.3, 0.2], "pointwise")) == pytest.approx(1)


def test_the_engagement_of_a_fit_is_calibrated():
    own, queries = tiny.recommender(), tiny.split().validation
    assert own.calibration is not None
    frames = [
        user_features(one, queries.histories, np.arange(len(queries)))["engagement"]
        for one in (own, replace(own, calibration=None))
    ]
    assert_allclose(frames[0], own.calibration.probability(frames[1]), rtol=1e-4)


def test_progress_counts_the_histories_that_are_known():
    told = []
    known = histories(HISTORIES)
    user_features(
        written(SCORED, POPULARITY, "softmax"), known, list("abcd"), batch=2, progress=lambda *c: told.append(c)
    )
    assert told == [(2, 3), (3, 3)]


def test_the_vectors_are_those_of_the_net_and_zero_where_nothing_is_known():
    own, log = tiny.recommender(), tiny.log()
    known = log.histories
    both = Histories(known.items, np.append(known.offsets, known.offsets[-1]))  # one more, with no event
    frame = user_features(own, both, [*log.user_id, "new"], batch=7)
    rows = np.arange(log.n_users)
    vectors = own.scorer(own.strata.group_of(known.counts)).vectors(known, rows, rows)
    found = frame[[f"vector_{k}" for k in range(4)]].to_numpy()
    assert found.dtype == np.float32
    assert_allclose(found[:-1], vectors, rtol=1e-5, atol=1e-6)
    assert_array_equal(found[-1], np.zeros(4))
    assert frame["known"].tolist() == [True] * log.n_users + [False]
    assert frame["engagement"].iloc[-1] == pytest.approx(empty_engagement(own))
    assert frame["engagement"].between(0, 1).all()


def features() -> pd.DataFrame:
    return user_features(tiny.recommender(), tiny.log().histories, tiny.log().user_id)


def campaign_frame(n: int = 100) -> pd.DataFrame:
    """Users u0..u99 of whom the log of the recommender knows u0..u59."""
    rng = np.random.default_rng(1)
    arm = rng.choice(["none", "mail"], n)
    users = [f"u{u}" for u in rng.permutation(n)]
    return pd.DataFrame({"id": users, "arm": arm, "spend": rng.normal(10, 1, n), "age": rng.normal(40, 9, n)})


def test_a_campaign_and_a_learner_take_them():
    of_users, base = features(), empty_engagement(tiny.recommender())
    joined = add_features(campaign_frame(), of_users, user_id="id", engagement=base)
    campaign = Campaign.from_frame(
        joined, features=["age", *feature_names(of_users)], treatment="arm", value="spend", user_id="id"
    )
    assert campaign.features == ("age", "vector_0", "vector_1", "vector_2", "vector_3", "engagement", "known")
    assert campaign.X[:, -1].sum() == 60
    own = of_users.set_index("user_id")
    for user, row in zip(campaign.user_id, campaign.X, strict=True):
        expected = own.loc[user, feature_names(of_users)] if user in own.index else [0, 0, 0, 0, base, 0]
        assert_array_equal(row[1:], np.asarray(expected, dtype=np.float32))
    learner = SLearner().fit(campaign.X, campaign.value, treatment=campaign.treatment)
    assert learner.predict(campaign.X).value.shape == (100, 2)


@pytest.mark.parametrize("kind", [pl.from_pandas, pa.Table.from_pandas])
def test_other_tables_keep_their_kind(kind):
    table = kind(campaign_frame())
    joined = add_features(table, features(), user_id="id", engagement=0.5)
    assert type(joined) is type(table)
    expected = add_features(campaign_frame(), features(), user_id="id", engagement=0.5)
    assert_array_equal(np.asarray(joined["engagement"]), expected["engagement"])
    assert np.asarray(joined["known"]).tolist() == expected["known"].tolist()


def test_whole_numbers_and_their_text_are_the_same_user_and_the_frame_is_left_as_it_was():
    of_users = features().assign(user_id=np.arange(60))
    frame = pd.DataFrame({"id": ["5", "0", "5"]}, index=[7, 8, 9])
    joined = add_features(frame, of_users, user_id="id")
    assert_array_equal(joined["vector_0"], of_users["vector_0"].to_numpy()[[5, 0, 5]])
    assert joined.index.tolist() == [7, 8, 9]
    assert list(frame.columns) == ["id"]


def test_users_without_features_need_a_word_on_their_engagement():
    with pytest.raises(InputError, match=r"40 of 100 users have no features.*engagement=empty_engagement"):
        add_features(campaign_frame(), features(), user_id="id")


BAD = {
    "column there": (lambda f: f.assign(known=1), lambda z: z, "has a column 'known' already"),
    "no ids": (lambda f: f.drop(columns="id"), lambda z: z, "user_id column 'id' is not in the table"),
    "missing id": (lambda f: f.assign(id=f["id"].where(f["id"] != "u7")), lambda z: z, "has 1 missing of 100 cells"),
    "twice": (lambda f: f, lambda z: pd.concat([z, z.iloc[:1]]), "have user 'u0' more than once"),
    "no features": (lambda f: f, lambda z: z[["user_id"]], "those of user_features are expected"),
}


@pytest.mark.parametrize("case", BAD)
def test_tables_that_cannot_be_joined_are_refused(case: str):
    of_frame, of_features, words = BAD[case]
    with pytest.raises(InputError, match=words):
        add_features(of_frame(campaign_frame()), of_features(features()), user_id="id", engagement=0.5)


def test_ids_of_another_number_than_histories_are_refused():
    with pytest.raises(InputError, match=r"user_id has shape \(1,\) for 60 histories"):
        user_features(tiny.recommender(), tiny.log().histories, ["u0"])


@pytest.mark.parametrize("engagement", [9.0, -0.1, float("nan"), "high"])
def test_engagement_that_is_no_probability_is_refused(engagement):
    with pytest.raises(InputError, match=r"engagement is .*; a probability is expected: empty_engagement"):
        add_features(campaign_frame(), features(), user_id="id", engagement=engagement)
