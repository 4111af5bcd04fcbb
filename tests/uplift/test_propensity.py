"""Propensity of every arm: from each form of design to rows that sum to one, or one clear refusal."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import chisquare

from tests.uplift import campaign, every_frame, log, with_cell
from uplift import Campaign, InputError
from uplift.propensity import share_mismatch

DESIGN = {"none": 0.5, "mail": 0.25, "call": 0.25}
COLUMNS = {"none": "p_none", "mail": "p_mail", "call": 0.25}
TABLE = np.tile([0.5, 0.25, 0.25], (8, 1))
THIRDS = {"none": 0.333, "mail": 0.333, "call": 0.333}


def replaced(row, arm, p):
    """The good table with one probability replaced."""
    table = TABLE.copy()
    table[row, arm] = p
    return table


@every_frame
def test_by_arm(make):
    """One probability an arm is everybody's, in the order of arms."""
    camp = campaign(make(log()), propensity={"mail": 0.2, "call": 0.3, "none": 0.5}, arms=["none", "call", "mail"])
    assert_allclose(camp.propensity, np.tile([0.5, 0.3, 0.2], (8, 1)), rtol=1e-15)


@every_frame
def test_by_column(make):
    """A column gives each user a probability of their own, a number beside it is everybody's."""
    camp = campaign(make(log()), propensity=COLUMNS)
    assert camp.arms == ("none", "mail", "call")
    assert_array_equal(camp.propensity, np.column_stack([log()["p_none"], log()["p_mail"], np.full(8, 0.25)]))


@every_frame
def test_array(make):
    """An array (n, K+1) is taken as it is."""
    assert_array_equal(campaign(make(log()), propensity=TABLE).propensity, TABLE)
    assert_array_equal(campaign(make(log()), propensity=TABLE.tolist()).propensity, TABLE)


@every_frame
def test_arm_shares(make):
    """Three of eight had nothing, two a call, three a mail."""
    camp = campaign(make(log()), propensity="arm shares")
    assert camp.arms == ("none", "call", "mail")
    assert_array_equal(camp.propensity, np.tile([3 / 8, 2 / 8, 3 / 8], (8, 1)))


@pytest.mark.parametrize("given", [THIRDS, np.tile(list(THIRDS.values()), (8, 1))])
def test_thirds_typed_with_three_decimals(given):
    """.333 + .333 + .333 = .999 is rescaled to sum to one; the proportions stay."""
    camp = campaign(pd.DataFrame(log()), propensity=given)
    assert_allclose(camp.propensity, 1 / 3, rtol=1e-15)
    assert_allclose(camp.propensity.sum(axis=1), 1, rtol=1e-15)


def test_the_given_array_is_left_alone():
    """Rescaling works on a copy."""
    table = np.tile([0.5, 0.25, 0.2495], (8, 1))
    campaign(pd.DataFrame(log()), propensity=table)
    assert_array_equal(table, np.tile([0.5, 0.25, 0.2495], (8, 1)))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (DESIGN | {"mail": 0}, r"arm 'mail' lies outside \(0, 1\].*0; a probability above 0 is expected: drop"),
        (DESIGN | {"mail": -0.25, "none": 1}, r"arm 'mail' lies outside \(0, 1\].*-0\.25"),
        (DESIGN | {"none": 1.5}, r"arm 'none' lies outside \(0, 1\].*1\.5"),
        (DESIGN | {"call": float("nan")}, r"arm 'call' has 1 missing"),
        (DESIGN | {"call": float("inf")}, r"arm 'call' has 1 infinite"),
        (DESIGN | {"call": 0.2}, r"3 arms sum to 0\.95.*1 is expected: give the probability of every arm"),
        (DESIGN | {"call": 0.3}, r"sum to 1\.05"),
        ({"none": 0.5, "mail": 0.5}, r"2 rows with the unknown arm 'call'; propensity names 'none', 'mail': add"),
        (DESIGN | {"sms": 0.1}, r"arm 'sms' of propensity was never logged: 0 of 8 rows.*Drop the arm"),
        (DESIGN | {"call": "p_cal"}, r"propensity of arm 'call'.*'p_cal' is not in the table.*Did you mean 'p_mail'"),
        (DESIGN | {"call": "arm"}, r"propensity of arm 'call'.*'arm' holds String cells such as 'none'"),
        (COLUMNS | {"call": "age"}, r"arm 'call' lies outside \(0, 1\] in 8 of 8 rows, first 20\.5 in row 0"),
        (replaced(3, 1, 0), r"arm 'call' lies outside \(0, 1\] in 1 of 8 rows, first 0 in row 3"),
        (replaced(3, 1, -0.1), r"arm 'call' lies outside \(0, 1\] in 1 of 8 rows, first -0\.1 in row 3"),
        (replaced(3, 1, 1.25), r"arm 'call' lies outside \(0, 1\] in 1 of 8 rows, first 1\.25 in row 3"),
        (replaced(3, 1, np.nan), r"arm 'call' has 1 missing.* of 8 cells, the first in row 3"),
        (replaced(3, 1, 0.75), r"3 arms sum to 1\.5 in 1 of 8 rows \(row 3\)"),
        (TABLE[:, :2], r"shape \(8, 2\); \(users, arms\) = \(8, 3\) is expected.*order none, call, mail"),
        (TABLE[:7], r"shape \(7, 3\); \(users, arms\) = \(8, 3\) is expected"),
        (TABLE[:, 0], r"shape \(8,\)"),
        (0.5, r"shape \(\)"),
        ("arm share", r"'arm share' is not understood.*'arm shares'"),
    ],
)
def test_refused(given, message):
    """The message names the arm, the count of rows where there are rows, and the mend."""
    with pytest.raises(InputError, match=message):
        campaign(pd.DataFrame(log()), propensity=given)


