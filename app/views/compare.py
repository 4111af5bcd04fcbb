"""Compare: policies on one axis, promised and verified, and any two of them against each other."""

from __future__ import annotations

import streamlit as st

from allocation.jobs.analyst.answers import Answers
from allocation.jobs.analyst.compared import Compared
from allocation.jobs.analyst.compared_at import Comparison, best_baseline, compare
from allocation.jobs.analyst.compared_table import compared_table
from allocation.jobs.numbers import amount
from allocation.jobs.summary import END_TO_END, Summary
from app import state
from app.compare_charts import difference_chart, value_chart

BEST_BASELINE = "the best baseline"


def show(answers: Answers) -> None:
    """The view."""
    st.title("Which policy is better")
    run, budget = answers.run, state.chosen_budget(answers)
    if run.summary is None:
        st.info(
            "Policies are compared on the log of an experiment, and this is a response table alone. `earmark demo` "
            "on your log makes a run that has them, and so does Upload; `earmark evaluate` compares what you like."
        )
        return
    if run.compared is None:
        st.info("This run was written by an earlier version, without its comparison; run `earmark demo` again.")
        return
    _at_budget(run.summary, run.compared, budget)


def _at_budget(run: Summary, compared: Compared, budget: float) -> None:
    reference = _reference(run, compared, budget)
    found = compare(run, compared, budget, reference)
    st.caption(state.plain(_about(run, found, budget)))
    for sentence in found.sentences:
        st.markdown(f"- {state.plain(sentence)}")
    theme = state.theme()
    st.subheader("Promised and verified value")
    st.altair_chart(value_chart(found, run.value_name, theme), theme=None, key="values")
    st.caption(
        "Point and bar: verified value with its 95% interval, of all held-out users. Diamond: what the policy itself "
        "promised. Current policy: what the log did, every arm drawn with its chances; it promises nothing, and "
        "costs the same whatever the budget."
    )
    st.subheader("Difference to the reference")
    st.altair_chart(difference_chart(found, run.value_name, theme), theme=None, key="differences")
    st.caption(
        state.plain(
            f"Paired on the same users, so far surer than two intervals side by side. Filled: better or worse than "
            f"{found.reference} after adjusting for all {found.comparisons} comparisons with it; hollow: not "
            "distinguishable. A reference that was picked as the best of several on these users is favoured by that."
        )
    )
    st.dataframe(compared_table(found, run.currency), hide_index=True, key="compared")
    if run.tuning:
        st.caption(state.plain(f"End-to-end. {run.tuning}"))
    elif END_TO_END not in run.policies:
        st.caption("The end-to-end policy is not in this run: `earmark demo --end-to-end` fits it too.")


def _reference(run: Summary, compared: Compared, budget: float) -> str:
    best = best_baseline(run, compared, budget)
    names = [BEST_BASELINE, *run.policies, *(name for name in compared.names if name not in run.policies)]
    chosen: str = st.selectbox(
        "Compare with",
        names,
        key="reference",
        format_func=lambda name: f"{BEST_BASELINE}: {best}" if name == BEST_BASELINE else name,
        help="The best baseline is the rule of thumb of the highest verified value at this budget.",
    )
    return best if chosen == BEST_BASELINE else chosen


def _about(run: Summary, found: Comparison, budget: float) -> str:
    at, asked = amount(found.budget, run.currency), amount(budget, run.currency)
    chosen = abs(found.budget - budget) <= 1e-9 * abs(budget)
    nearest = "" if chosen else f", the evaluated one nearest to the {asked} that are set in the budget view"
    return f"At a budget of {at}{nearest}. Totals over {run.users:,} held-out users; value: {run.value_name}."
