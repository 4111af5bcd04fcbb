"""The end-to-end comparison's own sums: rows kept through a stop, paired differences, shares of the oracle's gain."""

import math

import numpy as np
import pytest

from allocation.engine.problem import Allocation
from tests.benchmarks.end_to_end_cases import Case
from tests.benchmarks.end_to_end_paired import BEST, BEST_OF_SEED, BEST_OTHER, Mean, groups
from tests.benchmarks.end_to_end_rows import append, read
from uplift import synthetic
from uplift.response import Response


def row(method, seed, share, regime="small_student", rows=1_000):
    found = {"regime": regime, "rows": rows, "method": method, "seed": seed, "train_rows": rows, "train_s": 1.0}
    return found | {"budgets": [1.0], "share": [share], "gain": [0.5], "spend": [0.75], "result": None}


def test_a_row_cut_short_is_passed_over_and_the_next_starts_on_a_line_of_its_own(tmp_path, capsys):
    file = tmp_path / "new" / "rows.jsonl"
    append(file, row("a", 0, 0.5))
    with file.open("a") as out:
        out.write('{"regime": "small_stu')  # what a stop leaves
    append(file, row("a", 1, 0.25))
    assert [(r["seed"], r["share"]) for r in read([file, tmp_path / "absent.jsonl"])] == [(0, [0.5]), (1, [0.25])]
    assert "line 2 is no row" in capsys.readouterr().err


def test_of_two_rows_of_one_key_the_first_counts(tmp_path):
    files = [tmp_path / "one.jsonl", tmp_path / "two.jsonl"]
    append(files[0], row("a", 0, 0.5))
    append(files[1], row("a", 0, 0.9))
    assert [r["share"] for r in read(files)] == [[0.5]]


def test_mean_of_four_amounts():
    """1, 2, 3, 6: mean 3; deviations -2, -1, 0, 3, so s^2 = 14 / 3, se = sqrt(14 / 12); t(3, .975) = 3.182446."""
    mean = Mean.of([1.0, 2.0, 3.0, 6.0])
    assert (mean.point, mean.seeds) == (3.0, 4)
    assert mean.se == pytest.approx(math.sqrt(14 / 12))
    assert mean.high - mean.point == pytest.approx(3.182446 * math.sqrt(14 / 12), rel=1e-6)
    assert mean.low == pytest.approx(6 - mean.high)


def test_differences_are_paired_by_seed_and_references_named():
    """A: .8 .7 .6; net: .7 .5; LightGBM: .6 .7; DRP .9 .9; A minus the best two-stage of each seed: .8-.7, .7-.7."""
    shares = {
        "end-to-end": (0.8, 0.7, 0.6),
        "two-stage net": (0.7, 0.5),
        "two-stage LightGBM": (0.6, 0.7),
        "DRP": (0.9, 0.9),
    }
    (group,) = groups([row(name, seed, s) for name, each in shares.items() for seed, s in enumerate(each)])
    assert group.minus("end-to-end", "two-stage net").point == pytest.approx((0.1 + 0.2) / 2)
    assert group.named(BEST) == "two-stage LightGBM"
    assert group.named(BEST_OTHER) == "DRP"
    assert group.minus("end-to-end", BEST).point == pytest.approx((0.2 + 0.0) / 2)
    assert group.minus("end-to-end", BEST_OF_SEED).point == pytest.approx((0.1 + 0.0) / 2)
    assert group.minus("end-to-end", "DCL") is None


def test_where_nothing_can_be_gained_spend_is_compared():
    group = next(
        groups([row("two-stage net", 0, None, "null"), row("end-to-end", 0, None, "null") | {"spend": [0.5]}])
    )
    assert not group.to_gain
    assert group.minus("end-to-end", "two-stage net").point == pytest.approx(0.5 - 0.75)


class Fixed:
    """Treats the users told with arm 1, whatever the budget."""

    def __init__(self, treated):
        self.decision = treated.astype(np.int64)

    def decide(self, users, budget):
        return Allocation(self.decision)


@pytest.mark.parametrize(
    ("treated", "share", "spend"),
    [
        ([True, False], 4 / 4, 0.5),
        ([False, True], 2 / 4, 0.5),
        ([True, True], 6 / 6, 1.0),
        ([False, False], 0.0, 0.0),
    ],
)
def test_share_of_the_oracle_at_the_same_spend(treated, share, spend):
    """Two users, arm 1 costs 1 and gains 4 or 2: the oracle gains 4 for 1 and 6 for 2; spending nothing is 0."""
    log = synthetic.simulate(2, seed=0).campaign
    truth = Response(np.array([[1.0, 5.0], [1.0, 3.0]]), np.array([[0.0, 1.0], [0.0, 1.0]]), ("none", "one"))
    case = Case("small_student", 2, 0, log, log, truth)
    worth = case.worth(Fixed(np.array(treated)))
    assert worth["share"] == pytest.approx([share] * 3)
    assert worth["spend"] == pytest.approx([spend] * 3)


def test_where_no_arm_does_anything_there_is_no_share():
    log = synthetic.simulate(2, seed=0).campaign
    truth = Response(np.ones((2, 2)), np.array([[0.0, 1.0], [0.0, 1.0]]), ("none", "one"))
    worth = Case("null", 2, 0, log, log, truth).worth(Fixed(np.array([True, False])))
    assert worth["share"] == [None] * 3
    assert worth["gain"] == [0.0] * 3
