"""Export: the decisions, the plan, and the command that makes them again."""

from __future__ import annotations

import streamlit as st

from allocation.jobs.answers import Answers


def show(answers: Answers) -> None:
    """The view."""
    st.title("Export")
