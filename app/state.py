"""What lives longer than one drawing of a page: the run, read once for all sessions, and what an analyst has set."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

import streamlit as st

from allocation.jobs.answers import Answers, answers_of
from allocation.jobs.run import open_run

BUDGET = "budget"  # keys of the session


@lru_cache(maxsize=2)
def _answers(place: Path, stamp: float) -> Answers:
    return answers_of(open_run(place))


def current(place: Path) -> Answers:
    """The run's answers: computed once for all sessions, and again when its manifest changes."""
    stamps = [file.stat().st_mtime for file in (place, place / "manifest.json") if file.exists()]
    return _answers(place, max(stamps, default=0.0))


def chosen_budget(answers: Answers) -> float:
    """The budget that is set in this session: at first the address's, else the plan's, else half of all money."""
    least, most = answers.span
    if BUDGET not in st.session_state:
        asked = st.query_params.get(BUDGET)
        own = answers.run.plan.budget
        try:
            wanted = float(asked) if asked is not None else own
        except ValueError:
            wanted = own
        st.session_state[BUDGET] = (least + most) / 2 if wanted is None else wanted
    return min(max(float(st.session_state[BUDGET]), least), most)


def set_budget(budget: float) -> None:
    """Choose a budget, in this session and in the address."""
    st.session_state[BUDGET] = budget
    st.query_params[BUDGET] = f"{budget:.12g}"


def side(answers: Answers) -> None:
    """What stands beside every view: which run this is, of whom, and how far it can be trusted."""
    run = answers.run
    with st.sidebar:
        st.markdown(f"**{plain(run.plan.name)}**")
        held = "held-out users" if run.evidence is not None else "users"
        st.caption(f"{len(run):,} {held}, {len(run.arms)} arms: {plain(', '.join(run.arms))}")
        if run.summary is not None:
            st.caption(plain(run.summary.about))
            for warning in run.summary.warnings:
                st.warning(plain(warning))


def plain(text: str) -> str:
    """Text that Markdown shows as it is: names come from the user's log."""
    return re.sub(r"([\\`*_{}\[\]<>#$~|:])", r"\\\1", text)


def theme() -> str:
    """Whether the page is "light" or "dark"."""
    return "dark" if st.context.theme.type == "dark" else "light"
