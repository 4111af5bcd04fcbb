"""What the metrics take and what they refuse."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest

from uplift import metrics
from uplift.errors import InputError

SCORE, VALUE, TREATMENT, COST = [4.0, 2, 3, 1, 0, 5], [5, -1, 2, 1, 0, 3], [1, 0, 1, 0, 1, 0], [1, 0, 2, 0, 1, 0]


@pytest.mark.parametrize("kind", [np.array, tuple, pd.Series, pl.Series, lambda x: np.array(x, dtype=np.float32)])
def test_any_column_of_numbers_will_do(kind):
    rows = [kind(column) for column in (SCORE, VALUE, TREATMENT, COST)]
    for metric, count in ((metrics.auuc, 3), (metrics.qini, 3), (metrics.rate, 3), (metrics.aucc, 4)):
        plain, other = metric(*(SCORE, VALUE, TREATMENT, COST)[:count]), metric(*rows[:count])
        assert (other.area, other.se, *other.y) == (plain.area, plain.se, *plain.y)


def test_treatment_may_be_yes_or_no():
    yes = [bool(t) for t in TREATMENT]
    assert metrics.qini(SCORE, VALUE, yes).area == metrics.qini(SCORE, VALUE, TREATMENT).area


def test_input_is_left_as_it_was():
    rows = [np.array(column, dtype=float) for column in (SCORE, VALUE, TREATMENT, COST)]
    kept = [row.copy() for row in rows]
    metrics.aucc(*rows)
    for normalisation in ("per-user", "causalml", "causalml-normalised"):
        metrics.qini(*rows[:3], normalisation=normalisation)
    assert all((row == old).all() for row, old in zip(rows, kept, strict=True))


@pytest.mark.parametrize("metric", [metrics.auuc, metrics.qini, metrics.rate, metrics.calibration_slope])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"score": [1, 2, np.nan, 4, 5, 6]}, "has 1 missing .* of 6 cells, the first in row 2|score has 1 missing"),
        ({"value": [1, 2, np.inf, 4, 5, 6]}, "value has 1 infinite"),
        ({"value": [1, 2, 3]}, r"value has shape \(3,\) for 6 predictions"),
        ({"value": None}, "value is missing"),
        ({"value": list("abcdef")}, "value holds <U1 cells; numbers are expected"),
        ({"value": [None] + [1] * 5}, "value holds no numbers|value has 1 missing"),
        ({"score": []}, "is empty"),
        ({"score": np.ones((2, 2, 2))}, r"has shape \(2, 2, 2\)"),
        ({"treatment": None}, "treatment is missing"),
        ({"treatment": [1] * 6}, r"no user of arm 0 \(control\) among 6"),
        ({"treatment": [0] * 6}, "no user of arm 1 among 6"),
        ({"treatment": [0, 1, 2, 0, 1, 2]}, "treatment is 2 in row 2 .* whole numbers 0 .control. to 1"),
        ({"treatment": [0, 1, 0.5, 0, 1, 1]}, "treatment is 0.5 in row 2"),
        ({"treatment": [0, 1, -1, 0, 1, 1]}, "treatment is -1 in row 2"),
        ({"propensity": [0.5, 0.5, 0, 0.5, 0.5, 0.5]}, r"propensity of arm '1' lies outside \(0, 1\]"),
        ({"propensity": [0.5, 0.5, 1, 0.5, 0.5, 0.5]}, r"propensity of arm '0' lies outside \(0, 1\]"),
        ({"propensity": np.full((6, 3), 1 / 3)}, r"propensity has shape \(6, 3\); \(users, arms\) = \(6, 2\)"),
        ({"propensity": 0.5}, r"propensity has shape \(\)"),
        (
            {"propensity": pd.DataFrame(np.full((6, 2), 0.5))},
            "propensity is a table of named columns",
        ),
        ({"score": np.nan}, "has 1 missing"),
        ({"scores": VALUE}, "give either them or scores"),
    ],
)
def test_wrong_input_is_refused_with_its_place(metric, change, message):
    given = {"score": SCORE, "value": VALUE, "treatment": TREATMENT} | change
    score = given.pop("score")
    with pytest.raises(InputError, match=message):
        metric(score, **given)


def test_scores_of_another_shape_are_refused():
    with pytest.raises(InputError, match=r"scores has shape \(3, 1\) for predictions of shape \(6, 1\)"):
        metrics.qini(SCORE, scores=[1, 2, 3])


def test_an_arm_that_nobody_got_as_ranked_is_refused():
    score = [[2, 1], [2, 1], [1, 2], [2, 1]]
    with pytest.raises(InputError, match="no user received the arm that the score ranks highest"):
        metrics.auuc(score, [1, 2, 3, 4], [2, 0, 1, 0])
    with pytest.raises(InputError, match="no user of arm 2 among 4"):
        metrics.auuc(score, [1, 2, 3, 4], [1, 0, 1, 0])


@pytest.mark.parametrize("normalisation", ["rectangle", "steps"])
@pytest.mark.parametrize("cost", [[0] * 6, [0.1] * 6, [-1, 0, -1, 0, -1, 0]])
def test_aucc_refuses_a_cost_that_treatment_does_not_raise(cost, normalisation):
    with pytest.raises(InputError, match=r"incremental cost of treating everybody is .* above 0"):
        metrics.aucc(SCORE, VALUE, TREATMENT, cost, normalisation=normalisation)


def test_aucc_refuses_a_value_that_treatment_does_not_raise():
    with pytest.raises(InputError, match="incremental value of treating everybody is -"):
        metrics.aucc(SCORE, [-v for v in VALUE], TREATMENT, COST)


def test_aucc_refuses_half_of_its_input():
    with pytest.raises(InputError, match="cost is missing or stands beside"):
        metrics.aucc(SCORE, VALUE, TREATMENT)
    with pytest.raises(InputError, match="go with cost_scores"):
        metrics.aucc(SCORE, scores=VALUE)


def test_one_user_in_an_arm_is_enough_for_an_area():
    curve = metrics.qini([3, 2, 1], [4, 1, 2], [0, 1, 0])
    assert curve.x.tolist() == pytest.approx([0, 2 / 3, 1])
    assert curve.y.tolist() == pytest.approx([0, -2, -2])
    assert np.isfinite(curve.se)


@pytest.mark.parametrize("unit", [1e-170, 1e160])
def test_units_whose_squares_leave_the_range_of_floats(unit):
    """A standard error of 0 or of infinity would be false certainty or none."""
    with pytest.raises(InputError, match="count in another unit"):
        metrics.qini(SCORE, [unit * v for v in VALUE], TREATMENT)


@pytest.mark.parametrize("metric", [metrics.calibration, metrics.rate])
def test_a_reference_that_is_a_table_is_refused(metric):
    with pytest.raises(InputError, match=r"reference has shape \(3, 2\); a row of numbers, \(m,\), is expected"):
        metric(SCORE, scores=VALUE, normalisation="econml", reference=np.ones((3, 2)))
