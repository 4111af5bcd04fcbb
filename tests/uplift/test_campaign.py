"""A log becomes a campaign: roles land where they belong, whichever data frame it comes from."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from tests.uplift import ROLES, campaign, every_frame, log
from uplift import Campaign, InputError, synthetic


@every_frame
def test_roles_land_in_their_arrays(make):
    """Each array holds its column, in the order of rows, in the documented type."""
    camp = campaign(make(log()), cost="paid", user_id="id", activeness="visits")
    assert_array_equal(camp.X, np.array([log()["age"], log()["visits"]], dtype=np.float32).T)
    assert_array_equal(camp.treatment, [0, 2, 1, 0, 2, 1, 0, 2])
    assert_array_equal(camp.value, log()["spend"])
    assert_array_equal(camp.cost, log()["paid"])
    assert_array_equal(camp.user_id, log()["id"])
    assert_array_equal(camp.activeness, log()["visits"])
    assert camp.arms == ("none", "call", "mail")
    assert camp.features == ("age", "visits")
    assert camp.propensity is None
    assert len(camp) == 8
    assert [camp.X.dtype, camp.treatment.dtype, camp.value.dtype] == [np.float32, np.int64, np.float64]
    assert camp.cost.dtype == np.float64
    assert np.issubdtype(camp.user_id.dtype, np.integer)


@every_frame
def test_left_out_roles(make):
    """Cost, propensity and activeness stay None; users without ids are numbered from 0."""
    camp = campaign(make(log()))
    assert camp.cost is None
    assert camp.propensity is None
    assert camp.activeness is None
    assert_array_equal(camp.user_id, range(8))


@every_frame
def test_text_ids_are_kept(make):
    """Leading zeros and blanks inside a text id survive."""
    ids = ["007", "7", "a b", "ä", "X", "x", "9", "10"]
    assert campaign(make(log(id=ids)), user_id="id").user_id.tolist() == ids


@every_frame
def test_cost_by_arm(make):
    """A mapping gives each user the cost of the arm received; its order is the order of arms."""
    camp = campaign(make(log()), cost={"mail": 0.5, "none": 0, "call": 3})
    assert camp.arms == ("none", "mail", "call")
    assert_array_equal(camp.cost, [0, 0.5, 3, 0, 0.5, 3, 0, 0.5])


@every_frame
def test_boolean_outcome_and_feature_are_numbers(make):
    """False and True count as 0 and 1."""
    flags = [True, False] * 4
    camp = campaign(make(log(spend=flags, visits=flags)))
    assert_array_equal(camp.value, [1, 0] * 4)
    assert_array_equal(camp.X[:, 1], [1, 0] * 4)


@every_frame
@pytest.mark.parametrize(
    ("roles", "arms"),
    [
        ({}, ("none", "call", "mail")),
        ({"control": "mail"}, ("mail", "call", "none")),
        ({"arms": ["none", "mail", "call"]}, ("none", "mail", "call")),
        ({"arms": ("mail", "none", "call")}, ("none", "mail", "call")),
        ({"propensity": {"mail": 0.2, "call": 0.3, "none": 0.5}}, ("none", "mail", "call")),
        ({"cost": {"mail": 1, "call": 2, "none": 0}}, ("none", "mail", "call")),
        (
            {"propensity": {"call": 0.2, "mail": 0.3, "none": 0.5}, "cost": {"mail": 1, "call": 2, "none": 0}},
            ("none", "call", "mail"),
        ),
        ({"arms": ["none", "mail", "call"], "cost": {"call": 1, "mail": 2, "none": 0}}, ("none", "mail", "call")),
    ],
    ids=["names", "other-control", "arms", "control-first", "propensity", "cost", "propensity-first", "arms-first"],
)
def test_order_of_arms(make, roles, arms):
    """Control first, then `arms`, else the order of propensity, else of cost, else of the names."""
    camp = campaign(make(log()), **roles)
    assert camp.arms == arms
    assert [camp.arms[j] for j in camp.treatment] == log()["arm"]


CODES = [0, 1, 2, 0, 1, 2, 0, 1]
NAMES = log()["arm"]


@pytest.mark.parametrize(
    ("frame", "control", "arms"),
    [
        (pd.DataFrame(log(arm=CODES)), 0, ("0", "1", "2")),
        (pl.DataFrame(log(arm=CODES)), 0, ("0", "1", "2")),
        (pa.table(log(arm=CODES)), "0", ("0", "1", "2")),
        (pd.DataFrame(log(arm=np.array(CODES, dtype=float))), 0, ("0", "1", "2")),
        (pl.DataFrame(log(arm=np.array(CODES, dtype=float))), 0.0, ("0", "1", "2")),
        (pd.DataFrame(log(arm=pd.array(CODES, dtype="Int8"))), 0, ("0", "1", "2")),
        (pd.DataFrame(log(arm=[c > 0 for c in CODES])), False, ("False", "True")),
        (pl.DataFrame(log(arm=[c > 0 for c in CODES])), False, ("False", "True")),
        (pa.table(log(arm=[c > 0 for c in CODES])), False, ("False", "True")),
        (pd.DataFrame(log(arm=pd.Categorical(NAMES))), "none", ("none", "call", "mail")),
        (
            pd.DataFrame(log(arm=pd.Categorical(NAMES, ["sms", "mail", "none", "call"]))),
            "none",
            ("none", "call", "mail"),
        ),
        (pd.DataFrame(log(arm=pd.Categorical(CODES))), 0, ("0", "1", "2")),
        (pd.DataFrame(log(arm=pd.Series(NAMES, dtype=object))), "none", ("none", "call", "mail")),
        (pl.DataFrame(log(arm=pl.Series(NAMES, dtype=pl.Categorical))), "none", ("none", "call", "mail")),
        (
            pl.DataFrame(log(arm=pl.Series(NAMES, dtype=pl.Enum(["mail", "none", "call", "sms"])))),
            "none",
            ("none", "call", "mail"),
        ),
        (pa.table(log(arm=pa.array(NAMES).dictionary_encode())), "none", ("none", "call", "mail")),
    ],
)
def test_kinds_of_treatment_column(frame, control, arms):
    """Numbers, booleans, text and categories name the arms; a level that nobody received is no arm."""
    camp = campaign(frame, control=control)
    labels = frame["arm"].to_pylist() if isinstance(frame, pa.Table) else frame["arm"].to_list()
    assert camp.arms == arms
    assert [camp.arms[j] for j in camp.treatment] == [str(label).removesuffix(".0") for label in labels]


def test_whole_number_arms_match_their_float_names():
    """Arm 1 of an integer mapping is arm 1.0 of a float column."""
    frame = pd.DataFrame(log(arm=np.array(CODES, dtype=float)))
    camp = campaign(frame, control=0, cost={0: 0, 2: 7, 1: 3}, propensity={0: 0.5, 1: 0.25, 2: 0.25})
    assert camp.arms == ("0", "1", "2")
    assert_array_equal(camp.cost, np.array([0, 3, 7])[CODES])


def test_index_of_a_pandas_frame_is_ignored():
    """A shuffled, repeated index changes nothing: rows are taken in their order."""
    frame = pd.DataFrame(log(), index=[3, 3, 1, 0, 2, 9, 9, 9])
    assert_array_equal(campaign(frame, user_id="id").user_id, log()["id"])


def test_from_parquet(tmp_path):
    """A Parquet file gives the same campaign as the table written to it."""
    pq.write_table(pa.table(log()), tmp_path / "log.parquet")
    camp = Campaign.from_parquet(tmp_path / "log.parquet", **ROLES, cost="paid", user_id="id")
    assert_array_equal(camp.X, campaign(pa.table(log())).X)
    assert_array_equal(camp.cost, log()["paid"])
    assert_array_equal(camp.user_id, log()["id"])


@pytest.mark.parametrize(
    "rows", [np.array([5, 0, 3]), np.array([True, False, False, True, False, True, False, False])]
)
def test_take(rows):
    """Every per-user array follows the rows, arms and features stay."""
    camp = campaign(pd.DataFrame(log()), cost="paid", user_id="id", activeness="visits", propensity="arm shares")
    part = camp.take(rows)
    for name in ("X", "treatment", "value", "cost", "propensity", "user_id", "activeness"):
        assert_array_equal(getattr(part, name), getattr(camp, name)[rows])
    assert (part.arms, part.features, len(part)) == (camp.arms, camp.features, 3)


def test_take_leaves_absent_roles_absent():
    """What the log lacks, its part lacks."""
    part = campaign(pd.DataFrame(log())).take(np.array([1, 2]))
    assert part.cost is None
    assert part.propensity is None
    assert part.activeness is None


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.integers(4, 40), min_size=2, max_size=5),
    share=st.floats(0.3, 0.7),
    seed=st.integers(0, 2**32 - 1),
)
def test_split_is_stratified_disjoint_and_complete(sizes, share, seed):
    """Each user is in one half; each arm is split to within one user; rows keep their order and their arrays."""
    treatment = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    frame = pd.DataFrame({"arm": treatment, "x": treatment * 1.0, "y": np.arange(len(treatment))})
    camp = Campaign.from_frame(frame, features=["x"], treatment="arm", value="y", control=0)
    first, second = camp.split(share, seed)
    assert sorted([*first.user_id, *second.user_id]) == list(range(len(camp)))
    for half in (first, second):
        assert_array_equal(half.user_id, np.sort(half.user_id))
        assert_array_equal(half.value, half.user_id)
        assert_array_equal(half.treatment, treatment[half.user_id])
    for j, size in enumerate(sizes):
        assert abs((first.treatment == j).sum() - share * size) <= 0.5


def test_split_follows_its_seed():
    """The same seed splits alike, another seed or generator otherwise."""
    camp = synthetic.simulate(500, seed=0).campaign
    once, again, other = (camp.split(0.5, seed)[0].user_id for seed in (7, 7, 8))
    assert_array_equal(once, again)
    assert not np.array_equal(once, other)
    drawn, redrawn = (camp.split(0.5, np.random.default_rng(7))[0].user_id for _ in range(2))
    assert_array_equal(drawn, redrawn)


def test_split_is_random_within_an_arm():
    """A user lands in the first half as often as the share says: 400 splits, five standard errors."""
    camp = campaign(pd.DataFrame(log(arm=["none"] * 4 + ["mail"] * 4)))
    hits = np.zeros(8)
    for seed in range(400):
        hits[camp.split(0.5, seed)[0].user_id] += 1
    assert np.abs(hits / 400 - 0.5).max() < 5 * 0.5 / np.sqrt(400)


def test_split_needs_users_of_every_arm_on_both_sides():
    """Two users of an arm cannot be split 10 to 90; the message names the arm and the count."""
    with pytest.raises(InputError, match=r"arm 'call' has 2 users, too few to split 0\.1 to 0\.9; take more users"):
        campaign(pd.DataFrame(log(arm=["none", "call"] + ["none"] * 3 + ["call"] + ["none"] * 2))).split(0.1)


@pytest.mark.parametrize("share", [0, 1, -0.5, 2, float("nan"), float("inf")])
def test_share_outside_0_to_1(share):
    """A share that leaves one side empty is refused."""
    with pytest.raises(InputError, match=r"share is .*; a number between 0 and 1"):
        campaign(pd.DataFrame(log())).split(share)


@pytest.mark.parametrize("wrap", [np.array, pd.Index])
def test_arms_of_any_sequence(wrap):
    """The order asked for in an array or an index is the order got."""
    assert campaign(pd.DataFrame(log()), arms=wrap(["none", "mail", "call"])).arms == ("none", "mail", "call")


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (["age", "age"], r"column 'age' stands more than once"),
        (["age", "spend"], r"feature 'spend' is also the treatment, value, cost or user_id"),
        (["arm"], r"feature 'arm' is also the treatment"),
        (["paid"], r"feature 'paid' is also the treatment, value, cost or user_id"),
        ({"age", "visits"}, r"in a fixed order is expected"),
    ],
)
def test_features_that_would_leak_or_repeat(features, message):
    """What came of the campaign is no feature, nor is a set, whose order changes from run to run."""
    with pytest.raises(InputError, match=message):
        campaign(pd.DataFrame(log()), features=features, cost="paid")


def test_arms_of_numbers_stand_by_size():
    """10 comes after 2, though not as text."""
    frame = pd.DataFrame(log(arm=[0, 10, 2, 0, 10, 2, 0, 2]))
    assert campaign(frame, control=0).arms == ("0", "2", "10")


def test_an_array_of_propensities_is_never_reordered_unseen():
    """Control comes first; with an array beside it, arms in another order would swap its columns."""
    table = np.tile([0.25, 0.5, 0.25], (8, 1))
    with pytest.raises(InputError, match=r"arms starts with 'mail'.*put control first in both"):
        campaign(pd.DataFrame(log()), arms=["mail", "none", "call"], propensity=table)


def test_columns_named_by_numbers_are_refused_with_the_mend():
    """pandas names columns 0, 1, ... by itself."""
    with pytest.raises(InputError, match=r"column 0 is named by a int; text is expected: .*astype\(str\)"):
        campaign(pd.DataFrame([[1, 2]]))


def test_whole_clusters_are_drawn_on_one_side():
    """Of 50 clusters of 1 to 3 users 20 come first, and none is torn apart; the rest is the rest, in order."""
    log = synthetic.simulate(100, seed=0).campaign
    cluster = np.array([f"h{i}" for i in np.minimum(np.arange(100) // 2, 49)])
    first, second = log.split_rows(0.4, seed=3, cluster=cluster)
    assert len(set(cluster[first])) == 20
    assert not set(cluster[first]) & set(cluster[second])
    assert sorted([*first, *second]) == list(range(100))
    assert (np.diff(second) > 0).all()
    again, _ = log.split(0.4, seed=3, cluster=cluster)
    np.testing.assert_array_equal(again.user_id, log.user_id[first])


def test_an_arm_in_one_cluster_cannot_stand_on_both_sides():
    log = synthetic.simulate(100, seed=0).campaign
    with pytest.raises(InputError, match=r"arm '.*' does not stand on both sides of a split of the 5 clusters"):
        log.split(0.5, cluster=log.treatment)
    with pytest.raises(InputError, match=r"cluster has shape \(2,\) for 100 users"):
        log.split(0.5, cluster=[1, 2])
