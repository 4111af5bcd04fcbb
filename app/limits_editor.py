"""The editable table of limits: what is typed stays there, whatever comes of it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from allocation.jobs.analyst.answers import Answers
from allocation.jobs.analyst.limits_table import CAP, COLUMNS, KINDS, Names, Row, Typed, limits_of, rows_of
from app import state
from app.uploads import LIMITS_VERSION

BASE, TYPED, TRIED = "limits_base", "limits_typed", "limits_tried"  # keys of the session
HOW = (
    "A row is a limit: **cap** (at most), **floor** (at least), **lock** (floor and cap are the same) or both, such "
    "as *10 to 20*. The amount is a number (5,000) or a share (20%: of the users whom the limit is about, or of the "
    "budget where it measures cost). No arms means every arm but control. *Where* names the users: segment = heavy, "
    "or segment = heavy, light; region = north."
)


def table(answers: Answers) -> Typed:
    """The editable table, the button that applies it, and what is wrong with its rows."""
    names = Names.of(answers.run)
    key = f"limits_table_{st.session_state.setdefault(LIMITS_VERSION, 0)}"
    if key not in st.session_state:  # the first drawing, or the first since another page was open
        kept = st.session_state.get(TYPED)
        own = _frame(rows_of(state.chosen_limits(answers))) if kept is None else kept
        st.session_state[BASE] = own.reset_index(drop=True)
    with st.expander("How to write a limit"):
        st.markdown(HOW)
    edited = st.data_editor(
        st.session_state[BASE],
        key=key,
        num_rows="dynamic",
        hide_index=True,
        column_config={
            "name": st.column_config.TextColumn("Name", max_chars=200, width=180),
            "kind": st.column_config.SelectboxColumn("Kind", options=list(KINDS), default=CAP, width=105),
            "amount": st.column_config.TextColumn("Amount", max_chars=60, width=100),
            "measure": st.column_config.SelectboxColumn(
                "Of", options=list(names.measures), default="users", width=85
            ),
            "arms": st.column_config.MultiselectColumn("Arms", options=list(names.arms), width=150),
            "where": st.column_config.TextColumn("Where", max_chars=2_000, width=165),
        },
        alt="Table of limits, a row each; rows can be added, changed and deleted",
    )
    st.session_state[TYPED] = edited
    typed = limits_of(_rows(edited), names)
    if st.button("Apply limits", type="primary", key="apply_limits"):
        st.session_state[TRIED] = True
        if not typed.wrong:
            state.set_limits(typed.limits)
    if not typed.wrong:
        st.session_state.pop(TRIED, None)
    # A row is wrong for as long as it is being typed: that is said once somebody takes it to be finished.
    for message in typed.wrong if TRIED in st.session_state else ():
        st.error(state.plain(message))
    return typed


def reset() -> None:
    """Have the table show the limits that are applied, such as those of a scenario that was opened."""
    st.session_state.pop(TYPED, None)
    st.session_state[LIMITS_VERSION] = st.session_state.get(LIMITS_VERSION, 0) + 1


def _frame(rows: tuple[Row, ...]) -> pd.DataFrame:
    """The rows as the table shows them."""
    columns = {name: [list(row.arms) if name == "arms" else getattr(row, name) for row in rows] for name in COLUMNS}
    return pd.DataFrame({name: pd.Series(cells, dtype=object) for name, cells in columns.items()})


def _rows(frame: pd.DataFrame) -> list[Row]:
    """What stands in the table; cells that nobody filled are empty."""
    rows = []
    for cells in frame.to_dict("records"):
        text = {str(name): cell if isinstance(cell, str) else "" for name, cell in cells.items()}
        arms = tuple(map(str, cells["arms"])) if np.iterable(cells["arms"]) else ()
        kind, measure = text["kind"] or CAP, text["measure"] or "users"
        rows.append(Row(text["name"], kind, text["amount"], measure, arms, text["where"]))
    return rows