@every_frame
@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (None, r"propensity of arm 'none'.*'p_none' has 1 missing.* of 8 cells, the first in row 2"),
        (0.0, r"arm 'none' lies outside \(0, 1\] in 1 of 8 rows, first 0 in row 2"),
        (0.4, r"3 arms sum to 0\.9 in 1 of 8 rows \(row 2\)"),
    ],
)
def test_bad_cell_of_a_column(make, cell, message):
    """A bad cell in a column of propensities is found in every kind of frame."""
    with pytest.raises(InputError, match=message):
        campaign(make(log(**with_cell("p_none", cell))), propensity=COLUMNS)


@pytest.mark.parametrize(
    "given",
    [DESIGN | {"call": None}, DESIGN | {"call": [0.25]}, TABLE.astype(str)[:, [0]] + "x", [[0.5, 0.5], [0.5]]],
    ids=["None", "list", "text", "ragged"],
)
def test_no_numbers(given):
    """What cannot be read as a number is refused, with the word propensity in the message."""
    with pytest.raises(InputError, match="propensity"):
        campaign(pd.DataFrame(log()), propensity=given)


def test_named_columns_of_a_frame_are_not_mixed_up():
    """A frame with a column an arm, in another order than `arms`, is matched by name or refused."""
    table = pd.DataFrame({"mail": [0.25] * 8, "call": [0.25] * 8, "none": [0.5] * 8})
    try:
        camp = campaign(pd.DataFrame(log()), propensity=table)
    except InputError:
        return
    assert_array_equal(camp.propensity, TABLE)


def drawn(treatment, p):
    """A log of these arms, stated to be drawn with the chances p, the same for everybody."""
    n, arms = len(treatment), ("none", "mail", "call", "sms")[: len(p)]
    ids = np.arange(n)
    return Campaign(np.zeros((n, 1)), np.asarray(treatment), np.zeros(n), None, np.tile(p, (n, 1)), arms, ids, ("x",))


def refused(p, groups, size=1, stated=None, logs=3_000, each=False, clusters=True):
    """How many of `logs` logs are refused: `groups` clusters of `size` drawn together, or one by one (`each`)."""
    rng, code = np.random.default_rng([17, groups, size, each]), np.repeat(np.arange(groups), size)
    found = 0
    for _ in range(logs):
        treatment = (
            rng.choice(len(p), groups * size, p=p) if each else np.repeat(rng.choice(len(p), groups, p=p), size)
        )
        found += share_mismatch(drawn(treatment, stated or p), code if size > 1 and clusters else None) is not None
    return found


def test_chance_of_the_arm_counts_is_that_of_pearson():
    """Chances alike for everybody: the statistic is Pearson's, the sum of (O - E)^2 / E."""
    treatment = np.repeat([0, 1, 2], [560, 220, 220])
    mismatch = share_mismatch(drawn(treatment, [0.5, 0.25, 0.25]))
    assert mismatch.chance == pytest.approx(chisquare([560, 220, 220], [500, 250, 250]).pvalue, rel=1e-9)
    assert "chi-square test of the arm counts, p = 0.0007" in mismatch.text
    assert "arm 'none' should have about 500 of 1,000 users and has 560" in mismatch.text
    assert mismatch.text.endswith("or name the clusters where users of a group (a household) got their arm together")
    assert "cluster=" not in share_mismatch(drawn(treatment, [0.5, 0.25, 0.25]), np.arange(1000)).text


