"""The `earmark` command: arguments in, one message on what is wrong, the table on the terminal."""

from __future__ import annotations

import sys
from io import TextIOWrapper
from typing import Annotated

import typer

from allocation.cli.app_command import show_app
from allocation.cli.decide_command import decide
from allocation.cli.demo_command import demo
from allocation.cli.evaluate_command import evaluate
from allocation.cli.export_command import export
from allocation.cli.fit_command import fit
from allocation.cli.frontier_command import frontier
from allocation.cli.inspect_command import inspect
from allocation.cli.predict_command import predict
from allocation.cli.recommend_command import recommend
from allocation.cli.simulate_command import simulate
from allocation.jobs.process import settle_process

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
# In the order in which they are used, each with a line that fits 80 columns.
app.command(short_help="The whole job on a randomised log, verified, with a report.")(demo)
app.command(short_help="A made-up log or table, whose truth is known, to try the rest on.")(simulate)
app.command(short_help="Fit a policy on a log.")(fit)
app.command(short_help="What policies are worth on held-out users, and how sure.")(evaluate)
app.command(short_help="Value and cost of every arm for every user, from a policy.")(predict)
app.command(short_help="What every budget would buy, at what price.")(frontier)
app.command(short_help="Decide for every user, within the budget and limits of a plan.")(decide)
app.command(short_help="Check decisions: checksums, totals, the budget, exactly.")(inspect)
app.command(short_help="Decisions as a CSV file that no spreadsheet executes.")(export)
app.command("app", short_help="Show a demo's run as a page in the browser.")(show_app)
app.add_typer(recommend, name="recommend")


def main() -> None:
    """Entry point of the console script."""
    for output in (sys.stdout, sys.stderr):
        if isinstance(output, TextIOWrapper):
            output.reconfigure(errors="replace")  # a terminal without some letters still shows the rest
    settle_process()
    app()


@app.callback(invoke_without_command=True)
def root(
    show_version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    """Decide which incentive each user gets under a budget, and prove what the decision is worth."""
    if show_version:
        from importlib.metadata import version

        typer.echo(f"earmark {version('earmark')}")
        raise typer.Exit
