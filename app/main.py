"""The page in the browser, started by `earmark app RUN`: one run, looked at from several sides."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import streamlit as st

from allocation.engine.problem import ProblemError
from allocation.jobs.analyst.answers import Answers
from app import scenarios, state
from app.views import budget, compare, evidence, export, limits, segments, upload
from uplift.errors import InputError

KEY, UPLOAD = "view", "Upload"  # a key of the session and of the address; the view that needs no run
View = Callable[[Answers], None]
VIEWS: tuple[tuple[str, str, View], ...] = (
    ("Budget", "budget", budget.show),
    ("Limits", "limits", limits.show),
    ("Compare", "compare", compare.show),
    ("Segments", "segments", segments.show),
    ("Evidence", "evidence", evidence.show),
    ("Export", "export", export.show),
)

# What a view holds for as long as it is open, by how its keys begin: it takes memory.
HELD = {UPLOAD: upload.SEEN, "Export": export.BUILT, "Segments": segments.PREFIX}


def page(place: Path) -> None:
    """Load the run and draw the chosen view, or say in one message why it cannot be shown."""
    st.set_page_config(page_title="earmark", layout="wide")
    chosen = _chosen()
    left = tuple(start for view, start in HELD.items() if view != chosen)
    for key in [key for key in st.session_state if str(key).startswith(left)]:
        del st.session_state[key]
    st.sidebar.radio("View", [*(title for title, _, _ in VIEWS), UPLOAD], key=KEY, label_visibility="collapsed")
    if chosen == UPLOAD:
        upload.show()
        return
    _shown(next(view for title, _, view in VIEWS if title == chosen), place)


def _chosen() -> str:
    """The title of the view that is chosen beside, at first the address's."""
    # Not Streamlit's own pages: they drop the plan from the address, and a page opened by its own path asks twice
    # for what is not there.
    titles = {name: title for title, name, _ in VIEWS} | {UPLOAD.lower(): UPLOAD}
    if KEY not in st.session_state:
        st.session_state[KEY] = titles.get(st.query_params.get(KEY, ""), VIEWS[0][0])
    chosen: str = st.session_state[KEY]
    st.query_params[KEY] = chosen.lower()
    return chosen


def _shown(view: View, place: Path) -> None:
    """One view of the run; whatever is wrong with the input is one message, never a traceback."""
    try:
        with st.spinner("reading the run", show_time=True):
            answers = state.current(place)
        scenarios.open_address()
        state.side(answers)
        scenarios.side(answers)
        view(answers)
        scenarios.keep_address(answers)
    except (InputError, ProblemError) as error:
        st.error(state.plain(str(error)))


if __name__ == "__main__":
    page(Path(sys.argv[1] if len(sys.argv) > 1 else "earmark-demo"))
