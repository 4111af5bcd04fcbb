"""`earmark evaluate`: what policies are worth on held-out users, beside each other."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from allocation.cli.plumbing import Progress, named_files, number_list, one_message, printed, split_names
from allocation.cli.roles import (
    Control,
    Cost,
    Currency,
    Data,
    Features,
    Json,
    Treatment,
    UserId,
    Users,
    Value,
    ValueName,
    roles_of,
)


def evaluate(
    data: Data = "thornton_hiv",
    policies: Annotated[
        str | None,
        typer.Option(
            help="Policies to fit, with commas between: nobody, single (best single arm), mix (best mix of arms), "
            "random, outcome (outcome targeting), s, t, x, dr, forest, neural (two-stage with that learner), "
            "end-to-end. [default: nobody,single,mix,random,outcome,s,t,dr; none where --policy or files of policies "
            "are given]",
            metavar="NAMES",
        ),
    ] = None,
    policy: Annotated[
        list[str] | None,
        typer.Option(
            help="A policy that `earmark fit` or policy.save wrote, for a log with its arms and features. It is "
            "refused on users whom it was fitted on. May be given several times.",
            metavar="NAME=FOLDER",
        ),
    ] = None,
    unseen: Annotated[
        bool,
        typer.Option(
            "--unseen",
            help="Verify on those users alone on whom no --policy was fitted; --policies are then fitted on the "
            "others.",
        ),
    ] = False,
    decisions: Annotated[
        list[str] | None,
        typer.Option(
            help="A policy that somebody else made: .parquet or .csv with user_id and arm for every user verified "
            "on, and expected_value and expected_cost where it promises any. The budget is not looked at. May be "
            "given several times.",
            metavar="NAME=FILE",
        ),
    ] = None,
    responses: Annotated[
        list[str] | None,
        typer.Option(
            help="Predictions that somebody else made, solved here at every budget: .parquet or .csv with user_id "
            "and value.<arm>, cost.<arm> for every arm. May be given several times.",
            metavar="NAME=FILE",
        ),
    ] = None,
    budgets_per_user: Annotated[
        str | None,
        typer.Option(
            help="Money per user, no totals, with commas between. [default: 1/4, 1/2, 1, 1.5 and 2 times a budget "
            "set by the data, half-way from control to the dearest arm for your own log]",
            metavar="NUMBERS",
        ),
    ] = None,
    splits: Annotated[
        int,
        typer.Option(
            min=1,
            help="How often to split the users at random into a half to fit on and a half to verify on; above 1 the "
            "figures are averages over the splits.",
            metavar="NUMBER",
        ),
    ] = 1,
    estimator: Annotated[
        str,
        typer.Option(
            help="The estimator that is shown, of ipw, sn, dr, switch, clipped; all of them are written.",
            metavar="NAME",
        ),
    ] = "dr",
    reference: Annotated[
        str | None,
        typer.Option(
            help="The policy that the others are compared with. [default: at each budget the rule of thumb of "
            "highest verified value: nobody, single, mix, random or outcome; without any the first policy]",
            metavar="NAME",
        ),
    ] = None,
    level: Annotated[float, typer.Option(help="Of the intervals.", metavar="NUMBER")] = 0.95,
    bootstrap: Annotated[
        int, typer.Option(help="Resamples of users behind the intervals of a single split.", metavar="NUMBER")
    ] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same figures, byte for byte.", metavar="NUMBER")] = 0,
    users: Users = None,
    out: Annotated[
        Path,
        typer.Option(
            help="Folder for evaluation.parquet and .csv, charts/, report.html, manifest.json.", metavar="FOLDER"
        ),
    ] = Path("earmark-evaluation"),
    json: Json = False,
    allow_mismatch: Annotated[
        bool,
        typer.Option(
            "--allow-mismatch",
            help="Go on although the propensities contradict the shares of the arms in the log: every verified "
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
            "log in which every user had the same chances. Without it nothing can be verified.",
            metavar="PAIRS",
        ),
    ] = None,
    user_id: UserId = None,
    cluster: Annotated[
        str | None,
        typer.Option(
            help="Own log: column of each user's group, such as a household, where users of a group may be alike or "
            "were assigned together; intervals then count groups.",
            metavar="COLUMN",
        ),
    ] = None,
    value_name: ValueName = None,
    currency: Currency = None,
) -> None:
    """Say what policies are worth on held-out users of a randomised log, how sure, and against which alternative.

    Fits the named policies on one half of the users, lets them decide for the other half at every budget, and
    verifies there: value, spend, and the paired difference to a reference, with intervals that state how many
    comparisons were made.
    """
    with one_message(), Progress() as progress:
        from allocation.jobs.evaluation_job import run_evaluation
        from allocation.jobs.evaluation_output import check_folder, write_evaluation
        from allocation.jobs.evaluation_plan import EvaluationPlan

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
        plan = EvaluationPlan(
            data=data,
            policies=None if policies is None else tuple(split_names(policies) or ()),
            saved=named_files(policy, "policy", "FOLDER", "earmark-policy"),
            unseen=unseen,
            decisions=named_files(decisions, "decisions"),
            responses=named_files(responses, "responses"),
            budgets_per_user=number_list(budgets_per_user, "budgets-per-user"),
            splits=splits,
            estimator=estimator,
            reference=reference,
            level=level,
            n_bootstrap=bootstrap,
            seed=seed,
            users=users,
            allow_mismatch=allow_mismatch,
            roles=roles,
        )
        result = run_evaluation(plan, progress.step)
        progress.step(f"writing {out}")
        write_evaluation(result, out)
    with printed(out):
        if json:
            from allocation.jobs.summary import MANIFEST

            typer.echo((out / MANIFEST).read_text(encoding="utf-8"), nl=False)
        else:
            from allocation.jobs.evaluation_terminal import print_evaluation

            print_evaluation(result, out)
