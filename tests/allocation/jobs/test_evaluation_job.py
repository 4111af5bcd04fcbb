"""The evaluation job in memory: policies fitted and from files, splits, clusters, and files that do not fit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from allocation import BestMix
from allocation.engine.problem import ProblemError
from allocation.jobs.evaluation_job import EvaluationResult, run_evaluation
from allocation.jobs.evaluation_plan import EvaluationPlan
from allocation.jobs.evaluation_text import findings
from allocation.jobs.policies_named import MEANINGS, NAMES, USUAL, fit_named
from tests.allocation.test_cli import log
from uplift import synthetic
from uplift.errors import InputError

ROLES = {"treatment": "arm", "value": "spend", "cost": "cost", "features": ["age", "visits"], "user_id": "id"}
DECLARED = {"propensity": "arm shares"}
Change = Callable[[pd.DataFrame], pd.DataFrame]


def run(folder: Path, *, frame: pd.DataFrame | None = None, roles: dict[str, str] | None = None, **plan: object):
    """A run on the small log of the command's tests, in which every user had the same chances."""
    (log() if frame is None else frame).to_parquet(folder / "log.parquet")
    given = {"n_bootstrap": 50, "roles": ROLES | DECLARED | (roles or {})} | plan
    return run_evaluation(EvaluationPlan(str(folder / "log.parquet"), **given))


def of(result: EvaluationResult, estimator: str, policy: str) -> pd.DataFrame:
    frame = result.frame
    return frame[(frame["estimator"] == estimator) & (frame["policy"] == policy)]


def predictions(users: pd.Series) -> pd.DataFrame:
    """Mail is best for everybody and costs 0.1; the arms in another order than the log's, user ids as text."""
    table = pd.DataFrame({"user_id": users.astype(str)})
    for arm, value in (("mail", 2.0), ("none", 0.0), ("coupon", 1.0)):
        table[f"value.{arm}"], table[f"cost.{arm}"] = value, 0.1 * (arm == "mail")
    return table


def test_policies_of_files_alone_are_verified_on_the_whole_log(tmp_path: Path):
    """Self-normalised with equal chances, mail for everybody is worth the mean of the mailed users."""
    frame = log()
    users = frame["id"].sample(frac=1, random_state=1)
    pd.DataFrame({"user_id": users, "arm": "mail"}).to_csv(tmp_path / "mail.csv", index=False)
    predictions(users).to_parquet(tmp_path / "r.parquet")
    files = {
        "decisions": {"mailed": str(tmp_path / "mail.csv")},
        "responses": {"solved": str(tmp_path / "r.parquet")},
    }
    result = run(tmp_path, **files, budgets_per_user=(0.11,))
    assert (result.users, result.train_users) == (600, 0)
    for name in ("mailed", "solved"):
        np.testing.assert_allclose(
            of(result, "sn", name)["value"] / 600, frame.loc[frame["arm"] == "mail", "spend"].mean()
        )
    assert of(result, "dr", "solved")["same_decision"].all()
    assert set(result.frame["reference"]) == {"mailed"}
    assert "cannot be known here" in result.warnings[0]


def test_each_user_of_a_file_gets_his_own_decision(tmp_path: Path):
    """Decisions equal to the arms received: everybody matches, and the IPW spend is what was really weighted so."""
    frame = log()
    shuffled = frame.sample(frac=1, random_state=2)
    pd.DataFrame({"user_id": shuffled["id"], "arm": shuffled["arm"]}).to_parquet(tmp_path / "as.parquet")
    result = run(tmp_path, decisions={"as logged": str(tmp_path / "as.parquet")})
    rows = of(result, "ipw", "as logged")
    shares = frame["arm"].map(frame["arm"].value_counts(normalize=True))
    assert rows["matched"].eq(600).all()
    np.testing.assert_allclose(rows["spend"], (frame["cost"] / shares).sum())


@pytest.mark.parametrize("splits", [1, 2])
def test_files_beside_fitted_policies_are_cut_to_the_held_out_users(tmp_path: Path, splits: int):
    """Control for everybody from a file decides as `nobody` does, whatever half is held out."""
    pd.DataFrame({"user_id": log()["id"], "arm": "none"}).to_parquet(tmp_path / "none.parquet")
    result = run(
        tmp_path,
        policies=("nobody", "single"),
        decisions={"none": str(tmp_path / "none.parquet")},
        budgets_per_user=(0.1, 0.5),
        reference="nobody",
        splits=splits,
    )
    assert result.frame["users"].between(295, 305).all()
    assert result.frame["splits"].eq(splits).all()
    for estimator in ("ipw", "sn", "dr"):
        mine, theirs = of(result, estimator, "none"), of(result, estimator, "nobody")
        np.testing.assert_array_equal(mine["value"], theirs["value"])
        assert mine["same_decision"].all()
    assert set(result.frame["reference"]) == {"nobody"}


