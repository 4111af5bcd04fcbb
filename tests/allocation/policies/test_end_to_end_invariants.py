"""What may not change an end-to-end fit: the threads, what was drawn before, the units of value and money."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.allocation.policies.end_to_end_logs import drawn_costs, policy, shorten
from uplift.learners import NeuralResponse


@pytest.mark.parametrize("arguments", [{"gate": True}, {}, {"estimator": "nes", "rule": "pcgrad"}])
def test_the_same_seed_gives_the_same_bytes_on_any_number_of_threads(monkeypatch, arguments):
    """Whatever was drawn before from torch's global generator; another seed gives other bytes."""
    shorten(monkeypatch)
    log, threads = drawn_costs(300), torch.get_num_threads()
    found = []
    for count, seed in ((1, 5), (3, 5), (1, 6)):
        torch.set_num_threads(count)
        try:
            torch.manual_seed(count)
            net = NeuralResponse(hidden=(4,), epochs=1, seed=seed)
            found.append(policy(net=net, seed=seed, **arguments).fit(log).predict(log).value.tobytes())
        finally:
            torch.set_num_threads(threads)
    assert found[0] == found[1] != found[2]


@pytest.mark.parametrize("power", [-24, 24])
@pytest.mark.parametrize("what", ["value", "cost"])
@pytest.mark.parametrize("warm_start", ["effects", "levels"])
def test_units_that_are_powers_of_two_change_not_a_byte(monkeypatch, what, power, warm_start):
    """All is standardised inside: value or money in units of 6e-8 or 2e7 gives the same numbers in the new unit."""
    shorten(monkeypatch)
    log = drawn_costs(300)
    other = replace(log, **{what: np.ldexp(getattr(log, what), power)})
    money = [np.ldexp(b, power if what == "cost" else 0) for b in (120.0, 300.0)]
    once = policy(budgets=[120.0, 300.0], warm_start=warm_start).fit(log)
    again = policy(budgets=money, warm_start=warm_start).fit(other)
    np.testing.assert_array_equal(
        np.ldexp(getattr(once.predict(log), what), power), getattr(again.predict(log), what)
    )
    np.testing.assert_array_equal(
        once.decide(log, 200.0).decision, again.decide(log, 200.0 * money[0] / 120.0).decision
    )


def test_a_unit_that_is_no_power_of_two_changes_nearly_no_decision(monkeypatch):
    shorten(monkeypatch)
    log = drawn_costs(600)
    once = policy().fit(log)
    again = policy().fit(replace(log, value=log.value * 1e6, cost=log.cost * 1e-4))
    assert (once.decide(log, 400.0).decision == again.decide(log, 0.04).decision).mean() > 0.98
