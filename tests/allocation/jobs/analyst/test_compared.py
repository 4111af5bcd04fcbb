"""Any two policies compared: against plain arithmetic on the log, and in words."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from allocation.evaluation.decided import decide_all
from allocation.evaluation.evaluate import evaluate, verify_decided
from allocation.evaluation.nuisance import fit_outcomes
from allocation.evaluation.scores import SPEND, VALUE, score_tables
from allocation.jobs.analyst.compared import CURRENT, Compared, compared_of, read_compared, write_compared
from allocation.jobs.analyst.compared_at import best_baseline, compare
from allocation.jobs.analyst.compared_table import compared_table
from allocation.jobs.demo import DemoResult
from uplift import synthetic
from uplift.errors import InputError

LOG = synthetic.simulate(900, seed=3).campaign
RNG = np.random.default_rng(0)
POLICIES = {
    "first": np.zeros(len(LOG), dtype=int),
    "second": RNG.integers(0, len(LOG.arms), len(LOG)),
    "twin": np.zeros(len(LOG), dtype=int),
}
BUDGETS = (100.0, 200.0)


@pytest.fixture(scope="module")
def scored() -> tuple[Compared, np.ndarray]:
    """The comparison of three fixed policies, and the scores that it rests on."""
    outcomes = fit_outcomes(LOG, seed=0)
    decided = decide_all(POLICIES, LOG, BUDGETS)
    cells, (one,) = verify_decided(decided, LOG, ["dr"], 0, 0, None, outcomes, None)
    tables = score_tables(LOG, ["dr"], outcomes, np.inf)
    assert LOG.propensity is not None
    found = compared_of(decided, cells, one, tables["dr", VALUE], tables["dr", SPEND], LOG.propensity)
    return found, tables["dr", VALUE]


def contribution(name: str, phi: np.ndarray) -> list[float]:
    """What each user adds to a policy's verified value, one user after the other."""
    if name == CURRENT:
        return [
            float(sum(p * s for p, s in zip(P, row, strict=True))) for P, row in zip(LOG.propensity, phi, strict=True)
        ]
    return [float(row[j]) for row, j in zip(phi, POLICIES[name], strict=True)]


@pytest.mark.parametrize("reference", ["first", "second", CURRENT])
def test_differences_are_those_of_the_users_scores(scored: tuple[Compared, np.ndarray], reference: str):
    found, phi = scored
    n, base = len(LOG), contribution(reference, phi)
    for _, r in found.differences(reference).iterrows():
        apart = [a - b for a, b in zip(contribution(r["policy"], phi), base, strict=True)]
        mean = sum(apart) / n
        se = (n * sum((d - mean) ** 2 for d in apart) / (n - 1)) ** 0.5
        assert r["difference"] == pytest.approx(sum(apart), abs=1e-6)
        assert r["difference_se"] == pytest.approx(se, rel=1e-6, abs=1e-6)
        assert r["difference_high"] - r["difference_low"] == pytest.approx(2 * 1.959964 * se, rel=1e-5, abs=1e-5)


def test_the_frame_of_evaluate_says_the_same(scored: tuple[Compared, np.ndarray]):
    found = scored[0].differences("second")
    frame = evaluate(POLICIES, LOG, budgets=BUDGETS, reference="second", estimators=["dr"], intervals="influence")
    for _, r in frame.iterrows():
        own = found[(found["policy"] == r["policy"]) & (found["budget"] == r["budget"])].iloc[0]
        for column in ("difference", "difference_se", "difference_low"):
            assert own[column] == pytest.approx(r[column], rel=1e-6, abs=1e-6)
        assert own["support"] == r["difference_support"]


def test_alike_is_no_difference_and_p_values_are_adjusted_upwards(scored: tuple[Compared, np.ndarray]):
    found = scored[0].differences("first")
    twin = found[found["policy"] == "twin"]
    assert twin["same_decision"].all()
    assert twin["difference"].eq(0).all()
    assert twin["p_adjusted"].isna().all()
    rest = found[~found["same_decision"]]
    assert found["comparisons"].eq(4).all()  # the second and the current policy, at two budgets
    assert (rest["p_adjusted"] >= rest["p_value"]).all()


def test_the_current_policy_is_worth_what_was_logged(scored: tuple[Compared, np.ndarray]):
    """Chances sum the weights to 1, so the score is the logged value, less noise that a model removes."""
    found = scored[0]
    error = float(np.sqrt(found.covariance[-1, -1]))
    assert found.value[-1] == pytest.approx(LOG.value.sum(), abs=4 * error)
    assert LOG.cost is not None
    assert found.spend[0] == pytest.approx(LOG.cost.sum(), abs=6 * found.spend[1])


