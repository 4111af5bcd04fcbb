"""Response learners: from a log to the value and cost of every arm for every user.

All are scikit-learn estimators behind one Protocol, `ResponseLearner`: `fit(X, value, treatment=t, cost=c)` and
`predict(X) -> Response`.
"""

from uplift.learners.base import ResponseLearner
from uplift.learners.s_learner import SLearner
from uplift.learners.t_learner import TLearner

__all__ = ["ResponseLearner", "SLearner", "TLearner"]
