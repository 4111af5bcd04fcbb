"""`earmark demo`: the main job on a randomised log."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from allocation.cli.plumbing import Progress, one_message, printed
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

if TYPE_CHECKING:
    from allocation.jobs.demo import DemoResult


def demo(
    data: Data = "thornton_hiv",
    users: Users = None,
    budget_per_user: Annotated[
        float | None,
        typer.Option(
            help="Money per user at which decisions are written (50,000 for 40,000 users is 1.25). The curve "
            "has 1/4, 1/2, 1, 1.5 and 2 times what it holds above the cost of control. [default: set by the data; "
            "for your own log half-way from control to the dearest arm for everybody]",
            metavar="NUMBER",
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option(help="Folder for the decisions, the report, and what the app reads.", metavar="FOLDER")
    ] = Path("earmark-demo"),
    end_to_end: Annotated[
        bool,
        typer.Option(
            "--end-to-end", help="Fit the model trained for the decision too: half a minute for some thousand users."
        ),
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same decisions, byte for byte.", metavar="NUMBER")] = 0,
    json: Json = False,
    treatment: Treatment = None,
    value: Value = None,
    features: Features = None,
    cost: Cost = None,
    control: Control = None,
    propensity: Annotated[
        str | None,
        typer.Option(
            help="Own log: arm=probability,arm=probability (or columns instead of numbers). Left out: the shares of "
            "the arms in the log, right only if every user had the same chances.",
            metavar="PAIRS",
        ),
    ] = None,
    user_id: UserId = None,
    value_name: ValueName = None,
    currency: Currency = None,
) -> None:
    """Run the main job end to end on a randomised log and show what every policy is worth.

    Fits on one half of the users, solves the budget for the other half at up to five budgets, and verifies there:
    promised value, verified value and spend, and the paired difference to the best baseline, with 95% intervals.
    """
    with one_message(), Progress() as progress:
        from allocation.jobs.demo import DemoPlan, run_demo
        from allocation.jobs.output import check_folder, write_demo

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
                "currency": currency,
                "value_name": value_name,
            }
        )
        plan = DemoPlan(data, users, budget_per_user, seed, roles=roles, end_to_end=end_to_end)
        result = run_demo(plan, progress.step)
        progress.step(f"writing {out}")
        write_demo(result, out)
    with printed(out):
        _show(result, out, as_json=json)


def _show(result: DemoResult, out: Path, *, as_json: bool) -> None:
    """The manifest as JSON, or the table and the verdict."""
    from allocation.jobs.output import REPORT
    from allocation.jobs.summary import MANIFEST

    if as_json:
        typer.echo((out / MANIFEST).read_text(encoding="utf-8"), nl=False)
        return
    from allocation.jobs.terminal import print_result

    print_result(result.summary(), out / REPORT)
