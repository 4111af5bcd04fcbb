"""Scenarios of a session: plans saved under names beside the run, and the plan in the address of the page."""

from __future__ import annotations

import streamlit as st

from allocation.jobs.analyst import scenarios
from allocation.jobs.analyst.address import plan_code, plan_of_code
from allocation.jobs.analyst.answers import Answers
from allocation.jobs.analyst.held import is_filed
from app import limits_editor, state
from uplift.errors import InputError

PLAN = "plan"  # in the address
OPENED, SAID, ASKED = "address_opened", "scenario_said", "scenario_asked"  # keys of the session


def open_address() -> None:
    """Take over the plan of the address, once a session; a broken one is one message, and is dropped."""
    if st.session_state.get(OPENED):
        return
    st.session_state[OPENED] = True
    code = st.query_params.get(PLAN)
    if code is None:
        return
    try:
        plan = plan_of_code(code)
    except InputError as error:
        del st.query_params[PLAN]
        _say(str(error), wrong=True)
        return
    if plan.budget is not None and state.BUDGET not in st.query_params:  # else it was moved since the plan was noted
        st.session_state[state.BUDGET] = plan.budget
    state.set_limits(plan.limits)
    limits_editor.reset()


def keep_address(answers: Answers) -> None:
    """Have the address open this very plan, budget and limits; the run's own plan needs no word of it."""
    own = answers.run.plan
    try:
        plan = state.chosen_plan(answers)
        same = not is_filed(answers.run) or (plan.budget, plan.limits) == (own.budget, own.limits)
        code = None if same else plan_code(plan)
    except InputError:  # a budget that no plan may have: the views that need one say so
        code = None
    if code is None and PLAN in st.query_params:
        del st.query_params[PLAN]
    elif code is not None and st.query_params.get(PLAN) != code:
        st.query_params[PLAN] = code


def side(answers: Answers) -> None:
    """What stands in the side bar: save the plan, open or delete one that is saved, and what came of it."""
    if not is_filed(answers.run):  # nothing of an upload is kept
        return
    folder = scenarios.scenarios_folder(answers.run)
    names = scenarios.saved_names(folder)
    _said()  # on the page itself: on a telephone the side is folded away
    with st.sidebar, st.expander("Scenarios"):
        name = st.text_input(
            "Name", key="scenario_name", max_chars=scenarios.MOST_CHARACTERS, placeholder="spring, few coupons"
        )
        st.button("Save this plan", key="scenario_save", on_click=_save, args=(answers,), width="stretch")
        if st.session_state.get(ASKED) == ("save", name):
            st.button("Overwrite it", key="scenario_overwrite", on_click=_save, args=(answers, True), width="stretch")
        if not names:
            st.caption("None is saved yet. A scenario is the budget and the limits under a name.")
            return
        chosen = str(st.selectbox("Saved", names, key="scenario_chosen"))
        st.button("Open", key="scenario_open", on_click=_open, args=(answers, chosen), width="stretch")
        if st.session_state.get(ASKED) == ("delete", chosen):
            st.button(
                "Delete it for good", key="scenario_gone", on_click=_delete, args=(answers, chosen), width="stretch"
            )
        else:
            st.button("Delete ...", key="scenario_delete", on_click=_ask, args=("delete", chosen), width="stretch")
        st.caption(state.plain(f"They lie in {folder}; the page Export shows them side by side."))


def _save(answers: Answers, replace: bool = False) -> None:
    folder, name = scenarios.scenarios_folder(answers.run), str(st.session_state["scenario_name"])
    st.session_state.pop(ASKED, None)
    try:
        if not replace and scenarios.is_taken(folder, name):
            _ask("save", name)
            _say(f"A scenario {name} is there. Overwrite it, or choose another name.", wrong=True)
            return
        scenarios.save(folder, name, state.chosen_plan(answers), replace=replace)
        _say(f"Saved as {name}.")
    except InputError as error:
        _say(str(error), wrong=True)


def _open(answers: Answers, name: str) -> None:
    st.session_state.pop(ASKED, None)
    try:
        plan = scenarios.load(scenarios.scenarios_folder(answers.run), name)
        if plan.budget is not None:
            state.set_budget(plan.budget)
        state.set_limits(plan.limits)
        limits_editor.reset()
        _say(f"Opened {name}.")
    except InputError as error:
        _say(str(error), wrong=True)


def _delete(answers: Answers, name: str) -> None:
    st.session_state.pop(ASKED, None)
    try:
        scenarios.delete(scenarios.scenarios_folder(answers.run), name)
        _say(f"Deleted {name}.")
    except InputError as error:
        _say(str(error), wrong=True)


def _ask(what: str, name: str) -> None:
    st.session_state[ASKED] = (what, name)


def _say(text: str, wrong: bool = False) -> None:
    st.session_state[SAID] = (text, wrong)


def _said() -> None:
    """What came of the last click, once."""
    text, wrong = st.session_state.pop(SAID, ("", False))
    if text:
        (st.error if wrong else st.success)(state.plain(text))