@pytest.mark.parametrize(
    ("p", "groups", "size", "each"),
    [
        ([0.95, 0.05], 40, 1, False),
        ([0.999, 0.001], 2_000, 1, False),
        ([0.88, 0.04, 0.04, 0.04], 200, 1, False),
        ([0.5, 0.45, 0.05], 100, 4, False),
        ([0.5, 0.5], 20, 4, False),
        ([0.5, 0.45, 0.05], 100, 4, True),
        ([0.5, 0.5], 4, 4, True),
    ],
)
def test_sound_logs_are_refused_once_in_a_thousand(p, groups, size, each):
    """3 of 3,000 are expected; more than 11 at a rate of .001 have a chance below 1e-4."""
    assert refused(p, groups, size, each=each) <= 11


def test_wrong_chances_are_found():
    """Normal theory by hand, z = (difference) / sd: 6.2 at 1,000 users; 5.7 at 200 clusters; 4 at 800 users in mixed
    clusters, of whose power of .76 at 3.29 the unknown spread takes a little."""
    assert refused([0.5, 0.5], 1_000, stated=[0.4, 0.6], logs=100) > 95
    assert refused([0.5, 0.5], 200, 4, stated=[0.3, 0.7], logs=100) > 95
    assert refused([0.5, 0.5], 200, 4, stated=[0.43, 0.57], logs=100, each=True) > 60


def test_clusters_drawn_together_are_no_contradiction_only_where_they_are_stated():
    assert refused([0.5, 0.5], 100, 10, logs=100) <= 2
    assert refused([0.5, 0.5], 100, 10, logs=100, clusters=False) > 20


def test_households_drawn_together_say_what_one_of_each_would():
    """Ten users of every household instead of one: the same chance, and text that counts users."""
    treatment = np.repeat([0, 1, 2], [140, 30, 30])
    one = share_mismatch(drawn(treatment, [0.5, 0.25, 0.25]))
    ten = share_mismatch(drawn(np.repeat(treatment, 10), [0.5, 0.25, 0.25]), np.repeat(np.arange(200), 10))
    assert ten.chance == pytest.approx(one.chance, rel=1e-9)
    assert "arm 'none' should have about 1,000 of 2,000 users and has 1,400" in ten.text


def test_arms_that_expect_too_few_are_counted_together_and_named_together():
    """6 of 1,000 expected under mail and call each, 12 together; 60 were logged. 11 of 6 alone are within chance."""
    treatment = np.repeat([0, 1, 2], [940, 30, 30])
    assert (
        "arm 'mail' or 'call' should have about 12 of 1,000 users and has 60"
        in share_mismatch(drawn(treatment, [0.988, 0.006, 0.006])).text
    )
    assert share_mismatch(drawn(np.repeat([0, 1], [989, 11]), [0.994, 0.006])) is None
    assert share_mismatch(drawn(np.zeros(50, dtype=int), [1.0])) is None


def test_one_huge_cluster_is_one_draw():
    """A school of 600 among 400 single pupils got the arm that one in 20 gets: unlikely once, and not 600 times."""
    code = np.concatenate([np.zeros(600, dtype=int), np.arange(1, 401)])
    treatment = np.concatenate([np.ones(600, dtype=int), (np.arange(400) % 20 == 0).astype(int)])
    assert share_mismatch(drawn(treatment, [0.95, 0.05]), code) is None
    assert share_mismatch(drawn(treatment, [0.95, 0.05])) is not None


@pytest.mark.parametrize(("n", "p", "true"), [(40, 0.05, 0.5), (2_000, 0.001, 0.02)])
def test_far_too_many_of_a_rare_arm_are_seen(n, p, true):
    """Too few are expected for the chi-square test; the Poisson tail tells, and a sound log is hardly ever told."""
    rng = np.random.default_rng(0)
    told = {True: 0, False: 0}
    for _ in range(300):
        for wrong in told:
            t = (rng.random(n) < (true if wrong else p)).astype(np.int64)
            table = np.tile([1 - p, p], (n, 1))
            zeros = np.zeros(n)
            one = Campaign(zeros[:, None], t, zeros, None, table, ("none", "mail"), np.arange(n), ("x",))
            mismatch = share_mismatch(one)
            told[wrong] += mismatch is not None
            if wrong and mismatch is not None:
                assert "(Poisson test of the arm counts, p = " in mismatch.text
                assert "arm 'mail' should have about 2 of" in mismatch.text
    assert told[True] > 290
    assert told[False] <= 2


@pytest.mark.parametrize("clusters", [60, 99])
def test_rare_arms_of_whole_clusters_are_seen(clusters):
    """One cluster in ten was to get the mail, half of them did: few for the chi-square, not for the Poisson tail."""
    code = np.repeat(np.arange(clusters), 50)
    told = [share_mismatch(drawn((code % of == 0).astype(int), [0.9, 0.1]), code) for of in (2, 10)]
    assert told[0] is not None
    assert told[0].chance < 1e-8
    assert told[1] is None
    alone = drawn(np.repeat([0, 1], [1_980, 20]), [0.999, 0.001])
    assert share_mismatch(alone, np.arange(2_000)).chance == share_mismatch(alone).chance
