"""`earmark recommend fit | evaluate | top`: a recommender from an interaction log, judged, and its best items."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from allocation.cli.plumbing import Progress, one_message, printed

if TYPE_CHECKING:
    from uplift.recommender.log_split import SplitBy
    from uplift.recommender.recommender import RecommenderSettings

recommend = typer.Typer(
    no_args_is_help=True, help="Recommend items from an interaction log: fit, evaluate, and each user's best items."
)

Log = Annotated[Path, typer.Argument(help="The interaction log, .parquet or .csv, one row an event.", metavar="LOG")]
Folder = Annotated[Path, typer.Argument(help="The folder that `earmark recommend fit` wrote.", metavar="FOLDER")]
REPEATED = "What a row with the user, item and order of an earlier one is: keep (an event), drop or refuse."
OF_FIT = "[default: that of the fit]"
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of sentences.")]


@recommend.command(short_help="Fit a recommender and keep it in a folder.")
def fit(
    log: Log,
    out: Annotated[
        Path,
        typer.Option(help="New or empty folder; a recommender saved there is replaced.", metavar="FOLDER"),
    ],
    user: Annotated[str, typer.Option(help="Column of the user.", metavar="COLUMN")] = "user",
    item: Annotated[str, typer.Option(help="Column of the item.", metavar="COLUMN")] = "item",
    order: Annotated[
        str | None,
        typer.Option(
            help="Column that says when, numbers or datetimes. [default: the order of the rows]", metavar="COLUMN"
        ),
    ] = None,
    duplicates: Annotated[str, typer.Option(help=REPEATED, metavar="NAME")] = "keep",
    split: Annotated[
        str,
        typer.Option(
            help="last: each user's last event tests and the one before it validates. time: what users did first "
            "from --test-from on tests, from --validation-from on validates.",
            metavar="NAME",
        ),
    ] = "last",
    validation_from: Annotated[
        str | None, typer.Option(help="--split time: a number or a date such as 2024-03-01.", metavar="WHEN")
    ] = None,
    test_from: Annotated[str | None, typer.Option(help="--split time: as above, and later.", metavar="WHEN")] = None,
    backbone: Annotated[
        str | None, typer.Option(help="The net: sasrec, gru4rec or din. [default: sasrec]", metavar="NAME")
    ] = None,
    loss: Annotated[
        str | None,
        typer.Option(
            help="sampled_softmax (1,024 negatives), softmax, or pointwise (4). [default: sampled_softmax]",
            metavar="NAME",
        ),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(help="Epochs of the backbone. [default: 16]", metavar="NUMBER")
    ] = None,
    width: Annotated[
        int | None, typer.Option(help="Dimensions of the item vectors. [default: 64]", metavar="NUMBER")
    ] = None,
    strata: Annotated[
        int | None, typer.Option(help="Groups of users by activeness. [default: 5]", metavar="NUMBER")
    ] = None,
    rule: Annotated[
        str | None,
        typer.Option(
            help="How the groups' gradients become one: erm (joint training), balanced, gradient_aggregation, "
            "pcgrad, mgda and more. [default: erm]",
            metavar="NAME",
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(help="How a group counts in the rule: samples or users. [default: samples]", metavar="NAME"),
    ] = None,
    no_plugins: Annotated[bool, typer.Option("--no-plugins", help="Train no plugin for any group.")] = False,
    no_memory: Annotated[bool, typer.Option("--no-memory", help="Weigh in no transitions of the log.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same recommender.", metavar="NUMBER")] = 0,
    json: Json = False,
) -> None:
    """Fit a recommender on an interaction log and keep it in a folder; test events stay unseen.

    From Python, uplift.recommender.saved.load_recommender(folder) reads it.
    """
    with one_message(), Progress() as progress:
        from allocation.jobs.recommend_fit import RecommendPlan, check_folder, run_recommend_fit, write_recommend_fit
        from allocation.jobs.recommend_log import LogColumns

        out = check_folder(out)
        columns = LogColumns(user, item, order, duplicates)
        settings = _settings(
            {"backbone": backbone, "width": width, "n_strata": strata},
            {"epochs": epochs, "rule": rule, "weights": weights},
            loss,
            no_plugins,
            no_memory,
            seed,
        )
        plan = RecommendPlan(str(log), columns, _split_by(split, validation_from, test_from), settings)
        result = run_recommend_fit(plan, progress.step)
        progress.step(f"writing {out}")
        write_recommend_fit(result, out)
    with printed(out):
        if json:
            from allocation.jobs.summary import MANIFEST

            typer.echo((out / MANIFEST).read_text(encoding="utf-8"), nl=False)
        else:
            from allocation.jobs.recommend_terminal import print_recommend_fit

            print_recommend_fit(result, out)


@recommend.command(short_help="Judge a recommender on the test events of its log.")
def evaluate(
    folder: Folder,
    log: Log,
    json: Json = False,
) -> None:
    """Rank the test events of the log of the fit: the recommender beside its backbone, last item and popularity.

    Any other log is refused.
    """
    with one_message(), Progress() as progress:
        from allocation.jobs.recommend_evaluate import run_recommend_evaluate
        from allocation.jobs.recommend_log import columns_of

        result = run_recommend_evaluate(folder, log, columns_of(folder), progress.step)
    with printed("no file"):
        if json:
            from allocation.jobs.manifest import text

            typer.echo(text(result.as_json()), nl=False)
        else:
            from allocation.jobs.recommend_terminal import evaluation_text

            typer.echo("\n" + evaluation_text(result))


@recommend.command(short_help="Write the best items of each user to Parquet.")
def top(
    folder: Folder,
    log: Log,
    out: Annotated[
        Path, typer.Option(help="Parquet file: user_id, rank, item_id, score, from, a row an item.", metavar="FILE")
    ],
    n: Annotated[int, typer.Option("--n", help="Items for each user.", metavar="NUMBER")] = 10,
    seen: Annotated[
        str, typer.Option(help="Items that the user had before: excluded, or ranked with the rest.", metavar="NAME")
    ] = "excluded",
    features: Annotated[
        Path | None,
        typer.Option(
            help="Parquet file: user_id, the user's vector and the predicted engagement: features for a campaign.",
            metavar="FILE",
        ),
    ] = None,
    user: Annotated[str | None, typer.Option(help=f"Column of the user. {OF_FIT}", metavar="COLUMN")] = None,
    item: Annotated[str | None, typer.Option(help=f"Column of the item. {OF_FIT}", metavar="COLUMN")] = None,
    order: Annotated[str | None, typer.Option(help=f"Column that says when. {OF_FIT}", metavar="COLUMN")] = None,
    duplicates: Annotated[str | None, typer.Option(help=f"{REPEATED} {OF_FIT}", metavar="NAME")] = None,
) -> None:
    """Write the best items of every user of a log, which may have new users and events.

    Events with items that the fit did not see are left out.
    """
    with one_message(), Progress() as progress:
        from allocation.jobs.parquet_files import checked_file, write_frames
        from allocation.jobs.recommend_log import columns_of
        from allocation.jobs.recommend_top import run_recommend_top
        from uplift.errors import InputError

        out = checked_file(out, "--out")
        features = None if features is None else checked_file(features, "--features")
        if features == out:
            raise InputError(f"--out and --features are both {out}; give each a file of its own")
        given = {"user": user, "item": item, "order": order, "duplicates": duplicates}
        columns = columns_of(folder).but(given)
        result = run_recommend_top(
            folder, log, columns, n=n, seen=seen, features=features is not None, progress=progress.step
        )
        progress.step(f"writing {out}")
        frames = {out: result.top}
        if features is not None and result.features is not None:
            frames[features] = result.features
        write_frames(frames)
    for note in result.notes:
        typer.echo(note, err=True)
    with printed(out):
        typer.echo(f"{len(result.top):,} rows for {result.users:,} users: {out}")
        if features is not None:
            typer.echo(f"Features of {result.users:,} users: {features}")


def _settings(
    given: dict[str, Any], of_trainer: dict[str, Any], loss: str | None, no_plugins: bool, no_memory: bool, seed: int
) -> RecommenderSettings:
    """The defaults, with what was given."""
    from dataclasses import replace

    from uplift.recommender.losses import Loss
    from uplift.recommender.recommender import RecommenderSettings

    settings = RecommenderSettings(seed=seed, **{name: value for name, value in given.items() if value is not None})
    trainer = replace(settings.trainer, **{name: value for name, value in of_trainer.items() if value is not None})
    settings = replace(settings, trainer=trainer)
    if loss is not None and loss != settings.loss.name:
        settings = replace(settings, loss=Loss(loss, 4 if loss == "pointwise" else 1024))
    if no_plugins:
        settings = replace(settings, plugin_trainer=None)
    return replace(settings, memory=False) if no_memory else settings


def _split_by(split: str, validation_from: str | None, test_from: str | None) -> SplitBy:
    """`--split` with its bounds."""
    from uplift.errors import InputError, nearest
    from uplift.recommender.log_split import SplitBy

    if split not in ("last", "time"):
        raise InputError(f"--split is {split!r}.{nearest(split, ('last', 'time'))}")
    bounds = [_number_or_text(bound) for bound in (validation_from, test_from)]
    if split == "time" and None in bounds:
        raise InputError("--split time needs both --validation-from and --test-from")
    if split == "last" and bounds != [None, None]:
        raise InputError("--validation-from and --test-from are for --split time only; add it, or leave them out")
    return SplitBy(*bounds)


def _number_or_text(text: str | None) -> float | str | None:
    for kind in (int, float):
        try:
            return None if text is None else kind(text)
        except ValueError:
            pass
    return text
