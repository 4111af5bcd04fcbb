"""The `earmark` command: arguments in, one message on what is wrong, the table on the terminal."""

from __future__ import annotations

import os
import sys
import time
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Self

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from allocation.jobs.demo import DemoResult

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """Entry point of the console script."""
    for output in (sys.stdout, sys.stderr):
        if isinstance(output, TextIOWrapper):
            output.reconfigure(errors="replace")  # a terminal without some letters still shows the rest
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


@app.command()
def demo(
    data: Annotated[
        str,
        typer.Option(
            help="thornton_hiv, hillstrom, simulated, or the path of your own .parquet or .csv log.",
            metavar="NAME|FILE",
        ),
    ] = "thornton_hiv",
    users: Annotated[
        int | None,
        typer.Option(
            help="Use a random sample of this many users [default: all]; for simulated: how many to make [20,000]."
        ),
    ] = None,
    budget_per_user: Annotated[
        float | None,
        typer.Option(
            help="Money per user at which decisions are written (50,000 for 40,000 users is 1.25). The curve "
            "has 1/4, 1/2, 1, 1.5 and 2 times what it holds above the cost of control. [default: set by the data; "
            "for your own log half-way from control to the dearest arm for everybody]"
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for decisions.parquet, manifest.json, report.html.")] = Path(
        "earmark-demo"
    ),
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same decisions, byte for byte.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print the manifest as JSON instead of the table.")] = False,
    treatment: Annotated[str | None, typer.Option(help="Own log: column of the arm each user received.")] = None,
    value: Annotated[str | None, typer.Option(help="Own log: column of the outcome.")] = None,
    features: Annotated[
        str | None,
        typer.Option(help="Own log: columns of numbers known before the campaign, with commas between."),
    ] = None,
    cost: Annotated[
        str | None,
        typer.Option(
            help="Own log: column of the money spent, or arm=cost,arm=cost for every arm (quote names with spaces)."
        ),
    ] = None,
    control: Annotated[
        str | None, typer.Option(help="Own log: the arm that means no treatment. [default: none]")
    ] = None,
    propensity: Annotated[
        str | None,
        typer.Option(
            help="Own log: arm=probability,arm=probability (or columns instead of numbers). Left out: the shares of "
            "the arms in the log, right only if every user had the same chances."
        ),
    ] = None,
    user_id: Annotated[str | None, typer.Option(help="Own log: column of unique user ids.")] = None,
    value_name: Annotated[
        str | None, typer.Option(help="Own log: what one unit of value is, such as 'revenue in EUR'.")
    ] = None,
    currency: Annotated[str | None, typer.Option(help="Own log: what money is in, such as EUR.")] = None,
) -> None:
    """Run the main job end to end on a randomised log and show what every policy is worth.

    Fits on one half of the users, solves the budget for the other half at up to five budgets, and verifies there:
    promised value, verified value and spend, and the paired difference to the best baseline, with 95% intervals.
    """
    with one_message(), Progress() as progress:
        from allocation.jobs.demo import DemoPlan, run_demo
        from allocation.jobs.output import check_folder, write_demo

        out = check_folder(out)
        roles = {
            "treatment": treatment,
            "value": value,
            "features": split_names(features),
            "cost": pairs_or_name(cost),
            "control": control,
            "propensity": pairs_or_name(propensity),
            "user_id": user_id,
            "currency": currency,
            "value_name": value_name,
        }
        plan = DemoPlan(data, users, budget_per_user, seed, roles=roles)
        result = run_demo(plan, progress.step)
        progress.step(f"writing {out}")
        write_demo(result, out)
    try:
        show(result, out, as_json=json)
        sys.stdout.flush()
    except (BrokenPipeError, SystemExit):  # the reader, such as `head`, has seen enough; rich turns that into an exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        fail(f"the results are in {out}, but the table cannot be printed: {error.strerror}")


@app.command("app")
def show_app(
    run: Annotated[Path, typer.Argument(help="Folder that `earmark demo` wrote.")] = Path("earmark-demo"),
    port: Annotated[int, typer.Option(help="Port on this machine to listen at.")] = 8501,
) -> None:
    """Show a run as a page: open the printed address in a browser. Serves this machine only, sends no telemetry."""
    from importlib.util import find_spec

    with one_message():
        from allocation.jobs.summary import read_run

        read_run(run.expanduser())  # so that a wrong folder is said here, not in the browser
    page = find_spec("app.main")
    assert page is not None
    assert page.origin is not None
    settings = {
        "server.address": "127.0.0.1",
        "server.port": str(port),
        "server.headless": "true",
        "browser.gatherUsageStats": "false",
        "client.toolbarMode": "viewer",
    }
    options = [f"--{name}={setting}" for name, setting in settings.items()]
    command = [sys.executable, "-m", "streamlit", "run", page.origin, *options, "--", str(run.expanduser().resolve())]
    os.execv(sys.executable, command)  # the server takes this process's place, so that ending one ends both


@contextmanager
def one_message() -> Iterator[None]:
    """Turn what is wrong with the input into one message on stderr and exit code 1."""
    try:
        yield
    except Exception as error:
        from allocation.engine.problem import ProblemError
        from uplift.errors import InputError

        if isinstance(error, (InputError, ProblemError)):
            fail(str(error))
        if isinstance(error, OSError):
            fail(f"{error.filename or 'a file'}: {error.strerror or error}")
        raise


def fail(message: str) -> None:
    """Print one message and leave with exit code 1."""
    typer.secho(f"error: {message}", err=True, fg=typer.colors.RED if sys.stderr.isatty() else None)
    raise typer.Exit(1)


def split_names(text: str | None) -> list[str] | None:
    """Names between commas; None where nothing was given."""
    return [name.strip() for name in text.split(",") if name.strip()] if text else None


def pairs_or_name(text: str | None) -> dict[str, float | str] | str | None:
    """`none=0,mail=.1` as a mapping (numbers where they are numbers), a column name as it is."""
    if text is None or "=" not in text:
        return text
    from uplift.errors import InputError

    pairs: dict[str, float | str] = {}
    for part in text.split(","):
        arm, found, amount = part.partition("=")
        if not found:
            raise InputError(f"{part!r} in {text!r} is no arm=number; write arm=number,arm=number for every arm")
        if arm.strip() in pairs:
            raise InputError(f"arm {arm.strip()!r} stands more than once in {text!r}; name each arm once")
        try:
            pairs[arm.strip()] = float(amount)
        except ValueError:
            pairs[arm.strip()] = amount.strip()
    return pairs


class Progress:
    """Steps on stderr, each with the seconds it took; a step that fails gets a line of its own before the message."""

    def __enter__(self) -> Self:
        self.started = self.began = time.perf_counter()
        self.running = False
        return self

    def step(self, text: str) -> None:
        """Close the running step and open the next."""
        self._close()
        typer.echo(f"{text} ... ", err=True, nl=False)
        self.began, self.running = time.perf_counter(), True

    def __exit__(self, failure: type[BaseException] | None, *_: object) -> None:
        if failure is None:
            self._close()
            typer.echo(f"done in {time.perf_counter() - self.started:.1f} s", err=True)
        elif self.running:
            typer.echo("", err=True)

    def _close(self) -> None:
        if self.running:
            typer.echo(f"{time.perf_counter() - self.began:.1f} s", err=True)


def show(result: DemoResult, out: Path, *, as_json: bool) -> None:
    """The manifest as JSON, or the table and the verdict."""
    from allocation.jobs.output import REPORT
    from allocation.jobs.summary import MANIFEST

    if as_json:
        typer.echo((out / MANIFEST).read_text(encoding="utf-8"), nl=False)
        return
    from allocation.jobs.terminal import print_result

    print_result(result.summary(), out / REPORT)


if __name__ == "__main__":
    main()
