"""Evidence: why the figures can be believed, or not."""

from __future__ import annotations

import streamlit as st

from allocation.jobs.answers import Answers


def show(answers: Answers) -> None:
    """The view."""
    st.title("Evidence")
