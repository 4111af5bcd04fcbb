"""A second log that was no experiment: its model's predictions become features of the randomised one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from uplift.campaign import Campaign
from uplift.errors import InputError
from uplift.learners.neural import NeuralResponse
from uplift.seen import Seen

COLUMNS = ("prior value", "prior effect of", "prior cost of")


def check_prior(campaign: Campaign, observed: Campaign) -> None:
    """Refuse a second log that is not of the same arms and features."""
    for what in ("arms", "features"):
        here, there = getattr(campaign, what), getattr(observed, what)
        if here != there:
            raise InputError(
                f"the observed log has the {what} {', '.join(there)}; those of the campaign are expected, in its "
                f"order: {', '.join(here)}"
            )
    both = int(Seen.of(observed).among(campaign).sum())
    if both:
        raise InputError(
            f"{both:,} users of the campaign are in the observed log too, so its model has seen them; "
            "leave them out of the observed log"
        )
    if observed.cost is None:
        raise InputError("the observed log has no cost, and its model is to predict it; give cost=")


def with_prior(prior: NeuralResponse, X: NDArray[np.float32]) -> NDArray[np.float32]:
    """The features and what the prior predicts: control's value, the effect and the cost of each treatment.

    Shape (n, d + 1 + 2K). Whatever bias the prior has, what is learnt on a randomised log with these features is
    learnt without it: a biased effect is a feature like any other, and a useful one where it orders users well.
    """
    predicted = prior.predict(X)
    parts = (X, predicted.value[:, :1], predicted.effect, predicted.cost[:, 1:])
    return np.column_stack([np.asarray(part, dtype=np.float32) for part in parts])


def campaign_with_prior(prior: NeuralResponse, campaign: Campaign) -> Campaign:
    """The campaign with those features."""
    treatments = campaign.arms[1:]
    names = [COLUMNS[0], *(f"{word} {arm}" for word in COLUMNS[1:] for arm in treatments)]
    return replace(campaign, X=with_prior(prior, campaign.X), features=(*campaign.features, *names))
