"""`earmark app`: a run as a page for the browser."""

from __future__ import annotations

import errno
import os
import socket
import sys
from pathlib import Path
from typing import Annotated

import typer

from allocation.cli.plumbing import Progress, one_message

DEMO = "earmark-demo"


def show_app(
    run: Annotated[
        Path | None,
        typer.Argument(
            help="Folder that `earmark demo` wrote, or a response table. [default: the demo in earmark-demo, which "
            "is made first if it is not there]",
            metavar="RUN",
            show_default=False,
        ),
    ] = None,
    port: Annotated[
        int, typer.Option(min=1, max=65535, help="Port on this machine to listen at.", metavar="NUMBER")
    ] = 8501,
) -> None:
    """Show a run as a page: open the printed address in a browser. Serves this machine only, sends no telemetry."""
    with one_message():
        from allocation.jobs.analyst.run import check_place

        place = None if run is None else check_place(run)
        _check_port(port)
        if place is None:
            if not Path(DEMO).exists():
                _make_demo(Path(DEMO))
            place = check_place(DEMO)
    # The server takes this process's place, so that ending one ends both. -P: an app.py in this folder is not ours.
    os.execv(sys.executable, [sys.executable, "-P", "-m", "app", str(place), str(port)])


def _check_port(port: int) -> None:
    """Raise InputError where nothing can listen at the port; now, and not once the demo is made and the run read."""
    from uplift.errors import InputError

    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # one that was just closed is free
        try:
            tried.bind(("127.0.0.1", port))
        except OSError as error:
            other = port + 1 if 1024 <= port < 65535 else 8501
            taken = ", or end what listens there, perhaps an app that is still open"
            raise InputError(
                f"port {port} of this machine cannot be listened at: {error.strerror}; give another, such as "
                f"--port {other}{taken if error.errno == errno.EADDRINUSE else ''}"
            ) from None


def _make_demo(place: Path) -> None:
    """The demo run, which a newcomer sees at first."""
    from allocation.jobs.demo import DemoPlan, run_demo
    from allocation.jobs.output import write_demo

    with Progress() as progress:
        write_demo(run_demo(DemoPlan(end_to_end=True), progress.step), place)
