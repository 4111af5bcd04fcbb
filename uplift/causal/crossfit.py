"""Cross-fitting: predictions for every user by models that never saw that user."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uplift.errors import InputError
from uplift.fitting import is_estimator, seeded
from uplift.groups import label_codes
from uplift.seeds import stream

Array = NDArray[np.float64]
Integers = NDArray[np.int64]


def assign_folds(
    treatment: ArrayLike,
    n_folds: int = 5,
    *,
    seed: int | np.random.Generator = 0,
    cluster: ArrayLike | None = None,
) -> Integers:
    """The fold 0..n_folds-1 of every user, (n,) int64, at random.

    Without `cluster` the folds are stratified by arm: of each arm, and of all users, any two folds differ by at most
    one user. With `cluster` (n,) all users of a cluster share a fold (a household, a user of several rows); then the
    number of clusters is balanced, and the arms are not. An arm with fewer users than folds is missing from some.
    `treatment` (n,) holds whole numbers.

    Raises InputError for fewer than 2 folds, more folds than users or clusters, missing labels of clusters, or an arm
    whose users (a single one, say) are all in one fold, which no model could predict out of fold.
    """
    t = _treatments(treatment)
    names, group = (None, None) if cluster is None else label_codes(cluster, len(t), "cluster")
    units, unit = ("users", len(t)) if names is None else ("clusters", len(names))
    if not isinstance(n_folds, int | np.integer) or not 2 <= n_folds <= unit:
        raise InputError(f"n_folds is {n_folds!r}; a whole number from 2 to the {unit:,} {units} is expected")
    rng = stream(seed, "folds")
    if group is not None:
        of_cluster = rng.permutation(unit) % n_folds
        fold = of_cluster[group]
    else:
        order = rng.permutation(len(t))
        order = order[np.argsort(t[order], kind="stable")]
        fold = np.empty(len(t), dtype=np.int64)
        fold[order] = np.arange(len(t)) % n_folds
    check_folds(fold, t)
    return np.asarray(fold, dtype=np.int64)


def check_folds(fold: Integers, treatment: NDArray[Any]) -> None:
    """Refuse folds that are no whole numbers, and those outside of which an arm has no user left to learn from."""
    if fold.shape != treatment.shape:
        raise InputError(f"fold has shape {fold.shape} for {len(treatment):,} users; one each is expected")
    if not np.issubdtype(fold.dtype, np.integer):
        raise InputError(f"fold has the type {fold.dtype}; whole numbers are expected, such as `assign_folds` gives")
    for arm in np.unique(treatment):
        of_arm = fold[treatment == arm]
        if of_arm.min() == of_arm.max():
            raise InputError(
                f"all users of treatment {arm} ({len(of_arm):,}) are in fold {of_arm[0]}, so no model can learn that "
                "arm without them; at least 2 users (or clusters) of every arm are needed: drop the arm, or "
                "take other folds"
            )


def cross_fit_probability(model: Any, X: ArrayLike, treatment: ArrayLike, fold: ArrayLike, n_arms: int) -> Array:
    """Out-of-fold probability of every arm, (n, n_arms), rows summing to 1.

    A clone of the classifier `model` is fitted to (X, treatment) outside each fold and predicts inside it; column j
    is arm j whatever the order of the model's classes. X (n, d), treatment (n,) in 0..n_arms-1, fold (n,) as
    `assign_folds` gives it. The model's own calibration is kept as it is. Raises InputError for a model that is no
    classifier with `predict_proba` or refuses to learn, for arrays of other lengths, arms without users, and for
    folds outside of which an arm has nobody.
    """
    check_classifier(model)
    features, t, f = _checked(X, treatment, fold, n_arms)
    table = np.zeros((len(t), n_arms))
    for k in np.unique(f):
        inside = f == k
        fitted = _fit(model, features[~inside], t[~inside], f"all users outside fold {k}")
        table[np.ix_(inside, fitted.classes_.astype(np.int64))] = fitted.predict_proba(features[inside])
    return np.asarray(table / table.sum(axis=1, keepdims=True))


def cross_fit_outcome(
    model: Any, X: ArrayLike, value: ArrayLike, treatment: ArrayLike, fold: ArrayLike, n_arms: int
) -> Array:
    """Out-of-fold expected outcome of every user under every arm, (n, n_arms), in units of `value` (n,).

    `model` is a regressor or classifier, of which for each fold and arm a clone is fitted to the users of that arm
    outside the fold; or a response learner, of which for each fold a clone is fitted to all arms outside it. They
    predict for everybody inside the fold. Of a classifier the expected label is used, so labels must be numbers; one
    label alone is its own prediction. X, treatment and fold as in `cross_fit_probability`. Fits carry no weights, so
    under confounding an average of the table leans to the users who were given the arm. Raises InputError for another
    kind of model, where it refuses what it is to learn from, and for the rest as `cross_fit_probability`.
    """
    check_outcome_model(model)
    learner = _is_response_learner(model)
    features, t, f = _checked(X, treatment, fold, n_arms)
    y = np.asarray(value)
    if y.shape != t.shape:
        raise InputError(f"value has shape {y.shape} for {len(t):,} users; one number each, ({len(t)},), is expected")
    table = np.empty((len(t), n_arms))
    for k in np.unique(f):
        inside = f == k
        if learner:
            where = f"all users outside fold {k}"
            fitted = _fit(model, features[~inside], y[~inside], where, treatment=t[~inside])
            table[inside] = fitted.predict(features[inside]).value
            continue
        for j in range(n_arms):
            learn = ~inside & (t == j)
            if _base().is_classifier(model) and y[learn].min() == y[learn].max():
                table[inside, j] = y[learn][0]  # a classifier needs two labels
                continue
            where = f"treatment {j} outside fold {k}"
            fitted = _fit(model, features[learn], y[learn], where)
            if _base().is_classifier(fitted):
                table[inside, j] = fitted.predict_proba(features[inside]) @ fitted.classes_.astype(np.float64)
            else:
                table[inside, j] = fitted.predict(features[inside])
    return table


def _checked(
    X: ArrayLike, treatment: ArrayLike, fold: ArrayLike, n_arms: int
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Features, treatments and folds of as many users, with somebody of each of the arms and nobody of another."""
    features, t, f = np.asarray(X), _treatments(treatment), np.asarray(fold)
    if features.ndim != 2 or len(features) != len(t):
        raise InputError(f"X has shape {features.shape} for {len(t):,} users; ({len(t)}, features) is expected")
    arms = np.unique(t)
    if not np.array_equal(arms, np.arange(n_arms)):
        raise InputError(
            f"treatment holds the arms {', '.join(map(str, arms[:10]))}, and n_arms is {n_arms!r}; every arm from 0 "
            "to n_arms - 1 is expected to have users: number the arms of the log from 0"
        )
    check_folds(f, t)
    return features, t, f


