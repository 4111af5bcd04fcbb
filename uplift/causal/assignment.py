"""The estimated assignment: the probability of each arm given what was known of the user."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uplift.campaign import Campaign, check_campaign
from uplift.causal.crossfit import assign_folds, check_classifier, cross_fit_probability, seeded_clone
from uplift.errors import InputError
from uplift.fitting import lightgbm_settings
from uplift.propensity import check_propensity

if TYPE_CHECKING:
    from lightgbm import LGBMClassifier
    from sklearn.compose import TransformedTargetRegressor


def covariates(campaign: Campaign) -> NDArray[np.float32]:
    """What is adjusted for: the features, and activeness as the last column where the campaign has it.

    Float32, (n, d) or (n, d+1); activeness is not added a second time where `activeness` is a feature already.
    """
    if campaign.activeness is None or "activeness" in campaign.features:
        return campaign.X
    return np.column_stack([campaign.X, campaign.activeness.astype(np.float32)])


def default_propensity_model(rows: int = 0) -> LGBMClassifier:
    """Small boosted trees: 300 of 4 leaves with at least 40 users each, learning rate .05, log loss.

    Assignment rules are smoother than outcomes, and a propensity that follows the noise of its log inflates the
    weights, hence trees smaller than a response learner's. Their number was chosen among 100 to 600 on
    `synthetic.confounded` logs by the error of the adjusted effects, not by the log loss: that is lowest at 100,
    which are too few where weights count, at the rim of the overlap, and leave confounding in. More trees than 300
    take little of it out and follow the noise further. The log losses were .09 (2,000 users) and .009 (20,000)
    above that of the true propensities.
    """
    from lightgbm import LGBMClassifier

    return LGBMClassifier(n_estimators=300, num_leaves=4, min_child_samples=40, **lightgbm_settings(rows))


def default_outcome_model(rows: int = 0) -> TransformedTargetRegressor:
    """Boosted trees for the outcome of one arm: 200 of 8 leaves with at least 20 users each, squared loss.

    The outcome is standardised first, so that the unit of money does not matter.
    """
    from lightgbm import LGBMRegressor
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.preprocessing import StandardScaler

    trees = LGBMRegressor(n_estimators=200, num_leaves=8, min_child_samples=20, **lightgbm_settings(rows))
    return TransformedTargetRegressor(regressor=trees, transformer=StandardScaler())


def estimate_propensity(
    campaign: Campaign,
    *,
    model: Any = None,
    n_folds: int = 5,
    fold: ArrayLike | None = None,
    cluster: ArrayLike | None = None,
    seed: int | np.random.Generator = 0,
) -> NDArray[np.float64]:
    """Cross-fitted probability of each arm given `covariates(campaign)`, (n, K+1), rows summing to 1.

    Parameters
    ----------
    model : scikit-learn classifier with predict_proba; None takes `default_propensity_model`.
    n_folds, cluster, seed : as in `assign_folds`; random states that `model` leaves open follow from the seed too.
    fold : (n,) folds already assigned, instead.

    The probabilities are the model's own: boosted trees of the log loss are not calibrated again; the balance after
    weighting in `overlap` is the check that matters. A model overconfident in its training data can be wrapped in
    scikit-learn's `CalibratedClassifierCV`. Misleads where a feature was measured after the treatment. Raises
    InputError for a log of a single arm, a model of another kind or that cannot learn, and as `assign_folds` does.
    """
    check_campaign(campaign)
    if len(campaign.arms) < 2:
        raise InputError(
            f"the log has one arm, {campaign.arms[0]!r}, so nothing can be compared; at least 2 arms are expected"
        )
    if fold is None:
        fold = assign_folds(campaign.treatment, n_folds, seed=seed, cluster=cluster)
    chosen = default_propensity_model(len(campaign)) if model is None else model
    check_classifier(chosen)
    return cross_fit_probability(
        seeded_clone(chosen, seed), covariates(campaign), campaign.treatment, fold, len(campaign.arms)
    )


def with_propensity(campaign: Campaign, **options: Any) -> Campaign:
    """The campaign with its propensities estimated (`options` of `estimate_propensity`), so that every learner's
    `propensity=` gets weights that undo the assignment.

    A propensity that the campaign states already is replaced. Assumes that the covariates hold all common causes of
    treatment and value. Raises InputError as `estimate_propensity` does, and where an estimate is exactly 0, as some
    models give it: such a user has no counterpart, and no weight can make one.

    Examples
    --------
    >>> from uplift import synthetic
    >>> log = with_propensity(synthetic.confounded(500, seed=0).campaign)
    >>> log.propensity.shape
    (500, 5)
    """
    table = estimate_propensity(campaign, **options)
    return replace(campaign, propensity=check_propensity(table, campaign.arms))
