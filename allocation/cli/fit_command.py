"""`earmark fit`: a policy from a log, kept in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from allocation.cli.nightly import Engine, Master
from allocation.cli.plumbing import Progress, number_list, one_message, printed
from allocation.cli.roles import (
    Control,
    Cost,
    Currency,
    Data,
    Features,
    Treatment,
    UserId,
    Users,
    Value,
    ValueName,
    roles_of,
)


def fit(
    data: Data = "thornton_hiv",
    method: Annotated[
        str,
        typer.Option(
            help="two-stage: predict value and cost of every arm, then solve the budget on the predictions. "
            "end-to-end: tune a net of the same kind for what its decisions are worth by the log.",
            metavar="NAME",
        ),
    ] = "two-stage",
    learner: Annotated[
        str | None,
        typer.Option(
            help="two-stage: the model of the response, of s, t, x, dr, forest, neural. [default: s]", metavar="NAME"
        ),
    ] = None,
    hidden: Annotated[
        str | None,
        typer.Option(
            help="The net (end-to-end, or --learner neural): widths of its hidden layers, with commas between, or "
            "none for a linear one. [default: 64,64]",
            metavar="NUMBERS",
        ),
    ] = None,
    scores: Annotated[
        str | None,
        typer.Option(
            help="end-to-end: how the log values a decision, dr (doubly robust) or ipw (inverse propensity). "
            "[default: dr]",
            metavar="NAME",
        ),
    ] = None,
    estimator: Annotated[
        str | None,
        typer.Option(
            help="end-to-end: the gradient of a decision, of softmax, improved_fd, finite_difference, nes. "
            "[default: softmax]",
            metavar="NAME",
        ),
    ] = None,
    budgets_per_user: Annotated[
        str | None,
        typer.Option(
            help="end-to-end: the budgets to tune for, money per user, no totals, with commas between. [default: "
            "three, at fixed shares of what deciding without a budget would cost]",
            metavar="NUMBERS",
        ),
    ] = None,
    no_gate: Annotated[
        bool,
        typer.Option(
            "--no-gate",
            help="end-to-end: keep the tuned model even where held-out users do not show that it gains.",
        ),
    ] = False,
    groups: Annotated[
        str | None,
        typer.Option(
            help="end-to-end, own log: column that counts each user's past behaviours; tail users are then not "
            "drowned by active ones.",
            metavar="COLUMN",
        ),
    ] = None,
    share: Annotated[
        float,
        typer.Option(
            help="Share of the users to fit on, drawn at random within each arm; the others stay unseen, so that "
            "`earmark evaluate --policy NAME=FOLDER --unseen` can verify the policy on them.",
            metavar="NUMBER",
        ),
    ] = 1.0,
    engine: Annotated[
        Engine,
        typer.Option(
            help="two-stage with --learner neural: local, or spark, by several processes on a cluster. The net is "
            "then the same up to the rounding of sums."
        ),
    ] = Engine.local,
    master: Master = None,
    processes: Annotated[
        int | None,
        typer.Option(min=1, help="Processes on Spark that share the work. [default: 2]", metavar="NUMBER"),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same decisions, byte for byte.", metavar="NUMBER")] = 0,
    users: Users = None,
    out: Annotated[Path, typer.Option(help="Folder for the policy, with manifest.json.", metavar="FOLDER")] = Path(
        "earmark-policy"
    ),
    json: Annotated[bool, typer.Option("--json", help="Print the manifest as JSON instead of sentences.")] = False,
    allow_mismatch: Annotated[
        bool,
        typer.Option(
            "--allow-mismatch",
            help="Go on although the propensities contradict the shares of the arms in the log: every weight and "
            "figure is then in doubt.",
        ),
    ] = False,
    treatment: Treatment = None,
    value: Value = None,
    features: Features = None,
    cost: Cost = None,
    control: Control = None,
    propensity: Annotated[
        str | None,
        typer.Option(
            help="Own log: arm=probability,arm=probability (or columns instead of numbers), or 'arm shares' for a "
            "log in which every user had the same chances, which two-stage takes for granted where it is left out.",
            metavar="PAIRS",
        ),
    ] = None,
    user_id: UserId = None,
    cluster: Annotated[
        str | None,
        typer.Option(
            help="Own log: column of each user's group, such as a household; --share then draws whole groups.",
            metavar="COLUMN",
        ),
    ] = None,
    value_name: ValueName = None,
    currency: Currency = None,
) -> None:
    """Fit a policy on a log and keep it in a folder, for `earmark evaluate --policy NAME=FOLDER`.

    From Python, allocation.load_policy(folder) reads it.
    """
    with one_message(), Progress() as progress:
        from allocation.jobs.fit_job import run_fit
        from allocation.jobs.fit_output import check_folder, write_fit
        from allocation.jobs.fit_plan import FitPlan

        out = check_folder(out)
        roles = roles_of(
            {
                "treatment": treatment,
                "value": value,
                "features": features,
                "cost": cost,
                "control": control,
                "propensity": propensity,
                "user_id": user_id,
                "cluster": cluster,
                "currency": currency,
                "value_name": value_name,
            }
        )
        plan = FitPlan(
            data=data,
            method=method,
            learner=learner,
            hidden=_widths(hidden),
            scores=scores,
            estimator=estimator,
            budgets_per_user=number_list(budgets_per_user, "budgets-per-user"),
            gate=not no_gate,
            groups=groups,
            share=share,
            seed=seed,
            users=users,
            allow_mismatch=allow_mismatch,
            roles=roles,
            engine=engine.value,
            master=master,
            processes=processes,
        )
        result = run_fit(plan, progress.step)
        progress.step(f"writing {out}")
        write_fit(result, out)
    with printed(out):
        if json:
            from allocation.jobs.summary import MANIFEST

            typer.echo((out / MANIFEST).read_text(encoding="utf-8"), nl=False)
        else:
            from allocation.jobs.fit_terminal import print_fit

            print_fit(result, out)


def _widths(text: str | None) -> tuple[int, ...] | None:
    """`64,64` as numbers, `none` as no layer; None where nothing was given."""
    if text is None or text.strip() == "none":
        return None if text is None else ()
    from uplift.errors import InputError

    try:
        widths = tuple(int(part) for part in text.split(","))
    except ValueError:
        widths = ()
    if not widths or min(widths) < 1:
        raise InputError(
            f"--hidden is {text!r}; widths of layers with commas between are expected, such as 64,64, or none"
        )
    return widths
