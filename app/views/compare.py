"""Compare: policies on one axis, promised and verified."""

from __future__ import annotations

import streamlit as st

from allocation.jobs.answers import Answers


def show(answers: Answers) -> None:
    """The view."""
    st.title("Compare")
