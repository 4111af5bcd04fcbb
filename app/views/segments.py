"""Segments: who is reached, what it is worth there, and why one user gets what was decided."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Any

import pandas as pd
import streamlit as st

from allocation.engine.problem import Allocation, Problem
from allocation.engine.solve import solve
from allocation.jobs.analyst.answers import Answers
from allocation.jobs.analyst.certainty import NO_LOG
from allocation.jobs.analyst.run import Run
from allocation.jobs.analyst.segments import Grouping, attributes, effects, grouping, segments
from allocation.jobs.analyst.segments_table import segments_table, why_table
from allocation.jobs.analyst.why import user_row, why
from allocation.jobs.numbers import amount
from app import state
from app.metric import lacking
from app.segments_charts import effect_chart, lift_chart
from uplift.errors import InputError

PREFIX = "segments_kept_"  # how the keys of the session begin
_working = Lock()  # seconds: of sessions that ask at once one works, in the memory of one


def show(answers: Answers) -> None:
    """The view."""
    run, budget = answers.run, state.chosen_budget(answers)
    st.title("Who is reached")
    st.caption(
        state.plain(
            f"At the budget of {amount(budget, run.currency)} that is set in the budget view, without limits, for "
            f"{len(run):,} users. Value: {run.value_name}. Intervals hold with 95% confidence, one at a time: of "
            "twenty segments one may miss the truth."
        )
    )
    decided = _decided(run, budget)
    chosen = _attribute(run)
    if chosen is not None:
        _groups(run, decided, budget, chosen)
    _one_user(run, decided)


def _decided(run: Run, budget: float) -> Allocation:
    """The decision at the budget."""
    found: Allocation = _kept(
        "decided", run, budget, lambda: solve(Problem(run.value, run.cost, budget, eligible=run.eligible))
    )
    return found


def _kept(name: str, run: Run, key: object, made: Callable[[], Any]) -> Any:
    """What was made last for the same run and key, else made now and kept; a million users take a second."""
    kept = st.session_state.get(PREFIX + name)
    if kept is None or kept[0] is not run or kept[1] != key:
        with st.spinner("deciding, and looking at each segment", show_time=True), _working:
            st.session_state[PREFIX + name] = kept = (run, key, made())
    return kept[2]


def _attribute(run: Run) -> str | None:
    names = attributes(run)
    if not names:
        st.info(
            "The response table has no attributes that tell users apart. Add a column of text or whole numbers to "
            "it, such as a segment, and its values stand here."
        )
        return None
    chosen: str = st.selectbox("Segments by", names, key="segments_by")
    return chosen


def _groups(run: Run, decided: Allocation, budget: float, attribute: str) -> None:
    groups: Grouping = _kept("groups", run, attribute, lambda: grouping(run, attribute))
    found: pd.DataFrame = _kept("segments", run, (budget, attribute), lambda: segments(run, decided.decision, groups))
    theme = state.theme()
    st.subheader("What the decision is worth in each")
    st.altair_chart(lift_chart(found, run.value_name, theme), theme=None, key="lift")
    verified = (
        "Point and bar: verified lift, value a user above control, with its 95% interval. Diamond: promised. In the "
        "table lift, spend (above control) and return are verified, and what was promised stands beside."
    )
    st.caption(
        verified if run.evidence is not None else "Diamond: lift that the model promises; nothing is verified."
    )
    st.dataframe(segments_table(found, run.currency), hide_index=True, key="segments")
    if run.evidence is None:
        lacking(NO_LOG)
        return
    _confounded(run, _kept("effects", run, attribute, lambda: effects(run, groups)))


def _confounded(run: Run, found: pd.DataFrame) -> None:
    st.subheader("Confounded and adjusted")
    if found.empty:
        st.info("This run was written by an earlier version, without what was logged; run `earmark demo` again.")
        return
    if (found["lacking"] != "").all():
        st.info("No segment has enough users with and without treatment.")
        return
    st.altair_chart(effect_chart(found, run.value_name, state.theme()), theme=None, key="effects")
    small = found.loc[found["lacking"] != "", "segment"].tolist()
    left_out = f" Too small to tell: {', '.join(small)}." if small else ""
    st.caption(
        state.plain(
            "What treatment, in the mix of arms that was logged, seems to do and what it does. Confounded: mean "
            f"value of the treated less that of those on {run.arms[0]}. Adjusted: by the chances of the log and a "
            "model, doubly robust. Where everybody had the same chances both aim at the same effect; where they "
            f"differ, only the adjusted does.{left_out}"
        )
    )


def _one_user(run: Run, decided: Allocation) -> None:
    st.subheader("Why this arm for this user")
    asked = st.text_input("User id", value=str(run.user_id[0].as_py()), key="why_user", max_chars=200)
    try:
        found = why(run, decided, user_row(run, asked))
    except InputError as error:
        st.error(state.plain(str(error)))
        return
    st.markdown(state.plain(found.words))
    st.dataframe(why_table(found, run.currency), hide_index=True, key="why")
    st.caption(
        "Score: predicted value less the price times the predicted cost. The arm of the highest score is given."
    )
