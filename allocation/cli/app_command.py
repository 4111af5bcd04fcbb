"""`earmark app`: a run as a page for the browser."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from allocation.cli.plumbing import one_message


def show_app(
    run: Annotated[Path, typer.Argument(help="Folder that `earmark demo` wrote.", metavar="FOLDER")] = Path(
        "earmark-demo"
    ),
    port: Annotated[int, typer.Option(help="Port on this machine to listen at.", metavar="NUMBER")] = 8501,
) -> None:
    """Show a run as a page: open the printed address in a browser. Serves this machine only, sends no telemetry."""
    from importlib.util import find_spec

    with one_message():
        from allocation.jobs.summary import read_run
        from uplift.files import expanded

        folder = expanded(run).resolve()
        read_run(folder)  # so that a wrong folder is said here, not in the browser
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
    command = [sys.executable, "-m", "streamlit", "run", page.origin, *options, "--", str(folder)]
    os.execv(sys.executable, command)  # the server takes this process's place, so that ending one ends both