def test_the_reference_is_the_best_rule_of_thumb_unless_one_is_named(tmp_path: Path):
    frame = run(tmp_path, policies=("nobody", "single", "s"), budgets_per_user=(0.3,)).frame
    for _, cell in frame.groupby("estimator"):
        rules = cell[cell["policy"] != "two-stage S"]
        assert set(cell["reference"]) == {rules.loc[rules["value"].idxmax(), "policy"]}


def test_a_cluster_is_never_torn_apart_and_its_intervals_are_wider(tmp_path: Path):
    """Every user twice is no more evidence: with the pair as the cluster the interval is about sqrt(2) wider."""
    once = log()
    frame = pd.concat([once, once.assign(id=once["id"] + 600)], ignore_index=True).assign(
        pair=lambda f: f["id"] % 600
    )
    pd.DataFrame({"user_id": frame["id"], "arm": "mail"}).to_parquet(tmp_path / "mail.parquet")
    width = []
    for roles in ({}, {"cluster": "pair"}):
        result = run(
            tmp_path, frame=frame, roles=roles, decisions={"m": str(tmp_path / "mail.parquet")}, n_bootstrap=400
        )
        width.append((of(result, "sn", "m")["value_high"] - of(result, "sn", "m")["value_low"]).item())
    assert width[1] / width[0] == pytest.approx(2**0.5, rel=0.15)
    fitted = run(tmp_path, frame=frame, roles={"cluster": "pair"}, policies=("nobody", "mix"))
    assert fitted.users % 2 == 0
    assert fitted.users + fitted.train_users == 1_200


def test_outcome_targeting_shares_the_fit_of_the_s_learner():
    """It predicts what two-stage S predicts, and what it predicts alone: the same model, fitted once or twice."""
    train, new = synthetic.simulate(1_000, seed=3).campaign.split(0.5, seed=0)
    both = fit_named(("outcome", "s"), train, seed=0)
    assert list(both) == ["outcome targeting", "two-stage S"]
    alone = fit_named(("outcome",), train, seed=0)["outcome targeting"]
    tables = [p.predict(new.X).value for p in (*both.values(), alone)]
    np.testing.assert_array_equal(tables[0], tables[1])
    np.testing.assert_array_equal(tables[0], tables[2])


@pytest.mark.usefixtures("small_nets")
@pytest.mark.parametrize("name", NAMES)
def test_every_name_can_be_fitted_and_decides(name: str):
    train, new = synthetic.simulate(1_200, seed=3).campaign.split(0.5, seed=0)
    ((shown, policy),) = fit_named((name,), train, seed=0).items()
    decided = policy.decide(new.X, 0.3 * len(new))
    assert decided.cost <= 0.3 * len(new)
    assert shown in MEANINGS


def test_end_to_end_is_tuned_for_the_budgets_that_are_evaluated(monkeypatch: pytest.MonkeyPatch):
    """Money a user becomes money for the users fitted on; a rule of thumb stands in for the slow fit."""
    asked: list[list[float]] = []

    def stand_in(seed: int, *, budgets: list[float], **_: object) -> BestMix:
        asked.append(budgets)
        return BestMix(seed)

    monkeypatch.setattr("allocation.jobs.policies_named.make_end_to_end", stand_in)
    names = ("nobody", "end-to-end")
    result = run_evaluation(
        EvaluationPlan("simulated", users=600, n_bootstrap=20, policies=names, budgets_per_user=(0.5, 0.25))
    )
    assert asked == [[0.25 * result.train_users, 0.5 * result.train_users]]
    assert list(dict.fromkeys(result.frame["policy"])) == list(names)


def test_the_usual_policies_are_fitted_where_nothing_is_asked_for():
    seen: list[str] = []
    result = run_evaluation(EvaluationPlan("simulated", users=600, n_bootstrap=20), seen.append)
    assert list(dict.fromkeys(result.frame["policy"])) == [NAMES[name] for name in USUAL]
    assert len(result.budgets_per_user) == 5
    assert [step for step in seen if "fitting" in step] == [
        f"fitting two-stage {name} on {result.train_users} users" for name in ("S", "T", "DR")
    ]


