"""A command that serves the app, as a process of its own, until the test is done with it."""

from __future__ import annotations

import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

PATIENCE = 300  # seconds until a server must have read its run


@contextmanager
def serving(
    command: Sequence[str], cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> Iterator[tuple[str, int]]:
    """The command, with `{port}` in it replaced by a free one, answering: its address and its process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    address = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryFile("w+") as said:  # not a pipe, which would fill up and stop the server
        words = [word.replace("{port}", port) for word in command]
        server = subprocess.Popen(words, cwd=cwd, env=env, stdout=subprocess.DEVNULL, stderr=said)
        try:
            _answering(address, server, said)
            yield address, server.pid
        finally:
            server.terminate()  # make ends what it started
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()
                raise


def _answering(address: str, server: subprocess.Popen[bytes], said: IO[str]) -> None:
    """Wait until the app answers; what it said where it ended instead."""
    for _ in range(10 * PATIENCE):
        try:
            urllib.request.urlopen(f"{address}/_stcore/health", timeout=1).read()
            return
        except OSError:
            if server.poll() is not None:
                said.seek(0)
                raise AssertionError(f"the app ended: {said.read()}") from None
            time.sleep(0.1)
    raise AssertionError(f"the app did not answer within {PATIENCE} seconds")