def _treatments(treatment: ArrayLike) -> NDArray[Any]:
    t = np.asarray(treatment)
    if t.ndim != 1 or not len(t) or not np.issubdtype(t.dtype, np.integer):
        raise InputError(f"treatment has shape {t.shape} and type {t.dtype}; whole numbers (users,) are expected")
    return t


def check_classifier(model: Any, name: str = "model") -> None:
    """Refuse what is no classifier with `predict_proba`."""
    if not is_estimator(model) or not _base().is_classifier(model) or not hasattr(model, "predict_proba"):
        raise InputError(
            f"{name} is {model!r}; a scikit-learn classifier with predict_proba is expected, such as "
            "LogisticRegression()"
        )


def check_outcome_model(model: Any) -> None:
    """Refuse what is neither a regressor, nor a classifier, nor a response learner."""
    if is_estimator(model) and (
        _base().is_classifier(model) or _base().is_regressor(model) or _is_response_learner(model)
    ):
        return
    raise InputError(
        f"model is {model!r}; a scikit-learn regressor or classifier, such as Ridge(), or a response learner, "
        "such as SLearner(), is expected"
    )


def _base() -> Any:
    """scikit-learn's kinds of models, loaded where a model is met: 40 MB that who only reads results does without."""
    import sklearn.base

    return sklearn.base


def seeded_clone(model: Any, seed: int | np.random.Generator) -> Any:
    """A clone of `model` in which every random state left open, also inside a pipeline, follows from `seed`."""
    return seeded(_base().clone(model), int(stream(seed, "nuisance models").integers(2**31)))


def _fit(model: Any, X: NDArray[Any], y: NDArray[Any], where: str, **given: Any) -> Any:
    """A clone of `model`, fitted; what it refuses is said with the place."""
    try:
        return _base().clone(model).fit(X, y, **given)
    except InputError:
        raise
    except ValueError as error:
        raise InputError(
            f"{type(model).__name__} cannot learn from {where} ({len(y):,} users): {error}; take a model that suits "
            "the values and can learn from so few (a regressor for amounts), other folds, or drop the arm"
        ) from error


def _is_response_learner(model: Any) -> bool:
    """Whether `fit` takes the treatment, as the Protocol of `uplift.learners` has it (above, so not imported)."""
    return "treatment" in inspect.signature(model.fit).parameters
