"""The page on a run: its content by AppTest, and a real server in a real browser."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from allocation.jobs import table
from allocation.jobs.summary import read_run
from app.main import plain

PAGE = Path(__file__).resolve().parents[2] / "app" / "main.py"


def render(folder: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setattr(sys, "argv", ["main.py", str(folder)])
    return AppTest.from_file(str(PAGE), default_timeout=30).run()


def test_the_page_shows_verdict_table_and_mix(run_folder: Path, monkeypatch: pytest.MonkeyPatch):
    page = render(run_folder, monkeypatch)
    run = read_run(run_folder)
    assert not page.exception
    assert page.title[0].value == f"What a budget buys: {run.name}"
    sentences = [f"- {plain(sentence)}" for sentence in table.verdict(run)]
    assert [m.value for m in page.markdown][: len(sentences)] == sentences
    assert len(page.dataframe[0].value) == len(table.rows(run))
    shown = page.dataframe[1].value
    assert dict(zip(shown["arm"], shown["users"], strict=True)) == run.arm_users
    assert shown["share"].sum() == pytest.approx(1)


def test_names_of_the_log_are_no_markdown():
    """Dollars would become a formula, stars bold, brackets a colour or a link."""
    assert plain("$5 *off* [now](x) :red[a]") == r"\$5 \*off\* \[now\](x) \:red\[a\]"


def test_a_folder_without_a_run_is_one_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    page = render(tmp_path, monkeypatch)
    assert not page.exception
    assert len(page.error) == 1
    assert "manifest.json does not exist" in page.error[0].value


@pytest.fixture
def address(run_folder: Path) -> Iterator[str]:
    """`earmark app` on a free port, answering."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "allocation.cli", "app", str(run_folder), "--port", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"{url}/_stcore/health", timeout=1).read()
                break
            except OSError:
                time.sleep(0.1)
        yield url
    finally:
        server.terminate()
        server.wait(20)


def test_in_a_browser_nothing_outside_this_machine_is_asked(browser: Any, address: str):
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    requests, errors = [], []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.goto(address)
    page.get_by_text("What a budget buys").wait_for(timeout=60_000)
    page.locator("canvas, svg.marks").first.wait_for(timeout=60_000)
    outside = [
        url for url in requests if not url.startswith((address, "data:", "blob:", address.replace("http", "ws")))
    ]
    assert outside == []
    assert errors == []
    page.close()