@pytest.mark.parametrize(
    ("decisions", "message"),
    [
        (pd.DataFrame({"user_id": range(1, 600), "arm": "mail"}), r"d.csv lacks 1 of the 600 users .* user_id '0'"),
        (pd.DataFrame({"user_id": range(600), "arm": "mial"}), r"'mial' \(600 of 600 users\).*Did you mean 'mail'"),
        (pd.DataFrame({"user_id": [0, *range(600)], "arm": "mail"}), r"d.csv: .*'user_id' has duplicate ids"),
        (pd.DataFrame({"user_id": range(600), "amr": "mail"}), r"d.csv: .*'arm' is not in the table.*'amr'"),
        (
            pd.DataFrame({"user_id": range(600), "arm": "mail", "expected_value": "much"}),
            r"d.csv: .*'expected_value'.*'much'",
        ),
    ],
)
def test_a_file_of_decisions_that_does_not_fit_the_log(tmp_path: Path, decisions: pd.DataFrame, message: str):
    decisions.to_csv(tmp_path / "d.csv", index=False)
    with pytest.raises(InputError, match=message):
        run(tmp_path, decisions={"mine": str(tmp_path / "d.csv")})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda f: f.rename(columns={"value.mail": "value.fax", "cost.mail": "cost.fax"}),
            r"arm 'fax', which the log",
        ),
        (lambda f: f.drop(columns=["value.mail", "cost.mail"]), r"no value.mail column; .* none, coupon, mail"),
        (lambda f: f.drop(columns="user_id"), r"r.parquet has no user_id column"),
        (lambda f: f.head(599), r"lacks 1 of the 600 users"),
        (lambda f: f.assign(user_id="0"), r"r.parquet.*duplicate ids"),
        (lambda f: f.assign(**{"value.mail": "much"}), r"r.parquet.*'value.mail'.*'much'"),
        (
            lambda f: f.assign(**{"eligible.mail": f.index > 8}),
            r"r.parquet.* eligible.mail, 9 of 600 users may not get that arm.* --decisions NAME=FILE",
        ),
    ],
)
def test_a_file_of_predictions_that_does_not_fit_the_log(tmp_path: Path, change: Change, message: str):
    change(predictions(log()["id"])).to_parquet(tmp_path / "r.parquet")
    with pytest.raises(InputError, match=message):
        run(tmp_path, responses={"mine": str(tmp_path / "r.parquet")})


def test_ids_with_leading_zeros_are_kept_in_csv_files(tmp_path: Path):
    """User 007 of the log is user 007 of the file, whatever looks like a number there."""
    frame = log().assign(id=[f"{k:03d}" for k in range(600)])
    predictions(frame["id"]).to_csv(tmp_path / "r.csv", index=False)
    result = run(tmp_path, frame=frame, responses={"mine": str(tmp_path / "r.csv")}, budgets_per_user=(0.11,))
    assert result.users == 600


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        ({"budgets_per_user": (float("inf"),)}, r"budgets per user must be finite"),
        ({"budgets_per_user": (0.1, -1.0)}, r"^budget is -1; budgets per user are 0 or more, in the unit of cost$"),
        ({"budgets_per_user": (float("nan"),)}, r"^budget is nan; budgets per user are 0 or more"),
        ({"budgets_per_user": ()}, r"budgets per user must be finite amounts of money, at least one"),
        ({"splits": 0}, r"splits is 0"),
        ({"decisions": {"a": "x"}, "responses": {"a": "y"}}, r"both name 'a'"),
        ({"roles": ROLES}, r"log.parquet comes without propensities"),
        ({"roles": ROLES | DECLARED | {"cluster": "house"}}, r"cluster column 'house' is not in"),
    ],
)
def test_a_plan_that_cannot_be_run_says_why(tmp_path: Path, plan: dict[str, object], message: str):
    log().to_parquet(tmp_path / "log.parquet")
    with pytest.raises((InputError, ProblemError), match=message):
        run_evaluation(EvaluationPlan(**({"data": str(tmp_path / "log.parquet"), "roles": ROLES | DECLARED} | plan)))


def test_a_file_may_not_take_the_name_of_a_fitted_policy(tmp_path: Path):
    pd.DataFrame({"user_id": log()["id"], "arm": "none"}).to_parquet(tmp_path / "none.parquet")
    with pytest.raises(InputError, match=r"a file is named 'nobody', as a policy that is fitted here"):
        run(tmp_path, policies=("nobody",), decisions={"nobody": str(tmp_path / "none.parquet")})


