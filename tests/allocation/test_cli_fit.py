"""`earmark fit`, and `earmark evaluate --policy` on what it wrote: output, codes, messages, nothing half done."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from numpy.testing import assert_allclose
from typer.testing import CliRunner

from allocation import BestMix, TwoStage, load_policy
from allocation.cli import app
from tests.allocation.test_cli import assert_one_message, log
from uplift import Campaign

ROLES = ["--treatment", "arm", "--value", "spend", "--cost", "cost", "--features", "age,visits", "--user-id", "id"]
DRAWN = [*ROLES, "--propensity", "arm shares"]


def earmark(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, list(arguments))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture(scope="module")
def half(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """A fit on half of the real experiment: its folder, what it printed and its progress."""
    out = tmp_path_factory.mktemp("fit") / "policy"
    code, printed, err = earmark("fit", "--share", "0.5", "--out", str(out))
    assert code == 0, err
    return out, printed, err


def test_it_says_what_was_fitted_on_whom_and_keeps_it(half: tuple[Path, str, str]):
    out, printed, err = half
    told = " ".join(printed.split())
    assert "two-stage S fitted on 1,411 of 2,825 users, 4 arms, in" in told
    assert "nothing (621), up to 1 USD (1,137)" in told
    assert "1,414 users were kept unseen: `earmark evaluate --policy NAME=FOLDER --unseen`" in told
    assert max(len(line) for line in printed.splitlines() if not line.startswith("Policy:")) <= 80
    assert "fitting two-stage S on 1,411 users ..." in err
    assert isinstance(load_policy(out), TwoStage)


def test_the_manifest_stands_beside_the_policy_and_json_prints_it(half: tuple[Path, str, str], tmp_path: Path):
    manifest = json.loads((half[0] / "manifest.json").read_text())
    assert (manifest["command"], manifest["policy"], manifest["train_users"]) == ("fit", "two-stage S", 1411)
    assert manifest["unseen_users"] == 1414
    assert manifest["input"]["features"] == list(load_policy(half[0]).features_)
    assert set(json.loads((half[0] / "policy.json").read_text())["files"]) >= {"manifest.json"}
    code, printed, _ = earmark("fit", "--data", "simulated", "--users", "300", "--json", "--out", str(tmp_path / "p"))
    assert code == 0
    assert printed == (tmp_path / "p" / "manifest.json").read_text()


def test_an_end_to_end_fit_tells_in_words_what_its_gate_decided(tmp_path: Path):
    """On the terminal, in the manifest, and after loading; and it can be verified on the users kept unseen."""
    arguments = ["--data", "simulated", "--users", "600"]
    tuned = ["--method", "end-to-end", "--hidden", "4", "--scores", "ipw", "--share", "0.5"]
    code, printed, err = earmark("fit", *arguments, *tuned, "--out", str(tmp_path / "p"))
    assert code == 0, err
    policy = load_policy(tmp_path / "p")
    told, words = " ".join(printed.split()), str(policy.result_)
    assert "end-to-end fitted on 302 of 600 users" in told
    assert "The gate:" in words
    assert words in printed
    assert max(len(line) for line in printed.splitlines() if not line.startswith("Policy:")) <= 80
    manifest = json.loads((tmp_path / "p" / "manifest.json").read_text())
    assert manifest["words"] == words
    assert manifest["result"]["gain"]["mean"] == pytest.approx(policy.result_.gain.mean)
    assert "decision phase" in err
    named = ["--policy", f"end-to-end={tmp_path / 'p'}", "--unseen", "--policies", "mix"]
    code, printed, err = evaluate(tmp_path / "e", *arguments, *named)
    assert code == 0, err
    assert "end-to-end" in printed


def test_names_of_an_own_log_are_printed_as_they_are_and_many_are_counted(tmp_path: Path):
    frame = log().rename(columns={"age": "[b]age"})
    for k in range(20):
        frame[f"x{k}"] = frame["visits"] * k
    frame.to_parquet(tmp_path / "log.parquet")
    roles = [*ROLES[:-3], ",".join(["[b]age", *(f"x{k}" for k in range(20))]), *ROLES[-2:]]
    code, printed, err = earmark(
        "fit", "--data", str(tmp_path / "log.parquet"), *roles, "--out", str(tmp_path / "p"), "--learner", "t"
    )
    assert code == 0, err
    told = " ".join(printed.split())
    assert "Features: [b]age, x0," in told
    assert "x10 and 9 more." in told
    assert "It has seen every user of this log" in told


BAD = {
    "method": (["--method", "both"], ["method 'both' is not known"]),
    "option of the other": (["--scores", "dr"], ["--scores: for --method end-to-end only"]),
    "hidden": (["--learner", "neural", "--hidden", "8,x"], ["--hidden is '8,x'", "64,64, or none"]),
    "hidden of zero": (["--learner", "neural", "--hidden", "0"], ["--hidden is '0'"]),
    "share": (["--share", "2"], ["share is 2"]),
    "budget": (["--method", "end-to-end", "--budgets-per-user", "a"], ["--budgets-per-user has 'a'"]),
    "data": (["--data", "hilstrom"], ["Did you mean 'hillstrom'"]),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_arguments_get_one_message_exit_1_and_write_nothing(case: str, tmp_path: Path):
    arguments, words = BAD[case]
    assert_one_message(*earmark("fit", *arguments, "--out", str(tmp_path / "o")), words)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_anything_else_is_refused_before_the_fit(tmp_path: Path, run_folder: Path):
    assert_one_message(*earmark("fit", "--out", str(run_folder)), ["holds a run of `earmark demo`"])
    (tmp_path / "notes.txt").write_text("precious")
    assert_one_message(*earmark("fit", "--out", str(tmp_path)), ["is not a saved policy alone"])
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_second_fit_replaces_the_first_whole(tmp_path: Path):
    small = ["fit", "--data", "simulated", "--users", "300", "--out", str(tmp_path / "p")]
    assert earmark(*small)[0] == 0
    code, _, err = earmark(*small, "--learner", "neural", "--hidden", "none")
    assert code == 0, err
    named = {"policy.json", *json.loads((tmp_path / "p" / "policy.json").read_text())["files"]}
    assert {path.name for path in (tmp_path / "p").iterdir()} == named
    assert load_policy(tmp_path / "p").learner_.hidden == ()


def test_the_help_names_every_choice_and_needs_no_numerical_library():
    code = (
        "import sys\nfrom allocation.cli import app\n"
        "try:\n    app(['fit', '--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'numpy', 'pandas', 'lightgbm', 'sklearn', 'skops', 'torch', 'pyarrow'} & set(sys.modules)\n"
        "sys.exit(repr(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for word in ("--method", "end-to-end", "--learner", "improved_fd", "--no-gate", "--groups", "--share"):
        assert word in done.stdout


def evaluate(out: Path, *arguments: str) -> tuple[int, str, str]:
    return earmark("evaluate", "--bootstrap", "50", "--out", str(out), *arguments)


def test_a_saved_policy_is_refused_on_its_own_users_and_the_mend_works(half: tuple[Path, str, str], tmp_path: Path):
    ours = ["--policy", f"ours={half[0]}"]
    refused = evaluate(tmp_path / "o", *ours)
    words = ["1,411 of 2,825 users in the evaluation set trained policy 'ours'", "add --unseen", "the 1,414 users"]
    assert_one_message(*refused, words)
    assert not (tmp_path / "o").exists()
    code, printed, err = evaluate(tmp_path / "o", *ours, "--unseen")
    assert code == 0, err
    assert "1,414 held-out users" in " ".join(printed.split())


def test_unseen_fits_the_named_policies_on_the_same_users(half: tuple[Path, str, str], tmp_path: Path):
    """The same model fitted anew on the users whom the saved one has seen decides as the saved one."""
    code, _, err = evaluate(
        tmp_path / "o", "--policy", f"ours={half[0]}", "--unseen", "--policies", "mix,s", "--reference", "s"
    )
    assert code == 0, err
    assert "fitting two-stage S on 1,411 users" in err
    frame = pd.read_parquet(tmp_path / "o" / "evaluation.parquet")
    own, anew = (frame[frame["policy"] == name] for name in ("ours", "two-stage S"))
    assert own["same_decision"].all()
    assert_allclose(own["promised_value"], anew["promised_value"], rtol=0)


def test_the_half_of_the_same_seed_is_the_half_kept_unseen(half: tuple[Path, str, str], tmp_path: Path):
    """Beside policies fitted by name no --unseen is needed; with another seed the halves mix and it is refused."""
    ours = ["--policy", f"ours={half[0]}", "--policies", "mix"]
    code, _, err = evaluate(tmp_path / "o", *ours)
    assert code == 0, err
    assert_one_message(*evaluate(tmp_path / "p", *ours, "--seed", "1"), ["trained policy 'ours'", "--unseen"])
    assert_one_message(*evaluate(tmp_path / "p", *ours, "--splits", "2"), ["1,411 of 2,825", "--unseen"])


@pytest.fixture
def own(tmp_path: Path) -> list[str]:
    """The arguments of a log of its own in `log.parquet`."""
    log().to_parquet(tmp_path / "log.parquet")
    return ["--data", str(tmp_path / "log.parquet"), *DRAWN]


def test_what_a_saved_policy_cannot_be_evaluated_on(own: list[str], half: tuple[Path, str, str], tmp_path: Path):
    """Other arms, other features, all users seen, none seen to fit others on, a name taken, no folder of a policy."""
    out = tmp_path / "o"
    assert_one_message(*evaluate(out, *own, "--policy", f"ours={half[0]}"), ["policy 'ours' may give arm 'nothing'"])
    assert earmark("fit", *own, "--out", str(tmp_path / "p"))[0] == 0
    ours = ["--policy", f"ours={tmp_path / 'p'}"]
    swapped = [part.replace("age,visits", "visits,age") for part in own]
    assert_one_message(*evaluate(out, *swapped, *ours), ["fitted on the features age, visits; the log's are visits"])
    assert_one_message(*evaluate(out, *own, *ours), ["600 of 600 users", "none are left", "--share 0.5"])
    assert_one_message(*evaluate(out, *own, *ours, "--unseen"), ["--unseen leaves nobody to verify on: ours was"])
    log().assign(id=range(1000, 1600)).to_parquet(tmp_path / "log.parquet")
    words = ["--unseen leaves nobody to fit mix on: no user of this log trained ours"]
    assert_one_message(*evaluate(out, *own, *ours, "--unseen", "--policies", "mix"), words)
    assert_one_message(
        *evaluate(out, *own, "--policy", f"nobody={tmp_path / 'p'}"), ["a saved policy is named 'nobody'"]
    )
    assert_one_message(*evaluate(out, *own, *ours, "--decisions", "ours=x.csv"), ["x.csv does not exist"])
    assert_one_message(
        *evaluate(out, *own, "--policy", f"ours={tmp_path}"), ["holds no saved policy (no policy.json)"]
    )
    assert_one_message(*evaluate(out, *own, "--unseen"), ["none is given: --policy NAME=FOLDER"])
    words = ["--unseen verifies once", "3 splits"]
    assert_one_message(*evaluate(out, *own, *ours, "--unseen", "--policies", "s", "--splits", "3"), words)
    assert not out.exists()


def test_a_name_of_a_file_and_of_a_folder_is_refused(own: list[str], tmp_path: Path):
    BestMix().fit(Campaign.from_frame(log(), features=["age"], treatment="arm", value="spend")).save(tmp_path / "p")
    pd.DataFrame({"user_id": range(600), "arm": "mail"}).to_csv(tmp_path / "d.csv", index=False)
    twice = ["--policy", f"ours={tmp_path / 'p'}", "--decisions", f"ours={tmp_path / 'd.csv'}"]
    assert_one_message(*evaluate(tmp_path / "o", *own, *twice), ["both name 'ours'; give each policy a name"])


def test_a_log_without_ids_is_told_apart_as_far_as_that_goes(own: list[str], tmp_path: Path):
    """Row numbers of the same log count; those of another log say nothing, which is said."""
    numbered = own[: own.index("--user-id")] + own[own.index("--user-id") + 2 :]
    assert earmark("fit", *numbered, "--share", "0.5", "--out", str(tmp_path / "p"))[0] == 0
    ours = ["--policy", f"ours={tmp_path / 'p'}"]
    assert_one_message(*evaluate(tmp_path / "o", *numbered, *ours), ["of 600 users in the evaluation set trained"])
    code, printed, err = evaluate(tmp_path / "o", *own, *ours)
    assert code == 0, err
    assert "ours: whether it was fitted on users of this log cannot be known" in " ".join(printed.split())
