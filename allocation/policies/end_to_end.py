"""EndToEnd: a response net trained for the decision; a gate keeps the two-stage net where that is better."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Self

from numpy.typing import NDArray

from allocation.engine.problem import Allocation, Problem
from allocation.engine.solve import solve
from allocation.policies.base import Users
from allocation.policies.end_to_end_settings import checked
from allocation.policies.end_to_end_training import Clock, fit_net, train_candidates
from allocation.policies.gate import EFFECTS, TUNED, TWO_STAGE, Difference, challenger
from allocation.policies.gated import Gated, Worths, gated
from allocation.policies.prior import campaign_with_prior, check_prior, with_prior
from allocation.policies.tuning_result import TuningResult
from allocation.policies.two_stage import features_of, predict_response, save_fitted
from uplift.campaign import Campaign, check_campaign
from uplift.causal.aggregation import Rule
from uplift.errors import InputError
from uplift.learners.base import ResponseLearner
from uplift.learners.features import read_features
from uplift.learners.neural import NeuralResponse
from uplift.response import Response
from uplift.seen import Seen


class EndToEnd:
    """A response net whose training loss contains what its decisions are worth under the budget.

        loss = factual - gamma / L sum_l G_l / s_l,     G_l = mean_i Gamma^v_i,z - p_l Gamma^c_i,z

    with z the decision at the price p_l of budget l, and Gamma what the log says of each user and arm: the marketing
    goal under the budget is a regulariser of the regression (`decision_phase` has the details). In order: outcome
    models, cross-fitted; the warm start, a net regressed on doubly robust scores of the *effects*; the decision
    phase; and the gate, which lets that net decide (or its warm start, where the phase is verified to have done harm)
    only where a paired interval on held-out users is above zero.
    Else the two-stage net decides, fitted to all users: exactly what `TwoStage(net)` would be
    (with the features that a second log adds, where there is one).

    Parameters
    ----------
    net : the `NeuralResponse` that is trained, and the two-stage net that it must beat; None takes the default one.
        With the warm start "effects" its value is a plain mean ("gaussian"), whatever `value_likelihood` says.
    estimator : the gradient of the goal: "softmax", "nes", "finite_difference" or "improved_fd" (`gradients`).
    scores : "dr", doubly robust, or "ipw", inverse propensity: no outcome models, and far noisier.
    budgets : money for all users of the log that it is fitted on, one or several, at which decisions are to be good;
        None takes those that spend 5, 15 and 45% of what deciding without a budget would cost above everybody's
        cheapest arm. Any budget can be decided at afterwards.
    gamma : weight of the goal; both losses are in standard deviations, so that it has no unit. 0 trains no decision.
    rule : how the gradients of regression and goal become one, a rule of `uplift.causal.aggregation` such as
        "norm_matched", applied to each of the net's tensors alone; None adds them. One that brings the goal to a
        size of its own, as "norm_matched" does, takes no notice of a gamma above 0.
    warm_start : "effects", or "levels": the two-stage net itself, the published form.
    gate : False lets the tuned net decide whatever it is worth; nothing is held out then.
    groups : "activeness" combines the goal's gradients of five strata of activeness by `group_rule`, so that tail
        users are not drowned by the head; None has one goal.
    outcome_learner : the response learner of the outcome models; None takes NeuralResponse(epochs=5).
    level : of the intervals, that of the gate included; the watch that ends a harmful decision phase keeps to 95%.
    seed : of the folds, and of the nets that are None here; a net of your own has its own.
    progress : called with a text as each phase begins, or None.

    Attributes
    ----------
    learner_ : the fitted NeuralResponse that decides. prior_ : the net of the observed log, or None.
    result_ : `TuningResult`, which says in words who decides and why. arms_, features_, users_ : of the log.

    Notes
    -----
    Assumes known propensities, all above 0, and users who do not influence each other. The gate validates on as
    many of five folds as hold 100,000 users, each with candidates trained anew, and what it lets through is then
    fitted to everybody: all five up to 100,000 users. From 500,000 on it is a single fold, held out for good.
    Misleads: the gate cannot see gains that are small beside the noise, and then keeps the two-stage net; with few
    users that is the rule. Validation picks between three models, and what it says of the one it picked is a little
    optimistic: verify with `evaluate` on other users. The tuned values are made for deciding: what they promise need
    not be what is got. It gains where the net is too small for its world, most of it by the
    warm start, and nothing where the net fits or spend is rare and heavy-tailed (tests/benchmarks/end_to_end.py).

    Source: the framework of arXiv 2302.04477 and the scores of doubly robust evaluation; its equations could not be
    read here, so none is quoted. The warm start from effects, doubly robust scores in the goal and the gate are ours.

    Examples
    --------
    >>> from uplift import synthetic
    >>> from uplift.learners import NeuralResponse
    >>> train, new = synthetic.simulate(1_000, seed=0).campaign.split(0.5, seed=0)
    >>> policy = EndToEnd(NeuralResponse(hidden=(4,), epochs=1), gate=False).fit(train)
    >>> policy.decide(new.X, budget=100.0).cost <= 100.0
    True
    """

    def __init__(
        self,
        net: NeuralResponse | None = None,
        estimator: str = "softmax",
        scores: str = "dr",
        budgets: Sequence[float] | None = None,
        gamma: float = 1.0,
        rule: Rule | str | None = None,
        warm_start: str = "effects",
        gate: bool = True,
        groups: str | None = None,
        group_rule: Rule | str = "gradient_aggregation",
        outcome_learner: ResponseLearner | None = None,
        level: float = 0.95,
        seed: int = 0,
        progress: Callable[[str], None] | None = None,
    ) -> None:
        self.net = net
        self.estimator = estimator
        self.scores = scores
        self.budgets = budgets
        self.gamma = gamma
        self.rule = rule
        self.warm_start = warm_start
        self.gate = gate
        self.groups = groups
        self.group_rule = group_rule
        self.outcome_learner = outcome_learner
        self.level = level
        self.seed = seed
        self.progress = progress

    def fit(self, campaign: Campaign, observed: Campaign | None = None) -> Self:
        """Fit the candidates, and let the gate say which of them decides.

        `campaign` states its propensities and costs. `observed` is a second log of the same arms and features that
        was no experiment, such as the rule-based campaigns before: a net fitted to it as it stands predicts value and
        cost for the users of `campaign`, and these predictions become features (`allocation.policies.prior`). Its
        bias does not carry over: everything is learnt and verified on the randomised log. Users of
        both are refused.

        Raises InputError for a campaign without propensity or cost, groups without activeness, another log's arms or
        features, and arguments that no fit can use, an infinite budget among them; ProblemError for budgets that are
        no numbers or below 0.
        """
        check_campaign(campaign)
        settings = checked(
            net=self.net,
            estimator=self.estimator,
            scores=self.scores,
            budgets=self.budgets,
            gamma=self.gamma,
            rule=self.rule,
            warm_start=self.warm_start,
            groups=self.groups,
            group_rule=self.group_rule,
            outcome_learner=self.outcome_learner,
            level=self.level,
            seed=self.seed,
            progress=self.progress,
        )
        check_log(campaign, settings.grouped)
        n, clock, log, prior = len(campaign), Clock(settings.progress), campaign, None
        budgets = None if settings.budgets is None else tuple(budget / n for budget in settings.budgets)
        if observed is not None:
            check_prior(campaign, observed)
            with clock.phase("prior on the observed log", len(observed)):
                prior = fit_net(settings.net, observed)
            log = campaign_with_prior(prior, campaign)
        if self.gate:
            found = gated(log, settings, budgets, clock)
        else:
            trained = train_candidates(log, settings, budgets, clock)
            found = Gated(TUNED, trained.nets[TUNED], trained.budgets, {}, None)
        worths = found.worths
        self.arms_, self.features_, self.users_ = campaign.arms, campaign.features, Seen.of(campaign)
        self.learner_, self.prior_ = found.net, prior
        self.result_ = TuningResult(
            users=n,
            kept=found.kept,
            warm_start=settings.warm_start,
            scores=settings.scores,
            estimator=settings.estimator,
            budgets=tuple(budget * n for budget in found.budgets),
            level=settings.level,
            gain=_difference(worths, challenger(worths), TWO_STAGE) if worths else None,
            tuning=_difference(worths, TUNED, EFFECTS),
            over_control=None if found.gain is None else Difference.of(found.gain),
            seconds=clock.seconds,
        )
        return self

    def predict(self, users: NDArray[Any] | Campaign) -> Response:
        """Value and cost of every arm for every user: rows of X, (n, d), or a campaign, whose user ids are kept.

        Raises InputError before the fit, and for names of features that are not those of the fit; for an array of
        another width what the learner raises.
        """
        prior: NeuralResponse | None = getattr(self, "prior_", None)
        if prior is None:
            return predict_response(self, users)
        X = read_features(prior, features_of(self, users), missing=True)
        predicted = predict_response(self, with_prior(prior, X))
        return replace(predicted, user_id=users.user_id) if isinstance(users, Campaign) else predicted

    def decide(self, users: Users, budget: float | None) -> Allocation:
        """Solve the budget (money for all users together, None for no limit) on the predictions; see `Policy.decide`.

        Raises InputError as `predict` does, ProblemError where even the cheapest decision is predicted to cost more.
        """
        return solve(self.problem(users, budget))

    def problem(self, users: Users, budget: float | None) -> Problem:
        """The problem that `decide` solves; limits can be added with `dataclasses.replace(problem, limits=[...])`."""
        response = users if isinstance(users, Response) else self.predict(users)
        return Problem(response.value, response.cost, budget)

    save = save_fitted


def check_log(campaign: Campaign, grouped: bool) -> None:
    """Refuse a log that cannot say what a decision is worth."""
    if campaign.propensity is None:
        raise InputError(
            "the campaign states no propensity, so it cannot say what a decision is worth; state the design's, such "
            'as propensity="arm shares" for a log in which every user had the same chances, or take '
            "uplift.causal.with_propensity(campaign)"
        )
    if campaign.cost is None:
        raise InputError("the campaign has no cost, so no budget binds; give cost= a column or {arm: cost}")
    if grouped and campaign.activeness is None:
        raise InputError("groups is 'activeness' and the campaign has none; give activeness= a column")


def _difference(worths: Worths, name: str, other: str) -> Difference | None:
    """The paired difference of two candidates, where both were validated."""
    return Difference.of(worths[name] - worths[other]) if {name, other} <= worths.keys() else None
