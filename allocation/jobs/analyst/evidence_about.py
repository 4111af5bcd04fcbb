"""What each check of a run means, and when it misleads."""

from __future__ import annotations

ABOUT = {
    "shares": (
        "If every user got an arm by the stated chances, the arms have about the stated shares of the users. "
        "Shares that differ by more than chance makes point to lost rows, to another rule of assignment, or to "
        "chances that were written down wrong; then every verified figure is wrong.",
        "It sees wrong shares, not a wrong assignment with the right shares: a rule that gives the arm to the "
        "most active users passes if the shares are right. Users who got their arm together, such as households, "
        "look like a mistake. Counted over the whole log.",
    ),
    "balance": (
        "Before the campaign the users of two randomised arms differ by chance alone. For each feature the mean "
        "of an arm less the mean of control, in standard deviations, each user weighted by one over the chance of "
        "the arm; the arm that stands out most is shown.",
        "Only measured features can be looked at. With many users a difference too small to matter is found too: "
        "read its size. A feature that hardly anybody has may stand out by chance more often than said. A feature "
        "measured after the campaign differs for that reason.",
    ),
    "support": (
        "A decision is verified on users who by chance received the arm decided for them. Effective users are as "
        "many as would tell the same if their chances were alike; below 30 neither an interval nor a resample can "
        "be trusted.",
        "It says that there are enough, not that they are many: the width of the interval says that. It holds for "
        "the budget of the plan; the budget view marks where support ends for any other.",
    ),
    "calibration": (
        "Users in order of their predicted effect, in bins: predicted against verified effect of the arm. On the "
        "diagonal predictions are right. The slope is 1 when the differences between users are as large as "
        "predicted, 0 when the prediction knows nothing of them.",
        "A slope can be right while the level is off, and the reverse: look at the picture. Promised gains rest "
        "on the level, decisions on the differences. Bins hold their users' noise: an interval that misses the "
        "diagonal once in twenty is no news.",
    ),
    "ranking": (
        "Treat the users of the largest predicted effect first, each with the arm predicted best: what is gained, "
        "by the share of users treated, verified by doubly robust scores on held-out users. A model that orders "
        "users well bends above the straight line of a random order.",
        "It leaves out cost. A large mean effect lifts curve and line alike; only the bend between them is the "
        "model's. The band holds for one point at a time.",
    ),
    "placebo": (
        "The arms of the held-out log are dealt out anew among its users, and effects are verified once more in "
        "the order of the same model. Now no arm has an effect, so the curve must hug zero; how far it strays "
        "shows how much noise alone can make. If it leaves its band, the verification finds what is not there.",
        "It shows a verification that errs or is too sure of itself, not confounding: dealing out anew removes "
        "that too. The order and the models of the outcome stay those of the real log. One draw: a sound log fails "
        "once in a hundred.",
    ),
    "refits": (
        "The model is fitted again on random halves of its training log and decides for the same users at the "
        "same budget. Users who change arm are decided by the luck of the log. They should be those whose choice "
        "was close.",
        "Refits on one log agree more than new logs would, so read it as the best case. An unstable arm need not "
        "cost value: between arms that are worth the same the choice is open. With a small budget few can change.",
    ),
    "experiment": (
        "How many users a new randomised log needs to show, four times in five, that these decisions are worth "
        "more than the best baseline at this budget, by the way its arms are drawn.",
        "Half of the gain needs four times the users, and the gain is itself an estimate. The best baseline was "
        "chosen by its own result, which errs in its favour. New users must be like these.",
    ),
}
