"""What a policy is worth, estimated from users whom it never saw.

`decide_all` lets policies decide before any outcome is looked at; `estimators` turn decisions and a randomised log
into values and spends; `evaluate` lays them out with intervals, `evaluate_splits` over several splits, `curve_area`
in one number. `stability` refits, `next_experiment` says how many users a sure answer takes.
"""