def test_files_need_a_log_that_names_its_users(tmp_path: Path):
    pd.DataFrame({"user_id": log()["id"], "arm": "none"}).to_parquet(tmp_path / "none.parquet")
    with pytest.raises(InputError, match=r"the log names none; .* --user-id COLUMN"):
        run(tmp_path, roles={"user_id": None}, decisions={"mine": str(tmp_path / "none.parquet")})


def test_a_budget_below_control_is_refused_in_its_own_unit(tmp_path: Path):
    frame = log().assign(cost=lambda f: f["cost"] + 1.0)
    with pytest.raises(ProblemError, match=r"budget of 0.5 a user cannot be met: control alone costs 1 a user"):
        run(tmp_path, frame=frame, budgets_per_user=(0.5, 2.0), policies=("nobody",))


@pytest.mark.parametrize("fitted", [(), ("nobody",)])
def test_decisions_that_say_what_they_expect_promise_the_sum_of_the_held_out_users(
    tmp_path: Path, fitted: tuple[str, ...]
):
    """User k is expected to be worth k and to cost 1: k is the mean of the users verified on, 1 the spend of each."""
    users = log()["id"]
    table = pd.DataFrame({"user_id": users, "arm": "mail", "expected_value": users * 1.0, "expected_cost": 1})
    table.sample(frac=1, random_state=0).to_parquet(tmp_path / "d.parquet")
    table.drop(columns="expected_cost").to_parquet(tmp_path / "half.parquet")
    files = {"full": str(tmp_path / "d.parquet"), "half": str(tmp_path / "half.parquet")}
    result = run(tmp_path, decisions=files, policies=fitted or None, budgets_per_user=(0.1, 0.5))
    held_out = np.arange(600)
    if fitted:
        campaign = result.source.campaign
        held_out = campaign.user_id[campaign.split_rows(0.5, 0)[1]].astype(int)
    for name, spend in (("full", len(held_out)), ("half", np.nan)):
        rows = of(result, "dr", name)
        np.testing.assert_allclose(rows["promised_value"], held_out.sum())
        np.testing.assert_array_equal(rows["promised_spend"], spend)
    notes = [text for text in result.warnings if "look at the budget" in text]
    assert notes == ["full, half: decisions from a file do not look at the budget, they are the same at each."]
    assert not any("promises to spend" in text for text in result.warnings)


def test_a_budget_that_nobody_could_spend_is_asked_about(tmp_path: Path):
    """The dearest arm of the log costs its mean; a budget of that is met, one above it may be a total."""
    dearest = log().groupby("arm")["cost"].mean().max()

    def _asked(*budgets: float) -> list[str]:
        result = run(tmp_path, policies=("nobody", "single"), budgets_per_user=budgets, n_bootstrap=20)
        return [text for text in result.warnings if "is it a total?" in text]

    assert _asked(0.5 * dearest, dearest) == []
    assert _asked(0.1, 15_500.0)[0].startswith("A budget of 15,500 a user is more than giving everybody the dearest")
    assert _asked(0.1, 900.0, 15_500.0)[0].startswith("Budgets from 900 up a user are more than")


def test_no_rule_of_thumb_is_called_highest_where_none_is_verified(tmp_path):
    """30 held-out users of two arms: about 15 match each rule, which is too few for any figure."""
    rng = np.random.default_rng(0)
    log = pd.DataFrame({"id": range(60), "arm": np.tile(["none", "mail"], 30), "y": rng.random(60), "c": 1.0})
    log.assign(x=rng.normal(size=60)).to_csv(tmp_path / "log.csv", index=False)
    roles = {"treatment": "arm", "value": "y", "cost": "c", "features": ["x"], "user_id": "id"}
    propensity = {"propensity": {"none": 0.5, "mail": 0.5}}
    plan = EvaluationPlan(str(tmp_path / "log.csv"), policies=("nobody", "single"), roles=roles | propensity)
    sentences = findings(run_evaluation(plan))
    assert "No rule of thumb can be verified; nobody stands in as the reference." in sentences
    assert not any("highest verified" in sentence for sentence in sentences)


def test_a_table_by_which_everybody_may_get_every_arm_and_a_home_folder(tmp_path, monkeypatch):
    """A shell leaves `~` after an equals sign as it is."""
    monkeypatch.setenv("HOME", str(tmp_path))
    predictions(log()["id"]).assign(**{"eligible.mail": True}).to_parquet(tmp_path / "r.parquet")
    result = run(tmp_path, responses={"mine": "~/r.parquet"}, budgets_per_user=(0.11,))
    assert set(result.checksums) == {"mine"}
