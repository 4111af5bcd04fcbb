"""Upload: a log or a response table of one's own, looked at in this session alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from threading import Lock
from typing import Any

import pyarrow as pa
import streamlit as st

from allocation.engine.problem import ProblemError
from allocation.jobs.analyst.answers import answers_of
from allocation.jobs.analyst.run import Run
from allocation.jobs.analyst.uploaded import (
    MOST_FILE,
    MOST_ROWS,
    arms_of,
    numeric,
    read_upload,
    run_of_log,
    run_of_table,
)
from app import state
from app.uploads import UPLOAD_VERSION, return_to_run, take, uploaded
from uplift.errors import InputError

TABLE, LOG = "a response table", "the log of an experiment"
EQUAL, STATED, BY_COLUMN = "every user had the same chances", "I state each arm's chance", "a column for each arm"
NONE = "(none)"
_fitting = Lock()  # minutes: of sessions that ask at once one works, in the memory of one
SEEN = "upload_seen"  # key of the session: the table of the file that is there


def show() -> None:
    """The view; whatever is wrong with a file is one message, and the session goes on."""
    st.title("A file of your own")
    st.caption(
        f"Parquet or CSV, up to {MOST_FILE >> 20} MB and {MOST_ROWS:,} rows. It is looked at in this session alone, "
        "by the server on this machine: nothing of it is kept when the session ends."
    )
    own = uploaded()
    if own is not None:
        st.success(f"Every view shows **{state.plain(own.run.plan.name)}** now. Choose one on the left.")
        st.button("Return to the run", on_click=return_to_run, key="upload_return")
    try:
        _asked()
    except (InputError, ProblemError) as error:
        st.error(state.plain(str(error)))


def _asked() -> None:
    kind = st.radio("What is it?", [TABLE, LOG], key="upload_kind", horizontal=True)
    if kind == TABLE:
        st.caption("One row a user: user_id, and value.ARM and cost.ARM for every arm, control first.")
    else:
        st.caption("One row a user: the arm that the user got at random, what came of it, what it cost, features.")
    file = st.file_uploader(
        "File", type=["parquet", "csv"], key=f"upload_file_{st.session_state.get(UPLOAD_VERSION, 0)}"
    )
    if file is None:
        st.session_state.pop(SEEN, None)
        return
    name, data = file.name, file.getvalue()
    if kind == TABLE:
        if st.button("Show it", type="primary", key="upload_show"):
            _taken(lambda _: run_of_table(name, data))
        return
    table = _seen(file.file_id, name, data)
    roles, budget = _roles(table)
    if st.button("Fit, decide, verify", type="primary", key="upload_run"):
        _taken(lambda progress: run_of_log(name, data, _complete(roles), budget, progress))


def _seen(file_id: str, name: str, data: bytes) -> pa.Table:
    """The file's table, read once."""
    kept = st.session_state.get(SEEN)
    if kept is None or kept[0] != file_id:
        st.session_state.pop(SEEN, None)
        st.session_state[SEEN] = kept = (file_id, read_upload(name, data))
    table: pa.Table = kept[1]
    return table


def _taken(made: Callable[[Callable[[str], None]], Run]) -> None:
    """Make the run, show how far it is, and let every view of this session show it."""
    with st.status("reading the file", expanded=True) as status, _fitting:
        answers = answers_of(made(lambda step: status.update(label=state.plain(step))))
    take(answers)
    st.rerun()


def _roles(table: pa.Table) -> tuple[dict[str, Any], float | None]:
    """The form of column roles."""
    names, amounts = table.column_names, numeric(table)
    if not amounts:
        raise InputError("the file has no column of numbers; value and features are numbers")
    one, two, three = st.columns(3)
    with one:
        treatment = st.selectbox("Treatment: the arm each user got", names, index=_guess(names, "arm", "treatment"))
    arms = arms_of(table, treatment)
    with two:
        value = st.selectbox("Value: what came of it", amounts, index=_guess(amounts, "value", "spend", "outcome"))
    with three:
        control = st.selectbox("Control: the arm of no treatment", arms, index=_guess(arms, "none", "control", "0"))
    one, two, three = st.columns(3)
    with one:
        user_id = st.selectbox("User id", [NONE, *names], index=_guess([NONE, *names], "user_id", "id"))
    with two:
        priced = st.selectbox(
            "Cost: money spent on each user", [NONE, *amounts], index=_guess([NONE, *amounts], "cost")
        )
    with three:
        active = st.selectbox("Activeness: how many past behaviours", [NONE, *amounts], index=0)
    cost: str | dict[str, float] = priced
    if priced == NONE:
        st.caption("No column of cost: what does a user of each arm cost?")
        cost = _numbers(arms, "Cost of", 0.0 if len(arms) > 1 else 1.0)
    taken = {treatment, value, user_id, priced}
    free = [name for name in amounts if name not in taken]
    features = st.multiselect("Features: known before the campaign", free, default=free[:50], key="upload_features")
    propensity = _chances(arms, amounts)
    one, two, three = st.columns(3)
    with one:
        budget = st.number_input(
            "Budget a user",
            min_value=0.0,
            value=0.0,
            help="Money per user; 0 takes half of what the dearest arm for everybody costs above control.",
        )
    with two:
        currency = st.text_input("Currency", max_chars=12)
    with three:
        unit = st.text_input("What a unit of value is", max_chars=60)
    roles: dict[str, Any] = {"treatment": treatment, "value": value, "control": control, "features": features}
    roles |= {"cost": cost, "propensity": propensity, "currency": currency.strip(), "value_name": unit.strip()}
    roles |= {"user_id": None if user_id == NONE else user_id, "activeness": None if active == NONE else active}
    return roles, budget if budget > 0 else None


def _complete(roles: Mapping[str, Any]) -> dict[str, Any]:
    """The roles that were given; InputError where one is missing that everything rests on."""
    if not roles["features"]:
        raise InputError("no feature is chosen; choose what was known of each user before the campaign")
    return {role: given for role, given in roles.items() if given not in (None, "")}


def _chances(arms: list[str], amounts: list[str]) -> dict[str, Any] | None:
    """How the arms were drawn; None for shares that are the same for everybody."""
    how = st.radio("How were the arms drawn?", [EQUAL, STATED, BY_COLUMN], key="upload_chances", horizontal=True)
    if how == STATED:
        return dict(_numbers(arms, "Chance of", round(1 / len(arms), 6)))
    if how == EQUAL:
        return None
    found = {}
    for j, arm in enumerate(arms):
        found[arm] = st.selectbox(state.plain(f"Chance of {arm}"), amounts, key=f"upload_chance_{j}")
    return found


def _numbers(arms: list[str], what: str, usual: float) -> dict[str, float]:
    """A number for each arm."""
    found = {}
    for first in range(0, len(arms), 4):
        for arm, place in zip(arms[first : first + 4], st.columns(4), strict=False):
            with place:
                found[arm] = st.number_input(
                    state.plain(f"{what} {arm}"), value=usual, format="%.6g", key=f"{what}.{arm}"
                )
    return found


def _guess(names: list[str], *likely: str) -> int:
    """The place of the first name that is a likely one, else the first."""
    lower = [name.lower() for name in names]
    return next((lower.index(name) for name in likely if name in lower), 0)
