"""The keys of a plan file as pydantic models: which there are, of what type, and which go together."""

from __future__ import annotations

import math
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from allocation.engine.limit import BUDGET
from allocation.jobs.plan_values import (
    MOST_PART_ROWS,
    PART_ROWS,
    Scalar,
    Sentence,
    Share,
    check_arms,
    check_bound,
    check_budget,
    check_name,
    check_path,
    check_rows,
    check_where,
    shown,
)

SHARED = ("users", "cost")  # measures of which a share can be taken: of the users, of the budget

Name = Annotated[str, AfterValidator(check_name)]
Place = Annotated[str, AfterValidator(check_path)]
Bound = Annotated[Any, BeforeValidator(check_bound)]
Where = Annotated[dict[str, tuple[Scalar, ...]], BeforeValidator(check_where)]

A_BOUND = 'a number is expected, or a share such as "20%"'
A_TABLE = "the path of a Parquet file or folder is expected, as text"


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class LimitTable(_Table):
    """One [[limit]]; a field's description says what is expected there."""

    name: Name = Field(description='text is expected, such as name = "at most 50,000 minutes"')
    measure: Name = Field("users", description="users, cost, value or the name of a resource is expected, as text")
    min: Bound | None = Field(None, description=A_BOUND)
    max: Bound | None = Field(None, description=A_BOUND)
    arms: Annotated[list[Name], AfterValidator(check_arms)] | None = Field(
        None, description='a list of names of arms is expected, such as arms = ["mail"]'
    )
    where: Where = Field({}, description='a table is expected, such as where = { segment = "heavy" }')

    @property
    def bounds(self) -> tuple[tuple[str, float | Share], ...]:
        """The sides that are given, by name."""
        return tuple((side, bound) for side, bound in (("min", self.min), ("max", self.max)) if bound is not None)

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if self.name == BUDGET:
            raise Sentence(f"is called {BUDGET!r}, as messages call the plan's own; give it another name")
        if not self.bounds:
            raise Sentence("has neither min nor max; give at least one")
        for side, bound in self.bounds:
            if isinstance(bound, Share):
                if self.measure not in SHARED:
                    raise Sentence(
                        f'has {side} = "{bound}" of {shown(self.measure)}; only of users and of the budget (measure '
                        "cost) a share can be taken: write the amount as a number"
                    )
            elif self.measure == "users" and bound < 0:
                raise Sentence(f"has {side} = {bound!r} users; a number of at least 0 is expected")
        _check_order(self.min, self.max, self.measure == "users")
        return self


class PlanTable(_Table):
    """The [plan]; a field's description says what is expected there."""

    name: Name = Field(description='text is expected, such as name = "spring-coupons"')
    responses: Place | None = Field(None, description=A_TABLE)
    model: Place | None = Field(None, description="the folder of a saved policy is expected, as text")
    features: Place | None = Field(None, description=A_TABLE)
    budget: Annotated[float, BeforeValidator(check_budget)] | None = Field(
        None, description="a number is expected, such as budget = 100_000"
    )
    currency: Name = Field("", description='text is expected, such as currency = "EUR"')
    part_rows: Annotated[int, BeforeValidator(check_rows)] = Field(
        PART_ROWS, description=f"a whole number from 1 to {MOST_PART_ROWS:,} is expected"
    )

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if self.responses is not None and self.model is not None:
            raise Sentence("has both responses and model; keep the one to decide from")
        if self.features is not None and self.model is None:
            raise Sentence("has features, but no model to predict with; add model, the folder of a saved policy")
        if self.model is not None and self.features is None:
            raise Sentence("has a model, but no features to predict from; add features, a Parquet file or folder")
        if self.responses is None and self.model is None:
            raise Sentence("does not say what to decide from; add responses (a path), or model and features")
        return self


class Document(_Table):
    """The whole file."""

    plan: PlanTable = Field(description="one table is expected: write [plan]")
    limit: list[LimitTable] = Field([], description="a list of tables is expected: write [[limit]]")

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        names: set[str] = set()
        for limit in self.limit:
            called = f"limit {shown(limit.name)}"
            if limit.name in names:
                raise Sentence(f"{called} stands more than once; give each limit a name of its own")
            names.add(limit.name)
            if limit.measure == "cost":
                self._check_money(limit, called)
        return self

    def _check_money(self, limit: LimitTable, called: str) -> None:
        amounts: dict[str, float | None] = {}
        for side, bound in limit.bounds:
            if not isinstance(bound, Share):
                amounts[side] = bound
                continue
            if self.plan.budget is None:
                raise Sentence(
                    f'{called} has {side} = "{bound}" of the budget, but [plan] has no budget; write the amount as a '
                    "number, or add a budget"
                )
            amounts[side] = float(bound.part_of(self.plan.budget))
        try:
            _check_order(amounts.get("min"), amounts.get("max"), False)
        except Sentence as error:
            raise Sentence(f"{called} {error}") from None


def _check_order(low: float | Share | None, high: float | Share | None, counted: bool) -> None:
    """Refuse a floor above its cap where both are amounts or both are shares."""
    ends = [bound.of if isinstance(bound, Share) else bound for bound in (low, high) if bound is not None]
    if len(ends) < 2 or isinstance(low, Share) != isinstance(high, Share):
        return
    least, most = ends
    if least > most:
        raise Sentence(f"has its floor, min = {low}, above its cap, max = {high}; swap or mend them")
    if counted and not isinstance(low, Share) and math.ceil(least) > math.floor(most):
        raise Sentence(f"counts users, and no whole number lies between min = {low} and max = {high}")
