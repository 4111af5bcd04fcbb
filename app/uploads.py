"""What a session shows in the place of the run: a file of the user's own, held by this session and nothing else."""

from __future__ import annotations

import streamlit as st

from allocation.jobs.analyst.answers import Answers

UPLOADED = "uploaded"
# How often a widget was emptied: part of its key, for the browser keeps what was typed into one of the same key.
LIMITS_VERSION, UPLOAD_VERSION = "limits_version", "upload_version"


def uploaded() -> Answers | None:
    """The answers of the file that was uploaded in this session, or None."""
    found: Answers | None = st.session_state.get(UPLOADED)
    return found


def take(answers: Answers) -> None:
    """Show an uploaded file in every view of this session, which begins anew: budget and limits were the run's."""
    return_to_run()
    st.session_state[UPLOADED] = answers


def return_to_run() -> None:
    """Forget the uploaded file, and all that was set for it; the session begins anew in the same view."""
    view = st.query_params.get("view", "")
    versions = {name: st.session_state.get(name, 0) + 1 for name in (LIMITS_VERSION, UPLOAD_VERSION)}
    st.session_state.clear()
    st.session_state.update(versions)
    st.query_params.from_dict({"view": view} if view else {})
