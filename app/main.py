"""The page in the browser, started by `earmark app RUN`: one run, looked at from several sides."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import streamlit as st

from allocation.engine.problem import ProblemError
from allocation.jobs.answers import Answers
from app import scenarios, state
from app.views import budget, compare, evidence, export, limits, segments, upload
from uplift.errors import InputError

View = Callable[[Answers], None]
VIEWS: tuple[tuple[str, str, View], ...] = (
    ("Budget", "budget", budget.show),
    ("Limits", "limits", limits.show),
    ("Compare", "compare", compare.show),
    ("Segments", "segments", segments.show),
    ("Evidence", "evidence", evidence.show),
    ("Export", "export", export.show),
)


def page(place: Path) -> None:
    """Load the run and draw the chosen view, or say in one message why it cannot be shown."""
    st.set_page_config(page_title="earmark", layout="wide")
    # Without icons: Streamlit asks a host of Google for the picture of one.
    views = [
        st.Page(partial(_shown, view, place), title=title, url_path=name, default=not k)
        for k, (title, name, view) in enumerate(VIEWS)
    ]
    st.navigation([*views, st.Page(upload.show, title="Upload", url_path="upload")]).run()


def _shown(view: View, place: Path) -> None:
    """One view of the run; whatever is wrong with the input is one message, never a traceback."""
    try:
        with st.spinner("reading the run", show_time=True):
            answers = state.current(place)
        scenarios.open_address(answers)
        state.side(answers)
        scenarios.side(answers)
        view(answers)
        scenarios.keep_address(answers)
    except (InputError, ProblemError) as error:
        st.error(state.plain(str(error)))


if __name__ == "__main__":
    page(Path(sys.argv[1] if len(sys.argv) > 1 else "earmark-demo"))
