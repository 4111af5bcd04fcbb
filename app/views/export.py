"""Export: the decisions, the plan, the command that makes them again, and scenarios side by side."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from allocation.jobs.analyst import scenarios
from allocation.jobs.analyst.address import plan_code
from allocation.jobs.analyst.answers import Answers
from allocation.jobs.analyst.exported import COMMAND, CSV, PARQUET, PLAN_FILE, Built, build, plan_for
from allocation.jobs.analyst.figures import figure
from allocation.jobs.analyst.held import is_filed
from allocation.jobs.analyst.limited import DecidedPlan, Outcome, Refused, outcome_of
from allocation.jobs.analyst.limited_words import side_by_side
from allocation.jobs.analyst.run import Run
from allocation.jobs.numbers import amount
from allocation.jobs.plan import Plan, plan_text
from app import state
from app.limits_charts import gains_chart, mixes_chart
from uplift.errors import InputError
from uplift.words import counted

BUILT, COMPARED = "export_built", "export_compared"  # keys of the session
NOW = "now: this plan"  # no scenario can be called so
MOST_COMPARED = 4  # scenarios beside one another


def show(answers: Answers) -> None:
    """The view."""
    run, plan = answers.run, state.chosen_plan(answers)
    st.title("Export")
    limits = counted(len(plan.limits), "limit") if plan.limits else "no limits"
    st.caption(
        state.plain(
            f"The plan of this session for {len(run):,} users of {run.plan.name}: a budget of "
            f"{amount(plan.budget or 0.0, run.currency)} (set on the page Budget), {limits} (set on the page Limits)."
        )
    )
    _decisions(run, plan)
    _plan(plan)
    if is_filed(run):
        _address(plan)
        _scenarios(answers, plan)
    else:
        st.info(
            "This is an upload, which is not kept: put its response table beside the plan, under the name that the "
            "plan gives, to decide by the command. There are no scenarios of an upload."
        )


def _decisions(run: Run, plan: Plan) -> None:
    st.subheader("Decisions")
    st.caption(
        f"One row a user, {len(run):,} in all: user_id, arm, expected_value, expected_cost, margin. Built by the "
        "nightly job: byte for byte what the command below writes."
    )
    which = st.columns(2)
    for kind, column in zip((PARQUET, CSV), which, strict=True):
        with column:
            if st.button(f"Build the {kind} file", key=f"build_{kind}", width="stretch"):
                st.session_state.pop(BUILT, None)
                with st.spinner("deciding and writing", show_time=True):
                    st.session_state[BUILT] = (plan, run, build(plan, kind, run))
    done: tuple[Plan, Run, Built] | None = st.session_state.get(BUILT)
    if done is None or done[0] != plan or done[1] is not run:  # of another plan or run: it goes, it takes memory
        st.session_state.pop(BUILT, None)
        return
    built = done[2]
    size = (
        f"{len(built.content) / 1e6:,.1f} MB" if len(built.content) >= 1e6 else f"{len(built.content) / 1e3:,.1f} kB"
    )
    st.download_button(
        f"Download {built.name} ({size})",
        built.content,
        built.name,
        built.kind,
        key="download_decisions",
        on_click="ignore",
        type="primary",
    )


def _plan(plan: Plan) -> None:
    st.subheader("Plan and command")
    text = plan_text(plan)
    st.code(text, language="toml", wrap_lines=True)
    st.download_button(
        f"Download {PLAN_FILE}", text, PLAN_FILE, "application/toml", key="download_plan", on_click="ignore"
    )
    st.markdown("The same decisions again, on the command line, in the folder where the plan lies:")
    st.code(COMMAND, language="bash", wrap_lines=True)
    st.caption("Digest of the plan (SHA-256, without paths; the manifest of the decisions holds it too):")
    st.code(plan.digest(), language=None, wrap_lines=True)


def _address(plan: Plan) -> None:
    st.caption(
        "The address of this page opens this plan on the same run: copy it to share the plan."
        if plan_code(plan) is not None
        else "This plan is too long for an address: save it as a scenario to share it."
    )


def _scenarios(answers: Answers, plan: Plan) -> None:
    st.subheader("Scenarios side by side")
    run, folder = answers.run, scenarios.scenarios_folder(answers.run)
    names = scenarios.saved_names(folder)
    if not names:
        st.info("No scenario is saved: give this plan a name under Scenarios, at the side of the page, and save it.")
        return
    before = st.session_state.get("scenarios_chosen", st.session_state.get(COMPARED, [NOW, *names][:2]))
    there = [name for name in before if name in (NOW, *names)]
    if st.session_state.get("scenarios_chosen") != there:  # told again, the widget would undo a choice made meanwhile
        st.session_state["scenarios_chosen"] = there
    chosen = st.multiselect(
        f"Up to {MOST_COMPARED}", [NOW, *names], max_selections=MOST_COMPARED, key="scenarios_chosen"
    )
    st.session_state[COMPARED] = chosen
    if not chosen:
        return
    outcomes: dict[str, Outcome] = {}
    with st.spinner("deciding", show_time=True):
        for name in chosen:
            outcomes[name] = _outcome(answers, plan, folder, name)
    st.dataframe(side_by_side(outcomes, run.arms, run.currency), height="content", key="side_by_side")
    decided = {name: outcome for name, outcome in outcomes.items() if isinstance(outcome, DecidedPlan)}
    for name, outcome in outcomes.items():
        if isinstance(outcome, Refused):
            st.error(f"**{state.plain(name)}**: {state.plain(outcome.reason)}")
    if not decided:
        return
    theme, title = state.theme(), f"gain above {run.arms[0]} ({run.value_name})"
    st.altair_chart(gains_chart(decided, title, theme), theme=None, key="gains")
    best = max(decided, key=lambda name: decided[name].gain)
    st.caption(
        state.plain(
            f"Dot and line: verified gain with its 95% interval, one at a time; tick: promised gain. {best} promises "
            f"most, {figure(decided[best].gain)}. Plans are verified on the same users: where intervals overlap, "
            "their difference may still be sure."
        )
    )
    st.altair_chart(mixes_chart(decided, run.arms, theme), theme=None, key="mixes")
    st.caption("Users on each arm, as shares of all users.")


def _outcome(answers: Answers, plan: Plan, folder: Path, name: str) -> Outcome:
    """What a scenario decides for this run's users, whatever table it was saved for."""
    if name == NOW:
        return outcome_of(answers.run, plan)
    try:
        saved = scenarios.load(folder, name)
        budget = plan.budget if saved.budget is None else saved.budget
        return outcome_of(answers.run, plan_for(answers.run, budget or 0.0, saved.limits))
    except InputError as error:
        return Refused(str(error))
