"""Propensity of every arm: from each form of design to rows that sum to one, or one clear refusal."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from tests.uplift import campaign, every_frame, log, with_cell
from uplift import InputError

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