def test_it_is_read_back_to_the_last_digit(scored: tuple[Compared, np.ndarray], tmp_path: Path):
    found = scored[0]
    holes = replace(found, value=np.append(np.nan, found.value[1:]), lacking=("nobody", *found.lacking[1:]))
    write_compared(holes, tmp_path / "c.json")
    read = read_compared(tmp_path / "c.json", found.users)
    np.testing.assert_array_equal(read.value, holes.value)
    np.testing.assert_array_equal(read.covariance, holes.covariance)
    assert read.differences("second").equals(holes.differences("second"))
    assert read.differences("second")["support"].tolist()[0] == "nobody"


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"policies": 3}'])
def test_a_broken_file_is_named(tmp_path: Path, text: str):
    (tmp_path / "c.json").write_text(text)
    with pytest.raises(InputError, match=r"c.json is no comparison of a run .*; run `earmark demo` again"):
        read_compared(tmp_path / "c.json", 1)


@pytest.mark.parametrize("field", ["policies", "budgets", "value", "covariance", "lacking", "same", "apart", "users"])
def test_a_comparison_of_another_run_is_named(scored: tuple[Compared, np.ndarray], tmp_path: Path, field: str):
    write_compared(scored[0], tmp_path / "c.json")
    told = json.loads((tmp_path / "c.json").read_text())
    told[field] = told[field] + 1 if field == "users" else told[field][:-1]
    (tmp_path / "c.json").write_text(json.dumps(told))
    with pytest.raises(InputError, match=r"c.json is no comparison of a run .*; run `earmark demo` again"):
        read_compared(tmp_path / "c.json", scored[0].users)


def test_an_unknown_reference_is_named(scored: tuple[Compared, np.ndarray]):
    with pytest.raises(InputError, match=r"reference 'secund' is none of the policies. Did you mean 'second'"):
        scored[0].differences("secund")


def test_a_demo_compares_with_the_reports_reference_as_the_report_does(result: DemoResult):
    run, compared = result.summary(), result.compared
    budget = result.budget_per_user * len(result.held_out)
    reference = best_baseline(run, compared, budget)
    found = compare(run, compared, 1.001 * budget, reference)
    assert found.budget == pytest.approx(budget)
    frame = result.evaluation
    mine = frame[(frame["estimator"] == "dr") & np.isclose(frame["budget"], budget)].set_index("policy")
    assert list(found.rows["policy"]) == [*run.policies, CURRENT]
    for _, r in found.rows.iloc[:-1].iterrows():
        told = mine.loc[r["policy"]]
        assert r["value"] == told["value"]
        assert r["promised_value"] == told["promised_value"]
        assert r["difference"] == pytest.approx(told["difference"], rel=1e-9, abs=1e-9)
        assert r["difference_high"] == pytest.approx(told["difference_high"], abs=0.5 * told["difference_se"])
    assert found.rows.set_index("policy")["verdict"][reference] == "reference"


def clear(result: DemoResult, factor: float) -> Compared:
    """The same comparison with errors so many times as large."""
    return replace(result.compared, covariance=result.compared.covariance * factor**2)


def test_words_follow_the_adjusted_p_value(result: DemoResult):
    run, budget = result.summary(), result.budget_per_user * len(result.held_out)
    sure, unsure = (compare(run, clear(result, factor), budget, "nobody") for factor in (1e-3, 1e3))
    two_stage = sure.rows.set_index("policy").loc["two-stage"]
    word = "Better than nobody: " if two_stage["difference"] > 0 else "Worse than nobody: "
    assert any(text.startswith(word) and "two-stage" in text for text in sure.sentences)
    assert unsure.sentences[0] == "Nothing is shown to be better than nobody."
    assert any(text.startswith("Not distinguishable from nobody: ") for text in unsure.sentences)
    assert set(unsure.rows["verdict"]) <= {"reference", "not distinguishable", "the same decisions"}


def test_the_table_holds_every_policy_with_units(result: DemoResult):
    budget = result.budget_per_user * len(result.held_out)
    table = compared_table(compare(result.summary(), result.compared, budget, CURRENT), "EUR")
    assert list(table["policy"])[-1] == CURRENT
    assert "spend (EUR)" in table
    current = table.iloc[-1]
    assert (current["promised value"], current["verdict"], current["difference"]) == (
        "–",
        "reference",
        "–",
    )
