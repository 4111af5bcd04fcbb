"""Serves the page: reads the run first, so that the first visitor waits for nothing, and then listens."""

from __future__ import annotations

import gc
import sys
from importlib.util import find_spec
from pathlib import Path

SETTINGS = {
    "server.address": "127.0.0.1",
    "server.headless": "true",
    "server.fileWatcherType": "none",
    "server.maxUploadSize": "200",
    # No message is left out for being in the browser already: after quick moves it may not be, and the page is lost.
    "global.minCachedMessageSize": "1000000000",
    "browser.gatherUsageStats": "false",
    "client.toolbarMode": "viewer",
    "client.showErrorDetails": "none",
    "client.showErrorLinks": "false",
    # One for each: a colour for both would make the page light for those whose system is dark.
    "theme.light.primaryColor": "#0072B2",
    "theme.dark.primaryColor": "#56B4E9",
}


def main(place: Path, port: int) -> None:
    """Serve the run in a folder to this machine alone; a run that cannot be shown is one message and exit code 1."""
    from allocation.engine.problem import ProblemError
    from allocation.jobs.process import settle_process
    from app import main as page
    from app import state
    from app.budget_charts import frontier_specification, mix_specification
    from uplift.errors import InputError

    settle_process()
    assert page.VIEWS  # imported so that no visitor waits for it
    sys.stderr.write(f"reading {place} ...\n")
    try:
        answers = state.of_run(place)
    except (InputError, ProblemError) as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(1)
    for theme in ("light", "dark"):  # worked out now, and not for the first visitor
        frontier_specification(answers, answers.at(answers.span[1]), theme)
        mix_specification(answers, theme)
    sys.stderr.write(f"{len(answers.run):,} users; end with Ctrl-C\n")
    from streamlit.web.cli import main as streamlit

    # Streamlit searches all objects for cycles after every drawing, which takes a tenth of a second: what is here by
    # now stays anyway.
    gc.collect()
    gc.freeze()
    script = find_spec("app.main")
    assert script is not None
    assert script.origin is not None
    options = [f"--{name}={setting}" for name, setting in (SETTINGS | {"server.port": str(port)}).items()]
    streamlit(["run", script.origin, *options, "--", str(place)])


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
