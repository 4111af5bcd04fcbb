"""`earmark recommend fit | evaluate | top`: output, files, messages, and nothing half written."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.allocation.test_cli import assert_one_message
from tests.allocation.test_cli_fit import earmark
from tests.uplift.recommender import tiny
from uplift.recommender import Interactions, RecommenderSettings, leave_last_out, user_features
from uplift.recommender.saved import load_recommender
from uplift.recommender.top import top_items

LOG = Interactions.from_frame(tiny.frame(120), order="t")
QUICK = ["--epochs", "2", "--width", "4", "--strata", "2", "--order", "t", "--no-plugins"]


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, str, str]:
    """A fit on a small log: its folder, the log, what it printed and its progress."""
    home = tmp_path_factory.mktemp("recommend")
    tiny.frame(120).to_parquet(home / "log.parquet")
    code, printed, err = earmark("recommend", "fit", str(home / "log.parquet"), *QUICK, "--out", str(home / "r"))
    assert code == 0, err
    return home / "r", home / "log.parquet", printed, err


def test_it_says_what_was_fitted_on_what_and_how_far_it_is(fitted: tuple[Path, Path, str, str]):
    _, _, printed, err = fitted
    assert "log.parquet: sasrec fitted in" in printed
    assert "120 users, 20 items" in printed
    assert f"earmark recommend evaluate {fitted[0]} {fitted[1]}\n" in printed
    assert max(len(line) for line in printed.splitlines() if str(fitted[0]) not in line) <= 80
    assert "backbone: epoch 2 of 2 done, loss" in err
    assert "NDCG@10" in err


def test_the_folder_holds_the_recommender_and_how_it_was_made(fitted: tuple[Path, Path, str, str]):
    saved = load_recommender(fitted[0])
    assert saved.recommender.settings.trainer.epochs == 2
    assert saved.recommender.settings.plugin_trainer is None
    assert saved.recommender.calibration is not None
    saved.check_log(Interactions.from_frame(tiny.frame(120), order="t"))
    manifest = json.loads((fitted[0] / "manifest.json").read_text())
    assert manifest["command"] == "recommend fit"
    assert (manifest["plan"]["order"], manifest["plan"]["width"]) == ("t", 4)
    assert (manifest["input"]["events"], manifest["split"]["test_queries"]) == (
        len(tiny.frame(120)),
        len(leave_last_out(LOG).test),
    )


def test_a_fit_by_time_from_csv_with_names_of_its_own(tmp_path: Path):
    tiny.frame(120).rename(columns={"user": "who", "item": "what"}).to_csv(tmp_path / "log.csv", index=False)
    named = ["--user", "who", "--item", "what", "--split", "time", "--validation-from", "4", "--test-from", "7"]
    told = ["--loss", "pointwise", "--backbone", "gru4rec", "--rule", "pcgrad", "--weights", "users", "--no-memory"]
    folder = tmp_path / "r"
    code, printed, err = earmark(
        "recommend", "fit", str(tmp_path / "log.csv"), *QUICK, *named, *told, "--json", "--out", str(folder)
    )
    assert code == 0, err
    assert printed == (folder / "manifest.json").read_text()
    saved = load_recommender(folder)
    settings = saved.recommender.settings
    assert (settings.backbone, settings.loss.name, settings.loss.negatives) == ("gru4rec", "pointwise", 4)
    assert (settings.trainer.rule, settings.trainer.weights, settings.memory) == ("pcgrad", "users", False)
    assert str(saved.split) == "by time, validation from 4, test from 7"
    code, printed, err = earmark("recommend", "evaluate", str(folder), str(tmp_path / "log.csv"))
    assert code == 0, err
    assert "recommender minus" in printed


def test_it_is_judged_beside_its_backbone_last_item_and_popularity(fitted: tuple[Path, Path, str, str]):
    folder, log, *_ = fitted
    code, printed, err = earmark("recommend", "evaluate", str(folder), str(log))
    assert code == 0, err
    assert "recommender backbone alone      last item     popularity" in printed
    assert "popularity, tail" in printed
    # On a ring the last item is never beaten; the memory knows it too, and a net of four dimensions does not.
    assert "- recommender against last item: no difference at all for tail and head users\n" in printed
    assert "- recommender against backbone alone: better for tail and head users" in printed
    assert max(map(len, printed.splitlines())) <= 80
    code, printed, _ = earmark("recommend", "evaluate", str(folder), str(log), "--json")
    found = json.loads(printed)
    assert len(found["verdicts"]) == 2
    assert found["queries"] == len(leave_last_out(LOG).test)
    of = {(v["model"], v["metric"]): v["estimate"] for v in found["values"] if v["group"] == "all"}
    for row in found["differences"]:
        if row["group"] == "all":
            expected = of["recommender", row["metric"]] - of[row["against"], row["metric"]]
            assert row["difference"] == pytest.approx(expected, abs=1e-12)
    # On a ring every next item is the one that followed before: nothing beats the last item.
    assert of["last item", "recall@5"] == pytest.approx(1)


def test_another_log_is_refused_by_evaluate(fitted: tuple[Path, Path, str, str], tmp_path: Path):
    tiny.frame(120).iloc[1:].to_parquet(tmp_path / "other.parquet")
    words = ["is not the one that the recommender was fitted on"]
    assert_one_message(*earmark("recommend", "evaluate", str(fitted[0]), str(tmp_path / "other.parquet")), words)


def test_top_answers_new_users_and_counts_what_it_does_not_know(fitted: tuple[Path, Path, str, str], tmp_path: Path):
    rows = [("new", "i3", 0), ("new", "i4", 1), ("odd", "other", 0), ("odd", "other", 1), ("both", "x", 0)]
    more = pd.DataFrame([*rows, ("both", "i9", 1)], columns=["user", "item", "t"])
    pd.concat([tiny.frame(120), more]).to_parquet(tmp_path / "log.parquet")
    files = [tmp_path / "top.parquet", tmp_path / "features.parquet"]
    out = ["--out", str(files[0]), "--features", str(files[1]), "--n", "3"]
    code, printed, err = earmark("recommend", "top", str(fitted[0]), str(tmp_path / "log.parquet"), *out)
    assert code == 0, err
    assert "left out: 3 events of 2 users, with items that were not in the log of the fit" in err
    assert "answered by popularity: 1 user without any event left" in err
    assert "369 rows for 123 users" in printed
    top, features = map(pd.read_parquet, files)
    assert list(top.columns) == ["user_id", "rank", "item_id", "score", "from"]
    assert set(top.loc[top["from"] == "popularity", "user_id"]) == {"odd"}
    assert not set(top.loc[top["user_id"] == "new", "item_id"]) & {"i3", "i4"}
    saved = load_recommender(fitted[0])
    own = top_items(saved.recommender, LOG.histories, n=3)
    old = top[top["user_id"].isin(LOG.user_id)]
    assert old["item_id"].tolist() == saved.item_id[own.item.ravel() - 1].tolist()
    assert features.loc[~features["known"], "user_id"].tolist() == ["odd"]
    popularity = np.sort(saved.recommender.popularity)[-10:].sum()  # ten items, however many are shown
    assert features.loc[~features["known"], "engagement"].tolist() == pytest.approx([popularity])
    calibrated = user_features(saved.recommender, LOG.histories, LOG.user_id)
    both = features.merge(calibrated, on="user_id")
    assert both["engagement_x"].tolist() == pytest.approx(both["engagement_y"].tolist())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["features.parquet", "log.parquet", "top.parquet"]


def test_seen_items_can_be_ranked_and_the_answer_replaces_an_earlier_one(
    fitted: tuple[Path, Path, str, str], tmp_path: Path
):
    out = ["--out", str(tmp_path / "top.parquet")]
    for seen, rows in (("ranked", 120 * 20), ("excluded", 120 * 20 - len(tiny.frame(120)))):
        arguments = [str(fitted[0]), str(fitted[1]), *out, "--n", "20", "--seen", seen]
        code, _, err = earmark("recommend", "top", *arguments)
        assert code == 0, err
        assert len(pd.read_parquet(tmp_path / "top.parquet")) == rows


def test_dropped_duplicates_are_dropped_again_by_top(tmp_path: Path):
    twice = pd.concat([tiny.frame(120), tiny.frame(120)])
    twice.to_parquet(tmp_path / "log.parquet")
    log, folder = str(tmp_path / "log.parquet"), str(tmp_path / "r")
    code, printed, err = earmark("recommend", "fit", log, *QUICK, "--duplicates", "drop", "--out", folder)
    assert code == 0, err
    assert f"{len(tiny.frame(120)):,} repeated rows were dropped." in printed
    assert earmark("recommend", "top", folder, log, "--out", str(tmp_path / "top.parquet"))[0] == 0
    saved = load_recommender(folder)
    codes = top_items(saved.recommender, LOG.histories).item.ravel()
    found = pd.read_parquet(tmp_path / "top.parquet")["item_id"].tolist()
    assert found == saved.item_id[codes[codes > 0] - 1].tolist()


def test_numbered_items_are_known_in_a_csv_file_too(tmp_path: Path):
    numbered = tiny.frame(120).assign(item=lambda f: f["item"].str[1:].astype("int16"))
    numbered.to_parquet(tmp_path / "log.parquet")
    numbered.to_csv(tmp_path / "log.csv", index=False)
    folder = str(tmp_path / "r")
    assert earmark("recommend", "fit", str(tmp_path / "log.parquet"), *QUICK, "--out", folder)[0] == 0
    for kind in ("parquet", "csv"):
        out = ["--out", str(tmp_path / f"{kind}.top.parquet")]
        code, _, err = earmark("recommend", "top", folder, str(tmp_path / f"log.{kind}"), *out)
        assert (code, "left out" in err) == (0, False)
    tables = [pd.read_parquet(tmp_path / f"{kind}.top.parquet") for kind in ("parquet", "csv")]
    pd.testing.assert_frame_equal(*tables)
    assert tables[0]["item_id"].dtype == "int16"


BAD = {
    "split": (["--split", "both"], ["--split is 'both'"]),
    "bounds missing": (["--split", "time", "--test-from", "3"], ["--split time needs both"]),
    "bounds for last": (["--test-from", "3"], ["are for --split time only"]),
    "backbone": (["--backbone", "sasrek"], ["Did you mean 'sasrec'"]),
    "loss": (["--loss", "hinge"], ["there is no loss 'hinge'"]),
    "rule": (["--rule", "pcgrat"], ["Did you mean 'pcgrad'"]),
    "weights": (["--weights", "events"], ["weights is 'events'"]),
    "epochs": (["--epochs", "0"], ["epochs is 0"]),
    "column": (["--item", "thing"], ["item column 'thing' is not in the table"]),
    "duplicates": (["--duplicates", "skip"], ["duplicates is 'skip'"]),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_arguments_of_a_fit_get_one_message_and_write_nothing(
    case: str, fitted: tuple[Path, Path, str, str], tmp_path: Path
):
    arguments, words = BAD[case]
    result = earmark("recommend", "fit", str(fitted[1]), *QUICK, *arguments, "--out", str(tmp_path / "o"))
    assert_one_message(*result, words)
    assert list(tmp_path.iterdir()) == []


def test_files_of_somebody_else_are_not_written_over(fitted: tuple[Path, Path, str, str], tmp_path: Path):
    folder, log = str(fitted[0]), str(fitted[1])
    before = fitted[1].read_bytes()
    for arguments, words in (
        (["--out", log], ["would be lost, and earmark has not written it"]),
        (["--out", str(tmp_path / "top.csv")], ["the name of a Parquet file is expected"]),
        (["--out", str(tmp_path / "no" / "top.parquet")], ["is no folder that may be written to"]),
        (["--out", str(tmp_path / "a.parquet"), "--features", str(tmp_path / "a.parquet")], ["are both"]),
        (["--out", str(tmp_path / "a.parquet"), "--n", "0"], ["n is 0"]),
    ):
        assert_one_message(*earmark("recommend", "top", folder, log, *arguments), words)
    assert fitted[1].read_bytes() == before
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "notes.txt").write_text("precious")
    assert_one_message(
        *earmark("recommend", "fit", log, *QUICK, "--out", str(tmp_path)), ["is not a saved recommender alone"]
    )


def test_help_states_the_defaults_that_are_used():
    told, settings = " ".join(earmark("recommend", "fit", "--help")[1].split()), RecommenderSettings()
    trainer = settings.trainer
    for default in (settings.backbone, settings.loss.name, settings.n_strata, trainer.rule, trainer.weights, 16, 64):
        assert (trainer.epochs, settings.width) == (16, 64)
        assert f"[default: {default}]" in told
    assert f"{settings.loss.name} ({settings.loss.negatives:,} negatives)" in told


def test_help_does_not_wait_for_torch():
    probe = (
        "import sys; from typer.testing import CliRunner; from allocation.cli import app; "
        "assert CliRunner().invoke(app, ['recommend', 'fit', '--help']).exit_code == 0; "
        "print(sorted({'torch', 'pandas', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
