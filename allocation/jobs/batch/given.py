"""A plan with what the command line puts in its place: another table, another model, another budget."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from allocation.jobs.plan import Plan, read_plan
from allocation.jobs.plan_values import check_budget
from uplift.errors import InputError


def given_plan(
    path: str | Path,
    *,
    responses: str | None = None,
    model: str | None = None,
    features: str | None = None,
    budget: float | None = None,
) -> Plan:
    """The plan in a file, with everything that is given instead of its own; the run id is that of the result.

    Paths that are given are relative to the working folder, those of the plan to the plan's folder. A model takes
    the place of a response table and the reverse; a model or features alone take the place of the plan's own.

    Raises InputError as `read_plan` does, for a response table beside a model, a model without features, features
    without a model, and a budget that is no finite number of at least 0.
    """
    plan = read_plan(path)
    if responses is not None and (model is not None or features is not None):
        other = "--model" if model is not None else "--features"
        raise InputError(
            f"--responses and {other} are both given; decide from one: a table, or a model and --features"
        )
    if responses is not None:
        plan = replace(plan, responses=responses, model=None, features=None)
    if model is not None or features is not None:
        model, features = model or plan.model, features or plan.features
        for name, found in (("model", model), ("features", features)):
            if found is None:
                raise InputError(f"{path} has no {name}; give --{name} as well")
        plan = replace(plan, responses=None, model=model, features=features)
    if budget is not None:
        try:
            plan = replace(plan, budget=check_budget(budget))
        except ValueError:
            raise InputError(
                f"--budget is {budget}; a finite number of at least 0 is expected; leave it out where there is no "
                "bound"
            ) from None
    return plan
