"""Limits: what a plan may not use, and what each limit costs."""

from __future__ import annotations

import streamlit as st

from allocation.jobs.answers import Answers


def show(answers: Answers) -> None:
    """The view."""
    st.title("Limits")
