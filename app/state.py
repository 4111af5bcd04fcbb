"""What lives longer than one drawing of a page: the run, read once for all sessions, and what an analyst has set."""

from __future__ import annotations

import math
import re
import time
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from threading import Lock

import streamlit as st

from allocation.jobs.analyst.answers import Answers, answers_of
from allocation.jobs.analyst.exported import plan_for
from allocation.jobs.analyst.run import open_run
from allocation.jobs.plan import Plan, PlanLimit
from allocation.jobs.summary import MANIFEST
from app.uploads import return_to_run, uploaded

BUDGET, LIMITS, DRAWN, HAND = "budget", "limits", "budget_drawn", "budget_hand"  # keys of the session
TOLD = "told_"  # how others begin, of what a widget was told
ANSWER = 2.0  # seconds in which a browser hears what a widget is told, and none goes over to another and types
_reading = Lock()  # of ten sessions that ask at once one reads, and memory holds one run


@lru_cache(maxsize=1)
def _answers(place: Path, stamp: float) -> Answers:
    return answers_of(open_run(place))


def current(place: Path) -> Answers:
    """The answers that this session shows: of the file that it uploaded, else of the run."""
    return uploaded() or of_run(place)


def of_run(place: Path) -> Answers:
    """The run's answers: computed once for all sessions, anew when its manifest changes or a file comes or goes."""
    stamp = 0.0
    for file in (place, place / MANIFEST):
        with suppress(OSError):  # it may just be written anew
            stamp = max(stamp, file.stat().st_mtime)
    with _reading:
        return _answers(place, stamp)


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
        if wanted is not None and not math.isfinite(wanted):
            wanted = own
        st.session_state[BUDGET] = (least + most) / 2 if wanted is None else wanted
    return max(min(max(float(st.session_state[BUDGET]), least), most), 0.0)  # no plan has a budget below 0


def set_budget(budget: float) -> None:
    """Choose a budget, in this session and in the address."""
    st.session_state[BUDGET] = budget
    st.query_params[BUDGET] = repr(float(budget))  # every digit: the same address, the same plan


def show_budget(widget: str, budget: float) -> None:
    """Have a widget show the budget; one that shows it is not told again, for a hand may move it meanwhile."""
    st.session_state[DRAWN] = budget
    before = st.session_state.get(widget)
    if before == budget:
        return
    if before is not None:
        st.session_state[TOLD + widget] = [*_unheard(widget), (time.monotonic(), before)]
    st.session_state[widget] = budget


def take_budget(widget: str) -> None:
    """Take over the budget of a widget that was moved; what it showed before it was told another one is no move.

    With each move the browser sends what it shows in all widgets, and may not have heard yet what the others were
    told. Of two that seem to have moved at once, the one that was moved last has.
    """
    moved, hand = float(st.session_state[widget]), st.session_state.get(HAND, widget)
    goes_on = hand != widget and st.session_state.get(hand, st.session_state[DRAWN]) != st.session_state[DRAWN]
    if goes_on or moved in (shown for _, shown in _unheard(widget)):
        return
    st.session_state[HAND] = widget
    set_budget(moved)


def _unheard(widget: str) -> list[tuple[float, float]]:
    """When the widget was told of late, and what it showed until then."""
    told: list[tuple[float, float]] = st.session_state.get(TOLD + widget, [])
    return [(at, shown) for at, shown in told if time.monotonic() - at < ANSWER]


def plan_budget(answers: Answers) -> float:
    """The budget of the plan: the chosen one, also where it is more than all that is worth buying without limits."""
    return max(chosen_budget(answers), float(st.session_state[BUDGET]))


def chosen_limits(answers: Answers) -> tuple[PlanLimit, ...]:
    """The limits that are applied in this session: at first the run's own."""
    found: tuple[PlanLimit, ...] = st.session_state.setdefault(LIMITS, answers.run.plan.limits)
    return found


def set_limits(limits: tuple[PlanLimit, ...]) -> None:
    """Apply limits in this session."""
    st.session_state[LIMITS] = limits


def chosen_plan(answers: Answers) -> Plan:
    """The run's plan with the budget and the limits of this session; InputError for what no plan may hold."""
    return plan_for(answers.run, plan_budget(answers), chosen_limits(answers))


def side(answers: Answers) -> None:
    """What stands beside every view: which run this is, of whom, and how far it can be trusted."""
    run = answers.run
    with st.sidebar:
        st.markdown(f"**{plain(run.plan.name)}**")
        if uploaded() is not None:
            st.caption("Uploaded: in this session alone.")
            st.button("Return to the run", on_click=return_to_run, key="return_to_run")
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
