"""Limits: what a plan may not use, and what each limit costs."""

from __future__ import annotations

from contextlib import nullcontext

import streamlit as st

from allocation.jobs.analyst.answers import Answers
from allocation.jobs.analyst.figures import figure, in_unit, interval
from allocation.jobs.analyst.limited import DecidedPlan, Refused, cost_of_limits, is_known, outcome_of, without_limits
from allocation.jobs.analyst.limited_words import limits_table, unspent_words
from allocation.jobs.numbers import amount
from allocation.jobs.plan import Plan
from app import state
from app.limits_charts import arms_chart, use_chart
from app.limits_editor import table
from app.metric import NOT_VERIFIED, lacking, metric


def show(answers: Answers) -> None:
    """The view."""
    run = answers.run
    st.title("Limits")
    st.caption(
        state.plain(
            f"What the plan may and must use beside its budget, for {len(run):,} users of {run.plan.name}; decided "
            "as the nightly job decides it."
        )
    )
    _budget(answers)
    typed = table(answers)
    plan = state.chosen_plan(answers)
    if typed.limits != plan.limits or typed.wrong:
        st.caption("The table holds changes that are not applied; what follows is about the limits applied last.")
    _results(answers, plan)


def _budget(answers: Answers) -> None:
    state.show_budget("limits_budget", max(state.plan_budget(answers), 0.0))
    st.number_input(
        in_unit("Budget", state.plain(answers.run.currency)),
        min_value=0.0,
        key="limits_budget",
        on_change=state.take_budget,
        args=("limits_budget",),
        format="%.2f",
        help="The same as on the page Budget. Here it may be more than is worth buying, for floors may need it.",
        width=260,
    )


def _results(answers: Answers, plan: Plan) -> None:
    run, free_plan = answers.run, without_limits(plan)
    known = is_known(run, plan) and is_known(run, free_plan)
    with nullcontext() if known else st.spinner(f"deciding for {len(run):,} users", show_time=True):
        outcome, free = outcome_of(run, plan), outcome_of(run, free_plan)
    if isinstance(outcome, Refused) or isinstance(free, Refused):
        reason = outcome.reason if isinstance(outcome, Refused) else free.reason if isinstance(free, Refused) else ""
        st.error(
            f"**This plan cannot be decided.** {state.plain(reason[:1].upper() + reason[1:])}. The table stays as it "
            "is: change what the message names, and apply again."
        )
        return
    banner = unspent_words(outcome, run.currency)
    if banner:
        st.warning(state.plain(banner))
    _figures(answers, outcome, free)
    theme = state.theme()
    if not plan.limits:
        st.info("No limit is applied: add a row to the table, and apply it.")
        return
    st.subheader("What each limit takes")
    st.altair_chart(use_chart(outcome, run.currency, theme), theme=None, key="use")
    st.caption(
        "A bar is what the decisions use; the thick tick is the cap (the floor where there is no cap), the thin one "
        "the floor. Limits that bind are orange. A price is the value that one more unit of the bound would add; it "
        "is negative for a floor, which would add value if it were lower."
    )
    st.dataframe(limits_table(outcome), hide_index=True, height="content", key="limits_used")
    st.subheader("Who gets what")
    st.altair_chart(arms_chart(outcome, free, run.arms, theme), theme=None, key="arms")
    st.caption("Users on each arm: the upper, stronger bar with these limits, the lower one with the budget alone.")


def _figures(answers: Answers, outcome: DecidedPlan, free: DecidedPlan) -> None:
    run, money = answers.run, answers.run.currency
    gain, lost, spend, price = st.columns(4)
    with gain:
        about = f"{run.value_name}, above giving everybody {run.arms[0]}, with these limits."
        metric("Incremental value", outcome.verified_gain, outcome.gain, about)
    with lost:
        promised, verified = cost_of_limits(run, outcome, free)
        about = "Value that the same budget brings without limits, less what it brings with them: the same users."
        metric("What the limits cost", verified, promised, about)
    with spend:
        st.metric(
            "Spend",
            f"{figure(outcome.cost)} {state.plain(money)}".strip(),
            help="What the model predicts that the decisions cost, all users.",
        )
        above = f"verified above control {amount(outcome.verified_spend.estimate, money)}, 95% interval "
        st.caption(state.plain(above + interval(outcome.verified_spend)) if not outcome.lacking else NOT_VERIFIED)
    with price:
        st.metric(
            "Price of money", figure(outcome.price), help="What one more unit of money would buy within these limits."
        )
        st.caption(f"{figure(free.price)} without limits")
    if outcome.lacking:
        lacking(outcome.lacking)
